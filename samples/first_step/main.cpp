// SPDX-License-Identifier: MIT
// The smallest complete program: a matrix for Muon, a bias for AdamW, ten steps. The README quotes all of it.
#include <cstdio>
#include <heron/heron.hpp>
#include <vector>

int main() try {
    const heron::Device device = heron::Device::create();  // or Device::adopt(your handles)

    // A 64 x 32 matrix, then a bias of 64, in one buffer; their gradients in another.
    constexpr auto f32 = heron::DType::f32;
    constexpr std::uint64_t bias = 64 * 32 * sizeof(float);
    std::vector<float> values(64 * 32 + 64, 0.01f);
    heron::Buffer weights = device.create_buffer(values.size() * sizeof(float));
    heron::Buffer gradients = device.create_buffer(values.size() * sizeof(float));
    weights.write(std::as_bytes(std::span(values)));

    heron::Muon muon(device, {.lr = 0.02f});
    muon.add({"fc.weight", weights.view(f32, {64, 32}), gradients.view(f32, {64, 32})});
    heron::AdamW adamw(device, {.lr = 0.01f});
    adamw.add({"fc.bias", weights.view(f32, {64}, bias), gradients.view(f32, {64}, bias)});

    heron::Plan plan = heron::compile(device, {&muon, &adamw});
    plan.allocate();  // state and workspace; their sizes are known beforehand
    plan.initialize();
    for (int step = 1; step <= 10; ++step) {
        // In place of a backward pass: the gradient of the loss |w|^2 / 2 is w itself.
        weights.read(std::as_writable_bytes(std::span(values)));
        gradients.write(std::as_bytes(std::span(values)));
        plan.run();  // in an engine: plan.record_one_time(command_buffer), after your backward pass
        std::printf("step %2d  gradient norm %.4f\n", step, heron::status(plan).gradient_norm);
    }
} catch (const heron::Error& error) {
    std::fprintf(stderr, "%s: %s\n", heron::to_string(error.code()), error.what());
    return 1;
}
