// SPDX-License-Identifier: MIT
// SINGD, IKFAC and INGD against the authors' code.
#include <map>
#include <stdexcept>

#include "core/push.h"
#include "golden/captured_golden.hpp"
#include "golden/layer_golden.hpp"
#include "optim/reference_singd.hpp"
#include "support/structure_reference.hpp"

namespace heron::test {
namespace {

class SingdGoldenTest : public CapturedGoldenTest {
public:
    void run_singd(const GoldenCase& golden, GoldenResult& result) {
        SingdOptions options;
        options.lr = static_cast<float>(golden.number("lr"));
        options.lr_cov = static_cast<float>(golden.number("lr_cov"));
        options.damping = golden.number("damping");
        options.kfac_like = golden.flag("kfac_like", false);
        options.alpha1 = options.kfac_like ? 0.0 : golden.number("alpha1");
        golden.number("alpha1");
        options.normalize_lr_cov = golden.flag("normalize_lr_cov", false);
        options.refresh.interval = static_cast<std::uint32_t>(golden.number("T"));
        options.refresh.stagger = false;
        options.step.momentum = golden.number("momentum");
        options.step.weight_decay = static_cast<float>(golden.number("weight_decay"));
        const std::vector<std::string> structures = golden.texts("structures");
        options.inputs = structure_of(structures.at(0));
        options.outputs = structure_of(structures.at(1));
        golden.flag("bias", true);

        CapturedGolden setup;
        const double batch = golden.number("batch");
        skip_sizes(golden);
        const std::optional<ConvPatches> patches = patches_of(golden);
        const Shape s = golden.tensor("s.1").shape;
        const double positions = static_cast<double>(patches ? s[2] * s[3] : s.rank() == 3 ? s[1] : 1);
        const std::string average =
            golden.is_null("loss_average") ? "none" : golden.text("loss_average", "batch");
        if (average == "batch") {
            setup.loss_terms = batch;
        } else if (average == "batch+sequence") {
            setup.loss = LossReduction::mean_over_positions;
            setup.loss_terms = batch * positions;
        } else if (average == "none") {
            setup.loss = LossReduction::sum;
        } else {
            throw std::runtime_error("loss_average \"" + average + "\" is not known to this test");
        }
        const std::string approximation = golden.text("kfac_approx", "expand");
        if (approximation == "reduce")
            setup.sharing = LayerSharing::reduce;
        else if (approximation != "expand")
            throw std::runtime_error("kfac_approx \"" + approximation + "\" is not known to this test");
        run(golden, result, setup, options, patches,
            {{"K", "K"}, {"C", "C"}, {"mK", "K_momentum"}, {"mC", "C_momentum"}});
    }

    void run_ingd(const GoldenCase& golden, GoldenResult& result) {
        const auto statistics = static_cast<std::uint32_t>(golden.number("TCov")),
                   refreshes = static_cast<std::uint32_t>(golden.number("TInv"));
        SingdOptions options = SingdOptions::ingd(static_cast<float>(golden.number("lr_cov")), refreshes);
        options.step.decay_from = 20 * statistics;
        options.lr = static_cast<float>(golden.number("lr"));
        options.damping = golden.number("damping");
        options.alpha1 = golden.number("beta2");
        options.step.momentum = golden.number("momentum");
        options.step.weight_decay = static_cast<float>(golden.number("weight_decay"));
        golden.flag("bias", true);
        golden.flag("faster", false);  // another order of the same products
        CapturedGolden setup;
        skip_sizes(golden);
        const std::optional<ConvPatches> patches = patches_of(golden);
        const double batch = static_cast<double>(golden.tensor("s.1").shape[0]);
        setup.loss_terms = 1 / delivered(golden, patches, batch);
        // The official code's other form is (1 / N) sum s s^T, whatever the loss.
        if (!golden.flag("batch_averaged", true)) setup.loss = LossReduction::none;
        std::uint32_t jump = 0;
        if (!golden.is_null("jump_to")) {
            jump = static_cast<std::uint32_t>(golden.number("jump_to"));
            setup.prepare = [jump](Plan& plan, int t) {
                if (t != 2) return;
                gpu::StepControl control;
                plan.read_state("heron.control", std::as_writable_bytes(std::span(&control, 1)));
                control.step = control.tick = jump;
                plan.write_state("heron.control", std::as_bytes(std::span(&control, 1)));
            };
        }
        // Refreshes between two statistics have those of the step before them, which stay in the buffers.
        setup.captured_in = [statistics, jump, held = 1](int t) mutable {
            const std::uint32_t step = static_cast<std::uint32_t>(t - 1) + (t > 1 && jump > 0 ? jump - 1 : 0);
            if (step % statistics == 0) held = t;
            return held;
        };
        run(golden, result, setup, options, patches,
            {{"A", "K"}, {"B", "C"}, {"mA", "K_momentum"}, {"mB", "C_momentum"}});
    }

private:
    // `names`: states of the file, of the plan.
    void run(const GoldenCase& golden, GoldenResult& result, CapturedGolden& setup,
             const SingdOptions& options, const std::optional<ConvPatches>& patches,
             const std::map<std::string, std::string>& names) {
        setup.bound = float32_bound(golden);
        setup.make = [&](const Device& on) { return std::make_unique<Singd>(on, options); };
        setup.state = [&](const Plan& plan, const std::string& state) {
            const auto found = names.find(state);
            if (found == names.end())
                throw std::runtime_error("state \"" + state + "\" is not known to this test");
            const bool of_inputs = found->second.starts_with("K");
            const GoldenTensor w = golden.tensor("w.0");
            const Eigen::Index m = static_cast<Eigen::Index>(w.shape[0]);
            const Eigen::Index order = of_inputs ? static_cast<Eigen::Index>(w.values.size()) / m +
                                                       (golden.has_tensor("b.0") ? 1 : 0)
                                                 : m;
            const std::vector<float> stored = read_floats(plan, "w." + found->second);
            // A structure that is all dense part is stored so: the same elements in the same order.
            const Matrix dense = from_stored(of_inputs ? options.inputs : options.outputs, order,
                                             {stored.begin(), stored.end()});
            return std::vector<double>(dense.data(), dense.data() + dense.size());
        };
        run_captured(golden, result, setup, patches);
    }

