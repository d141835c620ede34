// SPDX-License-Identifier: MIT
// MKOR in float64, straight from its formulas.
#pragma once

#include "optim/reference_layer.hpp"

namespace heron::test {

// P after a refresh with the mean v in step t, from 1.
inline Matrix mkor_renewed(const MkorOptions& o, const Matrix& p, const Matrix& v, std::uint64_t t) {
    const Matrix identity = Matrix::Identity(p.rows(), p.rows());
    const double gamma = static_cast<double>(static_cast<float>(o.factor_decay));
    if (o.recurrence == MkorRecurrence::published) {
        if (t == 1) return p;
        const Matrix blended = 0.95 * p + 0.05 * identity, y = blended * v;
        return blended - (y * y.transpose()) / (1 + (v.transpose() * y)(0, 0));
    }
    const bool blends = p.cwiseAbs().rowwise().sum().maxCoeff() > static_cast<double>(o.norm_threshold);
    const Matrix blended = blends ? Matrix(o.blend * p + (1 - o.blend) * identity) : p, y = blended * v;
    const double q = (v.transpose() * y)(0, 0);
    if (o.recurrence == MkorRecurrence::printed)
        return gamma * blended +
               ((1 - gamma) / (gamma * gamma * (1 + gamma * (1 - gamma) * q))) * (y * y.transpose());
    return blended / gamma -
           ((1 - gamma) / (gamma * gamma) / (1 + (1 - gamma) / gamma * q)) * (y * y.transpose());
}

inline bool mkor_refreshes(const MkorOptions& o, std::uint64_t t) {
    return (t - 1) % o.refresh.interval == 0 || t - 1 < o.warmup_steps;
}

// Mean over the rows of factor x, cut to +-clip.
inline Matrix mkor_mean(const MkorOptions& o, const Matrix& rows, double factor) {
    const double clip = static_cast<double>(o.clip);
    Matrix mean = Matrix::Zero(rows.cols(), 1);
    for (Eigen::Index r = 0; r < rows.rows(); ++r)
        for (Eigen::Index c = 0; c < rows.cols(); ++c)
            mean(c, 0) += std::clamp(factor * rows(r, c), -clip, clip) / static_cast<double>(rows.rows());
    return mean;
}

class MkorReference : public LayerReference {
public:
    MkorReference(const MkorOptions& options, std::uint64_t rows, std::uint64_t cols)
        : LayerReference(options.step, rows, cols), o_(options) {}

    void step(std::vector<double>& w, const std::vector<double>& gradient, std::uint64_t t) override {
        if (mkor_refreshes(o_, t)) {
            keep("R_inverse",
                 mkor_renewed(o_, square("R_inverse", cols_), mkor_mean(o_, inputs(gradient), 1), t));
            keep("L_inverse", mkor_renewed(o_, square("L_inverse", rows_),
                                           mkor_mean(o_, output_gradients(gradient), kCaptures), t));
        }
        const Matrix g = matrix_of(gradient, rows_, cols_);
        Matrix d = square("L_inverse", rows_) * g * square("R_inverse", cols_);
        d = d.norm() > 0 ? Matrix(d * (g.norm() / d.norm())) : g;
        const double lr = static_cast<double>(o_.lr) * o_.schedule.factor(t);
        if (o_.base == MkorBase::sgd) return sgd_step(w, d, lr, t);
        std::vector<double>&m = state("m", w.size()), &v = state("v", w.size());
        const double time = static_cast<double>(t);
        for (std::size_t i = 0; i < w.size(); ++i) {
            const double x = d.data()[i] + static_cast<double>(o_.step.weight_decay) * w[i];
            m[i] = o_.beta1 * m[i] + (1 - o_.beta1) * x;
            v[i] = o_.beta2 * v[i] + (1 - o_.beta2) * x * x;
            const double root = std::sqrt(v[i] / (1 - std::pow(o_.beta2, time)));
            const double denominator = root + static_cast<double>(o_.eps);
            if (denominator > 0) w[i] -= lr * (m[i] / (1 - std::pow(o_.beta1, time))) / denominator;
        }
    }

private:
    MkorOptions o_;
};

}  // namespace heron::test
