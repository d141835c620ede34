// SPDX-License-Identifier: MIT
// The orthogonalizing optimizers beside Muon: blocks of a parameter, and options that are refused.
#include <gtest/gtest.h>

#include <cmath>
#include <set>
#include <string>
#include <vector>

#include "graph/plan.hpp"
#include "optim/optimizer_checks.hpp"
#include "optim/registry_ortho.hpp"
#include "support/matrix.hpp"

namespace heron::test {
namespace {

class OrthoTest : public DeviceTest {
protected:
    // `make` must throw invalid_argument with the algorithm's and the option's name.
    template <class Make>
    static void refused(const Make& make, const std::string& algorithm, const std::string& option) {
        expect_refused(make, {algorithm + ": ", option});
    }
    template <class Algorithm, class Options, class Change>
    void refuses(const Options& valid, const std::string& algorithm, const std::string& option,
                 const Change& change) {
        Options options = valid;
        change(options);
        refused([&] { Algorithm(device(), options); }, algorithm, option);
    }
};

// The squares of the rows come with the last product, or out of the workgroup that has the whole matrix: of
// the 4 bytes an element that a pass would read, and some 16 bytes a row, less than 2 an element are left.
TEST_P(OrthoTest, NormsOfAPolarFactorTakeNoPassOfTheirOwn) {
    const auto bytes = [&](const MakeOptimizer& make, const Shape& shape) {
        Training training(device(), make, {{.name = "w", .shape = shape}});
        double sum = 0;
        for (const Node& node : training.plan().impl().graph.nodes)
            if (node.phase == Phase::step) sum += node.operation.bytes;
        return sum;
    };
    for (const Shape& shape : {Shape{24, 40}, Shape{150, 200}, Shape{200, 150}}) {
        const double elements = static_cast<double>(shape.count());
        const double more = bytes(registry::maker<NorMuon>(NorMuonOptions()), shape) -
                            bytes(registry::maker<Muon>(MuonOptions()), shape);
        EXPECT_GT(more, 0.0) << shape.text();
        EXPECT_LT(more, 2.0 * elements) << shape.text();
        // The brake reads it once.
        EXPECT_LT(bytes(registry::maker<Auon>(AuonOptions::hybrid_code()), shape) -
                      bytes(registry::maker<Muon>(MuonOptions()), shape),
                  6.0 * elements)
            << shape.text();
    }
    for (const Shape& shape : {Shape{80, 90}, Shape{300, 400}}) {  // a quarter of the rows
        const double elements = static_cast<double>(shape.count()) / 4;
        const double more = bytes(registry::maker<NorDion2>(NorDion2Options()), shape) -
                            bytes(registry::maker<Dion2>(Dion2Options()), shape);
        EXPECT_GT(more, 0.0) << shape.text();
        EXPECT_LT(more, 2.0 * elements) << shape.text();
    }
}

// Odd sizes: blocks begin at addresses that are no multiples of 16.
TEST_P(OrthoTest, BlocksMoveLikeMatricesOfTheirOwn) {
    for (const OptimizerCase& entry : registry::ortho_cases()) {
        SCOPED_TRACE(entry.name);
        Training together(device(), entry.make,
                          {{.name = "splits", .shape = {12, 7}, .view = {.row_splits = {5, 4, 3}}},
                           {.name = "experts", .shape = {2, 5, 9}, .view = {.batch = true}}});
        Training apart(device(), entry.make,
                       {{.name = "q", .shape = {5, 7}},
                        {.name = "k", .shape = {4, 7}},
                        {.name = "v", .shape = {3, 7}},
                        {.name = "first", .shape = {5, 9}},
                        {.name = "second", .shape = {5, 9}}});
        const std::size_t owner[] = {0, 0, 0, 1, 1};
        const std::size_t first[] = {0, 35, 63, 0, 45};
        const auto part = [&](const std::vector<float>& values, std::size_t i) {
            const auto begin = values.begin() + static_cast<std::ptrdiff_t>(first[i]);
            return std::vector<float>(begin, begin + static_cast<std::ptrdiff_t>(apart.tensor(i).count()));
        };
        for (std::size_t i = 0; i < apart.size(); ++i)
            apart.tensor(i).set_weight(part(together.tensor(owner[i]).weight(), i));
        for (unsigned step = 1; step <= 2; ++step) {
            together.draw_gradients(step);
            for (std::size_t i = 0; i < apart.size(); ++i)
                apart.tensor(i).set_gradient(part(together.tensor(owner[i]).gradient_values(), i));
            together.plan().run();
            apart.plan().run();
        }
        for (std::size_t i = 0; i < apart.size(); ++i)
            EXPECT_EQ(apart.tensor(i).weight(), part(together.tensor(owner[i]).weight(), i)) << i;
    }
}

TEST_P(OrthoTest, OptionsOutOfRange) {
    const auto normuon = [&](const char* option, auto change) {
        refuses<NorMuon>(NorMuonOptions(), "NorMuon", option, change);
    };
    normuon("lr", [](NorMuonOptions& o) { o.lr = -1; });
    normuon("momentum", [](NorMuonOptions& o) { o.momentum = 1; });
    normuon("beta2", [](NorMuonOptions& o) { o.beta2 = 1; });
    normuon("weight_decay", [](NorMuonOptions& o) { o.weight_decay = -1; });
    normuon("eps", [](NorMuonOptions& o) { o.eps = 0; });
    normuon("variance_rule", [](NorMuonOptions& o) { o.variance_rule = static_cast<NormRule>(2); });
    normuon("rescale_rule", [](NorMuonOptions& o) { o.rescale_rule = static_cast<NormRule>(2); });
    normuon("lines", [](NorMuonOptions& o) { o.lines = static_cast<NorMuonLines>(2); });
    normuon("scale", [](NorMuonOptions& o) { o.scale = static_cast<NorMuonScale>(2); });
    normuon("momentum_rule", [](NorMuonOptions& o) { o.momentum_rule = static_cast<MomentumRule>(2); });
    normuon("shape_factor", [](NorMuonOptions& o) { o.shape_factor = static_cast<ShapeFactor>(5); });
    normuon("decay", [](NorMuonOptions& o) { o.decay = static_cast<DecayForm>(5); });
    normuon("conv_factor", [](NorMuonOptions& o) { o.conv_factor = static_cast<ConvFactor>(2); });
    normuon("lines must be rows", [](NorMuonOptions& o) {
        o.conv_factor = ConvFactor::kernel;
        o.lines = NorMuonLines::shorter_side;
    });
    normuon("polar.guarded", [](NorMuonOptions& o) { o.polar.guarded = false; });
    normuon("polar.status", [](NorMuonOptions& o) { o.polar.status.id = 0; });

    const auto adamuon = [&](const char* option, auto change) {
        refuses<AdaMuon>(AdaMuonOptions(), "AdaMuon", option, change);
    };
    adamuon("lr", [](AdaMuonOptions& o) { o.lr = -1; });
    adamuon("momentum", [](AdaMuonOptions& o) { o.momentum = 1; });
    adamuon("weight_decay", [](AdaMuonOptions& o) { o.weight_decay = -1; });
    adamuon("eps", [](AdaMuonOptions& o) { o.eps = 0; });
    adamuon("rms", [](AdaMuonOptions& o) { o.rms = 0; });
    adamuon("momentum_rule", [](AdaMuonOptions& o) { o.momentum_rule = static_cast<MomentumRule>(2); });
    adamuon("decay", [](AdaMuonOptions& o) { o.decay = static_cast<DecayForm>(5); });
    adamuon("polar.guarded", [](AdaMuonOptions& o) { o.polar.guarded = false; });

    const auto auon = [&](const char* option, auto change) {
        refuses<Auon>(AuonOptions(), "Auon", option, change);
    };
    auon("lr", [](AuonOptions& o) { o.lr = -1; });
    auon("momentum", [](AuonOptions& o) { o.momentum = 1; });
    auon("weight_decay", [](AuonOptions& o) { o.weight_decay = -1; });
    auon("gamma", [](AuonOptions& o) { o.gamma = 41; });
    auon("form", [](AuonOptions& o) { o.form = static_cast<AuonForm>(2); });
    auon("decay", [](AuonOptions& o) { o.decay = static_cast<DecayForm>(5); });
    auon("polar.guarded", [](AuonOptions& o) { o.polar.guarded = false; });

    const auto scion = [&](const char* option, auto change) {
        refuses<Scion>(ScionOptions(), "Scion", option, change);
    };
    scion("lr", [](ScionOptions& o) { o.lr = -1; });
    scion("momentum", [](ScionOptions& o) { o.momentum = 1; });
    scion("norm", [](ScionOptions& o) { o.norm = static_cast<ScionNorm>(6); });
    scion("norm_scale", [](ScionOptions& o) { o.norm_scale = static_cast<ScionScale>(4); });
    scion("kernel", [](ScionOptions& o) { o.kernel = static_cast<ScionKernel>(2); });
    scion("scale", [](ScionOptions& o) { o.scale = 0; });
    scion("weight_decay", [](ScionOptions& o) { o.weight_decay = -1; });
    scion("eps", [](ScionOptions& o) { o.eps = -1; });
    scion("transpose", [](ScionOptions& o) { o.transpose = true; });
    scion("polar.guarded", [](ScionOptions& o) { o.polar.guarded = false; });
    refused([&] { ScionOptions::trust_region(ScionNorm::sign, 0, 0.1f); }, "ScionOptions::trust_region",
            "lr");
    refused([&] { ScionOptions::trust_region(ScionNorm::sign, 1, -1); }, "ScionOptions::trust_region",
            "beta");
    GuardedBuffer& memory = guarded(std::vector<float>(40, 0.0f));
    for (const ScionNorm norm : {ScionNorm::spectral, ScionNorm::sign, ScionNorm::row, ScionNorm::column})
        refused(
            [&] {
                Scion(device(), {.norm = norm})
                    .add({"bias", memory.view(DType::f32, {8}), memory.view(DType::f32, {8}, 80)});
            },
            "Scion", "\"bias\"");
}

TEST_P(OrthoTest, ModdedMomentumWarmsUpAndCoolsDown) {
    const auto factor = [](std::uint32_t total, std::uint64_t step) {
        return 0.95 * NorMuonOptions::modded(total).momentum_schedule.factor(step);
    };
    for (const std::uint32_t total : {0u, 350u, 1000u}) {
        EXPECT_NEAR(factor(total, 1), 0.85, 1e-6);
        EXPECT_NEAR(factor(total, 151), 0.90, 1e-6);
        EXPECT_NEAR(factor(total, 301), 0.95, 1e-6);
    }
    EXPECT_NEAR(factor(0, 100000), 0.95, 1e-6);
    for (const std::uint32_t total : {350u, 1000u}) {
        EXPECT_NEAR(factor(total, total - 49), 0.95, 1e-6);
        EXPECT_NEAR(factor(total, total - 24), 0.90, 1e-6);
        EXPECT_NEAR(factor(total, total + 1), 0.85, 1e-6);
    }
    refused([] { NorMuonOptions::modded(349); }, "NorMuonOptions::modded", "total_steps");
}

TEST_P(OrthoTest, ScionTakesTheNormOfTheRole) {
    const auto plan_text = [&](Role role, const Shape& shape) {
        GuardedBuffer& memory = guarded(std::vector<float>(2 * shape.count() + 8, 0.0f));
        Scion scion(device());
        Parameter parameter{"w", memory.view(DType::f32, shape),
                            memory.view(DType::f32, shape, 4 * (shape.count() + 4))};
        parameter.role = role;
        scion.add(parameter);
        return compile(device(), {&scion}).describe();
    };
    const auto has = [](const std::string& text, const char* word) {
        return text.find(word) != std::string::npos;
    };
    for (const Role role : {Role::automatic, Role::hidden_matrix})
        EXPECT_TRUE(has(plan_text(role, {6, 4}), "scion polar"));
    for (const Role role : {Role::embedding, Role::head})
        EXPECT_TRUE(has(plan_text(role, {6, 4}), "scion sign"));
    // The norm of all elements comes with the momentum: no other pass reads them before the update.
    for (const std::string& text : {plan_text(Role::vector, {6, 4}), plan_text(Role::automatic, {6})})
        EXPECT_TRUE(has(text, "scion norm: reduce") && has(text, "leaves partial norms")) << text;
}

// A filter's factor is sqrt(out / in) over the kernel's elements, or over the square of its first axis.
TEST_P(OrthoTest, ScionDividesByTheKernel) {
    const Shape shape{6, 5, 2, 3};
    const auto update_of = [&](ScionKernel kernel, bool flat) {
        ScionOptions options{.lr = 1.0f, .kernel = kernel, .weight_decay = 0.0f};
        if (flat) options.norm_scale = ScionScale::unit_ball;
        Training training(device(), [=](const Device& on) { return std::make_unique<Scion>(on, options); },
                          {{.name = "a", .shape = shape}});
        training.draw_gradients(1);
        training.tensor().set_weight(std::vector<float>(shape.count(), 0.0f));
        training.plan().run();
        return doubles(training.tensor().weight());
    };
    const std::vector<double> polar = update_of(ScionKernel::elements, true);
    for (const auto& [kernel, divisor] :
         {std::pair{ScionKernel::elements, 6.0}, {ScionKernel::authors, 4.0}}) {
        const std::vector<double> update = update_of(kernel, false);
        for (std::size_t i = 0; i < update.size(); ++i)  // three roundings
            EXPECT_NEAR(update[i], polar[i] * std::sqrt(6.0 / 5.0) / divisor,
                        4 * 0x1p-24 * std::abs(update[i]));
    }
}

// Weights that are drawn lie on the sphere whose radius is the scale: their oracle's size, times scale.
TEST_P(OrthoTest, ScionDrawsWeightsOnTheSphere) {
    const std::uint64_t m = 12, n = 5;
    const auto draw = [&](ScionNorm norm, const Shape& shape, std::uint32_t tensor) {
        GuardedBuffer& memory = guarded(std::vector<float>(shape.count(), 7.0f));
        Parameter parameter{"w", memory.view(DType::f32, shape), {}};
        if (norm == ScionNorm::spectral) parameter.view.heads = 2;
        Graph graph(device());
        draw_scion_weight(graph, graph.external("w", parameter.weight), parameter, {.norm = norm, .scale = 3},
                          1, tensor);
        Plan plan = graph.compile({});
        plan.allocate();
        plan.initialize();
        plan.run();
        return doubles(memory.floats());
    };
    const std::vector<double> spectral = draw(ScionNorm::spectral, {m, n}, 0);
    EXPECT_NE(spectral, draw(ScionNorm::spectral, {m, n}, 1));
    for (std::uint64_t head = 0; head < 2; ++head) {
        const Vector sigma =
            singular_values(matrix_of({spectral.data() + head * m / 2 * n, m / 2 * n}, m / 2, n));
        for (std::uint64_t i = 0; i < n; ++i)
            EXPECT_NEAR(sigma[static_cast<Eigen::Index>(i)], 3 * std::sqrt(m / 2.0 / n), 1e-4);
    }
    const std::vector<double> sign = draw(ScionNorm::sign, {m, n}, 0);
    EXPECT_EQ(std::set<double>(sign.begin(), sign.end()), (std::set<double>{-0.6f, 0.6f}));
    const std::vector<double> rows = draw(ScionNorm::row, {m, n}, 0);
    for (std::uint64_t row = 0; row < m; ++row)
        EXPECT_NEAR(frobenius(std::span(rows).subspan(row * n, n)), 3 / std::sqrt(n), 1e-5);
    const std::vector<double> columns = draw(ScionNorm::column, {m, n}, 0);
    EXPECT_NEAR(frobenius(columns), 3 * std::sqrt(m / static_cast<double>(n)), 1e-5);
    EXPECT_EQ(draw(ScionNorm::frobenius, {m}, 0), std::vector<double>(m, 0.0));
}

HERON_DEVICE_TESTS(OrthoTest);

}  // namespace
}  // namespace heron::test
