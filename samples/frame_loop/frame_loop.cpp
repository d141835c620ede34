// SPDX-License-Identifier: MIT
#include "frame_loop.hpp"

#include <algorithm>
#include <array>
#include <chrono>
#include <cmath>

using samples::check;

namespace {

using Clock = std::chrono::steady_clock;

// Steps after which every refresh of the samples' optimizers has run once.
constexpr std::uint32_t kMeasuredSteps = 24;
constexpr float kTurn = 0.01f;  // radians per frame

}  // namespace

FrameLoop::FrameLoop(const Context& context, DeviceMemory& memory, const HeronMemory& heron_memory,
                     const HostAllocator& host, Training& training, const LoopOptions& options)
    : context_(context),
      heron_memory_(heron_memory),
      host_(host),
      training_(training),
      options_(options),
      frames_(context),
      scene_(context, memory),
      secondary_pool_(create_pool(context, context.graphics().family)),
      secondary_(allocate_commands(context, secondary_pool_, VK_COMMAND_BUFFER_LEVEL_SECONDARY)) {
    warm_up();
}

FrameLoop::~FrameLoop() {
    context_.vk().DeviceWaitIdle(context_.device());
    context_.vk().DestroyCommandPool(context_.device(), secondary_pool_, nullptr);
}

LoopResult FrameLoop::run(Mode mode) {
    context_.wait_idle();
    training_.restart(mode == Mode::slices);
    const double budget_us = mode == Mode::slices ? choose_budget() : 0;
    const Queue& queue = mode == Mode::async ? context_.compute() : context_.graphics();
    frames_.once(queue, [&](VkCommandBuffer commands) { training_.record_start(commands); });
    if (mode == Mode::secondary) record_secondary();
    steps_ = shown_ = 0;
    last_reader_[0] = last_reader_[1] = trained_value_ = 0;

    LoopResult result{.mode = mode, .budget_us = budget_us};
    cost_ = {};
    const std::uint64_t pipelines = samples::pipelines_created();
    const std::uint64_t host_allocations = host_.allocations();
    const std::uint64_t device_allocations = heron_memory_.allocations();
    auto begun = Clock::now();
    for (std::uint32_t number = 0; number < options_.frames; ++number) {
        Frame& frame = frames_.begin();
        const auto now = Clock::now();
        if (number > 0)
            result.frame_ms.push_back(std::chrono::duration<double, std::milli>(now - begun).count());
        begun = now;
        const std::uint64_t trained = mode == Mode::none ? 0 : train(mode, frame);
        scene_.record(frame.draw, training_.published(shown_), kTurn * static_cast<float>(number));
        frames_.end(frame, trained);
        last_reader_[shown_ % 2] = frame.drawn;
        if (mode == Mode::async) shown_ = steps_;
        result.heron_us.push_back(cost_.us);
        cost_.us = 0;
    }
    context_.wait_idle();
    result.steps = steps_;
    result.allocations = cost_.allocations;
    result.host_allocations = host_.allocations() - host_allocations;
    result.device_allocations = heron_memory_.allocations() - device_allocations;
    result.pipelines = samples::pipelines_created() - pipelines;
    if (mode == Mode::none) return result;
    result.skipped = heron::status(training_.plan()).skipped;
    frames_.once(queue, [&](VkCommandBuffer commands) { training_.record_last(commands); });
    result.last_loss = training_.last().loss;
    for (std::uint32_t power = 0; power < Training::kSnapshots && (1u << power) <= steps_; ++power)
        result.snapshots.push_back(training_.snapshot(power));
    return result;
}

std::uint64_t FrameLoop::train(Mode mode, Frame& frame) {
    switch (mode) {
        case Mode::none:
            break;
        case Mode::record:
            train_recorded(frame);
            break;
        case Mode::secondary:
            train_secondary(frame);
            break;
        case Mode::async:
            return train_async(frame);
        case Mode::slices:
            train_slice(frame);
            break;
    }
    return 0;
}

void FrameLoop::train_recorded(Frame& frame) {
    training_.record_backward(frame.draw, steps_);
    {
        const HeronCall call(cost_);
        training_.plan().record_one_time(frame.draw);
    }
    training_.record_publish(frame.draw, ++steps_);
    shown_ = steps_;
}

void FrameLoop::record_secondary() {
    const auto& vk = context_.vk();
    check(vk.ResetCommandPool(context_.device(), secondary_pool_, 0), "vkResetCommandPool");
    const VkCommandBufferInheritanceInfo inheritance{.sType =
                                                         VK_STRUCTURE_TYPE_COMMAND_BUFFER_INHERITANCE_INFO};
    // Several frames that execute it are in flight.
    const VkCommandBufferBeginInfo info{.sType = VK_STRUCTURE_TYPE_COMMAND_BUFFER_BEGIN_INFO,
                                        .flags = VK_COMMAND_BUFFER_USAGE_SIMULTANEOUS_USE_BIT,
                                        .pInheritanceInfo = &inheritance};
    check(vk.BeginCommandBuffer(secondary_, &info), "vkBeginCommandBuffer");
    training_.plan().record(secondary_);
    check(vk.EndCommandBuffer(secondary_), "vkEndCommandBuffer");
}

