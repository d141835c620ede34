// SPDX-License-Identifier: MIT
// triangular_solve(), triangular_inverse() and triangular_product() against float64, on every device.

#include "linalg/linalg_test.hpp"

namespace heron::test {
namespace {

// Far from singular, with elements of both signs everywhere: what lies in the other half must not matter.
Matrix well_conditioned(std::uint64_t n, std::uint64_t seed) {
    Matrix t = random_matrix(n, n, seed) / std::sqrt(static_cast<double>(n) + 1);
    for (Eigen::Index i = 0; i < t.rows(); ++i) t(i, i) = (i % 3 == 0 ? -1.0 : 1.0) * (1 + std::abs(t(i, i)));
    return t;
}

class TriangularTest : public LinalgTest {
protected:
    struct Solve {
        std::uint64_t n, m = 5, batch = 1;
        TriangularOptions options;
        bool one_t = false, in_place = false;
        DType t = DType::f32, b = DType::f32;
        std::uint64_t gap = 0;
        MatrixKind kind = MatrixKind::random;  // of B
    };
    struct Solved {
        Solve x;
        std::vector<Matrix> t, b;
        Placed result;
        Words status;
    };

    static Matrix effective(const Matrix& stored, Triangle triangle, bool unit) {
        Matrix t = triangle == Triangle::lower ? Matrix(stored.triangularView<Eigen::Lower>())
                                               : Matrix(stored.triangularView<Eigen::Upper>());
        if (unit) t.diagonal().setOnes();
        return t;
    }

    void add(Graph& graph, const Solve& x, std::vector<Matrix> t = {}) {
        const std::uint64_t seed = 100 * (solved_.size() + 1);
        const bool right = x.options.side == Side::right;
        if (t.empty())
            for (std::uint64_t item = 0; item < (x.one_t ? 1 : x.batch); ++item)
                t.push_back(well_conditioned(x.n, seed + item));
        std::vector<Matrix> stored, b;
        for (Matrix& item : t) {
            item = rounded(item, x.t);
            Matrix hidden = only_triangle(item, x.options.triangle);
            if (x.options.unit_diagonal)
                hidden.diagonal().setConstant(std::numeric_limits<double>::quiet_NaN());
            stored.push_back(hidden);
            item = effective(item, x.options.triangle, x.options.unit_diagonal);
        }
        for (std::uint64_t item = 0; item < x.batch; ++item)
            b.push_back(
                rounded(make_matrix(x.kind, right ? x.m : x.n, right ? x.n : x.m, seed + 50 + item), x.b));
        const Placed pt = place(graph, stored, x.t, x.gap), pb = place(graph, b, x.b, x.gap);
        const Placed px = x.in_place ? pb : blank(graph, x.batch, pb.rows, pb.cols, x.gap);
        const Words status = words(graph, x.batch);
        TriangularOptions options = x.options;
        options.status = status.tensor;
        triangular_solve(graph, pt.tensor, pb.tensor, px.tensor, options);
        solved_.push_back({x, t, b, px, status});
    }

    // Column by column (row by row on the right): the residual against the bound of the header.
    void check() {
        for (const Solved& s : solved_) {
            const std::vector<Matrix> results = s.result.read();
            const double alpha = static_cast<double>(s.x.options.alpha);
            for (std::uint64_t item = 0; item < s.x.batch; ++item) {
                const std::string what =
                    std::to_string(s.x.n) + " rows, " + std::to_string(s.x.m) + " right-hand sides" +
                    (s.x.options.triangle == Triangle::upper ? ", upper" : ", lower") +
                    (s.x.options.transpose == Transpose::yes ? ", transposed" : "") +
                    (s.x.options.side == Side::right ? ", right" : "") +
                    (s.x.options.unit_diagonal ? ", unit" : "") + (s.x.in_place ? ", in place" : "") +
                    ", item " + std::to_string(item);
                EXPECT_EQ(s.status.statuses()[item], "ok") << what;
                Matrix t = s.t[s.x.one_t ? 0 : item], x = results[item], b = s.b[item];
                if (s.x.options.transpose == Transpose::yes) t.transposeInPlace();
                if (s.x.options.side == Side::right) {
                    t.transposeInPlace();
                    x.transposeInPlace();
                    b.transposeInPlace();
                }
                if (x.rows() == 0) continue;  // Eigen offsets its null pointer for a column
                for (Eigen::Index c = 0; c < x.cols(); ++c) {
                    const double n = std::max(2.0, static_cast<double>(s.x.n));
                    const double bound =
                        n * 0x1p-24 * (2 * t.norm() * x.col(c).norm() + std::abs(alpha) * b.col(c).norm());
                    ratio("residual", b, (t * x.col(c) - alpha * b.col(c)).norm(), bound, what);
                }
            }
        }
        solved_.clear();
    }

