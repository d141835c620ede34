// SPDX-License-Identifier: MIT
// The loop of kernels that keep one moment of an element, in every format: f32 and bf16 (optim/moment.glsl), and with
// MOMENT_BLOCK8 (a macro) 8 bits. What the includer defines is in optim/moment_block8.glsl; KEEPS_MOMENT, if it is
// defined, says whether there is a moment, which is 0 else. Moments are those of elements range.first + i of their
// tensor. One workgroup takes rounds x workgroup size quads, or a block.
#ifndef HERON_OPTIM_MOMENT_STEP_GLSL
#define HERON_OPTIM_MOMENT_STEP_GLSL

#ifdef MOMENT_BLOCK8
#include "optim/moment_block8.glsl"
#else

#include "optim/moment.glsl"

#ifndef KEEPS_MOMENT
#define KEEPS_MOMENT true
#endif

void begin_step(uint j);
vec4 next_moments(uint i, uint valid, inout vec4 m, inout vec4 v);
void take_step(uint i, uint valid, vec4 m, vec4 update);

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
    begin_step(j);
    U32x4 moments = p.jobs.job[j].FIRST_MOMENT.quads;
    U32 words = p.jobs.job[j].FIRST_MOMENT.words;
    uint parameter = p.jobs.job[j].FIRST_MOMENT.parameter;

    for (uint r = 0u; r < rounds; ++r) {
        uint q = quad_at(begin, r);
        if (q >= quads)
            break;
        uint i = 4u * q;
        uint valid = min(4u, count - i);
        vec4 m = vec4(0.0), v = vec4(0.0);
        if (KEEPS_MOMENT)
            m = load_moment(moments, first + i, valid);
        vec4 update = next_moments(i, valid, m, v);
        if (KEEPS_MOMENT)
            store_moment(moments, words, first + i, valid, m, moment_draws(parameter, first + i));
        take_step(i, valid, m, update);
    }
}

#endif
#endif
