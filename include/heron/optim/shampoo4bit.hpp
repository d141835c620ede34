// SPDX-License-Identifier: MIT
// 4-bit Shampoo (Wang, Zhou et al., arXiv 2405.18144; code: Sike-Wang/low-bit-Shampoo): Shampoo for matrices
// whose factors are kept as quantised eigenvectors with f32 eigenvalues, and whose roots are quantised beside
// an f32 diagonal. Quantising a factor itself loses the small eigenvalues, which the root makes the large
// ones.
//
// A parameter's axes of length 1 go, all but the first of the others become one; what is left as a vector is
// not preconditioned. The matrix is cut into blocks of at most block_size rows and columns. In step t, for
// each block and both sides (S = G G^T, G^T G):
//
//   statistics:  A = beta V diag(e) V^T + (1 - beta) S, V rectified t1 times
//                Q R = A V;   e = diag(Q^T A Q);   V = Q                                 first: I, epsilon
//   roots:       X = V diag(e + epsilon max e)^(-1/4) V^T, V rectified t2 times          first: I
//   P = X_L G X_R;   P <- P |G| / (|P| + 1e-12), norms of the whole parameter;   before start_step: P = G
//   SGD:         P <- P + wd W;   B <- mu B + P;   W <- W - lr B, or W - lr (P + mu B)
//   AdamW:       W <- (1 - lr wd) W;   then AdamW's moments and step, P in place of G
//
// Rectified (Bjorck): V^T <- 1.5 V^T - 0.5 V^T V V^T, for what quantisation took from orthonormality; f32
// factors are not. The QR has LAPACK's signs, each diagonal element of R against its pivot's: the levels are
// not symmetric, and codes depend on signs.
//
// FLOPs of an m x n matrix: 2 m n (m + n) in every step; for statistics m n (m + n), and for a side of n
// (7.7 + 3 t1) n^3; for a root (3 t2 + 1) n^3. Bytes (f32, SGD): 64 m n + 8.6 (m^2 + n^2) in every step.
//
// State: <parameter>.momentum (SGD with momentum), .m and .v (AdamW), f32 or bf16, each 4 or 2 bytes an
// element; for both sides a = 0 (rows) and 1, all blocks one after the other: basis<a>_codes and
// root<a>_codes (u32, linalg/quantize.hpp), basis<a>_absmax, root<a>_absmax, root<a>_diagonal, eigenvalues<a>
// (f32): of 4 bits about 1.13 n^2 bytes a side in place of 8 n^2. Sides of few elements, and all with bits =
// 32, are f32: basis<a> (V^T) and root<a>.
// A refresh that is not finite, or of a factor that is zero, keeps what there is; failures<a>, u32, count the
// roots' for each block.
#pragma once

#include <cstdint>

#include "heron/optim/moments.hpp"
#include "heron/optim/refresh.hpp"
#include "heron/train.hpp"

namespace heron {

enum class Shampoo4BitBase { sgd, adamw };  // what takes the preconditioned gradient

// What of a factor is kept.
enum class Shampoo4BitStorage {
    eigenvectors,
    // A itself, its diagonal in f32: the naive way that the paper compares with. factor<a>... in place of
    // basis<a>... and eigenvalues<a>; roots by Newton's iteration alone.
    factor,
};

enum class Shampoo4BitRoot {
    eigenvectors,
    // Coupled Newton for A + epsilon lambda I, at most ten iterations as in the official code: enough for
    // condition numbers to some thousands, larger ones end as if epsilon were larger. lambda by ten steps of
    // power iteration from <parameter>.vector<a> (f32), drawn anew after each refresh. 84 n^3 FLOPs; 1 x 1
    // factors keep the root 1.
    newton,
};

// Defaults are the official code's, but bits (32 there) and staggering.
struct Shampoo4BitOptions {
    Shampoo4BitBase base = Shampoo4BitBase::sgd;
    float lr = 0.1f;             // finite, >= 0; AdamW's: 0.001, adamw()
    double momentum = 0.9;       // mu of SGD, [0, 1)
    bool nesterov = false;       // of SGD
    double beta1 = 0.9;          // of AdamW, [0, 1)
    double beta2 = 0.999;        // of AdamW, [0, 1)
    float eps = 1e-8f;           // of AdamW, finite, >= 0
    float weight_decay = 0.0f;   // finite, >= 0
    double factor_decay = 0.95;  // beta, [0, 1]; 1: a sum, in which S counts whole
    float epsilon = 1e-6f;       // finite, >= 0; with eigenvectors at least 2^-24. Also the first eigenvalues
    std::uint32_t bits = 4;      // 2, 4, 8; 32: not quantised
    std::uint32_t quantizer_block = 64;   // elements that share a scale, a multiple of 16, 16..4096
    std::uint32_t least_elements = 4096;  // sides with fewer than this, n^2, are f32
    Shampoo4BitStorage storage = Shampoo4BitStorage::eigenvectors;
    Shampoo4BitRoot root = Shampoo4BitRoot::eigenvectors;
    std::uint32_t statistic_rectifications = 1;  // t1, 0..8
    std::uint32_t root_rectifications = 4;       // t2, 0..8
    std::uint32_t block_size = 1200;             // 1 or more; Optimizer::add() refuses sides above 4096
    // In steps that the intervals divide, T1 and T2; with `stagger` as many steps after each of these as the
    // block's turn is, the same in both: that of the longer interval.
    RefreshPolicy statistics{.interval = 100};
    RefreshPolicy roots{.interval = 500};
    std::uint32_t start_step = 1;  // at least 1
    // Of B, or of m and v; f32 or bf16. Steps are along what they were before they are rounded.
    MomentFormat moments = MomentFormat::f32;
    Schedule schedule;

    HERON_API static Shampoo4BitOptions adamw();  // on AdamW
};

class HERON_API Shampoo4Bit : public Optimizer {
public:
    // Throws (invalid_argument) naming the option that is out of range.
    explicit Shampoo4Bit(const Device& device, const Shampoo4BitOptions& options = {});
    const Shampoo4BitOptions& options() const { return options_; }

private:
    void check(const Parameter& parameter) const override;
    std::vector<HyperValue> hyper() const override;
    std::string options_text() const override;
    void build(StepBuilder& step) const override;
    Shampoo4BitOptions options_;
};

}  // namespace heron
