// SPDX-License-Identifier: MIT
// MKOR against the authors' package (published recurrence), and against a float64 transcription of the
// paper's formula and of the exact inverse.
#include <map>
#include <stdexcept>

#include "golden/captured_golden.hpp"

namespace heron::test {
namespace {

class MkorGoldenTest : public CapturedGoldenTest {
public:
    void run_mkor(const GoldenCase& golden, GoldenResult& result) {
        MkorOptions options;
        options.recurrence = MkorRecurrence::published;
        options.lr = static_cast<float>(golden.number("lr"));
        options.clip = static_cast<float>(golden.number("clipping_value"));
        options.refresh.interval = static_cast<std::uint32_t>(golden.number("inv_freq"));
        options.warmup_steps = static_cast<std::uint32_t>(golden.number("warmup_steps"));
        options.step.weight_decay = static_cast<float>(golden.number("weight_decay"));
        options.step.momentum = golden.number("momentum");
        golden.number("stabilization_factor");  // the package reads it nowhere
        golden.flag("bias", true);
        if (golden.number("grad_accum_steps") != 1 || golden.flag("half_precision", false))
            throw std::runtime_error("micro-batches and half precision are not known to this test");
        const std::string base = golden.text("backend_optimizer", "sgd");
        golden.is_null("opt_kw");
        if (base == "adam") {
            options.base = MkorBase::adam;
            const std::vector<double> betas = golden.numbers("opt_kw.betas", {0.9, 0.999});
            options.beta1 = betas.at(0);
            options.beta2 = betas.at(1);
            options.eps = static_cast<float>(golden.number("opt_kw.eps", 1e-8));
        } else if (base != "sgd") {
            throw std::runtime_error("backend_optimizer \"" + base + "\" is not known to this test");
        }
        CapturedGolden setup;
        setup.loss = LossReduction::none;
        setup.loss_terms = golden.number("batch");
        skip_sizes(golden);
        const std::optional<ConvPatches> patches = patches_of(golden);
        setup.bound = bound_of(golden);
        setup.make = [&](const Device& on) { return std::make_unique<Mkor>(on, options); };
        setup.state = states({{"Ainv", "R_inverse"}, {"Ginv", "L_inverse"}});
        setup.ignored = {"pg", "pgb"};
        run_captured(golden, result, setup, patches);
    }

    void run_paper(const GoldenCase& golden, GoldenResult& result) {
        MkorOptions options;
        const std::string form = golden.text("form", "");
        if (form.starts_with("printed"))
            options.recurrence = MkorRecurrence::printed;
        else if (!form.starts_with("exact"))
            throw std::runtime_error("form \"" + form + "\" is not known to this test");
        options.factor_decay = golden.number("gamma");
        options.lr = static_cast<float>(golden.number("lr"));
        options.norm_threshold = static_cast<float>(golden.number("norm_threshold"));
        options.blend = golden.number("zeta");
        options.refresh.interval = 1;
        options.step.momentum = 0;
        CapturedGolden setup;
        setup.loss = LossReduction::sum;
        // One sample: its captures are their means.
        setup.captures = {"abar", "gbar"};
        setup.bound = bound_of(golden);
        setup.make = [&](const Device& on) { return std::make_unique<Mkor>(on, options); };
        setup.state = states({{"R", "R_inverse"}, {"L", "L_inverse"}});
        run_captured(golden, result, setup, {});
    }

private:
    // `names`: of the file, of the plan.
    static std::function<std::vector<double>(const Plan&, const std::string&)> states(
        std::map<std::string, std::string> names) {
        return [names = std::move(names)](const Plan& plan, const std::string& state) {
            const auto found = names.find(state);
            if (found == names.end())
                throw std::runtime_error("state \"" + state + "\" is not known to this test");
            const std::vector<float> values = read_floats(plan, "w." + found->second);
            return std::vector<double>(values.begin(), values.end());
        };
    }
};

TEST_P(MkorGoldenTest, EveryFile) {
    run_golden("mkor", GetParam().name,
               [&](const GoldenCase& golden, GoldenResult& result) { run_mkor(golden, result); });
}
TEST_P(MkorGoldenTest, EveryFileOfThePaper) {
    run_golden("mkor_paper", GetParam().name,
               [&](const GoldenCase& golden, GoldenResult& result) { run_paper(golden, result); });
}

HERON_DEVICE_TESTS(MkorGoldenTest);

}  // namespace
}  // namespace heron::test
