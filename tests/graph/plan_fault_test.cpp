// SPDX-License-Identifier: MIT
// Every Vulkan call that can fail, fails once, in every way, at every place of a plan's life; and plans on
// devices that are less than the real one.
#include <gtest/gtest.h>

#include <filesystem>

#include "core/device.hpp"
#include "graph/affine_chain.hpp"
#include "graph/plan.hpp"
#include "support/fault_loop.hpp"
#include "support/vulkan_proxy.hpp"

namespace heron {
namespace {

using test::Chain;
using test::Emulation;
using test::VulkanProxy;

std::vector<std::string> outputs() {
    std::vector<std::string> names;
    for (std::size_t i = 0; i < Chain::kTensors; ++i) names.push_back("t" + std::to_string(i) + ".y");
    return names;
}

class PlanFaultTest : public test::DeviceTest {
protected:
    void SetUp() override {
        DeviceTest::SetUp();
        path_ = std::filesystem::path(::testing::TempDir()) / "plan_fault_test.safetensors";
    }
    void TearDown() override {
        std::filesystem::remove(path_);
        DeviceTest::TearDown();
    }

    Device device_through(const VulkanProxy& proxy) const {
        DeviceOptions options = test::device_options(GetParam());
        options.get_instance_proc_addr = proxy.entry();
        return Device::create(options);
    }

    // Compile, allocate, initialize, submit, accumulate timings, save, load, submit again.
    std::vector<std::vector<float>> life_of_a_plan(VulkanProxy& proxy) {
        const Device device = device_through(proxy);
        Chain chain(device);
        PlanOptions plan_options;
        plan_options.profile = true;
        Plan plan = chain.graph.compile(plan_options);
        try {
            plan.allocate();
            plan.initialize();
            plan.run();
            plan.timings();
            plan.wait(plan.submit());
            plan.save(path_, outputs());
            plan.run();
            plan.load(path_, outputs());
            plan.run();
            EXPECT_TRUE(plan.finished(4));
            return chain.actual();
        } catch (...) {
            // What a time-out left on the queue must end before its memory goes: the caller's part of the
            // bargain.
            proxy.stop_failing();
            device.impl().vk.DeviceWaitIdle(device.handle());
            throw;
        }
    }

    std::filesystem::path path_;
};
HERON_DEVICE_TESTS(PlanFaultTest);

TEST_P(PlanFaultTest, EveryFailureIsReportedAndLeaksNothing) {
    VulkanProxy proxy(test::plain_entry());
    test::fail_everywhere(proxy, [&] { return life_of_a_plan(proxy); });
}

// What the hazard check proves of the schedule is what is recorded: a barrier first, one between every two
// levels, one at the end, and none elsewhere.
TEST_P(PlanFaultTest, RecordsTheBarriersThatTheHazardCheckProves) {
    VulkanProxy proxy(test::plain_entry());
    const Device device = device_through(proxy);
    Chain chain(device);
    Plan plan = chain.graph.compile({});
    proxy.take_recorded();
    plan.allocate();
    const std::string recorded = proxy.take_recorded();
    std::string expected = "B";
    for (const RecordedDispatch& dispatch : plan.impl().recorded(Phase::step))
        expected += dispatch.barrier_before ? "BD" : "D";
    expected += "B";
    EXPECT_EQ(expected, "BDBDBDB");
    EXPECT_EQ(recorded, expected);
    plan.initialize();
    proxy.take_recorded();
    plan.run();
    EXPECT_EQ(proxy.take_recorded(), "") << "a submission records nothing";
}

// A set-up that failed, at whatever object, is done again, and the step then works on the memory that it got.
TEST_P(PlanFaultTest, AllocateCanBeTriedAgain) {
    VulkanProxy proxy(test::plain_entry());
    const Device device = device_through(proxy);
    Chain chain(device);
    Plan plan = chain.graph.compile({});
    for (const char* function : {"vkCreateSemaphore", "vkCreateCommandPool", "vkAllocateCommandBuffers",
                                 "vkBeginCommandBuffer", "vkEndCommandBuffer"}) {
        proxy.fail_function(function, VK_ERROR_OUT_OF_HOST_MEMORY);
        EXPECT_THROW(plan.allocate(), Error) << function;
        EXPECT_EQ(proxy.failed(), function);
        proxy.stop_failing();
        EXPECT_THROW(plan.submit(), Error) << function;
    }
    plan.allocate();
    plan.initialize();
    plan.run();
    const auto actual = chain.actual();
    for (std::size_t i = 0; i < Chain::kTensors; ++i) test::expect_close(actual[i], chain.expected(1)[i], 3);
}

TEST_P(PlanFaultTest, ALostDeviceStaysLostAndNeverHangs) {
    VulkanProxy proxy(test::plain_entry());
    const Device device = device_through(proxy);
    Chain chain(device);
    Plan plan = chain.graph.compile({});
    plan.allocate();
    plan.initialize();
    plan.save(path_, outputs());
    Plan bare = chain.graph.compile({});  // without memory
    std::vector<std::byte> state(plan.state_view("t1.s").span_bytes());
    Buffer fresh = test::upload(device, std::vector<float>(1000, 0.0f));
    const Plan::Rebinding binding{"t4.y", fresh.view(DType::f32, {1000})};
    proxy.fail_function("vkQueueSubmit2", VK_ERROR_DEVICE_LOST);
    EXPECT_THROW(plan.submit(), Error);
    proxy.stop_failing();
    EXPECT_TRUE(device.lost());
    const auto lost = [](auto&& call) {
        try {
            call();
            ADD_FAILURE() << "a lost device went on";
        } catch (const Error& error) {
            EXPECT_EQ(error.code(), ErrorCode::device_lost) << error.what();
        }
    };
    lost([&] { plan.submit(); });
    lost([&] { plan.wait(1); });
    lost([&] { plan.finished(1); });
    lost([&] { plan.record(VK_NULL_HANDLE); });
    lost([&] { plan.record_slice(VK_NULL_HANDLE, {}); });
    lost([&] { plan.record_accumulate(VK_NULL_HANDLE); });
    lost([&] { plan.record_initialize(VK_NULL_HANDLE); });
    lost([&] { plan.initialize(); });
    lost([&] { bare.prewarm(); });
    lost([&] { bare.allocate(); });
    lost([&] { bare.bind({}); });
    lost([&] { plan.rebind({&binding, 1}); });
    lost([&] { plan.read_state("t1.s", state); });
    lost([&] { plan.write_state("t1.s", state); });
    lost([&] { plan.load(path_, outputs()); });
    lost([&] { plan.timings(); });
    lost([&] { plan.save(path_, outputs()); });
    lost([&] { chain.graph.compile({}); });
}

TEST_P(PlanFaultTest, LesserDevicesGiveTheSameBits) {
    const auto on = [&](const Emulation& emulation) {
        VulkanProxy proxy(test::plain_entry(), emulation);
        const auto values = life_of_a_plan(proxy);
        EXPECT_EQ(proxy.live_text(), "");
        return values;
    };
    const auto expected = on({});
    std::vector<Emulation> emulations(6);
    emulations[0].non_coherent = true;
    emulations[1].separate_host_memory = true;
    emulations[2].separate_host_memory = emulations[2].non_coherent = true;
    emulations[3].without_timestamps = true;
    emulations[4].max_invocations = 128;
    emulations[5].max_allocation_bytes = std::uint64_t{64} << 20;
    for (std::size_t i = 0; i < emulations.size(); ++i)
        EXPECT_EQ(on(emulations[i]), expected) << "emulation " << i;
}

}  // namespace
}  // namespace heron
