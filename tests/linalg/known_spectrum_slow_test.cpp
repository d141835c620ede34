// SPDX-License-Identifier: MIT
// Roots, powers, inverses and polar factors of hundreds of rows, of a thousand and of 4096, of matrices whose
// singular values are known: what float64 makes of them needs no factorisation. Random vectors tell as much
// as whole matrices. And factors of smooth and of ill-conditioned matrices of that size.
#include <cmath>
#include <functional>
#include <string>
#include <vector>

#include "linalg/linalg_test.hpp"

namespace heron::test {
namespace {

// A = left diag(values) right^T, and as f32 has it.
struct Known {
    using Map = std::function<Matrix(const Matrix&)>;
    Vector values;
    Map left, right;  // left x, right^T x
    Matrix a;

    Known(const Matrix& from, const Matrix& to, const Vector& sigma)
        : values(sigma),
          left([from](const Matrix& x) { return Matrix(from * x); }),
          right([to](const Matrix& x) { return Matrix(to.transpose() * x); }),
          a(rounded(from * sigma.asDiagonal() * to.transpose(), DType::f32)) {}
    // Both the same symmetric orthogonal matrix.
    Known(const Map& both, const Vector& sigma) : values(sigma), left(both), right(both) {
        Matrix x = both(Matrix(sigma.asDiagonal()));
        x.transposeInPlace();
        x = both(x);
        a = rounded(0.5 * (x + x.transpose()), DType::f32);
    }
    // left diag(f(values)) right^T x
    Matrix mapped(const std::function<double(double)>& f, const Matrix& x) const {
        return left(Matrix(values.unaryExpr(f).asDiagonal() * right(x)));
    }
    double norm(const std::function<double(double)>& f) const { return values.unaryExpr(f).norm(); }
};

// The orthonormal Walsh-Hadamard matrix times x, whose rows are a power of two.
void walsh(Matrix& x) {
    for (Eigen::Index half = 1; half < x.rows(); half *= 2)
        for (Eigen::Index block = 0; block < x.rows(); block += 2 * half)
            for (Eigen::Index i = block; i < block + half; ++i) {
                x.row(i) += x.row(i + half);
                x.row(i + half) = x.row(i) - 2.0 * x.row(i + half);
            }
    x /= std::sqrt(static_cast<double>(x.rows()));
}

// W S W x, S random signs: a symmetric orthogonal matrix without zeros, for the price of the sums in W.
Matrix mixed(const Matrix& x) {
    Matrix y = x;
    walsh(y);
    Random random(static_cast<std::uint64_t>(y.rows()));
    for (Eigen::Index i = 0; i < y.rows(); ++i)
        if (random.uniform() < 0.5) y.row(i) *= -1.0;
    walsh(y);
    return y;
}

class KnownSpectrumSlowTest : public LinalgTest {
protected:
    static constexpr double kCondition = 1e3;

