// SPDX-License-Identifier: MIT
// Inverse p-th roots of symmetric positive definite matrices as graph operations (heron/linalg.hpp).
#pragma once

#include <cstdint>

#include "heron/export.hpp"
#include "heron/graph.hpp"

namespace heron {

// What a relative damping is a multiple of, for a positive semidefinite A with largest eigenvalue l.
enum class DampingScale : std::uint32_t {
    mean = 0,          // tr A / n, in [l / n, l]
    infinity = 1,      // |A|_inf, in [l, sqrt(n) l]
    max_diagonal = 2,  // in [l / n, l]
};

// max(absolute, relative * scale) is added to the diagonal. At least 1e-6 of the largest eigenvalue is
// advised for p = 4, 3e-6 for p = 2, 1e-5 for p = 1; with two words 1e-7, which is what f32 makes of A's zero
// eigenvalues.
struct Damping {
    float absolute = 0.0f;  // >= 0
    float relative = 0.0f;  // >= 0
    DampingScale scale = DampingScale::mean;
};

// All of them are iterations. The same root through eigenvalues is matrix_power() with exponent = -1.0 / p:
// slower, but more accurate than one word for condition numbers above 1e4; for any real exponent, and for
// singular matrices (pseudo-inverse roots: SpectrumFloor::drop).
enum class RootMethod : std::uint32_t {
    automatic,
    // Coupled Newton (C.-H. Guo and N. Higham, SIAM J. Matrix Anal. Appl. 28, 2006), any p. 24 iterations or
    // so; (1 + products for T^p M) n^3 FLOPs each: 2, 3, 4, 4 n^3 for p = 1, 2, 3, 4. The only one that has
    // a form for one workgroup.
    newton,
    // Coupled Newton-Schulz for p = 2: 6 n^3 FLOPs an iteration, products only; no better than newton.
    newton_schulz,
    // Product form of Denman-Beavers for p = 2, with the inverse by Cholesky: at most 8 iterations of 3 n^3
    // FLOPs (4 n^3 with square_root); the most accurate in one word.
    denman_beavers,
};
HERON_API const char* to_string(RootMethod method);  // "newton", ...

struct InverseRootOptions {
    std::uint32_t p = 2;  // 1..64
    Damping damping;
    // automatic: newton; for p = 2 denman_beavers where a matrix does not fit one workgroup, or a square root
    // is asked for. (For p = 1, spd_inverse() is faster and more accurate.)
    RootMethod method = RootMethod::automatic;
    std::uint32_t iterations = 0;  // budget, 1..64; 0: as many as condition 1e6 (two words: 1e10) needs
    // On max |M - I| of the iteration; below 1e-6 is noise in f32 (two words go on for a 32nd of it). One
    // product more then makes the error that this leaves in the root its square.
    float tolerance = 1e-6f;
    // f32 words of each element of the iterates, 1 or 2. With two (newton; neither square root nor guess) the
    // result is the exact root, rounded to f32, up to n kappa = 2^28: what others take f64 for.
    std::uint32_t words = 1;
    // Optional A^(1/2), damped too, for p = 2; n x n f32 of its own. newton cannot.
    Tensor square_root;
    // Optional X0 for p = 1 and newton: the inverse of a matrix close to A, n x n f32, may be the result.
    // Used for those matrices for which |I - (A + damping I) X0|_inf < 1, decided on the device.
    Tensor guess;
    // Failed matrices leave the results as they were (so that the last good root stays), else they become
    // zero.
    bool keep_on_failure = false;
    // Optional, one for each matrix, contiguous. Status, u32: ok; not_converged: the best iterate is the
    // result; and failures: nonfinite; indefinite: A + damping I has a negative eigenvalue that matters;
    // singular: it is zero, or has an eigenvalue that rounding has made negative (of a semidefinite matrix
    // without damping; where rounding has made it positive a matrix may be not_converged). denman_beavers
    // tells these apart in its second iteration: with a budget of one, both are indefinite.
    Tensor status;
    Tensor residual;         // f32: the last max |M - I| (before that product), infinity for failed matrices
    Tensor iterations_used;  // u32
    bool one_workgroup = true;
    bool guarded = true;
};

// X = (A + damping I)^(-1/p), n x n, n <= 4096, for each matrix of the batch. A f32, f16 or bf16, of which
// (A + A^T) / 2 is taken, in f32; X f32, symmetric bit for bit, may be A.
//
// A is scaled by a power of two first, so that its size does not matter (but for subnormal elements, see
// linalg.hpp). An iteration stops on its own for each matrix: when max |M - I| (M -> I is what the iteration
// watches) is below the tolerance, or rounding errors let it grow again, in which case the better iterate is
// kept. Ends with a status of ok when the last error is below 64 (two words: 2) times the tolerance. The
// start is always the identity, except with `guess`: for p > 1 iterates must commute with A; from any other
// start they converge to something else.
//
// Small matrices: one workgroup each, all of a level in one dispatch, all iterations in it (n <= 36 with 16
// KiB of shared memory, 52 with 32, 72 with 64). Large ones: products at half price, and two levels more an
// iteration that look at the result. The whole budget is recorded, but a matrix that has stopped costs next
// to nothing from then on (denman_beavers still factors it, 2 n^3 / 3 FLOPs). Bytes: 8 n^2 in one workgroup;
// 16 n^2 a product, 4 n^2 (p >= 4: 12 n^2) for each look. Workspace: 16 to 32 n^2 bytes.
//
// With two words always products, however small the matrix, of 10.5 n^3 FLOPs in place of n^3 and without
// matrix units; bytes 24 n^2 a product, 24 n^2 a look, workspace 40 to 56 n^2; at most 2^31 - 1 elements.
//
// Accuracy, kappa the condition number of A + damping I, u = 2^-24, k the iterations used, r the residual:
// |X^p (A + damping I) - I|_F <= 2 n kappa u (for p > 4 times p / 2) + 4 n p k u + (n r)^2. An iteration
// rounds X by up to 4 u apart from M, which decides for small, well-conditioned matrices. Square root: |Y^2 -
// A|_F <= 20 n u |A|_F. From a guess: |X - A^-1|_F <= 2 sqrt(n) kappa u |A^-1|_F of the damped A. In two
// words: |X - (A + damping I)^(-1/p)|_F <= (u + n kappa 2^-52 + (n r)^2) |X|_F.
HERON_API void inverse_root(Graph& graph, const Tensor& a, const Tensor& x,
                            const InverseRootOptions& options = {});
// Whether inverse_root() takes the one-workgroup form for matrices of n rows.
HERON_API bool inverse_root_fits_one_workgroup(const Device& device, std::uint64_t n,
                                               const InverseRootOptions& options = {});

}  // namespace heron
