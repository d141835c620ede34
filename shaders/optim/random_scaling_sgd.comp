// SPDX-License-Identifier: MIT
// SGD with momentum and exponential random scaling, all tensors of all groups in one dispatch (arXiv 2405.09742).
//
//   d <- beta (d - lr g) / (1 + lr mu);  w <- w + s d       s: one draw a step, from the advance kernel
#version 460
#extension GL_GOOGLE_include_directive : require
#extension GL_EXT_control_flow_attributes : require
#include "optim/random_scaling_sgd.h"

#define JOB RandomScalingSgdJob
#include "core/kernel.glsl"
#include "core/half.glsl"
#include "optim/parameter.glsl"
#include "optim/gradient.glsl"
#include "optim/weight.glsl"
#define FIRST_MOMENT momentum
#include "optim/moment_step.glsl"

RandomScalingSgdHyper step_hyper;
float step_lr;

void begin_step(uint j) {
    begin_gradient(j);
    begin_weight(j);
    RandomScalingSgdHyperRef hyper = p.jobs.job[j].hyper;
    step_hyper = hyper.h;
    step_lr = parameter_lr(j, step_hyper.lr);
}

vec4 next_moments(uint i, uint valid, inout vec4 m, inout vec4 v) {
    // Each difference is of finite numbers: no inf - inf.
    vec4 d = clamp_finite(m - clamp_finite(step_lr * load_gradient(i, valid), DTYPE_F32), DTYPE_F32);
    m = step_hyper.beta * d / clamp_finite(1.0 + step_lr * step_hyper.mu);
    return -step_hyper.scale * m;
}

void take_step(uint i, uint valid, vec4 m, vec4 update) { update_weight(i, valid, load_weight(i, valid), update); }
