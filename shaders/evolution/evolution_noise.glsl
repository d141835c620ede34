// SPDX-License-Identifier: MIT
// The normal numbers of a population's noise (heron/evolution.hpp has the counters): the same bits in every kernel that
// draws them.
#ifndef HERON_EVOLUTION_EVOLUTION_NOISE_GLSL
#define HERON_EVOLUTION_EVOLUTION_NOISE_GLSL

#include "evolution/evolution.h"
#include "linalg/philox.glsl"

// -log((word + 0.5) / 2^32), near 1 by the series of log(1 - x), whose terms are exact enough below 2^-7.
float minus_log_of(uint word) {
    float x = (float(~word) + 0.5) * 2.3283064e-10; // 1 - u
    if (x < 0.0078125) {
        precise float series = x + x * x * (0.5 + x * (0.33333334 + x * 0.25));
        return series;
    }
    return minus_log((float(word) + 0.5) * 2.3283064e-10);
}

// direction() begins an eighth of a turn earlier. Precise, so that no kernel pulls what it multiplies into the product.
vec2 normals(uint radius_word, uint angle_word) {
    float square = 2.0 * minus_log_of(radius_word);
    float radius = square > 0.0 ? sqrt(square) : 0.0; // sqrt may be computed as x * inversesqrt(x)
    precise vec2 result = radius * direction(angle_word + 0x20000000u);
    return result;
}

// Numbers 4 block to 4 block + 3 of a pair.
vec4 noise_numbers(uint block, uint pair, uint epoch, EvolutionDraw draw) {
    if (draw.group != 0u && 2u * pair % max(draw.group, 1u) == 0u)
        return vec4(0.0);
    uint drawn = draw.reuse == 0u ? 0u : epoch / max(draw.reuse, 1u);
    uvec4 words = philox(uvec4(block, pair, drawn, draw.tensor), uvec2(draw.seed, draw.seed_high));
    return vec4(normals(words.x, words.y), normals(words.z, words.w));
}

#endif
