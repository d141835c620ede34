// SPDX-License-Identifier: MIT
// Lookahead in float64, around another reference.
#pragma once

#include <memory>
#include <utility>

#include "optim/reference.hpp"

namespace heron::test {

class LookaheadReference : public Reference {
public:
    LookaheadReference(const LookaheadOptions& options, std::unique_ptr<Reference> inner,
                       std::string momentum)
        : o_(options), inner_(std::move(inner)), momentum_(std::move(momentum)) {}

    void step(std::vector<double>& w, const std::vector<double>& g, std::uint64_t t) override {
        // Tests set states, of the inner one too.
        if (!states.contains("slow")) states["slow"] = w;
        for (auto& [name, values] : states)
            if (!name.starts_with("slow")) inner_->states[name] = values;
        inner_->step(w, g, t);
        if (t % o_.steps == 0) {
            const double alpha = static_cast<double>(o_.alpha);
            std::vector<double>& slow = states["slow"];
            for (std::size_t i = 0; i < w.size(); ++i) slow[i] = w[i] = alpha * w[i] + (1 - alpha) * slow[i];
            if (o_.momentum != LookaheadMomentum::none) {
                std::vector<double>& b = inner_->states[momentum_];
                std::vector<double>& c = state("slow_momentum", w.size());
                for (std::size_t i = 0; i < w.size(); ++i)
                    b[i] = o_.momentum == LookaheadMomentum::reset
                               ? 0
                               : (c[i] = alpha * b[i] + (1 - alpha) * c[i]);
            }
        }
        for (const auto& [name, values] : inner_->states) states[name] = values;
    }

private:
    LookaheadOptions o_;
    std::unique_ptr<Reference> inner_;
    std::string momentum_;
};

}  // namespace heron::test
