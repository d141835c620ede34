// SPDX-License-Identifier: MIT
// How far float32 may move Conda's update, from a file's own gradients in float64.
//
// In a basis B of singular vectors of m the direction is D = M' / (sqrt(V) + eps), V a moving average of
// x^2, x = (G B)_ij. Where few steps are in it D is nearly a sign, so an element near zero is a matter of
// rounding. What rounds: m, in storage and in its decomposition, by E = 4 u |m| together. B's columns then
// turn by theta_kj = e_kj / |sigma_j - sigma_k|, the rows of e no longer than E. To first order a change of
// one turns x by (G B)_ik theta_kj and M' by M'_ik theta_kj, which cancels in a sign; whatever is not linear
// is bounded by |D| (change of sqrt(V))^2 / V, and by a sign that flips. Products round by 4 u of the rows.
#pragma once

#include <algorithm>
#include <cmath>
#include <vector>

#include "heron/optim/conda.hpp"
#include "support/matrix.hpp"

namespace heron::test {

// One matrix, as tall as wide or taller (of a wide one its transpose).
class CondaConditioning {
public:
    CondaConditioning(const CondaOptions& options, Eigen::Index rows, Eigen::Index cols)
        : o_(options),
          m_(Matrix::Zero(rows, cols)),
          v_(m_),
          old_(m_),
          spread_(m_),
          rounding_(m_),
          history_(static_cast<std::size_t>(cols), m_) {}

    // The bound of step t's update, relative to the update.
    double step(const Matrix& g, int t) {
        m_ = o_.beta1 * m_ + (1 - o_.beta1) * g;
        if ((t - 1) % static_cast<int>(o_.gap) == 0) refresh();
        const Matrix x = g * basis_, moment = m_ * basis_;
        double squares = 0, largest = 0;
        Matrix direction(x.rows(), x.cols()), first = direction;
        for (Eigen::Index i = 0; i < x.rows(); ++i)
            for (Eigen::Index j = 0; j < x.cols(); ++j) {
                first(i, j) = change(x, moment, i, j, g.row(i).norm(), direction(i, j));
                largest = std::max(largest, std::abs(direction(i, j)));
            }
        for (Eigen::Index i = 0; i < x.rows(); ++i)
            for (Eigen::Index j = 0; j < x.cols(); ++j) {
                const double most = std::min(first(i, j), std::abs(direction(i, j)) + largest);
                squares += most * most;
            }
        const double size = direction.norm();
        if (size == 0) return 0;
        // Back through B, which is as far off.
        const double turned = error_ * inverse_gaps_.rowwise().maxCoeff().norm() * spectral_norm(direction);
        return (std::sqrt(squares) + turned) / size;
    }
    // The largest singular value over the smallest distance of two, worst so far.
    double closeness() const { return closeness_; }

private:
    void refresh() {
        for (Eigen::Index i = 0; i < m_.rows(); ++i)
            for (Eigen::Index j = 0; j < m_.cols(); ++j) {
                old_(i, j) += error_ * turned(history_[static_cast<std::size_t>(j)].row(i), j);
                history_[static_cast<std::size_t>(j)].row(i).setZero();
            }
        const ThinSvd svd = thin_svd(m_);
        basis_ = svd.v;
        error_ = 4 * 0x1p-24 * svd.values[0];
        inverse_gaps_ = Matrix::Zero(m_.cols(), m_.cols());
        for (Eigen::Index j = 0; j < m_.cols(); ++j)
            for (Eigen::Index k = 0; k < m_.cols(); ++k)
                if (k != j) inverse_gaps_(j, k) = 1 / std::abs(svd.values[j] - svd.values[k]);
        if (m_.cols() > 1) closeness_ = std::max(closeness_, svd.values[0] * inverse_gaps_.maxCoeff());
    }

    // Of a row in the basis: how much of it a unit of error brings into column j.
    template <class Row>
    double turned(const Row& row, Eigen::Index j) const {
        double sum = 0;
        for (Eigen::Index k = 0; k < row.size(); ++k)
            sum += std::pow(row[k] * (basis_.size() > 0 ? inverse_gaps_(j, k) : 0), 2);
        return std::sqrt(sum);
    }

    // Adds step's share to the averages of element (i, j); returns what its direction may change by.
    double change(const Matrix& x, const Matrix& moment, Eigen::Index i, Eigen::Index j, double gradient_row,
                  double& direction) {
        const double rate = 1 - o_.beta2, beta = o_.beta2, unit = 4 * 0x1p-24;
        const double of_x = std::hypot(error_ * turned(x.row(i), j), unit * gradient_row);
        auto history = history_[static_cast<std::size_t>(j)].row(i);
        history = beta * history + rate * x(i, j) * x.row(i);
        v_(i, j) = beta * v_(i, j) + rate * x(i, j) * x(i, j);
        old_(i, j) *= beta;
        spread_(i, j) = beta * spread_(i, j) + rate * of_x * of_x;
        rounding_(i, j) = beta * rounding_(i, j) + rate * std::abs(x(i, j)) * unit * gradient_row;
        const double root = std::sqrt(v_(i, j)), divisor = root + static_cast<double>(o_.eps);
        const double m = moment(i, j), of_row = unit * m_.row(i).norm();
        if (root == 0) {
            direction = divisor > 0 ? m / divisor : 0;
            return std::abs(direction);
        }
        direction = m / divisor;
        const double slope = m / (divisor * divisor * root);
        const double linear = error_ * turned(moment.row(i) / divisor - slope * history, j) +
                              std::abs(slope) * (old_(i, j) + rounding_(i, j)) + of_row / divisor;
        const double of_m = error_ * turned(moment.row(i), j) + of_row;
        return linear + std::abs(direction) * spread_(i, j) / v_(i, j) +
               of_m * std::sqrt(spread_(i, j)) / (divisor * root);
    }

    CondaOptions o_;
    Matrix m_, v_;
    Matrix basis_, inverse_gaps_;  // 1 / |sigma_j - sigma_k|
    double error_ = 0;             // E
    double closeness_ = 0;
    // Averages as V is one: of x_ij times the row of G B; what is left of those of former bases, as a bound;
    // of the squares of x's errors; and of |x| times its rounding.
    Matrix old_, spread_, rounding_;
    std::vector<Matrix> history_;  // by j
};

}  // namespace heron::test
