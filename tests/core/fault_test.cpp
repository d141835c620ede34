// SPDX-License-Identifier: MIT
// Every Vulkan call that can fail, fails once, in every way, at every place of a device's life: the right
// error comes out, no handle stays behind, and the next attempt gives the same bits.
#include <gtest/gtest.h>

#include "core/pattern.hpp"
#include "support/device_fixture.hpp"
#include "support/fault_loop.hpp"
#include "support/vulkan_proxy.hpp"

namespace heron {
namespace {

using test::Emulation;
using test::VulkanProxy;

class FaultTest : public test::DeviceTest {
protected:
    // One of everything: all memory kinds, staging, a kernel, the pipeline cache.
    std::vector<std::uint32_t> life_of_a_device(PFN_vkGetInstanceProcAddr entry) const {
        DeviceOptions options = test::device_options(GetParam());
        options.get_instance_proc_addr = entry;
        const Device device = Device::create(options);
        Buffer target = device.create_buffer(40000, MemoryKind::device, "target");
        Buffer large = device.create_buffer(5 << 20, MemoryKind::device, "large");
        Buffer upload = test::upload(device, test::expected_pattern(100, 1, 1), MemoryKind::upload);
        Buffer readback = device.create_buffer(400, MemoryKind::readback);
        const std::vector<std::uint32_t> content = test::expected_pattern(1000, 7, 2);
        large.write(std::as_bytes(std::span(content)));
        test::run_pattern(device.impl(), target, 3, 11);
        std::vector<std::uint32_t> result = test::download<std::uint32_t>(target);
        Buffer none;
        device.impl().copy(upload.range(), readback.range(), none);
        const std::vector<std::uint32_t> copied = test::download<std::uint32_t>(readback);
        result.insert(result.end(), copied.begin(), copied.end());
        std::vector<std::byte> begin(4000);
        large.read(begin);
        for (std::byte byte : begin) result.push_back(std::to_integer<std::uint32_t>(byte));
        EXPECT_GT(device.pipeline_cache_bytes().size(), 56u);
        EXPECT_EQ(device.impl().completed(), device.impl().submitted());
        device.wait_idle();
        return result;
    }

    void fail_everywhere(const Emulation& emulation) {
        VulkanProxy proxy(test::plain_entry(), emulation);
        test::fail_everywhere(proxy, [&] { return life_of_a_device(proxy.entry()); });
    }
};
HERON_DEVICE_TESTS(FaultTest);

TEST_P(FaultTest, EveryFailureIsReportedAndLeaksNothing) { fail_everywhere({}); }

TEST_P(FaultTest, EveryFailureWithStagingAndFlushesIsReportedAndLeaksNothing) {
    Emulation emulation;
    emulation.separate_host_memory = true;
    emulation.non_coherent = true;
    fail_everywhere(emulation);
}

// An engine's device: nothing of it may be destroyed, whatever fails.
TEST_P(FaultTest, FailedAdoptionLeavesTheEngineAlone) {
    VulkanProxy proxy(test::plain_entry());
    DeviceOptions options = test::device_options(GetParam());
    options.get_instance_proc_addr = proxy.entry();
    const Device engine = Device::create(options);
    const FeatureChain chain(proxy.entry(), engine.instance(), engine.physical_device());
    AdoptedDevice handles;
    handles.get_instance_proc_addr = proxy.entry();
    handles.instance = engine.instance();
    handles.physical_device = engine.physical_device();
    handles.device = engine.handle();
    handles.queue_family = engine.queue_family();
    handles.queue = engine.queue();
    handles.enabled_features = chain.features();
    handles.enabled_extensions = chain.extensions();
    const auto before = proxy.live();
    for (std::uint64_t index = 0;; ++index) {
        proxy.fail_call(index, VK_ERROR_OUT_OF_HOST_MEMORY);
        try {
            const Device adopted = Device::adopt(handles);
            EXPECT_TRUE(proxy.failed().empty());
        } catch (const Error& error) {
            EXPECT_EQ(error.code(), ErrorCode::out_of_host_memory) << error.what();
        }
        EXPECT_EQ(proxy.live(), before) << proxy.failed();
        if (proxy.failed().empty()) break;
    }
    proxy.stop_failing();
    Buffer buffer = engine.create_buffer(400);
    test::run_pattern(engine.impl(), buffer, 1, 1);
    EXPECT_EQ(test::download<std::uint32_t>(buffer), test::expected_pattern(100, 1, 1));
}

}  // namespace
}  // namespace heron
