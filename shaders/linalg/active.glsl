// SPDX-License-Identifier: MIT
// Items of a batch that an operation leaves as they are. The includer has included core/kernel.glsl; its jobs have
// `active_items`, valid with `flag`.
#ifndef HERON_LINALG_ACTIVE_GLSL
#define HERON_LINALG_ACTIVE_GLSL

bool is_inactive(uint j, uint item, uint flag) {
    U32 active_items = p.jobs.job[j].active_items;
    return (p.jobs.job[j].flags & flag) != 0 && active_items.v[item] == 0;
}

#endif
