// SPDX-License-Identifier: MIT
// Plan: GPU time of every dispatch, and the costs that time budgets learn from it.
#include <algorithm>
#include <cstring>
#include <optional>

#include "core/push.h"
#include "graph/plan.hpp"
#include "graph/time_stamps.hpp"

namespace heron {

// Two queries a dispatch, so that no time counts that passes between two slices. The step itself copies
// them to memory that the host reads: what has run is there, and queries that never ran are never asked for.
void Plan::Impl::create_queries() {
    Device::Impl& device = vk();
    const auto count = static_cast<std::uint32_t>(2 * program(Phase::step).schedule.dispatches.size());
    if (!options.profile || count == 0 || queries != VK_NULL_HANDLE) return;
    if (!device.capabilities.timestamps) {
        device.log(Severity::warning,
                   options.name + ": no timings, because the queue family has no timestamps");
        return;
    }
    stamps = graph.device->create_buffer(count * sizeof(std::uint64_t), MemoryKind::readback,
                                         options.name + " timings");
    forget_timings();
    VkQueryPoolCreateInfo info{VK_STRUCTURE_TYPE_QUERY_POOL_CREATE_INFO};
    info.queryType = VK_QUERY_TYPE_TIMESTAMP;
    info.queryCount = count;
    device.check(device.vk.CreateQueryPool(device.device, &info, device.allocator, &queries),
                 "vkCreateQueryPool", options.name);
    device.name(VK_OBJECT_TYPE_QUERY_POOL, queries, options.name);
}

void Plan::Impl::forget_timings() {
    if (stamps.bytes() == 0) return;
    std::memset(stamps.mapped(), 0, stamps.bytes());
    vk().flush(stamps.range());
}

void Plan::Impl::record_stamp(VkCommandBuffer commands, std::uint32_t query) const {
    vk().vk.CmdWriteTimestamp2(commands, VK_PIPELINE_STAGE_2_COMPUTE_SHADER_BIT, queries, query);
}

namespace {

constexpr std::uint64_t kLeftOut = ~std::uint64_t{0};  // in place of the stamps of what a step left out

}  // namespace

void Plan::Impl::record_stamp_copies(VkCommandBuffer commands, std::uint32_t first, std::uint32_t end,
                                     Sections which) const {
    constexpr VkDeviceSize kStride = sizeof(std::uint64_t);
    const std::vector<Dispatch>& dispatches = program(Phase::step).schedule.dispatches;
    const BufferRange range = stamps.range();
    const auto left_out = [&](std::uint32_t d) {
        return which == Sections::none && dispatches[d].in_section();
    };
    for (std::uint32_t begin = first, stop; begin < end; begin = stop) {
        for (stop = begin + 1; stop < end && left_out(stop) == left_out(begin);) ++stop;
        const VkDeviceSize place = range.offset + 2 * begin * kStride;
        if (left_out(begin))
            vk().vk.CmdFillBuffer(commands, range.buffer, place, 2 * (stop - begin) * kStride,
                                  static_cast<std::uint32_t>(kLeftOut));
        else
            vk().vk.CmdCopyQueryPoolResults(commands, queries, 2 * begin, 2 * (stop - begin), range.buffer,
                                            place, kStride,
                                            VK_QUERY_RESULT_64_BIT | VK_QUERY_RESULT_WAIT_BIT);
    }
}

namespace {

// Whether the operation did its work in the step that `status` tells of, as far as is known: guarded ones do
// nothing in a skipped step, those of a section nothing in the steps between.
bool surely_ran(const Node& node, const std::optional<gpu::StepControl>& status) {
    if (!node.operation.guarded && node.section.every_step()) return true;
    if (!status || status->tick == 0 || (node.operation.guarded && status->skip != 0)) return false;
    // As optim/advance.comp counts for sections; what a gate was is known on the device alone.
    return node.section.runs(std::max(status->step, 1u) - 1, node.section.gate == 0);
}

}  // namespace

std::vector<DispatchTiming> Plan::timings() {
    Impl& plan = impl();
    plan.vk().check_alive();
    if (plan.queries == VK_NULL_HANDLE) return {};
    plan.vk().invalidate(plan.stamps.range());
    std::vector<std::uint64_t> stamps(plan.stamps.bytes() / sizeof(std::uint64_t));
    std::memcpy(stamps.data(), plan.stamps.mapped(), stamps.size() * sizeof(stamps[0]));
    const Capabilities& device = plan.vk().capabilities;
    // Of two steps, where some slices of one have run: not before all of them have.
    std::optional<std::uint64_t> before;
    for (const std::uint64_t stamp : stamps) {
        if (stamp == kLeftOut) continue;
        if (stamp == 0 || (before && !in_order(*before, stamp, device.timestamp_bits))) return {};
        before = stamp;
    }

    std::optional<gpu::StepControl> status;
    if (plan.graph.status)
        std::memcpy(&status.emplace(), readback(plan.graph.status).data(), sizeof(*status));
    Program& step = plan.program(Phase::step);
    std::vector<DispatchTiming> timings;
    for (std::size_t d = 0; d < step.schedule.dispatches.size(); ++d) {
        const Batch& batch = step.schedule.batches[step.schedule.dispatches[d].batch];
        const Node& node = plan.graph.nodes[batch.nodes.front()];
        const bool left_out = stamps[2 * d] == kLeftOut;
        const std::uint64_t ticks =
            left_out ? 0 : elapsed_ticks(stamps[2 * d], stamps[2 * d + 1], device.timestamp_bits);
        const double ns = static_cast<double>(ticks) * device.timestamp_period_ns;
        timings.push_back({plan.graph.stages[node.stage], node.operation.kernel->name, ns});
        // What may not have run costs no less than it did: a budget must hold when it runs again.
        step.cost_ns[d] = !left_out && surely_ran(node, status) ? ns : std::max(step.cost_ns[d], ns);
    }
    return timings;
}

}  // namespace heron
