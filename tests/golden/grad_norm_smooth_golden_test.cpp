// SPDX-License-Identifier: MIT
// Gradient-normalised smoothness against its authors' code, each iteration from the file's iterate: near the
// minimum iterations amplify rounding errors. Losses and derivatives are the files' functions, in float64;
// systems are solved on the device, by Cholesky and from an eigendecomposition.
#include <gtest/gtest.h>

#include <cmath>
#include <stdexcept>
#include <string>
#include <vector>

#include "heron/heron.hpp"
#include "support/device_fixture.hpp"
#include "support/golden.hpp"
#include "support/matrix.hpp"

namespace heron::test {
namespace {

// The function of a file: its value, its gradient, and the matrix that serves as Hessian.
class Oracle {
public:
    explicit Oracle(const GoldenCase& golden) {
        const std::string& name = golden.name();
        gauss_newton_ = name.find("gauss_newton") != std::string::npos;
        if (name.starts_with("rosenbrock")) return;
        if (!name.starts_with("logsumexp")) throw std::runtime_error("no function is called " + name);
        const GoldenTensor a = golden.tensor("A"), b = golden.tensor("b");
        a_ = Eigen::Map<const Matrix>(a.values.data(), static_cast<Eigen::Index>(a.shape[0]),
                                      static_cast<Eigen::Index>(a.shape[1]));
        b_ = Eigen::Map<const Vector>(b.values.data(), static_cast<Eigen::Index>(b.values.size()));
        mu_ = golden.tensor("mu").values[0];
    }

