// SPDX-License-Identifier: MIT
#include "graph/arena.hpp"

#include <gtest/gtest.h>

#include <random>

namespace heron {
namespace {

constexpr std::uint64_t kHuge = std::uint64_t{1} << 40;

bool overlap(const TimedRequest& a, const TimedRequest& b) {
    return a.first <= b.last && b.first <= a.last && a.offset < b.offset + b.bytes &&
           b.offset < a.offset + a.bytes;
}

TEST(Arena, PlacesOneAfterTheOtherAligned) {
    Arena arena(kHuge);
    EXPECT_EQ(arena.place(4), 0u);
    EXPECT_EQ(arena.place(4), 64u);
    EXPECT_EQ(arena.place(5000), 256u);
    EXPECT_EQ(arena.bytes(), 5256u);
}

TEST(Arena, NeverCrossesABlock) {
    Arena arena(8192);
    EXPECT_EQ(arena.place(8000), 0u);
    EXPECT_EQ(arena.place(500), 8192u);
    EXPECT_EQ(arena.place(8192), 16384u);
}

TEST(Arena, LifetimesThatDoNotMeetShareBytes) {
    std::vector<TimedRequest> requests{{1000, 0, 1}, {1000, 2, 3}, {1000, 1, 2}};
    EXPECT_EQ(place_by_lifetime(requests, kHuge), 2048u);
    EXPECT_EQ(requests[0].offset, requests[1].offset);
    EXPECT_NE(requests[0].offset, requests[2].offset);
}

TEST(Arena, LifetimesThatMeetInOneLevelDoNotShare) {
    std::vector<TimedRequest> requests{{256, 0, 1}, {256, 1, 2}};
    place_by_lifetime(requests, kHuge);
    EXPECT_NE(requests[0].offset, requests[1].offset);
}

TEST(Arena, RandomRequestsNeverOverlapAndStayInBlocks) {
    std::mt19937 random(7);
    for (int repeat = 0; repeat < 50; ++repeat) {
        std::vector<TimedRequest> requests(200);
        std::uint64_t sum = 0;
        for (TimedRequest& request : requests) {
            request.bytes = random() % 60000;
            request.first = random() % 30;
            request.last = request.first + random() % 6;
            sum += (request.bytes + 255) / 256 * 256;
        }
        const std::uint64_t block = repeat % 2 == 0 ? kHuge : 65536;
        const std::uint64_t bytes = place_by_lifetime(requests, block);
        if (block == kHuge) EXPECT_LT(bytes, sum / 2) << "temporaries of 30 levels share little";
        for (std::size_t i = 0; i < requests.size(); ++i) {
            EXPECT_LE(requests[i].offset + requests[i].bytes, bytes);
            if (requests[i].bytes > 0)
                EXPECT_EQ(requests[i].offset / block, (requests[i].offset + requests[i].bytes - 1) / block);
            for (std::size_t k = 0; k < i; ++k)
                EXPECT_FALSE(overlap(requests[i], requests[k])) << i << " and " << k;
        }
    }
}

}  // namespace
}  // namespace heron
