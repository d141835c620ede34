// SPDX-License-Identifier: MIT
#include <Eigen/Eigenvalues>
#include <cmath>

#include "support/matrix.hpp"

namespace heron::test {

SymmetricEigen symmetric_eigen(const Matrix& a) {
    const Eigen::SelfAdjointEigenSolver<Eigen::MatrixXd> solver(a);
    return {solver.eigenvalues(), solver.eigenvectors()};
}

double spectral_norm(const Matrix& a) {
    if (a.size() == 0) return 0;
    const Matrix gram = a.rows() < a.cols() ? a * a.transpose() : a.transpose() * a;
    return std::sqrt(Eigen::SelfAdjointEigenSolver<Eigen::MatrixXd>(gram, Eigen::EigenvaluesOnly)
                         .eigenvalues()
                         .maxCoeff());
}

}  // namespace heron::test
