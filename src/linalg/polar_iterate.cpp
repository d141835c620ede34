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
#include "linalg/split_words.hpp"

namespace heron {

namespace {

static_assert(sizeof(gpu::PolarIdentityJob) == 48);
constexpr KernelInfo kIdentity = make_kernel<gpu::PolarIdentityJob>("polar_identity", spirv::polar_identity);

// One matrix product of the iteration, whichever side is the short one. With two words an element A B is
// A_high B_high + A_high B_low + A_low B_high; what is left out has the size of what splitting lost.
class Products {
public:
    Products(Graph& graph, const PolarIterates& x, const PolarOptions& options)
        : graph_(graph),
          tall_(x.current().rows() > x.current().cols()),
          large_(std::min(x.current().rows(), x.current().cols()) * x.current().rows() * x.current().cols() >=
                 kLarge),
          options_(options) {}

    PolarMatrix square_like(const Tensor& x) const {
        const std::uint64_t k = std::min(x.rows(), x.cols());
        return polar_matrix(graph_, polar_temporary(graph_, x, polar_dtype(options_), k, k), options_);
    }

    // d = alpha X X^T (X^T X for tall matrices)
    void square_of(const PolarMatrix& x, const PolarMatrix& d, double alpha) const {
        GemmOptions gemm_options = base();
        gemm_options.transpose_a = tall_ ? Transpose::yes : Transpose::no;
        gemm_options.transpose_b = tall_ ? Transpose::no : Transpose::yes;
        gemm_options.alpha = static_cast<float>(alpha);
        gemm_options.symmetric = true;
        if (options_.words == 1)
            syrk(graph_, x.value, Tensor{}, d.value, gemm_options);
        else
            multiply(x, x, Tensor{}, d.value, d.value, gemm_options);
        split(d);
    }

    // d = alpha A B + beta C for symmetric k x k matrices that commute; without its words where d is changed
    // before it is multiplied.
    void symmetric(const PolarMatrix& a, const PolarMatrix& b, const PolarMatrix& c, const PolarMatrix& d,
                   double alpha, double beta, bool splits = true) const {
        GemmOptions gemm_options = base();
        gemm_options.alpha = static_cast<float>(alpha);
        gemm_options.beta = static_cast<float>(beta);
        // Half of each product, of two words too: what lies below the diagonal is the sum that lies above it.
        gemm_options.symmetric = true;
        // B is its own transpose, which lies in memory as matrix units like it best.
        const Capabilities& device = graph_.device().capabilities();
        if (device.cooperative_matrix && !device.cpu) gemm_options.transpose_b = Transpose::yes;
        multiply(a, b, beta == 0.0 ? Tensor{} : c.value, d.value, d.value, gemm_options);
        if (splits) split(d);
    }

    // X <- B X + beta X (X B + beta X for tall matrices). With two words the old X is what the small products
    // are added to: nothing needs it afterwards.
    void apply(const PolarMatrix& b, PolarIterates& iterates, double beta) const {
        GemmOptions gemm_options = base();
        gemm_options.beta = static_cast<float>(beta);
        gemm_options.row_squares = iterates.next_row_squares();
        const PolarMatrix x = iterates.matrix();
        const Tensor c = beta == 0.0 ? Tensor{} : x.value;
        multiply(tall_ ? x : b, tall_ ? b : x, c, x.value, iterates.next(), gemm_options);
        iterates.advance();
        if (!iterates.done()) split(iterates.matrix());
    }

    // After `x.value` was written.
    void split(const PolarMatrix& x) const {
        if (options_.words == 2) add_split_words(graph_, x.value, x.high, x.low, options_.guarded);
    }

private:
    // D = alpha op(A) op(B) + beta C; of two words in f32 `sum`, which may be C, D or neither.
    void multiply(const PolarMatrix& a, const PolarMatrix& b, const Tensor& c, const Tensor& sum,
                  const Tensor& d, GemmOptions gemm_options) const {
        if (options_.words == 1) {
            gemm(graph_, a.value, b.value, c, d, gemm_options);
            return;
        }
        GemmOptions small = gemm_options;
        small.alpha /= gpu::SPLIT_WORDS_SCALE;
        small.row_squares = {};
        gemm(graph_, a.high, b.low, c, sum, small);
        gemm_options.beta = small.beta = 1.0f;
        gemm(graph_, a.low, b.high, sum, sum, small);
        gemm(graph_, a.high, b.high, sum, d, gemm_options);
    }

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
    const Products products(graph, x, options);
    const PolarMatrix s = products.square_like(x.current()), b = products.square_like(x.current());
    products.split(x.matrix());
    for (const auto& [ca, cb, cc] : polar_coefficients(options)) {
        if (cc == 0.0) {
            products.square_of(x.matrix(), s, cb);
            products.apply(s, x, ca);
        } else {
            products.square_of(x.matrix(), s, 1.0);
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
    const Products products(graph, x, options);
    const auto square = [&] { return products.square_like(x.current()); };
    const auto coefficients = polar_coefficients(options);
    const bool full = polar_dtype(options) == DType::f32;
    PolarMatrix r = square(), r_next = square(), z = square(), rz = square(), q = square(), q_next = square();
    bool q_is_identity = true;
    products.split(x.matrix());
    products.square_of(x.matrix(), r, 1.0);
    for (std::size_t i = 0; i < coefficients.size(); ++i) {
        const auto [ca, cb, cc] = coefficients[i];
        const bool last = i + 1 == coefficients.size();
        const bool ends = last || polar_restarts_before(options, i + 1);
        const bool whole = full && !ends;  // a I goes into z
        if (cc == 0.0) {
            convert(graph, r.value, z.value, static_cast<float>(cb), options.guarded);
            if (!whole) products.split(z);
        } else {
            products.symmetric(r, r, r, z, cc, cb, !whole);
        }
        if (ends) {  // X <- Q (a I + Z) X
            if (q_is_identity) {
                products.apply(z, x, ca);
            } else {
                products.symmetric(q, z, q, q_next, 1.0, ca);
                products.apply(q_next, x, 0.0);
            }
            q_is_identity = true;
            if (!last) products.square_of(x.matrix(), r, 1.0);
            continue;
        }
        const double outside = whole ? 0.0 : ca;  // the multiple of I that is not in z
        if (whole) {
            add_identity(graph, z.value, z.value, ca, options.guarded);
            products.split(z);
        }
        products.symmetric(r, z, r, rz, 1.0, outside);
        products.symmetric(z, rz, rz, r_next, 1.0, outside);
        std::swap(r, r_next);
        if (!q_is_identity) {
            products.symmetric(q, z, q, q_next, 1.0, outside);
            std::swap(q, q_next);
        } else if (whole) {
            std::swap(q, z);
        } else {
            add_identity(graph, z.value, q.value, ca, options.guarded);
        }
        q_is_identity = false;
    }
}

}  // namespace

PolarMatrix polar_matrix(Graph& graph, const Tensor& value, const PolarOptions& options) {
    if (options.words == 1) return {value, {}, {}};
    const auto word = [&] {
        return polar_temporary(graph, value, options.precision, value.rows(), value.cols());
    };
    return {value, word(), word()};
}

void add_polar_iterations(Graph& graph, PolarForm form, PolarIterates& x, const PolarOptions& options) {
    if (form == PolarForm::gram)
        iterate_gram(graph, x, options);
    else
        iterate_standard(graph, x, options);
}

}  // namespace heron
