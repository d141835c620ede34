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

// Which numbers a parameter's noise is, beside the epoch.
struct EvolutionDraw {
    uint seed;
    uint seed_high;
    uint tensor;
    uint reuse;
    uint group; // members whose first two have no noise; 0: all have
};

struct EvolutionNoiseJob {
    F32           a; // pairs rank x rows
    F32           b; // pairs rank x cols
    U32           epoch;
    EvolutionDraw draw;
    uint          rows;
    uint          cols;
    uint          rank;
    uint          groups; // workgroups of a pair
    uint          first_group;
};

// evolution_linear.comp: x is rows x cols for each pair (with EVOLUTION_SHARED one for all of them), W width x cols.
struct EvolutionLinearJob {
    U32           x;
    F32           base; // x W^T: y itself, or with EVOLUTION_SHARED what all members have
    F32           y;
    U32           epoch;
    EvolutionDraw draw;
    uint          width;
    uint          cols;
    uint          rank;
    uint          rows;
    uint          steps;         // rows of a member
    uint          flags;
    float         scale;
    uint          block_rows;    // of a workgroup: a multiple of 4, block_rows rank at most EVOLUTION_SUMS
    uint          row_blocks;    // of a pair
    uint          column_blocks; // of EVOLUTION_COLUMNS columns of y
    uint          first_group;
};

// What evolution_linear.comp has shared memory for, 13,440 bytes, and how far its loops go: lavapipe ends all loops of
// an invocation after 65,535 rounds, and these limits keep to 50,000.
const uint EVOLUTION_THREADS = 128;
const uint EVOLUTION_ROWS = 32;
const uint EVOLUTION_SUMS = 256;
const uint EVOLUTION_DRAWN = 2048; // numbers at a time
const uint EVOLUTION_RANK = 32;
const uint EVOLUTION_INPUTS = 16384; // columns of x
const uint EVOLUTION_COLUMNS = 8192; // of y, of a workgroup

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
