// SPDX-License-Identifier: MIT
// One of every kind of work that Heron's kernels are for, large and small.
#pragma once

#include "heron/device.hpp"

namespace heron::test {

// Makes the device compile the pipelines of all of them; runs nothing.
void compile_workloads(Device& device);

}  // namespace heron::test
