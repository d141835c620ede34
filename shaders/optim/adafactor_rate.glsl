// SPDX-License-Identifier: MIT
// Adafactor's rate before its scale by the parameter (optim/adafactor.h). The includer has included core/half.glsl.
#ifndef HERON_OPTIM_ADAFACTOR_RATE_GLSL
#define HERON_OPTIM_ADAFACTOR_RATE_GLSL

// `flags`: of AdafactorTiles; `weight_size`: RMS(W), for ADAFACTOR_SCALED.
float adafactor_rate(AdafactorHyper h, uint flags, float eps2, float weight_size) {
    float rate = h.lr;
    if ((flags & ADAFACTOR_WARMUP) != 0u)
        rate = clamp_finite(1e-4 * h.lr * h.step);
    if ((flags & (ADAFACTOR_CAPPED | ADAFACTOR_WARMUP)) != 0u)
        rate = min(rate, 1.0 / sqrt(h.step));
    if ((flags & ADAFACTOR_SCALED) != 0u)
        rate = clamp_finite(rate * max(eps2, weight_size));
    return rate;
}

#endif
