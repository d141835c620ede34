// SPDX-License-Identifier: MIT
// PSGD with Kronecker factors, and kron_torch's form of it, in float64, straight from their formulas.
#pragma once

#include <algorithm>
#include <cmath>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "optim/chance_draw.hpp"
#include "optim/reference.hpp"
#include "optim/refresh.hpp"
#include "optim/training.hpp"
#include "support/philox.hpp"

namespace heron::test {

// Where the reference's random numbers come from.
class PsgdDraws {
public:
    virtual ~PsgdDraws() = default;
    // The noise of step t.
    virtual std::vector<double> noise(std::uint64_t t, std::size_t count) = 0;
    // What a power iteration begins with: its number (`block`) in the fit of a factor.
    virtual std::vector<double> vectors(std::uint64_t t, std::size_t factor, std::size_t block,
                                        std::size_t count) = 0;

    std::string optimizer;  // whose they are
};

// Normal numbers of the library, with seed 0, of the first parameter of this size.
inline std::vector<double> library_normals(std::uint32_t stream, std::size_t elements, std::uint64_t t,
                                           std::size_t first, std::size_t count) {
    std::vector<double> result;
    for (std::size_t i = first; i < first + count; ++i) {
        const PhiloxBlock words = philox({static_cast<std::uint32_t>(i / 4), static_cast<std::uint32_t>(t),
                                          static_cast<std::uint32_t>(elements), stream},
                                         0, 0);
        const std::uint32_t radius = words[i % 4 < 2 ? 0 : 2], angle = words[i % 4 < 2 ? 1 : 3];
        const double r = std::sqrt(-2 * std::log(((radius >> 8) + 1) * 0x1p-24));
        const double a = (((angle >> 6) & 0xffffffu) * 0x1p-24 - 0.5 + (angle >> 30)) * 1.5707963267948966;
        result.push_back(r * (i % 2 == 0 ? std::cos(a) : std::sin(a)));
    }
    return result;
}

// The library's.
class LibraryDraws : public PsgdDraws {
public:
    // `dense`: orders of the factors, 0 for diagonals.
    LibraryDraws(std::size_t elements, std::vector<std::size_t> dense, std::size_t rows, std::size_t blocks)
        : elements_(elements), dense_(std::move(dense)), rows_(rows), blocks_(blocks) {}

    std::vector<double> noise(std::uint64_t t, std::size_t count) override { return numbers(t, 0, count); }
    std::vector<double> vectors(std::uint64_t t, std::size_t factor, std::size_t block,
                                std::size_t count) override {
        std::size_t first = elements_;
        for (std::size_t f = 0; f < factor; ++f) first += blocks_ * rows_ * dense_[f];
        return numbers(t, first + block * rows_ * dense_[factor], count);
    }

private:
    std::vector<double> numbers(std::uint64_t t, std::size_t first, std::size_t count) const {
        return library_normals(key_of(optimizer), elements_, t, first, count);
    }
    std::size_t elements_;
    std::vector<std::size_t> dense_;
    std::size_t rows_, blocks_;
};

// A tensor and its factors.
class KronFactors {
public:
    std::vector<std::uint64_t> extents;
    std::vector<bool> dense;
    std::vector<Matrix> q;  // diagonals as columns

