// SPDX-License-Identifier: MIT
// The newest row of gradient windows: u_slot = g, over 2^e where the window is normalised, and e. An invocation does
// two neighbours, PER_THREAD times.
#version 460
#extension GL_GOOGLE_include_directive : require
#include "linalg/woodbury.h"

#define JOB WoodburyStoreJob
#include "core/kernel.glsl"
#include "linalg/woodbury.glsl"

layout(constant_id = SPEC_DTYPE_A) const uint DTYPE_A = DTYPE_F32; // of g
layout(constant_id = SPEC_DTYPE_D) const uint DTYPE_D = DTYPE_F32; // of the window
layout(constant_id = SPEC_PER_THREAD) const uint PER_THREAD = 8;

void main() {
    if (nothing_to_do())
        return;
    uint group = workgroup_index();
    uint j = find_job(group);
    group -= p.jobs.job[j].first_group;
    U32 g = p.jobs.job[j].g;
    U32 partials = p.jobs.job[j].partials;
    U32 u = p.jobs.job[j].u;
    U32 exponents = p.jobs.job[j].exponents;
    U32 slot = p.jobs.job[j].slot;
    uint d = p.jobs.job[j].d;
    uint rows = p.jobs.job[j].rows;
    uint chunks = p.jobs.job[j].chunks;
    uint groups = p.jobs.job[j].groups;
    uint item = group / groups;
    group -= item * groups;
    uint row = woodbury_newest(slot.v[0], rows);

    uint worst = 0;
    for (uint c = 0; c < chunks; ++c)
        worst = max(worst, partials.v[item * chunks + min(c, chunks - 1)]);
    int e = woodbury_exponent(uintBitsToFloat(worst));
    float factor = (p.jobs.job[j].flags & WOODBURY_NORMALIZED) != 0 ? power_of_two(-e) : 1.0;
    uint from = item * p.jobs.job[j].g_item;
    uint to = item * p.jobs.job[j].item + row * p.jobs.job[j].stride;
    bool whole_words = DTYPE_D == DTYPE_F32 || (to & 1u) == 0;
    for (uint r = 0; r < PER_THREAD; ++r) {
        uint i = 2 * ((group * PER_THREAD + r) * gl_WorkGroupSize.x + gl_LocalInvocationID.x);
        if (i < d) {
            vec2 pair;
            pair.x = load(g, from + i, DTYPE_A) * factor;
            pair.y = load(g, from + min(i + 1, d - 1), DTYPE_A) * factor;
            if (i + 1 < d && whole_words) {
                store_pair(u, to + i, pair, DTYPE_D);
            } else {
                store(u, to + i, pair.x, DTYPE_D);
                if (i + 1 < d)
                    store(u, to + i + 1, pair.y, DTYPE_D);
            }
        }
    }
    if (group == 0 && gl_LocalInvocationID.x == 0)
        exponents.v[item * rows + row] = uint(e);
}
