// SPDX-License-Identifier: MIT
// Float64 references and test matrices.
#include "support/reference.hpp"

#include <cmath>
#include <cstring>
#include <limits>
#include <numbers>

namespace heron::test {

std::uint64_t Random::bits() {
    // splitmix64
    std::uint64_t z = (state_ += 0x9e3779b97f4a7c15u);
    z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9u;
    z = (z ^ (z >> 27)) * 0x94d049bb133111ebu;
    return z ^ (z >> 31);
}

double Random::uniform() { return static_cast<double>(bits() >> 11) * 0x1p-53; }

double Random::normal() {
    const double radius = std::sqrt(-2.0 * std::log(1.0 - uniform()));
    return radius * std::cos(2.0 * std::numbers::pi * uniform());
}

const char* to_string(MatrixKind kind) {
    switch (kind) {
        case MatrixKind::random:
            return "random";
        case MatrixKind::zero:
            return "zero";
        case MatrixKind::identity:
            return "identity";
        case MatrixKind::diagonal:
            return "diagonal";
        case MatrixKind::rank_one:
            return "rank one";
        case MatrixKind::half_rank:
            return "half rank";
        case MatrixKind::clustered:
            return "clustered";
        case MatrixKind::geometric:
            return "geometric";
        case MatrixKind::hilbert:
            return "Hilbert";
        case MatrixKind::huge:
            return "huge";
        case MatrixKind::tiny:
            return "tiny";
        case MatrixKind::one_nan:
            return "one NaN";
        case MatrixKind::one_inf:
            return "one infinity";
    }
    return "unknown";
}

const std::vector<MatrixKind>& finite_matrix_kinds() {
    static const std::vector<MatrixKind> kinds{
        MatrixKind::random,   MatrixKind::zero,      MatrixKind::identity,  MatrixKind::diagonal,
        MatrixKind::rank_one, MatrixKind::half_rank, MatrixKind::clustered, MatrixKind::geometric,
        MatrixKind::hilbert,  MatrixKind::huge,      MatrixKind::tiny};
    return kinds;
}

namespace {

Eigen::Index index(std::uint64_t value) { return static_cast<Eigen::Index>(value); }

Matrix normals(std::uint64_t rows, std::uint64_t cols, Random& random) {
    Matrix matrix(index(rows), index(cols));
    for (Eigen::Index i = 0; i < matrix.size(); ++i) matrix.data()[i] = random.normal();
    return matrix;
}

Matrix random_product(std::uint64_t rows, std::uint64_t inner, std::uint64_t cols, Random& random) {
    const Matrix right = normals(inner, cols, random);
    return normals(rows, inner, random) * right;
}

// The first `cols` columns of a random orthogonal matrix.
Matrix orthonormal(std::uint64_t rows, std::uint64_t cols, Random& random) {
    return orthonormal_basis(normals(rows, cols, random));
}

std::uint64_t elements(std::uint64_t items, std::uint64_t rows, std::uint64_t cols, std::uint64_t stride) {
    return items * rows == 0 || cols == 0 ? 0 : (items * rows - 1) * stride + cols;
}

constexpr unsigned char kGapByte = 0xa5;

}  // namespace

Matrix with_singular_values(const std::vector<double>& values, std::uint64_t rows, std::uint64_t cols,
                            std::uint64_t seed) {
    Random random(seed);
    const std::uint64_t rank = std::min(rows, cols);
    const Matrix left = orthonormal(rows, rank, random);
    const Matrix right = orthonormal(cols, rank, random);
    const Vector diagonal = Eigen::Map<const Vector>(values.data(), index(rank));
    return left * diagonal.asDiagonal() * right.transpose();
}

Matrix make_matrix(MatrixKind kind, std::uint64_t rows, std::uint64_t cols, std::uint64_t seed) {
    Random random(seed);
    Matrix matrix = Matrix::Zero(index(rows), index(cols));
    const std::uint64_t rank = std::min(rows, cols);
    if (rank == 0) return matrix;
    std::vector<double> values(rank, 1.0);
    switch (kind) {
        case MatrixKind::random:
            return normals(rows, cols, random);
        case MatrixKind::zero:
            return matrix;
        case MatrixKind::identity:
            for (std::uint64_t i = 0; i < rank; ++i) matrix(index(i), index(i)) = 1;
            return matrix;
        case MatrixKind::diagonal:
            for (std::uint64_t i = 0; i < rank; ++i)
                matrix(index(i), index(i)) = (i % 2 == 0 ? 1.0 : -1.0) * static_cast<double>(i + 1);
            return matrix;
        case MatrixKind::rank_one:
            return random_product(rows, 1, cols, random);
        case MatrixKind::half_rank:
            return random_product(rows, std::max<std::uint64_t>(1, rank / 2), cols, random);
        case MatrixKind::clustered:
            for (std::uint64_t i = 0; i < rank; i += 2) values[i] = 1.0001;
            return with_singular_values(values, rows, cols, seed);
        case MatrixKind::geometric:
            for (std::uint64_t i = 0; i < rank; ++i)
                values[i] = rank == 1
                                ? 1.0
                                : std::exp2(-24.0 * static_cast<double>(i) / static_cast<double>(rank - 1));
            return with_singular_values(values, rows, cols, seed);
        case MatrixKind::hilbert:
            for (Eigen::Index i = 0; i < matrix.rows(); ++i)
                for (Eigen::Index j = 0; j < matrix.cols(); ++j)
                    matrix(i, j) = 1.0 / static_cast<double>(i + j + 1);
            return matrix;
        case MatrixKind::huge:
            return normals(rows, cols, random) * 1e18;
        case MatrixKind::tiny:
            return normals(rows, cols, random) * 1e-18;
        case MatrixKind::one_nan:
        case MatrixKind::one_inf:
            matrix = normals(rows, cols, random);
            matrix.data()[random.bits() % static_cast<std::uint64_t>(matrix.size())] =
                kind == MatrixKind::one_nan ? std::numeric_limits<double>::quiet_NaN()
                                            : std::numeric_limits<double>::infinity();
            return matrix;
    }
    return matrix;
}

double unit_roundoff(DType dtype) {
    return dtype == DType::f16 ? 0x1p-11 : dtype == DType::bf16 ? 0x1p-8 : 0x1p-24;
}

double rounded(double value, DType dtype) {
    const auto single = static_cast<float>(value);
    if (dtype == DType::f16) return static_cast<double>(f16_to_f32(f32_to_f16(single)));
    if (dtype == DType::bf16) return static_cast<double>(bf16_to_f32(f32_to_bf16(single)));
    return static_cast<double>(single);
}

Matrix rounded(const Matrix& matrix, DType dtype) {
    return matrix.unaryExpr([dtype](double value) { return rounded(value, dtype); });
}

std::vector<std::byte> encode(const std::vector<Matrix>& items, DType dtype, std::uint64_t stride) {
    if (items.empty()) return {};
    const auto rows = static_cast<std::uint64_t>(items[0].rows());
    const auto cols = static_cast<std::uint64_t>(items[0].cols());
    const std::uint64_t size = bytes_of(dtype);
    const std::uint64_t bytes_used = elements(items.size(), rows, cols, stride) * size;
    std::vector<std::byte> bytes((bytes_used + 3) / 4 * 4, std::byte{kGapByte});
    for (std::uint64_t item = 0; item < items.size(); ++item)
        for (std::uint64_t i = 0; i < rows; ++i)
            for (std::uint64_t j = 0; j < cols; ++j) {
                const auto value = static_cast<float>(items[item](index(i), index(j)));
                std::byte* at = bytes.data() + ((item * rows + i) * stride + j) * size;
                if (dtype == DType::f32) {
                    std::memcpy(at, &value, 4);
                } else {
                    const std::uint16_t half = dtype == DType::f16 ? f32_to_f16(value) : f32_to_bf16(value);
                    std::memcpy(at, &half, 2);
                }
            }
    return bytes;
}

std::vector<Matrix> decode(const std::vector<std::byte>& bytes, DType dtype, std::uint64_t items,
                           std::uint64_t rows, std::uint64_t cols, std::uint64_t stride) {
    std::vector<Matrix> result;
    for (std::uint64_t item = 0; item < items; ++item) {
        Matrix matrix(index(rows), index(cols));
        for (std::uint64_t i = 0; i < rows; ++i)
            for (std::uint64_t j = 0; j < cols; ++j) {
                const std::byte* at = bytes.data() + ((item * rows + i) * stride + j) * bytes_of(dtype);
                float value = 0;
                if (dtype == DType::f32) {
                    std::memcpy(&value, at, 4);
                } else {
                    std::uint16_t half = 0;
                    std::memcpy(&half, at, 2);
                    value = dtype == DType::f16 ? f16_to_f32(half) : bf16_to_f32(half);
                }
                matrix(index(i), index(j)) = static_cast<double>(value);
            }
        result.push_back(std::move(matrix));
    }
    return result;
}

bool gaps_intact(const std::vector<std::byte>& bytes, DType dtype, std::uint64_t items, std::uint64_t rows,
                 std::uint64_t cols, std::uint64_t stride) {
    const std::uint64_t size = bytes_of(dtype);
    const std::uint64_t used = elements(items, rows, cols, stride) * size;
    for (std::uint64_t at = 0; at < bytes.size(); ++at)
        if ((at >= used || at / size % stride >= cols) && bytes[at] != std::byte{kGapByte}) return false;
    return true;
}

Matrix gemm_reference(double alpha, const Matrix& a, const Matrix& b, double beta, const Matrix& c) {
    Matrix result = Matrix::Zero(a.rows(), b.cols());
    if (a.cols() > 0) result = alpha * (a * b);
    if (beta != 0) result += beta * c;
    return result;
}

double gemm_error_ratio(const Matrix& result, const Matrix& expected, double alpha, const Matrix& a,
                        const Matrix& b, double beta, const Matrix& c, DType result_dtype) {
    const double depth = std::sqrt(static_cast<double>(a.cols()) + 2);
    double allowed = 3 * 0x1p-24 * depth * std::abs(alpha) * a.norm() * b.norm();
    if (beta != 0) allowed += 3 * 0x1p-24 * 2 * std::abs(beta) * c.norm();
    // Drivers may flush subnormals: of each product, sum and scaled value.
    allowed += 0x1p-126 * (2 * static_cast<double>(a.cols()) * std::abs(alpha) + 2) *
               std::sqrt(static_cast<double>(expected.size()));
    if (result_dtype != DType::f32) {
        allowed += unit_roundoff(result_dtype) * expected.norm();
        // Half of the smallest subnormal of f16, for each element.
        if (result_dtype == DType::f16) allowed += 0x1p-25 * std::sqrt(static_cast<double>(expected.size()));
    }
    const double error = (result - expected).norm();
    if (error == 0) return 0;
    return allowed > 0 ? error / allowed : std::numeric_limits<double>::infinity();
}

}  // namespace heron::test
