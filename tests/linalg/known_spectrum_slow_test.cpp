// SPDX-License-Identifier: MIT
// Roots, powers, inverses and polar factors of hundreds of rows and of a thousand, of matrices whose singular
// values are known: what float64 makes of them needs no factorisation. Random vectors tell as much as whole
// matrices. And factors of smooth and of ill-conditioned matrices of that size.
#include <cmath>
#include <functional>
#include <string>
#include <vector>

#include "linalg/linalg_test.hpp"

namespace heron::test {
namespace {

// A = left diag(values) right^T, and as f32 has it.
struct Known {
    Matrix left, right;
    Vector values;
    Matrix a;

    Known(const Matrix& from, const Matrix& to, const Vector& sigma) : left(from), right(to), values(sigma) {
        a = rounded(left * values.asDiagonal() * right.transpose(), DType::f32);
    }
    // left diag(f(values)) right^T x
    Matrix mapped(const std::function<double(double)>& f, const Matrix& x) const {
        const Matrix inner = right.transpose() * x;
        return left * Matrix(values.unaryExpr(f).asDiagonal() * inner);
    }
    double norm(const std::function<double(double)>& f) const { return values.unaryExpr(f).norm(); }
};

class KnownSpectrumSlowTest : public LinalgTest {
protected:
    static constexpr double kCondition = 1e3;