    // Orders of the matrices, 0 for diagonals.
    std::vector<std::size_t> orders() const {
        std::vector<std::size_t> result;
        for (std::size_t a = 0; a < extents.size(); ++a) result.push_back(dense[a] ? extents[a] : 0);
        return result;
    }
    std::size_t count() const {
        std::size_t n = 1;
        for (const std::uint64_t d : extents) n *= d;
        return n;
    }
    // An axis' places as rows.
    Matrix unfolded(const std::vector<double>& x, std::size_t axis) const {
        const std::size_t d = extents[axis], inner = inner_of(axis);
        Matrix result(d, x.size() / d);
        for (std::size_t i = 0; i < x.size(); ++i)
            result(i / inner % d, i / (inner * d) * inner + i % inner) = x[i];
        return result;
    }
    std::vector<double> folded(const Matrix& x, std::size_t axis) const {
        const std::size_t d = extents[axis], inner = inner_of(axis);
        std::vector<double> result(static_cast<std::size_t>(x.size()));
        for (std::size_t i = 0; i < result.size(); ++i)
            result[i] = x(i / inner % d, i / (inner * d) * inner + i % inner);
        return result;
    }
    std::vector<double> apply(const std::vector<double>& x, std::size_t axis, bool transposed) const {
        const Matrix from = unfolded(x, axis);
        if (!dense[axis]) return folded(Matrix(q[axis].col(0).asDiagonal() * from.eval()), axis);
        return folded(transposed ? Matrix(q[axis].transpose()) * from : q[axis] * from, axis);
    }
    std::vector<double> apply_all(std::vector<double> x, bool twice) const {
        for (std::size_t a = 0; a < extents.size(); ++a) {
            x = apply(x, a, false);
            if (twice) x = apply(x, a, true);
        }
        return x;
    }
    std::vector<double> solve_all(std::vector<double> x) const {  // Q^-T
        for (std::size_t a = 0; a < extents.size(); ++a) {
            const Matrix full = dense[a] ? q[a] : Matrix(q[a].col(0).asDiagonal());
            x = folded(Matrix(inverse(full).transpose()) * unfolded(x, a), a);
        }
        return x;
    }
    Matrix gram(const std::vector<double>& x, std::size_t axis) const {
        const Matrix u = unfolded(x, axis);
        if (!dense[axis]) return Matrix(u.rowwise().squaredNorm());
        return u * u.transpose();
    }
    void balance() {
        if (q.size() < 2) return;
        double mean = 1;
        for (const Matrix& f : q)
            mean *= std::pow(f.cwiseAbs().maxCoeff(), 1.0 / static_cast<double>(q.size()));
        for (Matrix& f : q) f *= mean / f.cwiseAbs().maxCoeff();
    }

private:
    std::size_t inner_of(std::size_t axis) const {
        std::size_t inner = 1;
        for (std::size_t a = axis + 1; a < extents.size(); ++a) inner *= extents[a];
        return inner;
    }
};

class KronReference : public Reference {
protected:
    // States to factors and back.
    void load(KronFactors& f, double scale) {
        f.q.clear();
        for (std::size_t a = 0; a < f.extents.size(); ++a) {
            const std::size_t d = f.extents[a], cols = f.dense[a] ? d : 1;
            std::vector<double>& values = states["Q" + std::to_string(a)];
            Matrix q(d, cols);
            if (values.empty())
                q = f.dense[a] ? Matrix(scale * Matrix::Identity(d, d)) : Matrix::Constant(d, 1, scale);
            else
                std::copy(values.begin(), values.end(), q.data());
            f.q.push_back(q);
        }
    }
    void store(const KronFactors& f) {
        for (std::size_t a = 0; a < f.extents.size(); ++a)
            states["Q" + std::to_string(a)].assign(f.q[a].data(), f.q[a].data() + f.q[a].size());
    }
    static double rms(const std::vector<double>& x) {
        double sum = 0;
        for (const double v : x) sum += v * v;
        return std::sqrt(sum / static_cast<double>(x.size()));
    }
};

class PsgdReference : public KronReference {
public:
    // Draws of the library unless others are given.
    PsgdReference(const PsgdKronOptions& options, const Shape& shape, std::shared_ptr<PsgdDraws> draws = {})
        : o_(options), draws_(std::move(draws)) {
        optimizer = "psgd_kron";
        for (const std::uint64_t d : shape)
            if (d != 1) f_.extents.push_back(d);
        if (f_.extents.empty()) f_.extents = {1};
        for (const std::uint64_t d : f_.extents)
            f_.dense.push_back(d > 1 && d <= o_.max_order &&
                               static_cast<double>(d * d) <=
                                   o_.max_skew * static_cast<double>(shape.count()));
        const std::size_t blocks = o_.geometry == PsgdGeometry::q05eq15 ? 2
                                   : o_.geometry == PsgdGeometry::pro4p ? 11
                                                                        : 1;
        if (!draws_)
            draws_ = std::make_shared<LibraryDraws>(shape.count(), f_.orders(), o_.bound_rows, blocks);
    }

