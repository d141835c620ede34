// SPDX-License-Identifier: MIT
// M-FAC: windows of layers and of whole models against float64, 16-bit windows, sparse parameters, factors
// that are kept, what a step reports, what is refused.

#include <gtest/gtest.h>

#include <algorithm>
#include <array>
#include <cmath>
#include <filesystem>
#include <memory>

#include "optim/optimizer_checks.hpp"
#include "optim/reference_mfac.hpp"
#include "optim/training.hpp"

namespace heron::test {
namespace {

// WindowFactor::counts: whether there is a factor, the exponent of the system's scale, rows replaced since it
// was made, how often it was made, replacements that broke down.
using Counts = std::array<std::uint32_t, WindowFactor::kCounts>;

// Gradients whose largest elements are 1: the scale of the small system stays, and with it all of the system
// but a row and its column.
void draw_unit_gradients(Training& training, unsigned step) {
    training.draw_gradients(step);
    for (std::size_t i = 0; i < training.size(); ++i) {
        std::vector<float> gradient = training.tensor(i).gradient_values();
        float largest = 0;
        for (const float g : gradient) largest = std::max(largest, std::abs(g));
        for (float& g : gradient) g /= largest;
        training.tensor(i).set_gradient(gradient);
    }
}

class MfacTest : public DeviceTest {
protected:
    static MakeOptimizer make(const MfacOptions& options) {
        return [=](const Device& on) { return std::make_unique<Mfac>(on, options); };
    }
    template <class Number>
    static Number read(const Plan& plan, const std::string& state) {
        Number value{};
        plan.read_state(state, std::as_writable_bytes(std::span(&value, 1)));
        return value;
    }
};

// A training's steps in float64.
class MfacReference {
public:
    MfacReference(const MfacOptions& options, const std::vector<std::size_t>& counts)
        : options_(options), counts_(counts) {
        std::size_t all = 0;
        for (const std::size_t count : counts) all += count;
        const auto window = [&](std::size_t d) {
            windows_.emplace_back(options.window, d, options.damping, options.average == MfacAverage::filled);
        };
        if (options.blocks == MfacBlocks::model)
            window(all);
        else
            for (const std::size_t count : counts) window(count);
    }

