// SPDX-License-Identifier: MIT
// What tests of Woodbury solves share: windows in guarded memory, and the bounds that solutions keep to.
#pragma once

#include <bit>

#include "linalg/linalg_test.hpp"

namespace heron::test {

// A window in guarded memory, empty or with rows.
struct PlacedWindow {
    Placed rows, gram;
    GuardedBuffer* exponents = nullptr;
    Window window;

    // K itself, and the rows themselves.
    Matrix gram64(std::size_t item = 0) const {
        Matrix k = gram.read()[item];
        const Vector f = factors(item);
        return f.asDiagonal() * k * f.asDiagonal();
    }
    Matrix rows64(std::size_t item = 0) const {
        const Matrix u = rows.read()[item];
        return window.normalized ? Matrix(factors(item).asDiagonal() * u) : u;
    }

private:
    Vector factors(std::size_t item) const {
        const std::vector<std::int32_t> e = exponents->read<std::int32_t>();
        const std::size_t s = rows.rows;
        Vector f(static_cast<Eigen::Index>(s));
        for (std::size_t i = 0; i < s; ++i)
            f[static_cast<Eigen::Index>(i)] = std::ldexp(1.0, e[item * s + i]);
        return f;
    }
};

class WoodburyTest : public LinalgTest {
protected:
    PlacedWindow window(Graph& graph, const std::vector<Matrix>& u, DType dtype = DType::f32,
                        std::uint64_t gap = 0, bool normalized = false) {
        PlacedWindow w;
        const std::size_t items = u.size();
        const Eigen::Index s = u[0].rows();
        w.rows = place(graph, u, dtype, gap);
        w.gram = place(graph, std::vector<Matrix>(items, Matrix::Zero(s, s)));
        const Words e = words(graph, items * static_cast<std::size_t>(s));
        e.buffer->write(std::vector<std::uint32_t>(items * static_cast<std::size_t>(s), 0u));
        w.exponents = e.buffer;
        w.window = {w.rows.tensor, w.gram.tensor, e.tensor, normalized};
        return w;
    }
    // x = U^T q for the q of float64, to what the residual bound of q allows (2.8 of the specification; the
    // largest singular value of U^T (lambda I + K)^-1 is 1 / (2 sqrt(lambda))).
    static double range_bound(const Matrix& k, double lambda, double weight, const Matrix& y,
                              const Matrix& q) {
        return 20 * kEps32 * std::sqrt(static_cast<double>(k.rows())) * (y.norm() + k.norm() * q.norm()) /
               (2 * std::sqrt(lambda * weight));
    }
    void check_range(const Matrix& u, double lambda, double weight, const Matrix& y, const Matrix& x,
                     const std::string& what) {
        const Matrix k = weight * u * u.transpose();
        const Matrix q = solve_symmetric(k + lambda * Matrix::Identity(k.rows(), k.cols()), y);
        const Matrix expected = u.transpose() * q;
        ratio("range form", u, (x - expected).norm(),
              range_bound(k, lambda, weight, y, q) + 2 * kEps32 * expected.norm(), what);
    }
    // The error, of which the range form is one part, and the residual where nothing cancels.
    void check_solve(const Matrix& u, double lambda, double weight, const Matrix& b, const Matrix& x,
                     bool refined, const std::string& what) {
        const Matrix k = weight * u * u.transpose(), y = u * b;
        const Matrix q = solve_symmetric(k + lambda * Matrix::Identity(k.rows(), k.cols()), y);
        const Matrix expected = (b - weight * u.transpose() * q) / lambda;
        ratio("subtractive form", u, (x - expected).norm(),
              (weight * range_bound(k, lambda, weight, y, q) + 50 * kEps32 * b.norm()) / lambda, what);
        if (!refined || b.norm() > 4 * lambda * expected.norm()) return;
        const double norm = spectral_norm(u);
        const Matrix r = b - (lambda * x + weight * u.transpose() * (u * x));
        ratio("residual of the subtractive form", u, r.norm(),
              50 * kEps32 * (b.norm() + (lambda + weight * norm * norm) * x.norm()), what);
    }
    // Lambdas for device_lambda.
    Words numbers(Graph& graph, const std::vector<float>& values) {
        std::vector<std::uint32_t> bits;
        for (float value : values) bits.push_back(std::bit_cast<std::uint32_t>(value));
        return words(graph, Shape{values.size()}, bits, DType::f32);
    }
    static Matrix column(const Matrix& x) { return Eigen::Map<const Matrix>(x.data(), x.size(), 1); }
};

}  // namespace heron::test