    bool is_lavapipe() { return device().info().name.find("llvmpipe") != std::string::npos; }
    // lavapipe, since it ends loops after a number of rounds, where packed panels make products fast.
    bool takes_4096_rows() { return is_lavapipe() && device().capabilities().subgroup_size_control; }
    // SwiftShader takes minutes for a thousand rows.
    std::vector<std::uint64_t> sizes() {
        const bool slow = device().capabilities().cpu && !is_lavapipe();
        return slow ? std::vector<std::uint64_t>{257} : std::vector<std::uint64_t>{257, 1000, 1024};
    }
    static Matrix probe(std::uint64_t n) { return random_matrix(n, 1, 7); }
    static Matrix basis(std::uint64_t rows, std::uint64_t cols) {
        return orthonormal_basis(random_matrix(rows, cols, rows + cols));
    }
    // From 1 down to 1 / condition, evenly spaced in the logarithm.
    static Vector geometric(std::uint64_t n, double condition = kCondition) {
        Vector values(static_cast<Eigen::Index>(n));
        for (Eigen::Index i = 0; i < values.size(); ++i)
            values[i] = std::pow(condition, -static_cast<double>(i) / static_cast<double>(n - 1));
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
    // The bars of heron/linalg/qr.hpp, of probes.
    void expect_qr(const std::string& kind, const Matrix& a, const Matrix& q, const Matrix& r,
                   const std::string& what) {
        const auto n = static_cast<double>(a.cols()), m = static_cast<double>(a.rows());
        const Matrix x = probe(static_cast<std::uint64_t>(a.cols()));
        ratio(kind, a, (a * x - q * Matrix(r * x)).norm(), 4 * n * kUnit * a.norm() * kProbe, what);
        ratio("orthogonality of " + kind, a, (q.transpose() * Matrix(q * x) - x).norm(),
              (4 * n + 2 * std::sqrt(m)) * kUnit * kProbe, what);
    }
    // A probe of A X - I: |error|_F <= n u |A|_F |X|_F.
    void expect_inverse(const std::string& kind, const Known& known, const Matrix& x) {
        const auto n = static_cast<double>(known.a.rows());
        const Matrix v = probe(static_cast<std::uint64_t>(known.a.rows()));
        ratio("residual of " + kind, known.a, (known.a * Matrix(x * v) - v).norm(),
              n * kUnit * known.a.norm() * x.norm() * kProbe, std::to_string(known.a.rows()));
    }
};

TEST_P(KnownSpectrumSlowTest, RootsPowersAndInverses) {
    using Add = void (*)(Graph&, const Tensor& a, const Tensor& x, const Tensor& status);
    struct Case {
        const char* kind;
        double exponent;
        Add add;
    };
    const Case cases[] = {
        {"inverse_root, p = 2", -0.5,
         [](Graph& graph, const Tensor& a, const Tensor& x, const Tensor& status) {
             inverse_root(graph, a, x, {.p = 2, .status = status});
         }},
        {"inverse_root, p = 4", -0.25,
         [](Graph& graph, const Tensor& a, const Tensor& x, const Tensor& status) {
             inverse_root(graph, a, x, {.p = 4, .status = status});
         }},
        {"matrix_power", -0.75,
         [](Graph& graph, const Tensor& a, const Tensor& x, const Tensor& status) {
             matrix_power(graph, a, x, {.exponent = -0.75, .status = status});
         }},
        {"spd_inverse", -1.0, [](Graph& graph, const Tensor& a, const Tensor& x, const Tensor& status) {
             spd_inverse(graph, a, x, {.status = status});
         }}};
    for (std::uint64_t n : sizes()) {
        const Known known = symmetric(n);
        for (const Case& one : cases) {
            Graph graph(device());
            const Placed a = place(graph, {known.a}), out = blank(graph, 1, n, n);
            const Words status = words(graph, 1);
            one.add(graph, a.tensor, out.tensor, status.tensor);
            run_patiently(graph);
            EXPECT_EQ(status.statuses()[0], "ok") << one.kind;
            const Matrix x = out.read()[0];
            expect_power(one.kind, known, x, one.exponent);
            if (one.exponent == -1.0) expect_inverse(one.kind, known, x);
        }
    }
}

TEST_P(KnownSpectrumSlowTest, CholeskyQr) {
    for (std::uint64_t n : sizes()) {
        const std::uint64_t rows = n + 100;
        const Known known(basis(rows, n), basis(n, n), geometric(n));
        Graph graph(device());
        const Placed a = place(graph, {known.a}), q = blank(graph, 1, rows, n), r = blank(graph, 1, n, n);
        const Words status = words(graph, 1);
        qr(graph, a.tensor, q.tensor, r.tensor, {.method = QrMethod::cholesky, .status = status.tensor});
        run_patiently(graph);
        EXPECT_EQ(status.statuses()[0], "ok");
        expect_qr("Cholesky QR", known.a, q.read()[0], r.read()[0], std::to_string(n));
    }
}

// The largest root that there is: the fourth, whose iterations have the most products. A condition number of
// 4 keeps them few.
TEST_P(KnownSpectrumSlowTest, FourthRootOf4096Rows) {
    if (!takes_4096_rows()) GTEST_SKIP() << "lavapipe with packed panels alone";
    const std::uint64_t n = 4096;
    const std::uint32_t p = 4;
    const double size = static_cast<double>(n), condition = 4.0;
    const Known known(mixed, geometric(n, condition));
    const Matrix v = probe(n);
    Graph graph(device());
    const Placed a = place(graph, {known.a}), root = blank(graph, 1, n, n);
    const Words status = words(graph, 1), residual = words(graph, 1, DType::f32), used = words(graph, 1);
    inverse_root(
        graph, a.tensor, root.tensor,
        {.p = p, .status = status.tensor, .residual = residual.tensor, .iterations_used = used.tensor});
    run_patiently(graph);
    EXPECT_EQ(status.statuses()[0], "ok");
    // The header's bound is one of E = X^p A - I. In A's eigenvectors, D = X - A^(-1/p) is
    // D_ij = E_ij f_j / (1 + r + ... + r^(p-1)) to first order, f_j an eigenvalue of A^(-1/p), at most
    // condition^(1/p), and r = f_i / f_j at least its reciprocal.
    const double promised = 2 * size * condition * kUnit + 4 * size * p * used.words()[0] * kUnit +
                            std::pow(size * static_cast<double>(residual.floats()[0]), 2);
    const double to_root = (std::pow(condition, 1.0 / p) - 1.0) / (1.0 - 1.0 / condition);
    const auto f = [](double value) { return std::pow(value, -1.0 / p); };
    ratio("inverse_root, p = 4", known.a, (root.read()[0] * v - known.mapped(f, v)).norm(),
          to_root * promised * kProbe, std::to_string(n));
}

TEST_P(KnownSpectrumSlowTest, InversesAndFactorsOf4096Rows) {
    if (!takes_4096_rows()) GTEST_SKIP() << "lavapipe with packed panels alone";
    const std::uint64_t n = 4096;
    const Known known(mixed, geometric(n, 4.0));
    Graph graph(device());
    const Placed a = place(graph, {known.a}), inverse = blank(graph, 1, n, n), q = blank(graph, 1, n, n),
                 r = blank(graph, 1, n, n);
    const Words status = words(graph, 1), rank = words(graph, 1);
    spd_inverse(graph, a.tensor, inverse.tensor, {.status = status.tensor});
    qr(graph, a.tensor, q.tensor, r.tensor,
       {.method = QrMethod::cholesky, .passes = 2, .status = rank.tensor});
    run_patiently(graph);
    EXPECT_EQ(status.statuses()[0], "ok");
    EXPECT_EQ(rank.statuses()[0], "ok");
    expect_inverse("spd_inverse", known, inverse.read()[0]);
    expect_qr("Cholesky QR", known.a, q.read()[0], r.read()[0], std::to_string(n));
}

TEST_P(KnownSpectrumSlowTest, PolarFactors) {
    struct Form {
        std::uint64_t longer;  // than the short side
        PolarForm form;
        DType precision;
        std::uint32_t words;
        double bound;  // heron/linalg/polar.hpp
    };
    for (std::uint64_t n : sizes()) {
        std::vector<Form> forms{{0, PolarForm::standard, DType::f32, 1, 1e-5},
                                {100, PolarForm::gram, DType::f32, 1, 1e-5}};
        if (n == 257) {
            forms.push_back({0, PolarForm::standard, DType::f16, 1, 0.02});
            forms.push_back({100, PolarForm::gram, DType::f16, 1, 0.02});
            forms.push_back({0, PolarForm::standard, DType::f16, 2, 1e-5});
            forms.push_back({100, PolarForm::gram, DType::f16, 2, 1e-5});
            forms.push_back({100, PolarForm::gram, DType::bf16, 2, 6e-4});
        }
        for (const Form& form : forms) {
            const std::uint64_t cols = n + form.longer;
            const Known known(basis(n, n), basis(cols, n),
                              Vector::LinSpaced(static_cast<Eigen::Index>(n), 0.1, 1.0));
            const PolarOptions options{.coefficients = newton_schulz_coefficients("muon"),
                                       .form = form.form,
                                       .precision = form.precision,
                                       .words = form.words};
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
            ratio(std::string("polar, products in ") + to_string(form.precision) +
                      (form.words == 2 ? ", two words" : ""),
                  known.a, (out.read()[0] * v - known.mapped(map, v)).norm(),
                  form.bound * known.norm(map) * kProbe, std::to_string(n) + " x " + std::to_string(cols));
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
            const Matrix factor = l.read()[0];
            const std::string what = std::string(to_string(kind)) + " " + std::to_string(n);
            ratio("Cholesky factor", definite,
                  (definite * x - factor * Matrix(factor.transpose() * x)).norm(),
                  static_cast<double>(n) * kUnit * definite.norm() * kProbe, what);
            expect_qr("Householder QR", a, q.read()[0], r.read()[0], what);
        }
}

HERON_DEVICE_TESTS(KnownSpectrumSlowTest);

}  // namespace
}  // namespace heron::test
