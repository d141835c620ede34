// SPDX-License-Identifier: MIT
// Jobs of the evolution strategies (heron/evolution.hpp).
#ifndef HERON_EVOLUTION_EVOLUTION_H
#define HERON_EVOLUTION_EVOLUTION_H

#include "core/shared.h"

HERON_SHARED_BEGIN

const uint EVOLUTION_SIGNS = 1;    // of the noise, in place of its values
const uint EVOLUTION_WEIGH = 2;    // times what the pair's fitness differs by
const uint EVOLUTION_NUMBERS = 4;  // those differences alone
const uint EVOLUTION_BASELINE = 8;
const uint EVOLUTION_SHARED = 16;  // members of a pair have the same numbers

struct EvolutionNoiseJob {
    F32  a; // pairs rank x rows
    F32  b; // pairs rank x cols
    U32  epoch;
    uint seed;
    uint seed_high;
    uint tensor;
    uint rows;
    uint cols;
    uint rank;
    uint pairs;
    uint reuse;
    uint group;  // members whose first two have no noise; 0: all have
    uint groups; // workgroups of a pair
    uint reserved;
    uint first_group;
};

struct EvolutionCopyJob {
    U32   w;
    F32   noise;
    F32   members;
    uint  count;
    uint  groups; // workgroups of a pair
    float sigma;
    uint  first_group;
};

// x = from scale for even members, -scale for odd ones: in place, or from what both members of a pair share.
struct EvolutionSignJob {
    F32   from;
    F32   x;
    uint  count;
    uint  member; // elements of one
    uint  flags;
    float scale;
    uint  reserved;
    uint  first_group;
};

struct EvolutionFitnessJob {
    F32  scores;
    F32  fitness;
    F32  scales; // of each group
    uint count;  // of scores
    uint group;
    uint flags;
    uint first_group;
};

struct EvolutionWeighJob {
    F32  noise;
    F32  fitness;
    F32  result;
    uint count;
    uint pair; // elements of one
    uint flags;
    uint first_group;
};

HERON_SHARED_END

#endif
