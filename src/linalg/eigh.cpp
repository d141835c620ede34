// SPDX-License-Identifier: MIT
// eigh(): checks, and the order of the steps.
#include <string>

#include "graph/graph.hpp"
#include "heron/linalg.hpp"
#include "linalg/checks.hpp"
#include "linalg/convert.hpp"
#include "linalg/eigensystem.hpp"
#include "linalg/jacobi.h"
#include "linalg/jacobi.hpp"
#include "linalg/spectrum.h"

namespace heron {

namespace {

constexpr std::uint64_t kMaxOrder = 4096;
constexpr std::uint32_t kSweeps = 16;         // of one workgroup
constexpr std::uint32_t kBlockedSweeps = 14;  // of pairs of blocks

void check_result(const Graph& graph, const char* name, const Tensor& result, const Tensor& a) {
    check_float_tensor("eigh", name, graph, result);
    if (result.dtype != DType::f32)
        refuse("eigh", std::string(name) + " is " + text(result) + "; it must be f32");
    check_no_overlap("eigh", name, result, "A", a, graph);
}

// 65 x 65 is three times as fast as by Jacobi's method on lavapipe, and four times 512 x 512.
void direct(Graph& graph, Jacobi& jacobi, const Tensor& a, const Tensor& values, const Tensor& vectors,
            const EighOptions& options) {
    const std::uint64_t n = a.cols(), size = eigensystem_size(n);
    const Tensor x = jacobi.matrix(size, size);
    jacobi.prepare(a, x, gpu::PREPARE_SYMMETRIC);
    const Eigensystem found = large_eigensystem(graph, jacobi, x, n, options.guarded);
    jacobi.order(found.values, false, values, options.status);
    jacobi.gather(jacobi.orthonormalized(found.vectors), vectors,
                  options.vectors_as_rows ? gpu::GATHER_TRANSPOSED : 0);
}

}  // namespace

void eigh(Graph& graph, const Tensor& a, const Tensor& values, const Tensor& vectors,
          const EighOptions& options) {
    check_float_tensor("eigh", "A", graph, a);
    const std::uint64_t n = a.cols();
    const std::uint64_t items = a.batch();
    if (a.rows() != n) refuse("eigh", "A is " + text(a) + "; it must be square");
    if (n > kMaxOrder)
        refuse("eigh",
               "A is " + text(a) + "; matrices may be at most " + std::to_string(kMaxOrder) + " wide");
    check_jacobi_workspace("eigh", graph.device(), a, n);
    check_result(graph, "vectors", vectors, a);
    if (vectors.rows() != n || vectors.cols() != n || vectors.batch() != items)
        refuse("eigh", "vectors is " + text(vectors) + ", A is " + text(a) + "; shapes must agree");
    check_result(graph, "values", values, a);
    if (values.shape.count() != items * n || !is_contiguous(values))
        refuse("eigh", "values is " + text(values) + ", A is " + text(a) +
                           "; it must be contiguous with one f32 for each column of each matrix");
    check_no_overlap("eigh", "vectors", vectors, "values", values, graph);
    check_status_tensor("eigh", graph, options.status, items,
                        {{"A", a}, {"values", values}, {"vectors", vectors}, {"the basis", options.basis}});
    if (options.max_sweeps > 64)
        refuse("eigh", "max_sweeps is " + std::to_string(options.max_sweeps) + "; it may be at most 64");
    if (options.basis) {
        check_float_tensor("eigh", "basis", graph, options.basis);
        if (options.basis.dtype != DType::f32 || options.basis.rows() != n || options.basis.cols() != n ||
            options.basis.batch() != items)
            refuse("eigh", "basis is " + text(options.basis) + ", A is " + text(a) +
                               "; it must be f32 and of the same shape");
        check_no_overlap("eigh", "values", values, "basis", options.basis, graph);
        if (!same_place(graph, options.basis, vectors))
            check_no_overlap("eigh", "vectors", vectors, "basis", options.basis, graph);
    }
    if (n == 0 || items == 0) {
        add_zeros(graph, options.status, options.guarded);
        return;
    }

    Jacobi jacobi(graph, items, n, n, options.guarded);
    const JacobiVariant& variant = jacobi.variant();
    const bool whole = n <= variant.eigen_order, by_sweeps = whole || options.max_sweeps != 0;
    const std::string larger =
        "above " + std::to_string(variant.eigen_order) + " rows, one workgroup's limit";
    // Rotated into the basis, the direct method would do all that it does for A.
    const std::string unused =
        options.basis ? "; the basis is not used, which saves only sweeps: max_sweeps chooses them" : "";
    const Purpose purpose(graph, whole       ? "eigh by Jacobi, one workgroup for each matrix"
                                 : by_sweeps ? "eigh by Jacobi in blocks: max_sweeps is set; " + larger
                                             : "eigh by divide and conquer: " + larger + unused);
    if (!by_sweeps) {
        direct(graph, jacobi, a, values, vectors, options);
        return;
    }
    const std::uint64_t wide = 2 * variant.block;
    const std::uint64_t size = whole ? n : (n + wide - 1) / wide * wide;
    const Tensor x = jacobi.matrix(size, size);
    jacobi.prepare(a, x, gpu::PREPARE_SYMMETRIC);

    const auto product = [&](const Tensor& left, const Tensor& right, Transpose transpose) {
        const Tensor result = jacobi.matrix(size, size);
        gemm(graph, left, right, Tensor{}, result, {.transpose_a = transpose, .guarded = options.guarded});
        return result;
    };

    Tensor basis, rotated = x;
    if (options.basis) {
        const Tensor padded = jacobi.matrix(size, size);
        jacobi.prepare_basis(options.basis, padded);
        basis = jacobi.orthonormalized(padded);
        rotated = product(basis, product(x, basis, Transpose::no), Transpose::yes);
    } else {
        // The sweeps overwrite their matrix.
        rotated = jacobi.matrix(size, size);
        convert(graph, x, rotated, 1.0f, options.guarded);
    }
    Tensor v = jacobi.matrix(size, size);
    if (whole) {
        jacobi.solve(rotated, v, options.max_sweeps != 0 ? options.max_sweeps : kSweeps);
    } else {
        jacobi.identity(v);
        jacobi.eigen_sweeps(rotated, v, options.max_sweeps != 0 ? options.max_sweeps : kBlockedSweeps);
    }
    if (basis) v = product(basis, v, Transpose::no);
    v = jacobi.orthonormalized(v);
    if (!whole) v = jacobi.orthonormalized(v);

    // In blocks that would take longer than the sweeps.
    const Tensor d =
        whole ? jacobi.quotients(x, v) : jacobi.column_products(v, product(x, v, Transpose::no), n);
    jacobi.order(d, false, values, options.status);
    jacobi.gather(v, vectors, options.vectors_as_rows ? gpu::GATHER_TRANSPOSED : 0);
}

}  // namespace heron
