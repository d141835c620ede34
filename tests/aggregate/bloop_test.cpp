// SPDX-License-Identifier: MIT
// Bloop and its relatives against float64, on every device.
#include <algorithm>
#include <heron/aggregate.hpp>
#include <optional>

#include "linalg/linalg_test.hpp"

namespace heron::test {
namespace {

struct BloopReference {
    BloopOptions options;
    std::optional<Vector> e = {}, f = {};  // averages
    double rho = 0, auxiliary_rho = 0;

    Vector step(const Vector& g, const Vector& b) {
        const double a = options.ema, lambda = options.lambda;
        const double scale = options.rescale ? 1 / (1 + lambda) : 1;
        const bool two = options.method == BloopMethod::pcgrad;
        if (options.method == BloopMethod::mixed) return scale * (g + lambda * b);
        const Vector start = options.start == BloopStart::gradient ? g : Vector(Vector::Zero(g.size()));
        e = (1 - a) * e.value_or(start) + a * g;
        f = (1 - a) * f.value_or(start) + a * b;
        rho = e->dot(b) / (e->squaredNorm() + options.eps);
        auxiliary_rho = std::min(f->dot(g) / (f->squaredNorm() + options.eps), 0.0);
        if (options.method == BloopMethod::dynamic_barrier) rho = std::min(rho, 1 / lambda);
        if (two) rho = std::min(rho, 0.0);
        if (options.use_ratio_only) return scale * ((1 - lambda * rho) * g + lambda * b);
        return scale * (g - (two ? auxiliary_rho : 0) * *f + lambda * (b - rho * *e));
    }
};

class BloopTest : public LinalgTest {
protected:
    struct Parts {
        std::vector<Placed> main, auxiliary, direction;
        std::vector<BloopPart> parts;

        static Vector all(const std::vector<Placed>& placed) {
            std::vector<double> values;
            for (const Placed& part : placed) {
                const Matrix m = part.read()[0];
                values.insert(values.end(), m.data(), m.data() + m.size());
            }
            return Eigen::Map<const Vector>(values.data(), static_cast<Eigen::Index>(values.size()));
        }
        // New gradients; some directions of conflict in each step.
        void draw(std::uint64_t step) {
            for (std::size_t i = 0; i < main.size(); ++i) {
                const Matrix g = random_matrix(main[i].rows, main[i].cols, 100 * step + i);
                const Matrix b = random_matrix(main[i].rows, main[i].cols, 100 * step + i + 50) +
                                 (step % 2 ? -0.5 : 0.7) * g;
                main[i].buffer->write_bytes(encode({rounded(g, main[i].dtype)}, main[i].dtype, main[i].cols));
                auxiliary[i].buffer->write_bytes(
                    encode({rounded(b, auxiliary[i].dtype)}, auxiliary[i].dtype, auxiliary[i].cols));
            }
        }
    };
    Parts place_parts(Graph& graph, const std::vector<Shape>& shapes, DType main = DType::f32,
                      DType auxiliary = DType::f32, DType direction = DType::f32, bool in_place = false) {
        Parts p;
        for (const Shape& shape : shapes) {
            const std::string name = "p" + std::to_string(names_++);
            p.main.push_back(blank(graph, 1, shape[0], shape[1], 0, main));
            p.auxiliary.push_back(blank(graph, 1, shape[0], shape[1], 0, auxiliary));
            p.direction.push_back(in_place ? p.main.back()
                                           : blank(graph, 1, shape[0], shape[1], 0, direction));
            p.parts.push_back(
                {name, p.main.back().tensor, p.auxiliary.back().tensor, p.direction.back().tensor});
        }
        return p;
    }
    // Sums of at most 512 products and the trees, and a few roundings, as a part of what is added up.
    static double bound(const BloopReference& reference, const Vector& g, const Vector& b, DType direction) {
        const double lambda = reference.options.lambda;
        double size = g.norm() + lambda * b.norm();
        // The error of rho is relative to |e| |b| / |e|^2.
        if (reference.e)
            size += 3 * lambda * b.norm() *
                    (reference.options.use_ratio_only ? g.norm() / reference.e->norm() : 1);
        if (reference.e && reference.options.method == BloopMethod::pcgrad) size += 3 * g.norm();
        return (530 * kUnit + (direction == DType::f32 ? 0 : unit_roundoff(direction))) * size;
    }

