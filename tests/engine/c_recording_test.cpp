// SPDX-License-Identifier: MIT
// Recording and submitting through C takes no memory: neither Heron nor the border allocates in a frame.
#include <gtest/gtest.h>

#include "c_api/c_device_test.hpp"
#include "support/commands.hpp"
#include "support/host_watch.hpp"

namespace heron {
namespace {

class CRecordingTest : public test::DeviceTest {};
HERON_DEVICE_TESTS(CRecordingTest);

TEST_P(CRecordingTest, FramesAllocateNothing) {
    if (!samples::counts_allocations()) GTEST_SKIP() << "a sanitizer has an operator new of its own";
    heron_device_options options = test::c_device_options(GetParam());
    options.get_instance_proc_addr = samples::watched_entry(test::validated_entry());
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

    heron_result results[6];
    std::size_t calls = 0;
    const samples::HostWatch watch;
    results[calls++] = heron_plan_record(plan, whole);
    results[calls++] = heron_plan_record_slice(plan, part, &budget, &slice);
    results[calls++] = heron_plan_record_slice(plan, part, nullptr, &slice);
    results[calls++] = heron_plan_submit(plan, &info, &ticket);
    results[calls++] = heron_plan_wait(plan, ticket, 60'000'000'000);
    results[calls++] = heron_plan_status(plan, &status);
    const std::uint64_t taken = watch.counts().allocations;

    for (std::size_t i = 0; i < calls; ++i) EXPECT_EQ(results[i], HERON_SUCCESS) << "call " << i;
    EXPECT_TRUE(slice.complete);
    EXPECT_EQ(taken, 0u);
    commands.end(whole);
    commands.end(part);
}

}  // namespace
}  // namespace heron
