// SPDX-License-Identifier: MIT
// The first iterate of polar(): a matrix divided by its Frobenius norm, in two dispatches.
#include "linalg/polar_normalize.h"

#include <algorithm>
#include <cstddef>
#include <utility>
#include <vector>

#include "graph/element_bytes.hpp"
#include "heron/spirv/polar_norm.hpp"
#include "heron/spirv/polar_normalize.hpp"
#include "linalg/cpu_subgroup.hpp"
#include "linalg/integers.hpp"
#include "linalg/polar.hpp"

namespace heron {

namespace {

static_assert(sizeof(gpu::PolarNormJob) == 40);
static_assert(sizeof(gpu::PolarNormalizeJob) == 80);

constexpr KernelInfo kNorm = make_kernel<gpu::PolarNormJob>("polar_norm", spirv::polar_norm);
constexpr KernelInfo kNormalize =
    make_kernel<gpu::PolarNormalizeJob>("polar_normalize", spirv::polar_normalize);

// One subgroup's worth on CPU drivers, where a workgroup barrier costs as much as hundreds of elements.
std::uint32_t threads_on(const Graph& graph) { return graph.device().capabilities().cpu ? 16 : 128; }

}  // namespace

Tensor add_polar_norm(Graph& graph, const Tensor& a, const PolarOptions& options) {
    const std::uint64_t count = a.rows() * a.cols();
    // Never more than 2^19 elements a workgroup: lavapipe ends the loops of an invocation after 65,535
    // rounds.
    const std::uint64_t groups =
        std::max(std::clamp<std::uint64_t>(count / 16384, 1, 256), ceil_div(count, std::uint64_t{1} << 19));
    Tensor partials = graph.temporary(DType::f32, Shape{a.batch(), groups, 3});
    gpu::PolarNormJob job{};
    job.cols = narrow(a.cols());
    job.count = narrow(count);
    job.x_stride = narrow(a.stride());
    job.x_item = narrow(item_of(a));
    job.groups_per_item = narrow(groups);
    Operation operation = make_operation(kNorm, job,
                                         {{offsetof(gpu::PolarNormJob, x), a, Access::read},
                                          {offsetof(gpu::PolarNormJob, partials), partials, Access::write}},
                                         a.batch() * groups);
    operation.constants = {{gpu::SPEC_THREADS, threads_on(graph)},
                           {gpu::SPEC_DTYPE_A, static_cast<std::uint32_t>(a.dtype)}};
    operation.reason = "the only implementation";
    operation.flops = 2.0 * static_cast<double>(a.shape.count());
    operation.bytes = element_bytes(a);
    operation.guarded = options.guarded;
    graph.add(std::move(operation));
    return partials;
}

void add_polar_normalize(Graph& graph, const Tensor& a, const Tensor& partials, const Tensor& x,
                         const PolarOptions& options) {
    const std::uint64_t pairs = a.rows() * ceil_div(a.cols(), 2);
    const std::uint64_t groups = std::clamp<std::uint64_t>(pairs / 2048, 1, 65536);
    gpu::PolarNormalizeJob job{};
    job.cols = narrow(a.cols());
    job.count = narrow(a.rows() * a.cols());
    job.x_stride = narrow(a.stride());
    job.x_item = narrow(item_of(a));
    job.result_stride = narrow(x.stride());
    job.result_item = narrow(item_of(x));
    job.partials_per_item = partials ? narrow(partials.shape.count() / (3 * a.batch())) : 0;
    job.groups_per_item = narrow(groups);
    job.flags = (options.norm_rule == NormRule::clamped ? gpu::POLAR_CLAMPED : 0) |
                (options.status ? gpu::POLAR_STATUS : 0) |
                (polar_has_two_f32_words(options) ? gpu::POLAR_TWO_WORDS : 0);
    job.norm_factor = static_cast<float>(options.norm_factor);
    job.eps = partials ? static_cast<float>(options.eps) : 1.0f;  // no norm: what is added to it is all
    std::vector<Operand> operands{{offsetof(gpu::PolarNormalizeJob, x), a, Access::read},
                                  {offsetof(gpu::PolarNormalizeJob, result), x, Access::write}};
    if (partials) operands.push_back({offsetof(gpu::PolarNormalizeJob, partials), partials, Access::read});
    if (options.status)
        operands.push_back({offsetof(gpu::PolarNormalizeJob, status), options.status, Access::write});
    Operation operation = make_operation(kNormalize, job, std::move(operands), a.batch() * groups);
    operation.constants = {{gpu::SPEC_THREADS, threads_on(graph)},
                           {gpu::SPEC_DTYPE_A, static_cast<std::uint32_t>(a.dtype)},
                           {gpu::SPEC_DTYPE_D, static_cast<std::uint32_t>(x.dtype)}};
    add_lanes(operation, graph.device(), a.rows() * a.cols());
    operation.reason = "the only implementation";
    operation.flops = 2.0 * static_cast<double>(a.shape.count());
    operation.bytes = element_bytes(a, x);
    operation.guarded = options.guarded;
    graph.add(std::move(operation));
}

}  // namespace heron
