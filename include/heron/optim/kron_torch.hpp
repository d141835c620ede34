// SPDX-License-Identifier: MIT
// PSGD Kron as kron_torch has it (and with it most users): triangular factors, momentum, weight decay. For
// anything. heron/optim/psgd.hpp says what PSGD is. In step t:
//
//   M <- b M + (1 - b) G;   X = M / (1 - b^t)
//   fit, of H = X (momentum_into_fit) or G:
//     H <- H + 2^-11.5 mean|H| V,  V normal
//     A = H x_1 Q_1 .. x_k Q_k;   B = V x_1 Q_1^-T .. x_k Q_k^-T;   T1 = C(A), T2 = C(B)
//     Q <- Q - preconditioner_lr triu(T1 - T2) Q / bound(T1 + T2)
//   D = P X, of the X with noise in steps that fit it;   D <- D min(1, clip_rms / (rms D + 1e-12))
//   W <- W - lr (D + wd W),  wd for two axes or more
//
// C(x): products of x with itself over all other axes. bound: |S s| / |s| with s = S times the largest column
// of S = T1 + T2. Tensors of more than two axes are merged to the squarer one of (d_1 .. d_k-1) x d_k and d_1
// x (d_2 .. d_k).
//
// Fits are counted: one in every n-th step, n = 1 / update_probability, from the last one on. Factors are
// balanced in a hundredth of the steps, drawn for all parameters. V is of StepOptions::seed and the
// optimizer's name. A fit whose numbers are not finite leaves that factor as it is.
//
// FLOPs of an n x n matrix: 8 n^3 to precondition; a fit has 6 n^3 for A and B, 2 n^3 for T1 and T2, 4 n^3
// for the changes and the rest of the triangles' panels, 14 to 16 n^3. Bytes (f32): 80 n^2 and, in a fit, 240
// n^2 to 64 rows, by panels more (460 n^2 for 1024 rows). Levels: 19, and 4 ceil(n / 64) with factors of more
// than 64 rows, whatever the number of tensors.
//
// State, f32: <parameter>.momentum (f32 or bf16); for each axis a that is left, from 0, .Q<a> (d^2, or d of a
// diagonal).
#pragma once

#include <cstdint>
#include <map>
#include <string>

#include "heron/optim/moments.hpp"
#include "heron/optim/psgd.hpp"
#include "heron/optim/refresh.hpp"
#include "heron/train.hpp"

namespace heron {

// Which axes get a diagonal in place of a matrix, beside those that are longer than max_order or 1.
enum class KronMemory {
    all_triangular,  // none
    one_diagonal,    // the longest, of equal ones the last
    smart_diagonal,  // the longest, if it is longer than all others
    all_diagonal,
};

// Defaults are kron_torch's.
struct KronTorchOptions {
    float lr = 3e-4f;                // finite, >= 0
    double momentum = 0.9;           // b1, [0, 1)
    float weight_decay = 0;          // finite, >= 0
    float preconditioner_lr = 0.1f;  // (0, 1]
    float initial_scale = 1.0f;      // Q = this I; finite, above 0
    std::uint32_t max_order = 8192;  // max_size_triangular, 1..8192
    std::uint32_t min_axes = 2;      // min_ndim_triangular, 1..8: tensors with fewer axes have diagonals only
    KronMemory memory = KronMemory::all_triangular;
    bool momentum_into_fit = true;  // H = X; else G, and D is of X without noise
    bool merge_axes = true;
    // A fit in every 1 / (this times the schedule's factor)-th step, counted from the last one; (0, 1]. The
    // default schedule: 1 for 500 steps, then e^(-0.001 (t - 500)) down to 0.03.
    float update_probability = 1.0f;
    Schedule update_schedule = Schedule::constant(1.0f, 500).then_exponential(0.030017f, 3506);
    // In place of counting: fits by tensors, in turns. An interval that is or grows above 1 needs
    // update_probability 1 and update_schedule {}.
    RefreshPolicy refresh;
    float balance_probability = 0.01f;  // [0, 1]
    Schedule balance_schedule;
    float clip_rms = 1.1f;                     // finite, >= 0; 0: none
    MomentFormat moments = MomentFormat::f32;  // of M; f32 or bf16. X is of what it was before it is rounded
    Schedule schedule;
};

class HERON_API KronTorch : public Optimizer {
public:
    // Throws (invalid_argument) naming the option that is out of range.
    explicit KronTorch(const Device& device, const KronTorchOptions& options = {});
    const KronTorchOptions& options() const { return options_; }

    using Optimizer::add;
    // With normal numbers of the application in place of the generator's V, for tests and comparisons: f32,
    // one for each element, contiguous, on a multiple of 16 bytes. Throws (invalid_argument) for others.
    void add(Parameter parameter, const TensorView& draws);

private:
    std::vector<HyperValue> hyper() const override;
    std::string options_text() const override;
    void build(StepBuilder& step) const override;
    KronTorchOptions options_;
    std::map<std::string, TensorView> draws_;
};

}  // namespace heron
