// SPDX-License-Identifier: MIT
// SINGD, IKFAC and INGD in float64, straight from their formulas.
#pragma once

#include "optim/reference_layer.hpp"
#include "support/structure_reference.hpp"

namespace heron::test {

// Factors of one matrix, as full matrices.
struct SingdFactors {
    Matrix k, c, momentum_k, momentum_c;

    SingdFactors(Eigen::Index inputs, Eigen::Index outputs)
        : k(Matrix::Identity(inputs, inputs)),
          c(Matrix::Identity(outputs, outputs)),
          momentum_k(Matrix::Zero(inputs, inputs)),
          momentum_c(Matrix::Zero(outputs, outputs)) {}

    // U and V: the statistics; step t, from 1.
    void move(const SingdOptions& o, const Matrix& u, const Matrix& v, std::uint64_t t,
              const DampingScales& scales = {}) {
        const auto mean_diagonal = [](const Matrix& x) { return x.trace() / static_cast<double>(x.rows()); };
        const Matrix h_k = projection(o.inputs, k.transpose() * u * k),
                     h_c = projection(o.outputs, c.transpose() * v * c);
        const Matrix gram_k = projection(o.inputs, k.transpose() * k),
                     gram_c = projection(o.outputs, c.transpose() * c);
        const double sigma = o.normalize_lr_cov ? (1 - o.alpha1) / 2 : 0.5;
        const auto moved = [&](Matrix& factor, Matrix& momentum, const Matrix& h, const Matrix& gram,
                               double t_h, double t_gram, double damping) {
            momentum =
                sigma * (t_h * h + damping * t_gram * gram - Matrix::Identity(factor.rows(), factor.rows())) +
                o.alpha1 * momentum;
            double beta = static_cast<double>(o.lr_cov) * o.lr_cov_schedule.factor(t);
            if (o.normalize_lr_cov) beta /= std::max(1.0, momentum.cwiseAbs().maxCoeff());
            factor -= beta * (factor * momentum);
        };
        const double h_of_c = mean_diagonal(h_c), h_of_k = mean_diagonal(h_k),
                     gram_of_c = mean_diagonal(gram_c), gram_of_k = mean_diagonal(gram_k);
        const double inputs = static_cast<double>(scales.inputs),
                     outputs = static_cast<double>(scales.outputs);
        if (o.kfac_like) {
            moved(k, momentum_k, h_k, gram_k, 1, 1, o.damping * inputs);
            moved(c, momentum_c, h_c, gram_c, 1, 1, o.damping * outputs);
        } else {
            moved(k, momentum_k, h_k, gram_k, h_of_c, gram_of_c, o.damping * inputs * outputs);
            moved(c, momentum_c, h_c, gram_c, h_of_k, gram_of_k, o.damping * inputs * outputs);
        }
    }
    Matrix direction(const Matrix& g) const { return c * c.transpose() * g * k * k.transpose(); }
};

class SingdReference : public LayerReference {
public:
    SingdReference(const SingdOptions& options, std::uint64_t rows, std::uint64_t cols)
        : LayerReference(options.step, rows, cols), o_(options) {}

    void step(std::vector<double>& w, const std::vector<double>& gradient, std::uint64_t t) override {
        SingdFactors factors(static_cast<Eigen::Index>(cols_), static_cast<Eigen::Index>(rows_));
        const auto each = [&](auto function) {
            function("K", o_.inputs, factors.k);
            function("C", o_.outputs, factors.c);
            if (o_.alpha1 == 0) return;
            function("K_momentum", o_.inputs, factors.momentum_k);
            function("C_momentum", o_.outputs, factors.momentum_c);
        };
        each([&](const char* name, const MatrixStructure& s, Matrix& value) {
            const auto found = states.find(name);
            if (found != states.end()) value = from_stored(s, value.rows(), found->second);
        });
        if ((t - 1) % o_.refresh.interval == 0) {
            const Matrix a = inputs(gradient), s = output_gradients(gradient);
            const double count = kCaptures;
            factors.move(o_, a.transpose() * a / count, count * (s.transpose() * s), t);
            each([&](const char* name, const MatrixStructure& structure, Matrix& value) {
                states[name] = to_stored(structure, value);
            });
        }
        sgd_step(w, factors.direction(matrix_of(gradient, rows_, cols_)),
                 static_cast<double>(o_.lr) * o_.schedule.factor(t), t);
    }

private:
    SingdOptions o_;
};

}  // namespace heron::test
