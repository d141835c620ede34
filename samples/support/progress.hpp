// SPDX-License-Identifier: MIT
// A progress bar on a terminal; now and then a plain line elsewhere.
#pragma once

#include <fmt/format.h>

#include <chrono>
#include <cmath>
#include <cstdio>
#include <string>

#ifdef _WIN32
#include <io.h>
#else
#include <unistd.h>
#endif

namespace samples {

class Progress {
public:
    // A line that stays.
    void line(const std::string& text) {
        clear();
        std::fputs((text + "\n").c_str(), stdout);
        std::fflush(stdout);
    }

    // On a terminal a bar, drawn over the one before. Elsewhere a line at each tenth of the way, and where
    // those are far apart, every half minute.
    void show(double fraction, const std::string& before, const std::string& after) {
        if (terminal_)
            draw_bar(fraction, before, after);
        else if (const int tenths = static_cast<int>(10 * fraction + 1e-9);
                 tenths > tenths_ || Clock::now() - last_line_ > std::chrono::seconds(30)) {
            tenths_ = tenths;
            last_line_ = Clock::now();
            line(before + "  " + after);
        }
    }

    void clear() {
        if (drawn_) std::fputs("\r\033[K", stdout);
        drawn_ = false;
    }

    ~Progress() { clear(); }

private:
    using Clock = std::chrono::steady_clock;

    void draw_bar(double fraction, const std::string& before, const std::string& after) {
        constexpr int kCells = 16;
        const int full = static_cast<int>(std::lround(fraction * kCells));
        clear();
        // Without wrapping: the next bar could not be drawn over a second line.
        std::fputs(fmt::format("\033[?7l{} [{}{}]  {}\033[?7h", before, std::string(std::size_t(full), '#'),
                               std::string(std::size_t(kCells - full), '.'), after)
                       .c_str(),
                   stdout);
        std::fflush(stdout);
        drawn_ = true;
    }

#ifdef _WIN32
    bool terminal_ = _isatty(_fileno(stdout)) != 0;
#else
    bool terminal_ = isatty(STDOUT_FILENO) != 0;
#endif
    bool drawn_ = false;
    int tenths_ = 0;
    Clock::time_point last_line_ = Clock::now();
};

}  // namespace samples
