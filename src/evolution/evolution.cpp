// SPDX-License-Identifier: MIT
// perturbed_copies(), what a population computes with; and what its scores are worth.
#include "evolution/evolution.hpp"

#include <cstddef>
#include <string>
#include <utility>

#include "evolution/evolution.h"
#include "heron/spirv/evolution_copy.hpp"
#include "heron/spirv/evolution_fitness.hpp"
#include "linalg/checks.hpp"
#include "linalg/tensors.hpp"

namespace heron {

static_assert(sizeof(gpu::EvolutionCopyJob) == 40);
static_assert(sizeof(gpu::EvolutionFitnessJob) == 40);

namespace {

constexpr KernelInfo kCopy = make_kernel<gpu::EvolutionCopyJob>("evolution_copy", spirv::evolution_copy);
constexpr KernelInfo kFitness =
    make_kernel<gpu::EvolutionFitnessJob>("evolution_fitness", spirv::evolution_fitness);

constexpr std::uint32_t kMaxGroup = 16384;

}  // namespace

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
