// SPDX-License-Identifier: MIT
// Which poles are eigenvalues already (secular.h). One after the other, as a pole may be compared with the outcome of
// the rotation before: one workgroup a merge, of one invocation.
#version 460
#extension GL_GOOGLE_include_directive : require
#include "linalg/secular.h"
#define JOB SecularJob
#include "core/kernel.glsl"
#include "linalg/secular.glsl"

const float EIGHT_UNITS = 4.7683716e-7; // 8 u, as in LAPACK's slaed2
const float SMALLEST = 1e-9;            // of a matrix of norm 1 to 2: what is less does not count

void main() {
    if (nothing_to_do())
        return;
    Merge x = find_merge();
    if (gl_LocalInvocationID.x != 0)
        return;
    F32 e = p.jobs.job[x.j].e;
    F32 numbers = p.jobs.job[x.j].numbers;
    U32 words = p.jobs.job[x.j].words;
    F32 values = p.jobs.job[x.j].values;
    uint poles = SECULAR_POLES * x.total + x.base;
    uint zs = SECULAR_Z * x.total + x.base;
    uint kept_d = SECULAR_KEPT * x.total + x.base;
    uint kept_z = SECULAR_KEPT_Z * x.total + x.base;
    uint cosines = SECULAR_COSINE * x.total + x.base;
    uint sines = SECULAR_SINE * x.total + x.base;
    uint order = SECULAR_ORDER * x.total + x.base;
    uint columns = SECULAR_COLUMN * x.total + x.base;
    uint places = SECULAR_PLACE * x.total + x.base;
    uint firsts = SECULAR_FIRST * x.total + x.base;
    uint seconds = SECULAR_SECOND * x.total + x.base;

    float rho = 2.0 * abs(e.v[coupling_index(x)]);
    float largest = max(abs(numbers.v[poles]), abs(numbers.v[poles + x.m - 1]));
    float tolerance = EIGHT_UNITS * max(max(largest, rho), SMALLEST);
    uint kept = 0;
    uint rotations = 0;
    bool waiting = false; // a pole that is kept unless the next one is too close
    float d = 0.0, z = 0.0;
    uint column = 0;
    for (uint k = 0; k < x.m; ++k) {
        uint at = min(k, x.m - 1);
        float next_d = numbers.v[poles + at];
        float next_z = numbers.v[zs + at];
        uint next_column = words.v[order + at];
        if (rho * abs(next_z) <= tolerance) {
            words.v[places + next_column] = SECULAR_NOT_KEPT;
            if (wanted(x, next_column))
                values.v[value_index(x, next_column)] = next_d;
            continue;
        }
        if (waiting) {
            float r = sqrt(z * z + next_z * next_z);
            float c = next_z / r;
            float s = -z / r;
            if (abs((next_d - d) * c * s) <= tolerance) {
                // z of the earlier one becomes zero.
                words.v[firsts + rotations] = column;
                words.v[seconds + rotations] = next_column;
                numbers.v[cosines + rotations] = c;
                numbers.v[sines + rotations] = s;
                ++rotations;
                words.v[places + column] = SECULAR_NOT_KEPT;
                if (wanted(x, column))
                    values.v[value_index(x, column)] = d * (c * c) + next_d * (s * s);
                next_d = d * (s * s) + next_d * (c * c);
                next_z = r;
            } else {
                numbers.v[kept_d + kept] = d;
                numbers.v[kept_z + kept] = z;
                words.v[columns + kept] = column;
                words.v[places + column] = kept;
                ++kept;
            }
        }
        waiting = true;
        d = next_d;
        z = next_z;
        column = next_column;
    }
    if (waiting) {
        numbers.v[kept_d + kept] = d;
        numbers.v[kept_z + kept] = z;
        words.v[columns + kept] = column;
        words.v[places + column] = kept;
        ++kept;
    }
    words.v[SECULAR_KEPT_COUNT * x.total + x.index] = kept;
    words.v[SECULAR_ROTATIONS * x.total + x.index] = rotations;
}
