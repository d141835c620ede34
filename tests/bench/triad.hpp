// SPDX-License-Identifier: MIT
// The yardstick of memory for CPU drivers: a <- b + s c by all processors, in plain C++, each its own part.
#pragma once

#include <algorithm>
#include <atomic>
#include <barrier>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <thread>
#include <vector>

namespace heron::bench {

// Of arrays of `elements` floats. 12 bytes an element are counted: like a kernel's, without what the
// processor reads before it writes.
class Triad {
public:
    explicit Triad(std::uint64_t elements)
        : elements_(elements),
          threads_(std::max(1u, std::thread::hardware_concurrency())),
          begin_(static_cast<std::ptrdiff_t>(threads_ + 1)),
          end_(static_cast<std::ptrdiff_t>(threads_ + 1)) {
        for (std::uint64_t thread = 0; thread < threads_; ++thread)
            workers_.emplace_back([this, thread] { work(thread); });
    }
    ~Triad() {
        stop_ = true;
        begin_.arrive_and_wait();
    }
    Triad(const Triad&) = delete;
    Triad& operator=(const Triad&) = delete;

    void run() {
        begin_.arrive_and_wait();
        end_.arrive_and_wait();
    }
    double bytes() const { return 12.0 * static_cast<double>(elements_); }

private:
    void work(std::uint64_t thread) {
        const std::uint64_t first = elements_ * thread / threads_, last = elements_ * (thread + 1) / threads_;
        std::fill(&left_[first], &left_[last], 1.0f);
        std::fill(&right_[first], &right_[last], 2.0f);
        while (true) {
            begin_.arrive_and_wait();
            if (stop_) return;
            for (std::uint64_t i = first; i < last; ++i) sum_[i] = left_[i] + 3.0f * right_[i];
            end_.arrive_and_wait();
        }
    }

    std::uint64_t elements_, threads_;
    std::unique_ptr<float[]> sum_ = std::make_unique_for_overwrite<float[]>(elements_),
                             left_ = std::make_unique_for_overwrite<float[]>(elements_),
                             right_ = std::make_unique_for_overwrite<float[]>(elements_);
    // Threads that wait, so that no run has their start in it.
    std::barrier<> begin_, end_;
    std::atomic<bool> stop_ = false;
    std::vector<std::jthread> workers_;
};

}  // namespace heron::bench