void FrameLoop::train_secondary(Frame& frame) {
    training_.record_backward(frame.draw, steps_);
    context_.vk().CmdExecuteCommands(frame.draw, 1, &secondary_);
    training_.record_publish(frame.draw, ++steps_);
    shown_ = steps_;
}

// In the compute queue: the backward pass, Heron's step and the publication, three batches of one submission.
// Before it writes published(n) again, the frames that draw from it must have finished. This frame draws what
// the step before has published, and so waits for that alone.
std::uint64_t FrameLoop::train_async(Frame& frame) {
    const std::uint64_t before = trained_value_;
    const std::uint32_t next = steps_ + 1;
    frames_.record(frame.backward);
    training_.record_backward(frame.backward, steps_);
    frames_.finish(frame.backward);
    frames_.record(frame.publish);
    training_.record_publish(frame.publish, next);
    frames_.finish(frame.publish);
    ++frames_.compute().value;
    const Batch backward =
        Batch(frame.backward)
            .wait(frames_.graphics(), last_reader_[next % 2], VK_PIPELINE_STAGE_2_ALL_COMMANDS_BIT);
    const Batch publish = Batch(frame.publish).signal(frames_.compute());

    std::array<VkSubmitInfo2, 3> batches{backward.info(), VkSubmitInfo2{}, publish.info()};
    heron::SubmitInfo info;
    {
        HeronCall call(cost_);
        struct Submission {
            FrameLoop& loop;
            std::array<VkSubmitInfo2, 3>& batches;
            HeronCall& call;
        } submission{*this, batches, call};
        info.submit = [&submission](const VkSubmitInfo2& step) {
            return submission.call.outside([&] {
                submission.batches[1] = step;
                return submission.loop.frames_.submit(submission.loop.context_.compute(), submission.batches);
            });
        };
        training_.plan().submit(info);
    }
    steps_ = next;
    frame.trained = trained_value_ = frames_.compute().value;
    return before;
}

void FrameLoop::train_slice(Frame& frame) {
    heron::Plan& plan = training_.plan();
    if (!plan.slice_pending()) training_.record_backward(frame.draw, steps_);
    bool complete = false;
    {
        const HeronCall call(cost_);
        complete = plan.record_slice(frame.draw, slice_).complete;
    }
    if (!complete) return;
    training_.record_publish(frame.draw, ++steps_);
    shown_ = steps_;
}

// So many whole steps, from the beginning, outside of frames; `after` each of them.
template <class After>
void FrameLoop::run_steps(const After& after) {
    heron::Plan& plan = training_.plan();
    frames_.once(context_.graphics(), [&](VkCommandBuffer commands) { training_.record_start(commands); });
    for (std::uint32_t step = 0; step < kMeasuredSteps; ++step) {
        frames_.once(context_.graphics(), [&](VkCommandBuffer commands) {
            training_.record_backward(commands, step);
            plan.record_one_time(commands);
        });
        after();
    }
}

// Drivers may leave a part of a pipeline's compilation to its first use (CPU drivers do). So a loading screen
// runs the steps and the scene once, and throws away what they did.
void FrameLoop::warm_up() {
    training_.restart(false);
    run_steps([] {});
    frames_.once(context_.graphics(), [&](VkCommandBuffer commands) {
        training_.record_publish(commands, 1);
        scene_.record(commands, training_.published(1), 0);
    });
}

// Measures whole steps, so that Heron knows what its dispatches cost on this device. The training begins
// afterwards, from its beginning. Returns the budget in microseconds, or 0 where it is one of dispatches.
double FrameLoop::choose_budget() {
    double longest_ns = 0;
    run_steps([&] {
        double ns = 0;
        for (const heron::DispatchTiming& timing : training_.plan().timings()) ns += timing.ns;
        longest_ns = std::max(longest_ns, ns);
    });
    constexpr double kParts = 4;
    slice_ = {.one_time = true};
    if (options_.budget_us > 0) {
        slice_.max_ns = options_.budget_us * 1e3;
    } else if (longest_ns > 0) {
        slice_.max_ns = longest_ns / kParts;
    } else {
        slice_.max_dispatches =
            static_cast<std::uint32_t>(std::ceil(training_.plan().dispatch_count() / kParts));
        return 0;
    }
    return slice_.max_ns * 1e-3;
}

void FrameLoop::read_picture(const heron::BufferRange& pixels) {
    frames_.once(context_.graphics(),
                 [&](VkCommandBuffer commands) { scene_.record_copy(commands, pixels); });
}
