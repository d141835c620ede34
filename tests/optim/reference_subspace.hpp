// SPDX-License-Identifier: MIT
// Conda, Trion and DCT-AdamW in float64.
#pragma once

#include <algorithm>
#include <cmath>
#include <numbers>
#include <numeric>
#include <span>
#include <string>
#include <vector>

#include "optim/reference.hpp"
#include "support/matrix.hpp"

namespace heron::test {

// Q[i][j] = s_i cos(pi i (2 j + 1) / (2 n)).
inline Matrix cosine_matrix(Eigen::Index n) {
    Matrix q(n, n);
    const double size = static_cast<double>(n);
    for (Eigen::Index i = 0; i < n; ++i)
        for (Eigen::Index j = 0; j < n; ++j)
            q(i, j) = std::sqrt((i == 0 ? 1 : 2) / size) *
                      std::cos(std::numbers::pi * static_cast<double>(i * (2 * j + 1)) / (2 * size));
    return q;
}

// A parameter as one matrix, out x (the rest).
struct MatrixShape {
    std::uint64_t rows, cols;
    explicit MatrixShape(const Shape& shape)
        : rows(shape[0]), cols(shape[0] == 0 ? 0 : shape.count() / shape[0]) {}
    bool tall() const { return rows >= cols; }
    Eigen::Index rows_index() const { return static_cast<Eigen::Index>(rows); }
    Eigen::Index cols_index() const { return static_cast<Eigen::Index>(cols); }
    Eigen::Index short_side() const { return static_cast<Eigen::Index>(std::min(rows, cols)); }
};

// Adam with Conda's order of decay; of an element whose direction is known.
inline void decay_after(double& w, double update, double decay) {
    w -= update;
    w -= decay * w;
}

class CondaReference : public Reference {
public:
    CondaReference(const CondaOptions& options, const Shape& shape, std::uint32_t phase = 0)
        : o_(options), shape_(shape), phase_(phase) {}

    void step(std::vector<double>& w, const std::vector<double>& g, std::uint64_t t) override {
        std::vector<double>& m = state("m", w.size());
        for (std::size_t i = 0; i < w.size(); ++i) m[i] = o_.beta1 * m[i] + (1 - o_.beta1) * g[i];
        std::vector<double> projected_g = g, projected_m = m;
        const bool projects = o_.gap != 0 && shape_.rank() >= 2;
        Matrix basis;
        if (projects) {
            const MatrixShape s(shape_);
            const Eigen::Index k = s.short_side(), side = right() ? s.cols_index() : s.rows_index();
            std::vector<double>& b = state("basis", static_cast<std::size_t>(side * k));
            if (t == 1 || (t - 1) % o_.gap == phase_) {
                const Matrix x = matrix_of(m, s.rows, s.cols);
                // Largest first.
                const Matrix vectors =
                    symmetric_eigen(right() ? Matrix(x.transpose() * x) : Matrix(x * x.transpose()))
                        .vectors.rowwise()
                        .reverse()
                        .leftCols(k);
                std::copy(vectors.data(), vectors.data() + vectors.size(), b.begin());
            }
            basis = matrix_of(b, static_cast<std::uint64_t>(side), static_cast<std::uint64_t>(k));
            projected_g = project(matrix_of(g, s.rows, s.cols), basis);
            projected_m = project(matrix_of(m, s.rows, s.cols), basis);
        }
        std::vector<double>& v = state("v", projected_g.size());
        const double time = static_cast<double>(t), lr = static_cast<double>(o_.lr) * o_.schedule.factor(t);
        const double c =
            o_.bias_correction ? std::sqrt(1 - std::pow(o_.beta2, time)) / (1 - std::pow(o_.beta1, time)) : 1;
        std::vector<double> d(v.size());
        for (std::size_t i = 0; i < v.size(); ++i) {
            v[i] = o_.beta2 * v[i] + (1 - o_.beta2) * projected_g[i] * projected_g[i];
            const double denominator = std::sqrt(v[i]) + static_cast<double>(o_.eps);
            d[i] = denominator > 0 ? c * projected_m[i] / denominator : 0;
        }
        if (projects) {
            const MatrixShape s(shape_);
            const std::uint64_t k = static_cast<std::uint64_t>(s.short_side());
            d = project(right() ? matrix_of(d, s.rows, k) : matrix_of(d, k, s.cols), basis.transpose());
            for (double& x : d) x *= static_cast<double>(o_.scale);
        }
        for (std::size_t i = 0; i < w.size(); ++i)
            decay_after(w[i], lr * d[i], lr * static_cast<double>(o_.weight_decay));
    }

private:
    bool right() const { return MatrixShape(shape_).tall() == (o_.side == CondaSide::shorter); }
    // X B, or B^T X.
    std::vector<double> project(const Matrix& x, const Matrix& basis) const {
        const Matrix y = right() ? Matrix(x * basis) : Matrix(basis.transpose() * x);
        return {y.data(), y.data() + y.size()};
    }

