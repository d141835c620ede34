// SPDX-License-Identifier: MIT
// The orthogonalizing optimizers beside Muon in float64.
#pragma once

#include "optim/reference.hpp"

namespace heron::test {

inline double frobenius(std::span<const double> x) {
    double sum = 0;
    for (const double value : x) sum += value * value;
    return std::sqrt(sum);
}

// The hyperparameters that they share with Muon.
template <class Options>
MuonOptions as_muon(const Options& o) {
    MuonOptions muon;
    muon.lr = o.lr;
    muon.momentum = o.momentum;
    muon.nesterov = o.nesterov;
    muon.weight_decay = o.weight_decay;
    muon.momentum_rule = o.momentum_rule;
    muon.decay = o.decay;
    muon.polar = o.polar;
    muon.schedule = o.schedule;
    return muon;
}

class NorMuonReference : public MuonReference {
public:
    // Of matrices as one block (ConvFactor::matrix).
    NorMuonReference(const NorMuonOptions& options, std::vector<ReferenceBlock> blocks)
        : MuonReference(as_muon(options), std::move(blocks)), n_(options) {}

private:
    std::vector<double> direction(std::span<const double> u, const ReferenceBlock& block, std::size_t first,
                                  std::size_t count) override {
        std::vector<double> o = MuonReference::direction(u, block, first, count);
        const std::size_t m = block.rows, n = block.cols;
        const bool columns = n_.lines == NorMuonLines::shorter_side && m < n;
        const std::size_t lines = columns ? n : m;
        const double eps = static_cast<double>(n_.eps), norm = frobenius(o);
        std::vector<double>& v = state("v", lines);
        for (std::size_t line = 0; line < lines; ++line) {
            double mean = 0;
            for (std::size_t k = 0; k < m * n / lines; ++k) {
                const double x = columns ? o[k * n + line] : o[line * n + k];
                mean += x * x / static_cast<double>(m * n / lines);
            }
            v[line] = n_.beta2 * v[line] + (1 - n_.beta2) * mean;
        }
        for (std::size_t i = 0; i < o.size(); ++i) {
            const double vi = v[columns ? i % n : i / n];
            o[i] /=
                n_.variance_rule == NormRule::clamped ? std::sqrt(std::max(vi, eps)) : std::sqrt(vi) + eps;
        }
        const double now = frobenius(o);
        const double wanted =
            n_.scale == NorMuonScale::match_rms ? 0.2 * std::sqrt(static_cast<double>(m * n)) : norm;
        const double rescale =
            wanted / (n_.rescale_rule == NormRule::clamped ? std::max(now, eps) : now + eps);
        for (double& x : o) x *= rescale;
        return o;
    }

    NorMuonOptions n_;
};

class AdaMuonReference : public MuonReference {
public:
    AdaMuonReference(const AdaMuonOptions& options, std::vector<ReferenceBlock> blocks)
        : MuonReference(as_muon(options), std::move(blocks)), a_(options) {}

private:
    std::vector<double> direction(std::span<const double> u, const ReferenceBlock& block, std::size_t first,
                                  std::size_t count) override {
        std::vector<double> s(u.begin(), u.end());
        if (a_.sign)
            for (double& x : s) x = static_cast<double>((x > 0) - (x < 0));
        std::vector<double> o = MuonReference::direction(s, block, first, count);
        std::vector<double>& v = state("v", count);
        const double eps = static_cast<double>(a_.eps);
        for (std::size_t i = 0; i < o.size(); ++i) {
            double& vi = v[first + i];
            vi = a_.momentum * vi + (1 - a_.momentum) * o[i] * o[i];
            o[i] /= std::sqrt(vi) + eps;
        }
        const double gamma =
            static_cast<double>(a_.rms) * std::sqrt(static_cast<double>(o.size())) / (frobenius(o) + eps);
        for (double& x : o) x *= gamma;
        return o;
    }

    AdaMuonOptions a_;
};

}  // namespace heron::test
