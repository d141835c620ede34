// SPDX-License-Identifier: MIT
// What the calling thread does on the host while somebody looks: allocations by operator new, and, in
// programs that intercept them, locks and files. What drivers and layers do inside of Vulkan calls is not
// counted, where Heron was given watched_entry(). A program that links host_watch has its operator new
// replaced (under sanitizers, which bring their own, nothing is counted).
#pragma once

#ifndef VK_NO_PROTOTYPES
#define VK_NO_PROTOTYPES
#endif
#include <vulkan/vulkan_core.h>

#include <cstdint>

namespace samples {

struct HostCounts {
    std::uint64_t allocations = 0;
    std::uint64_t locks = 0;
    std::uint64_t files = 0;
};

// Whether allocations are counted in this build.
bool counts_allocations();

// Counts what this thread does as long as it lives. Not nested.
class HostWatch {
public:
    HostWatch();
    ~HostWatch();
    HostWatch(const HostWatch&) = delete;
    HostWatch& operator=(const HostWatch&) = delete;

    HostCounts counts() const;
};

// Within a HostWatch: a part that is not to be counted, such as the engine's own code that Heron calls back.
class NotWatched {
public:
    NotWatched();
    ~NotWatched();
    NotWatched(const NotWatched&) = delete;
    NotWatched& operator=(const NotWatched&) = delete;
};

// For programs that intercept these calls.
void note_lock() noexcept;
void note_file() noexcept;

// `next`, with the Vulkan functions that recording, submitting and waiting call wrapped in NotWatched. One
// `next` at a time in a program.
PFN_vkGetInstanceProcAddr watched_entry(PFN_vkGetInstanceProcAddr next);
// Compute pipelines that were asked for through it so far, in any thread.
std::uint64_t pipelines_created();

}  // namespace samples
