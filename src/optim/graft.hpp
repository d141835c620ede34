// SPDX-License-Identifier: MIT
// Grafting: the direction of one method with the size of another.
#pragma once

#include "optim/step_builder.hpp"

namespace heron {

// update <- update wanted / |update|_F; zero stays zero. `update`: a contiguous temporary f32; `wanted`: one
// f32. Two levels.
void graft(StepBuilder& step, const Tensor& update, const Tensor& wanted);

}  // namespace heron