    double value(const Vector& x) const {
        if (a_.size() == 0) {
            double sum = 0;
            for (Eigen::Index i = 0; i + 1 < x.size(); ++i)
                sum += std::pow(1 - x[i], 2) + 100 * std::pow(x[i + 1] - x[i] * x[i], 2);
            return sum;
        }
        const Vector z = (a_ * x - b_) / mu_;
        const double largest = z.maxCoeff();
        return mu_ * (largest + std::log((z.array() - largest).exp().sum()));
    }
    Vector gradient(const Vector& x) const {
        if (a_.size() != 0) return a_.transpose() * weights(x);
        Vector g = Vector::Zero(x.size());
        for (Eigen::Index i = 0; i + 1 < x.size(); ++i) {
            const double off = x[i + 1] - x[i] * x[i];
            g[i] += -2 * (1 - x[i]) - 400 * x[i] * off;
            g[i + 1] += 200 * off;
        }
        return g;
    }
    Matrix hessian(const Vector& x) const {
        if (a_.size() == 0) {
            Matrix h = Matrix::Zero(x.size(), x.size());
            for (Eigen::Index i = 0; i + 1 < x.size(); ++i) {
                h(i, i) += 2 + 800 * x[i] * x[i] + (gauss_newton_ ? 0 : 400 * (x[i] * x[i] - x[i + 1]));
                h(i + 1, i + 1) += 200;
                h(i, i + 1) -= 400 * x[i];
                h(i + 1, i) -= 400 * x[i];
            }
            return h;
        }
        const Vector p = weights(x);
        const Matrix h = a_.transpose() * Matrix(p.asDiagonal()) * a_;
        if (gauss_newton_) return h / mu_;
        const Vector g = a_.transpose() * p;
        return (h - g * g.transpose()) / mu_;
    }

private:
    Vector weights(const Vector& x) const {
        const Vector z = (a_ * x - b_) / mu_;
        Vector p = (z.array() - z.maxCoeff()).exp();
        return p / p.sum();
    }
    Matrix a_;
    Vector b_;
    double mu_ = 1;
    bool gauss_newton_ = false;
};

std::vector<float> floats(const Matrix& m) { return {m.data(), m.data() + m.size()}; }

class GradNormSmoothGoldenTest : public DeviceTest {
protected:
    void run_file(const GoldenCase& golden, GoldenResult& results) {
        const Oracle oracle(golden);
        const GoldenTensor gammas = golden.tensor("gamma"), solves = golden.tensor("solves");
        const GoldenTensor losses = golden.tensor("func"), norms = golden.tensor("grad_norm");
        const bool adapts = golden.flag("adaptive_search", true);
        const auto count = static_cast<int>(golden.number("iters"));
        const auto trials = static_cast<std::uint32_t>(golden.number("max_trials", 40));
        const double epsilon = golden.number("eps", 1e-8), smallest = golden.number("gamma_min", 1e-9);
        EXPECT_EQ(gammas.values[0], golden.number("gamma_0", 1));
        const std::uint64_t n = golden.tensor("x.0").shape.count();

        GuardedBuffer& hessian = guarded(std::vector<float>(n * n));
        GuardedBuffer& gradient = guarded(std::vector<float>(n));
        GuardedBuffer& lambda = guarded(std::vector<float>(1));
        GuardedBuffer& step = guarded(std::vector<float>(n));
        GuardedBuffer& eigen_step = guarded(std::vector<float>(n));
        GuardedBuffer& status = guarded(std::vector<std::uint32_t>(2));
        Graph graph(device());
        const auto external = [&](const char* name, const GuardedBuffer& buffer, const Shape& shape) {
            return graph.external(name, buffer.view(DType::f32, shape));
        };
        const Tensor h = external("hessian", hessian, {n, n}), g = external("gradient", gradient, {n});
        const Tensor l = external("lambda", lambda, {1}), s = external("step", step, {n});
        const auto word = [&](const char* name, std::uint64_t i) {
            return graph.external(name, status.view(DType::u32, {1}, 4 * i));
        };
        damped_newton_step(graph, h, g, l, s, {.status = word("status", 0)});
        const Tensor values = graph.temporary(DType::f32, {n}), vectors = graph.temporary(DType::f32, {n, n});
        eigh(graph, h, values, vectors);
        damped_newton_step(graph, values, vectors, g, l, external("eigen_step", eigen_step, {n}),
                           {.status = word("eigen_status", 1)});
        Plan plan = graph.compile({});
        plan.allocate();

        for (int k = 0; k < count; ++k) {
            const std::string suffix = "." + std::to_string(k + 1);
            const GoldenTensor from = golden.tensor("x." + std::to_string(k));
            const Vector x = Eigen::Map<const Vector>(from.values.data(), static_cast<Eigen::Index>(n));
            const Matrix hessian64 = oracle.hessian(x);
            const Vector gradient64 = oracle.gradient(x);
            const auto at = static_cast<std::size_t>(k);
            results.add("func" + suffix, std::abs(oracle.value(x) - losses.values[at]),
                        1e-12 * (1 + std::abs(losses.values[at])));
            results.add("grad_norm" + suffix, std::abs(gradient64.norm() - norms.values[at]),
                        1e-10 * (1 + norms.values[at]));
            hessian.write(floats(hessian64));
            gradient.write(floats(gradient64));

            GradientDampingRule rule({.initial = gammas.values[at],
                                      .smallest = smallest,
                                      .epsilon = epsilon,
                                      .max_trials = trials});
            rule.begin({.loss = oracle.value(x), .gradient_norm = gradient64.norm()});
            // Where the loss falls by no more than it is rounded, whether a step is taken is chance: the file
            // says.
            const bool decidable = std::abs(losses.values[at] - losses.values[at + 1]) >
                                   64 * 0x1p-52 * (1 + std::abs(losses.values[at]));
            const double expected_solves = solves.values[at + 1] - solves.values[at];
            int solved = 0;
            Vector next;
            for (bool done = false; !done;) {
                const double damping = rule.lambda();
                lambda.write(std::vector<float>{static_cast<float>(damping)});
                plan.run();
                if (status.read<std::uint32_t>()[0] != 0) {
                    rule.failed();
                    ASSERT_FALSE(rule.gave_up());
                    continue;
                }
                ++solved;
                const std::vector<float> taken = step.floats(), other = eigen_step.floats();
                const Vector step64 =
                    Eigen::Map<const Eigen::VectorXf>(taken.data(), x.size()).cast<double>();
                // Residuals of both solutions: Higham's for Cholesky, eigh()'s, and inputs that are rounded.
                const Matrix damped = hessian64 + damping * Matrix::Identity(x.size(), x.size());
                for (const std::vector<float>* solution : {&taken, &other}) {
                    const Vector v =
                        Eigen::Map<const Eigen::VectorXf>(solution->data(), x.size()).cast<double>();
                    results.add("residual" + suffix, (damped * v + gradient64).norm(),
                                0x1p-24 * (20.0 * static_cast<double>(n) * damped.norm() * v.norm() +
                                           2 * gradient64.norm()));
                }
                next = x + step64;
                if (!decidable && solved < expected_solves)
                    rule.failed();
                else
                    done = !adapts || !decidable ||
                           rule.accepts(
                               {.loss = oracle.value(next), .gradient_norm = oracle.gradient(next).norm()});
            }
            // What that residual makes of the solution.
            const Matrix damped = hessian64 + gradient64.norm() / (gammas.values[at] + epsilon) *
                                                  Matrix::Identity(x.size(), x.size());
            const double condition = damped.norm() * inverse(damped).norm();
            const GoldenTensor expected = golden.tensor("x" + suffix);
            const Vector to = Eigen::Map<const Vector>(expected.values.data(), x.size());
            results.add("x" + suffix, (next - to).norm(),
                        22.0 * static_cast<double>(n) * 0x1p-24 * std::max(condition, 1.0) * (to - x).norm());
            if (decidable || !adapts)
                results.add(
                    "gamma" + suffix,
                    std::abs((adapts ? rule.radius() : gammas.values[at]) / gammas.values[at + 1] - 1),
                    1e-12);
            results.add("solves" + suffix, std::abs(solved - expected_solves), 0.5);
        }
    }
};

TEST_P(GradNormSmoothGoldenTest, EveryFile) {
    run_golden("grad_norm_smooth", GetParam().name,
               [&](const GoldenCase& golden, GoldenResult& results) { run_file(golden, results); });
}

HERON_DEVICE_TESTS(GradNormSmoothGoldenTest);

}  // namespace
}  // namespace heron::test
