// SPDX-License-Identifier: MIT
// Halley's iteration: weights, jobs, and the order of the steps.
#include "linalg/halley.hpp"

#include <algorithm>
#include <cmath>
#include <cstddef>

#include "graph/element_bytes.hpp"
#include "heron/linalg/product.hpp"
#include "heron/linalg/reduce.hpp"
#include "heron/linalg/spd.hpp"
#include "heron/spirv/halley.hpp"
#include "linalg/halley.h"
#include "linalg/integers.hpp"

namespace heron {

static_assert(sizeof(gpu::HalleyJob) == 56);

namespace {

constexpr KernelInfo kHalley = make_kernel<gpu::HalleyJob>("halley", spirv::halley);
constexpr std::uint64_t kChunk = 1024;     // elements of a workgroup
constexpr double kLeastForWeights = 0.02;  // singular value
constexpr double kConverged = 1e-7;

struct Weights {
    double a, b, c;
};

// The best for singular values from l to 1.
Weights weights(double l) {
    if (l > 1 - 1e-6) return {3, 1, 3};
    const double square = l * l;
    const double d = std::cbrt(4 * (1 - square) / (square * square));
    const double root = std::sqrt(1 + d);
    const double a = root + std::sqrt(8 - 4 * d + 8 * (2 - square) / (square * root)) / 2;
    const double b = (a - 1) * (a - 1) / 4;
    return {a, b, a + b - 1};
}

}  // namespace

Tensor polar_factor(Graph& graph, const Tensor& x, bool guarded) {
    const std::uint64_t items = x.batch(), n = x.cols();
    const auto square = [&] { return graph.temporary(DType::f32, Shape{items, n, n}); };
    const GemmOptions plain{.guarded = guarded};
    const GemmOptions transposed{.transpose_a = Transpose::yes, .guarded = guarded};
    const Tensor norm = graph.temporary(DType::f32, Shape{items});

    const auto add = [&](const Tensor& from, const Tensor& to, double factor, std::uint32_t x_power,
                         double diagonal, std::uint32_t diagonal_power) {
        gpu::HalleyJob job{};
        job.order = narrow(n);
        job.x_power = x_power;
        job.diagonal_power = diagonal_power;
        job.factor = static_cast<float>(factor);
        job.diagonal = static_cast<float>(diagonal);
        job.chunks = narrow(ceil_div(n * n, kChunk));
        Operation operation = make_operation(kHalley, job,
                                             {{offsetof(gpu::HalleyJob, x), from, Access::read},
                                              {offsetof(gpu::HalleyJob, y), to, Access::write},
                                              {offsetof(gpu::HalleyJob, norm), norm, Access::read}},
                                             items * job.chunks);
        operation.constants = {{gpu::SPEC_THREADS, graph.device().capabilities().cpu ? 8u : 128u}};
        operation.reason = "1024 elements a workgroup";
        operation.bytes = element_bytes(from, to);
        operation.guarded = guarded;
        graph.add(std::move(operation));
    };

    // |(X^T X)^2|_F^(1/4), the eighth root of the sum of the eighth powers of the singular values, is no less
    // than the largest and at most n^(1/8) times that; the first step divides by it.
    Tensor gram = square();
    syrk(graph, x, Tensor{}, gram, transposed);
    const Tensor fourth = square();
    syrk(graph, gram, Tensor{}, fourth, plain);
    frobenius_norm(graph, fourth, norm, guarded);

    double l = static_cast<double>(std::max(x.rows(), n)) * 0x1p-24 / std::pow(static_cast<double>(n), 0.125);
    Tensor u = x;
    for (bool first = true; 1 - l > kConverged; first = false) {
        const Weights w = weights(std::max(l, kLeastForWeights));
        if (!first) {
            gram = square();
            syrk(graph, u, Tensor{}, gram, transposed);
        }
        const Tensor shifted = square(), inverse = square(), step = square();
        add(gram, shifted, w.c, first ? 2 : 0, 1.0, 0);
        spd_inverse(graph, shifted, inverse, {.guarded = guarded});
        add(inverse, step, w.a - w.b / w.c, first ? 1 : 0, w.b / w.c, first ? 1 : 0);
        const Tensor next = graph.temporary(DType::f32, x.shape);
        gemm(graph, u, step, Tensor{}, next, plain);
        u = next;
        l = std::min(1.0, l * (w.a + w.b * l * l) / (1 + w.c * l * l));
    }
    return u;
}

}  // namespace heron
