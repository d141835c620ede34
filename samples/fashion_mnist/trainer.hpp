// SPDX-License-Identifier: MIT
// One training run: three plans (forward, backward, optimizer) recorded once into a command buffer that is
// then replayed.
#pragma once

#include <cstdint>
#include <filesystem>
#include <functional>
#include <string>
#include <vector>

#include "dataset.hpp"
#include "heron/heron.hpp"
#include "network.hpp"
#include "optimizers.hpp"

struct RunSettings {
    const NamedOptimizer* optimizer = nullptr;
    float lr = 0;
    std::vector<std::uint32_t> hidden;
    std::uint32_t batch = 0;
    std::uint32_t epochs = 0;
    std::uint32_t stop_after = ~0u;  // epochs; the schedule is for `epochs` all the same
    std::uint32_t seed = 0;
    std::filesystem::path checkpoint;  // written after every epoch
    std::filesystem::path resume;      // empty: from the beginning
    bool describe = false;             // print the plans
};

struct Curve {
    struct Step {
        std::uint64_t step;  // from 1
        float loss;          // mean of the batch
        float accuracy;      // of the batch
    };
    struct Evaluation {
        std::uint32_t epoch;
        std::uint64_t step;
        double loss;
        double accuracy;
        double seconds;  // of training so far, evaluations not counted
    };
    std::vector<Step> steps;
    std::vector<Evaluation> evaluations;
};

// Seconds of GPU time in a whole run, extrapolated from the steps that were measured. All zero without
// timestamps.
struct TimeSplit {
    double forward = 0;
    double backward = 0;
    double optimizer = 0;
    double total() const { return forward + backward + optimizer; }
};

struct RunResult {
    std::string name;
    float lr = 0;
    std::uint32_t steps_per_epoch = 0;
    Curve curve;
    TimeSplit time;
    std::uint64_t state_bytes = 0;
    std::uint64_t parameters = 0;
    std::uint32_t skipped_steps = 0;
    double seconds = 0;  // training, wall clock
    std::uint64_t hash = 0;
    std::vector<std::uint32_t> predictions;  // of the test images
    double accuracy() const { return curve.evaluations.back().accuracy; }
    double loss() const { return curve.evaluations.back().loss; }
};

// What a run tells while it goes on.
struct RunObserver {
    std::function<void(const std::string& text)> note;
    // After every submission: epoch from 1, steps of it that are done, loss of the last batches.
    std::function<void(std::uint32_t epoch, std::uint32_t step_in_epoch, std::uint32_t steps_per_epoch,
                       double loss, double steps_per_second)>
        progress;
    std::function<void(const Curve::Evaluation& evaluation, double train_loss)> evaluated;
};

// Throws heron::Error, BadInput (a checkpoint of another network) or std::runtime_error.
RunResult train(const heron::Device& device, const DataSet& data, const DeviceImages& train_images,
                const DeviceImages& test_images, const RunSettings& settings, const RunObserver& observer);
