// SPDX-License-Identifier: MIT
// Stochastic gradient descent with what other optimizers make of the gradient.
#pragma once

#include <vector>

#include "heron/optim/sgd.hpp"
#include "optim/step_builder.hpp"

namespace heron {

// gpu::SgdHyper.
std::vector<HyperValue> sgd_hyper(const SgdOptions& options);
// The step of one parameter; its state is called momentum. The optimizer's hyper struct begins with the
// members of gpu::SgdHyper.
void add_sgd(StepBuilder& step, const StepBuilder::Item& item, const SgdOptions& options);

}  // namespace heron
