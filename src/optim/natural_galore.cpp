// SPDX-License-Identifier: MIT
#include "heron/optim/natural_galore.hpp"

#include "optim/checks.hpp"
#include "optim/low_rank_recipe.hpp"
#include "optim/refresh.hpp"

namespace heron {

namespace {

LowRankRecipe recipe_of(const NaturalGaLoreOptions& o) {
    const LowRankRates rates = low_rank_rates(o);
    return {
        .name = "natural_galore",
        .rank = o.rank,
        .projection = o.form == NaturalGaLoreForm::core ? GaLoreProjection::full : GaLoreProjection::standard,
        .rates = rates,
        .inner = {.inner = o.inner,
                  .adafactor = low_rank_adafactor(rates),
                  .moment_bits = o.moment_bits,
                  .scale = o.scale},
        .refresh = o.refresh,
        .iterations = o.iterations,
        .moments = o.moments,
        .window = {o.history, o.lambda, o.history_dtype, o.keep_factor},
        .descends = o.basis == NaturalGaLoreBasis::descent,
        .descent = o.descent};
}

}  // namespace

NaturalGaLore::NaturalGaLore(const Device& device, const NaturalGaLoreOptions& options)
    : Optimizer(device, "natural_galore"), options_(options) {
    const NaturalGaLoreOptions& o = options;
    check_low_rank("NaturalGaLore", recipe_of(o));
    check_enum("NaturalGaLore", "form", o.form, NaturalGaLoreForm::core);
    check_enum("NaturalGaLore", "basis", o.basis, NaturalGaLoreBasis::descent);
    check_option("NaturalGaLore", "history", o.history, o.history <= 1024, "0 to 1024");
    check_option("NaturalGaLore", "lambda", o.lambda, o.lambda > 0, "finite and above 0");
    if (o.history_dtype != DType::f32 && o.history_dtype != DType::f16 && o.history_dtype != DType::bf16)
        refuse("NaturalGaLore: history_dtype must be f32, f16 or bf16");
}

void NaturalGaLore::check(const Parameter& parameter) const {
    if (options_.rank > 0 && !is_vector(parameter)) low_rank_batches("NaturalGaLore", parameter);
}

std::string NaturalGaLore::options_text() const {
    const NaturalGaLoreOptions& o = options_;
    std::string text = "natural_galore rank=" + std::to_string(o.rank) + " beta1=" + number_text(o.beta1) +
                       " beta2=" + number_text(o.beta2) + " eps=" + number_text(o.eps) +
                       " weight_decay=" + number_text(o.weight_decay) +
                       " bias_correction=" + std::to_string(o.bias_correction) +
                       " scale=" + number_text(o.scale) +
                       " form=" + std::to_string(static_cast<int>(o.form)) +
                       " history=" + std::to_string(o.history) + " lambda=" + number_text(o.lambda) +
                       " history_dtype=" + std::to_string(static_cast<int>(o.history_dtype)) +
                       " keep_factor=" + std::to_string(o.keep_factor) +
                       " moments=" + std::to_string(static_cast<int>(o.moments)) +
                       " moment_bits=" + std::to_string(o.moment_bits) +
                       " inner=" + std::to_string(static_cast<int>(o.inner)) +
                       " basis=" + std::to_string(static_cast<int>(o.basis));
    if (o.basis == NaturalGaLoreBasis::descent) return text + subspace_descent_text(o.descent);
    return text + refresh_text("refresh", o.refresh) + " iterations=" + std::to_string(o.iterations);
}

std::vector<HyperValue> NaturalGaLore::hyper() const { return low_rank_hyper(recipe_of(options_)); }

void NaturalGaLore::build(StepBuilder& step) const { build_low_rank(step, recipe_of(options_)); }

}  // namespace heron
