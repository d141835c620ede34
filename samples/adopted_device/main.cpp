// SPDX-License-Identifier: MIT
// An engine that trains a neural texture inside its frames. Device, queue, memory, command buffers and the
// backward pass are the engine's own; Heron records its step between the backward pass and the use of the
// weights, in whole or in slices.
#define STB_IMAGE_WRITE_IMPLEMENTATION
#define STB_IMAGE_WRITE_STATIC
#include <stb_image_write.h>

#include <CLI/CLI.hpp>
#include <algorithm>
#include <cmath>
#include <cstdio>
#include <cstring>
#include <string>

#include "engine.hpp"
#include "heron/heron.hpp"
#include "support/device_option.hpp"

namespace {

namespace gpu = heron::gpu;

struct Options {
    std::string device;
    std::uint32_t frames = 200;
    std::uint32_t slice = 0;
    std::string image;
};

// A uniform number in [-1, 1) for each index.
float noise(std::uint32_t index) {
    std::uint32_t x = (index + 1) * 0x9e3779b9u;
    x = (x ^ (x >> 16)) * 0x7feb352du;
    x = (x ^ (x >> 15)) * 0x846ca68bu;
    return static_cast<float>(x ^ (x >> 16)) / 2147483648.0f - 1.0f;
}

void initial_weights(float* weights) {
    for (std::uint32_t i = 0; i < gpu::WEIGHT_COUNT; ++i) {
        const bool bias = (i >= gpu::HIDDEN_BIAS && i < gpu::HEAD_WEIGHT) || i >= gpu::HEAD_BIAS;
        weights[i] = bias ? 0.0f : noise(i) * std::sqrt(3.0f / 64.0f);  // both layers have 64 inputs
    }
}

int run(const Options& options) {
    constexpr std::uint32_t kImageSize = 96;
    // The samples choose alike; an engine has its own way to its device.
    const std::uint32_t index = samples::create_device(options.device).info().index;
    Engine engine(index);

    // The engine's own memory. Weights are mapped here, to keep the upload short; Heron takes any kind.
    const heron::BufferRange weights = engine.host_memory().take(gpu::WEIGHT_COUNT * sizeof(float));
    const heron::BufferRange gradients = engine.device_memory().take(gpu::WEIGHT_COUNT * sizeof(float));
    const heron::BufferRange scratch = engine.device_memory().take(gpu::SCRATCH_COUNT * sizeof(float));
    const heron::BufferRange loss = engine.host_memory().take(sizeof(float));
    const heron::BufferRange image = engine.host_memory().take(2 * kImageSize * kImageSize * 4);
    initial_weights(static_cast<float*>(weights.mapped));

    // Heron takes the device as it is, without a queue.
    const heron::Device device = heron::Device::adopt(engine.handles());
    std::printf("Engine: %s\nHeron:  %s\n", engine.device_name().c_str(), device.explain().c_str());

    constexpr auto f32 = heron::DType::f32;
    const auto parameter = [&](const char* name, const heron::Shape& shape, std::uint32_t first) {
        return heron::Parameter{.name = name,
                                .weight = device.view(weights, f32, shape, first * sizeof(float)),
                                .gradient = device.view(gradients, f32, shape, first * sizeof(float))};
    };
    const std::uint32_t warmup = std::min(20u, options.frames / 10);
    const auto schedule = heron::Schedule::warmup_cosine(warmup, options.frames, 0.02f);
    heron::Muon muon(device, {.lr = 0.03f, .schedule = schedule});
    muon.add(parameter("hidden.weight", {gpu::HIDDEN, gpu::FEATURES}, gpu::HIDDEN_WEIGHT));
    heron::AdamW adamw(device, {.lr = 0.01f, .weight_decay = 0.0f, .schedule = schedule});
    adamw.add(parameter("hidden.bias", {gpu::HIDDEN}, gpu::HIDDEN_BIAS));
    adamw.add(parameter("head.weight", {gpu::COLOURS, gpu::HIDDEN}, gpu::HEAD_WEIGHT));
    adamw.add(parameter("head.bias", {gpu::COLOURS}, gpu::HEAD_BIAS));

    // The plan tells what it needs; the engine cuts that out of its own buffers.
    heron::Plan plan = heron::compile(device, {&muon, &adamw});
    plan.bind({.state = engine.device_memory().take(plan.state_bytes()),
               .workspace = engine.device_memory().take(plan.workspace_bytes()),
               .tables = engine.host_memory().take(plan.table_bytes()),
               .readback = engine.host_memory().take(plan.readback_bytes())});
    std::printf("Plan:   %u dispatches in %u levels; %llu bytes of state, %llu of workspace\n\n",
                plan.dispatch_count(), plan.level_count(),
                static_cast<unsigned long long>(plan.state_bytes()),
                static_cast<unsigned long long>(plan.workspace_bytes()));

    VkCommandBuffer commands = engine.begin_frame();
    plan.record_initialize(commands);
    engine.end_frame();

    gpu::EnginePush push{.weights = engine.host_memory().address(weights),
                         .gradients = engine.device_memory().address(gradients),
                         .scratch = engine.device_memory().address(scratch),
                         .loss = engine.host_memory().address(loss),
                         .image = engine.host_memory().address(image),
                         .step = 0,
                         .image_size = kImageSize};
    const auto read_loss = [&] {
        float value = 0;
        std::memcpy(&value, loss.mapped, sizeof(value));
        return value;
    };

    // `frames` steps; with slices a step takes several frames.
    float first_loss = 0;
    std::uint32_t frame = 0;
    for (std::uint32_t step = 0; step < options.frames; ++frame) {
        commands = engine.begin_frame();
        engine.barrier(commands);  // what the frame before did with the same memory

        // The engine's backward pass: only when the step before is complete, because a step's inputs must not
        // change.
        if (!plan.slice_pending()) {
            push.step = step;
            engine.dispatch(commands, Engine::Shader::backward_samples, push, gpu::SAMPLES);
            engine.barrier(commands);
            engine.dispatch(commands, Engine::Shader::backward_weights, push, gpu::WEIGHT_COUNT + 1);
            engine.barrier(commands, true);
        }

        bool complete = true;
        if (options.slice == 0)
            plan.record_one_time(commands);
        else
            complete =
                plan.record_slice(commands, {.max_dispatches = options.slice, .one_time = true}).complete;

        // The engine's use of the weights. record_one_time() has made them visible to compute shaders;
        // between two slices of a step they may be those of before or after it.
        if (complete) engine.dispatch(commands, Engine::Shader::render, push, 2 * kImageSize * kImageSize);
        engine.barrier(commands, true);
        engine.end_frame();

        if (complete) {
            if (step == 0) {
                engine.wait_idle();
                first_loss = read_loss();
            }
            ++step;
            if (step % (std::max(options.frames, 8u) / 8) == 0 || step == 1)
                std::printf("frame %5u  step %5u  loss about %.5f\n", frame + 1, step, read_loss());
        }
    }
    engine.wait_idle();

    const float last_loss = read_loss();
    const heron::StepStatus status = heron::status(plan);
    std::printf("\n%u frames, %u steps (%u skipped): mean squared error %.5f -> %.5f\n", frame, status.step,
                status.skipped, first_loss, last_loss);
    if (!options.image.empty()) {
        if (!stbi_write_png(options.image.c_str(), 2 * kImageSize, kImageSize, 4, image.mapped,
                            2 * kImageSize * 4)) {
            std::fprintf(stderr, "adopted_device: %s cannot be written\n", options.image.c_str());
            return 1;
        }
        std::printf("%s: left what the network has learned, right what it should\n", options.image.c_str());
    }
    if (status.step != options.frames || !std::isfinite(last_loss)) {
        std::printf("FAILED: steps were skipped, or the loss is not finite.\n");
        return 1;
    }
    constexpr std::uint32_t kEnough = 40;  // steps; with them the loss is always far below half
    if (options.frames < kEnough) {
        std::printf("Too few steps to judge the loss by (below %u).\n", kEnough);
        return 0;
    }
    const bool good = last_loss < 0.5f * first_loss;
    std::printf("%s\n", good ? "The loss has gone down." : "FAILED: the loss has not gone down.");
    return good ? 0 : 1;
}

}  // namespace

int main(int argc, char** argv) {
    Options options;
    CLI::App app("An engine trains a neural texture with Heron inside its own frames.", "adopted_device");
    samples::add_device_option(app, options.device);
    app.add_option("--frames", options.frames, "training steps; without --slice one a frame")
        ->check(CLI::Range(1u, 1000000u))
        ->capture_default_str();
    app.add_option("--slice", options.slice,
                   "at most so many of Heron's dispatches a frame; 0: the whole step")
        ->check(CLI::Range(0u, 1000000u))
        ->capture_default_str();
    app.add_option("--image", options.image, "PNG file for the picture that the network has learned");
    try {
        app.parse(argc, argv);
    } catch (const CLI::ParseError& error) {
        return app.exit(error) == 0 ? 0 : 2;
    }
    try {
        return run(options);
    } catch (const samples::NoDevice& error) {
        std::fprintf(stderr, "adopted_device: %s\n", error.what());
        return error.exit_code;
    } catch (const std::exception& error) {
        std::fprintf(stderr, "adopted_device: %s\n", error.what());
        return 1;
    }
}
