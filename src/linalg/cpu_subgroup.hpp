// SPDX-License-Identifier: MIT
// Which devices get the kernels for CPU drivers that work by shuffles, one subgroup a workgroup.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "core/shared.h"
#include "heron/device.hpp"
#include "heron/graph.hpp"

namespace heron {

// Why a device does not get them; empty when it does.
inline std::string_view no_cpu_subgroup(const Device& device) {
    const Capabilities& c = device.capabilities();
    if (!c.cpu) return "device is not a CPU driver";
    if (c.subgroup_size != 4 && c.subgroup_size != 8 && c.subgroup_size != 16)
        return "subgroups are not 4, 8 or 16 wide";
    if (!c.subgroup_size_control) return "device cannot promise full subgroups";
    return {};
}

// Invocations of a subgroup, to be given as SPEC_SUBGROUP (full subgroups of exactly that size) and
// SPEC_THREADS; 0 where there are no such kernels.
inline std::uint32_t cpu_subgroup(const Device& device) {
    return no_cpu_subgroup(device).empty() ? device.capabilities().subgroup_size : 0;
}

// For kernels that include core/lanes.glsl, which all devices have: invocations of a subgroup that load as
// one; 0 where drivers have another way.
inline std::uint32_t load_lanes(const Device& device) {
    return device.capabilities().cpu_uniform_loads ? cpu_subgroup(device) : 0;
}
// `count`: elements of what is loaded, of every item. (Of fewer than lanes: another pipeline, and dispatch.)
inline void add_lanes(Operation& operation, const Device& device, std::uint64_t count) {
    const std::uint32_t lanes = load_lanes(device);
    if (lanes != 0 && count >= lanes) operation.constants.push_back({gpu::SPEC_SUBGROUP, lanes});
}

// "; not cholesky_cpu: ...", for the reason of the kernel that is taken instead; empty where it is not.
inline std::string not_on_cpu(const Device& device, std::string_view kernel) {
    const std::string_view why = no_cpu_subgroup(device);
    return why.empty() ? std::string() : "; not " + std::string(kernel) + ": " + std::string(why);
}

}  // namespace heron
