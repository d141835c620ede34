// SPDX-License-Identifier: MIT
// Evolution strategies with noise of low rank, as graph operations (heron/linalg.hpp says what these have in
// common): gradients for any optimizer from scores of a population, without a backward pass. (B. Sarkar et
// al.: Evolution Strategies at the Hyperscale, arXiv 2511.16652: EGGROLL, as its code
// ESHyperscale/HyperscaleES has it.)
//
// Members 2 p and 2 p + 1 of N are a pair of opposite signs, s = 1 and -1. Matrices of pair p are W + s sigma
// / sqrt(r) A_p B_p^T with A_p m x r and B_p n x r of standard normal numbers, other parameters w + s sigma
// z_p. No noise is kept: a forward plan draws its numbers where it needs them, an update plan the same ones,
// from counters, into memory that plans share with whatever else is temporary. For a layer y = x W^T of a
// network:
//
//   forward:  perturbed_linear(graph, x, weight, DrawnNoise{population, tensor, rank}, sigma, y);
//             // ...; scores by whatever judges the members
//   update:   shape_fitness(graph, scores, fitness);
//             noise = low_rank_noise(graph, population, tensor, m, n, rank);  // the same numbers
//             evolution_gradient(graph, fitness, noise, sigma, gradient);
//   then the optimizer's step, and advance_counter() of the epoch
//
// Throws (invalid_argument) for shapes, dtypes, numbers and overlaps that do not fit, before anything is
// added. Threads: as Graph.
#pragma once

#include <cstdint>

#include "heron/export.hpp"
#include "heron/graph.hpp"

