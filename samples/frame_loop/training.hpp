// SPDX-License-Identifier: MIT
// What the renderer trains: the network of samples/adopted_device, with any of the samples' optimizers. The
// backward pass is the renderer's, the step Heron's; both read and write memory of the renderer's allocator.
#pragma once

#include <cstdint>
#include <optional>
#include <vector>

#include "context.hpp"
#include "device_memory.hpp"
#include "heron/heron.hpp"
#include "host_allocator.hpp"
#include "support/optimizers.hpp"

class Training {
public:
    // `heron_memory`: where Heron's own device memory comes from.
    Training(const Context& context, DeviceMemory& memory, const HostAllocator& host,
             heron::MemoryCallbacks heron_memory, const samples::NamedOptimizer& optimizer);
    Training(const Training&) = delete;
    Training& operator=(const Training&) = delete;
    ~Training();  // the GPU must have finished

    const heron::Device& device() const { return device_; }
    heron::Plan& plan() { return *plan_; }

    // A plan without a past, with its memory; everything that a frame must not do happens here. `profile`:
    // with timestamps, for budgets of time. The GPU must have finished with the plan before.
    void restart(bool profile);
    // First weights and first states, and the weights published.
    void record_start(VkCommandBuffer commands);
    // Gradients of the step of that number, from 0. Before: the step before is visible to compute shaders.
    // After: what it wrote is visible to compute shaders.
    void record_backward(VkCommandBuffer commands, std::uint32_t step) const;
    // Copies the weights for the scene, and, after 1, 2, 4, ... steps, to the host. Before: they are visible
    // to transfers, and nobody reads published(steps). After: visible to compute shaders and the host.
    void record_publish(VkCommandBuffer commands, std::uint32_t steps) const;
    void record_last(VkCommandBuffer commands) const;  // to the host, whatever the number of steps

    // The weights after that many steps, until two more steps are published.
    VkDeviceAddress published(std::uint32_t steps) const;

    // What record_publish() has copied to the host after 2^power steps; empty where that was not reached.
    struct Snapshot {
        std::vector<float> weights;
        float loss = 0;  // of the last of the steps
    };
    Snapshot snapshot(std::uint32_t power) const;
    Snapshot last() const { return snapshot(kSnapshots); }
    static constexpr std::uint32_t kSnapshots = 20;

private:
    void record_snapshot(VkCommandBuffer commands, std::uint32_t slot) const;
    std::vector<heron::Parameter> parameters() const;
    std::vector<heron::Layer> layers(const std::vector<heron::Parameter>& parameters) const;

    const Context& context_;
    DeviceMemory& memory_;
    const samples::NamedOptimizer& optimizer_;
    VkPipelineLayout layout_;
    VkPipeline backward_samples_;
    VkPipeline backward_weights_;
    heron::BufferRange first_weights_;
    heron::BufferRange weights_;
    heron::BufferRange gradients_;
    heron::BufferRange scratch_;
    heron::BufferRange loss_;
    heron::BufferRange published_[2];
    heron::BufferRange snapshots_;
    heron::Device device_;
    std::optional<heron::Plan> plan_;
};
