// SPDX-License-Identifier: MIT
// When a section runs, as kernels read it.
#pragma once

#include "core/section.h"
#include "heron/graph.hpp"

namespace heron {

// Without a size: x and y are 0.
inline gpu::SectionEntry section_entry(const Section& section) {
    return {.x = 0,
            .y = 0,
            .interval = section.interval,
            .phase = section.phase | (section.first ? gpu::SECTION_FIRST : 0),
            .start = section.start,
            .growth = section.growth,
            .doublings = section.doublings,
            .gate = section.gate};
}

}  // namespace heron
