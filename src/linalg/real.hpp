// SPDX-License-Identifier: MIT
// Counts as FLOPs and bytes of operations.
#pragma once

#include <cstdint>

namespace heron {

constexpr double real(std::uint64_t value) { return static_cast<double>(value); }

}  // namespace heron
