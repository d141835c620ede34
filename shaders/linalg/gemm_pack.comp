// SPDX-License-Identifier: MIT
// The operands of gemm_packed, both of many products in one dispatch: panels of f32, padded with zeros (linalg/gemm.h).
//
// A workgroup is one subgroup and packs PACK_CHUNK k of one panel; its invocations lie along whichever axis is
// contiguous in memory.
#version 460
#extension GL_GOOGLE_include_directive : require
#extension GL_EXT_control_flow_attributes : require
#extension GL_KHR_shader_subgroup_basic : require
#include "linalg/gemm.h"
#define JOB GemmPackJob
#include "core/kernel.glsl"
#include "core/half.glsl"
#include "linalg/active.glsl"

layout(constant_id = SPEC_DTYPE_A) const uint DTYPE_A = DTYPE_F32;

const uint LANES = gl_WorkGroupSize.x;

void main() {
    if (nothing_to_do())
        return;
    uint group = workgroup_index();
    uint j = find_job(group);
    group -= p.jobs.job[j].first_group;
    U32 x = p.jobs.job[j].x;
    F32 panels = p.jobs.job[j].panels;
    uint lines = p.jobs.job[j].lines;
    uint k_count = p.jobs.job[j].k;
    uint x_line = p.jobs.job[j].x_line;
    uint x_k = p.jobs.job[j].x_k;
    uint width = p.jobs.job[j].width;
    uint panels_item = p.jobs.job[j].panels_item;
    uint padded_k = p.jobs.job[j].padded_k;
    uint chunks = p.jobs.job[j].chunks;
    bool columns = (p.jobs.job[j].flags & PACK_COLUMNS) != 0;

    uint panel = group / chunks; // of all items
    uint k0 = (group - panel * chunks) * PACK_CHUNK;
    uint item = panel / panels_item;
    if (is_inactive(j, item, GEMM_ACTIVE))
        return;
    uint line0 = (panel - item * panels_item) * width;
    uint from = item * p.jobs.job[j].x_batch;
    uint to = panel * padded_k * width;
    uint ks = min(PACK_CHUNK, padded_k - k0);
    uint lane = gl_SubgroupInvocationID; // a constant to lavapipe, other than gl_LocalInvocationID

    // Invocations lie along the fast axis, the other one is unrolled; PANEL_STEP and all widths are multiples of four.
    // What a cache line has is read at once: lines of another k, often a power of two apart, would push it out.
    bool along_k = x_k == 1;
    uint fast_count = along_k ? ks : width;
    uint slow_count = along_k ? width : ks;
    uint fast_end = along_k ? k_count - min(k0, k_count) : lines - line0; // what is beyond it is zero
    uint slow_end = along_k ? lines - line0 : k_count - min(k0, k_count);
    uint x_fast = along_k ? x_k : x_line;
    uint x_slow = along_k ? x_line : x_k;
    from += line0 * x_line + k0 * x_k;
    to += k0 * width;

    // Nothing to leave out and contiguous, as nearly all of a large operand: no masks, no gathers, and the lines of four
    // rows are asked for before any is stored. (lavapipe 26.1, two Zen 4 cores, both operands of 1024 x 1024: 3.5 ms, by
    // the loop below 4.6 ms.)
    if (DTYPE_A == DTYPE_F32 && x_fast == 1 && fast_count <= fast_end && slow_count <= slow_end &&
        fast_count >= LANES && (!columns || fast_count % LANES == 0)) {
        uint lane_to = along_k ? lane * width : columns ? (lane % PANEL_COLS) * LANES + lane / PANEL_COLS : lane;
        for (uint slow0 = 0; slow0 < slow_count; slow0 += 4)
            for (uint fast0 = 0; fast0 < fast_count; fast0 += LANES) {
                uint slow4 = min(slow0, slow_count - 4); // beyond the end in lavapipe's surplus round
                uint fast = min(fast0, fast_count - LANES); // what is left may be less than a subgroup has
                bool mine = fast + lane >= fast0;           // nor is it stored twice
                float values[4];
                [[unroll]] for (uint u = 0; u < 4; ++u) {
                    uint first = from + fast + (slow4 + u) * x_slow;
                    uint word = x.v[first];
                    // Not up to LANES: loops that the driver unrolls come out in another order.
                    [[unroll]] for (uint l = 1; l < 16; ++l)
                        if (l < LANES)
                            word = mix(word, x.v[first + l], lane == l);
                    values[u] = uintBitsToFloat(word);
                }
                [[unroll]] for (uint u = 0; u < 4; ++u) {
                    uint slow = slow4 + u;
                    uint place = columns ? (u % PANEL_COLS) * LANES + slow / PANEL_COLS : slow;
                    uint step = along_k ? fast * width + place : slow * width + (columns ? fast / PANEL_COLS : fast);
                    if (mine)
                        panels.v[to + step + lane_to] = values[u];
                }
            }
        return;
    }
    for (uint slow4 = 0; slow4 < slow_count; slow4 += 4)
        for (uint fast = lane; fast < fast_count; fast += LANES)
            [[unroll]] for (uint u = 0; u < 4; ++u) {
                uint slow = slow4 + u;
                float value = 0.0;
                if (fast < fast_end && slow < slow_end)
                    value = load(x, from + fast * x_fast + slow * x_slow, DTYPE_A);
                uint w = along_k ? slow : fast;
                uint place = columns ? (w % PANEL_COLS) * LANES + w / PANEL_COLS : w;
                panels.v[to + (along_k ? fast : slow) * width + place] = value;
            }
}
