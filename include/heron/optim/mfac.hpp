// SPDX-License-Identifier: MIT
// M-FAC, the dynamic algorithm (Frantar, Kurtic and Alistarh, arXiv 2107.03356; code IST-DASLab/M-FAC): steps
// by the exact inverse of the empirical Fisher matrix of the last m gradients, without that matrix. For
// anything.
//
//   g = G + wd W, of all parameters together d numbers, replaces the oldest row of the window U (m x d)
//   F = damping I + U^T U / m;   u = F^-1 g;   v <- mu v + (1 - mu) u;   W <- W - lr v (momentum) or W - lr u
//
// g is a row of the window, so u = U^T (damping I + U U^T / m)^-1 e, e its unit vector
// (heron/linalg/woodbury.hpp: woodbury_range()). In exact arithmetic that is what the paper's recurrences
// give; these, and every form that subtracts, lose the digits of |g| / (damping |u|), with the default
// damping most of f32's. The Gram matrix gets one new row and column a step, and is factored anew, or its
// factor is changed there (MfacOptions::keep_factor).
//
// While the window fills, rows of zeros stand for gradients that are still to come: the first step is
// g / (damping + |g|^2 / m), far longer than later ones. MfacAverage::filled, or a schedule that begins with
// m factors of 0, which fill the window without moving a weight.
//
// FLOPs: 4 m d + 2/3 m^3 (factor and its inverse) and, in steps whose small system is ill-conditioned, 4 m d
// for a refinement. Bytes: 8 m d with f32 windows, 4 m d with 16 bits (the same again with refinement), and
// 40 d with f32 tensors (48 d with momentum). Levels: 9, refinement's 3, and those of cholesky() and
// triangular_inverse() of m rows, whatever the number of parameters and blocks.
//
// With keep_factor a step that replaces one row takes 14 m^2 FLOPs in place of 2/3 m^3 (fewer from a window
// of 22 on, 48 times fewer with 1024), for the small system 22 m^2 bytes in place of 48 m^2 (a window of 256)
// or 84 m^2 (1024), and 3 levels in place of triangular_inverse()'s. But they are chains, of some 3 m steps
// of one workgroup for each window, where a factorization is products. So it pays for long windows of short
// gradients (by FLOPs the passes over the window are as much work from d = m^2 / 6 on), first of all on CPU
// drivers; bench_linalg times both (window_step). The factor is made anew, m^3 / 3 FLOPs, in the first step,
// in every (m + 1)th after that, and where more than a row of the small system changes: where a gradient's
// largest element passes the power of two by which the system is scaled, or leaves the window with all others
// 16 times below it; where a raised damping comes to another power of two; and with MfacAverage::filled in
// all steps until the window is full, since then the damping goes with its rows. Residuals keep the bound of
// woodbury_range(): rows that are replaced take their errors with them.
//
// State: <optimizer>.window (m x d, each parameter padded to a multiple of four), .gram (m x m, f32),
// .exponents (m, u32), .slot (u32), .status (u32, MatrixStatus of the last step) and .damping (f32, what it
// was solved with); with keep_factor .factor and .system (m x m, f32), .factor_counts (5 u32,
// WindowFactor::counts); with MfacBlocks::layer all of them for every parameter, <parameter>.window and so
// on; <parameter>.momentum (f32) where there is momentum, <parameter>.kept (a word for four elements) with
// `sparse`.
//
// What a step reports in .status (Plan::read_state): ok. jittered: the damping was raised, to what .damping
// says, because it drowned in the rounding errors of f32 (below 2^-21 of the window's mean |g|^2; with
// keep_factor that number over the weight of a row, 1 / m, is rounded up to a power of two), or because the
// factorization broke down. indefinite: it did with ten thousand times more; the step is the plain
// gradient's. nonfinite: the window has a NaN; no step, until m steps later it has left. Infinite gradients
// enter as +- 1.3e19, on most devices NaN too: jittered. (StepOptions::skip_nonfinite keeps both out.)
#pragma once

#include <cstdint>

#include "heron/linalg/woodbury.hpp"
#include "heron/train.hpp"

namespace heron {

enum class MfacBlocks {
    model,  // one window of all parameters: interactions between layers count (paper, code)
    layer,  // one for each parameter: a block-diagonal Fisher matrix
};

enum class MfacAverage {
    window,  // 1 / m, from the first step on (code)
    filled,  // 1 / the number of rows that are not zero
};

struct MfacOptions {
    float lr = 1e-3f;             // finite, >= 0; code
    std::uint32_t window = 1024;  // m, 1 to 1024; code (its example of images: 512)
    // Finite, above 0; code. Of a layer's window times its Parameter::damping_scale (inputs x outputs).
    float damping = 1e-5f;
    double momentum = 0.0;      // mu, [0, 1); code. Of u, without bias correction
    float weight_decay = 0.0f;  // finite, >= 0; code. Part of the gradient, before it enters the window
    MfacBlocks blocks = MfacBlocks::model;
    MfacAverage average = MfacAverage::window;
    // f32 (code), f16 or bf16: half of the memory, and half of the time of long windows. 16-bit rows are kept
    // over powers of two, whatever the size of the gradients; sums are f32.
    DType window_dtype = DType::f32;
    // Elements that are exactly zero when Plan::initialize() runs never move, and are not part of the window
    // (code: sparse; for pruned networks).
    bool sparse = false;
    // The Cholesky factor of the small system is a state in which a step replaces a row. Without it a step
    // depends on nothing but the window, and a damping is raised no further than it has to be.
    bool keep_factor = false;
    // Of the small system, through the window; see woodbury.hpp.
    Refinement refinement = Refinement::automatic;
    Schedule schedule;
};

class HERON_API Mfac : public Optimizer {
public:
    // Throws (invalid_argument) naming the option that is out of range.
    explicit Mfac(const Device& device, const MfacOptions& options = {});
    const MfacOptions& options() const { return options_; }

private:
    std::vector<HyperValue> hyper() const override;
    std::string options_text() const override;
    // Throws (invalid_argument) for a window of more than 2^31 words; one that does not fit into a buffer of
    // the device is refused as unsupported.
    void build(StepBuilder& step) const override;
    MfacOptions options_;
};

}  // namespace heron
