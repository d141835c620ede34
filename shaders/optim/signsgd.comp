// SPDX-License-Identifier: MIT
// SignSGD and Signum, all tensors of all groups in one dispatch (arXiv 1802.04434).
//
//   m <- m + rate (g - m);  w <- (1 - lr wd) w - lr f sign(a m + b g)       without momentum sign(g)
#version 460
#extension GL_GOOGLE_include_directive : require
#extension GL_EXT_control_flow_attributes : require
#include "optim/signsgd.h"

#define JOB SignSgdJob
#include "core/kernel.glsl"
#include "core/half.glsl"
#include "optim/parameter.glsl"
#include "optim/gradient.glsl"
#include "optim/weight.glsl"
#define FIRST_MOMENT momentum
#define KEEPS_MOMENT ((FLAGS & SGD_MOMENTUM) != 0u)
#include "optim/moment_step.glsl"

SignSgdHyper step_hyper;
float step_kept;
float step_size;

void begin_step(uint j) {
    begin_gradient(j);
    begin_weight(j);
    SignSgdHyperRef hyper = p.jobs.job[j].hyper;
    step_hyper = hyper.h;
    float lr = parameter_lr(j, step_hyper.lr);
    step_kept = clamp_finite(1.0 - lr * parameter_decay(j, step_hyper.weight_decay));
    step_size = lr * p.jobs.job[j].shape_factor;
}

vec4 next_moments(uint i, uint valid, inout vec4 m, inout vec4 v) {
    vec4 g = load_gradient(i, valid);
    if ((FLAGS & SGD_MOMENTUM) == 0u)
        return step_size * sign(g);
    m = m + step_hyper.rate * (g - m);
    return step_size * sign(step_hyper.momentum_part * m + step_hyper.gradient_part * g);
}

void take_step(uint i, uint valid, vec4 m, vec4 update) {
    update_weight(i, valid, step_kept * load_weight(i, valid), update);
}
