// SPDX-License-Identifier: MIT
// Compute pipelines, compiled on first use, and the cache that an application stores between runs.
#pragma once

#include <cstddef>
#include <cstdint>
#include <map>
#include <mutex>
#include <span>
#include <tuple>
#include <vector>

#include "heron/device.hpp"

namespace heron {

struct SpecializationConstant {
    std::uint32_t id = 0;  // SPEC_* of shaders/core/shared.h
    std::uint32_t value = 0;
    auto operator<=>(const SpecializationConstant&) const = default;
};

struct KernelDesc {
    std::span<const std::uint32_t> spirv;  // a constant of the program: its address is the cache's key
    const char* name = "";
    std::span<const SpecializationConstant> constants;
    std::uint32_t threads = 1;   // invocations per workgroup, all in x
    std::uint32_t subgroup = 0;  // full subgroups of exactly that many invocations; 0: as the driver likes
    std::uint32_t shared_bytes = 0;  // shared memory per workgroup, where it is much; 0 is not checked
};

// One per device. Threads: all may be called from several threads at once.
class Pipelines {
public:
    static constexpr std::uint32_t kPushBytes = 32;  // the same for every kernel, compute stage

    // `adopted` is used instead of an own cache where it is not null. `stored` is checked before the driver
    // sees it.
    Pipelines(Device::Impl& device, VkPipelineCache adopted, std::span<const std::byte> stored);
    ~Pipelines();
    Pipelines(const Pipelines&) = delete;
    Pipelines& operator=(const Pipelines&) = delete;

    // Compiles on first use, so never call it while recording. Throws heron::Error (unsupported) where the
    // kernel does not fit the device's limits.
    VkPipeline get(const KernelDesc& kernel);

    VkPipelineLayout layout() const { return layout_; }
    std::uint64_t compiled() const;
    std::vector<std::byte> cache_bytes() const;

private:
    using Key = std::tuple<const std::uint32_t*, std::size_t, std::vector<SpecializationConstant>>;

    void destroy() noexcept;

    Device::Impl& device_;
    const bool owns_cache_;
    VkPipelineCache cache_ = VK_NULL_HANDLE;
    VkPipelineLayout layout_ = VK_NULL_HANDLE;
    mutable std::mutex mutex_;  // guards what follows
    std::map<Key, VkPipeline> pipelines_;
    std::uint64_t compiled_ = 0;
};

}  // namespace heron
