// SPDX-License-Identifier: MIT
// Hyperparameters as kernels read them: an algorithm's hyper struct is a row of floats, each of which the
// advance kernel evaluates at the start of a step.
#pragma once

#include <optional>
#include <string_view>

#include "heron/optim/mkor.hpp"
#include "heron/train.hpp"
#include "optim/advance.h"

namespace heron {

// One float of a hyper struct.
struct HyperValue {
    gpu::HyperSlot slot{};
    Schedule schedule;                    // SLOT_SCHEDULED, SLOT_COMPLEMENT
    bool learning_rate = false;           // what set_learning_rate() sets
    bool second_order = false;            // what set_second_order() sets
    std::optional<MkorSwitch> switching;  // of that
    bool damping = false;                 // what set_damping() sets

    static HyperValue constant(double value);
    // The value times the schedule's factor; a second one of an optimizer is no learning rate.
    static HyperValue scheduled(float value, const Schedule& schedule);
    // 1 minus that.
    static HyperValue complement(float value, const Schedule& schedule);
    static HyperValue lr(float value, const Schedule& schedule);
    static HyperValue damping_of(float value, const Schedule& schedule);
    // 1 or 0
    static HyperValue second_order_switch(bool on, const std::optional<MkorSwitch>& switching);
    // 1 / (1 - beta^t); of what begins so many steps later: 1 / (1 - beta^(t - delay)), in the first steps
    // that of an exponent of 1.
    static HyperValue inverse_correction(double beta, std::uint32_t delay = 0);
    // The same of what is renewed in the first step and in those that `interval`, from 2 on, divides.
    static HyperValue inverse_correction_every(double beta, std::uint32_t interval);
    static HyperValue correction_ratio(double beta1, double beta2);  // sqrt(1 - beta2^t) / (1 - beta1^t)
    // value (1 - beta^t) / (1 - beta^(t+1))
    static HyperValue correction_growth(double beta, double value);
    // One draw a step from Exp(1): of the step and StepOptions::seed alone, the same for all optimizers.
    static HyperValue exponential_draw();
    static HyperValue power_of_step(double exponent);  // t^exponent
    static HyperValue step();                          // t
    static HyperValue after_first(double value);       // 1 in the first step, then value
    // Gates (Section::gate, StepBuilder::gate()): 0 where they are open. With that probability, times the
    // schedule's factor, drawn in each step for each gate (draw_key() of the optimizer's own name, whatever
    // is wrapped around it, and the gate's number among its chances); and in every n-th step, n = 1 / (value
    // times the factor), counted from the last one on.
    static HyperValue chance(std::string_view optimizer, float probability, const Schedule& schedule);
    static HyperValue counted(float value, const Schedule& schedule);
};

}  // namespace heron
