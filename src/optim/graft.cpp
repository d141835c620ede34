// SPDX-License-Identifier: MIT
// The kernel is shaders/optim/graft.comp.
#include "optim/graft.hpp"

#include <cstddef>
#include <utility>

#include "heron/linalg/reduce.hpp"
#include "heron/spirv/graft.hpp"
#include "optim/graft.h"

namespace heron {

namespace {

static_assert(sizeof(gpu::GraftJob) == 48);
constexpr KernelInfo kGraft = make_kernel<gpu::GraftJob>("graft", spirv::graft);

}  // namespace

void graft(StepBuilder& step, const Tensor& update, const Tensor& wanted) {
    using Job = gpu::GraftJob;
    Graph& graph = step.graph();
    const Tensor norm = graph.temporary(DType::f32, Shape{1});
    frobenius_norm(graph, update, norm);
    const std::uint64_t count = update.shape.count();
    const ElementGrid grid = step.elements(count);
    Job job{};
    job.range = StepBuilder::range(0, count, grid);
    Operation operation = make_operation(kGraft, job,
                                         {{offsetof(Job, update), update, Access::read_write},
                                          {offsetof(Job, norm), norm, Access::read},
                                          {offsetof(Job, wanted), wanted, Access::read}},
                                         grid.groups);
    operation.constants = {{gpu::SPEC_THREADS, grid.threads}, step.variant()};
    operation.reason = step.variant_reason();
    operation.flops = 2.0 * static_cast<double>(count);
    operation.bytes = 8.0 * static_cast<double>(count);
    graph.add(std::move(operation));
}

}  // namespace heron
