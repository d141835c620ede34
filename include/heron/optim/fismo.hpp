// SPDX-License-Identifier: MIT
// FISMO, Fisher-structured momentum-orthogonalized optimizer (Xu, Yan and Zhang, arXiv 2601.21750): Muon in
// the metric of a Kronecker-factored Fisher matrix. For hidden matrices, as Muon.
//
//   argmax <G, D> subject to |P^(1/2) D Q^(1/2)|_2 <= 1:   D = S_P polar(S_P^T G S_Q) S_Q^T
//   S_P S_P^T = P^-1,   S_Q S_Q^T = Q^-1
//
// Refresh, for an m x n gradient G (P with the Q of the refresh before; then Q with the new P):
//   P <- average of P and G Q^-1 G^T / n        Q <- average of Q and G^T P^-1 G / m
//   average: gamma F + (1 - gamma) (S + mu (tr F / order) I), then scaled to a mean eigenvalue of 1; first: I
// Step:
//   M <- beta M + (1 - beta) X,   X = G (MomentumSpace::gradient) or S_P^T G S_Q (whitened)
//   O = polar(S_P^T M S_Q), or polar(M);   W <- W - lr wd W - lr factor(m, n) S_P O S_Q^T
//
// With P = Q = I it is Muon. The order P, Q makes it asymmetric under transposition, as in the paper. A
// parameter with more than two axes is out x (the rest), or a batch of matrices (MatrixView::batch).
//
// FLOPs beside Muon's, Cholesky whitening of large matrices: 2.25 m n (m + n) in every step, in a refresh 2.1
// m n (m + n) + 0.7 (m^3 + n^3); bytes (f32): 32 m n + 6 (m^2 + n^2), in a refresh 36 m n + 54 (m^2 + n^2);
// of squares above 128, whose triangular products go in P panels, about (32 + 8 P) and (180 + 7 P) n^2 bytes.
// Muon's step of a square matrix has 20 n^3 FLOPs, this one 30 n^3 with a refresh, else 25.
//
// State, f32: <parameter>.momentum; for each block .P, .P_whitener, .Q, .Q_whitener, together 4 (m n + 2 m^2
// + 2 n^2) bytes. A refresh whose new factor has no root (not finite, or not positive definite in f32) keeps
// the last one that had: <parameter>.P_failures and .Q_failures count them, u32, one for each block
// (Plan::read_state). With `diagnostics` also .P_condition and .Q_condition, f32, what condition_estimate()
// says of each block's factor at its last refresh (0 before it and without a factor, the largest f32 where it
// has no root), for the FLOPs and bytes of that, and n^3 FLOPs more with Cholesky factors; with symmetric
// whitening and an exponent of 1/2 .P_iterations and .Q_iterations, u32, of its root.
#pragma once

#include <cstdint>

#include "heron/linalg.hpp"
#include "heron/optim/matrix.hpp"
#include "heron/optim/moments.hpp"
#include "heron/optim/refresh.hpp"
#include "heron/train.hpp"

namespace heron {

enum class StatisticScale {
    // Each statistic is scaled to a mean eigenvalue of 1 before it is damped and averaged: steps do not
    // depend on the size of the gradients, and damping is relative.
    unit_trace,
    // As printed: with gradients far below 1 the factors stay at the identity, far above 1 nothing is
    // averaged.
    paper,
};

enum class Whitening {
    // S = F^(-1/2), by inverse_root(): as printed; 15 to 40 n^3 FLOPs a refresh and factor.
    symmetric,
    // S = L^-T, F = L L^T: 0.7 n^3 FLOPs, and products with triangles. With the momentum in the space of the
    // gradient the same step; in the whitened space another one, since whiteners turn against each other as
    // factors move.
    cholesky,
};

enum class MomentumSpace {
    whitened,  // as printed; M is a sum of gradients that were whitened by the factors of their time
    gradient,  // M is Muon's
};

struct FismoOptions {
    float lr = 0.02f;            // finite, >= 0; as Muon's (the paper's is not known)
    double momentum = 0.95;      // beta, [0, 1); as Muon's
    bool nesterov = false;       // (1 - beta) X + beta M is orthogonalized in place of M
    double factor_decay = 0.95;  // gamma, [0, 1)
    float damping = 1e-3f;       // mu, finite, >= 0
    StatisticScale statistic_scale = StatisticScale::unit_trace;
    Whitening whitening = Whitening::cholesky;
    // e of S = F^-e, in (0, 1]; others than 1/2, for which S S^T is no longer F^-1 (in statistics neither),
    // need symmetric whitening. Relatives of FISMO whiten far more weakly (Mousse: 1/8).
    double exponent = 0.5;
    // The update S_P O S_Q^T gets the norm of O: steps are as long as Muon's.
    bool graft = false;
    MomentumSpace momentum_space = MomentumSpace::gradient;
    // Of factors, matrix by matrix: in the first step and every 10th from there on, with `stagger` as much
    // later as the matrix's turn is; until then the identity stands for them.
    RefreshPolicy refresh{.interval = 10};
    // Keeps the condition number of each factor at its last refresh, and the iterations of its root where it
    // has some, in states of their own, which checkpoints leave out. Nothing else is different.
    bool diagnostics = false;
    // A side with more rows or columns has the identity as its factor. 1..8192; symmetric: ..4096.
    std::uint32_t max_order = 4096;
    float weight_decay = 0.0f;  // finite, >= 0; multiplied by lr
    DecayForm decay = DecayForm::decoupled;
    ShapeFactor shape_factor = ShapeFactor::max_one_sqrt_ratio;
    MomentFormat moments = MomentFormat::f32;  // of M; block8 not in the whitened space
    PolarOptions polar;                        // muon x 5, norm + 1e-7
    bool exact_polar = false;                  // by polar_by_svd(), far slower; `polar` is left as it is then
    Schedule schedule;

    // Algorithm 1 as printed: symmetric whitening, momentum in the whitened space, statistics as they are, a
    // refresh in every step, no shape factor.
    HERON_API static FismoOptions paper();
};

class HERON_API Fismo : public Optimizer {
public:
    // Throws (invalid_argument) naming the option that is out of range.
    explicit Fismo(const Device& device, const FismoOptions& options = {});
    const FismoOptions& options() const { return options_; }

private:
    void check(const Parameter& parameter) const override;
    std::vector<HyperValue> hyper() const override;
    std::string options_text() const override;
    void build(StepBuilder& step) const override;
    FismoOptions options_;
};

}  // namespace heron
