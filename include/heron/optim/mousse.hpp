// SPDX-License-Identifier: MIT
// Mousse (arXiv 2603.09697): Muon between weak whiteners, with the size of what was orthogonalized grafted
// on. For hidden matrices, as Muon.
//
//   M <- mu M + G;   U = M, or G + mu M (Nesterov)
//   L <- beta L + (1 - beta) G G^T,   R <- beta R + (1 - beta) G^T G       first: 0
//   refresh:  S_L = (L m / tr L + 2 eps I)^-alpha,   S_R = (R n / tr R + 2 eps I)^-alpha
//   X = S_L U S_R;   O = polar(X);   D = S_L O S_R |O| / |S_L O S_R|;   W <- W - lr wd W - lr factor(m, n) D
//
// (The official code adds eps before and after it takes eigenvalues. The trace takes the averages' bias
// correction away, too.) A parameter with more than two axes is out x (the rest), or a batch of matrices
// (MatrixView::batch).
//
// Eigenvalues up to n 2^-23 of the largest are what f32 makes of zero, and count as that. Where 2 eps is
// smaller still, they get the root of the smallest of the others in the step that renews the whiteners, as
// Shampoo's: U has nothing there but roundings, which polar() would magnify again. The steps until the next
// refresh have the root of 2 eps there, as the official code in float64 (zero ends at sqrt(n) 2^-24 then).
// Without eps they go on with the other.
//
// FLOPs beside Muon's: 5 m n (m + n) in every step; two matrix_power(), and m^3 + n^3, in a refresh; bytes
// (f32): 76 m n + 24 (m^2 + n^2) in every step, 16 m n of them for the graft (two norms, and D's scaling).
//
// State, f32: <parameter>.momentum; for each block .L, .L_whitener, .R, .R_whitener, together 4 (m n + 2 m^2
// + 2 n^2) bytes. A refresh without a root (an average that is zero or not finite) keeps the last whitener,
// at first the identity: <parameter>.L_failures and .R_failures count them, u32, one for each block. With
// `diagnostics` also .L_condition and .R_condition, f32, what condition_estimate() says of each block's
// factor at its last refresh (0 before it and without a factor, the largest f32 where it has no root).
#pragma once

#include <cstdint>

#include "heron/linalg.hpp"
#include "heron/optim/matrix.hpp"
#include "heron/optim/moments.hpp"
#include "heron/optim/refresh.hpp"
#include "heron/train.hpp"

namespace heron {

// Which of the whiteners there are: the other side's is the identity, and has no state.
enum class MousseSides { both, left, right };

// Defaults are those of the official code, Anti-Entrophic/Mousse; lr and weight_decay are ours.
struct MousseOptions {
    float lr = 0.02f;        // finite, >= 0
    double momentum = 0.95;  // mu, [0, 1)
    bool nesterov = false;
    double factor_decay = 0.95;  // beta, [0, 1)
    double exponent = 0.125;     // alpha, (0, 1]; 1/2 is FISMO's
    float damping = 1e-10f;      // eps, finite, >= 0
    bool graft = true;           // off: D is not scaled
    MousseSides sides = MousseSides::both;
    // A refresh scales L and R themselves to a mean eigenvalue of 1, so that they forget the size of
    // gradients before it (the official code with LR_correction off).
    bool scale_in_place = false;
    // Of S_L and S_R, matrix by matrix: in the first step and every 10th from there on, with `stagger` as
    // much later as the matrix's turn is; until then the identity stands for them.
    RefreshPolicy refresh{.interval = 10};
    // Keeps the condition number of each factor at its last refresh, and the iterations of its root where it
    // has some, in states of their own, which checkpoints leave out. Nothing else is different.
    bool diagnostics = false;
    std::uint32_t max_order = 4096;  // sides with more rows or columns have no factor; 1..4096
    float weight_decay = 0.01f;      // finite, >= 0; multiplied by lr
    DecayForm decay = DecayForm::decoupled;
    ShapeFactor shape_factor = ShapeFactor::sqrt_ratio;
    MomentFormat moments = MomentFormat::f32;  // of M
    // you5, norm + 1e-8
    PolarOptions polar{.coefficients = newton_schulz_coefficients("you5"), .eps = 1e-8};
    Schedule schedule;
};

class HERON_API Mousse : public Optimizer {
public:
    // Throws (invalid_argument) naming the option that is out of range.
    explicit Mousse(const Device& device, const MousseOptions& options = {});
    const MousseOptions& options() const { return options_; }

private:
    void check(const Parameter& parameter) const override;
    std::vector<HyperValue> hyper() const override;
    std::string options_text() const override;
    void build(StepBuilder& step) const override;
    MousseOptions options_;
};

}  // namespace heron
