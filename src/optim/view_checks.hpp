// SPDX-License-Identifier: MIT
// What no step could read or write.
#pragma once

#include <string>

#include "heron/device.hpp"
#include "heron/tensor.hpp"

namespace heron {

// Throws (invalid_argument) in the name of `subject`.
void check_view(const Device& device, const std::string& subject, const TensorView& view);

}  // namespace heron
