// SPDX-License-Identifier: MIT
// Inverses of empirical Fisher matrices in float64, and how far float32 may be off.
#pragma once

#include <algorithm>
#include <cstdint>

#include "support/matrix.hpp"

namespace heron::test {

struct FisherReference {
    Matrix inverse;    // (damping I + G^T G / m)^-1, zero between blocks
    double error = 0;  // of damping times its elements' matrix, in the spectral norm

    FisherReference(const Matrix& gradients, double damping, std::uint64_t block)
        : inverse(Matrix::Zero(gradients.cols(), gradients.cols())) {
        const Eigen::Index d = gradients.cols(), width = static_cast<Eigen::Index>(block);
        for (Eigen::Index first = 0; first < d; first += width) {
            const Eigen::Index count = std::min(width, d - first);
            const Matrix g = gradients.middleCols(first, count);
            Matrix fisher = g.transpose() * g;
            fisher /= static_cast<double>(g.rows());
            fisher.diagonal().array() += damping;
            inverse.block(first, first, count, count) = heron::test::inverse(fisher);
            error = std::max(error, bracket_error(g, damping));
        }
    }

private:
    // Y^T Y / m = G^T C^-1 G / m of a C that is off by rounding errors of its sums and of its factor, 4 m u
    // |C|, and of Y, as much again relative to 1, its norm.
    static double bracket_error(const Matrix& g, double damping) {
        const double unit = 0x1p-24, m = static_cast<double>(g.rows());
        Matrix c = g * g.transpose();
        c /= m;
        c.diagonal().array() += damping;
        const double reach = spectral_norm(heron::test::inverse(c) * g);
        return 4 * m * unit * (c.norm() * reach * reach / m + 1) + 16 * unit;
    }
};

}  // namespace heron::test
