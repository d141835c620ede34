// SPDX-License-Identifier: MIT
#include "training.hpp"

#include <bit>
#include <cmath>
#include <cstring>

#include "barrier.hpp"
#include "heron/spirv/frame_backward_samples.hpp"
#include "heron/spirv/frame_backward_weights.hpp"
#include "shaders/engine.h"
#include "support/random.hpp"

namespace gpu = heron::gpu;

namespace {

constexpr VkDeviceSize kWeightBytes = gpu::WEIGHT_COUNT * sizeof(float);
constexpr VkDeviceSize kSnapshotBytes = kWeightBytes + sizeof(float);  // the loss follows
constexpr auto kF32 = heron::DType::f32;

// Uniform with variance 1 / inputs; both layers have 64. Biases are zero.
void initial_weights(float* weights) {
    samples::UniformNumbers random(1);
    for (std::uint32_t i = 0; i < gpu::WEIGHT_COUNT; ++i) {
        const bool bias = (i >= gpu::HIDDEN_BIAS && i < gpu::HEAD_WEIGHT) || i >= gpu::HEAD_BIAS;
        weights[i] = bias ? 0.0f : static_cast<float>(random.within(std::sqrt(3.0 / 64.0)));
    }
}

heron::Device adopt(const Context& context, const HostAllocator& host, heron::MemoryCallbacks memory) {
    heron::DeviceOptions options;
    options.memory = std::move(memory);
    options.allocator = host.callbacks();
    return heron::Device::adopt(context.handles(), options);
}

}  // namespace

Training::Training(const Context& context, DeviceMemory& memory, const HostAllocator& host,
                   heron::MemoryCallbacks heron_memory, const samples::NamedOptimizer& optimizer)
    : context_(context),
      memory_(memory),
      optimizer_(optimizer),
      layout_(context.create_layout(VK_SHADER_STAGE_COMPUTE_BIT, sizeof(gpu::EnginePush))),
      backward_samples_(context.create_compute_pipeline(heron::spirv::frame_backward_samples, layout_)),
      backward_weights_(context.create_compute_pipeline(heron::spirv::frame_backward_weights, layout_)),
      first_weights_(memory.allocate(heron::MemoryKind::upload, kWeightBytes)),
      weights_(memory.allocate(heron::MemoryKind::device, kWeightBytes)),
      gradients_(memory.allocate(heron::MemoryKind::device, kWeightBytes)),
      scratch_(memory.allocate(heron::MemoryKind::device, gpu::SCRATCH_COUNT * sizeof(float))),
      loss_(memory.allocate(heron::MemoryKind::device, sizeof(float))),
      published_{memory.allocate(heron::MemoryKind::device, kWeightBytes),
                 memory.allocate(heron::MemoryKind::device, kWeightBytes)},
      snapshots_(memory.allocate(heron::MemoryKind::readback, (kSnapshots + 1) * kSnapshotBytes)),
      device_(adopt(context, host, std::move(heron_memory))) {
    initial_weights(static_cast<float*>(first_weights_.mapped));
}

Training::~Training() {
    const auto& vk = context_.vk();
    vk.DestroyPipeline(context_.device(), backward_weights_, nullptr);
    vk.DestroyPipeline(context_.device(), backward_samples_, nullptr);
    vk.DestroyPipelineLayout(context_.device(), layout_, nullptr);
    for (const heron::BufferRange& range :
         {first_weights_, weights_, gradients_, scratch_, loss_, published_[0], published_[1], snapshots_})
        memory_.free(range);
}

std::vector<heron::Parameter> Training::parameters() const {
    const auto parameter = [&](const char* name, const heron::Shape& shape, std::uint32_t first) {
        return heron::Parameter{.name = name,
                                .weight = device_.view(weights_, kF32, shape, first * sizeof(float)),
                                .gradient = device_.view(gradients_, kF32, shape, first * sizeof(float))};
    };
    return {parameter("hidden.weight", {gpu::HIDDEN, gpu::FEATURES}, gpu::HIDDEN_WEIGHT),
            parameter("hidden.bias", {gpu::HIDDEN}, gpu::HIDDEN_BIAS),
            parameter("head.weight", {gpu::COLOURS, gpu::HIDDEN}, gpu::HEAD_WEIGHT),
            parameter("head.bias", {gpu::COLOURS}, gpu::HEAD_BIAS)};
}

// With what the backward pass leaves in its scratch memory.
std::vector<heron::Layer> Training::layers(const std::vector<heron::Parameter>& parameters) const {
    const auto rows = [&](std::uint32_t first, std::uint32_t width) {
        return device_.view(scratch_, kF32, {gpu::SAMPLES, width}, first * sizeof(float));
    };
    return {{.weight = parameters[0],
             .bias = parameters[1],
             .inputs = rows(gpu::FEATURE_ROWS, gpu::FEATURES),
             .output_gradients = rows(gpu::HIDDEN_GRADIENT_ROWS, gpu::HIDDEN)},
            {.weight = parameters[2],
             .bias = parameters[3],
             .inputs = rows(gpu::HIDDEN_ROWS, gpu::HIDDEN),
             .output_gradients = rows(gpu::COLOUR_GRADIENT_ROWS, gpu::COLOURS)}};
}