    // Newton's, of the step to come.
    std::vector<double> probe, product;

    void step(std::vector<double>& w, const std::vector<double>& g, std::uint64_t t) override {
        draws_->optimizer = optimizer;
        const double time = static_cast<double>(t);
        const double size = static_cast<double>(g.size());
        const bool newton = o_.fit == PsgdFit::hessian;
        if (t == 1 && o_.initial_scale == 0) {
            double fourth = 0, squares = 0;
            for (const double x : newton ? product : g) fourth += x * x * x * x / size;
            for (const double v : probe) squares += v * v / size;
            scale_ = std::pow(fourth + std::pow(static_cast<double>(o_.damping), 4), -0.125);
            if (newton) scale_ *= std::pow(squares, 0.25);
            for (std::size_t a = 0; a < f_.extents.size(); ++a) states["Q" + std::to_string(a)].clear();
        } else if (o_.initial_scale > 0) {
            scale_ = static_cast<double>(o_.initial_scale);
        }
        load(f_, std::pow(scale_, (fits_p() ? 2.0 : 1.0) / static_cast<double>(f_.extents.size())));
        std::vector<double> x = g;
        if (o_.momentum > 0) {
            const double b = std::min(1 - 1 / time, o_.momentum);
            std::vector<double>& m = state("momentum", g.size());
            for (std::size_t i = 0; i < g.size(); ++i) m[i] = b * m[i] + (1 - b) * g[i];
            x = m;
        }
        const std::vector<double>& y = newton ? product : o_.fit == PsgdFit::momentum ? x : g;
        if (o_.fit_first) fit(y, t);
        std::vector<double> d = f_.apply_all(x, !fits_p());
        if (!o_.fit_first) fit(y, t);
        clip(d);
        store(f_);
        const double lr = static_cast<double>(o_.lr) * o_.schedule.factor(t);
        for (std::size_t i = 0; i < w.size(); ++i)
            w[i] = (1 - lr * static_cast<double>(o_.weight_decay)) * w[i] - lr * d[i];
    }

private:
    bool fits_p() const { return o_.geometry == PsgdGeometry::pro4p || o_.geometry == PsgdGeometry::quad4p; }
    bool open(float probability, const Schedule& schedule, std::uint32_t chance, std::uint64_t t) const {
        return chance_draw(optimizer, chance, t) < static_cast<double>(probability) * schedule.factor(t);
    }

    void clip(std::vector<double>& d) const {
        const double size = std::sqrt(static_cast<double>(d.size()));
        double factor = 1;
        if (o_.clip_norm > 0)
            factor = std::min(1.0, static_cast<double>(o_.clip_norm) / (rms(d) * size));
        else if (o_.clip_rms > 0)
            factor = std::min(1.0, static_cast<double>(o_.clip_rms) / rms(d));
        const double largest = o_.clip_element > 0 ? static_cast<double>(o_.clip_element) : 1e300;
        for (double& v : d) v = std::clamp(factor * v, -largest, largest);
    }

    // |after| / |before| of the power iteration, in units of f.
    double bound(const Matrix& s, double f, std::uint64_t t, std::size_t factor, std::size_t block) const {
        const std::size_t d = static_cast<std::size_t>(s.rows()), k = o_.bound_rows;
        const std::vector<double> z = draws_->vectors(t, factor, block, k * d);
        if (f == 0) return 0;
        const Matrix n = s / f;
        Eigen::Index row = 0;
        n.rowwise().norm().maxCoeff(&row);
        Matrix v = matrix_of(z, k, d);
        for (Eigen::Index r = 0; r < v.rows(); ++r) {
            const double dot = n.row(row).dot(v.row(r));
            v.row(r) = n.row(row) + (dot > 0 ? 1.0 : dot < 0 ? -1.0 : 0.0) * v.row(r);
        }
        for (int half = 0; half < 2; ++half) {
            v = v * n;
            for (Eigen::Index r = 0; r < v.rows(); ++r) {
                const double norm = v.row(r).norm();
                if (norm > 0) v.row(r) /= norm;
            }
            v = v * n;
        }
        return f * v.rowwise().norm().maxCoeff();
    }

