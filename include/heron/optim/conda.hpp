// SPDX-License-Identifier: MIT
// Conda, column-normalized Adam (arXiv 2509.24218), as jie040109/Conda: Adam whose second moment lives in the
// singular basis B of the first, on the shorter side, refreshed rarely. For hidden matrices; vectors get
// plain Adam, with Conda's order of decay.
//
//   m <- m + (1 - b1)(g - m);  every `gap` steps: B = singular vectors of m
//   v <- v + (1 - b2)((g B)^2 - v);  D = c (m B) / (sqrt(v) + eps),  c = sqrt(1 - b2^t) / (1 - b1^t), or 1
//   W <- W - lr scale D B^T;  then W <- (1 - lr wd) W                    wide matrices: B^T g and B D
//
// v is not rotated when the basis changes. With CondaSide::longer tall and square matrices have B on the
// left, B^T g and B D, wide ones on the right: B is K x k, K = max(m, n), v and D are k x k, and what of the
// gradient lies outside of B's columns is lost; the authors' code (reverse_std) can do that to square
// matrices alone, and has a two-sided form (full) for these, which is not here. A parameter with more than
// two axes is out x (the rest), or a batch of matrices (MatrixView).
//
// State: m and v, f32 or bf16, and B, f32 (k x k for each m x n matrix, k = min(m, n)), as above:
// <parameter>.m, .v, .basis; B goes into checkpoints, so that a resumed training keeps it (the authors' code
// takes a new one). FLOPs of a step: 6 m n k + 19 m n; bytes, with f32 tensors: 72 m n + 12 k^2, 8 m n of
// them for D B^T, which a product writes and the weights' pass reads (see Trion). A refresh is an svd()
// (heron/linalg/svd.hpp) of m: about 10 k^2 (6 max(m, n) + 4 k) FLOPs.
//
// 4 m n of the bytes are the copy of G that the product reads: only the kernels that read a gradient know its
// dtype, the step's scale and clipping, and the sum of micro-batches. g B and m B are two products: one of
// doubled rows would read B once instead of twice, k^2 elements fewer, and take a copy of m beside that of G,
// 2 m n elements more.
#pragma once

#include "heron/optim/moments.hpp"
#include "heron/train.hpp"

namespace heron {

// Whose singular vectors B holds.
enum class CondaSide { shorter, longer };

struct CondaOptions {
    float lr = 1e-3f;           // finite, >= 0; the authors' code, as all defaults here (their scripts: 0.01)
    double beta1 = 0.9;         // [0, 1)
    double beta2 = 0.999;       // [0, 1); scripts: 0.99
    float eps = 1e-8f;          // finite, >= 0; beside the root of the uncorrected v
    float weight_decay = 0.0f;  // finite, >= 0; multiplied by lr, and applied after the update
    bool bias_correction = true;  // c above; else 1
    // Steps between two bases (scripts); the first step takes one in any case. At most 2^31. 0: no basis,
    // plain Adam for every parameter.
    std::uint32_t gap = 2000;
    // Parameters take turns: refreshes are dealt to that many different steps of the gap. 1: all in one step,
    // as the authors' code; at most gap. Each adds the dispatches of a refresh to the plan.
    std::uint32_t stagger = 1;
    float scale = 1.0f;  // finite, >= 0; of the update of matrices (scripts: 0.25)
    CondaSide side = CondaSide::shorter;
    // Of m and v; f32 or bf16. Steps and bases are of what they were before they are rounded: of matrices in
    // bf16 that is 4 bytes an element of workspace.
    MomentFormat moments = MomentFormat::f32;
    Schedule schedule;
};

class HERON_API Conda : public Optimizer {
public:
    // Throws (invalid_argument) naming the option that is out of range.
    explicit Conda(const Device& device, const CondaOptions& options = {});
    const CondaOptions& options() const { return options_; }

private:
    // Refuses matrices whose shorter side is above 4096.
    void check(const Parameter& parameter) const override;
    std::vector<HyperValue> hyper() const override;
    std::string options_text() const override;
    void build(StepBuilder& step) const override;
    CondaOptions options_;
};

}  // namespace heron
