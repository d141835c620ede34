// SPDX-License-Identifier: MIT
// Reads, compares and writes pictures.
#include "image.hpp"

#define STB_IMAGE_IMPLEMENTATION
#define STB_IMAGE_STATIC
#define STBI_ONLY_JPEG
#define STBI_ONLY_PNG
#include <stb_image.h>

#include <algorithm>
#include <cmath>
#include <cstdlib>
#include <memory>

#include "support/bad_input.hpp"
#include "support/canvas.hpp"
#include "texture.hpp"

using samples::Canvas;
using samples::Colour;

namespace {

constexpr Colour kInk{45, 50, 58};

int channel(std::uint32_t pixel, int c) { return static_cast<int>(pixel >> (8 * c) & 0xff); }

Colour colour_of(std::uint32_t pixel) {
    return {static_cast<std::uint8_t>(channel(pixel, 0)), static_cast<std::uint8_t>(channel(pixel, 1)),
            static_cast<std::uint8_t>(channel(pixel, 2))};
}

// Pixels as squares of `zoom`.
void draw(Canvas& canvas, int left, int top, int zoom, const Image& image,
          std::span<const std::uint32_t> pixels) {
    const int width = static_cast<int>(image.width), height = static_cast<int>(image.height);
    for (int y = 0; y < height; ++y)
        for (int x = 0; x < width; ++x)
            canvas.fill(left + x * zoom, top + y * zoom, zoom, zoom,
                        colour_of(pixels[std::size_t(y) * image.width + std::size_t(x)]));
}

}  // namespace

Image read_image(const std::filesystem::path& path) {
    const std::string name = path.string();
    int width = 0, height = 0, channels = 0;
    // The size first: nothing is decoded that would be refused.
    if (stbi_info(name.c_str(), &width, &height, &channels) == 0)
        throw samples::BadInput(
            "--image " + name + ": " +
            (std::filesystem::exists(path) ? "is no PNG or JPEG" : "there is no such file"));
    const int most = static_cast<int>(samples::kMaxExtent);
    if (width > most || height > most)
        throw samples::BadInput("--image " + name + ": has " + std::to_string(width) + " x " +
                                std::to_string(height) + " pixels, at most " + std::to_string(most) +
                                " a side are possible");
    const std::unique_ptr<stbi_uc, void (*)(void*)> bytes(
        stbi_load(name.c_str(), &width, &height, &channels, 4), stbi_image_free);
    if (!bytes) throw samples::BadInput("--image " + name + ": cannot be read: " + stbi_failure_reason());
    Image image{static_cast<std::uint32_t>(width), static_cast<std::uint32_t>(height), {}};
    const std::size_t count = std::size_t{image.width} * image.height;
    for (std::size_t i = 0; i < count; ++i) {
        const stbi_uc* pixel = bytes.get() + 4 * i;
        image.pixels.push_back(0xff000000u | std::uint32_t{pixel[2]} << 16 | std::uint32_t{pixel[1]} << 8 |
                               pixel[0]);
    }
    return image;
}

double psnr(const Image& truth, std::span<const std::uint32_t> picture) {
    std::uint64_t squares = 0;
    for (std::size_t i = 0; i < truth.pixels.size(); ++i)
        for (int c = 0; c < 3; ++c) {
            const int difference = channel(truth.pixels[i], c) - channel(picture[i], c);
            squares += static_cast<std::uint64_t>(difference * difference);
        }
    const double mean = static_cast<double>(squares) / (3.0 * static_cast<double>(truth.pixels.size()));
    return 10 * std::log10(255.0 * 255.0 / mean);
}

void write_image(const std::filesystem::path& path, const Image& image) {
    Canvas canvas(static_cast<int>(image.width), static_cast<int>(image.height));
    draw(canvas, 0, 0, 1, image, image.pixels);
    canvas.save(path);
}

void write_panels(const std::filesystem::path& path, const Image& truth,
                  std::span<const std::uint32_t> picture, const std::string& caption) {
    constexpr int kGap = 8;
    constexpr int kText = 22;
    constexpr int kGain = 4;
    const int zoom = std::max(1, 256 / static_cast<int>(std::max(truth.width, truth.height)));
    const int width = static_cast<int>(truth.width) * zoom, height = static_cast<int>(truth.height) * zoom;
    std::vector<std::uint32_t> difference;
    for (std::size_t i = 0; i < truth.pixels.size(); ++i) {
        std::uint32_t word = 0;
        for (int c = 0; c < 3; ++c) {
            const int apart = kGain * std::abs(channel(truth.pixels[i], c) - channel(picture[i], c));
            word |= static_cast<std::uint32_t>(std::min(apart, 255)) << (8 * c);
        }
        difference.push_back(word);
    }
    Canvas canvas(3 * width + 4 * kGap, height + 2 * kGap + 2 * kText);
    const auto panel = [&](int index, std::span<const std::uint32_t> pixels, const std::string& name) {
        const int left = kGap + index * (width + kGap);
        draw(canvas, left, kGap, zoom, truth, pixels);
        canvas.centred(left + width / 2, height + 2 * kGap, name, kInk, 1);
    };
    panel(0, truth.pixels, "truth");
    panel(1, picture, "network");
    panel(2, difference, "difference x " + std::to_string(kGain));
    canvas.text(kGap, height + 2 * kGap + kText, caption, kInk, 1);
    canvas.save(path);
}
