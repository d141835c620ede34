// SPDX-License-Identifier: MIT
// convert() with what only linalg itself needs.
#pragma once

#include "heron/linalg.hpp"

namespace heron {

// to = scale * from, where `from` may be one matrix for all items of `to`, or empty: then `to` becomes zero.
// Checks nothing.
void add_convert(Graph& graph, const Tensor& from, const Tensor& to, float scale, bool guarded);

// Whether every item of the batch begins with a 32-bit word. Matrices of 16-bit elements need not: 3 of 129 x
// 3. Operations on one item (Tensor::batch_item) need it.
bool has_even_items(const Tensor& x);

// x, or its copy in f32 where it has not.
Tensor with_even_items(Graph& graph, const Tensor& x, bool guarded);
DType with_even_items_dtype(const Tensor& x);  // of what it returns

// Words become zero, which is 0.0 and MatrixStatus::ok; of an empty tensor, nothing. What an operation on
// matrices without elements has to report.
void add_zeros(Graph& graph, const Tensor& words, bool guarded);

}  // namespace heron
