// SPDX-License-Identifier: MIT
// A recipe with sections, of Shampoo's shape: every few steps, each parameter in another one, it refreshes a
// preconditioner by a long chain of dependent products, and uses it in all steps; beside AdamW and Muon, in
// one plan.
#include <gtest/gtest.h>

#include <algorithm>
#include <filesystem>
#include <limits>

#include "graph/hazards.hpp"
#include "graph/plan.hpp"
#include "optim/chance_draw.hpp"
#include "optim/hyper.hpp"
#include "optim/reference.hpp"
#include "optim/step_builder.hpp"
#include "optim/training.hpp"
#include "support/vulkan_proxy.hpp"

namespace heron::test {
namespace {

constexpr std::uint32_t kInterval = 3;
constexpr float kRate = 0.01f;
constexpr float kBeta = 0.9f;
constexpr float kEps = 0.04f;
// Products of a refresh that wait for each other: the first iterate, two an iteration. The residual 1 - eps
// of the smallest eigenvalue is below f32's roundoff after nine iterations, r <- r^2 (3 + r) / 4.
constexpr int kIterations = 9;
constexpr std::uint32_t kRefreshDispatches = 1 + 2 * kIterations;

// What L is divided by: gradients are normal, so that L's largest eigenvalue is about (sqrt m + sqrt n)^2.
float scale_of(std::uint64_t rows, std::uint64_t cols) { return 2.0f * static_cast<float>(rows + cols); }

// L <- beta L + (1 - beta) G G^T
// P <- (L / scale + eps I)^(-1/2)    every third step, staggered
// W <- W - rate P G
class ShampooLike : public Optimizer {
public:
    explicit ShampooLike(const Device& device, std::uint32_t interval = kInterval)
        : Optimizer(device, "shampoo_like"), interval_(interval) {}

private:
    std::vector<HyperValue> hyper() const override { return {}; }
    std::string options_text() const override { return "shampoo_like"; }
    void build(StepBuilder& step) const override {
        Graph& graph = step.graph();
        std::uint32_t index = 0;
        for (const StepBuilder::Item& item : step.items()) {
            const std::uint64_t rows = item.weight.rows();
            const Tensor l = step.state(item, "l", DType::f32, {rows, rows});
            const Tensor p = step.state(item, "p", DType::f32, {rows, rows});
            graph.set_stage("statistics");
            syrk(graph, item.gradient, l, l, {.alpha = 1 - kBeta, .beta = kBeta});
            graph.set_stage("refresh");
            graph.set_section({interval_, index++ % kInterval});
            refresh(graph, l, 1 / scale_of(rows, item.weight.cols()), p);
            graph.set_section({});
            graph.set_stage("precondition");
            gemm(graph, p, item.gradient, item.weight, item.weight, {.alpha = -kRate, .beta = 1.0f});
        }
    }

    // The coupled Newton-Schulz (Denman-Beavers) iteration from Y = A, Z = I, whose Z becomes A^(-1/2):
    //   T = (3 I - Z Y) / 2    Y <- Y T    Z <- T Z
    static void refresh(Graph& graph, const Tensor& l, float scale, const Tensor& p) {
        const std::uint64_t n = l.rows();
        std::vector<float> values(n * n, 0.0f);
        for (std::uint64_t i = 0; i < n; ++i) values[i * n + i] = 1.0f;
        Tensor identity = graph.table(std::as_bytes(std::span(values)));
        identity.dtype = DType::f32;
        identity.shape = l.shape;

        Tensor y = graph.temporary(DType::f32, l.shape), z = identity;
        gemm(graph, l, identity, identity, y, {.alpha = scale, .beta = kEps});
        for (int i = 1; i <= kIterations; ++i) {
            const Tensor t = graph.temporary(DType::f32, l.shape);
            const Tensor next_y = graph.temporary(DType::f32, l.shape);
            const Tensor next_z = i == kIterations ? p : graph.temporary(DType::f32, l.shape);
            gemm(graph, z, y, identity, t, {.alpha = -0.5f, .beta = 1.5f});
            if (i < kIterations) gemm(graph, y, t, {}, next_y);
            gemm(graph, t, z, {}, next_z);
            y = next_y;
            z = next_z;
        }
    }

