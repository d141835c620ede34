// SPDX-License-Identifier: MIT
// GaLore (arXiv 2403.03507), as jiaweizzhao/GaLore: Adam, Adafactor or Lion on a gradient that is projected
// to r dimensions, singular vectors of the gradient every `refresh.interval` steps. For hidden matrices;
// vectors get the inner optimizer itself.
//
//   first step, and every interval: G = U S V^T; P the first r columns of U (left) or V (right)
//   right   L = G P       W' = W - lr scale N P^T
//   left    L = P^T G     W' = W - lr scale P N
//   full    L = P_l^T G P_r,  W' = W - lr scale P_l N P_r^T
//   adamw       m <- m + (1 - b1)(L - m);  v <- v + (1 - b2)(L^2 - v);  N = c m / (sqrt(v) + eps),
//               c = sqrt(1 - b2^t) / (1 - b1^t);  then W' <- (1 - lr wd) W'
//   adafactor   N of Adafactor's rule for L, eps added to the squares, the update (lr included) averaged by
//               b1 > 0; W decays before it is updated
//   lion        W' = W - lr sign(back from (m + (1 - b1)(L - m)));  m <- m + (1 - b2)(L - m); decay as
//   adamw's
//
// P of r columns, r at most the shorter side; those beyond the gradient's rank may be zero on the longer
// side. A gradient of zeros leaves P as it is (the first P is random).
//
// Signs. Old moments meet a new basis at a refresh, and a decomposition knows its vectors up to signs alone:
// each takes the side of the vector before it. The authors' code has whatever its library returns.
//
// A parameter with more than two axes is out x (the rest), or a batch of matrices (MatrixView).
//
// State, f32, for an m x n matrix with its basis of the shorter side k, the longer one l: <parameter>.left or
// .right, k x r; .m and .v, l x r each (16 bits: bf16; 8 bits: .m, .v and a 64th of that as .m_scale,
// .v_scale; lion: .m alone; adafactor: .row, .col, l + r, and .m with beta1). FLOPs of a step: 4 m n r + 12 l
// r; bytes, with f32 tensors: 28 m n + 32 l r; 8 m n of them for N P^T, which a product writes and the
// weights' pass reads (see Trion). A refresh is an svd() (heron/linalg/svd.hpp) of G: about 10 k^2 (6 l + 4
// k) FLOPs; with `iterations` a truncated_svd(): 4 m n r an iteration, and orthonormalisations of l x r.
#pragma once

#include "heron/optim/adafactor.hpp"
#include "heron/optim/refresh.hpp"
#include "heron/train.hpp"

namespace heron {

// The side that is projected.
enum class GaLoreProjection {
    standard,  // the shorter one: right for m >= n, else left
    reverse,   // the longer one
    left,
    right,
    full,  // both: r x r
};

enum class GaLoreInner { adamw, adafactor, lion };  // what steps in the subspace, and takes vectors

// What becomes of moments when the basis changes from P to P'.
enum class GaLoreMoments {
    keep,    // they stay as they are (the authors' code)
    rotate,  // m goes with R = P^T P', v with the squares of R's elements; not for Adafactor
};

struct GaLoreOptions {
    // Scripts: 128 to 1024; the shorter side where that is smaller. 0: no projection, the inner optimizer
    // itself for every parameter (a group without rank).
    std::uint32_t rank = 128;
    float lr = 1e-3f;             // finite, >= 0; the authors' code, as all defaults here (scripts: 0.01)
    double beta1 = 0.9;           // [0, 1); Adafactor: of the update, 0: none (the authors' default there)
    double beta2 = 0.999;         // [0, 1); not Adafactor's (Lion's authors: 0.99)
    float eps = 1e-6f;            // finite, >= 0; of AdamW, beside the root of the uncorrected v
    float weight_decay = 0.0f;    // finite, >= 0; multiplied by lr
    bool bias_correction = true;  // of AdamW
    float scale = 1.0f;           // finite, >= 0; of the update of matrices (scripts: 0.25)
    GaLoreProjection projection = GaLoreProjection::standard;
    // `update_proj_gap` is the interval. Every parameter has a first basis in the first step (`first` is 0
    // or 1); with stagger later ones come in turns.
    RefreshPolicy refresh{.interval = 200, .stagger = false};
    // 0: all singular vectors, by svd(). Above, to 64: so many subspace iterations that begin with the basis
    // before (heron/linalg/svd.hpp, truncated_svd): far cheaper for r well below the shorter side, and close
    // where the spectrum falls.
    std::uint32_t iterations = 0;
    GaLoreMoments moments = GaLoreMoments::keep;
    // Of AdamW's and Lion's moments of matrices: 32, or of heron/optim/moments.hpp 16, MomentFormat::bf16, or
    // 8 (the authors' AdamW8bit), MomentFormat::block8. Not with rotate. Vectors, which are few, keep f32.
    std::uint32_t moment_bits = 32;
    GaLoreInner inner = GaLoreInner::adamw;
    // Adafactor's, in the form of transformers. The first two, scale_parameter and relative_step, are off in
    // the authors' scripts: the rate of a parameter times max(adafactor_eps2, RMS(W)), W all of it, and a
    // rate that the step's number bounds (it takes the schedule's factors with lr).
    bool scale_parameter = false;
    AdafactorRate adafactor_rate = AdafactorRate::constant;
    float adafactor_eps2 = 1e-3f;   // finite, >= 0
    double adafactor_decay = -0.8;  // exponent of t, below 0
    float adafactor_eps = 1e-30f;   // finite, >= 0
    float clip_threshold = 1.0f;    // finite, > 0
    Schedule schedule;
};

class HERON_API GaLore : public Optimizer {
public:
    // Throws (invalid_argument) naming the option that is out of range.
    explicit GaLore(const Device& device, const GaLoreOptions& options = {});
    const GaLoreOptions& options() const { return options_; }

private:
    // Refuses matrices whose shorter side is above 4096.
    void check(const Parameter& parameter) const override;
    std::vector<HyperValue> hyper() const override;
    std::string options_text() const override;
    void build(StepBuilder& step) const override;
    GaLoreOptions options_;
};

}  // namespace heron
