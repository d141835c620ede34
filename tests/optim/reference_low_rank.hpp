// SPDX-License-Identifier: MIT
// GaLore and its relatives in float64.
#pragma once

#include <algorithm>
#include <cmath>
#include <string>
#include <vector>

#include "optim/reference_adafactor.hpp"
#include "optim/reference_elementwise.hpp"
#include "optim/reference_subspace.hpp"

namespace heron::test {

inline Matrix state_matrix(const std::vector<double>& values, Eigen::Index rows, Eigen::Index cols) {
    return matrix_of(values, static_cast<std::uint64_t>(rows), static_cast<std::uint64_t>(cols));
}
inline void store(std::vector<double>& to, const Matrix& from) {
    to.assign(from.data(), from.data() + from.size());
}

// L^T X R, and back; an empty matrix leaves its side alone.
struct ReferenceBasis {
    Matrix left, right;
    Matrix project(const Matrix& x) const {
        Matrix low = left.size() > 0 ? Matrix(left.transpose() * x) : x;
        return right.size() > 0 ? Matrix(low * right) : low;
    }
    Matrix expand(const Matrix& low) const {
        Matrix x = left.size() > 0 ? Matrix(left * low) : low;
        return right.size() > 0 ? Matrix(x * right.transpose()) : x;
    }
};

class GaLoreReference : public Reference {
public:
    GaLoreReference(const GaLoreOptions& options, const Shape& shape, std::uint32_t phase = 0)
        : o_(options), shape_(shape), phase_(phase) {}

    void step(std::vector<double>& w, const std::vector<double>& g, std::uint64_t t) override {
        const double lr = static_cast<double>(o_.lr) * o_.schedule.factor(t);
        const double decay = lr * static_cast<double>(o_.weight_decay);
        if (o_.rank == 0 || shape_.rank() < 2) {
            const Matrix x = matrix_of(g, 1, g.size());
            apply(w, direction(x, t), lr, decay, 1);
            return;
        }
        const MatrixShape s(shape_);
        const Matrix gradient = matrix_of(g, s.rows, s.cols);
        const ReferenceBasis basis = bases(gradient, t);
        const Matrix back = basis.expand(direction(basis.project(gradient), t));
        apply(w, back, lr, decay, static_cast<double>(o_.scale));
    }

protected:
    virtual bool refreshes(std::uint64_t t) const {
        return t == 1 || (t - 1) % o_.refresh.interval == phase_;
    }

    // In use at step t.
    ReferenceBasis bases(const Matrix& gradient, std::uint64_t t) {
        const MatrixShape s(shape_);
        const Eigen::Index r = std::min<Eigen::Index>(o_.rank, s.short_side());
        const bool full = o_.projection == GaLoreProjection::full;
        const bool right =
            full || o_.projection == GaLoreProjection::right ||
            o_.projection == (s.tall() ? GaLoreProjection::standard : GaLoreProjection::reverse);
        ReferenceBasis basis;
        if (full || !right) basis.left = stored("left", gradient.rows(), r);
        if (right) basis.right = stored("right", gradient.cols(), r);
        if (!refreshes(t) || gradient.isZero(0)) return basis;
        const ThinSvd svd = thin_svd(gradient);
        const ReferenceBasis next{aligned(svd.u, basis.left), aligned(svd.v, basis.right)};
        if (o_.moments == GaLoreMoments::rotate) rotate(basis, next);
        if (next.left.size() > 0) store(states["left"], next.left);
        if (next.right.size() > 0) store(states["right"], next.right);
        return next;
    }

