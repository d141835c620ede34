// SPDX-License-Identifier: MIT
// NorMuon's published forms: the authors' code, microsoft/dion, modded-nanogpt's variance step, the paper.
#include <algorithm>
#include <cmath>
#include <stdexcept>

#include "golden/matrix_golden.hpp"
#include "golden/reference_golden.hpp"
#include "graph/graph.hpp"
#include "optim/line_variance.hpp"
#include "optim/reference_ortho.hpp"

namespace heron::test {
namespace {

class NorMuonGoldenTest : public MatrixGoldenTest {
protected:
    void run_file(const GoldenCase& golden, GoldenResult& result) {
        if (golden.has_tensor("o.1")) return run_variance(golden, result);
        const std::string form = form_of(golden);
        if (form == "authors") return run_authors(golden, result);
        if (form == "paper") return run_paper(golden, result);
        return run_dion(golden, result);
    }

private:
    // By the file's name, or where that says nothing by what made it. (The paper's sources name the authors'
    // repository, too.)
    static std::string form_of(const GoldenCase& golden) {
        for (const char* form : {"authors", "paper", "dion"})
            if (golden.name().starts_with(form)) return form;
        const std::string source = golden.metadata("source");
        if (golden.metadata("kind") == "transcription" || source.find("arXiv") != std::string::npos)
            return "paper";
        if (source.find("zichongli5/NorMuon") != std::string::npos) return "authors";
        if (source.find("microsoft/dion") != std::string::npos) return "dion";
        throw std::runtime_error("no form is known by this name, nor by the source \"" + source + "\"");
    }
    static void set_common(const GoldenCase& golden, NorMuonOptions& options) {
        options.lr = static_cast<float>(golden.number("lr", options.lr));
        options.weight_decay = static_cast<float>(golden.number("weight_decay", options.weight_decay));
        options.momentum = golden.number("momentum", options.momentum);
        options.beta2 = golden.number("beta2", options.beta2);
        options.nesterov = golden.flag("nesterov", options.nesterov);
        options.eps = static_cast<float>(golden.number("eps", options.eps));
        options.polar.coefficients = muon_steps(golden);
    }
    void run_authors(const GoldenCase& golden, GoldenResult& result) {
        NorMuonOptions options = NorMuonOptions::authors();
        set_common(golden, options);
        run_both<NorMuon>(golden, result, options, setup());
    }
    void run_paper(const GoldenCase& golden, GoldenResult& result) {
        NorMuonOptions options = NorMuonOptions::paper();
        set_common(golden, options);
        run_both<NorMuon>(golden, result, options, setup());
    }
    void run_dion(const GoldenCase& golden, GoldenResult& result) {
        NorMuonOptions options = NorMuonOptions::dion();
        options.lr = static_cast<float>(golden.number("lr", options.lr));
        options.weight_decay = static_cast<float>(golden.number("weight_decay", options.weight_decay));
        options.momentum = golden.number("mu", options.momentum);
        options.beta2 = golden.number("muon_beta2", options.beta2);
        options.nesterov = golden.flag("nesterov", options.nesterov);
        options.decay = golden.flag("cautious_wd", false) ? DecayForm::cautious : DecayForm::decoupled;
        options.shape_factor = dion_factor(golden, options.shape_factor);
        set_dion_polar(golden, options.polar);
        OptimizerGolden viewed = setup();
        viewed.view = dion_view(golden);
        run_both<NorMuon>(golden, result, options, viewed);
    }
    static OptimizerGolden setup() {
        OptimizerGolden setup;
        setup.states = {{"momentum", "momentum"}, {"v", "v"}};
        // Ten times what float32 costs of a second moment of Newton-Schulz's result (5.3e-6).
        setup.state_bounds = {{"v", 5.3e-5}};
        return setup;
    }

