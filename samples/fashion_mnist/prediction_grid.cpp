// SPDX-License-Identifier: MIT
// Test images with what the network takes them for, as one PNG.
#define STB_IMAGE_WRITE_IMPLEMENTATION
#define STB_IMAGE_WRITE_STATIC
#include <fmt/format.h>
#include <stb_easy_font.h>
#include <stb_image_write.h>

#include <algorithm>
#include <array>
#include <string>
#include <vector>

#include "pictures.hpp"

using namespace samples;

namespace {

// The font has ASCII only, and a name must fit below its picture.
std::string printable(std::string text, std::size_t length) {
    for (char& c : text)
        if (c < ' ' || c > '~') c = '?';
    if (text.size() > length) text = text.substr(0, length - 1) + ".";
    return text;
}

using Colour = std::array<std::uint8_t, 3>;
constexpr Colour kInk{45, 50, 58};
constexpr Colour kRight{38, 140, 82};
constexpr Colour kWrong{205, 50, 65};

class Canvas {
public:
    Canvas(int width, int height)
        : width_(width), height_(height), pixels_(std::size_t(width) * height * 3, 255) {}

    void fill(int x, int y, int width, int height, Colour colour) {
        for (int row = std::max(0, y); row < std::min(height_, y + height); ++row)
            for (int col = std::max(0, x); col < std::min(width_, x + width); ++col)
                std::copy(colour.begin(), colour.end(), &pixels_[(std::size_t(row) * width_ + col) * 3]);
    }

    // Letters are 7 * scale pixels high.
    void text(int x, int y, const std::string& text, Colour colour, int scale) {
        struct Vertex {
            float x, y, z;
            std::uint8_t colour[4];
        };
        std::vector<Vertex> vertices(text.size() * 80);
        std::string copy = text;  // the font's interface is not const
        const int quads = stb_easy_font_print(0, 0, copy.data(), nullptr, vertices.data(),
                                              static_cast<int>(vertices.size() * sizeof(Vertex)));
        for (int q = 0; q < quads; ++q) {  // every quad is an upright rectangle
            const Vertex& low = vertices[std::size_t(q) * 4];
            const Vertex& high = vertices[std::size_t(q) * 4 + 2];
            const int left = static_cast<int>(low.x);
            const int top = static_cast<int>(low.y);
            fill(x + scale * left, y + scale * top, scale * (static_cast<int>(high.x) - left),
                 scale * (static_cast<int>(high.y) - top), colour);
        }
    }
    static int text_width(const std::string& text, int scale) {
        std::string copy = text;
        return scale * stb_easy_font_width(copy.data());
    }
    void centred(int x, int y, const std::string& line, Colour colour, int scale) {
        text(x - text_width(line, scale) / 2, y, line, colour, scale);
    }

    bool save(const std::filesystem::path& path) const {
        return stbi_write_png(path.string().c_str(), width_, height_, 3, pixels_.data(), width_ * 3) != 0;
    }

private:
    int width_;
    int height_;
    std::vector<std::uint8_t> pixels_;
};

}  // namespace

void write_prediction_grid(const std::filesystem::path& path, const DataSet& data, const RunResult& run) {
    constexpr int kColumns = 10;
    constexpr int kBorder = 4;
    constexpr int kMargin = 24;
    constexpr int kHead = 64;
    const LabelledImages& images = data.test;
    const int shown = static_cast<int>(std::min<std::uint32_t>(images.count, 60));
    const int rows = static_cast<int>(images.rows);
    const int cols = static_cast<int>(images.cols);
    const int zoom = std::max(1, 96 / std::max(rows, cols));
    const int cell_width = std::max(cols * zoom + 2 * kBorder, 108) + 14;
    const int cell_height = rows * zoom + 2 * kBorder + 50;
    Canvas canvas(2 * kMargin + kColumns * cell_width,
                  kHead + kMargin + (shown + kColumns - 1) / kColumns * cell_height);

    int right = 0;
    for (int i = 0; i < shown; ++i) {
        const std::uint32_t label = images.labels[std::size_t(i)];
        const std::uint32_t prediction = run.predictions[std::size_t(i)];
        right += label == prediction;
        const Colour colour = label == prediction ? kRight : kWrong;
        const int centre = kMargin + i % kColumns * cell_width + cell_width / 2;
        const int top = kHead + i / kColumns * cell_height;
        const int left = centre - cols * zoom / 2;
        canvas.fill(left - kBorder, top, cols * zoom + 2 * kBorder, rows * zoom + 2 * kBorder, colour);
        for (int row = 0; row < rows; ++row)
            for (int col = 0; col < cols; ++col) {
                const std::uint8_t pixel = images.pixels[(std::size_t(i) * rows + row) * cols + col];
                canvas.fill(left + col * zoom, top + kBorder + row * zoom, zoom, zoom, {pixel, pixel, pixel});
            }
        const int below = top + rows * zoom + 2 * kBorder + 4;
        const auto name = [&](std::uint32_t c) { return printable(data.class_names[c], 10); };
        canvas.centred(centre, below, name(prediction), colour, 2);
        if (label != prediction) canvas.centred(centre, below + 20, "is " + name(label), kInk, 2);
    }
    canvas.text(kMargin + 7, 22,
                fmt::format("{}: {:.2f} % of {} test images right; the first {}: {} right", run.name,
                            100 * run.accuracy(), images.count, shown, right),
                kInk, 2);
    if (!canvas.save(path)) throw heron::Error(heron::ErrorCode::io, path.string() + ": cannot be written");
}
