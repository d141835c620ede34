// SPDX-License-Identifier: MIT
// Dense float64 matrices of the tests. What of Eigen takes long to compile, products and decompositions, is
// behind plain functions that are compiled once: tests include this header, and none of Eigen's.
#pragma once

#include <Eigen/Core>
#include <type_traits>

namespace heron::test {

using Matrix = Eigen::Matrix<double, Eigen::Dynamic, Eigen::Dynamic, Eigen::RowMajor>;
using Vector = Eigen::VectorXd;

Matrix product(const Matrix& a, const Matrix& b);

template <typename T>
concept DenseExpression =
    std::is_base_of_v<Eigen::MatrixBase<T>, T> && std::is_same_v<typename T::Scalar, double>;

// In place of Eigen's own operator, which would compile its kernels again for each type of its operands.
template <DenseExpression A, DenseExpression B>
Matrix operator*(const A& a, const B& b) {
    return product(a, b);
}

// A = vectors diag(values) vectors^T of a symmetric A, values in ascending order. Reads the lower triangle.
struct SymmetricEigen {
    Vector values;
    Matrix vectors;
};
SymmetricEigen symmetric_eigen(const Matrix& a);

// A = U diag(values) V^T, values in descending order, as many columns as A's short side has.
struct ThinSvd {
    Matrix u;
    Vector values;
    Matrix v;
};
ThinSvd thin_svd(const Matrix& a);
Vector singular_values(const Matrix& a);
double spectral_norm(const Matrix& a);

Matrix inverse(const Matrix& a);
Matrix solve_symmetric(const Matrix& a, const Matrix& b);
Matrix cholesky_factor(const Matrix& a);  // the lower one
// Columns that span those of A (rows >= cols), by Householder reflections.
Matrix orthonormal_basis(const Matrix& a);

}  // namespace heron::test
