// SPDX-License-Identifier: MIT
#include "canvas.hpp"

#define STB_IMAGE_WRITE_IMPLEMENTATION
#define STB_IMAGE_WRITE_STATIC
#include <stb_easy_font.h>
#include <stb_image_write.h>

#include <algorithm>

#include "heron/error.hpp"

namespace samples {

void Canvas::fill(int x, int y, int width, int height, Colour colour) {
    for (int row = std::max(0, y); row < std::min(height_, y + height); ++row)
        for (int col = std::max(0, x); col < std::min(width_, x + width); ++col)
            std::copy(colour.begin(), colour.end(), &pixels_[(std::size_t(row) * width_ + col) * 3]);
}

void Canvas::text(int x, int y, const std::string& text, Colour colour, int scale) {
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

int Canvas::text_width(const std::string& text, int scale) {
    std::string copy = text;
    return scale * stb_easy_font_width(copy.data());
}

void Canvas::centred(int x, int y, const std::string& line, Colour colour, int scale) {
    text(x - text_width(line, scale) / 2, y, line, colour, scale);
}

void Canvas::save(const std::filesystem::path& path) const {
    if (stbi_write_png(path.string().c_str(), width_, height_, 3, pixels_.data(), width_ * 3) == 0)
        throw heron::Error(heron::ErrorCode::io, path.string() + ": cannot be written");
}

}  // namespace samples
