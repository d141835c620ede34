// SPDX-License-Identifier: MIT
// K-FAC against gpauloski/kfac-pytorch and alecwangcq/KFAC-Pytorch, EK-FAC against the latter with one
// correction (the files' notes say which), factored damping against kfac-jax. One layer a file:
//
//   w.0, b.0   a.t, s.t (of micro-batches a.t.k, s.t.k)   g.t, gb.t   w.t, b.t   state.A.t, state.G.t
//
// Bound of updates and factors: float32_bound(), and three roundings of the weight. The training ends where
// the file's does (training_deviation.hpp).
#include <algorithm>
#include <cmath>
#include <stdexcept>

#include "golden/captured_golden.hpp"
#include "golden/training_deviation.hpp"

namespace heron::test {
namespace {

class KfacGoldenTest : public CapturedGoldenTest {
public:
    void run_kfac(const GoldenCase& golden, GoldenResult& result) {
        const bool pytorch = golden.has("inv_update_steps");
        KfacOptions options = pytorch ? KfacOptions::kfac_pytorch() : KfacOptions::alecwangcq();
        if (pytorch)
            read_kfac_pytorch(golden, options);
        else
            read_alecwangcq(golden, options);
        run_layer(golden, result, options, pytorch);
    }

    void run_ekfac(const GoldenCase& golden, GoldenResult& result) {
        KfacOptions options = KfacOptions::alecwangcq(KfacMethod::ekfac);
        read_alecwangcq(golden, options);
        options.moments_interval = static_cast<std::uint32_t>(golden.number("TScal"));
        run_layer(golden, result, options, false);
    }

    // Both forms of the damping; what is preconditioned with them is the same.
    void run_pi_damping(const GoldenCase& golden, GoldenResult& result) {
        if (golden.text("norm", "avg_diag: trace/dim") != "avg_diag: trace/dim")
            throw std::runtime_error("the norm is not known to this test");
        CurvatureDamping damping;
        damping.value = static_cast<float>(golden.number("damping"));
        for (const DampingSplit split : {DampingSplit::pi_normalized, DampingSplit::pi}) {
            damping.split = split;
            Graph graph(device());
            std::vector<Tensor> factors, damped, inverses;
            std::vector<GuardedBuffer*> results;
            const auto external = [&](const std::string& name, GuardedBuffer& buffer, const Shape& shape) {
                return graph.external(name, buffer.view(DType::f32, shape));
            };
            std::vector<GoldenTensor> expected;
            for (int k = 0; golden.has_tensor("factor." + std::to_string(k)); ++k) {
                const std::string index = std::to_string(k);
                const GoldenTensor factor = golden.tensor("factor." + index);
                expected.push_back(golden.tensor("damped." + index));
                results.push_back(&guarded(factor.values.size() * sizeof(float)));
                factors.push_back(external("factor" + index, guarded(factor.floats()), factor.shape));
                damped.push_back(external("damped" + index, *results.back(), factor.shape));
            }
            damp_factors(graph, factors, damped, damping);
            GuardedBuffer* direction = nullptr;
            if (golden.has_tensor("g.1")) {
                const GoldenTensor g = golden.tensor("g.1");
                direction = &guarded(g.values.size() * sizeof(float));
                for (const Tensor& factor : damped) {
                    inverses.push_back(graph.temporary(DType::f32, factor.shape));
                    spd_inverse(graph, factor, inverses.back());
                }
                two_sided_product(graph, inverses[0], external("g", guarded(g.floats()), g.shape),
                                  inverses[1], {}, external("d", *direction, g.shape));
            }
            Plan plan = graph.compile({.name = "kfac damping"});
            plan.allocate();
            plan.run();
            const std::string label = split == DampingSplit::pi ? "pi " : "";
            if (split == DampingSplit::pi_normalized)
                for (std::size_t k = 0; k < expected.size(); ++k)
                    result.add("damped." + std::to_string(k),
                               frobenius_error(doubles(*results[k]), expected[k].values), kBound);
            if (direction != nullptr)
                result.add(label + "precond.1",
                           frobenius_error(doubles(*direction), golden.tensor("precond.1").values), kBound);
        }
    }

private:
    static constexpr double kBound = 2e-5, kUnit = 0x1p-24;

