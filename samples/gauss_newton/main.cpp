// SPDX-License-Identifier: MIT
// The smallest complete program with Gauss-Newton steps (EGN): a network with one hidden layer fits a curve.
// The program differentiates the network, on the host; Heron solves for the directions, and its rules choose
// the lengths and dampings of the steps.
#include <cmath>
#include <cstdio>
#include <heron/heron.hpp>
#include <span>
#include <vector>

namespace {

constexpr std::size_t kPoints = 64, kUnits = 12, kWeights = 3 * kUnits + 1;

double target(double x) { return std::sin(3 * x) + 0.3 * std::cos(11 * x); }
double point(std::size_t i) { return -1 + 2 * (static_cast<double>(i) + 0.5) / kPoints; }

// prediction = sum_u v_u tanh(w_u x + b_u) + c, weights w, b, v, c; `gradient`, of the prediction, may be
// null.
double predict(std::span<const float> weights, double x, float* gradient) {
    double sum = weights[3 * kUnits];
    for (std::size_t u = 0; u < kUnits; ++u) {
        const double h = std::tanh(weights[u] * x + weights[kUnits + u]), v = weights[2 * kUnits + u];
        sum += v * h;
        if (!gradient) continue;
        gradient[u] = static_cast<float>(v * (1 - h * h) * x);
        gradient[kUnits + u] = static_cast<float>(v * (1 - h * h));
        gradient[2 * kUnits + u] = static_cast<float>(h);
    }
    if (gradient) gradient[3 * kUnits] = 1;
    return sum;
}

double loss(std::span<const float> weights) {
    double sum = 0;
    for (std::size_t i = 0; i < kPoints; ++i) {
        const double error = target(point(i)) - predict(weights, point(i), nullptr);
        sum += error * error / 2 / kPoints;
    }
    return sum;
}

template <typename T>
void write(heron::Buffer& buffer, const std::vector<T>& values) {
    buffer.write(std::as_bytes(std::span(values)));
}
std::vector<float> read(const heron::Buffer& buffer) {
    std::vector<float> values(buffer.bytes() / sizeof(float));
    buffer.read(std::as_writable_bytes(std::span(values)));
    return values;
}

}  // namespace

int main() try {
    using heron::DType, heron::Tensor;
    const heron::Device device = heron::Device::create();
    const auto create = [&](std::size_t floats) { return device.create_buffer(floats * sizeof(float)); };
    heron::Buffer weights = create(kWeights), trial = create(kWeights), direction = create(kWeights);
    heron::Buffer jacobian = create(kPoints * kWeights), predictions = create(kPoints);
    heron::Buffer targets = create(kPoints), lambda = create(1), alpha = create(1), model = create(2);

    // One plan makes a direction and its quadratic model, another the weights a step along it.
    heron::Graph solve(device);
    const heron::GaussNewtonSystem system{
        solve.external("jacobian", jacobian.view(DType::f32, {kPoints, kWeights})),
        solve.external("predictions", predictions.view(DType::f32, {kPoints, 1})),
        solve.external("targets", targets.view(DType::f32, {kPoints, 1}))};
    const Tensor d = solve.external("direction", direction.view(DType::f32, {kWeights}));
    heron::gauss_newton_direction(solve, system, solve.external("lambda", lambda.view(DType::f32, {1})), d);
    heron::gauss_newton_model(solve, system, d, solve.external("model", model.view(DType::f32, {2})));
    heron::Plan solve_plan = solve.compile({.name = "direction"});
    heron::Graph move(device);
    heron::newton_update(move, move.external("weights", weights.view(DType::f32, {kWeights})),
                         move.external("direction", direction.view(DType::f32, {kWeights})),
                         move.external("alpha", alpha.view(DType::f32, {1})),
                         move.external("trial", trial.view(DType::f32, {kWeights})));
    heron::Plan move_plan = move.compile({.name = "trial"});
    solve_plan.allocate();
    move_plan.allocate();

    std::vector<float> w(kWeights), rows(kPoints * kWeights), f(kPoints), t(kPoints);
    for (std::size_t u = 0; u < kUnits; ++u) {  // steps of tanh all along the interval
        w[u] = 6;
        w[kUnits + u] = static_cast<float>(-6 * (-1 + 2 * (static_cast<double>(u) + 0.5) / kUnits));
        w[2 * kUnits + u] = 0.1f;
    }
    for (std::size_t i = 0; i < kPoints; ++i) t[i] = static_cast<float>(target(point(i)));
    write(targets, t);

    heron::ArmijoSearch search({.largest = 1});
    heron::LevenbergMarquardt damping({.lambda = 0.1, .raise = 1.5, .lower = 0.5});
    for (int step = 1; step <= 30; ++step) {
        for (std::size_t i = 0; i < kPoints; ++i)
            f[i] = static_cast<float>(predict(w, point(i), &rows[i * kWeights]));
        write(weights, w);
        write(jacobian, rows);
        write(predictions, f);
        write(lambda, std::vector<float>{static_cast<float>(damping.lambda())});
        solve_plan.run();

        const std::vector<float> slope_and_curvature = read(model);
        const double before = loss(w), slope = slope_and_curvature[0], curvature = slope_and_curvature[1];
        std::vector<float> next;
        double after = 0;
        search.begin(before, slope);
        do {
            write(alpha, std::vector<float>{static_cast<float>(search.step())});
            move_plan.run();
            next = read(trial);
            after = loss(next);
        } while (!search.accepts(after));
        if (search.gave_up()) break;
        w = next;
        const double length = search.step();
        damping.update(after - before, length * slope, length * length * curvature);
        std::printf("step %2d  loss %.3e  length %.3f  lambda %.1e\n", step, after, length, damping.lambda());
    }
} catch (const heron::Error& error) {
    std::fprintf(stderr, "%s: %s\n", heron::to_string(error.code()), error.what());
    return 1;
}
