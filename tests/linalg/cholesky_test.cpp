// SPDX-License-Identifier: MIT
// cholesky() and log_determinant() against float64, in both forms, on every device.

#include "linalg/linalg_test.hpp"

namespace heron::test {
namespace {

class CholeskyTest : public LinalgTest {
protected:
    struct Case {
        std::vector<Matrix> a;
        CholeskyOptions options;
        DType dtype = DType::f32;
        std::uint64_t gap = 0;
        bool in_place = false;
    };
    struct Added {
        Case x;
        Placed factor;
        Words status, jitter, log_det;
    };

    void add_batch(Graph& graph, Case x) {
        std::vector<Matrix> stored;
        for (Matrix& a : x.a) {
            a = rounded(a, x.dtype);
            stored.push_back(only_triangle(a, x.options.triangle));
        }
        const std::uint64_t items = x.a.size(), n = static_cast<std::uint64_t>(x.a[0].rows());
        const Placed a = place(graph, stored, x.dtype, x.gap);
        const Placed factor = x.in_place ? a : blank(graph, items, n, n, x.gap);
        Added added{x, factor, words(graph, items), words(graph, items, DType::f32),
                    words(graph, items, DType::f32)};
        CholeskyOptions options = x.options;
        options.status = added.status.tensor;
        options.jitter_used = added.jitter.tensor;
        cholesky(graph, a.tensor, factor.tensor, options);
        log_determinant(graph, factor.tensor, added.log_det.tensor);
        added_.push_back(added);
    }
    void add(Graph& graph, const Matrix& a, CholeskyOptions options = {}) {
        add_batch(graph, {{a}, options});
    }

    // All factors added since the last call are those of their matrices.
    void check() {
        for (const Added& added : added_) {
            const bool upper = added.x.options.triangle == Triangle::upper;
            const std::vector<Matrix> factors = added.factor.read();
            const std::vector<float> log_det = added.log_det.floats();
            for (std::size_t item = 0; item < factors.size(); ++item) {
                const Matrix& a = added.x.a[item];
                const auto n = static_cast<double>(a.rows());
                const std::string what = std::string(upper ? "upper " : "lower ") + std::to_string(a.rows()) +
                                         (added.x.options.one_workgroup ? "" : " blocked") +
                                         (added.x.in_place ? " in place" : "") + ", item " +
                                         std::to_string(item);
                EXPECT_EQ(added.status.statuses()[item], "ok") << what;
                EXPECT_EQ(added.jitter.floats()[item], 0.0f) << what;
                Matrix l = factors[item];
                if (upper) l.transposeInPlace();
                EXPECT_TRUE((l.triangularView<Eigen::StrictlyUpper>().toDenseMatrix().array() == 0).all())
                    << what << ": the other triangle is not zero";
                EXPECT_TRUE((l.diagonal().array() > 0).all()) << what;
                ratio("residual", a, (a - l * l.transpose()).norm(), std::max(n, 2.0) * 0x1p-24 * a.norm(),
                      what);
                double expected = 0, sum = 0;
                for (Eigen::Index i = 0; i < l.rows(); ++i) {
                    expected += 2 * std::log(l(i, i));
                    sum += std::abs(std::log(l(i, i)));
                }
                ratio("log determinant", a, std::abs(static_cast<double>(log_det[item]) - expected),
                      4 * 0x1p-24 * sum + 2 * 0x1p-24 * std::abs(expected) + 1e-38, what);
            }
        }
        added_.clear();
    }

