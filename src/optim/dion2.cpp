// SPDX-License-Identifier: MIT
// Dion2's recipe (line_recipe.hpp), per block of each parameter:
//
//   M += G, with parts of l1 norms  |  norms  |  selection  |  A = M[K], M[K] decays  |  polar  |  update
#include "heron/optim/dion2.hpp"

#include <algorithm>
#include <string>
#include <vector>

#include "optim/checks.hpp"
#include "optim/line_recipe.hpp"
#include "optim/moments.hpp"
#include "optim/momentum_polar.hpp"
#include "optim/step_builder.hpp"

namespace heron {

PolarOptions Dion2Options::dion_polar() { return dion_polar_options(); }

Dion2::Dion2(const Device& device, const Dion2Options& options)
    : Optimizer(device, "dion2"), options_(options) {
    const Dion2Options& o = options;
    check_rate_and_decay("Dion2", o.lr, o.weight_decay);
    check_option("Dion2", "fraction", o.fraction, o.fraction > 0 && o.fraction <= 1, "in (0, 1]");
    check_option("Dion2", "ef_decay", o.ef_decay, o.ef_decay >= 0 && o.ef_decay <= 1, "in [0, 1]");
    check_enum("Dion2", "shape_factor", o.shape_factor, ShapeFactor::spectral);
    check_enum("Dion2", "conv_factor", o.conv_factor, ConvFactor::kernel);
    check_moments("Dion2", o.moments, MomentFormat::bf16);
    check_orthogonalizer("Dion2", o.polar);
}

void Dion2::check(const Parameter& parameter) const {
    matrix_blocks("Dion2", parameter, options_.shape_factor, options_.conv_factor);
}

std::string Dion2::options_text() const {
    return "dion2 fraction=" + number_text(options_.fraction) +
           " ef_decay=" + number_text(options_.ef_decay) +
           " weight_decay=" + number_text(options_.weight_decay) +
           " shape_factor=" + std::to_string(static_cast<int>(options_.shape_factor)) +
           " conv_factor=" + std::to_string(static_cast<int>(options_.conv_factor)) +
           orthogonalizer_text(options_.polar) + moments_text(options_.moments);
}

// gpu::Dion2Hyper
std::vector<HyperValue> Dion2::hyper() const {
    return {HyperValue::lr(options_.lr, options_.schedule), HyperValue::constant(options_.weight_decay),
            HyperValue::constant(options_.ef_decay)};
}

void Dion2::build(StepBuilder& step) const {
    for (const StepBuilder::Item& item : step.items()) {
        const Tensor momentum = moment_state(step, item, "momentum", options_.moments).values;
        for (const MatrixBlock& block :
             matrix_blocks("Dion2", *item.parameter, options_.shape_factor, options_.conv_factor)) {
            const std::uint64_t count = selected_count(options_.fraction, std::min(block.rows, block.cols));
            const SelectedLines lines = add_selected_lines(
                step, item, momentum, block, block.rows > block.cols, count, options_.polar, "dion2");
            step.graph().set_stage("dion2 update");
            add_line_update(step, item, block, lines);
        }
    }
}

}  // namespace heron
