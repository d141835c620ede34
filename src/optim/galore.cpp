// SPDX-License-Identifier: MIT
#include "heron/optim/galore.hpp"

#include "optim/checks.hpp"
#include "optim/low_rank_recipe.hpp"
#include "optim/refresh.hpp"

namespace heron {

namespace {

LowRankRecipe recipe_of(const GaLoreOptions& o) {
    const LowRankRates rates = low_rank_rates(o);
    return {.name = "galore",
            .rank = o.rank,
            .projection = o.projection,
            .rates = rates,
            .inner = {.inner = o.inner,
                      .adafactor = low_rank_adafactor(rates, o),
                      .moment_bits = o.moment_bits,
                      .scale = o.scale},
            .refresh = o.refresh,
            .iterations = o.iterations,
            .moments = o.moments};
}

}  // namespace

GaLore::GaLore(const Device& device, const GaLoreOptions& options)
    : Optimizer(device, "galore"), options_(options) {
    const GaLoreOptions& o = options;
    check_low_rank("GaLore", recipe_of(o));
    check_option("GaLore", "adafactor_decay", o.adafactor_decay, o.adafactor_decay < 0, "finite and below 0");
    check_option("GaLore", "adafactor_eps", o.adafactor_eps, o.adafactor_eps >= 0, "finite and not below 0");
    check_option("GaLore", "adafactor_eps2", o.adafactor_eps2, o.adafactor_eps2 >= 0,
                 "finite and not below 0");
    check_enum("GaLore", "adafactor_rate", o.adafactor_rate, AdafactorRate::constant);
    check_option("GaLore", "clip_threshold", o.clip_threshold, o.clip_threshold > 0, "finite and above 0");
}

void GaLore::check(const Parameter& parameter) const {
    if (options_.rank > 0 && !is_vector(parameter)) low_rank_batches("GaLore", parameter);
}

std::string GaLore::options_text() const {
    return "galore rank=" + std::to_string(options_.rank) + " beta1=" + number_text(options_.beta1) +
           " beta2=" + number_text(options_.beta2) + " eps=" + number_text(options_.eps) +
           " weight_decay=" + number_text(options_.weight_decay) +
           " bias_correction=" + std::to_string(options_.bias_correction) +
           " scale=" + number_text(options_.scale) +
           " projection=" + std::to_string(static_cast<int>(options_.projection)) +
           refresh_text("refresh", options_.refresh) + " iterations=" + std::to_string(options_.iterations) +
           " moments=" + std::to_string(static_cast<int>(options_.moments)) +
           " moment_bits=" + std::to_string(options_.moment_bits) +
           " inner=" + std::to_string(static_cast<int>(options_.inner)) +
           " scale_parameter=" + std::to_string(options_.scale_parameter) +
           " adafactor_rate=" + std::to_string(static_cast<int>(options_.adafactor_rate)) +
           " adafactor_eps2=" + number_text(options_.adafactor_eps2) +
           " adafactor_decay=" + number_text(options_.adafactor_decay) +
           " adafactor_eps=" + number_text(options_.adafactor_eps) +
           " clip_threshold=" + number_text(options_.clip_threshold);
}

std::vector<HyperValue> GaLore::hyper() const { return low_rank_hyper(recipe_of(options_)); }

void GaLore::build(StepBuilder& step) const { build_low_rank(step, recipe_of(options_)); }

}  // namespace heron
