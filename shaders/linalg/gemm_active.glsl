// SPDX-License-Identifier: MIT
// Items of a batch that a product leaves as they are. The includer has included linalg/gemm.h and core/kernel.glsl.
#ifndef HERON_LINALG_GEMM_ACTIVE_GLSL
#define HERON_LINALG_GEMM_ACTIVE_GLSL

// `item` exists in idle workgroups too: lavapipe 26.1 loads what is at a uniform address whether or not anybody asks.
bool is_inactive(uint j, uint item) {
    U32 active_items = p.jobs.job[j].active_items;
    uint flags = p.jobs.job[j].flags;
    return (flags & GEMM_ACTIVE) != 0 && active_items.v[(flags & GEMM_ACTIVE_ONE) != 0 ? 0 : item] == 0;
}

#endif
