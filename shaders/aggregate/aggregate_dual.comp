// SPDX-License-Identifier: MIT
// The quadratic programs of UPGrad and DualProj (arXiv 2406.16232), in double-float arithmetic, one workgroup each:
//
//   min v^T H v  with  v >= l,   H = G / tr G + reg I   (G = 0 where its trace is below norm_eps)
//
// With v = l + y that is the linear complementarity problem z = q + M y >= 0, y >= 0, y^T z = 0 with M = H, q = H l.
// Principal pivots exchange y_i and z_i; after them, M and q belong to the exchanged variables, and whoever has q_i < 0
// is on the wrong side. All of these are exchanged at once (block pivoting), and where that has made them no fewer for
// some time, the last one alone until it has (Murty), which ends for every positive definite H (L. F. Portugal,
// J. J. Judice, L. N. Vicente, Math. Comp. 63, 1994).
//
// In the end z = H v is computed anew, twice to correct y: max_i |min(y_i, z_i)| / max v is the residual. Where it is
// too large, or a pivot was below reg (H is not positive definite if reg is below the rounding errors of G), all begins
// anew with a larger reg, which the status reports.
//
// Invocation i owns row i of M, in global memory that no other one touches, and its element of every vector. M is
// symmetric but for the sign of elements between an exchanged and another variable, so a pivot's row is known from its
// column.
#version 460
#extension GL_GOOGLE_include_directive : require
#extension GL_EXT_control_flow_attributes : require
#include "aggregate/aggregate.h"
#include "linalg/status.h"

#define JOB AggregateDualJob
#include "aggregate/scaled_gram.glsl"
#include "core/kernel.glsl"

const uint CHANCES = 10;             // block pivots that may fail to help
const uint REFINEMENTS = 2;
const float SLACK = 5.82e-11;        // 2^-34, of the largest preference: what counts as zero when pivoting
const float CERTIFIED = 9.32e-10;    // 2^-30: the largest residual of a solution
const float RAISED = 4.77e-7;        // 2^-21: the regularization that is tried next, then ten times that ...
const uint ATTEMPTS = 5;             // ... as often as this
const float LEAST_TRACE = 7.89e-31;  // 2^-100: below, too many products have underflown

shared float bounds[AGGREGATE_LARGEST];  // l
shared vec2 exchange[AGGREGATE_LARGEST]; // the pivot's new row; later v
shared vec2 pivot[2];                    // M_pp and q_p
shared uint bits[AGGREGATE_LARGEST / 32];
shared uint largest_bits[2]; // of what is not negative: floats as words

bool bit_of(uvec4 set, uint i) { return (set[(i >> 5) & 3u] >> (i & 31u) & 1u) != 0u; }
void flip(inout uvec4 set, uint i) { set[(i >> 5) & 3u] ^= 1u << (i & 31u); }
uint lowest(uvec4 set) {
    uint word = set.x != 0u ? 0u : set.y != 0u ? 1u : set.z != 0u ? 2u : 3u;
    return min(word * 32u + uint(findLSB(set[word])), AGGREGATE_LARGEST - 1u);
}
uint highest(uvec4 set) {
    uint word = set.w != 0u ? 3u : set.z != 0u ? 2u : set.y != 0u ? 1u : 0u;
    return min(word * 32u + uint(findMSB(set[word])), AGGREGATE_LARGEST - 1u);
}
uint size_of(uvec4 set) {
    uvec4 counts = uvec4(bitCount(set));
    return counts.x + counts.y + counts.z + counts.w;
}

// H_ij = G_ij 2^-e unit, and reg on the diagonal.
vec2 element_of_h(F32 gram, uint i, uint j, uint k, int e, vec2 unit, float regularization) {
    vec2 h = df_multiply(vec2(scale_by(gram.v[j * k + i], -e), 0.0), unit);
    return i == j ? df_add(h, vec2(regularization, 0.0)) : h;
}

// This invocation's element in column `c`, if there is one: + factor times the exchanged row; row and column r anew.
void eliminate(F32 m, uint high, uint low, uint k, uint c, uint r, vec2 factor) {
    uint at = min(c, k - 1u);
    vec2 before = vec2(m.v[high + at * k], m.v[low + at * k]);
    if (gl_LocalInvocationID.x == r || at == r)
        before = vec2(0.0);
    vec2 x = df_add(before, df_multiply(factor, exchange[at]));
    if (c < k) {
        m.v[high + at * k] = x.x;
        m.v[low + at * k] = x.y;
    }
}

