// SPDX-License-Identifier: MIT
// 4-bit Shampoo in float64, straight from its formulas: f32 factors with their refreshes; roots that are
// quantised are taken as they are.
#pragma once

#include <bit>
#include <cmath>
#include <stdexcept>
#include <string>
#include <vector>

#include "optim/reference.hpp"

namespace heron::test {

// Q of A = Q R by reflections, each diagonal element of R with the sign against its pivot's.
inline Matrix householder_q(Matrix a) {
    const Eigen::Index n = a.cols();
    Matrix q = Matrix::Identity(a.rows(), a.rows());
    for (Eigen::Index j = 0; j < n; ++j) {
        Vector v = a.col(j);
        v.head(j).setZero();
        const double alpha = v[j], norm = v.norm();
        if (v.tail(v.size() - j - 1).norm() == 0) continue;
        v[j] += alpha > 0 ? norm : -norm;
        v.normalize();
        a -= 2 * v * (v.transpose() * a);
        q -= 2 * (q * v) * v.transpose();
    }
    return q.leftCols(n);
}

class Shampoo4BitReference : public Reference {
public:
    // `index`: of the parameter's first block in its optimizer.
    Shampoo4BitReference(const Shampoo4BitOptions& options, const Shape& shape, std::uint64_t index = 0)
        : o_(options), index_(index) {
        std::vector<std::uint64_t> extents;
        for (const std::uint64_t extent : shape)
            if (extent != 1) extents.push_back(extent);
        if (extents.size() < 2) return;
        rows_ = extents[0];
        cols_ = shape.count() / rows_;
    }

    void step(std::vector<double>& w, const std::vector<double>& g, std::uint64_t t) override {
        std::vector<double> p = g;
        const double gradient = norm(g);
        if (rows_ > 0) {
            const Matrix whole = matrix_of(g, rows_, cols_);
            Matrix direction = whole;
            At at[2];
            std::uint64_t block = index_;
            for (std::uint64_t r = 0; r < rows_; r += o_.block_size)
                for (std::uint64_t c = 0; c < cols_; c += o_.block_size, ++block) {
                    const std::uint64_t m = std::min<std::uint64_t>(o_.block_size, rows_ - r),
                                        n = std::min<std::uint64_t>(o_.block_size, cols_ - c);
                    const auto place = [&](Matrix& x) {
                        return x.block(static_cast<Eigen::Index>(r), static_cast<Eigen::Index>(c),
                                       static_cast<Eigen::Index>(m), static_cast<Eigen::Index>(n));
                    };
                    Matrix copy = whole;
                    const Matrix x = place(copy);
                    const Matrix left = root(0, at[0], m, x * x.transpose(), t, block);
                    const Matrix right = root(1, at[1], n, x.transpose() * x, t, block);
                    place(direction) = left * x * right;
                }
            p.assign(direction.data(), direction.data() + direction.size());
        }
        const double size = norm(p);
        for (std::size_t i = 0; i < p.size(); ++i)
            p[i] = t < o_.start_step ? g[i] : p[i] * gradient / (size + 1e-12);
        update(w, p, t);
    }

private:
    struct At {
        std::uint64_t matrix = 0, words = 0, absmax = 0, line = 0;
    };

    static double norm(const std::vector<double>& x) {
        double sum = 0;
        for (const double value : x) sum += value * value;
        return std::sqrt(sum);
    }
    bool due(const RefreshPolicy& policy, std::uint64_t t, std::uint64_t block) const {
        return t % policy.interval == (policy.stagger ? block % policy.interval : 0);
    }

