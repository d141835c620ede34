// SPDX-License-Identifier: MIT
// Which slot holds which of the chosen vectors of a basis; many matrices in one dispatch.
//
// A vector that was chosen before keeps its slot; the others, in rising order, take the slots that are free, in rising
// order. In the first step all slots are free.
//
// One workgroup a matrix. Bitmaps of the vectors in shared memory; each invocation has a range of slots and a range of
// words.
#version 460
#extension GL_GOOGLE_include_directive : require
#include "optim/subspace.h"

#define JOB BasisSlotsJob
#include "core/kernel.glsl"

shared uint chosen_bits[BASIS_WORDS];
shared uint kept_bits[BASIS_WORDS];
shared uint free_counts[gl_WorkGroupSize.x];
shared uint new_counts[gl_WorkGroupSize.x];

bool has(uint bits, uint v) { return (bits >> (v & 31u) & 1u) != 0u; }

uint new_word(uint w, uint words) { return w < words ? chosen_bits[min(w, words - 1u)] & ~kept_bits[min(w, words - 1u)] : 0u; }

void main() {
    if (nothing_to_do())
        return;
    uint group = workgroup_index();
    uint j = find_job(group);
    U32 chosen = p.jobs.job[j].chosen;
    U32 indices = p.jobs.job[j].indices;
    U32 since = p.jobs.job[j].since;
    uint slots = p.jobs.job[j].slots;
    uint vectors = p.jobs.job[j].vectors;
    uint begin = (group - p.jobs.job[j].first_group) * slots;
    uint words = (vectors + 31u) / 32u;
    uint now = p.control.c.step;
    uint t = gl_LocalInvocationID.x;
    const uint T = gl_WorkGroupSize.x;

    for (uint w = t; w < words; w += T) {
        chosen_bits[w] = 0u;
        kept_bits[w] = 0u;
    }
    barrier();
    for (uint s = t; s < slots; s += T) {
        uint v = min(chosen.v[begin + s], vectors - 1u);
        atomicOr(chosen_bits[v >> 5], 1u << (v & 31u));
    }
    barrier();

    uint slots_each = (slots + T - 1u) / T;
    uint first_slot = min(t * slots_each, slots);
    uint end_slot = min(first_slot + slots_each, slots);
    uint free = 0u;
    for (uint s = first_slot; s < end_slot; ++s) {
        uint v = indices.v[begin + s];
        if (now > 1u && v < vectors && has(chosen_bits[min(v >> 5, words - 1u)], v))
            atomicOr(kept_bits[v >> 5], 1u << (v & 31u));
        else
            ++free;
    }
    free_counts[t] = free;
    barrier();
    uint words_each = (words + T - 1u) / T;
    uint fresh = 0u;
    for (uint w = t * words_each; w < min((t + 1u) * words_each, words); ++w)
        fresh += uint(bitCount(new_word(w, words)));
    new_counts[t] = fresh;
    barrier();

    // The first free slot of this invocation is the `wanted`-th of all, and gets the `wanted`-th new vector; `passed`
    // of them lie before the bits that are left of word w.
    uint wanted = 0u;
    for (uint u = 0u; u < t; ++u)
        wanted += free_counts[u];
    uint passed = 0u;
    uint w = 0u;
    for (uint u = 0u; u < T && passed + new_counts[u] <= wanted; ++u) {
        passed += new_counts[u];
        w += words_each;
    }
    uint bits = new_word(w, words);
    for (uint s = first_slot; s < end_slot; ++s) {
        uint v = indices.v[begin + s];
        if (now > 1u && v < vectors && has(kept_bits[min(v >> 5, words - 1u)], v))
            continue;
        while (w < words && passed + uint(bitCount(bits)) <= wanted) {
            passed += uint(bitCount(bits));
            bits = new_word(++w, words);
        }
        for (; passed < wanted; ++passed)
            bits &= bits - 1u;
        if (w < words) {
            indices.v[begin + s] = 32u * w + uint(findLSB(bits));
            since.v[begin + s] = now;
        }
        ++wanted;
    }
}
