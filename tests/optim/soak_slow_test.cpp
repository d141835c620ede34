// SPDX-License-Identifier: MIT
// 100,000 small steps: device memory stays constant to the byte, host memory grows by at most 1 MiB, and a
// second run gives the same bits. SwiftShader, which takes milliseconds for a dispatch, does a fiftieth of
// them.
#include <gtest/gtest.h>

#include <algorithm>
#include <limits>

#ifdef __GLIBC__
#include <malloc.h>
#endif

#include "optim/registry.hpp"

namespace heron::test {
namespace {

// Bytes of the heap that are in use; 0 where the system does not tell. Not the resident size, which also
// depends on how many steps happened to be in flight at once.
std::uint64_t heap_bytes() {
#ifdef __GLIBC__
    const struct mallinfo2 info = mallinfo2();
    return info.uordblks + info.hblkhd;
#else
    return 0;
#endif
}

class SoakTest : public DeviceTest {
protected:
    std::map<std::string, std::vector<std::byte>> soak(std::uint64_t& device_growth,
                                                       std::uint64_t& host_growth) {
        // Without the validation layer, which keeps books of its own about what is in flight.
        DeviceOptions options = device_options(GetParam());
        options.get_instance_proc_addr = plain_entry();
        Device own = Device::create(options);
        Training training(
            own,
            {{[](const Device& on) { return std::make_unique<Muon>(on); }, {{.name = "w", .shape = {8, 6}}}},
             {[](const Device& on) { return std::make_unique<AdamW>(on); }, {{.name = "b", .shape = {6}}}}});
        training.draw_gradients(1, 1e-3);
        Plan& plan = training.plan();
        const unsigned steps = own.info().name.find("SwiftShader") != std::string::npos ? 2'000 : 100'000;
        const unsigned warm_up = steps / 50 + 500;  // the driver's own caches fill up
        const auto run = [&](unsigned count) {
            for (unsigned step = 0; step < count; ++step) {
                const std::uint64_t ticket = plan.submit();
                if (step % 64 == 63) plan.wait(ticket);
            }
            plan.wait(plan.submit());
        };
        run(warm_up);
        const std::uint64_t device_before = own.impl().memory->allocated_bytes();
        // What grows with the steps does so in both halves, and a driver's pool once: SwiftShader's takes 4
        // MiB at some time in the first thousands of steps, and keeps that. So twice the smaller half counts.
        host_growth = std::numeric_limits<std::uint64_t>::max();
        for (const unsigned half : {(steps - warm_up) / 2, steps - warm_up - (steps - warm_up) / 2}) {
            const std::uint64_t host_before = heap_bytes();
            run(half);
            const std::uint64_t host_after = heap_bytes();
            host_growth =
                std::min(host_growth, host_after > host_before ? 2 * (host_after - host_before) : 0);
        }
        device_growth = own.impl().memory->allocated_bytes() - device_before;
        EXPECT_EQ(status(plan).step, steps + 3);
        return training.bits();
    }
};
HERON_DEVICE_TESTS(SoakTest);

TEST_P(SoakTest, ManyStepsLeakNothingAndRepeat) {
    std::uint64_t device_growth = 0, host_growth = 0;
    const auto first = soak(device_growth, host_growth);
    EXPECT_EQ(device_growth, 0u);
    EXPECT_LE(host_growth, std::uint64_t{1} << 20);
    EXPECT_EQ(soak(device_growth, host_growth), first);
    EXPECT_EQ(device_growth, 0u);
    EXPECT_LE(host_growth, std::uint64_t{1} << 20);
}

}  // namespace
}  // namespace heron::test
