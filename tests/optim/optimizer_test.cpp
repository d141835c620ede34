// SPDX-License-Identifier: MIT
// What holds for every optimizer of the registry, on every device.
#include <gtest/gtest.h>

#include <filesystem>
#include <limits>

#include "optim/registry.hpp"

namespace heron::test {
namespace {

constexpr double kU = 0x1p-24;

std::vector<TestTensor> tensors_of(const OptimizerCase& entry) {
    std::vector<TestTensor> tensors;
    for (std::size_t i = 0; i < entry.shapes.size(); ++i)
        tensors.push_back({.name = "p" + std::to_string(i), .shape = entry.shapes[i]});
    return tensors;
}

// Two tensors: for what does not depend on shapes.
std::vector<TestTensor> two_tensors(const OptimizerCase& entry) {
    return {{.name = "a", .shape = entry.shapes[4]}, {.name = "b", .shape = entry.shapes[3]}};
}

double norm_of(const std::vector<double>& values) {
    double sum = 0;
    for (const double value : values) sum += value * value;
    return std::sqrt(sum);
}

// The update from `before`, against the reference's. `roundings` of W are allowed to matrix methods beside
// `relative`.
::testing::AssertionResult update_matches(const OptimizerCase& entry, const std::vector<float>& before,
                                          const std::vector<float>& after,
                                          const std::vector<double>& expected, double relative,
                                          double roundings, double element_units) {
    if (entry.element_wise)
        return within(after, expected, [&](std::size_t i) {
            return element_units * kU *
                       (std::abs(expected[i]) + std::abs(expected[i] - static_cast<double>(before[i]))) +
                   1e-37;
        });
    std::vector<double> error(after.size()), update(after.size()), weight(after.begin(), after.end());
    for (std::size_t i = 0; i < after.size(); ++i) {
        update[i] = expected[i] - before[i];
        error[i] = after[i] - expected[i];
    }
    const double allowed = relative * norm_of(update) + roundings * kU * norm_of(weight) + 1e-37;
    if (norm_of(error) <= allowed) return ::testing::AssertionSuccess();
    return ::testing::AssertionFailure()
           << "update off by " << norm_of(error) << " of " << norm_of(update) << ", allowed " << allowed;
}

class OptimizerTest : public DeviceTest {
protected:
    template <class Check>
    void for_every_optimizer(const Check& check) {
        for (const OptimizerCase& entry : optimizer_registry()) {
            SCOPED_TRACE(entry.name + " on " + GetParam().name);
            check(entry);
        }
    }
    template <class Check>
    void for_every_reference(const Check& check) {
        for_every_optimizer([&](const OptimizerCase& entry) {
            if (entry.reference) check(entry);
        });
    }
    // What the plan's states begin with, too.
    static std::unique_ptr<Reference> reference_of(const OptimizerCase& entry, const Training& training,
                                                   std::size_t i) {
        std::unique_ptr<Reference> reference = entry.reference(training.tensor(i).tensor().shape);
        reference->states = training.states_of(i);
        return reference;
    }
    void check_first_step(const OptimizerCase& entry, double gradient_scale,
                          const DisabledCapabilities& disable = {}) {
        Training training(device(disable), entry.make, tensors_of(entry));
        training.draw_gradients(3, gradient_scale);
        std::vector<std::vector<float>> before;
        std::vector<std::unique_ptr<Reference>> references;
        for (std::size_t i = 0; i < training.size(); ++i) {
            before.push_back(training.tensor(i).weight());
            references.push_back(reference_of(entry, training, i));
        }
        training.plan().run();
        for (std::size_t i = 0; i < training.size(); ++i) {
            SCOPED_TRACE(entry.shapes[i].text());
            std::vector<double> w = doubles(before[i]);
            references[i]->step(w, doubles(training.tensor(i).gradient_values()), 1);
            EXPECT_TRUE(update_matches(entry, before[i], training.tensor(i).weight(), w, 1e-4, 3, 16));
        }
    }
};

TEST_P(OptimizerTest, FirstStepMatchesFloat64) {
    for_every_reference([&](const OptimizerCase& entry) { check_first_step(entry, 1.0); });
}

TEST_P(OptimizerTest, FirstStepWithZeroGradientMatchesFloat64) {
    for_every_reference([&](const OptimizerCase& entry) { check_first_step(entry, 0.0); });
}

// A CPU driver takes other ways through memory than a GPU.
TEST_P(OptimizerTest, GpuVariantsMatchFloat64) {
    if (!device().capabilities().cpu) GTEST_SKIP() << "the other tests run them";
    for_every_reference([&](OptimizerCase entry) {
        // Every second shape: compiling the kernels for many takes longest here.
        std::vector<Shape> shapes;
        for (std::size_t i = 1; i < entry.shapes.size(); i += 2) shapes.push_back(entry.shapes[i]);
        entry.shapes = shapes;
        check_first_step(entry, 1.0, {.cpu = true});
    });
}

// However many tensors and shapes there are, a step has the levels of the tensor that takes most alone.
TEST_P(OptimizerTest, LevelsAreThoseOfTheDeepestTensor) {
    for_every_optimizer([&](const OptimizerCase& entry) {
        std::uint32_t deepest = 0;
        for (const TestTensor& tensor : tensors_of(entry))
            deepest = std::max(deepest, Training(device(), entry.make, {tensor}).plan().level_count());
        Training all(device(), entry.make, tensors_of(entry));
        EXPECT_LE(all.plan().level_count(), deepest) << all.plan().describe();
    });
}

TEST_P(OptimizerTest, HundredStepsMatchFloat64) {
    for_every_reference([&](const OptimizerCase& entry) {
        Training training(device(), entry.make, two_tensors(entry));
        std::vector<std::vector<float>> before;
        std::vector<std::vector<double>> expected;
        std::vector<std::vector<double>> largest;  // that each element was on its way
        std::vector<std::unique_ptr<Reference>> references;
        for (std::size_t i = 0; i < training.size(); ++i) {
            before.push_back(training.tensor(i).weight());
            expected.push_back(doubles(before[i]));
            largest.emplace_back(before[i].size(), 0.0);
            references.push_back(reference_of(entry, training, i));
        }
        for (unsigned step = 1; step <= 100; ++step) {
            training.draw_gradients(step);
            for (std::size_t i = 0; i < training.size(); ++i) {
                for (std::size_t k = 0; k < largest[i].size(); ++k)
                    largest[i][k] = std::max(largest[i][k], std::abs(expected[i][k]));
                references[i]->step(expected[i], doubles(training.tensor(i).gradient_values()), step);
            }
            training.plan().run();
        }
        EXPECT_EQ(status(training.plan()).step, 100u);
        for (std::size_t i = 0; i < training.size(); ++i) {
            const std::vector<float> after = training.tensor(i).weight();
            if (entry.element_wise)
                EXPECT_TRUE(within(after, expected[i], [&](std::size_t k) { return 1e-5 * largest[i][k]; }));
            else
                EXPECT_TRUE(update_matches(entry, before[i], after, expected[i], 1e-3, 100, 0));
        }
    });
}

// Bias corrections and counters far from the start; the states are set to what they might be there.
TEST_P(OptimizerTest, LateStepsMatchFloat64) {
    for_every_reference([&](const OptimizerCase& entry) {
        for (const std::uint64_t t : {std::uint64_t{2}, std::uint64_t{1000}, std::uint64_t{1} << 31}) {
            SCOPED_TRACE("step " + std::to_string(t));
            Training training(device(), entry.make, two_tensors(entry));
            training.draw_gradients(5);
            gpu::StepControl control = training.control();
            control.step = control.tick = static_cast<std::uint32_t>(t - 1);
            training.set_control(control);
            std::vector<std::vector<float>> before;
            std::vector<std::unique_ptr<Reference>> references;
            for (std::size_t i = 0; i < training.size(); ++i) {
                before.push_back(training.tensor(i).weight());
                references.push_back(entry.reference(training.tensor(i).tensor().shape));
                const std::string prefix = training.tensor(i).tensor().name + ".";
                unsigned seed = 40;
                for (const Plan::StateEntry& state : training.plan().states()) {
                    if (!state.name.starts_with(prefix)) continue;
                    const std::string name = state.name.substr(prefix.size());
                    std::vector<float> values;
                    if (entry.late_state) values = entry.late_state(name, state.shape);
                    if (values.empty()) {
                        values = normal_values(state.shape.count(), seed++);
                        for (float& value : values) value = std::abs(value) + 0.1f;
                    }
                    training.set_state(state.name, values);
                    references[i]->states[name] = doubles(values);
                }
            }
            training.plan().run();
            EXPECT_EQ(status(training.plan()).step, t);
            for (std::size_t i = 0; i < training.size(); ++i) {
                std::vector<double> w = doubles(before[i]);
                references[i]->step(w, doubles(training.tensor(i).gradient_values()), t);
                EXPECT_TRUE(update_matches(entry, before[i], training.tensor(i).weight(), w, 1e-4, 3, 16));
            }
        }
    });
}

TEST_P(OptimizerTest, NonFiniteStepChangesNoBitAndIsCounted) {
    for_every_optimizer([&](const OptimizerCase& entry) {
        StepOptions options;
        options.ema_decay = 0.9f;
        Training training(device(), entry.make, two_tensors(entry), options);
        Training undisturbed(device(), entry.make, two_tensors(entry), options);
        const float bad[] = {std::numeric_limits<float>::quiet_NaN(), std::numeric_limits<float>::infinity(),
                             -std::numeric_limits<float>::infinity()};
        for (unsigned step = 1; step <= 3; ++step) {
            const auto bits = training.bits();
            training.draw_gradients(100);
            std::vector<float> spoiled = training.tensor(1).gradient_values();
            spoiled.back() = bad[step - 1];
            training.tensor(1).set_gradient(spoiled);
            training.plan().run();
            EXPECT_TRUE(training.bits() == bits);
            const StepStatus skipped = status(training.plan());
            EXPECT_EQ(skipped.step, step - 1);
            EXPECT_EQ(skipped.skipped, step);
            EXPECT_TRUE(skipped.last_skipped);
            EXPECT_EQ(skipped.nonfinite, 1u);

            training.steps(step, 1);
            undisturbed.steps(step, 1);
            EXPECT_TRUE(training.bits() == undisturbed.bits());
            EXPECT_EQ(status(training.plan()).step, step);
            EXPECT_FALSE(status(training.plan()).last_skipped);
        }
    });
}

TEST_P(OptimizerTest, FiniteInputOfAnySizeGivesFiniteResults) {
    for_every_optimizer([&](const OptimizerCase& entry) {
        for (const bool guarded_step : {true, false})
            for (const double scale : {1e-45, 1e-38, 1e-25, 1e-19, 1e19, 1e30, 3e37}) {
                SCOPED_TRACE(scale);
                StepOptions options;
                options.skip_nonfinite = guarded_step;
                options.clip_norm = guarded_step ? 1.0f : 0.0f;
                Training training(device(), entry.make, two_tensors(entry), options);
                for (unsigned step = 1; step <= 3; ++step) {
                    training.draw_gradients(step, scale);
                    std::vector<float> gradient = training.tensor(0).gradient_values();
                    gradient[0] = std::numeric_limits<float>::max();
                    gradient.back() = std::numeric_limits<float>::denorm_min();
                    if (step == 2) training.tensor(0).set_gradient(gradient);
                    training.plan().run();
                }
                EXPECT_EQ(training.nonfinite(), std::vector<std::string>{});
                EXPECT_EQ(status(training.plan()).skipped, 0u);
            }
    });
}

// Weights at the ends of their type's range, rates and decays of 1e38 on top of scales of 1e38, gradients of
// any size: what overflows stops at the largest number of the type.
TEST_P(OptimizerTest, WeightsSaturateAtTheLargestNumberOfTheirType) {
    for_every_optimizer([&](const OptimizerCase& entry) {
        for (const DType dtype : {DType::f32, DType::f16, DType::bf16})
            for (const bool master : {false, true})
                for (const bool decays : {false, true}) {
                    SCOPED_TRACE(std::string(to_string(dtype)) + (master ? " master" : "") +
                                 (decays ? " decay 1e38" : ""));
                    std::vector<TestTensor> tensors = two_tensors(entry);
                    for (TestTensor& tensor : tensors) tensor.weight_dtype = dtype;
                    tensors[1].lr_scale = tensors[1].weight_decay_scale = 1e38f;
                    StepOptions options;
                    options.master_weights = master;
                    options.ema_decay = 0.5f;
                    const MakeOptimizer make = [&](const Device& on) {
                        return decays ? entry.variants.make_extreme(on, 1e38f) : entry.make(on);
                    };
                    Training training(device(), make, tensors, options);
                    set_learning_rate(training.plan(), training.optimizer_name(), 1e38f);
                    const float largest = largest_of(dtype);
                    for (std::size_t i = 0; i < training.size(); ++i) {
                        std::vector<float> weight(training.tensor(i).count());
                        for (std::size_t k = 0; k < weight.size(); ++k)
                            weight[k] = k % 5 == 0 ? 0.0f : k % 2 == 0 ? largest : -largest;
                        training.tensor(i).set_weight(weight);
                    }
                    training.plan().initialize();
                    bool saturated[2] = {};
                    for (unsigned step = 1; step <= 4; ++step) {
                        training.draw_gradients(step, step == 3 ? 3e37 : 1.0);
                        std::vector<float> gradient = training.tensor(0).gradient_values();
                        for (std::size_t k = 0; k < gradient.size(); k += 3) gradient[k] = 0.0f;
                        training.tensor(0).set_gradient(gradient);
                        training.plan().run();
                        ASSERT_EQ(training.nonfinite(), std::vector<std::string>{}) << "step " << step;
                        for (std::size_t i = 0; i < training.size(); ++i)
                            for (const float weight : training.tensor(i).weight())
                                saturated[i] = saturated[i] || std::abs(weight) == largest;
                    }
                    // (A coupled decay of 1e38 throws a weight at the end back to 0.)
                    if (!decays) EXPECT_TRUE(saturated[0] && saturated[1]);
                    EXPECT_EQ(status(training.plan()).step, 4u);
                }
    });
}

// The ends of the range are no trap.
TEST_P(OptimizerTest, SaturatedWeightsComeBack) {
    for (const DType dtype : {DType::f16, DType::bf16, DType::f32}) {
        SCOPED_TRACE(to_string(dtype));
        StepOptions options;
        options.master_weights = true;
        const float largest = largest_of(dtype), gradient = dtype == DType::f16 ? 1e4f : 1e19f;
        const float lr = dtype == DType::f16 ? 1.0f : 1e19f;
        Training training(device(), registry::maker<Sgd>(SgdOptions{.lr = lr}),
                          {{.name = "a", .shape = {2}, .weight_dtype = dtype}}, options);
        training.tensor().set_weight({largest, -largest});
        training.plan().initialize();
        training.tensor().set_gradient({-gradient, gradient});
        for (int step = 0; step < 5; ++step) training.plan().run();
        EXPECT_EQ(training.tensor().weight(), (std::vector<float>{largest, -largest}));
        training.tensor().set_gradient({gradient, -gradient});
        training.plan().run();
        const float expected = rounded(static_cast<double>(largest - lr * gradient), dtype);
        EXPECT_EQ(training.tensor().weight(), (std::vector<float>{expected, -expected}));
    }
}

TEST_P(OptimizerTest, RepetitionSlicesAndManySubmissionsGiveTheSameBits) {
    for_every_optimizer([&](const OptimizerCase& entry) {
        StepOptions options;
        options.clip_norm = 0.5f;
        const auto start = [&](Training& training) { training.draw_gradients(9); };
        Training one(device(), entry.make, tensors_of(entry), options);
        start(one);
        for (int step = 0; step < 3; ++step) one.plan().run();
        Training two(device(), entry.make, tensors_of(entry), options);
        start(two);
        std::uint64_t ticket = 0;
        for (int step = 0; step < 3; ++step) ticket = two.plan().submit();
        two.plan().wait(ticket);
        EXPECT_TRUE(one.bits() == two.bits());
        Training three(device(), entry.make, tensors_of(entry), options);
        start(three);
        Commands commands(device());
        for (int step = 0; step < 3; ++step) run_sliced(three, commands);
        EXPECT_TRUE(one.bits() == three.bits());
    });
}

TEST_P(OptimizerTest, ResumedTrainingEqualsTheUninterruptedOne) {
    const std::filesystem::path file = std::filesystem::temp_directory_path() /
                                       ("heron_resume_" + std::to_string(GetParam().index) + ".safetensors");
    for_every_optimizer([&](const OptimizerCase& entry) {
        StepOptions options;
        options.ema_decay = 0.9f;
        Training whole(device(), entry.make, two_tensors(entry), options);
        whole.steps(1, 3);
        save_checkpoint(whole.plan(), file, {{"epoch", "3"}});
        whole.steps(4, 3);
        {
            Training resumed(device(), entry.make, two_tensors(entry), options, 50);
            const auto metadata = load_checkpoint(resumed.plan(), file);
            EXPECT_EQ(metadata, (std::map<std::string, std::string>{{"epoch", "3"}}));
            EXPECT_EQ(status(resumed.plan()).step, 3u);
            resumed.steps(4, 3);
            EXPECT_TRUE(resumed.bits() == whole.bits());
        }
        Training cold(device(), entry.make, two_tensors(entry), options, 50);
        cold.steps(4, 3);
        EXPECT_FALSE(cold.bits() == whole.bits());
    });
    std::filesystem::remove(file);
}

TEST_P(OptimizerTest, TheCheckpointOfAnotherIsRefusedAndChangesNothing) {
    const std::filesystem::path file = std::filesystem::temp_directory_path() /
                                       ("heron_other_" + std::to_string(GetParam().index) + ".safetensors");
    const std::vector<TestTensor> tensors{{.name = "a", .shape = {6, 4}}};
    const std::vector<OptimizerCase> registry = optimizer_registry();
    for (std::size_t i = 0; i < registry.size(); ++i) {
        SCOPED_TRACE(registry[i].name);
        Training saved(device(), registry[i].make, tensors);
        saved.steps(1, 1);
        save_checkpoint(saved.plan(), file);
        Training other(device(), registry[(i + 1) % registry.size()].make, tensors);
        const auto bits = other.bits();
        try {
            load_checkpoint(other.plan(), file);
            ADD_FAILURE() << "accepted";
        } catch (const Error& error) {
            EXPECT_EQ(error.code(), ErrorCode::invalid_argument) << error.what();
            EXPECT_NE(std::string(error.what()).find("belongs to another plan"), std::string::npos);
        }
        EXPECT_TRUE(other.bits() == bits);
    }
    std::filesystem::remove(file);
}

TEST_P(OptimizerTest, SixteenBitParametersAreRoundedOnce) {
    for_every_reference([&](const OptimizerCase& entry) {
        for (const DType dtype : {DType::f16, DType::bf16})
            for (const bool master : {false, true}) {
                SCOPED_TRACE(std::string(to_string(dtype)) + (master ? " with master" : ""));
                std::vector<TestTensor> tensors = tensors_of(entry);
                for (std::size_t i = 0; i < tensors.size(); ++i) {
                    tensors[i].weight_dtype = dtype;
                    tensors[i].gradient_dtype = i % 2 == 0 ? dtype : DType::f32;
                }
                StepOptions options;
                options.master_weights = master;
                options.ema_decay = 0.5f;  // the kernels of WeightsSaturate...: compiling takes longest here
                Training training(device(), entry.make, tensors, options);
                training.draw_gradients(3);
                std::vector<std::vector<float>> before;
                std::vector<std::unique_ptr<Reference>> references;
                for (std::size_t i = 0; i < training.size(); ++i) {
                    before.push_back(training.tensor(i).weight());
                    references.push_back(reference_of(entry, training, i));
                }
                training.plan().run();
                for (std::size_t i = 0; i < training.size(); ++i) {
                    SCOPED_TRACE(entry.shapes[i].text());
                    std::vector<double> w = doubles(before[i]);
                    references[i]->step(w, doubles(training.tensor(i).gradient_values()), 1);
                    const std::vector<float> after = training.tensor(i).weight();
                    if (master) {
                        const std::vector<float> exact = training.state("p" + std::to_string(i) + ".master");
                        EXPECT_TRUE(update_matches(entry, before[i], exact, w, 1e-4, 3, 16));
                        for (std::size_t k = 0; k < after.size(); ++k)
                            ASSERT_EQ(after[k], rounded(static_cast<double>(exact[k]), dtype)) << k;
                    } else {
                        // Half a unit of the type, a subnormal's step, and the update's own error.
                        EXPECT_TRUE(within(after, w, [&](std::size_t k) {
                            const double update = std::abs(w[k] - static_cast<double>(before[i][k]));
                            return (unit_of(dtype) + 16 * kU) * std::abs(w[k]) + 1e-4 * update + 0x1p-25;
                        }));
                    }
                }
            }
    });
}

// Addresses that are multiples of 4 and not of 16 take another way through memory, to the same bits.
TEST_P(OptimizerTest, MisalignedTensorsGiveTheSameBits) {
    for (const bool gpu_variants : {false, true})
        for_every_optimizer([&](const OptimizerCase& entry) {
            Device& with = device({.cpu = gpu_variants});
            for (const DType dtype : {DType::f32, DType::f16}) {
                std::vector<TestTensor> tensors = two_tensors(entry);
                for (TestTensor& tensor : tensors) tensor.weight_dtype = tensor.gradient_dtype = dtype;
                StepOptions options;
                options.master_weights = options.accumulate = true;
                options.ema_decay = 0.5f;
                const auto run = [&](Training& training) {
                    for (unsigned step = 1; step <= 2; ++step) {
                        training.draw_gradients(step);
                        training.plan().wait(training.plan().submit_accumulate());
                        training.plan().run();
                    }
                };
                Training aligned(with, entry.make, tensors, options);
                for (TestTensor& tensor : tensors) tensor.shift_bytes = 4;
                Training shifted(with, entry.make, tensors, options);
                run(aligned);
                run(shifted);
                EXPECT_TRUE(aligned.bits() == shifted.bits());
            }
        });
}

TEST_P(OptimizerTest, RateOfZeroLeavesTheParameters) {
    for_every_optimizer([&](const OptimizerCase& entry) {
        Training training(device(), entry.make, two_tensors(entry));
        const std::string name = training.optimizer_name();
        set_learning_rate(training.plan(), name, 0.0f);
        const std::vector<std::byte> a = training.tensor(0).weight_bytes(),
                                     b = training.tensor(1).weight_bytes();
        training.steps(1, 3);
        EXPECT_TRUE(training.tensor(0).weight_bytes() == a && training.tensor(1).weight_bytes() == b);
        EXPECT_EQ(status(training.plan()).step, 3u);
    });
}

TEST_P(OptimizerTest, TensorsWithoutElementsAreNoTrouble) {
    for_every_optimizer([&](const OptimizerCase& entry) {
        StepOptions options;
        options.accumulate = options.master_weights = true;
        options.ema_decay = 0.5f;
        Training training(device(), entry.make,
                          {{.name = "none", .shape = {0, 5}},
                           {.name = "a", .shape = {3, 4}},
                           {.name = "nothing", .shape = {5, 0}}},
                          options);
        const std::vector<float> before = training.tensor(1).weight();
        training.plan().wait(training.plan().submit_accumulate());
        training.plan().run();
        EXPECT_NE(training.tensor(1).weight(), before);
        Training only_none(device(), entry.make, {{.name = "none", .shape = {0, 5}}});
        only_none.plan().run();
        EXPECT_EQ(status(only_none.plan()).step, 1u);
    });
}

// Gradients that move between steps, as an engine's frames do, also to addresses with another alignment.
TEST_P(OptimizerTest, MovedGradientsGiveTheSameBits) {
    for_every_optimizer([&](const OptimizerCase& entry) {
        Training still(device(), entry.make, two_tensors(entry)),
            moving(device(), entry.make, two_tensors(entry));
        still.steps(1, 2);
        TestTensor elsewhere = moving.tensor(0).tensor();
        elsewhere.shift_bytes = 4;
        TrainedTensor other(device(), elsewhere, 77);
        moving.steps(1, 1);
        moving.draw_gradients(2);
        other.set_gradient(moving.tensor(0).gradient_values());
        moving.tensor(0).set_gradient(std::vector<float>(moving.tensor(0).count(), 100.0f));
        moving.tensor(0).set_captures(other.gradient_values());
        const Plan::Rebinding rebinding{"a.grad", other.parameter().gradient};
        moving.plan().rebind(std::span(&rebinding, 1));
        moving.plan().run();
        EXPECT_TRUE(still.bits() == moving.bits());
    });
}

// The wrappers of StepOptions. Two equal micro-batches have the mean of one, to the bit; the average follows
// what the step makes of the weights.
TEST_P(OptimizerTest, AccumulationAndAveragesWorkAroundEveryOptimizer) {
    for_every_optimizer([&](const OptimizerCase& entry) {
        StepOptions options;
        options.ema_decay = 0.75f;
        Training plain(device(), entry.make, two_tensors(entry), options);
        options.accumulate = true;
        Training accumulated(device(), entry.make, two_tensors(entry), options);
        std::vector<std::vector<double>> average;
        for (std::size_t i = 0; i < plain.size(); ++i) average.push_back(doubles(plain.tensor(i).weight()));
        for (unsigned step = 1; step <= 4; ++step) {
            plain.steps(step, 1);
            accumulated.draw_gradients(step);
            for (int micro_batch = 0; micro_batch < 2; ++micro_batch)
                accumulated.plan().wait(accumulated.plan().submit_accumulate());
            accumulated.plan().run();
            for (std::size_t i = 0; i < plain.size(); ++i) {
                const std::vector<float> weight = plain.tensor(i).weight();
                const std::string name = plain.tensor(i).tensor().name + ".ema";
                EXPECT_TRUE(accumulated.tensor(i).weight() == weight);
                EXPECT_TRUE(accumulated.state(name) == plain.state(name));
                for (std::size_t k = 0; k < weight.size(); ++k)
                    average[i][k] += 0.25 * (static_cast<double>(weight[k]) - average[i][k]);
                // Three roundings a step, of numbers as large as weight and average together.
                EXPECT_TRUE(within(plain.state(name), average[i], [&](std::size_t k) {
                    return 3 * step * kU * (std::abs(average[i][k]) + std::abs(weight[k])) + 1e-37;
                }));
            }
        }
    });
}

TEST_P(OptimizerTest, AThousandEqualStepsStayFinite) {
    Training training(device(), every_optimizer({5, 4}));
    std::uint64_t ticket = 0;
    for (int step = 1; step <= 1000; ++step) {
        ticket = training.plan().submit();
        if (step % 10 == 0) training.plan().wait(ticket);  // well within its time on a busy machine
    }
    EXPECT_EQ(status(training.plan()).step, 1000u);
    EXPECT_EQ(training.nonfinite(), std::vector<std::string>{});
}

HERON_DEVICE_TESTS(OptimizerTest);

}  // namespace
}  // namespace heron::test
