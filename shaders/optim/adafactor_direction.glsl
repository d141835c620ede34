// SPDX-License-Identifier: MIT
// U = G / sqrt(r c^T / max(mean(r), floor)), with a bound from below of the root. The includer's job struct has the member
// `AdafactorDirection direction`; it has included core/reduce.glsl with REDUCE_WORKGROUP, optim/gradient.glsl and
// optim/adafactor_tile.glsl. begin_direction() comes after begin_tile(), in all invocations of the workgroup.
//
// r, c and their product span more than f32 does: roots are taken first, and divided by one after the other. A root of 0
// leaves an element without gradient 0, and others to the bound, or without one at the largest number.
#ifndef HERON_OPTIM_ADAFACTOR_DIRECTION_GLSL
#define HERON_OPTIM_ADAFACTOR_DIRECTION_GLSL

F32 direction_row;
vec4 direction_col_scale;
float direction_mean_root;
float direction_inverse_floor;

// numerator / sqrt(x)
float over_root(float numerator, float x) {
    float root = safe_sqrt(vec4(x)).x;
    return root > 0.0 ? clamp_finite(numerator / root) : 3.4028235e38;
}

void begin_direction(uint j) {
    bool is_vector = (tile_flags & ADAFACTOR_VECTOR) != 0u;
    direction_row = p.jobs.job[j].direction.row;
    direction_inverse_floor = p.jobs.job[j].direction.inverse_floor;
    F32 col = p.jobs.job[j].direction.col;
    F32 means = p.jobs.job[j].direction.means;
    uint chunks = p.jobs.job[j].tiles.row_chunks;
    float mean = 0.0;
    if (chunks > 1u) { // then the tile is of one item
        for (uint k = gl_LocalInvocationID.x; k < chunks; k += gl_WorkGroupSize.x)
            mean += means.v[tile_item * chunks + k];
        mean = workgroup_sum(vec3(mean, 0.0, 0.0)).x;
    } else {
        mean = means.v[is_vector ? 0u : tile_item];
    }
    direction_mean_root = is_vector ? 1.0 : safe_sqrt(vec4(max(mean, p.jobs.job[j].direction.mean_floor))).x;
    uint first = tile_item * tile_cols + tile_col;
    uint last = tile_item * tile_cols + tile_cols - 1u;
    for (uint k = 0u; k < 4u; ++k)
        direction_col_scale[k] = over_root(1.0, col.v[min(first + k, last)]);
}

// sqrt(mean(r)) / sqrt(r) of a row.
float row_scale(uint row) {
    bool is_vector = (tile_flags & ADAFACTOR_VECTOR) != 0u;
    float r = direction_row.v[is_vector ? 0u : tile_line(row)];
    return is_vector ? 1.0 : over_root(direction_mean_root, r);
}

vec4 adafactor_direction(vec4 g, float scale) {
    precise vec4 by_row = clamp_finite(g * scale, DTYPE_F32);
    precise vec4 u = clamp_finite(by_row * direction_col_scale, DTYPE_F32);
    if (direction_inverse_floor > 0.0) {
        vec4 bound = clamp_finite(abs(g) * direction_inverse_floor, DTYPE_F32);
        u = clamp(u, -bound, bound);
    }
    return u;
}

#endif
