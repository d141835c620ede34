// SPDX-License-Identifier: MIT
// PSGD with a low-rank preconditioner (Pooladzandi and Li, arXiv 2402.04553), psgd_torch's LRAWhiten and
// LRANewton: one preconditioner for all parameters of the optimizer together, N elements. For anything.
//
//   P = Q^T Q,  Q = (I + U V^T) diag(d),  U and V N x r, d N;   D = P M, clipped;   W <- W - lr wd W - lr D
//
// A fit moves d, and U or V, so that E[h^T P h + v^T P^-1 v] becomes smaller (heron/optim/psgd.hpp: h, v, the
// noise z, which of whitening is v, too, the momentum M and L):
//
//   U, V are balanced to U^T U = V^T V, nearly;   a = (I + U V^T) (d . h);   S = I + V^T U
//   b = v / d - V S^-T U^T (v / d);   P h = d . (I + V U^T) a;   P^-1 v = (b - U S^-1 V^T b) / d
//   d <- d - mu (P h . h - v . P^-1 v) . d,   l = max|P h . h| + max|v . P^-1 v|;   and with equal chances
//   U <- U - mu (a (a^T V) - b (b^T V)) S,    l = |a| |V V^T a| + |b| |V V^T b|, or
//   V <- V - mu (I + V U^T) (a (a^T U) - b (b^T U)),   l = |a| |U U^T a| + |b| |U U^T b|
//
// Sums over N are the Gram matrix of [U V d.h v/d]; the rest of a fit is algebra of r x r.
//
// FLOPs: 4 N r^2 + 18 N r to precondition, a fit 4 N r^2 + 58 N r. Bytes (f32): 24 N r + 76 N and, in a fit,
// 40 N r + 76 N. Levels: 17, whatever the number of tensors.
//
// State, f32: <optimizer>.W, N x (2 r + 2), U, V and two columns of work (each parameter's elements are
// padded to a multiple of four with zeros), .d (N), .L (of d, U and V); <parameter>.momentum where there is
// one (f32 or bf16), .probe with Newton.
#pragma once

#include <cstdint>
#include <map>
#include <string>

#include "heron/optim/moments.hpp"
#include "heron/optim/psgd.hpp"
#include "heron/train.hpp"

namespace heron {

// As of PsgdKronOptions, unless it says more.
struct PsgdLraOptions {
    float lr = 1e-3f;
    PsgdFit fit = PsgdFit::gradient;
    // r, 0..64, and below N. 0: the diagonal alone, P = diag(d)^2. (A workgroup of the fit keeps 16 rows of U
    // and V in shared memory: 8.1 of the 16 KiB that every device has.)
    std::uint32_t rank = 10;
    double momentum = 0;
    float preconditioner_lr = 0.1f;
    double smoothness_decay = 0.9;
    float damping = 1e-9f;
    // d at first, finite, >= 0. 0: with the first gradients, (mean g^4 + damping^4)^(-1/8) of all elements
    // together, and for Newton, with h for g, times (mean v^2)^(1/4).
    float initial_scale = 0;
    float update_probability = 1.0f;
    Schedule update_schedule;
    // A fit moves U with this probability, [0, 1], times the schedule's factor, else V.
    float u_probability = 0.5f;
    Schedule u_schedule;
    bool fit_first = true;
    float clip_rms = 2.0f;  // of all elements together
    float clip_element = 10.0f;
    float clip_norm = 0.0f;
    float weight_decay = 0.0f;
    MomentFormat moments = MomentFormat::f32;
    Schedule schedule;

    // LRANewton's: PsgdFit::hessian, lr 0.01, no clipping.
    HERON_API static PsgdLraOptions newton();
};

class HERON_API PsgdLra : public Optimizer {
public:
    // Throws (invalid_argument) naming the option that is out of range.
    explicit PsgdLra(const Device& device, const PsgdLraOptions& options = {});
    const PsgdLraOptions& options() const { return options_; }

    using Optimizer::add;
    // As PsgdKron's; `draws` are the numbers z alone.
    void add(Parameter parameter, const PsgdInputs& inputs);

private:
    void check(const Parameter& parameter) const override;
    std::vector<HyperValue> hyper() const override;
    std::string options_text() const override;
    // Throws (invalid_argument) for a rank that is not below the number of elements.
    void build(StepBuilder& step) const override;
    PsgdLraOptions options_;
    std::map<std::string, PsgdInputs> inputs_;
};

}  // namespace heron
