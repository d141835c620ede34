// SPDX-License-Identifier: MIT
// Proves that a recorded step has the barriers it needs, and that the hazard check would notice if it had
// not.
#pragma once

#include <gtest/gtest.h>

#include <vector>

#include "graph/hazards.hpp"

namespace heron::test {

// Leaves out each barrier in turn, which must be noticed. Returns how many there are.
inline int remove_each_barrier(const std::vector<RecordedDispatch>& recorded) {
    EXPECT_TRUE(find_hazards(recorded).empty());
    int barriers = 0;
    for (std::size_t d = 0; d < recorded.size(); ++d) {
        if (!recorded[d].barrier_before) continue;
        std::vector<RecordedDispatch> mutated = recorded;
        mutated[d].barrier_before = false;
        EXPECT_FALSE(find_hazards(mutated).empty()) << "barrier before dispatch " << d;
        ++barriers;
    }
    return barriers;
}

}  // namespace heron::test
