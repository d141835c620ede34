// SPDX-License-Identifier: MIT
// Which oracle a parameter has, and its numbers.
#pragma once

#include <cstdint>
#include <vector>

#include "heron/optim/scion.hpp"
#include "optim/matrix_blocks.hpp"

namespace heron {

// What an element of a line is divided by: norm_factor times the line's Euclidean norm, plus eps.
struct ScionLines {
    bool columns;  // else rows
    double norm_factor;
};

// Never automatic.
ScionNorm scion_norm(const Parameter& parameter, const ScionOptions& options);
// The parameter as matrices, a vector as one row; the shape factor is that of spectral and sign, scale
// included. Throws (invalid_argument) for what the norm cannot take.
std::vector<MatrixBlock> scion_blocks(const Parameter& parameter, const ScionOptions& options);
// For column, row, and frobenius, whose one line is the whole block.
ScionLines scion_lines(const MatrixBlock& block, ScionNorm norm, const ScionOptions& options);

}  // namespace heron