    std::uint32_t interval_;
};

// The same in float64, with the root from the eigenvalues.
class ShampooReference {
public:
    ShampooReference(const Shape& shape, std::uint32_t phase)
        : shape_(shape), phase_(phase), l_(Matrix::Zero(rows(), rows())), p_(l_) {}

    // A of the root that is taken of L.
    Matrix damped(const Matrix& l) const {
        return l / static_cast<double>(scale_of(shape_[0], shape_[1])) +
               static_cast<double>(kEps) * Matrix::Identity(rows(), rows());
    }
    bool refreshes(std::uint64_t t) const { return (t - 1) % kInterval == phase_; }
    void step(std::vector<double>& w, const std::vector<double>& g, std::uint64_t t) {
        const Matrix gradient = matrix_of(g, shape_[0], shape_[1]);
        const double beta = static_cast<double>(kBeta);
        l_ = beta * l_ + static_cast<double>(1 - kBeta) * gradient * gradient.transpose();
        if (refreshes(t)) {
            const SymmetricEigen eigen = symmetric_eigen(damped(l_));
            p_ = eigen.vectors * eigen.values.cwiseSqrt().cwiseInverse().asDiagonal() *
                 eigen.vectors.transpose();
        }
        const Matrix update = static_cast<double>(kRate) * p_ * gradient;
        for (std::size_t i = 0; i < w.size(); ++i) w[i] -= update.data()[i];
    }

private:
    Eigen::Index rows() const { return static_cast<Eigen::Index>(shape_[0]); }

