// SPDX-License-Identifier: MIT
// Records, replays and times the training step.
#include "trainer.hpp"

#include <algorithm>
#include <array>
#include <chrono>
#include <map>
#include <span>
#include <string>
#include <vector>

#include "support/vulkan_api.hpp"

namespace {

using Clock = std::chrono::steady_clock;

double seconds_since(Clock::time_point start) {
    return std::chrono::duration<double>(Clock::now() - start).count();
}

constexpr std::uint64_t kTimeoutNs = 300'000'000'000;
constexpr std::uint32_t kTimestamps =
    4;  // before forward, after forward, after backward, after the optimizer

// A command buffer of its own, with the queries that time it and the fence of its last submission.
class Commands {
public:
    Commands(const heron::Device& device, const samples::DeviceFunctions& vk) : device_(device), vk_(vk) {
        const VkCommandPoolCreateInfo pool{.sType = VK_STRUCTURE_TYPE_COMMAND_POOL_CREATE_INFO,
                                           .queueFamilyIndex = device.queue_family()};
        samples::check(vk.CreateCommandPool(device.handle(), &pool, nullptr, &pool_), "vkCreateCommandPool");
        const VkCommandBufferAllocateInfo allocate{.sType = VK_STRUCTURE_TYPE_COMMAND_BUFFER_ALLOCATE_INFO,
                                                   .commandPool = pool_,
                                                   .level = VK_COMMAND_BUFFER_LEVEL_PRIMARY,
                                                   .commandBufferCount = 1};
        samples::check(vk.AllocateCommandBuffers(device.handle(), &allocate, &buffer_),
                       "vkAllocateCommandBuffers");
        const VkFenceCreateInfo fence{.sType = VK_STRUCTURE_TYPE_FENCE_CREATE_INFO};
        samples::check(vk.CreateFence(device.handle(), &fence, nullptr, &fence_), "vkCreateFence");
        if (device.capabilities().timestamps) {
            const VkQueryPoolCreateInfo queries{.sType = VK_STRUCTURE_TYPE_QUERY_POOL_CREATE_INFO,
                                                .queryType = VK_QUERY_TYPE_TIMESTAMP,
                                                .queryCount = kTimestamps};
            samples::check(vk.CreateQueryPool(device.handle(), &queries, nullptr, &queries_),
                           "vkCreateQueryPool");
        }
    }
    Commands(const Commands&) = delete;
    Commands& operator=(const Commands&) = delete;
    ~Commands() {
        if (pending_) vk_.WaitForFences(device_.handle(), 1, &fence_, VK_TRUE, kTimeoutNs);
        if (queries_) vk_.DestroyQueryPool(device_.handle(), queries_, nullptr);
        vk_.DestroyFence(device_.handle(), fence_, nullptr);
        vk_.DestroyCommandPool(device_.handle(), pool_, nullptr);
    }

    VkCommandBuffer begin() {
        // Simultaneous use: one submission may contain this command buffer many times.
        const VkCommandBufferBeginInfo info{.sType = VK_STRUCTURE_TYPE_COMMAND_BUFFER_BEGIN_INFO,
                                            .flags = VK_COMMAND_BUFFER_USAGE_SIMULTANEOUS_USE_BIT};
        samples::check(vk_.BeginCommandBuffer(buffer_, &info), "vkBeginCommandBuffer");
        if (queries_) vk_.CmdResetQueryPool(buffer_, queries_, 0, kTimestamps);
        return buffer_;
    }
    void timestamp(std::uint32_t index) {
        if (queries_) vk_.CmdWriteTimestamp2(buffer_, VK_PIPELINE_STAGE_2_ALL_COMMANDS_BIT, queries_, index);
    }
    void end() { samples::check(vk_.EndCommandBuffer(buffer_), "vkEndCommandBuffer"); }

