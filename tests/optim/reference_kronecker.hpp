// SPDX-License-Identifier: MIT
// Optimizers with Kronecker factors in float64, straight from their formulas, one matrix each.
#pragma once

#include <memory>

#include "optim/reference.hpp"

namespace heron::test {

// S with S S^T = F^-1.
inline Matrix whitener_reference(const Matrix& f, Whitening whitening, double exponent = 0.5) {
    if (whitening == Whitening::cholesky) return inverse(cholesky_factor(f)).transpose();
    const SymmetricEigen eigen = symmetric_eigen(f);
    const Vector powers = eigen.values.array().pow(-exponent);
    return eigen.vectors * powers.asDiagonal() * eigen.vectors.transpose();
}

class FismoReference : public Reference {
public:
    // `index`: of the matrix in its optimizer.
    FismoReference(const FismoOptions& options, std::uint64_t rows, std::uint64_t cols, double factor,
                   std::uint64_t index = 0)
        : o_(options),
          rows_(rows),
          cols_(cols),
          factor_(factor),
          index_(options.refresh.stagger ? index : 0) {}

    void step(std::vector<double>& w, const std::vector<double>& gradient, std::uint64_t t) override {
        const Matrix g = matrix_of(gradient, rows_, cols_);
        const double m = static_cast<double>(rows_), n = static_cast<double>(cols_);
        Matrix sp = whitener("P", rows_), sq = whitener("Q", cols_);
        if ((t - 1) % o_.refresh.interval == index_ % o_.refresh.interval) {
            const Matrix y = g * sq;
            refresh("P", y * y.transpose() / n, sp);
            const Matrix z = sp.transpose() * g;
            refresh("Q", z.transpose() * z / m, sq);
        }
        const bool whitened = o_.momentum_space == MomentumSpace::whitened;
        const Matrix x = whitened ? Matrix(sp.transpose() * g * sq) : g;
        std::vector<double>& momentum = state("momentum", w.size());
        std::vector<double> u(w.size());
        for (std::size_t i = 0; i < w.size(); ++i) {
            const double g_i = (1 - o_.momentum) * x.data()[i];
            momentum[i] = o_.momentum * momentum[i] + g_i;
            u[i] = o_.nesterov ? g_i + o_.momentum * momentum[i] : momentum[i];
        }
        Matrix direction = matrix_of(u, rows_, cols_);
        if (!whitened) direction = sp.transpose() * direction * sq;
        const Matrix o = polar_of(direction);
        Matrix d = sp * o * sq.transpose();
        if (o_.graft && d.norm() > 0) d *= o.norm() / d.norm();
        const double lr = static_cast<double>(o_.lr) * o_.schedule.factor(t);
        for (std::size_t i = 0; i < w.size(); ++i) {
            const double d_i = d.data()[i];
            w[i] = matrix_step(w[i], d_i, lr * factor_ * d_i, lr, static_cast<double>(o_.weight_decay),
                               o_.decay);
        }
    }

private:
    bool has_factor(std::uint64_t order) const { return order <= o_.max_order; }

    Matrix identity_or_state(const std::string& name, std::uint64_t order) {
        const auto rows = static_cast<Eigen::Index>(order);
        const auto found = states.find(name);
        return found == states.end() ? Matrix(Matrix::Identity(rows, rows))
                                     : matrix_of(found->second, order, order);
    }
    Matrix whitener(const std::string& name, std::uint64_t order) {
        return identity_or_state(name + "_whitener", order);
    }
    void keep(const std::string& name, const Matrix& value) {
        states[name].assign(value.data(), value.data() + value.size());
    }

    void refresh(const std::string& name, Matrix statistic, Matrix& whitener) {
        const auto order = static_cast<std::uint64_t>(statistic.rows());
        if (!has_factor(order)) return;
        const double n = static_cast<double>(order);
        const Matrix f = identity_or_state(name, order);
        const double trace = statistic.trace();
        if (o_.statistic_scale == StatisticScale::unit_trace && trace > 0) statistic *= n / trace;
        const Matrix damping =
            static_cast<double>(o_.damping) * f.trace() / n * Matrix::Identity(f.rows(), f.rows());
        Matrix next = o_.factor_decay * f + (1 - o_.factor_decay) * (statistic + damping);
        next *= n / next.trace();
        whitener = whitener_reference(next, o_.whitening, o_.exponent);
        keep(name, next);
        keep(name + "_whitener", whitener);
    }

