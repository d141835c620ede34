// SPDX-License-Identifier: MIT
// Pictures with rectangles and short texts, as PNG.
#pragma once

#include <array>
#include <cstdint>
#include <filesystem>
#include <string>
#include <vector>

namespace samples {

using Colour = std::array<std::uint8_t, 3>;  // red, green, blue

class Canvas {
public:
    Canvas(int width, int height)  // white
        : width_(width), height_(height), pixels_(std::size_t(width) * height * 3, 255) {}

    // What lies outside of the canvas is left out.
    void fill(int x, int y, int width, int height, Colour colour);
    // ASCII only. Letters are 7 * scale pixels high.
    void text(int x, int y, const std::string& text, Colour colour, int scale);
    void centred(int x, int y, const std::string& line, Colour colour, int scale);
    static int text_width(const std::string& text, int scale);

    // Throws heron::Error (io) naming the file that cannot be written.
    void save(const std::filesystem::path& path) const;

private:
    int width_;
    int height_;
    std::vector<std::uint8_t> pixels_;
};

}  // namespace samples
