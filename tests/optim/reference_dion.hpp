// SPDX-License-Identifier: MIT
// Dion and its successors in float64.
#pragma once

#include "optim/reference.hpp"

namespace heron::test {

// ShapeFactor::sqrt_ratio, the default of all three.
inline double sqrt_of_ratio(std::uint64_t rows, std::uint64_t cols) {
    return std::sqrt(static_cast<double>(rows) / static_cast<double>(cols));
}

// One matrix of rows x cols, its update times `factor`. The state "q" is what the plan begins with.
class DionReference : public Reference {
public:
    DionReference(const DionOptions& options, std::uint64_t rows, std::uint64_t cols, double factor)
        : o_(options), rows_(rows), cols_(cols), factor_(factor) {}
    DionReference(const DionOptions& options, std::uint64_t rows, std::uint64_t cols)
        : DionReference(options, rows, cols, sqrt_of_ratio(rows, cols)) {}

    void step(std::vector<double>& w, const std::vector<double>& g, std::uint64_t t) override {
        std::vector<double>& m = state("momentum", w.size());
        for (std::size_t i = 0; i < w.size(); ++i) m[i] += g[i];
        const bool transposed = o_.transpose && rows_ < cols_;
        Matrix b = matrix_of(m, rows_, cols_);
        if (transposed) b = Matrix(b.transpose());
        std::vector<double>& q_state = states.at("q");
        const std::uint64_t long_side = static_cast<std::uint64_t>(b.cols());
        Matrix q = matrix_of(q_state, long_side, q_state.size() / long_side);

        Matrix right = q, left = Matrix::Zero(b.rows(), q.cols());
        const bool zero = b.cwiseAbs().maxCoeff() == 0;
        for (std::uint32_t i = 0; !zero && i < o_.power_iterations; ++i) {
            left = orthonormal_basis(b * right);
            right = Matrix(b.transpose()) * left;
        }
        if (!zero) b -= (1 - o_.momentum) * (left * Matrix(right.transpose()));
        for (Eigen::Index column = 0; column < right.cols(); ++column)
            right.col(column) /= right.col(column).norm() + o_.eps;
        Matrix update = left * Matrix(right.transpose());
        q_state.assign(right.data(), right.data() + right.size());
        if (transposed) {
            b = Matrix(b.transpose());
            update = Matrix(update.transpose());
        }
        m.assign(b.data(), b.data() + b.size());
        const double lr = static_cast<double>(o_.lr) * o_.schedule.factor(t);
        for (std::size_t i = 0; i < w.size(); ++i)
            w[i] = (1 - lr * static_cast<double>(o_.weight_decay)) * w[i] - lr * factor_ * update.data()[i];
    }

private:
    DionOptions o_;
    std::uint64_t rows_, cols_;
    double factor_;
};

// Dion2 on one matrix, or NorDion2, which takes rows and equalizes them.
class Dion2Reference : public Reference {
public:
    Dion2Reference(const Dion2Options& options, std::uint64_t rows, std::uint64_t cols, double factor)
        : o_(options), rows_(rows), cols_(cols), factor_(factor), columns_(rows > cols) {}
    Dion2Reference(const NorDion2Options& options, std::uint64_t rows, std::uint64_t cols, double factor)
        : rows_(rows),
          cols_(cols),
          factor_(factor),
          columns_(false),
          equalizes_(true),
          beta2_(options.beta2),
          eps_(options.eps) {
        o_.lr = options.lr;
        o_.fraction = options.fraction;
        o_.ef_decay = options.momentum;
        o_.weight_decay = options.weight_decay;
        o_.polar = options.polar;
        o_.schedule = options.schedule;
    }

    void step(std::vector<double>& w, const std::vector<double>& g, std::uint64_t t) override {
        std::vector<double>& m = state("momentum", w.size());
        for (std::size_t i = 0; i < w.size(); ++i) m[i] += g[i];
        Matrix lines = matrix_of(m, rows_, cols_), weight = matrix_of(w, rows_, cols_);
        if (columns_) {  // the lines are rows
            lines = Matrix(lines.transpose());
            weight = Matrix(weight.transpose());
        }
        std::vector<Eigen::Index> order(static_cast<std::size_t>(lines.rows()));
        for (std::size_t i = 0; i < order.size(); ++i) order[i] = static_cast<Eigen::Index>(i);
        const Vector norms = lines.rowwise().lpNorm<1>();
        std::stable_sort(order.begin(), order.end(),
                         [&](Eigen::Index a, Eigen::Index b) { return norms[a] > norms[b]; });
        order.resize(static_cast<std::size_t>(
            std::max(1.0, std::ceil(o_.fraction * static_cast<double>(lines.rows())))));

        Matrix taken(order.size(), lines.cols());
        for (std::size_t i = 0; i < order.size(); ++i) {
            taken.row(static_cast<Eigen::Index>(i)) = lines.row(order[i]);
            lines.row(order[i]) *= o_.ef_decay;
        }
        Matrix o = polar_reference(taken, o_.polar);
        if (equalizes_) equalize(o, order);
        const double lr = static_cast<double>(o_.lr) * o_.schedule.factor(t);
        weight *= 1 - lr * static_cast<double>(o_.weight_decay);
        for (std::size_t i = 0; i < order.size(); ++i)
            weight.row(order[i]) -= lr * factor_ * o.row(static_cast<Eigen::Index>(i));
        if (columns_) {
            lines = Matrix(lines.transpose());
            weight = Matrix(weight.transpose());
        }
        m.assign(lines.data(), lines.data() + lines.size());
        w.assign(weight.data(), weight.data() + weight.size());
    }

private:
    void equalize(Matrix& o, const std::vector<Eigen::Index>& order) {
        std::vector<double>& v = state("v", rows_);
        const double before = o.norm();
        for (std::size_t i = 0; i < order.size(); ++i) {
            auto row = o.row(static_cast<Eigen::Index>(i));
            double& variance = v[static_cast<std::size_t>(order[i])];
            variance = beta2_ * variance + (1 - beta2_) * row.squaredNorm() / static_cast<double>(cols_);
            row /= std::sqrt(variance) + eps_;
        }
        o *= before / std::max(o.norm(), eps_);
    }

    Dion2Options o_;
    std::uint64_t rows_, cols_;
    double factor_;
    bool columns_;
    bool equalizes_ = false;
    double beta2_ = 0, eps_ = 0;
};

}  // namespace heron::test
