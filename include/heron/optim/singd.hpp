// SPDX-License-Identifier: MIT
// SINGD, structured inverse-free natural gradient descent (Lin et al., arXiv 2312.05705), with IKFAC (the
// same paper) and INGD (Lin et al., arXiv 2302.09738) as settings of it. Takes layers (optim/layer.hpp).
//
// Square-root factors K (order d = n, or n + 1 with a bias) and C (order m) of the *inverses* of K-FAC's
// factors, U^-1 ~ K K^T, V^-1 ~ C C^T, move by multiplicative steps: no inverse, no decomposition, so that
// they can be kept in 16 bits; and they can have a structure, on which Pi projects
// (heron/linalg/structure.hpp). With tr^ = trace / order, in refresh steps, from this batch alone:
//
//   H_K = Pi(K^T U K),  H_C = Pi(C^T V C)      U = mean of [a, 1][a, 1]^T, V of s s^T: LossReduction
//   m_K <- sigma (tr^(H_C) H_K + damping tr^(Pi(C^T C)) Pi(K^T K) - I) + alpha1 m_K;   m_C likewise
//   K <- K - beta K m_K,  C <- C - beta C m_C
//   sigma = 1/2, beta = lr_cov; with normalize_lr_cov sigma = (1 - alpha1) / 2, beta = lr_cov / max(1,
//   max|m|)
//
// and in every step   P = C C^T [G, g_b] K K^T,   then SGD's step with P in place of the gradient.
//
// Parameter::damping_scale of a layer's weight (heron/scaling.hpp) multiplies the damping of both by inputs
// times outputs; of IKFAC, whose factors have one each, m_K's by inputs, m_C's by outputs.
//
// K begins as I and moves slowly: the first hundreds of steps are much like momentum SGD's; warm up. lr_cov
// max|m| should stay below 1, which normalize_lr_cov takes care of.
//
// FLOPs, dense: a refresh N R (d^2 + m^2) + 6 (d^3 + m^3); every step 2 m d (m + d) + m^3 + d^3 (C C^T, K
// K^T), or 4 m d (m + d) where a side is more than twice as long as the other. With z stored elements (z = d
// for diagonals, 30 d for blocks of 30), c = z / d, a side takes 2 N R z + 2 z c (c + 4) a refresh and 4 m z
// a step; diagonals 2 m d. Toeplitz structures need all of U in a refresh: N R d^2 + 2 d^3. Bytes (f32) a
// step: 44 m d and 16 (m^2 + d^2), less where a side is long; of structures 60 m d, of diagonals 44 m d.
//
// State: <weight>.K, .C and, with alpha1 > 0, .K_momentum, .C_momentum in factor_dtype (with .<group> behind
// K and C for grouped convolutions), stored elements alone; <parameter>.momentum, f32 or bf16
// (MomentumStep::moments). Dense, f32: 8 (m^2 + d^2) + 4 m d bytes; diagonal 8 (m + d) + 4 m d. bf16: 2 m d
// less. <weight>.K_failures and .C_failures, u32, count refreshes that were not finite, and changed nothing.
// Elements of factors end at 65504.
#pragma once

#include <cstdint>

#include "heron/linalg/structure.hpp"
#include "heron/optim/layer.hpp"
#include "heron/optim/refresh.hpp"

namespace heron {

// Defaults are f-dangel/singd's, but for stagger.
struct SingdOptions {
    float lr = 1e-3f;  // finite, >= 0
    float lr_cov = 1e-2f;
    Schedule lr_cov_schedule;  // a factor on lr_cov
    double damping = 1e-3;     // finite, >= 0
    double alpha1 = 0.5;       // Riemannian momentum, [0, 1); 0: none
    bool normalize_lr_cov = false;
    // IKFAC: traces of the other factor count as 1, so that K K^T follows (U + damping I)^-1 itself; needs
    // alpha1 = 0.
    bool kfac_like = false;
    MatrixStructure inputs;   // of K
    MatrixStructure outputs;  // of C
    // Of K, C and their momenta: f32, f16 or bf16. Sums are f32.
    DType factor_dtype = DType::f32;
    // When a layer's factors move; before its first turn they are the identity. The official codes move all
    // layers' in the same steps.
    RefreshPolicy refresh{.interval = 10};
    MomentumStep step;  // momentum 0.9, no decay
    ConvScaling conv_scaling = ConvScaling::shared;
    Schedule schedule;

    HERON_API static SingdOptions ikfac();  // kfac_like, and alpha1 = 0
    // The code of arXiv 2302.09738: dense, lr_cov 2e-4 in the first 101 steps and 2e-3 up to the 500th,
    // weight decay 1e-2 after 20 refreshes, convolutions scaled as alecwangcq's, whose statistics it has.
    //
    // refresh_interval is its TInv, and its TCov, of statistics. Where they differ (faster = False there), it
    // begins to decay after 20 TCov steps: step.decay_from; and a refresh reads the statistics of the last
    // step that TCov divides, which is its own if TInv is a multiple; else the application has to leave the
    // captures of that step where they are.
    HERON_API static SingdOptions ingd(float lr_cov = 1e-2f, std::uint32_t refresh_interval = 10);
};

class HERON_API Singd : public LayerOptimizer {
public:
    // Throws (invalid_argument) naming the option that is out of range.
    explicit Singd(const Device& device, const SingdOptions& options = {});
    const SingdOptions& options() const { return options_; }

private:
    void check_layer(const Layer& layer) const override;
    std::vector<HyperValue> hyper() const override;
    std::string options_text() const override;
    void build(StepBuilder& step) const override;
    SingdOptions options_;
};

}  // namespace heron
