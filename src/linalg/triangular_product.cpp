// SPDX-License-Identifier: MIT
// triangular_product(): panels of rows, so that half of the zeros are left out.
#include <algorithm>
#include <string>
#include <utility>

#include "graph/graph.hpp"
#include "heron/linalg/triangular.hpp"
#include "linalg/blocks.hpp"
#include "linalg/checks.hpp"
#include "linalg/convert.hpp"
#include "linalg/gemm.hpp"
#include "linalg/integers.hpp"

namespace heron {

namespace {

constexpr std::string_view kWho = "triangular_product";

// Eight panels leave 1/16 of the zeros in, whole tiles of 128 rows.
std::uint64_t panel_rows(std::uint64_t n) {
    constexpr std::uint64_t kTile = 128, kPanels = 8;
    return kTile * std::max<std::uint64_t>(1, ceil_div(n, kTile * kPanels));
}

void check_batch(const char* name, const Tensor& x, const Tensor& d) {
    if (x.batch() != 1 && x.batch() != d.batch())
        refuse(kWho, std::string(name) + " is " + text(x) + ", D is " + text(d) +
                         "; give it as many matrices, or one for all");
}

}  // namespace

void triangular_product(Graph& graph, const Tensor& t, const Tensor& b, const Tensor& d,
                        const TriangularProductOptions& options) {
    check_enumerator(kWho, options.triangle, Triangle::upper, "triangle is not one of Triangle");
    check_enumerator(kWho, options.transpose, Transpose::yes, "transpose is not one of Transpose");
    check_enumerator(kWho, options.transpose_b, Transpose::yes, "transpose_b is not one of Transpose");
    check_coefficients(kWho, options.alpha, 0.0f);
    for (const auto& [name, x] : {std::pair{"T", &t}, std::pair{"B", &b}, std::pair{"D", &d}})
        check_float_tensor(kWho, name, graph, *x);
    check_batch("T", t, d);
    check_batch("B", b, d);
    const bool transposed_b = options.transpose_b == Transpose::yes;
    const std::uint64_t n = t.rows(), m = transposed_b ? b.rows() : b.cols();
    if (t.cols() != n) refuse(kWho, "T is " + text(t) + "; it must be square");
    if ((transposed_b ? b.cols() : b.rows()) != n)
        refuse(kWho,
               "T is " + text(t) + ", B is " + text(b) + "; op(B) must have " + std::to_string(n) + " rows");
    if (d.rows() != n || d.cols() != m)
        refuse(kWho, "D is " + text(d) + "; op(T) op(B) is " + std::to_string(n) + "x" + std::to_string(m));
    check_no_overlap(kWho, "D", d, "T", t, graph);
    check_no_overlap(kWho, "D", d, "B", b, graph);
    if (n == 0 || m == 0) return;

    const GemmOptions product{.transpose_a = options.transpose,
                              .transpose_b = options.transpose_b,
                              .alpha = options.alpha,
                              .split = SplitK::when_needed,
                              .guarded = options.guarded};
    const std::uint64_t rows = panel_rows(n);
    if (n <= rows) {
        GemmOptions whole = product;
        whole.split = SplitK::automatic;
        gemm(graph, t, b, {}, d, whole);
        return;
    }
    const std::uint64_t panels = ceil_div(n, rows);
    const Purpose purpose(graph, "triangular_product in " + std::to_string(panels) +
                                     " panels of rows: above " + std::to_string(rows) + " rows");
    const Tensor t_items = with_even_items(graph, t, options.guarded);
    const Tensor b_items = with_even_items(graph, b, options.guarded);
    const Tensor d_items = has_even_items(d) ? d : graph.temporary(DType::f32, d.shape);
    // What suits the whole product, not one panel of it: they run at the same time.
    const GemmChoice choice =
        choose_gemm(graph.device().capabilities(),
                    {.m = n, .n = m, .k = n, .batch = 1, .a = t_items.dtype, .b = b_items.dtype});
    const bool lower = (options.triangle == Triangle::lower) != (options.transpose == Transpose::yes);
    for (std::uint64_t item = 0; item < d.batch(); ++item) {
        const Tensor ti = t_items.batch_item(t.batch() == 1 ? 0 : item);
        const Tensor bi = b_items.batch_item(b.batch() == 1 ? 0 : item);
        const Tensor di = d_items.batch_item(item);
        for (std::uint64_t turn = 0; turn < panels; ++turn) {
            // The longest, the shortest, the next longest and so on: lavapipe gives each of its threads as
            // many neighbouring workgroups as the others, whatever they have to do. (1024 rows, two threads,
            // longest first: 63 ms; so: 46.)
            const std::uint64_t length = turn % 2 == 0 ? turn / 2 : panels - 1 - turn / 2;
            const std::uint64_t row = (lower ? panels - 1 - length : length) * rows;
            const std::uint64_t count = std::min(rows, n - row);
            const std::uint64_t k = lower ? 0 : row, depth = lower ? row + count : n - row;
            const Tensor part = options.transpose == Transpose::yes ? block(ti, k, row, depth, count)
                                                                    : block(ti, row, k, count, depth);
            gemm(graph, choice, part, transposed_b ? block(bi, 0, k, m, depth) : block(bi, k, 0, depth, m),
                 block(di, row, 0, count, m), product);
        }
    }
    if (!has_even_items(d)) add_convert(graph, d_items, d, 1.0f, options.guarded);
}

}  // namespace heron
