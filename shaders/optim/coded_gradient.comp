// SPDX-License-Identifier: MIT
// The gradient and what row_codes.comp has left of a matrix, all tensors in one dispatch:
//
//   S = G + e + code s, e and s of the row
//
// One workgroup takes rounds x workgroup size quads.
#version 460
#extension GL_GOOGLE_include_directive : require
#include "optim/subspace.h"

#define JOB CodedGradientJob
#include "core/kernel.glsl"
#include "core/half.glsl"
#include "optim/parameter.glsl"
#include "optim/gradient.glsl"

void main() {
    if (nothing_to_do())
        return;
    uint group = workgroup_index();
    uint j = find_job(group);
    uint first = p.jobs.job[j].range.first;
    uint count = p.jobs.job[j].range.count;
    uint quads = quad_count(j);
    uint rounds = p.jobs.job[j].range.rounds;
    uint begin = quad_begin(j, group, rounds);
    begin_gradient(j);
    U32 codes = p.jobs.job[j].codes;
    F32 ranges = p.jobs.job[j].ranges;
    F32x4 sum = p.jobs.job[j].sum;
    uint cols = p.jobs.job[j].cols;
    uint words = p.jobs.job[j].words;
    uint bits = p.jobs.job[j].bits;
    uint per_word = 32u / bits;
    uint largest_code = (1u << bits) - 1u;

    for (uint r = 0u; r < rounds; ++r) {
        uint q = quad_at(begin, r);
        if (q >= quads)
            break;
        uint valid = min(4u, count - 4u * q);
        uint row = 4u * q / cols;
        uint col = 4u * q - row * cols;
        vec4 x;
        for (uint k = 0u; k < 4u; ++k) {
            uint code = codes.v[row * words + col / per_word] >> (col % per_word * bits) & largest_code;
            // In halves: the largest code times the step may exceed the largest number.
            x[k] = 0.5 * ranges.v[2u * row] + float(code) * (0.5 * ranges.v[2u * row + 1u]);
            bool wraps = col + 1u == cols;
            row += uint(wraps && 4u * q + k + 1u < count); // not beyond the last row
            col = wraps ? 0u : col + 1u;
        }
        x = clamp(x, -1.7014117e38, 1.7014117e38);
        vec4 g = load_gradient(first + 4u * q, valid);
        store_state(sum, 4u * q, valid, clamp_finite(g + 2.0 * x, DTYPE_F32));
    }
}
