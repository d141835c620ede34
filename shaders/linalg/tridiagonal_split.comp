// SPDX-License-Identifier: MIT
// The parts of a tridiagonal matrix as dense matrices (TridiagonalSplitJob), 1024 elements a workgroup.
#version 460
#extension GL_GOOGLE_include_directive : require
#include "linalg/tridiagonal.h"
#define JOB TridiagonalSplitJob
#include "core/kernel.glsl"

const uint CHUNK = 1024;

void main() {
    if (nothing_to_do())
        return;
    uint group = workgroup_index();
    uint j = find_job(group);
    group -= p.jobs.job[j].first_group;
    F32 diagonal = p.jobs.job[j].diagonal;
    F32 off_diagonal = p.jobs.job[j].off_diagonal;
    F32 parts = p.jobs.job[j].parts;
    uint size = p.jobs.job[j].size;
    uint leaf = p.jobs.job[j].leaf;
    uint chunks = p.jobs.job[j].chunks;
    uint count = size * leaf;
    uint item = group / chunks;
    uint chunk = group - item * chunks;
    uint at = item * size;
    for (uint k = chunk * CHUNK + gl_LocalInvocationID.x; k < min(count, chunk * CHUNK + CHUNK); k += gl_WorkGroupSize.x) {
        uint row = k / leaf;             // of T
        uint first = row / leaf * leaf;  // of its part
        uint col = first + k - row * leaf;
        float before = off_diagonal.v[at + max(row, 1u) - 1u];
        float after = off_diagonal.v[at + row];
        float value = 0.0;
        if (col == row) {
            value = diagonal.v[at + row];
            if (row == first && row > 0u)
                value -= abs(before);
            if (row + 1u == first + leaf && row + 1u < size)
                value -= abs(after);
        } else if (col + 1u == row) {
            value = before;
        } else if (col == row + 1u) {
            value = after;
        }
        parts.v[item * count + k] = value;
    }
}
