// SPDX-License-Identifier: MIT
// The parameters of a neural texture.
#include "texture.hpp"

#include <algorithm>
#include <bit>
#include <cmath>
#include <span>

#include "shaders/texture.h"
#include "support/random.hpp"

namespace samples {

namespace gpu = heron::gpu;
using heron::DType;

std::uint32_t TextureShape::inputs() const { return levels * gpu::FEATURES; }

std::vector<GridLevel> grid_levels(const TextureShape& shape) {
    std::vector<GridLevel> levels;
    const double longer = std::max(shape.width, shape.height);
    const double growth = shape.levels < 2 ? 1.0
                                           : std::pow(double{1} * shape.finest / shape.coarsest,
                                                      1.0 / (double{1} * shape.levels - 1));
    std::uint64_t first = 0;
    for (std::uint32_t l = 0; l < shape.levels; ++l) {
        const double cells = shape.coarsest * std::pow(growth, l);
        const auto along = [&](std::uint32_t extent) {
            return std::max(1u, static_cast<std::uint32_t>(std::lround(cells * extent / longer)));
        };
        GridLevel level{.cols = along(shape.width), .rows = along(shape.height), .first = first};
        first += level.vertices() * gpu::FEATURES;
        levels.push_back(level);
    }
    return levels;
}

Texture::Texture(const heron::Device& device, const TextureShape& texture_shape)
    : shape(texture_shape),
      levels(grid_levels(shape)),
      network(device, shape.inputs(), shape.hidden, gpu::COLOURS) {
    const std::uint64_t bytes = 4 * (levels.back().first + levels.back().vertices() * gpu::FEATURES);
    grid = device.create_buffer(bytes, heron::MemoryKind::device, "grid");
    grid_gradient = device.create_buffer(bytes, heron::MemoryKind::device, "grid.gradient");
}

void Texture::initialize(std::uint32_t seed) {
    network.initialize(seed);
    UniformNumbers random(~std::uint64_t{seed});
    std::vector<float> features(grid_count());
    for (float& feature : features) feature = static_cast<float>(random.within(1e-4));
    grid.write(std::as_bytes(std::span(features)));
}

heron::TensorView Texture::level_view(const heron::Buffer& buffer, std::size_t level) const {
    return buffer.view(DType::f32, {levels[level].vertices(), gpu::FEATURES}, 4 * levels[level].first);
}

std::vector<heron::Parameter> Texture::grid_parameters() const {
    std::vector<heron::Parameter> result;
    for (std::size_t l = 0; l < levels.size(); ++l)
        result.push_back({.name = "grid." + std::to_string(l + 1),
                          .weight = level_view(grid, l),
                          .gradient = level_view(grid_gradient, l),
                          .role = heron::Role::embedding});
    return result;
}

std::uint64_t Texture::hash() const {
    std::vector<float> features(grid_count());
    grid.read(std::as_writable_bytes(std::span(features)));
    std::uint64_t value = network.hash();
    for (const float feature : features)
        value = (value ^ std::bit_cast<std::uint32_t>(feature)) * 0x100000001b3ull;
    return value;
}

heron::Buffer device_pixels(const heron::Device& device, const std::vector<std::uint32_t>& pixels) {
    heron::Buffer buffer = device.create_buffer(4 * pixels.size(), heron::MemoryKind::device, "image");
    buffer.write(std::as_bytes(std::span(pixels)));
    return buffer;
}

}  // namespace samples
