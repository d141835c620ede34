// SPDX-License-Identifier: MIT
// Stochastic gradient descent as torch.optim.SGD, all tensors of all groups in one dispatch.
//
//   g <- G + wd w (coupled);  b <- mu b + rate g;  w <- w - lr (g + mu b | b | g)
//
// rate = 1 - dampening, but 1 in the first step. Decoupled decay: w <- (1 - lr wd) w instead of the first formula.
#version 460
#extension GL_GOOGLE_include_directive : require
#extension GL_EXT_control_flow_attributes : require
#include "optim/sgd.h"

#define JOB SgdJob
#include "core/kernel.glsl"
#include "core/half.glsl"
#include "optim/parameter.glsl"
#include "optim/gradient.glsl"
#include "optim/weight.glsl"
#define FIRST_MOMENT momentum
#define KEEPS_MOMENT ((FLAGS & SGD_MOMENTUM) != 0u)
#include "optim/moment_step.glsl"

SgdHyper step_hyper;
float step_lr;
float step_decay;
uint step_flags;

bool is_decoupled() { return (step_flags & SGD_DECOUPLED) != 0u; }

void begin_step(uint j) {
    begin_gradient(j);
    begin_weight(j);
    step_flags = p.jobs.job[j].flags;
    SgdHyperRef hyper = p.jobs.job[j].hyper;
    step_hyper = hyper.h;
    step_lr = parameter_lr(j, step_hyper.lr);
    step_decay = parameter_decay(j, step_hyper.weight_decay);
}

vec4 next_moments(uint i, uint valid, inout vec4 m, inout vec4 v) {
    vec4 g = load_gradient(i, valid);
    if (!is_decoupled())
        g = limit_gradient(g + step_decay * load_weight(i, valid));
    if ((FLAGS & SGD_MOMENTUM) == 0u)
        return step_lr * g;
    m = step_hyper.momentum * m + step_hyper.rate * g;
    return step_lr * ((step_flags & SGD_NESTEROV) != 0u ? g + step_hyper.momentum * m : m);
}

void take_step(uint i, uint valid, vec4 m, vec4 update) {
    vec4 w = load_weight(i, valid);
    float kept = clamp_finite(1.0 - step_lr * step_decay);
    update_weight(i, valid, is_decoupled() ? kept * w : w, update);
}
