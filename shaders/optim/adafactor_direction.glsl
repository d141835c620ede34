// SPDX-License-Identifier: MIT
// U = G / sqrt(r c^T / max(mean(r), floor)), with a bound from below of the root. The includer's job struct has the
// member `AdafactorDirection direction`; it has included core/reduce.glsl with REDUCE_WORKGROUP, optim/gradient.glsl
// and optim/adafactor_tile.glsl. begin_direction() comes after begin_item_round(), in all invocations of the workgroup.
//
// r, c and their product span more than f32 does: roots are taken first, and divided by one after the other. A root of
// 0 leaves an element without gradient 0, and others to the bound, or without one at the largest number.
#ifndef HERON_OPTIM_ADAFACTOR_DIRECTION_GLSL
#define HERON_OPTIM_ADAFACTOR_DIRECTION_GLSL

F32 direction_row;
F32 direction_col;
vec4 direction_col_scale;
float direction_mean_root;
float direction_inverse_floor;

// numerator / sqrt(x)
float over_root(float numerator, float x) {
    float root = safe_sqrt(vec4(x)).x;
    return root > 0.0 ? clamp_finite(numerator / root) : 3.4028235e38;
}

// 1 / sqrt(c) of four neighbours; of a vector c is v.
vec4 column_scales(uint first, uint valid) {
    vec4 scales;
    [[dont_unroll]] for (uint k = 0u; k < 4u; ++k)
        scales[k] = over_root(1.0, direction_col.v[first + min(k, max(valid, 1u) - 1u)]);
    return scales;
}

void begin_direction(uint j) {
    direction_row = p.jobs.job[j].direction.row;
    direction_col = p.jobs.job[j].direction.col;
    direction_inverse_floor = p.jobs.job[j].direction.inverse_floor;
    F32 means = p.jobs.job[j].direction.means;
    uint chunks = p.jobs.job[j].tiles.row_chunks;
    float mean = 0.0;
    if (chunks > 1u) { // then the tile is of one item
        for (uint k = gl_LocalInvocationID.x; k < chunks; k += gl_WorkGroupSize.x)
            mean += means.v[tile_item * chunks + k];
        mean = workgroup_sum(vec3(mean, 0.0, 0.0)).x;
    } else {
        mean = means.v[tile_item];
    }
    direction_mean_root = safe_sqrt(vec4(max(mean, p.jobs.job[j].direction.mean_floor))).x;
    if (!is_vector())
        direction_col_scale = column_scales(tile_item * tile_cols + tile_col, tile_valid);
}

// U of the invocation's columns in a row, whose first element is i.
vec4 adafactor_direction(vec4 g, uint row, uint i, uint valid) {
    float row_scale = 1.0;
    vec4 col_scale = direction_col_scale;
    if (is_vector())
        col_scale = column_scales(i, valid);
    else
        row_scale = over_root(direction_mean_root, direction_row.v[tile_line(row)]);
    precise vec4 by_row = clamp_finite(g * row_scale, DTYPE_F32);
    precise vec4 u = clamp_finite(by_row * col_scale, DTYPE_F32);
    if (direction_inverse_floor > 0.0) {
        vec4 bound = clamp_finite(abs(g) * direction_inverse_floor, DTYPE_F32);
        u = clamp(u, -bound, bound);
    }
    return u;
}

#endif
