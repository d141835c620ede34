// SPDX-License-Identifier: MIT
// Jobs of the QR kernels.
#ifndef HERON_LINALG_QR_H
#define HERON_LINALG_QR_H

#include "core/shared.h"

HERON_SHARED_BEGIN

const uint QR_PANEL = 32;

const uint QR_WHOLE = 1;      // the panel is the whole matrix: A is copied, Q, R and the status are written
const uint QR_POSITIVE = 2;   // rows of R and columns of Q change sign so that R's diagonal is not negative
const uint QR_HAS_STATUS = 4; // valid with QR_WHOLE: status is wanted
const uint QR_SCALED = 8;     // W = A / 2^k, 2^k below the norm of A
const uint QR_IDENTITY = 16;  // Q begins as the identity
const uint QR_HAS_FACTOR = 32; // `factored` holds the status of the first Cholesky factorisation

// qr_panel.comp: Householder vectors of columns [first, first + width) of W, from row `first` on.
struct QrPanelJob {
    U32   a;      // QR_WHOLE
    F32   w;      // items of m rows of n elements; R in its upper triangle afterwards
    F32   v;      // items of m x n: unit lower trapezoid, zeros above
    F32   product; // the same: V T^T
    F32   q;      // QR_WHOLE
    F32   r;
    U32   status;
    uint  m;
    uint  n;
    uint  first;
    uint  width;
    uint  a_stride;
    uint  a_item;
    uint  q_stride;
    uint  q_item;
    uint  r_stride;
    uint  r_item;
    uint  flags;
    float tolerance; // rank: smallest diagonal element of R over the largest
    uint  reserved;
    uint  first_group;
};

// qr_start.comp
struct QrStartJob {
    U32  a;
    F32  w;    // items of m x n
    F32  q;    // QR_IDENTITY
    U32  exponent; // QR_SCALED: k of each item
    uint m;
    uint n;
    uint a_stride;
    uint a_item;
    uint q_stride;
    uint q_item;
    uint flags;
    uint groups; // workgroups of one item
    uint first_group;
};

// qr_status.comp
struct QrStatusJob {
    F32   w;        // the diagonal of R
    U32   factored; // QR_HAS_FACTOR
    U32   status;
    uint  n;
    uint  step; // elements between two diagonal elements
    uint  item;
    uint  flags;
    float tolerance;
    uint  first_group;
};

// qr_finish.comp: R from the upper triangle of W; signs; zeros where the input was not finite.
struct QrFinishJob {
    F32  w;    // items of w_item elements, rows w_stride apart
    F32  q;
    F32  r;
    U32  exponent; // QR_SCALED
    U32  status;
    uint m;
    uint n;
    uint w_stride;
    uint w_item;
    uint q_stride;
    uint q_item;
    uint r_stride;
    uint r_item;
    uint flags;
    uint groups;
    uint first_group;
};

HERON_SHARED_END

#endif
