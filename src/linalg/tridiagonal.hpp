// SPDX-License-Identifier: MIT
// Symmetric matrices to tridiagonal form and back as graph operations (shaders/linalg/tridiagonal.h). Nothing
// here checks its arguments.
#pragma once

#include <cstdint>

#include "heron/graph.hpp"

namespace heron {

// Q^T A Q = T, tridiagonal, for a batch of matrices. Working tensors are f32, contiguous, of shape [items,
// size, size], of which the first `order` rows and columns count.
class Tridiagonal {
public:
    // Reduces `a`, symmetric and of norm 1 to 2, which is overwritten.
    Tridiagonal(Graph& graph, const Tensor& a, std::uint64_t order, bool guarded);

    // [items, size]; zeros from `order` (off the diagonal: from `order` - 1) on.
    const Tensor& diagonal() const { return diagonal_; }
    const Tensor& off_diagonal() const { return off_diagonal_; }

    // x <- Q x.
    void multiply(const Tensor& x) const;

    // The matrix in parts of `leaf` rows and columns that can be solved apart (SecularEquation joins them):
    // [items size / leaf, leaf, leaf].
    Tensor split(std::uint64_t leaf) const;

private:
    void column(std::uint64_t index, std::uint32_t flags) const;
    void sums(const Tensor& x, std::uint64_t first_col, std::uint64_t cols, std::uint64_t column,
              const Tensor& result) const;
    void correct(std::uint64_t index, std::uint32_t flags) const;
    void update(std::uint64_t first) const;
    std::uint64_t pieces(std::uint64_t rows) const;
    void add(Operation operation, std::vector<SpecConstant> constants, const char* reason) const;

    Graph& graph_;
    const Tensor a_;
    const std::uint64_t items_, size_, order_;
    const bool guarded_, cpu_;
    Tensor v_all_, z_, z_swapped_, next_, product_, v_, sums_, inner_, tau_, diagonal_, off_diagonal_;
};

}  // namespace heron
