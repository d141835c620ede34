// SPDX-License-Identifier: MIT
// The end of an iteration on large matrices: is the new iterate of each one kept? Where it is, nothing has to be done,
// since the next iteration takes it from where it is (but for T, where it is asked for); else the old one is copied to
// its place. A workgroup does PER_THREAD rows, and finds the answer for itself; the first one of each matrix writes it
// down.
//
// A matrix M whose first Cholesky factor does not exist (ROOT_FAILURES) has an eigenvalue below zero, or one that is
// zero but for rounding errors. The second iteration factors it once more, raised by more than those: where that works,
// it is singular.
#version 460
#extension GL_GOOGLE_include_directive : require
#include "linalg/inverse_root.h"

#define JOB RootCommitJob
#include "core/kernel.glsl"
#include "linalg/inverse_root.glsl"

layout(constant_id = SPEC_PER_THREAD) const uint PER_THREAD = 4;

shared uint largest;

// Of the n x n matrix that begins at `first`, 0 where none is positive. Every invocation of the workgroup calls this.
float largest_diagonal(F32 x, uint first, uint n) {
    barrier(); // all have read `largest`
    if (gl_LocalInvocationID.x == 0)
        largest = 0;
    barrier();
    uint bits = 0;
    for (uint i = gl_LocalInvocationID.x; i < n; i += gl_WorkGroupSize.x)
        bits = max(bits, floatBitsToUint(max(x.v[first + min(i, n - 1) * (n + 1)], 0.0)));
    atomicMax(largest, bits);
    barrier();
    return uintBitsToFloat(largest);
}

void main() {
    if (nothing_to_do())
        return;
    uint group = workgroup_index();
    uint j = find_job(group);
    group -= p.jobs.job[j].first_group;
    F32 old0 = p.jobs.job[j].old0;
    F32 old1 = p.jobs.job[j].old1;
    F32 old2 = p.jobs.job[j].old2;
    F32 new0 = p.jobs.job[j].new0;
    F32 new1 = p.jobs.job[j].new1;
    F32 new2 = p.jobs.job[j].new2;
    F32 next = p.jobs.job[j].t;
    U32 partials = p.jobs.job[j].partials;
    U32 states = p.jobs.job[j].states;
    U32 running = p.jobs.job[j].running;
    uint n = p.jobs.job[j].n;
    uint root = p.jobs.job[j].p;
    uint matrices = p.jobs.job[j].matrices;
    uint count = p.jobs.job[j].partial_count;
    uint iteration = p.jobs.job[j].iteration;
    float tolerance = p.jobs.job[j].tolerance;
    uint slots = p.jobs.job[j].slots;
    uint flags = p.jobs.job[j].flags;
    uint groups = p.jobs.job[j].groups;
    uint item = group / groups;
    group -= item * groups;
    uint t = gl_LocalInvocationID.x;

    if (t == 0)
        largest = 0;
    barrier();
    uint worst = 0;
    for (uint i = t; i < count; i += gl_WorkGroupSize.x)
        worst = max(worst, partials.v[item * count + min(i, count - 1)]);
    atomicMax(largest, worst);
    barrier();
    uint bits = largest;
    bool warm = (flags & ROOT_WARM) != 0;

    uint at = (item * slots + (warm ? 0 : iteration - 1)) * ROOT_STATE_WORDS;
    uint before = states.v[at];
    float previous = uintBitsToFloat(states.v[at + 1]);
    uint used = states.v[at + 2];
    uint exponent = states.v[at + 3];
    uint verdict = before;
    bool kept = false;
    if (warm) {
        kept = before == ROOT_RUNNING && bits < 0x3f800000u;
    } else if (before == ROOT_RUNNING) {
        // Without a guess M = A X is bounded, until rounding errors have grown in it as a negative eigenvalue would.
        bool guess_kept = states.v[item * slots * ROOT_STATE_WORDS + 1] < 0x3f800000u;
        bool bounded = (flags & ROOT_BOUNDED) != 0 ||
                       ((flags & ROOT_GUESSED) != 0 && !guess_kept && !root_began_as_rounding(iteration, root));
        verdict = root_verdict(iteration, root, n, bits, previous, tolerance, bounded);
        if ((flags & ROOT_FAILURES) != 0) {
            U32 failures = p.jobs.job[j].failures;
            if (failures.v[item] != STATUS_OK)
                verdict = iteration == 1 ? ROOT_INDEFINITE : ROOT_STAGNATED;
        }
        kept = verdict <= ROOT_CONVERGED;
    } else if (before == ROOT_INDEFINITE && iteration == 2 && (flags & ROOT_FAILURES) != 0) {
        U32 failures = p.jobs.job[j].failures;
        if (failures.v[item] == STATUS_OK)
            verdict = ROOT_SINGULAR;
    }
    if (group == 0 && t == 0 && kept && warm)
        states.v[at + 1] = bits; // which tells that the guess was kept
    if (group == 0 && t == 0 && !warm) {
        uint to = at + ROOT_STATE_WORDS;
        states.v[to] = verdict;
        states.v[to + 1] = kept ? bits : floatBitsToUint(previous);
        states.v[to + 2] = kept ? iteration : used;
        states.v[to + 3] = exponent;
        running.v[item] = verdict == ROOT_RUNNING ? 1 : 0;
    }

    // A matrix that stopped with a new iterate that was kept is copied once more, in the next iteration; then both
    // places hold the same.
    bool copies = !kept && (warm || before == ROOT_RUNNING || used + 1 == iteration);
    // With two words the last factor is the one of the product after the last iteration.
    bool two_words = (flags & ROOT_TWO_WORDS) != 0;
    bool needs_t = two_words ? before == ROOT_RUNNING && !root_failed(verdict) : verdict == ROOT_RUNNING;
    bool writes_t = (flags & ROOT_WRITES_T) != 0 && needs_t;
    if (!copies && !writes_t)
        return;
    bool raises = copies && verdict == ROOT_INDEFINITE && (flags & ROOT_FAILURES) != 0;
    float raise = raises ? root_raise(n) * largest_diagonal(old1, item * n * n, n) : 0.0;
    for (uint r = 0; r < PER_THREAD; ++r) {
        uint row = group * PER_THREAD + r;
        uint end = row < n ? n : 0;
        for (uint i = t; i < end; i += gl_WorkGroupSize.x) {
            uint col = min(i, n - 1);
            uint element = (two_words ? 2 : 1) * item * n * n + min(row, n - 1) * n + col;
            uint low = element + (two_words ? n * n : 0);
            if (copies) {
                new0.v[element] = old0.v[element];
                if (matrices > 1)
                    new1.v[element] = old1.v[element] + (row == col ? raise : 0.0);
                if (matrices > 2)
                    new2.v[element] = old2.v[element];
                if (two_words) {
                    new0.v[low] = old0.v[low];
                    new1.v[low] = old1.v[low];
                }
            }
            float one = row == col ? 1.0 : 0.0;
            if (writes_t && two_words) {
                vec2 factor = root_factor(vec2(new1.v[element], new1.v[low]), one, root);
                next.v[element] = factor.x;
                next.v[low] = factor.y;
            } else if (writes_t) {
                next.v[element] = root_factor(new1.v[element], one, root);
            }
        }
    }
}
