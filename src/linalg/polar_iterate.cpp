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
#include "linalg/two_word_product.hpp"

namespace heron {

namespace {

static_assert(sizeof(gpu::PolarIdentityJob) == 48);
constexpr KernelInfo kIdentity = make_kernel<gpu::PolarIdentityJob>("polar_identity", spirv::polar_identity);

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

// One matrix product of the iteration, whichever side is the short one. With two 16-bit words an element A B
// is A_high B_high + A_high B_low + A_low B_high; what is left out has the size of what splitting lost.
class Products {
public:
    Products(Graph& graph, const PolarIterates& x, const PolarOptions& options)
        : graph_(graph),
          two_f32_words_(polar_has_two_f32_words(options)),
          rows_(x.current().rows() / (two_f32_words_ ? 2 : 1)),
          cols_(x.current().cols()),
          tall_(rows_ > cols_),
          large_(std::min(rows_, cols_) * rows_ * cols_ >= kLarge),
          options_(options) {}

    PolarMatrix square_like(const Tensor& x) const {
        const std::uint64_t k = std::min(rows_, cols_);
        return polar_matrix(graph_, polar_temporary(graph_, x, options_, k, k), options_);
    }

    // d = alpha X X^T (X^T X for tall matrices)
    void square_of(const PolarMatrix& x, const PolarMatrix& d, double alpha) const {
        if (two_f32_words_) {
            add_two_word_product(graph_, x.value, x.value, d.value,
                                 {.transpose_a = tall_,
                                  .transpose_b = !tall_,
                                  .symmetric = true,
                                  .alpha = alpha,
                                  .guarded = options_.guarded});
            return;
        }
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

    // z = a I + b R + c R R
    void polynomial(const PolarMatrix& r, const PolarMatrix& z, const NewtonSchulzCoefficients& f) const {
        if (two_f32_words_) {
            const Tensor factor = f.c != 0.0 ? r.value : Tensor{};
            add_two_word_product(graph_, factor, factor, z.value,
                                 {.symmetric = true,
                                  .alpha = f.c,
                                  .beta = f.b,
                                  .diagonal = f.a,
                                  .c = r.value,
                                  .guarded = options_.guarded});
            return;
        }
        if (f.c == 0.0)
            convert(graph_, r.value, z.value, static_cast<float>(f.b), options_.guarded);
        else
            symmetric_sum(r, r, z, f.c, f.b);
        if (f.a != 0.0) add_identity(graph_, z.value, z.value, f.a, options_.guarded);
        split(z);
    }

    // d = A B + beta A, for symmetric k x k matrices that commute
    void symmetric(const PolarMatrix& a, const PolarMatrix& b, const PolarMatrix& d, double beta) const {
        if (two_f32_words_) {
            add_two_word_product(
                graph_, a.value, b.value, d.value,
                {.symmetric = true, .beta = beta, .c = a.value, .guarded = options_.guarded});
            return;
        }
        symmetric_sum(a, b, d, 1.0, beta);
        split(d);
    }

    // X <- B X + beta X (X B + beta X for tall matrices). With two words the old X is what the small products
    // are added to: nothing needs it afterwards.
    void apply(const PolarMatrix& b, PolarIterates& iterates, double beta) const {
        if (two_f32_words_) {
            apply_two_words(b, iterates, beta);
            return;
        }
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
        if (x.high) add_split_words(graph_, x.value, x.high, x.low, options_.guarded);
    }

private:
    // d = alpha A B + beta A, without d's words
    void symmetric_sum(const PolarMatrix& a, const PolarMatrix& b, const PolarMatrix& d, double alpha,
                       double beta) const {
        GemmOptions gemm_options = base();
        gemm_options.alpha = static_cast<float>(alpha);
        gemm_options.beta = static_cast<float>(beta);
        // Half of each product, of two words too: what lies below the diagonal is the sum that lies above it.
        gemm_options.symmetric = true;
        // B is its own transpose, which lies in memory as matrix units like it best.
        const Capabilities& device = graph_.device().capabilities();
        if (device.cooperative_matrix && !device.cpu) gemm_options.transpose_b = Transpose::yes;
        multiply(a, b, beta == 0.0 ? Tensor{} : a.value, d.value, d.value, gemm_options);
    }

    void apply_two_words(const PolarMatrix& b, PolarIterates& iterates, double beta) const {
        const Tensor x = iterates.current(), next = iterates.next(), squares = iterates.next_row_squares();
        iterates.advance();
        Tensor d = next;
        if (next.dtype != DType::f32) {
            d = polar_temporary(graph_, next, DType::f32, next.rows(), next.cols());
            d.shape = next.shape;
        }
        add_two_word_product(graph_, tall_ ? x : b.value, tall_ ? b.value : x, d,
                             {.rounded = iterates.done(), .beta = beta, .c = x, .guarded = options_.guarded});
        if (squares) row_norms(graph_, d, squares, NormKind::squared, options_.guarded);
        if (next.dtype != DType::f32) convert(graph_, d, next, 1.0f, options_.guarded);
    }

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
    bool two_f32_words_;
    std::uint64_t rows_, cols_;
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
            products.polynomial(s, b, {0.0, cb, cc});
            products.apply(b, x, ca);
        }
    }
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
        products.polynomial(r, z, {whole ? ca : 0.0, cb, cc});
        if (ends) {  // X <- Q (a I + Z) X
            if (q_is_identity) {
                products.apply(z, x, ca);
            } else {
                products.symmetric(q, z, q_next, ca);
                products.apply(q_next, x, 0.0);
            }
            q_is_identity = true;
            if (!last) products.square_of(x.matrix(), r, 1.0);
            continue;
        }
        const double outside = whole ? 0.0 : ca;  // the multiple of I that is not in z
        products.symmetric(r, z, rz, outside);
        products.symmetric(rz, z, r_next, outside);
        std::swap(r, r_next);
        if (!q_is_identity) {
            products.symmetric(q, z, q_next, outside);
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
    if (options.words == 1 || options.precision == DType::f32) return {value, {}, {}};
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
