// SPDX-License-Identifier: MIT
// Dispatches that run only in some steps: their full size, and when. The advance kernel turns each entry into the
// arguments of one indirect dispatch (three words: x, y, z, or zeros), in the same order.
#ifndef HERON_CORE_SECTION_H
#define HERON_CORE_SECTION_H

#include "core/shared.h"

HERON_SHARED_BEGIN

struct SectionEntry {
    uint x; // workgroups
    uint y;
    uint interval;  // runs in the steps whose number (from 0) is the phase, modulo the interval
    uint phase;     // and SECTION_FIRST
    uint start;     // not before this step
    uint growth;    // above 0: the interval doubles after every so many steps ...
    uint doublings; // ... this often
    uint gate;      // not 0: and where the value before that number, among those the advance kernel has evaluated, is 0
};

const uint SECTION_FIRST = 0x80000000u; // runs in step `start`, too

// The section table begins with one word, the number of entries, padded to the size of an entry.
const uint SECTION_TABLE_HEADER_WORDS = 8;
const uint SECTION_ARGUMENT_WORDS = 3;

HERON_SHARED_END

#ifndef __cplusplus
// Whether an entry runs in the step with that number (from 0): heron::Section::runs. `open`: so is its gate, or there is none.
bool section_runs(SectionEntry e, uint step, bool open) {
    uint interval = e.interval << (e.growth == 0u ? 0u : min(step / max(e.growth, 1u), e.doublings));
    bool turn = open && step % interval == (e.phase & ~SECTION_FIRST) % interval;
    return step >= e.start && (turn || (step == e.start && (e.phase & SECTION_FIRST) != 0u));
}
#endif

#endif
