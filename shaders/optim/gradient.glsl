// SPDX-License-Identifier: MIT
// Reads the gradient of a job. The includer's job struct has the member `GradientOperand gradient`, and it has included
// optim/parameter.glsl. begin_gradient() comes first: it reads the job once, for all elements.
#ifndef HERON_OPTIM_GRADIENT_GLSL
#define HERON_OPTIM_GRADIENT_GLSL

layout(constant_id = SPEC_DTYPE_B) const uint GRADIENT_DTYPE = DTYPE_F32;

U32x4 gradient_address;
uint gradient_low;
float gradient_factor;
float gradient_limit;

void begin_gradient(uint j) {
    gradient_address = p.jobs.job[j].gradient.address;
    gradient_low = p.jobs.job[j].gradient.low;
    bool ready = (FLAGS & GRADIENT_READY) != 0u;
    gradient_factor = ready ? 1.0 : p.control.c.gradient_scale;
    gradient_limit = ready ? LARGEST_GRADIENT : p.control.c.clip_value;
}

// As the caller wrote it.
vec4 load_raw_gradient(uint i, uint valid) {
    return load_quad(gradient_address, i, valid, is_wide(gradient_low, i, valid), GRADIENT_DTYPE);
}

// Nothing that a step adds to a gradient may carry it beyond what the momentum can sum up.
vec4 limit_gradient(vec4 g) { return clamp(g, -LARGEST_GRADIENT, LARGEST_GRADIENT); }

// As the step sees it: scaled (loss scale, micro-batches, clipping by norm), then clamped. The clamp is there without
// clipping by value too: it keeps squares and long sums of any finite gradient finite (StepControl::clip_value).
vec4 load_gradient(uint i, uint valid) {
    return clamp(load_raw_gradient(i, valid) * gradient_factor, -gradient_limit, gradient_limit);
}

#endif
