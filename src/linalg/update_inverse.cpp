// SPDX-License-Identifier: MIT
// update_inverse(): the Woodbury identity for an inverse that is there as a matrix.
#include <string>

#include "core/number_text.hpp"
#include "heron/linalg/cholesky.hpp"
#include "heron/linalg/product.hpp"
#include "linalg/checks.hpp"
#include "linalg/cholesky.hpp"
#include "linalg/convert.hpp"
#include "linalg/integers.hpp"
#include "linalg/jacobi.hpp"
#include "linalg/woodbury.hpp"

namespace heron {

void update_inverse(Graph& graph, const Tensor& p, const Tensor& u, const UpdateInverseOptions& options) {
    const char* who = "update_inverse";
    check_float_tensor(who, "P", graph, p);
    check_float_tensor(who, "U", graph, u);
    const std::uint64_t items = p.batch(), n = p.rows(), k = u.cols();
    if (p.dtype != DType::f32 || p.cols() != n)
        refuse(who, "P is " + text(p) + "; it must be square and f32");
    if (u.dtype != DType::f32 || u.rows() != n || u.batch() != items)
        refuse(who, "U is " + text(u) + ", P is " + text(p) + "; it must be f32 with " + std::to_string(n) +
                        " rows for each item");
    if (const std::uint64_t largest = max_cholesky_rows(graph.device());
        k > largest || items * k * k > kMaxIndex)
        refuse(who, "U is " + text(u) + "; at most " + std::to_string(largest) +
                        " columns are possible, as cholesky() has them as rows, and fewer than 2^32 elements "
                        "of all of U^T P U");
    check_no_overlap(who, "P", p, "U", u, graph);
    if (!is_positive(options.gamma) || !is_positive(1.0f / options.gamma) || !is_positive(options.beta) ||
        !is_positive(options.gamma / options.beta))
        refuse(who, "gamma is " + number_text(options.gamma) + ", beta " + number_text(options.beta) +
                        "; both, 1 / gamma and gamma / beta must be positive and finite");
    check_status_tensor(who, graph, options.status, items, {{"P", p}, {"U", u}});
    if (p.shape.count() == 0 || k == 0) {
        add_convert(graph, p, p, 1.0f / options.gamma, options.guarded);
        add_zeros(graph, options.status, options.guarded);
        return;
    }

    const Tensor one = graph.temporary(DType::f32, Shape{k, k});
    add_identity(graph, one, options.guarded);
    const Tensor pu = graph.temporary(DType::f32, Shape{items, n, k});
    const Tensor w = graph.temporary(DType::f32, Shape{items, n, k});
    const Tensor small = graph.temporary(DType::f32, Shape{items, k, k});
    const Tensor factor = graph.temporary(DType::f32, Shape{items, k, k});
    GemmOptions product;
    product.guarded = options.guarded;
    gemm(graph, p, u, {}, pu, product);
    product.transpose_a = Transpose::yes;
    product.beta = options.gamma / options.beta;
    product.symmetric = true;
    gemm(graph, u, pu, one, small, product);
    CholeskyOptions cholesky_options;
    cholesky_options.status = options.status;
    cholesky_options.guarded = options.guarded;
    cholesky(graph, small, factor, cholesky_options);
    TriangularOptions solve;
    solve.side = Side::right;
    solve.transpose = Transpose::yes;
    solve.guarded = options.guarded;
    triangular_solve(graph, factor, pu, w, solve);
    GemmOptions update;
    update.alpha = -1.0f / options.gamma;
    update.beta = 1.0f / options.gamma;
    update.guarded = options.guarded;
    syrk(graph, w, p, p, update);
}

}  // namespace heron
