// SPDX-License-Identifier: MIT
// Recording inside a frame: Heron allocates nothing, takes no lock, opens no file and compiles nothing, in
// one thread or in several, and its labels read well.
#include <fcntl.h>
#include <gtest/gtest.h>
#include <unistd.h>

#include <deque>
#include <functional>
#include <mutex>
#include <new>
#include <shared_mutex>
#include <thread>

#include "engine/intercepted_calls.hpp"
#include "engine/small_training.hpp"
#include "heron/heron.hpp"
#include "support/commands.hpp"
#include "support/device_fixture.hpp"
#include "support/host_watch.hpp"
#include "support/optimizers.hpp"
#include "support/vulkan_proxy.hpp"

namespace heron {
namespace {

using samples::HostCounts;
using samples::HostWatch;
using test::Commands;
using test::SmallTraining;

// Of each kind of plan one: element by element, products, workgroups that look at their results, sections
// with and without a gate, windows of gradients.
constexpr const char* kOptimizers[] = {"adamw_block8", "muon", "shampoo", "fismo", "psgd_kron", "mfac"};

// The optimizers' plan, with memory and first states.
Plan compiled(const SmallTraining& training, const char* optimizer, const StepOptions& options = {}) {
    const samples::NamedOptimizer* named = samples::find_optimizer(optimizer);
    const std::vector<Parameter> parameters = training.parameters();
    const samples::Optimizers optimizers = named->create({.device = training.device(),
                                                          .parameters = parameters,
                                                          .routes = route(parameters),
                                                          .lr = named->lr,
                                                          .schedule = {},
                                                          .layers = {}});
    std::vector<const Optimizer*> pointers;
    for (const auto& each : optimizers) pointers.push_back(each.get());
    Plan plan = compile(training.device(), pointers, options);
    plan.allocate();
    plan.initialize();
    return plan;
}

void expect_nothing(const HostCounts& counts, const std::string& what) {
    EXPECT_EQ(counts.allocations, 0u) << what;
    EXPECT_EQ(counts.locks, 0u) << what;
    EXPECT_EQ(counts.files, 0u) << what;
}

class RecordingTest : public test::DeviceTest {
protected:
    // Drivers and layers may allocate and lock as they like.
    Device watched_device() const {
        DeviceOptions options = test::device_options(GetParam());
        options.get_instance_proc_addr = samples::watched_entry(test::validated_entry());
        return Device::create(options);
    }
};
HERON_DEVICE_TESTS(RecordingTest);

TEST(HostWatchTest, CountsAllocationsLocksAndFilesOfItsThreadOnly) {
    std::mutex mutex;
    std::shared_mutex shared;
    const HostWatch watch;
    std::thread([&] { ::operator delete(::operator new(8)); }).join();
    const HostCounts before = watch.counts();  // a thread's own state is allocated here
    constexpr std::align_val_t kCacheLine{64};
    ::operator delete(::operator new(8));
    ::operator delete(::operator new(8, kCacheLine), kCacheLine);
    { const std::lock_guard lock(mutex); }
    if (mutex.try_lock()) mutex.unlock();
    { const std::lock_guard lock(shared); }
    { const std::shared_lock lock(shared); }
    if (std::FILE* file = std::fopen("/dev/null", "r")) std::fclose(file);
    close(open("/dev/null", O_RDONLY));
    close(openat(AT_FDCWD, "/dev/null", O_RDONLY));
    {
        const samples::NotWatched outside;
        ::operator delete(::operator new(8));
        const std::lock_guard lock(mutex);
    }
    const HostCounts after = watch.counts();
    EXPECT_EQ(after.allocations - before.allocations, samples::counts_allocations() ? 2u : 0u);
    EXPECT_EQ(after.locks - before.locks, HERON_INTERCEPT_CALLS ? 4u : 0u);
    EXPECT_EQ(after.files - before.files, HERON_INTERCEPT_CALLS ? 3u : 0u);
}

TEST_P(RecordingTest, TouchesNothingOfTheHost) {
    Device device = watched_device();
    for (const char* optimizer : kOptimizers) {
        const SmallTraining training(device);
        StepOptions options;
        options.accumulate = true;
        options.plan.profile = true;
        options.ema_decay = 0.9f;
        Plan plan = compiled(training, optimizer, options);
        EvaluationWeights evaluation(plan, training.parameters(), "ema");
        Commands commands(device);
        const std::uint64_t pipelines = samples::pipelines_created();
        EXPECT_GT(pipelines, 0u);
        const auto watched = [&](const char* what, const std::function<void(VkCommandBuffer)>& record) {
            const VkCommandBuffer buffer = commands.begin();
            HostCounts counts;
            {
                const HostWatch watch;
                record(buffer);
                counts = watch.counts();
            }
            expect_nothing(counts, std::string(optimizer) + " " + what);
            commands.end(buffer);
        };
        watched("record_one_time", [&](VkCommandBuffer buffer) { plan.record_one_time(buffer); });
        watched("record_initialize", [&](VkCommandBuffer buffer) { plan.record_initialize(buffer); });
        watched("record_accumulate", [&](VkCommandBuffer buffer) { plan.record_accumulate(buffer); });
        watched("record_slice of a step that runs once", [&](VkCommandBuffer buffer) {
            while (!plan.record_slice(buffer, {.max_dispatches = 3, .one_time = true}).complete) {
            }
        });
        watched("record", [&](VkCommandBuffer buffer) { plan.record(buffer); });
        watched("record_slice", [&](VkCommandBuffer buffer) {
            while (!plan.record_slice(buffer, {.max_dispatches = 3}).complete) {
            }
        });
        watched("record_slice by time", [&](VkCommandBuffer buffer) {
            while (!plan.record_slice(buffer, {.max_ns = 2e4, .max_flops = 1e6}).complete) {
            }
        });
        watched("record_load", [&](VkCommandBuffer buffer) { evaluation.record_load(buffer); });
        watched("record_restore", [&](VkCommandBuffer buffer) { evaluation.record_restore(buffer); });
        EXPECT_EQ(samples::pipelines_created(), pipelines) << optimizer;
    }
}

// Also what an engine asks in every frame; from the first submission on.
TEST_P(RecordingTest, SubmittingAndAskingAllocateNothing) {
    const Device device = watched_device();
    const SmallTraining training(device);
    StepOptions options;
    options.accumulate = true;
    Plan plan = compiled(training, "muon", options);
    const HostWatch watch;
    for (std::uint64_t step = 1; step <= 2; ++step) {
        plan.submit_accumulate();
        const std::uint64_t ticket = plan.submit();
        plan.wait(ticket);
        EXPECT_TRUE(plan.finished(ticket));
        EXPECT_FALSE(plan.slice_pending());
        EXPECT_EQ(status(plan).step, step);
    }
    EXPECT_EQ(watch.counts().allocations, 0u);
    EXPECT_EQ(watch.counts().files, 0u);
}

TEST_P(RecordingTest, DifferentPlansAreRecordedInSeveralThreadsAtOnce) {
    constexpr int kRecordings = 50;
    Device device = watched_device();
    std::deque<SmallTraining> alone, together;
    std::deque<Plan> plans_alone, plans;
    for (const char* optimizer : kOptimizers) {
        plans_alone.push_back(compiled(alone.emplace_back(device), optimizer));
        plans.push_back(compiled(together.emplace_back(device), optimizer));
        for (int step = 0; step < 2; ++step) plans_alone.back().run();
    }
    const std::uint64_t pipelines = samples::pipelines_created();
    std::deque<Commands> commands;
    std::vector<VkCommandBuffer> last(plans.size());
    std::vector<HostCounts> counts(plans.size());
    for (std::size_t i = 0; i < plans.size(); ++i) commands.emplace_back(device);
    std::vector<std::thread> threads;
    for (std::size_t i = 0; i < plans.size(); ++i)
        threads.emplace_back([&, i] {
            for (int recording = 0; recording < kRecordings; ++recording) {
                last[i] = commands[i].begin();
                {
                    const HostWatch watch;
                    if (recording % 2 == 0)
                        plans[i].record(last[i]);
                    else
                        while (!plans[i].record_slice(last[i], {.max_dispatches = 2}).complete) {
                        }
                    counts[i].allocations += watch.counts().allocations;
                    counts[i].locks += watch.counts().locks;
                    counts[i].files += watch.counts().files;
                }
                commands[i].end(last[i]);
            }
        });
    for (std::thread& thread : threads) thread.join();
    EXPECT_EQ(samples::pipelines_created(), pipelines);
    for (std::size_t i = 0; i < plans.size(); ++i) {
        expect_nothing(counts[i], kOptimizers[i]);
        for (int step = 0; step < 2; ++step) commands[i].submit(last[i]);
        EXPECT_EQ(together[i].weights(), alone[i].weights()) << kOptimizers[i];
    }
}

// As RenderDoc shows them: the plan, its stages inside of it, all closed again.
TEST_P(RecordingTest, LabelsNameThePlanAndItsStages) {
    test::VulkanProxy proxy(test::plain_entry());
    DeviceOptions options = test::device_options(GetParam());
    options.get_instance_proc_addr = proxy.entry();
    Device device = Device::create(options);
    if (!device.capabilities().debug_utils) GTEST_SKIP() << "no VK_EXT_debug_utils";
    const SmallTraining training(device);
    StepOptions step;
    step.name = "radiance cache";
    Plan plan = compiled(training, "muon", step);
    Commands commands(device);
    const VkCommandBuffer buffer = commands.begin();
    proxy.take_labels();
    plan.record(buffer);
    commands.end(buffer);
    const std::string labels = proxy.take_labels();
    EXPECT_EQ(labels.rfind("radiance cache{", 0), 0u) << labels;
    EXPECT_NE(labels.find("muon"), std::string::npos) << labels;
    int depth = 0, deepest = 0, plans = 0;
    for (const char c : labels) {
        if (c == '{') deepest = std::max(deepest, ++depth);
        if (c == '}' && --depth == 0) ++plans;
        EXPECT_GE(depth, 0) << labels;
    }
    EXPECT_EQ(depth, 0) << labels;
    EXPECT_EQ(deepest, 2) << labels;
    EXPECT_EQ(plans, 1) << labels;
}

}  // namespace
}  // namespace heron
