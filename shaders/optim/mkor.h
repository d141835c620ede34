// SPDX-License-Identifier: MIT
// Jobs and hyperparameters of MKOR. A job is one inverse factor P, or one layer.
#ifndef HERON_OPTIM_MKOR_H
#define HERON_OPTIM_MKOR_H

#include "core/section.h"
#include "optim/layer.h"

HERON_SHARED_BEGIN

struct MkorHyper {
    LayerHyper layer;
    float second_order;      // 0: steps are first-order ones (MKOR-H)
    float rate1;             // of Adam, as in AdamWHyper
    float rate2;
    float eps;
    float moment_scale;
    float denominator_scale;
};

#ifdef __cplusplus
using MkorHyperRef = std::uint64_t;
#else
layout(buffer_reference, scalar, buffer_reference_align = 4) readonly buffer MkorHyperRef { MkorHyper h; };
#endif

// mkor_mean.comp
struct MkorMeanJob {
    U32          from;       // rows x features
    F32          to;         // pieces x columns
    F32          unscale;    // one float (MKOR_UNSCALE, MKOR_LOSS_SCALE)
    MkorHyperRef hyper;      // not of a micro-batch
    uint         rows;
    uint         features;
    uint         columns;    // features, and one more with a bias: ones
    uint         pieces;     // of the rows
    uint         piece_rows; // rows of all pieces but the last
    SectionEntry turns;      // when inverses are renewed: x, y and gate do not count
    uint         warmup;     // and in each of so many first steps
    float        factor;     // of the elements
    float        clip;
    float        weight;     // of their sum; 1 with pieces
    uint         flags;      // MKOR_ bits
    uint         padding;
    uint         first_group;
};

// mkor_product.comp
struct MkorProductJob {
    U32          p;        // order x order
    F32          v;
    F32          sums;     // order pairs
    MkorHyperRef hyper;
    uint         order;
    SectionEntry turns;
    uint         warmup;
    uint         padding;
    uint         first_group;
};

// mkor_refresh.comp
struct MkorRefreshJob {
    U32          p;
    F32          v;
    F32          sums;
    U32          failures;  // one word
    MkorHyperRef hyper;
    uint         order;
    uint         rounds;
    SectionEntry turns;
    uint         warmup;
    uint         recurrence; // heron::MkorRecurrence
    float        gamma;
    float        threshold;
    float        zeta;
    uint         first_group;
};

const uint MKOR_EXACT = 0;
const uint MKOR_PUBLISHED = 1;
const uint MKOR_PRINTED = 2;

// mkor_norms.comp
struct MkorNormsJob {
    F32  gradient;
    F32  direction;
    F32  partials; // MKOR_NORM_WORDS a workgroup
    uint count;
    uint columns;
    uint features;
    uint rounds;
    uint padding;
    uint first_group;
};
const uint MKOR_NORM_WORDS = 12; // Blue's three sums of G, g_b, D_W, D_b

// mkor_scale.comp
struct MkorScaleJob {
    F32          gradient;
    F32          direction;
    F32          partials;
    MkorHyperRef hyper;
    uint         count;
    uint         partial_count;
    uint         rounds;
    uint         first_group;
};

// mkor_adam.comp
struct MkorAdamJob {
    ParameterOperand parameter;
    F32              direction;
    F32x4            moment1;
    F32x4            moment2;
    MkorHyperRef     hyper;
    ElementRange     range;
    uint             cols;
    uint             stride;
    uint             offset;
    uint             decay_from;
    uint             padding;
    uint             first_group;
};

// MkorMeanJob::flags
const uint MKOR_UNSCALE = 1;     // elements are multiplied with `unscale`,
const uint MKOR_LOSS_SCALE = 2;  // or divided by it
const uint MKOR_MICRO_BATCH = 4; // whatever step comes next: hyperparameters are not known yet

HERON_SHARED_END

#ifndef __cplusplus
// Whether the step renews inverses.
bool mkor_refreshes(uint step, SectionEntry turns, uint warmup, float second_order) {
    uint k = step - 1u;
    return second_order != 0.0 && (k < warmup || section_runs(turns, k, true));
}
#endif

#endif
