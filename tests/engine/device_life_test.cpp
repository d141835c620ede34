// SPDX-License-Identifier: MIT
// Devices that go and come: lost in the middle of a training, and adopted again and again. (A library that is
// loaded and unloaded again and again: tests/package/plugin_host.cpp.)
#include <gtest/gtest.h>
#include <unistd.h>

#include <filesystem>
#include <memory>

#include "core/host_device.hpp"
#include "core/refusal.hpp"
#include "engine/small_training.hpp"
#include "support/vulkan_proxy.hpp"

namespace heron {
namespace {

using test::HostDevice;
using test::refusal;
using test::SmallTraining;

// A training on an engine's device; the device first, so that it goes last.
struct Engine {
    HostDevice host;
    Device device;
    SmallTraining training;
    Plan plan;

    explicit Engine(const DeviceInfo& info)
        : host(info), device(Device::adopt(host.adopted)), training(device) {
        Muon muon(device);
        AdamW adamw(device);
        const std::vector<Parameter> parameters = training.parameters();
        muon.add(parameters[0]);
        muon.add(parameters[1]);
        adamw.add(parameters[2]);
        plan = compile(device, {&muon, &adamw});
        plan.allocate();
    }
};

class DeviceLifeTest : public test::DeviceTest {
protected:
    void SetUp() override {
        DeviceTest::SetUp();
        path_ = std::filesystem::path(::testing::TempDir()) /
                ("heron_device_life_" + std::to_string(getpid()) + ".safetensors");
    }
    void TearDown() override {
        std::filesystem::remove(path_);
        DeviceTest::TearDown();
    }

    std::filesystem::path path_;
};
HERON_DEVICE_TESTS(DeviceLifeTest);

// The engine sees the loss in its own vkQueueSubmit2. Heron lets go of everything without a complaint; the
// training goes on, on a new device, from its checkpoint, as if nothing had happened.
TEST_P(DeviceLifeTest, ATrainingSurvivesTheLossOfItsDevice) {
    std::vector<float> expected;
    {
        Engine engine(GetParam());
        engine.plan.initialize();
        for (int step = 0; step < 5; ++step) engine.plan.run();
        expected = engine.training.weights();
    }
    {
        Engine engine(GetParam());
        engine.plan.initialize();
        for (int step = 0; step < 3; ++step) engine.plan.run();
        save_checkpoint(engine.plan, path_);
        SubmitInfo lost;
        lost.submit = [](const VkSubmitInfo2&) { return VK_ERROR_DEVICE_LOST; };
        refusal(ErrorCode::device_lost, [&] { engine.plan.submit(lost); });
        EXPECT_TRUE(engine.device.lost());
        refusal(ErrorCode::device_lost, [&] { engine.plan.submit(); });
        refusal(ErrorCode::device_lost, [&] { (void)engine.device.create_buffer(100); });
    }
    Engine engine(GetParam());
    load_checkpoint(engine.plan, path_);
    for (int step = 0; step < 2; ++step) engine.plan.run();
    EXPECT_EQ(engine.training.weights(), expected);
}

// Every handle of Heron's goes with the plan and the device that made it, right after the plan's last step
// has finished: the device's own semaphore of the same submission may be signalled a moment later.
TEST_P(DeviceLifeTest, AdoptingAgainAndAgainLeavesNothingBehind) {
    constexpr int kRounds = 10;
    test::VulkanProxy proxy(test::plain_entry());
    DeviceOptions options = test::device_options(GetParam());
    options.get_instance_proc_addr = proxy.entry();
    const Device engine = Device::create(options);
    const FeatureChain chain(proxy.entry(), engine.instance(), engine.physical_device());
    const AdoptedDevice handles{.get_instance_proc_addr = proxy.entry(),
                                .instance = engine.instance(),
                                .physical_device = engine.physical_device(),
                                .device = engine.handle(),
                                .queue_family = engine.queue_family(),
                                .queue = engine.queue(),
                                .enabled_features = chain.features(),
                                .enabled_extensions = chain.extensions()};
    const auto before = proxy.live();
    std::vector<float> first;
    for (int round = 0; round < kRounds; ++round) {
        {
            const Device device = Device::adopt(handles);
            const SmallTraining training(device);
            Muon muon(device);
            muon.add(training.parameters()[0]);
            Plan plan = compile(device, {&muon});
            plan.allocate();
            plan.initialize();
            plan.run();
            if (round == 0) first = training.weights();
            EXPECT_EQ(training.weights(), first) << round;
        }
        EXPECT_EQ(proxy.live(), before) << round << ": " << proxy.live_text();
    }
}

TEST_P(DeviceLifeTest, InstancesAndDevicesComeAndGo) {
    std::vector<float> first;
    for (int round = 0; round < 5; ++round) {
        Engine engine(GetParam());
        engine.plan.initialize();
        engine.plan.run();
        if (round == 0) first = engine.training.weights();
        EXPECT_EQ(engine.training.weights(), first) << round;
    }
}

}  // namespace
}  // namespace heron
