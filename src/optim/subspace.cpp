// SPDX-License-Identifier: MIT
#include "optim/subspace.hpp"

#include <cstddef>
#include <utility>

#include "heron/spirv/gradient_sum.hpp"
#include "heron/spirv/subspace_adam.hpp"
#include "optim/moments.hpp"
#include "optim/subspace.h"

namespace heron {

namespace {

static_assert(sizeof(gpu::GradientSumJob) == 88);
static_assert(sizeof(gpu::SubspaceAdamJob) == 120);

constexpr KernelInfo kGradientSum = make_kernel<gpu::GradientSumJob>("gradient_sum", spirv::gradient_sum);
constexpr KernelInfo kSubspaceAdam = make_kernel<gpu::SubspaceAdamJob>("subspace_adam", spirv::subspace_adam);

// `rule`: gpu::SUM_EMA or SUM_PLAIN, of a sum; `exact` and `copy` may be empty.
void add_sum(StepBuilder& step, const StepBuilder::Item& item, const MatrixBatch& batch, const Tensor& sum,
             std::uint32_t rule, const Tensor& exact, const Tensor& copy) {
    using Job = gpu::GradientSumJob;
    const ElementGrid grid = step.elements(batch.count());
    Job job{};
    job.range = StepBuilder::range(batch.first, batch.count(), grid);
    std::vector<Operand> operands{{offsetof(Job, hyper), step.hyper(), Access::read}};
    StepBuilder::add_gradient(operands, offsetof(Job, gradient), item, batch.first, batch.count());
    double state_bytes = 0;
    if (sum) {
        job.flags |= rule;
        add_moment(operands, offsetof(Job, sum), job.sum, item, sum, batch.first, batch.count());
        state_bytes += 2.0 * static_cast<double>(bytes_of(sum.dtype));
    }
    if (exact) {
        job.flags |= gpu::SUM_EXACT;
        operands.push_back({offsetof(Job, exact), exact, Access::write});
        state_bytes += 4;
    }
    if (copy) {
        job.flags |= gpu::SUM_COPY;
        operands.push_back({offsetof(Job, copy), copy, Access::write});
        state_bytes += 4;
    }
    Operation operation = make_operation(kGradientSum, job, std::move(operands), grid.groups);
    operation.constants = {{gpu::SPEC_THREADS, grid.threads},
                           step.variant(),
                           {gpu::SPEC_DTYPE_B, static_cast<std::uint32_t>(item.gradient.dtype)}};
    if (sum) specialize_moments(operation, sum.dtype);
    operation.reason = step.variant_reason();
    const double elements = static_cast<double>(batch.count());
    operation.flops = 4.0 * elements;
    operation.bytes = (StepBuilder::gradient_bytes(item) + state_bytes) * elements;
    step.graph().add(std::move(operation));
}

}  // namespace

std::vector<MatrixBatch> matrix_batches(std::span<const MatrixBlock> blocks) {
    std::vector<MatrixBatch> batches;
    for (const MatrixBlock& block : blocks)
        if (!batches.empty() && batches.back().rows == block.rows && batches.back().cols == block.cols)
            ++batches.back().items;
        else
            batches.push_back({block.first, 1, block.rows, block.cols, block.shape_factor});
    return batches;
}

Tensor part_of(const Tensor& whole, std::uint64_t first, const Shape& shape) {
    Tensor part = whole;
    part.byte_offset += first * bytes_of(whole.dtype);
    part.shape = shape;
    part.row_stride = 0;
    return part;
}

void add_gradient_sum(StepBuilder& step, const StepBuilder::Item& item, const MatrixBatch& batch,
                      const Tensor& sum) {
    add_sum(step, item, batch, sum, gpu::SUM_PLAIN, {}, {});
}

Tensor add_gradient_copy(StepBuilder& step, const StepBuilder::Item& item, const MatrixBatch& batch) {
    const Tensor copy = step.graph().temporary(DType::f32, batch.shape());
    add_sum(step, item, batch, {}, 0, {}, copy);
    return copy;
}

AveragedGradient add_gradient_average(StepBuilder& step, const StepBuilder::Item& item,
                                      const MatrixBatch& batch, const Tensor& moment) {
    const bool rounded = moment.dtype != DType::f32;
    const Tensor copy = step.graph().temporary(DType::f32, batch.shape());
    const Tensor average = rounded ? step.graph().temporary(DType::f32, batch.shape())
                                   : part_of(moment, batch.first, batch.shape());
    add_sum(step, item, batch, moment, gpu::SUM_EMA, rounded ? average : Tensor(), copy);
    return {copy, average};
}

void add_subspace_adam(StepBuilder& step, const StepBuilder::Item& item, const Tensor& gradient,
                       const SubspaceMoments& moments, const Tensor& direction) {
    using Job = gpu::SubspaceAdamJob;
    const std::uint64_t count = gradient.shape.count();
    const ElementGrid grid = step.elements(count);
    Job job{};
    job.range = StepBuilder::range(moments.first, count, grid);
    job.slots = static_cast<std::uint32_t>(moments.slots_are_columns ? gradient.cols() : gradient.rows());
    job.item_elements = static_cast<std::uint32_t>(gradient.rows() * gradient.cols());
    job.slot_elements =
        static_cast<std::uint32_t>(moments.slots_are_columns ? gradient.rows() : gradient.cols());
    job.flags = (moments.update ? gpu::ADAM_MOMENT : 0) | (moments.since ? gpu::ADAM_RESET : 0) |
                (moments.slots_are_columns ? gpu::ADAM_COLUMNS : 0);
    std::vector<Operand> operands{{offsetof(Job, gradient), gradient, Access::read},
                                  {offsetof(Job, direction), direction, Access::write},
                                  {offsetof(Job, hyper), step.hyper(), Access::read}};
    if (moments.update)
        add_moment(operands, offsetof(Job, moment1), job.moment1, item, moments.m, moments.first, count);
    else
        operands.push_back(
            {offsetof(Job, moment1) + offsetof(gpu::MomentOperand, quads), moments.m, Access::read});
    add_moment(operands, offsetof(Job, moment2), job.moment2, item, moments.v, moments.first, count);
    if (moments.since) operands.push_back({offsetof(Job, since), moments.since, Access::read});
    Operation operation = make_operation(kSubspaceAdam, job, std::move(operands), grid.groups);
    operation.constants = {{gpu::SPEC_THREADS, grid.threads}, step.variant()};
    specialize_moments(operation, moments.v.dtype);
    if (moments.m.dtype != DType::f32)
        operation.constants.push_back({gpu::SPEC_DTYPE_A, static_cast<std::uint32_t>(moments.m.dtype)});
    operation.reason = step.variant_reason();
    operation.flops = 12.0 * static_cast<double>(count);
    const double m_bytes = static_cast<double>(bytes_of(moments.m.dtype));
    operation.bytes = (8.0 + (moments.update ? 2.0 : 1.0) * m_bytes +
                       2.0 * static_cast<double>(bytes_of(moments.v.dtype))) *
                      static_cast<double>(count);
    step.graph().add(std::move(operation));
}

}  // namespace heron
