// SPDX-License-Identifier: MIT
// What tests of single optimizers ask alike.
#pragma once

#include <gtest/gtest.h>

#include <cmath>
#include <cstdint>
#include <cstring>
#include <limits>
#include <memory>
#include <span>
#include <string>
#include <vector>

#include "optim/training.hpp"

namespace heron::test {

// `act` must throw invalid_argument with every word in its text.
template <class Act>
void expect_refused(const Act& act, std::initializer_list<std::string> words) {
    try {
        act();
        ADD_FAILURE() << "not refused: " << *words.begin();
    } catch (const Error& error) {
        EXPECT_EQ(error.code(), ErrorCode::invalid_argument) << error.what();
        for (const std::string& word : words)
            EXPECT_NE(std::string(error.what()).find(word), std::string::npos) << error.what();
    }
}
// ... of an algorithm whose defaults are changed: by the option's name.
template <class Algorithm, class Options, class Change>
void expect_option_refused(const Device& device, const char* name, const Change& change) {
    Options options;
    change(options);
    expect_refused([&] { Algorithm unused(device, options); }, {name});
}

// The first of a state's counters of refreshes without a root.
inline std::uint32_t failures(const Training& training, const std::string& name) {
    std::uint32_t count = 0;
    std::memcpy(&count, training.state_bytes(name).data(), sizeof count);
    return count;
}

// Of the update from `before`, relative, by Frobenius norm.
inline double update_error(std::span<const float> before, std::span<const float> after,
                           std::span<const double> expected) {
    double error = 0, update = 0;
    for (std::size_t i = 0; i < after.size(); ++i) {
        error += std::pow(after[i] - expected[i], 2);
        update += std::pow(expected[i] - before[i], 2);
    }
    return std::sqrt(error / update);
}

// Steps of the first tensor, with other gradients each, against a float64 reference of it.
template <class Algorithm>
void expect_steps(Training& training, Algorithm& reference, unsigned steps) {
    for (unsigned step = 1; step <= steps; ++step) {
        training.draw_gradients(step);
        const std::vector<float> before = training.tensor().weight();
        std::vector<double> expected = doubles(before);
        reference.step(expected, doubles(training.tensor().gradient_values()), step);
        training.plan().run();
        EXPECT_LE(update_error(before, training.tensor().weight(), expected), 1e-4) << "step " << step;
    }
}

// Every DecayForm of an algorithm for matrices, large enough to tell them from each other.
template <class Algorithm, class Float64, class Options>
void expect_every_decay(Device& device, Options options) {
    options.lr = 0.5f;
    options.weight_decay = 0.8f;
    options.shape_factor = ShapeFactor::none;
    for (const DecayForm decay : {DecayForm::decoupled, DecayForm::cautious, DecayForm::squared,
                                  DecayForm::cautious_squared, DecayForm::after}) {
        SCOPED_TRACE("decay " + std::to_string(static_cast<int>(decay)));
        options.decay = decay;
        Training training(device, [&](const Device& on) { return std::make_unique<Algorithm>(on, options); },
                          {{.name = "w", .shape = {9, 6}}});
        Float64 reference(options, 9, 6, 1.0);
        expect_steps(training, reference, 3);
    }
}

// Refreshes in every step, of a fresh training of w, 8 x 6, with two factors: one without a root is counted,
// and what was before stays.
inline void expect_kept_roots(Training& training, const std::string& left, const std::string& right) {
    training.tensor().set_gradient(std::vector<float>(48, 0.0f));
    training.plan().run();  // nothing yet to take a root of
    EXPECT_EQ(failures(training, left + "_failures"), 1u);
    EXPECT_EQ(failures(training, right + "_failures"), 1u);
    training.steps(1, 2);
    EXPECT_EQ(failures(training, left + "_failures"), 1u);
    const std::vector<std::byte> root = training.state_bytes(left + "_whitener");
    std::vector<float> factor = training.state(left);
    factor[9] = std::numeric_limits<float>::quiet_NaN();
    training.set_state(left, factor);
    training.steps(3, 1);
    EXPECT_EQ(failures(training, left + "_failures"), 2u);
    EXPECT_EQ(failures(training, right + "_failures"), 1u);
    EXPECT_TRUE(training.state_bytes(left + "_whitener") == root);
    for (const float value : training.tensor().weight()) EXPECT_TRUE(std::isfinite(value));
}

}  // namespace heron::test
