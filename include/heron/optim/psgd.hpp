// SPDX-License-Identifier: MIT
// PSGD, preconditioned SGD with Kronecker factors (Xi-Lin Li, arXiv 1512.04202 and 2402.11858; Pooladzandi
// and Li, arXiv 2402.04553), in the form of psgd_torch's KronWhiten and KronNewton. For anything.
//
// P = Q^T Q, with Q the Kronecker product of a factor for every axis (axes of length 1 go), is fitted while
// it trains so that E[h^T P h + v^T P^-1 v] becomes small: by small relative steps that need products alone,
// no root and no inverse. Whitening has gradients or their momentum for h, and white noise v; Newton the
// Hessian's products h = H v. A tensor has N elements, an axis d of them; C(x) are the products of x with
// itself over all other axes, d x d. In step t:
//
//   M <- b M + (1 - b) G,   b = min(1 - 1 / t, momentum)
//   fit, of all axes from the same P h:
//     h <- h + (damping + 2^-23 |h|) z
//     T1 = C(P h),   T2 = N / d I (whitening), C(v) (Newton)
//     l = bound(T1 + T2);   L <- max(s L + (1 - s) l, l);   mu = preconditioner_lr / L
//     Q <- what the geometry makes of E = T1 - T2 and mu
//   D = P M, clipped;   W <- W - lr wd W - lr D
//
// z, and what else is random, is normal, of StepOptions::seed and the optimizer's name. An axis has a matrix
// for its factor where d <= max_order and d^2 <= max_skew N, else a diagonal, whose bound is the largest
// element: with the default skew only the shorter side of a matrix that is not square has a matrix. bound()
// is a lower estimate of the spectral norm, by a power iteration from `bound_rows` random vectors.
//
// Differences to psgd_torch: whether a step balances is drawn once for all parameters, whether it fits or not
// (drawn once there, too); a fit whose numbers are not finite leaves that factor as it is.
//
// FLOPs of an n x n matrix: 8 n^3 to precondition. A fit has 10 n^3 for P h and T1, and for the change 4 n^3
// (QEQ, EQ), 8 n^3 (QUAD), 10 n^3 (QEP), 12 n^3 (Q0.5EQ1.5; PRO4P up to 124 n^3); a bound 256 n^2 (two, with
// Q0.5EQ1.5) for each factor. Bytes (f32): 72 n^2 (with momentum 76) and, in a fit, 195 n^2 (QEQ) to 340 n^2
// (Q0.5EQ1.5; PRO4P 2000 n^2). Levels: 34 with Q0.5EQ1.5, 80 more for PRO4P's rotations, whatever the number
// of tensors.
//
// State, f32: for each axis a that is left, from 0, <parameter>.Q<a> (d^2 or d), .L (one for each axis),
// .momentum where there is one (f32 or bf16); .probe with Newton.
#pragma once

#include <cstdint>
#include <map>
#include <string>

#include "heron/optim/moments.hpp"
#include "heron/optim/refresh.hpp"
#include "heron/train.hpp"

