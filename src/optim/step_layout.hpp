// SPDX-License-Identifier: MIT
// Where heron::compile put what status(), set_learning_rate() and checkpoints look for.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "heron/graph.hpp"
#include "heron/optim/mkor.hpp"

namespace heron {

// "<parameter>.gradient_sum": the only state that may hold an infinity or a NaN, from which the step that
// reads it protects itself.
inline constexpr const char* kGradientSum = "gradient_sum";

struct StepLayout {
    struct Rate {
        std::string optimizer;
        std::uint64_t byte_offset;  // of its learning rate (or switch, or damping) in `slots`
    };

    // To first order and back.
    struct Switch {
        Rate rate;
        std::optional<MkorSwitch> rule;
        std::uint64_t history;  // where its MkorSwitchHistory lies in Graph::Impl::step_memory
    };

    Tensor control;
    Tensor status;                        // readback; begins like the control block
    Tensor slots;                         // table of HyperSlot
    std::vector<Rate> rates;              // one an optimizer that has a learning rate
    std::vector<Switch> switches;         // one an optimizer that set_second_order() knows
    std::vector<Rate> dampings;           // ... set_damping()
    std::vector<std::string> parameters;  // external tensors that a checkpoint holds
    // What a checkpoint's plan has to share: a line each for the step, every optimizer and parameter, of the
    // form `parameter "a": dtype=f32 shape=6x4 ...`.
    std::string identity;
};

}  // namespace heron
