// SPDX-License-Identifier: MIT
// Completes the w of one column, and makes d, e, v and tau of the next (TridiagonalColumnJob):
//
//   w = tau (p - tau (p . v) v / 2)                         of column j - 1
//   x = next - v w_j - w v_j                                column j of the matrix, from row j on; d_j = x_j
//   v = (x - e_j unit) / (x_j+1 - e_j),  e_j = -sign(x_j+1) |x|,  tau = (e_j - x_j+1) / e_j      from row j + 1 on
//
// One workgroup a matrix. A row belongs to one invocation, so that memory needs no fences.
#version 460
#extension GL_GOOGLE_include_directive : require
#define REDUCE_WORKGROUP
#include "linalg/tridiagonal.h"
#define JOB TridiagonalColumnJob
#include "core/kernel.glsl"
#include "core/reduce.glsl"

const uint B = TRIDIAGONAL_PANEL;

// The matrix has norm 1 to 2: a column below 1e-15 is zero, and squares above 1e-30 do not lose bits.
const float NOTHING = 1e-30;

shared float pivot;

void main() {
    if (nothing_to_do())
        return;
    uint item = workgroup_index();
    uint j = find_job(item);
    item -= p.jobs.job[j].first_group;
    F32 a = p.jobs.job[j].a;
    F32 v_all = p.jobs.job[j].v_all;
    F32 z = p.jobs.job[j].z;
    F32 z_swapped = p.jobs.job[j].z_swapped;
    F32 next = p.jobs.job[j].next;
    F32 product = p.jobs.job[j].product;
    F32 v = p.jobs.job[j].v;
    F32 taus = p.jobs.job[j].tau;
    F32 diagonal = p.jobs.job[j].diagonal;
    F32 off_diagonal = p.jobs.job[j].off_diagonal;
    uint order = p.jobs.job[j].order;
    uint size = p.jobs.job[j].size;
    uint column = p.jobs.job[j].column;
    uint done = p.jobs.job[j].done;
    uint flags = p.jobs.job[j].flags;
    bool previous = (flags & TRIDIAGONAL_PREVIOUS) != 0;
    bool has_next = (flags & TRIDIAGONAL_NEXT) != 0;
    uint t = gl_LocalInvocationID.x;
    uint threads = gl_WorkGroupSize.x;
    uint at = item * size;
    uint z_at = item * size * 2 * B;

    float tau = 0.0;
    float shift = 0.0; // tau (p . v) / 2
    float w_column = 0.0;
    if (previous) {
        tau = taus.v[at + column - 1];
        vec3 sum = vec3(0.0);
        for (uint i = column + t; i < order; i += threads)
            sum.x += product.v[at + i] * v.v[at + i];
        shift = 0.5 * tau * workgroup_sum(sum).x;
        w_column = tau * (product.v[at + column] - shift); // v is 1 there
    }

    vec3 squares = vec3(0.0);
    for (uint i = column + t; i < order; i += threads) {
        float x = 0.0;
        if (has_next)
            x = previous ? next.v[at + i] : a.v[item * size * size + column * size + i]; // symmetric
        if (previous) {
            float vi = v.v[at + i];
            float w = tau * (product.v[at + i] - shift * vi);
            uint to = z_at + i * 2 * B + done - 1;
            z.v[to + B] = w;
            z_swapped.v[to] = w;
            x -= vi * w_column + w;
        }
        if (!has_next)
            continue;
        next.v[at + i] = x;
        if (i == column)
            diagonal.v[at + i] = x;
        if (i == column + 1)
            pivot = x;
        if (i > column + 1)
            squares.x += x * x;
    }
    if (!has_next)
        return;
    if (column + 1 == order) {
        for (uint i = order + t; i < size; i += threads)
            diagonal.v[at + i] = 0.0;
        for (uint i = column + t; i < size; i += threads)
            off_diagonal.v[at + i] = 0.0;
        return;
    }
    float below = workgroup_sum(squares).x;
    float alpha = pivot;
    bool nothing_below = below <= NOTHING;
    float norm = nothing_below ? 1.0 : sqrt(below + alpha * alpha);
    float beta = nothing_below ? alpha : alpha > 0.0 ? -norm : norm;
    float new_tau = nothing_below ? 0.0 : (beta - alpha) / beta;
    float factor = nothing_below ? 0.0 : 1.0 / (alpha - beta);
    if (t == 0) {
        taus.v[at + column] = new_tau;
        off_diagonal.v[at + column] = beta;
    }
    // Also the zeros above, down from where the block of reflectors begins; for those no row has an owner yet.
    uint zeros = column / REFLECTORS * REFLECTORS;
    for (uint i = zeros + t; i <= column; i += threads)
        v_all.v[item * size * size + i * size + column] = 0.0;
    for (uint i = column + t; i < order; i += threads) {
        if (i == column)
            continue;
        float vi = i == column + 1 ? 1.0 : next.v[at + i] * factor;
        v.v[at + i] = vi;
        v_all.v[item * size * size + i * size + column] = vi;
        uint to = z_at + i * 2 * B + done;
        z.v[to] = vi;
        z_swapped.v[to + B] = vi;
    }
}
