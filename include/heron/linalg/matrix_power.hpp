// SPDX-License-Identifier: MIT
// Real powers of symmetric positive (semi)definite matrices as graph operations, through their eigenvalues.
#pragma once

#include "heron/export.hpp"
#include "heron/graph.hpp"

namespace heron {

// What becomes of eigenvalues that are too small, after damping: below floor * largest, largest the largest
// of them then, or below absolute_floor.
enum class SpectrumFloor {
    // They are raised to that.
    raise,
    // All eigenvalues move up by as much as the smallest lies below 0 (Distributed Shampoo's "perturb"); then
    // as raise.
    shift,
    // Their powers are 0: a pseudo-inverse for negative exponents.
    drop,
    // Eigenvalues of A that are too small before damping count as 0. Damped, they are damping, or, where that
    // is too small, as large as the smallest of the others: what rounding turns into the null space is then
    // magnified no more than what it does to the rest. For factors of vectors from A's range, where f(0) does
    // not matter.
    level,
    // The same count as 0, and are damping, at least 2^-23 of the largest. For factors of any vectors.
    clear,
    // The same count as 0, and are damping, or absolute_floor where that is more, however small: what
    // A + eps I has where A is exactly singular, which its rounded eigenvalues hide.
    exact,
};

struct MatrixPowerOptions {
    double exponent = -0.5;         // any number in f32's range
    float damping = 0.0f;           // eps of A + eps I
    float relative_damping = 0.0f;  // times the largest eigenvalue of A, added too
    SpectrumFloor floor_rule = SpectrumFloor::raise;
    float floor = 0.0f;  // relative to the largest eigenvalue; 0: n 2^-23, what f32 can tell from zero
    float absolute_floor = 0.0f;
    Tensor basis;    // warm start where one workgroup does a matrix (EighOptions::basis)
    Tensor vectors;  // where the eigenvectors go, n x n f32, if they are wanted (may be `basis`)
    Tensor values;   // and the eigenvalues of A, ascending
    // ok; nonfinite (A, or an eigenvalue, damped or not); not_converged; indefinite: one was below -max(floor
    // largest, absolute_floor) (clear: n 2^-23 largest); jittered: some were raised or shifted;
    // rank_deficient: some were dropped; singular: no eigenvalue of A + eps I is positive.
    Tensor status;
    bool guarded = true;
};

// result = V diag(f(lambda)) V^T with A = V diag(lambda) V^T: f(lambda) = (lambda + damping)^exponent under
// the rules above. A: n x n, f32, f16 or bf16, (A + A^T) / 2 is taken; result: n x n f32, exactly symmetric,
// apart from A.
//
// An inverse p-th root is the exponent -1.0 / p; for well-conditioned matrices inverse_root() has it for
// less.
//
// Powers are computed to 4 u and end at 2^126. Accuracy of inverse p-th roots: |X^p (A + eps I) - I|_F <= 2 n
// kappa u, for p > 4 times p / 2, kappa the condition number after damping and floor. Cost: eigh(), n^3
// FLOPs, 20 n^2 bytes and two levels; workspace beside eigh()'s 8 n^2 bytes, half of it with `vectors`. A
// matrix that is not finite, or has an eigenvalue beyond f32, or is singular in the sense above (with an
// exponent other than 0), gives the zero matrix.
HERON_API void matrix_power(Graph& graph, const Tensor& a, const Tensor& result,
                            const MatrixPowerOptions& options = {});

}  // namespace heron
