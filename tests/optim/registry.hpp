// SPDX-License-Identifier: MIT
// Every optimizer, in the forms that the shared tests (optimizer_test.cpp) run: add a line to registry.cpp,
// and they all apply.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "optim/optimizer_case.hpp"

namespace heron::test {

std::vector<OptimizerCase> optimizer_registry();

// All of them in one plan, each with one tensor and both called like the case: a step is one submission.
std::vector<Training::Group> every_optimizer(const Shape& shape);

}  // namespace heron::test
