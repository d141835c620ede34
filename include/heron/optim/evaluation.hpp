// SPDX-License-Identifier: MIT
// Evaluating other weights than those that are trained: Lookahead's slow ones (the backup and restore of its
// authors' code), or moving averages (StepOptions::ema_decay).
#pragma once

#include <cstdint>
#include <span>
#include <string_view>

#include "heron/train.hpp"

namespace heron {

class HERON_API EvaluationWeights {
public:
    // `state`: "slow", "ema" or another that each of the parameters has in the plan, in f32 and its own
    // shape. Takes memory for a copy of the parameters. The plan must have its memory, and stay where it is
    // with it; after Plan::rebind() of a weight make another object. Throws (invalid_argument) naming a
    // parameter without such a state.
    EvaluationWeights(const Plan& training, std::span<const Parameter> parameters, std::string_view state);

    // The state takes the place of the parameters, rounded to their dtypes; then the parameters' bits come
    // back. No step of the training lies between: it would begin at what is evaluated. Before and after: as
    // Plan::record(). 8 and 8 bytes an element with f32 parameters, and once 4 more.
    void record_load(VkCommandBuffer commands);
    void record_restore(VkCommandBuffer commands);
    // Both submitted and waited for. Throw (invalid_argument) for the one that is not next.
    void load();
    void restore();

private:
    Buffer backup_;
    Plan load_;
    Plan restore_;
    bool loaded_ = false;
};

}  // namespace heron
