// SPDX-License-Identifier: MIT
// The steps of Jacobi's method as graph operations, which eigh() and svd() are made of
// (shaders/linalg/jacobi.h, spectrum.h). Nothing here checks its arguments.
#pragma once

#include <cstdint>
#include <string_view>
#include <vector>

#include "heron/graph.hpp"

namespace heron {

// What one workgroup takes on a device.
struct JacobiVariant {
    std::uint32_t threads;
    std::uint32_t order;  // of the largest matrix in shared memory, even
    std::uint32_t block;  // columns of a block in the blocked form; a pair of blocks fits shared memory
    std::uint32_t rotate_threads;
    std::uint32_t rotate_lanes;
    std::uint32_t cpu_subgroup;  // of the kernels for CPU drivers, else 0
    std::uint32_t eigen_order;   // of the largest matrix whose eigenvectors one workgroup finds
    std::uint32_t eigen_sweeps;  // that it makes in one dispatch
};
JacobiVariant choose_jacobi(const Device& device);

// Throws (invalid_argument) where the padded matrices of `order` columns for all of A's batch would have 2^32
// elements or more.
void check_jacobi_workspace(std::string_view who, const Device& device, const Tensor& a, std::uint64_t order);

// y = I for each matrix of y, f32 without gaps.
void add_identity(Graph& graph, const Tensor& y, bool guarded);

// A batch of matrices of one shape on its way through Jacobi's method. Working tensors are f32, contiguous,
// of shape [items, rows, cols].
class Jacobi {
public:
    // `rotated`: columns that are rotated, n; `rank_scale`: the larger extent.
    Jacobi(Graph& graph, std::uint64_t items, std::uint64_t rotated, std::uint64_t rank_scale, bool guarded);

    const JacobiVariant& variant() const { return variant_; }
    Tensor matrix(std::uint64_t rows, std::uint64_t cols) const;

    // y = x / a power of two near its norm, padded with zeros (PREPARE_ of jacobi.h); the state of each
    // matrix begins here.
    void prepare(const Tensor& x, const Tensor& y, std::uint32_t how);
    // y = x padded with ones on the diagonal, or the identity for matrices whose columns are not orthonormal
    // to 2^-10.
    void prepare_basis(const Tensor& x, const Tensor& y);
    void identity(const Tensor& y) const { add_identity(graph_, y, guarded_); }
    // y = x padded with zeros.
    void pad(const Tensor& x, const Tensor& y) const;
    // The same. Matrices whose word of `doubtful` (u32) is 0 are done: no sweep changes them.
    void pad_doubtful(const Tensor& x, const Tensor& doubtful, const Tensor& y) const;

    // v = eigenvectors of the symmetric x, which fits one workgroup and is overwritten. x and v may have a
    // multiple of the batch's matrices: parts of matrices, which are frozen together.
    void solve(const Tensor& x, const Tensor& v, std::uint32_t sweeps);
    // Blocked form: x <- diagonal, v <- v J. `x` is overwritten; both are N x N with N a multiple of 2 block.
    void eigen_sweeps(const Tensor& x, const Tensor& v, std::uint32_t sweeps);
    // One-sided: the columns of x become orthogonal, v <- v J. N = 2 `block` for a single pair.
    void column_sweeps(const Tensor& x, const Tensor& v, std::uint32_t block, std::uint32_t sweeps);

    // v <- (3 v - v (v^T v)) / 2 (Bjorck and Bowie 1971): squares the distance from orthonormality.
    // Here and in column_products(), any batch will do.
    Tensor orthonormalized(const Tensor& v) const;

    // Diagonal of x^T y, [items, cols].
    Tensor column_products(const Tensor& x, const Tensor& y, std::uint64_t cols) const;
    // Diagonal of v^T x v over that of v^T v, [items, cols], of square x and v without gaps, v orthonormal to
    // rounding: as if in twice the digits, for n^2 products of pairs a column.
    Tensor quotients(const Tensor& x, const Tensor& v) const;
    // Sorts d, ascending, or as squares descending, and writes values and status.
    void order(const Tensor& d, bool squared, const Tensor& values, const Tensor& status);
    // y = the first rows of x with the columns in order (GATHER_ of spectrum.h).
    void gather(const Tensor& x, const Tensor& y, std::uint32_t flags) const;

private:
    struct Pairs {
        std::uint32_t order, block, blocks, round, pairs;
        std::uint64_t x_pair, x_stride, x_item;
    };
    void add_solve(const Tensor& x, const Tensor& j, const Pairs& pairs, std::uint32_t sweeps,
                   double tolerance, double floor, std::uint32_t flags, std::uint32_t partial_at);
    template <typename Job>
    static Job columns_job(const Tensor& x, const Pairs& pairs);
    void add_rotate(const Tensor& x, const Tensor& y, const Tensor& j, const Pairs& pairs,
                    bool transposed) const;
    void add_gram(const Tensor& x, const Tensor& g, const Pairs& pairs) const;
    void add_settle(double tolerance, double limit) const;
    void start_sweeps(std::uint64_t pairs, std::uint64_t order, std::uint64_t partials);

    Graph& graph_;
    JacobiVariant variant_;
    std::uint64_t items_, rotated_, rank_scale_;
    bool guarded_;
    Tensor state_, partials_, scratch_, order_, sorted_;
};

}  // namespace heron
