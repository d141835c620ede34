// SPDX-License-Identifier: MIT
// Golden files of the float64 references, for options of official codes that none of the project's files has:
// a held-out file with one is read as it should be.
#pragma once

#include <cstdint>
#include <random>
#include <string>
#include <vector>

#include "golden/golden_file.hpp"
#include "optim/reference.hpp"

namespace heron::test {

struct ReferenceGoldenSettings {
    struct State {
        std::string name;   // in the file
        std::string state;  // the reference's
        Shape shape;
    };

    std::string name;   // of the case
    std::string hyper;  // JSON
    Shape shape;
    std::vector<State> states;  // after every step
    std::vector<State> first;   // before the first one: normal numbers
    std::vector<State> next;    // after the last one, under the number of the step that would follow
    std::string kind = "official";
    std::string source;
    unsigned steps = 4;
    std::uint32_t seed = 1;
};

class ReferenceGolden : public GoldenFile {
public:
    ReferenceGolden(const ReferenceGoldenSettings& settings, Reference&& reference)
        : GoldenFile(settings.name) {
        std::mt19937 random(settings.seed);
        const auto normal = [&](const Shape& shape) {
            const Matrix x = gaussian(1, shape.count(), random);
            // As f32 has them: what goes in is the same for both.
            std::vector<double> values;
            for (Eigen::Index i = 0; i < x.size(); ++i) values.push_back(static_cast<float>(x.data()[i]));
            return values;
        };
        std::vector<double> w = normal(settings.shape);
        add("w.0", settings.shape, w);
        for (const auto& [name, state, shape] : settings.first) {
            reference.states[state] = normal(shape);
            add(name + ".0", shape, reference.states[state]);
        }
        for (unsigned t = 1; t <= settings.steps; ++t) {
            const std::string step = "." + std::to_string(t);
            const std::vector<double> g = normal(settings.shape);
            reference.step(w, g, t);
            add("g" + step, settings.shape, g);
            add("w" + step, settings.shape, w);
            for (const auto& [name, state, shape] : settings.states)
                add(std::string("state.").append(name).append(step), shape, reference.states.at(state));
        }
        const std::string after = "." + std::to_string(settings.steps + 1);
        for (const auto& [name, state, shape] : settings.next)
            add(std::string("state.").append(name).append(after), shape, reference.states.at(state));
        write({{"hyper", settings.hyper}, {"kind", settings.kind}, {"source", settings.source}});
    }
};

}  // namespace heron::test
