// SPDX-License-Identifier: MIT
// M-FAC in float64: the inverse Fisher matrix of a window by a solve of its Gram matrix.
#pragma once

#include <cmath>
#include <vector>

#include "support/matrix.hpp"

namespace heron::test {

// (lambda I + U^T U / m)^-1 U^T e for the newest row of a window that fills slot by slot.
class MfacWindow {
public:
    MfacWindow(std::size_t m, std::size_t d, double lambda, bool average_filled = false)
        : rows_(Matrix::Zero(static_cast<Eigen::Index>(m), static_cast<Eigen::Index>(d))),
          lambda_(lambda),
          average_filled_(average_filled) {}

    // The step's direction, for `gradient`, which enters the window.
    std::vector<double> push(const std::vector<double>& gradient) {
        slot_ = pushed_++ % rows_.rows();
        for (Eigen::Index i = 0; i < rows_.cols(); ++i)
            rows_(slot_, i) = gradient[static_cast<std::size_t>(i)];
        return direction();
    }
    // The same with another damping, as a device may have raised it.
    std::vector<double> direction(double lambda = 0) const {
        const Matrix x = rows_.transpose() * coefficients(lambda > 0 ? lambda : lambda_);
        return {x.data(), x.data() + x.size()};
    }
    // How far the residual that woodbury_range() promises lets a direction be off in norm: the largest
    // singular value of U^T (lambda I + U U^T / m)^-1 is no more than sqrt(m) / (2 sqrt(lambda)), and m
    // residuals of one size are sqrt(m) times that in norm.
    double direction_error(double lambda) const {
        const double m = static_cast<double>(rows_.rows());
        return 20 * 0x1p-23 * m * (1 + system(lambda).norm() * coefficients(lambda).norm()) /
               (2 * std::sqrt(lambda));
    }
    // lambda I + U U^T / m.
    Matrix system(double lambda) const {
        const double m = average_filled_ && pushed_ < rows_.rows() ? static_cast<double>(pushed_)
                                                                   : static_cast<double>(rows_.rows());
        Matrix a = rows_ * rows_.transpose();
        a /= m;
        a.diagonal().array() += lambda;
        return a;
    }
    const Matrix& rows() const { return rows_; }
    Eigen::Index slot() const { return slot_; }
    double lambda() const { return lambda_; }

private:
    // Of the rows in the direction.
    Matrix coefficients(double lambda) const {
        Matrix unit = Matrix::Zero(rows_.rows(), 1);
        unit(slot_, 0) = 1;
        return solve_symmetric(system(lambda), unit);
    }

    Matrix rows_;
    double lambda_;
    bool average_filled_;
    Eigen::Index slot_ = 0, pushed_ = 0;
};

}  // namespace heron::test
