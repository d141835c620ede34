// SPDX-License-Identifier: MIT
// The yardstick of memory for CPU drivers: a <- b + s c by all processors, in plain C++, each its own part.
#pragma once

#include <algorithm>
#include <barrier>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <thread>
#include <vector>

#include "bench.hpp"

namespace heron::bench {

// Of arrays of `elements` floats. 12 bytes an element are counted: like a kernel's, without what the
// processor reads before it writes.
inline double triad_gbytes_per_s(std::uint64_t elements, int repeats) {
    const std::uint64_t threads = std::max(1u, std::thread::hardware_concurrency());
    const auto sum = std::make_unique_for_overwrite<float[]>(elements),
               left = std::make_unique_for_overwrite<float[]>(elements),
               right = std::make_unique_for_overwrite<float[]>(elements);
    // Threads that wait, so that no run has their start in it.
    std::barrier<> begin(static_cast<std::ptrdiff_t>(threads + 1)),
        end(static_cast<std::ptrdiff_t>(threads + 1));
    const auto work = [&](std::uint64_t thread) {
        const std::uint64_t first = elements * thread / threads, last = elements * (thread + 1) / threads;
        std::fill(&left[first], &left[last], 1.0f);
        std::fill(&right[first], &right[last], 2.0f);
        for (int repeat = -kWarmUps; repeat < repeats; ++repeat) {
            begin.arrive_and_wait();
            for (std::uint64_t i = first; i < last; ++i) sum[i] = left[i] + 3.0f * right[i];
            end.arrive_and_wait();
        }
    };
    std::vector<std::jthread> workers;
    for (std::uint64_t thread = 0; thread < threads; ++thread) workers.emplace_back(work, thread);
    const Sample ms = time_ms(repeats, [&] {
        begin.arrive_and_wait();
        end.arrive_and_wait();
    });
    return 12.0 * static_cast<double>(elements) / ms.median * 1e-6;
}

}  // namespace heron::bench
