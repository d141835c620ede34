// SPDX-License-Identifier: MIT
// K-FAC and EK-FAC in float64, straight from their formulas: one layer without a bias, whose captures are
// those that training.hpp makes of its gradient. Without the clip, which depends on all layers of a step
// (kfac_test.cpp).
#pragma once

#include "optim/reference.hpp"
#include "optim/training.hpp"

namespace heron::test {

class KfacReference : public Reference {
public:
    KfacReference(const KfacOptions& options, std::uint64_t rows, std::uint64_t cols)
        : o_(options), rows_(rows), cols_(cols) {}

    void step(std::vector<double>& w, const std::vector<double>& gradient, std::uint64_t t) override {
        const std::vector<float> floats(gradient.begin(), gradient.end());
        const Matrix g = matrix_of(gradient, rows_, cols_);
        const Matrix a = matrix_of(doubles(captured_inputs(floats, cols_)), kCaptures, cols_);
        const Matrix s = matrix_of(doubles(captured_output_gradients(floats, rows_)), kCaptures, rows_);
        const double count = kCaptures;
        const double damping = static_cast<double>(o_.damping) * o_.damping_schedule.factor(t);
        const std::uint64_t k = t - 1;
        double decay = o_.factor_decay * o_.factor_decay_schedule.factor(t);
        if (o_.method != KfacMethod::batch && k % o_.factor_interval == 0) {
            const std::uint64_t renewals = k / o_.factor_interval + 1;
            double of_factors = decay;
            if (o_.warm_factors) of_factors = std::min(decay, 1 - 1 / static_cast<double>(renewals));
            // The loss is a mean over the batch.
            keep("A", of_factors * get("A", cols_, cols_) + (1 - of_factors) * a.transpose() * a / count);
            keep("S", of_factors * get("S", rows_, rows_) + (1 - of_factors) * count * s.transpose() * s);
        }
        const bool batch = o_.method == KfacMethod::batch;
        if (batch) {
            keep("A", a.transpose() * a / count);
            keep("S", count * s.transpose() * s);
        }
        const bool refreshes = batch || k % o_.refresh.interval == 0;
        if (refreshes) refresh(damping);
        const Matrix d = o_.method == KfacMethod::inverse || batch
                             ? Matrix(get("S_inverse", rows_, rows_) * g * get("A_inverse", cols_, cols_))
                             : by_eigenvalues(g, a, s, k, decay, damping, refreshes);
        const double lr = static_cast<double>(o_.lr) * o_.schedule.factor(t);
        const double wd = t > o_.step.decay_from ? static_cast<double>(o_.step.weight_decay) : 0;
        std::vector<double> none(w.size());
        std::vector<double>& b = o_.step.momentum > 0 ? state("momentum", w.size()) : none;
        for (std::size_t i = 0; i < w.size(); ++i) {
            double d_i = d.data()[i];
            if (o_.step.decoupled_decay)
                w[i] *= 1 - lr * wd;
            else
                d_i += wd * w[i];
            b[i] = o_.step.momentum * b[i] + (t == 1 ? 1 : 1 - o_.step.dampening) * d_i;
            w[i] -= lr * (o_.step.nesterov       ? d_i + o_.step.momentum * b[i]
                          : o_.step.momentum > 0 ? b[i]
                                                 : d_i);
        }
    }

private:
    Matrix get(const std::string& name, std::uint64_t rows, std::uint64_t cols) {
        const auto found = states.find(name);
        if (found != states.end()) return matrix_of(found->second, rows, cols);
        return Matrix::Identity(static_cast<Eigen::Index>(rows), static_cast<Eigen::Index>(cols));
    }
    void keep(const std::string& name, const Matrix& value) {
        states[name].assign(value.data(), value.data() + value.size());
    }
    static Matrix identity(const Matrix& like) { return Matrix::Identity(like.rows(), like.rows()); }

    void refresh(double damping) {
        const Matrix a = get("A", cols_, cols_), s = get("S", rows_, rows_);
        const double mean_a = a.trace() / static_cast<double>(cols_),
                     mean_s = s.trace() / static_cast<double>(rows_);
        if (o_.method == KfacMethod::inverse || o_.method == KfacMethod::batch) {
            const auto of = [&](const Matrix& f) {
                if (o_.damping_unit == DampingUnit::absolute || f.trace() == 0) return 1.0;
                return o_.damping_unit == DampingUnit::trace ? f.trace()
                                                             : f.trace() / static_cast<double>(f.rows());
            };
            if (o_.damping_split == DampingSplit::full) {
                keep("A_inverse", inverse(a + damping * of(a) * identity(a)));
                keep("S_inverse", inverse(s + damping * of(s) * identity(s)));
                return;
            }
            if (mean_a == 0 || mean_s == 0) {
                keep("A_inverse", identity(a) / std::sqrt(damping));
                keep("S_inverse", identity(s) / std::sqrt(damping));
                return;
            }
            double root = std::sqrt(damping * of(a) * of(s) / (mean_a * mean_s));
            double alone_a = root, alone_s = root;
            // The other factor carries all of it.
            if (cols_ == 1) alone_a = 0, alone_s = root * root;
            if (rows_ == 1) alone_s = 0, alone_a = root * root;
            // Of two numbers the product carries it.
            if (rows_ == 1 && cols_ == 1) alone_a = alone_s = std::sqrt(1 + root * root) - 1;
            keep("A_inverse", inverse(a + alone_a * mean_a * identity(a)));
            keep("S_inverse", inverse(s + alone_s * mean_s * identity(s)));
            return;
        }
        const SymmetricEigen ea = symmetric_eigen(a), es = symmetric_eigen(s);
        keep("A_vectors", ea.vectors);
        keep("S_vectors", es.vectors);
        keep("A_values", ea.values.cwiseMax(0));
        keep("S_values", es.values.cwiseMax(0));
        if (o_.method == KfacMethod::ekfac)
            keep("moments", es.values.cwiseMax(0) * ea.values.cwiseMax(0).transpose());
    }

    Matrix by_eigenvalues(const Matrix& g, const Matrix& a, const Matrix& s, std::uint64_t k, double decay,
                          double damping, bool refreshes) {
        const Matrix qa = get("A_vectors", cols_, cols_), qs = get("S_vectors", rows_, rows_);
        const Matrix da = get("A_values", cols_, 1), ds = get("S_values", rows_, 1);
        Matrix curvature = ds * da.transpose();
        if (refreshes || !o_.damping_at_refresh) {
            const double sum = curvature.sum();
            const double unit = o_.damping_unit == DampingUnit::absolute ? 1.0
                                : o_.damping_unit == DampingUnit::trace
                                    ? sum
                                    : sum / static_cast<double>(curvature.size());
            states["level"] = {damping * unit};
        }
        if (o_.method == KfacMethod::ekfac) {
            curvature = get("moments", rows_, cols_);
            if (k > 0 && k % o_.moments_interval == 0) {
                const Matrix p = s * qs, r = a * qa;
                const Matrix sums = p.array().square().matrix().transpose() * r.array().square().matrix();
                curvature = decay * curvature + (1 - decay) * static_cast<double>(kCaptures) * sums;
                keep("moments", curvature);
            }
        }
        const Matrix v = (qs.transpose() * g * qa).array() / (curvature.array() + states["level"][0]);
        return qs * v * qa.transpose();
    }

    KfacOptions o_;
    std::uint64_t rows_, cols_;
};

}  // namespace heron::test
