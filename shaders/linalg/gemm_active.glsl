// SPDX-License-Identifier: MIT
// Items of a batch that a product leaves as they are. The includer has included linalg/gemm.h and core/kernel.glsl.
#ifndef HERON_LINALG_GEMM_ACTIVE_GLSL
#define HERON_LINALG_GEMM_ACTIVE_GLSL

// `item` exists in idle workgroups too: lavapipe 26.1 loads what is at a uniform address whether or not anybody asks.
bool is_inactive(uint j, uint item) {
    U32 active_items = p.jobs.job[j].active_items;
    return (p.jobs.job[j].flags & GEMM_ACTIVE) != 0 && active_items.v[item] == 0;
}

#endif
