// SPDX-License-Identifier: MIT
// Polar factors by Newton-Schulz as graph operations, in three forms with the same result in exact
// arithmetic:
//
// - one workgroup (polar_workgroup.comp): norm and all iterations in shared memory, one dispatch for all
//   small matrices.
// - standard: S = X X^T, B = b S + c S S, X <- a X + B X; three levels an iteration.
// - gram (arXiv 2505.16932, appendix F): the same polynomials on R = X X^T alone, X <- Q X at restarts and at
//   the end.
//
// X is k x K with k the short side. For tall matrices S = X^T X and X <- a X + X B: nothing is transposed.
#include "linalg/polar.hpp"

#include <algorithm>
#include <array>
#include <cmath>
#include <cstddef>
#include <string>
#include <utility>

#include "heron/error.hpp"
#include "heron/spirv/polar_identity.hpp"
#include "heron/spirv/polar_norm.hpp"
#include "heron/spirv/polar_normalize.hpp"
#include "heron/spirv/polar_workgroup.hpp"
#include "linalg/checks.hpp"
#include "linalg/newton_schulz_coefficients.hpp"
#include "linalg/polar_identity.h"
#include "linalg/polar_normalize.h"
#include "linalg/polar_workgroup.h"

namespace heron {

namespace {

static_assert(sizeof(gpu::PolarNormJob) == 40);
static_assert(sizeof(gpu::PolarNormalizeJob) == 72);
static_assert(sizeof(gpu::PolarWorkgroupJob) == 264);
static_assert(sizeof(gpu::PolarIdentityJob) == 48);
static_assert(sizeof(gpu::PolarWorkgroupJob::coefficients) == 3 * gpu::POLAR_MAX_ITERATIONS * sizeof(float));

constexpr KernelInfo kNorm = make_kernel<gpu::PolarNormJob>("polar_norm", spirv::polar_norm);
constexpr KernelInfo kNormalize =
    make_kernel<gpu::PolarNormalizeJob>("polar_normalize", spirv::polar_normalize);
constexpr KernelInfo kIdentity = make_kernel<gpu::PolarIdentityJob>("polar_identity", spirv::polar_identity);
constexpr KernelInfo kWorkgroup =
    make_kernel<gpu::PolarWorkgroupJob>("polar_workgroup", spirv::polar_workgroup);

std::uint32_t u32(std::uint64_t value) { return static_cast<std::uint32_t>(value); }
std::uint64_t divide_up(std::uint64_t value, std::uint64_t by) { return (value + by - 1) / by; }
std::uint64_t item_of(const Tensor& x) { return x.rows() * x.stride(); }

std::span<const NewtonSchulzCoefficients> coefficients_of(const PolarOptions& options) {
    static constexpr NewtonSchulzCoefficients kMuon = {3.4445, -4.7750, 2.0315};
    static constexpr std::array<NewtonSchulzCoefficients, 5> kDefault = {kMuon, kMuon, kMuon, kMuon, kMuon};
    if (options.coefficients.empty()) return kDefault;
    return options.coefficients;
}

bool restarts_before(const PolarOptions& options, std::size_t iteration) {
    return iteration > 0 &&
           std::find(options.restarts.begin(), options.restarts.end(), iteration) != options.restarts.end();
}

void check_options(const PolarOptions& options, const char* who) {
    if (options.coefficients.size() > kMaxNewtonSchulzSteps)
        refuse(who, std::to_string(options.coefficients.size()) + " iterations; at most " +
                        std::to_string(kMaxNewtonSchulzSteps) + " are possible");
    for (std::size_t i = 0; i < options.coefficients.size(); ++i)
        for (const double value :
             {options.coefficients[i].a, options.coefficients[i].b, options.coefficients[i].c})
            if (!std::isfinite(static_cast<float>(value)))
                refuse(who, "coefficient " + std::to_string(i) + " is not a finite f32 number");
    if (!(options.norm_factor > 0.0) || !std::isfinite(static_cast<float>(options.norm_factor)))
        refuse(who,
               "norm_factor is " + std::to_string(options.norm_factor) + ", must be positive and finite");
    if (!(options.eps >= 0.0) || !std::isfinite(static_cast<float>(options.eps)))
        refuse(who, "eps is " + std::to_string(options.eps) + ", must be finite and not negative");
    if (options.precision == DType::u32) refuse(who, "precision is u32, must be f32, f16 or bf16");
}

// A temporary of the shape of `like`. Rows of 16-bit elements begin at multiples of 16 bytes, so that kernels
// can write whole words and load vectors.
Tensor temporary_like(Graph& graph, const Tensor& like, DType dtype, std::uint64_t rows, std::uint64_t cols) {
    const std::uint64_t stride = dtype == DType::f32 ? cols : divide_up(cols, 8) * 8;
    Tensor x = graph.temporary(dtype, Shape{like.batch(), rows, stride});
    x.shape = Shape{like.batch(), rows, cols};
    x.row_stride = stride == cols ? 0 : stride;
    return x;
}

// ------------------------------------------------------------------------------------------------------- one
// workgroup

struct Side {
    std::uint64_t k, K;
};
Side side_of(std::uint64_t rows, std::uint64_t cols) { return {std::min(rows, cols), std::max(rows, cols)}; }

bool fits_workgroup(const Capabilities& capabilities, std::uint64_t rows, std::uint64_t cols,
                    const PolarOptions& options) {
    if (!options.one_workgroup || rows == 0 || cols == 0) return false;
    const auto [k, K] = side_of(rows, cols);
    const std::uint64_t q = divide_up(k, 4);
    // Long matrices also need room to split the sums over K, 7 partial results for each tile of S.
    const std::uint64_t scratch = K >= 16 * q ? 7 * 2 * q * (q + 1) : 0;
    return q * (K + 4 * q) + scratch <= choose_polar_workgroup(capabilities).pool;
}

// `coefficients` is at most POLAR_MAX_ITERATIONS long.
void add_workgroup(Graph& graph, const Tensor& x, const Tensor& result, std::uint32_t norm_rule,
                   std::span<const NewtonSchulzCoefficients> coefficients, const PolarOptions& options) {
    const PolarWorkgroupVariant variant = choose_polar_workgroup(graph.device().capabilities());
    gpu::PolarWorkgroupJob job{};
    job.rows = u32(x.rows());
    job.cols = u32(x.cols());
    job.x_stride = u32(x.stride());
    job.x_item = u32(item_of(x));
    job.x_dtype = static_cast<std::uint32_t>(x.dtype);
    job.result_stride = u32(result.stride());
    job.result_item = u32(item_of(result));
    job.result_dtype = static_cast<std::uint32_t>(result.dtype);
    job.norm_rule = norm_rule;
    job.norm_factor = static_cast<float>(options.norm_factor);
    job.eps = static_cast<float>(options.eps);
    job.iterations = u32(coefficients.size());
    double flops = 0.0;
    const auto [k, K] = side_of(x.rows(), x.cols());
    const double square = static_cast<double>(k) * static_cast<double>(k);
    for (std::size_t i = 0; i < coefficients.size(); ++i) {
        job.coefficients[3 * i] = static_cast<float>(coefficients[i].a);
        job.coefficients[3 * i + 1] = static_cast<float>(coefficients[i].b);
        job.coefficients[3 * i + 2] = static_cast<float>(coefficients[i].c);
        flops += 3.0 * square * static_cast<double>(K) +
                 (coefficients[i].c != 0.0 ? square * static_cast<double>(k) : 0.0);
    }
    Operation operation = make_operation(kWorkgroup, job,
                                         {{offsetof(gpu::PolarWorkgroupJob, x), x, Access::read},
                                          {offsetof(gpu::PolarWorkgroupJob, result), result, Access::write}},
                                         x.batch());
    operation.constants = {{gpu::SPEC_THREADS, variant.threads},
                           {gpu::SPEC_POOL, variant.pool},
                           {gpu::SPEC_TILES, variant.tiles}};
    operation.reason = "the matrix fits one workgroup's shared memory";
    operation.flops = flops * static_cast<double>(x.batch());
    operation.bytes = static_cast<double>(x.span_bytes() + result.span_bytes());
    operation.guarded = options.guarded;
    graph.add(std::move(operation));
}

// All iterations, in as many dispatches as the list of coefficients takes (one, for every published set).
void add_workgroup_chain(Graph& graph, const Tensor& x, const Tensor& result, std::uint32_t norm_rule,
                         const PolarOptions& options) {
    std::span<const NewtonSchulzCoefficients> rest = coefficients_of(options);
    Tensor from = x;
    Tensor between = result;
    if (rest.size() > gpu::POLAR_MAX_ITERATIONS && result.dtype != DType::f32)
        between = temporary_like(graph, x, DType::f32, x.rows(), x.cols());
    while (true) {
        const auto now = rest.first(std::min<std::size_t>(rest.size(), gpu::POLAR_MAX_ITERATIONS));
        rest = rest.subspan(now.size());
        const Tensor& to = rest.empty() ? result : between;
        add_workgroup(graph, from, to, norm_rule, now, options);
        if (rest.empty()) return;
        from = between;
        norm_rule = gpu::POLAR_NORM_NONE;
    }
}

// -------------------------------------------------------------------------------------------------------------
// products

// One matrix product of the iteration, whichever side is the short one.
class Products {
public:
    Products(Graph& graph, const Tensor& x, const PolarOptions& options)
        : graph_(graph), tall_(x.rows() > x.cols()), options_(options) {}

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

