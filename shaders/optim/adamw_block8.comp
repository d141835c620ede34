// SPDX-License-Identifier: MIT
// AdamW with moments in 8 bits an element, all tensors of all groups in one dispatch; the step itself is adamw.comp's.
#version 460
#extension GL_GOOGLE_include_directive : require
#extension GL_EXT_control_flow_attributes : require
#define MOMENT_BLOCK8
#include "optim/adamw.h"

#define JOB AdamWJob
#include "core/kernel.glsl"
#include "core/half.glsl"
#include "optim/parameter.glsl"
#include "optim/gradient.glsl"
#include "optim/weight.glsl"
#define FIRST_MOMENT moment1
#define SECOND_MOMENT moment2
#include "optim/moment_block8.glsl"
#include "optim/adam_block8.glsl"

float step_lr;
float step_decay;
uint step_flags;

void begin_step(uint j) {
    begin_gradient(j);
    begin_weight(j);
    step_flags = p.jobs.job[j].flags;
    AdamWHyperRef hyper = p.jobs.job[j].hyper;
    adam_hyper = hyper.h;
    step_lr = parameter_lr(j, adam_hyper.lr);
    step_decay = clamp_finite(step_lr * parameter_decay(j, adam_hyper.weight_decay));
}

vec4 next_moments(uint i, uint valid, inout vec4 m, inout vec4 v) {
    return adam_step(load_gradient(i, valid), step_lr, m, v);
}

void take_step(uint i, uint valid, vec4 m, vec4 update) {
    vec4 w = load_weight(i, valid);
    vec4 kept = vec4(1.0 - step_decay);
    if ((step_flags & ADAMW_CAUTIOUS) != 0u)
        kept = mix(vec4(1.0), kept, same_direction(m, w));
    update_weight(i, valid, kept * w, update);
}
