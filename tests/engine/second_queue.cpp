// SPDX-License-Identifier: MIT
#include "engine/second_queue.hpp"

#include <algorithm>
#include <array>
#include <deque>
#include <map>
#include <span>
#include <stdexcept>
#include <utility>

namespace heron::test {
namespace {

using Batch = SecondQueue::Batch;

struct State {
    PFN_vkGetInstanceProcAddr next = nullptr;
    SecondPlace place = SecondPlace::own_family;
    LateQueue late = LateQueue::first;
    VkInstance instance = VK_NULL_HANDLE;
    std::uint32_t first_family = 0;
    std::uint32_t second_family = 0;  // as the program sees it
    VkQueue real_queue = VK_NULL_HANDLE;
    std::map<VkCommandPool, std::uint32_t> family_of_pool;
    std::map<VkCommandBuffer, std::uint32_t> family_of;
    std::map<VkSemaphore, std::uint64_t> given;  // the value that the real queue was last told to signal
    std::array<std::deque<Batch>, 2> pending;    // of the first queue, and of the second
    std::vector<Batch> submitted;
    std::string misuse;
};

State* active = nullptr;
int second_handle = 0;  // its address is the second queue's handle

VkQueue second_queue() { return reinterpret_cast<VkQueue>(&second_handle); }
bool own_family() { return active->place == SecondPlace::own_family; }

void complain(const std::string& what) { active->misuse += what + "\n"; }

// The loader's own, which find the device by their first argument.
template <typename Pfn>
Pfn real(const char* name) {
    return reinterpret_cast<Pfn>(active->next(active->instance, name));
}

// --- The order of execution

// Gives the real queue the oldest batch of one queue, if what it waits for will have come before it.
bool give(bool second) {
    std::deque<Batch>& queue = active->pending[second ? 1 : 0];
    if (queue.empty()) return false;
    const Batch& batch = queue.front();
    for (const VkSemaphoreSubmitInfo& wait : batch.waits)
        if (active->given[wait.semaphore] < wait.value) return false;
    VkSubmitInfo2 info{};
    info.sType = VK_STRUCTURE_TYPE_SUBMIT_INFO_2;
    info.waitSemaphoreInfoCount = static_cast<std::uint32_t>(batch.waits.size());
    info.pWaitSemaphoreInfos = batch.waits.data();
    info.commandBufferInfoCount = static_cast<std::uint32_t>(batch.commands.size());
    info.pCommandBufferInfos = batch.commands.data();
    info.signalSemaphoreInfoCount = static_cast<std::uint32_t>(batch.signals.size());
    info.pSignalSemaphoreInfos = batch.signals.data();
    const VkResult result =
        real<PFN_vkQueueSubmit2>("vkQueueSubmit2")(active->real_queue, 1, &info, VK_NULL_HANDLE);
    if (result != VK_SUCCESS) complain("vkQueueSubmit2 failed with " + std::to_string(result));
    for (const VkSemaphoreSubmitInfo& signal : batch.signals) active->given[signal.semaphore] = signal.value;
    queue.pop_front();
    return true;
}

// Until the host can go on; false where it never could.
template <typename Reached>
bool give_until(const Reached& reached) {
    const bool late = active->late == LateQueue::second;
    while (true) {
        while (give(!late)) {
        }
        if (reached()) return true;
        if (give(late)) continue;
        complain("the host waits for what nothing submitted can signal");
        return false;
    }
}

// --- Hooks

VKAPI_ATTR void VKAPI_CALL queue_families(VkPhysicalDevice device, std::uint32_t* count,
                                          VkQueueFamilyProperties* list) {
    const auto call =
        real<PFN_vkGetPhysicalDeviceQueueFamilyProperties>("vkGetPhysicalDeviceQueueFamilyProperties");
    std::uint32_t size = 0;
    call(device, &size, nullptr);
    std::vector<VkQueueFamilyProperties> all(size);
    call(device, &size, all.data());
    constexpr VkQueueFlags kBoth = VK_QUEUE_GRAPHICS_BIT | VK_QUEUE_COMPUTE_BIT;
    const auto first = std::find_if(all.begin(), all.end(), [](const VkQueueFamilyProperties& family) {
        return (family.queueFlags & kBoth) == kBoth;
    });
    if (first == all.end()) throw std::runtime_error("the device has no queue for graphics and compute");
    active->first_family = static_cast<std::uint32_t>(first - all.begin());
    active->second_family = own_family() ? size : active->first_family;
    first->queueCount = own_family() ? 1 : 2;
    VkQueueFamilyProperties second = *first;
    second.queueFlags = VK_QUEUE_COMPUTE_BIT | VK_QUEUE_TRANSFER_BIT;
    for (VkQueueFamilyProperties& family : all)
        if (&family != &*first) family.queueFlags &= ~VkQueueFlags{VK_QUEUE_COMPUTE_BIT};
    if (own_family()) all.push_back(second);
    if (list) {
        *count = std::min(*count, static_cast<std::uint32_t>(all.size()));
        std::copy_n(all.begin(), *count, list);
    } else {
        *count = static_cast<std::uint32_t>(all.size());
    }
}

VKAPI_ATTR VkResult VKAPI_CALL create_device(VkPhysicalDevice physical_device, const VkDeviceCreateInfo* info,
                                             const VkAllocationCallbacks* allocator, VkDevice* device) {
    std::vector<VkDeviceQueueCreateInfo> queues(info->pQueueCreateInfos,
                                                info->pQueueCreateInfos + info->queueCreateInfoCount);
    if (own_family())
        std::erase_if(queues, [](const VkDeviceQueueCreateInfo& queue) {
            return queue.queueFamilyIndex == active->second_family;
        });
    for (VkDeviceQueueCreateInfo& queue : queues) queue.queueCount = 1;
    VkDeviceCreateInfo changed = *info;
    changed.queueCreateInfoCount = static_cast<std::uint32_t>(queues.size());
    changed.pQueueCreateInfos = queues.data();
    return real<PFN_vkCreateDevice>("vkCreateDevice")(physical_device, &changed, allocator, device);
}

VKAPI_ATTR void VKAPI_CALL get_device_queue(VkDevice device, std::uint32_t family, std::uint32_t index,
                                            VkQueue* queue) {
    real<PFN_vkGetDeviceQueue>("vkGetDeviceQueue")(device, active->first_family, 0, &active->real_queue);
    const bool second = own_family() ? family == active->second_family : index == 1;
    *queue = second ? second_queue() : active->real_queue;
}

VKAPI_ATTR VkResult VKAPI_CALL create_command_pool(VkDevice device, const VkCommandPoolCreateInfo* info,
                                                   const VkAllocationCallbacks* allocator,
                                                   VkCommandPool* pool) {
    VkCommandPoolCreateInfo changed = *info;
    changed.queueFamilyIndex = active->first_family;
    const VkResult result =
        real<PFN_vkCreateCommandPool>("vkCreateCommandPool")(device, &changed, allocator, pool);
    if (result == VK_SUCCESS) active->family_of_pool[*pool] = info->queueFamilyIndex;
    return result;
}

VKAPI_ATTR VkResult VKAPI_CALL allocate_command_buffers(VkDevice device,
                                                        const VkCommandBufferAllocateInfo* info,
                                                        VkCommandBuffer* commands) {
    const VkResult result =
        real<PFN_vkAllocateCommandBuffers>("vkAllocateCommandBuffers")(device, info, commands);
    for (std::uint32_t i = 0; result == VK_SUCCESS && i < info->commandBufferCount; ++i)
        active->family_of[commands[i]] = active->family_of_pool.at(info->commandPool);
    return result;
}

VKAPI_ATTR void VKAPI_CALL execute_commands(VkCommandBuffer primary, std::uint32_t count,
                                            const VkCommandBuffer* secondary) {
    for (const VkCommandBuffer each : std::span(secondary, count))
        if (active->family_of.at(each) != active->family_of.at(primary))
            complain("a secondary command buffer of another family than the primary's");
    real<PFN_vkCmdExecuteCommands>("vkCmdExecuteCommands")(primary, count, secondary);
}

VKAPI_ATTR VkResult VKAPI_CALL create_buffer(VkDevice device, const VkBufferCreateInfo* info,
                                             const VkAllocationCallbacks* allocator, VkBuffer* buffer) {
    VkBufferCreateInfo changed = *info;
    if (own_family()) {
        const std::span families(info->pQueueFamilyIndices, info->sharingMode == VK_SHARING_MODE_CONCURRENT
                                                                ? info->queueFamilyIndexCount
                                                                : 0);
        for (const std::uint32_t family : {active->first_family, active->second_family})
            if (std::find(families.begin(), families.end(), family) == families.end())
                complain("a buffer of " + std::to_string(info->size) + " bytes that family " +
                         std::to_string(family) + " does not share");
        changed.sharingMode = VK_SHARING_MODE_EXCLUSIVE;
        changed.queueFamilyIndexCount = 0;
        changed.pQueueFamilyIndices = nullptr;
    }
    return real<PFN_vkCreateBuffer>("vkCreateBuffer")(device, &changed, allocator, buffer);
}

VKAPI_ATTR VkResult VKAPI_CALL create_semaphore(VkDevice device, const VkSemaphoreCreateInfo* info,
                                                const VkAllocationCallbacks* allocator,
                                                VkSemaphore* semaphore) {
    const VkResult result =
        real<PFN_vkCreateSemaphore>("vkCreateSemaphore")(device, info, allocator, semaphore);
    if (result == VK_SUCCESS) active->given[*semaphore] = 0;  // there may have been one of that handle
    return result;
}

VKAPI_ATTR VkResult VKAPI_CALL queue_submit(VkQueue queue, std::uint32_t count, const VkSubmitInfo2* batches,
                                            VkFence fence) {
    if (fence) complain("a fence, which is not emulated");
    const bool second = queue == second_queue();
    const std::uint32_t family = second ? active->second_family : active->first_family;
    for (const VkSubmitInfo2& info : std::span(batches, count)) {
        Batch batch{second,
                    {info.pWaitSemaphoreInfos, info.pWaitSemaphoreInfos + info.waitSemaphoreInfoCount},
                    {info.pCommandBufferInfos, info.pCommandBufferInfos + info.commandBufferInfoCount},
                    {info.pSignalSemaphoreInfos, info.pSignalSemaphoreInfos + info.signalSemaphoreInfoCount}};
        for (const VkCommandBufferSubmitInfo& commands : batch.commands)
            if (active->family_of.at(commands.commandBuffer) != family)
                complain("a command buffer of another family than the queue's");
        active->submitted.push_back(batch);
        active->pending[second ? 1 : 0].push_back(std::move(batch));
    }
    return VK_SUCCESS;
}

VKAPI_ATTR VkResult VKAPI_CALL wait_semaphores(VkDevice device, const VkSemaphoreWaitInfo* info,
                                               std::uint64_t timeout) {
    const auto reached = [&] {
        for (std::uint32_t i = 0; i < info->semaphoreCount; ++i)
            if (active->given[info->pSemaphores[i]] < info->pValues[i]) return false;
        return true;
    };
    if (!give_until(reached)) return VK_TIMEOUT;
    return real<PFN_vkWaitSemaphores>("vkWaitSemaphores")(device, info, timeout);
}

VKAPI_ATTR VkResult VKAPI_CALL device_wait_idle(VkDevice device) {
    const auto reached = [] { return active->pending[0].empty() && active->pending[1].empty(); };
    if (!give_until(reached)) return VK_ERROR_DEVICE_LOST;
    return real<PFN_vkDeviceWaitIdle>("vkDeviceWaitIdle")(device);
}

VKAPI_ATTR PFN_vkVoidFunction VKAPI_CALL get_instance_proc_addr(VkInstance instance, const char* name);
VKAPI_ATTR PFN_vkVoidFunction VKAPI_CALL get_device_proc_addr(VkDevice device, const char* name);

template <typename Function>
PFN_vkVoidFunction pointer_to(Function function) {
    return reinterpret_cast<PFN_vkVoidFunction>(function);
}

PFN_vkVoidFunction hook(const std::string& name) {
    static const std::map<std::string, PFN_vkVoidFunction> hooks = {
        {"vkGetInstanceProcAddr", pointer_to(get_instance_proc_addr)},
        {"vkGetDeviceProcAddr", pointer_to(get_device_proc_addr)},
        {"vkGetPhysicalDeviceQueueFamilyProperties", pointer_to(queue_families)},
        {"vkCreateDevice", pointer_to(create_device)},
        {"vkGetDeviceQueue", pointer_to(get_device_queue)},
        {"vkCreateCommandPool", pointer_to(create_command_pool)},
        {"vkAllocateCommandBuffers", pointer_to(allocate_command_buffers)},
        {"vkCmdExecuteCommands", pointer_to(execute_commands)},
        {"vkCreateBuffer", pointer_to(create_buffer)},
        {"vkCreateSemaphore", pointer_to(create_semaphore)},
        {"vkQueueSubmit2", pointer_to(queue_submit)},
        {"vkWaitSemaphores", pointer_to(wait_semaphores)},
        {"vkDeviceWaitIdle", pointer_to(device_wait_idle)},
    };
    const auto found = hooks.find(name);
    return found == hooks.end() ? nullptr : found->second;
}

PFN_vkVoidFunction get_instance_proc_addr(VkInstance instance, const char* name) {
    if (instance) active->instance = instance;
    const PFN_vkVoidFunction hooked = hook(name);
    return hooked ? hooked : active->next(instance, name);
}

PFN_vkVoidFunction get_device_proc_addr(VkDevice device, const char* name) {
    const PFN_vkVoidFunction hooked = hook(name);
    return hooked ? hooked : real<PFN_vkGetDeviceProcAddr>("vkGetDeviceProcAddr")(device, name);
}

}  // namespace

SecondQueue::SecondQueue(PFN_vkGetInstanceProcAddr next, SecondPlace place, LateQueue late) {
    if (active) throw std::logic_error("a SecondQueue exists already");
    active = new State;
    active->next = next;
    active->place = place;
    active->late = late;
}

SecondQueue::~SecondQueue() {
    delete active;
    active = nullptr;
}

PFN_vkGetInstanceProcAddr SecondQueue::entry() const { return get_instance_proc_addr; }

std::vector<SecondQueue::Batch> SecondQueue::take_submitted() { return std::exchange(active->submitted, {}); }

std::string SecondQueue::misuse() const { return active->misuse; }

}  // namespace heron::test
