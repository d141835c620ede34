// SPDX-License-Identifier: MIT
// Loads for CPU drivers. The includer has included core/shared.h; the kernel has full subgroups of LANES invocations,
// 16 or fewer, or LANES is 0 and none of this is compiled.
#ifndef HERON_CORE_LANES_GLSL
#define HERON_CORE_LANES_GLSL

#extension GL_EXT_control_flow_attributes : require
#extension GL_KHR_shader_subgroup_basic : require

layout(constant_id = SPEC_SUBGROUP) const uint LANES = 0;

// x.v[first + invocation]; `first` is the subgroup's, and first + LANES is not beyond `end`. From addresses that all
// share: of what each keeps for its own lavapipe 26.1 makes one vector load, where it gathers else. (Two Zen 4 cores, a
// copy of 4 million elements: 7.1 ms for 11.2.) It loads from there even if nobody asks: never from beyond `end`, or,
// of fewer elements, from beyond the first LANES. (A loop up to LANES would be one that the driver unrolls, and comes
// out in another order.)
#define LOAD_LANES(TYPE, NAME, BUFFER)                                                                                 \
    TYPE NAME(BUFFER x, uint first, uint end) {                                                                        \
        uint from = min(first, max(end, LANES) - LANES);                                                               \
        TYPE value = x.v[from];                                                                                        \
        [[unroll]] for (uint l = 1u; l < 16u; ++l)                                                                     \
            if (l < LANES)                                                                                             \
                value = mix(value, x.v[from + l], gl_SubgroupInvocationID == l);                                       \
        return value;                                                                                                  \
    }
LOAD_LANES(float, load_lanes, F32)
LOAD_LANES(uint, load_lane_words, U32) // of one name they would be one function to glslang

#endif