    CondaOptions o_;
    Shape shape_;
    std::uint32_t phase_;
};

// (sum |x|^p)^(1/p), p above 0, infinity too.
inline double p_norm(const Vector& x, double p) {
    const double largest = x.cwiseAbs().maxCoeff();
    if (std::isinf(p) || largest == 0) return largest;
    return largest * std::pow((x.cwiseAbs() / largest).array().pow(p).sum(), 1 / p);
}

// The r columns (or rows) of x with the largest p-norms, largest first; equal ones in their order.
inline std::vector<Eigen::Index> largest_lines(const Matrix& x, bool columns, std::size_t r, double p) {
    const Matrix lines = columns ? Matrix(x.transpose()) : x;
    std::vector<double> scores;
    for (Eigen::Index i = 0; i < lines.rows(); ++i) scores.push_back(p_norm(lines.row(i), p));
    std::vector<Eigen::Index> order(scores.size());
    std::iota(order.begin(), order.end(), 0);
    std::stable_sort(order.begin(), order.end(), [&](Eigen::Index a, Eigen::Index b) {
        return scores[static_cast<std::size_t>(a)] > scores[static_cast<std::size_t>(b)];
    });
    order.resize(std::min(r, order.size()));
    return order;
}

class TrionReference : public Reference {
public:
    TrionReference(const TrionOptions& options, const Shape& shape, double factor)
        : o_(options), shape_(shape), factor_(factor) {}

    void step(std::vector<double>& w, const std::vector<double>& g, std::uint64_t t) override {
        const MatrixShape shape(shape_);
        std::vector<double>& momentum = state("momentum", w.size());
        for (std::size_t i = 0; i < w.size(); ++i) momentum[i] += g[i];
        Matrix m = matrix_of(momentum, shape.rows, shape.cols);
        const Matrix q = cosine_matrix(shape.short_side());
        const Matrix coefficients = shape.tall() ? Matrix(m * q) : Matrix(q * m);
        const std::vector<Eigen::Index> chosen = largest_lines(coefficients, shape.tall(), o_.rank, 1);
        const Eigen::Index r = static_cast<Eigen::Index>(chosen.size());
        Matrix s = shape.tall() ? Matrix(m.rows(), r) : Matrix(r, m.cols());
        Matrix basis(r, q.cols());  // rows
        for (Eigen::Index i = 0; i < r; ++i) {
            const Eigen::Index k = chosen[static_cast<std::size_t>(i)];
            if (shape.tall()) {
                s.col(i) = coefficients.col(k);
                basis.row(i) = q.col(k).transpose();
            } else {
                s.row(i) = coefficients.row(k);
                basis.row(i) = q.row(k);
            }
        }
        const auto back = [&](const Matrix& x) {
            return shape.tall() ? Matrix(x * basis) : Matrix(basis.transpose() * x);
        };
        m -= (1 - o_.momentum) * back(s);
        std::copy(m.data(), m.data() + m.size(), momentum.begin());
        const Matrix update = back(polar_reference(s, o_.polar));
        const double lr = static_cast<double>(o_.lr) * o_.schedule.factor(t);
        for (std::size_t i = 0; i < w.size(); ++i)
            w[i] = (1 - lr * static_cast<double>(o_.weight_decay)) * w[i] - lr * factor_ * update.data()[i];
    }

private:
    TrionOptions o_;
    Shape shape_;
    double factor_;
};

// A row in `bits` bits an element, between its least and its largest one, and back.
inline void round_to_codes(std::span<double> row, std::uint32_t bits) {
    const auto [least, largest] = std::minmax_element(row.begin(), row.end());
    const double first = *least, step = (*largest - first) / ((1u << bits) - 1);
    for (double& x : row) x = step > 0 ? first + step * std::floor((x - first) / step + 0.5) : first;
}

class DctAdamWReference : public Reference {
public:
    DctAdamWReference(const DctAdamWOptions& options, const Shape& shape)
        : o_(options),
          shape_(shape),
          adamw_({.lr = options.lr,
                  .beta1 = options.beta1,
                  .beta2 = options.beta2,
                  .eps = options.eps,
                  .weight_decay = options.weight_decay,
                  .schedule = options.schedule}) {}

