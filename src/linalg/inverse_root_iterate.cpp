// SPDX-License-Identifier: MIT
// One step of the iterations for large matrices, by products that leave alone the matrices that have stopped.
#include <cstddef>

#include "heron/linalg/cholesky.hpp"
#include "heron/spirv/inverse_root_denman.hpp"
#include "linalg/integers.hpp"
#include "linalg/inverse_root.hpp"
#include "linalg/two_word_product.hpp"

namespace heron {

static_assert(sizeof(gpu::RootDenmanJob) == 80);

namespace {

constexpr KernelInfo kDenman =
    make_kernel<gpu::RootDenmanJob>("inverse_root_denman", spirv::inverse_root_denman);

}  // namespace

GemmOptions BlockedRoot::product(double alpha, double beta) const {
    GemmOptions gemm_options;
    gemm_options.alpha = static_cast<float>(alpha);
    gemm_options.beta = static_cast<float>(beta);
    gemm_options.guarded = options_.guarded;
    gemm_options.active = running_;
    return gemm_options;
}

// D = alpha A B + beta C for matrices of one word whose product is symmetric
void BlockedRoot::multiply(const Tensor& a, const Tensor& b, const Tensor& c, const Tensor& d, double alpha,
                           double beta) {
    GemmOptions gemm_options = product(alpha, beta);
    gemm_options.symmetric = true;
    gemm(graph_, a, b, beta == 0.0 ? Tensor{} : c, d, gemm_options);
}

// D = A B, of one word or two
void BlockedRoot::multiply(const Tensor& a, const Tensor& b, const Tensor& d) {
    if (options_.words == 1)
        multiply(a, b, {}, d, 1.0, 0.0);
    else
        add_two_word_product(graph_, a, b, d,
                             {.symmetric = true, .active = running_, .guarded = options_.guarded});
}

// D = A ((p + 1) I - M) / p
void BlockedRoot::multiply_t(const Tensor& a, const Tensor& m, const Tensor& d, double p) {
    multiply(a, m, a, d, -1.0 / p, (p + 1.0) / p);
}

void BlockedRoot::full_product(const Tensor& a, const Tensor& b, const Tensor& c, const Tensor& d,
                               double alpha, double beta) {
    gemm(graph_, a, b, c, d, product(alpha, beta));
}

// T^p M: p times (T .), or, from p = 4 on and in two words, by powers of T.
void BlockedRoot::newton() {
    if (options_.words == 2)
        multiply(now_.x, t_, next_.x);
    else
        multiply_t(now_.x, now_.m, next_.x, options_.p);
    if (!writes_t_) {
        Tensor from = now_.m;
        for (std::uint32_t i = 0; i < options_.p; ++i) {
            const Tensor to = i + 1 == options_.p ? next_.m : scratch_[i % 2];
            multiply_t(from, now_.m, to, options_.p);
            from = to;
        }
        return;
    }
    std::uint32_t bit = 1;
    while (options_.p / (2 * bit) != 0) bit *= 2;
    Tensor power = t_;
    int place = 0;
    const auto times = [&](const Tensor& x) {
        multiply(power, x, scratch_[place]);
        power = scratch_[place];
        place = 1 - place;
    };
    while (bit > 1) {
        bit /= 2;
        times(power);
        if ((options_.p & bit) != 0) times(t_);
    }
    multiply(power, now_.m, next_.m);
}

// M = X Y; Y <- Y (3 I - M) / 2, X <- (3 I - M) X / 2: in this order errors do not grow (N. Higham,
// Functions of Matrices, 6.4), and with one half mirrored onto the other they do.
void BlockedRoot::newton_schulz() {
    full_product(now_.y, now_.m, now_.y, next_.y, -0.5, 1.5);
    full_product(now_.m, now_.x, now_.x, next_.x, -0.5, 1.5);
    full_product(next_.x, next_.y, {}, next_.m);
}

// Returns the status of each matrix's Cholesky factor.
Tensor BlockedRoot::denman_beavers(std::uint32_t iteration) {
    const Tensor factor = square(), triangle = square(), f = square();
    const Tensor& inverse = scratch_[0];
    const Tensor log_det = graph_.temporary(DType::f32, Shape{items_});
    const Tensor failures = graph_.temporary(DType::u32, Shape{items_});
    CholeskyOptions cholesky_options;
    cholesky_options.status = failures;
    cholesky_options.guarded = options_.guarded;
    cholesky(graph_, now_.m, factor, cholesky_options);
    log_determinant(graph_, factor, log_det, options_.guarded);
    TriangularInverseOptions inverse_options;
    inverse_options.guarded = options_.guarded;
    triangular_inverse(graph_, factor, triangle, inverse_options);
    GemmOptions transposed = product();
    transposed.transpose_a = Transpose::yes;
    syrk(graph_, triangle, {}, inverse, transposed);
    gpu::RootDenmanJob job{};
    job.n = narrow(n_);
    job.iteration = iteration;
    job.slots = narrow(slots());
    job.groups = narrow(groups_);
    add_operation(make_operation(kDenman, job,
                                 {{offsetof(gpu::RootDenmanJob, m), now_.m, Access::read},
                                  {offsetof(gpu::RootDenmanJob, inverse), inverse, Access::read},
                                  {offsetof(gpu::RootDenmanJob, log_determinant), log_det, Access::read},
                                  {offsetof(gpu::RootDenmanJob, next), next_.m, Access::read_write},
                                  {offsetof(gpu::RootDenmanJob, f), f, Access::write},
                                  {offsetof(gpu::RootDenmanJob, states), states_, Access::read},
                                  {offsetof(gpu::RootDenmanJob, running), running_, Access::read}},
                                 items_ * groups_),
                  4);
    multiply(now_.x, f, next_.x);
    if (three_) multiply(now_.y, f, next_.y);
    return failures;
}

// Newton's iteration for the inverse from any start: M = A X holds without A and X commuting, M is not
// symmetric then. M is not made anew from A and X: it would never come nearer to I than kappa u, although X
// has come as near as it can.
void BlockedRoot::refine() {
    multiply(now_.x, now_.m, now_.x, next_.x, -1.0, 2.0);
    full_product(now_.m, now_.m, now_.m, next_.m, -1.0, 2.0);
}

// Once more X T, without the M that belongs to it: for all methods X^p A = M and Y = A X, so that an error of
// M that is within the tolerance, which X and Y have too, becomes its square. All matrices have stopped.
void BlockedRoot::correct(const Tensor& x, const Tensor& corrected) {
    if (options_.words == 2) {
        add_two_word_product(graph_, x, t_, corrected, {.symmetric = true, .guarded = options_.guarded});
        return;
    }
    const double p = options_.p;
    const bool newton_schulz = method_ == RootMethod::newton_schulz;
    const bool m_first = newton_schulz && x.id == now_.x.id;  // its order, see there
    GemmOptions gemm_options = product(-1.0 / p, (p + 1.0) / p);
    gemm_options.active = {};
    gemm_options.symmetric = !newton_schulz;
    gemm(graph_, m_first ? now_.m : x, m_first ? x : now_.m, x, corrected, gemm_options);
}

}  // namespace heron
