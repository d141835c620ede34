// SPDX-License-Identifier: MIT
// Elements of a: of a matrix, or of the patches of images, which are never stored. The includer has included
// core/half.glsl. It takes its own copy of the job's FactorRows, so that loops read no jobs.
//
// The index of an element is the sum of a part that belongs to its row and one that belongs to its column, and so are
// its coordinates in the image: no division is needed for an element.
#ifndef HERON_LINALG_FACTOR_ROWS_GLSL
#define HERON_LINALG_FACTOR_ROWS_GLSL

layout(constant_id = SPEC_DTYPE_A) const uint DTYPE_A = DTYPE_F32;
layout(constant_id = SPEC_ROWS) const uint ROWS_FROM = FACTOR_MATRIX;

// index (modulo 2^32), y, x.
uvec3 column_place(FactorRows rows, uint column) {
    if (ROWS_FROM == FACTOR_MATRIX)
        return uvec3(column, 0u, 0u);
    uint across = column % rows.kernel_x * rows.dilation_x;
    uint down = column / rows.kernel_x % rows.kernel_y * rows.dilation_y;
    uint channel = column / rows.kernel_x / rows.kernel_y;
    return uvec3((channel * rows.height + down) * rows.width + across, down, across);
}

// (image, y, x) of a row's position among the results of the convolution; the row itself in x for a matrix.
uvec3 row_position(FactorRows rows, uint row) {
    if (ROWS_FROM == FACTOR_MATRIX)
        return uvec3(row, 0u, 0u);
    uint line = row / rows.out_width;
    return uvec3(line / rows.out_height, line % rows.out_height, row % rows.out_width);
}

uvec3 next_position(FactorRows rows, uvec3 position) {
    if (ROWS_FROM == FACTOR_MATRIX)
        return uvec3(position.x + 1u, 0u, 0u);
    uvec3 next = uvec3(position.xy, position.z + 1u);
    if (next.z == rows.out_width)
        next = uvec3(next.x, next.y + 1u, 0u);
    if (next.y == rows.out_height)
        next = uvec3(next.x + 1u, 0u, next.z);
    return next;
}

uvec3 row_place(FactorRows rows, uvec3 position) {
    uint start = position.x * rows.row_stride;
    if (ROWS_FROM == FACTOR_MATRIX)
        return uvec3(start, 0u, 0u);
    uint y = position.y * rows.stride_y - rows.padding_y;
    uint x = position.z * rows.stride_x - rows.padding_x;
    return uvec3(start + y * rows.width + x, y, x);
}

// `valid`: row and column are there, and the column is not the bias.
float element(U32 from, uint begin, uvec3 row, uvec3 column, FactorRows rows, bool valid) {
    uvec3 place = row + column;
    if (ROWS_FROM == FACTOR_PATCHES)
        valid = valid && place.y < rows.height && place.z < rows.width;
    float value = load(from, valid ? begin + place.x : begin, DTYPE_A);
    return valid ? value : 0.0;
}

#endif
