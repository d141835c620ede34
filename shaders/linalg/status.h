// SPDX-License-Identifier: MIT
// heron::MatrixStatus for shaders: what became of one matrix of a batch.
#ifndef HERON_LINALG_STATUS_H
#define HERON_LINALG_STATUS_H

#include "core/shared.h"

HERON_SHARED_BEGIN

const uint STATUS_OK = 0;
const uint STATUS_NONFINITE = 1;
const uint STATUS_INDEFINITE = 2;
const uint STATUS_SINGULAR = 3;
const uint STATUS_RANK_DEFICIENT = 4;
const uint STATUS_NOT_CONVERGED = 5;
const uint STATUS_JITTERED = 6;

HERON_SHARED_END

#ifndef __cplusplus
// Whether there is a result to take over: the best iterate of an iteration that ran out is better than an old one, and a
// factorisation of a matrix without full rank is one of what there is.
bool is_usable(uint status) {
    return status == STATUS_OK || status == STATUS_NOT_CONVERGED || status == STATUS_JITTERED || status == STATUS_RANK_DEFICIENT;
}
#endif

#endif
