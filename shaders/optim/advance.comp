// SPDX-License-Identifier: MIT
// Begins a step: decides from the gradients' statistics whether it is skipped, how gradients are scaled, and evaluates
// everything that changes from step to step, so that a recorded step can be replayed.
//
//   gradient scale = 1 / loss scale, / micro-batches, * clip_norm / norm where the norm is above it
//   loss scale: * backoff at a non-finite step, * growth after growth_interval good ones (dynamic only)
//
// One workgroup. Statistics are combined in a fixed order. Also sets up the control block (initialize phase) and counts
// micro-batches (accumulate phase).
#version 460
#extension GL_GOOGLE_include_directive : require
#include "optim/advance.h"

#define JOB AdvanceJob
#include "core/kernel.glsl"
#include "core/half.glsl"
#define REDUCE_WORKGROUP
#include "core/reduce.glsl"
#include "core/math.glsl"
#include "linalg/philox.glsl"

const uint STEP_CONTROL_WORDS = 16;

shared uint shared_counts[gl_WorkGroupSize.x];
shared uint shared_step;
shared bool shared_skip;

uint add_saturating(uint a, uint b) { return a + b < a ? 0xffffffffu : a + b; }

// 1 - beta^t, of log(beta) in two parts.
float bias_correction(float log_beta, float log_beta_low, uint t) {
    precise float x = float(t) * log_beta + float(t) * log_beta_low;
    return -expm1_accurate(x);
}

float schedule_factor(SchedulePieces pieces, uint first, uint count, uint t) {
    float factor = 1.0;
    uint elapsed = t - 1u;
    for (uint k = first; k < first + count; ++k) {
        uint kind = pieces.piece[k].kind;
        uint steps = pieces.piece[k].steps;
        float from = pieces.piece[k].from;
        float to = pieces.piece[k].to;
        if (steps == 0u || elapsed < steps) {
            float x = steps == 0u ? 0.0 : float(elapsed) / float(steps);
            if (kind == SCHEDULE_LINEAR)
                return from + (to - from) * x;
            if (kind == SCHEDULE_COSINE)
                return from + (to - from) * raised_cosine(x);
            if (kind == SCHEDULE_EXPONENTIAL)
                return from * exp_accurate(x * pieces.piece[k].log_ratio);
            return from;
        }
        elapsed -= steps;
        factor = to;
    }
    return factor;
}

// `before`: the value that the slot kept from the last step.
float slot_value(HyperSlots slots, SchedulePieces pieces, uint s, uint t, uint seed, float before) {
    uint kind = slots.slot[s].kind;
    float value = slots.slot[s].value;
    if (kind == SLOT_SCHEDULED || kind == SLOT_COMPLEMENT || kind == SLOT_CHANCE || kind == SLOT_COUNTED) {
        uint count = slots.slot[s].piece_count;
        if (count != 0u)
            value *= schedule_factor(pieces, slots.slot[s].first_piece, count, t);
        if (kind == SLOT_COMPLEMENT)
            return 1.0 - value;
        // n times 1 / n may be rounded to less than 1.
        if (kind == SLOT_COUNTED)
            return (before + 1.0) * value >= 0.9999995 ? 0.0 : before + 1.0;
    }
    if (kind == SLOT_EXPONENTIAL || kind == SLOT_CHANCE) {
        // Of the seed and the step alone: the same after a resumption. Chances have draws of their own, whereas the
        // exponential number is that of all optimizers of the plan.
        uint draws = kind == SLOT_CHANCE ? slots.slot[s].draws : STEP_DRAW_STREAM;
        uint word = philox(uvec4(0u, t, draws, STEP_DRAW_STREAM), uvec2(seed, 0u)).x;
        if (kind == SLOT_EXPONENTIAL)
            return minus_log(positive_uniform(word));
        return float(word >> 8) * 5.9604645e-8 < value ? 0.0 : 1.0;
    }
    if (kind == SLOT_INVERSE_CORRECTION) {
        uint delay = uint(value);
        return 1.0 / bias_correction(slots.slot[s].log1, slots.slot[s].log1_low, max(t, delay + 1u) - delay);
    }
    if (kind == SLOT_CORRECTION_EVERY)
        return 1.0 / bias_correction(slots.slot[s].log1, slots.slot[s].log1_low, 1u + t / uint(value));
    if (kind == SLOT_CORRECTION_RATIO)
        return sqrt(bias_correction(slots.slot[s].log2, slots.slot[s].log2_low, t)) /
               bias_correction(slots.slot[s].log1, slots.slot[s].log1_low, t);
    if (kind == SLOT_CORRECTION_GROWTH)
        return value * bias_correction(slots.slot[s].log1, slots.slot[s].log1_low, t) /
               bias_correction(slots.slot[s].log1, slots.slot[s].log1_low, add_saturating(t, 1u));
    if (kind == SLOT_POWER)
        return exp_accurate(-value * minus_log(float(t)));
    if (kind == SLOT_STEP)
        return float(t);
    if (kind == SLOT_FIRST)
        return t == 1u ? 1.0 : value;
    return value;
}

