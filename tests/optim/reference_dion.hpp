// SPDX-License-Identifier: MIT
// Dion and its successors in float64.
#pragma once

#include "optim/reference.hpp"

namespace heron::test {

// One matrix of rows x cols. The state "q" is what the plan begins with.
class DionReference : public Reference {
public:
    DionReference(const DionOptions& options, std::uint64_t rows, std::uint64_t cols)
        : o_(options), rows_(rows), cols_(cols) {}

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
        const double factor = std::sqrt(static_cast<double>(rows_) / static_cast<double>(cols_));
        for (std::size_t i = 0; i < w.size(); ++i)
            w[i] = (1 - lr * static_cast<double>(o_.weight_decay)) * w[i] - lr * factor * update.data()[i];
    }

private:
    DionOptions o_;
    std::uint64_t rows_, cols_;
};

}  // namespace heron::test
