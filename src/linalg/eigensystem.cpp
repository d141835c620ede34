// SPDX-License-Identifier: MIT
// Eigensystems of large symmetric matrices: the order of the steps.
#include "linalg/eigensystem.hpp"

#include "heron/linalg/product.hpp"
#include "linalg/convert.hpp"
#include "linalg/integers.hpp"
#include "linalg/tridiagonal.hpp"

namespace heron {

namespace {

// Parts of 64 take Jacobi's method four times as long, and a level less saves less than that.
constexpr std::uint64_t kLargestLeaf = 32;
constexpr std::uint32_t kSweeps = 16;

std::uint64_t parts_of(std::uint64_t order) {
    std::uint64_t parts = 1;
    while (ceil_div(order, parts) > kLargestLeaf) parts *= 2;
    return parts;
}

}  // namespace

std::uint64_t eigensystem_size(std::uint64_t order) {
    return ceil_div(order, parts_of(order)) * parts_of(order);
}

Eigensystem large_eigensystem(Graph& graph, Jacobi& jacobi, const Tensor& x, std::uint64_t order,
                              bool guarded) {
    const Tridiagonal tridiagonal(graph, x, order, guarded);

    const std::uint64_t leaf = x.cols() / parts_of(order);
    const Tensor parts = tridiagonal.split(leaf);
    const Tensor rotated = graph.temporary(DType::f32, parts.shape);
    add_convert(graph, parts, rotated, 1.0f, guarded);  // the sweeps overwrite their matrix
    Tensor v = graph.temporary(DType::f32, parts.shape);
    jacobi.solve(rotated, v, kSweeps);
    v = jacobi.orthonormalized(v);
    const Tensor product = graph.temporary(DType::f32, parts.shape);
    gemm(graph, parts, v, Tensor{}, product, {.guarded = guarded});
    Tensor d = jacobi.column_products(v, product, leaf);
    d.shape = Shape{x.batch(), x.cols()};

    const Eigensystem found = join_parts(graph, {d, v}, tridiagonal.off_diagonal(), order, guarded);
    tridiagonal.multiply(found.vectors);
    return found;
}

}  // namespace heron
