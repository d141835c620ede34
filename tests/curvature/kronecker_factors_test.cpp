// SPDX-License-Identifier: MIT
// heron/curvature.hpp in graphs without any optimizer, against float64.
#include <gtest/gtest.h>

#include <cmath>
#include <limits>
#include <random>

#include "heron/heron.hpp"
#include "support/device_fixture.hpp"
#include "support/matrix.hpp"
#include "support/polar_reference.hpp"

namespace heron::test {
namespace {

Matrix random_matrix(Eigen::Index rows, Eigen::Index cols, unsigned seed) {
    std::mt19937 random(seed);
    std::normal_distribution<float> normal;
    Matrix x(rows, cols);
    for (Eigen::Index i = 0; i < x.size(); ++i) x.data()[i] = static_cast<double>(normal(random));
    return x;
}
Matrix identity(Eigen::Index order) { return Matrix::Identity(order, order); }

class KroneckerFactorsTest : public DeviceTest {
protected:
    static constexpr std::uint64_t kRows = 7, kCols = 12, kGroups = 2, kBatch = 20;

    // Matrices one after the other.
    static std::vector<float> floats(const std::vector<Matrix>& matrices) {
        std::vector<float> values;
        for (const Matrix& x : matrices) values.insert(values.end(), x.data(), x.data() + x.size());
        return values;
    }
    static Shape shape(std::uint64_t rows, std::uint64_t cols) { return {kGroups, rows, cols}; }
    Tensor input(Graph& graph, const std::string& name, const std::vector<Matrix>& matrices) {
        return graph.external(name,
                              guarded(floats(matrices))
                                  .view(DType::f32, shape(static_cast<std::uint64_t>(matrices[0].rows()),
                                                          static_cast<std::uint64_t>(matrices[0].cols()))));
    }
    struct Result {
        GuardedBuffer* buffer;
        Tensor tensor;
        Matrix matrix(std::uint64_t group) const {
            const std::vector<float> all = buffer->floats();
            const std::vector<double> values(all.begin(), all.end());
            const std::uint64_t rows = tensor.rows(), cols = tensor.cols();
            return matrix_of(std::span(values).subspan(group * rows * cols, rows * cols), rows, cols);
        }
    };
    Result result(Graph& graph, const std::string& name, std::uint64_t rows, std::uint64_t cols) {
        GuardedBuffer& buffer = guarded(kGroups * rows * cols * sizeof(float));
        return {&buffer, graph.external(name, buffer.view(DType::f32, shape(rows, cols)))};
    }
    static Plan run(const Graph& graph, int times = 1) {
        Plan plan = graph.compile({.name = "curvature"});
        plan.allocate();
        plan.initialize();
        for (int i = 0; i < times; ++i) plan.run();
        EXPECT_EQ(plan.hazards(), std::vector<std::string>{});
        return plan;
    }
    static std::vector<std::uint32_t> words(const Plan& plan, const std::string& state) {
        std::vector<std::uint32_t> values(plan.state_view(state).span_bytes() / 4);
        plan.read_state(state, std::as_writable_bytes(std::span(values)));
        return values;
    }

