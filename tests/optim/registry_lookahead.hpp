// SPDX-License-Identifier: MIT
// Lines of the registry: Lookahead around others. They synchronize first in the second step: in the first one
// 16-bit weights are rounded once.
#pragma once

#include "optim/optimizer_case.hpp"
#include "optim/reference_lookahead.hpp"

namespace heron::test::registry {

inline OptimizerCase lookahead(std::string name, const LookaheadOptions& options, const OptimizerCase& inner,
                               const std::string& momentum) {
    return {std::move(name),
            [=](const Device& on) { return std::make_unique<Lookahead>(on, inner.make(on), options); },
            {[=](const Device& on, float value) {
                 return std::make_unique<Lookahead>(on, inner.variants.make_extreme(on, value), options);
             },
             [=] {
                 return option_checks::bad_options(
                     options, [=](const Device& on, const LookaheadOptions& bad) {
                         return std::make_unique<Lookahead>(on, inner.make(on), bad);
                     });
             }},
            [=](const Shape& shape) {
                return std::make_unique<LookaheadReference>(options, inner.reference(shape), momentum);
            },
            inner.element_wise,
            inner.shapes,
            inner.late_state};
}

}  // namespace heron::test::registry
