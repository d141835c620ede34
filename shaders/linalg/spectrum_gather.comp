// SPDX-License-Identifier: MIT
// The columns of each matrix in the order of its spectrum (SpectrumGatherJob). 1024 elements a workgroup.
#version 460
#extension GL_GOOGLE_include_directive : require
#include "linalg/spectrum.h"
#define JOB SpectrumGatherJob
#include "core/kernel.glsl"

const uint CHUNK = 1024;

void main() {
    if (nothing_to_do())
        return;
    uint group = workgroup_index();
    uint j = find_job(group);
    group -= p.jobs.job[j].first_group;
    F32 x = p.jobs.job[j].x;
    U32 order = p.jobs.job[j].order;
    F32 sorted = p.jobs.job[j].sorted;
    F32 y = p.jobs.job[j].y;
    uint rows = p.jobs.job[j].rows;
    uint cols = p.jobs.job[j].cols;
    uint flags = p.jobs.job[j].flags;
    uint chunks = p.jobs.job[j].chunks;
    uint item = group / chunks;
    uint chunk = group - item * chunks;
    bool transposed = (flags & GATHER_TRANSPOSED) != 0u;
    bool normalized = (flags & GATHER_NORMALIZED) != 0u;
    bool within_rank = (flags & GATHER_WITHIN_RANK) != 0u;
    uint x_at = item * p.jobs.job[j].x_item;
    uint y_at = item * p.jobs.job[j].y_item;
    uint order_at = item * p.jobs.job[j].order_item;
    uint x_stride = p.jobs.job[j].x_stride;
    uint y_stride = p.jobs.job[j].y_stride;
    float least = 0.0;
    if (normalized || within_rank)
        least = float(p.jobs.job[j].rank_scale) * 1.1920929e-7 * sorted.v[order_at];
    uint count = rows * cols;
    for (uint i = chunk * CHUNK + gl_LocalInvocationID.x; i < min(count, chunk * CHUNK + CHUNK); i += gl_WorkGroupSize.x) {
        uint row = transposed ? i % rows : i / cols;
        uint col = transposed ? i / rows : i % cols;
        float value = x.v[x_at + row * x_stride + min(order.v[order_at + col], x_stride - 1u)];
        if (normalized || within_rank) {
            float size = sorted.v[order_at + col];
            value = size > least ? (normalized ? value / size : value) : 0.0;
        }
        y.v[y_at + (transposed ? col * y_stride + row : row * y_stride + col)] = value;
    }
}