namespace heron {

struct Population {
    std::uint32_t members = 0;  // even, 2 to 2^20
    std::uint64_t seed = 0;
    // One u32 on the device, a state for instance: which update this is, from 0 (advance_counter(),
    // random.hpp).
    Tensor epoch;
    // As many epochs have the same noise; 0: all of them, which is the official code's default.
    std::uint32_t noise_reuse = 1;
    // Above 0, a multiple of 2: the first pair of each group of so many members has no noise, and its first
    // member's score is what the others are compared with (shape_fitness()).
    std::uint32_t baseline_group = 0;
};

// N / 2 pairs one above the other: a (N / 2) r x m and b (N / 2) r x n, f32, without gaps; rows p r to p r +
// r - 1 are the columns of A_p and B_p.
struct LowRankNoise {
    Tensor a, b;
    std::uint32_t rank = 1;
};

// Temporaries of the graph with the noise of parameter `tensor` (a number of its own for each). Element e of
// the (n + m) x r numbers of a pair, those of B_p first, row after row, is number e mod 4 of Philox 4x32-10
// with key (seed, upper half of seed) and counter (e / 4, pair, epoch, tensor) through Box and Muller: radius
// sqrt(-2 log u) with u = (word + 0.5) / 2^32 and angle 2 pi u, cosine then sine, from words 0 and 1, 2
// and 3. The words are the same on all devices; the numbers are within 1e-6 of float64, the same bits every
// time on one device. 2 N (m + n) r bytes, written once.
HERON_API LowRankNoise low_rank_noise(Graph& graph, const Population& population, std::uint32_t tensor,
                                      std::uint64_t rows, std::uint64_t cols, std::uint32_t rank = 1,
                                      bool guarded = true);
// The same for a parameter without such structure: N / 2 x elements.
HERON_API Tensor full_noise(Graph& graph, const Population& population, std::uint32_t tensor,
                            std::uint64_t elements, bool guarded = true);

// The noise of parameter `tensor`, as low_rank_noise() has it, which is in no memory.
struct DrawnNoise {
    Population population;
    std::uint32_t tensor = 0;
    std::uint32_t rank = 1;
};

// y_i = x_i W^T + s_i sigma / sqrt(r) (x_i B_p) A_p^T for all members at once. x N x t x n, or t x n where
// all of them see the same; W m x n; f32, f16 or bf16; y N x t x m f32; x and y without gaps.
//
// Two dispatches, whatever N is: x W^T of all members as one gemm(), and what the noise adds, by a kernel
// that draws B_p and A_p a piece at a time into shared memory, with the bits of low_rank_noise(). The second
// is one for all layers that do not wait for one another. 2 N t (m n + r (m + n)) FLOPs, with x shared 2 t m
// n + N t r (n + 2 m), and 20 N r (m + n) of drawing for every 32 rows of a pair. Bytes, of an f32 x: x twice
// and y three times, 8 N t n + 12 N t m; with x shared y once, 4 N t m. One kernel for both would save 8 N t
// m of them (none with x shared), 8 bytes for 2 n FLOPs, and have none of gemm()'s: with tiles of both
// operands in registers there is no room for the noise, and where matrices are multiplied in hardware no way
// to it. Error: gemm()'s, and in what is added sums of n and r terms in f32. Ranks above 32 and n above 16384
// have their noise in memory, as below: some devices bound the rounds of loops.
HERON_API void perturbed_linear(Graph& graph, const Tensor& x, const Tensor& weight, const DrawnNoise& noise,
                                float sigma, const Tensor& y, bool guarded = true);
// The same with noise in memory, of any origin: three products and a pass of signs. Bytes beyond those above:
// the noise's, read, and 16 N t r.
HERON_API void perturbed_linear(Graph& graph, const Tensor& x, const Tensor& weight,
                                const LowRankNoise& noise, float sigma, const Tensor& y, bool guarded = true);
// members = w + s sigma z: w elements of f32, f16 or bf16; noise of full_noise(); members N x elements f32.
// Biases, gains; weights too, for evolution of full rank (OpenAI's).
HERON_API void perturbed_copies(Graph& graph, const Tensor& w, const Tensor& noise, float sigma,
                                const Tensor& members, bool guarded = true);

struct FitnessOptions {
    // 0: (score - mean) / sqrt(var + 1e-5) over all N. Above 0: the mean of each group of so many members
    // instead, of which N is a multiple; at most 16384.
    std::uint32_t group = 0;
    // Groups are repetitions with the same N = group members, whose first two have no noise
    // (Population::baseline_group): the mean over groups of (score - score of member 0) / (standard deviation
    // of the group + 1e-8), 0 for members 0 and 1.
    bool baseline = false;
    bool guarded = true;
};
// What scores (f32, higher is better; at most 2^20) are worth: N f32. With `baseline` there may be several
// groups of scores for N = group members. All equal: all 0. Not finite: neither is the gradient, so that an
// optimizer skips the step.
HERON_API void shape_fitness(Graph& graph, const Tensor& scores, const Tensor& fitness,
                             const FitnessOptions& options = {});

struct EvolutionGradientOptions {
    bool signs = false;  // of A and B in place of their values (the variant alteggroll)
    bool guarded = true;
};
// gradient = -sqrt(N) / N sum_i fitness_i s_i sigma / sqrt(r) A_p B_p^T, m x n f32, f16 or bf16: one product,
// with c_p = fitness_2p - fitness_2p+1 in A. Not divided by sigma: an optimizer's rate times sigma sqrt(N) is
// the length of its step, in units of the noise. N r m n FLOPs, 2 N r (3 m + n) bytes. Error: gemm()'s.
HERON_API void evolution_gradient(Graph& graph, const Tensor& fitness, const LowRankNoise& noise, float sigma,
                                  const Tensor& gradient, const EvolutionGradientOptions& options = {});
// gradient = -sqrt(N) / N sum_i fitness_i s_i sigma z_p, elements of f32, f16 or bf16.
HERON_API void evolution_gradient(Graph& graph, const Tensor& fitness, const Tensor& noise, float sigma,
                                  const Tensor& gradient, const EvolutionGradientOptions& options = {});

}  // namespace heron
