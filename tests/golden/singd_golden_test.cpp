// SPDX-License-Identifier: MIT
// SINGD, IKFAC and INGD against the authors' code.
#include <map>
#include <stdexcept>

#include "core/push.h"
#include "golden/captured_golden.hpp"
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
        const auto interval = static_cast<std::uint32_t>(golden.number("TCov"));
        if (golden.number("TInv") != interval) throw std::runtime_error("TInv is not TCov");
        SingdOptions options = SingdOptions::ingd(static_cast<float>(golden.number("lr_cov")), interval);
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
        if (!golden.is_null("jump_to")) {
            const auto jump = static_cast<std::uint32_t>(golden.number("jump_to"));
            setup.prepare = [jump](Plan& plan, int t) {
                if (t != 2) return;
                gpu::StepControl control;
                plan.read_state("heron.control", std::as_writable_bytes(std::span(&control, 1)));
                control.step = control.tick = jump;
                plan.write_state("heron.control", std::as_bytes(std::span(&control, 1)));
            };
        }
        run(golden, result, setup, options, patches,
            {{"A", "K"}, {"B", "C"}, {"mA", "K_momentum"}, {"mB", "C_momentum"}});
    }

private:
    // `names`: states of the file, of the plan.
    void run(const GoldenCase& golden, GoldenResult& result, CapturedGolden& setup,
             const SingdOptions& options, const std::optional<ConvPatches>& patches,
             const std::map<std::string, std::string>& names) {
        setup.bound = bound_of(golden);
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
