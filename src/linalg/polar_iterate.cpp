// SPDX-License-Identifier: MIT
// The iterations of polar() as matrix products, in two forms with the same result in exact arithmetic:
//
// - standard: S = X X^T, B = b S + c S S, X <- a X + B X; three levels an iteration.
// - gram (arXiv 2505.16932, appendix F): the same polynomials on R = X X^T alone, X <- Q X at restarts and at
//   the end.
//
// X is k x K with k the short side. For tall matrices S = X^T X and X <- a X + X B: nothing is transposed.
#include <algorithm>
#include <cstddef>
#include <utility>

#include "graph/element_bytes.hpp"
#include "heron/spirv/polar_identity.hpp"
#include "linalg/integers.hpp"
#include "linalg/polar.hpp"
#include "linalg/polar_identity.h"

namespace heron {

namespace {

static_assert(sizeof(gpu::PolarIdentityJob) == 48);
constexpr KernelInfo kIdentity = make_kernel<gpu::PolarIdentityJob>("polar_identity", spirv::polar_identity);

// One matrix product of the iteration, whichever side is the short one.
class Products {
public:
    Products(Graph& graph, const Tensor& x, const PolarOptions& options)
        : graph_(graph),
          tall_(x.rows() > x.cols()),
          large_(std::min(x.rows(), x.cols()) * x.rows() * x.cols() >= kLarge),
          options_(options) {}

    // d = alpha X X^T (X^T X for tall matrices)
    void square_of(const Tensor& x, const Tensor& d, double alpha) const {
        GemmOptions gemm_options = base();
        gemm_options.transpose_a = tall_ ? Transpose::yes : Transpose::no;
        gemm_options.alpha = static_cast<float>(alpha);
        syrk(graph_, x, Tensor{}, d, gemm_options);
    }

    // d = alpha A B + beta C for symmetric k x k matrices that commute
    void symmetric(const Tensor& a, const Tensor& b, const Tensor& c, const Tensor& d, double alpha,
                   double beta) const {
        GemmOptions gemm_options = base();
        gemm_options.alpha = static_cast<float>(alpha);
        gemm_options.beta = static_cast<float>(beta);
        gemm_options.symmetric = true;
        // B is its own transpose, which lies in memory as matrix units like it best.
        const Capabilities& device = graph_.device().capabilities();
        if (device.cooperative_matrix && !device.cpu) gemm_options.transpose_b = Transpose::yes;
        gemm(graph_, a, b, beta == 0.0 ? Tensor{} : c, d, gemm_options);
    }

    // X <- B X + beta X (X B + beta X for tall matrices)
    void apply(const Tensor& b, PolarIterates& iterates, double beta) const {
        GemmOptions gemm_options = base();
        gemm_options.beta = static_cast<float>(beta);
        gemm_options.row_squares = iterates.next_row_squares();
        const Tensor x = iterates.current();
        const Tensor c = beta == 0.0 ? Tensor{} : x;
        if (tall_)
            gemm(graph_, x, b, c, iterates.next(), gemm_options);
        else
            gemm(graph_, b, x, c, iterates.next(), gemm_options);
        iterates.advance();
    }

private:
    GemmOptions base() const {
        GemmOptions gemm_options;
        gemm_options.packing = large_;
        gemm_options.guarded = options_.guarded;
        gemm_options.split = SplitK::when_needed;  // a level more in every iteration is not worth it
        return gemm_options;
    }

    // Multiplications from which packed panels, where there are any (CPU drivers), are worth a level more for
    // every product. lavapipe 26.1, two cores, panels included: products of 512 75 GFLOP/s, else 39; of 256
    // 43 and 39.
    static constexpr std::uint64_t kLarge = std::uint64_t{1} << 26;

