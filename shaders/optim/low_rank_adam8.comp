// SPDX-License-Identifier: MIT
// Adam's direction of gradients in another basis with moments in 8 bits an element, all matrices in one dispatch; the
// direction is adamw.comp's, without the rate.
#version 460
#extension GL_GOOGLE_include_directive : require
#extension GL_EXT_control_flow_attributes : require
#define MOMENT_BLOCK8
#include "optim/low_rank.h"

#define JOB LowRankAdam8Job
#include "core/kernel.glsl"
#include "core/half.glsl"
#include "optim/parameter.glsl"
#include "optim/low_rank_operands.glsl"
#define FIRST_MOMENT moment1
#define SECOND_MOMENT moment2
#include "optim/moment_block8.glsl"
#include "optim/adam_block8.glsl"

void begin_step(uint j) {
    begin_operands(j);
    AdamWHyperRef hyper = p.jobs.job[j].hyper;
    adam_hyper = hyper.h;
}

vec4 next_moments(uint i, uint valid, inout vec4 m, inout vec4 v) {
    return adam_step(load_low(i, valid), 1.0, m, v);
}

void take_step(uint i, uint valid, vec4 m, vec4 update) { store_direction(i, valid, update); }