    // d = B X + beta X (X B + beta X for tall matrices)
    void apply(const Tensor& b, const Tensor& x, const Tensor& d, double beta) const {
        GemmOptions gemm_options = base();
        gemm_options.beta = static_cast<float>(beta);
        const Tensor c = beta == 0.0 ? Tensor{} : x;
        if (tall_)
            gemm(graph_, x, b, c, d, gemm_options);
        else
            gemm(graph_, b, x, c, d, gemm_options);
    }

private:
    GemmOptions base() const {
        GemmOptions gemm_options;
        gemm_options.guarded = options_.guarded;
        return gemm_options;
    }

    Graph& graph_;
    bool tall_;
    const PolarOptions& options_;
};

// The iterates X_0 .. X_n: two tensors in turn, and where the last one goes.
class Iterates {
public:
    // `first` holds X_0 and may be overwritten.
    Iterates(const Tensor& first, const Tensor& second, const Tensor& last, std::size_t count)
        : buffers_{first, second}, last_(last), count_(count) {}

    const Tensor& current() const { return at_ == count_ ? last_ : buffers_[at_ % 2]; }
    const Tensor& next() const { return at_ + 1 == count_ ? last_ : buffers_[(at_ + 1) % 2]; }
    void advance() { ++at_; }

private:
    std::array<Tensor, 2> buffers_;
    Tensor last_;
    std::size_t count_;
    std::size_t at_ = 0;
};

std::size_t products_with_x(PolarForm form, const PolarOptions& options) {
    const std::size_t iterations = coefficients_of(options).size();
    if (form == PolarForm::standard) return iterations;
    std::size_t count = 1;
    for (std::size_t i = 1; i < iterations; ++i) count += restarts_before(options, i) ? 1 : 0;
    return count;
}

void iterate_standard(Graph& graph, Iterates& x, const PolarOptions& options) {
    const std::uint64_t k = std::min(x.current().rows(), x.current().cols());
    const Products products(graph, x.current(), options);
    const Tensor s = temporary_like(graph, x.current(), options.precision, k, k);
    const Tensor b = temporary_like(graph, x.current(), options.precision, k, k);
    for (const auto& [ca, cb, cc] : coefficients_of(options)) {
        if (cc == 0.0) {
            products.square_of(x.current(), s, cb);
            products.apply(s, x.current(), x.next(), ca);
        } else {
            products.square_of(x.current(), s, 1.0);
            products.symmetric(s, s, s, b, cc, cb);
            products.apply(b, x.current(), x.next(), ca);
        }
        x.advance();
    }
}

// Q = Z + a I; Q may be Z
void add_identity(Graph& graph, const Tensor& z, const Tensor& q, double a, bool guarded) {
    constexpr std::uint32_t kThreads = 64;
    gpu::PolarIdentityJob job{};
    job.k = u32(z.rows());
    job.x_stride = u32(z.stride());
    job.x_item = u32(item_of(z));
    job.result_stride = u32(q.stride());
    job.result_item = u32(item_of(q));
    job.pairs = u32(z.batch() * z.rows() * divide_up(z.rows(), 2));
    job.diagonal = static_cast<float>(a);
    Operation operation = make_operation(kIdentity, job,
                                         {{offsetof(gpu::PolarIdentityJob, x), z, Access::read},
                                          {offsetof(gpu::PolarIdentityJob, result), q, Access::write}},
                                         divide_up(job.pairs, kThreads));
    operation.constants = {{gpu::SPEC_THREADS, kThreads},
                           {gpu::SPEC_DTYPE_A, static_cast<std::uint32_t>(z.dtype)}};
    operation.reason = "the only implementation";
    operation.bytes = static_cast<double>(z.span_bytes() + q.span_bytes());
    operation.guarded = guarded;
    graph.add(std::move(operation));
}

// Each iteration multiplies its polynomial a I + Z, Z = b R + c R R, into Q, and R follows: R <- (a I + Z) R
// (a I + Z).
//
// In f32, a I is added to Z first: on ill-conditioned matrices that is three times as accurate as adding a Q
// and a R to the products, since Z cancels most of a I. In 16 bits it is the other way round: the sum would
// be rounded to 16 bits.
void iterate_gram(Graph& graph, Iterates& x, const PolarOptions& options) {
    const std::uint64_t k = std::min(x.current().rows(), x.current().cols());
    const Products products(graph, x.current(), options);
    const auto square = [&] { return temporary_like(graph, x.current(), options.precision, k, k); };
    const auto coefficients = coefficients_of(options);
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
        if (last || restarts_before(options, i + 1)) {  // X <- Q (a I + Z) X
            if (q_is_identity) {
                products.apply(z, x.current(), x.next(), ca);
            } else {
                products.symmetric(q, z, q, q_next, 1.0, ca);
                products.apply(q_next, x.current(), x.next(), 0.0);
            }
            x.advance();
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

void iterate(Graph& graph, PolarForm form, Iterates& x, const PolarOptions& options) {
    if (form == PolarForm::gram)
        iterate_gram(graph, x, options);
    else
        iterate_standard(graph, x, options);
}

// --------------------------------------------------------------------------------------------------------
// normalisation

void add_normalize(Graph& graph, const Tensor& a, const Tensor& x, const PolarOptions& options) {
    // One subgroup's worth on CPU drivers, where a workgroup barrier costs as much as hundreds of elements.
    const std::uint32_t threads = graph.device().capabilities().cpu ? 16 : 128;
    const std::uint64_t count = a.rows() * a.cols();
    const std::uint64_t norm_groups = std::clamp<std::uint64_t>(count / 16384, 1, 256);
    const Tensor partials = graph.temporary(DType::f32, Shape{a.batch(), norm_groups, 3});

    gpu::PolarNormJob norm{};
    norm.cols = u32(a.cols());
    norm.count = u32(count);
    norm.x_stride = u32(a.stride());
    norm.x_item = u32(item_of(a));
    norm.groups_per_item = u32(norm_groups);
    Operation norm_operation =
        make_operation(kNorm, norm,
                       {{offsetof(gpu::PolarNormJob, x), a, Access::read},
                        {offsetof(gpu::PolarNormJob, partials), partials, Access::write}},
                       a.batch() * norm_groups);
    norm_operation.constants = {{gpu::SPEC_THREADS, threads},
                                {gpu::SPEC_DTYPE_A, static_cast<std::uint32_t>(a.dtype)}};
    norm_operation.reason = "the only implementation";
    norm_operation.flops = 2.0 * static_cast<double>(a.shape.count());
    norm_operation.bytes = static_cast<double>(a.span_bytes());
    norm_operation.guarded = options.guarded;
    graph.add(std::move(norm_operation));

    const std::uint64_t pairs = a.rows() * divide_up(a.cols(), 2);
    const std::uint64_t groups = std::clamp<std::uint64_t>(pairs / 2048, 1, 65536);
    gpu::PolarNormalizeJob job{};
    job.cols = norm.cols;
    job.count = norm.count;
    job.x_stride = norm.x_stride;
    job.x_item = norm.x_item;
    job.result_stride = u32(x.stride());
    job.result_item = u32(item_of(x));
    job.partials_per_item = u32(norm_groups);
    job.groups_per_item = u32(groups);
    job.clamped = options.norm_rule == NormRule::clamped;
    job.norm_factor = static_cast<float>(options.norm_factor);
    job.eps = static_cast<float>(options.eps);
    Operation operation =
        make_operation(kNormalize, job,
                       {{offsetof(gpu::PolarNormalizeJob, x), a, Access::read},
                        {offsetof(gpu::PolarNormalizeJob, partials), partials, Access::read},
                        {offsetof(gpu::PolarNormalizeJob, result), x, Access::write}},
                       a.batch() * groups);
    operation.constants = {{gpu::SPEC_THREADS, threads},
                           {gpu::SPEC_DTYPE_A, static_cast<std::uint32_t>(a.dtype)},
                           {gpu::SPEC_DTYPE_D, static_cast<std::uint32_t>(x.dtype)}};
    operation.reason = "the only implementation";
    operation.flops = 2.0 * static_cast<double>(a.shape.count());
    operation.bytes = static_cast<double>(a.span_bytes() + x.span_bytes());
    operation.guarded = options.guarded;
    graph.add(std::move(operation));
}

}  // namespace

// ---------------------------------------------------------------------------------------------------------------
// choices

double polar_standard_flops(double k, double K, const PolarOptions& options) {
    double flops = 0.0;
    for (const auto& coefficients : coefficients_of(options))
        flops += 3.0 * k * k * K + (coefficients.c != 0.0 ? k * k * k : 0.0);
    return flops;
}

double polar_gram_flops(double k, double K, const PolarOptions& options) {
    const auto coefficients = coefficients_of(options);
    double flops = k * k * K;  // the first R
    bool q_is_identity = true;
    for (std::size_t i = 0; i < coefficients.size(); ++i) {
        if (coefficients[i].c != 0.0) flops += k * k * k;
        if (!q_is_identity) flops += k * k * k;
        q_is_identity = false;
        const bool last = i + 1 == coefficients.size();
        if (last || restarts_before(options, i + 1)) {
            flops += 2.0 * k * k * K + (last ? 0.0 : k * k * K);
            q_is_identity = true;
        } else {
            flops += 2.0 * k * k * k;
        }
    }
    return flops;
}

PolarForm choose_polar_form(std::uint64_t rows, std::uint64_t cols, const PolarOptions& options) {
    if (options.form == PolarForm::standard || rows == cols) return PolarForm::standard;
    if (options.form == PolarForm::gram) return PolarForm::gram;
    // Rounding errors of R grow with every iteration since it was formed: without a restart singular values
    // that are small against 1 are lost (specification section 1.4), in 16 bits after two iterations already.
    const std::size_t iterations = coefficients_of(options).size();
    const std::size_t longest = options.precision == DType::f32 ? 4 : 3;
    const std::size_t first_longest = options.precision == DType::f32 ? 4 : 2;
    std::size_t run = 0;
    bool restarted = false;
    for (std::size_t i = 0; i < iterations; ++i) {
        if (restarts_before(options, i)) {
            restarted = true;
            run = 0;
        }
        if (++run > (restarted ? longest : first_longest)) return PolarForm::standard;
    }
    if (!restarted) return PolarForm::standard;
    const auto [k, K] = side_of(rows, cols);
    const double k_real = static_cast<double>(k), K_real = static_cast<double>(K);
    return polar_gram_flops(k_real, K_real, options) < polar_standard_flops(k_real, K_real, options)
               ? PolarForm::gram
               : PolarForm::standard;
}

PolarWorkgroupVariant choose_polar_workgroup(const Capabilities& capabilities) {
    PolarWorkgroupVariant variant{};
    // More shared memory would keep other workgroups from a GPU's core.
    variant.pool = std::min<std::uint32_t>(capabilities.shared_memory_bytes, 65536) / 16;
    const std::uint32_t limit =
        std::min(capabilities.max_workgroup_invocations, capabilities.max_workgroup_size_x);
    variant.threads = std::min<std::uint32_t>(capabilities.cpu ? 16 : 256, limit);
    // The largest symmetric matrix: 2 k^2 floats.
    std::uint32_t q = 1;
    while ((q + 1) * 8 * (q + 1) <= variant.pool) ++q;
    variant.tiles = u32(divide_up(q * (q + 1) / 2, variant.threads));
    return variant;
}

bool polar_fits_one_workgroup(const Device& device, std::uint64_t rows, std::uint64_t cols,
                              const PolarOptions& options) {
    return fits_workgroup(device.capabilities(), rows, cols, options);
}

// ------------------------------------------------------------------------------------------------------------
// operations

void polar(Graph& graph, const Tensor& a, const Tensor& out, const PolarOptions& options) {
    check_options(options, "polar");
    check_float_tensor("polar", "a", graph, a);
    check_float_tensor("polar", "out", graph, out);
    if (!(a.shape == out.shape))
        refuse("polar", "a is " + text(a) + ", out is " + text(out) + "; their shapes must be equal");
    if (a.shape.count() == 0) return;
    if (!same_place(graph, a, out) && overlap(graph, a, out))
        refuse("polar", "out (" + text(out) + ") overlaps a (" + text(a) +
                            "); it must be a itself or lie apart from it");

    const std::uint32_t norm_rule =
        options.norm_rule == NormRule::clamped ? gpu::POLAR_NORM_CLAMPED : gpu::POLAR_NORM_ADDED;
    if (fits_workgroup(graph.device().capabilities(), a.rows(), a.cols(), options)) {
        add_workgroup_chain(graph, a, out, norm_rule, options);
        return;
    }
    const PolarForm form = choose_polar_form(a.rows(), a.cols(), options);
    const std::size_t count = products_with_x(form, options);
    // `out` serves as an iterate where its layout is as good as a temporary's.
    const bool reuse_out = out.dtype == options.precision &&
                           (out.dtype == DType::f32 || (out.cols() % 2 == 0 && out.stride() % 2 == 0));
    const Tensor other = temporary_like(graph, a, options.precision, a.rows(), a.cols());
    const Tensor spare = reuse_out   ? out
                         : count > 1 ? temporary_like(graph, a, options.precision, a.rows(), a.cols())
                                     : other;
    const Tensor first = count % 2 == 0 ? spare : other;
    const Tensor second = count % 2 == 0 ? other : spare;
    add_normalize(graph, a, first, options);
    Iterates x(first, second, out, count);
    iterate(graph, form, x, options);
}

Tensor polar_iterate(Graph& graph, const Tensor& x, const PolarOptions& options) {
    check_options(options, "polar_iterate");
    check_float_tensor("polar_iterate", "x", graph, x);
    if (x.dtype != options.precision)
        refuse("polar_iterate",
               "x is " + text(x) + ", the options ask for iterates in " + to_string(options.precision));
    if (x.shape.count() == 0) return x;
    if (fits_workgroup(graph.device().capabilities(), x.rows(), x.cols(), options)) {
        add_workgroup_chain(graph, x, x, gpu::POLAR_NORM_NONE, options);
        return x;
    }
    const PolarForm form = choose_polar_form(x.rows(), x.cols(), options);
    const std::size_t count = products_with_x(form, options);
    Tensor other = temporary_like(graph, x, options.precision, x.rows(), x.cols());
    other.shape = x.shape;
    const Tensor last = count % 2 == 0 ? x : other;
    Iterates iterates(x, other, last, count);
    iterate(graph, form, iterates, options);
    return last;
}

}  // namespace heron
