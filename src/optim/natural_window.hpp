// SPDX-License-Identifier: MIT
// Natural GaLore's transform: projected gradients by the inverse of a Fisher matrix of the last ones.
#pragma once

#include "heron/linalg/woodbury.hpp"
#include "optim/low_rank.hpp"

namespace heron {

struct NaturalWindowOptions {
    std::uint32_t history = 0;  // 0: none
    float lambda = 1e-3f;
    DType dtype = DType::f32;
    bool keep_factor = false;
};

// The windows of one parameter; states <parameter>.history, .gram, .exponents, .slot, .status and .damping;
// where factors are kept .factor, .system and .factor_counts, too.
class NaturalWindow {
public:
    NaturalWindow(StepBuilder& step, const StepBuilder::Item& item, const NaturalWindowOptions& options,
                  const std::vector<Shape>& shapes);

    // What becomes of a batch's projected gradient, which goes into the history.
    Tensor transform(std::size_t batch, const Tensor& low);

private:
    Graph& graph_;
    const NaturalWindowOptions& options_;
    LowRankState rows_, gram_, exponents_, slot_, status_, damping_;
    LowRankState factor_, system_, factor_counts_;  // empty where factors are not kept
};

}  // namespace heron
