// SPDX-License-Identifier: MIT
#include <Eigen/SVD>

#include "support/matrix.hpp"

namespace heron::test {

ThinSvd thin_svd(const Matrix& a) {
    const Eigen::JacobiSVD<Eigen::MatrixXd> svd(a, Eigen::ComputeThinU | Eigen::ComputeThinV);
    return {svd.matrixU(), svd.singularValues(), svd.matrixV()};
}

Vector singular_values(const Matrix& a) { return Eigen::JacobiSVD<Eigen::MatrixXd>(a).singularValues(); }

}  // namespace heron::test