    Matrix root(std::uint32_t axis, At& at, std::uint64_t n, const Matrix& statistic, std::uint64_t t,
                std::uint64_t block) {
        const std::string a = std::to_string(axis);
        const At here = at;
        at.line += n;
        if (o_.bits == 32 || n * n < o_.least_elements) {
            at.matrix += n * n;
            const auto part = [&](const std::string& name, std::uint64_t from, std::uint64_t count) {
                return std::span(states[name]).subspan(from, count);
            };
            const auto basis = part("basis" + a, here.matrix, n * n),
                       kept = part("root" + a, here.matrix, n * n),
                       values = part("eigenvalues" + a, here.line, n);
            Matrix vt = matrix_of(basis, n, n);
            Vector e = Eigen::Map<const Vector>(values.data(), static_cast<Eigen::Index>(n));
            if (due(o_.statistics, t, block)) {
                const Matrix sum = o_.factor_decay * vt.transpose() * e.asDiagonal() * vt +
                                   (o_.factor_decay < 1 ? 1 - o_.factor_decay : 1) * statistic;
                const Matrix q = householder_q(sum * vt.transpose());
                e = (q.transpose() * sum * q).diagonal();
                vt = q.transpose();
                std::copy(vt.data(), vt.data() + vt.size(), basis.begin());
                std::copy(e.data(), e.data() + e.size(), values.begin());
            }
            if (due(o_.roots, t, block)) {
                const double ridge = static_cast<double>(o_.epsilon) * e.maxCoeff();
                const Vector powers = (e.array() + ridge).pow(-0.25);
                const Matrix x = vt.transpose() * powers.asDiagonal() * vt;
                std::copy(x.data(), x.data() + x.size(), kept.begin());
            }
            return matrix_of(kept, n, n);
        }
        if (due(o_.statistics, t, block) || due(o_.roots, t, block))
            throw std::runtime_error("this reference does not quantise");
        const std::uint64_t words = quantized_words(n, o_.bits),
                            blocks = (n + o_.quantizer_block - 1) / o_.quantizer_block;
        at.words += n * words;
        at.absmax += n * blocks;
        const std::vector<double>&codes = states["root" + a + "_codes"],
              &absmax = states["root" + a + "_absmax"], &diagonal = states["root" + a + "_diagonal"];
        Matrix x(n, n);
        for (std::uint64_t r = 0; r < n; ++r)
            for (std::uint64_t c = 0; c < n; ++c) {
                const double scale = absmax[here.absmax + r * blocks + c / o_.quantizer_block];
                double value = 0;  // as scales of the start, where codes are not known
                if (scale != 0) {
                    const auto word = std::bit_cast<std::uint32_t>(
                        static_cast<float>(codes[here.words + r * words + c * o_.bits / 32]));
                    const std::uint32_t code = word >> c * o_.bits % 32 & ((1u << o_.bits) - 1);
                    value = static_cast<double>(quantized_level(code, o_.bits)) * scale;
                }
                x(static_cast<Eigen::Index>(r), static_cast<Eigen::Index>(c)) =
                    r == c ? diagonal[here.line + r] : value;
            }
        return x;
    }

    void update(std::vector<double>& w, const std::vector<double>& p, std::uint64_t t) {
        const double lr = static_cast<double>(o_.lr) * o_.schedule.factor(t),
                     wd = static_cast<double>(o_.weight_decay);
        const double time = static_cast<double>(t);
        for (std::size_t i = 0; i < w.size(); ++i) {
            if (o_.base == Shampoo4BitBase::adamw) {
                double &m = state("m", w.size())[i], &v = state("v", w.size())[i];
                m = o_.beta1 * m + (1 - o_.beta1) * p[i];
                v = o_.beta2 * v + (1 - o_.beta2) * p[i] * p[i];
                const double divisor =
                    std::sqrt(v / (1 - std::pow(o_.beta2, time))) + static_cast<double>(o_.eps);
                w[i] *= 1 - lr * wd;
                if (divisor > 0) w[i] -= lr * m / (1 - std::pow(o_.beta1, time)) / divisor;
                continue;
            }
            const double decayed = p[i] + wd * w[i];
            double moved = decayed;
            if (o_.momentum > 0) {
                double& b = state("momentum", w.size())[i];
                b = o_.momentum * b + decayed;
                moved = o_.nesterov ? decayed + o_.momentum * b : b;
            }
            w[i] -= lr * moved;
        }
    }

    Shampoo4BitOptions o_;
    std::uint64_t index_, rows_ = 0, cols_ = 0;
};

}  // namespace heron::test
