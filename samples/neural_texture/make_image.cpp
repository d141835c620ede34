// SPDX-License-Identifier: MIT
// The default picture: something of everything that is hard to learn.
#include <algorithm>
#include <array>
#include <cmath>
#include <numbers>

#include "image.hpp"

namespace {

constexpr double kTau = 2 * std::numbers::pi;

using Rgb = std::array<double, 3>;

// In [0, 1), for each point of the lattice.
double random_at(int x, int y, std::uint32_t seed) {
    std::uint32_t h =
        static_cast<std::uint32_t>(x) * 0x9e3779b9u ^ static_cast<std::uint32_t>(y) * 0x85ebca6bu;
    h += seed * 0xc2b2ae35u;
    h = (h ^ (h >> 16)) * 0x7feb352du;
    h = (h ^ (h >> 15)) * 0x846ca68bu;
    return (h ^ (h >> 16)) * 0x1p-32;
}

double smooth(double t) { return t * t * (3 - 2 * t); }

double value_noise(double x, double y, std::uint32_t seed) {
    const int column = static_cast<int>(std::floor(x)), row = static_cast<int>(std::floor(y));
    const double s = smooth(x - column), t = smooth(y - row);
    const auto along = [&](int r) {
        return std::lerp(random_at(column, r, seed), random_at(column + 1, r, seed), s);
    };
    return std::lerp(along(row), along(row + 1), t);
}

// Five octaves, in [0, 1).
double fractal(double x, double y, std::uint32_t seed) {
    double sum = 0;
    for (std::uint32_t octave = 0; octave < 5; ++octave) {
        const double scale = 1u << octave;
        sum += value_noise(x * scale, y * scale, seed + octave) / (2 * scale);
    }
    return sum;
}

Rgb palette(double t) {
    return {0.55 + 0.36 * std::cos(kTau * t), 0.48 + 0.30 * std::cos(kTau * (t + 0.12)),
            0.45 + 0.34 * std::cos(kTau * (t + 0.3))};
}

Rgb scaled(const Rgb& colour, double factor) {
    return {colour[0] * factor, colour[1] * factor, colour[2] * factor};
}

// Colours that flow, between dark contour lines.
Rgb marble(double u, double v) {
    const double s = fractal(3 * u, 3 * v, 11), t = fractal(3 * u + 7, 3 * v + 3, 23);
    const double height = fractal(4 * u + 2.2 * s, 4 * v + 2.2 * t, 37);
    const double line = std::abs(12 * height - std::round(12 * height));
    return scaled(palette(1.7 * height + 0.3 * s), line < 0.06 ? 0.25 : 1.0);
}

// Tiles around random points (Worley 1996), dark where two are nearly as near.
Rgb mosaic(double u, double v) {
    const double x = 13 * u, y = 13 * v;
    double nearest = 1e9, second = 1e9, tile = 0;
    for (int row = -1; row <= 1; ++row)
        for (int column = -1; column <= 1; ++column) {
            const int cx = static_cast<int>(std::floor(x)) + column;
            const int cy = static_cast<int>(std::floor(y)) + row;
            const double distance =
                std::hypot(cx + random_at(cx, cy, 51) - x, cy + random_at(cx, cy, 52) - y);
            if (distance < nearest) {
                second = nearest;
                nearest = distance;
                tile = random_at(cx, cy, 53);
            } else {
                second = std::min(second, distance);
            }
        }
    return second - nearest < 0.09 ? Rgb{0.08, 0.07, 0.1} : scaled(palette(tile), 1.1 - 0.5 * nearest);
}

Rgb colour_at(double u, double v) {
    constexpr double kRadius = 0.23;
    const double r = std::hypot(u - 0.7, v - 0.29) / kRadius;
    if (r < 1) {
        const double rings = 0.5 + 0.5 * std::cos(kTau * 8.5 * r * r);
        return {0.1 + 0.85 * rings, 0.12 + 0.75 * rings, 0.25 + 0.5 * rings};
    }
    if (r < 1.06) return {0.95, 0.93, 0.88};
    const double border = 0.62 + 0.12 * std::sin(kTau * 1.1 * u + 0.4);
    if (std::abs(v - border) < 0.008) return {0.95, 0.93, 0.88};
    return v > border ? mosaic(u, v) : marble(u, v);
}

}  // namespace

Image make_image(std::uint32_t size) {
    Image image{size, size, {}};
    for (std::uint32_t y = 0; y < size; ++y)
        for (std::uint32_t x = 0; x < size; ++x) {
            // Four points a pixel, against jagged edges.
            Rgb sum{};
            for (const double dy : {0.25, 0.75})
                for (const double dx : {0.25, 0.75}) {
                    const Rgb colour = colour_at((x + dx) / size, (y + dy) / size);
                    for (std::size_t c = 0; c < sum.size(); ++c) sum[c] += colour[c] / 4;
                }
            std::uint32_t word = 0xff000000u;
            for (std::size_t c = 0; c < sum.size(); ++c)
                word |= static_cast<std::uint32_t>(std::lround(255 * std::clamp(sum[c], 0.0, 1.0)))
                        << (8 * c);
            image.pixels.push_back(word);
        }
    return image;
}
