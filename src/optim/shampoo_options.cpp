// SPDX-License-Identifier: MIT
// Shampoo's options: named sets, checks, and their text in checkpoints.
#include "optim/shampoo_options.hpp"

#include <cmath>
#include <string>

#include "optim/checks.hpp"
#include "optim/moments.hpp"
#include "optim/refresh.hpp"
#include "optim/tensor_blocks.hpp"

namespace heron {

namespace {

// Whether the method has this root.
bool has_method(ShampooRoot root, double exponent) {
    if (exponent == 0 || !iterates(root)) return true;
    const double p = 1.0 / exponent;
    if (std::abs(p - std::round(p)) > 1e-9 || p > 64.5 || p < 0.5) return false;
    const bool any = root == ShampooRoot::newton || root == ShampooRoot::newton_two_words;
    return any || std::lround(p) == 2 || std::lround(p) == 4;
}

}  // namespace

ShampooOptions ShampooOptions::shampoo2() {
    ShampooOptions options;
    options.exponents[2] = {0.5};
    options.trace_exponent = 0.5;
    options.graft = ShampooGraft::none;
    return options;
}

ShampooOptions ShampooOptions::kl() {
    ShampooOptions options;
    options.statistic = ShampooStatistic::whitened;
    options.beta2 = 0.999;
    for (std::uint32_t order = 1; order <= Shape::kMaxRank; ++order) options.exponents[order] = {0.5};
    options.graft = ShampooGraft::none;
    options.refresh.interval = 10;
    return options;
}

ShampooOptions ShampooOptions::soap() {
    ShampooOptions options;
    options.eigenbasis = true;
    options.first_basis = ShampooFirstBasis::eigh;
    options.beta1 = 0.95;
    options.beta2 = 0.95;
    options.epsilon = 1e-8f;
    options.qr_steps = 1;
    options.graft = ShampooGraft::none;
    options.refresh.interval = 10;
    return options;
}

Shampoo::Shampoo(const Device& device, const ShampooOptions& options)
    : Optimizer(device, "shampoo"), options_(options) {
    const ShampooOptions& o = options;
    check_option("Shampoo", "lr", o.lr, o.lr >= 0, "finite and not below 0");
    check_option("Shampoo", "beta1", o.beta1, o.beta1 >= 0 && o.beta1 < 1, "in [0, 1)");
    check_option("Shampoo", "beta3", o.beta3, o.beta3 == -1 || (o.beta3 >= 0 && o.beta3 < 1),
                 "in [0, 1), or -1");
    check_option("Shampoo", "beta2", o.beta2, o.beta2 >= 0 && o.beta2 <= 1, "in [0, 1]");
    check_option("Shampoo", "factor_interval", o.factor_interval,
                 o.factor_interval >= 1 && o.factor_interval <= 10000, "1 to 10000");
    check_option("Shampoo", "epsilon", o.epsilon, o.epsilon >= 0, "finite and not below 0");
    check_option("Shampoo", "relative_epsilon", o.relative_epsilon, o.relative_epsilon >= 0,
                 "finite and not below 0");
    check_enum("Shampoo", "statistic", o.statistic, ShampooStatistic::whitened);
    check_enum("Shampoo", "null_space", o.null_space, ShampooNullSpace::epsilon);
    check_option("Shampoo", "epsilon with null_space epsilon", o.epsilon,
                 o.null_space == ShampooNullSpace::level || o.epsilon > 0, "above 0");
    check_enum("Shampoo", "root", o.root, ShampooRoot::newton_two_words);
    check_option("Shampoo", "root with null_space epsilon", static_cast<int>(o.root),
                 o.null_space == ShampooNullSpace::level || o.root == ShampooRoot::eigenvalues,
                 "eigenvalues");
    check_enum("Shampoo", "first_basis", o.first_basis, ShampooFirstBasis::eigh);
    check_option("Shampoo", "first_basis without eigenbasis", static_cast<int>(o.first_basis),
                 o.eigenbasis || o.first_basis == ShampooFirstBasis::qr, "qr");
    for (const auto& [order, exponents] : o.exponents) {
        const std::string name = "exponents[" + std::to_string(order) + "]";
        check_option("Shampoo", "an order of exponents", order, order >= 1 && order <= Shape::kMaxRank,
                     "1 to 8");
        check_option("Shampoo", "the size of " + name, exponents.size(),
                     exponents.size() == 1 || exponents.size() == order, "1, or the order");
        for (const double exponent : exponents) {
            check_option("Shampoo", name, exponent, exponent >= 0 && exponent <= 4, "in [0, 4]");
            check_option("Shampoo", name, exponent, has_method(o.root, exponent),
                         "1 / a whole number, 1/2 or 1/4 for Newton-Schulz and Denman-Beavers");
        }
    }
    check_option("Shampoo", "trace_exponent", o.trace_exponent,
                 o.trace_exponent >= 0 && o.trace_exponent <= 4, "in [0, 4]");
    check_option("Shampoo", "epsilon with pseudo_inverse", o.epsilon,
                 o.root != ShampooRoot::pseudo_inverse || o.epsilon == 0, "0");
    check_option("Shampoo", "rank_tolerance", o.rank_tolerance, o.rank_tolerance >= 0 && o.rank_tolerance < 1,
                 "in [0, 1)");
    check_option("Shampoo", "absolute_rank_tolerance", o.absolute_rank_tolerance,
                 o.absolute_rank_tolerance >= 0, "finite and not below 0");
    for (const auto& [order, exponent] : o.moment_exponents) {
        check_option("Shampoo", "an order of moment_exponents", order, order >= 1 && order <= Shape::kMaxRank,
                     "1 to 8");
        check_option("Shampoo", "moment_exponents[" + std::to_string(order) + "]", exponent,
                     exponent > 0 && exponent <= 4, "in (0, 4]");
    }
    check_option("Shampoo", "qr_steps", o.qr_steps, o.qr_steps <= 64, "0 to 64");
    check_option("Shampoo", "basis_tolerance", o.basis_tolerance,
                 o.basis_tolerance >= 0 && o.basis_tolerance <= 1, "in [0, 1]");
    check_option("Shampoo", "root with qr_steps or basis_tolerance", static_cast<int>(o.root),
                 !has_bases(o) || !iterates(o.root), "eigenvalues or pseudo_inverse");
    check_option("Shampoo", "statistic with eigenbasis", static_cast<int>(o.statistic),
                 !o.eigenbasis || o.statistic == ShampooStatistic::gradient, "gradient");
    check_option("Shampoo", "block_size", o.block_size, o.block_size >= 1, "1 or more");
    check_option("Shampoo", "least_order", o.least_order,
                 o.least_order >= 1 && o.least_order <= Shape::kMaxRank, "1 to 8");
    check_refresh("Shampoo", "refresh", o.refresh);
    check_option("Shampoo", "diagnostics with eigenbasis", static_cast<int>(o.diagnostics),
                 !o.eigenbasis || !o.diagnostics, "off");
    check_enum("Shampoo", "graft", o.graft, ShampooGraft::adam);
    check_option("Shampoo", "graft_beta", o.graft_beta, o.graft_beta >= 0 && o.graft_beta < 1, "in [0, 1)");
    check_option("Shampoo", "graft_eps", o.graft_eps, o.graft_eps >= 0, "finite and not below 0");
    check_option("Shampoo", "weight_decay", o.weight_decay, o.weight_decay >= 0, "finite and not below 0");
    check_enum("Shampoo", "decay", o.decay, ShampooDecay::l2);
    check_option("Shampoo", "momentum", o.momentum, o.momentum >= 0 && o.momentum < 1, "in [0, 1)");
    check_option("Shampoo", "dampening", o.dampening, o.dampening >= 0 && o.dampening <= 1, "in [0, 1]");
    check_moments("Shampoo", o.moments, MomentFormat::bf16);
}

void Shampoo::check(const Parameter& parameter) const {
    const Shape merged = merge_axes(parameter.weight.shape, options_.block_size, options_.least_order);
    for (std::size_t axis = 0; axis < merged.rank(); ++axis) {
        const double exponent = exponent_of(options_, merged.rank(), axis);
        if (exponent > 0) check_factor_order("Shampoo", parameter, merged, merged[axis], options_.block_size);
        if (!has_method(options_.root, exponent))
            refuse("Shampoo: parameter " + in_quotes(parameter.name) + ", merged to " + merged.text() +
                   ", needs the exponent " + number_text(exponent) +
                   ", which the root's method does not have; set exponents, or another root");
    }
}

std::string Shampoo::options_text() const {
    const auto number = [](auto value) { return std::to_string(static_cast<std::uint32_t>(value)); };
    const ShampooOptions& o = options_;
    std::string exponents, moment_exponents;
    for (const auto& [order, value] : o.moment_exponents)
        moment_exponents +=
            (moment_exponents.empty() ? "" : ";") + std::to_string(order) + ":" + number_text(value);
    for (const auto& [order, values] : o.exponents) {
        exponents += (exponents.empty() ? "" : ";") + std::to_string(order) + ":";
        for (std::size_t i = 0; i < values.size(); ++i)
            exponents += (i > 0 ? "," : "") + number_text(values[i]);
    }
    return "shampoo beta1=" + number_text(o.beta1) + " beta3=" + number_text(o.beta3) +
           " beta2=" + number_text(o.beta2) + " factor_interval=" + std::to_string(o.factor_interval) +
           " unweighted_sum=" + number(o.unweighted_sum) + " bias_correction=" + number(o.bias_correction) +
           " epsilon=" + number_text(o.epsilon) + " relative_epsilon=" + number_text(o.relative_epsilon) +
           " statistic=" + number(o.statistic) + " exponents=" + exponents +
           " trace_exponent=" + number_text(o.trace_exponent) + " null_space=" + number(o.null_space) +
           " root=" + number(o.root) + " rank_tolerance=" + number_text(o.rank_tolerance) +
           " absolute_rank_tolerance=" + number_text(o.absolute_rank_tolerance) +
           " eigenbasis=" + number(o.eigenbasis) + " first_basis=" + number(o.first_basis) +
           " moment_exponents=" + moment_exponents + " qr_steps=" + number(o.qr_steps) +
           " basis_tolerance=" + number_text(o.basis_tolerance) + " block_size=" + number(o.block_size) +
           " least_order=" + number(o.least_order) + refresh_text("refresh", o.refresh) +
           " graft=" + number(o.graft) + " graft_beta=" + number_text(o.graft_beta) +
           " graft_eps=" + number_text(o.graft_eps) +
           " graft_unweighted_sum=" + number(o.graft_unweighted_sum) +
           " weight_decay=" + number_text(o.weight_decay) + " decay=" + number(o.decay) +
           " momentum=" + number_text(o.momentum) + " dampening=" + number_text(o.dampening) +
           " nesterov=" + number(o.nesterov) + moments_text(o.moments);
}

}  // namespace heron