    // The inner optimizer's N; of Adafactor with the rate in it.
    Matrix direction(const Matrix& low, std::uint64_t t) {
        const std::size_t count = static_cast<std::size_t>(low.size());
        Matrix result(low.rows(), low.cols());
        if (o_.inner == GaLoreInner::adafactor) {
            const bool is_matrix = o_.rank > 0 && shape_.rank() >= 2;
            const AdafactorOptions options{.lr = o_.lr,
                                           .form = AdafactorForm::transformers,
                                           .rate = AdafactorRate::constant,
                                           .scale_parameter = false,
                                           .decay = o_.adafactor_decay,
                                           .beta1 = o_.beta1,
                                           .eps1 = o_.adafactor_eps,
                                           .clip_threshold = o_.clip_threshold,
                                           .schedule = o_.schedule};
            AdafactorReference inner(options, is_matrix ? Shape{static_cast<std::uint64_t>(low.rows()),
                                                                static_cast<std::uint64_t>(low.cols())}
                                                        : shape_);
            inner.states = states;
            std::vector<double> x(count, 0.0), l(low.data(), low.data() + low.size());
            inner.step(x, l, t);
            states = inner.states;
            for (std::size_t i = 0; i < count; ++i) result.data()[i] = -x[i];
            return result;
        }
        const double time = static_cast<double>(t);
        std::vector<double>& m = state("m", count);
        std::vector<double>* v = o_.inner == GaLoreInner::adamw ? &state("v", count) : nullptr;
        const double c =
            o_.bias_correction ? std::sqrt(1 - std::pow(o_.beta2, time)) / (1 - std::pow(o_.beta1, time)) : 1;
        for (std::size_t i = 0; i < count; ++i) {
            const double x = low.data()[i];
            if (v == nullptr) {
                result.data()[i] = o_.beta1 * m[i] + (1 - o_.beta1) * x;
                m[i] = o_.beta2 * m[i] + (1 - o_.beta2) * x;
                continue;
            }
            m[i] = o_.beta1 * m[i] + (1 - o_.beta1) * x;
            (*v)[i] = o_.beta2 * (*v)[i] + (1 - o_.beta2) * x * x;
            const double denominator = std::sqrt((*v)[i]) + static_cast<double>(o_.eps);
            result.data()[i] = denominator > 0 ? c * m[i] / denominator : 0;
        }
        return result;
    }

    void apply(std::vector<double>& w, const Matrix& back, double lr, double decay, double scale) const {
        for (std::size_t i = 0; i < w.size(); ++i) {
            const double x = back.data()[i];
            if (o_.inner == GaLoreInner::adafactor)
                w[i] = (1 - decay) * w[i] - scale * x;
            else
                decay_after(w[i], lr * (o_.inner == GaLoreInner::lion ? sign_of(x) : scale * x), decay);
        }
    }

    Matrix stored(const std::string& name, Eigen::Index rows, Eigen::Index cols) {
        return state_matrix(state(name, static_cast<std::size_t>(rows * cols)), rows, cols);
    }

    GaLoreOptions o_;
    Shape shape_;
    std::uint32_t phase_;

private:
    // The first vectors, on the side of those before.
    static Matrix aligned(const Matrix& found, const Matrix& before) {
        if (before.size() == 0) return {};
        Matrix result = found.leftCols(before.cols());
        for (Eigen::Index j = 0; j < result.cols(); ++j)
            if (result.col(j).dot(before.col(j)) < 0) result.col(j) *= -1;
        return result;
    }

    void rotate(const ReferenceBasis& basis, const ReferenceBasis& next) {
        ReferenceBasis by, squares;
        if (basis.left.size() > 0) by.left = basis.left.transpose() * next.left;
        if (basis.right.size() > 0) by.right = basis.right.transpose() * next.right;
        squares.left = by.left.cwiseProduct(by.left);
        squares.right = by.right.cwiseProduct(by.right);
        const MatrixShape s(shape_);
        const Eigen::Index rows = by.left.size() > 0 ? by.left.rows() : static_cast<Eigen::Index>(s.rows);
        const Eigen::Index cols = by.right.size() > 0 ? by.right.rows() : static_cast<Eigen::Index>(s.cols);
        store(states["m"], by.project(stored("m", rows, cols)));
        if (o_.inner == GaLoreInner::adamw) store(states["v"], squares.project(stored("v", rows, cols)));
    }
};

}  // namespace heron::test
