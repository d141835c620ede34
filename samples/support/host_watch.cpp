// SPDX-License-Identifier: MIT
#include "host_watch.hpp"

#include <algorithm>
#include <atomic>
#include <cstdlib>
#include <cstring>
#include <limits>
#include <new>
#ifdef _WIN32
#include <malloc.h>
#endif

#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
#define SAMPLES_COUNT_MEMORY 0
#elif defined(__has_feature)
#if __has_feature(address_sanitizer) || __has_feature(thread_sanitizer) || __has_feature(memory_sanitizer)
#define SAMPLES_COUNT_MEMORY 0
#endif
#endif
#ifndef SAMPLES_COUNT_MEMORY
#define SAMPLES_COUNT_MEMORY 1
#endif

namespace {

// Of one thread. Plain values: operator new must be able to look at them before and after everything else.
struct Watched {
    int watches = 0;
    int pauses = 0;
    std::uint64_t allocations = 0;
    std::uint64_t locks = 0;
    std::uint64_t files = 0;

    bool counting() const { return watches > 0 && pauses == 0; }
};
constinit thread_local Watched watched;

}  // namespace

#if SAMPLES_COUNT_MEMORY

namespace {

void* counted(std::size_t bytes) {
    if (watched.counting()) ++watched.allocations;
    void* memory = std::malloc(bytes > 0 ? bytes : 1);
    if (!memory) throw std::bad_alloc();
    return memory;
}

void* counted(std::size_t bytes, std::align_val_t alignment) {
    if (watched.counting()) ++watched.allocations;
    const auto unit = static_cast<std::size_t>(alignment);
    if (bytes > std::numeric_limits<std::size_t>::max() - unit) throw std::bad_alloc();
    const std::size_t rounded = (std::max<std::size_t>(bytes, 1) + unit - 1) / unit * unit;
#ifdef _WIN32
    void* memory = _aligned_malloc(rounded, unit);
#else
    void* memory = std::aligned_alloc(unit, rounded);
#endif
    if (!memory) throw std::bad_alloc();
    return memory;
}

void free_aligned(void* memory) noexcept {
#ifdef _WIN32
    _aligned_free(memory);
#else
    std::free(memory);
#endif
}

}  // namespace

// The others of the standard library call these.
void* operator new(std::size_t bytes) { return counted(bytes); }
void* operator new[](std::size_t bytes) { return counted(bytes); }
void operator delete(void* memory) noexcept { std::free(memory); }
void operator delete[](void* memory) noexcept { std::free(memory); }
void operator delete(void* memory, std::size_t) noexcept { std::free(memory); }
void operator delete[](void* memory, std::size_t) noexcept { std::free(memory); }
void* operator new(std::size_t bytes, std::align_val_t alignment) { return counted(bytes, alignment); }
void* operator new[](std::size_t bytes, std::align_val_t alignment) { return counted(bytes, alignment); }
void operator delete(void* memory, std::align_val_t) noexcept { free_aligned(memory); }
void operator delete[](void* memory, std::align_val_t) noexcept { free_aligned(memory); }
void operator delete(void* memory, std::size_t, std::align_val_t) noexcept { free_aligned(memory); }
void operator delete[](void* memory, std::size_t, std::align_val_t) noexcept { free_aligned(memory); }

#endif

