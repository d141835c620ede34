// SPDX-License-Identifier: MIT
// The device features and extensions that Heron needs or can use, and FeatureChain, which hands them to
// engines.
#include "core/features.hpp"

#include <algorithm>
#include <memory>

#include "core/check.hpp"
#include "core/probe.hpp"

namespace heron {
namespace {

template <typename Struct>
void link(Struct& item, VkStructureType type, void**& tail) {
    item.sType = type;
    *tail = &item;
    tail = &item.pNext;
}

template <typename Struct>
const Struct& as(const VkBaseInStructure* item) {
    return *reinterpret_cast<const Struct*>(item);
}

}  // namespace

bool contains(std::span<const std::string> extensions, std::string_view name) {
    return std::find(extensions.begin(), extensions.end(), name) != extensions.end();
}

FeatureStructs::FeatureStructs(std::span<const std::string> extensions) {
    void** tail = &core.pNext;
    link(v11, VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_VULKAN_1_1_FEATURES, tail);
    link(v12, VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_VULKAN_1_2_FEATURES, tail);
    link(v13, VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_VULKAN_1_3_FEATURES, tail);
    if (contains(extensions, VK_KHR_PIPELINE_EXECUTABLE_PROPERTIES_EXTENSION_NAME))
        link(executable, VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_PIPELINE_EXECUTABLE_PROPERTIES_FEATURES_KHR, tail);
#ifdef VK_KHR_cooperative_matrix
    if (contains(extensions, VK_KHR_COOPERATIVE_MATRIX_EXTENSION_NAME))
        link(cooperative_matrix, VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_COOPERATIVE_MATRIX_FEATURES_KHR, tail);
#endif
#ifdef VK_KHR_shader_bfloat16
    if (contains(extensions, VK_KHR_SHADER_BFLOAT16_EXTENSION_NAME))
        link(bfloat16, VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_SHADER_BFLOAT16_FEATURES_KHR, tail);
#endif
#ifdef VK_NV_cooperative_matrix2
    if (contains(extensions, VK_NV_COOPERATIVE_MATRIX_2_EXTENSION_NAME))
        link(cooperative_matrix2, VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_COOPERATIVE_MATRIX_2_FEATURES_NV, tail);
#endif
}

void FeatureStructs::set(const Features& f) {
    core.features.shaderInt16 = f.shader_int16;
    v11.storageBuffer16BitAccess = f.storage_buffer_16bit;
    v12.storageBuffer8BitAccess = f.storage_buffer_8bit;
    v12.shaderFloat16 = f.shader_float16;
    v12.shaderInt8 = f.shader_int8;
    v12.scalarBlockLayout = f.scalar_block_layout;
    v12.timelineSemaphore = f.timeline_semaphore;
    v12.bufferDeviceAddress = f.buffer_device_address;
    v12.hostQueryReset = f.host_query_reset;
    v12.vulkanMemoryModel = f.vulkan_memory_model;
    v12.vulkanMemoryModelDeviceScope = f.vulkan_memory_model_device_scope;
    v13.synchronization2 = f.synchronization2;
    v13.maintenance4 = f.maintenance4;
    v13.subgroupSizeControl = f.subgroup_size_control;
    v13.computeFullSubgroups = f.compute_full_subgroups;
    executable.pipelineExecutableInfo = f.pipeline_executable_info;
#ifdef VK_KHR_cooperative_matrix
    cooperative_matrix.cooperativeMatrix = f.cooperative_matrix;
#endif
#ifdef VK_KHR_shader_bfloat16
    bfloat16.shaderBFloat16Type = f.bfloat16;
    bfloat16.shaderBFloat16DotProduct = f.bfloat16_dot_product;
    bfloat16.shaderBFloat16CooperativeMatrix = f.bfloat16_cooperative_matrix;
#endif
#ifdef VK_NV_cooperative_matrix2
    cooperative_matrix2.cooperativeMatrixWorkgroupScope = (f.cooperative_matrix2 & 1u) != 0;
    cooperative_matrix2.cooperativeMatrixFlexibleDimensions = (f.cooperative_matrix2 & 2u) != 0;
    cooperative_matrix2.cooperativeMatrixReductions = (f.cooperative_matrix2 & 4u) != 0;
    cooperative_matrix2.cooperativeMatrixConversions = (f.cooperative_matrix2 & 8u) != 0;
    cooperative_matrix2.cooperativeMatrixPerElementOperations = (f.cooperative_matrix2 & 16u) != 0;
    cooperative_matrix2.cooperativeMatrixTensorAddressing = (f.cooperative_matrix2 & 32u) != 0;
    cooperative_matrix2.cooperativeMatrixBlockLoads = (f.cooperative_matrix2 & 64u) != 0;
#endif
}

Features read_features(const void* chain) {
    Features f;
    // Or, not assignment: a caller may name a feature in a struct of its own and leave it out of another one.
    auto add = [](bool& feature, VkBool32 value) { feature = feature || value != VK_FALSE; };
    for (auto* item = static_cast<const VkBaseInStructure*>(chain); item; item = item->pNext) {
        switch (item->sType) {
            case VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_FEATURES_2:
                add(f.shader_int16, as<VkPhysicalDeviceFeatures2>(item).features.shaderInt16);
                break;
            case VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_VULKAN_1_1_FEATURES:
                add(f.storage_buffer_16bit,
                    as<VkPhysicalDeviceVulkan11Features>(item).storageBuffer16BitAccess);
                break;
            case VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_VULKAN_1_2_FEATURES: {
                const auto& s = as<VkPhysicalDeviceVulkan12Features>(item);
                add(f.storage_buffer_8bit, s.storageBuffer8BitAccess);
                add(f.shader_float16, s.shaderFloat16);
                add(f.shader_int8, s.shaderInt8);
                add(f.scalar_block_layout, s.scalarBlockLayout);
                add(f.timeline_semaphore, s.timelineSemaphore);
                add(f.buffer_device_address, s.bufferDeviceAddress);
                add(f.host_query_reset, s.hostQueryReset);
                add(f.vulkan_memory_model, s.vulkanMemoryModel);
                add(f.vulkan_memory_model_device_scope, s.vulkanMemoryModelDeviceScope);
                break;
            }
            case VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_VULKAN_1_3_FEATURES: {
                const auto& s = as<VkPhysicalDeviceVulkan13Features>(item);
                add(f.synchronization2, s.synchronization2);
                add(f.maintenance4, s.maintenance4);
                add(f.subgroup_size_control, s.subgroupSizeControl);
                add(f.compute_full_subgroups, s.computeFullSubgroups);
                break;
            }
            case VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_16BIT_STORAGE_FEATURES:
                add(f.storage_buffer_16bit,
                    as<VkPhysicalDevice16BitStorageFeatures>(item).storageBuffer16BitAccess);
                break;
            case VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_8BIT_STORAGE_FEATURES:
                add(f.storage_buffer_8bit,
                    as<VkPhysicalDevice8BitStorageFeatures>(item).storageBuffer8BitAccess);
                break;
            case VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_SHADER_FLOAT16_INT8_FEATURES:
                add(f.shader_float16, as<VkPhysicalDeviceShaderFloat16Int8Features>(item).shaderFloat16);
                add(f.shader_int8, as<VkPhysicalDeviceShaderFloat16Int8Features>(item).shaderInt8);
                break;
            case VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_SCALAR_BLOCK_LAYOUT_FEATURES:
                add(f.scalar_block_layout,
                    as<VkPhysicalDeviceScalarBlockLayoutFeatures>(item).scalarBlockLayout);
                break;
            case VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_TIMELINE_SEMAPHORE_FEATURES:
                add(f.timeline_semaphore,
                    as<VkPhysicalDeviceTimelineSemaphoreFeatures>(item).timelineSemaphore);
                break;
            case VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_BUFFER_DEVICE_ADDRESS_FEATURES:
                add(f.buffer_device_address,
                    as<VkPhysicalDeviceBufferDeviceAddressFeatures>(item).bufferDeviceAddress);
                break;
            case VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_HOST_QUERY_RESET_FEATURES:
                add(f.host_query_reset, as<VkPhysicalDeviceHostQueryResetFeatures>(item).hostQueryReset);
                break;
            case VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_VULKAN_MEMORY_MODEL_FEATURES:
                add(f.vulkan_memory_model,
                    as<VkPhysicalDeviceVulkanMemoryModelFeatures>(item).vulkanMemoryModel);
                add(f.vulkan_memory_model_device_scope,
                    as<VkPhysicalDeviceVulkanMemoryModelFeatures>(item).vulkanMemoryModelDeviceScope);
                break;
            case VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_SYNCHRONIZATION_2_FEATURES:
                add(f.synchronization2, as<VkPhysicalDeviceSynchronization2Features>(item).synchronization2);
                break;
            case VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_MAINTENANCE_4_FEATURES:
                add(f.maintenance4, as<VkPhysicalDeviceMaintenance4Features>(item).maintenance4);
                break;
            case VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_SUBGROUP_SIZE_CONTROL_FEATURES: {
                const auto& s = as<VkPhysicalDeviceSubgroupSizeControlFeatures>(item);
                add(f.subgroup_size_control, s.subgroupSizeControl);
                add(f.compute_full_subgroups, s.computeFullSubgroups);
                break;
            }
            case VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_PIPELINE_EXECUTABLE_PROPERTIES_FEATURES_KHR:
                add(f.pipeline_executable_info,
                    as<VkPhysicalDevicePipelineExecutablePropertiesFeaturesKHR>(item).pipelineExecutableInfo);
                break;
#ifdef VK_KHR_cooperative_matrix
            case VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_COOPERATIVE_MATRIX_FEATURES_KHR:
                add(f.cooperative_matrix,
                    as<VkPhysicalDeviceCooperativeMatrixFeaturesKHR>(item).cooperativeMatrix);
                break;
#endif
#ifdef VK_KHR_shader_bfloat16
            case VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_SHADER_BFLOAT16_FEATURES_KHR: {
                const auto& s = as<VkPhysicalDeviceShaderBfloat16FeaturesKHR>(item);
                add(f.bfloat16, s.shaderBFloat16Type);
                add(f.bfloat16_dot_product, s.shaderBFloat16DotProduct);
                add(f.bfloat16_cooperative_matrix, s.shaderBFloat16CooperativeMatrix);
                break;
            }
#endif
#ifdef VK_NV_cooperative_matrix2
            case VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_COOPERATIVE_MATRIX_2_FEATURES_NV: {
                const auto& s = as<VkPhysicalDeviceCooperativeMatrix2FeaturesNV>(item);
                const VkBool32 bits[] = {s.cooperativeMatrixWorkgroupScope,
                                         s.cooperativeMatrixFlexibleDimensions,
                                         s.cooperativeMatrixReductions,
                                         s.cooperativeMatrixConversions,
                                         s.cooperativeMatrixPerElementOperations,
                                         s.cooperativeMatrixTensorAddressing,
                                         s.cooperativeMatrixBlockLoads};
                for (std::uint32_t i = 0; i < 7; ++i)
                    if (bits[i]) f.cooperative_matrix2 |= 1u << i;
                break;
            }
#endif
            default:
                break;
        }
    }
    return f;
}

std::vector<std::string> useful_extensions(std::span<const std::string> offered, const Features& features) {
    std::vector<std::string> names;
    auto add = [&](const char* name, bool wanted) {
        if (wanted && contains(offered, name)) names.emplace_back(name);
    };
    add(VK_EXT_MEMORY_BUDGET_EXTENSION_NAME, true);
    add(VK_KHR_PIPELINE_EXECUTABLE_PROPERTIES_EXTENSION_NAME, features.pipeline_executable_info);
    add("VK_KHR_portability_subset", true);  // must be enabled where it is offered (MoltenVK)
#ifdef VK_KHR_cooperative_matrix
    add(VK_KHR_COOPERATIVE_MATRIX_EXTENSION_NAME, features.cooperative_matrix);
#endif
#ifdef VK_KHR_shader_bfloat16
    add(VK_KHR_SHADER_BFLOAT16_EXTENSION_NAME, features.bfloat16);
#endif
#ifdef VK_NV_cooperative_matrix2
    add(VK_NV_COOPERATIVE_MATRIX_2_EXTENSION_NAME, features.cooperative_matrix2 != 0);
#endif
    return names;
}

Features without(Features f, const DisabledCapabilities& disable) {
    if (disable.shader_float16) f.shader_float16 = false;
    if (disable.storage_16bit) f.storage_buffer_16bit = false;
    if (disable.storage_8bit) f.storage_buffer_8bit = false;
    if (disable.pipeline_statistics) f.pipeline_executable_info = false;
    if (disable.subgroup_size_control) f.subgroup_size_control = f.compute_full_subgroups = false;
    if (disable.cooperative_matrix || !f.vulkan_memory_model) f.cooperative_matrix = false;
    if (disable.bfloat16) f.bfloat16 = false;
    if (disable.cooperative_matrix2 || !f.cooperative_matrix) f.cooperative_matrix2 = 0;
    if (!f.bfloat16) f.bfloat16_dot_product = f.bfloat16_cooperative_matrix = false;
    if (!f.cooperative_matrix) f.bfloat16_cooperative_matrix = false;
    return f;
}

Features without_extensions_missing(Features f, std::span<const std::string> extensions) {
    if (!contains(extensions, VK_KHR_PIPELINE_EXECUTABLE_PROPERTIES_EXTENSION_NAME))
        f.pipeline_executable_info = false;
    // Names as text: older headers do not have the macros.
    if (!contains(extensions, "VK_KHR_cooperative_matrix")) f.cooperative_matrix = false;
    if (!contains(extensions, "VK_KHR_shader_bfloat16")) f.bfloat16 = false;
    if (!contains(extensions, "VK_NV_cooperative_matrix2")) f.cooperative_matrix2 = 0;
    return without(f, {});
}

std::string missing_baseline(const Features& f) {
    std::string names;
    auto need = [&](bool has, const char* name) {
        if (!has) names.append(names.empty() ? "" : ", ").append(name);
    };
    need(f.buffer_device_address, "bufferDeviceAddress");
    need(f.scalar_block_layout, "scalarBlockLayout");
    need(f.timeline_semaphore, "timelineSemaphore");
    need(f.synchronization2, "synchronization2");
    need(f.maintenance4, "maintenance4");
    return names;
}

struct FeatureChain::Impl {
    FeatureStructs structs;
    std::vector<std::string> names;
    std::vector<const char*> pointers;

