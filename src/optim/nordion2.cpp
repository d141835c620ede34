// SPDX-License-Identifier: MIT
// NorDion2's recipe: Dion2's on rows, and between polar factor and update the second moment of the rows
// (line_variance.hpp), whose squares the polar factor's last product leaves.
#include "heron/optim/nordion2.hpp"

#include <string>
#include <vector>

#include "optim/checks.hpp"
#include "optim/line_recipe.hpp"
#include "optim/line_variance.hpp"
#include "optim/moments.hpp"
#include "optim/momentum_polar.hpp"
#include "optim/step_builder.hpp"

namespace heron {

NorDion2::NorDion2(const Device& device, const NorDion2Options& options)
    : Optimizer(device, "nordion2"), options_(options) {
    const NorDion2Options& o = options;
    check_rate_and_decay("NorDion2", o.lr, o.weight_decay);
    check_option("NorDion2", "fraction", o.fraction, o.fraction > 0 && o.fraction <= 1, "in (0, 1]");
    check_option("NorDion2", "momentum", o.momentum, o.momentum >= 0 && o.momentum <= 1, "in [0, 1]");
    check_option("NorDion2", "beta2", o.beta2, o.beta2 >= 0 && o.beta2 < 1, "in [0, 1)");
    const float eps = static_cast<float>(o.eps);
    check_option("NorDion2", "eps", eps, eps > 0, "positive and finite in f32");
    check_enum("NorDion2", "shape_factor", o.shape_factor, ShapeFactor::spectral);
    check_enum("NorDion2", "conv_factor", o.conv_factor, ConvFactor::kernel);
    check_moments("NorDion2", o.moments, MomentFormat::bf16);
    check_orthogonalizer("NorDion2", o.polar);
}

void NorDion2::check(const Parameter& parameter) const {
    matrix_blocks("NorDion2", parameter, options_.shape_factor, options_.conv_factor);
}

std::string NorDion2::options_text() const {
    return "nordion2 fraction=" + number_text(options_.fraction) +
           " momentum=" + number_text(options_.momentum) + " beta2=" + number_text(options_.beta2) +
           " eps=" + number_text(options_.eps) + " weight_decay=" + number_text(options_.weight_decay) +
           " shape_factor=" + std::to_string(static_cast<int>(options_.shape_factor)) +
           " conv_factor=" + std::to_string(static_cast<int>(options_.conv_factor)) +
           orthogonalizer_text(options_.polar) + moments_text(options_.moments);
}

// gpu::Dion2Hyper
std::vector<HyperValue> NorDion2::hyper() const {
    return {HyperValue::lr(options_.lr, options_.schedule), HyperValue::constant(options_.weight_decay),
            HyperValue::constant(options_.momentum)};
}

void NorDion2::build(StepBuilder& step) const {
    for (const StepBuilder::Item& item : step.items()) {
        const std::vector<MatrixBlock> blocks =
            matrix_blocks("NorDion2", *item.parameter, options_.shape_factor, options_.conv_factor);
        const Tensor momentum = moment_state(step, item, "momentum", options_.moments).values;
        std::uint64_t rows = 0;
        for (const MatrixBlock& block : blocks) rows += block.rows;
        const Tensor variance = step.state(item, "v", DType::f32, Shape{rows});
        std::uint64_t first = 0;
        for (const MatrixBlock& block : blocks) {
            const std::uint64_t count = selected_count(options_.fraction, block.rows);
            const Tensor squares = step.graph().temporary(DType::f32, Shape{count});
            const SelectedLines lines = add_selected_lines(step, item, momentum, block, false, count,
                                                           options_.polar, "nordion2", squares);
            step.graph().set_stage("nordion2 variance");
            Tensor part = variance;
            part.byte_offset += first * sizeof(float);
            part.shape = Shape{block.rows};
            first += block.rows;
            const Tensor factors = add_line_variance(
                step.graph(), squares, part, Lines::of(count, block.cols, false),
                {.beta2 = options_.beta2, .eps = options_.eps, .rescale_rule = NormRule::clamped},
                lines.indices);
            step.graph().set_stage("nordion2 update");
            add_line_update(step, item, block, lines, factors);
        }
    }
}

}  // namespace heron
