// SPDX-License-Identifier: MIT
// Records the passes and the optimizer's step once and replays them.
#include "trial.hpp"

#include <algorithm>
#include <chrono>
#include <cmath>
#include <limits>
#include <memory>
#include <optional>

#include "support/step_commands.hpp"
#include "support/vulkan_api.hpp"

namespace samples {

namespace {

using Clock = std::chrono::steady_clock;

// Long enough to hide a submission, short enough for a live display.
constexpr double kSubmissionSeconds = 0.2;

double mean(const std::vector<double>& values) {
    double sum = 0;
    for (const double value : values) sum += value;
    return sum / static_cast<double>(values.size());
}

heron::Schedule schedule(std::uint32_t steps) {
    const std::uint32_t warmup = std::min({steps / 20 + 1, 100u, steps - 1});  // a single step has none
    return heron::Schedule::warmup_cosine(warmup, steps, 0.0f);
}

class Run {
public:
    Run(const heron::Device& device, const Task& task, const TrialSettings& settings,
        const TrialProgress& progress)
        : progress_(progress),
          instance_functions_(open_vulkan(), device.instance()),
          vk_(instance_functions_.GetDeviceProcAddr, device.handle()),
          training_(task.begin(settings.seed, settings.optimizer->layers)) {
        trial_.settings = settings;
        trial_.parameters = training_->parameter_count();
        OptimizerRequest request{.device = device,
                                 .parameters = training_->parameters(),
                                 .routes = {},
                                 .lr = settings.lr,
                                 .schedule = schedule(settings.steps),
                                 .rest_lr = task.rest_lr,
                                 .layers = training_->layers()};
        request.routes = heron::route(request.parameters);
        const Optimizers optimizers = settings.optimizer->create(request);
        listeners_.emplace(optimizers);
        std::vector<const heron::Optimizer*> pointers;
        for (const auto& optimizer : optimizers) pointers.push_back(optimizer.get());
        optimizer_ = heron::compile(device, pointers, {.name = "optimizer", .seed = settings.seed});
        optimizer_.allocate();
        optimizer_.initialize();
        trial_.state_bytes = optimizer_.state_bytes();

        std::vector<heron::Plan*> parts = training_->passes();
        parts.push_back(&optimizer_);
        commands_ = std::make_unique<StepCommands>(device, vk_, parts);
    }

    Trial run() {
        const std::uint32_t steps = trial_.settings.steps;
        const std::uint32_t last = std::min(steps, trial_.settings.stop_after);
        const std::uint32_t count = trial_.settings.evaluations;
        evaluate();
        for (std::uint32_t i = 1; done() < last && !trial_.diverged; ++i) {
            const auto until = std::min<std::uint64_t>(last, (std::uint64_t{steps} * i + count - 1) / count);
            if (until == done()) continue;  // fewer steps than evaluations
            advance(static_cast<std::uint32_t>(until));
            if (!trial_.diverged) evaluate();
        }
        if (!optimizer_seconds_.empty()) trial_.optimizer_seconds = mean(optimizer_seconds_);
        if (!pass_seconds_.empty()) trial_.step_seconds = median(pass_seconds_) + trial_.optimizer_seconds;
        return std::move(trial_);
    }

private:
    std::uint32_t done() const { return static_cast<std::uint32_t>(trial_.losses.size()); }

    void evaluate() {
        const Clock::time_point start = Clock::now();
        const Evaluation result = training_->evaluate();
        trial_.evaluation_seconds = std::chrono::duration<double>(Clock::now() - start).count();
        trial_.validations.push_back({done(), result});
        // Here, and not behind each submission, whose lengths follow the clock.
        for (; reported_ < done(); ++reported_) listeners_->report(optimizer_, trial_.losses[reported_]);
        if (!std::isfinite(result.loss)) trial_.diverged = true;
    }

    // Until so many steps are done.
    void advance(std::uint32_t until) {
        while (done() < until && !trial_.diverged) {
            const std::uint32_t count = std::min(steps_per_submit_, until - done());
            const Clock::time_point start = Clock::now();
            commands_->submit(count);
            commands_->wait();
            const double seconds = std::chrono::duration<double>(Clock::now() - start).count() / count;
            collect(count, seconds);
            steps_per_submit_ = static_cast<std::uint32_t>(
                std::clamp(kSubmissionSeconds / seconds, 1.0, double(StepCommands::kMaxSteps)));
            progress_(done(), trial_.losses.back());
        }
    }

    void collect(std::uint32_t count, double seconds) {
        for (std::uint32_t i = 0; i < count; ++i) {
            const double loss = training_->loss(done());
            trial_.losses.push_back(static_cast<float>(loss));
            if (!std::isfinite(loss) || loss > 10 * trial_.losses.front()) trial_.diverged = true;
        }
        const auto times = commands_->times();
        for (const StepCommands::Seconds& parts : times) {
            double passes = 0;
            for (const double part : parts) passes += part;
            pass_seconds_.push_back(passes - parts.back());
            optimizer_seconds_.push_back(parts.back());
        }
        if (times.empty()) pass_seconds_.insert(pass_seconds_.end(), count, seconds);
    }

    const TrialProgress& progress_;
    InstanceFunctions instance_functions_;
    DeviceFunctions vk_;
    std::unique_ptr<Training> training_;
    heron::Plan optimizer_;
    std::optional<LossListeners> listeners_;
    std::uint32_t reported_ = 0;  // losses, to listeners
    std::unique_ptr<StepCommands> commands_;
    Trial trial_;
    std::vector<double> pass_seconds_;  // of whole steps where the device has no timestamps
    std::vector<double> optimizer_seconds_;
    std::uint32_t steps_per_submit_ = 1;
};

}  // namespace

double Trial::validation_loss() const {
    return diverged ? std::numeric_limits<double>::infinity() : validations.back().result.loss;
}

double Trial::train_loss() const {
    if (diverged || losses.empty()) return std::numeric_limits<double>::infinity();
    const std::size_t count = (losses.size() + 9) / 10;
    double sum = 0;
    for (std::size_t i = losses.size() - count; i < losses.size(); ++i) sum += losses[i];
    return sum / static_cast<double>(count);
}

Trial run_trial(const heron::Device& device, const Task& task, const TrialSettings& settings,
                const TrialProgress& progress) {
    return Run(device, task, settings, progress).run();
}

double median(std::vector<double> values) {
    const auto middle = values.begin() + static_cast<std::ptrdiff_t>((values.size() - 1) / 2);
    std::ranges::nth_element(values, middle);
    return *middle;
}

}  // namespace samples
