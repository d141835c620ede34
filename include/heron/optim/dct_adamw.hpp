// SPDX-License-Identifier: MIT
// DCT-AdamW (arXiv 2505.17967), as IST-DASLab/ISTA-DASLab-Optimizers: AdamW whose moments live in the r
// directions of a cosine basis with the largest coefficients. For matrices; vectors and very large parameters
// get AdamW.
//
//   A = G + E;  in the first step and each whose number is a multiple of `gap`: S = A Q for m >= n, else
//   Q^T A; the r columns (rows) of S with the largest norms are chosen, P those columns of Q
//   a = A P (P^T A);  E <- A - a P^T;  m <- m + (1 - b1)(a - m);  v <- v + (1 - b2)(a^2 - v)
//   W <- (1 - lr wd) W - lr u P^T (P u),  u = (m / (1 - b1^t)) / (sqrt(v / (1 - b2^t)) + eps)
//
// Q[i][j] = s_i cos(pi i (2 j + 1) / (2 k)), the matrix of the DCT-II, k = min(m, n), or its transpose. Each
// parameter has the basis of its own short side (the authors' code has one for all, whose sides must agree).
// A parameter with more than two axes is out x (the rest), or a batch of matrices (MatrixView).
//
// Slots. Column (row) j of the moments belongs to the vector in slot j. A vector that is chosen again keeps
// its slot; the others, in rising order, take the free slots, in rising order; at first all are free. In the
// authors' code each choice has slots in the order that its top-k routine happens to return. With `rotate`,
// where moments go with their vector and begin at 0 for a new one, the order makes no difference to the
// weights; without it moments stay with their slot, and here a vector that stays keeps its own.
//
// E in b = 4 or 8 bits: of each row the least element e and the step s = (the largest - e) / (2^b - 1), f32,
// and of each element the code floor((x - e) / s + 1/2): an error of at most s / 2. (MicroAdam, arXiv
// 2405.15593.) The authors' 8 bits divide by 15, too, and are what 4 are here; their 4 bits come back in
// another order (all even elements, then all odd ones), which is not copied. What is saved is state, in
// memory and in checkpoints: in the step A is a matrix in f32 of the workspace.
//
// Not here: their exception that layers of 512 or 1024 x 3584 or 4096 are projected on the longer side. It is
// there for a network (Llama 3 8B, Qwen2.5 7B) whose other layers have made their one basis that large.
//
// State: m and v, f32, K x r for K = max(m, n) (in the matrix's orientation), <parameter>.m, .v; the numbers
// of the vectors, .indices; with rotation the step since which each has its slot, .since; with error
// feedback E, f32, as large as the parameter, .error, or its codes, .error_codes, and .error_ranges, 8 bytes
// a row. FLOPs: 2.5 m n log2 k (2 m n k by products) every `gap` steps, 2 m n r (+ 2 m n r with error
// feedback, or with gap > 1) + 12 K r; bytes, with f32 tensors: 36 m n + r (36 K + 8 k), and 4 k^2 for a
// transform by products; with error feedback 48 m n (52 + b / 4 in b bits) and r (4 K + 4 k) more; 8 m n of
// them for u P^T, which a product writes and the weights' pass reads (see Trion).
#pragma once

#include "heron/train.hpp"

namespace heron {

// The vectors that a DCT-AdamW projects on.
enum class DctVectors {
    columns,  // of Q: coefficients by the DCT-III ("matmul" in the authors' code)
    rows,     // of Q: coefficients by the DCT-II ("makhoul")
};

struct DctAdamWOptions {
    std::uint32_t rank = 0;     // at least 1, has no default; the short side where that is smaller
    float lr = 1e-3f;           // finite, >= 0; has no default in the authors' code, here AdamW's
    double beta1 = 0.9;         // [0, 1); the authors' code, as all that follow
    double beta2 = 0.999;       // [0, 1)
    float eps = 1e-8f;          // finite, >= 0
    float weight_decay = 0.0f;  // finite, >= 0; multiplied by lr
    std::uint32_t gap = 1;      // steps between two choices, 1 to 2^31
    bool rotate = false;        // moments follow their vectors from choice to choice
    bool error_feedback = false;
    std::uint32_t error_bits = 32;  // of an element of E between steps: 4, 8 or 32 (f32)
    DctVectors vectors = DctVectors::columns;
    // p of the norms (sum |x|^p)^(1/p) of coefficients, above 0; infinity: their largest. ("makhoul": always
    // 1.) Norms beyond f32, which small p come to (many elements, p < 0.1), are infinite, and so equal.
    float norm = 1.0f;
    // Norms of coefficients are multiplied by the same norm of the vector, which is 1 with p = 2: the
    // authors' negative ell_norm.
    bool weighted_norms = false;
    std::uint64_t max_side = 32000;  // parameters with a side as long as that get AdamW
    Schedule schedule;
};

class HERON_API DctAdamW : public Optimizer {
public:
    // Throws (invalid_argument) naming the option that is out of range.
    explicit DctAdamW(const Device& device, const DctAdamWOptions& options);
    const DctAdamWOptions& options() const { return options_; }

private:
    // Refuses matrices whose shorter side is above 8192.
    void check(const Parameter& parameter) const override;
    std::vector<HyperValue> hyper() const override;
    std::string options_text() const override;
    void build(StepBuilder& step) const override;
    // As matrices; none where the parameter gets AdamW.
    bool projects(const Parameter& parameter) const;
    DctAdamWOptions options_;
};

}  // namespace heron
