// SPDX-License-Identifier: MIT
// A device of Heron's own: creation, capabilities, names, threads.
#include "core/device.hpp"

#include <gtest/gtest.h>

#include <atomic>
#include <thread>

#include "core/features.hpp"
#include "core/pattern.hpp"
#include "core/refusal.hpp"
#include "support/device_fixture.hpp"
#include "support/vulkan_proxy.hpp"

namespace heron {
namespace {

using test::expect_works;
using test::says;
using test::VulkanProxy;

class DeviceTest : public test::DeviceTest {};
HERON_DEVICE_TESTS(DeviceTest);

TEST_P(DeviceTest, RunsAKernel) {
    EXPECT_EQ(device().queue_family(), device().impl().queue_family);
    EXPECT_NE(device().queue(), VK_NULL_HANDLE);
    expect_works(device());
    device().wait_idle();
}

TEST_P(DeviceTest, RunsWithTheSystemsLoader) {
    DeviceOptions options;
    options.select = std::to_string(GetParam().index);
    expect_works(Device::create(options));
}

TEST_P(DeviceTest, TellsTheLogWhichDeviceWasTaken) {
    DeviceOptions options = test::device_options(GetParam());
    std::vector<std::string> lines;
    options.log = [&](Severity severity, std::string_view text) {
        if (severity == Severity::info) lines.emplace_back(text);
    };
    const Device device = Device::create(options);
    EXPECT_EQ(lines, std::vector<std::string>{device.explain()});
}

TEST_P(DeviceTest, SwitchesCapabilitiesOff) {
    DisabledCapabilities off;
    off.shader_float16 = off.storage_16bit = off.storage_8bit = off.subgroup_size_control = true;
    off.cooperative_matrix = off.bfloat16 = off.cooperative_matrix2 = off.memory_budget = true;
    off.pipeline_statistics = off.timestamps = true;
    off.cpu = true;
    off.max_shared_memory = 16384;
    off.max_invocations = 128;
    const Capabilities& c = device(off).capabilities();
    EXPECT_FALSE(c.shader_float16 || c.storage_16bit || c.storage_8bit || c.subgroup_size_control ||
                 c.cooperative_matrix || c.bfloat16 || c.cooperative_matrix2 || c.memory_budget ||
                 c.pipeline_statistics || c.timestamps || c.cpu || c.cpu_uniform_loads);
    EXPECT_LE(c.shared_memory_bytes, 16384u);
    EXPECT_EQ(c.max_workgroup_invocations, 128u);
    EXPECT_EQ(c.max_workgroup_size_x, 128u);
    expect_works(device(off));
    EXPECT_EQ(device().capabilities().cpu, GetParam().type == VK_PHYSICAL_DEVICE_TYPE_CPU);
    EXPECT_GE(device().capabilities().shared_memory_bytes, 16384u);
}

// No CPU driver has these, so that the test above sees nothing of them.
TEST(FeaturesTest, SwitchesOffWhatNoCpuDriverHas) {
    Features all;
    all.vulkan_memory_model = all.cooperative_matrix = all.bfloat16 = all.pipeline_executable_info = true;
    EXPECT_TRUE(without(all, {}).pipeline_executable_info);
    EXPECT_TRUE(without(all, {}).cooperative_matrix);
    EXPECT_TRUE(without(all, {}).bfloat16);
    EXPECT_FALSE(without(all, {.pipeline_statistics = true}).pipeline_executable_info);
    EXPECT_FALSE(without(all, {.cooperative_matrix = true}).cooperative_matrix);
    EXPECT_FALSE(without(all, {.bfloat16 = true}).bfloat16);
}

TEST_P(DeviceTest, GivesEveryObjectAName) {
    for (bool names : {true, false}) {
        VulkanProxy proxy(test::plain_entry());
        DeviceOptions options = test::device_options(GetParam());
        options.get_instance_proc_addr = proxy.entry();
        options.debug_names = names;
        const Device device = Device::create(options);
        if (names && !device.capabilities().debug_utils) GTEST_SKIP() << "no VK_EXT_debug_utils";
        EXPECT_EQ(device.capabilities().debug_utils, names);
        Buffer buffer = device.create_buffer(4000, MemoryKind::device, "small");
        Buffer large = device.create_buffer(20 << 20, MemoryKind::device, "large");
        test::pattern_pipeline(device.impl(), 64, 1);
        const std::pair<const char*, VkObjectType> kinds[] = {
            {"vkCreateBuffer", VK_OBJECT_TYPE_BUFFER},
            {"vkAllocateMemory", VK_OBJECT_TYPE_DEVICE_MEMORY},
            {"vkCreateSemaphore", VK_OBJECT_TYPE_SEMAPHORE},
            {"vkCreatePipelineLayout", VK_OBJECT_TYPE_PIPELINE_LAYOUT},
            {"vkCreatePipelineCache", VK_OBJECT_TYPE_PIPELINE_CACHE},
            {"vkCreateShaderModule", VK_OBJECT_TYPE_SHADER_MODULE},
            {"vkCreateComputePipelines", VK_OBJECT_TYPE_PIPELINE},
            {"vkCreateDevice", VK_OBJECT_TYPE_DEVICE},
        };
        for (const auto& [maker, type] : kinds) {
            EXPECT_GE(proxy.calls(maker), 1u) << maker;
            EXPECT_EQ(proxy.names_given(type), names ? proxy.calls(maker) : 0) << maker;
        }
    }
}

TEST_P(DeviceTest, TellsTheLogAboutBuffersThatOutliveIt) {
    std::string told;
    DeviceOptions options = test::device_options(GetParam());
    options.log = [&](Severity severity, std::string_view text) {
        if (severity == Severity::error) told = text;
    };
    alignas(Buffer) std::byte storage[sizeof(Buffer)];
    {
        const Device device = Device::create(options);
        // Never destroyed: that would be the mistake itself.
        new (storage) Buffer(device.create_buffer(4000));
        delete static_cast<Memory::Allocation*>(
            BufferAccess::allocation(*reinterpret_cast<Buffer*>(storage)));
    }
    EXPECT_TRUE(says(told, "1 buffers outlive their device"));
}

TEST_P(DeviceTest, EveryDeviceHasItsOwnId) {
    const Device one = Device::create(test::device_options(GetParam()));
    const Device two = Device::create(test::device_options(GetParam()));
    EXPECT_NE(one.impl().id, two.impl().id);
    EXPECT_NE(one.impl().id, 0u);
}

TEST_P(DeviceTest, WorksBesideAllOtherDevicesAtOnce) {
    std::vector<Device> devices;
    for (const DeviceInfo& info : test::devices())
        for (int i = 0; i < 2; ++i) devices.push_back(Device::create(test::device_options(info)));
    std::vector<std::thread> threads;
    std::atomic<int> right{0};
    for (Device& device : devices)
        threads.emplace_back([&] {
            for (std::uint32_t i = 0; i < 5; ++i) {
                Buffer buffer = device.create_buffer(40000);
                test::run_pattern(device.impl(), buffer, i, 7);
                if (test::download<std::uint32_t>(buffer) == test::expected_pattern(10000, i, 7)) ++right;
            }
        });
    for (std::thread& thread : threads) thread.join();
    EXPECT_EQ(right.load(), static_cast<int>(devices.size()) * 5);
}

TEST_P(DeviceTest, TakesBuffersAndPipelinesFromSeveralThreads) {
    Device own = Device::create(test::device_options(GetParam()));
    std::vector<std::thread> threads;
    std::atomic<int> right{0};
    for (std::uint32_t t = 0; t < 4; ++t)
        threads.emplace_back([&, t] {
            for (std::uint32_t i = 0; i < 5; ++i) {
                Buffer buffer = own.create_buffer(4 * (100 + t));
                test::run_pattern(own.impl(), buffer, t, i);
                if (test::download<std::uint32_t>(buffer) == test::expected_pattern(100 + t, t, i)) ++right;
            }
        });
    for (std::thread& thread : threads) thread.join();
    EXPECT_EQ(right.load(), 20);
    EXPECT_EQ(own.pipelines_compiled(), 5u);
}

// A validation layer that says nothing is worth nothing.
TEST_P(DeviceTest, ValidationLayerIsReallyOn) {
    if (!test::validation_enabled()) GTEST_SKIP() << "no validation layer";
    const Device::Impl& impl = device().impl();
    VkBufferCreateInfo wrong{};
    wrong.sType = VK_STRUCTURE_TYPE_BUFFER_CREATE_INFO;
    wrong.size = 256;  // no usage at all
    VkBuffer buffer = VK_NULL_HANDLE;
    if (impl.vk.CreateBuffer(impl.device, &wrong, nullptr, &buffer) == VK_SUCCESS)
        impl.vk.DestroyBuffer(impl.device, buffer, nullptr);
    EXPECT_FALSE(test::take_validation_messages().empty());
}

}  // namespace
}  // namespace heron
