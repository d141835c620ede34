// SPDX-License-Identifier: MIT
// What a line of the registry (registry.cpp) says of an optimizer.
#pragma once

#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "optim/bad_options.hpp"
#include "optim/reference.hpp"
#include "optim/training.hpp"

namespace heron::test {

// The algorithm with other options.
struct Variants {
    // With this learning rate and, where the algorithm has one, weight decay.
    std::function<std::unique_ptr<Optimizer>(const Device&, float)> make_extreme;
    // With one option after the other out of its range.
    std::function<std::vector<BadOption>()> bad_options;
};

struct OptimizerCase {
    std::string name;
    MakeOptimizer make;
    Variants variants;
    // Null where no tensor's step can be told from that tensor alone.
    std::function<std::unique_ptr<Reference>(const Shape&)> reference;
    bool element_wise;          // bounds per element; else by relative Frobenius norm
    std::vector<Shape> shapes;  // awkward ones, that the algorithm takes
    // Values of a state, by its name after the parameter's, that a training might come to; none, or not set:
    // any positive numbers will do.
    std::function<std::vector<float>(const std::string&, const Shape&)> late_state{};
};

namespace registry {

inline std::vector<Shape> any_shapes() {
    return {{}, {1}, {7}, {256}, {1021}, {1, 1}, {3, 5}, {64, 65}, {2, 3, 5, 7}, {1, 10000}, {300, 217}};
}
inline std::vector<Shape> matrix_shapes() {
    return {{1, 1},    {1, 9},    {9, 1},     {6, 10},    {17, 13},  {64, 64},
            {200, 33}, {40, 310}, {150, 150}, {1, 10000}, {10000, 1}};
}

// A function that makes an Algorithm with these options.
template <class Algorithm, class Options>
MakeOptimizer maker(const Options& options) {
    return [=](const Device& device) { return std::make_unique<Algorithm>(device, options); };
}
template <class Algorithm, class Options>
Variants variants_of(const Options& options) {
    const auto make = [](const Device& device, const Options& changed) {
        return std::make_unique<Algorithm>(device, changed);
    };
    return {[=](const Device& device, float value) {
                Options extreme = options;
                extreme.lr = value;
                if constexpr (requires { extreme.weight_decay; }) extreme.weight_decay = value;
                if constexpr (requires { extreme.step.weight_decay; }) extreme.step.weight_decay = value;
                return make(device, extreme);
            },
            [=] { return option_checks::bad_options(options, make); }};
}

// Whose moments are rounded.
inline OptimizerCase without_reference(OptimizerCase entry) {
    entry.reference = nullptr;
    return entry;
}

}  // namespace registry
}  // namespace heron::test