    // The step between polar factor and update alone: o.t in, u.t out, of a batch of matrices.
    void run_variance(const GoldenCase& golden, GoldenResult& result) {
        const Shape shape = golden.tensor("o.1").shape;
        const std::uint64_t items = shape[0], rows = shape[1], cols = shape[2];
        const bool columns = golden.number("red_dim") == -2;
        const Lines lines = Lines::of(rows, cols, columns);
        const std::vector<float> zeros(shape.count(), 0.0f);
        GuardedBuffer& o = guarded(zeros);
        GuardedBuffer& u = guarded(zeros);
        Graph graph(device());
        const Tensor from = graph.external("o", o.view(DType::f32, shape));
        const Tensor to = graph.external("u", u.view(DType::f32, shape));
        const Tensor v = graph.state("v", DType::f32, Shape{items * lines.count});
        for (std::uint64_t item = 0; item < items; ++item) {
            Tensor part = v;
            part.byte_offset += item * lines.count * sizeof(float);
            part.shape = Shape{lines.count};
            const Tensor factors = add_line_variance(
                graph, add_line_squares(graph, from.batch_item(item), lines), part, lines,
                {golden.number("beta2"), golden.number("clamp"), NormRule::clamped, NormRule::clamped});
            (columns ? scale_columns : scale_rows)(graph, from.batch_item(item), factors, to.batch_item(item),
                                                   true);
        }
        Plan plan = graph.compile({});
        plan.allocate();
        plan.initialize();
        for (int t = 1; golden.has_tensor("o." + std::to_string(t)); ++t) {
            const std::string step = std::to_string(t);
            o.write(golden.tensor("o." + step).floats());
            plan.run();
            const std::vector<float> after = u.floats();
            const std::vector<double> computed(after.begin(), after.end());
            result.add("u." + step, frobenius_error(computed, golden.tensor("u." + step).values), 1e-6);
            if (!golden.has_tensor("state.v." + step)) continue;
            std::vector<float> state(v.shape.count());
            plan.read_state("v", std::as_writable_bytes(std::span(state)));
            result.add("state.v." + step,
                       maximum_error(std::vector<double>(state.begin(), state.end()),
                                     golden.tensor("state.v." + step).values),
                       6e-6);
        }
    }
};

TEST_P(NorMuonGoldenTest, EveryFile) {
    run_golden("normuon", GetParam().name,
               [&](const GoldenCase& golden, GoldenResult& result) { run_file(golden, result); });
}

// A name that says nothing of the form.
TEST_P(NorMuonGoldenTest, TheSourceTellsTheFormWhereTheNameDoesNot) {
    const auto passes = [&](NorMuonOptions options, const std::string& kind, const std::string& source) {
        options.lr = 0.01f;
        options.weight_decay = 0.1f;
        options.momentum = 0.9;
        options.beta2 = 0.9;
        const std::string hyper = options.momentum_rule == MomentumRule::ema
                                      ? R"({"lr": 0.01, "weight_decay": 0.1, "momentum": 0.9, "beta2": 0.9})"
                                      : R"({"lr": 0.01, "weight_decay": 0.1, "mu": 0.9, "muon_beta2": 0.9})";
        const double factor = options.shape_factor == ShapeFactor::sqrt_ratio ? std::sqrt(9.0 / 12) : 1.0;
        const ReferenceGolden file({.name = "heron_normuon",
                                    .hyper = hyper,
                                    .shape = {9, 12},
                                    .states = {{"momentum", "momentum", {9, 12}}, {"v", "v", {9}}},
                                    .kind = kind,
                                    .source = source},
                                   NorMuonReference(options, {{9, 12, factor}}));
        return file.passes([&](const GoldenCase& golden, GoldenResult& result) { run_file(golden, result); });
    };
    EXPECT_TRUE(passes(NorMuonOptions::authors(), "official", "zichongli5/NorMuon @1 normuon.py"));
    EXPECT_TRUE(passes(NorMuonOptions::dion(), "official", "microsoft/dion @1 dion/normuon.py"));
    EXPECT_TRUE(passes(NorMuonOptions::paper(), "transcription", "NorMuon, arXiv 2510.05491"));
    EXPECT_FALSE(passes(NorMuonOptions::paper(), "official", "zichongli5/NorMuon @1 normuon.py"));
    EXPECT_FALSE(passes(NorMuonOptions::authors(), "official", "elsewhere"));
}

HERON_DEVICE_TESTS(NorMuonGoldenTest);

}  // namespace
}  // namespace heron::test
