// SPDX-License-Identifier: MIT
// Matrices of a batch that a factorisation leaves as they are. The includer has included linalg/cholesky.h and
// core/kernel.glsl.
#ifndef HERON_LINALG_CHOLESKY_ACTIVE_GLSL
#define HERON_LINALG_CHOLESKY_ACTIVE_GLSL

bool is_inactive(uint j, uint item) {
    U32 active_items = p.jobs.job[j].active_items;
    return (p.jobs.job[j].flags & CHOLESKY_HAS_ACTIVE) != 0 && active_items.v[item] == 0;
}

#endif