    static std::vector<double> doubles(const GuardedBuffer& buffer) {
        const std::vector<float> floats = buffer.floats();
        return {floats.begin(), floats.end()};
    }
    static std::uint32_t count(const GoldenCase& golden, const char* name) {
        return static_cast<std::uint32_t>(golden.number(name));
    }
    static void read_clip(const GoldenCase& golden, KfacOptions& options) {
        options.kl_clip.reset();
        if (!golden.is_null("kl_clip")) options.kl_clip = static_cast<float>(golden.number("kl_clip"));
    }

    static void read_kfac_pytorch(const GoldenCase& golden, KfacOptions& options) {
        options.lr = static_cast<float>(golden.number("sgd_lr"));
        options.kl_clip_lr = static_cast<float>(golden.number("lr"));
        options.damping = static_cast<float>(golden.number("damping"));
        options.factor_decay = golden.number("factor_decay");
        options.factor_interval = count(golden, "factor_update_steps");
        options.refresh.interval = count(golden, "inv_update_steps");
        const std::string method = golden.text("method", "eigen");
        if (method != "eigen" && method != "inverse")
            throw std::runtime_error("method \"" + method + "\" is not known to this test");
        options.method = method == "eigen" ? KfacMethod::eigen : KfacMethod::inverse;
        options.damping_at_refresh = golden.flag("compute_eigenvalue_outer_product", true);
        read_clip(golden, options);
        // A clip by a rate of 0 is none; as an option 0 says that there is no rate of its own.
        if (options.kl_clip_lr == 0) options.kl_clip.reset();
    }

    static void read_alecwangcq(const GoldenCase& golden, KfacOptions& options) {
        options.lr = static_cast<float>(golden.number("lr"));
        options.step.momentum = golden.number("momentum");
        options.step.weight_decay = static_cast<float>(golden.number("weight_decay", 0.0));
        options.damping = static_cast<float>(golden.number("damping"));
        options.factor_decay = golden.number("stat_decay");
        options.factor_interval = count(golden, "TCov");
        options.refresh.interval = count(golden, "TInv");
        options.step.decay_from = 20 * options.factor_interval;
        read_clip(golden, options);
    }

    struct Trained {
        std::string name;  // in the file
        GuardedBuffer *weight, *gradient;
        std::vector<double> last;
        std::vector<float> before;
    };

