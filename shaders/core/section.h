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
    uint phase;
};

// The section table begins with one word, the number of entries, padded to the size of an entry.
const uint SECTION_TABLE_HEADER_WORDS = 4;
const uint SECTION_ARGUMENT_WORDS = 3;

HERON_SHARED_END

#endif
