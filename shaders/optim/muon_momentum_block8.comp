// SPDX-License-Identifier: MIT
// Muon's momentum with 8 bits an element, all parameters in one dispatch; the rule is muon_momentum.comp's, with U of
// the momentum before it is rounded.
#version 460
#extension GL_GOOGLE_include_directive : require
#extension GL_EXT_control_flow_attributes : require
#define MOMENT_BLOCK8
#include "optim/muon.h"

#define JOB MuonMomentumJob
#include "core/kernel.glsl"
#include "core/half.glsl"
#include "optim/parameter.glsl"
#include "optim/gradient.glsl"
#include "optim/muon_direction.glsl"
#define FIRST_MOMENT momentum
#include "optim/moment_block8.glsl"

F32x4 step_update;
MuonHyper step_hyper;
uint step_flags;

void begin_step(uint j) {
    begin_gradient(j);
    step_flags = p.jobs.job[j].flags;
    step_update = p.jobs.job[j].update;
    MuonHyperRef hyper = p.jobs.job[j].hyper;
    step_hyper = hyper.h;
}

vec4 next_moments(uint i, uint valid, inout vec4 m, inout vec4 v) {
    vec4 g = load_gradient(i, valid);
    m = step_hyper.momentum * m + step_hyper.rate * g;
    return muon_direction(m, g, step_hyper.momentum, step_hyper.rate, step_flags);
}

void take_step(uint i, uint valid, vec4 m, vec4 update) { store_state(step_update, i, valid, update); }
