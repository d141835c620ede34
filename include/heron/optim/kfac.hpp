// SPDX-License-Identifier: MIT
// K-FAC (Martens and Grosse, arXiv 1503.05671; convolutions 1602.01407; shared weights 2311.00636) and EK-FAC
// (George et al., arXiv 1806.03884): the natural gradient of every layer, its Fisher matrix taken for a
// Kronecker product A (x) S of second moments of the layer's inputs a (with a 1 for the bias) and output
// gradients s. Needs both ("captures": layer.hpp). s of the labels makes the empirical Fisher matrix; for the
// true one, draw labels from the model's output in a second backward pass and capture that one's s.
//
//   statistic:  A <- g A + (1 - g) mean of a a^T,   S <- g S + (1 - g) mean of s s^T      (both: I at first)
//   refresh:    inverses, or eigenvectors and -values, of A and S
//   step:       D = (S + ..)^-1 [G, g_b] (A + ..)^-1                                      KfacMethod::inverse
//               D = Q_S ((Q_S^T [G, g_b] Q_A) / (d_S d_A^T + damping)) Q_A^T              eigen
//               the same with second moments of single samples' gradients for d_S d_A^T   ekfac
//               nu = min(1, sqrt(kl_clip / |sum over layers lr^2 <D, G>|)): one for all layers
//               SGD with nu D in place of the gradient (MomentumStep)
//
// Parameter::damping_scale of a layer's weight (heron/scaling.hpp) multiplies the layer's damping: by inputs
// times outputs; with DampingSplit::full and inverses A's by inputs, S's by outputs. That of a bias does
// nothing.
//
// For embeddings, norms, scalars and layers without captures give the plan an AdamW besides (LayerOptimizer).
// Damping and learning rate belong together: a larger rate wants more damping.
//
// FLOPs, N R rows of m x n layers (n with the bias): statistic N R (n^2 + m^2); refresh 2 (n^3 + m^3)
// (inverse), about 9 (n^3 + m^3) (eigenvalues); step 2 m n (m + n), with eigenvalues twice that; EK-FAC's
// moments 2 N R (m^2 + n^2 + m n). Bytes: statistic 4 N R (m + n) + 20 (n^2 + m^2), refresh 65 to 100
// (n^2 + m^2), step 4 (n^2 + m^2) + 52 m n (EK-FAC 8 and 80). Levels do not depend on the number of layers.
//
// State, f32: <weight>.A, .S, and .A_inverse, .S_inverse: 8 (n^2 + m^2) bytes; with eigenvalues .A_vectors,
// .A_values, .S_vectors, .S_values: 8 (n^2 + m^2) + 4 (n + m), EK-FAC .moments: 4 m n more;
// <parameter>.momentum: 4 m n, or bf16 (MomentumStep::moments): 2 m n; <optimizer>.clip (kfac_clip()). u32:
// .left_out (statistics that were not finite), .inverse_failures or .eigen_failures (refreshes that kept the
// last good inverse or basis, since the new factor was not positive definite or not finite): first of A, then
// of S. With StepOptions::accumulate the statistics are averages over micro-batches, taken in each of them:
// .input_statistic, .output_statistic (EK-FAC: .moments_statistic). With `diagnostics` also
// .inverse_condition, f32, as many: what condition_estimate() says of the damped factors of the last refresh
// (0 before it, the largest f32 for those without an inverse), for the FLOPs and bytes of that.
#pragma once

#include <cstdint>
#include <optional>
#include <string_view>

#include "heron/curvature.hpp"
#include "heron/optim/layer.hpp"
#include "heron/optim/refresh.hpp"

