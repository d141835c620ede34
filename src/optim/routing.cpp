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

// Where in a name a word counts, "weight" at the end and "model" at the beginning left out.
enum class Place {
    anywhere,  // as a whole component
    end,       // as the last one: "output.weight", not "attn.output.dense.weight"
    alone,     // as the only one, without a number: "fc.weight", not "blocks.0.fc.weight" or "fc1.weight"
};
struct NameRule {
    std::string_view word;
    Role role;
    Place place = Place::anywhere;
};
// The first that applies counts: "unembed" stands before "embed". Tables and biases that are matrices belong
// to relative positions: Swin's relative_position_bias_table, T5's relative_attention_bias.
constexpr std::array kNameRules = {NameRule{"unembed", Role::head},
                                   NameRule{"unembedding", Role::head},
                                   NameRule{"embed", Role::embedding},
                                   NameRule{"embedding", Role::embedding},
                                   NameRule{"embeddings", Role::embedding},
                                   NameRule{"emb", Role::embedding},
                                   NameRule{"wte", Role::embedding},
                                   NameRule{"wpe", Role::embedding},
                                   NameRule{"vocab", Role::embedding},
                                   NameRule{"head", Role::head},
                                   NameRule{"lmhead", Role::head},
                                   NameRule{"table", Role::embedding, Place::end},
                                   NameRule{"bias", Role::embedding, Place::end}};

// Words that often, but not always, name what is no hidden matrix: they decide of a matrix of a vocabulary's
// size, and else ask.
struct Suspicion {
    std::string_view word;
    Role role;  // automatic: a router, of no role that a name could give
    Place place;
};
constexpr std::array kSuspicions = {Suspicion{"classifier", Role::head, Place::anywhere},
                                    Suspicion{"logits", Role::head, Place::anywhere},
                                    Suspicion{"router", Role::automatic, Place::anywhere},
                                    Suspicion{"output", Role::head, Place::end},
                                    Suspicion{"gate", Role::automatic, Place::end},
                                    Suspicion{"token", Role::embedding, Place::end},
                                    Suspicion{"tokens", Role::embedding, Place::end},
                                    Suspicion{"pos", Role::embedding, Place::end},
                                    Suspicion{"position", Role::embedding, Place::end},
                                    Suspicion{"positions", Role::embedding, Place::end},
                                    Suspicion{"shared", Role::embedding, Place::end},  // T5, BART
                                    Suspicion{"fc", Role::head, Place::alone},         // torchvision
                                    Suspicion{"score", Role::head, Place::alone},      // transformers
                                    Suspicion{"decoder", Role::head, Place::alone}};  // of PyTorch's examples
// Within a component, too: "tokembed".
constexpr std::array<std::string_view, 2> kSuspiciousParts = {"embed", "vocab"};
constexpr std::array<std::string_view, 3> kDepthwise = {"depthwise", "dw", "dwconv"};
constexpr std::array<std::string_view, 3> kAttention = {"attn", "attention", "qkv"};

// One row a word. A hidden layer that widens does it by four at most, as a rule; Llama's 32,000 words are 7.8
// times as many as its columns.
constexpr std::uint64_t kVocabularyRows = 4096, kVocabularyRatio = 4;
constexpr std::uint64_t kMostImageChannels = 4;  // of the first filters of a network

enum class Letter { upper, lower, digit, separator };
Letter letter(char c) {
    if (c >= 'A' && c <= 'Z') return Letter::upper;
    if (c >= '0' && c <= '9') return Letter::digit;
    // Bytes of other alphabets belong to the word around them.
    return (c >= 'a' && c <= 'z') || static_cast<unsigned char>(c) >= 0x80 ? Letter::lower
                                                                           : Letter::separator;
}

struct Name {
    std::vector<std::string> words;
    bool numbered = false;  // has digits

    template <class Words>
    bool has_any(const Words& wanted) const {
        return std::any_of(wanted.begin(), wanted.end(),
                           [&](std::string_view word) { return has(word, Place::anywhere); });
    }
    bool has(std::string_view word, Place place) const {
        switch (place) {
            case Place::anywhere:
                return std::find(words.begin(), words.end(), word) != words.end();
            case Place::end:
                return !words.empty() && words.back() == word;
            case Place::alone:
                return words.size() == 1 && words.front() == word && !numbered;
        }
        return false;
    }
};

