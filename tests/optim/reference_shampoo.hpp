// SPDX-License-Identifier: MIT
// Shampoo in float64, straight from its formulas, a tensor of any order.
#pragma once

#include <Eigen/QR>
#include <algorithm>
#include <cmath>
#include <numeric>
#include <span>
#include <string>
#include <vector>

#include "optim/reference.hpp"

namespace heron::test {

class ShampooReference : public Reference {
public:
    // `index`: of the parameter's first block in its optimizer.
    ShampooReference(const ShampooOptions& options, const Shape& shape, std::uint64_t index = 0)
        : o_(options), index_(options.refresh.stagger ? index : 0) {
        for (const std::uint64_t extent : shape)
            if (extent != 1) extents_.push_back(extent);
        if (extents_.empty()) extents_ = {1};
        // From the last pair of neighbours to the first.
        for (std::size_t a = extents_.size(); a-- > 1 && extents_.size() > o_.least_order;)
            if (extents_[a - 1] * extents_[a] <= o_.block_size) {
                extents_[a - 1] *= extents_[a];
                extents_.erase(extents_.begin() + static_cast<std::ptrdiff_t>(a));
            }
        std::vector<std::uint64_t> first(extents_.size(), 0);
        add_blocks(0, first);
    }

    void step(std::vector<double>& w, const std::vector<double>& gradient, std::uint64_t t) override {
        const double time = static_cast<double>(t - delay()), wd = static_cast<double>(o_.weight_decay);
        std::vector<double> g = gradient, filtered, grafted;
        if (o_.decay == ShampooDecay::l2)
            for (std::size_t i = 0; i < g.size(); ++i) g[i] += wd * w[i];
        if (t <= delay()) {
            first_bases(g);
            return;
        }
        filtered = g;
        const double beta3 = o_.beta3 < 0 ? o_.beta1 : o_.beta3;
        if (o_.beta1 > 0) {
            std::vector<double>& m = state("m", w.size());
            const double correction = o_.bias_correction ? 1 - beta3 * std::pow(o_.beta1, time - 1) : 1;
            for (std::size_t i = 0; i < g.size(); ++i) {
                filtered[i] = (beta3 * m[i] + (1 - beta3) * g[i]) / correction;
                m[i] = o_.beta1 * m[i] + (1 - o_.beta1) * g[i];
            }
        }
        grafted = filtered;
        if (o_.graft != ShampooGraft::none && o_.graft != ShampooGraft::sgd) {
            std::vector<double>& v = state("v", w.size());
            const bool sums = o_.graft == ShampooGraft::adagrad || o_.graft_unweighted_sum;
            const double beta = o_.graft == ShampooGraft::adagrad ? 1 : o_.graft_beta;
            const double c = o_.graft == ShampooGraft::adam && !sums ? 1 - std::pow(beta, time) : 1;
            for (std::size_t i = 0; i < g.size(); ++i) {
                v[i] = beta * v[i] + (sums ? 1 : 1 - beta) * g[i] * g[i];
                const double divisor = std::sqrt(v[i] / c) + static_cast<double>(o_.graft_eps);
                grafted[i] = divisor > 0 ? filtered[i] / divisor : 0;
            }
        }
        std::vector<double> direction(w.size());
        std::vector<std::size_t> at(extents_.size(), 0);  // of the block's factors in their states
        std::size_t first = 0;                            // of the block in the moment of its basis
        for (std::size_t b = 0; b < blocks_.size(); ++b) {
            renew(blocks_[b], g, at, t, b);
            Tensor p = gather(blocks_[b], filtered);
            if (o_.eigenbasis) {
                p = adam_in_basis(p, gather(blocks_[b], g), at, first, t);
            } else {
                for (std::size_t a = 0; a < extents_.size(); ++a)
                    if (has_factor(a)) p = multiplied(p, a, root(a, p.extents[a], at[a]));
            }
            first += p.values.size();
            double size = 0, wanted = 0;
            for (std::size_t i = 0; i < p.values.size(); ++i) {
                size += p.values[i] * p.values[i];
                wanted += std::pow(grafted[blocks_[b].elements[i]], 2);
            }
            const bool grafts = o_.graft != ShampooGraft::none;
            const double scale = !grafts ? 1 : size > 0 ? std::sqrt(wanted / size) : 0;
            for (std::size_t i = 0; i < p.values.size(); ++i) {
                const std::size_t e = blocks_[b].elements[i];
                direction[e] = grafts && t < last_start() ? grafted[e] : scale * p.values[i];
            }
            for (std::size_t a = 0; a < extents_.size(); ++a)
                at[a] += blocks_[b].extents[a] * blocks_[b].extents[a];
        }
        update(w, direction, t);
    }

private:
    struct Block {
        std::vector<std::uint64_t> extents;
        std::vector<std::size_t> elements;  // of the parameter
    };
    struct Tensor {
        std::vector<std::uint64_t> extents;
        std::vector<double> values;
    };

