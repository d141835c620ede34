// SPDX-License-Identifier: MIT
// Float64 references, and the matrices that numerical tests are run on.
#pragma once

#include <cstddef>
#include <cstdint>
#include <heron/tensor.hpp>
#include <string>
#include <vector>

#include "support/matrix.hpp"

namespace heron::test {

// Counter-based and the same on every standard library, so that a failing seed can be run anywhere.
class Random {
public:
    explicit Random(std::uint64_t seed) : state_(seed * 0x9e3779b97f4a7c15u + 0x632be59bd9b4e019u) {}
    std::uint64_t bits();
    double uniform();  // in [0, 1)
    double normal();

private:
    std::uint64_t state_;
};

enum class MatrixKind {
    random,  // standard normal
    zero,
    identity,  // ones on the diagonal, rectangular ones too
    diagonal,  // 1, -2, 3, ...
    rank_one,
    half_rank,  // rank min(rows, cols) / 2
    clustered,  // singular values 1 and 1 + 1e-4
    geometric,  // singular values from 1 down to 2^-24, evenly spaced in the logarithm
    hilbert,    // 1 / (i + j + 1)
    huge,       // random, times 1e18
    tiny,       // random, times 1e-18
    one_nan,    // random, one element NaN
    one_inf,    // random, one element infinite
};
const char* to_string(MatrixKind kind);
const std::vector<MatrixKind>& finite_matrix_kinds();

Matrix make_matrix(MatrixKind kind, std::uint64_t rows, std::uint64_t cols, std::uint64_t seed);
inline Matrix random_matrix(std::uint64_t rows, std::uint64_t cols, std::uint64_t seed) {
    return make_matrix(MatrixKind::random, rows, cols, seed);
}
// rows x cols with the given singular values (as many as the short side has).
Matrix with_singular_values(const std::vector<double>& values, std::uint64_t rows, std::uint64_t cols,
                            std::uint64_t seed);

// Unit roundoff: 2^-24, 2^-11, 2^-8.
double unit_roundoff(DType dtype);
// Rounded to the dtype and back.
double rounded(double value, DType dtype);
Matrix rounded(const Matrix& matrix, DType dtype);

// Matrices as a tensor's memory holds them: item after item, rows `stride` elements apart. The gaps, and what
// follows the last row up to a multiple of 4 bytes, hold a pattern.
std::vector<std::byte> encode(const std::vector<Matrix>& items, DType dtype, std::uint64_t stride);
std::vector<Matrix> decode(const std::vector<std::byte>& bytes, DType dtype, std::uint64_t items,
                           std::uint64_t rows, std::uint64_t cols, std::uint64_t stride);
// Whether the gaps still hold encode()'s pattern.
bool gaps_intact(const std::vector<std::byte>& bytes, DType dtype, std::uint64_t items, std::uint64_t rows,
                 std::uint64_t cols, std::uint64_t stride);

// alpha A B + beta C; C is not read when beta is 0.
Matrix gemm_reference(double alpha, const Matrix& a, const Matrix& b, double beta, const Matrix& c);

// Error of a product over what is allowed (expectations: 3 u (sqrt(k + 2) |alpha| |A| |B| + 2 |beta| |C|)),
// where the rounding of a 16-bit result comes on top. At most 1 passes.
double gemm_error_ratio(const Matrix& result, const Matrix& expected, double alpha, const Matrix& a,
                        const Matrix& b, double beta, const Matrix& c, DType result_dtype);

}  // namespace heron::test
