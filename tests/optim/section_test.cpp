// SPDX-License-Identifier: MIT
// A recipe with sections: it refreshes a preconditioner every few steps, each parameter in another one, as
// Shampoo does, and uses it in all of them; beside AdamW and Muon, in one plan.
#include <gtest/gtest.h>

#include <filesystem>
#include <limits>

#include "optim/hyper.hpp"
#include "optim/reference.hpp"
#include "optim/step_builder.hpp"
#include "optim/training.hpp"

namespace heron::test {
namespace {

constexpr std::uint32_t kInterval = 3;
constexpr float kRate = 0.01f;
constexpr float kSize = 0.05f;

// P <- kSize G G^T every third step, staggered; W <- W - kRate P G.
class SectionedOptimizer : public Optimizer {
public:
    explicit SectionedOptimizer(const Device& device) : Optimizer(device, "sectioned") {}

private:
    std::vector<HyperValue> hyper() const override { return {}; }
    std::string options_text() const override { return "sectioned"; }
    void build(StepBuilder& step) const override {
        std::uint32_t index = 0;
        for (const StepBuilder::Item& item : step.items()) {
            const std::uint64_t rows = item.weight.rows();
            const Tensor p = step.state(item, "p", DType::f32, {rows, rows});
            step.graph().set_stage("refresh");
            step.graph().set_section({kInterval, index++ % kInterval});
            syrk(step.graph(), item.gradient, {}, p, {.alpha = kSize});
            step.graph().set_section({});
            step.graph().set_stage("precondition");
            gemm(step.graph(), p, item.gradient, item.weight, item.weight, {.alpha = -kRate, .beta = 1.0f});
        }
    }
};

class SectionedReference {
public:
    SectionedReference(const Shape& shape, std::uint32_t phase) : shape_(shape), phase_(phase) {
        p_.setZero(static_cast<Eigen::Index>(shape[0]), static_cast<Eigen::Index>(shape[0]));
    }
    void step(std::vector<double>& w, const std::vector<double>& g, std::uint64_t t) {
        const Matrix64 gradient = matrix_of(g, shape_[0], shape_[1]);
        if ((t - 1) % kInterval == phase_) p_ = static_cast<double>(kSize) * gradient * gradient.transpose();
        const Matrix64 update = static_cast<double>(kRate) * p_ * gradient;
        for (std::size_t i = 0; i < w.size(); ++i) w[i] -= update.data()[i];
    }

private:
    Shape shape_;
    std::uint32_t phase_;
    Matrix64 p_;
};

const std::vector<Shape> kShapes{{6, 10}, {17, 5}, {33, 20}, {8, 8}};

std::vector<Training::Group> groups() {
    std::vector<TestTensor> sectioned;
    for (std::size_t i = 0; i < kShapes.size(); ++i)
        sectioned.push_back({.name = "s" + std::to_string(i), .shape = kShapes[i]});
    return {{[](const Device& on) { return std::make_unique<SectionedOptimizer>(on); }, sectioned},
            {[](const Device& on) { return std::make_unique<AdamW>(on); }, {{.name = "bias", .shape = {50}}}},
            {[](const Device& on) { return std::make_unique<Muon>(on); },
             {{.name = "hidden", .shape = {12, 9}}}}};
}

class SectionTest : public DeviceTest {};

TEST_P(SectionTest, RefreshesOnlyInItsStepsAndMatchesFloat64) {
    Training training(device(), groups());
    std::vector<std::vector<double>> expected;
    std::vector<SectionedReference> references;
    for (std::size_t i = 0; i < kShapes.size(); ++i) {
        expected.push_back(doubles(training.tensor(i).weight()));
        references.emplace_back(kShapes[i], static_cast<std::uint32_t>(i) % kInterval);
    }
    std::vector<std::vector<std::byte>> before(kShapes.size());
    for (unsigned step = 1; step <= 7; ++step) {
        for (std::size_t i = 0; i < kShapes.size(); ++i)
            before[i] = training.state_bytes("s" + std::to_string(i) + ".p");
        training.steps(step, 1);
        for (std::size_t i = 0; i < kShapes.size(); ++i) {
            const bool refreshes = (step - 1) % kInterval == i % kInterval;
            EXPECT_EQ(training.state_bytes("s" + std::to_string(i) + ".p") != before[i], refreshes)
                << "step " << step;
            references[i].step(expected[i], doubles(training.tensor(i).gradient_values()), step);
        }
    }
    for (std::size_t i = 0; i < kShapes.size(); ++i)
        EXPECT_TRUE(within(training.tensor(i).weight(), expected[i],
                           [&](std::size_t k) { return 1e-5 * (1 + std::abs(expected[i][k])); }));
}

TEST_P(SectionTest, RecordedReplayedAndSlicedStepsGiveTheSameBits) {
    constexpr unsigned kSteps = 2 * kInterval + 1;
    Training submitted(device(), groups());
    submitted.steps(1, kSteps);

    Commands commands(device());
    Training replayed(device(), groups());
    const VkCommandBuffer once = commands.begin();
    replayed.plan().record(once);
    commands.end(once);
    Training sliced(device(), groups());
    for (unsigned step = 1; step <= kSteps; ++step) {
        replayed.draw_gradients(step);
        commands.submit(once);
        sliced.draw_gradients(step);
        run_sliced(sliced, commands);
    }
    EXPECT_TRUE(replayed.bits() == submitted.bits());
    EXPECT_TRUE(sliced.bits() == submitted.bits());
}

TEST_P(SectionTest, SkippedStepsDoNotCountForTheInterval) {
    Training disturbed(device(), groups()), calm(device(), groups());
    for (unsigned step = 1; step <= 4; ++step) {
        disturbed.draw_gradients(77);
        std::vector<float> gradient = disturbed.tensor(0).gradient_values();
        gradient[3] = std::numeric_limits<float>::infinity();
        disturbed.tensor(0).set_gradient(gradient);
        disturbed.plan().run();
        disturbed.steps(step, 1);
        calm.steps(step, 1);
        EXPECT_TRUE(disturbed.bits() == calm.bits()) << "step " << step;
    }
}

TEST_P(SectionTest, ResumedInTheMiddleOfAnInterval) {
    const std::filesystem::path file = std::filesystem::temp_directory_path() /
                                       ("heron_section_" + std::to_string(GetParam().index) + ".safetensors");
    Training whole(device(), groups());
    whole.steps(1, 2);
    save_checkpoint(whole.plan(), file);
    whole.steps(3, 4);
    Training resumed(device(), groups(), {}, 99);
    load_checkpoint(resumed.plan(), file);
    resumed.steps(3, 4);
    EXPECT_TRUE(resumed.bits() == whole.bits());
    std::filesystem::remove(file);
}

HERON_DEVICE_TESTS(SectionTest);

}  // namespace
}  // namespace heron::test
