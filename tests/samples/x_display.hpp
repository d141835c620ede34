// SPDX-License-Identifier: MIT
// An X server without a screen, and what a screen would show: for programs with windows.
#pragma once

#include <gtest/gtest.h>
#include <signal.h>
#include <spawn.h>
#include <sys/wait.h>
#include <unistd.h>

#include <array>
#include <chrono>
#include <cstdint>
#include <cstring>
#include <filesystem>
#include <string>
#include <thread>
#include <vector>

#include "sample_program.hpp"

namespace heron::test {

// A program in the background, ended with this object.
class Process {
public:
    // `command`: of the shell, one program.
    explicit Process(const std::string& command) {
        std::string shell = "/bin/sh", option = "-c", text = "exec " + command;
        const std::array<char*, 4> arguments{shell.data(), option.data(), text.data(), nullptr};
        if (posix_spawn(&id_, shell.c_str(), nullptr, nullptr, arguments.data(), environ) != 0) id_ = 0;
    }
    Process(const Process&) = delete;
    Process& operator=(const Process&) = delete;
    ~Process() {
        if (!running()) return;
        kill(id_, SIGTERM);
        waitpid(id_, nullptr, 0);
    }

    bool running() {
        if (id_ > 0 && waitpid(id_, nullptr, WNOHANG) != 0) id_ = 0;
        return id_ > 0;
    }

private:
    pid_t id_ = 0;
};

// Asks until the answer is yes, for five minutes at most: what a CPU draws beside other work is slow.
template <class Question>
bool wait_until(const Question& question) {
    constexpr int kTries = 3000;
    for (int i = 0; i < kTries; ++i) {
        if (question()) return true;
        std::this_thread::sleep_for(std::chrono::milliseconds(100));
    }
    return question();
}

struct Screenshot {
    std::uint32_t width = 0;
    std::uint32_t height = 0;
    std::vector<std::uint32_t> pixels;  // row by row; 8 bits a colour, blue lowest
};

// Xvfb, which keeps what its screen would show in a file (-fbdir).
class XDisplay {
public:
    static bool installed() { return run("command -v Xvfb").code == 0; }

    explicit XDisplay(const std::filesystem::path& folder)
        : number_(folder / "display"),
          screen_(folder / "Xvfb_screen0"),
          server_("Xvfb -displayfd 3 -fbdir " + folder.string() + " -screen 0 640x640x24 3>" +
                  number_.string() + " 2>/dev/null") {
        // It writes its number when it is ready.
        EXPECT_TRUE(wait_until([&] { return text_of(number_).find('\n') != std::string::npos; }));
    }

    // What goes before a command, so that its windows open on this display and no other.
    std::string environment() const {
        const std::string number = text_of(number_);
        return "env -u WAYLAND_DISPLAY -u XDG_SESSION_TYPE DISPLAY=:" + number.substr(0, number.find('\n')) +
               " ";
    }

    // What the root window shows: an XWD dump. Its header is 32-bit words, the most significant byte first;
    // a name and the colour map follow.
    Screenshot screenshot() const {
        constexpr std::size_t kWords = 25, kColourBytes = 12;
        const std::string file = text_of(screen_);
        if (file.size() < 4 * kWords) return {};
        const auto word = [&](std::size_t index) {
            std::size_t value = 0;
            for (std::size_t i = 0; i < 4; ++i)
                value = value << 8 | static_cast<std::uint8_t>(file[4 * index + i]);
            return value;
        };
        const std::size_t header_bytes = word(0), depth = word(3), cols = word(4), rows = word(5),
                          bits_per_pixel = word(11), row_bytes = word(12), colours = word(19);
        const std::size_t first = header_bytes + colours * kColourBytes;
        if (depth != 24 || bits_per_pixel != 32 || file.size() < first + row_bytes * rows) return {};
        Screenshot shot{static_cast<std::uint32_t>(cols), static_cast<std::uint32_t>(rows), {}};
        for (std::size_t row = 0; row < rows; ++row)
            for (std::size_t col = 0; col < cols; ++col) {
                std::uint32_t pixel = 0;
                std::memcpy(&pixel, &file[first + row * row_bytes + 4 * col], sizeof(pixel));
                shot.pixels.push_back(pixel & 0xffffff);
            }
        return shot;
    }

private:
    std::filesystem::path number_, screen_;
    Process server_;
};

}  // namespace heron::test
