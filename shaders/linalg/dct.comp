// SPDX-License-Identifier: MIT
// DCT-II and DCT-III of lines of an even number of elements by a complex FFT of M = n / 2 in shared memory; many jobs
// in one dispatch.
//
//   v[i] = x[2 i], v[n - 1 - i] = x[2 i + 1]          even elements, then the odd ones backwards (Makhoul 1980)
//   z[m] = v[2 m] + i v[2 m + 1],  Z = FFT(z)         a real FFT by one of half the length
//   V[k] = E + e(-4 k) O,  E, O = halves of Z[k] and conj Z[M - k]         e(t) = exp(i pi t / (2 n))
//   y[k] = Re(e(-k) V[k]),  y[n - k] = -Im(e(-k) V[k])
//
// and all that backwards for the inverse. M = odd L, L a power of two: an FFT by twos of each X_b, the elements b,
// b + odd, b + 2 odd, ... of z; what comes after sums over b as it reads: Z[k] = sum_b exp(-2 pi i b k / M) X_b[k mod
// L].
//
// A workgroup has 2 POOL complex numbers, for as many lines of one item as fit. (Shifts instead of divisions for powers
// of two: CPU drivers pay for those, invocation by invocation.)
#version 460
#extension GL_GOOGLE_include_directive : require
#include "linalg/dct.h"
#define JOB DctJob
#include "core/kernel.glsl"
#include "core/half.glsl"

layout(constant_id = SPEC_DTYPE_A) const uint DTYPE_A = DTYPE_F32;
layout(constant_id = SPEC_POOL) const uint POOL = 512;

const uint SLOTS = 2 * POOL;
const float ROOT_HALF = 0.70710678;
const float ROOT_TWO = 1.41421356;

shared vec2 slots[2 * POOL];

vec2 times(vec2 a, vec2 b) { return vec2(a.x * b.x - a.y * b.y, a.x * b.y + a.y * b.x); }
vec2 conjugate(vec2 a) { return vec2(a.x, -a.y); }

// e(t) for t < 2 n.
vec2 unit(F32 table, uint t, uint n) {
    uint at = 2u * (t < n ? t : t - n);
    vec2 e = vec2(table.v[at], table.v[at + 1u]);
    return t < n ? e : vec2(-e.y, e.x);
}

// Element k of the FFT of the line whose X_b lie from `begin` on.
vec2 spectrum(F32 table, uint begin, uint k, uint n, uint log_two, uint odd, bool inverse) {
    uint M = n / 2u;
    uint at = begin + (k & ((1u << log_two) - 1u));
    vec2 sum = slots[at];
    uint turn = k; // b k mod M
    for (uint b = 1u; b < odd; ++b) {
        uint t = 8u * turn; // of 4 n
        vec2 e = unit(table, t < 2u * n ? t : t - 2u * n, n);
        if (t >= 2u * n)
            e = -e;
        sum += times(inverse ? e : conjugate(e), slots[at + (b << log_two)]);
        turn += k;
        turn -= turn >= M ? M : 0u;
    }
    return sum;
}

// Where v[i] lies in x.
uint place(uint i, uint n) { return 2u * i < n ? 2u * i : 2u * (n - 1u - i) + 1u; }

// Element t of those of `here` lines: element k of line `own`. Neighbours of a line along, else one element of
// neighbouring lines.
void split(uint t, uint M, uint here, uint log_two, uint odd, bool along, out uint k, out uint own) {
    uint by = along ? M : here;
    // Both are powers of two where M is: SLOTS is one then.
    uint quotient = odd == 1u ? t >> findMSB(by) : t / by;
    uint rest = t - quotient * by;
    k = along ? rest : quotient;
    own = along ? quotient : rest;
}

