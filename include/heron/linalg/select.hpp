// SPDX-License-Identifier: MIT
// Sorting and selecting as graph operations (heron/linalg.hpp).
#pragma once

#include <cstdint>

#include "heron/export.hpp"
#include "heron/graph.hpp"

namespace heron {

enum class SortOrder : std::uint32_t { ascending = 0, descending = 1 };  // the smallest first, or the largest

// indices[r][i] = column of the i-th element of row r of `keys` in that order; `indices` is u32 of the shape
// of `keys` (f32, f16 or bf16, with or without gaps between rows). Stable: equal keys keep their order, in
// descending order too. The order is total: -inf < ... < -0 < 0 < ... < inf, and NaN comes last in both
// orders. At most 2^30 elements, each row rounded up to whole runs. Runs of up to 1024 elements (CPU drivers:
// 16) are sorted in a workgroup (bitonic networks on pairs of key and index), then merged two and two: 1 +
// log2(cols / 1024) dispatches. About log2(run)^2 / 2 comparisons an element in its run, and 4 in a merge,
// each of which reads and writes 8 bytes an element. Exact: no arithmetic on keys.
HERON_API void argsort(Graph& graph, const Tensor& keys, const Tensor& indices,
                       SortOrder order = SortOrder::ascending, bool guarded = true);

// The first k = indices.cols() columns of argsort() for each row: descending gives the k largest, largest
// first. k is at most x.cols(). `values`, where given, receives the elements themselves (same shape as
// `indices`; f32, f16 or bf16). Runs are cut to k elements before they are merged.
HERON_API void top_k(Graph& graph, const Tensor& x, const Tensor& indices, const Tensor& values = {},
                     SortOrder order = SortOrder::descending, bool guarded = true);

// out[i][:] = x[indices[i]][:], or out[:][j] = x[:][indices[j]]. `indices`: contiguous u32, one for each row
// (column) of every matrix of `out`, or of one matrix for all of the batch. x has the batch of `out`, or is
// one matrix for all. An index beyond x gives zeros. Dtypes f32, f16, bf16; x and `out` may differ and may
// not overlap: elements are rounded once where that of `out` is shorter, and NaN stays NaN. Every element of
// `out` is read and written once, and the indices are read.
HERON_API void gather_rows(Graph& graph, const Tensor& x, const Tensor& indices, const Tensor& out,
                           bool guarded = true);
HERON_API void gather_columns(Graph& graph, const Tensor& x, const Tensor& indices, const Tensor& out,
                              bool guarded = true);

}  // namespace heron
