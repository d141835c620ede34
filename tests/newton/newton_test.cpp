// SPDX-License-Identifier: MIT
// Steps of Gauss-Newton and damped Newton methods against float64, on every device.
#include <algorithm>
#include <bit>
#include <heron/newton.hpp>

#include "linalg/linalg_test.hpp"

namespace heron::test {
namespace {

constexpr PredictionLoss kLosses[] = {PredictionLoss::squared_error, PredictionLoss::softmax_cross_entropy,
                                      PredictionLoss::sigmoid_cross_entropy};

Matrix column(const Matrix& matrix) { return Eigen::Map<const Matrix>(matrix.data(), matrix.size(), 1); }

// Q (b c x b c, block diagonal) = S S^T and r (b c) of predictions and targets b x c, and the solution of S y
// = r.
struct LossReference {
    Matrix q, r, s, y;
    LossReference(PredictionLoss loss, const Matrix& f, const Matrix& t) {
        const Eigen::Index b = f.rows(), c = f.cols();
        q = Matrix::Zero(b * c, b * c);
        s = q;
        r = y = Matrix::Zero(b * c, 1);
        for (Eigen::Index i = 0; i < b; ++i) {
            Vector p = f.row(i).transpose();
            Matrix block = Matrix::Identity(c, c), root = block;
            Vector weights = Vector::Ones(c);
            if (loss == PredictionLoss::softmax_cross_entropy) {
                p = (p.array() - p.maxCoeff()).exp();
                p /= p.sum();
                block = Matrix(p.asDiagonal()) - p * p.transpose();
                weights = p.array().max(1e-12).sqrt();
                root = Matrix(weights.asDiagonal()) - p * weights.transpose();
            } else if (loss == PredictionLoss::sigmoid_cross_entropy) {
                p = (1 + (-p.array()).exp()).inverse();
                block = Vector(p.array() * (1 - p.array())).asDiagonal();
                weights = (p.array() * (1 - p.array())).max(1e-12).sqrt();
                root = weights.asDiagonal();
            }
            q.block(i * c, i * c, c, c) = block;
            s.block(i * c, i * c, c, c) = root;
            const Vector target = t.row(i).transpose();
            r.block(i * c, 0, c, 1) = target - p;
            const bool softmax = loss == PredictionLoss::softmax_cross_entropy;
            y.block(i * c, 0, c, 1) = (softmax ? target : Vector(target - p)).cwiseQuotient(weights);
        }
    }
};

class NewtonTest : public LinalgTest {
protected:
    struct System {
        Placed jacobian, predictions, targets;
        GaussNewtonSystem system;
        std::uint64_t samples, outputs, columns;

