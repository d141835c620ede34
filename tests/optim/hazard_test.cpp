// SPDX-License-Identifier: MIT
// Proves the barriers of recorded steps: each plan is free of hazards, and each barrier that is left out is
// noticed.
#include <gtest/gtest.h>

#include "graph/barrier_mutation.hpp"
#include "graph/plan.hpp"
#include "optim/registry.hpp"
#include "optim/training.hpp"

namespace heron::test {
namespace {

class HazardTest : public DeviceTest {};
HERON_DEVICE_TESTS(HazardTest);

TEST_P(HazardTest, EveryBarrierOfEveryOptimizerIsNeededAndItsAbsenceNoticed) {
    for (const OptimizerCase& entry : optimizer_registry()) {
        SCOPED_TRACE(entry.name);
        std::vector<TestTensor> tensors;
        for (std::size_t i = 0; i < entry.shapes.size(); ++i)
            tensors.push_back({.name = "p" + std::to_string(i), .shape = entry.shapes[i]});
        StepOptions options;
        options.clip_norm = 1.0f;
        options.accumulate = true;
        options.ema_decay = 0.9f;
        Training training(device(), entry.make, tensors, options);
        EXPECT_GE(remove_each_barrier(training.plan().impl().recorded(Phase::step)), 2);
        EXPECT_GE(remove_each_barrier(training.plan().impl().recorded(Phase::accumulate)), 1);
        remove_each_barrier(training.plan().impl().recorded(Phase::initialize));
    }
}

TEST_P(HazardTest, EveryBarrierOfOptimizersTogetherIsNeeded) {
    const std::vector<OptimizerCase> registry = optimizer_registry();
    std::vector<Training::Group> groups;
    for (const OptimizerCase& entry : registry) {
        Training::Group group;
        group.make = [&entry](const Device& device) {
            std::unique_ptr<Optimizer> optimizer = entry.make(device);
            optimizer->set_name(entry.name);
            return optimizer;
        };
        for (std::size_t i = 0; i < entry.shapes.size(); ++i)
            group.tensors.push_back({.name = entry.name + std::to_string(i), .shape = entry.shapes[i]});
        groups.push_back(std::move(group));
    }
    Training training(device(), std::move(groups));
    EXPECT_GE(remove_each_barrier(training.plan().impl().recorded(Phase::step)), 5);
}

}  // namespace
}  // namespace heron::test
