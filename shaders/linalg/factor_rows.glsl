// SPDX-License-Identifier: MIT
// Elements of a: of a matrix, or of the patches of images, which are never stored. The includer has defined JOB with a
// member `FactorRows rows`, and included core/kernel.glsl and core/half.glsl.
//
// The index of an element is the sum of a part that belongs to its row and one that belongs to its column, and so are
// its coordinates in the image: no division is needed for an element.
#ifndef HERON_LINALG_FACTOR_ROWS_GLSL
#define HERON_LINALG_FACTOR_ROWS_GLSL

layout(constant_id = SPEC_DTYPE_A) const uint DTYPE_A = DTYPE_F32;
layout(constant_id = SPEC_ROWS) const uint ROWS_FROM = FACTOR_MATRIX;

// index (modulo 2^32), y, x.
uvec3 column_place(uint j, uint column) {
    if (ROWS_FROM == FACTOR_MATRIX)
        return uvec3(column, 0u, 0u);
    uint kernel_x = p.jobs.job[j].rows.kernel_x;
    uint kernel_y = p.jobs.job[j].rows.kernel_y;
    uint width = p.jobs.job[j].rows.width;
    uint height = p.jobs.job[j].rows.height;
    uint across = column % kernel_x * p.jobs.job[j].rows.dilation_x;
    uint down = column / kernel_x % kernel_y * p.jobs.job[j].rows.dilation_y;
    uint channel = column / kernel_x / kernel_y;
    return uvec3((channel * height + down) * width + across, down, across);
}

// (image, y, x) of a row's position among the results of the convolution; the row itself in x for a matrix.
uvec3 row_position(uint j, uint row) {
    if (ROWS_FROM == FACTOR_MATRIX)
        return uvec3(row, 0u, 0u);
    uint out_width = p.jobs.job[j].rows.out_width;
    uint out_height = p.jobs.job[j].rows.out_height;
    return uvec3(row / out_width / out_height, row / out_width % out_height, row % out_width);
}

uvec3 next_position(uint j, uvec3 position) {
    if (ROWS_FROM == FACTOR_MATRIX)
        return uvec3(position.x + 1u, 0u, 0u);
    uvec3 next = uvec3(position.xy, position.z + 1u);
    if (next.z == p.jobs.job[j].rows.out_width)
        next = uvec3(next.x, next.y + 1u, 0u);
    if (next.y == p.jobs.job[j].rows.out_height)
        next = uvec3(next.x + 1u, 0u, next.z);
    return next;
}

uvec3 row_place(uint j, uvec3 position) {
    uint start = position.x * p.jobs.job[j].rows.row_stride;
    if (ROWS_FROM == FACTOR_MATRIX)
        return uvec3(start, 0u, 0u);
    uint y = position.y * p.jobs.job[j].rows.stride_y - p.jobs.job[j].rows.padding_y;
    uint x = position.z * p.jobs.job[j].rows.stride_x - p.jobs.job[j].rows.padding_x;
    return uvec3(start + y * p.jobs.job[j].rows.width + x, y, x);
}

// `valid`: row and column are there, and the column is not the bias. `size`: (height, width) of an image.
float element(U32 from, uint begin, uvec3 row, uvec3 column, uvec2 size, bool valid) {
    uvec3 place = row + column;
    if (ROWS_FROM == FACTOR_PATCHES)
        valid = valid && place.y < size.x && place.z < size.y;
    float value = load(from, valid ? begin + place.x : begin, DTYPE_A);
    return valid ? value : 0.0;
}

#endif
