// SPDX-License-Identifier: MIT
// Which parameter belongs to a matrix optimizer: never decided by the number of axes alone, since embeddings
// and heads look like hidden matrices and train badly, without any error, when they are treated as such.
#include <algorithm>
#include <array>
#include <string>
#include <string_view>
#include <vector>

#include "heron/train.hpp"

namespace heron {

namespace {

struct NameRule {
    std::string_view part;
    Role role;
};
// The first that the name contains counts: "unembed" stands before "embed".
constexpr std::array kNameRules = {NameRule{"unembed", Role::head},    NameRule{"embed", Role::embedding},
                                   NameRule{"wte", Role::embedding},   NameRule{"wpe", Role::embedding},
                                   NameRule{"vocab", Role::embedding}, NameRule{"head", Role::head}};

std::string lower(std::string_view text) {
    std::string result(text);
    for (char& c : result)
        if (c >= 'A' && c <= 'Z') c = static_cast<char>(c - 'A' + 'a');
    return result;
}

// Rows and columns as a matrix optimizer sees them.
struct Extents {
    std::uint64_t rows, cols;
};
Extents matrix_extents(const Parameter& parameter) {
    const Shape& shape = parameter.weight.shape;
    if (shape.rank() < 2) return {1, shape.count()};
    if (parameter.view.batch) return {shape[shape.rank() - 2], shape[shape.rank() - 1]};
    const std::uint64_t rows = shape[0];
    return {rows, rows == 0 ? 0 : shape.count() / rows};
}

const NameRule* find_rule(const std::string& name) {
    for (const NameRule& rule : kNameRules)
        if (name.find(rule.part) != std::string::npos) return &rule;
    return nullptr;
}

Route resolve(const Parameter& parameter) {
    const std::string name = lower(parameter.name);
    const NameRule* rule = find_rule(name);
    const auto [rows, cols] = matrix_extents(parameter);
    const bool is_vector = parameter.weight.shape.rank() < 2 || rows <= 1 || cols <= 1;
    const std::string shape = parameter.weight.shape.text();
    Route route{parameter.name, parameter.role, false, {}, {}};

    if (parameter.role != Role::automatic) {
        route.reason = "its role is given";
        route.matrix = parameter.role == Role::hidden_matrix;
        if (route.matrix && is_vector)
            route.warning = "a vector as hidden matrix: orthogonalizing it only normalises it";
        else if (route.matrix && rule != nullptr)
            route.warning =
                "its name contains \"" + std::string(rule->part) + "\": is it an embedding or a head?";
    } else if (is_vector) {
        route.role = Role::vector;
        route.reason = parameter.weight.shape.rank() < 2 ? "fewer than two axes" : "one row or column";
    } else if (rule != nullptr) {
        route.role = rule->role;
        route.reason = "its name contains \"" + std::string(rule->part) + "\"";
        // "attn.heads.proj" and the like are hidden matrices; whoever means one says so.
        if (rule->part == "head" && name.find("lm_head") == std::string::npos)
            route.warning =
                "taken for an output head by its name alone; set its role if it is a hidden matrix";
    } else {
        route.role = Role::hidden_matrix;
        route.matrix = true;
        route.reason = "a matrix of " + std::to_string(rows) + " x " + std::to_string(cols);
    }

    if (route.matrix && route.warning.empty()) {
        const std::uint64_t longer = std::max(rows, cols), shorter = std::min(rows, cols);
        if (longer / shorter >= 32 && longer >= 16384)
            route.warning = "as long as a vocabulary: is it an embedding or a head?";
        else if (parameter.weight.shape.rank() > 2 && !parameter.view.batch && parameter.weight.shape[1] == 1)
            route.warning = "a depthwise convolution: one input channel a filter, so its rows share no input";
        else if (parameter.weight.shape.rank() == 3 && !parameter.view.batch)
            route.warning = "three axes, taken as " + std::to_string(rows) + " x " + std::to_string(cols) +
                            "; set view.batch if it is a batch of matrices";
    }
    return route;
}

}  // namespace

const char* to_string(Role role) {
    switch (role) {
        case Role::automatic:
            return "automatic";
        case Role::hidden_matrix:
            return "hidden_matrix";
        case Role::embedding:
            return "embedding";
        case Role::head:
            return "head";
        case Role::vector:
            return "vector";
    }
    return "?";
}

std::vector<Route> route(std::span<const Parameter> parameters) {
    std::vector<Route> routes;
    for (const Parameter& parameter : parameters) routes.push_back(resolve(parameter));
    return routes;
}

std::string routing_report(std::span<const Route> routes) {
    std::size_t name_width = 9;
    for (const Route& route : routes) name_width = std::max(name_width, route.name.size());
    const auto pad = [](std::string text, std::size_t width) {
        text.resize(std::max(text.size(), width), ' ');
        return text;
    };
    std::string report = pad("parameter", name_width) + "  to             role           reason\n";
    for (const Route& route : routes) {
        report += pad(route.name, name_width) + "  " + pad(route.matrix ? "matrix" : "element-wise", 13) +
                  "  " + pad(to_string(route.role), 13) + "  " + route.reason + "\n";
        if (!route.warning.empty()) report += pad("", name_width) + "  warning: " + route.warning + "\n";
    }
    return report;
}

}  // namespace heron