    static std::vector<TriangularOptions> all_options() {
        std::vector<TriangularOptions> all;
        for (Triangle triangle : {Triangle::lower, Triangle::upper})
            for (Transpose transpose : {Transpose::no, Transpose::yes})
                for (Side side : {Side::left, Side::right})
                    for (bool unit : {false, true})
                        all.push_back({.triangle = triangle,
                                       .transpose = transpose,
                                       .unit_diagonal = unit,
                                       .side = side});
        return all;
    }

    std::vector<Solved> solved_;
};

TEST_P(TriangularTest, SmallSystemsOfEveryKindAreOneDispatch) {
    Graph graph(device());
    for (std::uint64_t n : {1u, 2u, 3u, 5u, 7u, 8u, 9u, 15u, 17u, 31u, 33u, 63u, 64u})
        for (TriangularOptions options : all_options()) {
            options.alpha = n % 2 == 0 ? 1.0f : -0.5f;
            add(graph, {.n = n, .m = n % 5 + 1, .options = options, .in_place = n % 3 == 0});
        }
    add(graph, {.n = 20, .m = 100});
    add(graph, {.n = 20, .m = 257, .options = {.side = Side::right}});
    EXPECT_EQ(run(graph).dispatch_count(), 1u);
    check();
}

TEST_P(TriangularTest, LargeSystemsOfEveryKindMatchFloat64) {
    Graph graph(device());
    for (std::uint64_t n : {65u, 127u, 129u, 255u, 256u, 257u})
        for (TriangularOptions options : all_options()) {
            options.alpha = n % 4 == 1 ? 1.0f : 2.0f;
            add(graph, {.n = n, .m = n == 129 ? 70u : 3u, .options = options, .in_place = n % 4 == 3});
        }
    add(graph, {.n = 257, .m = 1});
    run(graph);
    check();
}

// Of triangles (Cholesky factors of damped matrices), and of right-hand sides.
TEST_P(TriangularTest, TakesEveryKindOfMatrix) {
    Graph graph(device());
    struct Kind {
        Placed t, b, inverse, product;
    };
    std::vector<Kind> kinds;
    for (MatrixKind kind : finite_matrix_kinds())
        for (std::uint64_t n : {33u, 130u}) {
            const Matrix factor = cholesky_factor(DampedGram(kind, n).damped());
            add(graph, {.n = n}, {factor});
            add(graph, {.n = n, .options = {.triangle = Triangle::upper, .side = Side::right}, .kind = kind},
                {Matrix(factor.transpose())});
            add(graph, {.n = n, .kind = kind});
            Kind k{place(graph, {factor}), place(graph, {make_matrix(kind, n, 9, n)}), blank(graph, 1, n, n),
                   blank(graph, 1, n, 9)};
            triangular_inverse(graph, k.t.tensor, k.inverse.tensor);
            triangular_product(graph, k.t.tensor, k.b.tensor, k.product.tensor);
            kinds.push_back(std::move(k));
        }
    run(graph);
    check();
    for (const Kind& k : kinds) {
        const Matrix &t = k.t.items[0], &b = k.b.items[0], x = k.inverse.read()[0];
        const std::string what = std::to_string(t.rows());
        ratio("inverse", x, (t * x - Matrix::Identity(t.rows(), t.cols())).norm(),
              static_cast<double>(t.rows()) * kUnit * t.norm() * x.norm(), what);
        ratio("product", t, gemm_error_ratio(k.product.read()[0], t * b, 1.0, t, b, 0, {}, DType::f32), 1.0,
              what);
    }
}

TEST_P(TriangularTest, TakesBatchesStridesOneTForAllAnd16Bits) {
    Graph graph(device());
    for (std::uint64_t n : {12u, 100u}) {
        add(graph, {.n = n, .batch = 3});
        add(graph, {.n = n, .batch = 3, .options = {.side = Side::right}, .in_place = true, .gap = 3});
        add(graph, {.n = n, .batch = 3, .options = {.triangle = Triangle::upper}, .one_t = true, .gap = 1});
        add(graph, {.n = n, .m = 8, .t = DType::f16, .b = DType::bf16, .gap = 2});
        add(graph, {.n = n,
                    .m = 8,
                    .batch = 2,
                    .options = {.triangle = Triangle::upper, .side = Side::right},
                    .t = DType::bf16});
    }
    // Matrices of an odd number of 16-bit elements: every second one begins in the middle of a word.
    add(graph, {.n = 65, .m = 3, .batch = 3, .b = DType::f16});
    add(graph, {.n = 129,
                .m = 3,
                .batch = 3,
                .options = {.triangle = Triangle::upper, .side = Side::right},
                .t = DType::f16,
                .b = DType::bf16});
    add(graph, {.n = 65, .batch = 3, .one_t = true, .t = DType::bf16, .b = DType::f16, .gap = 2});
    run(graph);
    check();
}

TEST_P(TriangularTest, GpuVariantsMatchFloat64) {
    Graph graph(smallest_gpu());
    for (const TriangularOptions& options : all_options()) {
        add(graph, {.n = 33, .m = 70, .options = options});
        add(graph, {.n = 130, .m = 65, .options = options});
    }
    run(graph);
    check();
}

// Random triangles are exponentially ill-conditioned: substitution's residual stays small all the same.
TEST_P(TriangularTest, IllConditionedTrianglesHaveSmallResiduals) {
    Graph graph(device());
    for (std::uint64_t n : {30u, 90u}) {
        for (const TriangularOptions& options : all_options())
            if (!options.unit_diagonal) add(graph, {.n = n, .options = options}, {random_matrix(n, n, n)});
        Matrix graded = well_conditioned(n, n);
        for (Eigen::Index i = 0; i < graded.rows(); ++i)
            graded.row(i) *= std::exp2(-40.0 * static_cast<double>(i) / static_cast<double>(n));
        add(graph, {.n = n}, {graded});
    }
    run(graph);
    check();
}

TEST_P(TriangularTest, InversesOfAllSizesMatchFloat64) {
    for (bool in_place : {false, true}) {
        Graph graph(device());
        struct Inverse {
            Matrix t;
            Triangle triangle;
            Placed x;
        };
        std::vector<Inverse> inverses;
        for (std::uint64_t n : {1u, 2u, 3u, 8u, 17u, 63u, 64u, 65u, 127u, 128u, 129u, 200u, 257u})
            for (Triangle triangle : {Triangle::lower, Triangle::upper})
                for (bool unit : {false, true}) {
                    if (n > 130 && unit) continue;
                    const Matrix stored = well_conditioned(n, n);
                    const Matrix t = effective(rounded(stored, DType::f32), triangle, unit);
                    const Placed pt = place(graph, {only_triangle(stored, triangle)}, DType::f32, n % 2 * 3);
                    const Placed px = in_place ? pt : blank(graph, 1, n, n, n % 4);
                    triangular_inverse(graph, pt.tensor, px.tensor,
                                       {.triangle = triangle, .unit_diagonal = unit});
                    inverses.push_back({t, triangle, px});
                }
        run(graph);
        for (const Inverse& inverse : inverses) {
            const Matrix x = inverse.x.read()[0];
            const double n = std::max(2.0, static_cast<double>(x.rows()));
            const Matrix identity = Matrix::Identity(x.rows(), x.cols());
            ratio("inverse", x, (inverse.t * x - identity).norm(), n * 0x1p-24 * inverse.t.norm() * x.norm(),
                  std::to_string(x.rows()));
            EXPECT_EQ(effective(x, inverse.triangle, false), x) << "the other half is not zero";
        }
    }
}

// 65: every second matrix begins in the middle of a word.
TEST_P(TriangularTest, InverseTakesBatchesAnd16Bits) {
    for (std::uint64_t n : {70u, 65u}) {
        Graph graph(device());
        const std::vector<Matrix> three{well_conditioned(n, 1), well_conditioned(n, 2),
                                        well_conditioned(n, 3)};
        const Placed t = place(graph, three, DType::f16), x = blank(graph, 3, n, n, 5);
        const Words status = words(graph, 3);
        triangular_inverse(graph, t.tensor, x.tensor, {.status = status.tensor});
        const Plan plan = run(graph);
        EXPECT_EQ(plan.level_count(), 4u);
        const std::vector<Matrix> inverses = x.read();
        for (std::size_t item = 0; item < 3; ++item) {
            const Matrix lower = effective(t.items[item], Triangle::lower, false);
            ratio("inverse", lower,
                  (lower * inverses[item] - Matrix::Identity(lower.rows(), lower.cols())).norm(),
                  static_cast<double>(n) * 0x1p-24 * lower.norm() * inverses[item].norm(), "f16");
            EXPECT_EQ(status.statuses()[item], "ok");
        }
    }
}

// Each matrix by its own status, its rows with gaps.
TEST_P(TriangularTest, InverseTakesBatchesInPlace) {
    const std::vector<std::string> expected{"ok", "singular", "ok"};
    for (std::uint64_t n : {20u, 65u, 130u})
        for (Triangle triangle : {Triangle::lower, Triangle::upper}) {
            std::vector<Matrix> three;
            for (std::uint64_t seed : {1u, 2u, 3u})
                three.push_back(only_triangle(well_conditioned(n, seed), triangle));
            three[1](0, 0) = 0;
            Graph graph(device());
            const Placed x = place(graph, three, DType::f32, 3);
            const Words status = words(graph, 3);
            triangular_inverse(graph, x.tensor, x.tensor, {.triangle = triangle, .status = status.tensor});
            run(graph);
            EXPECT_EQ(status.statuses(), expected);
            const std::vector<Matrix> inverses = x.read();
            EXPECT_TRUE((inverses[1].array() == 0).all());
            for (std::size_t item : {0u, 2u}) {
                const Matrix t = effective(x.items[item], triangle, false);
                const Matrix& inverse = inverses[item];
                ratio("inverse", t, (t * inverse - Matrix::Identity(t.rows(), t.cols())).norm(),
                      static_cast<double>(n) * 0x1p-24 * t.norm() * inverse.norm(), "in place");
                EXPECT_EQ(effective(inverse, triangle, false), inverse) << "the other half is not zero";
            }
        }
}

// Zero and non-finite diagonals are named and give zero; other matrices of the batch do not notice.
TEST_P(TriangularTest, SingularTrianglesAreNamedAndStayAlone) {
    for (std::uint64_t n : {6u, 80u}) {
        Matrix singular = well_conditioned(n, 1), nan = singular, infinite = singular;
        const Matrix good = singular;
        singular(5, 5) = 0;
        nan(2, 2) = std::numeric_limits<double>::quiet_NaN();
        nan(3, 3) = 0;
        infinite(n - 1, n - 1) = std::numeric_limits<double>::infinity();
        const std::vector<Matrix> batch{good, singular, good, nan, infinite, good};
        const std::vector<std::string> expected{"ok", "singular", "ok", "nonfinite", "nonfinite", "ok"};
        Graph graph(device());
        add(graph, {.n = n, .batch = 6}, batch);
        const Placed t = place(graph, batch), x = blank(graph, 6, n, n);
        const Words status = words(graph, 6);
        triangular_inverse(graph, t.tensor, x.tensor, {.status = status.tensor});
        run(graph);
        EXPECT_EQ(solved_[0].status.statuses(), expected);
        EXPECT_EQ(status.statuses(), expected);
        const std::vector<Matrix> solutions = solved_[0].result.read(), inverses = x.read();
        for (std::size_t item = 0; item < batch.size(); ++item) {
            if (expected[item] != "ok") {
                EXPECT_TRUE((solutions[item].array() == 0).all());
                EXPECT_TRUE((inverses[item].array() == 0).all());
                continue;
            }
            EXPECT_EQ(inverses[item], inverses[0]);
            const Matrix residual =
                good.triangularView<Eigen::Lower>() * solutions[item] - solved_[0].b[item];
            EXPECT_LE(residual.norm(),
                      3 * static_cast<double>(n) * 0x1p-24 * good.norm() * solutions[item].norm());
        }
        solved_.clear();
    }
}

// Panels begin at 129 rows, on CPU drivers with packed products at 97.
TEST_P(TriangularTest, ProductsOfEveryKindMatchFloat64) {
    struct Product {
        Matrix left, right;
        Placed d;
        std::string what;
    };
    for (Device* on : {&device(), &smallest_gpu()}) {
        Graph graph(*on);
        std::vector<Product> products;
        const auto add = [&](std::uint64_t n, Side side, Triangle triangle, Transpose transpose,
                             Transpose transpose_b) {
            const std::uint64_t m = n >= 300 ? 133 : 5;
            const bool at_right = side == Side::right, turned = transpose_b == Transpose::yes;
            const std::vector<Matrix> t{effective(well_conditioned(n, n), triangle, false)};
            const std::vector<Matrix> b{turned != at_right ? random_matrix(m, n, n + 1)
                                                           : random_matrix(n, m, n + 1)};
            const Placed pt = place(graph, t), pb = place(graph, b),
                         d = blank(graph, 1, at_right ? m : n, at_right ? n : m, n % 3);
            triangular_product(graph, pt.tensor, pb.tensor, d.tensor,
                               {.side = side,
                                .triangle = triangle,
                                .transpose = transpose,
                                .transpose_b = transpose_b,
                                .alpha = -2.0f});
            const Matrix op_t = transpose == Transpose::yes ? pt.items[0].transpose() : pt.items[0],
                         op_b = turned ? pb.items[0].transpose() : pb.items[0];
            products.push_back({at_right ? op_b : op_t, at_right ? op_t : op_b, d,
                                std::to_string(n) + (at_right ? " columns" : " rows")});
        };
        for (std::uint64_t n : {1u, 7u, 128u, 129u, 300u})
            for (Side side : {Side::left, Side::right})
                for (Triangle triangle : {Triangle::lower, Triangle::upper})
                    for (Transpose transpose : {Transpose::no, Transpose::yes})
                        for (Transpose transpose_b : {Transpose::no, Transpose::yes})
                            add(n, side, triangle, transpose, transpose_b);
        run(graph);
        for (const Product& p : products)
            ratio("product", p.left,
                  gemm_error_ratio(p.d.read()[0], -2.0 * (p.left * p.right), -2.0, p.left, p.right, 0, {},
                                   DType::f32),
                  1.0, p.what);
    }
}

TEST_P(TriangularTest, ProductsTakeBatchesAndLeaveHalfOfTheWorkOut) {
    Graph graph(device());
    std::vector<Matrix> t, b;
    for (std::uint64_t item = 0; item < 2; ++item) {
        t.push_back(effective(well_conditioned(260, item), Triangle::upper, false));
        b.push_back(random_matrix(260, 40, 9 + item));
    }
    const Placed pt = place(graph, t), pb = place(graph, b), d = blank(graph, 2, 260, 40),
                 turned = blank(graph, 2, 40, 260);
    triangular_product(graph, pt.tensor, pb.tensor, d.tensor, {.triangle = Triangle::upper});
    triangular_product(graph, pt.tensor, pb.tensor, turned.tensor,
                       {.side = Side::right,
                        .triangle = Triangle::upper,
                        .transpose = Transpose::yes,
                        .transpose_b = Transpose::yes});
    const Plan plan = run(graph);
    EXPECT_LT(plan.flops(), 0.75 * 2 * 2 * 2 * 260 * 260 * 40);
    for (std::size_t item = 0; item < 2; ++item)
        for (const Matrix& result : {d.read()[item], Matrix(turned.read()[item].transpose())})
            ratio("product", pt.items[item],
                  gemm_error_ratio(result, pt.items[item] * pb.items[item], 1.0, pt.items[item],
                                   pb.items[item], 0, {}, DType::f32),
                  1.0, "batch");
}

// Of an odd number of elements, so that every second matrix, and with odd strides rows, begin in the middle
// of a word; and the last panel is short.
TEST_P(TriangularTest, ProductsTakeOddSizesIn16Bits) {
    for (const bool gpu : {false, true}) {
        struct Product {
            Placed t, b, d, turned;
            Transpose transpose;
        };
        std::vector<Product> products;
        Graph graph(gpu ? smallest_gpu() : device());
        for (Triangle triangle : {Triangle::lower, Triangle::upper})
            for (Transpose transpose : {Transpose::no, Transpose::yes})
                for (std::uint64_t items : {1u, 3u}) {
                    std::vector<Matrix> t, b;
                    for (std::uint64_t item = 0; item < items; ++item) {
                        t.push_back(effective(well_conditioned(201, item), triangle, false));
                        b.push_back(random_matrix(201, 5, 9 + item));
                    }
                    const Product p{place(graph, t, DType::f16), place(graph, b, DType::bf16, 2),
                                    blank(graph, items, 201, 5, 0, DType::f16),
                                    blank(graph, items, 5, 201, 0, DType::f16), transpose};
                    triangular_product(graph, p.t.tensor, p.b.tensor, p.d.tensor,
                                       {.triangle = triangle, .transpose = transpose});
                    triangular_product(
                        graph, p.t.tensor, p.b.tensor, p.turned.tensor,
                        {.side = Side::right,
                         .triangle = triangle,
                         .transpose = transpose == Transpose::yes ? Transpose::no : Transpose::yes,
                         .transpose_b = Transpose::yes});
                    products.push_back(p);
                }
        run(graph);
        for (const Product& p : products) {
            const std::vector<Matrix> d = p.d.read(), turned = p.turned.read();
            for (std::size_t item = 0; item < d.size(); ++item) {
                Matrix t = p.t.items[item];
                if (p.transpose == Transpose::yes) t.transposeInPlace();
                for (const Matrix& result : {d[item], Matrix(turned[item].transpose())})
                    ratio("product", t,
                          gemm_error_ratio(result, t * p.b.items[item], 1.0, t, p.b.items[item], 0, {},
                                           DType::f16),
                          1.0,
                          std::string(gpu ? "a GPU's kernels, " : "") + "16 bits, item " +
                              std::to_string(item));
            }
        }
    }
}

TEST_P(TriangularTest, SameBitsWholeOrSplitAndEveryTime) {
    expect_same_bits(2e5, 2, [&](Graph& graph) -> std::vector<GuardedBuffer*> {
        solved_.clear();
        add(graph, {.n = 60, .m = 300});
        add(graph, {.n = 150, .m = 300, .options = {.triangle = Triangle::upper}});
        const Placed t = place(graph, {well_conditioned(200, 3)}), x = blank(graph, 1, 200, 200);
        triangular_inverse(graph, t.tensor, x.tensor);
        return {solved_[0].result.buffer, solved_[1].result.buffer, x.buffer};
    });
}

TEST_P(TriangularTest, EmptySystemsAreNothing) {
    Graph graph(device());
    add(graph, {.n = 0, .m = 3});
    add(graph, {.n = 3, .m = 0});
    run(graph);
    check();
}

TEST_P(TriangularTest, RefusesWhatDoesNotFitAndAddsNothing) {
    Graph graph(device());
    const auto tensor = [&](const Shape& shape, DType dtype = DType::f32) {
        return graph.temporary(dtype, shape);
    };
    const Tensor t = tensor({4, 4}), b = tensor({4, 3}), x = tensor({4, 3}), wide = tensor({3, 4});
    const Tensor square = tensor({4, 4}), long_x = tensor({8, 3});
    const float nan = std::numeric_limits<float>::quiet_NaN();
    expect_refusals(
        graph,
        {
            {"T is empty", [&] { triangular_solve(graph, {}, b, x); }},
            {"one of Triangle",
             [&] { triangular_solve(graph, t, b, x, {.triangle = static_cast<Triangle>(2)}); }},
            {"one of Transpose",
             [&] { triangular_solve(graph, t, b, x, {.transpose = static_cast<Transpose>(2)}); }},
            {"one of Side", [&] { triangular_solve(graph, t, b, x, {.side = static_cast<Side>(2)}); }},
            {"one of Triangle",
             [&] { triangular_inverse(graph, t, t, {.triangle = static_cast<Triangle>(2)}); }},
            {"B is empty", [&] { triangular_solve(graph, t, {}, x); }},
            {"X is empty", [&] { triangular_solve(graph, t, b, {}); }},
            {"must be square", [&] { triangular_solve(graph, wide, b, x); }},
            {"must be f32",
             [&] {
                 triangular_solve(graph, t, b, tensor({4, 3}, DType::f16));
             }},
            {"shapes must agree", [&] { triangular_solve(graph, t, b, wide); }},
            {"4 rows",
             [&] {
                 triangular_solve(graph, t, wide, tensor({3, 4}));
             }},
            {"4 columns", [&] { triangular_solve(graph, t, b, x, {.side = Side::right}); }},
            {"one for all",
             [&] {
                 triangular_solve(graph, tensor({2, 4, 4}), b, x);
             }},
            {"finite", [&] { triangular_solve(graph, t, b, x, {.alpha = nan}); }},
            {"overlaps T", [&] { triangular_solve(graph, t, square, t); }},
            {"overlaps B",
             [&] { triangular_solve(graph, t, long_x.row_range(0, 4), long_x.row_range(1, 4)); }},
            {"1 u32", [&] { triangular_solve(graph, t, b, x, {.status = tensor({2}, DType::u32)}); }},
            {"must be square", [&] { triangular_product(graph, wide, b, x); }},
            {"one of Transpose",
             [&] { triangular_product(graph, t, b, x, {.transpose_b = static_cast<Transpose>(2)}); }},
            {"4 rows", [&] { triangular_product(graph, t, b, x, {.transpose_b = Transpose::yes}); }},
            {"op(T) op(B) is 4x3", [&] { triangular_product(graph, t, b, wide); }},
            {"one of Side", [&] { triangular_product(graph, t, b, x, {.side = static_cast<Side>(2)}); }},
            {"4 columns", [&] { triangular_product(graph, t, b, x, {.side = Side::right}); }},
            {"op(B) op(T) is 3x4",
             [&] {
                 triangular_product(graph, t, b, x, {.side = Side::right, .transpose_b = Transpose::yes});
             }},
            {"alpha", [&] { triangular_product(graph, t, b, x, {.alpha = nan}); }},
            {"overlaps T", [&] { triangular_product(graph, t, square, t); }},
            {"overlaps B", [&] { triangular_product(graph, t, square, square); }},
            {"must be square", [&] { triangular_inverse(graph, wide, wide); }},
            {"shapes must agree", [&] { triangular_inverse(graph, t, b); }},
            {"must be f32",
             [&] {
                 triangular_inverse(graph, t, tensor({4, 4}, DType::bf16));
             }},
        });
}

HERON_DEVICE_TESTS(TriangularTest);

}  // namespace
}  // namespace heron::test
