// SPDX-License-Identifier: MIT
// A progress bar on a terminal; plain lines elsewhere.
#pragma once

#include <fmt/format.h>

#include <cstdio>
#include <string>

#ifdef _WIN32
#include <io.h>
#else
#include <unistd.h>
#endif

class Progress {
public:
    // A line that stays.
    void line(const std::string& text) {
        clear();
        std::fputs((text + "\n").c_str(), stdout);
        std::fflush(stdout);
    }

    // The bar, drawn over the one before; nothing where the output is no terminal.
    void bar(double fraction, const std::string& before, const std::string& after) {
        if (!terminal_) return;
        constexpr int kCells = 24;
        const int full = static_cast<int>(fraction * kCells + 0.5);
        clear();
        std::fputs(fmt::format("{} [{}{}] {:3.0f} %  {}", before, std::string(std::size_t(full), '#'),
                               std::string(std::size_t(kCells - full), '.'), 100 * fraction, after)
                       .c_str(),
                   stdout);
        std::fflush(stdout);
        drawn_ = true;
    }

    void clear() {
        if (drawn_) std::fputs("\r\033[K", stdout);
        drawn_ = false;
    }

    ~Progress() { clear(); }

private:
#ifdef _WIN32
    bool terminal_ = _isatty(_fileno(stdout)) != 0;
#else
    bool terminal_ = isatty(STDOUT_FILENO) != 0;
#endif
    bool drawn_ = false;
};
