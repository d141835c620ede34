// SPDX-License-Identifier: MIT
// The device features and extensions that Heron needs or can use: asked for, enabled, and read back from a
// chain.
#pragma once

#include <vulkan/vulkan_core.h>

#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "heron/device.hpp"

namespace heron {

// Names follow Vulkan's members.
struct Features {
    // Baseline
    bool buffer_device_address = false;
    bool scalar_block_layout = false;
    bool timeline_semaphore = false;
    bool synchronization2 = false;
    bool maintenance4 = false;
    // Optional
    bool shader_int16 = false;
    bool shader_int8 = false;
    bool shader_float16 = false;
    bool storage_buffer_16bit = false;
    bool storage_buffer_8bit = false;
    bool vulkan_memory_model = false;               // cooperative matrices need it
    bool vulkan_memory_model_device_scope = false;  // GLSL's default scope under that model
    bool subgroup_size_control = false;
    bool compute_full_subgroups = false;
    bool host_query_reset = false;
    bool pipeline_executable_info = false;
    bool cooperative_matrix = false;
    bool bfloat16 = false;
    bool bfloat16_dot_product = false;
    bool bfloat16_cooperative_matrix = false;
    // Seven bits in the order of VkPhysicalDeviceCooperativeMatrix2FeaturesNV: workgroup scope, flexible
    // dimensions, reductions, conversions, per-element operations, tensor addressing, block loads.
    std::uint32_t cooperative_matrix2 = 0;
};

// Bits of Features::cooperative_matrix2.
constexpr std::uint32_t kMatrixWorkgroupScope = 1, kMatrixFlexibleDimensions = 2,
                        kMatrixTensorAddressing = 32;

// Structs of every feature Heron knows, linked. Not copied: it points into itself.
struct FeatureStructs {
    VkPhysicalDeviceFeatures2 core{VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_FEATURES_2, nullptr, {}};
    VkPhysicalDeviceVulkan11Features v11{};
    VkPhysicalDeviceVulkan12Features v12{};
    VkPhysicalDeviceVulkan13Features v13{};
    VkPhysicalDevicePipelineExecutablePropertiesFeaturesKHR executable{};
#ifdef VK_KHR_cooperative_matrix
    VkPhysicalDeviceCooperativeMatrixFeaturesKHR cooperative_matrix{};
#endif
#ifdef VK_KHR_shader_bfloat16
    VkPhysicalDeviceShaderBfloat16FeaturesKHR bfloat16{};
#endif
#ifdef VK_NV_cooperative_matrix2
    VkPhysicalDeviceCooperativeMatrix2FeaturesNV cooperative_matrix2{};
#endif

    // Links the structs of Vulkan 1.3 and of those extensions that are in `extensions`.
    explicit FeatureStructs(std::span<const std::string> extensions);
    FeatureStructs(const FeatureStructs&) = delete;
    FeatureStructs& operator=(const FeatureStructs&) = delete;

    void set(const Features& features);
};

// Reads what stands true in a pNext chain: VkPhysicalDeviceFeatures2, the structs of Vulkan 1.1 to 1.3, and
// the single structs that these replaced.
Features read_features(const void* chain);

bool contains(std::span<const std::string> extensions, std::string_view name);

// Extensions that Heron enables where they are offered, besides those that only carry a feature struct.
std::vector<std::string> useful_extensions(std::span<const std::string> offered, const Features& features);

// Takes out what the caller does not want, and what cannot be used without something that is missing.
Features without(Features features, const DisabledCapabilities& disable);

// Takes out the features whose extension is not in the list.
Features without_extensions_missing(Features features, std::span<const std::string> extensions);

// Names of missing baseline features, separated by commas; empty when there is nothing to complain about.
std::string missing_baseline(const Features& features);

}  // namespace heron
