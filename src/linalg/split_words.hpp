// SPDX-License-Identifier: MIT
// f32 matrices as two 16-bit ones, x = high + low / SPLIT_WORDS_SCALE, for products by matrix units.
#pragma once

#include "heron/graph.hpp"
#include "linalg/split_words.h"

namespace heron {

// `x` is f32; `high` and `low` are f16 or bf16 of its shape, of one layout with an even row stride and apart
// from it. What is left is at most 2^-22 |x| (f16, from 2^-14 to 65504) or 2^-17 |x| (bf16). Checks nothing.
void add_split_words(Graph& graph, const Tensor& x, const Tensor& high, const Tensor& low, bool guarded);

}  // namespace heron
