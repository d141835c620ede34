// SPDX-License-Identifier: MIT
// Which devices get the kernels for CPU drivers that work by shuffles, one subgroup a workgroup.
#pragma once

#include <cstdint>

#include "heron/device.hpp"

namespace heron {

// Invocations of a subgroup, to be given as SPEC_SUBGROUP (full subgroups of exactly that size) and
// SPEC_THREADS; 0 where there are no such kernels: on GPUs, or without a promise of full subgroups.
inline std::uint32_t cpu_subgroup(const Device& device) {
    const Capabilities& c = device.capabilities();
    const bool size_fits = c.subgroup_size == 4 || c.subgroup_size == 8 || c.subgroup_size == 16;
    return c.cpu && c.subgroup_size_control && size_fits ? c.subgroup_size : 0;
}

}  // namespace heron
