// SPDX-License-Identifier: MIT
// Which pixel a sample is. The includer has included texture.h.
#ifndef NEURAL_TEXTURE_SAMPLE_GLSL
#define NEURAL_TEXTURE_SAMPLE_GLSL

uint mix_bits(uint x) {
    x ^= x >> 16;
    x *= 0x7feb352du;
    x ^= x >> 15;
    x *= 0x846ca68bu;
    x ^= x >> 16;
    return x;
}

// One of the pixels of a stratum along an axis: from floor(stratum * step / 2^16) to the next one's, which is not part.
uint stratum_pixel(uint stratum, uint step, uint random16) {
    uint low = stratum * step >> 16;
    uint high = (stratum + 1) * step >> 16;
    return low + ((high - low) * random16 >> 16);
}

// The stratum of a pixel along an axis: the last one that begins at or before it.
uint stratum_of(uint pixel, uint step) { return ((pixel + 1 << 16) - 1) / step; }

// The sample of that stratum in the batch with that number.
uvec2 stratum_sample(TextureSampling s, uint batch, uvec2 stratum) {
    uint i = stratum.y * s.strata_cols + stratum.x;
    uint random = mix_bits(s.seed + mix_bits(batch + 0x9e3779b9u * (i + 1)));
    return uvec2(stratum_pixel(stratum.x, s.col_step, random & 0xffffu),
                 stratum_pixel(stratum.y, s.row_step, random >> 16));
}

// Sample `i` of the batch.
uvec2 sample_pixel(TextureSampling s, uint batch, uint i) {
    if (s.in_order != 0) {
        uint at = batch * s.samples + i;
        return uvec2(at % s.width, at / s.width);
    }
    return stratum_sample(s, batch, uvec2(i % s.strata_cols, i / s.strata_cols));
}

// Where the centre of a pixel lies on a level of the grid, in cells.
vec2 grid_position(TextureLevel level, uvec2 pixel) {
    return (vec2(pixel) + 0.5) * vec2(level.cells_a_col, level.cells_a_row);
}

#endif
