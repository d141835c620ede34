// SPDX-License-Identifier: MIT
// Roots of the secular equation (secular.h), one invocation a root.
//
// The root lies between two poles, or within rho |z|^2 above the last. f in the middle says which of them is nearer;
// from there on x is the distance from that one. Each step replaces the terms up to the root's pole by
// r + s / (d_k - x), those after it by R + S / (d_k+1 - x), with the same values and slopes, and takes the root of that
// (Bunch, Nielsen and Sorensen 1978; the
// formulas: Li 1993), or a part of the interval that f has left where it lies outside of it or f does not become
// smaller.
#version 460
#extension GL_GOOGLE_include_directive : require
#extension GL_EXT_control_flow_attributes : require
#include "linalg/secular.h"
#define JOB SecularJob
#include "core/kernel.glsl"
#include "linalg/secular.glsl"

// lavapipe ends loops after 65,535 iterations: 1 + STEPS times m / UNROLL of them, with m up to 4096, are fewer.
const uint STEPS = 30;
const uint UNROLL = 4;
const float UNIT = 5.9604645e-8;

float four(vec4 x) { return (x.x + x.y) + (x.z + x.w); }

// Sums over the poles up to the k-th (x: values, y: slopes) and after it (z, w).
vec4 sums(F32 numbers, uint poles, uint zs, uint kept, uint k, float rho, float origin, float offset) {
    vec4 sum = vec4(0.0);
    for (uint i0 = 0; i0 < kept; i0 += UNROLL) {
        // Vectors: of an unrolled loop spirv-opt keeps `precise` for the first round alone.
        uvec4 own = i0 + uvec4(0, 1, 2, 3);
        uvec4 i = min(own, uvec4(kept - 1));
        vec4 pole = vec4(numbers.v[poles + i.x], numbers.v[poles + i.y], numbers.v[poles + i.z], numbers.v[poles + i.w]);
        vec4 z = vec4(numbers.v[zs + i.x], numbers.v[zs + i.y], numbers.v[zs + i.z], numbers.v[zs + i.w]);
        precise vec4 delta = (pole - origin) - offset;
        vec4 ratio = z / delta;
        vec4 value = rho * (z * ratio);
        vec4 slope = rho * (ratio * ratio);
        bvec4 before = lessThanEqual(own, uvec4(k));
        bvec4 after = lessThan(own - (k + 1), uvec4(kept - (k + 1))); // differences up to k wrap
        sum += vec4(four(mix(vec4(0.0), value, before)), four(mix(vec4(0.0), slope, before)),
                    four(mix(vec4(0.0), value, after)), four(mix(vec4(0.0), slope, after)));
    }
    return sum;
}

// The root of c x^2 - a x + b that is between the poles.
float small_root(float a, float b, float c) {
    float size = max(max(abs(a), sqrt(abs(b)) * sqrt(abs(c))), 1e-37); // squares would underflow
    float ratio = a / size;
    float root = size * sqrt(max(ratio * ratio - 4.0 * (b / size) * (c / size), 1e-20));
    return a <= 0.0 ? (a - root) / (2.0 * c) : 2.0 * b / (a + root);
}

void main() {
    if (nothing_to_do())
        return;
    Merge x = find_merge();
    F32 e = p.jobs.job[x.j].e;
    F32 numbers = p.jobs.job[x.j].numbers;
    U32 words = p.jobs.job[x.j].words;
    F32 values = p.jobs.job[x.j].values;
    uint kept = words.v[SECULAR_KEPT_COUNT * x.total + x.index];
    uint k = x.group * gl_WorkGroupSize.x + gl_LocalInvocationID.x;
    if (k >= kept)
        return;
    uint poles = SECULAR_KEPT * x.total + x.base;
    uint zs = SECULAR_KEPT_Z * x.total + x.base;
    float rho = 2.0 * abs(e.v[coupling_index(x)]);
    bool last = k + 1 == kept;
    float d = numbers.v[poles + k];
    float gap = numbers.v[poles + min(k + 1, kept - 1)] - d;
    float w_k = numbers.v[zs + k];
    float w_next = numbers.v[zs + min(k + 1, kept - 1)];
    w_k *= rho * w_k;
    w_next *= rho * w_next;
    if (last) {
        float sum = 0.0;
        for (uint i = 0; i < kept; ++i) {
            float z = numbers.v[zs + min(i, kept - 1)];
            sum += z * z;
        }
        gap = 2.0 * rho * sum * 1.000001;
    }

    // The half of the interval, and a first guess there: the two nearest terms as they are, the others as in the
    // middle.
    float middle = 0.5 * gap;
    vec4 sum = sums(numbers, poles, zs, kept, k, rho, d, middle);
    float f = 1.0 + sum.x + sum.z;
    bool right = !last && f < 0.0;
    float origin = right ? d + gap : d;
    if (right)
        origin = numbers.v[poles + min(k + 1, kept - 1)];
    float low = right ? -middle : 0.0;
    float high = right ? 0.0 : middle;
    float y;
    if (last) {
        float c = 1.0 + sum.x + w_k / middle;
        y = w_k / c;
    } else {
        float c = f + (w_k - w_next) / middle;
        y = small_root((right ? -c : c) * gap + w_k + w_next, right ? -w_next * gap : w_k * gap, c);
    }
    float before = 3.0e38;
    for (uint step = 0; step < STEPS; ++step) {
        if (!(y > low && y < high))
            y = low == 0.0 ? 0.125 * high : high == 0.0 ? 0.125 * low : 0.5 * (low + high);
        if (!(y > low && y < high))
            break; // nothing is left between them
        sum = sums(numbers, poles, zs, kept, k, rho, origin, y);
        f = 1.0 + sum.x + sum.z;
        // Rounding errors of f, in its terms.
        if (abs(f) <= UNIT * (16.0 + 0.0625 * float(kept)) * (1.0 - sum.x + sum.z) || step + 1 == STEPS)
            break;
        if (f < 0.0)
            low = y;
        else
            high = y;
        float to_k = (right ? -gap : 0.0) - y;
        if (abs(f) > 0.5 * before) {
            before = 3.0e38;
            y = high; // outside: bisection
            continue;
        }
        before = abs(f);
        if (last) {
            float c = 1.0 + sum.x - sum.y * to_k;
            y = c > 0.0 ? sum.y * to_k * to_k / c : high;
        } else {
            float to_next = (right ? 0.0 : gap) - y;
            float a = (to_k + to_next) * f - to_k * to_next * (sum.y + sum.w);
            float b = to_k * to_next * f;
            float c = f - to_k * sum.y - to_next * sum.w;
            y += small_root(a, b, c);
        }
    }
    if (y == 0.0)
        y = 0.5 * (low + high);
    numbers.v[SECULAR_ORIGIN * x.total + x.base + k] = origin;
    numbers.v[SECULAR_OFFSET * x.total + x.base + k] = y;
    uint column = words.v[SECULAR_COLUMN * x.total + x.base + k];
    if (wanted(x, column))
        values.v[value_index(x, column)] = origin + y;
}