    static MatrixStructure structure_of(const std::string& name) {
        const std::map<std::string, MatrixStructure> known{
            {"dense", {}},
            {"diagonal", {.kind = StructureKind::diagonal}},
            {"block30diagonal", {.kind = StructureKind::block_diagonal, .block = 30}},
            {"triltoeplitz", {.kind = StructureKind::lower_toeplitz}},
            {"triutoeplitz", {.kind = StructureKind::upper_toeplitz}},
            {"hierarchical15_15", {.kind = StructureKind::hierarchical, .first = 15, .last = 15}}};
        const auto found = known.find(name);
        if (found == known.end())
            throw std::runtime_error("structure \"" + name + "\" is not known to this test");
        return found->second;
    }
};

struct IngdSettings {
    int statistics = 1;  // TCov
    int refreshes = 1;   // TInv
    int jump = 0;        // the second step's number, where it is not 1
    int steps = 6;
};

// A file of INGD's steps as its code takes them with another interval for statistics than for factors.
class IngdGolden : public LayerGolden {
public:
    explicit IngdGolden(const IngdSettings& settings)
        : LayerGolden("ingd" + std::to_string(settings.statistics) + "_" +
                      std::to_string(settings.refreshes)) {
        const auto [statistics, refreshes, jump, steps] = settings;
        const SingdOptions options = SingdOptions::ingd(0.125f);
        SingdFactors factors(kInputs, kOutputs);
        Matrix w = drawn(kOutputs, kInputs), momentum = Matrix::Zero(kOutputs, kInputs), u, v;
        add_matrix("w.0", w);
        for (int t = 1; t <= steps; ++t) {
            const std::string name = "." + std::to_string(t);
            const int step = t > 1 && jump > 0 ? jump + t - 2 : t - 1;
            const Matrix a = drawn(kSamples, kInputs), s = drawn(kSamples, kOutputs);
            if (step % statistics == 0) {
                u = a.transpose() * a / kSamples;
                v = s.transpose() * s / kSamples;
            }
            if (step % refreshes == 0) factors.move(options, u, v, static_cast<std::uint64_t>(step) + 1);
            const Matrix g = (s.transpose() * a / kSamples).cast<float>().cast<double>();
            Matrix d = factors.direction(g);
            if (step >= 20 * statistics) d += 0.25 * w;
            momentum = 0.9 * momentum + d;
            w -= 0.0625 * momentum;
            add_matrix("a" + name, a);
            add_matrix("s" + name, s);
            add_matrix("g" + name, g);
            add_matrix("w" + name, w);
            add_matrix("state.A" + name, factors.k);
            add_matrix("state.B" + name, factors.c);
        }
        write({{"hyper", R"({"batch": 12, "batch_averaged": true, "beta2": 0.5, "bias": false,
                  "damping": 0.001, "faster": false, "lr": 0.0625, "lr_cov": 0.125, "m": 3, "momentum": 0.9,
                  "n": 4, "weight_decay": 0.25, "TCov": )" +
                             std::to_string(statistics) + ", \"TInv\": " + std::to_string(refreshes) +
                             ", \"jump_to\": " + (jump > 0 ? std::to_string(jump) : "null") + "}"},
               {"kind", "official"}});
    }

private:
    static constexpr int kSamples = 12, kInputs = 4, kOutputs = 3;
};

TEST_P(SingdGoldenTest, OptionsOfIngdThatNoFileHas) {
    const auto passes = [&](const IngdSettings& settings) {
        return IngdGolden(settings).passes(
            [&](const GoldenCase& golden, GoldenResult& result) { run_ingd(golden, result); });
    };
    EXPECT_TRUE(passes({.refreshes = 3, .steps = 24}));  // decays from the 21st step on
    EXPECT_TRUE(passes({.statistics = 2, .refreshes = 4, .jump = 600}));
    EXPECT_TRUE(passes({.statistics = 3, .refreshes = 2, .jump = 600, .steps = 8}));
    // The second step has the captures of the first.
    EXPECT_TRUE(passes({.statistics = 2, .refreshes = 1, .jump = 601}));
}

TEST_P(SingdGoldenTest, EveryFile) {
    run_golden("singd", GetParam().name,
               [&](const GoldenCase& golden, GoldenResult& result) { run_singd(golden, result); });
}
TEST_P(SingdGoldenTest, EveryFileOfIngd) {
    run_golden("ingd", GetParam().name,
               [&](const GoldenCase& golden, GoldenResult& result) { run_ingd(golden, result); });
}

HERON_DEVICE_TESTS(SingdGoldenTest);

}  // namespace
}  // namespace heron::test
