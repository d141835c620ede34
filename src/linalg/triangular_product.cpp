// SPDX-License-Identifier: MIT
// triangular_product(): panels of D's rows or columns, so that half of the zeros are left out.
#include <algorithm>
#include <string>
#include <utility>

#include "graph/graph.hpp"
#include "heron/linalg/triangular.hpp"
#include "linalg/blocks.hpp"
#include "linalg/checks.hpp"
#include "linalg/convert.hpp"
#include "linalg/gemm_panels.hpp"
#include "linalg/integers.hpp"

namespace heron {

namespace {

constexpr std::string_view kWho = "triangular_product";

// Rows of D in a panel (Side::right: columns). Eight panels leave 1/8 of what a triangle saves in, whole
// tiles of 128; where B is packed once for all, 48 leave 1/48 in.
std::uint64_t panel_lines(const Capabilities& device, const GemmKernel& kernel, std::uint64_t n) {
    const std::uint64_t tile = kernel.packed ? kernel.tile_rows(device) : 128, most = kernel.packed ? 48 : 8;
    return tile * std::max<std::uint64_t>(1, ceil_div(n, tile * most));
}

}  // namespace

void triangular_product(Graph& graph, const Tensor& t, const Tensor& b, const Tensor& d,
                        const TriangularProductOptions& options) {
    check_enumerator(kWho, options.triangle, Triangle::upper, "triangle is not one of Triangle");
    check_enumerator(kWho, options.side, Side::right, "side is not one of Side");
    check_enumerator(kWho, options.transpose, Transpose::yes, "transpose is not one of Transpose");
    check_enumerator(kWho, options.transpose_b, Transpose::yes, "transpose_b is not one of Transpose");
    check_coefficients(kWho, options.alpha, 0.0f);
    for (const auto& [name, x] : {std::pair{"T", &t}, std::pair{"B", &b}, std::pair{"D", &d}})
        check_float_tensor(kWho, name, graph, *x);
    check_batch(kWho, "T", t, d);
    check_batch(kWho, "B", b, d);
    const bool right = options.side == Side::right;
    const bool transposed = options.transpose == Transpose::yes,
               transposed_b = options.transpose_b == Transpose::yes;
    const std::uint64_t n = t.rows(), rows_b = transposed_b ? b.cols() : b.rows(),
                        cols_b = transposed_b ? b.rows() : b.cols(), m = right ? rows_b : cols_b;
    if (t.cols() != n) refuse(kWho, "T is " + text(t) + "; it must be square");
    if ((right ? cols_b : rows_b) != n)
        refuse(kWho, "T is " + text(t) + ", B is " + text(b) + "; op(B) must have " + std::to_string(n) +
                         (right ? " columns" : " rows"));
    if (d.rows() != rows_b || d.cols() != cols_b)
        refuse(kWho, "D is " + text(d) + "; " + (right ? "op(B) op(T)" : "op(T) op(B)") + " is " +
                         std::to_string(rows_b) + "x" + std::to_string(cols_b));
    check_no_overlap(kWho, "D", d, "T", t, graph);
    check_no_overlap(kWho, "D", d, "B", b, graph);
    if (n == 0 || m == 0) return;

    const GemmOptions product{.transpose_a = right ? options.transpose_b : options.transpose,
                              .transpose_b = right ? options.transpose : options.transpose_b,
                              .alpha = options.alpha,
                              .split = SplitK::when_needed,
                              .guarded = options.guarded};
    // What suits the whole product, not one panel of it: they run at the same time.
    const Capabilities& device = graph.device().capabilities();
    const DType type_t = with_even_items_dtype(t), type_b = with_even_items_dtype(b);
    const GemmChoice choice = choose_gemm(device, {.m = d.rows(),
                                                   .n = d.cols(),
                                                   .k = n,
                                                   .batch = 1,
                                                   .symmetric = false,
                                                   .a = right ? type_b : type_t,
                                                   .b = right ? type_t : type_b});
    const std::uint64_t lines = panel_lines(device, *choice.kernel, n);
    if (n <= lines) {
        GemmOptions whole = product;
        whole.split = SplitK::automatic;
        gemm(graph, right ? b : t, right ? t : b, {}, d, whole);
        return;
    }
    const std::uint64_t panels = ceil_div(n, lines);
    const std::string which = right ? " columns" : " rows";
    const Purpose purpose(graph, "triangular_product in " + std::to_string(panels) + " panels of" + which +
                                     ": above " + std::to_string(lines) + which);
    const Tensor t_items = with_even_items(graph, t, options.guarded);
    const Tensor b_items = with_even_items(graph, b, options.guarded);
    // Columns of 16 bits that share words would be written one panel after the other.
    const bool shared_words = right && bytes_of(d.dtype) == 2 && (d.stride() % 2 != 0 || n % 2 != 0);
    const bool in_place = has_even_items(d) && !shared_words;
    const Tensor d_items = in_place ? d : graph.temporary(DType::f32, d.shape);
    // Whether lines of op(T) begin at its first element or end at its last.
    const bool begins = ((options.triangle == Triangle::lower) != transposed) != right;
    Panels whole_b;
    for (std::uint64_t item = 0; item < d.batch(); ++item) {
        const Tensor ti = t_items.batch_item(t.batch() == 1 ? 0 : item);
        const Tensor bi = b_items.batch_item(b.batch() == 1 ? 0 : item);
        const Tensor di = d_items.batch_item(item);
        if (item == 0 || b.batch() > 1)
            whole_b = pack(graph, choice, right ? GemmSide::a : GemmSide::b, bi, options.transpose_b,
                           options.guarded);
        for (std::uint64_t turn = 0; turn < panels; ++turn) {
            // The longest, the shortest, the next longest and so on: lavapipe gives each of its threads as
            // many neighbouring workgroups as the others, whatever they have to do. (1024 rows, two threads,
            // longest first: 63 ms; so: 46.)
            const std::uint64_t length = turn % 2 == 0 ? turn / 2 : panels - 1 - turn / 2;
            const std::uint64_t first = (begins ? panels - 1 - length : length) * lines;
            const std::uint64_t count = std::min(lines, n - first);
            const std::uint64_t k = begins ? 0 : first, depth = begins ? first + count : n - first;
            // Rows [first, first + count) of op(T) where it is at the left, else columns, and the k of op(B)
            // that they reach.
            const Tensor part =
                transposed != right ? block(ti, k, first, depth, count) : block(ti, first, k, count, depth);
            const Tensor rest = transposed_b != right ? block(bi, 0, k, m, depth) : block(bi, k, 0, depth, m);
            const Tensor panel = whole_b ? whole_b.part(k, depth) : Tensor{};
            if (right)
                gemm(graph, choice, rest, part, block(di, 0, first, m, count), product, {.packed_a = panel});
            else
                gemm(graph, choice, part, rest, block(di, first, 0, count, m), product, {.packed_b = panel});
        }
    }
    if (!in_place) add_convert(graph, d_items, d, 1.0f, options.guarded);
}

}  // namespace heron