    Impl(const Features& features, std::vector<std::string> extensions)
        : structs(extensions), names(std::move(extensions)) {
        structs.set(features);
        for (const std::string& name : names) pointers.push_back(name.c_str());
    }
};

FeatureChain::FeatureChain(PFN_vkGetInstanceProcAddr get_instance_proc_addr, VkInstance instance,
                           VkPhysicalDevice physical_device, std::uint32_t api_version,
                           const DisabledCapabilities& disable) {
    auto refuse_null = [](bool null, const char* name) {
        if (null) throw Error(ErrorCode::invalid_argument, std::string("FeatureChain: ") + name + " is null");
    };
    refuse_null(!get_instance_proc_addr, "get_instance_proc_addr");
    refuse_null(!instance, "instance");
    refuse_null(!physical_device, "physical_device");
    if (api_version < VK_API_VERSION_1_3)
        throw Error(ErrorCode::unsupported, "FeatureChain: the instance is for Vulkan " +
                                                version_text(api_version) +
                                                "; set VkApplicationInfo::apiVersion to 1.3 or more");
    FunctionTable vk;
    vk.GetInstanceProcAddr = get_instance_proc_addr;
    vk.load_instance(instance);
    const Probe probe = probe_device(vk, physical_device, 0);
    if (!probe.info.usable)
        throw Error(ErrorCode::unsupported, "FeatureChain: " + probe.info.name + ": " + probe.info.reason);
    const Features wanted = without(probe.features, disable);
    impl_ = std::make_unique<Impl>(wanted, useful_extensions(probe.extensions, wanted));
}

FeatureChain::~FeatureChain() = default;
FeatureChain::FeatureChain(FeatureChain&&) noexcept = default;
FeatureChain& FeatureChain::operator=(FeatureChain&&) noexcept = default;

const void* FeatureChain::features() const { return &impl_->structs.core; }
std::span<const char* const> FeatureChain::extensions() const { return impl_->pointers; }

}  // namespace heron
