// SPDX-License-Identifier: MIT
// Loads for CPU drivers. The includer has included core/shared.h; the kernel has full subgroups of LANES invocations, at
// most 16, or LANES is 0 and none of this is compiled.
#ifndef HERON_CORE_LANES_GLSL
#define HERON_CORE_LANES_GLSL

#extension GL_EXT_control_flow_attributes : require
#extension GL_KHR_shader_subgroup_basic : require

layout(constant_id = SPEC_SUBGROUP) const uint LANES = 0;

// x.v[first + invocation]; `first` is the subgroup's, and [first, first + LANES) lies before `end`. From addresses that all
// share: of what each keeps for its own lavapipe 26.1 makes one vector load, where it gathers else. (Two Zen 4 cores, a copy
// of 4 million elements: 7.1 ms for 11.2.) It loads from there even if nobody asks: never from beyond `end`, which is at
// least LANES.
float load_lanes(F32 x, uint first, uint end) {
    uint from = min(first, end - LANES);
    float value = x.v[from];
    // Not up to LANES: loops that the driver unrolls come out in another order.
    [[unroll]] for (uint l = 1u; l < 16u; ++l)
        if (l < LANES)
            value = mix(value, x.v[from + l], gl_SubgroupInvocationID == l);
    return value;
}
// The same of words. (To glslang both would be one function.)
uint load_lane_words(U32 x, uint first, uint end) {
    uint from = min(first, end - LANES);
    uint word = x.v[from];
    [[unroll]] for (uint l = 1u; l < 16u; ++l)
        if (l < LANES)
            word = mix(word, x.v[from + l], gl_SubgroupInvocationID == l);
    return word;
}

#endif
