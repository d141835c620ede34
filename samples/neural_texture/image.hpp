// SPDX-License-Identifier: MIT
// The picture that is learned, and pictures of how far that has got.
#pragma once

#include <cstdint>
#include <filesystem>
#include <span>
#include <string>
#include <vector>

struct Image {
    std::uint32_t width = 0;
    std::uint32_t height = 0;
    std::vector<std::uint32_t> pixels;  // row by row; 8 bits a colour, red lowest
};

// A PNG or JPEG file. Throws samples::BadInput naming the file: not there, no such picture, above 16384
// pixels.
Image read_image(const std::filesystem::path& path);
// The default, size x size: marbled colours with fine lines, a mosaic with sharp edges, rings that become as
// narrow as three pixels of 256.
Image make_image(std::uint32_t size);

// Peak signal-to-noise ratio of 8-bit colours, in decibels: 10 log10(255^2 / mean squared error). Infinite
// for equal pictures.
double psnr(const Image& truth, std::span<const std::uint32_t> picture);

// Both throw heron::Error (io) naming the file that cannot be written.
void write_image(const std::filesystem::path& path, const Image& image);
// Side by side: truth, picture, and four times the absolute difference, with a line of text below.
void write_panels(const std::filesystem::path& path, const Image& truth,
                  std::span<const std::uint32_t> picture, const std::string& caption);
