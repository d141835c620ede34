// SPDX-License-Identifier: MIT
// Plan: sizes, memory, job arrays.
#include "graph/plan.hpp"

#include <algorithm>
#include <cstring>

#include "core/section.h"
#include "core/shared.h"
#include "graph/arena.hpp"

namespace heron {

static_assert(sizeof(gpu::SectionEntry) == 4 * gpu::SECTION_TABLE_HEADER_WORDS);

namespace {

constexpr std::uint64_t kRangeAlignment = 256;

const char* name_of(RegionKind kind) {
    switch (kind) {
        case RegionKind::state:
            return "state";
        case RegionKind::workspace:
            return "workspace";
        case RegionKind::tables:
            return "tables";
        case RegionKind::readback:
            return "readback";
    }
    return "?";
}

MemoryKind memory_of(RegionKind kind) {
    switch (kind) {
        case RegionKind::tables:
            return MemoryKind::upload;
        case RegionKind::readback:
            return MemoryKind::readback;
        default:
            return MemoryKind::device;
    }
}

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

std::span<std::byte> Region::mapped(std::uint64_t offset, std::uint64_t size) const {
    const BufferRange& block = blocks[offset / block_bytes];
    return {static_cast<std::byte*>(block.mapped) + offset % block_bytes, size};
}

void Plan::Impl::refuse(const std::string& text) const {
    throw Error(ErrorCode::invalid_argument, options.name + ": " + text);
}

Plan::Impl::Impl(const Graph::Impl& source, const PlanOptions& given)
    : graph(source), options(given), domains(graph.objects), locations(graph.objects.size()) {
    vk().check_alive();
    if (!(options.max_dispatch_flops > 0) || !(options.max_dispatch_bytes > 0))
        refuse("the limits of a dispatch must be positive");
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
    if (queries != VK_NULL_HANDLE) device.vk.DestroyQueryPool(device.device, queries, device.allocator);
    if (timeline != VK_NULL_HANDLE) device.vk.DestroySemaphore(device.device, timeline, device.allocator);
    if (pool != VK_NULL_HANDLE) device.vk.DestroyCommandPool(device.device, pool, device.allocator);
}

// Gives every dispatch of a section its place in the indirect arguments, and the table its size.
void Plan::Impl::number_sections() {
    DispatchSchedule& step = program(Phase::step).schedule;
    for (std::uint32_t d = 0; d < step.dispatches.size(); ++d) {
        const Node& node = graph.nodes[step.batches[step.dispatches[d].batch].nodes.front()];
        if (node.section.interval <= 1) continue;
        step.dispatches[d].section_entry = static_cast<std::uint32_t>(section_dispatches.size());
        section_dispatches.push_back(d);
    }
    if (graph.section_table) {
        Object& table = graph.objects[graph.section_table.id];
        table.contents.resize((section_dispatches.size() + 1) * sizeof(gpu::SectionEntry));
        table.bytes = table.contents.size();
        table.shape = Shape{table.bytes / 4};
        std::vector<gpu::SectionEntry> entries(section_dispatches.size() + 1);
        entries[0].x = static_cast<std::uint32_t>(section_dispatches.size());
        for (std::size_t i = 0; i < section_dispatches.size(); ++i) {
            const Dispatch& dispatch = step.dispatches[section_dispatches[i]];
            const Section& section = graph.nodes[step.batches[dispatch.batch].nodes.front()].section;
            entries[i + 1] = {dispatch.x, dispatch.y, section.interval, section.phase};
        }
        std::memcpy(table.contents.data(), entries.data(), table.contents.size());
    }
    if (graph.section_arguments) {
        Object& arguments = graph.objects[graph.section_arguments.id];
        arguments.bytes =
            std::max<std::uint64_t>(4, section_dispatches.size() * gpu::SECTION_ARGUMENT_WORDS * 4);
        arguments.shape = Shape{arguments.bytes / 4};
    }
    if (!section_dispatches.empty() && !graph.section_table)
        refuse(
            "there are sections, but no operation reads the section table and writes the section arguments; "
            "heron::compile adds one");
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
    for (std::size_t r = 0; r < kRegionCount; ++r) regions[r].bytes = arenas[r].bytes();

    for (Phase phase : kPhases) {
        std::vector<TimedRequest> requests;
        std::vector<std::uint32_t> ids;
        const DispatchSchedule& schedule = program(phase).schedule;
        for (std::uint32_t id = 0; id < graph.objects.size(); ++id) {
            const Lifetime& life = schedule.lifetimes[id];
            if (graph.objects[id].kind != ObjectKind::temporary || life.first > life.last) continue;
            requests.push_back({graph.objects[id].bytes, life.first, life.last});
            ids.push_back(id);
        }
        Region& workspace = region(RegionKind::workspace);
        workspace.bytes = std::max(workspace.bytes, place_by_lifetime(requests, limit));
        for (std::size_t i = 0; i < ids.size(); ++i) locations[ids[i]].offset = requests[i].offset;
    }
}

VkDeviceAddress Plan::Impl::address(const Tensor& tensor) const {
    const Object& object = graph.objects[tensor.id];
    if (object.kind == ObjectKind::external) return object.view.address + tensor.byte_offset;
    const Location& location = locations[tensor.id];
    const Region& memory = region(location.region);
    if (memory.addresses.empty()) return 0;  // the region is empty, and so is the tensor
    return memory.address(location.offset) + tensor.byte_offset;
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

void Plan::Impl::require_initialized(const char* what) const {
    if (initialized) return;
    if (region(RegionKind::state).bytes == 0 && program(Phase::initialize).schedule.dispatches.empty())
        return;
    refuse(std::string(what) +
           ": the states hold nothing yet; call initialize() or record_initialize() first");
}

void Plan::Impl::set_block(RegionKind kind, const BufferRange& range, VkDeviceAddress address) {
    region(kind).blocks.push_back(range);
    region(kind).addresses.push_back(address);
}

// One query for the step's start and one for the end of each dispatch.
void Plan::Impl::create_queries() {
    Device::Impl& device = vk();
    if (!options.profile || queries != VK_NULL_HANDLE) return;
    if (!device.capabilities.timestamps) {
        device.log(Severity::warning,
                   options.name + ": no timings, because the queue family has no timestamps");
        return;
    }
    VkQueryPoolCreateInfo info{VK_STRUCTURE_TYPE_QUERY_POOL_CREATE_INFO};
    info.queryType = VK_QUERY_TYPE_TIMESTAMP;
    info.queryCount = static_cast<std::uint32_t>(program(Phase::step).schedule.dispatches.size() + 1);
    device.check(device.vk.CreateQueryPool(device.device, &info, device.allocator, &queries),
                 "vkCreateQueryPool", options.name);
    device.name(VK_OBJECT_TYPE_QUERY_POOL, queries, options.name);
}

void Plan::Impl::write_jobs(Phase phase) {
    const Region& tables = region(RegionKind::tables);
    for (const Batch& batch : program(phase).schedule.batches) {
        const KernelInfo& kernel = *graph.nodes[batch.nodes.front()].operation.kernel;
        std::byte* to = tables.mapped(batch.job_offset, batch.nodes.size() * kernel.job_bytes).data();
        std::uint32_t first_group = 0;
        for (std::uint32_t n : batch.nodes) {
            const Operation& operation = graph.nodes[n].operation;
            std::memcpy(to, operation.job.data(), kernel.job_bytes);
            for (const Operand& operand : operation.operands) {
                if (operand.field == Operand::kNoField) continue;
                const VkDeviceAddress where = address(operand.tensor);
                std::memcpy(to + operand.field, &where, sizeof(where));
            }
            std::memcpy(to + kernel.first_group_offset, &first_group, sizeof(first_group));
            first_group += static_cast<std::uint32_t>(operation.groups);
            to += kernel.job_bytes;
        }
    }
}

void Plan::Impl::write_tables() {
    const Region& tables = region(RegionKind::tables);
    for (std::uint32_t id = 0; id < graph.objects.size(); ++id) {
        const Object& object = graph.objects[id];
        if (object.kind == ObjectKind::table && object.bytes > 0)
            std::memcpy(tables.mapped(locations[id].offset, object.bytes).data(), object.contents.data(),
                        object.bytes);
    }
    for (Phase phase : kPhases) write_jobs(phase);
    for (const BufferRange& block : tables.blocks) vk().flush(block);
    for (const BufferRange& block : region(RegionKind::readback).blocks) {
        std::memset(block.mapped, 0, block.bytes);
        vk().flush(block);
    }
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

void Plan::allocate() {
    if (impl().has_memory) impl().refuse("allocate: the plan has its memory already");
    prewarm();
    const Device& device = *impl().graph.device;
    std::array<Region, kRegionCount> regions = [&] {
        std::array<Region, kRegionCount> fresh;
        for (std::size_t r = 0; r < kRegionCount; ++r) {
            const auto kind = static_cast<RegionKind>(r);
            Region& region = fresh[r];
            region.bytes = impl().regions[r].bytes;
            region.block_bytes = impl().regions[r].block_bytes;
            for (std::uint64_t begin = 0; begin < region.bytes; begin += region.block_bytes) {
                const std::uint64_t bytes = std::min(region.block_bytes, region.bytes - begin);
                region.owned.push_back(
                    device.create_buffer(bytes, memory_of(kind), impl().options.name + " " + name_of(kind)));
                region.blocks.push_back(region.owned.back().range());
                region.addresses.push_back(region.owned.back().address());
            }
        }
        return fresh;
    }();
    impl().regions = std::move(regions);
    impl().write_tables();
    impl().has_memory = true;
}

void Plan::bind(const PlanMemory& memory) {
    if (impl().has_memory) impl().refuse("bind: the plan has its memory already");
    const std::array<BufferRange, kRegionCount> ranges{memory.state, memory.workspace, memory.tables,
                                                       memory.readback};
    for (std::size_t r = 0; r < kRegionCount; ++r) {
        const Region& region = impl().regions[r];
        const BufferRange& range = ranges[r];
        if (region.bytes == 0) continue;
        const std::string who = std::string("bind: the range for ") + name_of(static_cast<RegionKind>(r));
        if (range.buffer == VK_NULL_HANDLE) impl().refuse(who + " has no buffer");
        if (range.bytes < region.bytes)
            impl().refuse(who + " has " + std::to_string(range.bytes) + " bytes, the plan needs " +
                          std::to_string(region.bytes));
        if (range.offset % kRangeAlignment != 0)
            impl().refuse(who + " does not start at a multiple of 256 bytes");
        if ((range.usage & VK_BUFFER_USAGE_SHADER_DEVICE_ADDRESS_BIT) == 0)
            impl().refuse(who + " was created without VK_BUFFER_USAGE_SHADER_DEVICE_ADDRESS_BIT");
        const auto kind = static_cast<RegionKind>(r);
        if (kind == RegionKind::state && (range.usage & VK_BUFFER_USAGE_TRANSFER_DST_BIT) == 0)
            impl().refuse(who +
                          " was created without VK_BUFFER_USAGE_TRANSFER_DST_BIT, which clearing it needs");
        if (kind == RegionKind::state && !impl().section_dispatches.empty() &&
            (range.usage & VK_BUFFER_USAGE_INDIRECT_BUFFER_BIT) == 0)
            impl().refuse(who +
                          " was created without VK_BUFFER_USAGE_INDIRECT_BUFFER_BIT, which sections need");
        if ((kind == RegionKind::tables || kind == RegionKind::readback) && range.mapped == nullptr)
            impl().refuse(who + " is not mapped");
    }
    prewarm();
    Device::Impl& device = impl().vk();
    for (std::size_t r = 0; r < kRegionCount; ++r) {
        Region& region = impl().regions[r];
        if (region.bytes == 0) continue;
        BufferRange range = ranges[r];
        range.bytes = region.bytes;
        const VkBufferDeviceAddressInfo info{VK_STRUCTURE_TYPE_BUFFER_DEVICE_ADDRESS_INFO, nullptr,
                                             range.buffer};
        const VkDeviceAddress base = device.vk.GetBufferDeviceAddress(device.device, &info) + range.offset;
        region.block_bytes = ~std::uint64_t{0};  // the caller's buffer is one piece
        impl().set_block(static_cast<RegionKind>(r), range, base);
    }
    impl().write_tables();
    impl().has_memory = true;
}

void Plan::rebind(std::span<const Rebinding> bindings) {
    impl().vk().check_alive();
    std::vector<Object> moved = impl().graph.objects;
    for (const Rebinding& binding : bindings) {
        const std::uint32_t id = impl().object_named(binding.name, ObjectKind::external);
        Object& object = moved[id];
        const std::string who = "rebind \"" + object.name + "\": ";
        if (binding.view.device != 0 && binding.view.device != device().id())
            impl().refuse(who + "the memory belongs to another device");
        if (binding.view.address == 0 || binding.view.address % 4 != 0)
            impl().refuse(who + "the address is null or not a multiple of 4 bytes");
        if (binding.view.dtype != object.dtype || !(binding.view.shape == object.shape) ||
            binding.view.row_stride != object.view.row_stride)
            impl().refuse(who + "the new view is " + to_string(binding.view.dtype) + " " +
                          binding.view.shape.text() + ", the tensor is " + to_string(object.dtype) + " " +
                          object.shape.text() + "; dtype, shape and row stride must stay");
        if (impl().domains.shared(id)) impl().refuse(who + "tensors that overlap others cannot be moved");
        object.view = binding.view;
    }
    const Domains domains(moved);
    for (std::uint32_t id = 0; id < moved.size(); ++id)
        if (domains.shared(id) != impl().domains.shared(id))
            impl().refuse("rebind: \"" + moved[id].name + "\" would overlap another tensor");
    impl().graph.objects = std::move(moved);
    impl().domains = domains;
    if (!impl().has_memory) return;
    for (Phase phase : kPhases) impl().write_jobs(phase);
    for (const BufferRange& block : impl().region(RegionKind::tables).blocks) impl().vk().flush(block);
}

std::span<const std::byte> Plan::table(const Tensor& tensor) const {
    impl().require_memory("table");
    if (tensor.id >= impl().graph.objects.size() || impl().graph.objects[tensor.id].kind != ObjectKind::table)
        impl().refuse("table: the tensor is not a table of this plan");
    return impl()
        .region(RegionKind::tables)
        .mapped(impl().locations[tensor.id].offset + tensor.byte_offset, tensor.span_bytes());
}

void Plan::write_table(const Tensor& tensor, std::span<const std::byte> bytes, std::uint64_t byte_offset) {
    const std::span<const std::byte> whole = table(tensor);
    if (byte_offset > whole.size() || bytes.size() > whole.size() - byte_offset)
        impl().refuse("write_table: " + std::to_string(bytes.size()) + " bytes at " +
                      std::to_string(byte_offset) + " of a table of " + std::to_string(whole.size()));
    const Region& tables = impl().region(RegionKind::tables);
    const std::uint64_t offset = impl().locations[tensor.id].offset + tensor.byte_offset + byte_offset;
    std::memcpy(tables.mapped(offset, bytes.size()).data(), bytes.data(), bytes.size());
    for (const BufferRange& block : tables.blocks) impl().vk().flush(block);
}

std::span<const std::byte> Plan::readback(const Tensor& tensor) const {
    impl().require_memory("readback");
    if (tensor.id >= impl().graph.objects.size() ||
        impl().graph.objects[tensor.id].kind != ObjectKind::readback)
        impl().refuse("readback: the tensor is not readback memory of this plan");
    const Region& region = impl().region(RegionKind::readback);
    for (const BufferRange& block : region.blocks) impl().vk().invalidate(block);
    return region.mapped(impl().locations[tensor.id].offset + tensor.byte_offset, tensor.span_bytes());
}

TensorView Plan::view(const Tensor& tensor) const {
    impl().require_memory("view");
    if (tensor.id >= impl().graph.objects.size()) impl().refuse("view: the tensor is not of this plan");
    return {impl().address(tensor), tensor.dtype, tensor.shape, tensor.row_stride, device().id()};
}

const Device& Plan::device() const { return *impl().graph.device; }

}  // namespace heron
