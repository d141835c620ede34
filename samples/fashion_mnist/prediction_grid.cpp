// SPDX-License-Identifier: MIT
// Test images with what the network takes them for, as one PNG.
#include <fmt/format.h>

#include <algorithm>
#include <string>

#include "pictures.hpp"
#include "support/canvas.hpp"

using namespace samples;

namespace {

// The font has ASCII only, and a name must fit below its picture.
std::string printable(std::string text, std::size_t length) {
    for (char& c : text)
        if (c < ' ' || c > '~') c = '?';
    if (text.size() > length) text = text.substr(0, length - 1) + ".";
    return text;
}

constexpr Colour kInk{45, 50, 58};
constexpr Colour kRight{38, 140, 82};
constexpr Colour kWrong{205, 50, 65};

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
    canvas.save(path);
}
