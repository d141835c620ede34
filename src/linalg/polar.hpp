// SPDX-License-Identifier: MIT
// Choices that polar() makes, for its tests. The operation itself is public: heron/linalg.hpp.
#pragma once

#include <cstdint>

#include "heron/linalg.hpp"

namespace heron {

// FLOPs of the iterations on one k x K matrix (k <= K), symmetric products at half price.
double polar_standard_flops(double k, double K, const PolarOptions& options);
double polar_gram_flops(double k, double K, const PolarOptions& options);

// The form that polar() takes for matrices that do not fit one workgroup: standard or gram.
PolarForm choose_polar_form(std::uint64_t rows, std::uint64_t cols, const PolarOptions& options);

// Constants of the one-workgroup kernel on a device.
struct PolarWorkgroupVariant {
    std::uint32_t threads;
    std::uint32_t pool;   // vec4 of shared memory
    std::uint32_t tiles;  // of a result per invocation
};
PolarWorkgroupVariant choose_polar_workgroup(const Capabilities& capabilities);

}  // namespace heron