    void step(std::vector<double>& w, const std::vector<double>& g, std::uint64_t t) override {
        if (shape_.rank() < 2) {
            adamw_.states = states;
            adamw_.step(w, g, t);
            states = adamw_.states;
            return;
        }
        const MatrixShape shape(shape_);
        const Matrix q = o_.vectors == DctVectors::columns
                             ? cosine_matrix(shape.short_side())
                             : Matrix(cosine_matrix(shape.short_side()).transpose());
        const std::size_t r = std::min<std::size_t>(o_.rank, static_cast<std::size_t>(shape.short_side()));
        const std::size_t length = std::max(shape.rows, shape.cols);
        Matrix a = matrix_of(g, shape.rows, shape.cols);
        if (o_.error_feedback) a += matrix_of(state("error", w.size()), shape.rows, shape.cols);
        if (!shape.tall()) a.transposeInPlace();  // vectors on the right from here on
        std::vector<double>& m = state("m", length * r);
        std::vector<double>& v = state("v", length * r);
        // Slot by slot, `length` numbers each.
        const auto at = [&](std::size_t slot, std::size_t line) {
            return shape.tall() ? line * r + slot : slot * length + line;
        };
        std::vector<double>& slots = state("indices", r);
        if (t == 1 || t % o_.gap == 0) {
            Matrix coefficients = a * q;
            for (Eigen::Index k = 0; o_.weighted_norms && k < q.cols(); ++k)
                coefficients.col(k) *= p_norm(q.col(k), static_cast<double>(o_.norm));
            std::vector<Eigen::Index> chosen =
                largest_lines(coefficients, true, r, static_cast<double>(o_.norm));
            std::sort(chosen.begin(), chosen.end());
            std::vector<bool> kept(r);
            for (std::size_t slot = 0; slot < r; ++slot) {
                const auto found = std::find_if(chosen.begin(), chosen.end(), [&](Eigen::Index k) {
                    return static_cast<double>(k) == slots[slot];
                });
                kept[slot] = t > 1 && found != chosen.end();
                if (kept[slot]) chosen.erase(found);
            }
            auto next = chosen.begin();
            for (std::size_t slot = 0; slot < r; ++slot) {
                if (kept[slot]) continue;
                slots[slot] = static_cast<double>(*next++);
                for (std::size_t line = 0; o_.rotate && line < length; ++line)
                    m[at(slot, line)] = v[at(slot, line)] = 0;
            }
        }
        Matrix p(q.rows(), static_cast<Eigen::Index>(r));
        for (std::size_t slot = 0; slot < r; ++slot)
            p.col(static_cast<Eigen::Index>(slot)) = q.col(static_cast<Eigen::Index>(slots[slot]));
        const Matrix x = a * p;
        if (o_.error_feedback) {
            Matrix e = a - x * p.transpose();
            if (!shape.tall()) e.transposeInPlace();
            std::vector<double>& error = state("error", w.size());
            std::copy(e.data(), e.data() + e.size(), error.begin());
            for (std::size_t i = 0; o_.error_bits < 32 && i < error.size(); i += shape.cols)
                round_to_codes(std::span(error).subspan(i, shape.cols), o_.error_bits);
        }
        const double time = static_cast<double>(t), lr = static_cast<double>(o_.lr) * o_.schedule.factor(t);
        const double c1 = 1 - std::pow(o_.beta1, time), c2 = 1 - std::pow(o_.beta2, time);
        Matrix u(x.rows(), x.cols());
        for (std::size_t line = 0; line < length; ++line)
            for (std::size_t slot = 0; slot < r; ++slot) {
                const double gradient = x(static_cast<Eigen::Index>(line), static_cast<Eigen::Index>(slot));
                double &first = m[at(slot, line)], &second = v[at(slot, line)];
                first = o_.beta1 * first + (1 - o_.beta1) * gradient;
                second = o_.beta2 * second + (1 - o_.beta2) * gradient * gradient;
                const double denominator = std::sqrt(second / c2) + static_cast<double>(o_.eps);
                u(static_cast<Eigen::Index>(line), static_cast<Eigen::Index>(slot)) =
                    denominator > 0 ? first / c1 / denominator : 0;
            }
        Matrix update = u * p.transpose();
        if (!shape.tall()) update.transposeInPlace();
        for (std::size_t i = 0; i < w.size(); ++i)
            w[i] = (1 - lr * static_cast<double>(o_.weight_decay)) * w[i] - lr * update.data()[i];
    }

private:
    DctAdamWOptions o_;
    Shape shape_;
    AdamWReference adamw_;
};

}  // namespace heron::test