    // Steps that do nothing but make bases.
    std::uint64_t delay() const { return o_.first_basis == ShampooFirstBasis::eigh ? 1 : 0; }
    std::uint64_t start() const {
        const std::uint64_t first = o_.refresh.first > 0 ? o_.refresh.first : o_.refresh.interval;
        return std::max(first, delay() + 1);
    }
    // A block's first refresh, from 1; the turns of blocks that are staggered come one after the other.
    std::uint64_t first_refresh(std::size_t block) const {
        std::uint64_t t = start();
        while (o_.refresh.stagger && t % o_.refresh.interval != (index_ + block) % o_.refresh.interval) ++t;
        return t;
    }
    std::uint64_t last_start() const {
        std::uint64_t last = 0;
        if (delay() > 0) return last;
        for (std::size_t b = 0; b < blocks_.size(); ++b) last = std::max(last, first_refresh(b));
        return last;
    }
    double exponent(std::size_t axis) const {
        const auto found = o_.exponents.find(static_cast<std::uint32_t>(extents_.size()));
        if (found == o_.exponents.end()) return 0.5 / static_cast<double>(extents_.size());
        return found->second[found->second.size() == 1 ? 0 : axis];
    }
    bool has_factor(std::size_t axis) const { return exponent(axis) > 0; }

    void add_blocks(std::size_t axis, std::vector<std::uint64_t>& first) {
        if (axis < extents_.size()) {
            for (first[axis] = 0; first[axis] < extents_[axis]; first[axis] += o_.block_size)
                add_blocks(axis + 1, first);
            first[axis] = 0;
            return;
        }
        Block block;
        std::size_t count = 1;
        for (std::size_t a = 0; a < first.size(); ++a) {
            block.extents.push_back(std::min<std::uint64_t>(o_.block_size, extents_[a] - first[a]));
            count *= block.extents[a];
        }
        for (std::size_t i = 0; i < count; ++i) {
            std::size_t rest = i, element = 0, stride = 1;
            for (std::size_t a = first.size(); a-- > 0; rest /= block.extents[a], stride *= extents_[a])
                element += (first[a] + rest % block.extents[a]) * stride;
            block.elements.push_back(element);
        }
        blocks_.push_back(block);
    }

    static Tensor gather(const Block& block, const std::vector<double>& whole) {
        Tensor result{block.extents, {}};
        for (const std::size_t element : block.elements) result.values.push_back(whole[element]);
        return result;
    }

    // The elements of the tensor along `axis`, a column for each place of the other axes.
    static Matrix unfolded(const Tensor& x, std::size_t axis) {
        std::size_t inner = 1;
        for (std::size_t a = axis + 1; a < x.extents.size(); ++a) inner *= x.extents[a];
        const std::size_t extent = x.extents[axis];
        Matrix result(extent, x.values.size() / extent);
        for (std::size_t i = 0; i < x.values.size(); ++i)
            result(i / inner % extent, i / (inner * extent) * inner + i % inner) = x.values[i];
        return result;
    }
    static Tensor multiplied(const Tensor& x, std::size_t axis, const Matrix& by) {
        const Matrix product = by * unfolded(x, axis);
        std::size_t inner = 1;
        for (std::size_t a = axis + 1; a < x.extents.size(); ++a) inner *= x.extents[a];
        const std::size_t extent = x.extents[axis];
        Tensor result = x;
        for (std::size_t i = 0; i < x.values.size(); ++i)
            result.values[i] = product(i / inner % extent, i / (inner * extent) * inner + i % inner);
        return result;
    }

    std::string name_of(std::size_t axis) const { return "factor" + std::to_string(axis); }
    Matrix root(std::size_t axis, std::uint64_t n, std::size_t at) {
        const std::vector<double>& values = states[name_of(axis) + "_whitener"];
        return matrix_of(std::span(values).subspan(at, n * n), n, n);
    }

