// SPDX-License-Identifier: MIT
// AdaMuon's weight update, all blocks of all parameters in one dispatch: W <- W - lr wd W - lr gamma P, with
//
//   P = O / (sqrt(V) + eps), formed again      gamma = target / (|P| + eps)
//
// Every workgroup adds up its block's partial sums by itself, in the same order. Decay: optim/muon_decay.glsl. One
// workgroup takes rounds x workgroup size quads.
#version 460
#extension GL_GOOGLE_include_directive : require
#include "optim/adamuon.h"

#define JOB AdaMuonUpdateJob
#include "core/kernel.glsl"
#include "core/half.glsl"
#define REDUCE_WORKGROUP
#include "core/reduce.glsl"
#include "optim/parameter.glsl"
#include "optim/weight.glsl"
#include "optim/muon_decay.glsl"
#include "optim/adamuon.glsl"

layout(constant_id = SPEC_DTYPE_D) const uint DIRECTION_DTYPE = DTYPE_F32;

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
    begin_weight(j);
    uint flags = p.jobs.job[j].flags;
    U32x4 direction = p.jobs.job[j].direction;
    F32x4 moment2 = p.jobs.job[j].moment2;
    float eps = p.jobs.job[j].eps;
    MuonHyperRef hyper = p.jobs.job[j].hyper;
    MuonHyper h = hyper.h;
    float lr = parameter_lr(j, h.lr);
    float decay = matrix_decay(j, lr, h.weight_decay, flags);

    F32 partials = p.jobs.job[j].partials;
    uint partial_count = p.jobs.job[j].partial_count;
    float sum = 0.0;
    for (uint k = gl_LocalInvocationID.x; k < partial_count; k += gl_WorkGroupSize.x)
        sum += partials.v[k];
    sum = workgroup_sum(vec3(sum, 0.0, 0.0)).x;
    float norm = safe_sqrt(vec4(sum)).x;
    float scale = clamp_finite(lr * (p.jobs.job[j].target / (norm + eps)));

    for (uint r = 0u; r < rounds; ++r) {
        uint q = quad_at(begin, r);
        if (q >= quads)
            break;
        uint valid = min(4u, count - 4u * q);
        uint i = first + 4u * q;
        vec4 w = load_weight(i, valid);
        vec4 o = load_quad(direction, 4u * q, valid, is_wide(0u, 4u * q, valid), DIRECTION_DTYPE);
        vec4 x = adamuon_direction(o, load_state(moment2, i, valid), eps);
        update_weight(i, valid, decayed(w, o, decay, flags), decayed_update(scale * x, decay, flags));
    }
}
