// SPDX-License-Identifier: MIT
// The jobs of the kernels that sort rows: sorted runs first, then merges of two runs. A sorted element is a pair of words, an
// ordered key (linalg/sort.glsl) and the column that it came from.
#ifndef HERON_LINALG_SORT_H
#define HERON_LINALG_SORT_H

#include "core/shared.h"

HERON_SHARED_BEGIN

struct SortRunsJob {
    U32  keys;
    U32  to;           // pairs; or indices, when a row is one run
    U32  values;       // with SORT_VALUES
    uint rows;
    uint cols;
    uint stride;       // elements between rows
    uint run;          // elements sorted together, a power of two
    uint runs;         // of a row
    uint kept;         // the first elements of each run that go on
    uint index_stride; // elements between rows of indices
    uint value_stride;
    uint flags;        // SORT_ bits
    uint first_group;
};

struct MergeRunsJob {
    U32  from;         // pairs: rows x runs x kept
    U32  to;           // pairs: rows x (runs + 1) / 2 x result; or indices
    U32  keys;         // for values
    U32  values;
    uint rows;
    uint stride;       // elements between rows of keys
    uint runs;
    uint kept;         // elements of a run before ...
    uint result;       // ... and after the merge
    uint pieces;       // invocations for a result
    uint index_stride;
    uint value_stride;
    uint flags;        // SORT_ bits
    uint first_group;
};

struct GatherJob {
    U32  from;
    U32  indices;
    U32  to;
    uint rows;        // of `to`, all items together
    uint cols;
    uint item_rows;   // rows of one item of `to`
    uint from_rows;   // of one item
    uint from_cols;
    uint from_stride;
    uint from_item;   // elements between items; 0 for one matrix that serves all
    uint to_stride;
    uint index_item;  // indices between items; 0 likewise
    uint flags;       // GATHER_ bits
    uint reserved;
    uint first_group;
};

const uint SORT_DESCENDING = 1;
const uint SORT_VALUES = 2; // the elements themselves are wanted too
const uint SORT_LAST = 4;   // `to` are indices

const uint GATHER_COLUMNS = 1;
const uint GATHER_PAIRS = 2; // an even column shares its word of `to` with the next one, in every row

HERON_SHARED_END

#endif
