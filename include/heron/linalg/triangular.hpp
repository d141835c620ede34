// SPDX-License-Identifier: MIT
// Triangular systems, inverses and products as graph operations (heron/linalg.hpp).
#pragma once

#include <cstdint>

#include "heron/export.hpp"
#include "heron/graph.hpp"
#include "heron/linalg/product.hpp"

namespace heron {

// Which half of a matrix holds it; the other half is neither read nor trusted.
enum class Triangle : std::uint32_t { lower = 0, upper = 1 };
enum class Side : std::uint32_t { left = 0, right = 1 };  // where the triangular matrix stands

struct TriangularOptions {
    Triangle triangle = Triangle::lower;
    Transpose transpose = Transpose::no;  // of T; `triangle` says where T itself is stored
    bool unit_diagonal = false;           // ones stand for the diagonal, which is not read
    Side side = Side::left;               // left: op(T) X = alpha B; right: X op(T) = alpha B
    float alpha = 1.0f;
    // Optional (status.hpp), one u32 for each item of X: ok; singular where a diagonal element of T is zero
    // or subnormal, nonfinite where one is NaN or infinite.
    Tensor status;
    bool guarded = true;
};

// Solves op(T) X = alpha B, or X op(T) = alpha B. T n x n, B and X n x m (left) or m x n (right); a batch of
// equally many each, or one T for all items. T and B f32, f16 or bf16; X f32, may be B (in place), may not
// overlap T.
//
// By substitution: diagonal blocks of 64 rows, an invocation a right-hand side; the rest by gemm(). (Inverted
// diagonal blocks would have shorter chains for few right-hand sides, but are unstable where such a block is
// ill-conditioned.) n^2 m FLOPs; 4 (n^2 / 2 + n m (2 + n / 128)) bytes; one level up to 64 rows, else
// 2 ceil(n / 64). Above 64 rows a batch of 16-bit matrices with an odd number of elements each is copied to
// f32 first. Accuracy: |op(T) x - alpha b|_2 <= n u (2 |T|_F |x|_2 + |alpha b|_2) for each column (N. Higham,
// Accuracy and Stability of Numerical Algorithms, theorem 8.5, for either order).
//
// Where the status is not ok, X is zero. NaNs and infinities in B, or in T beside its diagonal, spread into
// those elements of X that depend on them, and into no other matrix.
HERON_API void triangular_solve(Graph& graph, const Tensor& t, const Tensor& b, const Tensor& x,
                                const TriangularOptions& options = {});

struct TriangularInverseOptions {
    Triangle triangle = Triangle::lower;
    bool unit_diagonal = false;
    Tensor status;  // as in TriangularOptions
    bool guarded = true;
};

// X = T^-1, n x n, with zeros in the other half. T f32, f16 or bf16; X f32, may be T (in place), else it may
// not overlap T. Diagonal blocks of 64 by substitution, then pairs of blocks by [A 0; B C]^-1 = [A^-1 0;
// -C^-1 B A^-1, C^-1] with triangular_product(): some 2 + 3 ceil(log2(n / 64)) levels, up to 2/3 n^3 FLOPs,
// of large ones 3/8 n^3, some 5 n^2 bytes a doubling, 2 n^2 of workspace (and a copy of T in f32 where it
// is a batch of 16-bit matrices with an odd number of elements each). Accuracy: |T X - I|_F <= n u |T|_F
// |X|_F (J. Du Croz and N. Higham, Stability of methods for matrix inversion, IMA J. Numer. Anal. 12, 1992: a
// right or left residual of this kind, for factors that are not wildly ill-conditioned). Where the status is
// not ok, X is zero, or NaN where T is not finite beside its diagonal.
HERON_API void triangular_inverse(Graph& graph, const Tensor& t, const Tensor& x,
                                  const TriangularInverseOptions& options = {});

struct TriangularProductOptions {
    Side side = Side::left;
    Triangle triangle = Triangle::lower;
    Transpose transpose = Transpose::no;  // of T; `triangle` says where T itself is stored
    Transpose transpose_b = Transpose::no;
    float alpha = 1.0f;  // finite
    bool guarded = true;
};

// D = alpha op(T) op(B), T n x n, op(B) n x m, or with Side::right alpha op(B) op(T), op(B) m x n; f32, f16
// or bf16, a batch of each or one T or B for all items. The other half of T holds zeros, as
// triangular_inverse() and cholesky() leave it. D may not overlap T or B.
//
// Panels of D's rows (Side::right: columns), each a gemm() over the part of op(B) that its part of T reaches:
// one up to 128 rows, eight from 1024 on (with gemm_packed up to 48, for which B is packed once), P of them:
// n^2 m (1 + 1 / P) FLOPs, 2 n m (3 + P) + 2 n^2 bytes; all in the level or two of one product, and a level
// before or after it with copies in f32 of 16-bit matrices whose items, or at the right whose rows, are of an
// odd number of elements. Accuracy: gemm()'s.
HERON_API void triangular_product(Graph& graph, const Tensor& t, const Tensor& b, const Tensor& d,
                                  const TriangularProductOptions& options = {});

}  // namespace heron
