// SPDX-License-Identifier: MIT
// What a population computes with: perturbed_linear() and perturbed_copies(); and what its scores are worth.
#include "evolution/evolution.hpp"

#include <cmath>
#include <cstddef>
#include <string>
#include <utility>

#include "evolution/evolution.h"
#include "heron/linalg/product.hpp"
#include "heron/spirv/evolution_copy.hpp"
#include "heron/spirv/evolution_fitness.hpp"
#include "heron/spirv/evolution_sign.hpp"
#include "linalg/checks.hpp"
#include "linalg/tensors.hpp"

namespace heron {

static_assert(sizeof(gpu::EvolutionCopyJob) == 40);
static_assert(sizeof(gpu::EvolutionSignJob) == 40);
static_assert(sizeof(gpu::EvolutionFitnessJob) == 40);

namespace {

constexpr KernelInfo kCopy = make_kernel<gpu::EvolutionCopyJob>("evolution_copy", spirv::evolution_copy);
constexpr KernelInfo kSign = make_kernel<gpu::EvolutionSignJob>("evolution_sign", spirv::evolution_sign);
constexpr KernelInfo kFitness =
    make_kernel<gpu::EvolutionFitnessJob>("evolution_fitness", spirv::evolution_fitness);

constexpr std::uint32_t kMaxGroup = 16384;

}  // namespace

void perturbed_linear(Graph& graph, const Tensor& x, const Tensor& weight, const LowRankNoise& noise,
                      float sigma, const Tensor& y, bool guarded) {
    constexpr const char* kWho = "perturbed_linear";
    const NoiseSizes sizes = check_low_rank(kWho, graph, noise);
    check_sigma(kWho, sigma);
    check_float_tensor(kWho, "x", graph, x);
    check_float_tensor(kWho, "weight", graph, weight);
    check_float_tensor(kWho, "y", graph, y);
    const std::uint64_t members = 2 * sizes.pairs, steps = x.rows(), m = sizes.rows, n = sizes.cols;
    const bool shared = x.batch() == 1;
    if ((!shared && x.batch() != members) || x.cols() != n || x.stride() != n)
        refuse(kWho, "x is " + text(x) + "; it must be one matrix, or " + std::to_string(members) +
                         ", with " + std::to_string(n) + " columns, without gaps");
    if (weight.batch() != 1 || weight.rows() != m || weight.cols() != n)
        refuse(kWho, "the weight is " + text(weight) + ", the noise of a " + std::to_string(m) + "x" +
                         std::to_string(n) + " matrix");
    if (y.dtype != DType::f32 || y.batch() != members || y.rows() != steps || y.cols() != m ||
        y.stride() != m)
        refuse(kWho, "y is " + text(y) + "; it must be f32, " + std::to_string(members) + "x" +
                         std::to_string(steps) + "x" + std::to_string(m) + ", without gaps");
    Extents extents(graph);
    extents.read("x", x);
    extents.read("the weight", weight);
    extents.read("noise a", noise.a);
    extents.read("noise b", noise.b);
    extents.written("y", y);
    extents.check(kWho);
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
    job.scale = static_cast<float>(sigma / std::sqrt(static_cast<double>(r)));
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

void perturbed_copies(Graph& graph, const Tensor& w, const Tensor& noise, float sigma, const Tensor& members,
                      bool guarded) {
    constexpr const char* kWho = "perturbed_copies";
    check_sigma(kWho, sigma);
    check_float_tensor(kWho, "w", graph, w);
    check_float_tensor(kWho, "noise", graph, noise);
    const std::uint64_t count = w.shape.count(), pairs = noise.rows();
    check_float_vector(kWho, "`w`", graph, w, count);
    if (count == 0 || noise.batch() != 1 || noise.cols() != count)
        refuse(kWho, "w is " + text(w) + ", the noise " + text(noise) +
                         "; it must have a column for each element, and there must be some");
    check_vector(kWho, "`noise`", graph, noise, pairs * count, DType::f32);
    check_vector(kWho, "`members`", graph, members, 2 * pairs * count, DType::f32);
    Extents extents(graph);
    extents.read("`w`", w);
    extents.read("`noise`", noise);
    extents.written("`members`", members);
    extents.check(kWho);

    using Job = gpu::EvolutionCopyJob;
    const PassGrid grid(graph.device());
    Job job{};
    job.count = narrow(count);
    job.groups = narrow(grid.groups(count));
    job.sigma = sigma;
    std::vector<SpecConstant> constants = grid.constants();
    constants.push_back({gpu::SPEC_DTYPE_A, dtype_code(w)});
    add_operation(graph,
                  make_operation(kCopy, job,
                                 {{offsetof(Job, w), w, Access::read},
                                  {offsetof(Job, noise), noise, Access::read},
                                  {offsetof(Job, members), members, Access::write}},
                                 pairs * job.groups),
                  std::move(constants), 3.0 * static_cast<double>(pairs * count),
                  16.0 * static_cast<double>(pairs * count), guarded, "the only one");
}

void shape_fitness(Graph& graph, const Tensor& scores, const Tensor& fitness, const FitnessOptions& options) {
    constexpr const char* kWho = "shape_fitness";
    check_float_tensor(kWho, "scores", graph, scores);
    const std::uint64_t count = scores.shape.count();
    check_vector(kWho, "`scores`", graph, scores, count, DType::f32);
    if (count == 0 || count > kMaxMembers)
        refuse(kWho, "there are " + std::to_string(count) + " scores; there must be 1 to " +
                         std::to_string(kMaxMembers));
    if (options.group > kMaxGroup || (options.group != 0 && count % options.group != 0) ||
        (options.baseline && options.group < 2))
        refuse(kWho, "group is " + std::to_string(options.group) + "; it must divide the " +
                         std::to_string(count) + " scores and be at most " + std::to_string(kMaxGroup) +
                         (options.baseline ? ", not below 2 with `baseline`" : ""));
    check_vector(kWho, "`fitness`", graph, fitness, options.baseline ? options.group : count, DType::f32);
    check_no_overlap(kWho, "fitness", fitness, "scores", scores, graph);

    using Job = gpu::EvolutionFitnessJob;
    Job job{};
    job.count = narrow(count);
    job.group = options.group;
    job.flags = options.baseline ? gpu::EVOLUTION_BASELINE : 0;
    // A load behind a condition may be done early: what is not there gets an address that is.
    std::vector<Operand> operands{{offsetof(Job, scores), scores, Access::read},
                                  {offsetof(Job, fitness), fitness, Access::write}};
    if (options.group != 0)
        operands.push_back({offsetof(Job, scales), graph.temporary(DType::f32, Shape{count / options.group}),
                            Access::write});
    else
        operands.push_back({offsetof(Job, scales), scores, Access::read});
    add_operation(graph, make_operation(kFitness, job, std::move(operands), 1), {{gpu::SPEC_THREADS, 128}},
                  8.0 * static_cast<double>(count), 20.0 * static_cast<double>(count), options.guarded,
                  "one workgroup");
}

}  // namespace heron
