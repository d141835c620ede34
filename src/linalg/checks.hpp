// SPDX-License-Identifier: MIT
// Argument checks that all operations of linalg share. They throw heron::Error (invalid_argument).
#pragma once

#include <cstdint>
#include <initializer_list>
#include <string>
#include <string_view>

#include "core/enumerator.hpp"
#include "heron/graph.hpp"

namespace heron {

// "64x32 f16", "2x64x32 f32 (row stride 40)"
std::string text(const Tensor& tensor);

[[noreturn]] void refuse(std::string_view operation, const std::string& what);

// A tensor of this graph, of any type.
void check_tensor(std::string_view operation, std::string_view operand, const Graph& graph,
                  const Tensor& tensor);

// A tensor of this graph with f32, f16 or bf16 elements, whose rows do not overlap, which begins at a 32-bit
// word and has fewer than 2^32 elements from its first to its last (shaders index with 32 bits).
void check_float_tensor(std::string_view operation, std::string_view operand, const Graph& graph,
                        const Tensor& tensor);

// A tensor of this graph with u32 elements, otherwise as check_float_tensor().
void check_indices(std::string_view operation, const Graph& graph, const Tensor& indices);

// An option of an enumeration that counts from 0 to `last`; `what` is the error, "side is not one of Side".
template <class Enum>
void check_enumerator(std::string_view operation, Enum value, Enum last, const char* what) {
    if (!is_enumerator(value, last)) refuse(operation, what);
}

struct NamedTensor {
    const char* name;
    Tensor tensor;
};

// `status` is empty, or has one u32 for each of `items` matrices, without gaps, and lies apart from `others`
// (empty ones do not count).
void check_status_tensor(std::string_view operation, const Graph& graph, const Tensor& status,
                         std::uint64_t items, std::initializer_list<NamedTensor> others = {});

// A result of one f32 for each matrix of A, contiguous.
void check_one_each(std::string_view operation, std::string_view result, const Graph& graph,
                    const Tensor& tensor, const Tensor& a);

// An operand with a matrix for each one of D, or one for all.
void check_batch(std::string_view operation, const char* operand, const Tensor& tensor, const Tensor& d);

// Factors of a product, alpha op(A) op(B) + beta C: finite.
void check_coefficients(std::string_view operation, float alpha, float beta);

// Whether they have a byte in common (graph/byte_rows.hpp): columns side by side of one matrix have none.
bool overlap(const Graph& graph, const Tensor& a, const Tensor& b);
// The same elements in the same places.
bool same_place(const Graph& graph, const Tensor& a, const Tensor& b);

// Both are of this graph, and an output may not touch an input (except where it may be the same tensor, which
// the caller has tested).
void check_no_overlap(std::string_view operation, std::string_view output, const Tensor& written,
                      std::string_view input, const Tensor& read, const Graph& graph);

// Its elements follow one another: there is no gap between rows, or only one row.
bool is_contiguous(const Tensor& tensor);

// Elements from one matrix of the batch to the next; 0 when there is only one, which then serves every item.
std::uint32_t batch_stride(const Tensor& tensor);

// As the specialization constants SPEC_DTYPE_ name it.
inline std::uint32_t dtype_code(const Tensor& tensor) { return static_cast<std::uint32_t>(tensor.dtype); }

}  // namespace heron