    void fit(const std::vector<double>& y, std::uint64_t t) {
        // Small tensors are all of the first turn.
        const bool turn = refresh_section(o_.refresh, 0, 1).runs(static_cast<std::uint32_t>(t - 1));
        if ((turn && open(o_.update_probability, o_.update_schedule, 0, t)) ||
            (t == 1 && o_.fit == PsgdFit::hessian && o_.initial_scale == 0)) {
            if (o_.geometry == PsgdGeometry::qep) f_.balance();
            fit_factors(y, t);
        }
        if (o_.geometry != PsgdGeometry::qep && open(o_.balance_probability, o_.balance_schedule, 1, t))
            f_.balance();
    }

    void fit_factors(const std::vector<double>& y, std::uint64_t t) {
        const std::vector<double> z = draws_->noise(t, y.size());
        std::vector<double> h = y;
        for (std::size_t i = 0; i < h.size(); ++i)
            h[i] += (static_cast<double>(o_.damping) + 0x1p-23 * std::abs(y[i])) * z[i];
        const bool newton = o_.fit == PsgdFit::hessian, triangular = o_.geometry == PsgdGeometry::eq;
        const std::vector<double> x = triangular ? f_.apply_all(h, false) : f_.apply_all(h, !fits_p());
        std::vector<double> v = newton ? probe : triangular ? z : std::vector<double>();
        if (triangular) v = f_.solve_all(v);
        KronFactors next = f_;
        std::vector<double>& l = state("L", f_.extents.size());
        for (std::size_t a = 0; a < f_.extents.size(); ++a) {
            const bool own = o_.geometry == PsgdGeometry::qep;
            const std::uint64_t others = f_.count() / f_.extents[a];
            const double rest = static_cast<double>(others);
            const Matrix& q = f_.q[a];
            const Matrix t1 = f_.gram(own ? f_.apply(x, a, false) : x, a);
            Matrix t2 = f_.dense[a] ? Matrix(rest * Matrix::Identity(q.rows(), q.rows()))
                                    : Matrix::Constant(q.rows(), 1, rest);
            bool plain = false;  // T2 is added to the bound
            if (!v.empty())
                t2 = f_.gram(own ? f_.apply(v, a, false) : v, a);
            else if (own)
                t2 = f_.dense[a] ? Matrix(rest * (q * Matrix(q.transpose())))
                                 : Matrix(rest * q.cwiseProduct(q));
            else
                plain = f_.dense[a];
            double ell = (t1 + t2).maxCoeff();
            if (f_.dense[a]) {
                const Matrix s = plain ? t1 : Matrix(t1 + t2);
                ell = bound(s, s.diagonal().maxCoeff(), t, a, 0) + (plain ? rest : 0);
            }
            l[a] = std::max(o_.smoothness_decay * l[a] + (1 - o_.smoothness_decay) * ell, ell);
            const double mu = l[a] > 0 ? static_cast<double>(o_.preconditioner_lr) / l[a] : 0;
            next.q[a] = f_.dense[a] ? moved(q, t1 - t2, mu, t, a) : moved_diagonal(q, t1 - t2, mu);
        }
        f_ = next;
    }

    Matrix moved_diagonal(const Matrix& q, const Matrix& e, double mu) const {
        const bool squares = o_.geometry == PsgdGeometry::quad || o_.geometry == PsgdGeometry::quad4p;
        if (o_.geometry == PsgdGeometry::quad) mu /= 2;
        const Eigen::ArrayXXd gain = 1 - mu * e.array();
        return squares ? Matrix((q.array() * gain * gain).matrix()) : Matrix((q.array() * gain).matrix());
    }

