// SPDX-License-Identifier: MIT
#include <Eigen/Cholesky>
#include <Eigen/LU>
#include <Eigen/QR>

#include "support/matrix.hpp"

namespace heron::test {

Matrix inverse(const Matrix& a) { return a.partialPivLu().inverse(); }

Matrix solve_symmetric(const Matrix& a, const Matrix& b) { return a.ldlt().solve(b); }

Matrix cholesky_factor(const Matrix& a) { return a.llt().matrixL(); }

Matrix orthonormal_basis(const Matrix& a) {
    const Eigen::HouseholderQR<Eigen::MatrixXd> qr(a);
    return qr.householderQ() * Eigen::MatrixXd::Identity(a.rows(), a.cols());
}

}  // namespace heron::test
