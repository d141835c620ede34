// SPDX-License-Identifier: MIT
// The kernels are shaders/optim/gradient_norm.comp and scaled_gradient.comp.
#include "optim/scaled_gradient.hpp"

#include <cstddef>
#include <utility>

#include "heron/spirv/gradient_norm.hpp"
#include "heron/spirv/scaled_gradient.hpp"
#include "optim/scaled_gradient.h"

namespace heron {

namespace {

static_assert(sizeof(gpu::GradientNormJob) == 48);
static_assert(sizeof(gpu::ScaledGradientJob) == 64);

constexpr KernelInfo kNorm = make_kernel<gpu::GradientNormJob>("gradient_norm", spirv::gradient_norm);
constexpr KernelInfo kScaled = make_kernel<gpu::ScaledGradientJob>("scaled_gradient", spirv::scaled_gradient);

// Every workgroup of scaled_gradient adds them up: few enough not to count against its elements.
constexpr std::uint64_t kMaxPartials = 512;

void add(StepBuilder& step, const StepBuilder::Item& item, const MatrixBlock& block, Operation operation,
         std::uint32_t field, const ElementGrid& grid, double flops, double written_bytes) {
    StepBuilder::add_gradient(operation.operands, field, item, block.first, block.count());
    operation.constants = {{gpu::SPEC_THREADS, grid.threads},
                           step.variant(),
                           {gpu::SPEC_DTYPE_B, static_cast<std::uint32_t>(item.gradient.dtype)}};
    operation.reason = step.variant_reason();
    const double elements = static_cast<double>(block.count());
    operation.flops = flops * elements;
    operation.bytes = (StepBuilder::gradient_bytes(item) + written_bytes) * elements;
    step.graph().add(std::move(operation));
}

}  // namespace

ScaledGradient scaled_gradient(StepBuilder& step, const StepBuilder::Item& item, const MatrixBlock& block) {
    Graph& graph = step.graph();
    const ElementGrid norm_grid = step.elements(block.count(), kMaxPartials),
                      grid = step.elements_after_sums(block.count(), norm_grid.groups);
    const Tensor partials = graph.temporary(DType::f32, Shape{norm_grid.groups, 3});
    const ScaledGradient result{graph.temporary(DType::f32, Shape{block.rows, block.cols}),
                                graph.temporary(DType::f32, Shape{1})};
    {
        using Job = gpu::GradientNormJob;
        Job job{};
        job.range = StepBuilder::range(block.first, block.count(), norm_grid);
        add(step, item, block,
            make_operation(kNorm, job, {{offsetof(Job, partials), partials, Access::write}},
                           norm_grid.groups),
            offsetof(Job, gradient), norm_grid, 2.0, 0.0);
    }
    using Job = gpu::ScaledGradientJob;
    Job job{};
    job.range = StepBuilder::range(block.first, block.count(), grid);
    job.partial_count = static_cast<std::uint32_t>(norm_grid.groups);
    add(step, item, block,
        make_operation(kScaled, job,
                       {{offsetof(Job, partials), partials, Access::read},
                        {offsetof(Job, scaled), result.matrix, Access::write},
                        {offsetof(Job, unit), result.unit, Access::write}},
                       grid.groups),
        offsetof(Job, gradient), grid, 1.0, 4.0);
    return result;
}

}  // namespace heron
