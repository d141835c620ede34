// SPDX-License-Identifier: MIT
// Lion, all tensors of all groups in one dispatch (arXiv 2302.06675).
//
//   w <- (1 - lr wd) w - lr sign(m + r1 (g - m));  then m <- m + r2 (g - m)       r = 1 - beta
//
// Decay after: what is subtracted decays, too.
#version 460
#extension GL_GOOGLE_include_directive : require
#extension GL_EXT_control_flow_attributes : require
#include "optim/lion.h"

#define JOB LionJob
#include "core/kernel.glsl"
#include "core/half.glsl"
#include "optim/parameter.glsl"
#include "optim/gradient.glsl"
#include "optim/weight.glsl"
#define FIRST_MOMENT momentum
#include "optim/moment_step.glsl"

LionHyper step_hyper;
float step_lr;
float step_kept;
uint step_flags;

void begin_step(uint j) {
    begin_gradient(j);
    begin_weight(j);
    step_flags = p.jobs.job[j].flags;
    LionHyperRef hyper = p.jobs.job[j].hyper;
    step_hyper = hyper.h;
    step_lr = parameter_lr(j, step_hyper.lr);
    step_kept = clamp_finite(1.0 - step_lr * parameter_decay(j, step_hyper.weight_decay));
}

vec4 next_moments(uint i, uint valid, inout vec4 m, inout vec4 v) {
    vec4 difference = load_gradient(i, valid) - m;
    vec4 direction = sign(m + step_hyper.rate1 * difference);
    m = m + step_hyper.rate2 * difference;
    return step_lr * direction;
}

void take_step(uint i, uint valid, vec4 m, vec4 update) {
    vec4 kept = step_kept * load_weight(i, valid);
    if ((step_flags & LION_DECAY_AFTER) != 0u)
        update = step_kept * clamp_finite(update, DTYPE_F32);
    update_weight(i, valid, kept, update);
}
