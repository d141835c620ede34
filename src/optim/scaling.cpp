// SPDX-License-Identifier: MIT
#include "heron/scaling.hpp"

#include <cmath>
#include <limits>
#include <string>
#include <string_view>
#include <vector>

#include "optim/checks.hpp"
#include "optim/matrix_extents.hpp"

namespace heron {

namespace {

double exponent_of(const WidthRules& rules, Role role) {
    switch (role) {
        case Role::hidden_matrix:
            return rules.hidden_matrix;
        case Role::embedding:
            return rules.embedding;
        case Role::head:
            return rules.head;
        case Role::input:
            return rules.input;
        case Role::vector:
            return rules.vector;
        case Role::automatic:
            break;
    }
    return 0.0;
}

float checked(std::string_view who, const char* what, const Parameter& parameter, double scale) {
    check_option(who, std::string(what) + " of " + in_quotes(parameter.name), scale,
                 scale >= 0 && scale <= static_cast<double>(std::numeric_limits<float>::max()),
                 "finite and not below 0");
    return static_cast<float>(scale);
}

// Multiplies one of the scales by what the rules say.
void scale(std::string_view who, std::span<Parameter> parameters, const WidthRules& rules, const char* what,
           float Parameter::*member) {
    check_option(who, "base_width", rules.base_width, rules.base_width > 0, "above 0");
    for (const double value : {rules.hidden_matrix, rules.embedding, rules.head, rules.input, rules.vector})
        check_option(who, "an exponent", value, std::abs(value) <= 4, "in [-4, 4]");
    const std::vector<Route> routes = route(parameters);
    std::vector<float> scales;
    for (std::size_t i = 0; i < parameters.size(); ++i) {
        const MatrixExtents extents = matrix_extents(parameters[i]);
        const double width = static_cast<double>(routes[i].role == Role::input ? extents.rows : extents.cols);
        const double exponent = exponent_of(rules, routes[i].role);
        const double factor =
            exponent == 0 || width == 0 ? 1.0 : std::pow(width / rules.base_width, exponent);
        scales.push_back(
            checked(who, what, parameters[i], static_cast<double>(parameters[i].*member) * factor));
    }
    for (std::size_t i = 0; i < parameters.size(); ++i) parameters[i].*member = scales[i];
}

}  // namespace

void scale_learning_rates(std::span<Parameter> parameters, const WidthRules& rules) {
    scale("scale_learning_rates", parameters, rules, "lr_scale", &Parameter::lr_scale);
}

void scale_learning_rates(std::span<Parameter> parameters, double factor) {
    check_option("scale_learning_rates", "factor", factor, factor >= 0, "finite and not below 0");
    for (const Parameter& parameter : parameters)
        checked("scale_learning_rates", "lr_scale", parameter,
                static_cast<double>(parameter.lr_scale) * factor);
    for (Parameter& parameter : parameters)
        parameter.lr_scale = static_cast<float>(static_cast<double>(parameter.lr_scale) * factor);
}

void scale_weight_decay(std::span<Parameter> parameters, const WidthRules& rules) {
    scale("scale_weight_decay", parameters, rules, "weight_decay_scale", &Parameter::weight_decay_scale);
}

void make_decay_independent(std::span<Parameter> parameters) {
    std::vector<float> scales;
    for (const Parameter& parameter : parameters) {
        const double rate = static_cast<double>(parameter.lr_scale);
        scales.push_back(
            checked("make_decay_independent", "weight_decay_scale", parameter,
                    static_cast<double>(parameter.weight_decay_scale) / (rate == 0 ? 1.0 : rate)));
    }
    for (std::size_t i = 0; i < parameters.size(); ++i) parameters[i].weight_decay_scale = scales[i];
}

void scale_damping(std::span<Parameter> parameters, double base_width) {
    const char* who = "scale_damping";
    check_option(who, "base_width", base_width, base_width > 0, "above 0");
    const std::vector<Route> routes = route(parameters);
    std::vector<DampingScales> scales;
    for (std::size_t i = 0; i < parameters.size(); ++i) {
        const Parameter& parameter = parameters[i];
        const MatrixExtents extents = matrix_extents(parameter);
        const Role role = routes[i].role;
        DampingScales next = parameter.damping_scale;
        const bool matrix = role != Role::vector && extents.rows > 0 && extents.cols > 0;
        if (matrix && role == Role::embedding)  // words x width: its outputs are the columns
            next.inputs =
                checked(who, "damping_scale.inputs", parameter,
                        static_cast<double>(next.inputs) * base_width / static_cast<double>(extents.cols));
        else if (matrix && role != Role::input)
            next.inputs =
                checked(who, "damping_scale.inputs", parameter,
                        static_cast<double>(next.inputs) * static_cast<double>(extents.cols) / base_width);
        if (matrix && role != Role::head && role != Role::embedding)
            next.outputs =
                checked(who, "damping_scale.outputs", parameter,
                        static_cast<double>(next.outputs) * base_width / static_cast<double>(extents.rows));
        scales.push_back(next);
    }
    for (std::size_t i = 0; i < parameters.size(); ++i) parameters[i].damping_scale = scales[i];
}

}  // namespace heron