    // Executes the recorded commands `times` times.
    void submit(std::uint32_t times) {
        const std::vector<VkCommandBufferSubmitInfo> buffers(
            times, {.sType = VK_STRUCTURE_TYPE_COMMAND_BUFFER_SUBMIT_INFO, .commandBuffer = buffer_});
        const VkSubmitInfo2 info{.sType = VK_STRUCTURE_TYPE_SUBMIT_INFO_2,
                                 .commandBufferInfoCount = times,
                                 .pCommandBufferInfos = buffers.data()};
        samples::check(vk_.ResetFences(device_.handle(), 1, &fence_), "vkResetFences");
        samples::check(vk_.QueueSubmit2(device_.queue(), 1, &info, fence_), "vkQueueSubmit2");
        pending_ = true;
    }
    void wait() {
        if (!pending_) return;
        samples::check(vk_.WaitForFences(device_.handle(), 1, &fence_, VK_TRUE, kTimeoutNs),
                       "vkWaitForFences");
        pending_ = false;
    }
    // Of the last execution, which must have finished; false where the device has no timestamps.
    bool read_times(std::array<double, kTimestamps - 1>& seconds) const {
        std::array<std::uint64_t, kTimestamps> ticks{};
        if (!queries_ ||
            vk_.GetQueryPoolResults(device_.handle(), queries_, 0, kTimestamps, sizeof(ticks), ticks.data(),
                                    sizeof(ticks[0]), VK_QUERY_RESULT_64_BIT) != VK_SUCCESS)
            return false;
        if (!std::ranges::is_sorted(ticks)) return false;  // the counter has wrapped around
        for (std::size_t i = 0; i < seconds.size(); ++i)
            seconds[i] = static_cast<double>(ticks[i + 1] - ticks[i]) *
                         device_.capabilities().timestamp_period_ns * 1e-9;
        return true;
    }

private:
    const heron::Device& device_;
    const samples::DeviceFunctions& vk_;
    VkCommandPool pool_ = VK_NULL_HANDLE;
    VkCommandBuffer buffer_ = VK_NULL_HANDLE;
    VkFence fence_ = VK_NULL_HANDLE;
    VkQueryPool queries_ = VK_NULL_HANDLE;
    bool pending_ = false;
};

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
          network_(device, train_images.pixels, settings.hidden, data.classes),
          training_(device, network_, train_images, settings.batch, false),
          testing_(device, network_, test_images, std::min(test_images.count, kTestBatch), true),
          step_commands_{Commands(device, vk_), Commands(device, vk_)} {
        network_.initialize(settings.seed);
        make_plans(train_images, test_images);
        record();
    }
    RunResult train() {
        RunResult result;
        result.name = settings_.optimizer->name;
        result.lr = settings_.lr;
        result.steps_per_epoch = training_.batches;
        result.state_bytes = optimizer_.state_bytes();
        result.parameters = network_.parameter_count();
        curve_ = &result.curve;

        std::uint32_t epoch = 0;
        if (!settings_.resume.empty()) epoch = resume();
        done_ = std::uint64_t{epoch} * training_.batches;
        evaluate(epoch);
        const std::uint32_t last = std::min(settings_.epochs, settings_.stop_after);
        while (epoch < last) {
            ++epoch;
            train_epoch(epoch);
            evaluate(epoch);
            save(epoch);
        }

        result.seconds = seconds_;
        result.skipped_steps = heron::status(optimizer_).skipped;
        result.hash = network_.hash();
        const auto* predictions = static_cast<const std::uint32_t*>(testing_.predictions.mapped());
        result.predictions.assign(predictions, predictions + data_.test.count);
        if (measured_ > 0) {
            const double scale = static_cast<double>(result.curve.steps.size()) / measured_;
            result.time = {times_[0] * scale, times_[1] * scale, times_[2] * scale};
        }
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
        OptimizerRequest request{
            .device = device_,
            .parameters = network_.parameters(),
            .routes = {},
            .lr = settings_.lr,
            .schedule = heron::Schedule::warmup_cosine(std::min(steps / 20 + 1, 100u), steps, 0.0f)};
        request.routes = heron::route(request.parameters);
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

    // One training step, twice: while the GPU works on one command buffer, the host reads the results of the
    // other.
    void record() {
        for (Commands& commands : step_commands_) {
            const VkCommandBuffer buffer = commands.begin();
            commands.timestamp(0);
            forward_.record(buffer);
            commands.timestamp(1);
            backward_.record(buffer);
            commands.timestamp(2);
            optimizer_.record(buffer);
            commands.timestamp(3);
            commands.end();
        }
    }

    void train_epoch(std::uint32_t epoch) {
        const Clock::time_point start = Clock::now();
        const double seconds_before = seconds_;
        std::array<std::uint32_t, 2> in_flight{};
        std::uint32_t submitted = 0;
        std::uint32_t finished = 0;
        for (std::size_t slot = 0; finished < training_.batches; slot ^= 1) {
            if (in_flight[slot] != 0) {
                step_commands_[slot].wait();
                collect(in_flight[slot], step_commands_[slot]);
                finished += in_flight[slot];
                in_flight[slot] = 0;
                seconds_ = seconds_before + seconds_since(start);
                const double rate = finished / std::max(1e-9, seconds_ - seconds_before);
                // Long enough to hide the submission, short enough for a live display: a tenth of a second.
                steps_per_submit_ = static_cast<std::uint32_t>(std::clamp(rate * 0.1, 1.0, 256.0));
                observer_.progress(epoch, finished, training_.batches, recent_loss(), rate);
            }
            if (submitted < training_.batches) {
                in_flight[slot] = std::min(steps_per_submit_, training_.batches - submitted);
                step_commands_[slot].submit(in_flight[slot]);
                submitted += in_flight[slot];
            }
        }
    }

    // Takes the results of `count` steps that have finished.
    void collect(std::uint32_t count, const Commands& commands) {
        for (std::uint32_t i = 0; i < count; ++i) {
            const Passes::Result result = training_.result(done_);
            ++done_;
            curve_->steps.push_back({done_, result.loss_sum / static_cast<float>(training_.batch),
                                     result.right / static_cast<float>(training_.batch)});
        }
        std::array<double, 3> seconds{};
        if (commands.read_times(seconds)) {
            for (std::size_t i = 0; i < seconds.size(); ++i) times_[i] += seconds[i];
            ++measured_;
        }
    }

    double recent_loss() const {
        const auto& steps = curve_->steps;
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
        curve_->evaluations.push_back(
            {epoch, done_, loss / data_.test.count, right / data_.test.count, seconds_});
        observer_.evaluated(curve_->evaluations.back(), recent_loss());
    }

    // What must be equal for a training to go on as if it had not been interrupted.
    std::map<std::string, std::string> identity() const {
        std::string hidden;
        for (const std::uint32_t width : settings_.hidden)
            hidden += (hidden.empty() ? "" : ",") + std::to_string(width);
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
                throw BadInput(file + ": was made with " + key + " " + value(key) + ", this run has " +
                               wanted);
        const std::string epoch_text = value("epoch");
        if (epoch_text.empty() || epoch_text.size() > 9 ||
            epoch_text.find_first_not_of("0123456789") != std::string::npos)
            throw BadInput(file + ": has the impossible epoch '" + epoch_text + "'");
        const auto epoch = static_cast<std::uint32_t>(std::stoul(epoch_text));
        if (epoch > settings_.epochs) throw BadInput(file + ": has seen " + epoch_text + " epochs already");
        heron::load_checkpoint(optimizer_, settings_.resume);
        const std::uint32_t cursor = epoch * training_.batches;
        training_.cursor.write(std::as_bytes(std::span(&cursor, 1)));
        return epoch;
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
    std::array<Commands, 2> step_commands_;

    Curve* curve_ = nullptr;
    std::uint64_t done_ = 0;  // steps
    std::uint32_t steps_per_submit_ = 1;
    double seconds_ = 0;
    std::array<double, 3> times_{};
    std::uint32_t measured_ = 0;  // steps in times_
};

}  // namespace

RunResult train(const heron::Device& device, const DataSet& data, const DeviceImages& train_images,
                const DeviceImages& test_images, const RunSettings& settings, const RunObserver& observer) {
    return Run(device, data, train_images, test_images, settings, observer).train();
}
