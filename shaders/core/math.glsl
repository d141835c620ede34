// SPDX-License-Identifier: MIT
// exp, expm1 and a raised cosine from basic arithmetic: the drivers' own are allowed errors of many ulp and differ from
// device to device. Errors are at most 4 ulp of the result: tests/optim/step_test.cpp,
// BiasCorrectionsAreAccurateFromTheFirstStepTo2To31 (expm1) and ExponentialsAndCosinesAreAccurateToFourUlp.
#ifndef HERON_CORE_MATH_GLSL
#define HERON_CORE_MATH_GLSL

// 2^k for k in [-126, 127]; 0 below.
float power_of_two(int k) { return k < -126 ? 0.0 : uintBitsToFloat(uint(k + 127) << 23); }

// 1 / x for a positive normal x below 2^126, exact where x is a power of two (division may be off by 2.5 ulp).
float reciprocal(float x) {
    uint bits = floatBitsToUint(x);
    return (bits & 0x7fffffu) == 0u ? uintBitsToFloat((254u << 23) - bits) : 1.0 / x;
}

// x / y for any normal y: Vulkan says nothing of a division by more than 2^126, whose reciprocal is subnormal.
float quotient(float x, float y) {
    float scale = abs(y) > 1.2676506e30 ? 0.0000152587890625 : 1.0; // above 2^100: 2^-16
    precise float a = x * scale;
    precise float b = y * scale;
    return a / b;
}

// e^r - 1 for |r| <= 0.36 by its series: the first term left out is r^10 / 10!, 2^-34 of the result.
float expm1_reduced(float r) {
    precise float s = 1.0 / 362880.0;
    s = s * r + 1.0 / 40320.0;
    s = s * r + 1.0 / 5040.0;
    s = s * r + 1.0 / 720.0;
    s = s * r + 1.0 / 120.0;
    s = s * r + 1.0 / 24.0;
    s = s * r + 1.0 / 6.0;
    s = s * r + 0.5;
    precise float result = r + (r * r) * s;
    return result;
}

// x = k log 2 + r with |r| <= 0.35; log 2 in two parts, the first so short that k times it is exact.
float reduce_exponent(float x, out int k) {
    k = int(floor(x * 1.44269504 + 0.5));
    precise float r = (x - float(k) * 0.693359375) + float(k) * 2.12194440e-4;
    return r;
}

// e^x - 1 for x in [-100, 88]; the ends stand for everything beyond.
float expm1_accurate(float x) {
    float y = clamp(x, -100.0, 88.0);
    int k;
    float r = reduce_exponent(y, k);
    float scale = power_of_two(k);
    precise float result = scale * expm1_reduced(r) + (scale - 1.0);
    return result;
}

float exp_accurate(float x) {
    float y = clamp(x, -100.0, 88.0);
    int k;
    float r = reduce_exponent(y, k);
    precise float result = power_of_two(k) * (1.0 + expm1_reduced(r));
    return result;
}

// sin(pi y / 2)^2 for y in [0, 0.5] by the series of the sine.
float sine_squared(float y) {
    precise float a = y * 1.57079637;
    precise float z = a * a;
    precise float s = 1.0 / 362880.0;
    s = s * z - 1.0 / 5040.0;
    s = s * z + 1.0 / 120.0;
    s = s * z - 1.0 / 6.0;
    precise float sine = a + a * (z * s);
    return sine * sine;
}

// (1 - cos(pi x)) / 2 for x in [0, 1]: from 0 to 1.
float raised_cosine(float x) { return x <= 0.5 ? sine_squared(x) : 1.0 - sine_squared(1.0 - x); }

// log(x) for x in [0.7, 1.42], by the series of 2 artanh(s); the first term left out is s^13 / 13, 2^-37 of the result.
float log_near_one(float x) {
    precise float s = (x - 1.0) / (x + 1.0);
    precise float z = s * s;
    precise float sum = 1.0 / 11.0;
    sum = sum * z + 1.0 / 9.0;
    sum = sum * z + 1.0 / 7.0;
    sum = sum * z + 1.0 / 5.0;
    sum = sum * z + 1.0 / 3.0;
    precise float result = 2.0 * s + 2.0 * s * (z * sum);
    return result;
}

// x^(high + low) for a positive normal x, held within 2^-126 .. 2^126. With x = 2^e m the exponent's whole part is
// taken out of e (high + low) exactly, so that what goes through exp is small.
float power(float x, float high, float low) {
    uint bits = floatBitsToUint(x);
    int e = int(bits >> 23) - 127;
    float m = uintBitsToFloat((bits & 0x7fffffu) | 0x3f800000u);
    if (m > 1.4142135) {
        m *= 0.5;
        e += 1;
    }
    precise float product = float(e) * high;
    precise float whole = floor(product + float(e) * low + 0.5);
    precise float part = ((product - whole) + float(e) * low) * 0.6931471806;
    precise float log_m = log_near_one(m);
    precise float y = part + (high * log_m + low * log_m);
    // Two factors: exp may exceed what is left of the range.
    int k;
    float r = reduce_exponent(clamp(y, -100.0, 88.0), k);
    float total = clamp(whole + float(k), -126.0, 125.0);
    precise float result = power_of_two(int(total)) * (1.0 + expm1_reduced(r));
    return result;
}

#endif
