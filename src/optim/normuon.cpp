// SPDX-License-Identifier: MIT
// NorMuon's recipe: Muon's, with line_variance.hpp between polar factor and update. The last product of the
// polar factor leaves the squares of its rows; those of columns and of slices of filters take a pass.
#include "heron/optim/normuon.hpp"

#include <cmath>

#include "optim/checks.hpp"
#include "optim/line_variance.hpp"
#include "optim/matrix_update.hpp"
#include "optim/moments.hpp"
#include "optim/momentum_polar.hpp"
#include "optim/muon.h"

namespace heron {

namespace {

// The lines of one block.
Lines lines_of(const MatrixBlock& block, const Parameter& parameter, const NorMuonOptions& options) {
    const Shape& shape = parameter.weight.shape;
    if (options.conv_factor == ConvFactor::kernel && shape.rank() > 2 && !parameter.view.batch) {
        const std::uint64_t length = shape[shape.rank() - 1];
        return {false, block.count() / length, length, shape[shape.rank() - 2]};
    }
    const bool columns = options.lines == NorMuonLines::shorter_side && block.rows < block.cols;
    return Lines::of(block.rows, block.cols, columns);
}

}  // namespace

NorMuonOptions NorMuonOptions::authors() {
    NorMuonOptions options;
    options.conv_factor = ConvFactor::kernel;
    return options;
}

NorMuonOptions NorMuonOptions::paper() {
    NorMuonOptions options;
    options.nesterov = false;
    options.scale = NorMuonScale::match_rms;
    options.shape_factor = ShapeFactor::none;
    return options;
}

NorMuonOptions NorMuonOptions::dion() {
    NorMuonOptions options;
    options.lr = 0.01f;
    options.weight_decay = 0.01f;
    options.nesterov = false;
    options.eps = 1e-8f;
    options.rescale_rule = NormRule::clamped;
    options.momentum_rule = MomentumRule::sum;
    options.shape_factor = ShapeFactor::sqrt_ratio;
    options.polar = dion_polar_options();
    return options;
}

NorMuonOptions NorMuonOptions::modded(std::uint32_t total_steps) {
    constexpr std::uint32_t warmup = 300, cooldown = 50;
    constexpr float low = 0.85f / 0.95f;
    if (total_steps > 0 && total_steps < warmup + cooldown)
        refuse("NorMuonOptions::modded: total_steps is " + std::to_string(total_steps) +
               ", must be 0 or at least " + std::to_string(warmup + cooldown));
    NorMuonOptions options;
    options.lr = 0.023f;
    options.weight_decay = 1.2f;
    options.beta2 = 0.9;
    options.variance_rule = options.rescale_rule = NormRule::clamped;
    options.lines = NorMuonLines::shorter_side;
    options.decay = DecayForm::cautious_squared;
    options.momentum_schedule = Schedule::linear(low, 1.0f, warmup);
    if (const std::uint32_t rest = total_steps > 0 ? total_steps - warmup - cooldown : 0; rest > 0)
        options.momentum_schedule = options.momentum_schedule.then_constant(rest);
    if (total_steps > 0) options.momentum_schedule = options.momentum_schedule.then_linear(low, cooldown);
    options.polar = dion_polar_options(1e-6);
    return options;
}

NorMuon::NorMuon(const Device& device, const NorMuonOptions& options)
    : Optimizer(device, "normuon"), options_(options) {
    const NorMuonOptions& o = options;
    check_rate_and_decay("NorMuon", o.lr, o.weight_decay);
    check_momentum("NorMuon", o.momentum, o.momentum_schedule);
    check_option("NorMuon", "beta2", o.beta2, o.beta2 >= 0 && o.beta2 < 1, "in [0, 1)");
    check_option("NorMuon", "eps", o.eps, o.eps >= 1e-18f && o.eps <= 1, "in [1e-18, 1]");
    check_enum("NorMuon", "variance_rule", o.variance_rule, NormRule::clamped);
    check_enum("NorMuon", "rescale_rule", o.rescale_rule, NormRule::clamped);
    check_enum("NorMuon", "lines", o.lines, NorMuonLines::shorter_side);
    check_enum("NorMuon", "scale", o.scale, NorMuonScale::match_rms);
    check_enum("NorMuon", "momentum_rule", o.momentum_rule, MomentumRule::sum);
    check_enum("NorMuon", "shape_factor", o.shape_factor, ShapeFactor::spectral);
    check_enum("NorMuon", "decay", o.decay, DecayForm::after);
    check_enum("NorMuon", "conv_factor", o.conv_factor, ConvFactor::kernel);
    if (o.conv_factor == ConvFactor::kernel && o.lines != NorMuonLines::rows)
        refuse("NorMuon: conv_factor is kernel, which takes rows; lines must be rows");
    check_moments("NorMuon", o.moments);
    check_orthogonalizer("NorMuon", o.polar);
}

void NorMuon::check(const Parameter& parameter) const {
    matrix_blocks("NorMuon", parameter, options_.shape_factor, options_.conv_factor);
}

std::string NorMuon::options_text() const {
    const NorMuonOptions& o = options_;
    return "normuon momentum=" + number_text(o.momentum) + " beta2=" + number_text(o.beta2) +
           " nesterov=" + std::to_string(o.nesterov) + " weight_decay=" + number_text(o.weight_decay) +
           " eps=" + number_text(o.eps) +
           " variance_rule=" + std::to_string(static_cast<int>(o.variance_rule)) +
           " rescale_rule=" + std::to_string(static_cast<int>(o.rescale_rule)) +
           " lines=" + std::to_string(static_cast<int>(o.lines)) +
           " scale=" + std::to_string(static_cast<int>(o.scale)) +
           " momentum_rule=" + std::to_string(static_cast<int>(o.momentum_rule)) +
           " shape_factor=" + std::to_string(static_cast<int>(o.shape_factor)) +
           " decay=" + std::to_string(static_cast<int>(o.decay)) +
           " conv_factor=" + std::to_string(static_cast<int>(o.conv_factor)) + orthogonalizer_text(o.polar) +
           moments_text(options_.moments);
}

// gpu::MuonHyper
std::vector<HyperValue> NorMuon::hyper() const {
    return matrix_hyper(options_.lr, options_.schedule, options_.momentum, options_.momentum_rule,
                        options_.weight_decay, options_.momentum_schedule);
}

void NorMuon::build(StepBuilder& step) const {
    const std::uint32_t flags = options_.nesterov ? gpu::MUON_NESTEROV : 0;
    for (const StepBuilder::Item& item : step.items()) {
        const std::vector<MatrixBlock> blocks =
            matrix_blocks("NorMuon", *item.parameter, options_.shape_factor, options_.conv_factor);
        std::uint64_t line_count = 0;
        for (const MatrixBlock& block : blocks)
            line_count += lines_of(block, *item.parameter, options_).count;
        const Momentum momentum(step, item, options_.moments, flags, "normuon");
        const Tensor variance = step.state(item, "v", DType::f32, Shape{line_count});

        std::uint64_t first_line = 0;
        for (const MatrixBlock& block : blocks) {
            const Lines lines = lines_of(block, *item.parameter, options_);
            Tensor squares;
            const bool are_rows = !lines.columns && lines.length == block.cols;
            if (are_rows) squares = step.graph().temporary(DType::f32, Shape{lines.count});
            const Tensor factor =
                momentum_polar(step, item, momentum, block, options_.polar, flags, "normuon", squares);
            LineVarianceOptions variance_options{options_.beta2, static_cast<double>(options_.eps),
                                                 options_.variance_rule, options_.rescale_rule};
            if (options_.scale == NorMuonScale::match_rms)
                variance_options.target =
                    0.2 * std::sqrt(static_cast<double>(lines.segment) * static_cast<double>(lines.length));
            Tensor part = variance;
            part.byte_offset += first_line * sizeof(float);
            part.shape = Shape{lines.count};
            first_line += lines.count;
            step.graph().set_stage("normuon rows");
            if (!are_rows) squares = add_line_squares(step.graph(), factor, lines);
            const Tensor factors = add_line_variance(step.graph(), squares, part, lines, variance_options);
            step.graph().set_stage("normuon update");
            add_matrix_update(step, item, block, factor, options_.decay,
                              {factors, lines.columns, lines.columns ? lines.count : lines.length});
        }
    }
}

}  // namespace heron
