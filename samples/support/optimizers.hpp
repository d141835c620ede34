// SPDX-License-Identifier: MIT
// The optimizers that the samples know by name: one line of a table each.
#pragma once

#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "heron/heron.hpp"

namespace samples {

struct OptimizerRequest {
    const heron::Device& device;
    std::vector<heron::Parameter> parameters;
    std::vector<heron::Route> routes;  // of the same parameters
    float lr;                          // of the named optimizer
    heron::Schedule schedule;
    float rest_lr = 8e-3f;  // of AdamW beside a matrix optimizer
    // Those whose inputs and output gradients the passes keep, for optimizers of whole layers.
    std::vector<heron::Layer> layers;
};

using Optimizers = std::vector<std::unique_ptr<heron::Optimizer>>;

struct NamedOptimizer {
    std::string_view name;
    std::string_view summary;
    float lr;     // tuned for this network; --lr replaces it
    bool routes;  // parameters go to two optimizers, by the routing report
    bool form;    // of another one in the table: no comparison has it unless it is asked for
    Optimizers (*create)(const OptimizerRequest& request);
    bool layers = false;  // needs OptimizerRequest::layers
};

// What has to hear the losses of the training: MKOR-H, which ends its second order by them.
class LossListeners {
public:
    explicit LossListeners(const Optimizers& optimizers);
    // Of each step in turn, `plan` having the optimizers. To train the same bits again, report in the same
    // steps: what a report changes begins with the next step that is submitted.
    void report(heron::Plan& plan, double loss) const;

private:
    std::vector<std::string> names_;
};

std::span<const NamedOptimizer> named_optimizers();
// nullptr when there is none.
const NamedOptimizer* find_optimizer(std::string_view name);

}  // namespace samples
