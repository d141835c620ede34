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

// A device with cooperative matrices of a workgroup.
struct MatrixDevice {
    Probe probe;
    Features features;
    WorkgroupMatrices workgroup{
        .granularity = {32, 64, 16}, .max_dimension = 256, .max_invocations = 1024, .reserved_bytes = 16384};

    MatrixDevice() {
        probe.queue_families.resize(1);
        features.cooperative_matrix = features.vulkan_memory_model = true;
        features.vulkan_memory_model_device_scope = features.shader_float16 = true;
        features.storage_buffer_16bit = features.shader_int16 = true;
        features.cooperative_matrix2 = 127;
    }
    Capabilities capabilities(const DisabledCapabilities& disable = {}) const {
        const CooperativeMatrixShape shape{16, 16, 16, DType::f16};
        return capabilities_of(probe, features, {}, 0, {&shape, 1}, workgroup, disable);
    }
};

TEST(FeaturesTest, ReportsMatricesOfAWorkgroupWhereNothingIsMissing) {
    const Capabilities full = MatrixDevice().capabilities();
    EXPECT_TRUE(full.cooperative_matrix2);
    EXPECT_EQ(full.cooperative_workgroup_f16, (MatrixShape{32, 64, 16}));
    EXPECT_EQ(full.cooperative_workgroup_bytes, 16384u);
    for (std::uint32_t bit : {kMatrixWorkgroupScope, kMatrixFlexibleDimensions, kMatrixTensorAddressing}) {
        MatrixDevice less;
        less.features.cooperative_matrix2 &= ~bit;
        EXPECT_TRUE(less.capabilities().cooperative_matrix2);
        EXPECT_EQ(less.capabilities().cooperative_workgroup_f16, MatrixShape{}) << bit;
    }
    MatrixDevice small, narrow;
    small.workgroup.max_dimension = 64;
    EXPECT_EQ(small.capabilities().cooperative_workgroup_f16, MatrixShape{});
    narrow.workgroup.max_invocations = 128;
    EXPECT_EQ(narrow.capabilities().cooperative_workgroup_f16, MatrixShape{});
    for (const DisabledCapabilities& off : {DisabledCapabilities{.cooperative_matrix = true},
                                            DisabledCapabilities{.cooperative_matrix2 = true}}) {
        EXPECT_FALSE(MatrixDevice().capabilities(off).cooperative_matrix2);
        EXPECT_EQ(MatrixDevice().capabilities(off).cooperative_workgroup_f16, MatrixShape{});
    }
}

#ifdef VK_NV_cooperative_matrix2
TEST(FeaturesTest, FindsMatricesOfAWorkgroupAmongWhatADriverLists) {
    FunctionTable vk;
    vk.GetPhysicalDeviceProperties2 = [](VkPhysicalDevice, VkPhysicalDeviceProperties2* chain) {
        auto* limits = static_cast<VkPhysicalDeviceCooperativeMatrix2PropertiesNV*>(chain->pNext);
        ASSERT_EQ(limits->sType, VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_COOPERATIVE_MATRIX_2_PROPERTIES_NV);
        limits->cooperativeMatrixWorkgroupScopeMaxWorkgroupSize = 512;
        limits->cooperativeMatrixFlexibleDimensionsMaxDimension = 1024;
        limits->cooperativeMatrixWorkgroupScopeReservedSharedMemory = 4096;
    };
    vk.GetPhysicalDeviceCooperativeMatrixFlexibleDimensionsPropertiesNV =
        [](VkPhysicalDevice, std::uint32_t* count, VkCooperativeMatrixFlexibleDimensionsPropertiesNV* items) {
            *count = 4;
            if (!items) return VK_SUCCESS;
            for (std::uint32_t i = 0; i < 4; ++i) {
                EXPECT_EQ(items[i].sType,
                          VK_STRUCTURE_TYPE_COOPERATIVE_MATRIX_FLEXIBLE_DIMENSIONS_PROPERTIES_NV);
                items[i].MGranularity = items[i].NGranularity = items[i].KGranularity = i + 1;
                items[i].AType = items[i].BType = VK_COMPONENT_TYPE_FLOAT16_KHR;
                items[i].CType = items[i].ResultType = VK_COMPONENT_TYPE_FLOAT32_KHR;
                items[i].scope = VK_SCOPE_WORKGROUP_KHR;
                items[i].workgroupInvocations = kMatrixWorkgroup;
            }
            items[0].scope = VK_SCOPE_SUBGROUP_KHR;
            items[2].workgroupInvocations = 128;
            items[3].CType = items[3].ResultType = VK_COMPONENT_TYPE_FLOAT16_KHR;
            return VK_SUCCESS;
        };
    const std::vector<std::string> extensions{VK_NV_COOPERATIVE_MATRIX_2_EXTENSION_NAME};
    const WorkgroupMatrices found = workgroup_matrices(vk, VK_NULL_HANDLE, extensions);
    EXPECT_EQ(found.granularity, (MatrixShape{2, 2, 2}));
    EXPECT_EQ(found.max_dimension, 1024u);
    EXPECT_EQ(found.max_invocations, 512u);
    EXPECT_EQ(found.reserved_bytes, 4096u);
    EXPECT_EQ(workgroup_matrices(vk, VK_NULL_HANDLE, {}).granularity, MatrixShape{});
}
#endif

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