    void SetUp() override {
        DeviceTest::SetUp();
        for (unsigned g = 0; g < kGroups; ++g) {
            a_.push_back(random_matrix(kBatch, kCols, 10 + g));
            s_.push_back(random_matrix(kBatch, kRows, 20 + g) * 0.5);
            g_.push_back(random_matrix(kRows, kCols, 30 + g));
            factor_a_.push_back(0.5 * identity(kCols) + 0.5 * (a_[g].transpose() * a_[g]) / double(kBatch));
            factor_s_.push_back(0.5 * identity(kRows) + 0.5 * (s_[g].transpose() * s_[g]) / double(kBatch));
        }
    }
    // Factors with one statistic of a and s in them.
    KroneckerFactors factors(Graph& graph) {
        const KroneckerFactors made = make_kronecker_factors(graph, "layer", kRows, kCols, kGroups);
        for (const FactorSide side : {FactorSide::inputs, FactorSide::outputs}) {
            const bool inputs = side == FactorSide::inputs;
            const std::uint64_t n = inputs ? kCols : kRows;
            const Tensor statistic = graph.temporary(DType::f32, shape(n, n));
            accumulate_factor(graph, input(graph, inputs ? "a" : "s", inputs ? a_ : s_), statistic,
                              {.decay = 0});
            update_factor(graph, made, side, statistic, {.decay = 0.5});
        }
        return made;
    }
    // Factors of one product with a damping of l.
    static std::vector<Matrix> damped(const std::vector<Matrix>& factors, double l, DampingUnit unit,
                                      DampingSplit split) {
        const auto mean = [](const Matrix& f) { return f.trace() / double(f.rows()); };
        const auto scale = [&](const Matrix& f) {
            return unit == DampingUnit::trace ? f.trace() : unit == DampingUnit::mean ? mean(f) : 1.0;
        };
        const double k = double(factors.size());
        double c = 1, all = 1, wide = 0;
        for (const Matrix& f : factors) {
            c *= std::pow(mean(f), 1 / k);
            all *= scale(f);
            wide += f.rows() > 1 ? 1 : 0;
        }
        std::vector<Matrix> result;
        for (const Matrix& f : factors) {
            // Of numbers alone the product becomes c^k + l.
            const double grown = wide > 0 ? 1.0 : std::pow(1 + l * all / std::pow(c, k), 1 / k);
            const double d = f.rows() > 1 ? std::pow(l * all, 1 / wide) / std::pow(c, k / wide) : 0;
            const Matrix one = identity(f.rows());
            if (split == DampingSplit::full) result.push_back(f + l * scale(f) * one);
            if (split == DampingSplit::pi) result.push_back(grown * f + d * mean(f) * one);
            if (split == DampingSplit::pi_normalized) result.push_back(c * (grown * f / mean(f) + d * one));
        }
        return result;
    }
    void expect_close(const Matrix& found, const Matrix& expected) {
        EXPECT_LE((found - expected).norm(), 2e-5 * expected.norm());
    }
    template <class Act>
    static void refused(const Act& act, std::initializer_list<const char*> words) {
        try {
            act();
            ADD_FAILURE() << "not refused: " << *words.begin();
        } catch (const Error& error) {
            EXPECT_EQ(error.code(), ErrorCode::invalid_argument) << error.what();
            for (const char* word : words)
                EXPECT_NE(std::string(error.what()).find(word), std::string::npos) << error.what();
        }
    }

