// SPDX-License-Identifier: MIT
// What bench_linalg is compared with: OpenBLAS's routines (and its LAPACK) on one matrix, row major, which
// they overwrite. LAPACK sees its transpose, which costs the same.
#pragma once

#include <algorithm>
#include <cmath>
#include <numeric>
#include <vector>

#include "blas.hpp"

namespace heron::bench {

inline void spotrf(float* a, int n, int) {
    int info = 0;
    find<Routine<const char*, const int*, float*, const int*, int*>>("spotrf_")("U", &n, a, &n, &info);
}
inline void spd_inverse_of_blas(float* a, int n, int) {
    int info = 0;
    spotrf(a, n, n);
    find<Routine<const char*, const int*, float*, const int*, int*>>("spotri_")("U", &n, a, &n, &info);
}
inline void strsm(float* a, int n, int) {
    std::vector<float> x(static_cast<std::size_t>(n) * n, 1.0f);
    find<Strsm>("cblas_strsm")(101, 141, 122, 111, 131, n, n, 1.0f, a, n, x.data(), n);
}
inline void strtri(float* a, int n, int) {
    int info = 0;
    find<Routine<const char*, const char*, const int*, float*, const int*, int*>>("strtri_")("U", "N", &n, a,
                                                                                             &n, &info);
}
inline void ssytrf(float* a, int n, int) {
    int info = 0;
    const int length = 64 * n;
    std::vector<int> pivots(static_cast<std::size_t>(n));
    std::vector<float> work(static_cast<std::size_t>(length));
    find<Routine<const char*, const int*, float*, const int*, int*, float*, const int*, int*>>("ssytrf_")(
        "U", &n, a, &n, pivots.data(), work.data(), &length, &info);
}
// Of a factor whose pivots are single elements, in their places; as many right-hand sides as rows.
inline void ssytrs_of_factor(float* a, int n, int) {
    int info = 0;
    std::vector<int> pivots(static_cast<std::size_t>(n));
    std::iota(pivots.begin(), pivots.end(), 1);
    std::vector<float> x(static_cast<std::size_t>(n) * n, 1.0f);
    find<Routine<const char*, const int*, const int*, const float*, const int*, const int*, float*,
                 const int*, int*>>("ssytrs_")("U", &n, &n, a, &n, pivots.data(), x.data(), &n, &info);
}
// The column-major matrix that LAPACK sees is cols x rows; ours is factored as the tall one that it is.
inline void sgeqrf(float* a, int rows, int cols) {
    int info = 0;
    const int length = 64 * std::max(rows, cols);
    std::vector<float> tau(static_cast<std::size_t>(cols)), work(static_cast<std::size_t>(length));
    find<Routine<const int*, const int*, float*, const int*, float*, float*, const int*, int*>>("sgeqrf_")(
        &rows, &cols, a, &rows, tau.data(), work.data(), &length, &info);
    find<Routine<const int*, const int*, const int*, float*, const int*, const float*, float*, const int*,
                 int*>>("sorgqr_")(&rows, &cols, &cols, a, &rows, tau.data(), work.data(), &length, &info);
}
inline std::vector<float> ssyevd_values(float* a, int n) {
    int info = 0;
    const int length = 1 + 6 * n + 2 * n * n, integers = 3 + 5 * n;
    std::vector<float> values(static_cast<std::size_t>(n)), work(static_cast<std::size_t>(length));
    std::vector<int> iwork(static_cast<std::size_t>(integers));
    find<Routine<const char*, const char*, const int*, float*, const int*, float*, float*, const int*, int*,
                 const int*, int*>>("ssyevd_")("V", "U", &n, a, &n, values.data(), work.data(), &length,
                                               iwork.data(), &integers, &info);
    return values;
}
inline void ssyevd(float* a, int n, int) { ssyevd_values(a, n); }
// V f(w) V^T, as a function of a matrix is had where there is only LAPACK.
inline void power_by_ssyevd(float* a, int n, int) {
    const std::vector<float> values = ssyevd_values(a, n);
    const std::size_t size = static_cast<std::size_t>(n);
    std::vector<float> scaled(size * size), result(size * size);
    for (std::size_t i = 0; i < size; ++i)
        for (std::size_t j = 0; j < size; ++j)
            scaled[i * size + j] = a[i * size + j] / std::sqrt(std::abs(values[i]));
    find<Sgemm>("cblas_sgemm")(101, 112, 111, n, n, n, 1.0f, scaled.data(), n, a, n, 0.0f, result.data(), n);
}
inline void sgesdd(float* a, int rows, int cols) {
    int info = 0;
    const int k = std::min(rows, cols), length = 4 * k * k + 7 * k + 64 * std::max(rows, cols) + 3 * k;
    std::vector<float> s(static_cast<std::size_t>(k)), u(static_cast<std::size_t>(rows) * k),
        v(static_cast<std::size_t>(k) * cols), work(static_cast<std::size_t>(length));
    std::vector<int> iwork(static_cast<std::size_t>(8 * k));
    find<Routine<const char*, const int*, const int*, float*, const int*, float*, float*, const int*, float*,
                 const int*, float*, const int*, int*, int*>>("sgesdd_")(
        "S", &rows, &cols, a, &rows, s.data(), u.data(), &rows, v.data(), &k, work.data(), &length,
        iwork.data(), &info);
}
// Five steps of X <- a X + (b (X X^T) + c (X X^T)^2) X by plain products.
inline void newton_schulz(float* a, int rows, int cols) {
    const auto sgemm = find<Sgemm>("cblas_sgemm");
    const std::size_t m = static_cast<std::size_t>(rows), n = static_cast<std::size_t>(cols);
    std::vector<float> x(a, a + m * n), gram(m * m), square(m * m), next(m * n);
    for (int step = 0; step < 5; ++step) {
        sgemm(101, 111, 112, rows, rows, cols, 1.0f, x.data(), cols, x.data(), cols, 0.0f, gram.data(), rows);
        square = gram;
        sgemm(101, 111, 111, rows, rows, rows, 1.0f, gram.data(), rows, gram.data(), rows, -4.0f,
              square.data(), rows);
        next = x;
        sgemm(101, 111, 111, rows, cols, rows, 1.0f, square.data(), rows, x.data(), cols, 3.0f, next.data(),
              cols);
        x.swap(next);
        for (float& value : x) value = std::min(1.0f, std::max(-1.0f, value));
    }
}
inline void spotrs_of_factor(float* a, int n, int) {  // as many right-hand sides as rows
    int info = 0;
    std::vector<float> x(static_cast<std::size_t>(n) * n, 1.0f);
    find<Routine<const char*, const int*, const int*, const float*, const int*, float*, const int*, int*>>(
        "spotrs_")("U", &n, &n, a, &n, x.data(), &n, &info);
}
inline void spotrs(float* a, int n, int) {
    spotrf(a, n, n);
    spotrs_of_factor(a, n, n);
}
inline void strmm(float* a, int n, int) {
    std::vector<float> x(static_cast<std::size_t>(n) * n, 1.0f);
    find<Strsm>("cblas_strmm")(101, 141, 122, 111, 131, n, n, 1.0f, a, n, x.data(), n);
}
inline void two_products(float* a, int n, int) {  // A A^T A
    const auto sgemm = find<Sgemm>("cblas_sgemm");
    std::vector<float> middle(static_cast<std::size_t>(n) * n), result(middle.size());
    sgemm(101, 111, 112, n, n, n, 1.0f, a, n, a, n, 0.0f, middle.data(), n);
    sgemm(101, 111, 111, n, n, n, 1.0f, middle.data(), n, a, n, 0.0f, result.data(), n);
}
// U V^T, of a singular value decomposition.
inline void polar_by_sgesdd(float* a, int rows, int cols) {
    std::vector<float> factors(static_cast<std::size_t>(rows + cols) * std::min(rows, cols));
    const int k = std::min(rows, cols);
    sgesdd(a, rows, cols);
    find<Sgemm>("cblas_sgemm")(101, 111, 111, rows, cols, k, 1.0f, factors.data(), k,
                               &factors[static_cast<std::size_t>(rows) * k], cols, 0.0f, a, cols);
}
// y = A x, four times.
inline void four_ssymv(float* a, int n, int) {
    std::vector<float> x(static_cast<std::size_t>(n), 1.0f), y(x.size());
    for (int i = 0; i < 4; ++i)
        find<Ssymv>("cblas_ssymv")(101, 121, n, 1.0f, a, n, x.data(), 1, 0.0f, y.data(), 1);
}
// A <- A - (A x) (A x)^T
inline void ssyr_of_ssymv(float* a, int n, int) {
    std::vector<float> x(static_cast<std::size_t>(n), 1.0f), y(x.size());
    find<Ssymv>("cblas_ssymv")(101, 121, n, 1.0f, a, n, x.data(), 1, 0.0f, y.data(), 1);
    find<Routine<int, int, int, float, const float*, int, float*, int>>("cblas_ssyr")(101, 121, n, -1e-6f,
                                                                                      y.data(), 1, a, n);
}

}  // namespace heron::bench
