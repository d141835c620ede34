// SPDX-License-Identifier: MIT
// low_rank_noise(), full_noise(), and what the other operations check of them.
#include "heron/spirv/evolution_noise.hpp"

#include <cmath>
#include <cstddef>
#include <limits>
#include <utility>

#include "core/number_text.hpp"
#include "evolution/evolution.h"
#include "evolution/evolution.hpp"
#include "linalg/checks.hpp"
#include "linalg/tensors.hpp"

namespace heron {

static_assert(sizeof(gpu::EvolutionNoiseJob) == 64);

namespace {

constexpr KernelInfo kNoise = make_kernel<gpu::EvolutionNoiseJob>("evolution_noise", spirv::evolution_noise);

void check_population(const char* who, const Graph& graph, const Population& population,
                      std::uint64_t elements) {
    if (population.members < 2 || population.members % 2 != 0 || population.members > kMaxMembers)
        refuse(who, "there are " + std::to_string(population.members) +
                        " members; their number must be even, 2 to " + std::to_string(kMaxMembers));
    check_vector(who, "`epoch`", graph, population.epoch, 1, DType::u32);
    if (population.baseline_group % 2 != 0 ||
        (population.baseline_group != 0 && population.members % population.baseline_group != 0))
        refuse(who, "baseline_group is " + std::to_string(population.baseline_group) +
                        "; it must be even and divide the number of members, " +
                        std::to_string(population.members));
    if (elements == 0 || elements > std::numeric_limits<std::uint32_t>::max() / 4 / (population.members / 2))
        refuse(who, "a pair has " + std::to_string(elements) + " numbers; all pairs must have 1 to 2^30");
}

void add_noise(Graph& graph, const Population& population, std::uint32_t tensor, const LowRankNoise& noise,
               std::uint64_t rows, std::uint64_t cols, bool guarded) {
    using Job = gpu::EvolutionNoiseJob;
    const std::uint32_t threads = graph.device().capabilities().cpu ? 32 : 64;
    const std::uint64_t elements = (rows + cols) * noise.rank, pairs = population.members / 2;
    Job job{};
    job.draw = draw_of(population, tensor);
    job.rows = narrow(rows);
    job.cols = narrow(cols);
    job.rank = noise.rank;
    job.groups = narrow(ceil_div(ceil_div(elements, 4), threads));
    std::vector<Operand> operands{{offsetof(Job, b), noise.b, Access::write},
                                  {offsetof(Job, epoch), population.epoch, Access::read}};
    if (noise.a) operands.push_back({offsetof(Job, a), noise.a, Access::write});
    const double all = static_cast<double>(elements * pairs);
    add_operation(graph, make_operation(kNoise, job, std::move(operands), pairs * job.groups),
                  {{gpu::SPEC_THREADS, threads}}, 40 * all, 4 * all, guarded,
                  "four numbers an invocation; the only one");
}

}  // namespace

void check_sigma(std::string_view who, float sigma) {
    if (!(sigma > 0) || !std::isfinite(sigma))
        refuse(who, "sigma is " + number_text(sigma) + "; it must be finite and above 0");
}

NoiseSizes check_low_rank(std::string_view who, const Graph& graph, const LowRankNoise& noise) {
    check_float_tensor(who, "noise a", graph, noise.a);
    check_float_tensor(who, "noise b", graph, noise.b);
    if (noise.rank == 0 || noise.a.rows() == 0 || noise.a.rows() % noise.rank != 0 ||
        noise.a.rows() != noise.b.rows() || noise.a.cols() == 0 || noise.b.cols() == 0)
        refuse(who, "the noise is " + text(noise.a) + " and " + text(noise.b) + " of rank " +
                        std::to_string(noise.rank) + "; both must have as many rows, a multiple of the rank");
    check_vector(who, "noise a", graph, noise.a, noise.a.rows() * noise.a.cols(), DType::f32);
    check_vector(who, "noise b", graph, noise.b, noise.b.rows() * noise.b.cols(), DType::f32);
    return {noise.a.rows() / noise.rank, noise.a.cols(), noise.b.cols()};
}

void check_drawn(const char* who, const Graph& graph, const Population& population, std::uint64_t rows,
                 std::uint64_t cols, std::uint32_t rank) {
    if (rank == 0 || rows == 0 || cols == 0 || rows > kMaxMembers || cols > kMaxMembers || rank > kMaxMembers)
        refuse(who, "the matrix is " + std::to_string(rows) + "x" + std::to_string(cols) + ", the rank " +
                        std::to_string(rank) + "; all of them must be 1 to " + std::to_string(kMaxMembers));
    check_population(who, graph, population, (rows + cols) * rank);
}

gpu::EvolutionDraw draw_of(const Population& population, std::uint32_t tensor) {
    return {.seed = static_cast<std::uint32_t>(population.seed),
            .seed_high = static_cast<std::uint32_t>(population.seed >> 32),
            .tensor = tensor,
            .reuse = population.noise_reuse,
            .group = population.baseline_group};
}

LowRankNoise low_rank_noise(Graph& graph, const Population& population, std::uint32_t tensor,
                            std::uint64_t rows, std::uint64_t cols, std::uint32_t rank, bool guarded) {
    check_drawn("low_rank_noise", graph, population, rows, cols, rank);
    const std::uint64_t columns = std::uint64_t{population.members} / 2 * rank;
    const LowRankNoise noise{graph.temporary(DType::f32, Shape{columns, rows}),
                             graph.temporary(DType::f32, Shape{columns, cols}), rank};
    add_noise(graph, population, tensor, noise, rows, cols, guarded);
    return noise;
}

Tensor full_noise(Graph& graph, const Population& population, std::uint32_t tensor, std::uint64_t elements,
                  bool guarded) {
    check_population("full_noise", graph, population, elements);
    const Tensor noise = graph.temporary(DType::f32, Shape{population.members / 2, elements});
    add_noise(graph, population, tensor, {{}, noise, 1}, 0, elements, guarded);
    return noise;
}

}  // namespace heron
