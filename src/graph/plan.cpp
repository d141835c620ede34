// SPDX-License-Identifier: MIT
// Plan: what a compiled graph needs, where its objects lie in the plan's memory, and its pipelines.
#include "graph/plan.hpp"

#include <algorithm>

#include "core/shared.h"
#include "graph/arena.hpp"

namespace heron {

namespace {

RegionKind region_of(ObjectKind kind) {
    switch (kind) {
        case ObjectKind::state:
        case ObjectKind::arguments:
            return RegionKind::state;
        case ObjectKind::table:
            return RegionKind::tables;
        case ObjectKind::readback:
            return RegionKind::readback;
        default:
            return RegionKind::workspace;
    }
}

// Estimates until there are timings: a step's slices need a scale, not the truth. Overhead as measured on
// lavapipe (6 us) and published for a Radeon Pro W7900 (0.9 us); rates are those of a weak device of its
// class.
double estimated_ns(const Dispatch& dispatch, bool cpu) {
    const double overhead = cpu ? 6000.0 : 900.0;
    const double flops_per_ns = cpu ? 10.0 : 1000.0;
    const double bytes_per_ns = cpu ? 10.0 : 100.0;
    return overhead + std::max(dispatch.flops / flops_per_ns, dispatch.bytes / bytes_per_ns);
}

}  // namespace

void Plan::Impl::refuse(const std::string& text) const {
    throw Error(ErrorCode::invalid_argument, options.name + ": " + text);
}

Plan::Impl::Impl(const Graph::Impl& source, const PlanOptions& given)
    : graph(source), options(given), domains(graph.objects), locations(graph.objects.size()) {
    vk().check_alive();
    if (!(options.max_dispatch_flops > 0) || !(options.max_dispatch_bytes > 0))
        refuse("max_dispatch_flops and max_dispatch_bytes must be above 0 (infinity: no limit)");
    const Capabilities& device = vk().capabilities;
    const DispatchLimits limits{options.max_dispatch_flops, options.max_dispatch_bytes,
                                device.max_workgroup_count[0], device.max_workgroup_count[1]};
    for (Phase phase : kPhases) {
        Program& current = program(phase);
        current.schedule = schedule(graph, domains, phase, limits);
        for (const Dispatch& dispatch : current.schedule.dispatches)
            current.cost_ns.push_back(estimated_ns(dispatch, device.cpu));
    }
    number_sections();
    place_objects();
}

Plan::Impl::~Impl() {
    Device::Impl& device = vk();
    device.settle(timeline, submitted);
    if (queries != VK_NULL_HANDLE) device.vk.DestroyQueryPool(device.device, queries, device.allocator);
    if (timeline != VK_NULL_HANDLE) device.vk.DestroySemaphore(device.device, timeline, device.allocator);
    if (pool != VK_NULL_HANDLE) device.vk.DestroyCommandPool(device.device, pool, device.allocator);
}

void Plan::Impl::place_objects() {
    const Capabilities& device = vk().capabilities;
    // 1 MiB below the limits: the device layer pads what it allocates.
    std::uint64_t limit = std::min(device.max_buffer_bytes, device.max_allocation_bytes);
    if (limit == 0) limit = std::uint64_t{1} << 31;
    limit = std::max<std::uint64_t>((limit - (std::uint64_t{1} << 20)) / kRangeAlignment * kRangeAlignment,
                                    1 << 20);
    for (Region& region : regions) region.block_bytes = limit;

    for (const Object& object : graph.objects)
        if (object.kind != ObjectKind::external && object.bytes > limit)
            throw Error(ErrorCode::unsupported,
                        options.name + ": a tensor of " + std::to_string(object.bytes) + " bytes (" +
                            (object.name.empty() ? object.shape.text() : object.name) +
                            ") exceeds the device's largest buffer of " + std::to_string(limit) +
                            " bytes; split the parameter");

    std::array<Arena, kRegionCount> arenas{Arena(limit), Arena(limit), Arena(limit), Arena(limit)};
    for (std::uint32_t id = 0; id < graph.objects.size(); ++id) {
        const Object& object = graph.objects[id];
        locations[id].region = region_of(object.kind);
        if (object.kind == ObjectKind::external || object.kind == ObjectKind::temporary) continue;
        locations[id].offset = arenas[static_cast<std::size_t>(locations[id].region)].place(object.bytes);
    }
    Arena& tables = arenas[static_cast<std::size_t>(RegionKind::tables)];
    for (Phase phase : kPhases)
        for (Batch& batch : program(phase).schedule.batches)
            batch.job_offset = tables.place(batch.nodes.size() *
                                            graph.nodes[batch.nodes.front()].operation.kernel->job_bytes);
    // Whole words: what clears the state fills words, past an odd number of halves too.
    for (std::size_t r = 0; r < kRegionCount; ++r) regions[r].bytes = (arenas[r].bytes() + 3) / 4 * 4;

    for (Phase phase : kPhases) {
        std::vector<TimedRequest> requests;
        std::vector<std::uint32_t> ids;
        Program& current = program(phase);
        for (std::uint32_t id = 0; id < graph.objects.size(); ++id) {
            const Lifetime& life = current.schedule.lifetimes[id];
            if (graph.objects[id].kind != ObjectKind::temporary || life.first > life.last) continue;
            requests.push_back({graph.objects[id].bytes, life.first, life.last});
            ids.push_back(id);
        }
        Region& workspace = region(RegionKind::workspace);
        workspace.bytes = std::max(workspace.bytes, place_by_lifetime(requests, limit));
        current.temporary_offsets.assign(graph.objects.size(), 0);
        for (std::size_t i = 0; i < ids.size(); ++i) current.temporary_offsets[ids[i]] = requests[i].offset;
    }
}

VkDeviceAddress Plan::Impl::address(const Tensor& tensor, Phase phase) const {
    const Object& object = graph.objects[tensor.id];
    if (object.kind == ObjectKind::external) return object.view.address + tensor.byte_offset;
    const Location& location = locations[tensor.id];
    const Region& memory = region(location.region);
    if (memory.addresses.empty()) return 0;  // the region is empty, and so is the tensor
    const std::uint64_t offset =
        object.kind == ObjectKind::temporary ? program(phase).temporary_offsets[tensor.id] : location.offset;
    return memory.address(offset) + tensor.byte_offset;
}

std::uint32_t Plan::Impl::object_named(std::string_view name, ObjectKind kind) const {
    const auto found = graph.names.find(std::string(name));
    if (found == graph.names.end() || graph.objects[found->second].kind != kind)
        refuse(std::string(kind == ObjectKind::state ? "no state" : "no external tensor") + " is named \"" +
               std::string(name) + "\"");
    return found->second;
}

void Plan::Impl::require_memory(const char* what) const {
    vk().check_alive();
    if (!has_memory)
        refuse(std::string(what) + ": the plan has no memory yet; call allocate() or bind() first");
}

void Plan::Impl::require_commands(VkCommandBuffer commands, const char* what) const {
    if (commands == VK_NULL_HANDLE) refuse(std::string(what) + ": the command buffer is null");
}

void Plan::Impl::require_no_slice(const char* what) const {
    if (cursor != 0)
        refuse(std::string(what) + ": a sliced step is not complete; finish it with record_slice()");
}

void Plan::Impl::require_initialized(const char* what) const {
    if (initialized) return;
    if (region(RegionKind::state).bytes == 0 && program(Phase::initialize).schedule.dispatches.empty())
        return;
    refuse(std::string(what) +
           ": the states hold nothing yet; call initialize() or record_initialize() first");
}

Plan::Plan() = default;
Plan::Plan(std::unique_ptr<Impl> impl) : impl_(std::move(impl)) {}
Plan::Plan(Plan&&) noexcept = default;
Plan& Plan::operator=(Plan&&) noexcept = default;
Plan::~Plan() = default;

Plan::Impl& Plan::impl() const {
    if (!impl_)
        throw Error(ErrorCode::invalid_argument,
                    "the plan is empty; assign one that Graph::compile or heron::compile made");
    return *impl_;
}

std::uint64_t Plan::state_bytes() const { return impl().region(RegionKind::state).bytes; }
std::uint64_t Plan::workspace_bytes() const { return impl().region(RegionKind::workspace).bytes; }
std::uint64_t Plan::table_bytes() const { return impl().region(RegionKind::tables).bytes; }
std::uint64_t Plan::readback_bytes() const { return impl().region(RegionKind::readback).bytes; }

void Plan::prewarm() {
    impl().vk().check_alive();
    if (impl().prewarmed) return;
    for (Program& program : impl().programs) {
        program.pipelines.clear();
        for (const Batch& batch : program.schedule.batches) {
            const Operation& operation = impl().graph.nodes[batch.nodes.front()].operation;
            std::vector<SpecializationConstant> constants;
            KernelDesc description;
            for (const SpecConstant& constant : operation.constants) {
                constants.push_back({constant.id, constant.value});
                if (constant.id == gpu::SPEC_THREADS) description.threads = constant.value;
                if (constant.id == gpu::SPEC_SUBGROUP) description.subgroup = constant.value;
            }
            description.spirv = operation.kernel->spirv;
            description.name = operation.kernel->name;
            description.constants = constants;
            program.pipelines.push_back(impl().vk().pipelines->get(description));
        }
    }
    impl().create_queries();
    impl().prewarmed = true;
}

const Device& Plan::device() const { return *impl().graph.device; }

}  // namespace heron
