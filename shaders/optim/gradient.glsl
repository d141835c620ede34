// SPDX-License-Identifier: MIT
// Reads the gradient of a job as the step sees it. The includer's job struct has the members `GradientOperand gradient` and
// `ElementRange range`, and it has included core/kernel.glsl, core/half.glsl and optim/parameter.glsl.
#ifndef HERON_OPTIM_GRADIENT_GLSL
#define HERON_OPTIM_GRADIENT_GLSL

layout(constant_id = SPEC_DTYPE_B) const uint GRADIENT_DTYPE = DTYPE_F32;

// As the caller wrote it.
vec4 load_raw_gradient(uint j, uint i, uint valid) {
    U32x4 gradient = p.jobs.job[j].gradient.address;
    return load_quad(gradient, i, valid, is_aligned(p.jobs.job[j].gradient.low, i, valid), GRADIENT_DTYPE);
}

vec4 load_gradient(uint j, uint i, uint valid) {
    return scaled_gradient(load_raw_gradient(j, i, valid), p.control.c.gradient_scale, p.control.c.clip_value);
}

// The job's quads that this invocation takes: quad_begin(j, group), then steps of gl_WorkGroupSize.x, `rounds` times.
uint quad_begin(uint j, uint group) {
    return (group - p.jobs.job[j].first_group) * p.jobs.job[j].range.rounds * gl_WorkGroupSize.x + gl_LocalInvocationID.x;
}

#endif
