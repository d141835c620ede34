// SPDX-License-Identifier: MIT
// Kronecker factors: running averages of a^T a over activations or output gradients, as graph operations
// (heron/linalg.hpp). For K-FAC and its relatives (Martens, Grosse, arXiv 1503.05671; convolutions: Grosse,
// Martens, arXiv 1602.01407; shared weights: Eschenhagen et al., arXiv 2311.00636).
#pragma once

#include <array>
#include <cstdint>
#include <optional>
#include <string_view>

#include "heron/export.hpp"
#include "heron/graph.hpp"

namespace heron {

// What the rows of a are when a weight is used at R positions of every sample (of a sequence, or of an
// image).
enum class WeightSharing : std::uint32_t {
    expand = 0,  // all N R vectors
    mean = 1,    // N vectors, means over the positions of a sample; the bias' 1 is appended after that
                 // ("reduce", inputs)
    sum = 2,     // N vectors, sums over the positions of a sample ("reduce", output gradients)
};

// A convolution's input patches as rows: C / groups x kernel[0] x kernel[1] elements in that order, one row
// for each position of each image; what lies in the padding is zero. Vertical first.
struct ConvPatches {
    std::array<std::uint32_t, 2> kernel = {1, 1};
    std::array<std::uint32_t, 2> stride = {1, 1};
    std::array<std::uint32_t, 2> padding = {0, 0};
    std::array<std::uint32_t, 2> dilation = {1, 1};
    std::uint32_t groups = 1;  // each has a factor of its own: the factor's batch
};

struct FactorOptions {
    float decay = 0.95f;         // in [0, 1]; 0 reads no A, so that its NaNs do not matter
    std::optional<float> scale;  // multiplies a^T a; by default 1 / (number of rows of a)
    bool bias = false;           // a last column of ones is appended to a
    WeightSharing sharing = WeightSharing::expand;
    std::uint32_t positions = 1;         // R: rows of one sample, for mean and sum without patches
    std::optional<ConvPatches> patches;  // `activations` are images
    // Forces an implementation by name ("factor_tiled", "factor_cpu", "factor_cpu_large"); empty: the best is
    // chosen. One that does not exist is refused (invalid_argument), as is one that the device cannot run
    // (unsupported).
    std::string_view variant;
    bool guarded = true;  // see Operation::guarded
};

// A <- decay A + (1 - decay) scale a^T a. A: f32, n x n, symmetric: only its upper triangle is read, both are
// written, equal to the last bit. a: f32, f16 or bf16, one of
//
//   N x F              rows of activations; all axes before the last are rows when A is one matrix
//   batch x N x F      for as many factors (experts)
//   N x C x H x W      images, with `patches`; contiguous; A is one matrix, or `groups` matrices
//
// and n = F, or C / groups x kernel[0] x kernel[1], one more with a bias. Patches are never stored.
//
// Accuracy, with w = (1 - decay) scale: |error|_F <= 3 u (sqrt(N + 2) w |a|_F^2 + 2 decay |A|_F); means and
// sums have errors of up to (64 + R / 64) u of the sum of absolute values before that. n (n + 1) N FLOPs,
// half of the full product; a once, A written and half of it read (means, sums: 8 N F bytes more). With
// few tiles the rows are split over workgroups, whose sums, 8 n^2 bytes each, are added in a fixed order in a
// second dispatch; more rows than 2^15 a workgroup go into further dispatches. Without rows A stays as it is.
// A NaN in a reaches its row and column of A: let the step be skipped (guarded), or clean a first. Throws
// (invalid_argument) for shapes, dtypes or overlaps that do not fit, and options out of range.
HERON_API void accumulate_factor(Graph& graph, const Tensor& activations, const Tensor& factor,
                                 const FactorOptions& options = {});

}  // namespace heron