    void step(std::vector<std::vector<double>>& weights, const std::vector<std::vector<double>>& gradients) {
        std::vector<std::vector<double>> blocks(windows_.size());
        for (std::size_t i = 0; i < counts_.size(); ++i) {
            std::vector<double>& block = blocks[windows_.size() == 1 ? 0 : i];
            for (std::size_t k = 0; k < counts_[i]; ++k)
                block.push_back(gradients[i][k] + options_.weight_decay * weights[i][k]);
        }
        std::vector<double> all;
        for (std::size_t b = 0; b < blocks.size(); ++b) {
            const std::vector<double> u = windows_[b].push(blocks[b]);
            all.insert(all.end(), u.begin(), u.end());
        }
        momentum_.resize(all.size(), 0.0);
        std::size_t at = 0;
        for (std::vector<double>& weight : weights)
            for (double& w : weight) {
                momentum_[at] = options_.momentum * momentum_[at] + (1 - options_.momentum) * all[at];
                w -= static_cast<double>(options_.lr) * momentum_[at++];
            }
    }

private:
    MfacOptions options_;
    std::vector<std::size_t> counts_;
    std::vector<MfacWindow> windows_;
    std::vector<double> momentum_;
};

// Both kinds of windows, before and after they are full, with weights of all types; a window of one, and one
// that never fills.
TEST_P(MfacTest, StepsMatchFloat64) {
    MfacOptions options;
    options.lr = 0.1f;
    options.damping = 1e-3f;
    std::vector<MfacOptions> forms;
    for (const MfacBlocks blocks : {MfacBlocks::model, MfacBlocks::layer}) {
        options.blocks = blocks;
        options.window = blocks == MfacBlocks::model ? 5 : 3;
        options.momentum = blocks == MfacBlocks::model ? 0.9 : 0.0;
        options.weight_decay = 0.1f;
        options.average = blocks == MfacBlocks::model ? MfacAverage::window : MfacAverage::filled;
        forms.push_back(options);
    }
    options.window = 1;
    forms.push_back(options);
    options.window = 70;
    options.refinement = Refinement::always;
    forms.push_back(options);
    for (const MfacOptions& form : forms) {
        SCOPED_TRACE("window " + std::to_string(form.window));
        std::vector<TestTensor> tensors{{.name = "a", .shape = {6, 10}},
                                        {.name = "none", .shape = {0, 3}},
                                        {.name = "b", .shape = {7}, .weight_dtype = DType::f16},
                                        {.name = "c", .shape = {3, 1, 5}, .gradient_dtype = DType::bf16}};
        StepOptions step_options;
        step_options.master_weights = true;
        Training training(device(), make(form), tensors, step_options);
        std::vector<std::size_t> counts;
        std::vector<std::vector<double>> weights;
        for (std::size_t i = 0; i < training.size(); ++i) {
            counts.push_back(training.tensor(i).count());
            weights.push_back(doubles(training.tensor(i).weight()));
        }
        if (form.blocks == MfacBlocks::layer) counts.erase(counts.begin() + 1);
        MfacReference reference(form, counts);
        for (unsigned step = 1; step <= 8; ++step) {
            training.draw_gradients(step);
            std::vector<std::vector<double>> gradients;
            for (std::size_t i = 0; i < training.size(); ++i)
                gradients.push_back(doubles(training.tensor(i).gradient_values()));
            training.plan().run();
            if (form.blocks == MfacBlocks::layer) {
                weights.erase(weights.begin() + 1);
                gradients.erase(gradients.begin() + 1);
            }
            reference.step(weights, gradients);
            if (form.blocks == MfacBlocks::layer) weights.insert(weights.begin() + 1, {{}});
        }
        for (const std::size_t i : {0u, 2u, 3u}) {
            const std::vector<float> w = i == 2 ? training.state("b.master") : training.tensor(i).weight();
            EXPECT_TRUE(within(w, weights[i], [&](std::size_t) { return 2e-5; })) << tensors[i].name;
        }
    }
}

// Rows as 16 bits hold them, whatever their size, are the rows that count.
TEST_P(MfacTest, SixteenBitWindowsHoldRoundedGradients) {
    for (const DType dtype : {DType::f16, DType::bf16})
        for (const double size : {1.0, 1e-12}) {
            SCOPED_TRACE(std::string(to_string(dtype)) + " " + std::to_string(size));
            MfacOptions options{.lr = 1.0f, .window = 4, .damping = static_cast<float>(1e-2 * size * size)};
            options.window_dtype = dtype;
            Training training(device(), make(options), {{.name = "a", .shape = {37}}});
            MfacWindow reference(4, 37, static_cast<double>(options.damping));
            for (unsigned step = 1; step <= 6; ++step) {
                training.draw_gradients(step, size);
                training.tensor().set_weight(std::vector<float>(37, 0.0f));
                training.plan().run();
                std::vector<double> rounded_row;
                double largest = 0;
                for (const float g : training.tensor().gradient_values())
                    largest = std::max(largest, std::abs(static_cast<double>(g)));
                const int e = static_cast<int>(std::ceil(std::log2(largest)));
                for (const float g : training.tensor().gradient_values())
                    rounded_row.push_back(std::ldexp(
                        static_cast<double>(rounded(std::ldexp(static_cast<double>(g), -e), dtype)), e));
                std::vector<double> expected = reference.push(rounded_row);
                double norm = 0;
                for (double& x : expected) {
                    norm = std::max(norm, std::abs(x));
                    x = -x;
                }
                EXPECT_TRUE(
                    within(training.tensor().weight(), expected, [&](std::size_t) { return 2e-5 * norm; }));
            }
        }
}

TEST_P(MfacTest, SparseElementsStayOutOfTheWindow) {
    MfacOptions options{.lr = 0.1f, .window = 3, .damping = 1e-2f, .momentum = 0.5, .weight_decay = 0.1f};
    options.sparse = true;
    Training training(device(), make(options), {{.name = "a", .shape = {5, 9}}});
    std::vector<float> start = training.tensor().weight();
    std::vector<std::size_t> moving;
    for (std::size_t i = 0; i < start.size(); ++i) {
        if (i % 3 == 1)
            start[i] = i % 2 == 0 ? 0.0f : -0.0f;
        else
            moving.push_back(i);
    }
    training.tensor().set_weight(start);
    training.plan().initialize();
    MfacReference reference(options, {moving.size()});
    std::vector<std::vector<double>> weights(1);
    for (const std::size_t i : moving) weights[0].push_back(static_cast<double>(start[i]));
    for (unsigned step = 1; step <= 5; ++step) {
        training.draw_gradients(step);
        std::vector<double> gradient;
        for (const std::size_t i : moving)
            gradient.push_back(static_cast<double>(training.tensor().gradient_values()[i]));
        training.plan().run();
        reference.step(weights, {gradient});
    }
    const std::vector<float> after = training.tensor().weight();
    std::vector<float> moved;
    for (const std::size_t i : moving) moved.push_back(after[i]);
    EXPECT_TRUE(within(moved, weights[0], [](std::size_t) { return 2e-5; }));
    for (std::size_t i = 1; i < after.size(); i += 3) EXPECT_EQ(after[i], 0.0f) << i;
}

// A step replaces a row; the factor is made anew after m of them. While MfacAverage::filled adds a damping
// for each row that comes, all steps make it anew.
TEST_P(MfacTest, KeptFactorsTurnWithTheWindow) {
    constexpr std::uint32_t kWindow = 5;
    for (const MfacAverage average : {MfacAverage::window, MfacAverage::filled})
        for (const DType dtype : {DType::f32, DType::bf16}) {
            const bool fills = average == MfacAverage::filled;
            SCOPED_TRACE(std::string(to_string(dtype)) + (fills ? ", filled" : ""));
            MfacOptions options{.lr = 1.0f, .window = kWindow, .damping = 1e-2f};
            options.average = average;
            options.window_dtype = dtype;
            options.keep_factor = true;
            Training training(device(), make(options), {{.name = "a", .shape = {37}}});
            const double damping = static_cast<double>(options.damping);
            MfacWindow reference(kWindow, 37, damping, fills);
            for (std::uint32_t step = 0; step <= 3 * kWindow; ++step) {
                draw_unit_gradients(training, step + 1);
                training.tensor().set_weight(std::vector<float>(37, 0.0f));
                training.plan().run();
                std::vector<double> row;
                for (const float g : training.tensor().gradient_values())
                    row.push_back(static_cast<double>(rounded(static_cast<double>(g), dtype)));
                const std::vector<double> expected = reference.push(row),
                                          w = doubles(training.tensor().weight());
                double error = 0, size = 0;
                for (std::size_t i = 0; i < w.size(); ++i) {
                    error += std::pow(w[i] + expected[i], 2);
                    size += std::pow(expected[i], 2);
                }
                // What the small system's solution owes, and the sum of m products for each element.
                EXPECT_LE(std::sqrt(error), reference.direction_error(damping) + 0x1p-22 * std::sqrt(size))
                    << "step " << step;
                // Steps before the window is full, and those since.
                const std::uint32_t before = fills ? std::min(step, kWindow - 1) : 0, since = step - before;
                const Counts expected_counts{1, 0, since % (kWindow + 1), before + since / (kWindow + 1) + 1,
                                             0};
                EXPECT_EQ(read<Counts>(training.plan(), "mfac.factor_counts"), expected_counts)
                    << "step " << step;
            }
        }
}

// A factor with replaced rows has other bits than one made of the same system: a file has to bring it.
TEST_P(MfacTest, KeptFactorsAreResumed) {
    const std::filesystem::path file = std::filesystem::temp_directory_path() /
                                       ("heron_mfac_" + std::to_string(GetParam().index) + ".safetensors");
    const std::vector<TestTensor> tensors{{.name = "a", .shape = {37}}, {.name = "b", .shape = {6, 5}}};
    MfacOptions options{.lr = 0.1f, .window = 4, .damping = 1e-2f, .blocks = MfacBlocks::layer};
    options.keep_factor = true;
    const auto run = [](Training& training, const std::vector<unsigned>& steps) {
        for (const unsigned step : steps) {
            draw_unit_gradients(training, step);
            training.plan().run();
        }
    };
    Training whole(device(), make(options), tensors);
    run(whole, {1, 2, 3});
    save_checkpoint(whole.plan(), file);
    run(whole, {4, 5});
    Training resumed(device(), make(options), tensors, {}, 50);
    load_checkpoint(resumed.plan(), file);
    run(resumed, {4, 5});
    EXPECT_TRUE(resumed.bits() == whole.bits());
    for (const char* name : {"a.factor_counts", "b.factor_counts"})
        EXPECT_EQ(read<Counts>(resumed.plan(), name), (Counts{1, 0, 4, 1, 0})) << name;

    // Not one of a training that keeps none.
    options.keep_factor = false;
    Training other(device(), make(options), tensors);
    expect_refused([&] { load_checkpoint(other.plan(), file); }, {"another plan", "keep_factor"});
    std::filesystem::remove(file);
}

// Dampings that drown, windows that are not finite.
TEST_P(MfacTest, ReportsWhatItSolvedWith) {
    const std::vector<TestTensor> tensors{{.name = "a", .shape = {40}}};
    MfacOptions options{.lr = 1.0f, .window = 4, .damping = 1e-9f};
    Training training(device(), make(options), tensors);
    training.steps(1, 1);
    double trace = 0;
    for (const float g : training.tensor().gradient_values()) trace += static_cast<double>(g) * g / 4;
    EXPECT_EQ(read<std::uint32_t>(training.plan(), "mfac.status"),
              static_cast<std::uint32_t>(MatrixStatus::jittered));
    EXPECT_NEAR(read<float>(training.plan(), "mfac.damping"), 0x1p-21 * trace, 1e-4 * 0x1p-21 * trace);

    options.keep_factor = true;
    Training kept(device(), make(options), tensors);
    kept.steps(1, 1);
    EXPECT_EQ(read<std::uint32_t>(kept.plan(), "mfac.status"),
              static_cast<std::uint32_t>(MatrixStatus::jittered));
    EXPECT_EQ(static_cast<double>(read<float>(kept.plan(), "mfac.damping")),
              std::exp2(std::ceil(std::log2(0x1p-21 * trace))));

    options.keep_factor = false;
    options.damping = 0.5f;
    Training plain(device(), make(options), tensors);
    plain.steps(1, 1);
    EXPECT_EQ(read<std::uint32_t>(plain.plan(), "mfac.status"), static_cast<std::uint32_t>(MatrixStatus::ok));
    EXPECT_EQ(read<float>(plain.plan(), "mfac.damping"), 0.5f);
    // A window that is not finite makes no step.
    std::vector<float> window(4 * 40, 1.0f);
    window[3] = std::numeric_limits<float>::infinity();
    plain.set_state("mfac.window", window);
    const std::vector<float> before = plain.tensor().weight();
    plain.steps(2, 1);
    EXPECT_EQ(read<std::uint32_t>(plain.plan(), "mfac.status"),
              static_cast<std::uint32_t>(MatrixStatus::nonfinite));
    EXPECT_EQ(plain.tensor().weight(), before);
}

// The damping of a layer goes with its scales.
TEST_P(MfacTest, LayersScaleTheirDamping) {
    GuardedBuffer& weights = guarded(std::vector<float>(8, 0.0f));
    GuardedBuffer& gradients = guarded(std::vector<float>(8, 1.0f));
    Mfac mfac(device(), {.window = 2, .damping = 0.25f, .blocks = MfacBlocks::layer});
    Parameter parameter{"p", weights.view(DType::f32, {8}), gradients.view(DType::f32, {8})};
    parameter.damping_scale = {.inputs = 2.0f, .outputs = 4.0f};
    mfac.add(parameter);
    Plan plan = compile(device(), {&mfac});
    plan.allocate();
    plan.initialize();
    plan.run();
    EXPECT_EQ(read<float>(plan, "p.damping"), 2.0f);
    // g / (damping + |g|^2 / 2)
    EXPECT_NEAR(weights.floats()[5], -1e-3f / (2.0f + 4.0f), 1e-9f);
}

TEST_P(MfacTest, RefusesWhatItCannotDo) {
    const Device& d = device();
    expect_refused([&] { Mfac(d, {.window = 0}); }, {"Mfac", "window", "1 to 1024"});
    expect_refused([&] { Mfac(d, {.window = 1025}); }, {"Mfac", "window", "1025"});
    expect_refused([&] { Mfac(d, {.damping = 0.0f}); }, {"Mfac", "damping"});
    expect_refused([&] { Mfac(d, {.damping = -1.0f}); }, {"Mfac", "damping"});
    expect_refused([&] { Mfac(d, {.momentum = 1.0}); }, {"Mfac", "momentum"});
    expect_refused([&] { Mfac(d, {.weight_decay = -1.0f}); }, {"Mfac", "weight_decay"});
    expect_refused([&] { Mfac(d, {.lr = INFINITY}); }, {"Mfac", "lr"});
    expect_refused([&] { Mfac(d, {.window_dtype = DType::u32}); }, {"Mfac", "window_dtype"});
    expect_refused([&] { Mfac(d, {.blocks = static_cast<MfacBlocks>(2)}); }, {"Mfac", "blocks"});
    expect_refused([&] { Mfac(d, {.average = static_cast<MfacAverage>(2)}); }, {"Mfac", "average"});
    // 2^31 words and four; nothing of the memory is touched.
    const std::uint64_t count = (std::uint64_t{1} << 21) + 1;
    const VkDeviceAddress address = std::uint64_t{1} << 40;
    TensorView view{address, DType::f32, Shape{count}, 0, 0}, other = view;
    other.address += 16 * count;
    Mfac large(d);
    large.add({"p", view, other});
    expect_refused([&] { compile(d, {&large}); }, {"mfac", "1024", "2^31"});
    GuardedBuffer& two = guarded(std::vector<float>(2, 1.0f));
    Mfac scaled(d, {.blocks = MfacBlocks::layer});
    Parameter parameter{"p", two.view(DType::f32, {1}), two.view(DType::f32, {1}, 4)};
    parameter.damping_scale.inputs = 0.0f;
    scaled.add(parameter);
    expect_refused([&] { compile(d, {&scaled}); }, {"mfac", "damping", "p"});
}

HERON_DEVICE_TESTS(MfacTest);

}  // namespace
}  // namespace heron::test
