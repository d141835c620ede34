// SPDX-License-Identifier: MIT
#include "optim/line_variance.hpp"

#include <algorithm>
#include <bit>
#include <cstddef>

#include "heron/linalg/norms.hpp"
#include "heron/spirv/line_variance.hpp"
#include "linalg/integers.hpp"
#include "optim/line_variance.h"
#include "optim/step_builder.hpp"

namespace heron {

namespace {

static_assert(sizeof(gpu::LineVarianceJob) == 72);
constexpr KernelInfo kLineVariance = make_kernel<gpu::LineVarianceJob>("line_variance", spirv::line_variance);

}  // namespace

Tensor add_line_squares(Graph& graph, const Tensor& matrix, const Lines& lines) {
    const Tensor squares = graph.temporary(DType::f32, Shape{lines.count});
    if (lines.columns)
        column_norms(graph, matrix.reshape(Shape{lines.length, lines.count}), squares, NormKind::squared);
    else
        row_norms(graph, matrix.reshape(Shape{lines.count, lines.length}), squares, NormKind::squared);
    return squares;
}

Tensor add_line_variance(Graph& graph, const Tensor& squares, const Tensor& variance, const Lines& lines,
                         const LineVarianceOptions& options, const Tensor& indices) {
    const Tensor factors = graph.temporary(DType::f32, Shape{lines.count});
    // An invocation goes twice over its lines; lavapipe 22.3 ends its loops after 65,535 rounds.
    const std::uint64_t wanted = graph.device().capabilities().cpu && lines.segment < 32768 ? 32 : 256;
    const std::uint32_t threads = threads_of(graph.device().capabilities(), narrow(wanted));
    const std::uint64_t lanes = std::bit_ceil(ceil_div(lines.segment, 8));
    gpu::LineVarianceJob job{};
    job.segments = narrow(lines.count / lines.segment);
    job.lines = narrow(lines.segment);
    job.lanes = std::min(threads, narrow(lanes));
    job.mean = static_cast<float>(1.0 / static_cast<double>(lines.length));
    job.rate = static_cast<float>(1.0 - options.beta2);
    job.eps = static_cast<float>(options.eps);
    job.target = static_cast<float>(options.target);
    job.flags = (options.variance_rule == NormRule::clamped ? gpu::LINE_VARIANCE_CLAMPED : 0) |
                (options.rescale_rule == NormRule::clamped ? gpu::LINE_VARIANCE_CLAMPED_RESCALE : 0) |
                (indices ? gpu::LINE_VARIANCE_INDEXED : 0);
    Operation operation =
        make_operation(kLineVariance, job,
                       {{offsetof(gpu::LineVarianceJob, squares), squares, Access::read},
                        {offsetof(gpu::LineVarianceJob, variance), variance, Access::read_write},
                        {offsetof(gpu::LineVarianceJob, factors), factors, Access::write},
                        {offsetof(gpu::LineVarianceJob, indices), indices ? indices : squares, Access::read}},
                       ceil_div(job.segments, threads / job.lanes));
    operation.constants = {{gpu::SPEC_THREADS, threads}};
    operation.reason = "of the lines' sums of squares";
    operation.flops = 12.0 * static_cast<double>(lines.count);
    operation.bytes = 16.0 * static_cast<double>(lines.count);
    graph.add(std::move(operation));
    return factors;
}

}  // namespace heron
