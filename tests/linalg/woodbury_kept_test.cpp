// SPDX-License-Identifier: MIT
// Factors of the small systems of turning windows, which are kept from step to step, against float64, on
// every device.

#include "linalg/woodbury_test.hpp"

namespace heron::test {
namespace {

// What WindowFactor::counts has of a window.
struct Counts {
    std::uint32_t known, exponent, replaced, made, broken_down;
};

struct PlacedFactor {
    Placed factor, system;
    Words words;
    WindowFactor tensors;

    Counts counts(std::size_t item = 0) const {
        const std::vector<std::uint32_t> all = words.words();
        const std::size_t at = 5 * item;
        return {all[at], all[at + 1], all[at + 2], all[at + 3], all[at + 4]};
    }
};

// Rows whose largest element is `size`, a power of two, so that the scale of a system of them is known.
Matrix row_of_size(double size, std::uint64_t d, std::uint64_t seed) {
    const Matrix row = random_matrix(1, d, seed);
    return rounded(size / row.cwiseAbs().maxCoeff() * row, DType::f32);
}

class WindowFactorTest : public WoodburyTest {
protected:
    PlacedFactor factor(Graph& graph, std::uint64_t items, std::uint64_t s) {
        const auto rows = static_cast<Eigen::Index>(s);
        PlacedFactor f;
        f.factor = place(graph, std::vector<Matrix>(items, Matrix::Zero(rows, rows)));
        f.system = place(graph, std::vector<Matrix>(items, Matrix::Zero(rows, rows)));
        f.words = words(graph, Shape{items, 5}, std::vector<std::uint32_t>(5 * items, 0u));
        f.tensors = {f.factor.tensor, f.system.tensor, f.words.tensor};
        return f;
    }
    // Windows into each of which a step puts a row of `g`; x = U^T q for that row, with lambda = 1/2.
    struct Turning {
        PlacedWindow w;
        Placed g;
        Words status;
        Placed x;
        PlacedFactor f;
    };
    Turning turning(Graph& graph, std::uint64_t s, std::uint64_t d, std::uint64_t items) {
        Turning t{window(graph, std::vector<Matrix>(items, Matrix::Zero(s, d))),
                  place(graph, std::vector<Matrix>(items, Matrix::Zero(1, d))), words(graph, items),
                  blank(graph, items, d, 1), factor(graph, items, s)};
        const Words slot = words(graph, Shape{1}, {0u});
        const Placed newest = blank(graph, items, 1, s);
        window_push(graph, t.w.window, t.g.tensor, slot.tensor, {.newest = newest.tensor});
        woodbury_range(graph, t.w.window, newest.tensor, t.x.tensor,
                       {.lambda = 0.5f,
                        .refinement = Refinement::always,
                        .status = t.status.tensor,
                        .kept = t.f.tensors});
        return t;
    }
    // The system is that of the rows (in units of 4^exponent), and the factor is its, but for the errors of
    // an update and a downdate for each row that has been replaced (heron/linalg/update.hpp).
    void check_factor(const PlacedFactor& f, const Matrix& u, double lambda, std::size_t item,
                      const std::string& what) {
        const Counts counts = f.counts(item);
        const double unit = std::ldexp(1.0, 2 * static_cast<std::int32_t>(counts.exponent));
        const Matrix k = u * u.transpose(), b = f.system.read()[item], l = f.factor.read()[item];
        const Matrix expected = (k + lambda * Matrix::Identity(k.rows(), k.cols())) / unit;
        const double norm = expected.norm(), s = static_cast<double>(k.rows());
        ratio("kept system", u, (b - expected).norm(), 66 * kUnit * (k.trace() / unit + norm), what);
        ratio("kept factor", u, (l * l.transpose() - b).norm(),
              8 * s * kUnit * norm * (1 + 2 * static_cast<double>(counts.replaced)), what);
    }
};

TEST_P(WindowFactorTest, TurningWindowsMatchFloat64ForThreeTurns) {
    for (bool gpu_variants : {false, true})
        for (std::uint64_t s : {1u, 2u, 5u, 33u}) {
            if (gpu_variants && s != 5) continue;
            Graph graph(gpu_variants ? smallest_gpu() : device());
            const std::uint64_t d = 150, items = 2;
            const float lambda = 0.5f;
            const PlacedWindow w = window(graph, std::vector<Matrix>(items, Matrix::Zero(s, d)));
            const Placed g = place(graph, std::vector<Matrix>(items, Matrix::Zero(1, d)));
            const Matrix b = rounded(random_matrix(d, 1, 7), DType::f32);
            const Placed pb = place(graph, std::vector<Matrix>(items, b));
            const Words slot = words(graph, Shape{1}, {0u}), status = words(graph, items),
                        damping = words(graph, items, DType::f32);
            const Placed newest = blank(graph, items, 1, s), x = blank(graph, items, d, 1),
                         solution = blank(graph, items, d, 1);
            const PlacedFactor f = factor(graph, items, s);
            WoodburyOptions options{.lambda = lambda, .refinement = Refinement::always};
            options.kept = f.tensors;
            window_push(graph, w.window, g.tensor, slot.tensor, {.newest = newest.tensor});
            // The second one finds nothing that has changed.
            woodbury_solve(graph, w.window, pb.tensor, solution.tensor, options);
            options.status = status.tensor;
            options.damping = damping.tensor;
            woodbury_range(graph, w.window, newest.tensor, x.tensor, options);
            Plan plan = graph.compile({});
            plan.allocate();
            EXPECT_TRUE(plan.hazards().empty());
            for (std::uint64_t step = 0; step <= 3 * s; ++step) {
                std::vector<Matrix> rows;
                for (std::uint64_t item = 0; item < items; ++item)
                    rows.push_back(row_of_size(1, d, 2 * step + item));
                g.buffer->write_bytes(encode(rows, DType::f32, d));
                plan.run();
                Matrix y = Matrix::Zero(static_cast<Eigen::Index>(s), 1);
                y(static_cast<Eigen::Index>(step % s), 0) = 1;
                for (std::size_t item = 0; item < items; ++item) {
                    const std::string what = std::to_string(s) + " rows, step " + std::to_string(step);
                    const Matrix u = w.rows64(item);
                    const double used = static_cast<double>(lambda);
                    EXPECT_EQ(status.statuses()[item], "ok") << what;
                    EXPECT_EQ(damping.floats()[item], lambda) << what;
                    check_range(u, used, 1, y, x.read()[item], what);
                    check_solve(u, used, 1, b, solution.read()[item], true, what);
                    check_factor(f, u, used, item, what);
                    // Made once, and again after s replacements.
                    const Counts counts = f.counts(item);
                    EXPECT_EQ(counts.known, 1u) << what;
                    EXPECT_EQ(counts.replaced, step % (s + 1)) << what;
                    EXPECT_EQ(counts.made, step / (s + 1) + 1) << what;
                    EXPECT_EQ(counts.broken_down, 0u) << what;
                }
            }
        }
}

// Too large for one workgroup, and for one update of what is right of a panel; two windows, of which one
// factor is lost.
TEST_P(WindowFactorTest, LargeFactorsAreKeptAsWell) {
    for (std::uint64_t s : {130u, 300u}) {
        Graph graph(device());
        const std::uint64_t d = s + s / 2, items = 2;
        const float lambda = 0.5f;
        std::vector<Matrix> u, k;
        for (std::uint64_t item = 0; item < items; ++item) {
            Matrix rows(static_cast<Eigen::Index>(s), static_cast<Eigen::Index>(d));
            for (Eigen::Index i = 0; i < rows.rows(); ++i)
                rows.row(i) = row_of_size(1, d, 1000 * item + static_cast<std::uint64_t>(i)).row(0);
            u.push_back(rows);
            k.push_back(rounded(rows * rows.transpose(), DType::f32));
        }
        const PlacedWindow w = window(graph, u);  // exponents are 0, what rows up to 1 have
        w.gram.buffer->write_bytes(encode(k, DType::f32, s));
        const Placed g = place(graph, std::vector<Matrix>(items, Matrix::Zero(1, d)));
        const Words slot = words(graph, Shape{1}, {0u}), status = words(graph, items);
        const Placed newest = blank(graph, items, 1, s), x = blank(graph, items, d, 1);
        const PlacedFactor f = factor(graph, items, s);
        window_push(graph, w.window, g.tensor, slot.tensor, {.newest = newest.tensor});
        woodbury_range(
            graph, w.window, newest.tensor, x.tensor,
            {.lambda = lambda, .refinement = Refinement::always, .status = status.tensor, .kept = f.tensors});
        Plan plan = graph.compile({});
        plan.allocate();
        EXPECT_TRUE(plan.hazards().empty());
        for (std::uint64_t step = 0; step < 4; ++step) {
            std::vector<Matrix> rows;
            for (std::uint64_t item = 0; item < items; ++item)
                rows.push_back(row_of_size(1, d, 5000 + 2 * step + item));
            g.buffer->write_bytes(encode(rows, DType::f32, d));
            if (step == 2)
                f.words.buffer->write(std::vector<std::uint32_t>(5, 0u), 5 * sizeof(std::uint32_t));
            plan.run();
            Matrix y = Matrix::Zero(static_cast<Eigen::Index>(s), 1);
            y(static_cast<Eigen::Index>(step), 0) = 1;
            for (std::size_t item = 0; item < items; ++item) {
                const std::string what = std::to_string(s) + " rows, step " + std::to_string(step);
                const Matrix now = w.rows64(item);
                EXPECT_EQ(status.statuses()[item], "ok") << what;
                check_range(now, static_cast<double>(lambda), 1, y, x.read()[item], what);
                check_factor(f, now, static_cast<double>(lambda), item, what);
                const Counts counts = f.counts(item);
                const std::uint64_t since = item == 1 && step >= 2 ? step - 2 : step;
                EXPECT_EQ(counts.made, 1u) << what;
                EXPECT_EQ(counts.replaced, since) << what;
                EXPECT_EQ(counts.broken_down, 0u) << what;
            }
        }
    }
}

TEST_P(WindowFactorTest, WhatIsMoreThanARowIsFactoredAnew) {
    struct Step {
        double size;  // of the new row
        float lambda;
        bool anew;
    };
    const std::vector<Step> steps{{1, 0.5f, true},   {1, 0.5f, false},  {1, 0.25f, true}, {1, 0.25f, false},
                                  {64, 0.25f, true}, {1, 0.25f, false}, {1, 1e-9f, true}, {1, 1e-9f, false}};
    Graph graph(device());
    const std::uint64_t s = 6, d = 100;
    const PlacedWindow w = window(graph, {Matrix::Zero(s, d)});
    const Placed g = place(graph, {Matrix::Zero(1, d)});
    const Words slot = words(graph, Shape{1}, {0u}), status = words(graph, 1),
                damping = words(graph, 1, DType::f32), lambda = numbers(graph, {1.0f});
    const Placed newest = blank(graph, 1, 1, s), x = blank(graph, 1, d, 1), again = blank(graph, 1, d, 1);
    const PlacedFactor f = factor(graph, 1, s);
    window_push(graph, w.window, g.tensor, slot.tensor, {.newest = newest.tensor});
    WoodburyOptions options{.device_lambda = lambda.tensor, .refinement = Refinement::always};
    options.kept = f.tensors;
    woodbury_range(graph, w.window, newest.tensor, again.tensor, options);
    options.status = status.tensor;
    options.damping = damping.tensor;
    woodbury_range(graph, w.window, newest.tensor, x.tensor, options);
    Plan plan = graph.compile({});
    plan.allocate();
    EXPECT_TRUE(plan.hazards().empty());
    std::uint32_t made = 0;
    double before = 0;  // the least lambda
    for (std::size_t i = 0; i < steps.size(); ++i) {
        const Step& step = steps[i];
        const std::string what = "step " + std::to_string(i);
        g.buffer->write_bytes(encode({row_of_size(step.size, d, i)}, DType::f32, d));
        lambda.buffer->write(std::vector<float>{step.lambda});
        plan.run();
        const Matrix u = w.rows64();
        // Powers of two on the way there: 4^exponent of the scale.
        const double least = std::exp2(std::ceil(std::log2(4 * kEps32 * u.squaredNorm())));
        const bool raised = static_cast<double>(step.lambda) < least;
        if (step.anew || (raised && least != before)) ++made;
        before = least;
        const auto used = static_cast<double>(damping.floats()[0]);
        EXPECT_EQ(status.statuses()[0], raised ? "jittered" : "ok") << what;
        EXPECT_EQ(used, raised ? least : static_cast<double>(step.lambda)) << what;
        Matrix y = Matrix::Zero(s, 1);
        y(static_cast<Eigen::Index>(i % s), 0) = 1;
        check_range(u, used, 1, y, x.read()[0], what);
        EXPECT_EQ(again.read()[0], x.read()[0]) << what;
        check_factor(f, u, used, 0, what);
        EXPECT_EQ(f.counts().made, made) << what;
        EXPECT_EQ(f.counts().broken_down, 0u) << what;
    }
}

TEST_P(WindowFactorTest, TwoRowsAtOnceAreFactoredAnew) {
    Graph graph(device());
    const std::uint64_t s = 5, d = 80;
    const PlacedWindow w = window(graph, {Matrix::Zero(s, d)});
    const Placed g = place(graph, {Matrix::Zero(1, d)}), h = place(graph, {Matrix::Zero(1, d)});
    const Words slot = words(graph, Shape{1}, {0u});
    const Placed newest = blank(graph, 1, 1, s), x = blank(graph, 1, d, 1);
    const PlacedFactor f = factor(graph, 1, s);
    window_push(graph, w.window, g.tensor, slot.tensor);
    window_push(graph, w.window, h.tensor, slot.tensor, {.newest = newest.tensor});
    woodbury_range(graph, w.window, newest.tensor, x.tensor,
                   {.lambda = 0.5f, .refinement = Refinement::always, .kept = f.tensors});
    Plan plan = graph.compile({});
    plan.allocate();
    EXPECT_TRUE(plan.hazards().empty());
    for (std::uint64_t step = 0; step < 4; ++step) {
        const std::string what = "step " + std::to_string(step);
        g.buffer->write_bytes(encode({row_of_size(1, d, 2 * step)}, DType::f32, d));
        h.buffer->write_bytes(encode({row_of_size(1, d, 2 * step + 1)}, DType::f32, d));
        plan.run();
        Matrix y = Matrix::Zero(s, 1);
        y(static_cast<Eigen::Index>((2 * step + 1) % s), 0) = 1;
        check_range(w.rows64(), 0.5, 1, y, x.read()[0], what);
        check_factor(f, w.rows64(), 0.5, 0, what);
        EXPECT_EQ(f.counts().made, step + 1) << what;
    }
}

// A factor that is too small by a hundred is one that no row can be put into.
TEST_P(WindowFactorTest, ReplacementsThatBreakDownAreCountedAndMadeAnew) {
    Graph graph(device());
    const std::uint64_t s = 5, d = 80, items = 2;
    const auto [w, g, status, x, f] = turning(graph, s, d, items);
    Plan plan = graph.compile({});
    plan.allocate();
    EXPECT_TRUE(plan.hazards().empty());
    for (std::uint64_t step = 0; step < 5; ++step) {
        std::vector<Matrix> rows;
        for (std::uint64_t item = 0; item < items; ++item) rows.push_back(row_of_size(1, d, 2 * step + item));
        g.buffer->write_bytes(encode(rows, DType::f32, d));
        if (step == 3) {
            std::vector<Matrix> factors = f.factor.read();
            factors[0] = rounded(0.01 * factors[0], DType::f32);
            f.factor.buffer->write_bytes(encode(factors, DType::f32, s));
        }
        plan.run();
        Matrix y = Matrix::Zero(s, 1);
        y(static_cast<Eigen::Index>(step), 0) = 1;
        for (std::size_t item = 0; item < items; ++item) {
            const std::string what = "window " + std::to_string(item) + " step " + std::to_string(step);
            const bool broken = item == 0 && step >= 3;
            EXPECT_EQ(status.statuses()[item], "ok") << what;
            check_range(w.rows64(item), 0.5, 1, y, x.read()[item], what);
            check_factor(f, w.rows64(item), 0.5, item, what);
            EXPECT_EQ(f.counts(item).broken_down, broken ? 1u : 0u) << what;
            EXPECT_EQ(f.counts(item).made, broken ? 2u : 1u) << what;
            EXPECT_EQ(f.counts(item).replaced, broken ? step - 3 : step) << what;
        }
    }
}

TEST_P(WindowFactorTest, RowsThatAreNotFiniteAreNamedUntilTheyLeave) {
    Graph graph(device());
    const std::uint64_t s = 3, d = 50, items = 2;
    const auto [w, g, status, x, f] = turning(graph, s, d, items);
    Plan plan = graph.compile({});
    plan.allocate();
    EXPECT_TRUE(plan.hazards().empty());
    for (std::uint64_t step = 0; step < 7; ++step) {
        std::vector<Matrix> rows;
        for (std::uint64_t item = 0; item < items; ++item) rows.push_back(row_of_size(1, d, 2 * step + item));
        if (step == 1) rows[0](0, 17) = kNan;
        g.buffer->write_bytes(encode(rows, DType::f32, d));
        plan.run();
        Matrix y = Matrix::Zero(s, 1);
        y(static_cast<Eigen::Index>(step % s), 0) = 1;
        for (std::size_t item = 0; item < items; ++item) {
            const std::string what = "window " + std::to_string(item) + " step " + std::to_string(step);
            const bool spoilt = item == 0 && step >= 1 && step < 4;
            EXPECT_EQ(status.statuses()[item], spoilt ? "nonfinite" : "ok") << what;
            if (spoilt) {
                EXPECT_EQ(x.read()[item], Matrix::Zero(d, 1)) << what;
                EXPECT_EQ(f.counts(item).known, 0u) << what;
                continue;
            }
            check_range(w.rows64(item), 0.5, 1, y, x.read()[item], what);
            check_factor(f, w.rows64(item), 0.5, item, what);
            EXPECT_EQ(f.counts(item).known, 1u) << what;
        }
        EXPECT_EQ(f.counts(1).made, step / (s + 1) + 1) << step;
    }
}

TEST_P(WindowFactorTest, TheSameBitsEveryTimeAndSplit) {
    expect_same_bits(1e5, 2, [&](Graph& graph) {
        std::vector<GuardedBuffer*> results;
        for (std::uint64_t d : {100u, 20000u}) {
            const PlacedWindow w = window(graph, {random_matrix(20, d, 1), random_matrix(20, d, 2)});
            const Placed b = place(graph, {random_matrix(d, 1, 3), random_matrix(d, 1, 4)});
            const Placed x = blank(graph, 2, d, 1);
            const PlacedFactor f = factor(graph, 2, 20);
            window_gram(graph, w.window);
            woodbury_solve(graph, w.window, b.tensor, x.tensor,
                           {.refinement = Refinement::always, .kept = f.tensors});
            results.push_back(x.buffer);
            results.push_back(f.factor.buffer);
        }
        return results;
    });
}

HERON_DEVICE_TESTS(WindowFactorTest);

}  // namespace
}  // namespace heron::test
