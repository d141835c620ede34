// SPDX-License-Identifier: MIT
// Access to the training step inside a plan.
#pragma once

#include "heron/plan.hpp"
#include "optim/step_layout.hpp"

namespace heron {

// Throws (invalid_argument) for a plan that heron::compile did not make; `who` is the function that was
// called.
const StepLayout& step_layout(const Plan& plan, const char* who);
void write_learning_rate(Plan& plan, const StepLayout::Rate& rate, float lr);
float read_learning_rate(const Plan& plan, const StepLayout::Rate& rate);

}  // namespace heron