    Tensor rotated(Tensor x, const std::vector<std::size_t>& at, bool back) {
        for (std::size_t a = 0; a < extents_.size(); ++a) {
            if (!has_factor(a)) continue;
            const Matrix q = root(a, x.extents[a], at[a]);
            x = multiplied(x, a, back ? q : Matrix(q.transpose()));
        }
        return x;
    }
    Tensor adam_in_basis(const Tensor& filtered, const Tensor& gradient, const std::vector<std::size_t>& at,
                         std::size_t first, std::uint64_t t) {
        std::size_t count = 0;
        for (const Block& block : blocks_) count += block.elements.size();
        const Tensor y = rotated(gradient, at, false);
        Tensor x = rotated(filtered, at, false);
        std::vector<double>& moment = state("basis_moment", count);
        const auto found = o_.moment_exponents.find(static_cast<std::uint32_t>(extents_.size()));
        const double p = found == o_.moment_exponents.end() ? 0.5 : found->second;
        for (std::size_t i = 0; i < x.values.size(); ++i) {
            double& c = moment[first + i];
            c = o_.beta2 * c + rate() * y.values[i] * y.values[i];
            const double divisor = std::pow(c / correction(t - delay()), p) + static_cast<double>(o_.epsilon);
            x.values[i] = divisor > 0 ? x.values[i] / divisor : 0;
        }
        return rotated(x, at, true);
    }

    double rate() const { return o_.beta2 < 1 && !o_.unweighted_sum ? 1 - o_.beta2 : 1; }
    // Of what has been renewed so often.
    double correction(std::uint64_t times) const {
        return o_.bias_correction && o_.beta2 < 1 && !o_.unweighted_sum
                   ? 1 - std::pow(o_.beta2, static_cast<double>(times))
                   : 1;
    }
    std::uint64_t statistics_until(std::uint64_t t) const {
        return o_.factor_interval > 1 ? 1 + t / o_.factor_interval : t;
    }

    void first_bases(const std::vector<double>& g) {
        std::vector<std::size_t> at(extents_.size(), 0);
        for (const Block& block : blocks_)
            for (std::size_t a = 0; a < extents_.size(); ++a) {
                const std::uint64_t n = block.extents[a];
                if (has_factor(a)) {
                    const Matrix u = unfolded(gather(block, g), a);
                    const Matrix f = rate() * (u * u.transpose()), q = symmetric_eigen(f).vectors;
                    std::copy(f.data(), f.data() + n * n, states[name_of(a)].data() + at[a]);
                    std::copy(q.data(), q.data() + n * n, states[name_of(a) + "_whitener"].data() + at[a]);
                }
                at[a] += n * n;
            }
    }

    void renew(const Block& block, const std::vector<double>& g, const std::vector<std::size_t>& at,
               std::uint64_t t, std::size_t index) {
        const Tensor x = gather(block, g);
        std::vector<Matrix> statistics;
        for (std::size_t a = 0; a < extents_.size(); ++a) {
            Tensor y = x;
            for (std::size_t other = 0; other < extents_.size(); ++other)
                if (o_.statistic == ShampooStatistic::whitened && other != a && has_factor(other))
                    y = multiplied(y, other, root(other, x.extents[other], at[other]));
            const Matrix u = unfolded(y, a);
            statistics.push_back(u * u.transpose());
        }
        const std::uint64_t turn = o_.refresh.stagger ? (index_ + index) % o_.refresh.interval : 0;
        const bool takes = t == 1 || t % o_.factor_interval == 0;
        const bool due =
            t == first_refresh(index) || (t > first_refresh(index) && t % o_.refresh.interval == turn);
        for (std::size_t a = 0; a < extents_.size(); ++a) {
            if (!has_factor(a)) continue;
            const std::uint64_t n = x.extents[a];
            double* f = states[name_of(a)].data() + at[a];
            for (std::size_t i = 0; i < n * n && takes; ++i)
                f[i] = o_.beta2 * f[i] + rate() * statistics[a].data()[i];
            if (!due) continue;
            double* basis = nullptr;
            if (has_bases()) basis = state(name_of(a) + "_basis", states[name_of(a)].size()).data() + at[a];
            if (o_.eigenbasis && (o_.qr_steps > 0 || o_.basis_tolerance > 0))
                basis = states[name_of(a) + "_whitener"].data() + at[a];
            const Matrix next =
                power(matrix_of(std::span<const double>(f, n * n), n, n), exponent(a), t, basis);
            std::copy(next.data(), next.data() + n * n, states[name_of(a) + "_whitener"].data() + at[a]);
        }
    }

