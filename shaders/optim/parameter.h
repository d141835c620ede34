// SPDX-License-Identifier: MIT
// What every element-wise kernel of an optimizer is told about its tensors: members of job structs.
#ifndef HERON_OPTIM_PARAMETER_H
#define HERON_OPTIM_PARAMETER_H

#include "core/shared.h"

HERON_SHARED_BEGIN

// Gradients are clamped to this: their squares, and sums of 2^60 of them, stay below 2^127.
const float LARGEST_GRADIENT = 1.3e19f;

// A tensor of the caller, read. The address stands here twice: shaders cannot look at the bits of a reference
// everywhere (SwiftShader), and the plan may move the tensor, so the kernel tests the alignment itself.
struct GradientOperand {
    U32x4 address;
    uint  low;  // the same address, as words
    uint  high;
};

// A parameter and what goes along with it.
struct ParameterOperand {
    U32x4 weight;      // the caller's tensor
    U32   words;       // the same address
    uint  low;         // the same address
    uint  high;
    F32x4 master;      // f32 copy that the step works on (PARAMETER_MASTER)
    F32x4 average;     // f32 moving average (ELEMENTS_AVERAGE)
    float average_rate;  // 1 - decay of the average
    float lr_scale;
    float weight_decay_scale;
    uint  flags;       // PARAMETER_
};

const uint PARAMETER_MASTER = 1;

// The job's part of the parameter: elements [first, first + count). A workgroup takes `rounds` times four elements an
// invocation.
struct ElementRange {
    uint first;
    uint count;
    uint rounds;
    uint padding;
};

HERON_SHARED_END

#endif