namespace heron {

// The coordinates in which Q moves; E = T1 - T2.
enum class PsgdGeometry {
    // Q - mu E Q, then a rotation that makes Q nearly symmetric: psgd_torch's default, and the most robust.
    q05eq15,
    // Q - mu Q E
    qeq,
    // Q - mu E Q of T1 = C(Q P h), T2 = N / d Q Q^T or C(Q v); factors are balanced in every fit.
    qep,
    // (I - mu / 2 E) Q (I - mu / 2 E), symmetrised
    quad,
    // Q - mu triu(E) Q, triangular, of T1 = C(Q h), T2 = C(Q^-T v), where z is v: the papers' form. It solves
    // triangular systems.
    eq,
    // The factors are those of P, and applied once; more sensitive to rounding. As q05eq15, with up to ten
    // rotations of third order; and as quad, with mu in place of mu / 2.
    pro4p,
    quad4p,
};

enum class PsgdFit {
    gradient,  // whitens gradients
    // Whitens the momentum. psgd_torch recommends a rate smaller by sqrt((1 + momentum) / (1 - momentum)).
    momentum,
    hessian,  // Newton, with PsgdInputs::product
};

struct PsgdKronOptions {
    float lr = 1e-3f;  // finite, >= 0
    PsgdFit fit = PsgdFit::gradient;
    PsgdGeometry geometry = PsgdGeometry::q05eq15;
    double momentum = 0;             // [0, 1); PsgdFit::momentum needs one
    float preconditioner_lr = 0.1f;  // (0, 1]
    double smoothness_decay = 0.9;   // s of L, [0, 1); 0.999 for sparse gradients
    float damping = 1e-9f;           // finite, >= 0: P stays below 1 / damping
    // Q begins as initial_scale I (all factors together), P as its square; finite, >= 0. 0: with the first
    // gradients, (largest mean g^4 of a parameter + damping^4)^(-1/8), and for Newton, with h for g, times
    // (mean v^2)^(1/4).
    float initial_scale = 0;
    std::uint32_t max_order = 8192;  // 1..8192
    double max_skew = 1.0;           // finite, >= 0
    // A step fits with this probability, [0, 1], times the schedule's factor, and balances the factors, which
    // changes their sizes and not P.
    float update_probability = 1.0f;
    Schedule update_schedule;
    // Of fits, by tensors, where the draw takes the step. Newton without an initial_scale fits all in step 1,
    // and takes no `first`. Without stagger it needs products in steps 1 + k interval alone.
    RefreshPolicy refresh;
    float balance_probability = 0.01f;
    Schedule balance_schedule;
    bool fit_first = true;          // before preconditioning; else after it
    std::uint32_t bound_rows = 32;  // 1..128
    // Limits of D; 0: none. Finite, >= 0.
    float clip_rms = 2.0f;       // of its root mean square, tensor by tensor
    float clip_element = 10.0f;  // of elements, after that
    float clip_norm = 0.0f;  // of the norm of all parameters of the optimizer together, in place of clip_rms
    float weight_decay = 0.0f;  // finite, >= 0; decoupled (psgd_torch has none)
    // Of M; f32 or bf16. What is fitted and preconditioned is what M was before it is rounded: with bf16 4
    // bytes an element of workspace.
    MomentFormat moments = MomentFormat::f32;
    Schedule schedule;

    // KronNewton's: PsgdFit::hessian, lr 0.01, no clipping.
    HERON_API static PsgdKronOptions newton();
};

// What an application may hand in beside a parameter; f32, contiguous, of the weight's shape.
//
// Newton: after each backward pass, and before the step, `product` holds H v, the Hessian of the loss (not
// scaled by the loss scale) times the probe v: the gradient of <gradient, v>, or (gradient at w + d v -
// gradient at w) / d with d about 3e-4. The probe: without a view of the application's the step keeps one,
// the state <parameter>.probe, which is v for the next step (Plan::initialize() draws the first one, each
// step another one at its end): read it at Plan::state_view(). In steps that do not fit neither matters.
struct PsgdInputs {
    TensorView product{};
    TensorView probe{};  // written by the application: v, standard normal
    // In place of the generator's, normal numbers of the application, for tests and comparisons: f32, on a
    // multiple of 16 bytes; for a fit z (one for each element), then for each factor that is a matrix
    // bound_rows x order numbers, twice for q05eq15, 11 times for pro4p.
    TensorView draws{};
};

class HERON_API PsgdKron : public Optimizer {
public:
    // Throws (invalid_argument) naming the option that is out of range.
    explicit PsgdKron(const Device& device, const PsgdKronOptions& options = {});
    const PsgdKronOptions& options() const { return options_; }

    using Optimizer::add;
    // Throws as add() does, and for views of another dtype, shape or device, with gaps, or, for compile() to
    // find, too few draws. With PsgdFit::hessian a parameter without `product` is refused.
    void add(Parameter parameter, const PsgdInputs& inputs);

private:
    void check(const Parameter& parameter) const override;
    std::vector<HyperValue> hyper() const override;
    std::string options_text() const override;
    void build(StepBuilder& step) const override;
    PsgdKronOptions options_;
    std::map<std::string, PsgdInputs> inputs_;
};

}  // namespace heron
