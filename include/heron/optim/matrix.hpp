// SPDX-License-Identifier: MIT
// Options that the optimizers of matrices share (Muon and its family).
#pragma once

namespace heron {

enum class MomentumRule {
    ema,  // M <- mu M + (1 - mu) G;  Nesterov: U = (1 - mu) G + mu M     (KellerJordan, torch)
    sum,  // M <- mu M + G;           Nesterov: U = G + mu M              (Moonlight, dion)
};

// Factor on the update of an m x n matrix.
enum class ShapeFactor {
    none,
    max_one_sqrt_ratio,  // sqrt(max(1, m/n))      KellerJordan, torch "original"
    sqrt_ratio,          // sqrt(m/n)              dion "spectral_norm"
    match_rms,           // 0.2 sqrt(max(m, n))    Moonlight, torch "match_rms_adamw", dion "rms_norm"
    spectral,            // sqrt(max(m, n))        Emerging-Optimizers "spectral"
};

enum class DecayForm {
    decoupled,         // W <- (1 - lr wd) W before the update
    cautious,          // decays only elements where sign(W O) >= 0, W as before the step (dion)
    squared,           // decoupled, with lr^2 wd
    cautious_squared,  // cautious, with lr^2 wd (modded-nanogpt)
    after,             // W <- (1 - lr wd) W after the update (Conda)
};

// Which dimensions of a convolution's filter (out, in, kh, kw) the shape factor uses; the iteration always
// sees out x (in kh kw).
enum class ConvFactor {
    matrix,  // out and in kh kw (dion flatten)
    kernel,  // kh and kw, as KellerJordan's code does
};

}  // namespace heron
