// SPDX-License-Identifier: MIT
// The kernels are shaders/curvature/kronecker_*.comp; roots and products are linalg's.
#include "curvature/kronecker_factor.hpp"

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <initializer_list>
#include <utility>
#include <vector>

#include "curvature/kronecker.h"
#include "curvature/kronecker_grid.hpp"
#include "heron/linalg/cholesky.hpp"
#include "heron/linalg/eigh.hpp"
#include "heron/linalg/matrix_power.hpp"
#include "heron/linalg/qr.hpp"
#include "heron/linalg/reduce.hpp"
#include "heron/linalg/select.hpp"
#include "heron/linalg/triangular.hpp"
#include "heron/linalg/two_sided.hpp"
#include "heron/spirv/kronecker_add.hpp"
#include "heron/spirv/kronecker_average.hpp"
#include "heron/spirv/kronecker_commit.hpp"
#include "heron/spirv/kronecker_correct.hpp"
#include "heron/spirv/kronecker_keep.hpp"
#include "heron/spirv/kronecker_start.hpp"
#include "linalg/convert.hpp"
#include "linalg/integers.hpp"
#include "linalg/split_exponent.hpp"

namespace heron {

namespace {

static_assert(sizeof(gpu::KroneckerStartJob) == 32);
static_assert(sizeof(gpu::KroneckerAverageJob) == 64);
static_assert(sizeof(gpu::KroneckerAddJob) == 48);
static_assert(sizeof(gpu::KroneckerCorrectJob) == 56);
static_assert(sizeof(gpu::KroneckerCommitJob) == 64);
static_assert(sizeof(gpu::KroneckerKeepJob) == 48);

constexpr KernelInfo kStart = make_kernel<gpu::KroneckerStartJob>("kronecker_start", spirv::kronecker_start);
constexpr KernelInfo kAverage =
    make_kernel<gpu::KroneckerAverageJob>("kronecker_average", spirv::kronecker_average);
constexpr KernelInfo kAdd = make_kernel<gpu::KroneckerAddJob>("kronecker_add", spirv::kronecker_add);
constexpr KernelInfo kCorrect =
    make_kernel<gpu::KroneckerCorrectJob>("kronecker_correct", spirv::kronecker_correct);
constexpr KernelInfo kCommit =
    make_kernel<gpu::KroneckerCommitJob>("kronecker_commit", spirv::kronecker_commit);
constexpr KernelInfo kKeep = make_kernel<gpu::KroneckerKeepJob>("kronecker_keep", spirv::kronecker_keep);

void add(Graph& graph, Operation operation, const FactorGrid& grid, double flops, double bytes,
         std::uint64_t order) {
    add_factor_operation(graph, std::move(operation), grid, flops, bytes, order * order);
}

Tensor temporary_like(Graph& graph, const Tensor& x) { return graph.temporary(DType::f32, x.shape); }

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
    add(graph,
        make_operation(kCorrect, job,
                       {{offsetof(Job, average), factor.average, Access::read},
                        {offsetof(Job, correction), correction, Access::read},
                        {offsetof(Job, result), corrected, Access::write}},
                       grid.groups),
        grid, 2, 8, factor.order());
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
        add(graph,
            make_operation(kKeep, job,
                           {{offsetof(Job, off_diagonal), off_diagonal, Access::read},
                            {offsetof(Job, whole), whole, Access::read},
                            {offsetof(Job, kept), pair.from, Access::read},
                            {offsetof(Job, result), pair.to, Access::read_write}},
                           grid.groups),
            grid, 0, 8, n);
}

// The inverse fourth root by two runs for square roots.
void inverse_fourth_root(Graph& graph, const Tensor& a, const Tensor& result, const Damping& damping,
                         RootMethod method, const Tensor& status) {
    const Tensor second = temporary_like(graph, a), unused = temporary_like(graph, a);
    inverse_root(graph, a, second, {.p = 2, .damping = damping, .method = method});
    // A matrix without a root is zero now, and has none again.
    inverse_root(graph, second, unused, {.p = 2, .method = method, .square_root = result, .status = status});
}

// op(S) X^T with a Cholesky factor's S.
Tensor whitener_times_transpose(Graph& graph, const KroneckerFactor& factor, const Tensor& x,
                                Transpose transpose) {
    const Tensor result = graph.temporary(DType::f32, Shape{x.cols(), x.rows()});
    triangular_product(graph, factor.whitener, x, result,
                       {.triangle = Triangle::upper, .transpose = transpose, .transpose_b = Transpose::yes});
    return result;
}

// op(S_P) X op(S_Q)^T.
Tensor two_sided(Graph& graph, const KroneckerFactor& p, const Tensor& x, const KroneckerFactor& q,
                 WhitenerForm form, Transpose transpose) {
    if (!p && !q) return x;
    // Both products of a pair with their triangle on the left, in panels of whole rows: op(S_P) (op(S_Q)
    // X^T)^T.
    if (form == WhitenerForm::cholesky && p && q)
        return whitener_times_transpose(graph, p, whitener_times_transpose(graph, q, x, transpose),
                                        transpose);
    const Tensor result = temporary_like(graph, x);
    if (form == WhitenerForm::cholesky && p)
        triangular_product(graph, p.whitener, x, result,
                           {.triangle = Triangle::upper, .transpose = transpose});
    else
        two_sided_product(graph, p.whitener, x, q.whitener, {}, result,
                          {.transpose_left = transpose,
                           .transpose_right = transpose == Transpose::yes ? Transpose::no : Transpose::yes});
    return result;
}

}  // namespace

