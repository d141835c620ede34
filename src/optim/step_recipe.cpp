// SPDX-License-Identifier: MIT
// What a recipe works with: states, grids, and the members of jobs that all optimizers share.
#include <algorithm>
#include <bit>

#include "graph/graph.hpp"
#include "optim/step_builder.hpp"

namespace heron {

static_assert(sizeof(gpu::GradientOperand) == 16);
static_assert(sizeof(gpu::ParameterOperand) == 56);
static_assert(sizeof(gpu::ElementRange) == 16);

std::uint32_t threads_of(const Capabilities& device, std::uint32_t wanted) {
    return std::min({wanted, std::bit_floor(device.max_workgroup_invocations),
                     std::bit_floor(device.max_workgroup_size_x)});
}

Tensor StepBuilder::state(const Item& item, std::string_view name, DType dtype, const Shape& shape) {
    const std::string full_name = item.parameter->name + "." + std::string(name);
    return states_[full_name] = graph_.state(full_name, dtype, shape);
}

Tensor StepBuilder::find_state(const Item& item, std::string_view name) const {
    const auto found = states_.find(item.parameter->name + "." + std::string(name));
    return found == states_.end() ? Tensor() : found->second;
}

SpecConstant StepBuilder::variant(std::uint32_t bits) const {
    if (device().capabilities().cpu) bits |= gpu::ELEMENTS_SINGLE;
    if (device().capabilities().cpu_uniform_loads) bits |= gpu::ELEMENTS_ROWS;
    if (options_.ema_decay > 0) bits |= gpu::ELEMENTS_AVERAGE;
    return {gpu::SPEC_FLAGS, bits};
}

std::string_view StepBuilder::variant_reason() const {
    const Capabilities& capabilities = device().capabilities();
    if (capabilities.cpu_uniform_loads)
        return "CPU driver: rows of neighbours from addresses that they share";
    return capabilities.cpu ? "CPU driver: word by word, neighbours in one invocation"
                            : "16 bytes an access where addresses allow it";
}

ElementGrid StepBuilder::elements(std::uint64_t count, std::uint64_t max_groups) const {
    const Capabilities& capabilities = device().capabilities();
    const std::uint64_t quads = (count + 3) / 4;
    ElementGrid grid{};
    std::uint64_t rounds = 1;
    if (capabilities.cpu) {
        // Every word of the job costs an invocation as much as a word of a tensor: many elements for each of
        // few, as long as there are some hundred workgroups for the cores. (Two Zen 5 cores, lavapipe 26.1,
        // AdamW of 16.7 million parameters: 45 ms with 4 rounds, 29 to 37 with 64. Mesa 22.3, where an
        // invocation's elements are neighbours, is a fourteenth slower with 64, of 4 million.)
        grid.threads = threads_of(capabilities, 32);
        const std::uint64_t most = capabilities.cpu_uniform_loads ? 64 : 4;
        rounds = std::clamp<std::uint64_t>(quads / (512 * grid.threads), 4, most);
    } else {
        // Large tensors: several rounds, so that finding the job is paid for by more elements.
        grid.threads = threads_of(capabilities, 256);
        rounds = std::clamp<std::uint64_t>(count >> 22, 1, 4);
    }
    rounds = std::min(rounds, (quads + grid.threads - 1) / grid.threads);
    if (max_groups > 0)
        rounds = std::max(rounds, (quads + max_groups * grid.threads - 1) / (max_groups * grid.threads));
    grid.rounds = static_cast<std::uint32_t>(std::max<std::uint64_t>(rounds, 1));
    const std::uint64_t per_group = std::uint64_t{grid.threads} * grid.rounds;
    grid.groups = (quads + per_group - 1) / per_group;
    return grid;
}

ElementGrid StepBuilder::elements_after_sums(std::uint64_t count, std::uint64_t sums) const {
    return elements(count, device().capabilities().cpu ? std::max<std::uint64_t>(1, count / (16 * sums)) : 0);
}

void StepBuilder::add_part(std::vector<Operand>& operands, std::uint32_t field, const Tensor& whole,
                           std::uint64_t first, std::uint64_t count, Access access) {
    Tensor flat = whole.reshape(Shape{whole.shape.count()});
    if (first == 0 && count == flat.shape.count()) {
        operands.push_back({field, flat, access});
        return;
    }
    Tensor nothing = flat;  // no bytes, hence no dependency: only the address
    nothing.shape = Shape{0};
    operands.push_back({field, nothing, access});
    flat.byte_offset += first * bytes_of(whole.dtype);
    flat.shape = Shape{count};
    operands.push_back({Operand::kNoField, flat, access});
}

gpu::ElementRange StepBuilder::range(std::uint64_t first, std::uint64_t count, const ElementGrid& grid) {
    return {static_cast<std::uint32_t>(first), static_cast<std::uint32_t>(count), grid.rounds, 0};
}

void StepBuilder::add_gradient(std::vector<Operand>& operands, std::uint32_t field, const Item& item,
                               std::uint64_t first, std::uint64_t count) {
    using Member = gpu::GradientOperand;
    for (const std::size_t member : {offsetof(Member, address), offsetof(Member, low)})
        add_part(operands, field + static_cast<std::uint32_t>(member), item.gradient, first, count,
                 Access::read);
}

gpu::ParameterOperand StepBuilder::parameter_operand(const Item& item) const {
    gpu::ParameterOperand operand{};
    operand.average_rate = static_cast<float>(1.0 - static_cast<double>(options_.ema_decay));
    operand.lr_scale = item.parameter->lr_scale;
    operand.weight_decay_scale = item.parameter->weight_decay_scale;
    operand.flags = (item.master ? gpu::PARAMETER_MASTER : 0);
    return operand;
}

void StepBuilder::add_parameter(std::vector<Operand>& operands, std::uint32_t field, const Item& item,
                                std::uint64_t first, std::uint64_t count) {
    using Member = gpu::ParameterOperand;
    const auto at = [field](std::size_t offset) { return field + static_cast<std::uint32_t>(offset); };
    add_part(operands, at(offsetof(Member, weight)), item.weight, first, count, Access::read_write);
    add_part(operands, at(offsetof(Member, words)), item.weight, first, count, Access::read_write);
    add_part(operands, at(offsetof(Member, low)), item.weight, first, count, Access::read_write);
    if (item.master)
        add_part(operands, at(offsetof(Member, master)), item.master, first, count, Access::read_write);
    if (item.average)
        add_part(operands, at(offsetof(Member, average)), item.average, first, count, Access::read_write);
}

void StepBuilder::add_parameter_reads(std::vector<Operand>& operands, std::uint32_t field, const Item& item) {
    using Member = gpu::ParameterOperand;
    for (const std::size_t member : {offsetof(Member, weight), offsetof(Member, low)})
        operands.push_back({field + static_cast<std::uint32_t>(member), item.weight, Access::read});
    if (item.master)
        operands.push_back(
            {field + static_cast<std::uint32_t>(offsetof(Member, master)), item.master, Access::read});
}

void StepBuilder::add_element_wise(Operation operation, const Item& item, const ElementGrid& grid,
                                   std::uint32_t bits, double flops, double state_bytes) {
    operation.constants.insert(operation.constants.begin(),
                               {{gpu::SPEC_THREADS, grid.threads},
                                variant(item, bits),
                                {gpu::SPEC_DTYPE_A, static_cast<std::uint32_t>(item.weight.dtype)},
                                {gpu::SPEC_DTYPE_B, static_cast<std::uint32_t>(item.gradient.dtype)}});
    operation.reason = variant_reason();
    const double count = static_cast<double>(item.weight.shape.count());
    operation.flops = flops * count;
    operation.bytes = (parameter_bytes(item) + gradient_bytes(item) + state_bytes) * count;
    graph_.add(std::move(operation));
}

double StepBuilder::parameter_bytes(const Item& item) {
    const double weight = static_cast<double>(bytes_of(item.weight.dtype));
    return weight + (item.master ? 8.0 : weight) + (item.average ? 8.0 : 0.0);
}

}  // namespace heron
