// SPDX-License-Identifier: MIT
// Plan: recording, slices, submission. Nothing here allocates while it records.
#include <algorithm>
#include <optional>

#include "core/number_text.hpp"
#include "core/section.h"
#include "graph/commands.hpp"
#include "graph/plan.hpp"

namespace heron {

namespace {

constexpr VkAccessFlags2 kReadWrite = kShaderRead | kShaderWrite;
constexpr VkPipelineStageFlags2 kIndirectStage = VK_PIPELINE_STAGE_2_DRAW_INDIRECT_BIT;
constexpr VkPipelineStageFlags2 kTransferStage = VK_PIPELINE_STAGE_2_ALL_TRANSFER_BIT;

// All that compute does with memory, arguments of indirect dispatches included.
constexpr BarrierSide kCompute{kComputeStage | kIndirectStage,
                               kReadWrite | VK_ACCESS_2_INDIRECT_COMMAND_READ_BIT};
constexpr BarrierSide kComputeWrites{kComputeStage, kShaderWrite};

}  // namespace

void Plan::Impl::record(VkCommandBuffer commands, Phase phase, std::uint32_t first, std::uint32_t end,
                        Sections which) {
    const Device::Impl& device = vk();
    const FunctionTable& table = device.vk;
    const Program& current = program(phase);
    const DispatchSchedule& schedule = current.schedule;
    const Region& tables = region(RegionKind::tables);
    const Region& state = region(RegionKind::state);
    const bool timed = queries != VK_NULL_HANDLE && phase == Phase::step && end > first;

    // Queries 2 d and 2 d + 1 are the times before and after dispatch d.
    device.begin_label(commands, options.name.c_str());
    if (timed) table.CmdResetQueryPool(commands, queries, 2 * first, 2 * (end - first));
    record_barrier(device, commands, kComputeWrites, kCompute);

    VkPipeline bound = VK_NULL_HANDLE;
    std::uint32_t label = 0;
    std::optional<std::uint32_t> level;  // of the last dispatch
    for (std::uint32_t d = first; d < end; ++d) {
        const Dispatch& dispatch = schedule.dispatches[d];
        if (which == Sections::none && dispatch.in_section()) continue;
        const Batch& batch = schedule.batches[dispatch.batch];
        const Node& node = graph.nodes[batch.nodes.front()];
        if (timed) record_stamp(commands, 2 * d);  // the barrier is a part of the dispatch's time
        if (level.value_or(batch.level) != batch.level)
            record_barrier(device, commands, kComputeWrites, kCompute);
        level = batch.level;
        if (node.stage != label) {
            if (label != 0) device.end_label(commands);
            if (node.stage != 0) device.begin_label(commands, graph.stages[node.stage].c_str());
            label = node.stage;
        }
        if (current.pipelines[dispatch.batch] != bound) {
            bound = current.pipelines[dispatch.batch];
            table.CmdBindPipeline(commands, VK_PIPELINE_BIND_POINT_COMPUTE, bound);
        }
        gpu::Push push{};
        push.jobs = tables.address(batch.job_offset);
        push.control = graph.control ? address(graph.control) : push.jobs;
        push.job_count = static_cast<std::uint32_t>(batch.nodes.size());
        push.group_offset = static_cast<std::uint32_t>(dispatch.first_group);
        push.flags = node.operation.guarded ? gpu::FLAG_GUARDED : 0;
        push.group_end = static_cast<std::uint32_t>(dispatch.end_group);
        record_push(device, commands, push);
        if (!dispatch.in_section()) {
            table.CmdDispatch(commands, dispatch.x, dispatch.y, 1);
        } else {
            const std::uint64_t offset =
                locations[graph.section_arguments.id].offset +
                std::uint64_t{dispatch.section_entry} * gpu::SECTION_ARGUMENT_WORDS * 4;
            const BufferRange& block = state.blocks[offset / state.block_bytes];
            table.CmdDispatchIndirect(commands, block.buffer, block.offset + offset % state.block_bytes);
        }
        if (timed) record_stamp(commands, 2 * d + 1);
    }
    if (label != 0) device.end_label(commands);
    BarrierSide from = kComputeWrites;
    if (timed) {
        record_stamp_copies(commands, first, end, which);
        from = {from.stages | kTransferStage, from.accesses | VK_ACCESS_2_TRANSFER_WRITE_BIT};
    }
    record_barrier(device, commands, from,
                   {kCompute.stages | kTransferStage | VK_PIPELINE_STAGE_2_HOST_BIT,
                    kCompute.accesses | VK_ACCESS_2_TRANSFER_READ_BIT | VK_ACCESS_2_TRANSFER_WRITE_BIT |
                        VK_ACCESS_2_HOST_READ_BIT});
    device.end_label(commands);
}

void Plan::Impl::record_clear(VkCommandBuffer commands) {
    const Device::Impl& device = vk();
    const BarrierSide clear{kTransferStage, VK_ACCESS_2_TRANSFER_WRITE_BIT};
    record_barrier(device, commands, {kComputeStage, kReadWrite}, clear);
    for (const BufferRange& block : region(RegionKind::state).blocks)
        device.vk.CmdFillBuffer(commands, block.buffer, block.offset, block.bytes, 0);
    record_barrier(device, commands, clear, {kComputeStage, kReadWrite});
}

void Plan::record_initialize(VkCommandBuffer commands) {
    impl().require_memory("record_initialize");
    impl().require_commands(commands, "record_initialize");
    impl().record_clear(commands);
    impl().record(commands, Phase::initialize, 0, dispatch_count(Phase::initialize));
    impl().cursor = 0;
    impl().await_status();
    impl().initialized = true;
}

namespace {

void require_recordable(const Plan::Impl& plan, VkCommandBuffer commands, const char* what) {
    plan.require_memory(what);
    plan.require_commands(commands, what);
    plan.require_initialized(what);
}

}  // namespace

void Plan::record(VkCommandBuffer commands) {
    require_recordable(impl(), commands, "record");
    impl().require_no_slice("record");
    impl().unseen_steps = true;
    impl().record(commands, Phase::step, 0, dispatch_count());
}

void Plan::record_one_time(VkCommandBuffer commands) {
    require_recordable(impl(), commands, "record_one_time");
    impl().require_no_slice("record_one_time");
    impl().recorded_one_time = true;
    impl().record(commands, Phase::step, 0, dispatch_count(), impl().issue_step());
}

void Plan::record_accumulate(VkCommandBuffer commands) {
    require_recordable(impl(), commands, "record_accumulate");
    impl().require_no_slice("record_accumulate");
    if (dispatch_count(Phase::accumulate) == 0)
        impl().refuse("record_accumulate: the plan was compiled without StepOptions::accumulate");
    impl().record(commands, Phase::accumulate, 0, dispatch_count(Phase::accumulate));
}

SliceResult Plan::record_slice(VkCommandBuffer commands, const SliceBudget& budget) {
    require_recordable(impl(), commands, "record_slice");
    if (!(budget.max_ns > 0))
        impl().refuse("record_slice: max_ns is " + number_text(budget.max_ns) +
                      ", must be above 0 (infinity: no limit)");
    if (!(budget.max_flops > 0))
        impl().refuse("record_slice: max_flops is " + number_text(budget.max_flops) +
                      ", must be above 0 (infinity: no limit)");
    const std::vector<double>& costs = impl().program(Phase::step).cost_ns;
    const std::vector<Dispatch>& dispatches = impl().program(Phase::step).schedule.dispatches;
    const std::uint32_t first = impl().cursor;
    const std::uint32_t count = dispatch_count();
    if (first == 0) {
        (budget.one_time ? impl().recorded_one_time : impl().unseen_steps) = true;
        impl().sliced = budget.one_time ? impl().issue_step() : Sections::all;
    }
    SliceResult result;
    double flops = 0;
    std::uint32_t end = first;
    for (; end < count; ++end) {
        if (impl().sliced == Sections::none && dispatches[end].in_section()) continue;
        if (result.dispatches > 0 && (result.dispatches >= budget.max_dispatches ||
                                      !(result.expected_ns + costs[end] <= budget.max_ns) ||
                                      !(flops + dispatches[end].flops <= budget.max_flops)))
            break;
        result.expected_ns += costs[end];
        flops += dispatches[end].flops;
        ++result.dispatches;
    }
    impl().record(commands, Phase::step, first, end, impl().sliced);
    result.complete = end == count;
    impl().cursor = result.complete ? 0 : end;
    return result;
}

bool Plan::slice_pending() const { return impl().cursor != 0; }

// All that submissions need, so that none of them creates anything. initialize(), a part of the set-up
// itself, records its own.
void Plan::Impl::create_submission_objects() {
    Device::Impl& device = vk();
    if (timeline == VK_NULL_HANDLE) {
        VkSemaphoreTypeCreateInfo type{VK_STRUCTURE_TYPE_SEMAPHORE_TYPE_CREATE_INFO};
        type.semaphoreType = VK_SEMAPHORE_TYPE_TIMELINE;
        const VkSemaphoreCreateInfo info{VK_STRUCTURE_TYPE_SEMAPHORE_CREATE_INFO, &type, 0};
        device.check(device.vk.CreateSemaphore(device.device, &info, device.allocator, &timeline),
                     "vkCreateSemaphore", options.name);
        device.name(VK_OBJECT_TYPE_SEMAPHORE, timeline, options.name);
    }
    if (pool == VK_NULL_HANDLE) {
        VkCommandPoolCreateInfo info{VK_STRUCTURE_TYPE_COMMAND_POOL_CREATE_INFO};
        info.queueFamilyIndex = device.queue_family;
        device.check(device.vk.CreateCommandPool(device.device, &info, device.allocator, &pool),
                     "vkCreateCommandPool", options.name);
        device.name(VK_OBJECT_TYPE_COMMAND_POOL, pool, options.name);
    }
    commands_for(Phase::step);
    if (!sections.empty()) commands_for(Phase::step, Sections::none);
    if (!program(Phase::accumulate).schedule.dispatches.empty()) commands_for(Phase::accumulate);
}

// What they recorded points to memory that is not the plan's any more.
void Plan::Impl::forget_commands() noexcept {
    if (pool != VK_NULL_HANDLE)
        vk().vk.FreeCommandBuffers(vk().device, pool, static_cast<std::uint32_t>(command_buffers.size()),
                                   command_buffers.data());
    command_buffers.fill(VK_NULL_HANDLE);
}

VkCommandBuffer Plan::Impl::commands_for(Phase phase, Sections which) {
    VkCommandBuffer& commands =
        command_buffers[which == Sections::none ? kPhaseCount : static_cast<std::size_t>(phase)];
    if (commands != VK_NULL_HANDLE) return commands;
    Device::Impl& device = vk();
    VkCommandBufferAllocateInfo info{VK_STRUCTURE_TYPE_COMMAND_BUFFER_ALLOCATE_INFO};
    info.commandPool = pool;
    info.level = VK_COMMAND_BUFFER_LEVEL_PRIMARY;
    info.commandBufferCount = 1;
    VkCommandBuffer fresh = VK_NULL_HANDLE;
    device.check(device.vk.AllocateCommandBuffers(device.device, &info, &fresh), "vkAllocateCommandBuffers",
                 options.name);
    try {
        VkCommandBufferBeginInfo begin{VK_STRUCTURE_TYPE_COMMAND_BUFFER_BEGIN_INFO};
        begin.flags =
            VK_COMMAND_BUFFER_USAGE_SIMULTANEOUS_USE_BIT;  // one recording, any number of steps in flight
        device.check(device.vk.BeginCommandBuffer(fresh, &begin), "vkBeginCommandBuffer", options.name);
        if (phase == Phase::initialize) record_clear(fresh);
        record(fresh, phase, 0, static_cast<std::uint32_t>(program(phase).schedule.dispatches.size()), which);
        device.check(device.vk.EndCommandBuffer(fresh), "vkEndCommandBuffer", options.name);
    } catch (...) {
        device.vk.FreeCommandBuffers(device.device, pool, 1, &fresh);
        throw;
    }
    device.name(VK_OBJECT_TYPE_COMMAND_BUFFER, fresh, options.name);
    return commands = fresh;
}

std::uint64_t Plan::Impl::submit(Phase phase, const SubmitInfo& info) {
    require_no_slice("submit");
    constexpr std::size_t kMaxSemaphores = 16;  // bounded, so that a submission needs no memory
    if (info.wait.size() > kMaxSemaphores || info.signal.size() > kMaxSemaphores)
        refuse("submit: at most " + std::to_string(kMaxSemaphores) +
               " semaphores can be waited for or signalled");
    for (const std::span<const SemaphoreValue> list : {info.wait, info.signal})
        for (const SemaphoreValue& entry : list)
            if (entry.semaphore == VK_NULL_HANDLE)
                refuse("submit: a semaphore to wait for or to signal is null");
    Device::Impl& device = vk();
    if (device.queue == VK_NULL_HANDLE && !info.submit)
        throw Error(ErrorCode::unsupported, options.name +
                                                ": submit: the device was adopted without a queue; give one, "
                                                "set SubmitInfo::submit, or use record()");
    const VkCommandBuffer commands = commands_for(phase, phase == Phase::step ? issue_step() : Sections::all);

    const auto semaphore = [](VkSemaphore handle, std::uint64_t value) {
        VkSemaphoreSubmitInfo entry{VK_STRUCTURE_TYPE_SEMAPHORE_SUBMIT_INFO};
        entry.semaphore = handle;
        entry.value = value;
        entry.stageMask = VK_PIPELINE_STAGE_2_ALL_COMMANDS_BIT;
        return entry;
    };
    std::array<VkSemaphoreSubmitInfo, kMaxSemaphores> waits;
    std::array<VkSemaphoreSubmitInfo, kMaxSemaphores + 1> signals;
    std::size_t wait_count = 0, signal_count = 0;
    for (const SemaphoreValue& entry : info.wait)
        waits[wait_count++] = semaphore(entry.semaphore, entry.value);
    for (const SemaphoreValue& entry : info.signal)
        signals[signal_count++] = semaphore(entry.semaphore, entry.value);
    signals[signal_count++] = semaphore(timeline, submitted + 1);

    if (info.submit) {
        VkCommandBufferSubmitInfo buffer{VK_STRUCTURE_TYPE_COMMAND_BUFFER_SUBMIT_INFO};
        buffer.commandBuffer = commands;
        VkSubmitInfo2 submission{VK_STRUCTURE_TYPE_SUBMIT_INFO_2};
        submission.waitSemaphoreInfoCount = static_cast<std::uint32_t>(wait_count);
        submission.pWaitSemaphoreInfos = waits.data();
        submission.commandBufferInfoCount = 1;
        submission.pCommandBufferInfos = &buffer;
        submission.signalSemaphoreInfoCount = static_cast<std::uint32_t>(signal_count);
        submission.pSignalSemaphoreInfos = signals.data();
        device.check(info.submit(submission), "the caller's submit", options.name);
    } else {
        device.submit(std::span(&commands, 1), std::span(waits.data(), wait_count),
                      std::span(signals.data(), signal_count));
    }
    return ++submitted;
}

std::uint64_t Plan::submit(const SubmitInfo& info) {
    impl().require_memory("submit");
    impl().require_initialized("submit");
    return impl().submit(Phase::step, info);
}

std::uint64_t Plan::submit_accumulate(const SubmitInfo& info) {
    impl().require_memory("submit_accumulate");
    impl().require_initialized("submit_accumulate");
    if (dispatch_count(Phase::accumulate) == 0)
        impl().refuse("submit_accumulate: the plan was compiled without StepOptions::accumulate");
    return impl().submit(Phase::accumulate, info);
}

void Plan::initialize() {
    impl().require_memory("initialize");
    impl().cursor = 0;
    impl().note_pending_steps();
    const std::uint64_t ticket = impl().submit(Phase::initialize, {});
    impl().issued = 0;
    wait(ticket);
    impl().initialized = true;
}

std::uint64_t Plan::Impl::finished_submissions() const {
    std::uint64_t reached = 0;
    Device::Impl& device = vk();
    device.check(device.vk.GetSemaphoreCounterValue(device.device, timeline, &reached),
                 "vkGetSemaphoreCounterValue", options.name);
    return reached;
}

bool Plan::finished(std::uint64_t ticket) const {
    if (ticket == 0) return true;
    impl().vk().check_alive();
    if (ticket > impl().submitted)
        impl().refuse("finished: no submission has the ticket " + std::to_string(ticket));
    return impl().finished_submissions() >= ticket;
}

void Plan::wait(std::uint64_t ticket, std::uint64_t timeout_ns) const {
    if (ticket == 0) return;
    impl().vk().check_alive();
    if (ticket > impl().submitted)
        impl().refuse("wait: no submission has the ticket " + std::to_string(ticket));
    Device::Impl& device = impl().vk();
    VkSemaphoreWaitInfo info{VK_STRUCTURE_TYPE_SEMAPHORE_WAIT_INFO};
    info.semaphoreCount = 1;
    info.pSemaphores = &impl().timeline;
    info.pValues = &ticket;
    const VkResult result = device.vk.WaitSemaphores(device.device, &info, timeout_ns);
    if (result == VK_TIMEOUT)
        throw Error(ErrorCode::timeout,
                    impl().options.name + ": submission " + std::to_string(ticket) +
                        " did not finish within " + std::to_string(timeout_ns / 1000000) + " ms",
                    result);
    device.check(result, "vkWaitSemaphores", impl().options.name);
}

}  // namespace heron
