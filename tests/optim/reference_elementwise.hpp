// SPDX-License-Identifier: MIT
// Lion, SignSGD and SGD with random scaling in float64.
#pragma once

#include "optim/reference.hpp"
#include "support/philox.hpp"

namespace heron::test {

inline double sign_of(double x) { return x > 0 ? 1.0 : x < 0 ? -1.0 : 0.0; }

class LionReference : public Reference {
public:
    explicit LionReference(const LionOptions& options) : o_(options) {}

    void step(std::vector<double>& w, const std::vector<double>& g, std::uint64_t t) override {
        std::vector<double>& m = state("momentum", w.size());
        const double lr = static_cast<double>(o_.lr) * o_.schedule.factor(t);
        for (std::size_t i = 0; i < w.size(); ++i) {
            w[i] *= 1 - lr * static_cast<double>(o_.weight_decay);
            w[i] -= lr * sign_of(o_.beta1 * m[i] + (1 - o_.beta1) * g[i]);
            m[i] = o_.beta2 * m[i] + (1 - o_.beta2) * g[i];
        }
    }

private:
    LionOptions o_;
};

class SignSgdReference : public Reference {
public:
    SignSgdReference(const SignSgdOptions& options, double factor) : o_(options), factor_(factor) {}

    void step(std::vector<double>& w, const std::vector<double>& g, std::uint64_t t) override {
        const double lr = static_cast<double>(o_.lr) * o_.schedule.factor(t), b = o_.momentum;
        const double time = static_cast<double>(t);
        const double now = o_.bias_correction ? 1 - std::pow(b, time) : 1;
        const double next = o_.bias_correction ? 1 - std::pow(b, time + 1) : 1;
        for (std::size_t i = 0; i < w.size(); ++i) {
            double x = g[i];
            if (b > 0) {
                double& m = state("momentum", w.size())[i];
                m = b * m + (1 - b) * g[i];
                x = o_.nesterov ? b * m / next + (1 - b) * g[i] / now : m;
            }
            w[i] = (1 - lr * static_cast<double>(o_.weight_decay)) * w[i] - lr * factor_ * sign_of(x);
        }
    }

private:
    SignSgdOptions o_;
    double factor_;
};

class RandomScalingSgdReference : public Reference {
public:
    explicit RandomScalingSgdReference(const RandomScalingSgdOptions& options) : o_(options) {}

    void step(std::vector<double>& w, const std::vector<double>& g, std::uint64_t t) override {
        std::vector<double>& d = state("momentum", w.size());
        const double lr = static_cast<double>(o_.lr) * o_.schedule.factor(t);
        const std::uint32_t word = philox({0, static_cast<std::uint32_t>(t), ~0u, ~0u}, 0, 0)[0];
        const double s =
            o_.scales.pieces().empty() ? -std::log(((word >> 8) + 1.0) * 0x1p-24) : o_.scales.factor(t);
        for (std::size_t i = 0; i < w.size(); ++i) {
            d[i] = o_.beta * (d[i] - lr * g[i]) / (1 + lr * static_cast<double>(o_.mu));
            w[i] += s * d[i];
        }
    }

private:
    RandomScalingSgdOptions o_;
};

}  // namespace heron::test
