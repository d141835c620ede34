// SPDX-License-Identifier: MIT
// Results of inverse roots of large matrices: symmetrised and scaled back, or zero, or left alone, and what became of
// each. Where the status is ok the corrected iterate is the result. A workgroup does PER_THREAD rows.
#version 460
#extension GL_GOOGLE_include_directive : require
#include "linalg/inverse_root.h"

#define JOB RootFinishJob
#include "core/kernel.glsl"
#include "linalg/inverse_root.glsl"

layout(constant_id = SPEC_PER_THREAD) const uint PER_THREAD = 4;

void main() {
    if (nothing_to_do())
        return;
    uint group = workgroup_index();
    uint j = find_job(group);
    group -= p.jobs.job[j].first_group;
    F32 x = p.jobs.job[j].x;
    F32 corrected = p.jobs.job[j].corrected;
    F32 result = p.jobs.job[j].result;
    U32 states = p.jobs.job[j].states;
    uint n = p.jobs.job[j].n;
    uint stride = p.jobs.job[j].result_stride;
    uint flags = p.jobs.job[j].flags;
    float tolerance = p.jobs.job[j].tolerance;
    uint slots = p.jobs.job[j].slots;
    uint groups = p.jobs.job[j].groups;
    uint item = group / groups;
    group -= item * groups;
    uint base = item * p.jobs.job[j].result_item;
    uint t = gl_LocalInvocationID.x;

    uint at = ((item + 1) * slots - 1) * ROOT_STATE_WORDS;
    uint verdict = states.v[at];
    float error = uintBitsToFloat(states.v[at + 1]);
    uint used = states.v[at + 2];
    bool failed = root_failed(verdict);
    bool two_words = (flags & ROOT_TWO_WORDS) != 0;
    int numerator = p.jobs.job[j].numerator;
    uint denominator = p.jobs.job[j].denominator;
    int exponent = int(states.v[at + 3]);
    uint found = root_status(verdict, error, tolerance);
    if (!failed || (flags & ROOT_KEEP) == 0)
        for (uint r = 0; r < PER_THREAD; ++r) {
            uint row = group * PER_THREAD + r;
            uint end = row < n ? n : 0;
            for (uint i = t; i < end; i += gl_WorkGroupSize.x) {
                uint first = (two_words ? 2 : 1) * item * n * n;
                uint col = min(i, n - 1);
                uint above = first + min(row, n - 1) * n + col;
                uint below = first + col * n + min(row, n - 1);
                float value = 0.5 * x.v[above] + 0.5 * x.v[below];
                if (found == STATUS_OK)
                    value = 0.5 * corrected.v[above] + 0.5 * corrected.v[below];
                if (failed) {
                    value = 0.0;
                } else if (two_words) { // products have made both halves the same
                    uint low = above + (two_words ? n * n : 0); // readable for those who do not come here
                    value = scale_by_power(vec2(value, found == STATUS_OK ? corrected.v[low] : x.v[low]), exponent,
                                           numerator, denominator);
                } else {
                    value = scale_by_power(value, exponent, numerator, denominator);
                }
                result.v[base + row * stride + i] = value;
            }
        }
    if (group != 0 || t != 0)
        return;
    if ((flags & ROOT_HAS_STATUS) != 0) {
        U32 status = p.jobs.job[j].status;
        status.v[item] = found;
    }
    if ((flags & ROOT_HAS_RESIDUAL) != 0) {
        F32 residual = p.jobs.job[j].residual;
        residual.v[item] = failed ? uintBitsToFloat(0x7f800000u) : error;
    }
    if ((flags & ROOT_HAS_USED) != 0) {
        U32 count = p.jobs.job[j].used;
        count.v[item] = used;
    }
}