    void run_layer(const GoldenCase& golden, GoldenResult& result, const KfacOptions& options, bool pytorch) {
        const bool has_bias = golden.flag("bias", true);
        const int micro = pytorch ? static_cast<int>(golden.number("accumulation_steps", 1)) : 1;
        const auto capture = [&](const char* kind, int t, int k) {
            return std::string(kind) + "." + std::to_string(t) + (micro > 1 ? "." + std::to_string(k) : "");
        };
        const GoldenTensor a = golden.tensor(capture("a", 1, 1)), s = golden.tensor(capture("s", 1, 1));
        const double samples = golden.number("batch");
        skip_sizes(golden);
        Layer layer;
        layer.patches = patches_of(golden);
        double scale = 1;
        if (pytorch) {
            layer.loss = LossReduction::none;
        } else {
            scale = delivered(golden, layer.patches, samples);
            layer.loss =
                golden.flag("batch_averaged", true) ? LossReduction::mean_over_batch : LossReduction::none;
        }

        std::vector<Trained> trained;
        for (const char* name : {"w", "b"}) {
            if (name[0] == 'b' && !has_bias) continue;
            const GoldenTensor first = golden.tensor(std::string(name) + ".0");
            trained.push_back({name,
                               &guarded(first.floats()),
                               &guarded(first.values.size() * sizeof(float)),
                               first.values,
                               {}});
            Parameter parameter;
            parameter.name = name;
            parameter.weight = trained.back().weight->view(DType::f32, first.shape);
            parameter.gradient = trained.back().gradient->view(DType::f32, first.shape);
            if (name[0] == 'w')
                layer.weight = parameter;
            else
                layer.bias = parameter;
        }
        GuardedBuffer& inputs = guarded(a.values.size() * sizeof(float));
        GuardedBuffer& outputs = guarded(s.values.size() * sizeof(float));
        layer.inputs = inputs.view(DType::f32, a.shape);
        layer.output_gradients = outputs.view(DType::f32, s.shape);
        Kfac kfac(device(), options);
        kfac.add_layer(layer);
        StepOptions step;
        step.accumulate = micro > 1;
        Plan plan = compile(device(), {&kfac}, step);
        plan.allocate();
        plan.initialize();

        const double bound = float32_bound(golden);
        for (int t = 1; golden.has_tensor("g." + std::to_string(t)); ++t) {
            for (Trained& item : trained) {
                item.gradient->write(
                    golden.tensor((item.name == "w" ? "g." : "gb.") + std::to_string(t)).floats());
                item.before = item.weight->floats();
            }
            for (int k = 1; k <= micro; ++k) {
                inputs.write(golden.tensor(capture("a", t, k)).floats());
                GoldenTensor gradient = golden.tensor(capture("s", t, k));
                for (double& value : gradient.values) value *= scale;
                outputs.write(gradient.floats());
                // Every micro-batch brings the whole gradient, of which the step takes the mean.
                if (micro > 1) plan.wait(plan.submit_accumulate());
            }
            plan.run();
            compare(golden, result, trained, t, bound);
            for (const auto& [in_file, in_plan] :
                 {std::pair<const char*, const char*>{"A", "w.A"}, {"G", "w.S"}}) {
                const std::string name = std::string("state.") + in_file + "." + std::to_string(t);
                if (!golden.has_tensor(name)) continue;
                const GoldenTensor expected = golden.tensor(name);
                std::vector<float> values(expected.values.size());
                plan.read_state(in_plan, std::as_writable_bytes(std::span(values)));
                result.add(
                    name, frobenius_error(std::vector<double>(values.begin(), values.end()), expected.values),
                    bound);
            }
        }
        TrainingDeviation deviation;
        for (const Trained& item : trained)
            deviation.add(golden.tensor(item.name + ".0").values, item.last, item.weight->floats());
        deviation.compare(golden, result, "");
    }

    // The updates of W and b against the file's, and against what it says was preconditioned.
    static void compare(const GoldenCase& golden, GoldenResult& result, std::vector<Trained>& trained, int t,
                        double bound) {
        const std::string step = "." + std::to_string(t);
        for (Trained& item : trained) {
            const GoldenTensor after = golden.tensor(item.name + step);
            const std::vector<float> weight = item.weight->floats();
            std::vector<double> update, expected, gradient;
            double size = 0, sum = 0;
            for (std::size_t i = 0; i < weight.size(); ++i) {
                update.push_back(static_cast<double>(weight[i]) - item.before[i]);
                expected.push_back(after.values[i] - item.last[i]);
                size += expected.back() * expected.back();
                sum += static_cast<double>(weight[i]) * weight[i];
            }
            item.last = after.values;
            const double rounding = size > 0 ? 3 * kUnit * std::sqrt(sum / size) : 0;
            result.add("update of " + item.name + step, frobenius_error(update, expected), bound + rounding);
            const std::string preconditioned = (item.name == "w" ? "pg" : "pgb") + step;
            if (!golden.has_tensor(preconditioned)) continue;
            for (const double value : golden.tensor(preconditioned).values)
                gradient.push_back(-golden.number("sgd_lr") * value);
            result.add(preconditioned, frobenius_error(update, gradient), bound + rounding);
        }
    }
};

TEST_P(KfacGoldenTest, EveryFileOfKfac) {
    run_golden("kfac", GetParam().name,
               [&](const GoldenCase& golden, GoldenResult& result) { run_kfac(golden, result); });
}
TEST_P(KfacGoldenTest, EveryFileOfEkfac) {
    run_golden("ekfac", GetParam().name,
               [&](const GoldenCase& golden, GoldenResult& result) { run_ekfac(golden, result); });
}
TEST_P(KfacGoldenTest, EveryFileOfPiDamping) {
    run_golden("kfac_pi_damping", GetParam().name,
               [&](const GoldenCase& golden, GoldenResult& result) { run_pi_damping(golden, result); });
}

HERON_DEVICE_TESTS(KfacGoldenTest);

}  // namespace
}  // namespace heron::test
