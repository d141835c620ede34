// SPDX-License-Identifier: MIT
// FISMO's momentum in the whitened space, all blocks of all parameters in one dispatch:
//
//   M <- beta M + (1 - beta) G~;   U = (1 - beta) G~ + beta M (Nesterov), or M
#version 460
#extension GL_GOOGLE_include_directive : require
#include "optim/fismo.h"

#define JOB FismoMomentumJob
#include "core/kernel.glsl"
#include "core/half.glsl"
#include "optim/parameter.glsl"
#include "optim/muon_direction.glsl"
#define FIRST_MOMENT momentum
#include "optim/moment_step.glsl"

F32x4 step_whitened;
F32x4 step_update;
MuonHyper step_hyper;
float step_unit;
uint step_flags;

void begin_step(uint j) {
    step_flags = p.jobs.job[j].flags;
    step_whitened = p.jobs.job[j].whitened;
    step_update = p.jobs.job[j].update;
    F32 unit = p.jobs.job[j].unit;
    step_unit = unit.v[0];
    MuonHyperRef hyper = p.jobs.job[j].hyper;
    step_hyper = hyper.h;
}

vec4 next_moments(uint i, uint valid, inout vec4 m, inout vec4 v) {
    vec4 g = load_state(step_whitened, i, valid) * step_unit;
    m = step_hyper.momentum * m + step_hyper.rate * g;
    return muon_direction(m, g, step_hyper.momentum, step_hyper.rate, step_flags);
}

void take_step(uint i, uint valid, vec4 m, vec4 update) { store_state(step_update, i, valid, update); }
