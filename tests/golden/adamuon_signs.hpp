// SPDX-License-Identifier: MIT
// Which elements of AdaMuon's update rounding decides, from a file's own gradients in float64.
//
// P = O / (sqrt(V) + eps), V a moving average of O^2: in the first step the sign of O, so of an element that
// is zero to rounding the file has one sign and a device may have the other. Later such an element of P
// follows as long as the element of every O so far was as small. Newton-Schulz in f32 is held to 1e-5 of the
// norm of O (tests/linalg/polar_test.cpp), an error whose root mean square is 1e-5 of O's; four times that is
// what few normal numbers exceed. So each element of each O lies in an interval of that half-width, which
// gives one of V, and one of P.
#pragma once

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <span>
#include <vector>

#include "golden/optimizer_golden.hpp"
#include "optim/reference_ortho.hpp"

namespace heron::test {

// One matrix; step() by step.
class AdaMuonSigns : public MuonReference {
public:
    AdaMuonSigns(const AdaMuonOptions& options, std::uint64_t rows, std::uint64_t cols)
        : MuonReference(as_muon(options), {{rows, cols, 1.0}}),
          a_(options),
          least_(rows * cols),
          most_(rows * cols),
          v_(rows * cols),
          intervals_(rows * cols) {}

    void step(std::vector<double>& w, const std::vector<double>& g, std::uint64_t t) override {
        const std::vector<double> before = w;
        MuonReference::step(w, g, t);
        for (std::size_t i = 0; i < w.size(); ++i) {
            intervals_[i].least += w[i] - before[i];
            intervals_[i].most += w[i] - before[i];
        }
    }
    // Of each element of the last step's update.
    const std::vector<Interval>& intervals() const { return intervals_; }

private:
    // P of an element of O, from V before the step.
    double quotient(double o, double before) const {
        const double v = a_.momentum * before + (1 - a_.momentum) * o * o;
        return o == 0 ? 0 : o / (std::sqrt(v) + static_cast<double>(a_.eps));
    }

    std::vector<double> direction(std::span<const double> u, const ReferenceBlock& block, std::size_t first,
                                  std::size_t count) override {
        std::vector<double> s(u.begin(), u.end());
        if (a_.sign)
            for (double& x : s) x = static_cast<double>((x > 0) - (x < 0));
        const std::vector<double> o = MuonReference::direction(s, block, first, count);
        const double elements = static_cast<double>(o.size());
        const double error = 4e-5 * frobenius(o) / std::sqrt(elements);
        std::vector<double> direction(o.size());
        for (std::size_t i = 0; i < o.size(); ++i) {
            direction[i] = quotient(o[i], v_[i]);
            // P rises with O, and falls in size as V rises.
            const double up = o[i] + error, down = o[i] - error;
            const double above = quotient(up, up > 0 ? least_[i] : most_[i]);
            const double below = quotient(down, down > 0 ? most_[i] : least_[i]);
            // The update is -lr gamma P.
            intervals_[i] = {.least = direction[i] - above, .most = direction[i] - below};
            const double near = std::max(std::abs(o[i]) - error, 0.0), far = std::abs(o[i]) + error;
            const auto average = [&](double& v, double x) {
                v = a_.momentum * v + (1 - a_.momentum) * x * x;
            };
            average(v_[i], o[i]);
            average(least_[i], near);
            average(most_[i], far);
        }
        const double gamma = static_cast<double>(a_.rms) * std::sqrt(elements) /
                             (frobenius(direction) + static_cast<double>(a_.eps));
        for (std::size_t i = 0; i < o.size(); ++i) {
            direction[i] *= gamma;
            intervals_[i].least *= gamma * static_cast<double>(a_.lr);
            intervals_[i].most *= gamma * static_cast<double>(a_.lr);
        }
        return direction;
    }

    AdaMuonOptions a_;
    std::vector<double> least_, most_, v_;  // V, and what it lies between
    std::vector<Interval> intervals_;
};

}  // namespace heron::test
