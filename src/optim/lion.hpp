// SPDX-License-Identifier: MIT
// Lion for the parameters of other optimizers that have no better way for them.
#pragma once

#include <cstdint>
#include <string_view>
#include <vector>

#include "heron/optim/lion.hpp"
#include "optim/lion.h"
#include "optim/step_builder.hpp"

namespace heron {

// gpu::LionHyper.
std::vector<HyperValue> lion_hyper(const LionOptions& options);
// The step of one parameter; the state is called `momentum`. The optimizer's hyper struct begins with the
// members of gpu::LionHyper. `flags`: of gpu::LionJob.
void add_lion(StepBuilder& step, const StepBuilder::Item& item, std::string_view momentum = "momentum",
              std::uint32_t flags = 0, MomentFormat moments = MomentFormat::f32);

}  // namespace heron
