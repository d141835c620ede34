// SPDX-License-Identifier: MIT
// Adoption of an engine's device.
#include <gtest/gtest.h>

#include "core/device.hpp"
#include "core/host_device.hpp"
#include "core/pattern.hpp"
#include "core/refusal.hpp"
#include "support/device_fixture.hpp"

namespace heron {
namespace {

using test::expect_works;
using test::HostDevice;
using test::refusal;
using test::says;

class DeviceAdoptTest : public test::DeviceTest {};
HERON_DEVICE_TESTS(DeviceAdoptTest);

TEST_P(DeviceAdoptTest, AdoptsAnEnginesDevice) {
    HostDevice host(GetParam());
    int locks = 0;
    int depth = 0;
    host.adopted.lock_queue = [&] {
        ++locks;
        EXPECT_EQ(++depth, 1);
    };
    host.adopted.unlock_queue = [&] { --depth; };
    const Device device = Device::adopt(host.adopted);
    EXPECT_EQ(device.handle(), host.device);
    EXPECT_EQ(device.instance(), host.instance);
    EXPECT_EQ(device.physical_device(), host.physical_device);
    EXPECT_TRUE(says(device.explain(), GetParam().name));
    EXPECT_TRUE(says(device.explain(), "adopted"));
    EXPECT_EQ(device.info().index, GetParam().index);
    expect_works(device);
    EXPECT_GE(locks, 1);
    EXPECT_EQ(depth, 0);
    // The chain enables what Device::create does.
    const Capabilities& created = this->device().capabilities();
    const Capabilities& adopted = device.capabilities();
    EXPECT_EQ(adopted.shader_float16, created.shader_float16);
    EXPECT_EQ(adopted.storage_16bit, created.storage_16bit);
    EXPECT_EQ(adopted.memory_budget, created.memory_budget);
    EXPECT_EQ(adopted.cooperative_matrix, created.cooperative_matrix);
    EXPECT_EQ(adopted.cooperative_workgroup_f16, created.cooperative_workgroup_f16);
}

TEST_P(DeviceAdoptTest, UsesOnlyWhatWasEnabled) {
    HostDevice host(GetParam(),
                    {.shader_float16 = true, .storage_16bit = true, .subgroup_size_control = true});
    const Device device = Device::adopt(host.adopted);
    EXPECT_FALSE(device.capabilities().shader_float16);
    EXPECT_FALSE(device.capabilities().storage_16bit);
    EXPECT_FALSE(device.capabilities().subgroup_size_control);
    expect_works(device);
    host.adopted.enabled_extensions = {};
    const Device bare = Device::adopt(host.adopted);
    EXPECT_FALSE(bare.capabilities().memory_budget);
    EXPECT_FALSE(bare.capabilities().pipeline_statistics);
    EXPECT_FALSE(bare.capabilities().cooperative_matrix);
    expect_works(bare);
}

TEST_P(DeviceAdoptTest, NamesMissingFeaturesOfAnAdoptedDevice) {
    HostDevice host(GetParam());
    VkPhysicalDeviceVulkan13Features only13{};
    only13.sType = VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_VULKAN_1_3_FEATURES;
    only13.maintenance4 = VK_TRUE;
    host.adopted.enabled_features = &only13;
    const std::string text = refusal(ErrorCode::unsupported, [&] { Device::adopt(host.adopted); });
    EXPECT_TRUE(says(text, "bufferDeviceAddress, scalarBlockLayout, timelineSemaphore, synchronization2;"));
    EXPECT_TRUE(says(text, "FeatureChain"));

    // The single structs, which those of Vulkan 1.1 to 1.3 replaced, count too.
    VkPhysicalDeviceBufferDeviceAddressFeatures address{};
    address.sType = VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_BUFFER_DEVICE_ADDRESS_FEATURES;
    address.bufferDeviceAddress = VK_TRUE;
    VkPhysicalDeviceScalarBlockLayoutFeatures layout{};
    layout.sType = VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_SCALAR_BLOCK_LAYOUT_FEATURES;
    layout.scalarBlockLayout = VK_TRUE;
    layout.pNext = &address;
    VkPhysicalDeviceTimelineSemaphoreFeatures timeline{};
    timeline.sType = VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_TIMELINE_SEMAPHORE_FEATURES;
    timeline.timelineSemaphore = VK_TRUE;
    timeline.pNext = &layout;
    only13.pNext = &timeline;
    only13.synchronization2 = VK_TRUE;
    expect_works(Device::adopt(host.adopted));
}

TEST_P(DeviceAdoptTest, RefusesWrongHandlesByName) {
    HostDevice host(GetParam());
    auto refused = [&](ErrorCode code, const char* words, auto change) {
        AdoptedDevice wrong = host.adopted;
        change(wrong);
        EXPECT_TRUE(says(refusal(code, [&] { Device::adopt(wrong); }), words));
    };
    constexpr auto kWrong = ErrorCode::invalid_argument;
    refused(kWrong, "get_instance_proc_addr", [](AdoptedDevice& d) { d.get_instance_proc_addr = nullptr; });
    refused(kWrong, "instance is null", [](AdoptedDevice& d) { d.instance = VK_NULL_HANDLE; });
    refused(kWrong, "physical_device is null", [](AdoptedDevice& d) { d.physical_device = VK_NULL_HANDLE; });
    refused(kWrong, ": device is null", [](AdoptedDevice& d) { d.device = VK_NULL_HANDLE; });
    refused(kWrong, "FeatureChain", [](AdoptedDevice& d) { d.enabled_features = nullptr; });
    refused(kWrong, "queue_family is 77", [](AdoptedDevice& d) { d.queue_family = 77; });
    const std::uint32_t families[] = {host.adopted.queue_family, 77};
    refused(kWrong, "other_queue_families has 77",
            [&](AdoptedDevice& d) { d.other_queue_families = families; });
    refused(kWrong, "lock_queue", [](AdoptedDevice& d) { d.lock_queue = [] {}; });
    refused(ErrorCode::unsupported, "1.2.0", [](AdoptedDevice& d) { d.api_version = VK_API_VERSION_1_2; });
    const char* const null_name[] = {nullptr};
    refused(kWrong, "enabled_extensions", [&](AdoptedDevice& d) { d.enabled_extensions = null_name; });
    HostDevice other(GetParam());
    refused(kWrong, "not one of this instance",
            [&](AdoptedDevice& d) { d.physical_device = other.physical_device; });

    refusal(kWrong, [&] { FeatureChain(nullptr, host.instance, host.physical_device); });
    refusal(kWrong, [&] { FeatureChain(test::plain_entry(), VK_NULL_HANDLE, host.physical_device); });
    refusal(kWrong, [&] { FeatureChain(test::plain_entry(), host.instance, VK_NULL_HANDLE); });
    refusal(ErrorCode::unsupported, [&] {
        FeatureChain(test::plain_entry(), host.instance, host.physical_device, VK_API_VERSION_1_1);
    });
}

TEST_P(DeviceAdoptTest, WorksWithoutAQueueUntilSomethingMustBeSubmitted) {
    HostDevice host(GetParam());
    host.adopted.queue = VK_NULL_HANDLE;
    const Device device = Device::adopt(host.adopted);
    EXPECT_EQ(device.queue(), VK_NULL_HANDLE);
    Buffer buffer = device.create_buffer(64, MemoryKind::upload);
    buffer.write(std::vector<std::byte>(64));
    EXPECT_TRUE(
        says(refusal(ErrorCode::unsupported, [&] { device.impl().submit({}); }), "AdoptedDevice::queue"));
    device.wait_idle();
}

TEST_P(DeviceAdoptTest, NamesObjectsWhereTheApplicationsInstanceCan) {
    HostDevice host(GetParam());
    EXPECT_TRUE(Device::adopt(host.adopted).capabilities().debug_utils);
    DeviceOptions options;
    options.debug_names = false;
    EXPECT_FALSE(Device::adopt(host.adopted, options).capabilities().debug_utils);
    HostDevice without(GetParam(), {}, false);
    const Device device = Device::adopt(without.adopted);
    EXPECT_FALSE(device.capabilities().debug_utils);
    expect_works(device);
}

}  // namespace
}  // namespace heron
