// SPDX-License-Identifier: MIT
// What calls of Heron cost the thread that makes them: time, and allocations.
#pragma once

#include <chrono>
#include <cstdint>

#include "support/host_watch.hpp"

struct HeronCost {
    double us = 0;                  // since it was last taken
    std::uint64_t allocations = 0;  // by operator new, in Heron itself
};

// Adds what happens while it lives to a HeronCost.
class HeronCall {
public:
    explicit HeronCall(HeronCost& cost) : cost_(cost) {}
    HeronCall(const HeronCall&) = delete;
    HeronCall& operator=(const HeronCall&) = delete;
    ~HeronCall() {
        cost_.us += since(begin_) - outside_us_;
        cost_.allocations += watch_.counts().allocations;
    }

    // Runs the renderer's own code that Heron calls back, and does not count it.
    template <class Code>
    auto outside(const Code& code) {
        const samples::NotWatched not_watched;
        const auto begin = Clock::now();
        auto result = code();
        outside_us_ += since(begin);
        return result;
    }

private:
    using Clock = std::chrono::steady_clock;
    static double since(Clock::time_point begin) {
        return std::chrono::duration<double, std::micro>(Clock::now() - begin).count();
    }

    HeronCost& cost_;
    samples::HostWatch watch_;
    double outside_us_ = 0;
    Clock::time_point begin_ = Clock::now();
};