void main() {
    if (nothing_to_do())
        return;
    uint group = workgroup_index();
    uint j = find_job(group);
    group -= p.jobs.job[j].first_group;
    U32 from = p.jobs.job[j].from;
    U32 to = p.jobs.job[j].to;
    F32 table = p.jobs.job[j].table;
    uint n = p.jobs.job[j].n;
    uint log_two = p.jobs.job[j].log_two;
    uint odd = p.jobs.job[j].odd;
    uint lines = p.jobs.job[j].lines;
    uint groups = p.jobs.job[j].groups;
    uint from_line = p.jobs.job[j].from_line;
    uint from_element = p.jobs.job[j].from_element;
    uint from_item = p.jobs.job[j].from_item;
    uint to_line = p.jobs.job[j].to_line;
    uint to_element = p.jobs.job[j].to_element;
    uint to_item = p.jobs.job[j].to_item;
    float scale = p.jobs.job[j].scale;
    bool inverse = p.jobs.job[j].inverse != 0u;
    uint M = n / 2u;
    uint here = SLOTS / M; // lines
    uint item = group / groups;
    uint first_line = (group - item * groups) * here;
    // Neighbours load neighbouring elements of memory.
    bool along = from_element == 1u;

    for (uint t = gl_LocalInvocationID.x; t < here * M; t += gl_WorkGroupSize.x) {
        uint k, own;
        split(t, M, here, log_two, odd, along, k, own);
        uint line = first_line + own;
        vec2 z = vec2(0.0);
        if (line < lines) {
            uint begin = item * from_item + line * from_line;
            if (inverse) {
                // Elements k and n - k, and those of M - k; y[n] = 0.
                float a = load(from, begin + k * from_element, DTYPE_A) * (k == 0u ? ROOT_TWO : 1.0);
                float b = load(from, begin + (k == 0u ? 0u : n - k) * from_element, DTYPE_A);
                float c = load(from, begin + (M - k) * from_element, DTYPE_A);
                float d = load(from, begin + (M + k) * from_element, DTYPE_A);
                if (k == 0u)
                    b = 0.0;
                vec2 V = times(unit(table, k, n), vec2(a, -b));
                vec2 W = conjugate(times(unit(table, M - k, n), vec2(c, -d)));
                vec2 E = 0.5 * (V + W);
                vec2 O = times(0.5 * (V - W), unit(table, 4u * k, n));
                z = vec2(E.x - O.y, E.y + O.x);
            } else {
                z = vec2(load(from, begin + place(2u * k, n) * from_element, DTYPE_A),
                         load(from, begin + place(2u * k + 1u, n) * from_element, DTYPE_A));
            }
        }
        uint a = odd == 1u ? k : k / odd;
        uint reversed = log_two == 0u ? 0u : bitfieldReverse(a) >> (32u - log_two);
        slots[own * M + ((k - a * odd) << log_two) + reversed] = z;
    }

    for (uint stage = 0; stage < log_two; ++stage) {
        barrier();
        uint reach = 1u << stage;
        for (uint t = gl_LocalInvocationID.x; t < here * M / 2u; t += gl_WorkGroupSize.x) {
            uint i = t & (reach - 1u);
            uint low = 2u * t - i;
            vec2 e = unit(table, i * (2u * n >> stage), n);
            vec2 b = times(inverse ? e : conjugate(e), slots[low + reach]);
            vec2 a = slots[low];
            slots[low] = a + b;
            slots[low + reach] = a - b;
        }
    }
    barrier();

    for (uint t = gl_LocalInvocationID.x; t < here * M; t += gl_WorkGroupSize.x) {
        uint k, own;
        split(t, M, here, log_two, odd, along, k, own);
        uint line = first_line + own;
        if (line >= lines)
            continue;
        uint begin = item * to_item + line * to_line;
        vec2 z = spectrum(table, own * M, k, n, log_two, odd, inverse);
        if (inverse) {
            to.v[begin + place(2u * k, n) * to_element] = floatBitsToUint(scale * z.x);
            to.v[begin + place(2u * k + 1u, n) * to_element] = floatBitsToUint(scale * z.y);
        } else {
            vec2 w = conjugate(spectrum(table, own * M, k == 0u ? 0u : M - k, n, log_two, odd, false));
            vec2 E = 0.5 * (z + w);
            vec2 O = 0.5 * (z - w);
            O = times(vec2(O.y, -O.x), conjugate(unit(table, 4u * k, n)));
            vec2 y = scale * times(conjugate(unit(table, k, n)), E + O);
            if (k == 0u) {
                // V[M] = E - O, whose e(-M) is (1 - i) / sqrt(2).
                float middle = scale * ROOT_HALF * ((E.x - O.x) + (E.y - O.y));
                to.v[begin] = floatBitsToUint(ROOT_HALF * y.x);
                to.v[begin + M * to_element] = floatBitsToUint(middle);
            } else {
                to.v[begin + k * to_element] = floatBitsToUint(y.x);
                to.v[begin + (n - k) * to_element] = floatBitsToUint(-y.y);
            }
        }
    }
}
