// SPDX-License-Identifier: MIT
// Everything but Householder's method divides the columns of Y by their norms first, which changes neither
// their span nor the result: Gram matrices of any momentum are in range then, and better conditioned.
#include "optim/dion_orthonormalize.hpp"

#include <cmath>
#include <cstddef>
#include <utility>

#include "heron/linalg.hpp"
#include "heron/spirv/dion_pivots.hpp"
#include "optim/dion.h"

namespace heron {

namespace {

static_assert(sizeof(gpu::DionPivotsJob) == 24);
constexpr KernelInfo kPivots = make_kernel<gpu::DionPivotsJob>("dion_pivots", spirv::dion_pivots);

constexpr std::uint64_t kSketchMultiple = 128;  // dion

void raise_pivots(Graph& graph, const Tensor& factor) {
    const std::uint64_t n = factor.cols();
    gpu::DionPivotsJob job{};
    job.n = static_cast<std::uint32_t>(n);
    job.tolerance = static_cast<float>(4.0 * std::sqrt(static_cast<double>(n)) * 0x1p-24);
    Operation operation =
        make_operation(kPivots, job, {{offsetof(gpu::DionPivotsJob, factor), factor, Access::read_write}}, 1);
    operation.constants = {{gpu::SPEC_THREADS, graph.device().capabilities().cpu ? 8u : 128u}};
    operation.flops = 2.0 * static_cast<double>(n);
    operation.bytes = 12.0 * static_cast<double>(n);
    graph.add(std::move(operation));
}

// X <- X U^-1, U upper triangular.
void divide(Graph& graph, const Tensor& u, const Tensor& x) {
    triangular_solve(graph, u, x, x, {.triangle = Triangle::upper, .side = Side::right});
}

void cholesky_pass(Graph& graph, const Tensor& x) {
    const std::uint64_t n = x.cols();
    const Tensor gram = graph.temporary(DType::f32, Shape{n, n});
    syrk(graph, x, {}, gram, {.transpose_a = Transpose::yes});
    cholesky(graph, gram, gram,
             {.triangle = Triangle::upper,
              .jitter = {.retries = 3, .relative = static_cast<float>(n) * 0x1p-23f}});
    divide(graph, gram, x);
    // Of columns that are known to cond(X)^2 2^-24 only: none is longer than it should be.
    normalize_columns(graph, x, x, {.eps = 1.0f});
}

void precondition_by_sketch(Graph& graph, const Tensor& y, double oversample, std::uint32_t tensor) {
    const std::uint64_t r = y.cols();
    const std::uint64_t rows =
        kSketchMultiple * static_cast<std::uint64_t>(std::ceil(oversample * static_cast<double>(r) /
                                                               static_cast<double>(kSketchMultiple)));
    const Tensor gaussian = graph.temporary(DType::f32, Shape{rows, y.rows()});
    fill_random(graph, gaussian,
                {.tensor = tensor,
                 .stream = gpu::DION_STREAM_SKETCH,
                 .scale = static_cast<float>(1.0 / std::sqrt(static_cast<double>(rows)))});
    const Tensor sketch = graph.temporary(DType::f32, Shape{rows, r});
    gemm(graph, gaussian, y, {}, sketch);
    const Tensor factor = graph.temporary(DType::f32, Shape{r, r});
    qr(graph, sketch, sketch, factor);
    raise_pivots(graph, factor);
    divide(graph, factor, y);
}

}  // namespace

Tensor dion_orthonormalize(Graph& graph, const Tensor& y, const DionOptions& options, std::uint32_t tensor) {
    const bool sketched = options.qr == DionQr::rcqr && y.rows() > y.cols();
    if (options.qr == DionQr::cqr || sketched) {
        normalize_columns(graph, y, y, {.eps = 0.0f});
        if (sketched) precondition_by_sketch(graph, y, options.oversample, tensor);
        cholesky_pass(graph, y);
    } else {
        const Tensor r = graph.temporary(DType::f32, Shape{y.cols(), y.cols()});
        qr(graph, y, y, r,
           {.method = options.qr == DionQr::householder ? QrMethod::householder : QrMethod::automatic});
    }
    return y;
}

}  // namespace heron
