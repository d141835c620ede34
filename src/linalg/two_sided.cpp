// SPDX-License-Identifier: MIT
// two_sided_product(): checks, and the choice of the order.
#include "heron/linalg/two_sided.hpp"

#include <algorithm>
#include <string>

#include "graph/graph.hpp"
#include "heron/linalg/reduce.hpp"
#include "linalg/checks.hpp"
#include "linalg/convert.hpp"

namespace heron {

namespace {

constexpr std::string_view kWho = "two_sided_product";

std::uint64_t rows_of(const Tensor& x, Transpose transpose) {
    return transpose == Transpose::yes ? x.cols() : x.rows();
}
std::uint64_t cols_of(const Tensor& x, Transpose transpose) {
    return transpose == Transpose::yes ? x.rows() : x.cols();
}

}  // namespace

void two_sided_product(Graph& graph, const Tensor& left, const Tensor& g, const Tensor& right,
                       const Tensor& c, const Tensor& d, const TwoSidedOptions& options) {
    // Everything is checked before the first product is added.
    check_coefficients(kWho, options.alpha, options.beta);
    check_enumerator(kWho, options.transpose_left, Transpose::yes, "transpose_left is not one of Transpose");
    check_enumerator(kWho, options.transpose_right, Transpose::yes,
                     "transpose_right is not one of Transpose");
    check_float_tensor(kWho, "G", graph, g);
    check_float_tensor(kWho, "D", graph, d);
    check_batch(kWho, "G", g, d);
    const std::uint64_t m = g.rows(), n = g.cols();
    std::uint64_t p = m, q = n;
    if (left) {
        check_float_tensor(kWho, "L", graph, left);
        check_batch(kWho, "L", left, d);
        if (cols_of(left, options.transpose_left) != m)
            refuse(kWho, "L is " + text(left) + ", G is " + text(g) +
                             "; op(L) must have as many columns as G rows");
        p = rows_of(left, options.transpose_left);
        check_no_overlap(kWho, "D", d, "L", left, graph);
    }
    if (right) {
        check_float_tensor(kWho, "R", graph, right);
        check_batch(kWho, "R", right, d);
        if (rows_of(right, options.transpose_right) != n)
            refuse(kWho, "R is " + text(right) + ", G is " + text(g) +
                             "; op(R) must have as many rows as G columns");
        q = cols_of(right, options.transpose_right);
        check_no_overlap(kWho, "D", d, "R", right, graph);
    }
    if (d.rows() != p || d.cols() != q)
        refuse(kWho, "D is " + text(d) + "; op(L) G op(R) is " + std::to_string(p) + "x" + std::to_string(q));
    if (options.beta != 0) {
        if (!c) refuse(kWho, "beta is not 0 and C is empty; give C, or beta = 0");
        check_float_tensor(kWho, "C", graph, c);
        check_batch(kWho, "C", c, d);
        if (c.rows() != p || c.cols() != q)
            refuse(kWho, "C is " + text(c) + ", D is " + text(d) + "; shapes must agree");
        if (!same_place(graph, c, d)) check_no_overlap(kWho, "D", d, "C", c, graph);
    }
    if (left || right || !same_place(graph, g, d)) check_no_overlap(kWho, "D", d, "G", g, graph);
    if (!left && !right && (options.beta != 0 || g.batch() != d.batch()))
        refuse(kWho, "L and R are empty; then beta must be 0, and G have the batch of D");

    GemmOptions last{.alpha = options.alpha, .beta = options.beta, .guarded = options.guarded};
    if (!left && !right) {
        if (options.alpha == 0)  // G is not read
            add_convert(graph, {}, d, 0.0f, options.guarded);
        else
            convert(graph, g, d, options.alpha, options.guarded);
    } else if (!right) {
        last.transpose_a = options.transpose_left;
        gemm(graph, left, g, c, d, last);
    } else if (!left) {
        last.transpose_b = options.transpose_right;
        gemm(graph, g, right, c, d, last);
    } else {
        GemmOptions first{.guarded = options.guarded};
        const double left_first =
            static_cast<double>(p) * static_cast<double>(n) * static_cast<double>(m + q);
        const double right_first =
            static_cast<double>(m) * static_cast<double>(q) * static_cast<double>(n + p);
        const Purpose purpose(graph, left_first <= right_first ? "L G first: no more FLOPs than G R first"
                                                               : "G R first: fewer FLOPs than L G first");
        // What has one matrix for all of the batch is multiplied once.
        const auto middle = [&](const Tensor& a, const Tensor& b, std::uint64_t rows, std::uint64_t cols) {
            const std::uint64_t batch = std::max(a.batch(), b.batch());
            return graph.temporary(DType::f32, batch == 1 ? Shape{rows, cols} : Shape{batch, rows, cols});
        };
        if (left_first <= right_first) {
            first.transpose_a = options.transpose_left;
            last.transpose_b = options.transpose_right;
            const Tensor product = middle(left, g, p, n);
            gemm(graph, left, g, {}, product, first);
            gemm(graph, product, right, c, d, last);
        } else {
            first.transpose_b = options.transpose_right;
            last.transpose_a = options.transpose_left;
            const Tensor product = middle(g, right, m, q);
            gemm(graph, g, right, {}, product, first);
            gemm(graph, left, product, c, d, last);
        }
    }
}

}  // namespace heron
