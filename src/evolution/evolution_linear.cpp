// SPDX-License-Identifier: MIT
// perturbed_linear(): with noise in memory by products alone, with drawn noise by a product and a kernel.
#include "heron/spirv/evolution_linear.hpp"

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <string>
#include <utility>

#include "evolution/evolution.h"
#include "evolution/evolution.hpp"
#include "heron/linalg/product.hpp"
#include "heron/spirv/evolution_sign.hpp"
#include "linalg/checks.hpp"
#include "linalg/tensors.hpp"

namespace heron {

static_assert(sizeof(gpu::EvolutionSignJob) == 40);
static_assert(sizeof(gpu::EvolutionLinearJob) == 96);

namespace {

constexpr KernelInfo kSign = make_kernel<gpu::EvolutionSignJob>("evolution_sign", spirv::evolution_sign);
constexpr KernelInfo kLinear =
    make_kernel<gpu::EvolutionLinearJob>("evolution_linear", spirv::evolution_linear);
constexpr const char* kWho = "perturbed_linear";

void check_linear(const Graph& graph, const Tensor& x, const Tensor& weight, const Tensor& y,
                  std::uint64_t members, float sigma) {
    check_sigma(kWho, sigma);
    check_float_tensor(kWho, "x", graph, x);
    check_float_tensor(kWho, "y", graph, y);
    const std::uint64_t m = weight.rows(), n = weight.cols();
    if ((x.batch() != 1 && x.batch() != members) || x.cols() != n || x.stride() != n)
        refuse(kWho, "x is " + text(x) + "; it must be one matrix, or " + std::to_string(members) +
                         ", with " + std::to_string(n) + " columns, without gaps");
    if (y.dtype != DType::f32 || y.batch() != members || y.rows() != x.rows() || y.cols() != m ||
        y.stride() != m)
        refuse(kWho, "y is " + text(y) + "; it must be f32, " + std::to_string(members) + "x" +
                         std::to_string(x.rows()) + "x" + std::to_string(m) + ", without gaps");
}

float scale_of(float sigma, std::uint32_t rank) {
    return static_cast<float>(sigma / std::sqrt(static_cast<double>(rank)));
}

// y = base + what the noise adds; y may be base.
void add_drawn(Graph& graph, const Tensor& x, const DrawnNoise& noise, float sigma, const Tensor& base,
               const Tensor& y, bool guarded) {
    using Job = gpu::EvolutionLinearJob;
    const bool shared = x.batch() == 1;
    const std::uint64_t rank = noise.rank, pairs = noise.population.members / 2, width = y.cols();
    const std::uint64_t rows = shared ? x.rows() : 2 * x.rows();
    const std::uint64_t most = std::min<std::uint64_t>(gpu::EVOLUTION_ROWS, gpu::EVOLUTION_SUMS / rank);
    const std::uint64_t block_rows = std::min(most / 4 * 4, ceil_div(rows, 4) * 4);
    const std::uint64_t row_blocks = ceil_div(rows, block_rows);
    const std::uint64_t column_blocks = ceil_div(width, gpu::EVOLUTION_COLUMNS);
    Job job{};
    job.draw = draw_of(noise.population, noise.tensor);
    job.width = narrow(width);
    job.cols = narrow(x.cols());
    job.rank = noise.rank;
    job.rows = narrow(rows);
    job.steps = narrow(x.rows());
    job.flags = shared ? gpu::EVOLUTION_SHARED : 0;
    job.scale = scale_of(sigma, noise.rank);
    job.block_rows = narrow(block_rows);
    job.row_blocks = narrow(row_blocks);
    job.column_blocks = narrow(column_blocks);
    std::vector<Operand> operands{{offsetof(Job, x), x, Access::read},
                                  {offsetof(Job, base), base, Access::read},
                                  {offsetof(Job, y), y, Access::write},
                                  {offsetof(Job, epoch), noise.population.epoch, Access::read}};
    if (!shared) operands[1].access = operands[2].access = Access::read_write;
    // Every block of columns has products with B_p of its own, every block of rows its own noise.
    const double numbers = static_cast<double>(pairs * rank * (x.cols() * column_blocks + width));
    const double flops = numbers * (2.0 * static_cast<double>(rows) + 40.0 * static_cast<double>(row_blocks));
    const double bytes = static_cast<double>(bytes_of(x.dtype) * x.shape.count() * column_blocks +
                                             bytes_of(DType::f32) * (base.shape.count() + y.shape.count()));
    add_operation(graph,
                  make_operation(kLinear, job, std::move(operands), pairs * row_blocks * column_blocks),
                  {{gpu::SPEC_THREADS, gpu::EVOLUTION_THREADS}, {gpu::SPEC_DTYPE_A, dtype_code(x)}}, flops,
                  bytes, guarded,
                  "up to 32 rows of a pair a workgroup; ranks above 32 and x of more than 16384 columns get "
                  "their noise from memory");
}

}  // namespace

void perturbed_linear(Graph& graph, const Tensor& x, const Tensor& weight, const DrawnNoise& noise,
                      float sigma, const Tensor& y, bool guarded) {
    check_float_tensor(kWho, "weight", graph, weight);
    if (weight.batch() != 1) refuse(kWho, "the weight is " + text(weight) + "; it must be one matrix");
    const std::uint64_t members = noise.population.members, m = weight.rows(), n = weight.cols();
    check_drawn(kWho, graph, noise.population, m, n, noise.rank);
    check_linear(graph, x, weight, y, members, sigma);
    Extents extents(graph);
    extents.read("x", x);
    extents.read("the weight", weight);
    extents.read("`epoch`", noise.population.epoch);
    extents.written("y", y);
    extents.check(kWho);
    const std::uint64_t rows = x.batch() * x.rows();
    if (rows == 0) return;

    if (noise.rank > gpu::EVOLUTION_RANK || n > gpu::EVOLUTION_INPUTS) {
        const LowRankNoise drawn =
            low_rank_noise(graph, noise.population, noise.tensor, m, n, noise.rank, guarded);
        perturbed_linear(graph, x, weight, drawn, sigma, y, guarded);
        return;
    }
    const Tensor base = x.batch() == 1 ? graph.temporary(DType::f32, Shape{rows, m}) : y;
    gemm(graph, x.reshape(Shape{rows, n}), weight, {}, base.reshape(Shape{rows, m}),
         {.transpose_b = Transpose::yes, .guarded = guarded});
    add_drawn(graph, x, noise, sigma, base, y, guarded);
}

void perturbed_linear(Graph& graph, const Tensor& x, const Tensor& weight, const LowRankNoise& noise,
                      float sigma, const Tensor& y, bool guarded) {
    const NoiseSizes sizes = check_low_rank(kWho, graph, noise);
    const std::uint64_t members = 2 * sizes.pairs, m = sizes.rows, n = sizes.cols;
    check_float_tensor(kWho, "weight", graph, weight);
    if (weight.batch() != 1 || weight.rows() != m || weight.cols() != n)
        refuse(kWho, "the weight is " + text(weight) + ", the noise of a " + std::to_string(m) + "x" +
                         std::to_string(n) + " matrix");
    check_linear(graph, x, weight, y, members, sigma);
    Extents extents(graph);
    extents.read("x", x);
    extents.read("the weight", weight);
    extents.read("noise a", noise.a);
    extents.read("noise b", noise.b);
    extents.written("y", y);
    extents.check(kWho);
    const std::uint64_t steps = x.rows();
    const bool shared = x.batch() == 1;
    if (steps == 0) return;

    // A pair's rows, one member after the other, have one product with its noise.
    const std::uint64_t r = noise.rank, both = 2 * steps;
    const Tensor pairs_y = y.reshape(Shape{sizes.pairs, both, m});
    const Tensor inner = graph.temporary(DType::f32, Shape{sizes.pairs, both, r});
    const auto product = [&](const Tensor& a, const Tensor& b, const Tensor& d) {
        gemm(graph, a, b, {}, d, {.transpose_b = Transpose::yes, .guarded = guarded});
    };
    Tensor plain = pairs_y, from = inner;
    if (shared) {
        // x W^T and x B_p once: what both members have, and all pairs, is written twice and once.
        plain = graph.temporary(DType::f32, Shape{both, m});
        from = graph.temporary(DType::f32, Shape{sizes.pairs, steps, r});
        const Tensor rows = x.reshape(Shape{steps, n});
        for (std::uint64_t half : {0, 1}) product(rows, weight, plain.row_range(half * steps, steps));
        product(rows, noise.b.reshape(Shape{sizes.pairs, r, n}), from);
    } else {
        product(x.reshape(Shape{members * steps, n}), weight, y.reshape(Shape{members * steps, m}));
        product(x.reshape(Shape{sizes.pairs, both, n}), noise.b.reshape(Shape{sizes.pairs, r, n}), inner);
    }
    using Job = gpu::EvolutionSignJob;
    Job job{};
    const std::uint64_t count = inner.shape.count();
    job.count = narrow(count);
    job.member = narrow(steps * r);
    job.flags = shared ? gpu::EVOLUTION_SHARED : 0;
    job.scale = scale_of(sigma, noise.rank);
    const PassGrid grid(graph.device());
    std::vector<Operand> operands{{offsetof(Job, from), from, Access::read},
                                  {offsetof(Job, x), inner, Access::write}};
    if (!shared) operands[0].access = operands[1].access = Access::read_write;
    add_operation(graph, make_operation(kSign, job, std::move(operands), grid.groups(count)),
                  grid.constants(), static_cast<double>(count), 8.0 * static_cast<double>(count), guarded,
                  "the only one");
    gemm(graph, inner, noise.a.reshape(Shape{sizes.pairs, r, m}), plain, pairs_y,
         {.beta = 1, .guarded = guarded});
}

}  // namespace heron
