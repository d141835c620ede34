// SPDX-License-Identifier: MIT
// Which parameter belongs to a matrix optimizer: never decided by the number of axes alone, since embeddings
// and heads look like hidden matrices and train badly, without any error, when they are treated as such.
#include <algorithm>
#include <array>
#include <map>
#include <string>
#include <string_view>
#include <vector>

#include "core/enumerator.hpp"
#include "heron/train.hpp"
#include "optim/checks.hpp"
#include "optim/matrix_extents.hpp"

namespace heron {

namespace {

struct NameRule {
    std::string_view word;
    Role role;
};
// The first whose word is a whole component of the name counts: "unembed" stands before "embed".
constexpr std::array kNameRules = {
    NameRule{"unembed", Role::head},         NameRule{"unembedding", Role::head},
    NameRule{"embed", Role::embedding},      NameRule{"embedding", Role::embedding},
    NameRule{"embeddings", Role::embedding}, NameRule{"emb", Role::embedding},
    NameRule{"wte", Role::embedding},        NameRule{"wpe", Role::embedding},
    NameRule{"vocab", Role::embedding},      NameRule{"head", Role::head},
    NameRule{"lmhead", Role::head}};

// Words that often, but not always, name what is no hidden matrix.
struct Suspicion {
    std::string_view word;
    bool at_end;  // only as the last component but "weight": "output.weight", not "attn.output.dense.weight"
    std::string_view question;
};
constexpr std::array kSuspicions = {Suspicion{"classifier", false, "an output head"},
                                    Suspicion{"logits", false, "an output head"},
                                    Suspicion{"router", false, "a router"},
                                    Suspicion{"output", true, "an output head"},
                                    Suspicion{"gate", true, "a router"},
                                    Suspicion{"token", true, "an embedding"},
                                    Suspicion{"tokens", true, "an embedding"},
                                    Suspicion{"pos", true, "an embedding"},
                                    Suspicion{"position", true, "an embedding"},
                                    Suspicion{"positions", true, "an embedding"}};
// Within a component, too: "tokembed".
constexpr std::array<std::string_view, 2> kSuspiciousParts = {"embed", "vocab"};

enum class Letter { upper, lower, digit, separator };
Letter letter(char c) {
    if (c >= 'A' && c <= 'Z') return Letter::upper;
    if (c >= '0' && c <= '9') return Letter::digit;
    // Bytes of other alphabets belong to the word around them.
    return (c >= 'a' && c <= 'z') || static_cast<unsigned char>(c) >= 0x80 ? Letter::lower
                                                                           : Letter::separator;
}

// "blocks.0.lmHead_w" -> blocks, lm, head, w: split at everything that is no letter, and where the case says
// so; in lower case.
std::vector<std::string> components(std::string_view name) {
    std::vector<std::string> words;
    bool open = false;
    for (std::size_t i = 0; i < name.size(); ++i) {
        const Letter kind = letter(name[i]);
        if (kind == Letter::separator || kind == Letter::digit) {
            open = false;
            continue;
        }
        const bool before_lower = i + 1 < name.size() && letter(name[i + 1]) == Letter::lower;
        const bool after_lower = i > 0 && letter(name[i - 1]) == Letter::lower;
        if (!open || (kind == Letter::upper && (after_lower || before_lower))) words.emplace_back();
        open = true;
        words.back() += kind == Letter::upper ? static_cast<char>(name[i] - 'A' + 'a') : name[i];
    }
    return words;
}

const NameRule* find_rule(const std::vector<std::string>& words) {
    for (const NameRule& rule : kNameRules)
        if (std::find(words.begin(), words.end(), rule.word) != words.end()) return &rule;
    return nullptr;
}

// Why a hidden matrix has a name that looks like something else; empty where it does not.
std::string name_warning(std::vector<std::string> words) {
    for (const std::string& word : words)
        for (const std::string_view part : kSuspiciousParts)
            if (word.find(part) != std::string::npos)
                return "its name contains \"" + std::string(part) + "\": is it an embedding or a head?";
    while (words.size() > 1 && (words.back() == "weight" || words.back() == "w")) words.pop_back();
    for (const Suspicion& suspicion : kSuspicions)
        if (suspicion.at_end ? !words.empty() && words.back() == suspicion.word
                             : std::find(words.begin(), words.end(), suspicion.word) != words.end())
            return "its name has \"" + std::string(suspicion.word) + "\": is it " +
                   std::string(suspicion.question) + "? Set its role";
    return {};
}

Route resolve(const Parameter& parameter) {
    if (!is_enumerator(parameter.role, Role::input))
        refuse("route: the role of " + in_quotes(parameter.name) + " is not one of Role");
    const std::vector<std::string> words = components(parameter.name);
    const NameRule* rule = find_rule(words);
    const auto [rows, cols] = matrix_extents(parameter);
    const bool is_vector = parameter.weight.shape.rank() < 2 || rows <= 1 || cols <= 1;
    Route route{parameter.name, parameter.role, false, {}, {}};

    if (parameter.role != Role::automatic) {
        route.reason = "its role is given";
        route.matrix = parameter.role == Role::hidden_matrix;
        if (route.matrix && is_vector)
            route.warning = "a vector as hidden matrix: orthogonalizing it only normalises it";
        else if (route.matrix && rule != nullptr)
            route.warning = "its name has \"" + std::string(rule->word) + "\": is it an embedding or a head?";
    } else if (is_vector) {
        route.role = Role::vector;
        route.reason = parameter.weight.shape.rank() < 2 ? "fewer than two axes" : "one row or column";
    } else if (rule != nullptr) {
        route.role = rule->role;
        route.reason = "its name has \"" + std::string(rule->word) + "\"";
        // "attn.head_proj" and the like are hidden matrices; whoever means one says so.
        if (rule->word == "head" && std::find(words.begin(), words.end(), "lm") == words.end())
            route.warning =
                "taken for an output head by its name alone; set its role if it is a hidden matrix";
    } else {
        route.role = Role::hidden_matrix;
        route.matrix = true;
        route.reason = "a matrix of " + std::to_string(rows) + " x " + std::to_string(cols);
        route.warning = name_warning(words);
    }

    if (route.matrix && route.warning.empty()) {
        const std::uint64_t longer = std::max(rows, cols), shorter = std::min(rows, cols);
        if (shorter > 0 && longer / shorter >= 16 && longer >= 4096)
            route.warning = "as long as a vocabulary: is it an embedding or a head?";
        else if (parameter.weight.shape.rank() > 2 && !parameter.view.batch && parameter.weight.shape[1] == 1)
            route.warning = "a depthwise convolution: one input channel a filter, so its rows share no input";
        else if (parameter.weight.shape.rank() == 3 && !parameter.view.batch)
            route.warning = "three axes, taken as " + std::to_string(rows) + " x " + std::to_string(cols) +
                            "; set view.batch if it is a batch of matrices";
    }
    return route;
}

// One weight under several names. Where one of them is an embedding or a head, all are embeddings, which no
// matrix optimizer gets.
void route_tied_weights(std::span<const Parameter> parameters, std::vector<Route>& routes) {
    std::map<VkDeviceAddress, std::vector<std::size_t>> by_address;
    for (std::size_t i = 0; i < parameters.size(); ++i)
        if (parameters[i].weight.address != 0 && parameters[i].weight.shape.count() > 0)
            by_address[parameters[i].weight.address].push_back(i);
    for (const auto& [address, tied] : by_address) {
        if (tied.size() < 2) continue;
        const bool embedding = std::any_of(tied.begin(), tied.end(), [&](std::size_t i) {
            return routes[i].role == Role::embedding || routes[i].role == Role::head;
        });
        for (const std::size_t i : tied) {
            const std::string& other = routes[i == tied[0] ? tied[1] : tied[0]].name;
            routes[i].warning = "the weight of " + in_quotes(other) +
                                ", too: give it to an optimizer once, "
                                "with the sum of both gradients";
            if (!embedding) continue;
            routes[i].role = Role::embedding;
            routes[i].matrix = false;
            routes[i].reason = "tied weights count as embedding";
        }
    }
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
        case Role::input:
            return "input";
    }
    return "?";
}

std::vector<Route> route(std::span<const Parameter> parameters) {
    std::vector<Route> routes;
    for (const Parameter& parameter : parameters) routes.push_back(resolve(parameter));
    route_tied_weights(parameters, routes);
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
