// SPDX-License-Identifier: MIT
// Devices that are less than, or other than, the real one.
#include <gtest/gtest.h>

#include "core/device.hpp"
#include "core/pattern.hpp"
#include "core/refusal.hpp"
#include "support/device_fixture.hpp"
#include "support/vulkan_proxy.hpp"

namespace heron {
namespace {

using test::Emulation;
using test::expect_works;
using test::refusal;
using test::says;
using test::VulkanProxy;

class DeviceEmulatedTest : public test::DeviceTest {
protected:
    // Runs `check` on the device of GetParam() as the emulation shows it.
    template <typename Check>
    void emulate(Emulation emulation, Check check) {
        VulkanProxy proxy(test::plain_entry(), std::move(emulation));
        DeviceOptions options = test::device_options(GetParam());
        options.get_instance_proc_addr = proxy.entry();
        {
            const Device device = Device::create(options);
            check(device, proxy);
        }
        EXPECT_EQ(proxy.live_text(), "");
    }

    // Contents survive every way between host and device.
    static void expect_copies_work(const Device& device) {
        std::vector<std::uint32_t> values(300'000);
        for (std::size_t i = 0; i < values.size(); ++i)
            values[i] = static_cast<std::uint32_t>(i * 2654435761u);
        for (MemoryKind from_kind : {MemoryKind::device, MemoryKind::upload, MemoryKind::readback})
            for (MemoryKind to_kind : {MemoryKind::device, MemoryKind::upload, MemoryKind::readback}) {
                Buffer from = test::upload(device, values, from_kind);
                Buffer to = device.create_buffer(from.bytes(), to_kind);
                Buffer unused;
                device.impl().copy(from.range(), to.range(), unused);
                EXPECT_EQ(test::download<std::uint32_t>(to), values);
            }
        // Odd offsets: flushing works in atoms of the memory.
        Buffer buffer = test::upload(device, std::vector<std::uint8_t>{1, 2, 3, 4, 5, 6, 7, 8});
        buffer.write(std::vector<std::byte>{std::byte{30}}, 2);
        EXPECT_EQ(test::download<std::uint8_t>(buffer), (std::vector<std::uint8_t>{1, 2, 30, 4, 5, 6, 7, 8}));
    }
};
HERON_DEVICE_TESTS(DeviceEmulatedTest);

// Without VK_EXT_memory_budget the heap's size is all that is known.
Emulation small_heaps(std::uint64_t bytes) {
    Emulation emulation;
    emulation.heap_bytes = bytes;
    emulation.without_extensions = {VK_EXT_MEMORY_BUDGET_EXTENSION_NAME};
    return emulation;
}

TEST_P(DeviceEmulatedTest, SmallestDeviceWorks) {
    for (std::uint32_t subgroup_size : {1u, 2u, 4u, 8u, 16u, 32u, 64u, 128u}) {
        Emulation emulation;
        emulation.subgroup_size = subgroup_size;
        emulation.shared_memory_bytes = 16384;
        emulation.max_invocations = 128;
        emulation.without_16_bit_types = true;
        emulation.without_timestamps = true;
        emulation.without_extensions = {VK_EXT_MEMORY_BUDGET_EXTENSION_NAME};
        emulate(emulation, [&](const Device& device, VulkanProxy&) {
            const Capabilities& c = device.capabilities();
            EXPECT_EQ(c.subgroup_size, subgroup_size);
            EXPECT_EQ(c.shared_memory_bytes, 16384u);
            EXPECT_EQ(c.max_workgroup_invocations, 128u);
            EXPECT_FALSE(c.shader_float16 || c.storage_16bit || c.storage_8bit || c.timestamps ||
                         c.memory_budget);
            expect_works(device);
        });
    }
}

TEST_P(DeviceEmulatedTest, CopiesWorkWithMemoryThatIsNotCoherent) {
    Emulation emulation;
    emulation.non_coherent = true;
    emulate(emulation, [&](const Device& device, VulkanProxy& proxy) {
        expect_copies_work(device);
        expect_works(device);
        EXPECT_GT(proxy.calls("vkFlushMappedMemoryRanges"), 0u);
        EXPECT_GT(proxy.calls("vkInvalidateMappedMemoryRanges"), 0u);
    });
}

TEST_P(DeviceEmulatedTest, CopiesWorkWhereTheHostDoesNotSeeDeviceMemory) {
    for (bool non_coherent : {false, true}) {
        Emulation emulation;
        emulation.separate_host_memory = true;
        emulation.non_coherent = non_coherent;
        emulate(emulation, [&](const Device& device, VulkanProxy&) {
            if (device.create_buffer(16).mapped())
                GTEST_SKIP() << "the device has several memory types of its own";
            expect_copies_work(device);
            expect_works(device);
            // Longer than one staging buffer.
            std::vector<std::uint32_t> large(10u << 20);
            for (std::size_t i = 0; i < large.size(); ++i) large[i] = static_cast<std::uint32_t>(i);
            EXPECT_EQ(test::download<std::uint32_t>(test::upload(device, large)), large);
        });
    }
}

TEST_P(DeviceEmulatedTest, OutOfMemoryNamesNeedAndBudget) {
    emulate(small_heaps(40u << 20), [&](const Device& device, VulkanProxy&) {
        Buffer small = device.create_buffer(1000);
        const std::string text =
            refusal(ErrorCode::out_of_device_memory, [&] { (void)device.create_buffer(64 << 20); });
        EXPECT_TRUE(says(text, "64.0 MiB"));
        EXPECT_TRUE(says(text, "of 40.0 MiB"));
        Buffer fits = device.create_buffer(24 << 20);
        EXPECT_TRUE(
            says(refusal(ErrorCode::out_of_device_memory, [&] { (void)device.create_buffer(16 << 20); }),
                 "left of 40.0 MiB"));
    });
    Emulation emulation;
    emulation.max_allocation_bytes = 8u << 20;
    emulate(emulation, [&](const Device& device, VulkanProxy&) {
        Buffer small = device.create_buffer(1000);
        EXPECT_TRUE(
            says(refusal(ErrorCode::out_of_device_memory, [&] { (void)device.create_buffer(9 << 20); }),
                 "8.0 MiB"));
    });
}

TEST_P(DeviceEmulatedTest, SmallHeapsStillServeSmallBuffers) {
    emulate(small_heaps(4u << 20), [&](const Device& device, VulkanProxy&) {
        Buffer a = device.create_buffer(1000);
        Buffer b = device.create_buffer(1000, MemoryKind::upload);
        Buffer c = device.create_buffer(1000, MemoryKind::readback);
        expect_works(device);
    });
}

TEST_P(DeviceEmulatedTest, FailedAllocationsKeepTheVulkanResult) {
    emulate({}, [&](const Device& device, VulkanProxy& proxy) {
        proxy.fail_function("vkAllocateMemory", VK_ERROR_OUT_OF_DEVICE_MEMORY);
        try {
            (void)device.create_buffer(1000);
            ADD_FAILURE() << "nothing was thrown";
        } catch (const Error& error) {
            EXPECT_EQ(error.code(), ErrorCode::out_of_device_memory);
            EXPECT_EQ(error.vk_result(), VK_ERROR_OUT_OF_DEVICE_MEMORY);
        }
        proxy.stop_failing();
        expect_works(device);
    });
}

}  // namespace
}  // namespace heron