    Matrix polar_of(const Matrix& x) const {
        if (!o_.exact_polar) return polar_reference(x, o_.polar);
        if (x.norm() == 0) return x;
        const ThinSvd svd = thin_svd(x);
        return svd.u * svd.v.transpose();
    }

    FismoOptions o_;
    std::uint64_t rows_, cols_;
    double factor_;
    std::uint64_t index_;
};

class MousseReference : public Reference {
public:
    // `index`: of the matrix in its optimizer.
    MousseReference(const MousseOptions& options, std::uint64_t rows, std::uint64_t cols, double factor,
                    std::uint64_t index = 0)
        : o_(options),
          rows_(rows),
          cols_(cols),
          factor_(factor),
          index_(options.refresh.stagger ? index : 0) {}

    void step(std::vector<double>& w, const std::vector<double>& gradient, std::uint64_t t) override {
        const Matrix g = matrix_of(gradient, rows_, cols_);
        const bool refreshes = (t - 1) % o_.refresh.interval == index_ % o_.refresh.interval;
        const Matrix left = whitener("L", g * g.transpose(), refreshes),
                     right = whitener("R", g.transpose() * g, refreshes);
        std::vector<double>& m = state("momentum", w.size());
        std::vector<double> u(w.size());
        for (std::size_t i = 0; i < w.size(); ++i) {
            m[i] = o_.momentum * m[i] + gradient[i];
            u[i] = o_.nesterov ? gradient[i] + o_.momentum * m[i] : m[i];
        }
        const Matrix x = left * matrix_of(u, rows_, cols_) * right;
        const Matrix o = polar_reference(x, o_.polar);
        Matrix d = left * o * right;
        if (o_.graft && d.norm() > 0) d *= o.norm() / d.norm();
        const double lr = static_cast<double>(o_.lr) * o_.schedule.factor(t);
        for (std::size_t i = 0; i < w.size(); ++i) {
            const double d_i = d.data()[i];
            w[i] = matrix_step(w[i], d_i, lr * factor_ * d_i, lr, static_cast<double>(o_.weight_decay),
                               o_.decay);
        }
    }

private:
    Matrix whitener(const std::string& name, const Matrix& statistic, bool refreshes) {
        const auto n = static_cast<std::uint64_t>(statistic.rows());
        Matrix identity = Matrix::Identity(statistic.rows(), statistic.rows());
        std::vector<double>& kept = states[name + "_whitener"];
        if (kept.empty()) kept.assign(identity.data(), identity.data() + identity.size());
        const MousseSides other = name == "L" ? MousseSides::right : MousseSides::left;
        if (n > o_.max_order || o_.sides == other) return identity;
        std::vector<double>& average = state(name, n * n);
        for (std::size_t i = 0; i < average.size(); ++i)
            average[i] = o_.factor_decay * average[i] + (1 - o_.factor_decay) * statistic.data()[i];
        const Matrix f = matrix_of(average, n, n);
        if (refreshes && f.trace() > 0) {
            const Matrix scaled = f * (static_cast<double>(n) / f.trace());
            if (o_.scale_in_place) average.assign(scaled.data(), scaled.data() + scaled.size());
            const SymmetricEigen eigen = symmetric_eigen(scaled);
            const Vector damped = (eigen.values.array() + 2 * static_cast<double>(o_.damping)).max(1e-12);
            const Vector power = damped.array().pow(-o_.exponent);
            const Matrix root = eigen.vectors * power.asDiagonal() * eigen.vectors.transpose();
            kept.assign(root.data(), root.data() + root.size());
        }
        return matrix_of(kept, n, n);
    }

    MousseOptions o_;
    std::uint64_t rows_, cols_;
    double factor_;
    std::uint64_t index_;
};

}  // namespace heron::test