void start_factor(Graph& graph, const KroneckerFactor& factor, FactorStart start) {
    const FactorGrid grid = factor_grid(graph.device(), factor.order());
    gpu::KroneckerStartJob job{};
    job.order = narrow(factor.order());
    job.rounds = grid.rounds;
    job.diagonal = start == FactorStart::identity ? 1.0f : 0.0f;
    graph.set_phase(Phase::initialize);
    Operation operation =
        make_operation(kStart, job,
                       {{offsetof(gpu::KroneckerStartJob, average), factor.average, Access::write},
                        {offsetof(gpu::KroneckerStartJob, whitener), factor.whitener, Access::write}},
                       grid.groups);
    operation.guarded = false;
    add(graph, std::move(operation), grid, 0, 8, factor.order());
    graph.set_phase(Phase::step);
}

void take_over(Graph& graph, const KroneckerFactor& factor, const Tensor& candidate, const Tensor& root,
               const Tensor& status) {
    using Job = gpu::KroneckerCommitJob;
    const FactorGrid grid = factor_grid(graph.device(), factor.order());
    Job job{};
    job.order = narrow(factor.order());
    job.rounds = grid.rounds;
    job.flags = candidate ? gpu::KRONECKER_HAS_CANDIDATE : 0;
    std::vector<Operand> operands{{offsetof(Job, root), root, Access::read},
                                  {offsetof(Job, status), status, Access::read},
                                  {offsetof(Job, whitener), factor.whitener, Access::read_write},
                                  {offsetof(Job, failures), factor.failures, Access::read_write}};
    if (candidate) {
        operands.push_back({offsetof(Job, candidate), candidate, Access::read});
        operands.push_back({offsetof(Job, average), factor.average, Access::read_write});
    }
    add(graph, make_operation(kCommit, job, std::move(operands), grid.groups), grid, 0, candidate ? 16 : 8,
        factor.order());
}

std::vector<KroneckerFactor> make_factors(Graph& graph, const std::string& name,
                                          std::span<const std::uint64_t> orders, FactorStart start) {
    std::vector<KroneckerFactor> factors(orders.size());
    std::uint64_t elements = 0;
    for (const std::uint64_t order : orders) elements += order * order;
    if (elements == 0) return factors;
    const std::uint64_t count = orders.size(), first = orders[0];
    Shape shape{elements};
    if (std::all_of(orders.begin(), orders.end(), [&](std::uint64_t order) { return order == first; }))
        shape = count == 1 ? Shape{first, first} : Shape{count, first, first};
    const Tensor averages = graph.state(name, DType::f32, shape);
    const Tensor whiteners = graph.state(name + "_whitener", DType::f32, shape);
    const Tensor failures = graph.state(name + "_failures", DType::u32, Shape{count});
    const auto part = [](Tensor whole, std::uint64_t at, const Shape& of) {
        whole.byte_offset += at * bytes_of(whole.dtype);
        whole.shape = of;
        return whole;
    };
    std::uint64_t at = 0;
    for (std::size_t i = 0; i < orders.size(); ++i) {
        if (orders[i] == 0) continue;
        const Shape square{orders[i], orders[i]};
        factors[i] = {part(averages, at, square), part(whiteners, at, square), part(failures, i, Shape{1})};
        start_factor(graph, factors[i], start);
        at += orders[i] * orders[i];
    }
    return factors;
}

