// SPDX-License-Identifier: MIT
#pragma once

#include <cstdint>

#include "heron/device.hpp"

namespace heron {

// The most rows that cholesky() takes.
std::uint64_t max_cholesky_rows(const Device& device);

}  // namespace heron
