// SPDX-License-Identifier: MIT
// A vkGetInstanceProcAddr between a program and the loader that shows a second queue for compute on devices
// with one queue (and hides the others of devices with more). What the program submits to either runs on the
// one real queue, in an order that semaphores allow and that suits the program least: one of the queues is
// late, its work done only when the other or the host cannot go on without it.
//
// One may exist at a time, for one physical device of a program with one thread; it must outlive the
// program's devices.
#pragma once

#include <vulkan/vulkan_core.h>

#include <cstdint>
#include <string>
#include <vector>

namespace heron::test {

enum class SecondPlace : std::uint8_t {
    own_family,   // a family with compute alone, behind the real ones
    same_family,  // beside the real queue
};
enum class LateQueue : std::uint8_t { first, second };

class SecondQueue {
public:
    // A VkSubmitInfo2, and the queue that it was given to.
    struct Batch {
        bool second = false;
        std::vector<VkSemaphoreSubmitInfo> waits;
        std::vector<VkCommandBufferSubmitInfo> commands;
        std::vector<VkSemaphoreSubmitInfo> signals;
    };

    SecondQueue(PFN_vkGetInstanceProcAddr next, SecondPlace place, LateQueue late);
    ~SecondQueue();
    SecondQueue(const SecondQueue&) = delete;
    SecondQueue& operator=(const SecondQueue&) = delete;

    PFN_vkGetInstanceProcAddr entry() const;

    // What was submitted since the last call, in the order in which it was.
    std::vector<Batch> take_submitted();
    // What two real queues would not put up with, one a line: command buffers of the other family, buffers
    // that the families do not share, waits that nothing ends.
    std::string misuse() const;
};

}  // namespace heron::test
