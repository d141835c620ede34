// SPDX-License-Identifier: MIT
// evolution_gradient(): one product over all pairs.
#include <cmath>
#include <cstddef>
#include <string>
#include <utility>

#include "evolution/evolution.h"
#include "evolution/evolution.hpp"
#include "heron/linalg/product.hpp"
#include "heron/spirv/evolution_weigh.hpp"
#include "linalg/checks.hpp"
#include "linalg/tensors.hpp"

namespace heron {

static_assert(sizeof(gpu::EvolutionWeighJob) == 40);

namespace {

constexpr KernelInfo kWeigh = make_kernel<gpu::EvolutionWeighJob>("evolution_weigh", spirv::evolution_weigh);
constexpr const char* kWho = "evolution_gradient";

// `noise` with signs or weights, `pair` elements of each pair; or the weights alone where there is none.
Tensor add_weigh(Graph& graph, const Tensor& noise, const Tensor& fitness, const Shape& shape,
                 std::uint64_t pair, std::uint32_t flags, bool guarded) {
    using Job = gpu::EvolutionWeighJob;
    const Tensor result = graph.temporary(DType::f32, shape);
    const std::uint64_t count = shape.count();
    Job job{};
    job.count = narrow(count);
    job.pair = narrow(pair);
    job.flags = flags;
    const PassGrid grid(graph.device());
    add_operation(graph,
                  make_operation(kWeigh, job,
                                 {{offsetof(Job, noise), noise ? noise : fitness, Access::read},
                                  {offsetof(Job, fitness), fitness, Access::read},
                                  {offsetof(Job, result), result, Access::write}},
                                 grid.groups(count)),
                  grid.constants(), 2.0 * static_cast<double>(count), 8.0 * static_cast<double>(count),
                  guarded, "the only one");
    return result;
}

float scale_of(float sigma, std::uint64_t pairs, std::uint32_t rank) {
    return static_cast<float>(-sigma / std::sqrt(2.0 * static_cast<double>(pairs) * rank));
}

}  // namespace

void evolution_gradient(Graph& graph, const Tensor& fitness, const LowRankNoise& noise, float sigma,
                        const Tensor& gradient, const EvolutionGradientOptions& options) {
    const NoiseSizes sizes = check_low_rank(kWho, graph, noise);
    check_sigma(kWho, sigma);
    check_vector(kWho, "`fitness`", graph, fitness, 2 * sizes.pairs, DType::f32);
    check_float_tensor(kWho, "gradient", graph, gradient);
    if (gradient.batch() != 1 || gradient.rows() != sizes.rows || gradient.cols() != sizes.cols)
        refuse(kWho, "the gradient is " + text(gradient) + ", the noise of a " + std::to_string(sizes.rows) +
                         "x" + std::to_string(sizes.cols) + " matrix");
    Extents extents(graph);
    extents.read("`fitness`", fitness);
    extents.read("noise a", noise.a);
    extents.read("noise b", noise.b);
    extents.written("the gradient", gradient);
    extents.check(kWho);

    const std::uint32_t signs = options.signs ? gpu::EVOLUTION_SIGNS : 0;
    const Tensor a = add_weigh(graph, noise.a, fitness, noise.a.shape, noise.rank * sizes.rows,
                               signs | gpu::EVOLUTION_WEIGH, options.guarded);
    const Tensor b = options.signs ? add_weigh(graph, noise.b, fitness, noise.b.shape,
                                               noise.rank * sizes.cols, signs, options.guarded)
                                   : noise.b;
    gemm(graph, a, b, {}, gradient,
         {.transpose_a = Transpose::yes,
          .alpha = scale_of(sigma, sizes.pairs, noise.rank),
          .guarded = options.guarded});
}

void evolution_gradient(Graph& graph, const Tensor& fitness, const Tensor& noise, float sigma,
                        const Tensor& gradient, const EvolutionGradientOptions& options) {
    check_sigma(kWho, sigma);
    check_float_tensor(kWho, "noise", graph, noise);
    const std::uint64_t pairs = noise.rows(), count = noise.cols();
    if (noise.batch() != 1 || pairs == 0 || count == 0)
        refuse(kWho, "the noise is " + text(noise) + "; it must be one matrix with elements");
    check_vector(kWho, "`noise`", graph, noise, pairs * count, DType::f32);
    check_vector(kWho, "`fitness`", graph, fitness, 2 * pairs, DType::f32);
    check_float_vector(kWho, "`gradient`", graph, gradient, count);
    Extents extents(graph);
    extents.read("`fitness`", fitness);
    extents.read("`noise`", noise);
    extents.written("the gradient", gradient);
    extents.check(kWho);

    const Tensor z = options.signs ? add_weigh(graph, noise, fitness, noise.shape, count,
                                               gpu::EVOLUTION_SIGNS, options.guarded)
                                   : noise;
    const Tensor weights =
        add_weigh(graph, {}, fitness, Shape{1, pairs}, 1, gpu::EVOLUTION_NUMBERS, options.guarded);
    gemm(graph, weights, z, {}, gradient.reshape(Shape{1, count}),
         {.alpha = scale_of(sigma, pairs, 1), .guarded = options.guarded});
}

}  // namespace heron
