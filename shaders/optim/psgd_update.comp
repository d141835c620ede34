// SPDX-License-Identifier: MIT
// PSGD's update of the weights, all parameters in one dispatch; D is the preconditioned gradient:
//
//   D <- D min(1, limit / (|D| + eps)), |D| the norm of its own tensor or of all;  entries to +-largest
//   W <- W - lr wd W - lr D
//
// A direction that is not finite makes no step. One workgroup takes rounds x workgroup size quads.
#version 460
#extension GL_GOOGLE_include_directive : require
#include "optim/psgd.h"

#define JOB PsgdUpdateJob
#include "core/kernel.glsl"
#include "core/half.glsl"
#define REDUCE_WORKGROUP
#include "core/reduce.glsl"
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
    F32x4 direction = p.jobs.job[j].direction;
    F32 norms = p.jobs.job[j].norms;
    PsgdHyperRef hyper = p.jobs.job[j].hyper;
    PsgdHyper h = hyper.h;
    float lr = parameter_lr(j, h.lr);
    float decay = p.jobs.job[j].decays != 0u ? clamp_finite(lr * parameter_decay(j, h.weight_decay)) : 0.0;
    float limit = p.jobs.job[j].limit;
    float largest = p.jobs.job[j].largest;
    uint norm_first = p.jobs.job[j].norm_first;
    uint norm_count = p.jobs.job[j].norm_count;
    vec3 squares = vec3(0.0);
    for (uint k = gl_LocalInvocationID.x; k < norm_count; k += gl_WorkGroupSize.x)
        blue_add(squares, norms.v[norm_first + k]);
    float norm = blue_norm(workgroup_sum(squares));
    bool moves = !is_nonfinite(norm);
    float bound = norm + p.jobs.job[j].eps;
    float scale = limit > 0.0 && bound > limit ? limit / bound : 1.0;
    float cut = largest > 0.0 ? largest : 3.40282347e38;

    for (uint r = 0u; r < rounds; ++r) {
        uint q = quad_at(begin, r);
        if (q >= quads)
            break;
        uint i = 4u * q;
        uint valid = min(4u, count - i);
        vec4 w = load_weight(i, valid);
        vec4 d = vec4(0.0);
        if (moves)
            d = clamp(scale * load_state(direction, i, valid), -cut, cut);
        update_weight(i, valid, (1.0 - decay) * w, lr * d);
    }
}
