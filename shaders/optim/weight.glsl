// SPDX-License-Identifier: MIT
// Reads and writes the parameter of a job together with its master copy and moving average. The includer's job struct has
// the members `ParameterOperand parameter` and `ElementRange range`, and it has included core/kernel.glsl, core/half.glsl
// and optim/parameter.glsl.
#ifndef HERON_OPTIM_WEIGHT_GLSL
#define HERON_OPTIM_WEIGHT_GLSL

layout(constant_id = SPEC_DTYPE_A) const uint WEIGHT_DTYPE = DTYPE_F32;

// Elements i .. i + valid - 1 of the parameter, from the master copy where there is one.
vec4 load_weight(uint j, uint i, uint valid) {
    if ((p.jobs.job[j].parameter.flags & PARAMETER_MASTER) != 0u) {
        F32x4 master = p.jobs.job[j].parameter.master;
        return load_state(master, i, valid);
    }
    U32x4 weight = p.jobs.job[j].parameter.weight;
    return load_quad(weight, i, valid, is_aligned(p.jobs.job[j].parameter.low, i, valid), WEIGHT_DTYPE);
}

void store_weight(uint j, uint i, uint valid, vec4 value) {
    U32x4 weight = p.jobs.job[j].parameter.weight;
    U32 words = p.jobs.job[j].parameter.words;
    store_quad(weight, words, i, valid, is_aligned(p.jobs.job[j].parameter.low, i, valid), value, WEIGHT_DTYPE);
    uint flags = p.jobs.job[j].parameter.flags;
    if ((flags & PARAMETER_MASTER) != 0u) {
        F32x4 master = p.jobs.job[j].parameter.master;
        store_state(master, i, valid, value);
    }
    if ((flags & PARAMETER_AVERAGE) != 0u) {
        F32x4 average = p.jobs.job[j].parameter.average;
        // Of what the step goes on with: the master copy, or the parameter as it was rounded.
        vec4 now = (flags & PARAMETER_MASTER) != 0u ? value : round_to(value, WEIGHT_DTYPE);
        vec4 old = load_state(average, i, valid);
        store_state(average, i, valid, old + p.jobs.job[j].parameter.average_rate * (now - old));
    }
}

#endif
