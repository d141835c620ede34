// SPDX-License-Identifier: MIT
// U, the eigenvectors of diag(d) + rho z z^T as columns (secular.h), with the rotations of what was deflated: one
// invocation a column.
//
//   u_i = z_i / (d_i - x), normalised; a unit vector where the pole of that column was deflated
#version 460
#extension GL_GOOGLE_include_directive : require
#include "linalg/secular.h"
#define JOB SecularJob
#include "core/kernel.glsl"
#include "linalg/secular.glsl"

void main() {
    if (nothing_to_do())
        return;
    Merge x = find_merge();
    F32 numbers = p.jobs.job[x.j].numbers;
    U32 words = p.jobs.job[x.j].words;
    F32 u = p.jobs.job[x.j].u;
    uint column = x.group * gl_WorkGroupSize.x + gl_LocalInvocationID.x;
    if (column >= x.m)
        return;
    uint poles = SECULAR_KEPT * x.total + x.base;
    uint weights = SECULAR_WEIGHT * x.total + x.base;
    uint places = SECULAR_PLACE * x.total + x.base;
    uint kept = words.v[SECULAR_KEPT_COUNT * x.total + x.index];
    uint rotations = words.v[SECULAR_ROTATIONS * x.total + x.index];
    uint place = words.v[places + column];
    bool is_kept = place != SECULAR_NOT_KEPT;
    uint k = is_kept ? place : 0;
    float origin = is_kept ? numbers.v[SECULAR_ORIGIN * x.total + x.base + k] : 0.0;
    float offset = is_kept ? numbers.v[SECULAR_OFFSET * x.total + x.base + k] : 1.0;

    // Times the offset, which no d_i - x is less than: nothing overflows.
    float scale = 0.0;
    if (is_kept) {
        float squares = 0.0;
        for (uint i = 0; i < kept; ++i) {
            uint at = min(i, kept - 1);
            precise float delta = (numbers.v[poles + at] - origin) - offset;
            float value = numbers.v[weights + at] * (offset / delta);
            squares += value * value;
        }
        scale = 1.0 / sqrt(max(squares, 1e-37));
    }
    uint to = x.index * x.m * x.m + column;
    for (uint row = 0; row < x.m; ++row) {
        uint from = words.v[places + min(row, x.m - 1)];
        bool row_kept = from != SECULAR_NOT_KEPT;
        float value = row == column ? 1.0 : 0.0;
        if (row_kept || is_kept)
            value = 0.0;
        if (row_kept && is_kept) {
            uint at = min(from, kept - 1);
            precise float delta = (numbers.v[poles + at] - origin) - offset;
            value = scale * (numbers.v[weights + at] * (offset / delta));
        }
        u.v[to + row * x.m] = value;
    }
    // Q G_1 ... G_r U: the last rotation first.
    for (uint r = 0; r < rotations; ++r) {
        uint at = x.base + rotations - 1 - min(r, rotations - 1);
        uint first = to + min(words.v[SECULAR_FIRST * x.total + at], x.m - 1) * x.m;
        uint second = to + min(words.v[SECULAR_SECOND * x.total + at], x.m - 1) * x.m;
        float c = numbers.v[SECULAR_COSINE * x.total + at];
        float s = numbers.v[SECULAR_SINE * x.total + at];
        float a = u.v[first];
        float b = u.v[second];
        u.v[first] = c * a - s * b;
        u.v[second] = s * a + c * b;
    }
}
