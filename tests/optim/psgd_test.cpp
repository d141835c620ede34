// SPDX-License-Identifier: MIT
// PSGD: probes and products of Newton's fits, levels, what is refused.
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <limits>

#include "optim/one_plan.hpp"
#include "optim/optimizer_checks.hpp"
#include "optim/reference_psgd.hpp"
#include "optim/training.hpp"

namespace heron::test {
namespace {

class PsgdTest : public DeviceTest {
protected:
    GuardedBuffer& zeros(const Shape& shape) { return guarded(std::vector<float>(shape.count(), 0.0f)); }
};

double norm(const std::vector<float>& x) {
    double sum = 0;
    for (const float v : x) sum += static_cast<double>(v) * v;
    return std::sqrt(sum);
}

// A quadratic with curvatures up to 10, over some decades. The probe is the
// plan's, two parameters share the norm that clips, and the second optimizer's preconditioner.
template <class Newton, class Options>
void expect_quadratic_solved(Device& device, Options options, double decades,
                             const std::function<GuardedBuffer&(const Shape&)>& memory) {
    options.lr = 0.5f;
    options.preconditioner_lr = 0.5f;
    options.clip_norm = 5.0f;
    const Shape shapes[] = {{4, 5}, {7}};
    Newton optimizer(device, options);
    std::vector<GuardedBuffer*> weights, gradients, products;
    std::vector<std::vector<double>> curvatures;
    for (int i = 0; i < 2; ++i) {
        weights.push_back(&memory(shapes[i]));
        gradients.push_back(&memory(shapes[i]));
        products.push_back(&memory(shapes[i]));
        weights[i]->write(normal_values(shapes[i].count(), 7 + static_cast<unsigned>(i)));
        curvatures.emplace_back();
        for (std::size_t k = 0; k < shapes[i].count(); ++k)
            curvatures[i].push_back(std::pow(
                10.0,
                1 - decades + decades * static_cast<double>(k) / static_cast<double>(shapes[i].count())));
        optimizer.add(
            {"p" + std::to_string(i), weights[i]->view(DType::f32, shapes[i]),
             gradients[i]->view(DType::f32, shapes[i])},
            PsgdInputs{.product = products[i]->view(DType::f32, shapes[i]), .probe = {}, .draws = {}});
    }
    Plan plan = compile(device, {&optimizer});
    plan.allocate();
    plan.initialize();
    EXPECT_EQ(plan.hazards(), std::vector<std::string>{});
    std::vector<float> last;
    const double before = norm(weights[0]->floats());
    for (int step = 0; step < 200; ++step) {
        for (std::size_t i = 0; i < 2; ++i) {
            std::vector<float> probe(curvatures[i].size()), product = weights[i]->floats();
            plan.read_state("p" + std::to_string(i) + ".probe", std::as_writable_bytes(std::span(probe)));
            for (std::size_t k = 0; k < probe.size(); ++k)
                product[k] = static_cast<float>(curvatures[i][k] * static_cast<double>(product[k]));
            gradients[i]->write(product);
            for (std::size_t k = 0; k < probe.size(); ++k)
                product[k] = static_cast<float>(curvatures[i][k] * static_cast<double>(probe[k]));
            products[i]->write(product);
            if (i == 0) {
                EXPECT_GT(norm(probe), 0.5) << "step " << step;
                EXPECT_NE(probe, last) << "step " << step;
                last = probe;
            }
        }
        plan.run();
    }
    EXPECT_LT(norm(weights[0]->floats()), 0.1 * before);
    EXPECT_LT(norm(weights[1]->floats()), 0.2);
}

TEST_P(PsgdTest, NewtonSolvesAQuadraticWithItsOwnProbes) {
    const auto memory = [&](const Shape& shape) -> GuardedBuffer& { return zeros(shape); };
    PsgdKronOptions kron = PsgdKronOptions::newton();
    // Diagonals, as the Hessian is. Gradient descent at the largest rate that is stable, 0.2, would leave 96
    // % of the flattest direction.
    kron.max_skew = 0;
    expect_quadratic_solved<PsgdKron>(device(), kron, 4.0, memory);
    PsgdLraOptions low_rank = PsgdLraOptions::newton();
    low_rank.rank = 2;
    expect_quadratic_solved<PsgdLra>(device(), low_rank, 1.0, memory);
}

// In the second step weights go half of the way back; probes and fits are those of the optimizer alone.
template <class Newton, class Options>
void expect_lookahead_takes_products(Device& device, Options options,
                                     const std::function<GuardedBuffer&(const Shape&)>& memory) {
    const Shape shape{4, 5};
    options.lr = 0.1f;
    std::vector<std::vector<float>> after, probes;  // of Newton, of Lookahead around it
    const std::vector<float> start = normal_values(shape.count(), 7);
    for (const bool wrapped : {false, true}) {
        GuardedBuffer &weight = memory(shape), &gradient = memory(shape), &product = memory(shape);
        weight.write(start);
        auto inner = std::make_unique<Newton>(device, options);
        std::unique_ptr<Optimizer> optimizer;
        const Parameter parameter{"w", weight.view(DType::f32, shape), gradient.view(DType::f32, shape)};
        const PsgdInputs inputs{.product = product.view(DType::f32, shape), .probe = {}, .draws = {}};
        if (wrapped) {
            auto lookahead = std::make_unique<Lookahead>(device, std::move(inner),
                                                         LookaheadOptions{.steps = 2, .alpha = 0.5f});
            EXPECT_THROW(lookahead->add(parameter), Error);  // without a product
            EXPECT_THROW(lookahead->add(parameter, PsgdInputs{}), Error);
            lookahead->add(parameter, inputs);
            EXPECT_THROW(lookahead->add(parameter, inputs), Error);  // again
            EXPECT_EQ(lookahead->parameters().size(), 1u);
            optimizer = std::move(lookahead);
        } else {
            inner->add(parameter, inputs);
            optimizer = std::move(inner);
        }
        Plan plan = compile(device, {optimizer.get()});
        plan.allocate();
        plan.initialize();
        for (unsigned step = 1; step <= 2; ++step) {
            gradient.write(normal_values(shape.count(), 10 + step));
            product.write(normal_values(shape.count(), 20 + step));
            plan.run();
        }
        after.push_back(weight.floats());
        probes.emplace_back(shape.count());
        plan.read_state("w.probe", std::as_writable_bytes(std::span(probes.back())));
    }
    EXPECT_EQ(probes[0], probes[1]);
    for (std::size_t i = 0; i < start.size(); ++i) {
        EXPECT_NE(after[0][i], start[i]);
        EXPECT_NEAR(after[1][i], 0.5 * (static_cast<double>(start[i]) + after[0][i]),
                    2 * 0x1p-24 * (std::abs(start[i]) + std::abs(after[0][i])));
    }
}

TEST_P(PsgdTest, LookaheadTakesNewtonsProducts) {
    const auto memory = [&](const Shape& shape) -> GuardedBuffer& { return zeros(shape); };
    expect_lookahead_takes_products<PsgdKron>(device(), PsgdKronOptions::newton(), memory);
    PsgdLraOptions low_rank = PsgdLraOptions::newton();
    low_rank.rank = 2;
    expect_lookahead_takes_products<PsgdLra>(device(), low_rank, memory);
}

// Twelve elements are twelve elements, whether one parameter has them or two do.
TEST_P(PsgdTest, LowRankPreconditionerIsOneForAllParameters) {
    PsgdLraOptions options;
    options.rank = 3;
    options.momentum = 0.5;
    options.u_schedule = Schedule::sequence(std::vector{2.0f, 0.0f, 2.0f, 0.0f});
    std::vector<std::vector<float>> results;
    for (const std::vector<std::uint64_t>& parts : {std::vector<std::uint64_t>{12}, {4, 8}}) {
        GuardedBuffer& weight = guarded(normal_values(12, 1));
        GuardedBuffer& gradient = zeros({12});
        GuardedBuffer& draws = zeros({12});
        PsgdLra optimizer(device(), options);
        std::uint64_t first = 0;
        for (const std::uint64_t count : parts) {
            const auto view = [&](const GuardedBuffer& of) {
                return of.view(DType::f32, Shape{count}, 4 * first);
            };
            optimizer.add({"p" + std::to_string(first), view(weight), view(gradient)},
                          PsgdInputs{.product = {}, .probe = {}, .draws = view(draws)});
            first += count;
        }
        Plan plan = compile(device(), {&optimizer});
        plan.allocate();
        plan.initialize();
        for (unsigned step = 1; step <= 4; ++step) {
            gradient.write(normal_values(12, 10 + step, 1e-3));
            draws.write(normal_values(12, 20 + step));
            plan.run();
        }
        results.push_back(weight.floats());
    }
    EXPECT_TRUE(within(results[1], doubles(results[0]), [&](std::size_t i) {
        return 1e-6 * (1 + std::abs(static_cast<double>(results[0][i])));
    }));
    EXPECT_NE(results[0], normal_values(12, 1));
}

// Without U and V P is diag(d)^2; float64 beside it.
TEST_P(PsgdTest, RankZeroFitsADiagonal) {
    const Shape shape{3, 7};
    const std::size_t count = shape.count();
    PsgdLraOptions options;
    options.rank = 0;
    options.lr = 0.01f;
    options.initial_scale = 2.0f;
    GuardedBuffer &weight = zeros(shape), &gradient = zeros(shape), &draws = zeros(shape);
    PsgdLra optimizer(device(), options);
    optimizer.add({"w", weight.view(DType::f32, shape), gradient.view(DType::f32, shape)},
                  PsgdInputs{.product = {}, .probe = {}, .draws = draws.view(DType::f32, shape)});
    Plan plan = compile(device(), {&optimizer});
    plan.allocate();
    plan.initialize();
    EXPECT_EQ(plan.hazards(), std::vector<std::string>{});
    std::vector<double> w(count, 0.0), d(count, 2.0);
    double smoothness = 0;
    for (unsigned step = 1; step <= 5; ++step) {
        const std::vector<float> g = normal_values(count, 10 + step), z = normal_values(count, 20 + step);
        gradient.write(g);
        draws.write(z);
        plan.run();
        std::vector<double> change(count), direction(count);
        double of_product = 0, of_probe = 0, squares = 0;
        for (std::size_t i = 0; i < count; ++i) {
            const double x = g[i], v = z[i];
            const double h = x + (static_cast<double>(options.damping) + 0x1p-23 * std::abs(x)) * v;
            const double first = d[i] * d[i] * h * h, second = v * v / (d[i] * d[i]);
            of_product = std::max(of_product, first);
            of_probe = std::max(of_probe, second);
            change[i] = first - second;
        }
        smoothness = std::max(0.9 * smoothness + 0.1 * (of_product + of_probe), of_product + of_probe);
        for (std::size_t i = 0; i < count; ++i) {
            d[i] -= static_cast<double>(options.preconditioner_lr) / smoothness * change[i] * d[i];
            direction[i] = d[i] * d[i] * static_cast<double>(g[i]);
            squares += direction[i] * direction[i];
        }
        const double scale = std::min(1.0, 2 / std::sqrt(squares / static_cast<double>(count)));
        for (std::size_t i = 0; i < count; ++i)
            w[i] -= static_cast<double>(options.lr) * std::clamp(scale * direction[i], -10.0, 10.0);
    }
    // Some twenty roundings in each of five steps of lr times some units.
    EXPECT_TRUE(within(weight.floats(), w, [&](std::size_t i) { return 1e-5 * (0.1 + std::abs(w[i])); }));
}

// One dispatch a level and kernel, however many tensors.
TEST_P(PsgdTest, LevelsDoNotGrowWithTheNumberOfTensors) {
    PsgdKronOptions kron;
    kron.max_skew = 2.0;
    const std::vector<std::pair<MakeOptimizer, std::uint32_t>> made{
        {[=](const Device& on) { return std::make_unique<PsgdKron>(on, kron); }, 40},
        {[](const Device& on) { return std::make_unique<PsgdLra>(on, PsgdLraOptions{.rank = 2}); }, 25},
        {[](const Device& on) { return std::make_unique<KronTorch>(on); }, 30}};
    for (const auto& [make, most] : made) {
        std::vector<TestTensor> tensors;
        std::vector<std::uint32_t> levels;
        for (std::size_t i = 0; i < 6; ++i) {
            tensors.push_back({.name = "p" + std::to_string(i), .shape = {6 + i, 9}});
            if (i != 0 && i != 5) continue;
            Training training(device(), make, tensors);
            levels.push_back(training.plan().level_count());
            EXPECT_LE(levels.back(), most) << training.plan().describe();
        }
        EXPECT_EQ(levels[0], levels[1]);
    }
}

TEST_P(PsgdTest, FitsInTheSameStepsBesideOthers) {
    const PsgdKronOptions options{
        .initial_scale = 1.0f, .update_probability = 0.5f, .balance_probability = 0.0f};
    const auto kron = [&](const char* name) {
        return Training::Group{[options, name](const Device& on) {
                                   auto optimizer = std::make_unique<PsgdKron>(on, options);
                                   optimizer->set_name(name);
                                   return optimizer;
                               },
                               {{.name = name, .shape = {5, 4}}}};
    };
    Training alone(device(), std::vector<Training::Group>{kron("one")}),
        beside(device(), std::vector<Training::Group>{kron("other"), kron("one")});
    std::string fits, fits_beside, others;
    for (unsigned t = 1; t <= 12; ++t) {
        const std::vector<float> before[] = {alone.state("one.Q0"), beside.state("one.Q0"),
                                             beside.state("other.Q0")};
        alone.steps(t, 1);
        beside.steps(t, 1);
        fits += alone.state("one.Q0") == before[0] ? '-' : 'Q';
        fits_beside += beside.state("one.Q0") == before[1] ? '-' : 'Q';
        others += beside.state("other.Q0") == before[2] ? '-' : 'Q';
        EXPECT_EQ(fits.back(), chance_draw("one", 0, t) < 0.5 ? 'Q' : '-') << t;
    }
    EXPECT_EQ(fits_beside, fits);
    EXPECT_NE(others, fits);
}

// Parameters of one size: those of two optimizers draw by their optimizers' names, whatever else is in the
// plan.
TEST_P(PsgdTest, OptimizersDrawByTheirNames) {
    const Shape shape{5, 4};
    const auto newton = [&](const char* name) {
        auto optimizer = std::make_unique<PsgdKron>(device(), PsgdKronOptions::newton());
        optimizer->set_name(name);
        for (const char* parameter : {".a", ".b"}) {
            GuardedBuffer &weight = zeros(shape), &gradient = zeros(shape), &product = zeros(shape);
            optimizer->add({name + std::string(parameter), weight.view(DType::f32, shape),
                            gradient.view(DType::f32, shape)},
                           PsgdInputs{.product = product.view(DType::f32, shape), .probe = {}, .draws = {}});
        }
        return optimizer;
    };
    const auto one = newton("one"), other = newton("other");
    Plan alone = compile(device(), {other.get()}), both = compile(device(), {one.get(), other.get()});
    const auto probe = [&](Plan& plan, const char* name) {
        std::vector<float> values(shape.count());
        plan.read_state(name, std::as_writable_bytes(std::span(values)));
        return values;
    };
    for (Plan* plan : {&alone, &both}) {
        plan->allocate();
        plan->initialize();
    }
    EXPECT_NE(probe(both, "one.a.probe"), probe(both, "other.a.probe"));
    EXPECT_NE(probe(both, "other.a.probe"), probe(both, "other.b.probe"));
    EXPECT_EQ(probe(both, "other.a.probe"), probe(alone, "other.a.probe"));
}

// Two low-rank preconditioners share their dispatches, and nothing else.
TEST_P(PsgdTest, LowRankPreconditionersOfOnePlanAreEachForItself) {
    expect_each_for_itself(
        device(), Shape{6, 4}, 1e-6,
        [](const Device& on, std::size_t i) {
            PsgdLraOptions options;
            options.lr = 0.01f;
            options.rank = i == 0 ? 3 : 2;
            options.preconditioner_lr = i == 0 ? 0.2f : 0.15f;
            return std::make_unique<PsgdLra>(on, options);
        },
        [](const std::string& name, Training& together, Training& alone) {
            const std::string smoothness = name + ".L";
            EXPECT_TRUE(within(together.state(smoothness), doubles(alone.state(smoothness)),
                               [&](std::size_t) { return 1e-3; }))
                << smoothness;
        });
}

// A product that is not finite drops the fit, and neither the step nor the factors.
TEST_P(PsgdTest, ABadProductLeavesFactorsAsTheyAre) {
    PsgdKronOptions options = PsgdKronOptions::newton();
    options.initial_scale = 1.0f;
    options.max_skew = 4.0;
    const Shape shape{5, 4};
    GuardedBuffer &weight = zeros(shape), &gradient = zeros(shape), &product = zeros(shape);
    gradient.write(std::vector<float>(20, 1.0f));
    std::vector<float> values = normal_values(20, 3);
    PsgdKron optimizer(device(), options);
    optimizer.add({"w", weight.view(DType::f32, shape), gradient.view(DType::f32, shape)},
                  PsgdInputs{.product = product.view(DType::f32, shape), .probe = {}, .draws = {}});
    Plan plan = compile(device(), {&optimizer});
    plan.allocate();
    plan.initialize();
    const auto factor = [&] {
        std::vector<float> q(25);
        plan.read_state("w.Q0", std::as_writable_bytes(std::span(q)));
        return q;
    };
    product.write(values);
    plan.run();
    const std::vector<float> good = factor();
    for (const float bad :
         {std::numeric_limits<float>::quiet_NaN(), std::numeric_limits<float>::infinity(), 3e38f}) {
        values[7] = bad;
        product.write(values);
        const std::vector<float> before = weight.floats();
        plan.run();
        EXPECT_EQ(factor(), good);
        EXPECT_NE(weight.floats(), before);
        for (const float w : weight.floats()) EXPECT_TRUE(std::isfinite(w));
    }
    values[7] = 1.0f;
    product.write(values);
    plan.run();
    EXPECT_NE(factor(), good);
}

TEST_P(PsgdTest, RefusesWhatItCannotFit) {
    Device& d = device();
    expect_refused([&] { PsgdKron(d, {.fit = PsgdFit::momentum}); }, {"PsgdKron", "momentum"});
    expect_refused([&] { PsgdKron(d, {.preconditioner_lr = 0.0f}); },
                   {"PsgdKron", "preconditioner_lr", "(0, 1]"});
    expect_refused([&] { PsgdKron(d, {.max_order = 9000}); }, {"PsgdKron", "max_order", "8192"});
    expect_refused([&] { PsgdKron(d, {.bound_rows = 0}); }, {"PsgdKron", "bound_rows"});
    expect_refused([&] { PsgdKron(d, {.geometry = static_cast<PsgdGeometry>(9)}); },
                   {"PsgdKron", "geometry"});
    expect_refused([&] { PsgdLra(d, {.rank = 65}); }, {"PsgdLra", "rank", "64"});
    expect_refused([&] { PsgdKron(d, {.refresh = {.interval = 0}}); }, {"PsgdKron", "refresh.interval"});
    expect_refused([&] { KronTorch(d, {.update_probability = 0.0f}); }, {"KronTorch", "update_probability"});
    expect_refused([&] { KronTorch(d, {.refresh = {.interval = 2}}); },
                   {"KronTorch", "refresh.interval with counted fits"});
    expect_refused([&] { KronTorch(d, {.refresh = {.growth = 10}}); },
                   {"KronTorch", "refresh.interval with counted fits", "16"});
    PsgdKronOptions late = PsgdKronOptions::newton();
    late.refresh.first = 2;
    expect_refused([&] { PsgdKron(d, late); }, {"PsgdKron", "refresh.first", "Newton"});
    late.initial_scale = 1;
    EXPECT_NO_THROW(PsgdKron(d, late));
    expect_refused([&] { KronTorch(d, {.memory = static_cast<KronMemory>(4)}); }, {"KronTorch", "memory"});

    const Shape shape{6, 4};
    const Parameter parameter{"w", zeros(shape).view(DType::f32, shape),
                              zeros(shape).view(DType::f32, shape)};
    const TensorView product = zeros(shape).view(DType::f32, shape);
    PsgdKron newton(d, PsgdKronOptions::newton());
    expect_refused([&] { newton.add(parameter); }, {"\"w\"", "product"});
    expect_refused([&] { newton.add(parameter, PsgdInputs{}); }, {"\"w\"", "product"});
    TensorView wrong = product;
    wrong.dtype = DType::f16;
    expect_refused([&] { newton.add(parameter, PsgdInputs{.product = wrong, .probe = {}, .draws = {}}); },
                   {"\"w\"", "product", "f16"});
    wrong = product;
    wrong.shape = Shape{4, 4};
    expect_refused([&] { newton.add(parameter, PsgdInputs{.product = wrong, .probe = {}, .draws = {}}); },
                   {"\"w\"", "product", "4x4", "6x4"});
    expect_refused(
        [&] { newton.add(parameter, PsgdInputs{.product = product, .probe = wrong, .draws = {}}); },
        {"\"w\"", "probe"});
    EXPECT_TRUE(newton.parameters().empty());
    newton.add(parameter, PsgdInputs{.product = product, .probe = {}, .draws = {}});
    expect_refused([&] { newton.add(parameter, PsgdInputs{.product = product, .probe = {}, .draws = {}}); },
                   {"\"w\"", "unique"});
    PsgdKron whitening(d);
    expect_refused(
        [&] { whitening.add(parameter, PsgdInputs{.product = product, .probe = {}, .draws = {}}); },
        {"\"w\"", "PsgdFit::hessian"});
    PsgdKron short_draws(d);
    short_draws.add(parameter, PsgdInputs{.product = {}, .probe = {}, .draws = product});
    expect_refused([&] { compile(d, {&short_draws}); }, {"\"w\"", "draws has 24", "280"});
    PsgdLra low_rank(d, {.rank = 24});
    low_rank.add(parameter);
    expect_refused([&] { compile(d, {&low_rank}); }, {"psgd_lra", "rank", "24"});
}

HERON_DEVICE_TESTS(PsgdTest);

}  // namespace
}  // namespace heron::test