Tensor average_factor(Graph& graph, const KroneckerFactor& factor, const Tensor& statistic,
                      const FactorAverage& options) {
    using Job = gpu::KroneckerAverageJob;
    const FactorGrid grid = factor_grid(graph.device(), factor.order());
    const Tensor candidate = temporary_like(graph, factor.average);
    Job job{};
    job.order = narrow(factor.order());
    job.rounds = grid.rounds;
    job.decay = static_cast<float>(options.decay);
    job.rate = static_cast<float>(1.0 - options.decay);
    job.damping = static_cast<float>(options.damping);
    const bool has_unit = options.unit && !options.unit_trace;
    job.flags =
        (options.unit_trace ? gpu::KRONECKER_UNIT_TRACE : 0) | (has_unit ? gpu::KRONECKER_HAS_UNIT : 0);
    // lavapipe 26.1 loads the unit whatever the flags say: something readable in its place.
    add(graph,
        make_operation(kAverage, job,
                       {{offsetof(Job, average), factor.average, Access::read},
                        {offsetof(Job, statistic), statistic, Access::read},
                        {offsetof(Job, unit), has_unit ? options.unit : factor.average, Access::read},
                        {offsetof(Job, candidate), candidate, Access::write}},
                       grid.groups),
        grid, 6, 12, factor.order());
    return candidate;
}

void renew_factor(Graph& graph, const KroneckerFactor& factor, const Tensor& candidate, WhitenerForm form,
                  double exponent) {
    const Tensor root = temporary_like(graph, candidate);
    const Tensor status = graph.temporary(DType::u32, Shape{1});
    if (form == WhitenerForm::cholesky) {
        const Tensor triangle = temporary_like(graph, candidate);
        cholesky(graph, candidate, triangle, {.triangle = Triangle::upper, .status = status});
        triangular_inverse(graph, triangle, root, {.triangle = Triangle::upper});
    } else if (exponent == 0.5) {
        inverse_root(graph, candidate, root, {.p = 2, .status = status});
    } else {
        matrix_power(graph, candidate, root, {.exponent = -exponent, .status = status});
    }
    take_over(graph, factor, candidate, root, status);
}

void add_statistic(Graph& graph, const KroneckerFactor& factor, const Tensor& statistic,
                   const FactorSum& options) {
    using Job = gpu::KroneckerAddJob;
    const FactorGrid grid = factor_grid(graph.device(), factor.order());
    Job job{};
    job.order = narrow(factor.order());
    job.rounds = grid.rounds;
    job.decay = static_cast<float>(options.decay);
    job.rate = static_cast<float>(options.rate);
    job.unit_value = options.constant_unit;
    std::vector<Operand> operands{{offsetof(Job, average), factor.average, Access::read_write},
                                  {offsetof(Job, statistic), statistic, Access::read}};
    if (options.unit) operands.push_back({offsetof(Job, unit), options.unit, Access::read});
    add(graph, make_operation(kAdd, job, std::move(operands), grid.groups), grid, 5, 12, factor.order());
}

