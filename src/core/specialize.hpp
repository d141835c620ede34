// SPDX-License-Identifier: MIT
// Specialization before the driver sees a shader.
#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "core/pipelines.hpp"

namespace heron {

// The module with its 32-bit specialization constants made plain ones, of these values or their defaults.
// Expressions of constants stay as they are. Wants valid SPIR-V.
std::vector<std::uint32_t> specialized(std::span<const std::uint32_t> spirv,
                                       std::span<const SpecializationConstant> constants);

}  // namespace heron
