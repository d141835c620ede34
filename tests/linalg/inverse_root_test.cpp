// SPDX-License-Identifier: MIT
// inverse_root() against float64, on every device: all methods, one workgroup and products.

#include <cstring>
#include <string_view>

#include "graph/graph.hpp"
#include "linalg/gemm.h"
#include "linalg/linalg_test.hpp"
#include "linalg/two_word_product.h"

namespace heron::test {
namespace {

constexpr double kInfinity = std::numeric_limits<double>::infinity();

Matrix power(const Matrix& x, std::uint32_t p) {
    Matrix result = x;
    for (std::uint32_t i = 1; i < p; ++i) result = result * x;
    return result;
}

Matrix damped(const Matrix& a, double damping) {
    return 0.5 * (a + a.transpose()) + damping * Matrix::Identity(a.rows(), a.cols());
}

Matrix inverse_root_of(const SymmetricEigen& eigen, std::uint32_t p) {
    return eigen.vectors * eigen.values.array().pow(-1.0 / p).matrix().asDiagonal() *
           eigen.vectors.transpose();
}

// Of inverse_root()'s forms.
struct Form {
    RootMethod method;
    bool small = false;  // in one workgroup
    std::uint32_t words = 1;
};

struct Case {
    std::string what;
    std::uint32_t p;
    double condition;  // of what the root is taken of
    Matrix a;          // as rounded, with damping
    Placed x;
};

class InverseRootTest : public LinalgTest {
protected:
    // The bar of LAPACK's kind: |X^p A - I|_F <= n kappa eps, for p > 4 times p / 2, since p factors have an
    // error each; and symmetry bit for bit. (50 n kappa^(1 / p) u is not always in reach: rounding the exact
    // X to f32 alone, E of u |X|, changes X^p A by X^(p - 1) E A, up to kappa u, and does so here with kappa
    // = 1e6 and p > 2, or n < 4. Two words are held to it where it is: TwoWordsAreAsExactAsF32.)
    void check_root(const std::string& kind, const std::string& what, const Matrix& a, double condition,
                    std::uint32_t p, const Matrix& x) {
        const double n = std::max(2.0, static_cast<double>(a.rows()));
        ratio("residual, " + kind, a, (power(x, p) * a - Matrix::Identity(a.rows(), a.cols())).norm(),
              n * condition * kEps32 * (p > 4 ? 0.5 * p : 1.0),
              what + " n " + std::to_string(a.rows()) + " p " + std::to_string(p) + " condition " +
                  std::to_string(condition));
        EXPECT_EQ(x, x.transpose()) << what << ": not symmetric bit for bit";
    }
    void check_distance(const std::string& kind, const Case& c) {
        const Matrix expected = inverse_root_of(symmetric_eigen(c.a), c.p);
        ratio(kind, c.a, (c.x.read()[0] - expected).norm() / expected.norm(), c.condition * kEps32,
              c.what + " n " + std::to_string(c.a.rows()) + " p " + std::to_string(c.p));
    }
    void check(const std::string& kind, const std::vector<Case>& cases) {
        for (const Case& c : cases) check_root(kind, c.what, c.a, c.condition, c.p, c.x.read()[0]);
    }
    Case add(Graph& graph, std::uint64_t n, double condition, InverseRootOptions options,
             const std::string& what, std::uint64_t seed = 1) {
        const Matrix a = rounded(spd_matrix(n, condition, n + seed), DType::f32);
        const Placed pa = place(graph, {a}, DType::f32, n % 3), px = blank(graph, 1, n, n, n % 2);
        inverse_root(graph, pa.tensor, px.tensor, options);
        return {what, options.p, condition, a, px};
    }
};

TEST_P(InverseRootTest, NewtonMatchesFloat64InOneWorkgroup) {
    Graph graph(device());
    std::vector<Case> cases;
    for (std::uint64_t n : {1u, 2u, 3u, 5u, 7u, 8u, 15u, 16u, 17u, 31u, 32u, 33u, 36u})
        for (std::uint32_t p : {1u, 2u, 3u, 4u, 5u, 7u, 8u})
            for (double condition : {10.0, 1e4, 1e6}) {
                const InverseRootOptions options{.p = p, .method = RootMethod::newton};
                ASSERT_TRUE(inverse_root_fits_one_workgroup(device(), n, options)) << n;
                cases.push_back(add(graph, n, condition, options, "small"));
            }
    run(graph);
    check("newton in one workgroup", cases);
    // Matrices of all sizes and roots in one dispatch.
    EXPECT_EQ(graph.compile({}).dispatch_count(), 1u);
}

// Distances to the roots themselves, where condition numbers allow it: a residual alone would not see a root
// of another order that happens to be near.
TEST_P(InverseRootTest, RootsAreTheOnesOfFloat64) {
    Graph graph(device());
    std::vector<Case> cases;
    for (std::uint64_t n : {6u, 33u, 80u})
        for (std::uint32_t p : {1u, 2u, 4u, 6u})
            for (double condition : {1e2, 1e4})
                cases.push_back(add(graph, n, condition, {.p = p}, "automatic"));
    run(graph);
    for (const Case& c : cases) check_distance("distance from the float64 root", c);
}

TEST_P(InverseRootTest, TakesEveryKindOfDampedMatrix) {
    Graph graph(device());
    std::vector<Case> cases;
    for (MatrixKind kind : finite_matrix_kinds())
        for (std::uint64_t n : {9u, 40u})
            for (std::uint32_t p : {1u, 2u, 4u}) {
                const DampedGram x(kind, n);
                const Placed pa = place(graph, {x.gram}), px = blank(graph, 1, n, n);
                inverse_root(graph, pa.tensor, px.tensor,
                             {.p = p, .damping = {.absolute = static_cast<float>(x.damping)}});
                cases.push_back({to_string(kind), p, x.condition, x.damped(), px});
            }
    run(graph);
    // Of zeros the root is a power of two times I.
    for (const Case& c : cases)
        if (c.condition > 1) check_root("every kind", c.what, c.a, c.condition, c.p, c.x.read()[0]);
    for (const Case& c : cases) check_distance("every kind, distance from the float64 root", c);
}

TEST_P(InverseRootTest, ProductsMatchFloat64) {
    for (RootMethod method : {RootMethod::newton, RootMethod::newton_schulz, RootMethod::denman_beavers}) {
        Graph graph(device());
        std::vector<Case> cases;
        for (std::uint64_t n : {1u, 3u, 16u, 33u, 65u, 127u, 129u})
            for (std::uint32_t p : {1u, 2u, 3u, 4u, 5u, 6u}) {
                if (method != RootMethod::newton && p != 2) continue;
                if (n > 100 && p != 2 && p != 4) continue;
                const double condition = n % 2 == 0 ? 1e2 : p % 2 == 0 ? 1e6 : 1e4;
                cases.push_back(add(graph, n, condition, {.p = p, .method = method, .one_workgroup = false},
                                    to_string(method)));
            }
        run(graph);
        check(std::string(to_string(method)) + " by products", cases);
    }
}

// With two words the root is the exact one, rounded to f32, whatever the condition number: u |X| and what
// float64 loses here. Its residual is below 50 n kappa^(1 / p) u, or the exact root, rounded, has about the
// same: half of it, if some elements lie so near the middle of two numbers that they are rounded to the
// other.
TEST_P(InverseRootTest, TwoWordsAreAsExactAsF32) {
    for (const bool for_gpus : {false, true}) {
        Graph graph(for_gpus ? smallest_gpu() : device());
        std::vector<Case> cases;
        for (std::uint64_t n : {1u, 2u, 3u, 8u, 17u, 33u, 64u, 100u})
            for (std::uint32_t p : {1u, 2u, 3u, 4u, 6u, 8u})
                for (double condition : {10.0, 1e4, 1e6}) {
                    if ((for_gpus || n == 100) && (p % 2 != 0 || condition == 10)) continue;
                    if (n == 100 && p > 4) continue;
                    cases.push_back(add(graph, n, condition, {.p = p, .words = 2}, "two words"));
                }
        // L L^T, L with ones on the diagonal and -1 below it: condition numbers from 6e4 to 7e8, no rounding.
        for (Eigen::Index n : {8, 12, 15})
            for (std::uint32_t p : {1u, 2u, 4u}) {
                Matrix l = Matrix::Identity(n, n);
                l.triangularView<Eigen::StrictlyLower>().setConstant(-1.0);
                const Matrix a = l * l.transpose();
                const Placed pa = place(graph, {a}), px = blank(graph, 1, static_cast<std::uint64_t>(n),
                                                                static_cast<std::uint64_t>(n));
                inverse_root(graph, pa.tensor, px.tensor, {.p = p, .words = 2});
                cases.push_back({"integers", p, 0, a, px});
            }
        for (MatrixKind kind : finite_matrix_kinds())
            for (std::uint32_t p : {1u, 2u, 4u}) {
                const DampedGram x(kind, 40);
                const Placed pa = place(graph, {x.gram}), px = blank(graph, 1, 40, 40);
                inverse_root(graph, pa.tensor, px.tensor,
                             {.p = p, .damping = {.absolute = static_cast<float>(x.damping)}, .words = 2});
                cases.push_back({to_string(kind), p, x.condition, x.damped(), px});
            }
        run(graph);
        for (const Case& c : cases) {
            const SymmetricEigen eigen = symmetric_eigen(c.a);
            const Matrix exact = inverse_root_of(eigen, c.p);
            const Matrix x = c.x.read()[0], one = Matrix::Identity(c.a.rows(), c.a.cols());
            const double n = static_cast<double>(c.a.rows()),
                         condition = eigen.values.maxCoeff() / eigen.values.minCoeff();
            const std::string what = c.what + " n " + std::to_string(c.a.rows()) + " p " +
                                     std::to_string(c.p) + " condition " + std::to_string(condition);
            ratio("distance from the float64 root, two words", c.a, (x - exact).norm(),
                  (kUnit + n * condition * 0x1p-52) * exact.norm(), what);
            const double rounded_exact = (power(rounded(exact, DType::f32), c.p) * c.a - one).norm();
            ratio("residual, two words", c.a, (power(x, c.p) * c.a - one).norm(),
                  std::max(50 * n * std::pow(condition, 1.0 / c.p) * kUnit, 2 * rounded_exact), what);
            EXPECT_EQ(x, x.transpose()) << what << ": not symmetric bit for bit";
        }
    }
}

// For large p an M that begins at norms up to (p + 1) / 2 has nothing left of its largest eigenvalue after
// the first iteration. An iteration rounds X by up to 4 u; what else one word has is M's.
TEST_P(InverseRootTest, HighRootsConverge) {
    for (const Form& form : {Form{RootMethod::newton, true}, Form{RootMethod::newton},
                             Form{.method = RootMethod::newton, .words = 2}}) {
        Graph graph(device());
        std::vector<Case> cases;
        std::vector<Words> statuses, used;
        for (std::uint64_t n : {1u, 2u, 6u, 33u})
            for (std::uint32_t p : {9u, 12u, 16u, 24u, 33u, 48u, 54u, 64u})
                for (double condition : {1.0, 3.0, 10.0, 1e4, 1e6}) {
                    statuses.push_back(words(graph, 1));
                    used.push_back(words(graph, 1));
                    cases.push_back(add(graph, n, condition,
                                        {.p = p,
                                         .words = form.words,
                                         .status = statuses.back().tensor,
                                         .iterations_used = used.back().tensor,
                                         .one_workgroup = form.small},
                                        "words " + std::to_string(form.words), n + p));
                }
        run(graph);
        for (std::size_t i = 0; i < cases.size(); ++i) {
            const Case& c = cases[i];
            const double n = static_cast<double>(c.a.rows());
            const std::string what = c.what + " n " + std::to_string(c.a.rows()) + " p " +
                                     std::to_string(c.p) + " condition " + std::to_string(c.condition);
            EXPECT_EQ(statuses[i].statuses()[0], "ok") << what;
            const Matrix exact = inverse_root_of(symmetric_eigen(c.a), c.p);
            const double bound = form.words == 2 ? kUnit + n * c.condition * 0x1p-52
                                                 : (2 * c.condition + 4 * used[i].words()[0]) * kUnit;
            ratio("distance from the float64 root, high roots", c.a,
                  (c.x.read()[0] - exact).norm() / exact.norm(), bound, what);
        }
    }
}

TEST_P(InverseRootTest, GpuVariantsMatchFloat64) {
    Graph graph(smallest_gpu());
    std::vector<Case> cases;
    for (std::uint64_t n : {5u, 36u, 37u, 70u})
        for (std::uint32_t p : {1u, 2u, 4u})
            for (RootMethod method : {RootMethod::newton, RootMethod::denman_beavers})
                if (method == RootMethod::newton || p == 2)
                    cases.push_back(add(graph, n, 1e4, {.p = p, .method = method}, to_string(method)));
    EXPECT_TRUE(inverse_root_fits_one_workgroup(graph.device(), 36));
    EXPECT_FALSE(inverse_root_fits_one_workgroup(graph.device(), 37));
    run(graph);
    check("kernels for GPUs", cases);
}

// Spectra that are not evenly spread: two clusters, one large eigenvalue, one small one.
TEST_P(InverseRootTest, UnevenSpectraMatchFloat64) {
    Graph graph(device());
    std::vector<Case> cases;
    for (std::uint64_t n : {9u, 40u, 65u})
        for (std::uint32_t p : {2u, 4u})
            for (int kind : {0, 1, 2}) {
                std::vector<double> roots(n, kind == 0 ? 1.0 : kind == 1 ? 1e-2 : 1.0);
                if (kind == 0)
                    for (std::uint64_t i = n / 2; i < n; ++i) roots[i] = 0.03;
                if (kind == 1) roots[0] = 1.0;
                if (kind == 2) roots[n - 1] = 1e-2;
                const Matrix half = with_singular_values(roots, n, n, n);
                const Matrix a = rounded(half * half.transpose(), DType::f32);
                const Placed pa = place(graph, {a}), px = blank(graph, 1, n, n);
                inverse_root(graph, pa.tensor, px.tensor, {.p = p});
                cases.push_back({"spectrum " + std::to_string(kind), p, 1e4, a, px});
            }
    run(graph);
    check("clustered eigenvalues", cases);
}

TEST_P(InverseRootTest, SquareRootsMatchFloat64) {
    Graph graph(device());
    struct Root {
        Matrix a;
        Placed x, y;
    };
    std::vector<Root> roots;
    for (RootMethod method : {RootMethod::automatic, RootMethod::newton_schulz})
        for (std::uint64_t n : {1u, 5u, 33u, 90u}) {
            const Matrix a = rounded(spd_matrix(n, 1e3, n), DType::f32);
            const Placed pa = place(graph, {a}), px = blank(graph, 1, n, n), py = blank(graph, 1, n, n, 3);
            inverse_root(graph, pa.tensor, px.tensor, {.method = method, .square_root = py.tensor});
            roots.push_back({a, px, py});
        }
    run(graph);
    for (const Root& root : roots) {
        const Matrix y = root.y.read()[0];
        const double n = std::max(2.0, static_cast<double>(root.a.rows()));
        check_root("made with its square root", "square root", root.a, 1e3, 2, root.x.read()[0]);
        ratio("residual of the square root", y, (y * y - root.a).norm(), 10 * n * kEps32 * root.a.norm(),
              std::to_string(n));
        EXPECT_EQ(y, y.transpose());
    }
}

TEST_P(InverseRootTest, DampingIsRelativeToWhatItSays) {
    for (const auto& [small, count_of_words] :
         {std::pair{true, 1u}, std::pair{false, 1u}, std::pair{false, 2u}}) {
        Graph graph(device());
        struct Damped {
            Matrix a;
            double damping;
            Placed x;
        };
        std::vector<Damped> results;
        const std::uint64_t n = 30;
        Matrix half = random_matrix(n, 10, 3);
        half.row(4) *= 3;
        const Matrix a = rounded(half * half.transpose(), DType::f32);  // rank 10
        for (double scale : {1.0, 0x1p-70, 0x1p60})
            for (int rule = 0; rule < 5; ++rule) {
                InverseRootOptions options{.p = 4, .words = count_of_words, .one_workgroup = small};
                double damping = 0;
                if (rule == 0) damping = options.damping.absolute = static_cast<float>(0.5 * scale);
                if (rule > 0) options.damping.relative = 0.01f;
                if (rule == 1) damping = 0.01f * scale * a.trace() / n;
                if (rule == 2) damping = 0.01f * scale * a.cwiseAbs().rowwise().sum().maxCoeff();
                if (rule == 3) damping = 0.01f * scale * a.diagonal().maxCoeff();
                if (rule == 2) options.damping.scale = DampingScale::infinity;
                if (rule == 3) options.damping.scale = DampingScale::max_diagonal;
                if (rule == 4) {  // the larger of both
                    damping = 0.01f * scale * a.trace() / n;
                    options.damping.absolute = static_cast<float>(0.5 * damping);
                }
                const Placed pa = place(graph, {a * scale}), px = blank(graph, 1, n, n);
                inverse_root(graph, pa.tensor, px.tensor, options);
                results.push_back({damped(a * scale, damping), damping, px});
            }
        run(graph);
        for (const Damped& result : results) {
            const double largest = spectral_norm(result.a);
            const Matrix x = result.x.read()[0];
            check_root("damped", "damping", result.a, largest / result.damping, 4, x);
            // The null space is damping alone.
            ratio("damping where A is zero", x, std::abs(std::pow(spectral_norm(x), -4) / result.damping - 1),
                  1e-3, "null");
        }
    }
}

TEST_P(InverseRootTest, PowersOfTwoChangeNoBitOfTheRoot) {
    for (const auto& [small, count_of_words] :
         {std::pair{true, 1u}, std::pair{false, 1u}, std::pair{false, 2u}}) {
        Graph graph(device());
        const std::uint64_t n = 21;
        const Matrix a = rounded(spd_matrix(n, 1e3, 1), DType::f32);
        std::vector<Placed> x;
        for (int exponent : {0, 40, -40, 100, -88, -108}) {
            const Placed pa = place(graph, {a * std::ldexp(1.0, exponent)});
            x.push_back(blank(graph, 1, n, n));
            inverse_root(graph, pa.tensor, x.back().tensor,
                         {.p = 4, .words = count_of_words, .one_workgroup = small});
        }
        run(graph);
        const Matrix expected = x[0].read()[0];
        int i = 0;
        for (int exponent : {0, 40, -40, 100, -88, -108})
            EXPECT_EQ(x[i++].read()[0] * std::ldexp(1.0, exponent / 4), expected) << exponent;
    }
}

TEST_P(InverseRootTest, TakesHalvesBatchesAndAsymmetricMatricesInPlace) {
    for (const auto& [small, count_of_words] :
         {std::pair{true, 1u}, std::pair{false, 1u}, std::pair{false, 2u}}) {
        Graph graph(device());
        const std::uint64_t n = 18;
        std::vector<Matrix> batch;
        for (std::uint64_t i = 0; i < 3; ++i) batch.push_back(rounded(spd_matrix(n, 1e2, i), DType::f32));
        for (Matrix& a : batch) {  // the asymmetric part does not matter
            Matrix skew = Matrix::Zero(n, n);
            skew(3, 7) = 0.125;
            a = rounded(a + skew - skew.transpose(), DType::f32);
        }
        const Placed in_place = place(graph, batch, DType::f32, 2);
        inverse_root(graph, in_place.tensor, in_place.tensor,
                     {.p = 3, .words = count_of_words, .one_workgroup = small});
        std::vector<Placed> halves, roots;
        for (DType dtype : {DType::f16, DType::bf16}) {
            halves.push_back(place(graph, batch, dtype, 2));
            roots.push_back(blank(graph, 3, n, n));
            inverse_root(
                graph, halves.back().tensor, roots.back().tensor,
                {.p = 3, .damping = {.absolute = 0.5f}, .words = count_of_words, .one_workgroup = small});
        }
        run(graph);
        for (std::size_t i = 0; i < 3; ++i) {
            check_root("in place", "in place", damped(batch[i], 0), 1.1e2, 3, in_place.read()[i]);
            check_root("f16", "f16", damped(rounded(batch[i], DType::f16), 0.5), 3, 3, roots[0].read()[i]);
            check_root("bf16", "bf16", damped(rounded(batch[i], DType::bf16), 0.5), 3, 3, roots[1].read()[i]);
        }
    }
}

// Elements a hundred times the smallest normal number; drivers may flush what is below that.
TEST_P(InverseRootTest, ElementsDownToTheSmallestNormalNumbersWork) {
    for (const bool small : {true, false})
        for (const std::uint32_t p : {1u, 2u, 4u})
            for (const float damping : {0.0f, 1e-36f, 1.0f}) {
                const std::uint64_t n = 20;
                const auto order = static_cast<Eigen::Index>(n);
                const Matrix a = rounded(
                    1e-36 * (0.75 * Matrix::Identity(order, order) + 0.25 * Matrix::Ones(order, order)),
                    DType::f32);
                Graph graph(device());
                const Placed pa = place(graph, {a}), px = blank(graph, 1, n, n);
                const Words status = words(graph, 1);
                inverse_root(graph, pa.tensor, px.tensor,
                             {.p = p,
                              .damping = {.absolute = damping},
                              .status = status.tensor,
                              .one_workgroup = small});
                run(graph);
                EXPECT_EQ(status.statuses()[0], "ok") << p << " damping " << damping;
                check_root("tiny", "tiny", damped(a, static_cast<double>(damping)), 8, p, px.read()[0]);
            }
}

// Elements up to the largest f32, of which not even two can be added.
TEST_P(InverseRootTest, ElementsUpToTheLargestFloatWork) {
    for (std::uint64_t n : {10u, 100u})
        for (std::uint32_t p : {2u, 4u})
            for (double size : {1.8e38, 3.4e38}) {
                const auto order = static_cast<Eigen::Index>(n);
                const Matrix a = rounded(size * Matrix::Identity(order, order), DType::f32);
                Graph graph(device());
                const Placed pa = place(graph, {a}), px = blank(graph, 1, n, n);
                const Words status = words(graph, 1);
                inverse_root(graph, pa.tensor, px.tensor, {.p = p, .status = status.tensor});
                run(graph);
                EXPECT_EQ(status.statuses()[0], "ok") << n << " p " << p << " " << size;
                const double root = std::pow(a(0, 0), -1.0 / p);
                EXPECT_LE((px.read()[0] - root * Matrix::Identity(order, order)).norm(),
                          4 * static_cast<double>(n) * kUnit * root)
                    << n << " p " << p << " " << size;
            }
}

TEST_P(InverseRootTest, FailuresAreNamedAndStayAlone) {
    for (const auto& [method, small, count_of_words] :
         {Form{RootMethod::newton, true}, Form{RootMethod::newton},
          Form{.method = RootMethod::newton, .words = 2}, Form{RootMethod::denman_beavers}}) {
        for (bool keep : {false, true}) {
            const std::uint64_t n = 20;
            const Matrix good = rounded(spd_matrix(n, 1e2, 1), DType::f32);
            Matrix nan = good, inf = good, indefinite = good;
            nan(17, 3) = std::numeric_limits<double>::quiet_NaN();
            inf(2, 2) = kInfinity;
            indefinite(5, 5) -= 2;
            const Matrix zero = Matrix::Zero(n, n);
            const std::vector<Matrix> batch{good, nan, indefinite, zero, inf, good};
            Graph graph(device());
            const Placed pa = place(graph, batch);
            const Placed px = place(graph, std::vector<Matrix>(6, Matrix::Constant(n, n, 7.0)));
            const Words status = words(graph, 6), used = words(graph, 6);
            const Words residual = words(graph, 6, DType::f32);
            inverse_root(graph, pa.tensor, px.tensor,
                         {.method = method,
                          .words = count_of_words,
                          .keep_on_failure = keep,
                          .status = status.tensor,
                          .residual = residual.tensor,
                          .iterations_used = used.tensor,
                          .one_workgroup = small});
            const Placed alone = place(graph, {good}), px_alone = blank(graph, 1, n, n);
            inverse_root(graph, alone.tensor, px_alone.tensor,
                         {.method = method, .words = count_of_words, .one_workgroup = small});
            run(graph);
            EXPECT_EQ(status.statuses(), (std::vector<std::string>{"ok", "nonfinite", "indefinite",
                                                                   "singular", "nonfinite", "ok"}))
                << to_string(method);
            const std::vector<Matrix> x = px.read();
            for (std::size_t i : {1u, 2u, 3u, 4u}) {
                EXPECT_EQ(x[i], Matrix::Constant(n, n, keep ? 7.0 : 0.0)) << i;
                EXPECT_EQ(residual.floats()[i], std::numeric_limits<float>::infinity());
            }
            for (std::size_t i : {0u, 5u}) {
                EXPECT_EQ(x[i], px_alone.read()[0]);
                EXPECT_LE(residual.floats()[i], 1e-5f);
                const std::uint32_t count = used.words()[i];
                EXPECT_TRUE(count >= 3 && count <= (method == RootMethod::newton ? 16u : 7u)) << count;
            }
        }
    }
}

// A negative eigenvalue whose eigenvector has many elements shows late in max |M - I|; one of -1e-4 so late
// that rounding may have made it.
TEST_P(InverseRootTest, SpreadNegativeEigenvaluesAreFound) {
    for (const Form& form :
         {Form{RootMethod::newton, true}, Form{RootMethod::newton},
          Form{.method = RootMethod::newton, .words = 2}, Form{RootMethod::denman_beavers}})
        for (std::uint64_t n : {12u, 33u, 100u})
            for (std::uint32_t p : {1u, 2u, 4u}) {
                if (form.method != RootMethod::newton && p != 2) continue;
                std::vector<Matrix> batch;
                for (double value : {-0.3, -0.1, -1e-2, -1e-3, -1e-4}) {
                    const Matrix q = symmetric_eigen(spd_matrix(n, 10, n)).vectors;
                    Vector values = Vector::LinSpaced(static_cast<Eigen::Index>(n), 0.1, 1.0);
                    values[0] = value;
                    batch.push_back(rounded(q * values.asDiagonal() * q.transpose(), DType::f32));
                }
                Graph graph(device());
                const auto order = static_cast<Eigen::Index>(n);
                const Matrix before = Matrix::Constant(order, order, 7.0);
                const Placed pa = place(graph, batch), px = place(graph, std::vector<Matrix>(5, before));
                const Words status = words(graph, 5);
                inverse_root(graph, pa.tensor, px.tensor,
                             {.p = p,
                              .method = form.method,
                              .words = form.words,
                              .keep_on_failure = true,
                              .status = status.tensor,
                              .one_workgroup = form.small});
                run(graph);
                for (std::size_t i = 0; i < batch.size(); ++i) {
                    const std::string found = status.statuses()[i];
                    EXPECT_TRUE(found == "indefinite" || (i == 4 && found == "singular"))
                        << found << ": " << to_string(form.method) << " words " << form.words << " n " << n
                        << " p " << p << ", matrix " << i;
                    EXPECT_EQ(px.read()[i], before);
                }
            }
}

// Rounding gives the zero eigenvalues of a semidefinite matrix either sign.
TEST_P(InverseRootTest, SemidefiniteMatricesAreNotCalledIndefinite) {
    struct Root {
        std::uint64_t n;
        std::uint32_t p;
        Form form;
    };
    std::vector<Root> roots;
    for (const Form& form : {Form{RootMethod::newton, true}, Form{RootMethod::newton},
                             Form{.method = RootMethod::newton, .words = 2}})
        for (std::uint32_t p : {1u, 2u, 4u}) roots.push_back({20, p, form});
    // One workgroup factors the first, panels the second.
    for (std::uint64_t n : {20u, 150u}) roots.push_back({n, 2, {RootMethod::denman_beavers}});
    for (const auto& [n, p, form] : roots) {
        const std::string what =
            std::string(to_string(form.method)) + " n " + std::to_string(n) + " p " + std::to_string(p);
        Graph graph(device());
        std::vector<Matrix> batch;
        for (std::uint64_t seed = 1; seed <= 6; ++seed) {
            const Matrix x = random_matrix(n, seed <= 3 ? 1 : n / 2, seed);
            batch.push_back(x * x.transpose());
        }
        batch.push_back(batch[0]);
        batch[6].diagonal().array() -= 1e-3 * batch[0].trace();
        batch.push_back(batch[5]);
        batch[7].diagonal().array() -= 1e-3 * spectral_norm(batch[5]);
        const std::size_t count = batch.size();
        const Placed pa = place(graph, batch), px = blank(graph, count, n, n);
        const Words status = words(graph, count);
        inverse_root(graph, pa.tensor, px.tensor,
                     {.p = p,
                      .method = form.method,
                      .words = form.words,
                      .status = status.tensor,
                      .one_workgroup = form.small});
        run(graph);
        for (std::size_t i = 0; i < 6; ++i) {
            const std::string is = status.statuses()[i];
            EXPECT_TRUE(is == "singular" || is == "not_converged") << is << " " << i << ", " << what;
        }
        for (std::size_t i : {6u, 7u}) EXPECT_EQ(status.statuses()[i], "indefinite") << i << ", " << what;
    }
}

// What a coarse tolerance leaves is the error's square, for all methods and forms. Without the last product
// it would be up to the tolerance / p, a hundred times what is allowed here (two words, which go on for a
// 32nd of it: three times and more).
TEST_P(InverseRootTest, TheLastProductSquaresWhatTheToleranceLeaves) {
    constexpr float kTolerance = 1e-3f;
    for (const auto& [method, small, count_of_words] :
         {Form{RootMethod::newton, true}, Form{RootMethod::newton},
          Form{.method = RootMethod::newton, .words = 2}, Form{RootMethod::newton_schulz},
          Form{RootMethod::denman_beavers}})
        for (std::uint32_t p : {1u, 2u, 3u, 4u}) {
            const bool both = method != RootMethod::newton;
            if (both && p != 2) continue;
            Graph graph(device());
            const std::string what = std::string(to_string(method)) + (small ? " small" : " blocked") +
                                     " p " + std::to_string(p) + " words " + std::to_string(count_of_words);
            std::vector<Matrix> batch;  // with last residuals of all sizes
            for (int i = 0; i < 24; ++i)
                batch.push_back(
                    rounded(Matrix(Eigen::Vector3d(std::exp2(i / 12.0), 4.5, 6.0).asDiagonal()), DType::f32));
            const Placed px = blank(graph, batch.size(), 3, 3), py = blank(graph, batch.size(), 3, 3);
            const Words residual = words(graph, batch.size(), DType::f32);
            const Words used = words(graph, batch.size()), status = words(graph, batch.size());
            inverse_root(graph, place(graph, batch).tensor, px.tensor,
                         {.p = p,
                          .method = method,
                          .tolerance = kTolerance,
                          .words = count_of_words,
                          .square_root = both ? py.tensor : Tensor{},
                          .status = status.tensor,
                          .residual = residual.tensor,
                          .iterations_used = used.tensor,
                          .one_workgroup = small});
            run(graph);
            double worst = 0;
            for (std::size_t i = 0; i < batch.size(); ++i) {
                EXPECT_EQ(status.words()[i], 0u) << what;
                const double r = static_cast<double>(residual.floats()[i]);
                worst = std::max(worst, r);
                // The square has a factor of (p + 1) / (2 p^2) <= 1; the rest is n kappa u, and 4 u an
                // iteration.
                const Vector a = batch[i].diagonal();
                const double allowed =
                    r * r + (3 * a.maxCoeff() / a.minCoeff() + 4.0 * used.words()[i]) * kUnit;
                const Vector x = px.read()[i].diagonal(), y = py.read()[i].diagonal();
                for (Eigen::Index k = 0; k < 3; ++k) {
                    ratio("corrected root", 3, std::abs(x[k] * std::pow(a[k], 1.0 / p) - 1), allowed, what);
                    if (both)
                        ratio("corrected square root", 3, std::abs(y[k] / std::sqrt(a[k]) - 1), allowed,
                              what);
                }
            }
            EXPECT_GT(worst, count_of_words == 2 ? 1e-4 / 32 : 1e-4)
                << what << ": nothing was left to correct";
        }
}

// Matrices of a batch stop at different iterations. What the others go on with leaves them alone: alone, with
// a budget that ends there, they have the same root, bit for bit.
TEST_P(InverseRootTest, MatricesThatHaveStoppedStayAsTheyAre) {
    const std::uint64_t n = 33;
    std::vector<Matrix> batch{Matrix::Zero(n, n)};
    for (double condition : {1e5, 1.0, 1e2, 4.0})
        batch.push_back(rounded(spd_matrix(n, condition, n), DType::f32));
    for (const auto& [method, small, count_of_words] :
         {Form{RootMethod::newton}, Form{.method = RootMethod::newton, .words = 2},
          Form{RootMethod::newton_schulz}, Form{RootMethod::denman_beavers}})
        for (std::uint32_t p : {1u, 2u, 3u, 5u}) {
            if (method != RootMethod::newton && p != 2) continue;
            const std::string what = std::string(to_string(method)) + " p " + std::to_string(p) + " words " +
                                     std::to_string(count_of_words);
            InverseRootOptions options{
                .p = p, .method = method, .words = count_of_words, .one_workgroup = small};
            Graph graph(device());
            const Placed pa = place(graph, batch), px = blank(graph, batch.size(), n, n);
            const Words used = words(graph, batch.size());
            options.iterations_used = used.tensor;
            inverse_root(graph, pa.tensor, px.tensor, options);
            run(graph);
            int products = 0, for_all = 0;
            for (const Node& node : graph.impl().nodes) {
                const KernelInfo& kernel = *node.operation.kernel;
                if (kernel.name == std::string_view("two_word_product")) {
                    gpu::TwoWordProductJob job;
                    std::memcpy(&job, node.operation.job.data(), sizeof(job));
                    ++((job.flags & gpu::TWO_WORD_ACTIVE) != 0 ? products : for_all);
                    continue;
                }
                if (!std::string_view(kernel.name).starts_with("gemm_")) continue;
                if (kernel.job_bytes != sizeof(gpu::GemmJob)) continue;
                gpu::GemmJob job;
                std::memcpy(&job, node.operation.job.data(), sizeof(job));
                ++((job.flags & gpu::GEMM_ACTIVE) != 0 ? products : for_all);
            }
            EXPECT_EQ(for_all, 1) << what << ": the last one is for those that have stopped, and no other";
            EXPECT_GE(products, 8) << what;
            const std::vector<std::uint32_t> counts = used.words();
            EXPECT_EQ(counts[0], 0u) << what;
            for (std::size_t i : {2u, 3u, 4u})
                EXPECT_LT(counts[i], counts[1]) << what << ": nothing stops before the others";
            Graph alone(device());
            std::vector<Placed> roots;
            for (std::size_t i = 1; i < batch.size(); ++i) {
                roots.push_back(blank(alone, 1, n, n));
                options.iterations = counts[i];
                options.iterations_used = {};
                inverse_root(alone, place(alone, {batch[i]}).tensor, roots.back().tensor, options);
            }
            run(alone);
            const std::vector<Matrix> x = px.read();
            EXPECT_EQ(x[0], batch[0]) << what;
            for (std::size_t i = 1; i < batch.size(); ++i)
                EXPECT_EQ(x[i], roots[i - 1].read()[0]) << what << ", matrix " << i;
        }
}

// A budget that is too small, and zero eigenvalues: the iterate so far, finite, with a name. (Zero
// eigenvalues that rounding errors make negative may be found: only a finite result is sure.)
TEST_P(InverseRootTest, BudgetsThatRunOutAreNamed) {
    for (const auto& [small, count_of_words] :
         {std::pair{true, 1u}, std::pair{false, 1u}, std::pair{false, 2u}}) {
        Graph graph(device());
        const std::uint64_t n = 12;
        const Matrix a = rounded(spd_matrix(n, 1e4, 1), DType::f32);
        const Matrix half = random_matrix(n, 3, 2), semidefinite = half * half.transpose();
        Matrix singular = Matrix::Identity(n, n);
        singular(2, 2) = 0;
        const Placed pa = place(graph, {a}), ps = place(graph, {semidefinite, singular});
        const Placed xa = blank(graph, 1, n, n), xs = blank(graph, 2, n, n);
        const Words sa = words(graph, 1), ss = words(graph, 2), ua = words(graph, 1);
        inverse_root(graph, pa.tensor, xa.tensor,
                     {.p = 4,
                      .iterations = 3,
                      .words = count_of_words,
                      .status = sa.tensor,
                      .iterations_used = ua.tensor,
                      .one_workgroup = small});
        inverse_root(graph, ps.tensor, xs.tensor,
                     {.p = 4, .words = count_of_words, .status = ss.tensor, .one_workgroup = small});
        run(graph);
        EXPECT_EQ(sa.statuses()[0], "not_converged");
        EXPECT_EQ(ua.words()[0], 3u);
        EXPECT_EQ(ss.statuses()[1], "not_converged");
        EXPECT_TRUE(xa.read()[0].allFinite());
        for (const Matrix& x : xs.read()) EXPECT_TRUE(x.allFinite());
    }
}

TEST_P(InverseRootTest, GuessesAreTakenOnlyWhereTheyAreNearEnough) {
    Graph graph(device());
    const std::uint64_t n = 24;
    const Matrix a = rounded(spd_matrix(n, 1e2, 1), DType::f32);
    Matrix near = inverse(a);
    near = near + 1e-3 * near.norm() * Matrix::Identity(n, n);
    Matrix nan = near;
    nan(3, 3) = std::numeric_limits<double>::quiet_NaN();
    const Matrix wrong = -near, scaled = a * 0x1p40;
    const std::vector<Matrix> batch{a, a, a, a, scaled},
        guesses{near, nan, wrong, Matrix::Zero(n, n), near * 0x1p-40};
    const Placed pa = place(graph, batch), px = place(graph, guesses, DType::f32, 1);
    const Words status = words(graph, 5), used = words(graph, 5);
    inverse_root(graph, pa.tensor, px.tensor,
                 {.p = 1, .guess = px.tensor, .status = status.tensor, .iterations_used = used.tensor});
    run(graph);
    const std::vector<Matrix> x = px.read();
    for (std::size_t i = 0; i < 5; ++i)
        check_root("from a guess", "guess " + std::to_string(i), batch[i], 1e2, 1, x[i]);
    const std::vector<std::uint32_t> counts = used.words();
    EXPECT_LE(counts[0], 8u);
    for (std::size_t i : {1u, 2u, 3u}) {
        EXPECT_GT(counts[i], counts[0]) << i;
        EXPECT_EQ(counts[i], counts[1]);
        EXPECT_EQ(x[i], x[1]);
    }
    EXPECT_EQ(counts[4], counts[0]);
    for (const std::string& name : status.statuses()) EXPECT_EQ(name, "ok");
}

// A guess near the inverse of an indefinite matrix leads to it; one that is not taken, to what none leads to.
TEST_P(InverseRootTest, IndefiniteMatricesAreReportedWithAGuess) {
    Graph graph(device());
    std::vector<Matrix> batch, guesses;
    for (const double smallest : {-0.5, -1e-2, -1e-4, 1.0}) {
        Matrix a = Matrix::Identity(20, 20);
        a(7, 7) = smallest;
        batch.push_back(a);
        guesses.emplace_back(Matrix::Zero(20, 20));
    }
    batch.push_back(batch[0]);
    guesses.push_back(inverse(batch[0]));
    const Placed pa = place(graph, batch), px = place(graph, guesses);
    const Words status = words(graph, 5);
    inverse_root(graph, pa.tensor, px.tensor,
                 {.p = 1, .guess = px.tensor, .keep_on_failure = true, .status = status.tensor});
    run(graph);
    const std::vector<Matrix> x = px.read();
    for (const std::size_t i : {0u, 1u, 2u}) {
        EXPECT_EQ(status.statuses()[i], "indefinite") << i;
        EXPECT_EQ(x[i], guesses[i]) << i;
    }
    for (const std::size_t i : {3u, 4u}) {
        EXPECT_EQ(status.statuses()[i], "ok") << i;
        EXPECT_LE((x[i] - inverse(batch[i])).norm(), 1e-5) << i;
    }
}

// However badly conditioned A is: a good guess, and one that is not taken, end as well as none.
TEST_P(InverseRootTest, GuessesDoNoHarmWhereTheConditionIsBad) {
    for (const std::uint64_t n : {20u, 60u})
        for (const double condition : {1e2, 1e3, 1e4}) {
            const Matrix a = rounded(spd_matrix(n, condition, 2), DType::f32), exact = inverse(a);
            const auto order = static_cast<Eigen::Index>(n);
            const std::vector<Matrix> guesses{
                exact, exact + 1e-3 / condition * exact.norm() * Matrix::Identity(order, order),
                Matrix::Zero(order, order), -exact};
            Graph graph(device());
            const Placed pa = place(graph, std::vector<Matrix>(4, a)), guess = place(graph, guesses),
                         px = blank(graph, 4, n, n);
            const Words status = words(graph, 4);
            inverse_root(graph, pa.tensor, px.tensor,
                         {.p = 1, .guess = guess.tensor, .status = status.tensor});
            run(graph);
            const std::vector<Matrix> x = px.read();
            for (std::size_t i = 0; i < 4; ++i) {
                const std::string where = "guess " + std::to_string(i) + " of " + std::to_string(n) + "x" +
                                          std::to_string(n) + ", condition " + std::to_string(condition);
                EXPECT_EQ(status.statuses()[i], "ok") << where;
                ratio("distance from the float64 inverse, from a guess", a, (x[i] - exact).norm(),
                      2 * std::sqrt(static_cast<double>(n)) * condition * 0x1p-24 * exact.norm(), where);
            }
        }
}

TEST_P(InverseRootTest, TheSameBitsEveryTimeAndSplit) {
    expect_same_bits(1e5, 2, [&](Graph& graph) {
        std::vector<GuardedBuffer*> results;
        for (std::uint64_t n : {9u, 33u, 70u})
            for (RootMethod method : {RootMethod::newton, RootMethod::denman_beavers}) {
                const Placed pa = place(graph, {spd_matrix(n, 1e3, n), spd_matrix(n, 1e2, n + 1)});
                const Placed x = blank(graph, 2, n, n);
                inverse_root(graph, pa.tensor, x.tensor, {.method = method});
                results.push_back(x.buffer);
                if (method != RootMethod::newton) continue;
                const Placed in_words = blank(graph, 2, n, n);
                inverse_root(graph, pa.tensor, in_words.tensor, {.words = 2});
                results.push_back(in_words.buffer);
            }
        return results;
    });
}

TEST_P(InverseRootTest, RefusesWhatDoesNotFitAndAddsNothing) {
    Graph graph(device());
    const auto tensor = [&](const Shape& shape, DType dtype = DType::f32) {
        return graph.temporary(dtype, shape);
    };
    const Tensor a = tensor({4, 4}), x = tensor({4, 4}), wide = tensor({3, 4});
    const auto with = [&](InverseRootOptions options) {
        return [&, options] { inverse_root(graph, a, x, options); };
    };
    expect_refusals(
        graph,
        {
            {"A is empty", [&] { inverse_root(graph, {}, x); }},
            {"one of RootMethod", [&] { inverse_root(graph, a, x, {.method = static_cast<RootMethod>(4)}); }},
            {"one of DampingScale",
             [&] { inverse_root(graph, a, x, {.damping = {.scale = static_cast<DampingScale>(3)}}); }},
            {"X is empty", [&] { inverse_root(graph, a, {}); }},
            {"must be square", [&] { inverse_root(graph, wide, wide); }},
            {"at most 4096 rows",
             [&] {
                 inverse_root(graph, tensor({4097, 4097}), tensor({4097, 4097}));
             }},
            {"must be f32",
             [&] {
                 inverse_root(graph, a, tensor({4, 4}, DType::f16));
             }},
            {"must be f32",
             [&] {
                 inverse_root(graph, a, tensor({5, 5}));
             }},
            {"words is 0", with({.words = 0})},
            {"words is 3", with({.words = 3})},
            {"two words", with({.method = RootMethod::denman_beavers, .words = 2})},
            {"two words", with({.words = 2, .square_root = tensor({4, 4})})},
            {"two words", with({.p = 1, .words = 2, .guess = tensor({4, 4})})},
            {"p is 0", with({.p = 0})},
            {"p is 65", with({.p = 65})},
            {"iterations is 65", with({.iterations = 65})},
            {"damping", with({.damping = {.absolute = -1.0f}})},
            {"damping", with({.damping = {.relative = std::numeric_limits<float>::infinity()}})},
            {"tolerance", with({.tolerance = 0.0f})},
            {"tolerance", with({.tolerance = std::numeric_limits<float>::quiet_NaN()})},
            {"newton_schulz needs p = 2", with({.p = 3, .method = RootMethod::newton_schulz})},
            {"denman_beavers needs p = 2", with({.p = 4, .method = RootMethod::denman_beavers})},
            {"square root needs p = 2", with({.p = 4, .square_root = tensor({4, 4})})},
            {"cannot compute", with({.method = RootMethod::newton, .square_root = tensor({4, 4})})},
            {"overlaps", with({.square_root = x})},
            {"a guess needs p = 1", with({.guess = tensor({4, 4})})},
            {"the guess", with({.p = 1, .guess = wide})},
            {"status", with({.status = tensor({2}, DType::u32)})},
            {"residual", with({.residual = tensor({1}, DType::u32)})},
            {"iterations_used", with({.iterations_used = tensor({1})})},
            {"status (1 u32) overlaps iterations_used",
             [&] {
                 const Tensor word = tensor({1}, DType::u32);
                 inverse_root(graph, a, x, {.status = word, .iterations_used = word});
             }},
        });
    inverse_root(graph, tensor({0, 0}), tensor({0, 0}));
    EXPECT_EQ(graph.compile({}).dispatch_count(), 0u);
}

HERON_DEVICE_TESTS(InverseRootTest);

}  // namespace
}  // namespace heron::test