void main() {
    if (nothing_to_do())
        return;
    uint group = workgroup_index();
    uint j = find_job(group);
    uint problem = group - p.jobs.job[j].first_group;
    F32 gram = p.jobs.job[j].gram;
    F32 preference = p.jobs.job[j].preference;
    F32 m = p.jobs.job[j].tableau;
    F32 solutions = p.jobs.job[j].solutions;
    U32 verdicts = p.jobs.job[j].verdicts;
    uint k = p.jobs.job[j].objectives;
    uint flags = p.jobs.job[j].flags;
    float wanted = p.jobs.job[j].regularization;
    bool joint = (flags & AGGREGATE_JOINT) != 0u;
    bool preferred = (flags & AGGREGATE_HAS_PREFERENCE) != 0u;
    uint t = gl_LocalInvocationID.x;
    bool mine = t < k;
    uint i = min(t, k - 1u);
    uint high = 2u * problem * k * k + i; // M_ij at high + j k, its low part k k further
    uint low = high + k * k;

    if (t < 2u)
        largest_bits[t] = 0u;
    if (t < AGGREGATE_LARGEST / 32u)
        bits[t] = 0u;
    barrier();
    float trace = gram_trace(gram, k);
    float bound = preferred ? preference.v[preferred ? i : 0u] : p.jobs.job[j].each; // l_i, or that of the problem's own
    float own_bound = joint || i == problem ? bound : 0.0;
    bool bad = is_nonfinite(trace) || is_nonfinite(bound);
    for (uint c = 0; c < k; ++c)
        bad = bad || is_nonfinite(gram.v[min(c, k - 1u) * k + i]);
    if (mine && bad)
        atomicOr(bits[0], 1u);
    if (mine && (joint || i == problem))
        atomicMax(largest_bits[0], floatBitsToUint(abs(bound)));
    bounds[t] = own_bound;
    barrier();
    bool finite = bits[0] == 0u;
    float tolerance = SLACK * uintBitsToFloat(largest_bits[0]);
    bool zero = !finite || trace < max(p.jobs.job[j].norm_eps, LEAST_TRACE);
    int e = zero ? 0 : exponent_of(trace);
    vec2 unit = zero ? vec2(0.0) : df_divide(vec2(1.0, 0.0), vec2(scale_by(trace, -e), 0.0));

    float regularization = wanted;
    float residual = uintBitsToFloat(0x7f800000u);
    vec2 v = vec2(own_bound, 0.0);
    uint attempts = finite ? ATTEMPTS : 0u;
    for (uint attempt = 0; attempt < attempts; ++attempt) {
        if (attempt > 0u)
            regularization = max(10.0 * regularization, RAISED);
        vec2 q = vec2(0.0);
        for (uint c0 = 0; c0 < k; ++c0) {
            uint c = min(c0, k - 1u);
            vec2 h = element_of_h(gram, i, c, k, e, unit, regularization);
            q = df_add(q, df_multiply(h, vec2(bounds[c], 0.0)));
            if (mine) {
                m.v[high + c * k] = h.x;
                m.v[low + c * k] = h.y;
            }
        }

        uvec4 basic = uvec4(0u); // whose y_i are exchanged, and so may be above zero
        uvec4 todo = uvec4(0u);  // whose turn it is
        uint fewest = k + 1u, chances = CHANCES;
        bool definite = true;
        uint limit = 8u * k + 32u; // usually less than 2 k
        for (uint round = 0; round < limit; ++round) {
            if (todo == uvec4(0u)) {
                barrier(); // of `bits`
                if (t < AGGREGATE_LARGEST / 32u)
                    bits[t] = 0u;
                barrier();
                if (mine && q.x < -tolerance)
                    atomicOr(bits[(t >> 5) & 3u], 1u << (t & 31u));
                barrier();
                todo = uvec4(bits[0], bits[1], bits[2], bits[3]);
                uint count = size_of(todo);
                if (count == 0u)
                    break;
                if (count < fewest) {
                    fewest = count;
                    chances = CHANCES;
                } else if (chances > 0u) {
                    --chances;
                } else {
                    uint last = highest(todo);
                    todo = uvec4(0u);
                    flip(todo, last);
                }
            }
            uint r = min(lowest(todo), k - 1u);
            flip(todo, r);
            bool r_basic = bit_of(basic, r);
            vec2 own = vec2(0.0); // M_ir
            if (mine)
                own = vec2(m.v[high + r * k], m.v[low + r * k]);
            if (t == r) {
                pivot[0] = own;
                pivot[1] = q;
            }
            barrier();
            definite = pivot[0].x > (r_basic ? 0.0 : 0.5 * regularization);
            if (!definite)
                break;
            vec2 inverse = df_divide(vec2(1.0, 0.0), pivot[0]);
            vec2 new_q = -df_multiply(pivot[1], inverse);
            exchange[t] = t == r ? inverse : df_multiply(bit_of(basic, i) == r_basic ? -own : own, inverse);
            barrier();
            vec2 factor = t == r ? vec2(1.0, 0.0) : own;
            q = df_add(t == r ? vec2(0.0) : q, df_multiply(factor, new_q));
            if (mine) {
                [[dont_unroll]] for (uint c0 = 0; c0 < k; c0 += 4u) { // lavapipe ends loops after 65,535 rounds
                    // Not an unrolled loop, of which spirv-opt keeps `precise` for the first round alone.
                    eliminate(m, high, low, k, c0, r, factor);
                    eliminate(m, high, low, k, c0 + 1u, r, factor);
                    eliminate(m, high, low, k, c0 + 2u, r, factor);
                    eliminate(m, high, low, k, c0 + 3u, r, factor);
                }
            }
            flip(basic, r);
        }

        bool exchanged = bit_of(basic, i);
        vec2 y = exchanged && q.x > 0.0 ? q : vec2(0.0);
        vec2 z;
        for (uint pass = 0; pass <= REFINEMENTS; ++pass) {
            v = df_add(vec2(own_bound, 0.0), y);
            barrier(); // of `exchange` and `largest_bits`
            exchange[t] = v;
            if (t < 2u)
                largest_bits[t] = 0u;
            barrier();
            z = vec2(0.0);
            for (uint c0 = 0; c0 < k; ++c0) {
                uint c = min(c0, k - 1u);
                z = df_add(z, df_multiply(element_of_h(gram, i, c, k, e, unit, regularization), exchange[c]));
            }
            if (pass == REFINEMENTS)
                break;
            // What z_i of the exchanged variables lack of zero: M is the inverse of their part of H.
            barrier();
            exchange[t] = exchanged ? z : vec2(0.0);
            barrier();
            if (mine && exchanged) {
                vec2 correction = vec2(0.0);
                for (uint c0 = 0; c0 < k; ++c0) {
                    uint c = min(c0, k - 1u);
                    if (bit_of(basic, c))
                        correction =
                            df_add(correction, df_multiply(vec2(m.v[high + c * k], m.v[low + c * k]), exchange[c]));
                }
                y = df_add(y, -correction);
                if (y.x < 0.0)
                    y = vec2(0.0);
            }
        }
        if (mine) {
            atomicMax(largest_bits[0], is_nonfinite(z.x) ? 0x7f800000u : floatBitsToUint(abs(min(y.x, z.x))));
            atomicMax(largest_bits[1], floatBitsToUint(abs(v.x)));
        }
        barrier();
        float error = uintBitsToFloat(largest_bits[0]), largest = uintBitsToFloat(largest_bits[1]);
        residual = largest > 0.0 ? error / largest : 0.0;
        if (definite && residual <= CERTIFIED)
            break;
    }
    if (mine)
        solutions.v[problem * k + i] = v.x;
    if (t == 0u) {
        uint verdict = regularization > wanted ? STATUS_JITTERED : STATUS_OK;
        if (!finite)
            verdict = STATUS_NONFINITE;
        else if (!(residual <= CERTIFIED))
            verdict = STATUS_NOT_CONVERGED;
        verdicts.v[2u * problem] = verdict;
        verdicts.v[2u * problem + 1u] = floatBitsToUint(residual);
    }
}
