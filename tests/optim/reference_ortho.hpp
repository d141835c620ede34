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
    if constexpr (requires { o.nesterov; }) muon.nesterov = o.nesterov;
    muon.weight_decay = o.weight_decay;
    if constexpr (requires { o.momentum_rule; }) muon.momentum_rule = o.momentum_rule;
    if constexpr (requires { o.decay; }) muon.decay = o.decay;
    if constexpr (requires { o.momentum_schedule; }) muon.momentum_schedule = o.momentum_schedule;
    muon.polar = o.polar;
    muon.schedule = o.schedule;
    return muon;
}

class NorMuonReference : public MuonReference {
public:
    // Of matrices as one block (ConvFactor::matrix), or a filter (ConvFactor::kernel), whose lines are those
    // of its kernels.
    NorMuonReference(const NorMuonOptions& options, std::vector<ReferenceBlock> blocks, Shape filter = {})
        : MuonReference(as_muon(options), std::move(blocks)), n_(options), filter_(filter) {}

private:
    std::vector<double> direction(std::span<const double> u, const ReferenceBlock& block, std::size_t first,
                                  std::size_t count) override {
        std::vector<double> o = MuonReference::direction(u, block, first, count);
        const std::size_t rank = filter_.rank();
        const std::size_t n = rank > 0 ? filter_[rank - 1] : block.cols, m = o.size() / n;
        const bool columns = n_.lines == NorMuonLines::shorter_side && m < n;
        const std::size_t lines = columns ? n : m;
        const double eps = static_cast<double>(n_.eps);
        const std::vector<double> before = o;
        std::vector<double>& v = state("v", lines);
        for (std::size_t line = 0; line < lines; ++line) {
            double mean = 0;
            const std::size_t length = m * n / lines;
            for (std::size_t k = 0; k < length; ++k) {
                const double x = columns ? o[k * n + line] : o[line * n + k];
                mean += x * x / static_cast<double>(length);
            }
            v[line] = n_.beta2 * v[line] + (1 - n_.beta2) * mean;
        }
        for (std::size_t i = 0; i < o.size(); ++i) {
            const double vi = v[columns ? i % n : i / n];
            o[i] /=
                n_.variance_rule == NormRule::clamped ? std::sqrt(std::max(vi, eps)) : std::sqrt(vi) + eps;
        }
        const std::size_t piece = rank > 0 ? n * filter_[rank - 2] : o.size();  // that is rescaled by itself
        for (std::size_t at = 0; at < o.size(); at += piece) {
            const std::span<double> part(o.data() + at, piece);
            const double now = frobenius(part);
            const double wanted = n_.scale == NorMuonScale::match_rms
                                      ? 0.2 * std::sqrt(static_cast<double>(m * n))
                                      : frobenius(std::span(before).subspan(at, piece));
            const double rescale =
                wanted / (n_.rescale_rule == NormRule::clamped ? std::max(now, eps) : now + eps);
            for (double& x : part) x *= rescale;
        }
        return o;
    }

    NorMuonOptions n_;
    Shape filter_;
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

class AuonReference : public MuonReference {
public:
    AuonReference(const AuonOptions& options, std::vector<ReferenceBlock> blocks, bool orthogonalizes)
        : MuonReference(as_muon(options), std::move(blocks)), a_(options), orthogonalizes_(orthogonalizes) {}

private:
    std::vector<double> direction(std::span<const double> u, const ReferenceBlock& block, std::size_t first,
                                  std::size_t count) override {
        std::vector<double> x(u.begin(), u.end());
        if (orthogonalizes_) x = MuonReference::direction(u, block, first, count);
        const double norm = frobenius(x), gamma = static_cast<double>(a_.gamma);
        if (norm == 0) return x;
        const bool paper = a_.form == AuonForm::paper;
        if (paper && !a_.hybrid)
            for (double& value : x) value /= norm;
        double mean = 0;
        for (const double value : x)
            mean += std::pow(std::cosh(paper ? gamma * value : gamma * value / (norm + 1e-7)), 2) /
                    static_cast<double>(x.size());
        for (double& value : x) value /= std::sqrt(mean) + (paper ? 0 : 1e-8);
        return x;
    }

    AuonOptions a_;
    bool orthogonalizes_;
};

// The table of heron/optim/scion.hpp, of one matrix (or vector, as one row) without kernel axes.
class ScionReference : public MuonReference {
public:
    ScionReference(const ScionOptions& options, ScionNorm norm, std::uint64_t rows, std::uint64_t cols)
        : MuonReference(as_muon(options), {{rows, cols, static_cast<double>(options.scale)}}),
          s_(options),
          norm_(norm) {
        o_.nesterov = false;
    }

private:
    std::vector<double> direction(std::span<const double> u, const ReferenceBlock& block, std::size_t first,
                                  std::size_t count) override {
        std::vector<double> x(u.begin(), u.end());
        const std::size_t rows = block.rows, cols = block.cols;
        const double m = static_cast<double>(rows), n = static_cast<double>(cols);
        const double eps = static_cast<double>(s_.eps);
        const ScionScale scale = s_.norm_scale;
        const bool normalized = scale == ScionScale::normalized || scale == ScionScale::normalized_max;
        if (norm_ == ScionNorm::spectral) {
            x = MuonReference::direction(u, block, first, count);
            const double factor = scale == ScionScale::normalized       ? std::sqrt(m / n)
                                  : scale == ScionScale::normalized_max ? std::max(1.0, std::sqrt(m / n))
                                  : scale == ScionScale::unnormalized   ? std::sqrt(m)
                                                                        : 1.0;
            for (double& value : x) value *= factor;
        } else if (norm_ == ScionNorm::sign) {
            for (double& value : x)
                value = static_cast<double>((value > 0) - (value < 0)) / (normalized ? n : 1.0);
        } else if (norm_ == ScionNorm::frobenius) {
            const double divisor = frobenius(x) / (normalized ? std::sqrt(m * n) : 1.0) + eps;
            for (double& value : x) value /= divisor;
        } else {
            const bool columns = (norm_ == ScionNorm::column) != s_.transpose;
            const double length = columns ? m : n, lines = columns ? n : m;
            std::vector<double> squares(columns ? cols : rows);
            for (std::size_t i = 0; i < x.size(); ++i) squares[columns ? i % cols : i / cols] += x[i] * x[i];
            for (std::size_t i = 0; i < x.size(); ++i) {
                const double norm = std::sqrt(squares[columns ? i % cols : i / cols]);
                double divisor = norm;
                if (norm_ == ScionNorm::row && normalized) divisor = norm * std::sqrt(length);
                if (norm_ == ScionNorm::column && normalized) divisor = norm / std::sqrt(length) * lines;
                if (norm_ == ScionNorm::column && scale == ScionScale::unnormalized)
                    divisor = norm / std::sqrt(length);
                x[i] /= divisor + eps;
            }
        }
        return x;
    }

    ScionOptions s_;
    ScionNorm norm_;
};

}  // namespace heron::test
