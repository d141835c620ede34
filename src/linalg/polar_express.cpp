// SPDX-License-Identifier: MIT
// Polar Express (arXiv 2505.16932): each step's odd quintic is the minimax approximation of 1 on the interval
// [l, u] that the steps before have left of the singular values. Follows the authors' generator: with a
// cushion, which keeps the first polynomials from being steep at the lower end, and a safety factor on all
// but the last step.
#include <algorithm>
#include <array>
#include <cmath>
#include <string>
#include <utility>

#include "core/number_text.hpp"
#include "heron/error.hpp"
#include "linalg/newton_schulz_coefficients.hpp"

namespace heron {

namespace {

double evaluate(const NewtonSchulzCoefficients& p, double x) {
    const double square = x * x;
    return x * (p.a + square * (p.b + square * p.c));
}

// Solves a 4 x 4 system by elimination with row pivoting.
std::array<double, 4> solve(std::array<std::array<double, 5>, 4> m) {
    for (std::size_t column = 0; column < 4; ++column) {
        std::size_t pivot = column;
        for (std::size_t row = column + 1; row < 4; ++row)
            if (std::abs(m[row][column]) > std::abs(m[pivot][column])) pivot = row;
        std::swap(m[column], m[pivot]);
        for (std::size_t row = column + 1; row < 4; ++row) {
            const double factor = m[row][column] / m[column][column];
            for (std::size_t i = column; i < 5; ++i) m[row][i] -= factor * m[column][i];
        }
    }
    std::array<double, 4> x{};
    for (std::size_t row = 4; row-- > 0;) {
        double rest = m[row][4];
        for (std::size_t i = row + 1; i < 4; ++i) rest -= m[row][i] * x[i];
        x[row] = rest / m[row][row];
    }
    return x;
}

// The odd quintic that minimises max |1 - p| on [l, u], by the Remez exchange: its error alternates at l, x1,
// x2, u, where x1 and x2 are the extrema inside.
NewtonSchulzCoefficients minimax_quintic(double l, double u) {
    if (l / u >= 1.0 - 5e-6)  // the system is singular in the limit, which is the classic quintic
        return divide_argument({15.0 / 8.0, -10.0 / 8.0, 3.0 / 8.0}, u);
    double x1 = (3.0 * l + u) / 4.0;
    double x2 = (l + 3.0 * u) / 4.0;
    NewtonSchulzCoefficients p{};
    double last_error = INFINITY;
    for (int iteration = 0; iteration < 100; ++iteration) {
        const auto row = [](double x, double sign) {
            const double cube = x * x * x;
            return std::array<double, 5>{x, cube, cube * x * x, sign, 1.0};
        };
        const auto [a, b, c, error] = solve({row(l, 1.0), row(x1, -1.0), row(x2, 1.0), row(u, -1.0)});
        p = {a, b, c};
        if (std::abs(error - last_error) <= 1e-15) break;
        last_error = error;
        const double root = std::sqrt(9.0 * b * b - 20.0 * a * c);
        x1 = std::sqrt((-3.0 * b - root) / (10.0 * c));
        x2 = std::sqrt((-3.0 * b + root) / (10.0 * c));
    }
    return p;
}

[[noreturn]] void refuse(const char* what, auto value, const char* allowed) {
    throw Error(ErrorCode::invalid_argument, std::string("polar_express_coefficients: ") + what + " is " +
                                                 number_text(value) + ", must be " + allowed);
}

}  // namespace

std::vector<NewtonSchulzCoefficients> polar_express_coefficients(double lower_bound, std::uint32_t steps,
                                                                 double safety, double cushion) {
    if (!(lower_bound > 0.0 && lower_bound < 1.0)) refuse("lower_bound", lower_bound, "in (0, 1)");
    if (steps == 0 || steps > kMaxNewtonSchulzSteps) refuse("steps", steps, "from 1 to 1000");
    if (!(safety >= 0.0 && safety < 1.0)) refuse("safety", safety, "in [0, 1)");
    if (!(cushion >= 0.0 && cushion < 1.0)) refuse("cushion", cushion, "in [0, 1)");
    double l = lower_bound;
    double u = 1.0;
    std::vector<NewtonSchulzCoefficients> coefficients;
    for (std::uint32_t step = 0; step < steps; ++step) {
        const double cushioned = std::max(l, cushion * u);
        NewtonSchulzCoefficients p = minimax_quintic(cushioned, u);
        if (cushioned > l) {  // centre the true range [p(l), p(u)] on 1 again
            const double centre = 2.0 / (evaluate(p, l) + evaluate(p, u));
            p = {p.a * centre, p.b * centre, p.c * centre};
        }
        if (step + 1 < steps) p = divide_argument(p, 1.0 + safety);
        coefficients.push_back(p);
        if (!std::isfinite(p.a) || !std::isfinite(p.b) || !std::isfinite(p.c))
            refuse("lower_bound", lower_bound, "larger: the minimax polynomial was not found");
        l = evaluate(p, l);
        u = 2.0 - l;
    }
    return coefficients;
}

}  // namespace heron
