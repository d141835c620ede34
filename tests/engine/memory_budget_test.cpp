// SPDX-License-Identifier: MIT
// What a plan needs is held against what the device's heaps have left, before anything is allocated.
#include <gtest/gtest.h>

#include "core/refusal.hpp"
#include "heron/heron.hpp"
#include "support/device_fixture.hpp"
#include "support/vulkan_proxy.hpp"

namespace heron {
namespace {

using test::Emulation;
using test::refusal;
using test::says;
using test::VulkanProxy;

constexpr std::uint64_t kMiB = 1u << 20;

class MemoryBudgetTest : public test::DeviceTest {
protected:
    // One matrix of 4 MiB with its gradient: AdamW has 8 MiB of state for it, Shampoo several times as much.
    inline static const Shape kShape{1024, 1024};

    template <class Check>
    void with_device(const Emulation& emulation, const Check& check) {
        VulkanProxy proxy(test::plain_entry(), emulation);
        DeviceOptions options = test::device_options(GetParam());
        options.get_instance_proc_addr = proxy.entry();
        {
            const Device device = Device::create(options);
            const std::vector<float> values(kShape.count(), 0.5f);
            const Buffer weight = test::upload(device, values);
            const Buffer gradient = test::upload(device, values);
            check(device,
                  Parameter{.name = "weight",
                            .weight = weight.view(DType::f32, kShape),
                            .gradient = gradient.view(DType::f32, kShape)},
                  proxy);
        }
        EXPECT_EQ(proxy.live_text(), "");
    }

    // Shampoo is refused, and nothing has happened; AdamW fits.
    static void expect_refusal(const Device& device, const Parameter& parameter, const VulkanProxy& proxy,
                               const std::string& budget) {
        Shampoo shampoo(device);
        shampoo.add(parameter);
        Plan large = compile(device, {&shampoo}, {.name = "large step"});
        ASSERT_GT(large.state_bytes() + large.workspace_bytes(), 16 * kMiB);
        const auto live = proxy.live();
        const std::uint64_t allocations = proxy.calls("vkAllocateMemory");
        const std::uint64_t buffers = proxy.calls("vkCreateBuffer");
        const std::string text = refusal(ErrorCode::out_of_device_memory, [&] { large.allocate(); });
        for (const std::string& part : std::initializer_list<std::string>{
                 "large step needs ", " for state", " for workspace", " for tables", " for readback",
                 " left of ", budget, "nothing was allocated"})
            EXPECT_TRUE(says(text, part));
        EXPECT_EQ(proxy.live(), live);
        EXPECT_EQ(proxy.calls("vkAllocateMemory"), allocations);
        EXPECT_EQ(proxy.calls("vkCreateBuffer"), buffers);
        EXPECT_EQ(device.pipelines_compiled(), 0u);

        AdamW adamw(device);
        adamw.add(parameter);
        Plan small = compile(device, {&adamw});
        small.allocate();
        small.initialize();
        small.run();
        EXPECT_EQ(status(small).step, 1u);
    }
};
HERON_DEVICE_TESTS(MemoryBudgetTest);

TEST_P(MemoryBudgetTest, APlanBeyondTheBudgetIsRefusedBeforeAnythingIsAllocated) {
    Emulation emulation;
    emulation.heap_budget = 16 * kMiB;
    with_device(emulation, [](const Device& device, const Parameter& parameter, const VulkanProxy& proxy) {
        EXPECT_TRUE(device.capabilities().memory_budget);
        expect_refusal(device, parameter, proxy, "has 16.0 MiB left");
    });
}

// The heap's size, less what Heron itself has of it.
TEST_P(MemoryBudgetTest, WithoutTheExtensionTheHeapIsTheBudget) {
    Emulation emulation;
    emulation.heap_bytes = 28 * kMiB;
    emulation.without_extensions = {VK_EXT_MEMORY_BUDGET_EXTENSION_NAME};
    with_device(emulation, [](const Device& device, const Parameter& parameter, const VulkanProxy& proxy) {
        EXPECT_FALSE(device.capabilities().memory_budget);
        expect_refusal(device, parameter, proxy, "left of 28.0 MiB");
    });
}

// An engine's allocator decides for itself; what it has given before it refuses goes back to it.
TEST_P(MemoryBudgetTest, WhatAnAllocatorGaveBeforeItRefusedGoesBack) {
    const Device engine = Device::create(test::device_options(GetParam()));
    std::vector<Buffer> given;
    int freed = 0;
    DeviceOptions options = test::device_options(GetParam());
    options.memory.allocate = [&](const MemoryRequest& request) -> BufferRange {
        if (std::string(request.purpose) == "workspace") return {};
        given.push_back(engine.create_buffer(request.bytes, request.kind));
        return given.back().range();
    };
    options.memory.free = [&](const BufferRange&) { ++freed; };
    AdoptedDevice handles{.get_instance_proc_addr = test::validated_entry(),
                          .instance = engine.instance(),
                          .physical_device = engine.physical_device(),
                          .device = engine.handle(),
                          .queue_family = engine.queue_family(),
                          .queue = engine.queue()};
    const FeatureChain chain(test::validated_entry(), engine.instance(), engine.physical_device());
    handles.enabled_features = chain.features();
    handles.enabled_extensions = chain.extensions();
    const Device device = Device::adopt(handles, options);
    const Buffer values = engine.create_buffer(2 * 64 * 64 * sizeof(float));
    Shampoo shampoo(device);
    shampoo.add({.name = "weight",
                 .weight = device.view(values.range(), DType::f32, {64, 64}),
                 .gradient = device.view(values.range(), DType::f32, {64, 64}, 64 * 64 * sizeof(float))});
    Plan plan = compile(device, {&shampoo});
    ASSERT_GT(plan.workspace_bytes(), 0u);
    EXPECT_TRUE(says(refusal(ErrorCode::out_of_device_memory, [&] { plan.allocate(); }), "workspace"));
    EXPECT_EQ(given.size(), 1u);  // the state
    EXPECT_EQ(freed, 1);
}

}  // namespace
}  // namespace heron
