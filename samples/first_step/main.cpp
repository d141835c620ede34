// SPDX-License-Identifier: MIT
// The smallest complete program: a matrix for Muon, a bias for AdamW, ten steps.
#include <cstdio>
#include <heron/heron.hpp>
#include <vector>

int main() try {
    const heron::Device device = heron::Device::create();
    std::printf("%s\n", device.explain().c_str());

    std::vector<float> values(64 * 32 + 64, 0.01f);  // a 64 x 32 matrix, then a bias of 64
    heron::Buffer weights = device.create_buffer(values.size() * sizeof(float));
    heron::Buffer gradients = device.create_buffer(values.size() * sizeof(float));
    weights.write(std::as_bytes(std::span(values)));

    const auto f32 = heron::DType::f32;
    heron::Muon muon(device, {.lr = 0.02f});
    muon.add({"fc.weight", weights.view(f32, {64, 32}), gradients.view(f32, {64, 32})});
    heron::AdamW adamw(device, {.lr = 0.01f});
    adamw.add({"fc.bias", weights.view(f32, {64}, 64 * 32 * 4), gradients.view(f32, {64}, 64 * 32 * 4)});

    heron::Plan plan = heron::compile(device, {&muon, &adamw});
    plan.allocate();
    plan.initialize();
    for (int step = 1; step <= 10; ++step) {
        weights.read(
            std::as_writable_bytes(std::span(values)));  // in place of a backward pass: the loss |w|^2 / 2,
        gradients.write(std::as_bytes(std::span(values)));  // whose gradient is w
        plan.run();
        std::printf("step %2d  gradient norm %.4f\n", step, heron::status(plan).gradient_norm);
    }
    return 0;
} catch (const heron::Error& error) {
    std::fprintf(stderr, "%s: %s\n", heron::to_string(error.code()), error.what());
    return 1;
}