namespace samples {

bool counts_allocations() { return SAMPLES_COUNT_MEMORY != 0; }

HostWatch::HostWatch() {
    watched.allocations = watched.locks = watched.files = 0;
    ++watched.watches;
}
HostWatch::~HostWatch() { --watched.watches; }
HostCounts HostWatch::counts() const { return {watched.allocations, watched.locks, watched.files}; }

NotWatched::NotWatched() { ++watched.pauses; }
NotWatched::~NotWatched() { --watched.pauses; }

void note_lock() noexcept {
    if (watched.counting()) ++watched.locks;
}
void note_file() noexcept {
    if (watched.counting()) ++watched.files;
}

namespace {

std::atomic<PFN_vkGetInstanceProcAddr> next_entry{nullptr};
std::atomic<std::uint64_t> pipelines{0};

#define SAMPLES_WATCHED_FUNCTIONS(X) \
    X(CmdBeginDebugUtilsLabelEXT)    \
    X(CmdBindPipeline)               \
    X(CmdCopyQueryPoolResults)       \
    X(CmdDispatch)                   \
    X(CmdDispatchIndirect)           \
    X(CmdEndDebugUtilsLabelEXT)      \
    X(CmdFillBuffer)                 \
    X(CmdPipelineBarrier2)           \
    X(CmdPushConstants)              \
    X(CmdResetQueryPool)             \
    X(CmdWriteTimestamp2)            \
    X(CreateComputePipelines)        \
    X(FlushMappedMemoryRanges)       \
    X(GetSemaphoreCounterValue)      \
    X(InvalidateMappedMemoryRanges)  \
    X(QueueSubmit2)                  \
    X(WaitSemaphores)

#define SAMPLES_NAME(name) \
    struct Name##name {};
SAMPLES_WATCHED_FUNCTIONS(SAMPLES_NAME)
#undef SAMPLES_NAME

// What there is to say of a call.
template <class... Arguments>
void note(Arguments...) {}
void note(NameCreateComputePipelines, VkDevice, VkPipelineCache, std::uint32_t count,
          const VkComputePipelineCreateInfo*, const VkAllocationCallbacks*, VkPipeline*) {
    pipelines += count;
}

// The wrapped function of that name. The loader's own, which find the device by their first argument: one
// serves all devices.
template <class Name, class Function>
struct Wrapped;

template <class Name, class Result, class... Arguments>
struct Wrapped<Name, Result(VKAPI_PTR*)(Arguments...)> {
    static inline std::atomic<Result(VKAPI_PTR*)(Arguments...)> real{nullptr};
    static VKAPI_ATTR Result VKAPI_CALL call(Arguments... arguments) {
        const NotWatched outside;
        note(Name{}, arguments...);
        return real.load(std::memory_order_relaxed)(arguments...);
    }
};

// The wrapper of what `found` is, or `found` itself where the name is not in the list.
PFN_vkVoidFunction wrapper(const char* name, PFN_vkVoidFunction found) {
    if (!found) return nullptr;
#define SAMPLES_WRAP(function)                                      \
    if (std::strcmp(name, "vk" #function) == 0) {                   \
        using Wrapper = Wrapped<Name##function, PFN_vk##function>;  \
        Wrapper::real = reinterpret_cast<PFN_vk##function>(found);  \
        return reinterpret_cast<PFN_vkVoidFunction>(Wrapper::call); \
    }
    SAMPLES_WATCHED_FUNCTIONS(SAMPLES_WRAP)
#undef SAMPLES_WRAP
    return found;
}

std::atomic<VkInstance> last_instance{VK_NULL_HANDLE};

VKAPI_ATTR PFN_vkVoidFunction VKAPI_CALL device_function(VkDevice device, const char* name) {
    const PFN_vkGetInstanceProcAddr next = next_entry;
    const VkInstance instance = last_instance;
    const PFN_vkVoidFunction trampoline = next(instance, name);
    if (const PFN_vkVoidFunction wrapped = wrapper(name, trampoline); wrapped != trampoline) return wrapped;
    return reinterpret_cast<PFN_vkGetDeviceProcAddr>(next(instance, "vkGetDeviceProcAddr"))(device, name);
}

VKAPI_ATTR PFN_vkVoidFunction VKAPI_CALL instance_function(VkInstance instance, const char* name) {
    if (instance) last_instance = instance;
    if (std::strcmp(name, "vkGetDeviceProcAddr") == 0)
        return reinterpret_cast<PFN_vkVoidFunction>(device_function);
    if (std::strcmp(name, "vkGetInstanceProcAddr") == 0)
        return reinterpret_cast<PFN_vkVoidFunction>(instance_function);
    return wrapper(name, next_entry.load()(instance, name));
}

}  // namespace

PFN_vkGetInstanceProcAddr watched_entry(PFN_vkGetInstanceProcAddr next) {
    next_entry = next;
    return instance_function;
}

std::uint64_t pipelines_created() { return pipelines; }

}  // namespace samples
