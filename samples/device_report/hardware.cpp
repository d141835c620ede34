// SPDX-License-Identifier: MIT
// Asks the driver directly, through the instance that the device was made with.
#include "hardware.hpp"

#include <fmt/format.h>

#include <exception>
#include <utility>
#include <vector>

#include "support/text.hpp"
#include "support/vulkan_api.hpp"

namespace {

// Names of the bits that are set.
template <std::size_t N>
std::string flags_text(VkFlags flags, const std::pair<VkFlags, const char*> (&names)[N]) {
    std::string text;
    for (const auto& [flag, name] : names)
        if (flags & flag) text += (text.empty() ? "" : ", ") + std::string(name);
    return text.empty() ? "none" : text;
}

void print_driver(const samples::InstanceFunctions& vk, VkPhysicalDevice device) {
    VkPhysicalDeviceVulkan13Properties v13{.sType = VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_VULKAN_1_3_PROPERTIES};
    VkPhysicalDeviceVulkan12Properties v12{.sType = VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_VULKAN_1_2_PROPERTIES,
                                           .pNext = &v13};
    VkPhysicalDeviceVulkan11Properties v11{.sType = VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_VULKAN_1_1_PROPERTIES,
                                           .pNext = &v12};
    VkPhysicalDeviceProperties2 properties{.sType = VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_PROPERTIES_2,
                                           .pNext = &v11};
    vk.GetPhysicalDeviceProperties2(device, &properties);
    const VkConformanceVersion& conformance = v12.conformanceVersion;
    print_line("driver's conformance", fmt::format("{}.{}.{}.{}", conformance.major, conformance.minor,
                                                   conformance.subminor, conformance.patch));
    print_line("subgroup sizes offered", fmt::format("{} by default, {} to {}", v11.subgroupSize,
                                                     v13.minSubgroupSize, v13.maxSubgroupSize));
    constexpr std::pair<VkFlags, const char*> kOperations[] = {
        {VK_SUBGROUP_FEATURE_BASIC_BIT, "basic"},
        {VK_SUBGROUP_FEATURE_VOTE_BIT, "vote"},
        {VK_SUBGROUP_FEATURE_ARITHMETIC_BIT, "arithmetic"},
        {VK_SUBGROUP_FEATURE_BALLOT_BIT, "ballot"},
        {VK_SUBGROUP_FEATURE_SHUFFLE_BIT, "shuffle"},
        {VK_SUBGROUP_FEATURE_CLUSTERED_BIT, "clustered"},
        {VK_SUBGROUP_FEATURE_QUAD_BIT, "quad"}};
    print_line("subgroup operations", flags_text(v11.subgroupSupportedOperations, kOperations));
}

void print_memory(const samples::InstanceFunctions& vk, VkPhysicalDevice device, bool with_budget) {
    VkPhysicalDeviceMemoryBudgetPropertiesEXT budget{
        .sType = VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_MEMORY_BUDGET_PROPERTIES_EXT};
    VkPhysicalDeviceMemoryProperties2 properties{
        .sType = VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_MEMORY_PROPERTIES_2,
        .pNext = with_budget ? &budget : nullptr};
    vk.GetPhysicalDeviceMemoryProperties2(device, &properties);
    const VkPhysicalDeviceMemoryProperties& memory = properties.memoryProperties;
    for (std::uint32_t heap = 0; heap < memory.memoryHeapCount; ++heap) {
        std::string text = samples::bytes_text(memory.memoryHeaps[heap].size);
        if (memory.memoryHeaps[heap].flags & VK_MEMORY_HEAP_DEVICE_LOCAL_BIT) text += ", device-local";
        text += with_budget
                    ? fmt::format(", budget {}, used {}", samples::bytes_text(budget.heapBudget[heap]),
                                  samples::bytes_text(budget.heapUsage[heap]))
                    : ", budget not told";
        print_line(fmt::format("memory heap {}", heap), text);
    }
    constexpr std::pair<VkFlags, const char*> kProperties[] = {
        {VK_MEMORY_PROPERTY_DEVICE_LOCAL_BIT, "device-local"},
        {VK_MEMORY_PROPERTY_HOST_VISIBLE_BIT, "host-visible"},
        {VK_MEMORY_PROPERTY_HOST_COHERENT_BIT, "host-coherent"},
        {VK_MEMORY_PROPERTY_HOST_CACHED_BIT, "host-cached"},
        {VK_MEMORY_PROPERTY_LAZILY_ALLOCATED_BIT, "lazily allocated"},
        {VK_MEMORY_PROPERTY_PROTECTED_BIT, "protected"}};
    for (std::uint32_t type = 0; type < memory.memoryTypeCount; ++type)
        print_line(fmt::format("memory type {}", type),
                   fmt::format("heap {}: {}", memory.memoryTypes[type].heapIndex,
                               flags_text(memory.memoryTypes[type].propertyFlags, kProperties)));
}

#ifdef VK_KHR_cooperative_matrix
std::string component_text(VkComponentTypeKHR type) {
    constexpr const char* kNames[] = {"f16", "f32", "f64", "s8",  "s16", "s32",
                                      "s64", "u8",  "u16", "u32", "u64"};
    const auto index = static_cast<std::size_t>(type);
    return index < std::size(kNames) ? kNames[index] : fmt::format("type {}", index);
}

void print_cooperative_matrices(PFN_vkGetInstanceProcAddr get, VkInstance instance, VkPhysicalDevice device) {
    const auto query = reinterpret_cast<PFN_vkGetPhysicalDeviceCooperativeMatrixPropertiesKHR>(
        get(instance, "vkGetPhysicalDeviceCooperativeMatrixPropertiesKHR"));
    std::uint32_t count = 0;
    if (!query || query(device, &count, nullptr) != VK_SUCCESS) return;
    std::vector<VkCooperativeMatrixPropertiesKHR> shapes(
        count, {.sType = VK_STRUCTURE_TYPE_COOPERATIVE_MATRIX_PROPERTIES_KHR});
    if (query(device, &count, shapes.data()) < VK_SUCCESS) return;
    for (const VkCooperativeMatrixPropertiesKHR& shape : shapes)
        print_line("cooperative matrix",
                   fmt::format("{} x {} x {}, {} {} + {} -> {}, {}", shape.MSize, shape.NSize, shape.KSize,
                               component_text(shape.AType), component_text(shape.BType),
                               component_text(shape.CType), component_text(shape.ResultType),
                               shape.scope == VK_SCOPE_SUBGROUP_KHR ? "subgroup" : "other scope"));
}
#endif

}  // namespace

