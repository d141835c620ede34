// SPDX-License-Identifier: MIT
// Pipelines: compiled once, refused beyond the limits; the stored cache survives a round trip and nothing
// damaged reaches the driver.
#include "core/pipelines.hpp"

#include <gtest/gtest.h>

#include <random>

#include "core/pattern.hpp"
#include "core/refusal.hpp"
#include "core/specialize.hpp"
#include "support/device_fixture.hpp"
#include "support/vulkan_proxy.hpp"

namespace heron {
namespace {

using test::refusal;
using test::says;

class PipelinesTest : public test::DeviceTest {};
HERON_DEVICE_TESTS(PipelinesTest);

// What vkCreatePipelineCache and vkCreateComputePipelines were given; the hooks below note it.
std::size_t initial_bytes = 0;
VkPipelineShaderStageCreateFlags stage_flags = 0;
bool asked_for_a_subgroup_size = false;
PFN_vkGetDeviceProcAddr real_get_device_proc_addr = nullptr;
PFN_vkCreatePipelineCache real_create_pipeline_cache = nullptr;

VKAPI_ATTR VkResult VKAPI_CALL create_pipeline_cache(VkDevice device, const VkPipelineCacheCreateInfo* info,
                                                     const VkAllocationCallbacks* allocator,
                                                     VkPipelineCache* cache) {
    initial_bytes = info->initialDataSize;
    return real_create_pipeline_cache(device, info, allocator, cache);
}

VKAPI_ATTR VkResult VKAPI_CALL create_compute_pipelines(VkDevice, VkPipelineCache, std::uint32_t,
                                                        const VkComputePipelineCreateInfo* info,
                                                        const VkAllocationCallbacks*, VkPipeline*) {
    stage_flags = info->stage.flags;
    asked_for_a_subgroup_size = info->stage.pNext != nullptr;
    return VK_ERROR_OUT_OF_HOST_MEMORY;  // an emulated size is not to reach the driver
}

VKAPI_ATTR PFN_vkVoidFunction VKAPI_CALL entry_without_pipelines(VkInstance instance, const char* name) {
    if (std::string_view(name) == "vkCreateComputePipelines")
        return reinterpret_cast<PFN_vkVoidFunction>(create_compute_pipelines);
    return test::plain_entry()(instance, name);
}

VKAPI_ATTR PFN_vkVoidFunction VKAPI_CALL get_device_proc_addr(VkDevice device, const char* name) {
    const PFN_vkVoidFunction real = real_get_device_proc_addr(device, name);
    if (std::string_view(name) != "vkCreatePipelineCache") return real;
    real_create_pipeline_cache = reinterpret_cast<PFN_vkCreatePipelineCache>(real);
    return reinterpret_cast<PFN_vkVoidFunction>(create_pipeline_cache);
}

VKAPI_ATTR PFN_vkVoidFunction VKAPI_CALL watching_entry(VkInstance instance, const char* name) {
    const PFN_vkVoidFunction real = test::validated_entry()(instance, name);
    if (std::string_view(name) != "vkGetDeviceProcAddr") return real;
    real_get_device_proc_addr = reinterpret_cast<PFN_vkGetDeviceProcAddr>(real);
    return reinterpret_cast<PFN_vkVoidFunction>(get_device_proc_addr);
}

TEST_P(PipelinesTest, CompilesOncePerSetOfConstants) {
    const Device own = Device::create(test::device_options(GetParam()));
    const VkPipeline first = test::pattern_pipeline(own.impl(), 64, 1);
    EXPECT_EQ(test::pattern_pipeline(own.impl(), 64, 1), first);
    EXPECT_NE(test::pattern_pipeline(own.impl(), 64, 2), first);
    EXPECT_NE(test::pattern_pipeline(own.impl(), 32, 1), first);
    EXPECT_EQ(own.pipelines_compiled(), 3u);
    Buffer buffer = own.create_buffer(400);
    for (std::uint32_t factor : {1u, 2u, 77u}) {
        test::run_pattern(own.impl(), buffer, 9, factor, 32);
        EXPECT_EQ(test::download<std::uint32_t>(buffer), test::expected_pattern(100, 9, factor));
    }
}

TEST_P(PipelinesTest, RefusesWhatDoesNotFitTheDevice) {
    Device::Impl& impl = device().impl();
    const std::uint32_t limit = device().capabilities().max_workgroup_invocations;
    const SpecializationConstant constants[] = {{0, limit + 1}, {1, 1}};
    KernelDesc kernel{spirv::core_test_pattern, "pattern", constants, limit + 1};
    const std::string text = refusal(ErrorCode::unsupported, [&] { impl.pipelines->get(kernel); });
    EXPECT_TRUE(says(text, "kernel pattern needs " + std::to_string(limit + 1)));
    kernel.threads = 0;
    refusal(ErrorCode::unsupported, [&] { impl.pipelines->get(kernel); });
    kernel.threads = 1;
    kernel.shared_bytes = device().capabilities().shared_memory_bytes + 1;
    EXPECT_TRUE(says(refusal(ErrorCode::unsupported, [&] { impl.pipelines->get(kernel); }), "shared memory"));
}

// Kernels that need full subgroups of one size run where there is no other, whether or not it can be asked
// for.
TEST_P(PipelinesTest, AsksForASubgroupSizeOnlyWhereThereAreSeveral) {
    if (!device().capabilities().subgroup_size_control) GTEST_SKIP() << "no full subgroups";
    struct Case {
        std::uint32_t smallest;
        bool requestable, offered, asked;
    };
    for (const Case& x : {Case{16, true, true, false}, Case{16, false, true, false},
                          Case{8, true, true, true}, Case{8, false, false, false}}) {
        test::Emulation emulation;
        emulation.subgroup_size = emulation.max_subgroup_size = 16;
        emulation.min_subgroup_size = x.smallest;
        emulation.without_required_subgroup_size = !x.requestable;
        test::VulkanProxy proxy(entry_without_pipelines, emulation);
        DeviceOptions options = test::device_options(GetParam());
        options.get_instance_proc_addr = proxy.entry();
        const Device own = Device::create(options);
        EXPECT_EQ(own.capabilities().subgroup_size_control, x.offered) << x.smallest;
        const SpecializationConstant constants[] = {{0, 64}, {1, 1}};
        const KernelDesc kernel{spirv::core_test_pattern, "pattern", constants, 64, 16};
        refusal(x.offered ? ErrorCode::out_of_host_memory : ErrorCode::unsupported,
                [&] { own.impl().pipelines->get(kernel); });
        if (!x.offered) continue;
        EXPECT_EQ(asked_for_a_subgroup_size, x.asked) << x.smallest;
        EXPECT_EQ(stage_flags, VK_PIPELINE_SHADER_STAGE_CREATE_REQUIRE_FULL_SUBGROUPS_BIT);
    }
}

TEST_P(PipelinesTest, StoredCacheIsUsedAgain) {
    DeviceOptions options = test::device_options(GetParam());
    std::vector<std::byte> stored;
    {
        const Device device = Device::create(options);
        test::pattern_pipeline(device.impl(), 64, 3);
        stored = device.pipeline_cache_bytes();
    }
    ASSERT_GT(stored.size(), 56u);
    std::vector<std::string> warnings;
    options.log = [&](Severity severity, std::string_view text) {
        if (severity >= Severity::warning) warnings.emplace_back(text);
    };
    options.pipeline_cache = stored;
    options.get_instance_proc_addr = watching_entry;
    const Device device = Device::create(options);
    EXPECT_EQ(initial_bytes, stored.size() - 56);
    EXPECT_TRUE(warnings.empty());
    Buffer buffer = device.create_buffer(400);
    test::run_pattern(device.impl(), buffer, 9, 3);
    EXPECT_EQ(test::download<std::uint32_t>(buffer), test::expected_pattern(100, 9, 3));
}

TEST_P(PipelinesTest, DamagedOrForeignCachesNeverReachTheDriver) {
    DeviceOptions options = test::device_options(GetParam());
    options.get_instance_proc_addr = watching_entry;
    int warnings = 0;
    options.log = [&](Severity severity, std::string_view) { warnings += severity == Severity::warning; };
    const Device device = Device::create(options);
    Device::Impl& impl = device.impl();
    test::pattern_pipeline(impl, 64, 1);
    const std::vector<std::byte> stored = device.pipeline_cache_bytes();
    std::mt19937 random(11);
    warnings = 0;
    auto expect_ignored = [&](const std::vector<std::byte>& blob, const std::string& what) {
        const int before = warnings;
        initial_bytes = 1;
        const Pipelines pipelines(impl, VK_NULL_HANDLE, blob);
        ASSERT_EQ(initial_bytes, 0u) << what;
        ASSERT_EQ(warnings, before + 1) << what;
    };
    for (int i = 0; i < 1000; ++i) {
        std::vector<std::byte> blob = stored;
        switch (i % 5) {
            case 0:
                blob[random() % blob.size()] ^= std::byte(1u << random() % 8);
                break;
            case 1:
                blob[random() % 56] ^= std::byte(1 + random() % 255);
                break;
            case 2:
                blob.resize(1 + random() % (blob.size() - 1));
                break;
            case 3:
                blob.resize(blob.size() + 1 + random() % 100);
                break;
            default:
                for (int j = 0; j < 8; ++j) blob[random() % blob.size()] = std::byte(random());
                if (blob == stored) continue;
        }
        ASSERT_NO_FATAL_FAILURE(expect_ignored(blob, "mutation " + std::to_string(i)));
    }
    // Sound, but of another device, driver or UUID: with the right hash, as another machine would have
    // written it.
    auto written_by = [&](auto change) {
        struct Restore {
            Device::Impl& impl;
            DeviceInfo info = impl.info;
            std::uint32_t driver = impl.driver_version;
            std::array<std::uint8_t, VK_UUID_SIZE> uuid = impl.pipeline_cache_uuid;
            ~Restore() {
                impl.info = info;
                impl.driver_version = driver;
                impl.pipeline_cache_uuid = uuid;
            }
        } restore{impl};
        change(impl);
        return device.pipeline_cache_bytes();
    };
    expect_ignored(written_by([](Device::Impl& d) { d.info.vendor_id ^= 1; }), "vendor");
    expect_ignored(written_by([](Device::Impl& d) { d.info.device_id ^= 1; }), "device");
    expect_ignored(written_by([](Device::Impl& d) { d.driver_version ^= 1; }), "driver");
    expect_ignored(written_by([](Device::Impl& d) { d.pipeline_cache_uuid[7] ^= 1; }), "uuid");
}

TEST_P(PipelinesTest, UsesTheAdoptedCache) {
    Device::Impl& impl = device().impl();
    VkPipelineCacheCreateInfo info{};
    info.sType = VK_STRUCTURE_TYPE_PIPELINE_CACHE_CREATE_INFO;
    VkPipelineCache cache = VK_NULL_HANDLE;
    ASSERT_EQ(impl.vk.CreatePipelineCache(impl.device, &info, nullptr, &cache), VK_SUCCESS);
    {
        Pipelines pipelines(impl, cache, {});
        const SpecializationConstant constants[] = {{0, 64}, {1, 5}};
        EXPECT_NE(pipelines.get({spirv::core_test_pattern, "pattern", constants, 64}), VK_NULL_HANDLE);
        EXPECT_GT(pipelines.cache_bytes().size(), 56u);
    }
    impl.vk.DestroyPipelineCache(impl.device, cache, nullptr);  // still alive: Heron destroyed it not
}

TEST_P(PipelinesTest, AFailedCompilationCanBeRepeated) {
    test::VulkanProxy proxy(test::plain_entry());
    DeviceOptions options = test::device_options(GetParam());
    options.get_instance_proc_addr = proxy.entry();
    {
        const Device own = Device::create(options);
        proxy.fail_function("vkCreateComputePipelines", VK_ERROR_OUT_OF_HOST_MEMORY);
        EXPECT_TRUE(
            says(refusal(ErrorCode::out_of_host_memory, [&] { test::pattern_pipeline(own.impl(), 64, 1); }),
                 "pattern"));
        proxy.stop_failing();
        EXPECT_EQ(own.pipelines_compiled(), 0u);
        EXPECT_NE(test::pattern_pipeline(own.impl(), 64, 1), VK_NULL_HANDLE);
        EXPECT_EQ(own.pipelines_compiled(), 1u);
    }
    EXPECT_EQ(proxy.live_text(), "");
}

// Hand-written SPIR-V: an instruction is its length in words and its code, then its operands.
TEST(Specialized, MakesPlainConstantsOfTheGivenValuesOrTheDefaults) {
    const auto op = [](std::uint32_t length, std::uint32_t code) { return length << 16 | code; };
    const std::vector<std::uint32_t> header{0x07230203, 0x00010600, 0, 20, 0};
    std::vector<std::uint32_t> spirv = header, expected = header;
    const auto both = [&](const std::vector<std::uint32_t>& words) {
        spirv.insert(spirv.end(), words.begin(), words.end());
        expected.insert(expected.end(), words.begin(), words.end());
    };
    const auto becomes = [&](const std::vector<std::uint32_t>& was, const std::vector<std::uint32_t>& is) {
        spirv.insert(spirv.end(), was.begin(), was.end());
        expected.insert(expected.end(), is.begin(), is.end());
    };
    both({op(2, 17), 1});  // OpCapability Shader
    for (std::uint32_t id : {7u, 8u, 9u, 10u}) becomes({op(4, 71), id, 1, id + 100}, {});  // SpecId
    both({op(4, 71), 11, 6, 4});                                                           // ArrayStride 4
    both({op(4, 21), 1, 32, 0});                                                           // OpTypeInt
    both({op(2, 20), 2});                                                                  // OpTypeBool
    becomes({op(4, 50), 1, 7, 5}, {op(4, 43), 1, 7, 77});
    becomes({op(4, 50), 1, 8, 6}, {op(4, 43), 1, 8, 6});
    becomes({op(3, 48), 2, 9}, {op(3, 42), 2, 9});
    becomes({op(3, 49), 2, 10}, {op(3, 42), 2, 10});
    both({op(6, 52), 1, 12, 128, 7, 8});  // OpSpecConstantOp IAdd
    const SpecializationConstant constants[] = {{107, 77}, {109, 0}};
    EXPECT_EQ(specialized(spirv, constants), expected);
}

}  // namespace
}  // namespace heron
