// SPDX-License-Identifier: MIT
// Records, replays and times the training step.
#include "trainer.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <chrono>
#include <cstdlib>
#include <map>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "support/bad_input.hpp"
#include "support/step_commands.hpp"
#include "support/vulkan_api.hpp"

using namespace samples;

namespace {

using Clock = std::chrono::steady_clock;

double seconds_since(Clock::time_point start) {
    return std::chrono::duration<double>(Clock::now() - start).count();
}

// Everything on the host and the device that one run needs.
class Run {
public:
    Run(const heron::Device& device, const DataSet& data, const DeviceImages& train_images,
        const DeviceImages& test_images, const RunSettings& settings, const RunObserver& observer)
        : device_(device),
          data_(data),
          settings_(settings),
          observer_(observer),
          instance_functions_(samples::open_vulkan(), device.instance()),
          vk_(instance_functions_.GetDeviceProcAddr, device.handle()),
          network_(device, train_images.pixels, settings.hidden, data.classes,
                   {data.train.rows, data.train.cols, settings.filters}),
          training_(device, network_, train_images, settings.batch, false),
          testing_(device, network_, test_images, std::min(test_images.count, kTestBatch), true),
          lr_(settings.lr.value_or(settings.optimizer->lr)) {
        network_.initialize(settings.seed);
        curve_.steps_per_epoch = training_.batches;
        make_plans(train_images, test_images);
        heron::Plan* const parts[] = {&forward_, &backward_, &optimizer_};
        for (auto& commands : step_commands_) commands.emplace(device_, vk_, parts);
    }

    RunResult train() {
        std::uint32_t epoch = settings_.resume.empty() ? 0 : resume();
        begun_ = done_ = std::uint64_t{epoch} * training_.batches;
        const std::uint32_t skipped_before = heron::status(optimizer_).skipped;
        const double seconds_before = seconds_;
        const std::uint32_t last = std::max(epoch, std::min(settings_.epochs, settings_.stop_after));
        total_ = std::uint64_t{last} * training_.batches;
        evaluate(epoch);
        while (epoch < last) {
            ++epoch;
            train_epoch(epoch);
            evaluate(epoch);
            save(epoch);
        }

        RunResult result;
        result.name = settings_.optimizer->name;
        result.lr = lr_;
        result.time = time_;
        result.state_bytes = optimizer_.state_bytes();
        result.parameters = network_.parameter_count();
        result.steps = done_ - begun_;
        result.skipped = heron::status(optimizer_).skipped - skipped_before;
        result.seconds = seconds_ - seconds_before;
        result.hash = network_.hash();
        const auto* predictions = static_cast<const std::uint32_t*>(testing_.predictions.mapped());
        result.predictions.assign(predictions, predictions + data_.test.count);
        result.curve = std::move(curve_);
        return result;
    }

private:
    static constexpr std::uint32_t kTestBatch = 1000;

    void make_plans(const DeviceImages& train_images, const DeviceImages& test_images) {
        const Normalization normalization{data_.mean, data_.deviation};
        forward_ = forward_plan(device_, network_, train_images, training_, normalization, settings_.seed,
                                {.name = "forward"});
        backward_ = backward_plan(device_, network_, training_, {.name = "backward"});
        test_ = forward_plan(device_, network_, test_images, testing_, normalization, settings_.seed,
                             {.name = "test"});

        const std::uint32_t steps = settings_.epochs * training_.batches;
        const std::uint32_t warmup = std::min({steps / 20 + 1, 100u, steps - 1});  // a single step has none
        OptimizerRequest request{.device = device_,
                                 .parameters = network_.parameters(),
                                 .routes = {},
                                 .lr = lr_,
                                 .schedule = heron::Schedule::warmup_cosine(warmup, steps, 0.0f),
                                 .layers = {}};
        request.routes = heron::route(request.parameters);
        request.layers = network_.captured_layers(training_);
        optimizers_ = settings_.optimizer->create(request);
        std::vector<const heron::Optimizer*> pointers;
        for (const auto& optimizer : optimizers_) pointers.push_back(optimizer.get());
        optimizer_ = heron::compile(device_, pointers, {.name = "optimizer", .seed = settings_.seed});

        if (settings_.optimizer->routes) observer_.note(heron::routing_report(request.routes));
        for (heron::Plan* plan : {&forward_, &backward_, &test_, &optimizer_}) plan->allocate();
        optimizer_.initialize();
        if (settings_.describe)
            for (heron::Plan* plan : {&forward_, &backward_, &optimizer_}) observer_.note(plan->describe());
    }

