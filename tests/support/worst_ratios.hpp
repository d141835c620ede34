// SPDX-License-Identifier: MIT
// The largest errors of a test, as shares of what it allows, by quantity and size class: its properties in
// the report of GoogleTest, from which tests/accuracy makes its table.
#pragma once

#include <gtest/gtest.h>

#include <cstdint>
#include <map>
#include <string>

namespace heron::test {

class WorstRatios {
public:
    // `largest`: the largest extent of the operands.
    void add(const std::string& quantity, std::uint64_t largest, double ratio) {
        std::string key = quantity + "_above_1024";
        for (const std::uint64_t limit : {1024, 256, 64, 16})
            if (largest <= limit) key = quantity + "_up_to_" + std::to_string(limit);
        const auto [worst, is_new] = worst_.emplace(key, ratio);
        if (!is_new && !(ratio > worst->second)) return;
        worst->second = ratio;
        ::testing::Test::RecordProperty(key, std::to_string(ratio));
    }

private:
    std::map<std::string, double> worst_;
};

}  // namespace heron::test
