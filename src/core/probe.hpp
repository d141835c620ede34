// SPDX-License-Identifier: MIT
// Everything Heron asks a physical device about, before there is a device.
#pragma once

#include <vulkan/vulkan_core.h>

#include <string>
#include <vector>

#include "core/features.hpp"
#include "core/loader.hpp"
#include "heron/device.hpp"

namespace heron {

struct Probe {
    VkPhysicalDevice handle = VK_NULL_HANDLE;
    DeviceInfo info;
    VkPhysicalDeviceProperties properties{};
    VkDriverId driver_id = VkDriverId{};  // zero where the device is older than Vulkan 1.2
    // Below all zero where the device is older than Vulkan 1.3.
    VkPhysicalDeviceVulkan11Properties v11{};
    VkPhysicalDeviceVulkan13Properties v13{};
    Features features;
    std::vector<std::string> extensions;
    std::vector<VkQueueFamilyProperties> queue_families;
};

// Never refuses a device: info.usable and info.reason say what is wrong with it. Throws heron::Error where a
// call fails.
Probe probe_device(const FunctionTable& vk, VkPhysicalDevice handle, std::uint32_t index);

// One cooperative matrix shape at subgroup scope with f32 sums and results.
struct CooperativeMatrixShape {
    std::uint32_t m = 0, n = 0, k = 0;
    DType operands = DType::f16;  // or bf16
};

// Empty where the extension is not in `extensions`, which are those enabled.
std::vector<CooperativeMatrixShape> cooperative_matrix_shapes(const FunctionTable& vk,
                                                              VkPhysicalDevice handle,
                                                              std::span<const std::string> extensions);

// Cooperative matrices that the invocations of a workgroup hold together (VK_NV_cooperative_matrix2), f16
// operands with f32 sums.
struct WorkgroupMatrices {
    MatrixShape granularity;  // for workgroups of kMatrixWorkgroup invocations; zeros: not offered
    std::uint32_t max_dimension = 0;
    std::uint32_t max_invocations = 0;
    std::uint32_t reserved_bytes = 0;  // of shared memory
};
constexpr std::uint32_t kMatrixWorkgroup = 256;  // as gemm_coopmat2.comp has

// Empty where the extension is not in `extensions`, which are those enabled.
WorkgroupMatrices workgroup_matrices(const FunctionTable& vk, VkPhysicalDevice handle,
                                     std::span<const std::string> extensions);

// What of the device can be used with these enabled features and extensions.
Capabilities capabilities_of(const Probe& probe, const Features& enabled,
                             std::span<const std::string> extensions, std::uint32_t queue_family,
                             std::span<const CooperativeMatrixShape> shapes,
                             const WorkgroupMatrices& workgroup, const DisabledCapabilities& disable);

}  // namespace heron
