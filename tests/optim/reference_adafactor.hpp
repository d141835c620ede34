// SPDX-License-Identifier: MIT
// Adafactor in float64.
#pragma once

#include "optim/reference.hpp"

namespace heron::test {

class AdafactorReference : public Reference {
public:
    AdafactorReference(const AdafactorOptions& options, const Shape& shape) : o_(options) {
        const std::size_t rank = shape.rank();
        vector_ = rank < 2;
        if (vector_) return;
        rows_ = shape[rank - 2];
        cols_ = shape[rank - 1];
        for (std::size_t axis = 0; axis + 2 < rank; ++axis) items_ *= shape[axis];
    }

    // a, at `lr` times its schedule.
    static double rate(const AdafactorOptions& o, double lr, const std::vector<double>& w, std::uint64_t t) {
        const double time = static_cast<double>(t);
        double a = o.rate == AdafactorRate::warmup ? 1e-4 * lr * time : lr;
        if (o.rate != AdafactorRate::constant) a = std::min(a, 1 / std::sqrt(time));
        if (o.scale_parameter) a *= std::max(static_cast<double>(o.eps2), root_mean_square(w));
        return a;
    }

    void step(std::vector<double>& w, const std::vector<double>& g, std::uint64_t t) override {
        const bool torch = o_.form == AdafactorForm::torch;
        const double time = static_cast<double>(t), om = std::pow(time, o_.decay);
        const double lr = static_cast<double>(o_.lr) * o_.schedule.factor(t);
        const double eps1 = static_cast<double>(o_.eps1), added = torch ? 0 : eps1;
        const double rate = AdafactorReference::rate(o_, lr, w, t);

        std::vector<double> u(w.size());
        const auto divide = [&](std::size_t i, double second) {
            const double root = torch ? std::max(std::sqrt(second), eps1) : std::sqrt(second);
            u[i] = root > 0 ? g[i] / root : 0;
        };
        if (vector_) {
            std::vector<double>& v = state("v", w.size());
            for (std::size_t i = 0; i < w.size(); ++i) {
                v[i] += om * (g[i] * g[i] + added - v[i]);
                divide(i, v[i]);
            }
        } else {
            std::vector<double>&row = state("row", items_ * rows_), &col = state("col", items_ * cols_);
            for (std::size_t b = 0; b < items_; ++b) {
                const double* gb = g.data() + b * rows_ * cols_;
                double *r = row.data() + b * rows_, *c = col.data() + b * cols_, mean = 0;
                for (std::size_t i = 0; i < rows_; ++i) {
                    double sum = 0;
                    for (std::size_t j = 0; j < cols_; ++j) sum += gb[i * cols_ + j] * gb[i * cols_ + j];
                    r[i] += om * (sum / static_cast<double>(cols_) + added - r[i]);
                    mean += r[i] / static_cast<double>(rows_);
                }
                for (std::size_t j = 0; j < cols_; ++j) {
                    double sum = 0;
                    for (std::size_t i = 0; i < rows_; ++i) sum += gb[i * cols_ + j] * gb[i * cols_ + j];
                    c[j] += om * (sum / static_cast<double>(rows_) + added - c[j]);
                }
                const double divisor = torch ? std::max(mean, eps1) : mean;
                for (std::size_t i = 0; i < rows_; ++i)
                    for (std::size_t j = 0; j < cols_; ++j)
                        divide((b * rows_ + i) * cols_ + j, r[i] * c[j] / divisor);
            }
        }
        const double size =
            rate / std::max(1.0, root_mean_square(u) / static_cast<double>(o_.clip_threshold));
        for (std::size_t i = 0; i < w.size(); ++i) {
            double x = size * u[i];
            if (o_.beta1 > 0) {
                double& m = state("m", w.size())[i];
                m = x = o_.beta1 * m + (1 - o_.beta1) * x;
            }
            w[i] = (1 - (torch ? lr : rate) * static_cast<double>(o_.weight_decay)) * w[i] - x;
        }
    }

private:
    static double root_mean_square(const std::vector<double>& x) {
        double sum = 0;
        for (const double value : x) sum += value * value;
        return std::sqrt(sum / static_cast<double>(x.size()));
    }

    AdafactorOptions o_;
    bool vector_ = false;
    std::size_t items_ = 1, rows_ = 1, cols_ = 1;
};

}  // namespace heron::test
