// SPDX-License-Identifier: MIT
// Two matrices and a bias with gradients, for tests in which the algorithm is not the question.
#pragma once

#include <array>
#include <cmath>
#include <vector>

#include "heron/heron.hpp"
#include "support/device_fixture.hpp"

namespace heron::test {

class SmallTraining {
public:
    explicit SmallTraining(const Device& device)
        : device_(&device), weights_(upload(device, values(1))), gradients_(upload(device, values(2))) {}

    const Device& device() const { return *device_; }
    std::vector<float> weights() const { return download(weights_); }

    // "layer1.weight" 48 x 40, "layer2.weight" 24 x 48, "layer2.bias" 24
    std::vector<Parameter> parameters() const {
        const auto parameter = [&](const char* name, const Shape& shape, std::uint64_t first) {
            return Parameter{.name = name,
                             .weight = weights_.view(DType::f32, shape, first * sizeof(float)),
                             .gradient = gradients_.view(DType::f32, shape, first * sizeof(float))};
        };
        return {parameter("layer1.weight", {48, 40}, 0), parameter("layer2.weight", {24, 48}, 48 * 40),
                parameter("layer2.bias", {24}, 48 * 40 + 24 * 48)};
    }

private:
    static std::vector<float> values(int seed) {
        std::vector<float> values(48 * 40 + 24 * 48 + 24);
        for (std::size_t i = 0; i < values.size(); ++i)
            values[i] = std::sin(static_cast<float>(seed) + 0.37f * static_cast<float>(i * i % 1009));
        return values;
    }

    const Device* device_;
    Buffer weights_;
    Buffer gradients_;
};

}  // namespace heron::test
