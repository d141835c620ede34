// SPDX-License-Identifier: MIT
#include "heron/optim/online_subspace_descent.hpp"

#include "optim/checks.hpp"
#include "optim/low_rank_recipe.hpp"

namespace heron {

namespace {

LowRankRecipe recipe_of(const OnlineSubspaceDescentOptions& o) {
    const LowRankRates rates = low_rank_rates(o);
    return {.name = "online_subspace_descent",
            .rank = o.rank,
            .projection = o.projection,
            .rates = rates,
            .inner = {.inner = o.inner,
                      .adafactor = low_rank_adafactor(rates),
                      .moment_bits = o.moment_bits,
                      .scale = o.scale},
            .refresh = {},
            .iterations = o.iterations,
            .window = {},
            .descends = true,
            .descent = o.descent};
}

}  // namespace

OnlineSubspaceDescent::OnlineSubspaceDescent(const Device& device,
                                             const OnlineSubspaceDescentOptions& options)
    : Optimizer(device, "online_subspace_descent"), options_(options) {
    check_low_rank("OnlineSubspaceDescent", recipe_of(options));
}

void OnlineSubspaceDescent::check(const Parameter& parameter) const {
    if (options_.rank > 0 && !is_vector(parameter)) low_rank_batches("OnlineSubspaceDescent", parameter);
}

std::string OnlineSubspaceDescent::options_text() const {
    const OnlineSubspaceDescentOptions& o = options_;
    return "online_subspace_descent rank=" + std::to_string(o.rank) + " beta1=" + number_text(o.beta1) +
           " beta2=" + number_text(o.beta2) + " eps=" + number_text(o.eps) +
           " weight_decay=" + number_text(o.weight_decay) +
           " bias_correction=" + std::to_string(o.bias_correction) + " scale=" + number_text(o.scale) +
           " inner=" + std::to_string(static_cast<int>(o.inner)) +
           " moment_bits=" + std::to_string(o.moment_bits) +
           " projection=" + std::to_string(static_cast<int>(o.projection)) +
           " iterations=" + std::to_string(o.iterations) + subspace_descent_text(o.descent);
}

std::vector<HyperValue> OnlineSubspaceDescent::hyper() const { return low_rank_hyper(recipe_of(options_)); }

void OnlineSubspaceDescent::build(StepBuilder& step) const { build_low_rank(step, recipe_of(options_)); }

}  // namespace heron
