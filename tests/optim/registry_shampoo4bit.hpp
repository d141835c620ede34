// SPDX-License-Identifier: MIT
// 4-bit Shampoo in the forms that the shared tests run.
#pragma once

#include "optim/optimizer_case.hpp"
#include "optim/reference_shampoo4bit.hpp"

namespace heron::test::registry {

inline OptimizerCase shampoo4bit(std::string name, const Shampoo4BitOptions& options) {
    OptimizerCase entry{
        std::move(name),
        maker<Shampoo4Bit>(options),
        variants_of<Shampoo4Bit>(options),
        [=](const Shape& shape) { return std::make_unique<Shampoo4BitReference>(options, shape); },
        false,
        {{}, {17, 13}, {7}, {6, 10}, {12, 9}, {5, 3, 3, 2}}};
    entry.late_state = [](const std::string& state, const Shape& shape) {
        if (state.starts_with("failures")) return std::vector<float>(shape.count(), 0.0f);
        // Some code or other in every place.
        if (state.ends_with("_codes"))
            return std::vector<float>(shape.count(), std::bit_cast<float>(0x3b7a2c5du));
        return std::vector<float>();
    };
    return entry;
}

inline std::vector<OptimizerCase> shampoo4bit_cases() {
    // Refreshes of f32 factors, in none of the late steps, whose states are any numbers.
    Shampoo4BitOptions plain;
    plain.lr = 0.01f;
    plain.nesterov = true;
    plain.weight_decay = 0.1f;
    plain.epsilon = 5e-2f;
    plain.bits = 32;
    plain.block_size = 16;
    plain.statistics = plain.roots = {.interval = 7, .stagger = false};
    // Quantised roots, never renewed: a code that f32 and float64 round to different sides would move all
    // that follows (shampoo4bit_test.cpp and the golden test have these).
    Shampoo4BitOptions quantized = Shampoo4BitOptions::adamw();
    quantized.lr = 0.01f;
    quantized.weight_decay = 0.1f;
    quantized.least_elements = 17;
    quantized.block_size = 16;
    quantized.statistics = quantized.roots = {.interval = 300, .stagger = false};
    quantized.start_step = 2;
    Shampoo4BitOptions bf16 = quantized;
    bf16.moments = MomentFormat::bf16;
    return {shampoo4bit("shampoo4bit_f32", plain), shampoo4bit("shampoo4bit", quantized),
            without_reference(shampoo4bit("shampoo4bit_bf16", bf16))};
}

}  // namespace heron::test::registry
