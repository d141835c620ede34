// SPDX-License-Identifier: MIT
// Online Subspace Descent (arXiv 2408.12857), as kyleliang919/Online-Subspace-Descent: GaLore whose basis P
// takes a gradient step in each step, instead of a decomposition now and then.
//
//   first step: P about the first r singular vectors of G (`iterations`), on the shorter side, as GaLore's
//   L, moments, N, W' <- W - lr scale N P^T (P N), decay: as GaLore's (heron/optim/galore.hpp); then, from
//   the second step on, with the gradient q, by P, of |G P P^T - G|_F^2 / |G|_F^2 (left: |P P^T G - G|^2):
//   adamw   m <- m + (1 - b1)(q - m);  v <- v + (1 - b2)(q^2 - v);  s = t - 1 steps so far
//           P <- (1 - a wd) P - a (m / (1 - b1^s)) / (sqrt(v / (1 - b2^s)) + eps),  a = rate x schedule
//   sgd     P <- P - a q
//   lion    P <- (1 - a wd) P - a sign(b1 m + (1 - b1) q);  then m <- b2 m + (1 - b2) q
//
// P is not made orthonormal again: the loss pulls it back. The paper's loss has lambda |P^T P - I|_F^2 beside
// it (`orthogonality`), the authors' code has not. A gradient of zeros leaves P and its moments.
//
// The signs of the first basis make no difference to W.
// With r the whole shorter side nothing is left of the gradient: q is rounding alone, of which Adam and Lion
// make steps as large as of anything, so that P wanders by about its rate. GaLore's keeps such a basis.
//
// State, f32, for an m x n matrix, k its shorter side and l the longer: GaLore's, and <parameter>.left_m and
// .left_v (or right), k x r each (lion: the first alone, sgd none). FLOPs of a step: 6 m n r + 4 l r^2 +
// 8 k r^2 + 12 l r; bytes, with f32 tensors: 36 m n + 36 l r + 60 k r: GaLore's, and two more passes over G.
#pragma once

#include "heron/optim/galore.hpp"

namespace heron {

enum class SubspaceRule {
    adamw,
    sgd,
    lion,
    random,  // a random orthonormal basis, another one every `interval` steps; no decomposition, no descent
};

// How a basis moves.
struct SubspaceDescentOptions {
    SubspaceRule rule = SubspaceRule::adamw;
    // Finite, >= 0; the schedule of the weights' rate multiplies it (set_learning_rate() does not). 1 /
    // update_proj_gap in the authors' code.
    float rate = 1.0f / 200;
    double beta1 = 0.9;            // [0, 1)
    double beta2 = 0.999;          // [0, 1); the authors' Lion: 0.99
    float eps = 1e-8f;             // finite, >= 0
    float weight_decay = 0.01f;    // finite, >= 0; torch's AdamW's, and so the authors'. Their Lion's: 0
    std::uint32_t interval = 200;  // 1 to 2^31; of SubspaceRule::random
    float orthogonality = 0.0f;    // finite, >= 0: lambda
};

struct OnlineSubspaceDescentOptions {
    std::uint32_t rank = 128;     // as GaLoreOptions, and all defaults up to `projection`
    float lr = 1e-3f;             // finite, >= 0
    double beta1 = 0.9;           // [0, 1)
    double beta2 = 0.999;         // [0, 1); Lion's: 0.99
    float eps = 1e-6f;            // finite, >= 0
    float weight_decay = 0.0f;    // finite, >= 0; multiplied by lr
    bool bias_correction = true;  // of AdamW
    float scale = 1.0f;           // finite, >= 0; of the update of matrices
    // Adafactor has the options that GaLoreOptions has by default.
    GaLoreInner inner = GaLoreInner::adamw;
    std::uint32_t moment_bits = 32;  // as GaLoreOptions::moment_bits
    GaLoreProjection projection = GaLoreProjection::standard;
    // Of the first basis, as GaLoreOptions::iterations. 0: svd(), as the authors' code; its dispatches,
    // thousands for sides of 1024, are empty in all later steps and yet recorded.
    std::uint32_t iterations = 4;
    SubspaceDescentOptions descent;
    Schedule schedule;
};

class HERON_API OnlineSubspaceDescent : public Optimizer {
public:
    // Throws (invalid_argument) naming the option that is out of range.
    explicit OnlineSubspaceDescent(const Device& device, const OnlineSubspaceDescentOptions& options = {});
    const OnlineSubspaceDescentOptions& options() const { return options_; }

private:
    // Refuses matrices whose shorter side is above 4096.
    void check(const Parameter& parameter) const override;
    std::vector<HyperValue> hyper() const override;
    std::string options_text() const override;
    void build(StepBuilder& step) const override;
    OnlineSubspaceDescentOptions options_;
};

}  // namespace heron
