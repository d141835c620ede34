// SPDX-License-Identifier: MIT
// One side of a block of 4-bit Shampoo: its states, and how they are renewed.
#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <vector>

#include "heron/optim/shampoo4bit.hpp"
#include "linalg/quantize.hpp"

namespace heron {

struct QuantizedFactor {
    std::uint64_t order = 0;
    QuantizeOptions form;   // bits: kPlainBits where it is not quantised
    QuantizedMatrix basis;  // V^T, or the factor itself
    Tensor eigenvalues;     // f32; empty where the factor itself is kept
    QuantizedMatrix root;
    Tensor vector;            // the next start of the power iteration, f32; empty without
    std::uint32_t draws = 0;  // draw_key() of that
    Tensor failures;          // one u32
};

// The factors of one side of all blocks of a parameter, states <parameter>.<what><side> of the graph, with
// their starts in the initialize phase.
std::vector<QuantizedFactor> make_quantized_factors(Graph& graph, const std::string& parameter,
                                                    std::uint32_t side, std::span<const std::uint64_t> orders,
                                                    const Shampoo4BitOptions& options);

// A <- beta A + (1 - beta) unit^2 S: `statistic` S, order x order f32, `unit` one f32.
void renew_statistics(Graph& graph, const QuantizedFactor& factor, const Tensor& statistic,
                      const Tensor& unit, const Shampoo4BitOptions& options);
// With this epsilon in place of the options'.
void renew_quantized_root(Graph& graph, const QuantizedFactor& factor, const Shampoo4BitOptions& options,
                          float epsilon);

}  // namespace heron
