// SPDX-License-Identifier: MIT
// The small systems of gradient windows: q = B^-1 r = T^T (T r), T the inverse of B's Cholesky factor, one workgroup a
// system. What r is depends on the mode (woodbury.h). Errors that an explicit inverse makes are what refinement
// removes. With WOODBURY_KEPT `inverse` is the factor L itself, for which substitution is s^2: L h = r, L^T q = h.
//
// The first solution also decides what becomes of a system. Not positive definite, all jitter included: q = y, and the
// result becomes U^T y, or b: the plain gradient. Not finite: zeros.
#version 460
#extension GL_GOOGLE_include_directive : require
#include "linalg/woodbury.h"

#define JOB WoodburySolveJob
#include "core/kernel.glsl"
#include "linalg/woodbury.glsl"

const uint LARGEST = 1024;
shared float right[LARGEST];
shared float half_way[LARGEST];

void main() {
    if (nothing_to_do())
        return;
    uint group = workgroup_index();
    uint j = find_job(group);
    uint item = group - p.jobs.job[j].first_group;
    F32 b = p.jobs.job[j].b;
    F32 inverse = p.jobs.job[j].inverse;
    F32 y = p.jobs.job[j].y;
    F32 partials = p.jobs.job[j].partials;
    F32 q = p.jobs.job[j].q;
    U32 info = p.jobs.job[j].info;
    uint rows = p.jobs.job[j].rows;
    uint chunks = p.jobs.job[j].chunks;
    uint mode = p.jobs.job[j].mode;
    uint flags = p.jobs.job[j].flags;
    uint t = gl_LocalInvocationID.x;
    uint threads = gl_WorkGroupSize.x;
    uint at = item * WOODBURY_INFO_WORDS;
    uint first = item * rows;
    uint last = rows - 1;

    uint verdict = info.v[at + WOODBURY_VERDICT];
    float lambda = uintBitsToFloat(info.v[at + WOODBURY_LAMBDA]);
    float added = lambda; // to the diagonal
    bool judges = mode == WOODBURY_SOLVE_FIRST || mode == WOODBURY_SOLVE_GIVEN;
    if (judges) {
        U32 cholesky_status = p.jobs.job[j].cholesky_status;
        F32 jitter = p.jobs.job[j].jitter;
        uint factored = cholesky_status.v[item];
        if (factored != STATUS_OK && verdict != STATUS_NONFINITE)
            verdict = factored;
        if ((flags & WOODBURY_HAS_EARLIER) != 0) {
            U32 earlier = p.jobs.job[j].earlier;
            if (earlier.v[item] != STATUS_OK)
                verdict = earlier.v[item];
        }
        if (mode == WOODBURY_SOLVE_FIRST)
            lambda += jitter.v[item];
    } else if ((flags & WOODBURY_IF_REFINED) != 0) {
        if (info.v[at + WOODBURY_REFINED] == 0)
            return;
    }
    bool solved = verdict == STATUS_OK || verdict == STATUS_JITTERED;

    for (uint i = t; i < rows; i += threads) {
        uint row = min(i, last);
        float sum = 0.0;
        if (!judges || (flags & WOODBURY_HAS_Y) == 0)
            for (uint c = 0; c < chunks; ++c)
                sum += partials.v[(item * chunks + min(c, chunks - 1)) * rows + row];
        float value = sum;
        if (judges && (flags & WOODBURY_HAS_Y) != 0)
            value = y.v[first + row];
        if (mode == WOODBURY_SOLVE_REFINE)
            value = y.v[first + row] - (sum + lambda * q.v[first + row]);
        right[row] = value;
    }
    barrier();
    if (mode == WOODBURY_SOLVE_SUM || mode == WOODBURY_SOLVE_GIVEN || !solved) {
        for (uint i = t; i < rows; i += threads)
            q.v[first + min(i, last)] = verdict == STATUS_NONFINITE ? 0.0 : right[min(i, last)];
    } else if ((flags & WOODBURY_KEPT) != 0) {
        // A column at a time; nobody writes what is divided.
        for (uint k = 0; k < rows; ++k) {
            uint col = min(k, last);
            float x = right[col] / inverse.v[(first + col) * rows + col];
            for (uint i = col + 1 + t; i < rows; i += threads)
                right[min(i, last)] -= inverse.v[(first + min(i, last)) * rows + col] * x;
            if (t == 0)
                half_way[col] = x;
            barrier();
        }
        for (uint k = 0; k < rows; ++k) {
            uint row = last - min(k, last);
            float x = half_way[row] / inverse.v[(first + row) * rows + row];
            for (uint i = t; i < row; i += threads)
                half_way[min(i, last)] -= inverse.v[(first + row) * rows + min(i, last)] * x;
            if (t == 0)
                right[row] = x;
            barrier();
        }
        for (uint i = t; i < rows; i += threads) {
            uint row = first + min(i, last);
            float before = mode == WOODBURY_SOLVE_REFINE ? q.v[row] : 0.0;
            q.v[row] = before + right[min(i, last)];
        }
    } else {
        for (uint i = t; i < rows; i += threads) {
            uint row = min(i, last);
            float sum = 0.0;
            for (uint k = 0; k <= row; ++k)
                sum += inverse.v[(first + row) * rows + min(k, last)] * right[min(k, last)];
            half_way[row] = sum;
        }
        barrier();
        for (uint i = t; i < rows; i += threads) {
            uint row = min(i, last);
            float sum = 0.0;
            for (uint k = row; k < rows; ++k)
                sum += inverse.v[(first + min(k, last)) * rows + row] * half_way[min(k, last)];
            if (mode == WOODBURY_SOLVE_REFINE)
                sum += q.v[first + row];
            q.v[first + row] = sum;
        }
    }
    if (!judges)
        return;

    // Condition: the largest diagonal element over the smallest squared pivot, whose root is the factor's diagonal, the
    // reciprocal of its inverse's. Rows of zeros, or so small that they vanish beside lambda, stand for themselves.
    float largest = 0.0, most = 0.0;
    for (uint i = t; i < rows && mode == WOODBURY_SOLVE_FIRST; i += threads) {
        uint row = first + min(i, last);
        float diagonal = b.v[row * rows + min(i, last)];
        float reciprocal_pivot = inverse.v[row * rows + min(i, last)];
        if ((flags & WOODBURY_KEPT) != 0)
            reciprocal_pivot = 1.0 / reciprocal_pivot;
        largest = max(largest, diagonal);
        most = max(most, diagonal > added ? reciprocal_pivot * reciprocal_pivot : 0.0);
    }
    barrier();
    right[t] = largest;
    half_way[t] = most;
    barrier();
    if (t != 0)
        return;
    for (uint i = 1; i < threads; ++i) {
        largest = max(largest, right[i]);
        most = max(most, half_way[i]);
    }
    bool refined = (flags & WOODBURY_ALWAYS) != 0 || ((flags & WOODBURY_REFINES) != 0 && largest * most > 1e3);
    info.v[at + WOODBURY_LAMBDA] = floatBitsToUint(lambda);
    info.v[at + WOODBURY_VERDICT] = verdict;
    info.v[at + WOODBURY_REFINED] = refined && solved ? 1 : 0;
    if ((flags & WOODBURY_HAS_STATUS) != 0) {
        U32 status = p.jobs.job[j].status;
        status.v[item] = verdict;
    }
    if ((flags & WOODBURY_HAS_DAMPING) != 0) {
        F32 damping = p.jobs.job[j].damping;
        float weight = p.jobs.job[j].weight / uintBitsToFloat(info.v[at + WOODBURY_COUNT]);
        damping.v[item] =
            solved ? weight * woodbury_scale(lambda, 2 * int(info.v[at + WOODBURY_EXPONENT])) : 0.0;
    }
}
