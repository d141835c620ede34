// SPDX-License-Identifier: MIT
// Lion's momentum of gradients in another basis, all matrices in one dispatch:
//
//   D = m + r1 (a - m);  then m <- m + r2 (a - m)       r = 1 - beta
//
// The sign is taken where D has come back from the basis.
#version 460
#extension GL_GOOGLE_include_directive : require
#extension GL_EXT_control_flow_attributes : require
#include "optim/low_rank.h"

#define JOB LowRankLionJob
#include "core/kernel.glsl"
#include "core/half.glsl"
#include "optim/parameter.glsl"
#include "optim/low_rank_operands.glsl"
#define FIRST_MOMENT momentum
#include "optim/moment_step.glsl"

LionHyper step_hyper;

void begin_step(uint j) {
    begin_operands(j);
    LionHyperRef hyper = p.jobs.job[j].hyper;
    step_hyper = hyper.h;
}

vec4 next_moments(uint i, uint valid, inout vec4 m, inout vec4 v) {
    vec4 difference = load_low(i, valid) - m;
    vec4 direction = m + step_hyper.rate1 * difference;
    m = m + step_hyper.rate2 * difference;
    return direction;
}

void take_step(uint i, uint valid, vec4 m, vec4 update) { store_direction(i, valid, update); }
