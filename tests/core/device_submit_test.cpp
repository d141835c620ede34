// SPDX-License-Identifier: MIT
// Submissions that end badly: a lost device, time-outs.
#include <gtest/gtest.h>

#include "core/device.hpp"
#include "core/pattern.hpp"
#include "core/refusal.hpp"
#include "support/device_fixture.hpp"
#include "support/vulkan_proxy.hpp"

namespace heron {
namespace {

using test::expect_works;
using test::refusal;
using test::says;
using test::VulkanProxy;

class DeviceSubmitTest : public test::DeviceTest {};
HERON_DEVICE_TESTS(DeviceSubmitTest);

TEST_P(DeviceSubmitTest, ALostDeviceStaysLost) {
    VulkanProxy proxy(test::plain_entry());
    DeviceOptions options = test::device_options(GetParam());
    options.get_instance_proc_addr = proxy.entry();
    {
        const Device device = Device::create(options);
        Buffer buffer = device.create_buffer(4000);
        Buffer mapped = device.create_buffer(4000, MemoryKind::upload);
        EXPECT_FALSE(device.lost());
        proxy.fail_function("vkQueueSubmit2", VK_ERROR_DEVICE_LOST);
        refusal(ErrorCode::device_lost, [&] { test::run_pattern(device.impl(), buffer, 1, 1); });
        proxy.stop_failing();
        EXPECT_TRUE(device.lost());
        const std::uint64_t calls = proxy.fallible_calls();
        refusal(ErrorCode::device_lost, [&] { (void)device.create_buffer(16); });
        refusal(ErrorCode::device_lost, [&] { device.wait_idle(); });
        refusal(ErrorCode::device_lost, [&] { device.pipeline_cache_bytes(); });
        refusal(ErrorCode::device_lost, [&] { test::pattern_pipeline(device.impl(), 32, 9); });
        refusal(ErrorCode::device_lost, [&] { device.impl().submit({}); });
        refusal(ErrorCode::device_lost, [&] { (void)device.impl().completed(); });
        refusal(ErrorCode::device_lost, [&] { mapped.write(std::vector<std::byte>(16)); });
        refusal(ErrorCode::device_lost, [&] { (void)test::download(mapped); });
        refusal(ErrorCode::device_lost, [&] { device.view(buffer.range(), DType::f32, {4}); });
        EXPECT_EQ(proxy.fallible_calls(), calls) << "the driver is left alone";
    }
    EXPECT_EQ(proxy.live_text(), "");
}

TEST_P(DeviceSubmitTest, WaitingEndsAtItsTimeOut) {
    VulkanProxy proxy(test::plain_entry());
    DeviceOptions options = test::device_options(GetParam());
    options.get_instance_proc_addr = proxy.entry();
    const Device device = Device::create(options);
    expect_works(device);
    proxy.fail_function("vkWaitSemaphores", VK_TIMEOUT);
    EXPECT_TRUE(says(refusal(ErrorCode::timeout, [&] { device.wait_idle(1000); }), "1000 ns"));
    proxy.stop_failing();
    EXPECT_FALSE(device.lost());
    device.wait_idle();
    EXPECT_EQ(device.impl().completed(), device.impl().submitted());
}

}  // namespace
}  // namespace heron
