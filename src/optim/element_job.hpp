// SPDX-License-Identifier: MIT
// What element-wise recipes have in common: one job for all elements of a parameter.
#pragma once

#include <cstddef>
#include <cstdint>
#include <utility>
#include <vector>

#include "linalg/cpu_subgroup.hpp"
#include "optim/moments.hpp"
#include "optim/step_builder.hpp"

namespace heron {

template <class Job>
struct ElementJob {
    Job job{};
    ElementGrid grid{};
    std::vector<Operand> operands;
    MomentFormat moments = MomentFormat::f32;  // of those that were added

    void add_state(std::uint32_t field, const Tensor& state) {
        operands.push_back({field, state, Access::read_write});
    }
    void add_moment(gpu::MomentOperand Job::*member, std::uint32_t field, const StepBuilder& step,
                    const StepBuilder::Item& item, const MomentState& state) {
        if (state.scales) {
            moments = MomentFormat::block8;
            grid = block8_grid(step, item.weight.shape.count());
            add_block8(operands, field, job.*member, item, state);
            return;
        }
        if (state.values.dtype == DType::bf16) moments = MomentFormat::bf16;
        heron::add_moment(operands, field, job.*member, item, state.values, 0, state.values.shape.count());
    }
};

// With parameter, gradient, range and hyper struct; states and flags are the recipe's.
template <class Job>
ElementJob<Job> element_job(const StepBuilder& step, const StepBuilder::Item& item) {
    const std::uint64_t count = item.weight.shape.count();
    ElementJob<Job> result;
    result.grid = step.elements(count);
    result.job.parameter = step.parameter_operand(item);
    result.job.range = StepBuilder::range(0, count, result.grid);
    result.operands = {{offsetof(Job, hyper), step.hyper(), Access::read}};
    StepBuilder::add_parameter(result.operands, offsetof(Job, parameter), item, 0, count);
    StepBuilder::add_gradient(result.operands, offsetof(Job, gradient), item);
    return result;
}

// A kernel, and its variant for moments in block8.
struct ElementKernels {
    KernelInfo plain, block8;
};

// Bits, FLOPs and bytes: as StepBuilder::add_element_wise(). The kernel treats each element by itself, unless
// moments are in block8.
template <class Job>
void add_element_job(StepBuilder& step, const StepBuilder::Item& item, const ElementKernels& kernels,
                     ElementJob<Job> elements, std::uint32_t bits, double flops, double state_bytes) {
    const bool block8 = elements.moments == MomentFormat::block8;
    Operation operation = make_operation(block8 ? kernels.block8 : kernels.plain, elements.job,
                                         std::move(elements.operands), elements.grid.groups);
    specialize_moments(operation, moment_dtype(elements.moments));
    const std::uint32_t lanes = load_lanes(step.device());
    if (lanes != 0 && elements.grid.threads % lanes == 0 && elements.moments == MomentFormat::f32 &&
        item.weight.dtype == DType::f32 && item.gradient.dtype == DType::f32) {
        bits |= gpu::ELEMENTS_APART;
        operation.constants.push_back({gpu::SPEC_SUBGROUP, lanes});
    }
    step.add_element_wise(std::move(operation), item, elements.grid, bits, flops, state_bytes);
}

}  // namespace heron
