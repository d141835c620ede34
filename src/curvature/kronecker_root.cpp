// SPDX-License-Identifier: MIT
// Roots and eigenvectors of Kronecker factors.
#include <cmath>
#include <cstddef>
#include <initializer_list>
#include <utility>

#include "curvature/kronecker.h"
#include "curvature/kronecker_factor.hpp"
#include "curvature/kronecker_grid.hpp"
#include "heron/linalg/eigh.hpp"
#include "heron/linalg/matrix_power.hpp"
#include "heron/linalg/qr.hpp"
#include "heron/linalg/reduce.hpp"
#include "heron/linalg/select.hpp"
#include "heron/linalg/two_sided.hpp"
#include "heron/spirv/kronecker_correct.hpp"
#include "heron/spirv/kronecker_keep.hpp"
#include "linalg/convert.hpp"
#include "linalg/integers.hpp"
#include "linalg/spectrum_power.hpp"
#include "linalg/split_exponent.hpp"

namespace heron {

namespace {

static_assert(sizeof(gpu::KroneckerCorrectJob) == 56);
static_assert(sizeof(gpu::KroneckerKeepJob) == 48);

constexpr KernelInfo kCorrect =
    make_kernel<gpu::KroneckerCorrectJob>("kronecker_correct", spirv::kronecker_correct);
constexpr KernelInfo kKeep = make_kernel<gpu::KroneckerKeepJob>("kronecker_keep", spirv::kronecker_keep);

// c F, scaled by its trace where `trace_exponent` is not 0, with damping on the diagonal: a temporary.
Tensor corrected_factor(Graph& graph, const KroneckerFactor& factor, const Tensor& correction, float damping,
                        double trace_exponent = 0, float trace_floor = 0) {
    using Job = gpu::KroneckerCorrectJob;
    const FactorGrid grid = factor_grid(graph.device(), factor.order());
    const Tensor corrected = temporary_like(graph, factor.average);
    Job job{};
    job.order = narrow(factor.order());
    job.rounds = grid.rounds;
    job.damping = damping;
    if (trace_exponent != 0) {
        job.flags = gpu::KRONECKER_SCALE_BY_TRACE;
        job.trace_floor = trace_floor;
        const SplitExponent exponent = split_exponent(-trace_exponent);
        job.exponent_high = exponent.high;
        job.exponent_low = exponent.low;
    }
    add_factor_operation(graph,
                         make_operation(kCorrect, job,
                                        {{offsetof(Job, average), factor.average, Access::read},
                                         {offsetof(Job, correction), correction, Access::read},
                                         {offsetof(Job, result), corrected, Access::write}},
                                        grid.groups),
                         grid, 2, 8, factor.order() * factor.order());
    return corrected;
}

// The diagonal of a square matrix without gaps, as a column.
Tensor diagonal_of(Tensor matrix) {
    const std::uint64_t n = matrix.rows();
    matrix.shape = Shape{n, 1};
    matrix.row_stride = n + 1;
    return matrix;
}

struct Kept {
    Tensor from, to;
};
// Where B is diagonal up to `tolerance` of its norm, each `to` becomes its `from`.
void keep_where_diagonal(Graph& graph, const Tensor& b, float tolerance, std::initializer_list<Kept> pairs) {
    using Job = gpu::KroneckerKeepJob;
    const std::uint64_t n = b.rows();
    const Tensor rest = temporary_like(graph, b), off_diagonal = graph.temporary(DType::f32, Shape{1}),
                 whole = graph.temporary(DType::f32, Shape{1});
    convert(graph, b, rest);
    add_zeros(graph, diagonal_of(rest), true);
    frobenius_norm(graph, rest, off_diagonal);
    frobenius_norm(graph, b, whole);
    const FactorGrid grid = factor_grid(graph.device(), n);
    Job job{};
    job.order = narrow(n);
    job.rounds = grid.rounds;
    job.tolerance = tolerance;
    for (const Kept& pair : pairs)
        add_factor_operation(graph,
                             make_operation(kKeep, job,
                                            {{offsetof(Job, off_diagonal), off_diagonal, Access::read},
                                             {offsetof(Job, whole), whole, Access::read},
                                             {offsetof(Job, kept), pair.from, Access::read},
                                             {offsetof(Job, result), pair.to, Access::read_write}},
                                            grid.groups),
                             grid, 0, 8, n * n);
}

struct Eigenpairs {
    Tensor vectors, values, status;
};
// From the basis `last`; values, ascending, where they are wanted.
Eigenpairs eigenpairs(Graph& graph, const Tensor& x, const Tensor& last, const FactorBasisOptions& options,
                      bool wants_values) {
    const std::uint64_t n = x.rows();
    const Eigenpairs pairs{temporary_like(graph, x), graph.temporary(DType::f32, Shape{n}),
                           graph.temporary(DType::u32, Shape{1})};
    const bool checks = options.tolerance > 0;
    Tensor b = temporary_like(graph, x), q = last;
    if (checks || options.qr_steps > 0)
        two_sided_product(graph, q, x, q, {}, b, {.transpose_left = Transpose::yes});
    if (options.qr_steps == 0) {
        const Tensor vectors = checks && wants_values ? temporary_like(graph, x) : pairs.vectors;
        eigh(graph, x, pairs.values, vectors, {.status = pairs.status});
        if (checks) keep_where_diagonal(graph, b, options.tolerance, {{q, vectors}});
        if (!checks || !wants_values) return pairs;
        q = vectors;
        b = temporary_like(graph, x);
        two_sided_product(graph, q, x, q, {}, b, {.transpose_left = Transpose::yes});
    }
    for (std::uint32_t step = 0; step < options.qr_steps; ++step) {
        const Tensor u = temporary_like(graph, b), r = temporary_like(graph, b),
                     next = temporary_like(graph, b), turned = temporary_like(graph, b);
        qr(graph, b, u, r, {.method = QrMethod::householder, .status = pairs.status});
        gemm(graph, r, u, {}, next);
        gemm(graph, q, u, {}, turned);
        if (checks) keep_where_diagonal(graph, b, options.tolerance, {{b, next}, {q, turned}});
        b = next;
        q = turned;
    }
    const Tensor keys = graph.temporary(DType::f32, Shape{n, 1});
    const Tensor order = graph.temporary(DType::u32, Shape{1, n});
    convert(graph, diagonal_of(b), keys);
    argsort(graph, keys.reshape(Shape{1, n}), order);
    gather_columns(graph, q, order.reshape(Shape{n}), pairs.vectors);
    if (wants_values)
        gather_columns(graph, keys.reshape(Shape{1, n}), order.reshape(Shape{n}),
                       pairs.values.reshape(Shape{1, n}));
    return pairs;
}

// Of the largest eigenvalue, what counts as zero: n roundings add up as their squares. More would be safer,
// but takes eigenvalues out that are there.
float zero_share(std::uint64_t n) { return static_cast<float>(std::sqrt(static_cast<double>(n)) * 0x1p-24); }

// The inverse fourth root by two runs for square roots, of which the first is the longer one.
void inverse_fourth_root(Graph& graph, const Tensor& a, const Tensor& result, const Damping& damping,
                         RootMethod method, const Tensor& status, const Tensor& iterations) {
    const Tensor second = temporary_like(graph, a), unused = temporary_like(graph, a);
    inverse_root(graph, a, second,
                 {.p = 2, .damping = damping, .method = method, .iterations_used = iterations});
    // A matrix without a root is zero now, and has none again.
    inverse_root(graph, second, unused, {.p = 2, .method = method, .square_root = result, .status = status});
}

}  // namespace

LaterRoot renew_root(Graph& graph, const KroneckerFactor& factor, const Tensor& correction,
                     const FactorRootOptions& options) {
    const Damping& damping = options.damping;
    const Tensor corrected =
        corrected_factor(graph, factor, correction, factor.basis ? damping.absolute : 0.0f,
                         options.trace_exponent, damping.absolute);
    const Tensor root = temporary_like(graph, corrected);
    const Tensor status = graph.temporary(DType::u32, Shape{1});
    const double n = static_cast<double>(factor.order());
    MatrixPowerOptions power{.exponent = -options.exponent,
                             .damping = factor.basis ? 0.0f : damping.absolute,
                             .relative_damping = damping.relative,
                             .floor_rule = options.floor_rule,
                             .status = status};
    if (options.floor_rule == SpectrumFloor::drop) {
        if (static_cast<double>(options.rank_tolerance) > n * 0x1p-23) power.floor = options.rank_tolerance;
        power.absolute_floor = options.absolute_rank_tolerance;
    }
    const float zero = zero_share(factor.order());
    if (options.floor_rule == SpectrumFloor::clear) power.floor = zero;
    const auto later_root = [&](const Tensor& values, const Tensor& vectors) -> LaterRoot {
        if (!options.exact_later) return {};
        LaterRoot later{temporary_like(graph, corrected), status};
        MatrixPowerOptions exact = power;
        exact.floor_rule = SpectrumFloor::exact;
        exact.floor = zero;
        // What is on the diagonal already.
        if (factor.basis) exact.absolute_floor = damping.absolute;
        exact.status = {};
        spectrum_power(graph, values, vectors, status, later.root, exact);
        return later;
    };
    const FactorCondition condition{.exponent = options.exponent,
                                    .damping = factor.basis ? 0.0f : damping.absolute,
                                    .relative_damping = damping.relative,
                                    .status = status};
    if (factor.basis) {
        const Eigenpairs pairs = eigenpairs(graph, corrected, factor.basis, options.basis, true);
        spectrum_power(graph, pairs.values, pairs.vectors, pairs.status, root, power);
        report_condition(graph, factor, corrected, root, condition);
        take_over(graph, {factor.basis, factor.whitener, factor.failures}, pairs.vectors, root, status);
        return later_root(pairs.values, pairs.vectors);
    }
    const bool iterates = options.root == FactorRoot::iteration;
    if (options.exact_later) {
        power.values = graph.temporary(DType::f32, Shape{factor.order()});
        power.vectors = temporary_like(graph, corrected);
    }
    const std::uint32_t p =
        iterates ? narrow(static_cast<std::uint64_t>(std::llround(1.0 / options.exponent))) : 0;
    const bool of_squares =
        options.method == RootMethod::newton_schulz || options.method == RootMethod::denman_beavers;
    if (iterates && p == 4 && of_squares)
        inverse_fourth_root(graph, corrected, root, damping, options.method, status, factor.iterations);
    else if (iterates)
        inverse_root(graph, corrected, root,
                     {.p = p,
                      .damping = damping,
                      .method = options.method,
                      .words = options.words,
                      .status = status,
                      .iterations_used = factor.iterations});
    else
        matrix_power(graph, corrected, root, power);
    report_condition(graph, factor, corrected, root, condition);
    take_over(graph, factor, {}, root, status);
    return later_root(power.values, power.vectors);
}

void take_over(Graph& graph, const KroneckerFactor& factor, const LaterRoot& later) {
    const Tensor uncounted = graph.temporary(DType::u32, Shape{1});
    add_zeros(graph, uncounted, true);
    take_over(graph, {factor.average, factor.whitener, uncounted}, {}, later.root, later.status);
}

void renew_basis(Graph& graph, const KroneckerFactor& factor, const Tensor& correction, float epsilon,
                 const FactorBasisOptions& options) {
    const Tensor corrected = corrected_factor(graph, factor, correction, epsilon);
    const Eigenpairs pairs = eigenpairs(graph, corrected, factor.whitener, options, false);
    take_over(graph, factor, {}, pairs.vectors, pairs.status);
}

LaterRoot renew_power(Graph& graph, const KroneckerFactor& factor, const FactorPower& options) {
    // An average with nothing is the factor scaled to unit mean eigenvalue.
    const Tensor scaled = average_factor(graph, factor, factor.average, {.decay = 1.0});
    const Tensor root = temporary_like(graph, scaled);
    const Tensor status = graph.temporary(DType::u32, Shape{1});
    MatrixPowerOptions power{.exponent = options.exponent,
                             .damping = static_cast<float>(options.damping),
                             .floor_rule = SpectrumFloor::level,
                             .status = status};
    if (options.exact_later) {
        power.values = graph.temporary(DType::f32, Shape{factor.order()});
        power.vectors = temporary_like(graph, scaled);
    }
    matrix_power(graph, scaled, root, power);
    report_condition(graph, factor, scaled, root,
                     {.exponent = -options.exponent, .damping = power.damping, .status = status});
    take_over(graph, factor, options.in_place ? scaled : Tensor(), root, status);
    if (!options.exact_later) return {};
    const LaterRoot later{temporary_like(graph, scaled), status};
    power.floor_rule = SpectrumFloor::exact;
    power.floor = zero_share(factor.order());
    power.status = {};
    spectrum_power(graph, power.values, power.vectors, status, later.root, power);
    return later;
}

}  // namespace heron
