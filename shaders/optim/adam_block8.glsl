// SPDX-License-Identifier: MIT
// Adam's moments and update (adamw.comp), for kernels with optim/moment_block8.glsl.
#ifndef HERON_OPTIM_ADAM_BLOCK8_GLSL
#define HERON_OPTIM_ADAM_BLOCK8_GLSL

AdamWHyper adam_hyper;

vec4 adam_step(vec4 g, float lr, inout vec4 m, inout vec4 v) {
    m = m + adam_hyper.rate1 * (g - m);
    v = v + adam_hyper.rate2 * (g * g - v);
    vec4 denominator = safe_sqrt(v * adam_hyper.denominator_scale) + adam_hyper.eps;
    vec4 numerator = lr * (m * adam_hyper.moment_scale);
    bvec4 defined = greaterThan(denominator, vec4(0.0));
    return mix(vec4(0.0), numerator / mix(vec4(1.0), denominator, defined), defined);
}

#endif