    int names_ = 0;
};

const std::vector<BloopOptions>& every_method() {
    static const std::vector<BloopOptions> methods{
        {},
        {.ema = 1, .rescale = true},
        {.lambda = 0.8f, .use_ratio_only = true},
        {.lambda = 0.8f, .start = BloopStart::state},
        {.method = BloopMethod::dynamic_barrier, .lambda = 3},
        {.method = BloopMethod::dynamic_barrier, .lambda = 0},
        {.method = BloopMethod::dynamic_barrier, .lambda = 2, .use_ratio_only = true},
        {.method = BloopMethod::pcgrad, .lambda = 0.8f},
        {.method = BloopMethod::pcgrad, .rescale = true, .start = BloopStart::state},
        {.method = BloopMethod::mixed, .rescale = true},
    };
    return methods;
}

TEST_P(BloopTest, EveryMethodMatchesFloat64) {
    for (bool gpu_variants : {false, true}) {
        struct Case {
            BloopReference reference;
            Parts parts;
            Words ratio, status;
            DType direction;
            bool in_place;
        };
        std::vector<Case> cases;
        Graph graph(gpu_variants ? smallest_gpu() : device());
        for (const BloopOptions& method : every_method()) {
            BloopOptions options = method;
            const std::size_t index = cases.size();
            options.name = "bloop" + std::to_string(index);
            const DType direction = index == 1 ? DType::f16 : index == 7 ? DType::bf16 : DType::f32;
            const bool in_place = index == 2 || index == 7;
            Case c{{options},
                   place_parts(graph, {{1, 1}, {0, 3}, {3, 43}, {index == 0 ? 40u : 5u, 1001}},
                               index == 3   ? DType::bf16
                               : index == 7 ? DType::bf16
                                            : DType::f32,
                               index == 4 ? DType::f16 : DType::f32, direction, in_place),
                   words(graph, Shape{options.method == BloopMethod::pcgrad ? 2u : 1u}, {}, DType::f32),
                   words(graph, 1),
                   direction,
                   in_place};
            if (options.method != BloopMethod::mixed) {
                options.ratio = c.ratio.tensor;
                options.status = c.status.tensor;
            }
            bloop(graph, c.parts.parts, options);
            cases.push_back(std::move(c));
        }
        Plan plan = graph.compile({});
        EXPECT_EQ(plan.level_count(), 3u);
        plan.allocate();
        plan.initialize();
        EXPECT_TRUE(plan.hazards().empty());
        for (std::uint64_t step = 1; step <= 4; ++step) {
            std::vector<Vector> main, auxiliary;
            for (Case& c : cases) {
                c.parts.draw(step);
                main.push_back(Parts::all(c.parts.main));
                auxiliary.push_back(Parts::all(c.parts.auxiliary));
            }
            plan.run();
            for (std::size_t i = 0; i < cases.size(); ++i) {
                Case& c = cases[i];
                const std::string what = "method " + std::to_string(i) + ", step " + std::to_string(step);
                const Vector expected = c.reference.step(main[i], auxiliary[i]);
                ratio("direction", static_cast<std::uint64_t>(expected.size()),
                      (Parts::all(c.parts.direction) - expected).norm(),
                      bound(c.reference, main[i], auxiliary[i], c.direction), what);
                if (!c.reference.e) continue;
                EXPECT_EQ(c.status.statuses()[0], "ok") << what;
                const std::vector<float> rho = c.ratio.floats();
                EXPECT_NEAR(rho[0], c.reference.rho,
                            1e-6 + 600 * kUnit * auxiliary[i].norm() / c.reference.e->norm())
                    << what;
                if (rho.size() > 1) {
                    EXPECT_NEAR(rho[1], c.reference.auxiliary_rho,
                                1e-6 + 600 * kUnit * main[i].norm() / c.reference.f->norm())
                        << what;
                }
                Eigen::Index at = 0;
                for (std::size_t part = 0; part < c.parts.parts.size(); ++part) {
                    std::vector<float> average(c.parts.main[part].rows * c.parts.main[part].cols);
                    const auto check = [&](const char* name, const Vector& all) {
                        plan.read_state(c.parts.parts[part].name + name,
                                        std::as_writable_bytes(std::span(average)));
                        for (std::size_t k = 0; k < average.size(); ++k) {
                            const double e = all[at + static_cast<Eigen::Index>(k)];
                            // Three roundings a step, of numbers up to the largest gradient.
                            EXPECT_NEAR(average[k], e, 4.0 * 3 * kUnit * 5) << what << name << k;
                        }
                    };
                    check(".main_average", *c.reference.e);
                    if (rho.size() > 1) check(".auxiliary_average", *c.reference.f);
                    at += static_cast<Eigen::Index>(average.size());
                }
            }
        }
    }
}

// Averages keep no trace of a step whose gradients are not finite, and a first step is still to come after
// it; the direction is not finite either, which an optimizer notices.
TEST_P(BloopTest, WhatIsNotFiniteDoesNotGetIntoAverages) {
    for (BloopMethod method : {BloopMethod::bloop, BloopMethod::pcgrad}) {
        BloopReference reference{{.method = method}};
        Graph graph(device());
        Parts parts = place_parts(graph, {{3, 43}, {5, 100}});
        const Words status = words(graph, 1);
        BloopOptions options = reference.options;
        options.status = status.tensor;
        bloop(graph, parts.parts, options);
        Plan plan = graph.compile({});
        plan.allocate();
        plan.initialize();
        std::uint64_t step = 0;
        for (double bad : {kNan, 0.0, kInfinity, 1e30, 0.0}) {
            parts.draw(++step);
            Vector g = Parts::all(parts.main), b = Parts::all(parts.auxiliary);
            // The last element of either gradient.
            Placed& spoilt = step == 1 ? parts.auxiliary.back() : parts.main.back();
            if (bad != 0) {
                spoilt.buffer->write(std::vector<float>{static_cast<float>(bad)}, spoilt.buffer->bytes() - 4);
                (step == 1 ? b : g)[g.size() - 1] = static_cast<float>(bad);
            }
            plan.run();
            const Vector direction = Parts::all(parts.direction);
            EXPECT_EQ(status.statuses()[0], bad == 0 ? "ok" : "nonfinite") << step;
            if (bad != 0) {
                EXPECT_EQ(std::isfinite(direction[g.size() - 1]), std::isfinite(bad));
                const Eigen::Index rest = g.size() - 1;
                EXPECT_LT((direction.head(rest) - g.head(rest) - 0.1f * b.head(rest)).norm(),
                          4 * kUnit * (g.head(rest).norm() + b.head(rest).norm()));
            } else {
                const Vector expected = reference.step(g, b);
                ratio("direction", 629, (direction - expected).norm(), bound(reference, g, b, DType::f32),
                      std::to_string(step));
            }
        }
    }
}

TEST_P(BloopTest, GoesOnFromItsStates) {
    std::vector<std::vector<float>> runs;
    for (bool resumed : {false, true}) {
        Graph graph(device());
        names_ = 0;
        Parts parts = place_parts(graph, {{3, 43}});
        bloop(graph, parts.parts, {.method = BloopMethod::pcgrad});
        Plan plan = graph.compile({});
        plan.allocate();
        plan.initialize();
        for (std::uint64_t step = 1; step <= 3; ++step) {
            parts.draw(step);
            plan.run();
            if (resumed && step == 2) {
                std::vector<std::pair<std::string, std::vector<std::byte>>> states;
                for (const Plan::StateEntry& entry : plan.states()) {
                    states.emplace_back(entry.name, std::vector<std::byte>(4 * entry.shape.count()));
                    plan.read_state(entry.name, states.back().second);
                }
                EXPECT_EQ(states.size(), 3u);
                plan.initialize();
                for (const auto& [name, bytes] : states) plan.write_state(name, bytes);
            }
        }
        runs.push_back(parts.direction[0].buffer->floats());
    }
    EXPECT_EQ(runs[0], runs[1]);
}

TEST_P(BloopTest, GivesTheSameBitsEveryTime) {
    for (BloopMethod method : {BloopMethod::bloop, BloopMethod::pcgrad}) {
        // One run: averages go on.
        expect_same_bits(1e4, 1, [&](Graph& graph) {
            names_ = 0;
            Parts parts = place_parts(graph, {{3, 43}, {50, 1001}}, DType::f32, DType::bf16);
            parts.draw(1);
            bloop(graph, parts.parts, {.method = method, .ema = 0.5, .start = BloopStart::state});
            return std::vector{parts.direction[0].buffer, parts.direction[1].buffer};
        });
    }
}

TEST_P(BloopTest, RefusesWhatDoesNotFit) {
    Graph graph(device());
    const Tensor a = graph.temporary(DType::f32, {3, 4}), b = graph.temporary(DType::f32, {12});
    const Tensor c = graph.temporary(DType::f32, {12}), d = graph.temporary(DType::f32, {13});
    const Tensor none = graph.temporary(DType::f32, {0});
    const auto call = [&](const std::vector<BloopPart>& parts, const BloopOptions& options = {}) {
        return [&graph, parts, options] { bloop(graph, parts, options); };
    };
    const std::vector<BloopPart> good{{"w", a, b, c}};
    expect_refusals(
        graph,
        {
            {"0 parts", call({})},
            {"called \"\"", call({{"", a, b, c}})},
            {"called \"w\"", call({{"w", a, b, c}, {"w", a, b, graph.temporary(DType::f32, {12})}})},
            {"w: the main gradient is empty", call({{"w", {}, b, c}})},
            {"w: the auxiliary gradient is 13 f32; it must have 12", call({{"w", a, d, c}})},
            {"w: the direction is 12 u32", call({{"w", a, b, graph.temporary(DType::u32, {12})}})},
            {"v: the direction (12 f32) overlaps w: the direction", call({{"w", a, b, c}, {"v", a, b, c}})},
            {"v: the direction (12 f32) overlaps w: the auxiliary gradient",
             call({{"w", a, b, c}, {"v", a, c, b}})},
            {"no elements", call({{"w", none, none, none}})},
            {"ema is 0", call(good, {.ema = 0})},
            {"ema is 1.5", call(good, {.ema = 1.5})},
            {"lambda is -1", call(good, {.lambda = -1})},
            {"eps is inf", call(good, {.eps = std::numeric_limits<float>::infinity()})},
            {"method is not", call(good, {.method = static_cast<BloopMethod>(9)})},
            {"use_ratio_only", call(good, {.method = BloopMethod::pcgrad, .use_ratio_only = true})},
            {"neither a ratio",
             call(good, {.method = BloopMethod::mixed, .ratio = graph.temporary(DType::f32, {1})})},
            {"`ratio` is 1 f32; it must have 2",
             call(good, {.method = BloopMethod::pcgrad, .ratio = graph.temporary(DType::f32, {1})})},
        });
}

HERON_DEVICE_TESTS(BloopTest);

}  // namespace
}  // namespace heron::test
