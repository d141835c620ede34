// SPDX-License-Identifier: MIT
// KronTorch against kron_torch, with the files' probes.
#include <algorithm>
#include <array>
#include <map>
#include <stdexcept>

#include "golden/optimizer_golden.hpp"

namespace heron::test {
namespace {

class KronTorchGoldenTest : public OptimizerGoldenTest {
public:
    void run_file(const GoldenCase& golden, GoldenResult& result) {
        KronTorchOptions options;
        options.lr = static_cast<float>(golden.number("lr", options.lr));
        options.momentum = golden.number("b1", options.momentum);
        options.weight_decay = static_cast<float>(golden.number("weight_decay", options.weight_decay));
        options.preconditioner_lr =
            static_cast<float>(golden.number("precond_lr", options.preconditioner_lr));
        options.initial_scale =
            static_cast<float>(golden.number("precond_init_scale", options.initial_scale));
        options.max_order = static_cast<std::uint32_t>(
            std::min(golden.number("max_size_triangular", options.max_order), 8192.0));
        options.min_axes = static_cast<std::uint32_t>(golden.number("min_ndim_triangular", options.min_axes));
        options.memory = memory_of(golden);
        options.momentum_into_fit = golden.flag("momentum_into_precond_update", options.momentum_into_fit);
        options.merge_axes = golden.flag("merge_dims", options.merge_axes);
        for (const char* type : {"mu_dtype", "precond_dtype"}) golden.is_null(type);  // f32 here
        const char* probability = "preconditioner_update_probability";
        if (golden.has_value(probability)) {
            options.update_probability = static_cast<float>(golden.number(probability));
            options.update_schedule = {};
        }
        options.balance_schedule = balances(golden, options);
        options.balance_probability = 1.0f;

        std::map<std::string, GuardedBuffer*> draws;
        OptimizerGolden setup;
        // Without momentum the official buffer is the gradient, which nobody keeps here.
        setup.states = {{"momentum", options.momentum > 0 ? "momentum" : ""}};
        for (int a = 0; a < 8; ++a) setup.states["Q" + std::to_string(a)] = "Q" + std::to_string(a);
        setup.update_bound = float32_bound(golden);
        for (const auto& [name, state] : setup.states) setup.state_bounds[name] = setup.update_bound;
        setup.make = [&](const Device& on) { return std::make_unique<KronTorch>(on, options); };
        setup.add = [&](Optimizer& optimizer, const Parameter& parameter, const std::string& in_file) {
            draws[in_file] = &guarded(std::vector<float>(parameter.weight.shape.count(), 0.0f));
            static_cast<KronTorch&>(optimizer).add(
                parameter, draws[in_file]->view(DType::f32, Shape{parameter.weight.shape.count()}));
        };
        setup.prepare = [&](Plan&, const std::string& in_file, const std::string&, int t) {
            const std::string name = GoldenCase::tensor_name("V", in_file, t);
            // Only steps that fit have them.
            if (golden.has_tensor(name)) draws.at(in_file)->write(golden.tensor(name).floats());
        };
        run_case(golden, result, setup);
    }

private:
    static KronMemory memory_of(const GoldenCase& golden) {
        if (!golden.has("memory_save_mode") || golden.is_null("memory_save_mode"))
            return KronMemory::all_triangular;
        const std::string mode = golden.text("memory_save_mode", "");
        if (mode == "one_diag") return KronMemory::one_diagonal;
        if (mode == "smart_one_diag") return KronMemory::smart_diagonal;
        if (mode == "all_diag") return KronMemory::all_diagonal;
        throw std::runtime_error("memory_save_mode \"" + mode + "\" is not known to this test");
    }

    // The steps among the first thousand in which kron_torch would balance, had it fitted in them: those in
    // which its random.Random(42) draws a number below 0.01.
    static Schedule balances(const GoldenCase& golden, const KronTorchOptions& options) {
        constexpr std::array kSteps = {20, 125, 270, 291, 298, 369, 395, 428, 482, 685, 883};
        std::vector<float> factors;
        double since = 0;
        for (int t = 1; golden.has_tensor(GoldenCase::tensor_name("g", golden.parameters()[0], t)); ++t) {
            const double probability = static_cast<double>(options.update_probability) *
                                       options.update_schedule.factor(static_cast<std::uint64_t>(t));
            const bool fits = ++since * probability > 0.9999999;
            if (fits) since = 0;
            factors.push_back(fits && std::count(kSteps.begin(), kSteps.end(), t) > 0 ? 1.0f : 0.0f);
        }
        factors.push_back(0.0f);
        return Schedule::sequence(factors);
    }
};

TEST_P(KronTorchGoldenTest, EveryFile) {
    run_golden("psgd_kron_torch", GetParam().name,
               [&](const GoldenCase& golden, GoldenResult& result) { run_file(golden, result); });
}

HERON_DEVICE_TESTS(KronTorchGoldenTest);

}  // namespace
}  // namespace heron::test