    Matrix moved(const Matrix& q, Matrix e, double mu, std::uint64_t t, std::size_t factor) const {
        switch (o_.geometry) {
            case PsgdGeometry::qeq:
                return q - mu * (q * e);
            case PsgdGeometry::eq:
                for (Eigen::Index i = 0; i < e.rows(); ++i)
                    for (Eigen::Index j = 0; j < i; ++j) e(i, j) = 0;
                return q - mu * (e * q);
            case PsgdGeometry::qep:
                return q - mu * (e * q);
            case PsgdGeometry::quad:
            case PsgdGeometry::quad4p: {
                if (o_.geometry == PsgdGeometry::quad) mu /= 2;
                Matrix next = q - mu * (e * q);
                next -= mu * (next * e);
                return 0.5 * (next + next.transpose());
            }
            case PsgdGeometry::q05eq15:
            case PsgdGeometry::pro4p:
                break;
        }
        Matrix next = q - mu * (e * q);
        const bool cubic = o_.geometry == PsgdGeometry::pro4p;
        for (std::size_t turn = 0; turn < (cubic ? 10u : 1u); ++turn) {
            rotate(next, cubic, t, factor, turn);
            if ((next.transpose() - next).cwiseAbs().maxCoeff() < 0.001 * next.cwiseAbs().maxCoeff()) break;
        }
        return next;
    }

    void rotate(Matrix& q, bool cubic, std::uint64_t t, std::size_t factor, std::size_t turn) const {
        Matrix r = q.transpose() - q;
        const double norm = bound(r, r.cwiseAbs().maxCoeff(), t, factor, 1 + turn);
        if (norm == 0) return;
        r /= norm;
        const Matrix rq = r * q, rrq = r * rq, rrrq = r * rrq;
        const double t1 = rq.trace(), t2 = rrq.trace(), t3 = rrrq.trace();
        if (!cubic) {
            const double a = t2 < 0 ? std::min(-t1 / t2, 0.125) : 0.125;
            q += a * (rq + (a / 2) * rrq);
        } else if (t1 > 0 && t3 < 0) {
            const double a = std::min((-t2 - std::sqrt(t2 * t2 - 1.5 * t1 * t3)) / (0.75 * t3), 1.0 / 3);
            q += a * (rq + (a / 2) * (rrq + (a / 4) * rrrq));
        }
    }

    PsgdKronOptions o_;
    std::shared_ptr<PsgdDraws> draws_;
    KronFactors f_;
    double scale_ = 1;
};

// Newton's, with the products that training.hpp makes of gradients, and the probes that the library draws.
class PsgdNewtonReference : public PsgdReference {
public:
    using PsgdReference::PsgdReference;

    void step(std::vector<double>& w, const std::vector<double>& g, std::uint64_t t) override {
        product = doubles(captured_product({g.begin(), g.end()}));
        probe = states["probe"];
        PsgdReference::step(w, g, t);
        states["probe"] = library_normals(key_of(optimizer) + 1, g.size(), t, 0, g.size());
    }
};

class KronTorchReference : public KronReference {
public:
    KronTorchReference(const KronTorchOptions& options, const Shape& shape)
        : o_(options), decays_(shape.rank() >= 2) {
        optimizer = "kron_torch";
        f_.extents.assign(shape.begin(), shape.end());
        if (f_.extents.empty()) f_.extents = {1};
        if (o_.merge_axes && f_.extents.size() > 2) {
            const double n = static_cast<double>(shape.count()), first = static_cast<double>(f_.extents[0]),
                         last = static_cast<double>(f_.extents.back());
            const auto integer = [](double x) { return static_cast<std::uint64_t>(x); };
            if (last - n / last <= n / first - first)
                f_.extents = {integer(n / last), integer(last)};
            else
                f_.extents = {integer(first), integer(n / first)};
        }
        const std::uint64_t longest = *std::max_element(f_.extents.begin(), f_.extents.end());
        for (const std::uint64_t d : f_.extents)
            f_.dense.push_back(d > 1 && d <= o_.max_order && f_.extents.size() >= o_.min_axes &&
                               o_.memory != KronMemory::all_diagonal);
        const auto equal = std::count(f_.extents.begin(), f_.extents.end(), longest);
        if (o_.memory == KronMemory::one_diagonal ||
            (o_.memory == KronMemory::smart_diagonal && f_.extents.size() > 1 && equal == 1))
            for (std::size_t a = f_.extents.size(); a-- > 0;)
                if (f_.extents[a] == longest) {
                    f_.dense[a] = false;
                    break;
                }
        draws_ = std::make_shared<LibraryDraws>(shape.count(), f_.orders(), 0, 0);
    }

