// SPDX-License-Identifier: MIT
#include "graph/hazards.hpp"

#include <gtest/gtest.h>

#include <random>

namespace heron {
namespace {

TEST(Hazards, SeesWriteAfterReadReadAfterWriteAndWriteAfterWrite) {
    for (const auto& [first, second] : {std::pair{true, false}, {false, true}, {true, true}}) {
        std::vector<RecordedDispatch> dispatches(2);
        dispatches[0].touches = {{100, 200, first, 0}};
        dispatches[1].touches = {{199, 300, second, 0}};
        EXPECT_EQ(find_hazards(dispatches).size(), 1u);
        dispatches[1].barrier_before = true;
        EXPECT_TRUE(find_hazards(dispatches).empty());
    }
}

TEST(Hazards, ReadsAndNeighboursDoNotConflict) {
    std::vector<RecordedDispatch> dispatches(2);
    dispatches[0].touches = {{100, 200, false, 0}, {300, 400, true, 0}};
    dispatches[1].touches = {{100, 200, false, 0}, {400, 500, true, 0}};
    EXPECT_TRUE(find_hazards(dispatches).empty());
}

TEST(Hazards, JobsOfOneDispatchConflictAndOneJobDoesNotWithItself) {
    std::vector<RecordedDispatch> dispatches(1);
    dispatches[0].touches = {{100, 200, true, 0}, {100, 200, false, 0}};
    EXPECT_TRUE(find_hazards(dispatches).empty());
    dispatches[0].touches.push_back({150, 160, false, 1});
    EXPECT_EQ(find_hazards(dispatches).size(), 1u);
}

// Against the plain quadratic check, on random ranges and barriers.
TEST(Hazards, FindsAConflictExactlyWhenThereIsOne) {
    std::mt19937 random(11);
    int with = 0, without = 0;
    for (int repeat = 0; repeat < 2000; ++repeat) {
        std::vector<RecordedDispatch> dispatches(2 + random() % 4);
        for (RecordedDispatch& dispatch : dispatches) {
            dispatch.barrier_before = random() % 3 == 0;
            for (std::uint32_t job = 0; job < 1 + random() % 3; ++job) {
                const std::uint64_t begin = random() % 60;
                dispatch.touches.push_back({begin, begin + random() % 12, random() % 4 == 0, job});
            }
        }
        bool expected = false;
        for (std::size_t a = 0; a < dispatches.size(); ++a)
            for (std::size_t b = a; b < dispatches.size(); ++b) {
                bool separated = false;
                for (std::size_t d = a + 1; d <= b; ++d) separated |= dispatches[d].barrier_before;
                for (const AddressTouch& x : dispatches[a].touches)
                    for (const AddressTouch& y : dispatches[b].touches)
                        expected |= !separated && !(a == b && x.job == y.job) && (x.write || y.write) &&
                                    x.begin < y.end && y.begin < x.end && x.begin < x.end && y.begin < y.end;
            }
        EXPECT_EQ(!find_hazards(dispatches).empty(), expected) << "repeat " << repeat;
        (expected ? with : without)++;
    }
    EXPECT_GT(with, 200);
    EXPECT_GT(without, 200);
}

}  // namespace
}  // namespace heron