void Training::restart(bool profile) {
    plan_.reset();  // its memory first
    std::memset(snapshots_.mapped, 0, snapshots_.bytes);
    const std::vector<heron::Parameter> all = parameters();
    const samples::Optimizers optimizers =
        optimizer_.create({.device = device_,
                           .parameters = all,
                           .routes = heron::route(all),
                           .lr = optimizer_.lr,
                           .schedule = {},
                           .layers = optimizer_.layers ? layers(all) : std::vector<heron::Layer>()});
    std::vector<const heron::Optimizer*> pointers;
    for (const auto& optimizer : optimizers) pointers.push_back(optimizer.get());
    heron::StepOptions options;
    options.name = "training step";  // as debuggers show it
    options.plan.profile = profile;
    plan_ = heron::compile(device_, pointers, options);
    plan_->allocate();
}

void Training::record_start(VkCommandBuffer commands) {
    const auto& vk = context_.vk();
    const VkBufferCopy all{.size = kWeightBytes};
    vk.CmdCopyBuffer(commands, first_weights_.buffer, weights_.buffer, 1, &all);
    for (const heron::BufferRange& copy : published_)
        vk.CmdCopyBuffer(commands, first_weights_.buffer, copy.buffer, 1, &all);
    record_barrier(vk, commands, kTransferAccess, kComputeAccess);
    plan_->record_initialize(commands);
}

void Training::record_backward(VkCommandBuffer commands, std::uint32_t step) const {
    const auto& vk = context_.vk();
    const gpu::EnginePush push{.weights = memory_.address(weights_),
                               .gradients = memory_.address(gradients_),
                               .scratch = memory_.address(scratch_),
                               .loss = memory_.address(loss_),
                               .step = step};
    const auto dispatch = [&](VkPipeline pipeline, std::uint32_t invocations) {
        vk.CmdBindPipeline(commands, VK_PIPELINE_BIND_POINT_COMPUTE, pipeline);
        vk.CmdDispatch(commands, (invocations + gpu::THREADS - 1) / gpu::THREADS, 1, 1);
    };
    vk.CmdPushConstants(commands, layout_, VK_SHADER_STAGE_COMPUTE_BIT, 0, sizeof(push), &push);
    dispatch(backward_samples_, gpu::SAMPLES);
    record_barrier(vk, commands, kComputeAccess, kComputeAccess);
    dispatch(backward_weights_, gpu::WEIGHT_COUNT + 1);
    record_barrier(vk, commands, kComputeAccess, kComputeAccess);
}

void Training::record_publish(VkCommandBuffer commands, std::uint32_t steps) const {
    const auto& vk = context_.vk();
    const VkBufferCopy all{.size = kWeightBytes};
    vk.CmdCopyBuffer(commands, weights_.buffer, published_[steps % 2].buffer, 1, &all);
    const auto power = static_cast<std::uint32_t>(std::countr_zero(steps));
    if (std::has_single_bit(steps) && power < kSnapshots) record_snapshot(commands, power);
    record_barrier(vk, commands, kTransferAccess, kComputeAccess | kHostRead);
}

void Training::record_last(VkCommandBuffer commands) const {
    record_barrier(context_.vk(), commands, kComputeAccess, kTransferAccess);
    record_snapshot(commands, kSnapshots);
    record_barrier(context_.vk(), commands, kTransferAccess, kHostRead);
}

void Training::record_snapshot(VkCommandBuffer commands, std::uint32_t slot) const {
    const VkBufferCopy weights{.dstOffset = slot * kSnapshotBytes, .size = kWeightBytes};
    const VkBufferCopy loss{.dstOffset = slot * kSnapshotBytes + kWeightBytes, .size = sizeof(float)};
    context_.vk().CmdCopyBuffer(commands, weights_.buffer, snapshots_.buffer, 1, &weights);
    context_.vk().CmdCopyBuffer(commands, loss_.buffer, snapshots_.buffer, 1, &loss);
}

VkDeviceAddress Training::published(std::uint32_t steps) const {
    return memory_.address(published_[steps % 2]);
}

Training::Snapshot Training::snapshot(std::uint32_t power) const {
    const auto* from = static_cast<const std::byte*>(snapshots_.mapped) + power * kSnapshotBytes;
    Snapshot snapshot;
    snapshot.weights.resize(gpu::WEIGHT_COUNT);
    std::memcpy(snapshot.weights.data(), from, kWeightBytes);
    std::memcpy(&snapshot.loss, from + kWeightBytes, sizeof(float));
    // Weights that are all zero have not been written.
    for (const float weight : snapshot.weights)
        if (weight != 0) return snapshot;
    return {};
}
