// SPDX-License-Identifier: MIT
// Softmax cross entropy, its gradient, and whether the prediction is right.
//
//   loss = log(sum_c exp(z_c - m)) + m - z_label, m = max z;   gradient = (softmax(z) - onehot(label)) / rows
//
// One invocation a row. Of equal logits the first one is predicted. Rows without a label count nothing.
#version 460
#extension GL_GOOGLE_include_directive : require
#include "jobs.h"
#define JOB SoftmaxLossJob
#include "core/kernel.glsl"

void main() {
    if (nothing_to_do())
        return;
    uint group = workgroup_index();
    uint j = find_job(group);
    uint row = (group - p.jobs.job[j].first_group) * gl_WorkGroupSize.x + gl_LocalInvocationID.x;
    uint rows = p.jobs.job[j].rows;
    if (row >= rows)
        return;

    F32 logits = p.jobs.job[j].logits;
    Words row_label = p.jobs.job[j].row_label;
    F32 row_result = p.jobs.job[j].row_result;
    uint classes = p.jobs.job[j].classes;
    uint label = row_label.v[row];
    uint at = row * classes;

    if (label == NO_LABEL) {
        row_result.v[2 * row] = 0.0;
        row_result.v[2 * row + 1] = 0.0;
        return;
    }

    uint best = 0;
    float highest = logits.v[at];
    for (uint c = 1; c < classes; ++c) {
        float z = logits.v[at + c];
        if (z > highest) {
            highest = z;
            best = c;
        }
    }
    float sum = 0.0;
    for (uint c = 0; c < classes; ++c)
        sum += exp(logits.v[at + c] - highest);

    row_result.v[2 * row] = log(sum) + highest - logits.v[at + label];
    row_result.v[2 * row + 1] = best == label ? 1.0 : 0.0;

    if (p.jobs.job[j].evaluate != 0) {
        Words row_index = p.jobs.job[j].row_index;
        Words predictions = p.jobs.job[j].predictions;
        predictions.v[row_index.v[row]] = best;
    } else {
        F32 gradient = p.jobs.job[j].gradient;
        for (uint c = 0; c < classes; ++c) {
            float probability = exp(logits.v[at + c] - highest) / sum;
            gradient.v[at + c] = (probability - (c == label ? 1.0 : 0.0)) / float(rows);
        }
    }
}