    // Two sets of recorded steps: while the GPU works on one, the host reads the results of the other.
    void train_epoch(std::uint32_t epoch) {
        const Clock::time_point start = Clock::now();
        const double seconds_before = seconds_;
        std::array<std::uint32_t, 2> in_flight{};
        std::uint32_t submitted = 0;
        std::uint32_t finished = 0;
        for (std::size_t slot = 0; finished < training_.batches; slot ^= 1) {
            if (in_flight[slot] != 0) {
                step_commands_[slot]->wait();
                collect(in_flight[slot], *step_commands_[slot]);
                finished += in_flight[slot];
                in_flight[slot] = 0;
                seconds_ = seconds_before + seconds_since(start);
                const double rate = finished / std::max(1e-9, seconds_ - seconds_before);
                // Long enough to hide the submission, short enough for a live display: a tenth of a second.
                steps_per_submit_ =
                    static_cast<std::uint32_t>(std::clamp(rate * 0.1, 1.0, double(StepCommands::kMaxSteps)));
                observer_.progress({epoch, begun_, done_, total_, recent_loss(), rate});
            }
            if (submitted < training_.batches) {
                in_flight[slot] = std::min(steps_per_submit_, training_.batches - submitted);
                step_commands_[slot]->submit(in_flight[slot]);
                submitted += in_flight[slot];
            }
        }
        // Here, and not in collect(): where submissions end, the clock decides.
        const LossListeners listeners(optimizers_);
        for (const Curve::Step& step : std::span(curve_.steps).last(training_.batches))
            listeners.report(optimizer_, step.loss);
    }

    // Takes the results of `count` steps that have finished.
    void collect(std::uint32_t count, const StepCommands& commands) {
        for (std::uint32_t i = 0; i < count; ++i) {
            const Passes::Result result = training_.result(done_);
            ++done_;
            curve_.steps.push_back({done_, result.loss_sum / static_cast<float>(training_.batch),
                                    result.right / static_cast<float>(training_.batch)});
        }
        for (const StepCommands::Seconds& part : commands.times()) {
            time_.forward += part[0];
            time_.backward += part[1];
            time_.optimizer += part[2];
            ++time_.steps;
        }
    }

    double recent_loss() const {
        const auto& steps = curve_.steps;
        const std::size_t count = std::min<std::size_t>({steps.size(), training_.batches, 50});
        double sum = 0;
        for (std::size_t i = steps.size() - count; i < steps.size(); ++i) sum += steps[i].loss;
        return count == 0 ? 0 : sum / static_cast<double>(count);
    }

    void evaluate(std::uint32_t epoch) {
        const std::uint32_t zero = 0;
        testing_.cursor.write(std::as_bytes(std::span(&zero, 1)));
        double loss = 0;
        double right = 0;
        for (std::uint32_t batch = 0; batch < testing_.batches; ++batch) {
            test_.run();
            loss += testing_.result(batch).loss_sum;
            right += testing_.result(batch).right;
        }
        curve_.evaluations.push_back(
            {epoch, done_, loss / data_.test.count, right / data_.test.count, seconds_});
        observer_.evaluated(curve_, recent_loss());
    }

    // What must be equal for a training to go on as if it had not been interrupted.
    std::map<std::string, std::string> identity() const {
        std::string hidden;
        for (const std::uint32_t filters : settings_.filters)
            hidden += "conv" + std::to_string(filters) + ",";
        for (const std::uint32_t width : settings_.hidden)
            hidden += (hidden.empty() || hidden.ends_with(',') ? "" : ",") + std::to_string(width);
        return {{"sample", "fashion_mnist"},
                {"optimizer", std::string(settings_.optimizer->name)},
                {"hidden", hidden},
                {"batch", std::to_string(settings_.batch)},
                {"epochs", std::to_string(settings_.epochs)},
                {"seed", std::to_string(settings_.seed)},
                {"images", std::to_string(data_.train.count)}};
    }

