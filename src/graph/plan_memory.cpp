// SPDX-License-Identifier: MIT
// Plan: the memory itself. Where it comes from, what the host writes into it, and externals that move.
#include <algorithm>
#include <array>
#include <bit>
#include <cstdio>
#include <cstring>
#include <vector>

#include "graph/plan.hpp"

namespace heron {

namespace {

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

// The blocks of a region.
std::vector<MemoryRequest> requests_for(const Region& region, RegionKind kind) {
    std::vector<MemoryRequest> requests;
    for (std::uint64_t begin = 0; begin < region.bytes; begin += region.block_bytes)
        requests.push_back({.kind = memory_of(kind),
                            .bytes = std::min(region.block_bytes, region.bytes - begin),
                            .alignment = kRangeAlignment,
                            .purpose = name_of(kind)});
    return requests;
}

// Elements between two rows; what a view of one row says of it means nothing.
std::uint64_t stride_of(const TensorView& view) {
    const std::uint64_t cols = view.shape.rank() == 0 ? 1 : view.shape[view.shape.rank() - 1];
    return view.row_stride == 0 || view.shape.rank() < 2 ? cols : view.row_stride;
}

std::string text_of(const TensorView& view) {
    return std::string(to_string(view.dtype)) + " " + view.shape.text() + " with a row stride of " +
           std::to_string(stride_of(view));
}

}  // namespace

std::span<std::byte> Region::mapped(std::uint64_t offset, std::uint64_t size) const {
    const BufferRange& block = blocks[offset / block_bytes];
    return {static_cast<std::byte*>(block.mapped) + offset % block_bytes, size};
}

// For the addresses that no operand of a job fills. Kernels do not use them, but lavapipe 26.1 loads what is
// at an address common to a subgroup on both sides of a branch: the job's longest operand, so that indices
// stay inside of it, at a multiple of 16 bytes, which vectors may want. A kernel that may go further there
// gets a stand-in as its operand.
VkDeviceAddress Plan::Impl::spare_address(const Operation& operation, Phase phase,
                                          VkDeviceAddress jobs) const {
    VkDeviceAddress spare = jobs;
    std::uint64_t longest = 0;
    for (const Operand& operand : operation.operands) {
        const VkDeviceAddress where = address(operand.tensor, phase);
        const std::uint64_t bytes = operand.tensor.span_bytes();
        if (bytes <= longest || where % 16 != 0) continue;
        spare = where;
        longest = bytes;
    }
    return spare;
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
                const VkDeviceAddress where = address(operand.tensor, phase);
                std::memcpy(to + operand.field, &where, sizeof(where));
            }
            const VkDeviceAddress spare = spare_address(operation, phase, tables.address(batch.job_offset));
            for (std::uint64_t slots = kernel.address_slots; slots != 0; slots &= slots - 1) {
                std::byte* member = to + std::countr_zero(slots) * sizeof(spare);
                VkDeviceAddress where = 0;
                std::memcpy(&where, member, sizeof(where));
                if (where == 0) std::memcpy(member, &spare, sizeof(spare));
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

// The caller's ranges as regions, each checked for itself.
PlanRegions Plan::Impl::bound_regions(const PlanMemory& memory) const {
    const std::array<BufferRange, kRegionCount> ranges{memory.state, memory.workspace, memory.tables,
                                                       memory.readback};
    PlanRegions bound;
    for (std::size_t r = 0; r < kRegionCount; ++r) {
        const auto kind = static_cast<RegionKind>(r);
        bound[r].bytes = regions[r].bytes;
        bound[r].block_bytes = ~std::uint64_t{0};  // the caller's buffer is one piece
        if (regions[r].bytes == 0) continue;
        BufferRange range = ranges[r];
        const std::string who = std::string("bind: the range for ") + name_of(kind);
        if (range.buffer == VK_NULL_HANDLE) refuse(who + " has no buffer");
        if (range.bytes < regions[r].bytes)
            refuse(who + " has " + std::to_string(range.bytes) + " bytes, the plan needs " +
                   std::to_string(regions[r].bytes));
        if (range.offset % kRangeAlignment != 0) refuse(who + " does not start at a multiple of 256 bytes");
        if ((range.usage & VK_BUFFER_USAGE_SHADER_DEVICE_ADDRESS_BIT) == 0)
            refuse(who + " was created without VK_BUFFER_USAGE_SHADER_DEVICE_ADDRESS_BIT");
        if (kind == RegionKind::state && (range.usage & VK_BUFFER_USAGE_TRANSFER_DST_BIT) == 0)
            refuse(who + " was created without VK_BUFFER_USAGE_TRANSFER_DST_BIT, which clearing it needs");
        if (kind == RegionKind::state && !section_dispatches.empty() &&
            (range.usage & VK_BUFFER_USAGE_INDIRECT_BUFFER_BIT) == 0)
            refuse(who + " was created without VK_BUFFER_USAGE_INDIRECT_BUFFER_BIT, which sections need");
        if ((kind == RegionKind::tables || kind == RegionKind::readback) && range.mapped == nullptr)
            refuse(who + " is not mapped");
        range.bytes = regions[r].bytes;  // what is beyond stays the caller's
        const VkBufferDeviceAddressInfo info{VK_STRUCTURE_TYPE_BUFFER_DEVICE_ADDRESS_INFO, nullptr,
                                             range.buffer};
        bound[r].addresses.push_back(vk().vk.GetBufferDeviceAddress(vk().device, &info) + range.offset);
        bound[r].blocks.push_back(range);
    }
    return bound;
}

// A plan trusts that its memory is its own: the schedule orders accesses to objects, and only those of
// externals may share bytes, with each other.
void Plan::Impl::refuse_overlaps(const char* what, const PlanRegions& memory,
                                 const std::vector<Object>& objects) const {
    struct Range {
        std::string name;
        VkDeviceAddress begin;
        VkDeviceAddress end;
        bool external;
    };
    std::vector<Range> ranges;
    for (std::size_t r = 0; r < kRegionCount; ++r)
        for (std::size_t b = 0; b < memory[r].blocks.size(); ++b)
            ranges.push_back({std::string("the range for ") + name_of(static_cast<RegionKind>(r)),
                              memory[r].addresses[b], memory[r].addresses[b] + memory[r].blocks[b].bytes,
                              false});
    for (const Object& object : objects)
        if (object.kind == ObjectKind::external && object.bytes > 0)
            ranges.push_back({"the tensor \"" + object.name + "\"", object.view.address,
                              object.view.address + object.bytes, true});
    std::sort(ranges.begin(), ranges.end(), [](const Range& a, const Range& b) { return a.begin < b.begin; });

    const auto text = [](const Range& range) {
        char addresses[64];
        std::snprintf(addresses, sizeof(addresses), " [0x%llx, 0x%llx)",
                      static_cast<unsigned long long>(range.begin),
                      static_cast<unsigned long long>(range.end));
        return range.name + addresses;
    };
    const Range* own = nullptr;    // of the plan's ranges so far, the one that ends last
    const Range* other = nullptr;  // of the externals
    for (const Range& range : ranges) {
        for (const Range* before : {own, range.external ? nullptr : other})
            if (before != nullptr && range.begin < before->end)
                refuse(std::string(what) + ": " + text(*before) + " and " + text(range) +
                       " overlap; nothing else may use the bytes that a plan was given");
        const Range*& last = range.external ? other : own;
        if (last == nullptr || range.end > last->end) last = &range;
    }
}

void Plan::Impl::take(PlanRegions memory) {
    std::swap(regions, memory);
    try {
        write_tables();
        create_submission_objects();
    } catch (...) {
        forget_commands();
        std::swap(regions, memory);
        throw;
    }
    has_memory = true;
}

void Plan::allocate() {
    if (impl().has_memory) impl().refuse("allocate: the plan has its memory already");
    impl().vk().check_alive();
    std::array<std::vector<MemoryRequest>, kRegionCount> requests;
    std::vector<MemoryRequest> all;
    for (std::size_t r = 0; r < kRegionCount; ++r) {
        requests[r] = requests_for(impl().regions[r], static_cast<RegionKind>(r));
        all.insert(all.end(), requests[r].begin(), requests[r].end());
    }
    impl().vk().memory->require(all, impl().options.name);
    prewarm();
    PlanRegions fresh;
    for (std::size_t r = 0; r < kRegionCount; ++r) {
        Region& region = fresh[r];
        region.bytes = impl().regions[r].bytes;
        region.block_bytes = impl().regions[r].block_bytes;
        for (const MemoryRequest& request : requests[r]) {
            region.owned.push_back(BufferAccess::create(impl().vk(), request, impl().options.name));
            region.blocks.push_back(region.owned.back().range());
            region.addresses.push_back(region.owned.back().address());
            region.coherent = region.coherent && impl().vk().memory->coherent(region.blocks.back());
        }
    }
    impl().take(std::move(fresh));
}

void Plan::bind(const PlanMemory& memory) {
    impl().vk().check_alive();
    if (impl().has_memory) impl().refuse("bind: the plan has its memory already");
    PlanRegions bound = impl().bound_regions(memory);
    impl().refuse_overlaps("bind", bound, impl().graph.objects);
    prewarm();
    impl().take(std::move(bound));
}

void Plan::rebind(std::span<const Rebinding> bindings) {
    impl().vk().check_alive();
    impl().require_no_slice("rebind");
    std::vector<Object> moved = impl().graph.objects;
    for (const Rebinding& binding : bindings) {
        const std::uint32_t id = impl().object_named(binding.name, ObjectKind::external);
        Object& object = moved[id];
        const std::string who = "rebind \"" + object.name + "\": ";
        if (binding.view.device != 0 && binding.view.device != device().id())
            impl().refuse(who + "the memory belongs to another device");
        if (binding.view.address == 0 || binding.view.address % 4 != 0)
            impl().refuse(who + "the address is null or not a multiple of 4 bytes");
        if (binding.view.address + object.bytes < binding.view.address)
            impl().refuse(who + "the tensor would reach beyond the end of the address space");
        if (binding.view.dtype != object.dtype || !(binding.view.shape == object.shape) ||
            stride_of(binding.view) != stride_of(object.view))
            impl().refuse(who + "the new view is " + text_of(binding.view) + ", the tensor is " +
                          text_of(object.view) + "; dtype, shape and row stride must stay");
        object.view.address = binding.view.address;
    }
    const Domains domains(moved);
    for (std::uint32_t id = 0; id < moved.size(); ++id)
        if (!domains.same(impl().domains, id))
            impl().refuse(
                "rebind: \"" + moved[id].name +
                "\" would overlap other tensors than before; those that share memory move together");
    impl().refuse_overlaps("rebind", impl().regions, moved);
    impl().graph.objects = std::move(moved);
    impl().domains = domains;
    if (!impl().has_memory) return;
    for (Phase phase : kPhases) impl().write_jobs(phase);
    for (const BufferRange& block : impl().region(RegionKind::tables).blocks) impl().vk().flush(block);
}

std::span<const std::byte> Plan::table(const Tensor& tensor) const {
    impl().require_memory("table");
    if (!impl().graph.owns(tensor) || impl().graph.objects[tensor.id].kind != ObjectKind::table)
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
    if (!impl().graph.owns(tensor) || impl().graph.objects[tensor.id].kind != ObjectKind::readback)
        impl().refuse("readback: the tensor is not readback memory of this plan");
    const Region& region = impl().region(RegionKind::readback);
    for (const BufferRange& block : region.blocks) impl().vk().invalidate(block);
    return region.mapped(impl().locations[tensor.id].offset + tensor.byte_offset, tensor.span_bytes());
}

TensorView Plan::view(const Tensor& tensor) const {
    impl().require_memory("view");
    if (!impl().graph.owns(tensor)) impl().refuse("view: the tensor is not of this plan");
    return {impl().address(tensor), tensor.dtype, tensor.shape, tensor.row_stride, device().id()};
}

}  // namespace heron
