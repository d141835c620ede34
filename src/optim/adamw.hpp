// SPDX-License-Identifier: MIT
// AdamW for the parameters of other optimizers that have no better way for them.
#pragma once

#include <cstdint>
#include <vector>

#include "heron/optim/adamw.hpp"
#include "optim/adamw.h"
#include "optim/step_builder.hpp"

namespace heron {

// gpu::AdamWHyper.
std::vector<HyperValue> adamw_hyper(const AdamWOptions& options);
// The step of one parameter; its states are called m, v (and vmax). The optimizer's hyper struct begins with
// the members of gpu::AdamWHyper. `flags`: of gpu::AdamWJob.
void add_adamw(StepBuilder& step, const StepBuilder::Item& item, std::uint32_t flags = 0,
               bool amsgrad = false, MomentFormat moments = MomentFormat::f32);

}  // namespace heron
