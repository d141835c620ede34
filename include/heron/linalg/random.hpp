// SPDX-License-Identifier: MIT
// Counter-based random matrices as graph operations (heron/linalg.hpp).
//
// Philox 4x32-10 (Salmon, Moraes, Dror, Shaw: "Parallel random numbers: as easy as 1, 2, 3", SC 2011).
// Elements 4 b to 4 b + 3 of a tensor, counted row after row without the gaps between rows, come from the
// four words of
//
//   Philox(key = (seed, upper half of seed), counter = (first_block + b, step, tensor, stream))
//
// so that a draw depends on nothing but these numbers: not on slices, on groups of operations, or on what
// else is drawn. The words are the same on all devices; so are uniform and exponential numbers and signs.
// Normal numbers may differ in their last bits from device to device, whose square roots round differently,
// and are the same bits every time on one.
#pragma once

#include <cstdint>

#include "heron/export.hpp"
#include "heron/graph.hpp"

namespace heron {

enum class Distribution : std::uint32_t {
    bits = 0,     // the words themselves; for u32 tensors, and only for them
    uniform = 1,  // multiples of 2^-24 (bf16: 2^-8, f16: 2^-11) in [0, 1), all equally likely; exact
    normal = 2,   // mean 0, variance 1, by Box and Muller; |x| <= 5.77; within 8 u sqrt(-2 log u1) of float64
    signs = 3,    // -1 or 1 (Rademacher)
    exponential = 4,  // mean 1; at most 16.64; within 2 u of float64, relatively
};

struct RandomOptions {
    Distribution distribution = Distribution::normal;
    std::uint64_t seed = 0;
    std::uint32_t tensor = 0;       // a number of its own for each tensor (of a parameter, say) ...
    std::uint32_t stream = 0;       // ... and for each purpose that draws for it
    std::uint32_t step = 0;         // added to what follows
    std::uint32_t first_block = 0;  // for a tensor that is drawn in parts: elements before it, divided by 4
    // The graph's control block (Graph::control, made if there is none) is part of the draw: its step is
    // added to `step` and its seed to the lower half of `seed`, both modulo 2^32. A recorded step draws anew
    // every time it is executed, and a training that is resumed goes on as if it had not been interrupted.
    bool control = true;
    // One u32 in device memory (a state, say), added to `step`, for graphs without control block; see
    // advance_counter().
    Tensor counter;
    float scale = 1.0f;   // multiplies every number, except bits
    bool guarded = true;  // see Operation::guarded
};

// Fills a tensor of any shape with random numbers: f32, f16, bf16 (rounded once), or u32 for
// Distribution::bits. Gaps between rows keep their bytes. About 25 integer and 10 to 20 floating-point
// operations an element; writes it once. Throws (invalid_argument) for a dtype that does not fit the
// distribution, a scale that is not finite, or a counter that is not one u32 or lies in the tensor.
HERON_API void fill_random(Graph& graph, const Tensor& to, const RandomOptions& options = {});

// counter <- counter + 1, modulo 2^32; after the operations added before that read it.
HERON_API void advance_counter(Graph& graph, const Tensor& counter, bool guarded = true);

}  // namespace heron
