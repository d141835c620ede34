// SPDX-License-Identifier: MIT
// Numbers of twice f32's precision as pairs, vec2(high, low) with |low| <= ulp(high) / 2, for devices without f64
// (T. J. Dekker, Numer. Math. 18, 1971; D. E. Knuth, TAOCP 2, 4.2.2). Relative errors are below 2^-43, for numbers
// between 2^-75 and 2^75: what a product leaves over has to be a normal float.
//
// Products are split by hand, since fma() need not be one operation; everything is `precise`, since error terms are
// zero to whoever may reassociate.
#ifndef HERON_CORE_DOUBLE_FLOAT_GLSL
#define HERON_CORE_DOUBLE_FLOAT_GLSL

// a + b, exactly.
vec2 df_sum_of(float a, float b) {
    precise float sum = a + b;
    precise float part = sum - a;
    precise float rest = (a - (sum - part)) + (b - part);
    return vec2(sum, rest);
}

// The same for |a| >= |b|.
vec2 df_normalized(float a, float b) {
    precise float sum = a + b;
    precise float rest = b - (sum - a);
    return vec2(sum, rest);
}

// a b, exactly: each in two halves of 12 bits.
vec2 df_product_of(float a, float b) {
    precise float a_far = 4097.0 * a;
    precise float a_high = a_far - (a_far - a);
    precise float a_low = a - a_high;
    precise float b_far = 4097.0 * b;
    precise float b_high = b_far - (b_far - b);
    precise float b_low = b - b_high;
    precise float product = a * b;
    precise float rest = ((a_high * b_high - product) + a_high * b_low + a_low * b_high) + a_low * b_low;
    return vec2(product, rest);
}

vec2 df_add(vec2 a, vec2 b) {
    vec2 high = df_sum_of(a.x, b.x);
    vec2 low = df_sum_of(a.y, b.y);
    precise float first = high.y + low.x;
    high = df_normalized(high.x, first);
    precise float second = high.y + low.y;
    return df_normalized(high.x, second);
}

vec2 df_multiply(vec2 a, vec2 b) {
    vec2 product = df_product_of(a.x, b.x);
    precise float rest = product.y + (a.x * b.y + a.y * b.x);
    return df_normalized(product.x, rest);
}

// Three quotients, each of what the ones before leave over: divisions may be off by some ulp.
vec2 df_divide(vec2 a, vec2 b) {
    precise float first = a.x / b.x;
    vec2 rest = df_add(a, -df_multiply(vec2(first, 0.0), b));
    precise float second = rest.x / b.x;
    rest = df_add(rest, -df_multiply(vec2(second, 0.0), b));
    precise float third = rest.x / b.x;
    return df_add(df_normalized(first, second), vec2(third, 0.0));
}

bool df_less(vec2 a, vec2 b) { return a.x < b.x || (a.x == b.x && a.y < b.y); }

#endif
