// SPDX-License-Identifier: MIT
// What the shaders of the scene are given, read by GLSL and C++.
//
// The scene: a terrain over the unit square, whose colours and heights are what the network says of each place.
#ifndef FRAME_LOOP_SCENE_H
#define FRAME_LOOP_SCENE_H

#include "core/shared.h"

HERON_SHARED_BEGIN

const uint GRID = 48; // quads along each side, two triangles each
const uint GRID_VERTICES = (GRID + 1) * (GRID + 1);
const uint VERTEX_FLOATS = 6; // position, colour

struct ScenePush {
    F32   weights;
    F32   vertices; // GRID_VERTICES times VERTEX_FLOATS, row by row
    float turn;     // of the terrain, in radians
    float aspect;   // width over height of the picture
};

HERON_SHARED_END

#endif
