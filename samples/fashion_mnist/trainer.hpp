// SPDX-License-Identifier: MIT
// One training run: three plans (forward, backward, optimizer) recorded once into command buffers that are
// then replayed.
#pragma once

#include <cstdint>
#include <filesystem>
#include <functional>
#include <optional>
#include <string>
#include <vector>

#include "curve.hpp"
#include "heron/heron.hpp"
#include "support/dataset.hpp"
#include "support/network.hpp"
#include "support/optimizers.hpp"

struct RunSettings {
    const samples::NamedOptimizer* optimizer = nullptr;
    std::optional<float> lr;             // where it is given; else the checkpoint's, else the optimizer's own
    std::vector<std::uint32_t> filters;  // of convolutions before the hidden layers
    std::vector<std::uint32_t> hidden;
    std::uint32_t batch = 0;
    std::uint32_t epochs = 0;
    std::uint32_t stop_after = ~0u;  // epochs; the schedule is for `epochs` all the same
    std::uint32_t seed = 0;
    std::filesystem::path checkpoint;  // written after every epoch
    std::filesystem::path resume;      // empty: from the beginning
    std::filesystem::path curve;       // curves.csv with the steps before the resumption, if it is there
    bool describe = false;             // print the plans
};

// Seconds of GPU time; all zero without timestamps.
struct TimeSplit {
    double forward = 0;
    double backward = 0;
    double optimizer = 0;
    std::uint64_t steps = 0;  // that were measured
    double total() const { return forward + backward + optimizer; }
};

struct RunResult {
    std::string name;
    float lr = 0;
    Curve curve;  // of the whole training, what came before a resumption included where it is known
    TimeSplit time;
    std::uint64_t state_bytes = 0;
    std::uint64_t parameters = 0;
    std::uint64_t steps = 0;    // of this run, without those before a resumption
    std::uint64_t skipped = 0;  // of these, because of non-finite gradients
    double seconds = 0;         // training, wall clock, of this run
    std::uint64_t hash = 0;
    std::vector<std::uint32_t> predictions;  // of the test images
    double accuracy() const { return curve.evaluations.back().accuracy; }
    double loss() const { return curve.evaluations.back().loss; }
    double total_seconds() const { return curve.evaluations.back().seconds; }
};

// Where a run stands. Steps are counted from the beginning of the training.
struct RunProgress {
    std::uint32_t epoch;  // from 1
    std::uint64_t begun;  // steps before this run
    std::uint64_t done;
    std::uint64_t total;  // when this run ends
    double loss;          // of the last batches
    double steps_per_second;
};

// What a run tells while it goes on.
struct RunObserver {
    std::function<void(const std::string& text)> note;
    std::function<void(const RunProgress& progress)> progress;  // after every submission
    // Of the curve the last evaluation is new.
    std::function<void(const Curve& curve, double train_loss)> evaluated;
};

// Throws heron::Error, samples::BadInput (a checkpoint of another network) or std::runtime_error.
RunResult train(const heron::Device& device, const samples::DataSet& data,
                const samples::DeviceImages& train_images, const samples::DeviceImages& test_images,
                const RunSettings& settings, const RunObserver& observer);