    std::vector<Matrix> a_, s_, g_, factor_a_, factor_s_;
};

TEST_P(KroneckerFactorsTest, InversesOfEveryDampingMatchFloat64) {
    for (const DampingUnit unit : {DampingUnit::absolute, DampingUnit::trace, DampingUnit::mean})
        for (const DampingSplit split : {DampingSplit::full, DampingSplit::pi, DampingSplit::pi_normalized}) {
            SCOPED_TRACE("unit " + std::to_string(static_cast<int>(unit)) + " split " +
                         std::to_string(static_cast<int>(split)));
            Graph graph(device());
            const KroneckerFactors of = factors(graph);
            const KroneckerInverse inverses = make_kronecker_inverse(graph, "layer", of);
            // The third scale is none of theirs.
            renew_inverse(graph, of, inverses,
                          {.value = 0.03f, .unit = unit, .split = split, .scales = {2.0f, 0.25f, 7.0f}});
            const Result d = result(graph, "d", kRows, kCols);
            apply_inverse(graph, inverses, input(graph, "g", g_), d.tensor);
            run(graph);
            for (std::uint64_t g = 0; g < kGroups; ++g) {
                const Matrix &a = factor_a_[g], &s = factor_s_[g];
                const auto of_unit = [&](const Matrix& f) {
                    return unit == DampingUnit::absolute ? 1.0
                           : unit == DampingUnit::trace  ? f.trace()
                                                         : f.trace() / static_cast<double>(f.rows());
                };
                double for_a = 0.06f * of_unit(a), for_s = 0.0075f * of_unit(s);
                if (split != DampingSplit::full) {
                    const double pi = std::sqrt(a.trace() / kCols / (s.trace() / kRows));
                    const double root = std::sqrt(0.015f * of_unit(a) * of_unit(s));
                    for_a = pi * root;
                    for_s = root / pi;
                }
                expect_close(d.matrix(g), inverse(s + for_s * identity(kRows)) * g_[g] *
                                              inverse(a + for_a * identity(kCols)));
            }
        }
}

// One to eight factors, one of them a single element: pi_normalized is kfac-jax'
// pi_adjusted_kronecker_factors, and pi's product is the same.
TEST_P(KroneckerFactorsTest, DampedFactorsOfOneProductMatchFloat64) {
    using Orders = std::vector<Eigen::Index>;
    for (const Orders& orders :
         {Orders{4}, Orders{1}, Orders{4, 7}, Orders{1, 1}, Orders{1, 6}, Orders{4, 7, 3}, Orders{1, 1, 1},
          Orders{9, 2, 1, 6}, Orders{4, 7, 1, 3, 9, 2, 5, 6}})
        for (const DampingUnit unit : {DampingUnit::absolute, DampingUnit::trace, DampingUnit::mean})
            for (const DampingSplit split :
                 {DampingSplit::full, DampingSplit::pi, DampingSplit::pi_normalized}) {
                const std::size_t k = orders.size();
                SCOPED_TRACE(std::to_string(k) + " factors, unit " + std::to_string(static_cast<int>(unit)) +
                             " split " + std::to_string(static_cast<int>(split)));
                Graph graph(device());
                std::vector<std::vector<Matrix>> given(kGroups);
                std::vector<Tensor> from, to;
                std::vector<Result> results;
                for (std::size_t i = 0; i < k; ++i) {
                    const std::uint64_t order = static_cast<std::uint64_t>(orders[i]);
                    std::vector<Matrix> both;
                    for (std::size_t g = 0; g < kGroups; ++g) {
                        const unsigned seed = static_cast<unsigned>(40 + kGroups * i + g);
                        const Matrix x = random_matrix(orders[i], 12, seed);
                        both.push_back((0.5 + double(i)) * (x * x.transpose()));
                        given[g].push_back(both[g]);
                    }
                    from.push_back(input(graph, "f" + std::to_string(i), both));
                    results.push_back(result(graph, "r" + std::to_string(i), order, order));
                    to.push_back(results[i].tensor);
                }
                damp_factors(graph, from, to, {.value = 0.03f, .unit = unit, .split = split});
                run(graph);
                for (std::size_t g = 0; g < kGroups; ++g) {
                    const std::vector<Matrix> expected = damped(given[g], double(0.03f), unit, split);
                    for (std::size_t i = 0; i < k; ++i) expect_close(results[i].matrix(g), expected[i]);
                }
            }
}

// Means whose products are out of f32's range, and no damping at all.
TEST_P(KroneckerFactorsTest, DampedFactorsOfExtremeSizesMatchFloat64) {
    struct Case {
        std::vector<Eigen::Index> orders;
        std::vector<double> means;
        DampingUnit unit;
        float value, scale;
    };
    const std::vector<Eigen::Index> eight{2, 3, 2, 4, 2, 2, 3, 2};
    for (const Case& c : {Case{{3, 1}, {1e-16, 1e-20}, DampingUnit::absolute, 0.03f, 1},
                          Case{{1, 1}, {1e-20, 1e-20}, DampingUnit::absolute, 1, 1},
                          Case{{1, 1}, {1e-25, 1e-10}, DampingUnit::absolute, 1, 1},
                          Case{{1, 1, 1}, {1e15, 1e15, 1e15}, DampingUnit::absolute, 1, 1},
                          Case{{4, 5}, {1e20, 1e-20}, DampingUnit::absolute, 0.03f, 1},
                          Case{eight, std::vector<double>(8, 1e-3), DampingUnit::mean, 0.03f, 0},
                          Case{eight, std::vector<double>(8, 1e-3), DampingUnit::absolute, 0.03f, 0}})
        for (const DampingSplit split : {DampingSplit::pi, DampingSplit::pi_normalized}) {
            SCOPED_TRACE(std::to_string(c.orders.size()) + " factors of " + std::to_string(c.means[0]) +
                         " split " + std::to_string(static_cast<int>(split)));
            Graph graph(device());
            std::vector<Matrix> given;
            std::vector<Tensor> from, to;
            std::vector<Result> results;
            for (std::size_t i = 0; i < c.orders.size(); ++i) {
                const std::uint64_t order = static_cast<std::uint64_t>(c.orders[i]);
                const Matrix x = random_matrix(c.orders[i], 12, static_cast<unsigned>(60 + i));
                const Matrix f = x * x.transpose();
                given.push_back((c.means[i] * double(order) / f.trace()) * f);
                from.push_back(input(graph, "f" + std::to_string(i), {given[i], given[i]}));
                results.push_back(result(graph, "r" + std::to_string(i), order, order));
                to.push_back(results[i].tensor);
            }
            CurvatureDamping damping{.value = c.value, .unit = c.unit, .split = split};
            damping.scales[0] = c.scale;
            damp_factors(graph, from, to, damping);
            run(graph);
            const std::vector<Matrix> expected = damped(given, double(c.value * c.scale), c.unit, split);
            for (std::size_t i = 0; i < expected.size(); ++i) expect_close(results[i].matrix(0), expected[i]);
        }
}

// Batches larger than both factors, larger than one, smaller than both.
TEST_P(KroneckerFactorsTest, InversesOfABatchMatchFloat64WhateverItsSize) {
    for (const Eigen::Index batch : {20, 9, 1, 3})
        for (const DampingSplit split : {DampingSplit::full, DampingSplit::pi, DampingSplit::pi_normalized}) {
            SCOPED_TRACE("batch " + std::to_string(batch) + " split " +
                         std::to_string(static_cast<int>(split)));
            const auto rows = [&](const std::vector<Matrix>& all) {
                std::vector<Matrix> first;
                for (const Matrix& x : all) first.push_back(x.topRows(batch));
                return first;
            };
            Graph graph(device());
            const Result d = result(graph, "d", kRows, kCols);
            apply_batch_inverse(graph, {input(graph, "rows a", rows(a_)), 0.25f},
                                {input(graph, "rows s", rows(s_)), 2.0f}, input(graph, "g", g_), d.tensor,
                                {.value = 0.2f,
                                 .unit = DampingUnit::mean,
                                 .split = split,
                                 .scales = {0.5f, split == DampingSplit::full ? 0.5f : 1.0f}});
            run(graph);
            for (std::uint64_t g = 0; g < kGroups; ++g) {
                const Matrix xa = a_[g].topRows(batch), xs = s_[g].topRows(batch);
                const Matrix a = 0.25 * (xa.transpose() * xa), s = 2.0 * (xs.transpose() * xs);
                const double mean_a = a.trace() / kCols, mean_s = s.trace() / kRows;
                const double part = split == DampingSplit::full ? 0.1f : std::sqrt(static_cast<double>(0.1f));
                expect_close(d.matrix(g), inverse(s + part * mean_s * identity(kRows)) * g_[g] *
                                              inverse(a + part * mean_a * identity(kCols)));
            }
        }
    Graph graph(device());
    const auto tensor = [&](const Shape& of_shape) { return graph.temporary(DType::f32, of_shape); };
    refused(
        [&] {
            apply_batch_inverse(graph, {tensor({5, 3})}, {tensor({4, 2})}, tensor({2, 3}), tensor({2, 3}));
        },
        {"outputs", "5 x 2"});
    refused(
        [&] {
            apply_batch_inverse(graph, {tensor({5, 3}), 0}, {tensor({5, 2})}, tensor({2, 3}), tensor({2, 3}));
        },
        {"scale", "above 0"});
}

TEST_P(KroneckerFactorsTest, EigenvaluesAndMomentsMatchFloat64) {
    for (const bool with_moments : {false, true})
        for (const std::uint64_t positions : {1, 4}) {
            if (!with_moments && positions > 1) continue;
            SCOPED_TRACE(with_moments ? "moments of " + std::to_string(positions) : "values");
            Graph graph(device());
            const KroneckerFactors of = factors(graph);
            const KroneckerEigen eigen = make_kronecker_eigen(graph, "layer", of);
            renew_eigen(graph, of, eigen);
            renew_level(graph, eigen,
                        {.value = 0.03f, .unit = DampingUnit::mean, .scales = {0.5f, 4.0f, 7.0f}});
            Tensor moments;
            if (with_moments) {
                moments = graph.state("moments", DType::f32, shape(kRows, kCols));
                renew_moments(graph, eigen, moments);
                const Tensor statistic = graph.temporary(DType::f32, moments.shape);
                moments_statistic(graph, eigen, input(graph, "rows a", a_), input(graph, "rows s", s_),
                                  statistic, positions);
                update_moments(graph, statistic, moments, {.decay = 0.25, .scale = 0.5f});
            }
            const Result d = result(graph, "d", kRows, kCols);
            apply_eigen(graph, eigen, input(graph, "g", g_), d.tensor, moments);
            run(graph);
            for (std::uint64_t g = 0; g < kGroups; ++g) {
                const SymmetricEigen a = symmetric_eigen(factor_a_[g]), s = symmetric_eigen(factor_s_[g]);
                Matrix curvature = s.values * a.values.transpose();
                const double level = 0.06f * curvature.mean();
                if (with_moments) {
                    Matrix sums = Matrix::Zero(kRows, kCols);
                    const auto r = static_cast<Eigen::Index>(positions);
                    for (Eigen::Index i = 0; i < a_[g].rows(); i += r) {
                        const Matrix sample =
                            Matrix(s_[g].middleRows(i, r)).transpose() * Matrix(a_[g].middleRows(i, r));
                        sums += (s.vectors.transpose() * sample * a.vectors).array().square().matrix();
                    }
                    curvature = 0.25 * curvature + 0.75 * 0.5 * sums;
                }
                const Matrix v =
                    (s.vectors.transpose() * g_[g] * a.vectors).array() / (curvature.array() + level);
                expect_close(d.matrix(g), s.vectors * v * a.vectors.transpose());
            }
        }
}

// Three samples leave null spaces, and what a gradient has there is divided by the damping alone, which is no
// more than what rounding makes of their eigenvalues.
TEST_P(KroneckerFactorsTest, NullSpacesHaveNoCurvature) {
    std::vector<Matrix> a, s;
    for (unsigned g = 0; g < kGroups; ++g) {
        a.push_back(random_matrix(3, kCols, 40 + g));
        s.push_back(random_matrix(3, kRows, 50 + g));
    }
    Graph graph(device());
    const KroneckerFactors of = make_kronecker_factors(graph, "layer", kRows, kCols, kGroups);
    for (const FactorSide side : {FactorSide::inputs, FactorSide::outputs}) {
        const bool inputs = side == FactorSide::inputs;
        const std::uint64_t n = inputs ? kCols : kRows;
        const Tensor statistic = graph.temporary(DType::f32, shape(n, n));
        accumulate_factor(graph, input(graph, inputs ? "a" : "s", inputs ? a : s), statistic, {.decay = 0});
        update_factor(graph, of, side, statistic, {.decay = 0});
    }
    const KroneckerEigen eigen = make_kronecker_eigen(graph, "layer", of);
    renew_eigen(graph, of, eigen);
    renew_level(graph, eigen, {.value = 1e-6f, .unit = DampingUnit::absolute});
    const Result d = result(graph, "d", kRows, kCols);
    apply_eigen(graph, eigen, input(graph, "g", g_), d.tensor);
    run(graph);
    for (std::uint64_t g = 0; g < kGroups; ++g) {
        const SymmetricEigen x = symmetric_eigen(a[g].transpose() * a[g] / 3),
                             y = symmetric_eigen(s[g].transpose() * s[g] / 3);
        const Matrix curvature = y.values.cwiseMax(0) * x.values.cwiseMax(0).transpose();
        const Matrix v = (y.vectors.transpose() * g_[g] * x.vectors).array() / (curvature.array() + 1e-6);
        expect_close(d.matrix(g), y.vectors * v * x.vectors.transpose());
    }
}

// More rows than an invocation goes through.
TEST_P(KroneckerFactorsTest, MomentsOfManySamplesComeInPieces) {
    constexpr std::uint64_t kMany = 40000;
    for (const std::uint64_t positions : {1, 2}) {
        Graph graph(device());
        const KroneckerFactors of = make_kronecker_factors(graph, "layer", 2, 3);
        const KroneckerEigen eigen = make_kronecker_eigen(graph, "layer", of);
        const std::vector<float> a(kMany * 3, 0.5f), s(kMany * 2, 2.0f);
        GuardedBuffer& sums = guarded(6 * sizeof(float));
        moments_statistic(graph, eigen, graph.external("a", guarded(a).view(DType::f32, {kMany, 3})),
                          graph.external("s", guarded(s).view(DType::f32, {kMany, 2})),
                          graph.external("sums", sums.view(DType::f32, {2, 3})), positions);
        run(graph);
        // Whole numbers below 2^24.
        EXPECT_EQ(sums.floats(), std::vector<float>(6, static_cast<float>(kMany * positions)));
    }
}

TEST_P(KroneckerFactorsTest, UnitsRatesAndWhatIsLeftOut) {
    Graph graph(device());
    const KroneckerFactors of = make_kronecker_factors(graph, "layer", 2, 3);
    const auto table = [&](const std::string& name, const std::vector<float>& values, const Shape& of_shape) {
        return graph.external(name, guarded(values).view(DType::f32, of_shape));
    };
    const float nan = std::numeric_limits<float>::quiet_NaN();
    update_factor(graph, of, FactorSide::outputs, table("s", {1, 2, 2, 5}, {2, 2}),
                  {.rates = table("rates", {0.25f, 0.5f}, {2}), .unit = table("unit", {4.0f}, {1})});
    update_factor(graph, of, FactorSide::inputs, table("a", {1, 0, 0, 0, nan, 0, 0, 0, 1}, {3, 3}));
    update_factor(graph, of, FactorSide::inputs, table("large", {1e30f, 0, 0, 0, 1e30f, 0, 0, 0, 1}, {3, 3}));
    const Plan plan = run(graph);
    std::vector<float> s(4), a(9);
    plan.read_state("layer.S", std::as_writable_bytes(std::span(s)));
    plan.read_state("layer.A", std::as_writable_bytes(std::span(a)));
    EXPECT_EQ(s, (std::vector<float>{8.25f, 16, 16, 40.25f}));
    EXPECT_EQ(a, (std::vector<float>{1, 0, 0, 0, 1, 0, 0, 0, 1}));
    EXPECT_EQ(words(plan, "layer.left_out"), (std::vector<std::uint32_t>{2, 0}));
}

TEST_P(KroneckerFactorsTest, WhatDoesNotFitIsRefused) {
    Graph graph(device());
    const KroneckerFactors of = make_kronecker_factors(graph, "layer", 2, 3);
    const KroneckerInverse inverses = make_kronecker_inverse(graph, "layer", of);
    const KroneckerEigen eigen = make_kronecker_eigen(graph, "layer", of);  // beside the inverses
    const auto tensor = [&](const Shape& of_shape) { return graph.temporary(DType::f32, of_shape); };
    refused([&] { make_kronecker_factors(graph, "none", 0, 3); }, {"rows", "at least 1"});
    refused([&] { update_factor(graph, of, FactorSide::inputs, tensor({2, 2})); }, {"statistic", "3 x 3"});
    refused([&] { update_factor(graph, of, FactorSide::inputs, tensor({3, 3}), {.decay = 1.0}); }, {"decay"});
    refused(
        [&] {
            update_factor(graph, of, FactorSide::inputs, tensor({3, 3}), {.interval = 0});
        },
        {"interval"});
    refused(
        [&] {
            update_factor(graph, of, FactorSide::inputs, tensor({3, 3}), {.rates = tensor({3})});
        },
        {"rates", "2 f32"});
    refused([&] { update_factor(graph, {}, FactorSide::inputs, tensor({3, 3})); }, {"factors are empty"});
    for (const float value : {0.0f, -1.0f, std::numeric_limits<float>::infinity()})
        refused([&] { renew_inverse(graph, of, inverses, {.value = value}); }, {"damping", "above 0"});
    for (const float scale : {-1.0f, std::numeric_limits<float>::infinity()})
        refused([&] { renew_level(graph, eigen, {.scales = {1.0f, scale}}); }, {"scale", "not below 0"});
    refused([&] { renew_inverse(graph, of, inverses, {.unit = static_cast<DampingUnit>(3)}); }, {"unit"});
    refused([&] { renew_inverse(graph, of, inverses, {.split = static_cast<DampingSplit>(3)}); }, {"split"});
    refused([&] { damp_factors(graph, {}, {}); }, {"0 factors", "one to eight"});
    refused([&] { renew_eigen(graph, of, eigen, -1.0f); }, {"floor"});
    refused([&] { apply_eigen(graph, eigen, tensor({3, 2}), tensor({2, 3})); }, {"G", "2 x 3"});
    refused([&] { apply_eigen(graph, {}, tensor({2, 3}), tensor({2, 3})); }, {"eigenvectors are empty"});
    refused([&] { renew_moments(graph, eigen, tensor({3, 2})); }, {"moments"});
    refused(
        [&] {
            moments_statistic(graph, eigen, tensor({5, 3}), tensor({5, 2}), tensor({2, 3}), 2);
        },
        {"positions is 2", "5 rows"});
    refused([&] { update_moments(graph, tensor({2, 3}), tensor({3, 2})); }, {"statistic"});
}

HERON_DEVICE_TESTS(KroneckerFactorsTest);

}  // namespace
}  // namespace heron::test
