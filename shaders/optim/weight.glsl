// SPDX-License-Identifier: MIT
// Reads and writes the parameter of a job together with its master copy and moving average. The includer's job struct
// has the member `ParameterOperand parameter`, and it has included optim/parameter.glsl. begin_weight() comes first: it
// reads the job once, for all elements.
//
// Every optimizer's weights pass through update_weight(): it saturates, so that no rate, decay or gradient, however
// large, makes an infinity or a NaN of finite numbers.
#ifndef HERON_OPTIM_WEIGHT_GLSL
#define HERON_OPTIM_WEIGHT_GLSL

layout(constant_id = SPEC_DTYPE_A) const uint WEIGHT_DTYPE = DTYPE_F32;

U32x4 weight_address;
U32 weight_words;
F32x4 weight_master;
F32x4 weight_average;
uint weight_low;
uint weight_flags;
float weight_average_rate;

void begin_weight(uint j) {
    weight_address = p.jobs.job[j].parameter.weight;
    weight_words = p.jobs.job[j].parameter.words;
    weight_master = p.jobs.job[j].parameter.master;
    weight_average = p.jobs.job[j].parameter.average;
    weight_low = p.jobs.job[j].parameter.low;
    weight_flags = p.jobs.job[j].parameter.flags;
    weight_average_rate = p.jobs.job[j].parameter.average_rate;
}

// Elements i .. i + valid - 1 of the parameter, from the master copy where there is one.
vec4 load_weight(uint i, uint valid) {
    if (WEIGHT_DTYPE != DTYPE_F32 && (weight_flags & PARAMETER_MASTER) != 0u)
        return load_state(weight_master, i, valid);
    return load_quad(weight_address, i, valid, is_wide(weight_low, i, valid), WEIGHT_DTYPE);
}

// The optimizer's rate and weight decay for this parameter: finite, because an infinite one times 0 is NaN.
float parameter_lr(uint j, float lr) { return clamp_finite(lr * p.jobs.job[j].parameter.lr_scale); }
float parameter_decay(uint j, float weight_decay) {
    return clamp_finite(weight_decay * p.jobs.job[j].parameter.weight_decay_scale);
}

// Returns what the step goes on with, and averages are of: the master copy, or the parameter as it was rounded.
vec4 store_weight(uint i, uint valid, vec4 value) {
    bool wide = is_wide(weight_low, i, valid);
    vec4 stored = store_quad(weight_address, weight_words, i, valid, wide, value, WEIGHT_DTYPE);
    if (WEIGHT_DTYPE != DTYPE_F32 && (weight_flags & PARAMETER_MASTER) != 0u) {
        store_state(weight_master, i, valid, value);
        stored = value;
    }
    return stored;
}

vec4 keep_nan(vec4 x, vec4 otherwise) {
    return mix(otherwise, x, greaterThan(floatBitsToUint(x) & 0x7fffffffu, uvec4(0x7f800000u)));
}

// w <- decayed - update, each cut to the range of f32 (no inf - inf), their difference to that of the parameter's type.
// Only a weight that was NaN makes `decayed` NaN; it stays so, for the caller to see.
void update_weight(uint i, uint valid, vec4 decayed, vec4 update) {
    vec4 value = clamp_finite(clamp_finite(decayed, DTYPE_F32) - clamp_finite(update, DTYPE_F32), WEIGHT_DTYPE);
    vec4 kept = store_weight(i, valid, keep_nan(decayed, value));
    if ((FLAGS & ELEMENTS_AVERAGE) != 0u) {
        vec4 old = load_state(weight_average, i, valid);
        store_state(weight_average, i, valid, old + weight_average_rate * clamp_finite(kept - old, DTYPE_F32));
    }
}

// For what comes after an optimizer in the same step: w <- value, within the range of its type, where update_weight()
// left `before`. The average moves as if that had left `value`.
void replace_weight(uint i, uint valid, vec4 before, vec4 value) {
    vec4 kept = store_weight(i, valid, keep_nan(before, value));
    if ((FLAGS & ELEMENTS_AVERAGE) != 0u) {
        vec4 average = load_state(weight_average, i, valid);
        vec4 change = weight_average_rate * clamp_finite(kept - before, DTYPE_F32);
        store_state(weight_average, i, valid, clamp_finite(average + change, DTYPE_F32));
    }
}

#endif