// "model.blocks.0.lmHead_w" -> blocks, lm, head: split at everything that is no letter, and where the case
// says so; in lower case.
Name components(std::string_view name) {
    Name result;
    std::vector<std::string>& words = result.words;
    bool open = false;
    for (std::size_t i = 0; i < name.size(); ++i) {
        const Letter kind = letter(name[i]);
        result.numbered = result.numbered || kind == Letter::digit;
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
    constexpr std::array<std::string_view, 2> kEnds = {"weight", "w"};
    constexpr std::array<std::string_view, 5> kBeginnings = {"model", "module", "net", "network",
                                                             "transformer"};
    while (words.size() > 1 && std::find(kEnds.begin(), kEnds.end(), words.back()) != kEnds.end())
        words.pop_back();
    while (words.size() > 1 &&
           std::find(kBeginnings.begin(), kBeginnings.end(), words.front()) != kBeginnings.end())
        words.erase(words.begin());
    return result;
}

template <class Entries>
auto find_entry(const Entries& entries, const Name& name) -> decltype(entries.data()) {
    for (const auto& entry : entries)
        if (name.has(entry.word, entry.place)) return &entry;
    return nullptr;
}

std::string suspected(const Suspicion& suspicion) {
    if (suspicion.role == Role::head) return "an output head";
    return suspicion.role == Role::embedding ? "an embedding" : "a router";
}

// Why a hidden matrix has a name that looks like something else; empty where it does not.
std::string name_warning(const Name& name) {
    for (const std::string& word : name.words)
        for (const std::string_view part : kSuspiciousParts)
            if (word.find(part) != std::string::npos)
                return "its name contains \"" + std::string(part) + "\": is it an embedding or a head?";
    const Suspicion* suspicion = find_entry(kSuspicions, name);
    if (suspicion == nullptr) return {};
    return "its name has " + in_quotes(suspicion->word) + ": is it " + suspected(*suspicion) +
           "? Set its role";
}

// Filters, and not a batch of matrices.
bool is_convolution(const Parameter& parameter) {
    return parameter.weight.shape.rank() > 2 && !parameter.view.batch;
}

// Why the shape of a hidden matrix looks like something else; empty where it does not.
std::string shape_warning(const Parameter& parameter, const Name& name) {
    const Shape& shape = parameter.weight.shape;
    const auto [rows, cols] = matrix_extents(parameter);
    const std::uint64_t longer = std::max(rows, cols), shorter = std::min(rows, cols);
    if (shorter > 0 && longer / shorter >= 16 && longer >= kVocabularyRows)
        return "as long as a vocabulary: is it an embedding or a head?";
    if (is_convolution(parameter) && name.has_any(kDepthwise))
        return "a depthwise convolution: one input channel a filter, so its rows share no input";
    if (is_convolution(parameter) && shape[1] == 1)
        return "one input channel a filter: where that is a depthwise convolution, its rows share no input";
    if (shape.rank() == 3 && !parameter.view.batch)
        return "three axes, taken as " + std::to_string(rows) + " x " + std::to_string(cols) +
               "; set view.batch if it is a batch of matrices";
    if (shape.rank() == 2 && cols == 3 * rows && name.has_any(kAttention))
        return "three times as wide as high: where it is stored in x out (GPT-2's Conv1D), q, k and v are "
               "side by side in columns, and no view splits them; store its transpose";
    return {};
}

Route resolve(const Parameter& parameter) {
    if (!is_enumerator(parameter.role, Role::input))
        refuse("route: the role of " + in_quotes(parameter.name) + " is not one of Role");
    const Name name = components(parameter.name);
    const NameRule* rule = find_entry(kNameRules, name);
    const Suspicion* suspicion = find_entry(kSuspicions, name);
    const auto [rows, cols] = matrix_extents(parameter);
    const bool is_vocabulary = rows >= kVocabularyRows && rows > kVocabularyRatio * cols;
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
        if (rule->word == "head" && !name.has("lm", Place::anywhere))
            route.warning =
                "taken for an output head by its name alone; set its role if it is a hidden matrix";
    } else if (is_vocabulary && suspicion != nullptr && suspicion->role != Role::automatic) {
        route.role = suspicion->role;
        route.reason = "its name has " + in_quotes(suspicion->word) + ", and it is as long as a vocabulary";
        route.warning =
            "taken for " + suspected(*suspicion) + " by name and size; set its role if it is a hidden matrix";
    } else {
        route.role = Role::hidden_matrix;
        route.matrix = true;
        route.reason = "a matrix of " + std::to_string(rows) + " x " + std::to_string(cols);
        route.warning = name_warning(name);
    }

    if (route.matrix && route.warning.empty()) route.warning = shape_warning(parameter, name);
    return route;
}

// "All filters except the first" (KellerJordan/Muon, README): those of the first convolution of the list see
// pixels or samples of sound. A list of some layers only begins with more channels than an image has.
void route_first_filters(std::span<const Parameter> parameters, std::vector<Route>& routes) {
    const auto first = std::find_if(parameters.begin(), parameters.end(), is_convolution);
    if (first == parameters.end() || first->role != Role::automatic) return;
    Route& route = routes[static_cast<std::size_t>(first - parameters.begin())];
    const std::uint64_t channels = first->weight.shape[1];
    if (!route.matrix || channels > kMostImageChannels || components(first->name).has_any(kDepthwise)) return;
    route.role = Role::input;
    route.matrix = false;
    route.reason = "the first filters, of " + std::to_string(channels) + " input " +
                   (channels == 1 ? "channel" : "channels");
    route.warning = "taken for the input layer by its place; set its role if it is a hidden layer's";
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
    route_first_filters(parameters, routes);
    route_tied_weights(parameters, routes);
    return routes;
}

std::vector<Route> route_by(std::span<const Parameter> parameters, const RoleRule& rule) {
    if (!rule) refuse("route_by: the rule is empty");
    std::vector<Parameter> asked(parameters.begin(), parameters.end());
    for (Parameter& parameter : asked)
        parameter.role = rule(parameter.name, parameter.weight.shape, parameter.role);
    return route(asked);
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
