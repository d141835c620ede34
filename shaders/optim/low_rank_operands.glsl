// SPDX-License-Identifier: MIT
// A gradient in another basis, and where a step's direction there goes. The includer's job struct has the members
// `F32x4 gradient` and `F32x4 direction`.
#ifndef HERON_OPTIM_LOW_RANK_OPERANDS_GLSL
#define HERON_OPTIM_LOW_RANK_OPERANDS_GLSL

F32x4 low_gradient;
F32x4 low_direction;

void begin_operands(uint j) {
    low_gradient = p.jobs.job[j].gradient;
    low_direction = p.jobs.job[j].direction;
}

// Products of the largest gradients exceed what can be squared.
vec4 load_low(uint i, uint valid) {
    return clamp(load_state(low_gradient, i, valid), -LARGEST_GRADIENT, LARGEST_GRADIENT);
}

void store_direction(uint i, uint valid, vec4 x) { store_state(low_direction, i, valid, clamp_finite(x, DTYPE_F32)); }

#endif
