// SPDX-License-Identifier: MIT
// Every struct of the C API has the size, its members the places, and every enumerator the number that the table gives:
// src/c/generate.py refuses to change one within a minor version, so that a program and a library of different patches
// agree. Compiling is the test.
#include <heron/heron.h>

#define HERON_LAYOUT_VERSION(major, minor)                                             \
    _Static_assert(HERON_VERSION_MAJOR == (major) && HERON_VERSION_MINOR == (minor),   \
                   "the table is of another version: run src/c/generate.py");
#define HERON_LAYOUT_STRUCT(type, bytes) _Static_assert(sizeof(type) == (bytes), #type);
#define HERON_LAYOUT_MEMBER(type, member, byte) \
    _Static_assert(offsetof(type, member) == (byte), #type "." #member);
#define HERON_LAYOUT_ENUMERATOR(name, number) _Static_assert(name == (number), #name);

#if UINTPTR_MAX == UINT64_MAX
#include "layout.inc"
#endif

int main(void) { return 0; }