        LossReference reference() const { return {system.loss, predictions.items[0], targets.items[0]}; }
    };
    System make_system(Graph& graph, PredictionLoss loss, std::uint64_t samples, std::uint64_t outputs,
                       std::uint64_t columns, DType dtype = DType::f32, std::uint64_t gap = 0,
                       double sharpness = 1) {
        const std::uint64_t seed = 100 * samples + 10 * outputs + columns;
        Matrix targets = random_matrix(samples, outputs, seed + 2);
        if (loss == PredictionLoss::softmax_cross_entropy) {
            // One-hot, but for the first sample.
            for (Eigen::Index i = 0; i < targets.rows(); ++i) {
                const auto label = static_cast<Eigen::Index>(i) % targets.cols();
                targets.row(i).setZero();
                targets(i, label) = 1;
            }
            targets.row(0).setConstant(1.0 / static_cast<double>(outputs));
        } else if (loss == PredictionLoss::sigmoid_cross_entropy) {
            targets = (targets.array() > 0).cast<double>();
        }
        System result{place(graph, {random_matrix(samples * outputs, columns, seed)}, dtype, gap),
                      place(graph, {Matrix(sharpness * random_matrix(samples, outputs, seed + 1))}),
                      place(graph, {targets}),
                      {},
                      samples,
                      outputs,
                      columns};
        result.system = {result.jacobian.tensor, result.predictions.tensor, result.targets.tensor, loss};
        return result;
    }
};

// The direction is that of the system that defines it. d = V^T u, (I + V V^T) u = y; to first order
// |dd| <= |dV| (|u| + |d| / 2) + |dy| / 2, because |(I + V^T V)^-1| <= 1 and |(I + V^T V)^-1 V^T| <= 1 / 2:
// the elements of V and y are 16 roundings away from exact ones, and the refinement leaves what its residual
// rounds.
TEST_P(NewtonTest, DirectionsSolveTheDampedSystem) {
    for (bool gpu_variants : {false, true}) {
        Graph graph(gpu_variants ? smallest_gpu() : device());
        struct Case {
            System system;
            double lambda;
            Words lambda_word, status;
            Placed direction, residual, model;
        };
        std::vector<Case> cases;
        const auto add = [&](System system, double lambda) {
            const auto scalar =
                words(graph, Shape{1}, {std::bit_cast<std::uint32_t>(float(lambda))}, DType::f32);
            Case c{std::move(system), static_cast<float>(lambda), scalar, words(graph, 1), {}, {}, {}};
            c.direction = blank(graph, 1, 1, c.system.columns);
            c.residual = blank(graph, 1, c.system.samples, c.system.outputs);
            c.model = blank(graph, 1, 1, 2);
            const Tensor direction = c.direction.tensor.reshape(Shape{c.system.columns});
            gauss_newton_direction(graph, c.system.system, scalar.tensor, direction,
                                   {.residual = c.residual.tensor, .status = c.status.tensor});
            gauss_newton_model(graph, c.system.system, direction, c.model.tensor.reshape(Shape{2}));
            cases.push_back(std::move(c));
        };
        for (PredictionLoss loss : kLosses) {
            add(make_system(graph, loss, 1, 1, 1), 1);
            add(make_system(graph, loss, 7, 3, 31), 0.1);
            add(make_system(graph, loss, 5, 1, 200, DType::f32, 3), 0.01);
            add(make_system(graph, loss, 2, 33, 17, DType::bf16, 1), 0.5);
            add(make_system(graph, loss, 13, 10, 1001, DType::f16), 1e-3);
            // More unknowns in the batch than parameters, and saturated probabilities.
            add(make_system(graph, loss, 30, 5, 7, DType::f32, 0, 30), 2);
        }
        const Plan plan = run(graph);
        for (const Case& c : cases) {
            const System& s = c.system;
            const std::string what = std::to_string(s.samples) + " x " + std::to_string(s.outputs) + ", d " +
                                     std::to_string(s.columns) + ", loss " +
                                     std::to_string(static_cast<int>(s.system.loss));
            EXPECT_EQ(c.status.statuses()[0], "ok") << what;
            const Matrix& j = s.jacobian.items[0];
            const LossReference loss = s.reference();
            const auto b = static_cast<double>(s.samples);
            // Float64 in the smaller space of the two.
            const Matrix small =
                loss.q * (j * j.transpose()) + b * c.lambda * Matrix::Identity(loss.q.rows(), loss.q.rows());
            const Matrix expected = j.transpose() * inverse(small) * loss.r;
            const double unknowns = static_cast<double>(loss.q.rows());
            const Matrix v = loss.s.transpose() * j / std::sqrt(b * c.lambda);
            const Matrix y = loss.y / std::sqrt(b * c.lambda);
            const Matrix u = solve_symmetric(Matrix::Identity(v.rows(), v.rows()) + v * v.transpose(), y);
            const Matrix direction = column(c.direction.read()[0]);
            const double residual = std::sqrt(static_cast<double>(s.columns)) + std::sqrt(unknowns) + 4;
            ratio("direction", s.samples * s.outputs, (direction - expected).norm(),
                  kUnit * (16 * v.norm() * (u.norm() + expected.norm()) +
                           (residual + 16) * (v.norm() * (expected.norm() + u.norm()) + y.norm())),
                  what);
            ratio("residual", s.samples * s.outputs, (column(c.residual.read()[0]) - loss.r).norm(),
                  16 * kUnit * (1 + loss.r.norm() + s.predictions.items[0].norm()), what);
            // The model, of the direction as it is.
            const Matrix model = c.model.read()[0];
            const Matrix along = j * direction;
            const double slope = -(loss.r.transpose() * along)(0) / b;
            const double curvature = (along.transpose() * loss.q * along)(0) / b;
            const double sums = (std::sqrt(static_cast<double>(s.columns)) + unknowns + 16) * kUnit;
            const double length = j.norm() * direction.norm();
            ratio("slope", s.samples * s.outputs, std::abs(model(0) - slope),
                  sums * 4 * loss.r.norm() * length / b, what);
            ratio("curvature", s.samples * s.outputs, std::abs(model(1) - curvature),
                  sums * 4 * length * length / b, what);
        }
    }
}

TEST_P(NewtonTest, NamesWhatCannotBeSolved) {
    Graph graph(device());
    struct Case {
        std::string expected;
        Words status;
        Placed direction;
    };
    std::vector<Case> cases;
    const auto add = [&](const char* expected, const System& system, float lambda) {
        Case c{expected, words(graph, 1), blank(graph, 1, 1, system.columns)};
        gauss_newton_direction(
            graph, system.system,
            words(graph, Shape{1}, {std::bit_cast<std::uint32_t>(lambda)}, DType::f32).tensor,
            c.direction.tensor.reshape(Shape{system.columns}), {.status = c.status.tensor});
        cases.push_back(c);
    };
    const PredictionLoss loss = PredictionLoss::softmax_cross_entropy;
    add("ok", make_system(graph, loss, 4, 3, 20), 1);
    add("nonfinite", make_system(graph, loss, 4, 3, 20), 0);
    add("nonfinite", make_system(graph, loss, 4, 3, 20), -1);
    add("nonfinite", make_system(graph, loss, 4, 3, 20), static_cast<float>(kNan));
    for (int bad : {0, 1, 2}) {
        System system = make_system(graph, PredictionLoss::squared_error, 4, 3, 20);
        GuardedBuffer& buffer = *(bad == 0   ? system.jacobian
                                  : bad == 1 ? system.predictions
                                             : system.targets)
                                     .buffer;
        buffer.write(std::vector<float>{bad == 1 ? static_cast<float>(kInfinity) : static_cast<float>(kNan)},
                     4);
        add("nonfinite", system, 1);
    }
    // A zero Jacobian has the direction zero.
    System zero = make_system(graph, loss, 4, 3, 20);
    zero.jacobian.buffer->write(std::vector<float>(12 * 20, 0.0f));
    add("ok", zero, 1);
    run(graph);
    for (const Case& c : cases) EXPECT_EQ(c.status.statuses()[0], c.expected);
    EXPECT_EQ(cases.back().direction.read()[0].norm(), 0);
    for (std::size_t i = 1; i < 4; ++i) EXPECT_EQ(cases[i].direction.read()[0].norm(), 0);
}

TEST_P(NewtonTest, AveragesAndUpdatesFollowTheirRecurrences) {
    constexpr double kMomentum = 0.75;
    for (std::uint64_t count : {1, 2, 257, 2001})
        for (DType dtype : {DType::f32, DType::f16, DType::bf16}) {
            Graph graph(device());
            const Placed weights = place(graph, {random_matrix(1, count, 1)}, dtype);
            const Placed direction = place(graph, {random_matrix(1, count, 2)});
            const Placed trial = blank(graph, 1, 1, count, 0, dtype);
            const Words alpha = words(graph, Shape{1}, {std::bit_cast<std::uint32_t>(0.5f)}, DType::f32);
            const Words status = words(graph, 1);
            const Tensor d = direction.tensor.reshape(Shape{count}), w = weights.tensor.reshape(Shape{count});
            average_direction(graph, d, {.momentum = static_cast<float>(kMomentum)});
            newton_update(graph, w, d, alpha.tensor, trial.tensor.reshape(Shape{count}));
            newton_update(graph, w, d, alpha.tensor, w,
                          {.momentum = static_cast<float>(kMomentum), .status = status.tensor});
            Plan plan = graph.compile({});
            plan.allocate();
            plan.initialize();
            Matrix w64 = weights.items[0], average = Matrix::Zero(1, w64.cols()), velocity = average;
            for (int step = 1; step <= 4; ++step) {
                const Matrix g = rounded(random_matrix(1, count, 10 + step), DType::f32);
                direction.buffer->write_bytes(encode({g}, DType::f32, count));
                // Anything but ok and jittered leaves the weights alone.
                const bool usable = step != 3;
                status.buffer->write(std::vector<std::uint32_t>{
                    static_cast<std::uint32_t>(usable ? MatrixStatus::jittered : MatrixStatus::indefinite)});
                plan.run();
                average = kMomentum * average + (1 - kMomentum) * g;
                const Matrix expected = average / (1 - std::pow(kMomentum, step));
                const double size = 8 * (step + 1) * kUnit * (1 + average.cwiseAbs().maxCoeff() * 4);
                EXPECT_LE((direction.read()[0] - expected).cwiseAbs().maxCoeff(), size);
                EXPECT_LE((trial.read()[0] - (w64 + 0.5 * expected)).cwiseAbs().maxCoeff(),
                          size + 2 * unit_roundoff(dtype) * (1 + w64.cwiseAbs().maxCoeff() + 4));
                if (usable) {
                    velocity = 0.5 * expected + kMomentum * velocity;
                    w64 += velocity;
                }
                const Matrix now = weights.read()[0];
                EXPECT_LE((now - w64).cwiseAbs().maxCoeff(),
                          2 * size + 2 * unit_roundoff(dtype) * (1 + w64.cwiseAbs().maxCoeff()));
                w64 = now;  // rounded weights are the next step's
            }
        }
}

TEST_P(NewtonTest, DampedStepsSolveTheirSystems) {
    Graph graph(device());
    struct Case {
        Placed hessian, gradient, step, from_eigen;
        Words status, eigen_status;
        float lambda;
    };
    std::vector<Case> cases;
    const auto add = [&](const Matrix& h, float lambda) {
        const auto n = static_cast<std::uint64_t>(h.rows());
        const auto vector = [&](const Placed& placed) { return placed.tensor.reshape(Shape{n}); };
        Case c{place(graph, {h}),
               place(graph, {random_matrix(1, n, n)}),
               blank(graph, 1, 1, n),
               blank(graph, 1, 1, n),
               words(graph, 1),
               words(graph, 1),
               lambda};
        const Tensor damping =
            words(graph, Shape{1}, {std::bit_cast<std::uint32_t>(lambda)}, DType::f32).tensor;
        damped_newton_step(graph, c.hessian.tensor, vector(c.gradient), damping, vector(c.step),
                           {.status = c.status.tensor});
        const Tensor values = graph.temporary(DType::f32, Shape{n});
        const Tensor vectors = graph.temporary(DType::f32, Shape{n, n});
        eigh(graph, c.hessian.tensor, values, vectors);
        damped_newton_step(graph, values, vectors, vector(c.gradient), damping, vector(c.from_eigen),
                           {.status = c.eigen_status.tensor});
        cases.push_back(c);
    };
    for (std::uint64_t n : {1, 2, 17, 65, 130}) {
        add(spd_matrix(n, 100, n), 0.25f);
        add(spd_matrix(n, 100, n), 0);
        // Indefinite, made definite by the damping, and one that is not.
        const Matrix shifted =
            spd_matrix(n, 100, n) - 0.5 * Matrix::Identity(Eigen::Index(n), Eigen::Index(n));
        add(shifted, 1);
        if (n > 1) add(shifted, 0);
    }
    run(graph);
    for (const Case& c : cases) {
        const Matrix h = c.hessian.items[0], g = c.gradient.items[0].transpose();
        const Eigen::Index n = h.rows();
        const Matrix damped = h + c.lambda * Matrix::Identity(n, n);
        const Vector values = symmetric_eigen(damped).values;
        for (const auto& [placed, status] :
             {std::pair{&c.step, &c.status}, {&c.from_eigen, &c.eigen_status}}) {
            const Matrix step = placed->read()[0].transpose();
            if (values[0] <= 0) {
                EXPECT_EQ(status->statuses()[0], "indefinite") << n;
                EXPECT_EQ(step.norm(), 0) << n;
                continue;
            }
            EXPECT_EQ(status->statuses()[0], "ok") << n;
            // spd.hpp's and eigh()'s: residuals within 20 n u |H|, more than that for a norm of the whole
            // matrix.
            ratio("damped step", static_cast<std::uint64_t>(n), (damped * step + g).norm(),
                  20 * static_cast<double>(n) * kUnit * damped.norm() * step.norm() + 2 * kUnit * g.norm(),
                  "lambda " + std::to_string(c.lambda));
        }
    }
}

TEST_P(NewtonTest, TheSameBitsEveryTimeAndInPieces) {
    expect_same_bits(4e4, 2, [&](Graph& graph) {
        const System s = make_system(graph, PredictionLoss::softmax_cross_entropy, 13, 5, 300);
        const Placed direction = blank(graph, 1, 1, 300), model = blank(graph, 1, 1, 2);
        const Tensor d = direction.tensor.reshape(Shape{300});
        gauss_newton_direction(
            graph, s.system, words(graph, Shape{1}, {std::bit_cast<std::uint32_t>(0.1f)}, DType::f32).tensor,
            d);
        gauss_newton_model(graph, s.system, d, model.tensor.reshape(Shape{2}));
        return std::vector<GuardedBuffer*>{direction.buffer, model.buffer};
    });
}

TEST_P(NewtonTest, RefusesWhatDoesNotFit) {
    Graph graph(device());
    const System s = make_system(graph, PredictionLoss::squared_error, 4, 3, 20);
    const Tensor one = words(graph, Shape{1}, {}, DType::f32).tensor;
    const auto vector = [&](std::uint64_t n) { return blank(graph, 1, 1, n).tensor.reshape(Shape{n}); };
    const Tensor d = vector(20), h = blank(graph, 1, 20, 20).tensor;
    const auto with = [&](auto change) {
        GaussNewtonSystem system = s.system;
        change(system);
        return [&graph, system, one, d] { gauss_newton_direction(graph, system, one, d); };
    };
    expect_refusals(
        graph,
        {{"it must have a row for each", with([&](auto& x) { x.jacobian = blank(graph, 1, 11, 20).tensor; })},
         {"must have elements", with([&](auto& x) {
              x.jacobian = blank(graph, 1, 0, 20).tensor;
              x.predictions = blank(graph, 1, 0, 3).tensor;
          })},
         {"`targets`", with([&](auto& x) { x.targets = blank(graph, 1, 4, 2).tensor; })},
         {"loss is not one", with([&](auto& x) { x.loss = static_cast<PredictionLoss>(3); })},
         {"Jacobian", with([&](auto& x) { x.jacobian = {}; })},
         {"`lambda`", [&] { gauss_newton_direction(graph, s.system, d, d); }},
         {"`direction`", [&] { gauss_newton_direction(graph, s.system, one, vector(21)); }},
         {"`model`", [&] { gauss_newton_model(graph, s.system, d, one); }},
         {"momentum is 1", [&] { average_direction(graph, d, {.momentum = 1}); }},
         {"momentum is -1", [&] { newton_update(graph, d, d, one, vector(20), {.momentum = -1}); }},
         {"`result`", [&] { newton_update(graph, d, vector(20), one, vector(21)); }},
         {"`result`", [&] { newton_update(graph, vector(20), d, one, d); }},
         {"must be square", [&] { damped_newton_step(graph, s.jacobian.tensor, d, one, vector(20)); }},
         {"`step`", [&] { damped_newton_step(graph, h, d, one, vector(19)); }},
         {"`values`", [&] { damped_newton_step(graph, vector(19), h, d, one, vector(20)); }}});
    // As many as cholesky() has rows.
    const auto many = [&](std::uint64_t count) {
        return with([&, count](auto& x) {
            x.jacobian = blank(graph, 1, count, 2).tensor;
            x.predictions = blank(graph, 1, count, 1).tensor;
        });
    };
    if (device().capabilities().cpu)
        expect_refusals(graph, {{"8193 predictions; at most 8192 are possible on a CPU driver", many(8193)}});
    else
        expect_refusals(graph, {{"65536 predictions; at most 65535 are possible on a GPU", many(65536)}});
}

HERON_DEVICE_TESTS(NewtonTest);

}  // namespace
}  // namespace heron::test
