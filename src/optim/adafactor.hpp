// SPDX-License-Identifier: MIT
// Adafactor for the parameters of other optimizers, and as a part of them.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "heron/optim/adafactor.hpp"
#include "optim/step_builder.hpp"

namespace heron {

// gpu::AdafactorHyper. The optimizer's hyper struct begins with its members in what follows.
std::vector<HyperValue> adafactor_hyper(const AdafactorOptions& options);
// Throws (invalid_argument), in the name of `optimizer`, for an option out of range.
void check_adafactor(std::string_view optimizer, const AdafactorOptions& options);

// The step of one parameter; its states are called row and col or v, and m.
void add_adafactor(StepBuilder& step, const StepBuilder::Item& item, const AdafactorOptions& options);

// States of a batch of matrices: f32, items x rows, items x cols, and like the gradient or (beta1 = 0) empty.
struct AdafactorStates {
    Tensor row, col, moment;
};
// The rate of a parameter's step: one f32, a temporary.
Tensor add_adafactor_rate(StepBuilder& step, const StepBuilder::Item& item, const AdafactorOptions& options);
// direction = what the step would subtract, with that rate, for `gradient` (items x rows x cols, f32, as
// the step sees it, like `direction` a temporary).
void add_adafactor_direction(StepBuilder& step, const StepBuilder::Item& item,
                             const AdafactorOptions& options, const Tensor& gradient,
                             const AdafactorStates& states, const Tensor& rate, const Tensor& direction);

}  // namespace heron