std::string version_text(std::uint32_t version) {
    return fmt::format("{}.{}.{}", VK_API_VERSION_MAJOR(version), VK_API_VERSION_MINOR(version),
                       VK_API_VERSION_PATCH(version));
}

void print_line(const std::string& name, const std::string& value) {
    fmt::print("    {:<28} {}\n", name, value);
}

void print_toolchain() {
    print_line("built with", fmt::format("Vulkan headers {}, glslang {}",
                                         version_text(VK_HEADER_VERSION_COMPLETE), HERON_GLSLANG_VERSION));
    const auto known = [](int have) {
        return have ? "known to the toolchain" : "left out, the toolchain is older";
    };
    print_line("VK_KHR_cooperative_matrix", known(HERON_HAVE_COOPMAT));
    print_line("VK_NV_cooperative_matrix2", known(HERON_HAVE_COOPMAT2));
    print_line("VK_KHR_shader_bfloat16", known(HERON_HAVE_BFLOAT16));
    try {
        const auto enumerate = reinterpret_cast<PFN_vkEnumerateInstanceVersion>(
            samples::open_vulkan()(nullptr, "vkEnumerateInstanceVersion"));
        std::uint32_t version = VK_API_VERSION_1_0;
        if (enumerate) samples::check(enumerate(&version), "vkEnumerateInstanceVersion");
        print_line("Vulkan loader", version_text(version));
    } catch (const std::exception& error) {
        print_line("Vulkan loader", error.what());
    }
}

void print_hardware(const heron::Device& device) {
    const PFN_vkGetInstanceProcAddr get = samples::open_vulkan();
    const samples::InstanceFunctions vk(get, device.instance());
    print_driver(vk, device.physical_device());
    print_memory(vk, device.physical_device(), device.capabilities().memory_budget);
#ifdef VK_KHR_cooperative_matrix
    if (device.capabilities().cooperative_matrix)
        print_cooperative_matrices(get, device.instance(), device.physical_device());
#endif
}
