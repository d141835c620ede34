// SPDX-License-Identifier: MIT
// Programs as their users run them, and a small data set for those that want images.
#pragma once

#include <gtest/gtest.h>
#include <sys/wait.h>

#include <array>
#include <cstdint>
#include <cstdio>
#include <filesystem>
#include <fstream>
#include <random>
#include <sstream>
#include <string>
#include <vector>

namespace heron::test {

struct Outcome {
    int code = -1;
    std::string text;  // standard output and error
};

inline Outcome run(const std::string& command) {
    // Drivers leak, and are unloaded before the leak checker of a sanitized program could tell that it was
    // them.
    const std::string environment = "ASAN_OPTIONS=\"$ASAN_OPTIONS:detect_leaks=0\" ";
    Outcome outcome;
    FILE* pipe = popen((environment + command + " 2>&1").c_str(), "r");
    if (!pipe) return outcome;
    std::array<char, 4096> piece{};
    while (const std::size_t got = fread(piece.data(), 1, piece.size(), pipe))
        outcome.text.append(piece.data(), got);
    const int status = pclose(pipe);
    outcome.code = WIFEXITED(status) ? WEXITSTATUS(status) : -1;
    return outcome;
}

// All lines that contain `part`, in order.
inline std::vector<std::string> lines_with(const std::string& text, const std::string& part) {
    std::vector<std::string> lines;
    std::istringstream stream(text);
    for (std::string line; std::getline(stream, line);)
        if (line.find(part) != std::string::npos) lines.push_back(line);
    return lines;
}

inline std::string text_of(const std::filesystem::path& path) {
    std::ostringstream text;
    text << std::ifstream(path, std::ios::binary).rdbuf();
    return text.str();
}

using Bytes = std::vector<std::uint8_t>;

inline Bytes idx(const std::vector<std::uint32_t>& extents, const Bytes& data) {
    Bytes file = {0, 0, 8, static_cast<std::uint8_t>(extents.size())};
    for (const std::uint32_t extent : extents)
        for (const int shift : {24, 16, 8, 0}) file.push_back(static_cast<std::uint8_t>(extent >> shift));
    file.insert(file.end(), data.begin(), data.end());
    return file;
}

inline void write(const std::filesystem::path& path, const Bytes& bytes) {
    std::ofstream file(path, std::ios::binary);
    file.write(reinterpret_cast<const char*>(bytes.data()), static_cast<std::streamsize>(bytes.size()));
    ASSERT_TRUE(file.good()) << path;
}

// Three classes of 9 x 7 images (an odd number of pixels): a bright bar at the left, in the middle, at the
// right, in noise.
struct Images {
    Bytes pixels;
    Bytes labels;

    Images(std::uint32_t count, std::uint32_t seed) {
        std::mt19937 random(seed);
        for (std::uint32_t i = 0; i < count; ++i) {
            const std::uint32_t label = random() % 3;
            labels.push_back(static_cast<std::uint8_t>(label));
            for (std::uint32_t row = 0; row < 9; ++row)
                for (std::uint32_t col = 0; col < 7; ++col)
                    pixels.push_back(
                        static_cast<std::uint8_t>(random() % 120 + (col / 3 == label ? 100 : 0)));
        }
    }
};

inline constexpr std::uint32_t kTrain = 610;
inline constexpr std::uint32_t kTest = 131;

inline void write_bars(const std::filesystem::path& folder) {
    std::filesystem::create_directories(folder);
    const Images train(kTrain, 1), test(kTest, 2);
    write(folder / "train-images-idx3-ubyte", idx({kTrain, 9, 7}, train.pixels));
    write(folder / "train-labels-idx1-ubyte", idx({kTrain}, train.labels));
    write(folder / "t10k-images-idx3-ubyte", idx({kTest, 9, 7}, test.pixels));
    write(folder / "t10k-labels-idx1-ubyte", idx({kTest}, test.labels));
}

}  // namespace heron::test
