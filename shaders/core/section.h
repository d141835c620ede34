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
    uint interval; // runs in the steps whose number (from 0) modulo interval is phase
    uint phase;    // and SECTION_FIRST
};

const uint SECTION_FIRST = 0x80000000u; // runs in step 0, too

// The section table begins with one word, the number of entries, padded to the size of an entry.
const uint SECTION_TABLE_HEADER_WORDS = 4;
const uint SECTION_ARGUMENT_WORDS = 3;

HERON_SHARED_END

#ifndef __cplusplus
// Whether an entry runs in the step with that number (from 0).
bool section_runs(uint step, uint interval, uint phase) {
    return step % interval == (phase & ~SECTION_FIRST) || (step == 0u && (phase & SECTION_FIRST) != 0u);
}
#endif

#endif
