// SPDX-License-Identifier: MIT
// Listing and choosing devices; what is refused, and with which words.
#include <gtest/gtest.h>

#include <algorithm>
#include <cctype>
#include <string>
#include <vector>

#include "core/device.hpp"
#include "core/refusal.hpp"
#include "support/device_fixture.hpp"
#include "support/vulkan_proxy.hpp"

namespace heron {
namespace {

using test::Emulation;
using test::refusal;
using test::says;
using test::VulkanProxy;

class DeviceSelectTest : public test::DeviceTest {};
HERON_DEVICE_TESTS(DeviceSelectTest);

std::string upper_case(std::string text) {
    for (char& c : text) c = static_cast<char>(std::toupper(static_cast<unsigned char>(c)));
    return text;
}

TEST_P(DeviceSelectTest, ListSaysWhatItIs) {
    const DeviceInfo& info = GetParam();
    EXPECT_FALSE(info.name.empty());
    EXPECT_FALSE(info.driver.empty());
    EXPECT_EQ(info.uuid_text().size(), 32u);
    EXPECT_GE(info.api_version, VK_API_VERSION_1_3);
    EXPECT_TRUE(info.reason.empty());
}

TEST_P(DeviceSelectTest, IsSelectedByIndexUuidAndNamePart) {
    const DeviceInfo& info = GetParam();
    std::string dashed = upper_case(info.uuid_text());
    for (std::size_t at : {20u, 16u, 12u, 8u}) dashed.insert(at, "-");
    DeviceOptions options = test::device_options(info);
    for (const std::string& wish : {std::to_string(info.index), info.uuid_text(), dashed, info.name,
                                    upper_case(info.name), info.name.substr(1)}) {
        options.select = wish;
        const Device device = Device::create(options);
        EXPECT_EQ(device.info().uuid_text(), info.uuid_text()) << wish;
        EXPECT_TRUE(says(device.explain(),
                         info.name + ", " + info.type_text() + ", " + info.driver + ": selected by "));
        EXPECT_EQ(device.explain().find('\n'), std::string::npos) << "one line";
    }
}

TEST_P(DeviceSelectTest, ASelectionWithoutMatchListsAllDevices) {
    DeviceOptions options = test::device_options(GetParam());
    for (const char* wish : {"no such device", "999", "00000000-0000-0000-0000-0000000000ff"}) {
        options.select = wish;
        const std::string text = refusal(ErrorCode::invalid_argument, [&] { Device::create(options); });
        EXPECT_TRUE(says(text, wish));
        for (const DeviceInfo& info : test::devices()) EXPECT_TRUE(says(text, info.name));
    }
}

TEST_P(DeviceSelectTest, AnAmbiguousNamePartSaysSo) {
    std::vector<DeviceInfo> all = Device::list(test::device_options(GetParam()));
    const auto matches = std::count_if(all.begin(), all.end(), [](const DeviceInfo& info) {
        return info.usable && info.name.find('e') != std::string::npos;
    });
    if (matches < 2) GTEST_SKIP() << "needs two devices with an e in their names";
    DeviceOptions options = test::device_options(GetParam());
    options.select = "E";
    EXPECT_TRUE(says(Device::create(options).explain(),
                     "selected by name part \"E\", first of " + std::to_string(matches) + " matches"));
}

TEST_P(DeviceSelectTest, DiscreteComesBeforeTheRest) {
    Emulation emulation;
    for (const DeviceInfo& info : Device::list(test::device_options(GetParam())))
        emulation.types[info.name] = VK_PHYSICAL_DEVICE_TYPE_CPU;
    for (VkPhysicalDeviceType type :
         {VK_PHYSICAL_DEVICE_TYPE_VIRTUAL_GPU, VK_PHYSICAL_DEVICE_TYPE_INTEGRATED_GPU,
          VK_PHYSICAL_DEVICE_TYPE_DISCRETE_GPU}) {
        emulation.types[GetParam().name] = type;
        VulkanProxy proxy(test::plain_entry(), emulation);
        DeviceOptions options;
        options.get_instance_proc_addr = proxy.entry();
        const Device device = Device::create(options);
        EXPECT_EQ(device.info().type, type);
        EXPECT_EQ(device.info().name, GetParam().name);
        const std::string reason = device.info().reason;
        EXPECT_TRUE(reason == "the only usable device" || reason.starts_with("first of ")) << reason;
    }
}

// --- refusals

TEST_P(DeviceSelectTest, RefusesOldDevicesAndNamesWhatIsMissing) {
    auto refused_with = [&](Emulation emulation) {
        VulkanProxy proxy(test::plain_entry(), std::move(emulation));
        DeviceOptions options;
        options.get_instance_proc_addr = proxy.entry();
        for (const DeviceInfo& info : Device::list(options)) EXPECT_FALSE(info.usable);
        const std::string text = refusal(ErrorCode::unsupported, [&] { Device::create(options); });
        options.select = std::to_string(GetParam().index);
        EXPECT_TRUE(says(refusal(ErrorCode::unsupported, [&] { Device::create(options); }), GetParam().name));
        EXPECT_EQ(proxy.live_text(), "");
        return text;
    };
    for (std::uint32_t version :
         {VK_API_VERSION_1_0, VK_API_VERSION_1_1, VK_MAKE_API_VERSION(0, 1, 2, 200)}) {
        Emulation old;
        old.api_version = version;
        const std::string text = refused_with(old);
        EXPECT_TRUE(says(text, "device too old"));
        EXPECT_TRUE(says(text, version_text(version)));
        EXPECT_TRUE(says(text, GetParam().name));
    }
    const std::vector<std::string> baseline = {"bufferDeviceAddress", "scalarBlockLayout",
                                               "timelineSemaphore", "synchronization2", "maintenance4"};
    for (const std::string& feature : baseline) {
        Emulation without;
        without.without_features = {feature};
        EXPECT_TRUE(says(refused_with(without), "lacks " + feature));
    }
    Emulation without_all;
    without_all.without_features = baseline;
    without_all.without_features.push_back("subgroup basic");
    without_all.without_compute_queue = true;
    EXPECT_TRUE(says(
        refused_with(without_all),
        "lacks bufferDeviceAddress, scalarBlockLayout, timelineSemaphore, synchronization2, maintenance4, "
        "basic subgroup operations in compute shaders, a queue family with compute"));
}

TEST_P(DeviceSelectTest, RefusesAnOldLoader) {
    Emulation emulation;
    emulation.loader_version = VK_API_VERSION_1_1;
    VulkanProxy proxy(test::plain_entry(), emulation);
    DeviceOptions options;
    options.get_instance_proc_addr = proxy.entry();
    EXPECT_TRUE(says(refusal(ErrorCode::unsupported, [&] { Device::create(options); }), "loader is too old"));
    EXPECT_TRUE(says(refusal(ErrorCode::unsupported, [&] { Device::list(options); }), "1.1.0"));
}

VKAPI_ATTR PFN_vkVoidFunction VKAPI_CALL knows_nothing(VkInstance, const char*) { return nullptr; }

TEST_P(DeviceSelectTest, RefusesALoaderWithoutFunctionsByName) {
    DeviceOptions options;
    options.get_instance_proc_addr = knows_nothing;
    EXPECT_TRUE(says(refusal(ErrorCode::unsupported, [&] { Device::create(options); }), "vkCreateInstance"));
}

TEST_P(DeviceSelectTest, RefusesWrongOptions) {
    DeviceOptions options = test::device_options(GetParam());
    options.memory.allocate = [](const MemoryRequest&) { return BufferRange{}; };
    EXPECT_TRUE(says(refusal(ErrorCode::invalid_argument, [&] { Device::create(options); }), "memory"));
    options = test::device_options(GetParam());
    options.instance_layers = {"VK_LAYER_that_is_not_there"};
    EXPECT_TRUE(says(refusal(ErrorCode::unsupported, [&] { Device::create(options); }),
                     "VK_LAYER_that_is_not_there"));
    options.instance_layers = {nullptr};
    refusal(ErrorCode::invalid_argument, [&] { Device::create(options); });
    options = test::device_options(GetParam());
    ++options.header_minor;  // a program that was compiled with other headers
    EXPECT_TRUE(
        says(refusal(ErrorCode::version_mismatch, [&] { Device::create(options); }), "compile it again"));
    refusal(ErrorCode::version_mismatch, [&] { Device::list(options); });
    test::take_validation_messages();
}

}  // namespace
}  // namespace heron
