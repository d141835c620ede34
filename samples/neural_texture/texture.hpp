// SPDX-License-Identifier: MIT
// An image as the weights of a network: a grid of features in several resolutions, looked up bilinearly, in
// front of a small perceptron. Its training pass and what draws it are Heron plans.
//
//   x_0 = [features of level 1 at (u, v), ..., of level L];   colour = 1/2 + perceptron(x_0)
//
// The loss is the mean over samples and colours of the squared error. Everything is f32.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "heron/heron.hpp"
#include "support/network.hpp"

namespace samples {

struct TextureShape {
    std::uint32_t width = 0;  // of the image, in pixels; at most kMaxExtent
    std::uint32_t height = 0;
    std::uint32_t levels = 8;
    // Cells along the longer side, in a geometric series of levels.
    std::uint32_t coarsest = 4;
    std::uint32_t finest = 64;
    std::vector<std::uint32_t> hidden = {64, 64};  // widths of the perceptron's layers

    std::uint32_t inputs() const;  // of the perceptron: the features of all levels
};
inline constexpr std::uint32_t kMaxExtent = 16384;  // products of pixels and strata are 32 bits

// A level of the grid: cols x rows cells over the whole image, with features at their corners.
struct GridLevel {
    std::uint32_t cols = 0;
    std::uint32_t rows = 0;
    std::uint64_t first = 0;  // float of its first feature in the buffer of all levels

    std::uint64_t vertices() const { return (std::uint64_t{cols} + 1) * (rows + 1); }
};

std::vector<GridLevel> grid_levels(const TextureShape& shape);

class Texture {
public:
    Texture(const heron::Device& device, const TextureShape& shape);
    // The perceptron as Network::initialize, features uniform in +-1e-4 (Mueller et al., arXiv 2201.05989).
    void initialize(std::uint32_t seed);

    // The grid's levels, (vertices x features) each; embeddings, for an element-wise optimizer.
    std::vector<heron::Parameter> grid_parameters() const;
    // A level in the grid or in its gradient: vertices x features.
    heron::TensorView level_view(const heron::Buffer& buffer, std::size_t level) const;
    std::uint64_t grid_count() const { return grid.bytes() / sizeof(float); }
    std::uint64_t parameter_count() const { return grid_count() + network.parameter_count(); }
    // Of all weights and features: equal hashes, equal bits.
    std::uint64_t hash() const;

    const TextureShape shape;
    const std::vector<GridLevel> levels;
    heron::Buffer grid, grid_gradient;  // of all levels, one behind the other
    Network network;
};

// An image in device memory: a word a pixel, red lowest.
heron::Buffer device_pixels(const heron::Device& device, const std::vector<std::uint32_t>& pixels);

// What a training pass needs beside the texture. A batch has one sample in each of strata_cols x strata_rows
// equal parts of the image, some pixel of it.
struct TexturePasses : Activations {
    std::uint32_t strata_cols = 0;
    std::uint32_t strata_rows = 0;
    heron::Buffer cursor;   // [0]: batches taken
    heron::Buffer history;  // mapped; per batch, modulo kHistory: sum of losses of the samples, and 0
    heron::Buffer row_result;

    // About `samples` a batch, in strata that are about square; no more than there are pixels.
    TexturePasses(const heron::Device& device, const Texture& texture, std::uint32_t samples);
    // Mean loss of that batch.
    double loss(std::uint64_t batch_number) const {
        const double sum = static_cast<const float*>(history.mapped())[2 * (batch_number % kHistory)];
        return sum / batch;
    }
};

// One batch: samples, losses, and the gradients of all weights and features.
heron::Plan texture_training_plan(const heron::Device& device, const Texture& texture,
                                  const TexturePasses& passes, const heron::Buffer& pixels,
                                  std::uint32_t seed, const heron::PlanOptions& options);

// What the network draws, in any size.
class TexturePicture {
public:
    enum class Order { red_first, blue_first };

    TexturePicture(const heron::Device& device, const Texture& texture, std::uint32_t width,
                   std::uint32_t height, Order order = Order::red_first);
    // Draws, and waits.
    void draw();
    std::uint32_t width() const { return width_; }
    std::uint32_t height() const { return height_; }
    const heron::Buffer& pixels() const { return pixels_; }  // mapped; a word a pixel

private:
    std::uint32_t width_, height_;
    std::uint32_t chunks_;
    Activations passes_;
    heron::Buffer cursor_;  // mapped; [0]: the chunk to draw
    heron::Buffer pixels_;
    heron::Plan plan_;
};

}  // namespace samples