    // SwiftShader takes minutes for a thousand rows.
    std::vector<std::uint64_t> sizes() {
        const bool slow =
            device().capabilities().cpu && device().info().name.find("llvmpipe") == std::string::npos;
        return slow ? std::vector<std::uint64_t>{257} : std::vector<std::uint64_t>{257, 1000, 1024};
    }
    static Matrix probe(std::uint64_t n) { return random_matrix(n, 1, 7); }
    static Matrix basis(std::uint64_t rows, std::uint64_t cols) {
        return orthonormal_basis(random_matrix(rows, cols, rows + cols));
    }
    // From 1 down to 1 / kCondition, evenly spaced in the logarithm.
    static Vector geometric(std::uint64_t n) {
        Vector values(static_cast<Eigen::Index>(n));
        for (Eigen::Index i = 0; i < values.size(); ++i)
            values[i] = std::pow(kCondition, -static_cast<double>(i) / static_cast<double>(n - 1));
        return values;
    }
    static Known symmetric(std::uint64_t n) {
        const Matrix q = basis(n, n);
        return {q, q, geometric(n)};
    }
    // A probe of the distance from A^exponent: |error|_F <= (kappa + n) eps |A^exponent|_F.
    void expect_power(const std::string& kind, const Known& known, const Matrix& x, double exponent) {
        const auto n = static_cast<double>(known.a.rows());
        const auto f = [exponent](double value) { return std::pow(value, exponent); };
        const Matrix v = probe(static_cast<std::uint64_t>(known.a.rows()));
        ratio(kind, known.a, (x * v - known.mapped(f, v)).norm(),
              (kCondition + n) * kEps32 * known.norm(f) * kProbe, std::to_string(known.a.rows()));
        EXPECT_EQ(x, x.transpose()) << kind;
    }
};

TEST_P(KnownSpectrumSlowTest, InverseRoots) {
    for (std::uint64_t n : sizes()) {
        const Known known = symmetric(n);
        Graph graph(device());
        const Placed a = place(graph, {known.a}), square = blank(graph, 1, n, n),
                     fourth = blank(graph, 1, n, n);
        const Words status = words(graph, 1), fourth_status = words(graph, 1);
        inverse_root(graph, a.tensor, square.tensor, {.p = 2, .status = status.tensor});
        inverse_root(graph, a.tensor, fourth.tensor, {.p = 4, .status = fourth_status.tensor});
        run_patiently(graph);
        EXPECT_EQ(status.statuses()[0], "ok");
        EXPECT_EQ(fourth_status.statuses()[0], "ok");
        expect_power("inverse_root, p = 2", known, square.read()[0], -0.5);
        expect_power("inverse_root, p = 4", known, fourth.read()[0], -0.25);
    }
}

TEST_P(KnownSpectrumSlowTest, PowersAndInverses) {
    for (std::uint64_t n : sizes()) {
        const Known known = symmetric(n);
        Graph graph(device());
        const Placed a = place(graph, {known.a}), power = blank(graph, 1, n, n),
                     inverse = blank(graph, 1, n, n);
        matrix_power(graph, a.tensor, power.tensor, {.exponent = -0.75});
        spd_inverse(graph, a.tensor, inverse.tensor);
        run_patiently(graph);
        expect_power("matrix_power", known, power.read()[0], -0.75);
        const Matrix x = inverse.read()[0], v = probe(n);
        expect_power("spd_inverse", known, x, -1.0);
        ratio("residual of spd_inverse", known.a, (known.a * Matrix(x * v) - v).norm(),
              static_cast<double>(n) * kUnit * known.a.norm() * x.norm() * kProbe, std::to_string(n));
    }
}

TEST_P(KnownSpectrumSlowTest, CholeskyQr) {
    for (std::uint64_t n : sizes()) {
        const std::uint64_t rows = n + 100;
        const Known known(basis(rows, n), basis(n, n), geometric(n));
        const Matrix x = probe(n);
        Graph graph(device());
        const Placed a = place(graph, {known.a}), q = blank(graph, 1, rows, n), r = blank(graph, 1, n, n);
        const Words status = words(graph, 1);
        qr(graph, a.tensor, q.tensor, r.tensor, {.method = QrMethod::cholesky, .status = status.tensor});
        run_patiently(graph);
        EXPECT_EQ(status.statuses()[0], "ok");
        const Matrix orthogonal = q.read()[0], upper = r.read()[0];
        const auto size = static_cast<double>(n);
        ratio("Cholesky QR", known.a, (known.a * x - orthogonal * Matrix(upper * x)).norm(),
              4 * size * kUnit * known.a.norm() * kProbe, std::to_string(n));
        ratio("orthogonality of Cholesky QR", known.a,
              (orthogonal.transpose() * Matrix(orthogonal * x) - x).norm(),
              (4 * size + 2 * std::sqrt(static_cast<double>(rows))) * kUnit * kProbe, std::to_string(n));
    }
}

TEST_P(KnownSpectrumSlowTest, PolarFactors) {
    struct Form {
        std::uint64_t longer;  // than the short side
        PolarForm form;
        DType precision;
        double bound;  // heron/linalg/polar.hpp
    };
    for (std::uint64_t n : sizes()) {
        std::vector<Form> forms{{0, PolarForm::standard, DType::f32, 1e-5},
                                {100, PolarForm::gram, DType::f32, 1e-5}};
        if (n == 257) {
            forms.push_back({0, PolarForm::standard, DType::f16, 0.02});
            forms.push_back({100, PolarForm::gram, DType::f16, 0.02});
        }
        for (const Form& form : forms) {
            const std::uint64_t cols = n + form.longer;
            const Known known(basis(n, n), basis(cols, n),
                              Vector::LinSpaced(static_cast<Eigen::Index>(n), 0.1, 1.0));
            const PolarOptions options{.coefficients = newton_schulz_coefficients("muon"),
                                       .form = form.form,
                                       .precision = form.precision};
            Graph graph(device());
            const Placed a = place(graph, {known.a}), out = blank(graph, 1, n, cols);
            polar(graph, a.tensor, out.tensor, options);
            run_patiently(graph);
            const double scale = options.norm_factor * known.values.norm() + options.eps;
            const auto map = [&](double x) {
                x /= scale;
                for (const auto& [ca, cb, cc] : options.coefficients) x *= ca + x * x * (cb + x * x * cc);
                return x;
            };
            const Matrix v = probe(cols);
            ratio(std::string("polar, products in ") + to_string(form.precision), known.a,
                  (out.read()[0] * v - known.mapped(map, v)).norm(), form.bound * known.norm(map) * kProbe,
                  std::to_string(n) + " x " + std::to_string(cols));
        }
    }
}

// Of elements that change slowly, and of singular values down to 2^-24.
TEST_P(KnownSpectrumSlowTest, FactorsOfHilbertAndGeometricMatrices) {
    for (std::uint64_t n : sizes())
        for (MatrixKind kind : {MatrixKind::hilbert, MatrixKind::geometric}) {
            const Matrix a = rounded(make_matrix(kind, n, n, n), DType::f32), x = probe(n);
            Matrix definite = a * a.transpose();
            definite.diagonal().array() += 1e-3;
            definite = rounded(definite, DType::f32);
            Graph graph(device());
            const Placed pa = place(graph, {a}), pd = place(graph, {definite}), l = blank(graph, 1, n, n),
                         q = blank(graph, 1, n, n), r = blank(graph, 1, n, n);
            const Words status = words(graph, 1);
            cholesky(graph, pd.tensor, l.tensor, {.status = status.tensor});
            qr(graph, pa.tensor, q.tensor, r.tensor, {.method = QrMethod::householder});
            run_patiently(graph);
            EXPECT_EQ(status.statuses()[0], "ok");
            const Matrix factor = l.read()[0], orthogonal = q.read()[0], upper = r.read()[0];
            const auto size = static_cast<double>(n);
            const std::string what = std::string(to_string(kind)) + " " + std::to_string(n);
            ratio("Cholesky factor", definite,
                  (definite * x - factor * Matrix(factor.transpose() * x)).norm(),
                  size * kUnit * definite.norm() * kProbe, what);
            ratio("Householder QR", a, (a * x - orthogonal * Matrix(upper * x)).norm(),
                  4 * size * kUnit * a.norm() * kProbe, what);
            ratio("orthogonality of Householder QR", a,
                  (orthogonal.transpose() * Matrix(orthogonal * x) - x).norm(),
                  (4 * size + 2 * std::sqrt(size)) * kUnit * kProbe, what);
        }
}

HERON_DEVICE_TESTS(KnownSpectrumSlowTest);

}  // namespace
}  // namespace heron::test
