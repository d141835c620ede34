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
        const double lr = rate(w, t);
        const double decay = lr * static_cast<double>(o_.weight_decay);
        if (o_.rank == 0 || shape_.rank() < 2) {
            const Matrix x = matrix_of(g, 1, g.size());
            apply(w, direction(x, t, lr), lr, decay, 1);
            return;
        }
        const MatrixShape s(shape_);
        const Matrix gradient = matrix_of(g, s.rows, s.cols);
        const ReferenceBasis basis = bases(gradient, t);
        const Matrix low = basis.project(gradient);
        const Matrix back = basis.expand(direction(transform(low, t), t, lr));
        apply(w, back, lr, decay, static_cast<double>(o_.scale));
        move(gradient, low, basis, t);
    }

protected:
    virtual bool refreshes(std::uint64_t t) const {
        return t == 1 || (t - 1) % o_.refresh.interval == phase_;
    }

    // What the inner optimizer sees of a projected gradient.
    virtual Matrix transform(const Matrix& low, std::uint64_t /*t*/) { return low; }
    // After the step: bases that move.
    virtual void move(const Matrix& /*gradient*/, const Matrix& /*low*/, const ReferenceBasis& /*basis*/,
                      std::uint64_t /*t*/) {}

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
        ReferenceBasis next{aligned(svd.u, basis.left), aligned(svd.v, basis.right)};
        if (o_.moments == GaLoreMoments::rotate) rotate(basis, next);
        if (next.left.size() > 0) store(states["left"], next.left);
        if (next.right.size() > 0) store(states["right"], next.right);
        return next;
    }

    double rate(const std::vector<double>& w, std::uint64_t t) const {
        const double lr = static_cast<double>(o_.lr) * o_.schedule.factor(t);
        if (o_.inner != GaLoreInner::adafactor) return lr;
        const AdafactorOptions options{
            .rate = o_.adafactor_rate, .scale_parameter = o_.scale_parameter, .eps2 = o_.adafactor_eps2};
        return AdafactorReference::rate(options, lr, w, t);
    }

    // The inner optimizer's N; of Adafactor with the rate in it.
    Matrix direction(const Matrix& low, std::uint64_t t, double lr) {
        const std::size_t count = static_cast<std::size_t>(low.size());
        Matrix result(low.rows(), low.cols());
        if (o_.inner == GaLoreInner::adafactor) {
            const bool is_matrix = o_.rank > 0 && shape_.rank() >= 2;
            const AdafactorOptions options{.lr = static_cast<float>(lr),
                                           .form = AdafactorForm::transformers,
                                           .rate = AdafactorRate::constant,
                                           .scale_parameter = false,
                                           .decay = o_.adafactor_decay,
                                           .beta1 = o_.beta1,
                                           .eps1 = o_.adafactor_eps,
                                           .clip_threshold = o_.clip_threshold};
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

// Moves bases by gradients of what they leave of G, in float64, straight from the loss: of F = G - A G B, A =
// L L^T and B = R R^T or the identity, |F|^2 changes with A by -2 <F B G^T, dA>.
class SubspaceDescentReference : public GaLoreReference {
public:
    // Without `descends` GaLore's.
    SubspaceDescentReference(const GaLoreOptions& options, const SubspaceDescentOptions& descent,
                             const Shape& shape, bool descends = true)
        : GaLoreReference(options, shape), d_(descent), descends_(descends) {}

protected:
    bool refreshes(std::uint64_t t) const override {
        return descends_ ? t == 1 : GaLoreReference::refreshes(t);
    }

    void move(const Matrix& gradient, const Matrix& /*low*/, const ReferenceBasis& basis,
              std::uint64_t t) override {
        if (!descends_ || t == 1 || gradient.isZero(0)) return;
        const Matrix g = gradient / gradient.norm();
        const Matrix a = basis.left.size() > 0 ? Matrix(basis.left * basis.left.transpose())
                                               : Matrix(Matrix::Identity(g.rows(), g.rows()));
        const Matrix b = basis.right.size() > 0 ? Matrix(basis.right * basis.right.transpose())
                                                : Matrix(Matrix::Identity(g.cols(), g.cols()));
        const Matrix f = g - a * g * b;
        if (basis.left.size() > 0) {
            const Matrix by_a = f * b * g.transpose();
            step_of("left", basis.left, -2 * Matrix((by_a + by_a.transpose()) * basis.left), t);
        }
        if (basis.right.size() > 0) {
            const Matrix by_b = f.transpose() * a * g;
            step_of("right", basis.right, -2 * Matrix((by_b + by_b.transpose()) * basis.right), t);
        }
    }

private:
    void step_of(const std::string& name, const Matrix& basis, const Matrix& loss, std::uint64_t t) {
        const Eigen::Index r = basis.cols();
        const Matrix s = basis.transpose() * basis;
        const Matrix pull = basis * Matrix(s - Matrix::Identity(r, r));
        const Matrix q = loss + 4 * static_cast<double>(d_.orthogonality) * pull;
        const double rate = static_cast<double>(d_.rate) * o_.schedule.factor(t);
        const double steps = static_cast<double>(t - 1);
        const double kept =
            d_.rule == SubspaceRule::sgd ? 1 : 1 - rate * static_cast<double>(d_.weight_decay);
        const std::size_t count = static_cast<std::size_t>(q.size());
        Matrix next = basis;
        for (std::size_t i = 0; i < count; ++i) {
            const double x = q.data()[i];
            double update = x;
            if (d_.rule != SubspaceRule::sgd) {
                double& m = state(name + "_m", count)[i];
                if (d_.rule == SubspaceRule::lion) {
                    update = sign_of(d_.beta1 * m + (1 - d_.beta1) * x);
                    m = d_.beta2 * m + (1 - d_.beta2) * x;
                } else {
                    double& v = state(name + "_v", count)[i];
                    m = d_.beta1 * m + (1 - d_.beta1) * x;
                    v = d_.beta2 * v + (1 - d_.beta2) * x * x;
                    const double root = std::sqrt(v / (1 - std::pow(d_.beta2, steps)));
                    update = m / (1 - std::pow(d_.beta1, steps)) / (root + static_cast<double>(d_.eps));
                }
            }
            next.data()[i] = kept * next.data()[i] - rate * update;
        }
        store(states[name], next);
    }

    SubspaceDescentOptions d_;
    bool descends_;
};

// What Online Subspace Descent and Natural GaLore have of GaLore.
template <class Options>
GaLoreOptions galore_options(const Options& o) {
    GaLoreOptions options{.rank = o.rank,
                          .lr = o.lr,
                          .beta1 = o.beta1,
                          .beta2 = o.beta2,
                          .eps = o.eps,
                          .weight_decay = o.weight_decay,
                          .bias_correction = o.bias_correction,
                          .scale = o.scale,
                          .schedule = o.schedule};
    options.inner = o.inner;
    if constexpr (requires { o.form; }) {
        if (o.form == NaturalGaLoreForm::core) options.projection = GaLoreProjection::full;
        options.refresh = o.refresh;
        options.moments = o.moments;
    } else {
        options.projection = o.projection;
    }
    return options;
}

// The history begins empty.
class NaturalGaLoreReference : public SubspaceDescentReference {
public:
    NaturalGaLoreReference(const NaturalGaLoreOptions& options, const Shape& shape)
        : SubspaceDescentReference(galore_options(options), options.descent, shape,
                                   options.basis == NaturalGaLoreBasis::descent),
          n_(options) {}

protected:
    // (lambda I + H H^T)^-1 l as H (lambda I + H^T H)^-1 e: form 1 loses nothing.
    Matrix transform(const Matrix& low, std::uint64_t /*t*/) override {
        if (n_.history == 0) return low;
        rows_.push_back(matrix_of({low.data(), static_cast<std::size_t>(low.size())}, 1,
                                  static_cast<std::uint64_t>(low.size())));
        if (rows_.size() > n_.history) rows_.erase(rows_.begin());
        const Eigen::Index s = static_cast<Eigen::Index>(rows_.size());
        Matrix h(s, low.size()), newest = Matrix::Zero(s, 1);
        for (Eigen::Index i = 0; i < s; ++i) h.row(i) = rows_[static_cast<std::size_t>(i)];
        newest(s - 1, 0) = 1;
        Matrix system = h * h.transpose();
        system.diagonal().array() += static_cast<double>(n_.lambda);
        const Matrix x = h.transpose() * solve_symmetric(system, newest);
        return matrix_of({x.data(), static_cast<std::size_t>(x.size())},
                         static_cast<std::uint64_t>(low.rows()), static_cast<std::uint64_t>(low.cols()));
    }

private:
    NaturalGaLoreOptions n_;
    std::vector<Matrix> rows_;
};

}  // namespace heron::test