    Shape shape_;
    std::uint32_t phase_;
    Matrix l_, p_;
};

const std::vector<Shape> kShapes{{6, 10}, {17, 5}, {33, 20}, {8, 8}};

std::vector<Training::Group> groups(std::uint32_t interval = kInterval) {
    std::vector<TestTensor> matrices;
    for (std::size_t i = 0; i < kShapes.size(); ++i)
        matrices.push_back({.name = "s" + std::to_string(i), .shape = kShapes[i]});
    return {{[=](const Device& on) { return std::make_unique<ShampooLike>(on, interval); }, matrices},
            {[](const Device& on) { return std::make_unique<AdamW>(on); }, {{.name = "bias", .shape = {50}}}},
            {[](const Device& on) { return std::make_unique<Muon>(on); },
             {{.name = "hidden", .shape = {12, 9}}}}};
}

// Counts the steps in which its gates are open: x <- x + 1, one in a section of each gate.
class Gated : public Optimizer {
public:
    Gated(const Device& device, std::vector<HyperValue> gates)
        : Optimizer(device, "gated"), gates_(std::move(gates)) {}

private:
    std::vector<HyperValue> hyper() const override { return gates_; }
    std::string options_text() const override { return "gated"; }
    void build(StepBuilder& step) const override {
        Graph& graph = step.graph();
        const float one = 1.0f;
        Tensor ones = graph.table(std::as_bytes(std::span(&one, 1)));
        ones.dtype = DType::f32;
        ones.shape = Shape{1, 1};
        for (std::uint32_t g = 0; g < gates_.size(); ++g) {
            const Tensor count =
                step.state(step.items()[0], "count" + std::to_string(g), DType::f32, Shape{1, 1});
            // The last one is open in the first step, whatever its gate.
            graph.set_section({.first = g + 1 == gates_.size(), .gate = step.gate(g)});
            gemm(graph, ones, ones, count, count, {.beta = 1.0f});
            graph.set_section({});
        }
    }
    std::vector<HyperValue> gates_;
};

class SectionTest : public DeviceTest {};

// Chance by the schedule, drawn for each gate apart; counted steps, which a skipped one does not disturb; the
// first step. A training that is resumed goes on with the count.
TEST_P(SectionTest, GatesOpenByChanceByCountAndInTheFirstStep) {
    const Schedule third = Schedule::constant(0.3f, 40);
    const std::vector<HyperValue> gates{
        HyperValue::chance("gated", 1.0f, Schedule::sequence(std::vector{1.0f, 0.0f, 1.0f, 0.0f})),
        HyperValue::chance("gated", 0.5f, {}), HyperValue::chance("gated", 0.5f, {}),
        HyperValue::counted(1.0f, third), HyperValue::chance("gated", 0.0f, {})};
    const MakeOptimizer make = [&](const Device& on) { return std::make_unique<Gated>(on, gates); };
    const std::filesystem::path file = std::filesystem::temp_directory_path() /
                                       ("heron_gates_" + std::to_string(GetParam().index) + ".safetensors");
    Training training(device(), make, {{.name = "w", .shape = {2, 3}}});
    std::vector<double> expected(5, 0.0);
    int since = 0;
    const auto step = [&](Training& on, unsigned t) {
        on.steps(t, 1);
        expected[0] += t == 1 || t == 3 ? 1 : 0;
        for (std::uint32_t gate : {1u, 2u}) expected[gate] += chance_draw("gated", gate, t) < 0.5 ? 1 : 0;
        if (++since * 0.3 >= 1) {
            since = 0;
            expected[3] += 1;
        }
        if (t == 1) expected[4] = 1;
        for (std::size_t g = 0; g < expected.size(); ++g)
            EXPECT_EQ(on.state("w.count" + std::to_string(g)),
                      (std::vector<float>{static_cast<float>(expected[g])}))
                << "gate " << g << ", step " << t;
    };
    for (unsigned t = 1; t <= 10; ++t) {
        if (t == 6) {
            training.tensor().set_gradient(std::vector<float>(6, std::numeric_limits<float>::quiet_NaN()));
            training.plan().run();
        }
        step(training, t);
    }
    save_checkpoint(training.plan(), file);
    Training resumed(device(), make, {{.name = "w", .shape = {2, 3}}});
    load_checkpoint(resumed.plan(), file);
    for (unsigned t = 11; t <= 16; ++t) step(resumed, t);
    EXPECT_NE(expected[1], expected[2]);
    std::filesystem::remove(file);
    EXPECT_NE(training.plan().describe().find("gate"), std::string::npos);
}

// Chances are drawn by the optimizer's name, whatever stands before it in the plan.
TEST_P(SectionTest, ChancesAreTheSameBesideOtherOptimizers) {
    const auto gated = [](const char* name) {
        return Training::Group{[name](const Device& on) {
                                   const HyperValue gate = HyperValue::chance(name, 0.5f, {});
                                   auto optimizer = std::make_unique<Gated>(on, std::vector{gate, gate});
                                   optimizer->set_name(name);
                                   return optimizer;
                               },
                               {{.name = name, .shape = {2, 3}}}};
    };
    Training alone(device(), std::vector<Training::Group>{gated("one")}),
        beside(device(), std::vector<Training::Group>{gated("other"), gated("one")});
    bool differ = false;
    for (unsigned t = 1; t <= 12; ++t) {
        alone.steps(t, 1);
        beside.steps(t, 1);
        for (const char* gate : {".count0", ".count1"}) {
            const std::string name = std::string("one") + gate, other = std::string("other") + gate;
            EXPECT_EQ(beside.state(name), alone.state(name)) << gate << ", step " << t;
            differ = differ || beside.state(other) != beside.state(name);
        }
    }
    EXPECT_TRUE(differ);
}

TEST_P(SectionTest, ARefreshIsALongChainOfDispatches) {
    Training training(device(), groups());
    EXPECT_GE(training.plan().level_count(), kRefreshDispatches + 2) << training.plan().describe();
    EXPECT_GE(training.plan().dispatch_count(), kInterval * kRefreshDispatches + 2);
}

// Refreshes of s0 and s3 in steps 1, 4, ..., of s1 in steps 2, 5, ..., of s2 in steps 3, 6, ...
TEST_P(SectionTest, CostsAreThoseOfTheStepsThatHaveThem) {
    Training training(device(), groups());
    const Plan& plan = training.plan();
    double sections = 0, all = 0;
    for (const Batch& batch : plan.impl().program(Phase::step).schedule.batches) all += batch.flops;
    for (std::uint32_t step = 1; step <= kInterval; ++step) {
        EXPECT_GT(plan.cost(step).flops, plan.flops());
        EXPECT_GT(plan.cost(step).bytes, plan.bytes());
        EXPECT_EQ(plan.cost(step).flops, plan.cost(step + kInterval).flops);
        sections += plan.cost(step).flops - plan.flops();
    }
    EXPECT_NEAR(plan.flops() + sections, all, 1e-9 * all);
    // Of 33 x 33 products the refresh of s2 is the dearest.
    EXPECT_GT(plan.cost(3).flops, plan.cost(1).flops);
    EXPECT_THROW(plan.cost(0), Error);
    const std::string text = plan.describe();
    for (const char* words : {" of traffic in every step\n  not in every step: ", "; in the mean "})
        EXPECT_NE(text.find(words), std::string::npos) << text;

    Training plain(device(), [](const Device& on) { return std::make_unique<Muon>(on); },
                   {{.name = "w", .shape = {12, 9}}});
    EXPECT_EQ(plain.plan().cost(1).flops, plain.plan().flops());
    EXPECT_EQ(plain.plan().cost(1).bytes, plain.plan().bytes());
    EXPECT_EQ(plain.plan().describe().find("in every step"), std::string::npos);
}

TEST_P(SectionTest, RefreshesOnlyInItsStepsAndMatchesFloat64) {
    constexpr unsigned kSteps = 7;
    Training training(device(), groups());
    std::vector<std::vector<double>> first, expected;
    std::vector<ShampooReference> references;
    for (std::size_t i = 0; i < kShapes.size(); ++i) {
        first.push_back(doubles(training.tensor(i).weight()));
        references.emplace_back(kShapes[i], static_cast<std::uint32_t>(i) % kInterval);
    }
    expected = first;
    std::vector<std::vector<float>> before(kShapes.size());
    const auto state = [&](std::size_t i, const char* name) {
        return training.state("s" + std::to_string(i) + name);
    };
    for (unsigned step = 1; step <= kSteps; ++step) {
        for (std::size_t i = 0; i < kShapes.size(); ++i) before[i] = state(i, ".p");
        training.steps(step, 1);
        for (std::size_t i = 0; i < kShapes.size(); ++i) {
            const bool refreshes = references[i].refreshes(step);
            EXPECT_EQ(state(i, ".p") != before[i], refreshes) << "tensor " << i << ", step " << step;
            if (refreshes) {
                const std::uint64_t n = kShapes[i][0];
                const Matrix a = references[i].damped(matrix_of(doubles(state(i, ".l")), n, n));
                const Matrix p = matrix_of(doubles(state(i, ".p")), n, n);
                const Vector eigenvalues = symmetric_eigen(a).values;
                const double kappa = eigenvalues.maxCoeff() / eigenvalues.minCoeff();
                EXPECT_LE((p * a * p - Matrix::Identity(n, n)).norm() /
                              (static_cast<double>(n) * std::sqrt(kappa) * 0x1p-24),
                          50)
                    << "tensor " << i << ", step " << step << ": not an inverse square root";
            }
            references[i].step(expected[i], doubles(training.tensor(i).gradient_values()), step);
        }
    }
    for (std::size_t i = 0; i < kShapes.size(); ++i) {
        double largest = 0;
        for (std::size_t k = 0; k < first[i].size(); ++k)
            largest = std::max(largest, std::abs(expected[i][k] - first[i][k]));
        // Weights are rounded once a step; the rest is the update's own arithmetic.
        EXPECT_TRUE(within(training.tensor(i).weight(), expected[i],
                           [&](std::size_t k) {
                               return kSteps * 0x1p-24 * (std::abs(first[i][k]) + largest) + 1e-5 * largest;
                           }))
            << "tensor " << i;
    }
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
    for (unsigned step = 1; step <= kSteps; ++step) {
        replayed.draw_gradients(step);
        commands.submit(once);
    }
    EXPECT_TRUE(replayed.bits() == submitted.bits());

    for (const std::uint32_t dispatches : {1u, 7u}) {
        static_assert(7 < kRefreshDispatches, "slices cut inside every refresh");
        Training sliced(device(), groups());
        for (unsigned step = 1; step <= kSteps; ++step) {
            sliced.draw_gradients(step);
            run_sliced(sliced, commands, dispatches);
        }
        EXPECT_TRUE(sliced.bits() == submitted.bits()) << "slices of " << dispatches << " dispatches";
    }
}

// What the hazard check proves is what is recorded: of all phases of a plan with sections and three
// optimizers, whole and in slices.
TEST_P(SectionTest, RecordsTheBarriersThatTheHazardCheckProves) {
    VulkanProxy proxy(plain_entry());
    DeviceOptions device_settings = device_options(GetParam());
    device_settings.get_instance_proc_addr = proxy.entry();
    Device device = Device::create(device_settings);
    StepOptions options;
    options.accumulate = true;
    options.clip_norm = 1.0f;
    Training training(device, groups(), options);
    Plan& plan = training.plan();
    // Each dispatch of a phase, with the barrier before it.
    const auto proved = [&](Phase phase) {
        const std::vector<RecordedDispatch> recorded = plan.impl().recorded(phase);
        EXPECT_TRUE(find_hazards(recorded).empty());
        std::vector<std::string> commands;
        std::uint32_t batch = 0xffffffff;
        for (const Dispatch& dispatch : plan.impl().program(phase).schedule.dispatches) {
            const bool first = dispatch.batch != batch;
            batch = dispatch.batch;
            commands.push_back((first && recorded[batch].barrier_before ? "B" : "") +
                               std::string(dispatch.in_section() ? "I" : "D"));
        }
        return commands;
    };
    const auto text = [](const std::vector<std::string>& commands, std::size_t first, std::size_t end) {
        std::string all = "B";  // a recording begins and ends with one, instead of the one before its first
        for (std::size_t i = first; i < end; ++i)
            all += i == first ? commands[i].substr(commands[i].size() - 1) : commands[i];
        return all + "B";
    };
    const std::vector<std::string> step = proved(Phase::step), accumulate = proved(Phase::accumulate),
                                   initialize = proved(Phase::initialize);
    EXPECT_GE(std::count(step.begin(), step.end(), "BI"), kRefreshDispatches);
    Commands commands(device);
    const auto recorded = [&](const auto& record) {
        proxy.take_recorded();
        const VkCommandBuffer buffer = commands.begin();
        record(buffer);
        commands.end(buffer);
        commands.submit(buffer);
        return proxy.take_recorded();
    };
    EXPECT_EQ(recorded([&](VkCommandBuffer buffer) { plan.record(buffer); }), text(step, 0, step.size()));
    EXPECT_EQ(recorded([&](VkCommandBuffer buffer) { plan.record_accumulate(buffer); }),
              text(accumulate, 0, accumulate.size()));
    // Two more around the states' clearing.
    EXPECT_EQ(recorded([&](VkCommandBuffer buffer) { plan.record_initialize(buffer); }),
              "BB" + text(initialize, 0, initialize.size()));
    for (const std::uint32_t dispatches : {1u, 7u})
        for (std::size_t first = 0; first < step.size(); first += dispatches)
            EXPECT_EQ(recorded([&](VkCommandBuffer buffer) {
                          plan.record_slice(buffer, {dispatches, 1e30});
                      }),
                      text(step, first, std::min(step.size(), first + dispatches)))
                << "slice of " << dispatches << " from " << first;
    EXPECT_FALSE(plan.slice_pending());
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

// Refreshes in the first three of five steps. Beside each submitted step one that was recorded by the caller,
// whole, so that the GPU decides: whatever the host leaves out, the bits are the same.
constexpr std::uint32_t kCycle = 5;

class OrdinarySteps {
public:
    explicit OrdinarySteps(Device& device)
        : device_(device.impl()),
          commands_(device),
          submitted_(device, groups(kCycle), options()),
          recorded_(device, groups(kCycle), options()) {
        once_ = commands_.begin();
        recorded_.plan().record(once_);
        commands_.end(once_);
    }

    // One step; "o" for one without sections, "A" for one with all of them.
    std::string step(float factor = 1.0f) {
        draw(factor);
        std::string kind = submit({});
        submitted_.plan().wait(ticket_);
        commands_.submit(once_);
        return kind;
    }
    std::string steps(int count) {
        std::string kinds;
        for (int i = 0; i < count; ++i) kinds += step();
        return kinds;
    }
    // Steps with the same gradients, all submitted before the first of them begins.
    std::string steps_in_flight(int count, float factor) {
        draw(factor);
        VkSemaphoreTypeCreateInfo type{VK_STRUCTURE_TYPE_SEMAPHORE_TYPE_CREATE_INFO};
        type.semaphoreType = VK_SEMAPHORE_TYPE_TIMELINE;
        const VkSemaphoreCreateInfo info{VK_STRUCTURE_TYPE_SEMAPHORE_CREATE_INFO, &type, 0};
        VkSemaphore gate = VK_NULL_HANDLE;
        device_.check(device_.vk.CreateSemaphore(device_.device, &info, nullptr, &gate), "vkCreateSemaphore");
        const SemaphoreValue open{gate, 1};
        std::string kinds;
        for (int i = 0; i < count; ++i) kinds += submit({&open, 1});
        VkSemaphoreSignalInfo go{VK_STRUCTURE_TYPE_SEMAPHORE_SIGNAL_INFO};
        go.semaphore = gate;
        go.value = 1;
        device_.check(device_.vk.SignalSemaphore(device_.device, &go), "vkSignalSemaphore");
        submitted_.plan().wait(ticket_);
        device_.vk.DestroySemaphore(device_.device, gate, nullptr);
        for (int i = 0; i < count; ++i) commands_.submit(once_);
        return kinds;
    }
    void fail_to_submit() {
        const SubmitInfo info{.wait = {}, .signal = {}, .submit = [](const VkSubmitInfo2&) {
                                  return VK_ERROR_OUT_OF_HOST_MEMORY;
                              }};
        EXPECT_THROW(submitted_.plan().submit(info), Error);
    }
    void set_count(std::uint32_t tick, std::uint32_t step) {
        for (Training* training : {&submitted_, &recorded_}) {
            gpu::StepControl control = training->control();
            control.tick = tick;
            control.step = step;
            training->set_control(control);
        }
    }
    void expect_same_bits(const char* where) {
        EXPECT_TRUE(submitted_.bits() == recorded_.bits()) << where;
        EXPECT_EQ(submitted_.control().step, recorded_.control().step) << where;
    }
    Training& submitted() { return submitted_; }
    Training& recorded() { return recorded_; }

private:
    static StepOptions options() {
        StepOptions options;
        options.plan.profile = true;
        return options;
    }

    // Of both, one element times `factor`: an infinity lets the step be skipped.
    void draw(float factor) {
        ++drawn_;
        for (Training* training : {&submitted_, &recorded_}) {
            training->draw_gradients(drawn_);
            std::vector<float> values = training->tensor(0).gradient_values();
            values[3] *= factor;
            training->tensor(0).set_gradient(values);
        }
    }
    std::string submit(std::span<const SemaphoreValue> wait) {
        VkCommandBuffer used = VK_NULL_HANDLE;
        SubmitInfo info;
        info.wait = wait;
        info.submit = [&](const VkSubmitInfo2& submission) {
            used = submission.pCommandBufferInfos[0].commandBuffer;
            return device_.vk.QueueSubmit2(device_.queue, 1, &submission, VK_NULL_HANDLE);
        };
        ticket_ = submitted_.plan().submit(info);
        if (whole_ == VK_NULL_HANDLE) whole_ = used;  // the first step has a refresh
        return used == whole_ ? "A" : "o";
    }

    Device::Impl& device_;
    Commands commands_;
    Training submitted_, recorded_;
    VkCommandBuffer once_ = VK_NULL_HANDLE, whole_ = VK_NULL_HANDLE;
    std::uint64_t ticket_ = 0;
    unsigned drawn_ = 0;
};

constexpr float kInfinity = std::numeric_limits<float>::infinity();

TEST_P(SectionTest, SubmittedStepsLeaveSectionsOutThatHaveNoTurn) {
    OrdinarySteps run(device());
    EXPECT_EQ(run.steps(12), "AAAooAAAooAA");
    run.expect_same_bits("steps that are waited for");
    EXPECT_EQ(run.steps(1), "A");
    EXPECT_EQ(run.step(kInfinity), "o") << "step 13, skipped: it comes again";
    EXPECT_EQ(run.steps(2), "oo");
    EXPECT_EQ(run.step(kInfinity), "A") << "step 15, skipped: it comes again";
    EXPECT_EQ(run.steps(3), "AAA");
    run.expect_same_bits("skipped steps");

    Plan& plan = run.submitted().plan();
    plan.initialize();
    run.recorded().plan().initialize();
    EXPECT_EQ(run.steps(4), "AAAo") << "initialized again";
    run.expect_same_bits("initialized again");

    run.fail_to_submit();
    EXPECT_EQ(run.steps(2), "oA") << "a submission that failed is no step";
    run.expect_same_bits("a submission that failed");
}

// The host knows less of steps that have not finished: any of them may yet be skipped.
TEST_P(SectionTest, StepsInFlightMayReachATurn) {
    OrdinarySteps run(device());
    EXPECT_EQ(run.steps(3), "AAA");
    EXPECT_EQ(run.steps_in_flight(5, 1.0f), "oAAAA") << "steps 3 to 7";
    run.expect_same_bits("steps in flight");
    EXPECT_EQ(run.steps_in_flight(3, kInfinity), "oAA") << "step 8, three times";
    EXPECT_EQ(run.steps(3), "ooA") << "steps 8 to 10";
    run.expect_same_bits("skipped steps in flight");
}

TEST_P(SectionTest, TheHostTrustsNoStaleCountOfSteps) {
    const std::filesystem::path file =
        std::filesystem::temp_directory_path() /
        ("heron_ordinary_" + std::to_string(GetParam().index) + ".safetensors");
    OrdinarySteps run(device());
    EXPECT_EQ(run.steps(2), "AA");
    save_checkpoint(run.submitted().plan(), file);
    EXPECT_EQ(run.steps(1), "A");
    for (Training* training : {&run.submitted(), &run.recorded()}) load_checkpoint(training->plan(), file);
    EXPECT_EQ(run.steps(2), "Ao") << "steps 2 and 3; before the load, step 3 came next";
    EXPECT_EQ(status(run.submitted().plan()).step, 4u);
    run.expect_same_bits("a checkpoint");

    run.set_count(4, 6);
    EXPECT_EQ(run.steps(4), "AAoo") << "steps 6 to 9";
    run.expect_same_bits("a written control block");
    // 0xfffffff0 is a multiple of 5. A tick of 0xffffffff is what a status has that nothing has written.
    run.set_count(0xfffffffd, 0xfffffff0);
    EXPECT_EQ(run.steps(5), "AAAoo") << "ticks begin again at 0";
    run.expect_same_bits("ticks that begin again at 0");
    run.set_count(5, 0xfffffffd);
    EXPECT_EQ(run.steps(3), "ooo") << "the count of steps ends at 0xffffffff";
    run.expect_same_bits("the end of the count");

    Commands commands(device());
    const VkCommandBuffer own = commands.begin();
    run.submitted().plan().record(own);
    commands.end(own);
    EXPECT_EQ(run.steps(5), "AAAAA") << "the caller may run what they have recorded";
    run.expect_same_bits("the caller's own recording");
    std::filesystem::remove(file);
}

// Commands that run once: whole steps, slices, and steps of which two are recorded before they run.
TEST_P(SectionTest, StepsThatAreRecordedToRunOnceLeaveSectionsOut) {
    VulkanProxy proxy(plain_entry());
    DeviceOptions settings = device_options(GetParam());
    settings.get_instance_proc_addr = proxy.entry();
    Device observed = Device::create(settings);
    constexpr unsigned kSteps = 14;
    Commands commands(observed);
    // The GPU decides: one recording, run again and again.
    const auto replay = [&](Training& training) {
        const VkCommandBuffer all = commands.begin();
        training.plan().record(all);
        commands.end(all);
        return all;
    };
    Training reference(observed, groups(kCycle));
    const VkCommandBuffer whole = replay(reference);
    for (unsigned step = 1; step <= kSteps; ++step) {
        reference.draw_gradients(step);
        commands.submit(whole);
    }
    for (const std::uint32_t slice : {0u, 1u, 7u}) {
        Training training(observed, groups(kCycle));
        Plan& plan = training.plan();
        std::string kinds;
        for (unsigned step = 1; step <= kSteps; ++step) {
            training.draw_gradients(step);
            proxy.take_recorded();
            for (bool complete = false; !complete;) {
                const VkCommandBuffer own = commands.begin();
                if (slice == 0)
                    plan.record_one_time(own);
                else
                    complete = plan.record_slice(own, {.max_dispatches = slice, .one_time = true}).complete;
                complete = complete || slice == 0;
                commands.end(own);
                commands.submit(own);
            }
            kinds += proxy.take_recorded().find('I') == std::string::npos ? "o" : "A";
        }
        // The host has not seen the last step finish: one more may have been done than the status says.
        EXPECT_EQ(kinds, "AAAoAAAAoAAAAo") << "slices of " << slice;
        EXPECT_TRUE(training.bits() == reference.bits()) << "slices of " << slice;
    }

    Training ahead(observed, groups(kCycle));
    ahead.steps(1, 3);
    ahead.draw_gradients(4);
    std::string kinds;
    std::vector<VkCommandBuffer> frames;
    for (int frame = 0; frame < 3; ++frame) {
        proxy.take_recorded();
        frames.push_back(commands.begin());
        ahead.plan().record_one_time(frames.back());
        commands.end(frames.back());
        kinds += proxy.take_recorded().find('I') == std::string::npos ? "o" : "A";
    }
    EXPECT_EQ(kinds, "oAA") << "steps 3 to 5";
    for (const VkCommandBuffer frame : frames) commands.submit(frame);
    Training alone(observed, groups(kCycle));
    const VkCommandBuffer again = replay(alone);
    for (unsigned step = 1; step <= 6; ++step) {
        alone.draw_gradients(std::min(step, 4u));
        commands.submit(again);
    }
    EXPECT_TRUE(ahead.bits() == alone.bits());
}

// A step that is recorded before the initialization has run has all sections; so have all steps after a
// second one, which may run at any time.
TEST_P(SectionTest, StepsAfterARecordedInitialization) {
    VulkanProxy proxy(plain_entry());
    DeviceOptions settings = device_options(GetParam());
    settings.get_instance_proc_addr = proxy.entry();
    Device observed = Device::create(settings);
    Commands commands(observed);
    TrainedTensor tensor(observed, {.name = "s", .shape = {6, 10}}, 1);
    ShampooLike optimizer(observed, kCycle);
    tensor.add_to(optimizer);
    Plan plan = compile(observed, {&optimizer});
    plan.allocate();
    const VkCommandBuffer begin = commands.begin();
    plan.record_initialize(begin);
    commands.end(begin);
    const auto record = [&] {
        proxy.take_recorded();
        const VkCommandBuffer step = commands.begin();
        plan.record_one_time(step);
        commands.end(step);
        return std::pair(step, proxy.take_recorded().find('I') == std::string::npos ? "o" : "A");
    };
    std::vector<std::pair<VkCommandBuffer, std::string>> first{record(), record()};
    commands.submit(begin);
    std::string kinds;
    for (const auto& [step, kind] : first) {
        commands.submit(step);
        kinds += kind;
    }
    EXPECT_EQ(kinds, "AA");
    const auto steps = [&](int count) {
        std::string all;
        for (int i = 0; i < count; ++i) {
            const auto [step, kind] = record();
            commands.submit(step);
            all += kind;
        }
        return all;
    };
    EXPECT_EQ(steps(5), "ooAAo") << "steps 2 to 6, of which step 5 has a turn";
    const auto initialize = [&] {
        const VkCommandBuffer again = commands.begin();
        plan.record_initialize(again);
        commands.end(again);
        return again;
    };
    commands.submit(initialize());
    EXPECT_EQ(steps(5), "AoooA") << "from the beginning";
    const VkCommandBuffer pending = record().first, late = initialize();
    commands.submit(pending);
    commands.submit(late);
    EXPECT_EQ(steps(3), "AAA");
}

// Of what was left out there are no stamps; what it costs when it runs is not forgotten.
TEST_P(SectionTest, WhatASubmittedStepLeavesOutTakesNoTime) {
    if (!device().capabilities().timestamps) GTEST_SKIP() << "no timestamps on this queue family";
    OrdinarySteps run(device());
    Plan& plan = run.submitted().plan();
    const std::vector<Dispatch>& dispatches = plan.impl().program(Phase::step).schedule.dispatches;
    EXPECT_EQ(run.steps(3), "AAA");
    ASSERT_EQ(plan.timings().size(), dispatches.size());
    const std::vector<double> before = plan.impl().program(Phase::step).cost_ns;
    EXPECT_EQ(run.steps(1), "o");
    const std::vector<DispatchTiming> timings = plan.timings();
    ASSERT_EQ(timings.size(), dispatches.size());
    double ordinary = 0;
    for (std::size_t d = 0; d < dispatches.size(); ++d) {
        if (!dispatches[d].in_section()) {
            ordinary += timings[d].ns;
            continue;
        }
        EXPECT_EQ(timings[d].ns, 0.0) << d;
        EXPECT_GE(plan.impl().program(Phase::step).cost_ns[d], before[d]) << d;
    }
    EXPECT_GT(ordinary, 0.0);
}

HERON_DEVICE_TESTS(SectionTest);

}  // namespace
}  // namespace heron::test
