// SPDX-License-Identifier: MIT
// Plans in several threads, as plan.hpp allows it: what each thread sees, and under the thread sanitizer that
// none of it is a race.
#include <gtest/gtest.h>

#include <atomic>
#include <deque>
#include <thread>

#include "graph/affine_chain.hpp"
#include "support/device_fixture.hpp"

namespace heron {
namespace {

using test::Chain;

constexpr int kThreads = 4;
constexpr int kSteps = 20;

class PlanThreadTest : public test::DeviceTest {};
HERON_DEVICE_TESTS(PlanThreadTest);

TEST_P(PlanThreadTest, PlansOfOneDeviceCompileRunAndArePolledAtTheSameTime) {
    Chain reference(device());
    Plan alone = reference.graph.compile({});
    alone.allocate();
    alone.initialize();
    for (int step = 0; step < kSteps; ++step) alone.run();

    std::deque<Chain> chains;
    for (int i = 0; i < kThreads; ++i) chains.emplace_back(device());
    std::atomic<int> done{0};
    std::vector<std::thread> threads;
    for (Chain& chain : chains)
        threads.emplace_back([&chain, &done] {
            Plan plan = chain.graph.compile({});
            plan.allocate();
            plan.initialize();
            std::uint64_t ticket = 0;
            while (ticket < kSteps + 1) ticket = plan.submit();
            plan.wait(ticket);
            if (plan.finished(ticket)) ++done;
        });
    for (std::thread& thread : threads) thread.join();
    EXPECT_EQ(done, kThreads);
    for (const Chain& chain : chains) EXPECT_EQ(chain.actual(), reference.actual());
}

// One thread submits, another asks about the tickets.
TEST_P(PlanThreadTest, FinishedAndWaitRunBesideSubmit) {
    Chain chain(device());
    Plan plan = chain.graph.compile({});
    plan.allocate();
    plan.initialize();
    std::atomic<std::uint64_t> latest{1};
    std::thread poller([&] {
        for (std::uint64_t seen = 0; seen < kSteps + 1;) {
            const std::uint64_t ticket = latest.load(std::memory_order_relaxed);
            if (ticket % 2 == 0) plan.wait(ticket);
            if (plan.finished(ticket)) seen = ticket;
            EXPECT_FALSE(plan.slice_pending());
        }
    });
    for (int step = 0; step < kSteps; ++step) latest.store(plan.submit(), std::memory_order_relaxed);
    poller.join();
    EXPECT_TRUE(plan.finished(latest));
}

}  // namespace
}  // namespace heron
