// SPDX-License-Identifier: MIT
// Gradients of weights and biases, scaled and clipped, next to each other: [G, g_b] / LAYER_UNIT. All parameters of all
// layers in one dispatch. One workgroup takes rounds x workgroup size quads.
#version 460
#extension GL_GOOGLE_include_directive : require
#include "optim/layer.h"

#define JOB LayerGradientJob
#include "core/kernel.glsl"
#include "core/half.glsl"
#include "optim/parameter.glsl"
#include "optim/gradient.glsl"

void main() {
    if (nothing_to_do())
        return;
    uint group = workgroup_index();
    uint j = find_job(group);
    uint count = p.jobs.job[j].range.count;
    uint quads = quad_count(j);
    uint rounds = p.jobs.job[j].range.rounds;
    uint begin = quad_begin(j, group, rounds);
    begin_gradient(j);
    F32 matrix = p.jobs.job[j].matrix;
    uint cols = p.jobs.job[j].cols;
    uint stride = p.jobs.job[j].stride;
    uint offset = p.jobs.job[j].offset;

    for (uint r = 0u; r < rounds; ++r) {
        uint q = quad_at(begin, r);
        if (q >= quads)
            break;
        uint i = 4u * q;
        uint valid = min(4u, count - i);
        vec4 g = load_gradient(i, valid) / LAYER_UNIT;
        uint row = i / cols;
        uint col = i - row * cols;
        for (uint k = 0u; k < valid; ++k) {
            matrix.v[row * stride + offset + col] = g[k];
            bool wraps = col + 1u == cols;
            row += uint(wraps);
            col = wraps ? 0u : col + 1u;
        }
    }
}
