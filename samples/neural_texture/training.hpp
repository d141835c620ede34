// SPDX-License-Identifier: MIT
// One training run: the passes and the optimizer's step, recorded once and replayed.
#pragma once

#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <vector>

#include "heron/heron.hpp"
#include "image.hpp"
#include "support/optimizers.hpp"
#include "support/step_commands.hpp"
#include "support/vulkan_api.hpp"
#include "texture.hpp"

struct TrainingSettings {
    const samples::NamedOptimizer* optimizer = nullptr;  // of the perceptron
    float lr = 0;                                        // its
    float grid_lr = 0;                                   // of the grid's AdamW
    std::uint32_t steps = 0;                             // that the schedule is made for
    std::uint32_t samples = 0;                           // a step, about
    std::uint32_t seed = 0;
};

class Training {
public:
    // Throws heron::Error.
    Training(const heron::Device& device, const Image& truth, const samples::TextureShape& shape,
             const TrainingSettings& settings);

    // So many steps more; waits.
    void run(std::uint32_t steps);
    std::uint32_t done() const { return done_; }
    std::uint32_t skipped() const;                           // of them, because of non-finite gradients
    double seconds() const { return seconds_; }              // of training so far, wall clock
    double loss() const { return passes_.loss(done_ - 1); }  // of the last batch

    // What the network draws now, in the size of the truth: until the next call.
    std::span<const std::uint32_t> draw();
    double psnr();  // of what draw() gives

    const samples::Texture& texture() const { return texture_; }
    std::uint32_t samples() const { return passes_.batch; }
    const heron::Plan& passes_plan() const { return passes_plan_; }
    const heron::Plan& optimizer_plan() const { return optimizer_plan_; }
    // Where parameters go, where the optimizer shares them with AdamW.
    const std::string& routing() const { return routing_; }

private:
    void make_optimizers(const heron::Device& device, const TrainingSettings& settings);

    const Image& truth_;
    samples::InstanceFunctions instance_functions_;
    samples::DeviceFunctions vk_;
    samples::Texture texture_;
    samples::TexturePasses passes_;
    heron::Buffer pixels_;
    samples::TexturePicture picture_;
    samples::Optimizers optimizers_;
    heron::Plan passes_plan_, optimizer_plan_;
    std::unique_ptr<samples::StepCommands> commands_;
    std::string routing_;
    std::uint32_t done_ = 0;
    double seconds_ = 0;
};