void renew_root(Graph& graph, const KroneckerFactor& factor, const Tensor& correction,
                const FactorRootOptions& options) {
    const Tensor corrected =
        corrected_factor(graph, factor, correction, 0, options.trace_exponent, options.damping.absolute);
    const Tensor root = temporary_like(graph, corrected);
    const Tensor status = graph.temporary(DType::u32, Shape{1});
    // 0: matrix_power() takes what f32 can tell from zero.
    const float least = options.rank_tolerance > static_cast<float>(factor.order()) * 0x1p-23f &&
                                options.root == FactorRoot::pseudo_inverse
                            ? options.rank_tolerance
                            : 0.0f;
    const bool iterates = options.root == FactorRoot::iteration;
    const std::uint32_t p =
        iterates ? narrow(static_cast<std::uint64_t>(std::llround(1.0 / options.exponent))) : 0;
    const bool of_squares =
        options.method == RootMethod::newton_schulz || options.method == RootMethod::denman_beavers;
    if (iterates && p == 4 && of_squares)
        inverse_fourth_root(graph, corrected, root, options.damping, options.method, status);
    else if (iterates)
        inverse_root(graph, corrected, root,
                     {.p = p, .damping = options.damping, .method = options.method, .status = status});
    else
        matrix_power(graph, corrected, root,
                     {.exponent = -options.exponent,
                      .damping = options.damping.absolute,
                      .relative_damping = options.damping.relative,
                      .floor_rule = options.root == FactorRoot::pseudo_inverse ? SpectrumFloor::drop
                                                                               : SpectrumFloor::raise,
                      .floor = least,
                      .status = status});
    take_over(graph, factor, {}, root, status);
}

void renew_basis(Graph& graph, const KroneckerFactor& factor, const Tensor& correction,
                 const FactorBasisOptions& options) {
    const std::uint64_t n = factor.order();
    const Tensor corrected = corrected_factor(graph, factor, correction, options.epsilon);
    const Tensor vectors = temporary_like(graph, corrected);
    const Tensor status = graph.temporary(DType::u32, Shape{1});
    const bool checks = options.tolerance > 0;
    Tensor b = temporary_like(graph, corrected), q = factor.whitener;
    if (checks || options.qr_steps > 0)
        two_sided_product(graph, q, corrected, q, {}, b, {.transpose_left = Transpose::yes});
    if (options.qr_steps == 0) {
        eigh(graph, corrected, graph.temporary(DType::f32, Shape{n}), vectors, {.status = status});
        if (checks) keep_where_diagonal(graph, b, options.tolerance, {{q, vectors}});
    } else {
        for (std::uint32_t step = 0; step < options.qr_steps; ++step) {
            const Tensor u = temporary_like(graph, b), r = temporary_like(graph, b),
                         next = temporary_like(graph, b), turned = temporary_like(graph, b);
            qr(graph, b, u, r, {.method = QrMethod::householder, .status = status});
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
        gather_columns(graph, q, order.reshape(Shape{n}), vectors);
    }
    take_over(graph, factor, {}, vectors, status);
}

void renew_power(Graph& graph, const KroneckerFactor& factor, double exponent, double damping,
                 bool in_place) {
    // An average with nothing is the factor scaled to unit mean eigenvalue.
    const Tensor scaled = average_factor(graph, factor, factor.average, {.decay = 1.0});
    const Tensor root = temporary_like(graph, scaled);
    const Tensor status = graph.temporary(DType::u32, Shape{1});
    matrix_power(graph, scaled, root,
                 {.exponent = exponent, .damping = static_cast<float>(damping), .status = status});
    take_over(graph, factor, in_place ? scaled : Tensor(), root, status);
}

Tensor whiten(Graph& graph, const KroneckerFactor& p, const Tensor& x, const KroneckerFactor& q,
              WhitenerForm form) {
    return two_sided(graph, p, x, q, form, Transpose::yes);
}

Tensor map_back(Graph& graph, const KroneckerFactor& p, const Tensor& x, const KroneckerFactor& q,
                WhitenerForm form) {
    return two_sided(graph, p, x, q, form, Transpose::no);
}

Tensor row_statistic(Graph& graph, const Tensor& x, const KroneckerFactor& q, float alpha,
                     WhitenerForm form) {
    const Tensor result = graph.temporary(DType::f32, Shape{x.rows(), x.rows()});
    if (q && form == WhitenerForm::cholesky)
        syrk(graph, whitener_times_transpose(graph, q, x, Transpose::yes), {}, result,
             {.transpose_a = Transpose::yes, .alpha = alpha});
    else
        syrk(graph, whiten(graph, {}, x, q, form), {}, result, {.alpha = alpha});
    return result;
}

}  // namespace heron
