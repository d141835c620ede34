// SPDX-License-Identifier: MIT
// Recording and submitting through C takes no memory: neither Heron nor the border allocates in a frame.
// Without validation, whose layers do.
#include <gtest/gtest.h>

#include <cstdlib>
#include <new>

#include "c_api/c_device_test.hpp"
#include "support/commands.hpp"

// Sanitizers bring an operator new of their own, which must stay in pairs with theirs: there nothing is
// counted.
#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
#define HERON_COUNTS 0
#elif defined(__has_feature)
#if __has_feature(address_sanitizer) || __has_feature(thread_sanitizer) || __has_feature(memory_sanitizer)
#define HERON_COUNTS 0
#endif
#endif
#ifndef HERON_COUNTS
#define HERON_COUNTS 1
#endif

namespace {
thread_local std::size_t allocations = 0;
}

#if HERON_COUNTS
namespace {
void* counted(std::size_t bytes) {
    ++allocations;
    if (void* memory = std::malloc(bytes == 0 ? 1 : bytes)) return memory;
    throw std::bad_alloc();
}
}  // namespace
void* operator new(std::size_t bytes) { return counted(bytes); }
void* operator new[](std::size_t bytes) { return counted(bytes); }
void operator delete(void* memory) noexcept { std::free(memory); }
void operator delete[](void* memory) noexcept { std::free(memory); }
void operator delete(void* memory, std::size_t) noexcept { std::free(memory); }
void operator delete[](void* memory, std::size_t) noexcept { std::free(memory); }
#endif

namespace heron {
namespace {

class CAllocationTest : public test::DeviceTest {};
HERON_DEVICE_TESTS(CAllocationTest);

TEST_P(CAllocationTest, FramesTakeNone) {
    heron_device_options options = test::c_device_options(GetParam());
    options.get_instance_proc_addr = test::plain_entry();
    options.debug_names = false;
    test::OwnedDevice device;
    HERON_C_OK(heron_device_create(&options, device.out()));
    test::OwnedBuffer weight, gradient;
    const heron_shape shape{2, {32, 16}};
    heron_parameter parameter;
    HERON_C_OK(heron_parameter_init(&parameter));
    parameter.name = "fc.weight";
    const std::vector<float> values = test::noise(32 * 16, 1);
    for (auto [buffer, view] : {std::pair{&weight, &parameter.weight}, {&gradient, &parameter.gradient}}) {
        HERON_C_OK(
            heron_buffer_create(device, 32 * 16 * 4, HERON_MEMORY_KIND_DEVICE, nullptr, buffer->out()));
        HERON_C_OK(heron_buffer_write(*buffer, values.data(), values.size() * 4, 0));
        HERON_C_OK(heron_buffer_view(*buffer, HERON_DTYPE_F32, &shape, 0, 0, view));
    }
    test::OwnedOptimizer muon;
    HERON_C_OK(heron_muon_create(device, nullptr, muon.out()));
    HERON_C_OK(heron_optimizer_add(muon, &parameter));
    test::OwnedPlan plan;
    heron_optimizer* const optimizers[] = {muon};
    HERON_C_OK(heron_compile(device, optimizers, 1, nullptr, plan.out()));
    HERON_C_OK(heron_plan_allocate(plan));
    HERON_C_OK(heron_plan_initialize(plan));
    HERON_C_OK(heron_plan_run(plan));  // the first submission may

    test::Commands commands(static_cast<heron_device*>(device)->device);
    const VkCommandBuffer whole = commands.begin(), part = commands.begin();
    heron_slice_budget budget;
    HERON_C_OK(heron_slice_budget_init(&budget));
    budget.max_dispatches = 1;
    heron_slice_result slice{};
    heron_submit_info info;
    HERON_C_OK(heron_submit_info_init(&info));
    info.submit = [](void* user, const VkSubmitInfo2* submit) {
        Device::Impl& impl = *static_cast<Device::Impl*>(user);
        return impl.vk.QueueSubmit2(impl.queue, 1, submit, VK_NULL_HANDLE);
    };
    info.submit_user = &static_cast<heron_device*>(device)->device.impl();
    std::uint64_t ticket = 0;
    heron_step_status status;

    const std::size_t before = allocations;
    heron_result results[8];
    std::size_t calls = 0;
    results[calls++] = heron_plan_record(plan, whole);
    results[calls++] = heron_plan_record_slice(plan, part, &budget, &slice);
    results[calls++] = heron_plan_record_slice(plan, part, nullptr, &slice);
    results[calls++] = heron_plan_submit(plan, &info, &ticket);
    results[calls++] = heron_plan_wait(plan, ticket, 60'000'000'000);
    results[calls++] = heron_plan_status(plan, &status);
    const std::size_t taken = allocations - before;

    for (std::size_t i = 0; i < calls; ++i) EXPECT_EQ(results[i], HERON_SUCCESS) << "call " << i;
    EXPECT_TRUE(slice.complete);
    EXPECT_EQ(taken, 0u);
    commands.end(whole);
    commands.end(part);
}

}  // namespace
}  // namespace heron
