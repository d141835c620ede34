// SPDX-License-Identifier: MIT
// Which elements of sparse parameters M-FAC moves: those that are not zero when a training begins. One workgroup takes
// rounds x workgroup size quads.
#version 460
#extension GL_GOOGLE_include_directive : require
#include "optim/mfac.h"

#define JOB MfacKeepJob
#include "core/kernel.glsl"
#include "core/half.glsl"
#include "optim/parameter.glsl"
#include "optim/weight.glsl"

void main() {
    if (nothing_to_do())
        return;
    uint group = workgroup_index();
    uint j = find_job(group);
    uint count = p.jobs.job[j].range.count;
    uint quads = quad_count(j);
    uint rounds = p.jobs.job[j].range.rounds;
    uint begin = quad_begin(j, group, rounds);
    begin_weight(j);
    U32 kept = p.jobs.job[j].kept;

    for (uint r = 0u; r < rounds; ++r) {
        uint q = quad_at(begin, r);
        if (q >= quads)
            break;
        uint i = 4u * q;
        // By bits: a subnormal number may compare like zero.
        uvec4 bits = floatBitsToUint(load_weight(i, min(4u, count - i))) & 0x7fffffffu;
        uvec4 moves = min(bits, uvec4(1u));
        kept.v[q] = moves.x | (moves.y << 1) | (moves.z << 2) | (moves.w << 3);
    }
}
