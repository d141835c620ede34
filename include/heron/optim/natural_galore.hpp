// SPDX-License-Identifier: MIT
// Natural GaLore (arXiv 2410.16029; selfsupervised-ai/Natural-GaLore): GaLore whose projected gradient l, as
// a vector, is multiplied by the inverse of a damped empirical Fisher matrix before Adam sees it, made of the
// last s projected gradients, l among them:
//
//   H = [l of the last s steps];  l <- (lambda I + H H^T)^-1 l = H (lambda I + H^T H)^-1 e_newest
//
// in the second form, which loses no digits (heron/linalg/woodbury.hpp, woodbury_range; the released code
// computes the difference of two nearly equal vectors). Rows of the history stay in the coordinates of the
// basis in which they came, so H^T H is not changed by a refresh. The rest is GaLore's
// (heron/optim/galore.hpp), with AdamW; vectors get AdamW itself.
//
//   paper   projection on the shorter side
//   core    on both sides, to r x r, as the released code does it (Tucker factors of a matrix are its
//           singular vectors; a tensor of more axes is out x (the rest) here, where that code decomposes it
//           along every axis)
//
// State, f32: GaLore's; <parameter>.history, s times the projected gradient (with s = 20 ten times Adam's
// moments), .gram s x s, .exponents s, .slot; .status (u32) and .damping (f32) of the last solve, one for
// each matrix of a batch; with keep_factor .factor and .system s x s and .factor_counts (5 u32,
// WindowFactor::counts) for each, too. FLOPs: GaLore's, and 4 s l r + 2 s^3 / 3; bytes: GaLore's, and
// 8 s l r + 12 l r, twice the first where a solve is refined (half of it with a 16-bit history); l r is r^2
// in the core form.
//
// With keep_factor 14 s^2 FLOPs take the place of 2 s^3 / 3 in steps that change no more of H^T H + lambda I
// than a row and its column: all but the first, every (s + 1)th after it, and those in which the scale of the
// system or a lambda that is raised comes to another power of two. That is no less work with the default
// history, and pays for long ones of small gradients, as in heron/optim/mfac.hpp.
//
// What a step reports in .status (Plan::read_state), a MatrixStatus: ok; jittered: lambda was raised, to what
// .damping says, which happens where it is below 4.8e-7 of the sum of squares of the history, as with the
// default and gradients of a norm above some 45 together; indefinite: the step took the projected gradient as
// it is; nonfinite: the history has a NaN, and Adam sees zeros until it has left, after s steps at most.
// Infinite gradients enter as +- 1.3e19, on most devices NaN too, unless skipped, as is the default.
#pragma once

#include "heron/optim/galore.hpp"
#include "heron/optim/online_subspace_descent.hpp"

namespace heron {

enum class NaturalGaLoreForm { paper, core };  // projection of the shorter side, or of both

enum class NaturalGaLoreBasis {
    singular,  // renewed by decompositions, as GaLore's
    descent,   // moved in each step but the first, as Online Subspace Descent's ("online_" in the released
               // code)
};

struct NaturalGaLoreOptions {
    std::uint32_t rank = 128;   // as GaLoreOptions, and all defaults up to `scale`
    float lr = 1e-3f;           // finite, >= 0
    double beta1 = 0.9;         // [0, 1)
    double beta2 = 0.999;       // [0, 1)
    float eps = 1e-6f;          // finite, >= 0
    float weight_decay = 0.0f;  // finite, >= 0; multiplied by lr
    bool bias_correction = true;
    float scale = 1.0f;  // finite, >= 0; of the update of matrices
    NaturalGaLoreForm form = NaturalGaLoreForm::paper;
    // s, to 1024; the released code. 0: no transform, which with the core form is the code's "galore".
    std::uint32_t history = 20;
    float lambda = 1e-3f;              // finite, > 0; the released code
    DType history_dtype = DType::f32;  // f16, bf16: half the memory; rows over powers of two, rounded
    NaturalGaLoreBasis basis = NaturalGaLoreBasis::singular;
    RefreshPolicy refresh{.interval = 200, .stagger = false};  // as GaLoreOptions::refresh
    std::uint32_t iterations = 0;                              // as GaLoreOptions::iterations
    SubspaceDescentOptions descent;                            // of NaturalGaLoreBasis::descent
    GaLoreMoments moments = GaLoreMoments::keep;               // of NaturalGaLoreBasis::singular
    std::uint32_t moment_bits = 32;                            // as GaLoreOptions::moment_bits
    // Adafactor has the options that GaLoreOptions has by default.
    GaLoreInner inner = GaLoreInner::adamw;
    // The Cholesky factor of H^T H + lambda I is a state in which a step replaces a row, and a lambda that is
    // raised becomes a power of two.
    bool keep_factor = false;
    Schedule schedule;
};

class HERON_API NaturalGaLore : public Optimizer {
public:
    // Throws (invalid_argument) naming the option that is out of range.
    explicit NaturalGaLore(const Device& device, const NaturalGaLoreOptions& options = {});
    const NaturalGaLoreOptions& options() const { return options_; }

private:
    // Refuses matrices whose shorter side is above 4096.
    void check(const Parameter& parameter) const override;
    std::vector<HyperValue> hyper() const override;
    std::string options_text() const override;
    void build(StepBuilder& step) const override;
    NaturalGaLoreOptions options_;
};

}  // namespace heron
