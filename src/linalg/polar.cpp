// SPDX-License-Identifier: MIT
// polar() and polar_iterate(): checks, and which of the pieces of linalg/polar.hpp do the work.
#include "linalg/polar.hpp"

#include <cmath>
#include <string>

#include "core/enumerator.hpp"
#include "core/number_text.hpp"
#include "graph/graph.hpp"
#include "linalg/checks.hpp"
#include "linalg/convert.hpp"
#include "linalg/gemm.hpp"
#include "linalg/integers.hpp"
#include "linalg/newton_schulz_coefficients.hpp"
#include "linalg/polar_workgroup.h"

namespace heron {

void check_polar_options(std::string_view who, const PolarOptions& options, const std::string& prefix) {
    if (options.coefficients.size() > kMaxNewtonSchulzSteps)
        refuse(who, std::to_string(options.coefficients.size()) + " iterations; at most " +
                        std::to_string(kMaxNewtonSchulzSteps) + " are possible");
    // Written so that NaN fails.
    for (std::size_t i = 0; i < options.coefficients.size(); ++i)
        for (const double value :
             {options.coefficients[i].a, options.coefficients[i].b, options.coefficients[i].c})
            if (!(std::abs(value) <= kMaxPolarCoefficient))
                refuse(who, prefix + "coefficient " + std::to_string(i) + " has " + number_text(value) +
                                ", must lie between -1e4 and 1e4");
    if (!(options.norm_factor >= kMinPolarNormFactor && options.norm_factor <= kMaxPolarNormFactor))
        refuse(who, prefix + "norm_factor is " + number_text(options.norm_factor) +
                        ", must lie between 2^-20 and 2^20");
    if (!(options.eps >= 0.0) || !std::isfinite(static_cast<float>(options.eps)))
        refuse(who, prefix + "eps is " + number_text(options.eps) +
                        ", must be a finite f32 number and not below 0");
    if (!is_enumerator(options.norm_rule, NormRule::clamped))
        refuse(who, prefix + "norm_rule is not one of NormRule");
    if (!is_enumerator(options.form, PolarForm::gram)) refuse(who, prefix + "form is not one of PolarForm");
    const std::size_t iterations = polar_coefficients(options).size();
    if (options.form == PolarForm::gram)  // the others have none, or their own
        for (const std::uint32_t restart : options.restarts)
            if (restart == 0 || restart >= iterations)
                refuse(who, prefix + "restarts has " + std::to_string(restart) + ", with " +
                                std::to_string(iterations) + " iterations they may be 1 to " +
                                std::to_string(iterations - 1));
    if (!is_enumerator(options.precision, DType::bf16))
        refuse(who, prefix + "precision is " + to_string(options.precision) + ", must be f32, f16 or bf16");
    if (options.words != 1 && options.words != 2)
        refuse(who, prefix + "words is " + std::to_string(options.words) + ", must be 1 or 2");
}

namespace {

// Of matrices that do not fit one workgroup.
std::string purpose_of_products(const Tensor& x, const PolarOptions& options) {
    const auto [form, reason] = choose_polar_form(x.rows(), x.cols(), options);
    return std::string("polar by products, ") + (form == PolarForm::gram ? "gram" : "standard") + " form (" +
           std::string(reason) + ")" + (options.words == 2 ? ", two words an element" : "") + ": " +
           (!options.one_workgroup             ? "one workgroup is switched off"
            : polar_has_two_f32_words(options) ? "one workgroup has one word an element"
                                               : "does not fit one workgroup");
}

// Kernels for two f32 words count both, and gaps between rows, in 32 bits.
void check_two_words(std::string_view who, const Tensor& x, const PolarOptions& options) {
    if (polar_has_two_f32_words(options) && x.batch() * item_of(x) >= std::uint64_t{1} << 31)
        refuse(who,
               "the matrix is " + text(x) +
                   "; in two f32 words it may have at most 2^31 - 1 elements, gaps between rows included");
}

std::uint64_t iterate_stride(DType dtype, std::uint64_t cols) {
    return dtype == DType::f32 ? cols : ceil_div(cols, 8) * 8;
}

// Iterates of products, which may have gaps where the matrix has none.
void check_iterates(std::string_view who, const Tensor& x, const PolarOptions& options) {
    constexpr std::uint64_t kLargest = std::uint64_t{1} << 31;  // gemm()'s extents
    if (x.batch() * x.rows() * iterate_stride(polar_dtype(options), x.cols()) > kMaxIndex ||
        x.rows() > kLargest || x.cols() > kLargest)
        refuse(who, "the matrix is " + text(x) +
                        "; sides may be 2^31, and its iterates 2^32 - 1 elements, of 16 "
                        "bits with rows of a multiple of 8");
}

}  // namespace

Tensor polar_temporary(Graph& graph, const Tensor& like, DType dtype, std::uint64_t rows,
                       std::uint64_t cols) {
    const std::uint64_t stride = iterate_stride(dtype, cols);
    Tensor x = graph.temporary(dtype, Shape{like.batch(), rows, stride});
    x.shape = Shape{like.batch(), rows, cols};
    x.row_stride = stride == cols ? 0 : stride;
    return x;
}

Tensor polar_temporary(Graph& graph, const Tensor& like, const PolarOptions& options, std::uint64_t rows,
                       std::uint64_t cols) {
    const std::uint64_t words = polar_has_two_f32_words(options) ? 2 : 1;
    return polar_temporary(graph, like, polar_dtype(options), words * rows, cols);
}

void polar(Graph& graph, const Tensor& a, const Tensor& out, const PolarOptions& options,
           const Tensor& row_squares) {
    polar_of_partials(graph, a, {}, out, options, row_squares);
}

void polar_of_partials(Graph& graph, const Tensor& a, const Tensor& partials, const Tensor& out,
                       const PolarOptions& options, const Tensor& row_squares) {
    check_polar_options("polar", options);
    check_float_tensor("polar", "a", graph, a);
    check_float_tensor("polar", "out", graph, out);
    check_two_words("polar", a, options);
    check_two_words("polar", out, options);
    if (!(a.shape == out.shape))
        refuse("polar", "a is " + text(a) + ", out is " + text(out) + "; their shapes must be equal");
    check_squares("polar", graph, "row_squares", row_squares, a.batch() * a.rows(), {{"a", a}, {"out", out}});
    check_status_tensor("polar", graph, options.status, a.batch(),
                        {{"a", a}, {"out", out}, {"row_squares", row_squares}});
    if (a.shape.count() == 0) {
        add_zeros(graph, row_squares, options.guarded);
        add_zeros(graph, options.status, options.guarded);
        return;
    }
    if (!same_place(graph, a, out) && overlap(graph, a, out))
        refuse("polar", "out (" + text(out) + ") overlaps a (" + text(a) +
                            "); it must be a itself or lie apart from it");

    const std::uint32_t norm_rule =
        options.norm_rule == NormRule::clamped ? gpu::POLAR_NORM_CLAMPED : gpu::POLAR_NORM_ADDED;
    if (polar_fits_one_workgroup(graph.device(), a.rows(), a.cols(), options)) {
        add_polar_workgroup(graph, a, out, norm_rule, options, row_squares);
        return;
    }
    check_iterates("polar", a, options);
    const PolarForm form = choose_polar_form(a.rows(), a.cols(), options).form;
    const Purpose purpose(graph, purpose_of_products(a, options));
    const std::size_t count = polar_products_with_x(form, options);
    // `out` serves as an iterate where its layout is as good as a temporary's.
    const bool reuse_out = out.dtype == polar_dtype(options) && !polar_has_two_f32_words(options) &&
                           (out.dtype == DType::f32 || (out.cols() % 2 == 0 && out.stride() % 2 == 0));
    const Tensor other = polar_temporary(graph, a, options, a.rows(), a.cols());
    const Tensor spare = reuse_out   ? out
                         : count > 1 ? polar_temporary(graph, a, options, a.rows(), a.cols())
                                     : other;
    const Tensor first = count % 2 == 0 ? spare : other;
    const Tensor second = count % 2 == 0 ? other : spare;
    add_polar_normalize(graph, a, partials ? partials : add_polar_norm(graph, a, options), first, options);
    PolarIterates x(polar_matrix(graph, first, options), second, out, count, row_squares);
    add_polar_iterations(graph, form, x, options);
}

Tensor polar_iterate(Graph& graph, const Tensor& x, const PolarOptions& options, const Tensor& row_squares) {
    check_polar_options("polar_iterate", options);
    if (options.status) refuse("polar_iterate", "status is set, but no norm is taken that it could tell of");
    check_float_tensor("polar_iterate", "x", graph, x);
    if (x.dtype != polar_dtype(options))
        refuse("polar_iterate",
               "x is " + text(x) + ", the options ask for iterates in " + to_string(polar_dtype(options)));
    check_two_words("polar_iterate", x, options);
    check_squares("polar_iterate", graph, "row_squares", row_squares, x.batch() * x.rows(), {{"x", x}});
    if (x.shape.count() == 0) {
        add_zeros(graph, row_squares, options.guarded);
        return x;
    }
    if (polar_fits_one_workgroup(graph.device(), x.rows(), x.cols(), options)) {
        add_polar_workgroup(graph, x, x, gpu::POLAR_NORM_NONE, options, row_squares);
        return x;
    }
    check_iterates("polar_iterate", x, options);
    const PolarForm form = choose_polar_form(x.rows(), x.cols(), options).form;
    const Purpose purpose(graph, purpose_of_products(x, options));
    const std::size_t count = polar_products_with_x(form, options);
    if (polar_has_two_f32_words(options)) {
        const auto iterate = [&] { return polar_temporary(graph, x, options, x.rows(), x.cols()); };
        const Tensor first = iterate();
        add_polar_normalize(graph, x, {}, first, options);
        PolarIterates iterates({first, {}, {}}, count > 1 ? iterate() : first, x, count, row_squares);
        add_polar_iterations(graph, form, iterates, options);
        return x;
    }
    Tensor other = polar_temporary(graph, x, options, x.rows(), x.cols());
    other.shape = x.shape;
    const Tensor last = count % 2 == 0 ? x : other;
    PolarIterates iterates(polar_matrix(graph, x, options), other, last, count, row_squares);
    add_polar_iterations(graph, form, iterates, options);
    return last;
}

}  // namespace heron