void main() {
    if (nothing_to_do())
        return;
    uint lane = gl_LocalInvocationID.x;
    StepControlRef control = p.jobs.job[0].control;
    U32 status = p.jobs.job[0].status;
    uint mode = p.jobs.job[0].mode;
    uint flags = p.jobs.job[0].flags;

    if (mode != ADVANCE_MODE_STEP) {
        if (lane == 0u && mode == ADVANCE_MODE_ACCUMULATE)
            control.c.micro_batches = add_saturating(control.c.micro_batches, 1u);
        if (lane == 0u && mode == ADVANCE_MODE_INITIALIZE) {
            control.c.gradient_scale = 1.0;
            control.c.clip_value = p.jobs.job[0].clip_value;
            control.c.loss_scale = p.jobs.job[0].initial_loss_scale;
            control.c.seed = p.jobs.job[0].seed;
            for (uint w = 0; w < STEP_CONTROL_WORDS; ++w)
                status.v[w] = 0u;
            status.v[8] = floatBitsToUint(p.jobs.job[0].initial_loss_scale);
        }
        return;
    }

    // Statistics: every invocation sums its share in rising order, then the tree of reduce.glsl.
    F32 partials = p.jobs.job[0].partials;
    uint partial_count = p.jobs.job[0].partial_count;
    vec3 sums = vec3(0.0);
    uint nonfinite = 0u;
    for (uint k = lane; k < partial_count; k += gl_WorkGroupSize.x) {
        sums = blue_combine(sums, vec3(partials.v[4u * k], partials.v[4u * k + 1u], partials.v[4u * k + 2u]));
        nonfinite = add_saturating(nonfinite, floatBitsToUint(partials.v[4u * k + 3u]));
    }
    sums = workgroup_sum(sums);
    shared_counts[lane] = nonfinite;
    barrier();

    if (lane == 0u) {
        nonfinite = 0u;
        for (uint k = 0; k < gl_WorkGroupSize.x; ++k)
            nonfinite = add_saturating(nonfinite, shared_counts[k]);

        float loss_scale = control.c.loss_scale;
        uint micro_batches = control.c.micro_batches;
        bool accumulates = (flags & ADVANCE_ACCUMULATES) != 0u;
        bool bad = (flags & ADVANCE_SKIP_NONFINITE) != 0u && nonfinite != 0u;
        bool skip = bad || (accumulates && micro_batches == 0u);

        // The norm is root * unit with unit a power of two: it may lie outside of f32 before it is unscaled.
        vec2 scaled = blue_scaled(sums);
        float root = scaled.y > 0.0 ? sqrt(scaled.y) : 0.0;
        float scale = reciprocal(loss_scale);
        control.c.unscale = scale;
        if (accumulates && micro_batches > 1u)
            scale *= reciprocal(float(micro_batches));
        float norm = clamp_finite((root * scale) * scaled.x);
        float clip_norm = p.jobs.job[0].clip_norm;
        if (clip_norm > 0.0 && norm > clip_norm)
            scale = (clip_norm / root) * (1.0 / scaled.x);

        if ((flags & ADVANCE_DYNAMIC_LOSS_SCALE) != 0u) {
            uint good = control.c.good_steps;
            if (nonfinite != 0u) {
                loss_scale = max(loss_scale * p.jobs.job[0].backoff, 5.9604645e-8); // 2^-24
                good = 0u;
            } else if (!skip) {
                ++good;
                if (good >= p.jobs.job[0].growth_interval) {
                    loss_scale = min(loss_scale * p.jobs.job[0].growth, 1.329228e36); // 2^120: its reciprocal is normal
                    good = 0u;
                }
            }
            control.c.loss_scale = loss_scale;
            control.c.good_steps = good;
        }

        uint step = control.c.step;
        if (!skip)
            step = add_saturating(step, 1u);
        control.c.tick = control.c.tick + 1u;
        control.c.step = step;
        control.c.skip = skip ? 1u : 0u;
        if (skip)
            control.c.skipped = add_saturating(control.c.skipped, 1u);
        control.c.nonfinite = nonfinite;
        control.c.gradient_scale = scale;
        control.c.clip_value = p.jobs.job[0].clip_value;
        control.c.gradient_norm = norm;
        control.c.micro_batches = 0u;
        shared_step = max(step, 1u);
        shared_skip = skip;

        status.v[0] = control.c.tick;
        status.v[1] = step;
        status.v[2] = control.c.skip;
        status.v[3] = control.c.skipped;
        status.v[4] = nonfinite;
        status.v[5] = floatBitsToUint(scale);
        status.v[6] = floatBitsToUint(control.c.clip_value);
        status.v[7] = floatBitsToUint(norm);
        status.v[8] = floatBitsToUint(control.c.loss_scale);
        status.v[9] = control.c.good_steps;
        status.v[10] = 0u;
        status.v[11] = control.c.seed;
    }
    barrier();
    uint t = shared_step;

    HyperSlots slots = p.jobs.job[0].slots;
    SchedulePieces pieces = p.jobs.job[0].pieces;
    F32 values = p.jobs.job[0].values;
    uint slot_count = (flags & ADVANCE_KEEPS_VALUES) != 0u && shared_skip ? 0u : p.jobs.job[0].slot_count;
    for (uint s = lane; s < slot_count; s += gl_WorkGroupSize.x) {
        float before = slots.slot[s].kind == SLOT_COUNTED ? values.v[s] : 0.0;
        values.v[s] = clamp_finite(slot_value(slots, pieces, s, t, control.c.seed, before));
    }

    if ((flags & ADVANCE_SECTIONS) != 0u) {
        memoryBarrierBuffer();
        barrier(); // values that gates look at are other invocations'
        SectionEntries sections = p.jobs.job[0].sections;
        U32 arguments = p.jobs.job[0].arguments;
        for (uint s = lane; s < sections.count; s += gl_WorkGroupSize.x) {
            uint gate = sections.entry[s].gate;
            bool open = gate == 0u || values.v[max(gate, 1u) - 1u] == 0.0;
            bool runs = section_runs(sections.entry[s], t - 1u, open);
            arguments.v[3u * s] = runs ? sections.entry[s].x : 0u;
            arguments.v[3u * s + 1u] = runs ? sections.entry[s].y : 0u;
            arguments.v[3u * s + 2u] = runs ? 1u : 0u;
        }
    }
}
