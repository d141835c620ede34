// SPDX-License-Identifier: MIT
// Float64 references of the aggregators: plain, and by other algorithms than the shaders' where there are
// any.
#pragma once

#include <algorithm>
#include <cmath>
#include <vector>

#include "support/matrix.hpp"

namespace heron::test {

// argmin v^T H v with v >= lower, H positive definite, by Lawson and Hanson's active sets.
inline Vector dual_cone_program(const Matrix& h, const Vector& lower) {
    const Eigen::Index k = h.rows();
    const Vector q = h * lower;
    const double slack = 1e-13 * lower.cwiseAbs().maxCoeff();
    Vector y = Vector::Zero(k);
    std::vector<bool> free(static_cast<std::size_t>(k), false);
    const auto is_free = [&](Eigen::Index i) { return bool(free[static_cast<std::size_t>(i)]); };
    // The minimum over the free variables, the others zero.
    const auto unconstrained = [&] {
        std::vector<Eigen::Index> set;
        for (Eigen::Index i = 0; i < k; ++i)
            if (is_free(i)) set.push_back(i);
        const Eigen::Index size = static_cast<Eigen::Index>(set.size());
        Matrix block(size, size), right(size, 1);
        for (Eigen::Index a = 0; a < size; ++a) {
            right(a, 0) = -q[set[static_cast<std::size_t>(a)]];
            for (Eigen::Index b = 0; b < size; ++b)
                block(a, b) = h(set[static_cast<std::size_t>(a)], set[static_cast<std::size_t>(b)]);
        }
        const Matrix x = solve_symmetric(block, right);
        Vector all = Vector::Zero(k);
        for (Eigen::Index a = 0; a < size; ++a) all[set[static_cast<std::size_t>(a)]] = x(a, 0);
        return all;
    };
    for (int step = 0; step < 100 * k; ++step) {
        const Vector z = q + Vector(h * y);
        Eigen::Index enter = -1;
        for (Eigen::Index i = 0; i < k; ++i)
            if (!is_free(i) && z[i] < -slack && (enter < 0 || z[i] < z[enter])) enter = i;
        if (enter < 0) break;
        free[static_cast<std::size_t>(enter)] = true;
        for (Vector s = unconstrained();; s = unconstrained()) {
            double share = 1;
            for (Eigen::Index i = 0; i < k; ++i)
                if (is_free(i) && s[i] <= 0) share = std::min(share, y[i] / (y[i] - s[i]));
            y += share * (s - y);
            if (share == 1) break;
            for (Eigen::Index i = 0; i < k; ++i)
                if (is_free(i) && y[i] <= 1e-15 * y.maxCoeff()) {
                    y[i] = 0;
                    free[static_cast<std::size_t>(i)] = false;
                }
        }
    }
    return lower + y;
}

// H of a Gram matrix.
inline Matrix dual_cone_matrix(const Matrix& gram, double norm_eps, double reg_eps) {
    const double trace = gram.trace();
    Matrix h = trace < norm_eps || trace == 0 ? Matrix(Matrix::Zero(gram.rows(), gram.cols()))
                                              : Matrix(gram / trace);
    h.diagonal().array() += reg_eps;
    return h;
}

// The solutions of all programs: rows of a matrix for UPGrad, one row for DualProj.
inline Matrix dual_cone_solutions(const Matrix& h, const Vector& preference, bool joint) {
    const Eigen::Index k = h.rows();
    Matrix v(joint ? 1 : k, k);
    for (Eigen::Index i = 0; i < v.rows(); ++i) {
        Vector lower = Vector::Zero(k);
        if (joint)
            lower = preference;
        else
            lower[i] = preference[i];
        v.row(i) = dual_cone_program(h, lower).transpose();
    }
    return v;
}

// Frank-Wolfe on the simplex, as the authors' algorithm 2.
inline Vector min_norm_weights(const Matrix& gram, double epsilon, int iterations) {
    const Eigen::Index k = gram.rows();
    Vector alpha = Vector::Constant(k, 1.0 / static_cast<double>(k));
    for (int i = 0; i < iterations; ++i) {
        const Vector g = gram * alpha;
        Eigen::Index t;
        g.minCoeff(&t);
        const double a = g[t], b = alpha.dot(g), c = gram(t, t);
        const double gamma = c <= a ? 1 : b <= a ? 0 : (b - a) / (b + c - 2 * a);
        alpha *= 1 - gamma;
        alpha[t] += gamma;
        if (gamma < epsilon) break;
    }
    return alpha;
}

}  // namespace heron::test