    void step(std::vector<double>& w, const std::vector<double>& g, std::uint64_t t) override {
        draws_->optimizer = optimizer;
        load(f_,
             std::pow(static_cast<double>(o_.initial_scale), 1.0 / static_cast<double>(f_.extents.size())));
        std::vector<double> x = g;
        if (o_.momentum > 0) {
            std::vector<double>& m = state("momentum", g.size());
            for (std::size_t i = 0; i < g.size(); ++i) {
                m[i] = o_.momentum * m[i] + (1 - o_.momentum) * g[i];
                x[i] = m[i] / (1 - std::pow(o_.momentum, static_cast<double>(t)));
            }
        }
        if (chance_draw(optimizer, 0, t) <
            static_cast<double>(o_.balance_probability) * o_.balance_schedule.factor(t))
            f_.balance();
        const double probability = static_cast<double>(o_.update_probability) * o_.update_schedule.factor(t);
        const bool turn = refresh_section(o_.refresh, 0, 1).runs(static_cast<std::uint32_t>(t - 1));
        if (static_cast<double>(++since_) * probability > 0.9999999 && turn) {
            since_ = 0;
            std::vector<double> h = o_.momentum_into_fit ? x : g;
            fit(h, t);
            if (o_.momentum_into_fit) x = h;
        }
        store(f_);
        const std::vector<double> d = f_.apply_all(x, true);
        const double limit = static_cast<double>(o_.clip_rms);
        const double factor = limit > 0 ? std::min(1.0, limit / (rms(d) + 1e-12)) : 1;
        const double lr = static_cast<double>(o_.lr) * o_.schedule.factor(t);
        const double decay = decays_ ? lr * static_cast<double>(o_.weight_decay) : 0;
        for (std::size_t i = 0; i < w.size(); ++i) w[i] = (1 - decay) * w[i] - lr * factor * d[i];
    }

private:
    void fit(std::vector<double>& h, std::uint64_t t) {
        double mean = 0;
        for (const double v : h) mean += std::abs(v) / static_cast<double>(h.size());
        const std::vector<double> z = draws_->noise(t, h.size());
        for (std::size_t i = 0; i < h.size(); ++i) h[i] += std::sqrt(0x1p-23) * mean * z[i];
        const std::vector<double> x = f_.apply_all(h, false), v = f_.solve_all(z);
        KronFactors next = f_;
        for (std::size_t a = 0; a < f_.extents.size(); ++a) {
            const Matrix t1 = f_.gram(x, a), t2 = f_.gram(v, a), s = t1 + t2;
            Matrix e = t1 - t2;
            const double rate = static_cast<double>(o_.preconditioner_lr) / bound(s, f_.dense[a]);
            if (!f_.dense[a]) {
                next.q[a] -= rate * e.cwiseProduct(f_.q[a]);
                continue;
            }
            for (Eigen::Index i = 0; i < e.rows(); ++i)
                for (Eigen::Index j = 0; j < i; ++j) e(i, j) = 0;
            next.q[a] -= rate * (e * f_.q[a]);
        }
        f_ = next;
    }
    static double bound(const Matrix& s, bool dense) {
        const double f = s.cwiseAbs().maxCoeff();
        if (!dense) return f;
        Eigen::Index column = 0;
        s.colwise().norm().maxCoeff(&column);
        const Matrix n = s / f, x = n * Matrix(n.col(column));
        return f * (n * x).norm() / x.norm();
    }

    KronTorchOptions o_;
    std::shared_ptr<PsgdDraws> draws_;
    KronFactors f_;
    bool decays_;
    std::uint64_t since_ = 0;
};

}  // namespace heron::test
