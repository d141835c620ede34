// SPDX-License-Identifier: MIT
// Jobs and hyperparameters of Online Subspace Descent's kernels, which move the basis of a projection by gradients of
// its own.
#ifndef HERON_OPTIM_SUBSPACE_DESCENT_H
#define HERON_OPTIM_SUBSPACE_DESCENT_H

#include "optim/parameter.h"

HERON_SHARED_BEGIN

struct SubspaceDescentHyper {
    float lr;
    float rate1;       // 1 - beta1
    float rate2;
    float weight_decay;
    float eps;
    float correction1; // 1 / (1 - beta1^t); the basis has taken t - 1 steps
    float correction2;
};

#ifdef __cplusplus
using SubspaceDescentHyperRef = std::uint64_t;
#else
layout(buffer_reference, scalar, buffer_reference_align = 4) readonly buffer SubspaceDescentHyperRef { SubspaceDescentHyper h; };
#endif

// subspace_unit.comp: y = x / norm of the item's gradient, 0 where that is 0
struct SubspaceUnitJob {
    F32x4        from;
    F32x4        to;            // may be `from`
    F32          norms;         // one an item
    ElementRange range;
    uint         item_elements;
    uint         first_group;
};

// subspace_descent.comp
struct SubspaceDescentJob {
    F32x4                   gradient; // half of the loss's, by the basis
    F32x4                   basis;
    F32x4                   moment1;  // DESCENT_ADAMW, DESCENT_LION
    F32x4                   moment2;  // DESCENT_ADAMW
    F32                     norms;    // of the items' gradients: where one is 0 the basis stays
    SubspaceDescentHyperRef hyper;
    ElementRange            range;
    uint                    item_elements;
    float                   pull;     // of the basis, subtracted from `gradient`
    uint                    rule;     // DESCENT_
    uint                    first_group;
};

const uint DESCENT_ADAMW = 0;
const uint DESCENT_SGD = 1;
const uint DESCENT_LION = 2;

HERON_SHARED_END

#endif
