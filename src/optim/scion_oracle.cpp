// SPDX-License-Identifier: MIT
#include "optim/scion_oracle.hpp"

#include <algorithm>
#include <cmath>

#include "optim/checks.hpp"

namespace heron {

namespace {

bool is_normalized(ScionScale scale) {
    return scale == ScionScale::normalized || scale == ScionScale::normalized_max;
}

double spectral_factor(ScionScale scale, double m, double n) {
    switch (scale) {
        case ScionScale::normalized:
            return std::sqrt(m / n);
        case ScionScale::normalized_max:
            return std::max(1.0, std::sqrt(m / n));
        case ScionScale::unnormalized:
            return std::sqrt(m);
        case ScionScale::unit_ball:
            break;
    }
    return 1.0;
}

}  // namespace

ScionNorm scion_norm(const Parameter& parameter, const ScionOptions& options) {
    if (options.norm != ScionNorm::automatic) return options.norm;
    switch (parameter.role) {
        case Role::embedding:
        case Role::head:
            return ScionNorm::sign;
        case Role::vector:
            return ScionNorm::frobenius;
        case Role::hidden_matrix:
        case Role::input:
            return ScionNorm::spectral;
        case Role::automatic:
            break;
    }
    return parameter.weight.shape.rank() < 2 ? ScionNorm::frobenius : ScionNorm::spectral;
}

std::vector<MatrixBlock> scion_blocks(const Parameter& parameter, const ScionOptions& options) {
    const Shape& shape = parameter.weight.shape;
    const ScionNorm norm = scion_norm(parameter, options);
    std::vector<MatrixBlock> blocks;
    if (shape.rank() >= 2) {
        blocks = matrix_blocks("Scion", parameter, ShapeFactor::none);
    } else {
        const bool matrices_only = norm == ScionNorm::spectral || norm == ScionNorm::row ||
                                   norm == ScionNorm::column ||
                                   (norm == ScionNorm::sign && is_normalized(options.norm_scale));
        if (matrices_only)
            refuse("Scion: parameter " + in_quotes(parameter.name) + " has shape " + shape.text() +
                   "; its norm takes matrices, vectors take frobenius, or sign with norm_scale unnormalized");
        if (shape.count() > 0) blocks.push_back({0, 1, shape.count(), 1.0});
    }
    double kernel = 1, divisor = 1;  // elements of a filter's kernel
    for (std::size_t axis = 2; axis < shape.rank() && !parameter.view.batch; ++axis) {
        kernel *= static_cast<double>(shape[axis]);
        divisor *= static_cast<double>(shape[options.kernel == ScionKernel::authors ? 2 : axis]);
    }
    for (MatrixBlock& block : blocks) {
        const double m = static_cast<double>(block.rows), n = static_cast<double>(block.cols);
        if (norm == ScionNorm::spectral)
            block.shape_factor = spectral_factor(options.norm_scale, m, n / kernel) /
                                 (options.norm_scale == ScionScale::unit_ball ? 1.0 : divisor);
        else if (norm == ScionNorm::sign && is_normalized(options.norm_scale))
            block.shape_factor = 1.0 / n;
        block.shape_factor *= static_cast<double>(options.scale);
    }
    return blocks;
}

ScionLines scion_lines(const MatrixBlock& block, ScionNorm norm, const ScionOptions& options) {
    const bool normalized = is_normalized(options.norm_scale);
    if (norm == ScionNorm::frobenius)
        return {false, normalized ? 1.0 / std::sqrt(static_cast<double>(block.count())) : 1.0};
    // Of A or A^T.
    const double m = static_cast<double>(options.transpose ? block.cols : block.rows);
    const double n = static_cast<double>(options.transpose ? block.rows : block.cols);
    if (norm == ScionNorm::row) return {options.transpose, normalized ? std::sqrt(n) : 1.0};
    const double rms = 1.0 / std::sqrt(m);
    return {!options.transpose, normalized                                    ? n * rms
                                : options.norm_scale == ScionScale::unit_ball ? 1.0
                                                                              : rms};
}

}  // namespace heron
