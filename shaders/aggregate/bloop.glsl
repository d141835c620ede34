// SPDX-License-Identifier: MIT
// The averages that a step makes of gradients. Computed twice from the same numbers, hence `precise`: the projection is
// orthogonal to what is stored. No finite gradient takes them beyond the largest float, as average + a (g - average)
// would.
#ifndef HERON_AGGREGATE_BLOOP_GLSL
#define HERON_AGGREGATE_BLOOP_GLSL

float bloop_average(float before, float gradient, float keep, float take) {
    precise float average = keep * before + take * gradient;
    return average;
}

#endif
