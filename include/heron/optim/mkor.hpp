// SPDX-License-Identifier: MIT
// MKOR, momentum-enabled Kronecker-factor-based optimizer using rank-1 updates (Mozaffari et al., arXiv
// 2306.01685): K-FAC whose factors are averages of rank one, of the means of a layer's inputs and output
// gradients, so that their inverses are renewed in quadratic time. Takes layers (optim/layer.hpp).
//
// For a layer with the gradient [G, g_b], m x d (d = n + 1 with a bias), over N samples, R positions each:
//
//   v_a = mean over all N R rows of [a, 1],   v_s = that of s, times what LossReduction divided by (none: by
//         all rows; convolutions: by N, and both are averaged over the positions first); entries are cut to
//         +-clip before. With StepOptions::accumulate over the rows of all micro-batches, each taken as it
//         comes, also between refreshes
//   refresh, P the inverse L^-1 (m x m, v = v_s) or R^-1 (d x d, v = v_a), gamma = factor_decay:
//     P <- zeta P + (1 - zeta) I   where the largest sum of absolute values of a row is above norm_threshold
//     P <- (P - c (P v) (P v)^T) / gamma,   c = (1 - gamma) / (gamma + (1 - gamma) v^T P v)
//   D = L^-1 [G, g_b] R^-1,   D <- D (|G| + |g_b|) / (|D_W| + |D_b|)      D = 0: the gradient itself
//   the step of SGD or Adam with D in place of the gradient
//
// P grows by 1 / gamma in directions that v does not visit; the blend holds it near the threshold where zeta
// is below gamma. Elements end at 65504. There is no damping: Parameter::damping_scale does nothing.
//
// MKOR-H ends in first-order steps: SGD or Adam; inverses stay as they are until it changes back. The paper
// says that it looks at the rate at which the loss falls, and gives no formula; the rule here (MkorSwitch) is
// ours. It judges the losses that the application hands over (report_loss()); or the application changes by
// itself, by set_second_order().
//
// FLOPs: refresh 8 (m^2 + d^2) and N R (n + m) for the means; every step 2 m d (m + d). Bytes (f32): refresh
// 12 (m^2 + d^2) and the captures once; every step 60 m d and 4 (m^2 + d^2), with Adam 8 m d more.
//
// State, f32 unless factor_dtype says otherwise: <weight>.L_inverse, <weight>.R_inverse, with .<group> behind
// for grouped convolutions, 4 (m^2 + d^2) bytes; <parameter>.momentum, f32 or bf16 (MomentumStep::moments),
// or Adam's .m and .v. A refresh whose v^T P v is negative or not finite leaves P as it is:
// <weight>.L_inverse_failures and .R_inverse_failures count them, u32. With StepOptions::accumulate the means
// are states, too: <weight>.input_mean, .output_mean.
#pragma once

#include <cstdint>
#include <optional>
#include <string_view>

#include "heron/optim/layer.hpp"
#include "heron/optim/refresh.hpp"

namespace heron {

enum class MkorRecurrence {
    // The inverse of gamma F + (1 - gamma) v v^T, as above.
    exact,
    // The authors' package: P <- 0.95 P + 0.05 I, then P <- P - (P v)(P v)^T / (1 + v^T P v), the first
    // step leaving the identity; factor_decay, norm_threshold and blend are not used.
    published,
    // As the paper prints it: P <- gamma P + (1 - gamma) / (gamma^2 (1 + gamma (1 - gamma) v^T P v)) (P v)
    // (P v)^T. It grows along v, and is no inverse: for comparison.
    printed,
};

enum class MkorBase { sgd, adam };  // what takes the preconditioned gradient

// When MKOR-H's second order ends. Of the losses since it began, m_k is the mean of the k-th `window`, and
// f_k = m_(k-1) - m_k its fall. Second order pays while f_k is at least `share` of the first fall that was
// above 0; it ends where it did not `patience` times in a row. A loss that does not fall at all does not pay.
//
// Means over windows stand in for a smoothed curve: they need no second constant, and two of them share no
// loss, so that a fall is no echo of the one before.
struct MkorSwitch {
    std::uint32_t window = 100;  // losses, 1..1000000
    float share = 0.1f;          // [0, 1]; 0: only a loss that does not fall ends it
    std::uint32_t patience = 2;  // 1..1000
};

// Defaults are the package's, but for lr, recurrence, norm_threshold and blend (ours), and f32 (f16 there).
struct MkorOptions {
    float lr = 0.01f;  // finite, >= 0
    MkorRecurrence recurrence = MkorRecurrence::exact;
    double factor_decay = 0.95;   // gamma, (0, 1)
    float norm_threshold = 4.0f;  // above 0, or infinity: never
    double blend = 0.9;           // zeta, [0, 1]; hkor.py's
    float clip = 100.0f;          // above 0, finite
    // Of inverses; and each of the first warmup_steps steps renews all of them. Without stagger as the
    // package, which renews all layers in the same steps; with it a layer's inverses are the identity until
    // its first turn.
    RefreshPolicy refresh{.interval = 10, .stagger = false};
    std::uint32_t warmup_steps = 0;
    DType factor_dtype = DType::f32;  // of the inverses: f32, f16 or bf16; sums are f32
    MkorBase base = MkorBase::sgd;
    // Of SGD; of Adam its weight decay alone, coupled as torch.optim.Adam's is, and moments must be f32.
    MomentumStep step;
    double beta1 = 0.9;  // of Adam, [0, 1)
    double beta2 = 0.999;
    float eps = 1e-8f;                    // finite, >= 0
    bool second_order = true;             // what set_second_order() changes
    std::optional<MkorSwitch> switching;  // MKOR-H: for report_loss()
    Schedule schedule;
};

class HERON_API Mkor : public LayerOptimizer {
public:
    // Throws (invalid_argument) naming the option that is out of range.
    explicit Mkor(const Device& device, const MkorOptions& options = {});
    const MkorOptions& options() const { return options_; }

private:
    std::vector<HyperValue> hyper() const override;
    std::string options_text() const override;
    void build(StepBuilder& step) const override;
    MkorOptions options_;
};

// Whether steps of a Mkor of the plan are second-order ones, from the next step on that the device begins (a
// step in flight may see either); what is recorded stays as it is. Where it is set on, MkorSwitch begins
// anew. Saved in checkpoints. Throws (invalid_argument) where the plan has no Mkor of that name.
HERON_API void set_second_order(Plan& plan, std::string_view optimizer, bool on);

// Hands the loss of one step to the rule of a Mkor of the plan with MkorOptions::switching, in the order of
// the steps; switches as set_second_order() does where it says so. Returns whether second order is on. Losses
// that are not finite, or beyond +-1e300, and all while second order is off count for nothing. What the rule
// has seen is saved in checkpoints, so that the same losses switch in the same step. Neither blocks nor
// touches the device's queue. Throws (invalid_argument) where the plan has no such Mkor.
HERON_API bool report_loss(Plan& plan, std::string_view optimizer, double loss);

}  // namespace heron
