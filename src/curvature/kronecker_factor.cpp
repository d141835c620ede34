// SPDX-License-Identifier: MIT
// The kernels are shaders/curvature/kronecker_*.comp; products are linalg's.
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
#include "heron/linalg/matrix_power.hpp"
#include "heron/linalg/power_iteration.hpp"
#include "heron/linalg/triangular.hpp"
#include "heron/linalg/two_sided.hpp"
#include "heron/spirv/kronecker_add.hpp"
#include "heron/spirv/kronecker_average.hpp"
#include "heron/spirv/kronecker_commit.hpp"
#include "heron/spirv/kronecker_start.hpp"
#include "linalg/cpu_subgroup.hpp"
#include "linalg/integers.hpp"

namespace heron {

namespace {

static_assert(sizeof(gpu::KroneckerStartJob) == 32);
static_assert(sizeof(gpu::KroneckerAverageJob) == 64);
static_assert(sizeof(gpu::KroneckerAddJob) == 48);
static_assert(sizeof(gpu::KroneckerCommitJob) == 64);

constexpr KernelInfo kStart = make_kernel<gpu::KroneckerStartJob>("kronecker_start", spirv::kronecker_start);
constexpr KernelInfo kAverage =
    make_kernel<gpu::KroneckerAverageJob>("kronecker_average", spirv::kronecker_average);
constexpr KernelInfo kAdd = make_kernel<gpu::KroneckerAddJob>("kronecker_add", spirv::kronecker_add);
constexpr KernelInfo kCommit =
    make_kernel<gpu::KroneckerCommitJob>("kronecker_commit", spirv::kronecker_commit);

void add(Graph& graph, Operation operation, const FactorGrid& grid, double flops, double bytes,
         std::uint64_t order, bool lanes = true) {
    if (lanes) add_lanes(operation, graph.device(), order * order);
    add_factor_operation(graph, std::move(operation), grid, flops, bytes, order * order);
}

// op(S_P) X op(S_Q)^T.
Tensor two_sided(Graph& graph, const KroneckerFactor& p, const Tensor& x, const KroneckerFactor& q,
                 WhitenerForm form, Transpose transpose) {
    const Transpose transpose_right = transpose == Transpose::yes ? Transpose::no : Transpose::yes;
    if (form == WhitenerForm::symmetric) {
        if (!p && !q) return x;
        const Tensor result = temporary_like(graph, x);
        two_sided_product(graph, p.whitener, x, q.whitener, {}, result,
                          {.transpose_left = transpose, .transpose_right = transpose_right});
        return result;
    }
    Tensor result = x;
    const auto multiply = [&](const KroneckerFactor& factor, Side side, Transpose transpose_factor) {
        if (!factor) return;
        const Tensor product = temporary_like(graph, x);
        triangular_product(graph, factor.whitener, result, product,
                           {.side = side, .triangle = Triangle::upper, .transpose = transpose_factor});
        result = product;
    };
    multiply(p, Side::left, transpose);
    multiply(q, Side::right, transpose_right);
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
    add(graph, std::move(operation), grid, 0, 8, factor.order(), false);
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

void report_condition(Graph& graph, const KroneckerFactor& factor, const Tensor& matrix, const Tensor& root,
                      const FactorCondition& of) {
    if (!factor.condition) return;
    condition_estimate(graph, matrix, root, factor.condition,
                       {.root = 1 / of.exponent,
                        .damping = of.damping,
                        .relative_damping = of.relative_damping,
                        .root_status = of.status});
}

std::vector<KroneckerFactor> make_factors(Graph& graph, const std::string& name,
                                          std::span<const std::uint64_t> orders, const FactorStates& states) {
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
    const Tensor vectors = states.bases ? graph.state(name + "_basis", DType::f32, shape) : Tensor();
    const Tensor failures = graph.state(name + "_failures", DType::u32, Shape{count});
    const Tensor conditions =
        states.conditions ? graph.state(name + "_condition", DType::f32, Shape{count}, false) : Tensor();
    const Tensor iterations =
        states.iterations ? graph.state(name + "_iterations", DType::u32, Shape{count}, false) : Tensor();
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
        if (conditions) factors[i].condition = part(conditions, i, Shape{1});
        if (iterations) factors[i].iterations = part(iterations, i, Shape{1});
        start_factor(graph, factors[i], states.start);
        if (states.bases) {
            factors[i].basis = part(vectors, at, square);
            start_factor(graph, {factors[i].basis, factors[i].basis, {}}, FactorStart::identity);
        }
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
    std::vector<Operand> operands{{offsetof(Job, average), factor.average, Access::read},
                                  {offsetof(Job, statistic), statistic, Access::read},
                                  {offsetof(Job, candidate), candidate, Access::write}};
    if (has_unit) operands.push_back({offsetof(Job, unit), options.unit, Access::read});
    add(graph, make_operation(kAverage, job, std::move(operands), grid.groups), grid, 6, 12, factor.order());
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
        inverse_root(graph, candidate, root,
                     {.p = 2, .status = status, .iterations_used = factor.iterations});
    } else {
        matrix_power(graph, candidate, root, {.exponent = -exponent, .status = status});
    }
    if (factor.condition && form == WhitenerForm::cholesky) {  // F^-1 = S S^T
        const Tensor inverse = temporary_like(graph, root);
        syrk(graph, root, {}, inverse);
        report_condition(graph, factor, candidate, inverse, {.exponent = 1, .status = status});
    } else {
        report_condition(graph, factor, candidate, root, {.exponent = exponent, .status = status});
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
    syrk(graph, whiten(graph, {}, x, q, form), {}, result, {.alpha = alpha});
    return result;
}

}  // namespace heron
