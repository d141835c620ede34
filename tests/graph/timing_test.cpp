// SPDX-License-Identifier: MIT
// Timings of plans, and the costs that time budgets learn from them: whole steps, slices, steps that leave
// something out.
#include <gtest/gtest.h>

#include <chrono>
#include <limits>
#include <thread>

#include "core/device.hpp"
#include "graph/affine_chain.hpp"
#include "graph/plan.hpp"
#include "graph/time_stamps.hpp"
#include "heron/heron.hpp"
#include "support/commands.hpp"
#include "support/device_fixture.hpp"
#include "support/vulkan_proxy.hpp"

namespace heron {
namespace {

using test::add_affine;
using test::add_alternate;
using test::Chain;

double sum_of(const std::vector<DispatchTiming>& timings) {
    double sum = 0;
    for (const DispatchTiming& timing : timings) sum += timing.ns;
    return sum;
}

class TimingTest : public test::DeviceTest {
protected:
    void SetUp() override {
        DeviceTest::SetUp();
        if (!IsSkipped() && !device().capabilities().timestamps)
            GTEST_SKIP() << "no timestamps on this queue family";
    }
    static PlanOptions profiled() {
        PlanOptions options;
        options.profile = true;
        return options;
    }
    // What time budgets take the dispatches to cost, in ns.
    static const std::vector<double>& costs(const Plan& plan) {
        return plan.impl().program(Phase::step).cost_ns;
    }
    static void expect_costs(const Plan& plan, const std::vector<DispatchTiming>& timings) {
        ASSERT_EQ(costs(plan).size(), timings.size());
        for (std::size_t d = 0; d < timings.size(); ++d) EXPECT_EQ(costs(plan)[d], timings[d].ns) << d;
    }
};
HERON_DEVICE_TESTS(TimingTest);

TEST_P(TimingTest, TimingsBecomeCosts) {
    Chain chain(device());
    Plan plan = chain.graph.compile(profiled());
    plan.allocate();
    EXPECT_TRUE(plan.timings().empty());
    plan.initialize();
    plan.run();
    const std::vector<DispatchTiming> timings = plan.timings();
    ASSERT_EQ(timings.size(), 3u);
    EXPECT_EQ(timings[0].stage, "accumulate");
    EXPECT_EQ(timings[0].kernel, "test_affine");
    for (const DispatchTiming& timing : timings) EXPECT_GE(timing.ns, 0.0);
    expect_costs(plan, timings);
}

// The GPU does other work between the slices, or none; that is no cost of the step.
TEST_P(TimingTest, TheTimeBetweenSlicesIsNotCounted) {
    constexpr auto kGap = std::chrono::milliseconds(200);
    test::Commands commands(device());
    Chain chain(device());
    Plan plan = chain.graph.compile(profiled());
    plan.allocate();
    plan.initialize();
    for (int step = 0; step < 2; ++step)
        for (bool complete = false; !complete;) {
            const VkCommandBuffer slice = commands.begin();
            complete = plan.record_slice(slice, {1, 1e30}).complete;
            commands.end(slice);
            commands.submit(slice);
            EXPECT_EQ(plan.timings().empty(), !complete) << "of two steps, or of a part of one";
            std::this_thread::sleep_for(kGap);
        }
    const std::vector<DispatchTiming> timings = plan.timings();
    ASSERT_EQ(timings.size(), 3u);
    EXPECT_LT(sum_of(timings), std::chrono::nanoseconds(kGap).count());
    expect_costs(plan, timings);
}

// A step's recording runs later, or never; until then there is nothing to ask for.
TEST_P(TimingTest, ARecordedStepHasTimingsOnceItHasRun) {
    test::VulkanProxy proxy(test::plain_entry());
    DeviceOptions options = test::device_options(GetParam());
    options.get_instance_proc_addr = proxy.entry();
    Device observed = Device::create(options);
    test::Commands commands(observed);
    Chain chain(observed);
    Plan plan = chain.graph.compile(profiled());
    plan.allocate();
    plan.initialize();
    const VkCommandBuffer recorded = commands.begin();
    plan.record(recorded);
    commands.end(recorded);
    EXPECT_TRUE(plan.timings().empty());
    EXPECT_EQ(proxy.calls("vkGetQueryPoolResults"), 0u) << "of queries that were never reset";
    commands.submit(recorded);
    EXPECT_EQ(plan.timings().size(), 3u);
}

constexpr std::uint64_t kMany = 1u << 20;  // elements; their time stands out

TEST_P(TimingTest, ASectionCostsWhatItDidWhenItRan) {
    const Buffer memory = test::upload(device(), std::vector<float>(kMany, 1.0f));
    Graph graph(device());
    const Tensor x = graph.external("x", memory.view(DType::f32, {kMany}));
    const Tensor s = graph.state("s", DType::f32, {kMany});
    add_alternate(graph);
    graph.set_section({3, 0});
    add_affine(graph, x, s, 0.5f, 1.0f);
    graph.set_section({});
    Plan plan = graph.compile(profiled());
    plan.allocate();
    plan.initialize();
    plan.run();
    const double full = plan.timings()[1].ns;  // of the section
    for (int step = 1; step < 3; ++step) {
        plan.run();
        plan.timings();
        EXPECT_GE(costs(plan)[1], full);
    }
}

// A skipped step does next to nothing; the next one has to keep within its budget all the same. The costs
// of steps that run are exact, in both directions.
TEST_P(TimingTest, ASkippedStepTeachesNothing) {
    const Buffer weight = test::upload(device(), std::vector<float>(kMany, 1.0f));
    Buffer gradient = test::upload(device(), std::vector<float>(kMany, 1.0f));
    AdamW adamw(device(), {});
    adamw.add({.name = "w",
               .weight = weight.view(DType::f32, {kMany}),
               .gradient = gradient.view(DType::f32, {kMany})});
    const Optimizer* const optimizers[] = {&adamw};
    StepOptions options;
    options.plan.profile = true;
    Plan plan = compile(device(), optimizers, options);
    plan.allocate();
    plan.initialize();
    plan.run();
    const std::vector<DispatchTiming> full = plan.timings();
    expect_costs(plan, full);
    const float bad = std::numeric_limits<float>::quiet_NaN();
    gradient.write(std::as_bytes(std::span(&bad, 1)));
    plan.run();
    ASSERT_TRUE(status(plan).last_skipped);
    plan.timings();
    const DispatchSchedule& schedule = plan.impl().program(Phase::step).schedule;
    std::size_t guarded = 0;
    for (std::size_t d = 0; d < full.size(); ++d) {
        const Batch& batch = schedule.batches[schedule.dispatches[d].batch];
        if (!plan.impl().graph.nodes[batch.nodes.front()].operation.guarded) continue;
        ++guarded;
        EXPECT_GE(costs(plan)[d], full[d].ns) << full[d].stage;
    }
    EXPECT_GT(guarded, 0u);
    const float good = 1.0f;
    gradient.write(std::as_bytes(std::span(&good, 1)));
    plan.run();
    ASSERT_FALSE(status(plan).last_skipped);
    expect_costs(plan, plan.timings());
}

TEST_P(TimingTest, TheCountersWidthIsKnown) {
    // What Vulkan allows, where there are timestamps at all.
    EXPECT_GE(device().capabilities().timestamp_bits, 36u);
    EXPECT_LE(device().capabilities().timestamp_bits, 64u);
    DisabledCapabilities without;
    without.timestamps = true;
    EXPECT_EQ(device(without).capabilities().timestamp_bits, 0u);
}

TEST(TimeStamps, WrapRoundAfterTheirValidBits) {
    constexpr std::uint64_t kEnd36 = std::uint64_t{1} << 36;
    EXPECT_EQ(elapsed_ticks(100, 350, 36), 250u);
    EXPECT_EQ(elapsed_ticks(kEnd36 - 100, 150, 36), 250u);
    EXPECT_EQ(elapsed_ticks(~std::uint64_t{0} - 99, 150, 64), 250u);
    EXPECT_TRUE(in_order(100, 100, 36));
    EXPECT_TRUE(in_order(kEnd36 - 100, 150, 36));
    EXPECT_FALSE(in_order(150, kEnd36 - 100, 36));
    EXPECT_FALSE(in_order(350, 100, 64));
}

}  // namespace
}  // namespace heron
