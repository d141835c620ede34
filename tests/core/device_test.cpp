// SPDX-License-Identifier: MIT
// Listing, choosing, creating and adopting devices; what is refused, and with which words.
#include "core/device.hpp"

#include <gtest/gtest.h>

#include <algorithm>
#include <atomic>
#include <cctype>
#include <cstdlib>
#include <thread>

#include "core/host_device.hpp"
#include "core/pattern.hpp"
#include "core/refusal.hpp"
#include "support/device_fixture.hpp"
#include "support/vulkan_proxy.hpp"

namespace heron {
namespace {

using test::Emulation;
using test::HostDevice;
using test::refusal;
using test::says;
using test::VulkanProxy;

class DeviceTest : public test::DeviceTest {
protected:
    // Buffers and a kernel give the right values.
    static void expect_works(const Device& device) {
        Device::Impl& impl = device.impl();
        Buffer buffer = device.create_buffer(4000);
        test::run_pattern(impl, buffer, 5, 3, std::min(64u, device.capabilities().max_workgroup_invocations));
        EXPECT_EQ(test::download<std::uint32_t>(buffer), test::expected_pattern(1000, 5, 3));
    }
};
HERON_DEVICE_TESTS(DeviceTest);

std::string upper_case(std::string text) {
    for (char& c : text) c = static_cast<char>(std::toupper(static_cast<unsigned char>(c)));
    return text;
}

// --- list and select

TEST_P(DeviceTest, ListSaysWhatItIs) {
    const DeviceInfo& info = GetParam();
    EXPECT_FALSE(info.name.empty());
    EXPECT_FALSE(info.driver.empty());
    EXPECT_EQ(info.uuid_text().size(), 32u);
    EXPECT_GE(info.api_version, VK_API_VERSION_1_3);
    EXPECT_TRUE(info.reason.empty());
}

TEST_P(DeviceTest, IsSelectedByIndexUuidAndNamePart) {
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

TEST_P(DeviceTest, ASelectionWithoutMatchListsAllDevices) {
    DeviceOptions options = test::device_options(GetParam());
    for (const char* wish : {"no such device", "999", "00000000-0000-0000-0000-0000000000ff"}) {
        options.select = wish;
        const std::string text = refusal(ErrorCode::invalid_argument, [&] { Device::create(options); });
        EXPECT_TRUE(says(text, wish));
        for (const DeviceInfo& info : test::devices()) EXPECT_TRUE(says(text, info.name));
    }
}

TEST_P(DeviceTest, AnAmbiguousNamePartSaysSo) {
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

TEST_P(DeviceTest, DiscreteComesBeforeTheRest) {
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

TEST_P(DeviceTest, RefusesOldDevicesAndNamesWhatIsMissing) {
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

TEST_P(DeviceTest, RefusesAnOldLoader) {
    Emulation emulation;
    emulation.loader_version = VK_API_VERSION_1_1;
    VulkanProxy proxy(test::plain_entry(), emulation);
    DeviceOptions options;
    options.get_instance_proc_addr = proxy.entry();
    EXPECT_TRUE(says(refusal(ErrorCode::unsupported, [&] { Device::create(options); }), "loader is too old"));
    EXPECT_TRUE(says(refusal(ErrorCode::unsupported, [&] { Device::list(options); }), "1.1.0"));
}

VKAPI_ATTR PFN_vkVoidFunction VKAPI_CALL knows_nothing(VkInstance, const char*) { return nullptr; }

TEST_P(DeviceTest, RefusesALoaderWithoutFunctionsByName) {
    DeviceOptions options;
    options.get_instance_proc_addr = knows_nothing;
    EXPECT_TRUE(says(refusal(ErrorCode::unsupported, [&] { Device::create(options); }), "vkCreateInstance"));
}

TEST_P(DeviceTest, RefusesWrongOptions) {
    DeviceOptions options = test::device_options(GetParam());
    options.memory.allocate = [](const MemoryRequest&) { return BufferRange{}; };
    EXPECT_TRUE(says(refusal(ErrorCode::invalid_argument, [&] { Device::create(options); }), "memory"));
    options = test::device_options(GetParam());
    options.instance_layers = {"VK_LAYER_that_is_not_there"};
    EXPECT_TRUE(says(refusal(ErrorCode::unsupported, [&] { Device::create(options); }),
                     "VK_LAYER_that_is_not_there"));
    options.instance_layers = {nullptr};
    refusal(ErrorCode::invalid_argument, [&] { Device::create(options); });
    test::take_validation_messages();
}

// --- create

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
    off.cooperative_matrix = off.bfloat16 = off.cooperative_matrix2 = off.memory_budget = off.timestamps =
        true;
    off.cpu = true;
    off.max_shared_memory = 16384;
    off.max_invocations = 128;
    const Capabilities& c = device(off).capabilities();
    EXPECT_FALSE(c.shader_float16 || c.storage_16bit || c.storage_8bit || c.subgroup_size_control ||
                 c.cooperative_matrix || c.bfloat16 || c.cooperative_matrix2 || c.memory_budget ||
                 c.timestamps || c.cpu);
    EXPECT_LE(c.shared_memory_bytes, 16384u);
    EXPECT_EQ(c.max_workgroup_invocations, 128u);
    EXPECT_EQ(c.max_workgroup_size_x, 128u);
    expect_works(device(off));
    EXPECT_EQ(device().capabilities().cpu, GetParam().type == VK_PHYSICAL_DEVICE_TYPE_CPU);
    EXPECT_GE(device().capabilities().shared_memory_bytes, 16384u);
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

// --- host memory callbacks

struct HostMemory {
    std::atomic<std::int64_t> live{0};
    std::atomic<std::int64_t> total{0};
    VkAllocationCallbacks callbacks{};

    HostMemory() {
        callbacks.pUserData = this;
        callbacks.pfnAllocation = [](void* self, std::size_t size, std::size_t alignment,
                                     VkSystemAllocationScope) -> void* {
            return static_cast<HostMemory*>(self)->allocate(size, alignment);
        };
        callbacks.pfnFree = [](void* self, void* pointer) {
            static_cast<HostMemory*>(self)->release(pointer);
        };
        callbacks.pfnReallocation = [](void* self, void* old, std::size_t size, std::size_t alignment,
                                       VkSystemAllocationScope) -> void* {
            auto& memory = *static_cast<HostMemory*>(self);
            if (size == 0) {
                memory.release(old);
                return nullptr;
            }
            auto* made = static_cast<std::byte*>(memory.allocate(size, alignment));
            if (made && old) {
                std::memcpy(made, old, std::min(size, reinterpret_cast<std::size_t*>(old)[-1]));
                memory.release(old);
            }
            return made;
        };
    }
    // The size stands before the memory, the start of the malloc'ed block before that.
    void* allocate(std::size_t size, std::size_t alignment) {
        if (size == 0) return nullptr;
        alignment = std::max<std::size_t>(alignment, 16);
        auto* base = static_cast<std::byte*>(std::malloc(size + alignment + 16));
        if (!base) return nullptr;
        const auto address =
            (reinterpret_cast<std::uintptr_t>(base) + 16 + alignment - 1) / alignment * alignment;
        auto* result = reinterpret_cast<std::byte*>(address);
        reinterpret_cast<std::size_t*>(result)[-1] = size;
        reinterpret_cast<void**>(result)[-2] = base;
        ++live;
        ++total;
        return result;
    }
    void release(void* pointer) {
        if (!pointer) return;
        --live;
        std::free(static_cast<void**>(pointer)[-2]);
    }
};

TEST_P(DeviceTest, PassesTheHostMemoryCallbacksToEveryCall) {
    HostMemory memory;
    DeviceOptions options = test::device_options(GetParam());
    options.get_instance_proc_addr = test::plain_entry();
    options.allocator = &memory.callbacks;
    expect_works(Device::create(options));
    EXPECT_GT(memory.total.load(), 0);
    EXPECT_EQ(memory.live.load(), 0);
}

// --- the caller's device memory

TEST_P(DeviceTest, TakesDeviceMemoryFromTheCaller) {
    DeviceOptions options = test::device_options(GetParam());
    // A second Device on the same VkDevice stands for the engine's allocator.
    const Device engine = Device::create(options);
    std::deque<Buffer> pool;
    std::vector<std::string> purposes;
    std::size_t freed = 0;
    options.memory.allocate = [&](const MemoryRequest& request) {
        purposes.emplace_back(request.purpose);
        pool.push_back(BufferAccess::create(engine.impl(), request));
        return pool.back().range();
    };
    options.memory.free = [&](const BufferRange& range) {
        ++freed;
        EXPECT_NE(range.buffer, VK_NULL_HANDLE);
    };
    HostDevice handles = HostDevice::of(engine);
    {
        const Device device = Device::adopt(handles.adopted, options);
        expect_works(device);
        Buffer buffer = device.create_buffer(100, MemoryKind::upload);
        EXPECT_EQ(buffer.bytes(), 100u);
        EXPECT_EQ(buffer.range().buffer, pool.back().range().buffer);
        EXPECT_EQ(device.impl().memory->allocated_bytes(), 0u);
    }
    EXPECT_EQ(freed, pool.size());
    EXPECT_GE(freed, 2u);
}

TEST_P(DeviceTest, RefusesWrongMemoryFromTheCaller) {
    const Device engine = Device::create(test::device_options(GetParam()));
    HostDevice handles = HostDevice::of(engine);
    Buffer real = engine.create_buffer(4096, MemoryKind::upload);
    BufferRange answer = real.range();
    int freed = 0;
    DeviceOptions options;
    options.memory.allocate = [&](const MemoryRequest&) { return answer; };
    options.memory.free = [&](const BufferRange&) { ++freed; };
    const Device device = Device::adopt(handles.adopted, options);
    auto refused = [&](ErrorCode code, const char* words) {
        EXPECT_TRUE(says(refusal(code, [&] { device.create_buffer(256, MemoryKind::upload); }), words));
    };
    answer.buffer = VK_NULL_HANDLE;
    refused(ErrorCode::out_of_device_memory, "null buffer");
    EXPECT_EQ(freed, 0);
    answer = real.range();
    answer.bytes = 255;
    refused(ErrorCode::invalid_argument, "255 bytes");
    answer = real.range();
    answer.offset += 4;
    refused(ErrorCode::invalid_argument, "multiple of 256");
    answer = real.range();
    answer.usage &= ~VkBufferUsageFlags{VK_BUFFER_USAGE_INDIRECT_BUFFER_BIT};
    refused(ErrorCode::invalid_argument, "INDIRECT_BUFFER");
    answer = real.range();
    answer.mapped = nullptr;
    refused(ErrorCode::invalid_argument, "not mapped");
    EXPECT_EQ(freed, 4);
    options.memory.allocate = [&](const MemoryRequest&) -> BufferRange {
        throw std::runtime_error("engine is full");
    };
    const Device full = Device::adopt(handles.adopted, options);
    EXPECT_THROW(full.create_buffer(256), std::runtime_error);
}

// --- adopt

TEST_P(DeviceTest, AdoptsAnEnginesDevice) {
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
    EXPECT_FALSE(adopted.debug_utils) << "the extension was not listed";
}

TEST_P(DeviceTest, UsesOnlyWhatWasEnabled) {
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

TEST_P(DeviceTest, NamesMissingFeaturesOfAnAdoptedDevice) {
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

TEST_P(DeviceTest, RefusesWrongHandlesByName) {
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

TEST_P(DeviceTest, WorksWithoutAQueueUntilSomethingMustBeSubmitted) {
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

TEST_P(DeviceTest, NamesObjectsOfAnAdoptedDeviceWhereTheExtensionIsListed) {
    HostDevice host(GetParam());
    std::vector<const char*> extensions(host.adopted.enabled_extensions.begin(),
                                        host.adopted.enabled_extensions.end());
    extensions.push_back(VK_EXT_DEBUG_UTILS_EXTENSION_NAME);
    host.adopted.enabled_extensions = extensions;
    const Device device = Device::adopt(host.adopted);
    EXPECT_TRUE(device.capabilities().debug_utils);
    expect_works(device);
    DeviceOptions options;
    options.debug_names = false;
    EXPECT_FALSE(Device::adopt(host.adopted, options).capabilities().debug_utils);
}

// --- a lost device

TEST_P(DeviceTest, ALostDeviceStaysLost) {
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

TEST_P(DeviceTest, WaitingEndsAtItsTimeOut) {
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

// --- emulated devices

class EmulatedDeviceTest : public DeviceTest {
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
HERON_DEVICE_TESTS(EmulatedDeviceTest);

TEST_P(EmulatedDeviceTest, SmallestDeviceWorks) {
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

TEST_P(EmulatedDeviceTest, CopiesWorkWithMemoryThatIsNotCoherent) {
    Emulation emulation;
    emulation.non_coherent = true;
    emulate(emulation, [&](const Device& device, VulkanProxy& proxy) {
        expect_copies_work(device);
        expect_works(device);
        EXPECT_GT(proxy.calls("vkFlushMappedMemoryRanges"), 0u);
        EXPECT_GT(proxy.calls("vkInvalidateMappedMemoryRanges"), 0u);
    });
}

TEST_P(EmulatedDeviceTest, CopiesWorkWhereTheHostDoesNotSeeDeviceMemory) {
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

TEST_P(EmulatedDeviceTest, OutOfMemoryNamesNeedAndBudget) {
    Emulation emulation;
    emulation.heap_bytes = 40u << 20;
    emulation.without_extensions = {VK_EXT_MEMORY_BUDGET_EXTENSION_NAME};
    emulate(emulation, [&](const Device& device, VulkanProxy&) {
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
    emulation = {};
    emulation.max_allocation_bytes = 8u << 20;
    emulate(emulation, [&](const Device& device, VulkanProxy&) {
        Buffer small = device.create_buffer(1000);
        EXPECT_TRUE(
            says(refusal(ErrorCode::out_of_device_memory, [&] { (void)device.create_buffer(9 << 20); }),
                 "8.0 MiB"));
    });
}

TEST_P(EmulatedDeviceTest, SmallHeapsStillServeSmallBuffers) {
    Emulation emulation;
    emulation.heap_bytes = 4u << 20;
    emulation.without_extensions = {VK_EXT_MEMORY_BUDGET_EXTENSION_NAME};
    emulate(emulation, [&](const Device& device, VulkanProxy&) {
        Buffer a = device.create_buffer(1000);
        Buffer b = device.create_buffer(1000, MemoryKind::upload);
        Buffer c = device.create_buffer(1000, MemoryKind::readback);
        expect_works(device);
    });
}

TEST_P(EmulatedDeviceTest, FailedAllocationsKeepTheVulkanResult) {
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
