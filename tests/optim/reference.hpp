// SPDX-License-Identifier: MIT
// The optimizers in float64, straight from their formulas, one parameter at a time. Hyperparameters are taken
// as given: floats as floats.
#pragma once

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <map>
#include <span>
#include <string>
#include <vector>

#include "heron/heron.hpp"
#include "support/polar_reference.hpp"

namespace heron::test {

// One parameter's algorithm and states. `g` is the gradient as the step sees it: scaled and clipped.
class Reference {
public:
    virtual ~Reference() = default;
    virtual void step(std::vector<double>& w, const std::vector<double>& g, std::uint64_t t) = 0;

    // By the names that they have in a plan, after the parameter's.
    std::map<std::string, std::vector<double>> states;
    // The name of its optimizer in the plan, where that has chances; the class's own until a test says
    // another.
    std::string optimizer;

protected:
    std::vector<double>& state(const std::string& name, std::size_t count) {
        std::vector<double>& values = states[name];
        values.resize(count, 0.0);
        return values;
    }
};

class AdamWReference : public Reference {
public:
    explicit AdamWReference(const AdamWOptions& options, double lr_scale = 1, double decay_scale = 1)
        : o_(options), lr_scale_(lr_scale), decay_scale_(decay_scale) {}

    void step(std::vector<double>& w, const std::vector<double>& g, std::uint64_t t) override {
        std::vector<double>& m = state("m", w.size());
        std::vector<double>& v = state("v", w.size());
        const double lr = static_cast<double>(o_.lr) * o_.schedule.factor(t) * lr_scale_;
        const double time = static_cast<double>(t);
        const double c1 = o_.bias_correction ? 1 - std::pow(o_.beta1, time) : 1;
        const double c2 = o_.bias_correction ? 1 - std::pow(o_.beta2, time) : 1;
        for (std::size_t i = 0; i < w.size(); ++i) {
            m[i] = o_.beta1 * m[i] + (1 - o_.beta1) * g[i];
            v[i] = o_.beta2 * v[i] + (1 - o_.beta2) * g[i] * g[i];
            double x = v[i];
            if (o_.amsgrad) {
                std::vector<double>& largest = state("vmax", w.size());
                x = largest[i] = std::max(largest[i], v[i]);
            }
            const double denominator = o_.eps_on_uncorrected
                                           ? (std::sqrt(x) + static_cast<double>(o_.eps)) / std::sqrt(c2)
                                           : std::sqrt(x / c2) + static_cast<double>(o_.eps);
            const double update = denominator > 0 ? lr * (m[i] / c1) / denominator : 0;
            const double decay = lr * static_cast<double>(o_.weight_decay) * decay_scale_;
            const bool decays = !o_.cautious_decay || m[i] * w[i] >= 0;
            w[i] = (decays ? 1 - decay : 1) * w[i] - update;
        }
    }

private:
    AdamWOptions o_;
    double lr_scale_, decay_scale_;
};

class SgdReference : public Reference {
public:
    explicit SgdReference(const SgdOptions& options) : o_(options) {}

    void step(std::vector<double>& w, const std::vector<double>& gradient, std::uint64_t t) override {
        const double lr = static_cast<double>(o_.lr) * o_.schedule.factor(t);
        const double decay = static_cast<double>(o_.weight_decay);
        for (std::size_t i = 0; i < w.size(); ++i) {
            double g = gradient[i] + (o_.decoupled_decay ? 0 : decay * w[i]);
            double update = g;
            if (o_.momentum > 0) {
                double& b = state("momentum", w.size())[i];
                b = t == 1 ? o_.momentum * b + g : o_.momentum * b + (1 - o_.dampening) * g;
                update = o_.nesterov ? g + o_.momentum * b : b;
            }
            w[i] = (o_.decoupled_decay ? 1 - lr * decay : 1) * w[i] - lr * update;
        }
    }

private:
    SgdOptions o_;
};

// A matrix of the parameter, as the test says that it is cut.
struct ReferenceBlock {
    std::uint64_t rows;
    std::uint64_t cols;
    double factor;  // on the update
};

// A weight after a step that takes `update` off it, along `direction`, with decay in that form.
inline double matrix_step(double w, double direction, double update, double lr, double weight_decay,
                          DecayForm form) {
    const bool cautious = form == DecayForm::cautious || form == DecayForm::cautious_squared;
    const bool squared = form == DecayForm::squared || form == DecayForm::cautious_squared;
    const double kept = 1 - lr * (squared ? lr : 1.0) * weight_decay;
    if (form == DecayForm::after) return kept * (w - update);
    return (!cautious || w * direction >= 0 ? kept : 1.0) * w - update;
}

class MuonReference : public Reference {
public:
    MuonReference(const MuonOptions& options, std::vector<ReferenceBlock> blocks)
        : o_(options), blocks_(std::move(blocks)) {}

    void step(std::vector<double>& w, const std::vector<double>& g, std::uint64_t t) override {
        std::vector<double>& m = state("momentum", w.size());
        const double lr = static_cast<double>(o_.lr) * o_.schedule.factor(t);
        const double momentum = o_.momentum * o_.momentum_schedule.factor(t);
        const double rate = o_.momentum_rule == MomentumRule::ema ? 1 - momentum : 1;
        std::vector<double> u(w.size());
        for (std::size_t i = 0; i < w.size(); ++i) {
            m[i] = momentum * m[i] + rate * g[i];
            u[i] = o_.nesterov ? rate * g[i] + momentum * m[i] : m[i];
        }
        const double decay = static_cast<double>(o_.weight_decay);
        std::size_t first = 0;
        for (const ReferenceBlock& block : blocks_) {
            const std::size_t count = block.rows * block.cols;
            const std::vector<double> o = direction({u.data() + first, count}, block, first, w.size());
            for (std::size_t i = 0; i < count; ++i) {
                const double update = lr * block.factor * static_cast<double>(o_.extra_scale) * o[i];
                w[first + i] = matrix_step(w[first + i], o[i], update, lr, decay, o_.decay);
            }
            first += count;
        }
    }

protected:
    // What a block moves along: u is what the momentum rule gives, beginning with element `first` of the
    // parameter's `count`.
    virtual std::vector<double> direction(std::span<const double> u, const ReferenceBlock& block,
                                          std::size_t /*first*/, std::size_t /*count*/) {
        const Matrix o = polar_reference(matrix_of(u, block.rows, block.cols), o_.polar);
        return {o.data(), o.data() + block.rows * block.cols};
    }

    MuonOptions o_;

private:
    std::vector<ReferenceBlock> blocks_;
};

}  // namespace heron::test
