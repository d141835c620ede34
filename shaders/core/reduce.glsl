// SPDX-License-Identifier: MIT
// Sums and norms in a fixed order. workgroup_sum() exists where the includer has defined REDUCE_WORKGROUP and included
// core/kernel.glsl, which declares the local size (a power of two).
//
// Euclidean norms by Blue's three accumulators (J. L. Blue 1978; Anderson, ACM TOMS 44(1), 2017): squares of small, of
// medium and of large elements are summed apart, the outer two scaled, so that nothing overflows or underflows on the
// way. An accumulator is a vec3 (small, medium, large), zero at first; accumulators are added like numbers.
#ifndef HERON_CORE_REDUCE_GLSL
#define HERON_CORE_REDUCE_GLSL

const float BLUE_SMALL = 1.0842021724855044e-19;       // 2^-63: below, squares lose bits to underflow
const float BLUE_LARGE = 4503599627370496.0;           // 2^52: above, sums of squares overflow
const float BLUE_SCALE_SMALL = 3.777893186295716e22;   // 2^75
const float BLUE_SCALE_LARGE = 1.3234889800848443e-23; // 2^-76

bool is_nonfinite(float x) { return (floatBitsToUint(x) & 0x7f800000u) == 0x7f800000u; }
bool is_nan(float x) { return (floatBitsToUint(x) & 0x7fffffffu) > 0x7f800000u; }

// A NaN fails both comparisons, or passes one: it reaches an accumulator in any case.
void blue_add(inout vec3 acc, float x) {
    float a = abs(x);
    if (a > BLUE_LARGE) {
        precise float s = a * BLUE_SCALE_LARGE;
        acc.z += s * s;
    } else if (a < BLUE_SMALL) {
        precise float s = a * BLUE_SCALE_SMALL;
        acc.x += s * s;
    } else {
        acc.y += a * a;
    }
}

// blue_add() for loops that are unrolled, in which spirv-opt keeps `precise` in the first round alone: scales by
// exponents, exactly, in which there is nothing to reorder. Subnormal elements count, which blue_add() loses where
// devices flush them. (More code, which other kernels have no room for.)
void blue_add_unrolled(inout vec3 acc, float x) {
    float a = abs(x);
    uint bits = floatBitsToUint(a);
    if (a > BLUE_LARGE) {
        float s = is_nonfinite(a) ? a : uintBitsToFloat(bits - (76u << 23));
        acc.z += s * s;
    } else if (a < BLUE_SMALL) {
        uint as_number = floatBitsToUint(float(bits)); // of a subnormal one, a = bits 2^-149
        uint scaled = bits == 0u ? 0u : bits < 0x00800000u ? as_number - (74u << 23) : bits + (75u << 23);
        float s = is_nonfinite(a) ? a : uintBitsToFloat(scaled);
        acc.x += s * s;
    } else {
        acc.y += a * a;
    }
}

vec3 blue_combine(vec3 a, vec3 b) { return a + b; }

// (scale, ssq) with norm = scale * sqrt(ssq); scale is a power of two.
vec2 blue_scaled(vec3 acc) {
    if (is_nan(acc.x) || is_nan(acc.y) || is_nan(acc.z))
        return vec2(1.0, uintBitsToFloat(0x7fc00000u));
    if (acc.z > 0.0) {
        // precise: a compiler may multiply the two constants first, which gives zero.
        precise float y = acc.y * BLUE_SCALE_LARGE;
        precise float medium = y * BLUE_SCALE_LARGE;
        return vec2(7.555786372591432e22, acc.z + medium); // 2^76
    }
    if (acc.x > 0.0) {
        if (acc.y == 0.0)
            return vec2(2.6469779601696886e-23, acc.x); // 2^-75
        // acc.x is in units of 2^-150: too small for f32 unless its count is large, then not negligible.
        float y = sqrt(acc.y);
        float x = sqrt(acc.x) * 2.6469779601696886e-23;
        float low = min(x, y), high = max(x, y);
        float ratio = low / high;
        return vec2(1.0, high * high * (1.0 + ratio * ratio));
    }
    return vec2(1.0, acc.y);
}

float blue_norm(vec3 acc) {
    vec2 s = blue_scaled(acc);
    if (s.y == 0.0)
        return 0.0; // sqrt may be computed as x * inversesqrt(x)
    if (is_nonfinite(s.y))
        return s.y; // for the same reason
    return s.x * sqrt(s.y);
}

#ifdef REDUCE_WORKGROUP
// REDUCE_COMPACT: for kernels whose code would be long else; they enable GL_EXT_control_flow_attributes.
#ifdef REDUCE_COMPACT
#define REDUCE_LOOP [[dont_unroll]]
#else
#define REDUCE_LOOP
#endif
shared vec3 reduce_scratch[gl_WorkGroupSize.x];

// The sum over all invocations, in every one of them; all of them have to come here.
vec3 workgroup_sum(vec3 x) {
    uint t = gl_LocalInvocationID.x;
    reduce_scratch[t] = x;
    barrier();
    REDUCE_LOOP for (uint half_size = gl_WorkGroupSize.x / 2; half_size > 0; half_size /= 2) {
        if (t < half_size)
            reduce_scratch[t] += reduce_scratch[t + half_size];
        barrier();
    }
    vec3 total = reduce_scratch[0];
    barrier(); // the scratch may be used again
    return total;
}
#endif

#endif
