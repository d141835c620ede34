// SPDX-License-Identifier: MIT
// Blocking copies between the host and an address in device memory, for checkpoints and tools. A kernel does
// them, because only the address of the caller's tensors is known, not their buffer.
#pragma once

#include <cstddef>
#include <functional>
#include <span>

#include "heron/device.hpp"

namespace heron {

// Holds a staging buffer, a command pool and the two jobs; copies in pieces. Needs the device's queue: throws
// (unsupported) on a device adopted without one.
class Transfer {
public:
    explicit Transfer(const Device& device);
    ~Transfer();
    Transfer(const Transfer&) = delete;
    Transfer& operator=(const Transfer&) = delete;

    // `address` is a multiple of 4. The device must not use the bytes meanwhile.
    void read(VkDeviceAddress address, std::span<std::byte> to);
    void write(VkDeviceAddress address, std::span<const std::byte> from);

private:
    void copy(VkDeviceAddress from, VkDeviceAddress to, std::uint64_t words);

    const Device& device_;
    Buffer staging_;  // readback memory: data, then the job
    VkCommandPool pool_ = VK_NULL_HANDLE;
    VkCommandBuffer commands_ = VK_NULL_HANDLE;
    VkPipeline pipeline_ = VK_NULL_HANDLE;
    bool in_flight_ = false;  // a copy was submitted and has not been seen to finish
};

}  // namespace heron
