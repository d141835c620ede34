// SPDX-License-Identifier: MIT
// Graph and Tensor: collecting operations, and refusing what does not fit before anything is scheduled.
#include "graph/graph.hpp"

#include <algorithm>
#include <atomic>

#include "core/push.h"
#include "core/section.h"
#include "graph/plan.hpp"
#include "graph/schedule.hpp"
#include "state/safetensors_format.hpp"

namespace heron {

namespace {

[[noreturn]] void refuse(const std::string& text) { throw Error(ErrorCode::invalid_argument, text); }

// Externals and states are saved under their names.
void check_name(const char* who, const std::string& name) {
    if (name.empty()) refuse(std::string(who) + ": a tensor that can be saved needs a name");
    const std::string_view problem = state::name_problem(name);
    if (!problem.empty())
        refuse(std::string(who) + " " + state::in_quotes(name) + ": " + std::string(problem));
}

std::uint64_t bytes_for(const std::string& who, DType dtype, const Shape& shape) {
    try {
        return TensorView{0, dtype, shape}.span_bytes();
    } catch (const Error& error) {
        refuse(who + ": " + error.what());
    }
}

}  // namespace

std::uint64_t Section::next_run(std::uint32_t from) const {
    if (first && from <= start) return start;
    std::uint64_t step = std::max(from, start);
    for (;;) {
        const std::uint64_t now = interval_at(static_cast<std::uint32_t>(step));
        const std::uint64_t turn = step + (phase % now + now - step % now) % now;
        const std::uint64_t growth_end = growth > 0 ? (step / growth + 1) * growth : ~std::uint64_t{0};
        if (turn < growth_end || growth_end > 0xffffffffu || step / growth >= doublings) return turn;
        step = growth_end;  // the interval doubles before its turn comes
    }
}

std::uint64_t Tensor::rows() const { return shape.rank() < 2 ? 1 : shape[shape.rank() - 2]; }
std::uint64_t Tensor::cols() const { return shape.rank() < 1 ? 1 : shape[shape.rank() - 1]; }

std::uint64_t Tensor::batch() const {
    std::uint64_t product = 1;
    for (std::size_t axis = 0; axis + 2 < shape.rank(); ++axis) product *= shape[axis];
    return product;
}

std::uint64_t Tensor::stride() const { return row_stride == 0 ? cols() : row_stride; }

std::uint64_t Tensor::span_bytes() const { return TensorView{0, dtype, shape, row_stride}.span_bytes(); }

Tensor Tensor::row_range(std::uint64_t first, std::uint64_t count) const {
    if (shape.rank() != 2 || first > rows() || count > rows() - first)
        refuse("row_range: rows [" + std::to_string(first) + ", " + std::to_string(first) + " + " +
               std::to_string(count) + ") of a tensor of shape " + shape.text() +
               "; the tensor must be a matrix that has them");
    Tensor part = *this;
    part.byte_offset += first * stride() * bytes_of(dtype);
    part.shape = Shape{count, cols()};
    return part;
}

Tensor Tensor::batch_item(std::uint64_t index) const {
    if (index >= batch())
        refuse("batch_item: item " + std::to_string(index) + " of a tensor of shape " + shape.text());
    Tensor part = *this;
    part.byte_offset += index * rows() * stride() * bytes_of(dtype);
    part.shape = Shape{rows(), cols()};
    return part;
}

Tensor Tensor::reshape(const Shape& to) const {
    if (row_stride != 0 && row_stride != cols() && batch() * rows() > 1)
        refuse("reshape: the tensor has a row stride of " + std::to_string(row_stride) + " for rows of " +
               std::to_string(cols()) + "; only contiguous tensors can be reshaped");
    if (to.count() != shape.count())
        refuse("reshape: " + shape.text() + " has " + std::to_string(shape.count()) + " elements, " +
               to.text() + " has " + std::to_string(to.count()));
    Tensor other = *this;
    other.shape = to;
    other.row_stride = 0;
    return other;
}

Graph::Impl::Impl(const Device& owner) : device(&owner) {
    static std::atomic<std::uint32_t> graphs{0};
    serial = ++graphs;
}

std::uint32_t Graph::Impl::add_object(Object object) {
    if (!object.name.empty() &&
        !names.emplace(object.name, static_cast<std::uint32_t>(objects.size())).second)
        refuse("graph: the name \"" + object.name +
               "\" is used twice; names of external tensors and states are unique");
    objects.push_back(std::move(object));
    return static_cast<std::uint32_t>(objects.size() - 1);
}

Tensor Graph::Impl::tensor_of(std::uint32_t id) const {
    Tensor tensor;
    tensor.id = id;
    tensor.graph = serial;
    tensor.dtype = objects[id].dtype;
    tensor.shape = objects[id].shape;
    tensor.row_stride = objects[id].view.row_stride;
    return tensor;
}

Graph::Graph(const Device& device) : impl_(std::make_unique<Impl>(device)) {}
Graph::~Graph() = default;
Graph::Graph(Graph&&) noexcept = default;
Graph& Graph::operator=(Graph&&) noexcept = default;

const Device& Graph::device() const { return *impl_->device; }

Tensor Graph::external(std::string name, const TensorView& view) {
    check_name("external", name);
    if (view.address == 0 && view.shape.count() != 0)
        refuse("external \"" + name + "\": the address is null");
    if (view.device != 0 && view.device != impl_->device->id())
        refuse("external \"" + name + "\": the memory belongs to another device");
    if (view.address % 4 != 0) refuse("external \"" + name + "\": the address is not a multiple of 4 bytes");
    if (view.row_stride != 0 && view.shape.rank() >= 1 && view.row_stride < view.shape[view.shape.rank() - 1])
        refuse("external \"" + name + "\": a row stride of " + std::to_string(view.row_stride) +
               " is shorter than a row of " + std::to_string(view.shape[view.shape.rank() - 1]) +
               " elements");
    const std::uint64_t bytes = view.span_bytes();
    if (view.address + bytes < view.address)
        refuse("external \"" + name + "\": the tensor reaches beyond the end of the address space");
    Object object;
    object.kind = ObjectKind::external;
    object.name = std::move(name);
    object.dtype = view.dtype;
    object.shape = view.shape;
    object.bytes = bytes;
    object.view = view;
    return impl_->tensor_of(impl_->add_object(std::move(object)));
}

Tensor Graph::state(std::string name, DType dtype, const Shape& shape, bool saved) {
    check_name("state", name);
    Object object;
    object.kind = ObjectKind::state;
    object.name = std::move(name);
    object.dtype = dtype;
    object.shape = shape;
    object.saved = saved;
    object.bytes = bytes_for("state " + state::in_quotes(object.name), dtype, shape);
    return impl_->tensor_of(impl_->add_object(std::move(object)));
}

Tensor Graph::temporary(DType dtype, const Shape& shape) {
    Object object;
    object.dtype = dtype;
    object.shape = shape;
    object.bytes = bytes_for("temporary", dtype, shape);
    return impl_->tensor_of(impl_->add_object(std::move(object)));
}

Tensor Graph::table(std::span<const std::byte> bytes) {
    Object object;
    object.kind = ObjectKind::table;
    object.dtype = DType::u32;
    object.contents.assign(bytes.begin(), bytes.end());
    object.contents.resize((bytes.size() + 3) / 4 * 4);
    object.bytes = object.contents.size();
    object.shape = Shape{object.bytes / 4};
    return impl_->tensor_of(impl_->add_object(std::move(object)));
}

Tensor Graph::readback(std::uint64_t bytes) {
    if (bytes > ~std::uint64_t{0} - 3) refuse("readback: " + std::to_string(bytes) + " bytes are too many");
    Object object;
    object.kind = ObjectKind::readback;
    object.dtype = DType::u32;
    object.bytes = (bytes + 3) / 4 * 4;
    object.shape = Shape{object.bytes / 4};
    return impl_->tensor_of(impl_->add_object(std::move(object)));
}

Tensor Graph::control() {
    if (!impl_->control)
        impl_->control = state("heron.control", DType::u32, Shape{sizeof(gpu::StepControl) / 4});
    return impl_->control;
}

Tensor Graph::section_table() {
    if (!impl_->section_table) impl_->section_table = table({});
    return impl_->section_table;
}

Tensor Graph::section_arguments() {
    if (!impl_->section_arguments) {
        Object object;
        object.kind = ObjectKind::arguments;
        object.dtype = DType::u32;
        object.shape = Shape{0};
        impl_->section_arguments = impl_->tensor_of(impl_->add_object(std::move(object)));
    }
    return impl_->section_arguments;
}

void Graph::set_phase(Phase phase) { impl_->phase = phase; }

void Graph::set_stage(std::string_view label) {
    const auto found = std::find(impl_->stages.begin(), impl_->stages.end(), label);
    impl_->stage = static_cast<std::uint32_t>(found - impl_->stages.begin());
    if (found == impl_->stages.end()) impl_->stages.emplace_back(label);
}

void Graph::set_section(Section section) {
    const std::uint64_t longest = section.doublings > 31 ? 0 : section.interval_at(0xffffffffu);
    if (longest == 0 || longest > gpu::SECTION_FIRST || section.phase >= longest)
        refuse("set_section: phase " + std::to_string(section.phase) + " of interval " +
               std::to_string(section.interval) + ", doubled " + std::to_string(section.doublings) +
               " times; the longest interval is between 1 and 2^31, and the phase below it");
    impl_->section = section;
}

void Graph::add(Operation operation) {
    if (operation.kernel == nullptr) refuse("add: the operation has no kernel");
    const KernelInfo& kernel = *operation.kernel;
    const std::string who = std::string("add ") + kernel.name + ": ";
    if (operation.job.size() != kernel.job_bytes)
        refuse(who + "the job has " + std::to_string(operation.job.size()) + " bytes, the kernel's have " +
               std::to_string(kernel.job_bytes));
    for (const Operand& operand : operation.operands) {
        if (!impl_->owns(operand.tensor)) refuse(who + "an operand is empty or belongs to another graph");
        const Object& object = impl_->objects[operand.tensor.id];
        // Sizes of section tables and arguments are not known yet.
        const bool sized =
            object.kind != ObjectKind::arguments && operand.tensor.id != impl_->section_table.id;
        const std::uint64_t span = operand.tensor.span_bytes();
        if (sized && (span > object.bytes || operand.tensor.byte_offset > object.bytes - span))
            refuse(who + "an operand of shape " + operand.tensor.shape.text() + " does not fit its memory (" +
                   std::to_string(object.bytes) + " bytes)");
        // Not held against KernelInfo::address_slots: GradientOperand::low is an address in two numbers.
        if (operand.field != Operand::kNoField && operand.field + 8 > kernel.first_group_offset)
            refuse(who + "an address lies outside of the job's address members");
        // A dependency alone may begin in the middle of a word: the kernel goes there from an address before.
        if (operand.field != Operand::kNoField && operand.tensor.byte_offset % sizeof(std::uint32_t) != 0)
            refuse(who + "an operand of shape " + operand.tensor.shape.text() + " begins " +
                   std::to_string(operand.tensor.byte_offset) +
                   " bytes into its memory; kernels address 32-bit words, so it must be a multiple of 4");
        if (object.kind == ObjectKind::table && operand.access != Access::read)
            refuse(who + "tables are read only for kernels");
    }
    if (operation.groups == 0) return;
    if (operation.groups > 0x7fffffff) refuse(who + "more than 2^31 workgroups in one operation");
    // Nothing to be guarded by; and that the last step was skipped says nothing of the next one's
    // micro-batches.
    if (!impl_->control || impl_->phase != Phase::step) operation.guarded = false;
    if (operation.guarded) operation.operands.push_back({Operand::kNoField, impl_->control, Access::read});
    if (!impl_->section.every_step())
        operation.operands.push_back({Operand::kNoField, section_arguments(), Access::read});
    if (!impl_->purpose.empty())
        operation.reason = impl_->purpose + (operation.reason.empty() ? "" : "; ") + operation.reason;
    impl_->nodes.push_back({std::move(operation), impl_->phase, impl_->section, impl_->stage});
}

Plan Graph::compile(const PlanOptions& options) const {
    return Plan(std::make_unique<Plan::Impl>(*impl_, options));
}

}  // namespace heron
