// SPDX-License-Identifier: MIT
// Muon's recipe: momentum and polar factor (momentum_polar.hpp), then the update (matrix_update.hpp).
#include "heron/optim/muon.hpp"

#include "optim/checks.hpp"
#include "optim/matrix_update.hpp"
#include "optim/moments.hpp"
#include "optim/momentum_polar.hpp"
#include "optim/muon.h"
#include "optim/step_builder.hpp"

namespace heron {

MuonOptions MuonOptions::keller_jordan() {
    MuonOptions options;
    options.conv_factor = ConvFactor::kernel;
    return options;
}

MuonOptions MuonOptions::torch() {
    MuonOptions options;
    options.lr = 1e-3f;
    options.weight_decay = 0.1f;
    options.polar.norm_rule = NormRule::clamped;
    return options;
}

MuonOptions MuonOptions::moonlight() {
    MuonOptions options;
    options.lr = 1e-3f;
    options.weight_decay = 0.1f;
    options.momentum_rule = MomentumRule::sum;
    options.shape_factor = ShapeFactor::match_rms;
    return options;
}

MuonOptions MuonOptions::dion() {
    MuonOptions options;
    options.lr = 0.01f;
    options.weight_decay = 0.01f;
    options.nesterov = false;
    options.momentum_rule = MomentumRule::sum;
    options.shape_factor = ShapeFactor::sqrt_ratio;
    options.polar = dion_polar_options();
    return options;
}

MuonOptions MuonOptions::emerging() {
    MuonOptions options;
    options.lr = 3e-4f;
    options.weight_decay = 0.01f;
    options.nesterov = false;
    options.shape_factor = ShapeFactor::spectral;
    options.polar.coefficients = newton_schulz_coefficients("you5");
    options.polar.norm_rule = NormRule::clamped;
    options.polar.eps = 1e-15;
    return options;
}

Muon::Muon(const Device& device, const MuonOptions& options) : Optimizer(device, "muon"), options_(options) {
    const MuonOptions& o = options;
    check_rate_and_decay("Muon", o.lr, o.weight_decay);
    check_momentum("Muon", o.momentum, o.momentum_schedule);
    check_enum("Muon", "momentum_rule", o.momentum_rule, MomentumRule::sum);
    check_enum("Muon", "shape_factor", o.shape_factor, ShapeFactor::spectral);
    check_enum("Muon", "decay", o.decay, DecayForm::after);
    check_enum("Muon", "conv_factor", o.conv_factor, ConvFactor::kernel);
    check_option("Muon", "extra_scale", o.extra_scale, o.extra_scale > 0, "finite and above 0");
    check_moments("Muon", o.moments);
    check_orthogonalizer("Muon", o.polar);
}

void Muon::check(const Parameter& parameter) const {
    matrix_blocks("Muon", parameter, options_.shape_factor, options_.conv_factor);
}

std::string Muon::options_text() const {
    return "muon momentum=" + number_text(options_.momentum) +
           " nesterov=" + std::to_string(options_.nesterov) +
           " weight_decay=" + number_text(options_.weight_decay) +
           " momentum_rule=" + std::to_string(static_cast<int>(options_.momentum_rule)) +
           " shape_factor=" + std::to_string(static_cast<int>(options_.shape_factor)) +
           " decay=" + std::to_string(static_cast<int>(options_.decay)) +
           " conv_factor=" + std::to_string(static_cast<int>(options_.conv_factor)) +
           " extra_scale=" + number_text(options_.extra_scale) + orthogonalizer_text(options_.polar) +
           moments_text(options_.moments);
}

// gpu::MuonHyper
std::vector<HyperValue> Muon::hyper() const {
    return matrix_hyper(options_.lr, options_.schedule, options_.momentum, options_.momentum_rule,
                        options_.weight_decay, options_.momentum_schedule);
}

void Muon::build(StepBuilder& step) const {
    const std::uint32_t flags = options_.nesterov ? gpu::MUON_NESTEROV : 0;
    for (const StepBuilder::Item& item : step.items()) {
        const Momentum momentum(step, item, options_.moments, flags, "muon");
        for (MatrixBlock block :
             matrix_blocks("Muon", *item.parameter, options_.shape_factor, options_.conv_factor)) {
            const Tensor factor = momentum_polar(step, item, momentum, block, options_.polar, flags, "muon");
            block.shape_factor *= static_cast<double>(options_.extra_scale);
            step.graph().set_stage("muon update");
            add_matrix_update(step, item, block, factor, options_.decay);
        }
    }
}

}  // namespace heron