namespace heron {

enum class KfacMethod : std::uint32_t {
    inverse,  // Cholesky: the cheapest refresh; damping by damping_split
    eigen,    // exact damping of the product
    // With StepOptions::accumulate moments are updated before a refresh, which begins them anew, else after
    // it.
    ekfac,
    // Inverses of this step's batch alone (apply_batch_inverse()): no averages, no state but the momentum. A
    // layer that is larger than the batch never has its factors formed. With StepOptions::accumulate the
    // batch is the last micro-batch. Does without the options of factors and refreshes.
    batch,
};

struct KfacOptions {
    float lr = 0.1f;    // finite, >= 0; kfac-pytorch
    MomentumStep step;  // momentum 0.9
    KfacMethod method = KfacMethod::inverse;
    float damping = 1e-3f;      // finite, > 0; kfac-pytorch
    Schedule damping_schedule;  // factors on it, > 0
    DampingUnit damping_unit = DampingUnit::absolute;
    DampingSplit damping_split = DampingSplit::pi;  // inverse
    // Eigenvalues: damping as at the last refresh, as if a table of 1 / (d_S d_A^T + damping) had been kept
    // (kfac-pytorch's default); else as in this step.
    bool damping_at_refresh = false;
    float eigenvalue_floor = 0.0f;   // up to this they count as 0; finite, >= 0
    double factor_decay = 0.95;      // g, [0, 1)
    Schedule factor_decay_schedule;  // factors on it
    // g <= 1 - 1/k in the k-th statistic, as in the paper: the identity is forgotten at once.
    bool warm_factors = false;
    // Steps between statistics, and between updates of EK-FAC's moments (from the step after the first
    // refresh on; every refresh begins them anew): 1..10000. kfac-pytorch 1; alecwangcq 10, 10.
    std::uint32_t factor_interval = 1;
    std::uint32_t moments_interval = 1;
    // Of inverses or eigenvectors, from step `first` on (0: the first one): all layers' in it and in every
    // interval-th step, as both official codes do (kfac-pytorch 1, alecwangcq 100); that is why stagger is
    // off. With it each layer's come in its turns, the first one, too, and no step carries all. Before its
    // first refresh a layer's are those of the identity: it takes the gradient itself, which kl_clip counts.
    RefreshPolicy refresh{.interval = 10, .stagger = false};
    // Keeps the condition number of each damped factor at the last refresh of its inverse, in a state of its
    // own, which checkpoints leave out. Nothing else is different. (Eigenvalues are states by themselves.)
    bool diagnostics = false;
    // Finite, > 0; nullopt: no clip. Its lr: that of the step, without the parameters' lr_scale, unless
    // kl_clip_lr (finite, >= 0; 0: not set) is.
    std::optional<float> kl_clip = 1e-3f;
    float kl_clip_lr = 0.0f;
    ConvScaling conv_scaling = ConvScaling::shared;
    Schedule schedule;

    // gpauloski/kfac-pytorch: eigen, damping as in the table, a refresh in every step; set
    // LossReduction::none, and kl_clip_lr to its lr where the base optimizer has another.
    HERON_API static KfacOptions kfac_pytorch();
    // alecwangcq/KFAC-Pytorch: eigen, or EK-FAC.
    HERON_API static KfacOptions alecwangcq(KfacMethod method = KfacMethod::eigen);
};

class HERON_API Kfac : public LayerOptimizer {
public:
    // Throws (invalid_argument) naming the option that is out of range.
    explicit Kfac(const Device& device, const KfacOptions& options = {});
    const KfacOptions& options() const { return options_; }

private:
    // m and n up to 8192, with eigenvalues to 4096; KfacMethod::batch: these, or N R.
    void check_layer(const Layer& layer) const override;
    std::vector<HyperValue> hyper() const override;
    std::string options_text() const override;
    void build(StepBuilder& step) const override;
    KfacOptions options_;
};

// Of the last step that was not skipped; zeros before the first one.
struct KfacClip {
    float factor = 0;    // nu
    float products = 0;  // sum over layers <D, G>, before nu
    // The change of the loss that the quadratic model predicts for the step -lr nu D, since D solves (F +
    // damping) D = G, or a form of it in factors: -lr nu (1 - lr nu / 2) <D, G>. Momentum, decay and the
    // parameters' lr_scale are left out.
    float predicted_change = 0;
};
// Reads it (blocking, as Plan::read_state). Throws (invalid_argument) where the plan has no Kfac of that name
// with a kl_clip; one that is far too large never clips.
HERON_API KfacClip kfac_clip(const Plan& plan, std::string_view optimizer = "kfac");

// Sets the base damping of a Kfac of the plan from the next step on that the device begins (a step in flight
// may see either); inverses, and eigenvalues with damping_at_refresh, have it from their next refresh on. The
// schedule's factor still multiplies it. Saved in checkpoints. Throws (invalid_argument) for an unknown
// optimizer and what is not finite and above 0.
HERON_API void set_damping(Plan& plan, std::string_view optimizer, float damping);

// Levenberg-Marquardt's rule as in kfac-jax, whose defaults these are: every `interval` steps damping times
// decay^interval where the loss went down by more than `upper` of what was predicted, over it where by less
// than `lower`, or where the ratio is no number; within [least, largest].
struct DampingAdaptation {
    float decay = 0.9f;          // (0, 1]
    std::uint32_t interval = 5;  // 1..10000
    float lower = 0.25f, upper = 0.75f;
    float least = 1e-8f;  // above 0
    float largest = 0x1p126f;
};
// The next damping for set_damping(): `change` is the loss of the step's own batch after the step less that
// before it, `predicted` KfacClip::predicted_change. (kfac-jax takes the exact curvature for the prediction,
// here it is K-FAC's own with its damping.) Throws (invalid_argument) for options out of range.
HERON_API float adapted_damping(float damping, double change, double predicted,
                                const DampingAdaptation& options = {});

}  // namespace heron