    void save(std::uint32_t epoch) {
        if (settings_.checkpoint.empty()) return;
        auto metadata = identity();
        metadata["epoch"] = std::to_string(epoch);
        metadata["lr"] = fmt::format("{}", lr_);
        metadata["test_loss"] = loss_text(curve_.evaluations.back().loss);
        heron::save_checkpoint(optimizer_, settings_.checkpoint, metadata);
    }

    // Returns the number of epochs that the checkpoint has seen.
    std::uint32_t resume() {
        const std::string file = settings_.resume.string();
        const heron::SafetensorsReader reader(settings_.resume);
        const auto value = [&](const std::string& key) {
            const auto found = reader.metadata().find(key);
            if (found == reader.metadata().end())
                throw BadInput(file + ": is no checkpoint of this sample (no " + key + ")");
            return found->second;
        };
        for (const auto& [key, wanted] : identity())
            if (value(key) != wanted)
                throw BadInput(
                    fmt::format("{}: was made with {} {}, this run has {}", file, key, value(key), wanted));
        const std::string epoch_text = value("epoch");
        if (epoch_text.empty() || epoch_text.size() > 9 ||
            epoch_text.find_first_not_of("0123456789") != std::string::npos)
            throw BadInput(file + ": has the impossible epoch '" + epoch_text + "'");
        const auto epoch = static_cast<std::uint32_t>(std::stoul(epoch_text));
        if (epoch > settings_.epochs) throw BadInput(file + ": has seen " + epoch_text + " epochs already");
        const std::string test_loss = value("test_loss");
        const std::string lr_before = value("lr");
        heron::load_checkpoint(optimizer_, settings_.resume);
        std::string lr_note = "as in the checkpoint";
        if (settings_.lr) {
            heron::set_learning_rate(optimizer_, settings_.optimizer->name, lr_);
            lr_note = "instead of the checkpoint's " + lr_before;
        } else {
            lr_ = std::strtof(lr_before.c_str(), nullptr);
        }
        const bool known = keep_earlier_curve(epoch, test_loss);
        observer_.note(fmt::format("  resumed after epoch {} of {}, lr {:g} {}{}", epoch, settings_.epochs,
                                   lr_, lr_note,
                                   known ? ""
                                         : "; " + settings_.curve.string() +
                                               " does not have the steps before: the curves begin here"));
        const std::uint32_t cursor = epoch * training_.batches;
        training_.cursor.write(std::as_bytes(std::span(&cursor, 1)));
        return epoch;
    }

    // Takes over what curves.csv has of the steps before, if it is of this very run: if it has the test loss
    // that the checkpoint was written with.
    bool keep_earlier_curve(std::uint32_t epoch, const std::string& test_loss) {
        Curve earlier = CurveFile::read(settings_.curve, std::string(settings_.optimizer->name));
        const auto end = std::ranges::find(earlier.evaluations, epoch, &Curve::Evaluation::epoch);
        if (end == earlier.evaluations.end() || loss_text(end->loss) != test_loss) return false;
        seconds_ = end->seconds;
        std::erase_if(earlier.steps, [&](const Curve::Step& step) { return step.step > end->step; });
        curve_.steps = std::move(earlier.steps);
        curve_.evaluations.assign(earlier.evaluations.begin(), end);  // this one is made again
        return true;
    }

    const heron::Device& device_;
    const DataSet& data_;
    const RunSettings& settings_;
    const RunObserver& observer_;
    samples::InstanceFunctions instance_functions_;
    samples::DeviceFunctions vk_;
    Network network_;
    Passes training_;
    Passes testing_;
    Optimizers optimizers_;
    heron::Plan forward_, backward_, optimizer_, test_;
    std::array<std::optional<StepCommands>, 2> step_commands_;

    float lr_;
    Curve curve_;
    TimeSplit time_;
    std::uint64_t begun_ = 0;  // steps before this run
    std::uint64_t done_ = 0;   // steps
    std::uint64_t total_ = 0;  // steps when this run ends
    std::uint32_t steps_per_submit_ = 1;
    double seconds_ = 0;
};

}  // namespace

RunResult train(const heron::Device& device, const DataSet& data, const DeviceImages& train_images,
                const DeviceImages& test_images, const RunSettings& settings, const RunObserver& observer) {
    return Run(device, data, train_images, test_images, settings, observer).train();
}
