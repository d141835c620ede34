// SPDX-License-Identifier: MIT
// A parameter's elements of a matrix of [W, b]. The includer's job struct has the members `F32 direction`, `uint cols`,
// `uint stride` and `uint offset` (optim/layer.h), and it has included optim/parameter.glsl.
#ifndef HERON_OPTIM_LAYER_DIRECTION_GLSL
#define HERON_OPTIM_LAYER_DIRECTION_GLSL

// Of elements i .. i + valid - 1 of the parameter.
vec4 load_direction(uint j, uint i, uint valid) {
    F32 direction = p.jobs.job[j].direction;
    uint cols = p.jobs.job[j].cols;
    uint stride = p.jobs.job[j].stride;
    uint row = i / cols;
    uint col = i - row * cols;
    uint at = row * stride + p.jobs.job[j].offset + col;
    vec4 d = vec4(0.0);
    for (uint k = 0u; k < 4u; ++k) {
        d[k] = direction.v[at];
        bool wraps = col + 1u == cols;
        bool more = k + 1u < valid; // not beyond the last row
        at += more ? (wraps ? stride - cols + 1u : 1u) : 0u;
        col = wraps ? 0u : col + 1u;
    }
    return keep_valid(d, valid);
}

#endif
