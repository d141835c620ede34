// SPDX-License-Identifier: MIT
// What 4-bit Shampoo hands on to SGD or AdamW in place of the gradient, all parameters in one dispatch: the direction D
// with the size of the gradient, or before `start` the gradient.
//
//   D <- D |G| / (|D| + 1e-12), or G
//
// One workgroup takes rounds x workgroup size quads.
#version 460
#extension GL_GOOGLE_include_directive : require
#include "optim/shampoo4bit.h"

#define JOB Shampoo4BitGraftJob
#include "core/kernel.glsl"
#include "core/half.glsl"
#include "optim/parameter.glsl"

void main() {
    if (nothing_to_do())
        return;
    uint group = workgroup_index();
    uint j = find_job(group);
    uint count = p.jobs.job[j].range.count;
    uint quads = quad_count(j);
    uint rounds = p.jobs.job[j].range.rounds;
    uint begin = quad_begin(j, group, rounds);
    bool raw = p.control.c.step < p.jobs.job[j].start;
    F32x4 gradient = p.jobs.job[j].gradient;
    F32x4 direction = p.jobs.job[j].direction;
    F32 units = p.jobs.job[j].unit;
    F32 gradient_norms = p.jobs.job[j].gradient_norm;
    F32 direction_norms = p.jobs.job[j].direction_norm;

    // Elements of D / |D| are at most 1, whatever the sizes.
    float unit = units.v[0];
    float norm = direction_norms.v[0];
    float size = clamp_finite(norm * unit);
    float wanted = clamp_finite(gradient_norms.v[0] * unit) * (size / (size + 1e-12));
    bool defined = norm > 0.0;

    for (uint r = 0u; r < rounds; ++r) {
        uint q = quad_at(begin, r);
        if (q >= quads)
            break;
        uint i = 4u * q;
        uint valid = min(4u, count - i);
        vec4 g;
        if (raw) {
            g = load_state(gradient, i, valid) * unit;
        } else {
            vec4 d = load_state(direction, i, valid);
            g = mix(vec4(0.0), d / (defined ? norm : 1.0), bvec4(defined)) * wanted;
        }
        // Squares, and a momentum's sum, stay in range.
        store_state(direction, i, valid, clamp(clamp_finite(g, DTYPE_F32), -LARGEST_GRADIENT, LARGEST_GRADIENT));
    }
}
