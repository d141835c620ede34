// SPDX-License-Identifier: MIT
#include "training.hpp"

#include <algorithm>
#include <array>
#include <chrono>

using namespace samples;

namespace {

using Clock = std::chrono::steady_clock;

heron::Schedule schedule(std::uint32_t steps) {
    const std::uint32_t warmup = std::min({steps / 50 + 1, 20u, steps - 1});  // a single step has none
    return heron::Schedule::warmup_cosine(warmup, steps, 0.0f);
}

}  // namespace

Training::Training(const heron::Device& device, const Image& truth, const TextureShape& shape,
                   const TrainingSettings& settings)
    : truth_(truth),
      instance_functions_(open_vulkan(), device.instance()),
      vk_(instance_functions_.GetDeviceProcAddr, device.handle()),
      texture_(device, shape),
      passes_(device, texture_, settings.samples),
      pixels_(device_pixels(device, truth.pixels)),
      picture_(device, texture_, truth.width, truth.height) {
    texture_.initialize(settings.seed);
    passes_plan_ =
        texture_training_plan(device, texture_, passes_, pixels_, settings.seed, {.name = "passes"});
    make_optimizers(device, settings);
    passes_plan_.allocate();
    optimizer_plan_.allocate();
    optimizer_plan_.initialize();
    const std::array<heron::Plan*, 2> parts{&passes_plan_, &optimizer_plan_};
    commands_ = std::make_unique<StepCommands>(device, vk_, parts);
}

void Training::make_optimizers(const heron::Device& device, const TrainingSettings& settings) {
    OptimizerRequest request{.device = device,
                             .parameters = texture_.network.parameters(),
                             .routes = {},
                             .lr = settings.lr,
                             .schedule = schedule(settings.steps),
                             .layers = texture_.network.captured_layers(passes_)};
    request.routes = heron::route(request.parameters);
    if (settings.optimizer->routes) routing_ = heron::routing_report(request.routes);
    optimizers_ = settings.optimizer->create(request);
    // Its settings as Mueller et al. have them (arXiv 2201.05989): a step touches few of the features, so old
    // second moments must not outlive them.
    auto grid = std::make_unique<heron::AdamW>(device, heron::AdamWOptions{.lr = settings.grid_lr,
                                                                           .beta2 = 0.99,
                                                                           .eps = 1e-15f,
                                                                           .weight_decay = 0.0f,
                                                                           .schedule = request.schedule});
    grid->set_name("grid");
    for (const heron::Parameter& parameter : texture_.grid_parameters()) grid->add(parameter);
    optimizers_.push_back(std::move(grid));
    std::vector<const heron::Optimizer*> pointers;
    for (const auto& optimizer : optimizers_) pointers.push_back(optimizer.get());
    optimizer_plan_ = heron::compile(device, pointers, {.name = "optimizer", .seed = settings.seed});
}

void Training::run(std::uint32_t steps) {
    const Clock::time_point start = Clock::now();
    while (steps > 0) {
        const std::uint32_t count = std::min(steps, StepCommands::kMaxSteps);
        commands_->submit(count);
        commands_->wait();
        done_ += count;
        steps -= count;
    }
    seconds_ += std::chrono::duration<double>(Clock::now() - start).count();
}

std::uint32_t Training::skipped() const { return heron::status(optimizer_plan_).skipped; }

std::span<const std::uint32_t> Training::draw() {
    picture_.draw();
    return {static_cast<const std::uint32_t*>(picture_.pixels().mapped()), truth_.pixels.size()};
}

double Training::psnr() { return ::psnr(truth_, draw()); }
