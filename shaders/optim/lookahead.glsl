// SPDX-License-Identifier: MIT
// What Lookahead makes of weights and of momentum.
#ifndef HERON_OPTIM_LOOKAHEAD_GLSL
#define HERON_OPTIM_LOOKAHEAD_GLSL

// alpha x + (1 - alpha) y: from the nearer of the two, so that equal ones, and alpha = 0 or 1, change no bit; by
// halves, so that no difference overflows.
vec4 between(vec4 x, vec4 y, float alpha) {
    vec4 near = alpha >= 0.5 ? x : y;
    vec4 far = alpha >= 0.5 ? y : x;
    precise vec4 half_way = 0.5 * far - 0.5 * near;
    precise vec4 result = near + (2.0 * min(alpha, 1.0 - alpha)) * half_way;
    return result;
}

#endif
