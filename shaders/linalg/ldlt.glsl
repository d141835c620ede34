// SPDX-License-Identifier: MIT
// What both forms of LDL^T share. Included after core/kernel.glsl.
#ifndef HERON_LINALG_LDLT_GLSL
#define HERON_LINALG_LDLT_GLSL

const float LDLT_ALPHA = 0.6403882; // (1 + sqrt(17)) / 8

shared float values[gl_WorkGroupSize.x];
shared uint indices[gl_WorkGroupSize.x];

void all_barrier() {
    memoryBarrierBuffer();
    memoryBarrierShared();
    barrier();
}

// The largest value of all invocations and the smallest index that has it; all have to come here. What they have
// written before can be read behind it.
void workgroup_max(inout float value, inout uint index) {
    uint t = gl_LocalInvocationID.x;
    values[t] = value;
    indices[t] = index;
    all_barrier();
    [[dont_unroll]] for (uint half_size = gl_WorkGroupSize.x / 2; half_size > 0; half_size /= 2) {
        if (t < half_size) {
            float other = values[t + half_size];
            if (other > values[t] || (other == values[t] && indices[t + half_size] < indices[t])) {
                values[t] = other;
                indices[t] = indices[t + half_size];
            }
        }
        barrier();
    }
    value = values[0];
    index = indices[0];
    barrier();
}

#endif
