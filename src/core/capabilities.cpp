// SPDX-License-Identifier: MIT
// What a physical device is and offers, and why it cannot be used where it cannot.
#include <algorithm>

#include "core/check.hpp"
#include "core/probe.hpp"

namespace heron {
namespace {

template <typename Text>
std::string text_of(const Text& text) {  // fixed arrays of char, which a driver may have filled to the brim
    return std::string(text, std::find(text, text + sizeof(text), '\0'));
}

std::vector<std::string> device_extensions(const FunctionTable& vk, VkPhysicalDevice handle) {
    std::vector<std::string> names;
    for (const VkExtensionProperties& item : enumerate<VkExtensionProperties>(
             "vkEnumerateDeviceExtensionProperties", [&](std::uint32_t*count, VkExtensionProperties*items) {
                 return vk.EnumerateDeviceExtensionProperties(handle, nullptr, count, items);
             }))
        names.push_back(text_of(item.extensionName));
    return names;
}

}  // namespace

std::string DeviceInfo::uuid_text() const {
    constexpr char kDigits[] = "0123456789abcdef";
    std::string text;
    for (std::uint8_t byte : uuid) {
        text += kDigits[byte >> 4];
        text += kDigits[byte & 15];
    }
    return text;
}

std::string DeviceInfo::type_text() const {
    switch (type) {
        case VK_PHYSICAL_DEVICE_TYPE_DISCRETE_GPU:
            return "discrete GPU";
        case VK_PHYSICAL_DEVICE_TYPE_INTEGRATED_GPU:
            return "integrated GPU";
        case VK_PHYSICAL_DEVICE_TYPE_VIRTUAL_GPU:
            return "virtual GPU";
        case VK_PHYSICAL_DEVICE_TYPE_CPU:
            return "CPU";
        default:
            return "other";
    }
}

Probe probe_device(const FunctionTable& vk, VkPhysicalDevice handle, std::uint32_t index) {
    Probe probe;
    probe.handle = handle;
    vk.GetPhysicalDeviceProperties(handle, &probe.properties);
    const VkPhysicalDeviceProperties& properties = probe.properties;
    DeviceInfo& info = probe.info;
    info.index = index;
    info.name = text_of(properties.deviceName);
    info.type = properties.deviceType;
    info.vendor_id = properties.vendorID;
    info.device_id = properties.deviceID;
    info.api_version = properties.apiVersion;

    // Structs may be chained only where the device knows them.
    if (properties.apiVersion >= VK_API_VERSION_1_1) {
        VkPhysicalDeviceDriverProperties driver{};
        driver.sType = VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_DRIVER_PROPERTIES;
        VkPhysicalDeviceIDProperties id{};
        id.sType = VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_ID_PROPERTIES;
        VkPhysicalDeviceProperties2 chain{};
        chain.sType = VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_PROPERTIES_2;
        chain.pNext = &id;
        if (properties.apiVersion >= VK_API_VERSION_1_2) id.pNext = &driver;
        vk.GetPhysicalDeviceProperties2(handle, &chain);
        std::copy_n(id.deviceUUID, VK_UUID_SIZE, info.uuid.begin());
        probe.driver_id = driver.driverID;
        info.driver = text_of(driver.driverName);
        const std::string version = text_of(driver.driverInfo);
        if (!version.empty()) info.driver += (info.driver.empty() ? "" : " ") + version;
    }
    if (info.driver.empty()) info.driver = "driver " + version_text(properties.driverVersion);

    if (properties.apiVersion < VK_API_VERSION_1_3) {
        info.reason = "device too old: it has Vulkan " + version_text(properties.apiVersion) +
                      ", Heron needs 1.3 (a newer driver may bring it)";
        return probe;
    }

    probe.v11.sType = VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_VULKAN_1_1_PROPERTIES;
    probe.v13.sType = VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_VULKAN_1_3_PROPERTIES;
    VkPhysicalDeviceProperties2 chain{};
    chain.sType = VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_PROPERTIES_2;
    chain.pNext = &probe.v11;
    probe.v11.pNext = &probe.v13;
    vk.GetPhysicalDeviceProperties2(handle, &chain);
    probe.v11.pNext = nullptr;
    probe.properties = chain.properties;

    probe.extensions = device_extensions(vk, handle);
    FeatureStructs structs(probe.extensions);
    vk.GetPhysicalDeviceFeatures2(handle, &structs.core);
    probe.features = read_features(&structs.core);

    std::uint32_t family_count = 0;
    vk.GetPhysicalDeviceQueueFamilyProperties(handle, &family_count, nullptr);
    probe.queue_families.resize(family_count);
    vk.GetPhysicalDeviceQueueFamilyProperties(handle, &family_count, probe.queue_families.data());
    probe.queue_families.resize(family_count);

    std::string missing = missing_baseline(probe.features);
    auto need = [&](bool has, const char* name) {
        if (!has) missing.append(missing.empty() ? "" : ", ").append(name);
    };
    need((probe.v11.subgroupSupportedStages & VK_SHADER_STAGE_COMPUTE_BIT) != 0 &&
             (probe.v11.subgroupSupportedOperations & VK_SUBGROUP_FEATURE_BASIC_BIT) != 0,
         "basic subgroup operations in compute shaders");
    need(std::any_of(probe.queue_families.begin(), probe.queue_families.end(),
                     [](const VkQueueFamilyProperties& family) {
                         return family.queueCount > 0 && (family.queueFlags & VK_QUEUE_COMPUTE_BIT) != 0;
                     }),
         "a queue family with compute");
    info.usable = missing.empty();
    if (!info.usable) info.reason = "lacks " + missing;
    return probe;
}

std::vector<CooperativeMatrixShape> cooperative_matrix_shapes(
    [[maybe_unused]] const FunctionTable& vk, [[maybe_unused]] VkPhysicalDevice handle,
    [[maybe_unused]] std::span<const std::string> extensions) {
    std::vector<CooperativeMatrixShape> shapes;
#ifdef VK_KHR_cooperative_matrix
    const auto query = vk.GetPhysicalDeviceCooperativeMatrixPropertiesKHR;
    if (!query || !contains(extensions, VK_KHR_COOPERATIVE_MATRIX_EXTENSION_NAME)) return shapes;
    constexpr const char* kCall = "vkGetPhysicalDeviceCooperativeMatrixPropertiesKHR";
    std::uint32_t count = 0;
    check_result(query(handle, &count, nullptr), kCall, "");
    VkCooperativeMatrixPropertiesKHR empty{};
    empty.sType = VK_STRUCTURE_TYPE_COOPERATIVE_MATRIX_PROPERTIES_KHR;
    std::vector<VkCooperativeMatrixPropertiesKHR> list(count, empty);
    check_result(query(handle, &count, list.data()), kCall, "");
    list.resize(count);
    for (const VkCooperativeMatrixPropertiesKHR& item : list) {
        if (item.scope != VK_SCOPE_SUBGROUP_KHR || item.CType != VK_COMPONENT_TYPE_FLOAT32_KHR ||
            item.ResultType != VK_COMPONENT_TYPE_FLOAT32_KHR || item.AType != item.BType)
            continue;
        if (item.AType == VK_COMPONENT_TYPE_FLOAT16_KHR)
            shapes.push_back({item.MSize, item.NSize, item.KSize, DType::f16});
#ifdef VK_KHR_shader_bfloat16
        if (item.AType == VK_COMPONENT_TYPE_BFLOAT16_KHR)
            shapes.push_back({item.MSize, item.NSize, item.KSize, DType::bf16});
#endif
    }
#endif
    return shapes;
}

WorkgroupMatrices workgroup_matrices([[maybe_unused]] const FunctionTable& vk,
                                     [[maybe_unused]] VkPhysicalDevice handle,
                                     [[maybe_unused]] std::span<const std::string> extensions) {
    WorkgroupMatrices found;
#ifdef VK_NV_cooperative_matrix2
    const auto query = vk.GetPhysicalDeviceCooperativeMatrixFlexibleDimensionsPropertiesNV;
    if (!query || !contains(extensions, VK_NV_COOPERATIVE_MATRIX_2_EXTENSION_NAME)) return found;
    VkPhysicalDeviceCooperativeMatrix2PropertiesNV limits{};
    limits.sType = VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_COOPERATIVE_MATRIX_2_PROPERTIES_NV;
    VkPhysicalDeviceProperties2 chain{};
    chain.sType = VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_PROPERTIES_2;
    chain.pNext = &limits;
    vk.GetPhysicalDeviceProperties2(handle, &chain);
    found.max_dimension = limits.cooperativeMatrixFlexibleDimensionsMaxDimension;
    found.max_invocations = limits.cooperativeMatrixWorkgroupScopeMaxWorkgroupSize;
    found.reserved_bytes = limits.cooperativeMatrixWorkgroupScopeReservedSharedMemory;
    constexpr const char* kCall = "vkGetPhysicalDeviceCooperativeMatrixFlexibleDimensionsPropertiesNV";
    std::uint32_t count = 0;
    check_result(query(handle, &count, nullptr), kCall, "");
    VkCooperativeMatrixFlexibleDimensionsPropertiesNV empty{};
    empty.sType = VK_STRUCTURE_TYPE_COOPERATIVE_MATRIX_FLEXIBLE_DIMENSIONS_PROPERTIES_NV;
    std::vector<VkCooperativeMatrixFlexibleDimensionsPropertiesNV> list(count, empty);
    check_result(query(handle, &count, list.data()), kCall, "");
    list.resize(count);
    for (const VkCooperativeMatrixFlexibleDimensionsPropertiesNV& item : list)
        if (item.scope == VK_SCOPE_WORKGROUP_KHR && item.workgroupInvocations == kMatrixWorkgroup &&
            item.AType == VK_COMPONENT_TYPE_FLOAT16_KHR && item.BType == VK_COMPONENT_TYPE_FLOAT16_KHR &&
            item.CType == VK_COMPONENT_TYPE_FLOAT32_KHR && item.ResultType == VK_COMPONENT_TYPE_FLOAT32_KHR &&
            item.saturatingAccumulation == VK_FALSE)
            found.granularity = {item.MGranularity, item.NGranularity, item.KGranularity};
#endif
    return found;
}

namespace {

// The biggest shape that gemm_coopmat.comp can take: k divides its steps of 32, tiles are squares or lie side
// by side.
MatrixShape choose_shape(std::span<const CooperativeMatrixShape> shapes, DType operands) {
    MatrixShape best;
    for (const CooperativeMatrixShape& s : shapes) {
        const bool fits = s.operands == operands && s.m != 0 && s.m % 4 == 0 && s.n % s.m == 0 &&
                          s.k % 8 == 0 && 32 % s.k == 0;
        if (fits && s.m * s.n * s.k > best.m * best.n * best.k) best = {s.m, s.n, s.k};
    }
    return best;
}

}  // namespace

Capabilities capabilities_of(const Probe& probe, const Features& enabled,
                             std::span<const std::string> extensions, std::uint32_t queue_family,
                             std::span<const CooperativeMatrixShape> shapes,
                             const WorkgroupMatrices& workgroup, const DisabledCapabilities& disable) {
    const VkPhysicalDeviceLimits& limits = probe.properties.limits;
    const Features f = without(enabled, disable);
    auto lower = [](std::uint32_t limit, std::uint32_t wish) {
        return wish == 0 ? limit : std::min(limit, wish);
    };

    Capabilities c;
    c.cpu = probe.info.type == VK_PHYSICAL_DEVICE_TYPE_CPU && !disable.cpu;
    // 25.0 does so outside of loops only. Those between were not looked at.
    c.cpu_uniform_loads = c.cpu && probe.driver_id == VK_DRIVER_ID_MESA_LLVMPIPE &&
                          probe.properties.driverVersion >= VK_MAKE_API_VERSION(0, 26, 1, 0);
    c.shader_float16 = f.shader_float16;
    // Loads and stores convert through 16-bit and 8-bit integers, so both features are needed.
    c.storage_16bit = f.storage_buffer_16bit && f.shader_int16;
    c.storage_8bit = f.storage_buffer_8bit && f.shader_int8;
    c.subgroup_size = std::max(1u, probe.v11.subgroupSize);
    // Where there is only one size, drivers need not let it be asked for (NVK does not).
    const bool one_size = probe.v13.minSubgroupSize == probe.v13.maxSubgroupSize;
    const bool requestable = (probe.v13.requiredSubgroupSizeStages & VK_SHADER_STAGE_COMPUTE_BIT) != 0;
    // Kernels that ask for a size have workgroups of up to eight subgroups.
    c.subgroup_size_control = f.subgroup_size_control && f.compute_full_subgroups &&
                              probe.v13.maxComputeWorkgroupSubgroups >= 8 && (one_size || requestable) &&
                              probe.v13.minSubgroupSize <= c.subgroup_size &&
                              c.subgroup_size <= probe.v13.maxSubgroupSize;
    const bool matrices = f.cooperative_matrix && f.vulkan_memory_model_device_scope && c.storage_16bit;
    c.cooperative_matrix = matrices && c.shader_float16 &&
                           std::any_of(shapes.begin(), shapes.end(), [](const CooperativeMatrixShape& shape) {
                               return shape.operands == DType::f16;
                           });
    if (c.cooperative_matrix) c.cooperative_f16 = choose_shape(shapes, DType::f16);
    if (matrices && f.bfloat16 && f.bfloat16_cooperative_matrix)
        c.cooperative_bf16 = choose_shape(shapes, DType::bf16);
    c.bfloat16 = f.bfloat16;
    c.cooperative_matrix2 = c.cooperative_matrix && f.cooperative_matrix2 != 0;
    constexpr std::uint32_t kNeeded =
        kMatrixWorkgroupScope | kMatrixFlexibleDimensions | kMatrixTensorAddressing;
    if (c.cooperative_matrix2 && (f.cooperative_matrix2 & kNeeded) == kNeeded &&
        workgroup.max_dimension >= 128 && workgroup.max_invocations >= kMatrixWorkgroup) {
        c.cooperative_workgroup_f16 = workgroup.granularity;
        c.cooperative_workgroup_bytes = workgroup.reserved_bytes;
    }
    c.memory_budget = !disable.memory_budget && contains(extensions, VK_EXT_MEMORY_BUDGET_EXTENSION_NAME);
    c.pipeline_statistics = f.pipeline_executable_info;
    c.timestamps = !disable.timestamps && limits.timestampPeriod > 0 &&
                   probe.queue_families[queue_family].timestampValidBits > 0;
    c.max_workgroup_invocations = lower(limits.maxComputeWorkGroupInvocations, disable.max_invocations);
    c.max_workgroup_size_x = std::min(limits.maxComputeWorkGroupSize[0], c.max_workgroup_invocations);
    std::copy_n(limits.maxComputeWorkGroupCount, 3, c.max_workgroup_count);
    c.shared_memory_bytes = lower(limits.maxComputeSharedMemorySize, disable.max_shared_memory);
    c.max_buffer_bytes = probe.v13.maxBufferSize;
    c.max_allocation_bytes = probe.v11.maxMemoryAllocationSize;
    c.timestamp_period_ns = limits.timestampPeriod;
    c.timestamp_bits = c.timestamps ? probe.queue_families[queue_family].timestampValidBits : 0;
    return c;
}

}  // namespace heron
