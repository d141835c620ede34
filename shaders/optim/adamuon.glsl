// SPDX-License-Identifier: MIT
// AdaMuon's direction, from the polar factor and its second moment. Included after optim/parameter.glsl.
#ifndef HERON_OPTIM_ADAMUON_GLSL
#define HERON_OPTIM_ADAMUON_GLSL

// P = O / (sqrt(V) + eps). Computed twice from the same operands, hence `precise`: the norm has to be the norm of what
// it divides.
vec4 adamuon_direction(vec4 o, vec4 v, float eps) {
    precise vec4 direction = o / (safe_sqrt(v) + eps);
    return direction;
}

#endif
