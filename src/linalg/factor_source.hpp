// SPDX-License-Identifier: MIT
// The rows of a Kronecker factor's statistic, as kernels find them (shaders/linalg/factor_rows.glsl).
#pragma once

#include <cstdint>

#include "heron/graph.hpp"
#include "heron/linalg/factor.hpp"
#include "linalg/factor.h"

namespace heron {

// What a is: how many items of how many rows, and where they lie.
struct FactorSource {
    gpu::FactorRows rows{};
    std::uint64_t items = 1, count = 0;
    bool patches = false;
};

// Throws (invalid_argument) for images and patches that do not fit.
FactorSource patch_source(const Tensor& images, const ConvPatches& patches);

}  // namespace heron