    bool has_bases() const { return !o_.eigenbasis && (o_.qr_steps > 0 || o_.basis_tolerance > 0); }

    // From the last basis, all zeros where there is none, which becomes the next.
    SymmetricEigen from_basis(const Matrix& x, double* basis) const {
        const Eigen::Index n = x.rows();
        Eigen::Map<Matrix> q(basis, n, n);
        if (q.isZero(0)) q.setIdentity();
        Matrix b = q.transpose() * x * q;
        const auto is_diagonal = [&] {
            const Matrix rest = b - Matrix(b.diagonal().asDiagonal());
            return rest.norm() <= static_cast<double>(o_.basis_tolerance) * b.norm();
        };
        if (o_.qr_steps == 0 && !is_diagonal()) {
            SymmetricEigen eigen = symmetric_eigen(x);
            q = eigen.vectors;
            return eigen;
        }
        for (std::uint32_t step = 0; step < o_.qr_steps && !is_diagonal(); ++step) {
            const Eigen::HouseholderQR<Matrix> factors(b);
            const Matrix u = factors.householderQ();
            b = (u.transpose() * b * u).eval();
            q = (q * u).eval();
        }
        std::vector<Eigen::Index> order(static_cast<std::size_t>(n));
        std::iota(order.begin(), order.end(), 0);
        if (o_.qr_steps > 0)
            std::stable_sort(order.begin(), order.end(),
                             [&](Eigen::Index i, Eigen::Index j) { return b(i, i) < b(j, j); });
        const Vector values = b.diagonal()(order);
        Matrix sorted(q.rows(), n);
        for (Eigen::Index i = 0; i < n; ++i) sorted.col(i) = q.col(order[static_cast<std::size_t>(i)]);
        q = sorted;
        return {values, q};
    }

    Matrix power(Matrix f, double p, std::uint64_t t, double* basis) const {
        const double epsilon = static_cast<double>(o_.epsilon);
        f /= correction(statistics_until(t));
        if (o_.eigenbasis) {
            f.diagonal().array() += epsilon;
            return basis != nullptr ? from_basis(f, basis).vectors : symmetric_eigen(f).vectors;
        }
        if (o_.trace_exponent > 0) f *= std::pow(std::max(f.trace(), epsilon), -o_.trace_exponent);
        f.diagonal().array() += epsilon;
        const SymmetricEigen eigen = basis != nullptr ? from_basis(f, basis) : symmetric_eigen(f);
        Vector powers = eigen.values.cwiseMax(epsilon).array().pow(-p);
        if (o_.root == ShampooRoot::pseudo_inverse) {
            const double least =
                std::max({static_cast<double>(o_.rank_tolerance), static_cast<double>(f.rows()) * 0x1p-23}) *
                eigen.values.maxCoeff();
            for (Eigen::Index i = 0; i < powers.size(); ++i)
                if (eigen.values[i] <= std::max(least, static_cast<double>(o_.absolute_rank_tolerance)))
                    powers[i] = 0;
        }
        return eigen.vectors * powers.asDiagonal() * eigen.vectors.transpose();
    }

    void update(std::vector<double>& w, const std::vector<double>& direction, std::uint64_t t) {
        const double lr = static_cast<double>(o_.lr) * o_.schedule.factor(t);
        double wd = static_cast<double>(o_.weight_decay);
        if (o_.decay == ShampooDecay::corrected) wd *= o_.schedule.factor(t);
        if (o_.decay == ShampooDecay::independent) wd = o_.lr > 0 ? wd / static_cast<double>(o_.lr) : 0;
        if (o_.decay == ShampooDecay::l2) wd = 0;
        for (std::size_t i = 0; i < w.size(); ++i) {
            double p = direction[i] + wd * w[i];
            if (o_.momentum > 0) {
                double& b = state("momentum", w.size())[i];
                const double pull = (1 - o_.dampening) * p;
                b = o_.momentum * b + pull;
                p = o_.nesterov ? pull + o_.momentum * b : b;
            }
            w[i] -= lr * p;
        }
    }

    ShampooOptions o_;
    std::uint64_t index_;
    std::vector<std::uint64_t> extents_;  // merged
    std::vector<Block> blocks_;
};

}  // namespace heron::test
