// SPDX-License-Identifier: MIT
// One training with one optimizer, learning rate and seed.
#pragma once

#include <cstdint>
#include <functional>
#include <vector>

#include "compare_optimizers/task.hpp"
#include "support/optimizers.hpp"

namespace samples {

struct TrialSettings {
    const NamedOptimizer* optimizer = nullptr;
    float lr = 0;
    std::uint32_t seed = 0;
    std::uint32_t steps = 0;         // of the schedule: warm-up, then a cosine to 0
    std::uint32_t stop_after = ~0u;  // steps
    std::uint32_t evaluations = 16;  // beside the one before the first step, at equal distances
};

struct Trial {
    struct Validation {
        std::uint32_t step;
        Evaluation result;
    };

    TrialSettings settings;
    std::vector<float> losses;  // of each step's batch
    std::vector<Validation> validations;
    bool diverged = false;  // ended early: a loss was not finite, or ten times the first
    // GPU time where the device has timestamps: the median of the passes, and of the optimizer, some of whose
    // steps refresh what others use, the mean. Without, the wall clock of whole steps, and 0 for the
    // optimizer.
    double step_seconds = 0;
    double optimizer_seconds = 0;
    double evaluation_seconds = 0;  // wall clock of the last one
    std::uint64_t state_bytes = 0;
    std::uint64_t parameters = 0;

    // At the end; infinite where it has diverged.
    double validation_loss() const;
    double train_loss() const;  // mean of the last tenth of the steps
};

// Called after every submission with the steps done and the last batch's loss.
using TrialProgress = std::function<void(std::uint32_t step, double loss)>;

// Throws heron::Error, for example where the optimizer refuses a parameter of the task.
Trial run_trial(const heron::Device& device, const Task& task, const TrialSettings& settings,
                const TrialProgress& progress);

double median(std::vector<double> values);  // of an even number the lower one; not of none

}  // namespace samples
