// SPDX-License-Identifier: MIT
// cholesky_solve(), spd_solve() and spd_inverse() against float64, on every device.

#include "linalg/linalg_test.hpp"

namespace heron::test {
namespace {

class SpdTest : public LinalgTest {
protected:
    static double norm1(const Matrix& matrix) { return matrix.cwiseAbs().colwise().sum().maxCoeff(); }

    void check_solution(const Matrix& a, const Matrix& b, const Matrix& x, const std::string& what) {
        const double n = std::max(2.0, static_cast<double>(a.rows()));
        for (Eigen::Index c = 0; c < x.cols(); ++c)
            ratio("residual", a, (a * x.col(c) - b.col(c)).norm(),
                  n * 0x1p-24 * (3 * a.norm() * x.col(c).norm() + b.col(c).norm()), what);
    }
    void check_inverse(const Matrix& a, const Matrix& x, const std::string& what) {
        const double n = std::max(2.0, static_cast<double>(a.rows()));
        ratio("inverse", a, norm1(Matrix::Identity(a.rows(), a.cols()) - a * x),
              20 * n * 0x1p-24 * norm1(a) * norm1(x), what);
        EXPECT_EQ(x, x.transpose()) << what << ": not symmetric bit for bit";
    }
};

TEST_P(SpdTest, SolvesMatchFloat64) {
    Graph graph(device());
    struct System {
        std::vector<Matrix> a, b;
        Placed x, with_factor;
    };
    std::vector<System> systems;
    for (std::uint64_t n : {1u, 2u, 3u, 7u, 8u, 17u, 33u, 64u, 65u, 127u, 129u, 255u, 256u})
        for (Triangle triangle : {Triangle::lower, Triangle::upper}) {
            const std::uint64_t items = n == 33 || n == 65 ? 3 : 1, m = n % 4 + 1;
            System s;
            std::vector<Matrix> stored;
            for (std::uint64_t item = 0; item < items; ++item) {
                s.a.push_back(rounded(spd_matrix(n, 1e4, n + item), DType::f32));
                s.b.push_back(rounded(random_matrix(n, m, n + item), DType::f32));
                stored.push_back(only_triangle(s.a.back(), triangle));
            }
            const Placed a = place(graph, stored, DType::f32, 1), b = place(graph, s.b);
            s.x = blank(graph, items, n, m, 2);
            spd_solve(graph, a.tensor, b.tensor, s.x.tensor, {.triangle = triangle});
            const Placed factor = blank(graph, items, n, n);
            s.with_factor = place(graph, s.b);  // in place
            cholesky(graph, a.tensor, factor.tensor, {.triangle = triangle});
            cholesky_solve(graph, factor.tensor, s.with_factor.tensor, s.with_factor.tensor,
                           {.triangle = triangle});
            systems.push_back(s);
        }
    run(graph);
    for (const System& s : systems) {
        const std::vector<Matrix> x = s.x.read(), with_factor = s.with_factor.read();
        for (std::size_t item = 0; item < s.a.size(); ++item) {
            check_solution(s.a[item], s.b[item], x[item], std::to_string(s.a[item].rows()));
            EXPECT_EQ(x[item], with_factor[item]);
        }
    }
}

TEST_P(SpdTest, TakesEveryKindOfDampedMatrix) {
    Graph graph(device());
    struct Kind {
        Placed a, b, x, inverse;
        std::string what;
    };
    std::vector<Kind> kinds;
    for (MatrixKind kind : finite_matrix_kinds())
        for (std::uint64_t n : {33u, 130u}) {
            Kind k{place(graph, {DampedGram(kind, n).damped()}), place(graph, {random_matrix(n, 3, n)}),
                   blank(graph, 1, n, 3), blank(graph, 1, n, n), to_string(kind)};
            spd_solve(graph, k.a.tensor, k.b.tensor, k.x.tensor);
            spd_inverse(graph, k.a.tensor, k.inverse.tensor);
            kinds.push_back(std::move(k));
        }
    run(graph);
    for (const Kind& k : kinds) {
        check_solution(k.a.items[0], k.b.items[0], k.x.read()[0], k.what);
        check_inverse(k.a.items[0], k.inverse.read()[0], k.what);
    }
}

// B of an odd number of elements: every second matrix begins in the middle of a word.
TEST_P(SpdTest, SolvesTakeOddSizesIn16Bits) {
    Graph graph(device());
    std::vector<Matrix> a, b;
    for (std::uint64_t item = 0; item < 3; ++item) {
        a.push_back(spd_matrix(65, 1e2, item));
        a.back() = rounded(a.back(), DType::f16);
        b.push_back(random_matrix(65, 3, 5 + item));
    }
    const Placed pa = place(graph, a, DType::f16), factor = blank(graph, 3, 65, 65);
    const Placed f16 = place(graph, b, DType::f16), bf16 = place(graph, b, DType::bf16, 2);
    const Placed x = blank(graph, 3, 65, 3), y = blank(graph, 3, 65, 3, 1);
    spd_solve(graph, pa.tensor, f16.tensor, x.tensor);
    cholesky(graph, pa.tensor, factor.tensor, {.triangle = Triangle::upper});
    cholesky_solve(graph, factor.tensor, bf16.tensor, y.tensor, {.triangle = Triangle::upper});
    run(graph);
    const std::vector<Matrix> solutions = x.read(), with_factor = y.read();
    for (std::size_t item = 0; item < a.size(); ++item) {
        check_solution(a[item], f16.items[item], solutions[item], "f16");
        check_solution(a[item], bf16.items[item], with_factor[item], "bf16");
    }
}

TEST_P(SpdTest, InversesMatchFloat64AndAreSymmetric) {
    for (bool in_place : {false, true}) {
        Graph graph(device());
        std::vector<std::pair<Matrix, Placed>> inverses;
        for (std::uint64_t n : {1u, 2u, 3u, 7u, 8u, 17u, 33u, 64u, 65u, 127u, 129u, 255u, 256u})
            for (Triangle triangle : {Triangle::lower, Triangle::upper}) {
                const Matrix a = rounded(spd_matrix(n, n % 2 == 0 ? 1e5 : 1e2, n), DType::f32);
                const Placed pa = place(graph, {only_triangle(a, triangle)}, DType::f32, n % 3);
                const Placed px = in_place ? pa : blank(graph, 1, n, n, n % 2);
                spd_inverse(graph, pa.tensor, px.tensor, {.triangle = triangle});
                inverses.emplace_back(a, px);
            }
        run(graph);
        for (const auto& [a, x] : inverses) check_inverse(a, x.read()[0], std::to_string(a.rows()));
    }
}

TEST_P(SpdTest, GpuVariantsMatchFloat64) {
    Graph graph(smallest_gpu());
    for (std::uint64_t n : {30u, 100u}) {
        const Matrix a = rounded(spd_matrix(n, 1e3, n), DType::f32),
                     b = rounded(random_matrix(n, 9, n), DType::f32);
        const Placed pa = place(graph, {a}), pb = place(graph, {b});
        const Placed x = blank(graph, 1, n, 9), inverse = blank(graph, 1, n, n);
        spd_solve(graph, pa.tensor, pb.tensor, x.tensor);
        spd_inverse(graph, pa.tensor, inverse.tensor);
        run(graph);
        check_solution(a, b, x.read()[0], std::to_string(n));
        check_inverse(a, inverse.read()[0], std::to_string(n));
    }
}

// Failed matrices give zeros and a name, jittered ones are right for what they became, neighbours do not
// notice.
TEST_P(SpdTest, FailuresGiveZerosAndStayAlone) {
    for (std::uint64_t n : {6u, 90u}) {
        const Matrix good = rounded(spd_matrix(n, 1e2, 1), DType::f32);
        Matrix nan = good, indefinite = good, nearly = good;
        nan(5, 1) = std::numeric_limits<double>::quiet_NaN();
        indefinite(2, 2) = -3;
        const Matrix column = rounded(random_matrix(n, 1, 2), DType::f32);
        nearly = rounded(column * column.transpose(), DType::f32);
        const std::vector<Matrix> batch{good, nan, indefinite, nearly, good};
        const Matrix b = rounded(random_matrix(n, 2, 3), DType::f32);
        Graph graph(device());
        const Placed pa = place(graph, batch), pb = place(graph, std::vector<Matrix>(5, b));
        const Placed px = blank(graph, 5, n, 2), pi = blank(graph, 5, n, n);
        const Words solve_status = words(graph, 5), inverse_status = words(graph, 5);
        const Words jitter = words(graph, 5, DType::f32);
        CholeskyOptions options{.jitter = {.retries = 2, .relative = 1e-2f},
                                .status = solve_status.tensor,
                                .jitter_used = jitter.tensor};
        spd_solve(graph, pa.tensor, pb.tensor, px.tensor, options);
        spd_inverse(graph, pa.tensor, pi.tensor, {.jitter = options.jitter, .status = inverse_status.tensor});
        run(graph);
        const std::vector<std::string> expected{"ok", "nonfinite", "indefinite", "jittered", "ok"};
        EXPECT_EQ(solve_status.statuses(), expected);
        EXPECT_EQ(inverse_status.statuses(), expected);
        const std::vector<Matrix> x = px.read(), inverse = pi.read();
        for (std::size_t item : {1u, 2u}) {
            EXPECT_TRUE((x[item].array() == 0).all());
            EXPECT_TRUE((inverse[item].array() == 0).all());
        }
        nearly.diagonal().array() += static_cast<double>(jitter.floats()[3]);
        check_solution(nearly, b, x[3], "jittered");
        check_inverse(nearly, inverse[3], "jittered");
        for (std::size_t item : {0u, 4u}) {
            check_solution(good, b, x[item], "good");
            check_inverse(good, inverse[item], "good");
        }
    }
}

TEST_P(SpdTest, SameBitsWholeOrSplitAndEveryTime) {
    expect_same_bits(1e5, 2, [&](Graph& graph) -> std::vector<GuardedBuffer*> {
        const Placed a = place(graph, {spd_matrix(130, 1e3, 1), spd_matrix(130, 1e3, 2)});
        const Placed b = place(graph, {random_matrix(130, 9, 3), random_matrix(130, 9, 4)});
        const Placed x = blank(graph, 2, 130, 9), inverse = blank(graph, 2, 130, 130);
        spd_solve(graph, a.tensor, b.tensor, x.tensor);
        spd_inverse(graph, a.tensor, inverse.tensor);
        return {x.buffer, inverse.buffer};
    });
}

TEST_P(SpdTest, RefusesWhatDoesNotFitAndAddsNothing) {
    Graph graph(device());
    const auto tensor = [&](const Shape& shape, DType dtype = DType::f32) {
        return graph.temporary(dtype, shape);
    };
    const Tensor a = tensor({4, 4}), b = tensor({4, 3}), x = tensor({4, 3}), wide = tensor({3, 4});
    expect_refusals(
        graph,
        {
            {"A is empty", [&] { spd_solve(graph, {}, b, x); }},
            {"one of Triangle", [&] { spd_solve(graph, a, b, x, {.triangle = static_cast<Triangle>(2)}); }},
            {"one of Triangle",
             [&] { cholesky_solve(graph, a, b, x, {.triangle = static_cast<Triangle>(2)}); }},
            {"one of Triangle", [&] { spd_inverse(graph, a, a, {.triangle = static_cast<Triangle>(2)}); }},
            {"the factor is empty", [&] { cholesky_solve(graph, {}, b, x); }},
            {"B is empty", [&] { spd_solve(graph, a, {}, x); }},
            {"must be square", [&] { spd_solve(graph, wide, b, x); }},
            {"must have 4 rows",
             [&] {
                 cholesky_solve(graph, a, wide, tensor({3, 4}));
             }},
            {"shapes must agree", [&] { spd_solve(graph, a, b, wide); }},
            {"must be f32",
             [&] {
                 cholesky_solve(graph, a, b, tensor({4, 3}, DType::f16));
             }},
            {"one A for each",
             [&] {
                 spd_solve(graph, a, tensor({2, 4, 3}), tensor({2, 4, 3}));
             }},
            {"overlaps A",
             [&] {
                 spd_solve(graph, a, tensor({4, 4}), a);
             }},
            {"1 u32", [&] { spd_solve(graph, a, b, x, {.status = tensor({2}, DType::u32)}); }},
            {"jitter_used (1x1 f32) overlaps X",
             [&] {
                 const Tensor one = tensor({1, 1});
                 spd_solve(graph, tensor({1, 1}), tensor({1, 1}), one, {.jitter_used = one});
             }},
            {"jitter_used (1x1 f32) overlaps X",
             [&] {
                 const Tensor one = tensor({1, 1});
                 spd_inverse(graph, tensor({1, 1}), one, {.jitter_used = one});
             }},
            {"at most 8", [&] { spd_solve(graph, a, b, x, {.jitter = {.retries = 9}}); }},
            {"X is empty", [&] { spd_inverse(graph, a, {}); }},
            {"shapes must agree",
             [&] {
                 spd_inverse(graph, a, tensor({5, 5}));
             }},
            {"must be f32",
             [&] {
                 spd_inverse(graph, a, tensor({4, 4}, DType::bf16));
             }},
        });
}

HERON_DEVICE_TESTS(SpdTest);

}  // namespace
}  // namespace heron::test