    Graph& graph_;
    bool tall_, large_;
    const PolarOptions& options_;
};

void iterate_standard(Graph& graph, PolarIterates& x, const PolarOptions& options) {
    const std::uint64_t k = std::min(x.current().rows(), x.current().cols());
    const Products products(graph, x.current(), options);
    const Tensor s = polar_temporary(graph, x.current(), options.precision, k, k);
    const Tensor b = polar_temporary(graph, x.current(), options.precision, k, k);
    for (const auto& [ca, cb, cc] : polar_coefficients(options)) {
        if (cc == 0.0) {
            products.square_of(x.current(), s, cb);
            products.apply(s, x, ca);
        } else {
            products.square_of(x.current(), s, 1.0);
            products.symmetric(s, s, s, b, cc, cb);
            products.apply(b, x, ca);
        }
    }
}

// Q = Z + a I; Q may be Z
void add_identity(Graph& graph, const Tensor& z, const Tensor& q, double a, bool guarded) {
    constexpr std::uint32_t kThreads = 64;
    gpu::PolarIdentityJob job{};
    job.k = narrow(z.rows());
    job.x_stride = narrow(z.stride());
    job.x_item = narrow(item_of(z));
    job.result_stride = narrow(q.stride());
    job.result_item = narrow(item_of(q));
    job.pairs = narrow(z.batch() * z.rows() * ceil_div(z.rows(), 2));
    job.diagonal = static_cast<float>(a);
    Operation operation = make_operation(kIdentity, job,
                                         {{offsetof(gpu::PolarIdentityJob, x), z, Access::read},
                                          {offsetof(gpu::PolarIdentityJob, result), q, Access::write}},
                                         ceil_div(job.pairs, kThreads));
    operation.constants = {{gpu::SPEC_THREADS, kThreads},
                           {gpu::SPEC_DTYPE_A, static_cast<std::uint32_t>(z.dtype)}};
    operation.reason = "the only implementation";
    operation.bytes = element_bytes(z, q);
    operation.guarded = guarded;
    graph.add(std::move(operation));
}

// Each iteration multiplies its polynomial a I + Z, Z = b R + c R R, into Q, and R follows: R <- (a I + Z) R
// (a I + Z).
//
// In f32, a I is added to Z first: on ill-conditioned matrices that is three times as accurate as adding a Q
// and a R to the products, since Z cancels most of a I. In 16 bits it is the other way round: the sum would
// be rounded to 16 bits.
void iterate_gram(Graph& graph, PolarIterates& x, const PolarOptions& options) {
    const std::uint64_t k = std::min(x.current().rows(), x.current().cols());
    const Products products(graph, x.current(), options);
    const auto square = [&] { return polar_temporary(graph, x.current(), options.precision, k, k); };
    const auto coefficients = polar_coefficients(options);
    const bool full = options.precision == DType::f32;
    Tensor r = square(), r_next = square(), z = square(), rz = square(), q = square(), q_next = square();
    bool q_is_identity = true;
    products.square_of(x.current(), r, 1.0);
    for (std::size_t i = 0; i < coefficients.size(); ++i) {
        const auto [ca, cb, cc] = coefficients[i];
        if (cc == 0.0)
            convert(graph, r, z, static_cast<float>(cb), options.guarded);
        else
            products.symmetric(r, r, r, z, cc, cb);
        const bool last = i + 1 == coefficients.size();
        if (last || polar_restarts_before(options, i + 1)) {  // X <- Q (a I + Z) X
            if (q_is_identity) {
                products.apply(z, x, ca);
            } else {
                products.symmetric(q, z, q, q_next, 1.0, ca);
                products.apply(q_next, x, 0.0);
            }
            q_is_identity = true;
            if (!last) products.square_of(x.current(), r, 1.0);
            continue;
        }
        const double outside = full ? 0.0 : ca;  // the multiple of I that is not in z
        if (full) add_identity(graph, z, z, ca, options.guarded);
        products.symmetric(r, z, r, rz, 1.0, outside);
        products.symmetric(z, rz, rz, r_next, 1.0, outside);
        std::swap(r, r_next);
        if (!q_is_identity) {
            products.symmetric(q, z, q, q_next, 1.0, outside);
            std::swap(q, q_next);
        } else if (full) {
            std::swap(q, z);
        } else {
            add_identity(graph, z, q, ca, options.guarded);
        }
        q_is_identity = false;
    }
}

}  // namespace

void add_polar_iterations(Graph& graph, PolarForm form, PolarIterates& x, const PolarOptions& options) {
    if (form == PolarForm::gram)
        iterate_gram(graph, x, options);
    else
        iterate_standard(graph, x, options);
}

}  // namespace heron
