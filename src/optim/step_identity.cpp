// SPDX-License-Identifier: MIT
// What a checkpoint's plan has to share, as text (StepLayout::identity).
#include <string>

#include "optim/checks.hpp"
#include "optim/step_builder.hpp"

namespace heron {

namespace {

// linear(0,1,100)+constant(1,1,0): from, to, steps.
std::string schedule_text(const Schedule& schedule) {
    constexpr const char* kKinds[] = {"constant", "linear", "cosine", "exponential"};
    if (schedule.pieces().empty()) return "none";
    std::string text;
    for (const Schedule::Piece& piece : schedule.pieces())
        text += std::string(text.empty() ? "" : "+") + kKinds[static_cast<std::uint32_t>(piece.kind)] + "(" +
                number_text(piece.from) + "," + number_text(piece.to) + "," + std::to_string(piece.steps) +
                ")";
    return text;
}

}  // namespace

// What has to be equal for a checkpoint's states to go on as they were.
std::string StepBuilder::identity() const {
    std::string text =
        "step: skip_nonfinite=" + std::to_string(options_.skip_nonfinite) +
        " clip_norm=" + number_text(options_.clip_norm) + " clip_value=" + number_text(options_.clip_value) +
        " accumulate=" + std::to_string(options_.accumulate) +
        " master_weights=" + std::to_string(options_.master_weights) +
        " ema_decay=" + number_text(options_.ema_decay) +
        " loss_scale.dynamic=" + std::to_string(options_.loss_scale.dynamic) +
        " loss_scale.growth=" + number_text(options_.loss_scale.growth) +
        " loss_scale.backoff=" + number_text(options_.loss_scale.backoff) +
        " loss_scale.growth_interval=" + std::to_string(options_.loss_scale.growth_interval) + "\n";
    for (const Optimizer* optimizer : optimizers_) {
        text += "optimizer " + in_quotes(optimizer->name()) + ": algorithm=" + optimizer->options_text();
        for (const HyperValue& value : optimizer->hyper())
            if (value.slot.kind == gpu::SLOT_SCHEDULED || value.slot.kind == gpu::SLOT_CHANCE ||
                value.slot.kind == gpu::SLOT_COUNTED)
                text += " schedule=" + schedule_text(value.schedule);
        text += "\n";
        for (const Parameter& parameter : optimizer->parameters()) {
            text += "parameter " + in_quotes(parameter.name) +
                    ": dtype=" + to_string(parameter.weight.dtype) +
                    " shape=" + parameter.weight.shape.text() +
                    " gradient=" + to_string(parameter.gradient.dtype) +
                    " lr_scale=" + number_text(parameter.lr_scale) +
                    " weight_decay_scale=" + number_text(parameter.weight_decay_scale) +
                    " damping_scale=" + number_text(parameter.damping_scale.inputs) + "," +
                    number_text(parameter.damping_scale.outputs) + " role=" + to_string(parameter.role) +
                    " heads=" + std::to_string(parameter.view.heads) +
                    " batch=" + std::to_string(parameter.view.batch) + " row_splits=";
            for (const std::uint64_t rows : parameter.view.row_splits) text += std::to_string(rows) + ",";
            text += "\n";
        }
    }
    return text;
}

}  // namespace heron