    std::vector<Added> added_;
};

TEST_P(CholeskyTest, SmallMatricesOfAllSizesAreOneDispatch) {
    Graph graph(device());
    for (std::uint64_t n :
         {1u, 2u, 3u, 5u, 7u, 8u, 9u, 15u, 16u, 17u, 31u, 32u, 33u, 63u, 64u, 65u, 87u, 88u, 127u, 128u})
        for (Triangle triangle : {Triangle::lower, Triangle::upper})
            if (cholesky_fits_one_workgroup(device(), n))
                add(graph, spd_matrix(n, 1e3, n), {.triangle = triangle});
    const Plan plan = run(graph);
    EXPECT_EQ(plan.dispatch_count(), 2u) << "one for the factors, one for the determinants";
    check();
}

TEST_P(CholeskyTest, BlockedFormMatchesFloat64) {
    Graph graph(device());
    for (std::uint64_t n : {1u, 2u, 7u, 31u, 32u, 33u, 63u, 64u, 65u, 127u, 128u, 129u})
        for (Triangle triangle : {Triangle::lower, Triangle::upper})
            add(graph, spd_matrix(n, 1e3, n), {.triangle = triangle, .one_workgroup = false});
    for (std::uint64_t n : {255u, 256u}) add(graph, spd_matrix(n, 1e3, n));
    add_batch(graph, {{spd_matrix(257, 1e4, 1), spd_matrix(257, 1e3, 3)}, {}, DType::f32, 5});
    add_batch(graph, {{spd_matrix(300, 1e4, 2)}, {.triangle = Triangle::upper}});
    run(graph);
    check();
}

TEST_P(CholeskyTest, GpuVariantsMatchFloat64) {
    DisabledCapabilities gpu;
    gpu.cpu = true;
    DisabledCapabilities smallest = gpu;
    smallest.max_invocations = 128;
    smallest.max_shared_memory = 16384;
    for (const DisabledCapabilities& disable : {gpu, smallest}) {
        Graph graph(device(disable));
        for (std::uint64_t n : {1u, 8u, 33u, 88u}) add(graph, spd_matrix(n, 1e3, n));
        add(graph, spd_matrix(129, 1e3, 1), {.triangle = Triangle::upper});
        add(graph, spd_matrix(320, 1e3, 2));  // one product with eight panels, two panels more
        run(graph);
        check();
    }
}

TEST_P(CholeskyTest, TakesBatchesStridesInPlaceAnd16BitInput) {
    Graph graph(device());
    for (Triangle triangle : {Triangle::lower, Triangle::upper})
        for (std::uint64_t n : {13u, 100u}) {
            const std::vector<Matrix> three{spd_matrix(n, 1e2, 1), spd_matrix(n, 1e4, 2),
                                            spd_matrix(n, 10, 3)};
            const CholeskyOptions options{.triangle = triangle};
            add_batch(graph, {three, options});
            add_batch(graph, {three, options, DType::f32, 3});
            add_batch(graph, {three, options, DType::f32, 3, true});
            const std::vector<Matrix> well{spd_matrix(n, 10, 4), spd_matrix(n, 10, 5)};
            add_batch(graph, {well, options, DType::f16, 1});
            add_batch(graph, {well, options, DType::bf16});
        }
    run(graph);
    check();
}

TEST_P(CholeskyTest, TakesEveryKindOfPositiveMatrix) {
    Graph graph(device());
    for (bool one_workgroup : {true, false}) {
        const CholeskyOptions options{.one_workgroup = one_workgroup};
        const Matrix a = spd_matrix(40, 1e6, 3);
        add(graph, a, options);
        add(graph, a * 1e30, options);
        add(graph, a * std::exp2(-100.0), options);  // the header's least norm
        add(graph, Matrix::Identity(40, 40), options);
        Matrix graded = Matrix::Identity(40, 40);
        for (Eigen::Index i = 0; i < 40; ++i) graded(i, i) = std::exp2(-static_cast<double>(i));
        add(graph, graded, options);
        // Scaling rows and columns changes nothing: each pivot is judged by its own diagonal element.
        add(graph, graded * spd_matrix(40, 1e2, 5) * graded, options);
    }
    run(graph);
    check();
}

TEST_P(CholeskyTest, TakesEveryKindOfDampedMatrix) {
    Graph graph(device());
    for (MatrixKind kind : finite_matrix_kinds())
        for (std::uint64_t n : {8u, 33u, 70u})
            for (bool one_workgroup : {true, false})
                add(graph, DampedGram(kind, n).damped(), {.one_workgroup = one_workgroup});
    run(graph);
    check();
}

// What must fail does, with the right name and a zero factor; its neighbours in the batch do not notice.
TEST_P(CholeskyTest, FailuresAreNamedAndStayAlone) {
    const double nan = std::numeric_limits<double>::quiet_NaN();
    const double infinity = std::numeric_limits<double>::infinity();
    for (bool one_workgroup : {true, false})
        for (std::uint64_t n : {5u, 70u}) {
            Graph graph(device());
            const Matrix good = spd_matrix(n, 1e2, 1);
            Matrix with_nan = good, with_infinity = good, indefinite = good;
            with_nan(4, 2) = with_nan(2, 4) = nan;
            with_infinity(4, 4) = infinity;
            indefinite(3, 3) = -0.5;
            const Matrix half = make_matrix(MatrixKind::half_rank, n, n, 3);
            const Matrix huge = good * 1e38 - Matrix::Constant(good.rows(), good.cols(), 2e38);
            const std::vector<Matrix> batch{good, with_nan,   with_infinity,
                                            good, indefinite, half * half.transpose(),
                                            huge, 0 * good,   good};
            add_batch(graph, {batch, {.one_workgroup = one_workgroup}});
            run(graph);
            const std::vector<std::string> expected{"ok",         "nonfinite",  "nonfinite",
                                                    "ok",         "indefinite", "indefinite",
                                                    "indefinite", "indefinite", "ok"};
            EXPECT_EQ(added_[0].status.statuses(), expected);
            const std::vector<Matrix> factors = added_[0].factor.read();
            for (std::size_t item = 0; item < batch.size(); ++item) {
                if (expected[item] == "ok") {
                    EXPECT_EQ(factors[item], factors[0]) << item;
                } else {
                    EXPECT_TRUE((factors[item].array() == 0).all()) << item;
                    EXPECT_EQ(added_[0].log_det.floats()[item], -std::numeric_limits<float>::infinity());
                }
            }
            const Matrix residual = good - factors[0] * factors[0].transpose();
            EXPECT_LE(residual.norm(), static_cast<double>(n) * 0x1p-24 * good.norm());
            added_.clear();
        }
}

// Semidefinite and slightly indefinite matrices: the smallest of jitter, 10 jitter, ... that helps.
TEST_P(CholeskyTest, JitterIsRaisedUntilItSucceeds) {
    for (bool one_workgroup : {true, false})
        for (std::uint64_t n : {6u, 70u, 100u}) {
            if (one_workgroup && !cholesky_fits_one_workgroup(device(), n)) continue;
            Graph graph(device());
            const Matrix good = spd_matrix(n, 1e2, 1);
            const auto shifted = [&](double smallest) {  // smallest eigenvalue as given, the largest 1
                const double low = 1e-2;
                const Matrix unit = Matrix::Identity(good.rows(), good.cols());
                return Matrix((good - low * unit) * ((1 - smallest) / (1 - low)) + smallest * unit);
            };
            Matrix nan = good;
            nan(0, 0) = std::numeric_limits<double>::quiet_NaN();
            // 1e-4 is not enough for -5e-4, 1e-3 is.
            const std::vector<Matrix> batch{good, shifted(-5e-4), shifted(-5e-5), shifted(-0.5), nan};
            CholeskyOptions options{.jitter = {.retries = 3, .absolute = 1e-4f},
                                    .one_workgroup = one_workgroup};
            add_batch(graph, {batch, options});
            options.jitter = {.retries = 2, .relative = 1e-3f};
            const double mean = rounded(shifted(-5e-4), DType::f32).diagonal().mean();
            add_batch(graph, {{good, shifted(-5e-4)}, options, DType::f32, 0, true});
            run(graph);
            EXPECT_EQ(added_[0].status.statuses(),
                      (std::vector<std::string>{"ok", "jittered", "jittered", "indefinite", "nonfinite"}));
            const std::vector<float> used = added_[0].jitter.floats();
            EXPECT_EQ(used[0], 0.0f);
            EXPECT_NEAR(used[1], 1e-3, 1e-9);
            EXPECT_NEAR(used[2], 1e-4, 1e-10);
            EXPECT_EQ(used[3], 0.0f);
            EXPECT_EQ(used[4], 0.0f);
            EXPECT_EQ(added_[1].status.statuses()[0], "ok");
            EXPECT_EQ(added_[1].status.statuses()[1], "jittered");
            const double relative = static_cast<double>(added_[1].jitter.floats()[1]);
            EXPECT_TRUE(std::abs(relative - 1e-3 * mean) < 1e-6 * mean ||
                        std::abs(relative - 1e-2 * mean) < 1e-5 * mean)
                << relative << " of " << mean;
            for (std::size_t which : {0u, 1u}) {
                const std::vector<Matrix> factors = added_[which].factor.read();
                for (std::size_t item = 0; item < factors.size(); ++item) {
                    if (added_[which].status.words()[item] != 0 && added_[which].status.words()[item] != 6)
                        continue;
                    Matrix a = rounded(added_[which].x.a[item], DType::f32);
                    a.diagonal().array() += static_cast<double>(added_[which].jitter.floats()[item]);
                    ratio("residual with jitter", a, (a - factors[item] * factors[item].transpose()).norm(),
                          static_cast<double>(n) * 0x1p-24 * a.norm(), std::to_string(n));
                }
            }
            added_.clear();
        }
}

// Without a promise of full subgroups CPU drivers get the kernels with barriers.
TEST_P(CholeskyTest, WorksWithoutFullSubgroups) {
    Graph graph(device({.subgroup_size_control = true}));
    for (std::uint64_t n : {13u, 129u}) add(graph, spd_matrix(n, 1e3, n));
    run(graph);
    check();
}

// Retries do not take products, but subtract all columns before a panel in one loop, and lavapipe ends loops
// after 65,535 rounds: more than 1,560 rows are too many for one subgroup. Jitter as large as A shows
// where it is missing. (factorization_slow_test has 2048 rows.)
TEST_P(CholeskyTest, RetriesOfLargeMatricesMatchFloat64) {
    const bool counts = device().info().name.find("llvmpipe") != std::string::npos;
    const std::uint64_t n = counts ? 1700 : 700;
    constexpr std::uint64_t kRank = 4;
    const Matrix half =
        rounded(random_matrix(n, kRank, 1) / std::sqrt(static_cast<double>(kRank)), DType::f32);
    Graph graph(device());
    const Matrix a = rounded(half * half.transpose(), DType::f32);
    const Placed pa = place(graph, {a}), pl = blank(graph, 1, n, n);
    const Words status = words(graph, 1), jitter = words(graph, 1, DType::f32);
    cholesky(
        graph, pa.tensor, pl.tensor,
        {.jitter = {.retries = 1, .relative = 1.0f}, .status = status.tensor, .jitter_used = jitter.tensor});
    run(graph);
    EXPECT_EQ(status.statuses()[0], "jittered");
    const double added = static_cast<double>(jitter.floats()[0]), size = static_cast<double>(n);
    EXPECT_NEAR(added, a.diagonal().mean(), size * 0x1p-24 * a.diagonal().mean());
    const Matrix l = pl.read()[0];
    // A vector, since a product of the factors would take longer than they did.
    const Matrix x = random_matrix(n, 1, 3);
    const Matrix expected = a * x + added * x;
    const Matrix is = l.triangularView<Eigen::Lower>() * Matrix(l.transpose() * x);
    ratio("residual of retries", n, (is - expected).norm(),
          kProbe * size * 0x1p-24 * (a.norm() + added * std::sqrt(size)), std::to_string(n) + " rows");
}

TEST_P(CholeskyTest, EmptyMatricesHaveADeterminantOfOne) {
    Graph graph(device());
    for (const bool whole : {true, false})
        add_batch(graph, {{Matrix(0, 0), Matrix(0, 0)}, {.one_workgroup = whole}});
    run(graph);
    for (const Added& added : added_) {
        EXPECT_EQ(added.status.statuses(), (std::vector<std::string>{"ok", "ok"}));
        EXPECT_EQ(added.jitter.floats(), (std::vector<float>{0, 0}));
        EXPECT_EQ(added.log_det.floats(), (std::vector<float>{0, 0}));
    }
}

TEST_P(CholeskyTest, SameBitsWholeOrSplitAndEveryTime) {
    std::vector<std::vector<Matrix>> results;
    for (int round = 0; round < 3; ++round) {
        Graph graph(device());
        add_batch(graph, {{spd_matrix(30, 1e3, 1), spd_matrix(30, 1e3, 2)}, {}});
        add_batch(graph, {{spd_matrix(150, 1e3, 1), spd_matrix(150, 1e3, 2)}, {}});
        PlanOptions options;
        if (round == 2) options.max_dispatch_flops = 2e4;
        Plan plan = run(graph, options);
        for (int repeat = 0; repeat < 2; ++repeat) {
            plan.run();
            results.push_back(added_[0].factor.read());
            for (const Matrix& factor : added_[1].factor.read()) results.back().push_back(factor);
        }
        added_.clear();
    }
    for (const auto& result : results) EXPECT_TRUE(result == results[0]);
}

TEST_P(CholeskyTest, RefusesWhatDoesNotFitAndAddsNothing) {
    Graph graph(device());
    const Tensor a = graph.temporary(DType::f32, {4, 4}), l = graph.temporary(DType::f32, {4, 4});
    const Tensor wide = graph.temporary(DType::f32, {4, 5}), half = graph.temporary(DType::f16, {4, 4});
    const Tensor two = graph.temporary(DType::f32, {8, 4}), one = graph.temporary(DType::f32, {1});
    const Tensor twice = graph.temporary(DType::u32, {2});
    const std::uint64_t many = device().capabilities().cpu ? 8193 : 65536;
    const Tensor large = graph.temporary(DType::f32, {many, many});
    expect_refusals(
        graph,
        {
            {"A is empty", [&] { cholesky(graph, {}, l); }},
            {"one of Triangle", [&] { cholesky(graph, a, l, {.triangle = static_cast<Triangle>(2)}); }},
            {"the factor is empty", [&] { cholesky(graph, a, {}); }},
            {"must be square", [&] { cholesky(graph, wide, wide); }},
            {"shapes must agree", [&] { cholesky(graph, a, wide); }},
            {"must be f32", [&] { cholesky(graph, a, half); }},
            {device().capabilities().cpu ? "at most 8192 rows are possible on a CPU driver" : "at most 65535",
             [&] { cholesky(graph, large, large); }},
            {"overlaps A", [&] { cholesky(graph, two.row_range(0, 4), two.row_range(2, 4)); }},
            {"1 u32, one for each matrix", [&] { cholesky(graph, a, l, {.status = twice}); }},
            {"1 f32, one for each matrix", [&] { cholesky(graph, a, l, {.jitter_used = two}); }},
            {"jitter_used (1 f32) overlaps status",
             [&] {
                 Tensor word = one;
                 word.dtype = DType::u32;
                 cholesky(graph, a, l, {.status = word, .jitter_used = one});
             }},
            {"at most 8", [&] { cholesky(graph, a, l, {.jitter = {.retries = 9, .absolute = 1.0f}}); }},
            {"one of them positive", [&] { cholesky(graph, a, l, {.jitter = {.retries = 1}}); }},
            {"not negative", [&] { cholesky(graph, a, l, {.jitter = {.retries = 1, .absolute = -1.0f}}); }},
            {"must be square and f32", [&] { log_determinant(graph, half, one); }},
            {"1 f32, one for each matrix", [&] { log_determinant(graph, l, two); }},
            {"overlaps the factor",
             [&] {
                 log_determinant(graph, one.reshape({1, 1}), one);
             }},
        });
    EXPECT_EQ(graph.compile({}).dispatch_count(), 0u);
}

HERON_DEVICE_TESTS(CholeskyTest);

}  // namespace
}  // namespace heron::test
