// SPDX-License-Identifier: MIT
// Jobs: cosine transforms of lines (rows or columns) of even length, and single basis vectors.
#ifndef HERON_LINALG_DCT_H
#define HERON_LINALG_DCT_H

#include "core/shared.h"

HERON_SHARED_BEGIN

struct DctJob {
    U32   from;
    U32   to;
    F32   table;        // cos, sin of pi k / (2 n), k < n
    uint  n;            // length of a line, at least 2
    uint  log_two;      // n / 2 = odd 2^log_two
    uint  odd;
    uint  lines;        // of one item
    uint  groups;       // workgroups of one item
    uint  from_line;    // elements from line to line, from element to element, and between items
    uint  from_element;
    uint  from_item;
    uint  to_line;
    uint  to_element;
    uint  to_item;
    float scale;        // sqrt(2 / n)
    uint  inverse;
    uint  first_group;
};

struct DctBasisJob {
    U32   indices;
    F32   table;       // as DctJob's
    F32   to;
    uint  n;
    uint  count;       // elements
    float scale;       // sqrt(2 / n), and of frequency 0:
    float scale0;      // sqrt(1 / n)
    uint  inverse;
    uint  first_group;
};

HERON_SHARED_END

#endif
