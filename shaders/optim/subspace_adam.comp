// SPDX-License-Identifier: MIT
// Adam's direction of gradients in another basis, all matrices in one dispatch.
//
//   m <- m + r1 (a - m)      v <- v + r2 (a^2 - v)      D = (m s) / (sqrt(v d) + eps)        s, d: see adamw.comp
//
// Conda's m comes from elsewhere (without ADAM_MOMENT), in f32; states may be kept in bf16. A slot is a row or column
// of a, the coefficients of one vector of the basis; where it holds its vector since this step, its moments begin at 0
// (ADAM_RESET). A quotient 0 / 0 counts as 0. One workgroup takes rounds x workgroup size quads.
#version 460
#extension GL_GOOGLE_include_directive : require
#include "optim/subspace.h"

#define JOB SubspaceAdamJob
#include "core/kernel.glsl"
#include "core/half.glsl"
#include "optim/parameter.glsl"
#include "optim/moment.glsl"

layout(constant_id = SPEC_DTYPE_A) const uint FIRST_DTYPE = DTYPE_F32; // of m; as a state that of all moments

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
    uint flags = p.jobs.job[j].flags;
    F32x4 gradient = p.jobs.job[j].gradient;
    F32x4 result = p.jobs.job[j].direction;
    U32x4 moment1 = p.jobs.job[j].moment1.quads;
    U32 moment1_words = p.jobs.job[j].moment1.words;
    U32x4 moment2 = p.jobs.job[j].moment2.quads;
    U32 moment2_words = p.jobs.job[j].moment2.words;
    uint parameter = p.jobs.job[j].moment2.parameter;
    U32 since = p.jobs.job[j].since;
    uint slots = p.jobs.job[j].slots;
    uint item_elements = p.jobs.job[j].item_elements;
    uint slot_elements = p.jobs.job[j].slot_elements;
    AdamWHyperRef hyper = p.jobs.job[j].hyper;
    AdamWHyper h = hyper.h;
    uint now = p.control.c.step;

    for (uint r = 0u; r < rounds; ++r) {
        uint q = quad_at(begin, r);
        if (q >= quads)
            break;
        uint valid = min(4u, count - 4u * q);
        uint i = first + 4u * q;
        // Products of the largest gradients exceed what can be squared.
        vec4 a = clamp(load_state(gradient, 4u * q, valid), -LARGEST_GRADIENT, LARGEST_GRADIENT);
        uint at = (flags & ADAM_MOMENT) != 0u ? i : 4u * q;
        vec4 m = load_quad(moment1, at, valid, is_wide(0u, at, valid), FIRST_DTYPE);
        vec4 v = load_moment(moment2, i, valid);
        if ((flags & ADAM_RESET) != 0u) {
            for (uint k = 0u; k < valid; ++k) {
                uint e = 4u * q + k;
                uint slot = (flags & ADAM_COLUMNS) != 0u ? e / item_elements * slots + e % slots : e / slot_elements;
                if (since.v[slot] == now) {
                    m[k] = 0.0;
                    v[k] = 0.0;
                }
            }
        }
        // The lower halves of the draws are m's: here, and in gradient_sum.comp Conda's.
        uvec4 draws = moment_draws(parameter, i);
        if ((flags & ADAM_MOMENT) != 0u) {
            m = m + h.rate1 * (a - m);
            store_moment(moment1, moment1_words, i, valid, m, draws);
        }
        v = v + h.rate2 * (a * a - v);
        store_moment(moment2, moment2_words, i, valid, v, draws >> 16);
        vec4 denominator = safe_sqrt(v * h.denominator_scale) + h.eps;
        bvec4 defined = greaterThan(denominator, vec4(0.0));
        vec4 direction = mix(vec4(0.0), (m * h.moment_scale) / mix(vec4(1.0), denominator, defined), defined);
        store_state(result, 4u * q, valid, clamp_finite(direction, DTYPE_F32));
    }
}
