// SPDX-License-Identifier: MIT
// Averages of directions, updates, and steps with a damped Hessian.
#include <cmath>
#include <cstddef>
#include <string>
#include <utility>

#include "core/number_text.hpp"
#include "graph/element_bytes.hpp"
#include "heron/linalg/product.hpp"
#include "heron/linalg/reduce.hpp"
#include "heron/linalg/spd.hpp"
#include "heron/newton.hpp"
#include "heron/spirv/newton_average.hpp"
#include "heron/spirv/newton_diagonal.hpp"
#include "heron/spirv/newton_eigen.hpp"
#include "heron/spirv/newton_update.hpp"
#include "linalg/checks.hpp"
#include "linalg/cholesky.hpp"
#include "linalg/tensors.hpp"
#include "newton/newton.h"
#include "newton/newton.hpp"

namespace heron {

static_assert(sizeof(gpu::NewtonDiagonalJob) == 48);
static_assert(sizeof(gpu::NewtonAverageJob) == 40);
static_assert(sizeof(gpu::NewtonUpdateJob) == 64);
static_assert(sizeof(gpu::NewtonEigenJob) == 48);

namespace {

constexpr KernelInfo kDiagonal =
    make_kernel<gpu::NewtonDiagonalJob>("newton_diagonal", spirv::newton_diagonal);
constexpr KernelInfo kAverage = make_kernel<gpu::NewtonAverageJob>("newton_average", spirv::newton_average);
constexpr KernelInfo kUpdate = make_kernel<gpu::NewtonUpdateJob>("newton_update", spirv::newton_update);
constexpr KernelInfo kEigen = make_kernel<gpu::NewtonEigenJob>("newton_eigen", spirv::newton_eigen);

constexpr const char* kDamped = "damped_newton_step";

void check_momentum(const char* who, float momentum) {
    if (!(momentum >= 0 && momentum < 1))
        refuse(who, "momentum is " + number_text(momentum) + "; it must be in [0, 1)");
}

// The order of `matrix`, a symmetric one or eigenvectors.
std::uint64_t check_damped(const Graph& graph, const char* name, const Tensor& matrix, const Tensor& gradient,
                           const Tensor& lambda, const Tensor& step, const DampedStepOptions& options) {
    check_float_tensor(kDamped, name, graph, matrix);
    const std::uint64_t n = matrix.rows();
    if (matrix.dtype != DType::f32 || matrix.cols() != n || matrix.batch() != 1 || matrix.stride() != n)
        refuse(kDamped, std::string(name) + " is " + text(matrix) + "; it must be square, f32, without gaps");
    if (const std::uint64_t largest = max_cholesky_rows(graph.device()); n == 0 || n > largest)
        refuse(kDamped, std::string(name) + " is " + text(matrix) + "; it must have 1 to " +
                            std::to_string(largest) + " rows");
    check_vector(kDamped, "`gradient`", graph, gradient, n, DType::f32);
    check_vector(kDamped, "`lambda`", graph, lambda, 1, DType::f32);
    check_vector(kDamped, "`step`", graph, step, n, DType::f32);
    check_status_tensor(kDamped, graph, options.status, 1);
    return n;
}

}  // namespace

void add_newton_diagonal(Graph& graph, const Tensor& matrix, const Tensor& lambda, const Tensor& rhs,
                         const Tensor& result, bool guarded) {
    using Job = gpu::NewtonDiagonalJob;
    const bool in_place = same_place(graph, matrix, result);
    const std::uint64_t n = matrix.rows(), elements = in_place ? n : n * n;
    Job job{};
    job.order = narrow(n);
    job.flags = in_place ? gpu::NEWTON_IN_PLACE : 0;
    std::vector<Operand> operands{
        {offsetof(Job, matrix), matrix, in_place ? Access::read_write : Access::read},
        {offsetof(Job, lambda), lambda, Access::read},
        {offsetof(Job, rhs), rhs, Access::read},
        {offsetof(Job, result), result, in_place ? Access::read_write : Access::write}};
    const PassGrid grid(graph.device());
    add_operation(graph, make_operation(kDiagonal, job, std::move(operands), grid.groups(elements)),
                  {{gpu::SPEC_THREADS, grid.threads}, {gpu::SPEC_PER_THREAD, grid.per_thread}},
                  static_cast<double>(n), 8.0 * static_cast<double>(elements), guarded, "the only one");
}

void average_direction(Graph& graph, const Tensor& direction, const AverageDirectionOptions& options) {
    constexpr const char* kWho = "average_direction";
    check_momentum(kWho, options.momentum);
    check_float_tensor(kWho, "direction", graph, direction);
    const std::uint64_t count = direction.shape.count();
    check_vector(kWho, "`direction`", graph, direction, count, DType::f32);
    if (count == 0) return;
    using Job = gpu::NewtonAverageJob;
    const Tensor average = graph.state(options.name, DType::f32, Shape{count});
    const Tensor weight = graph.state(options.name + ".weight", DType::f32, Shape{1});
    const PassGrid grid(graph.device());
    const std::vector<SpecConstant> constants{{gpu::SPEC_THREADS, grid.threads},
                                              {gpu::SPEC_PER_THREAD, grid.per_thread}};
    Job job{};
    job.momentum = options.momentum;
    // The addresses that a job without elements does not use are some that are there.
    add_operation(graph,
                  make_operation(kAverage, job,
                                 {{offsetof(Job, average), weight, Access::read_write},
                                  {offsetof(Job, direction), weight, Access::read_write},
                                  {offsetof(Job, weight), weight, Access::read_write}},
                                 1),
                  constants, 2, 8, options.guarded, "the weight of the average");
    job.count = narrow(count);
    add_operation(graph,
                  make_operation(kAverage, job,
                                 {{offsetof(Job, average), average, Access::read_write},
                                  {offsetof(Job, direction), direction, Access::read_write},
                                  {offsetof(Job, weight), weight, Access::read}},
                                 grid.groups(count)),
                  constants, 4.0 * static_cast<double>(count), 16.0 * static_cast<double>(count),
                  options.guarded, "the only one");
}

void newton_update(Graph& graph, const Tensor& weights, const Tensor& direction, const Tensor& alpha,
                   const Tensor& result, const NewtonUpdateOptions& options) {
    constexpr const char* kWho = "newton_update";
    check_momentum(kWho, options.momentum);
    check_float_tensor(kWho, "weights", graph, weights);
    const std::uint64_t count = weights.shape.count();
    check_float_vector(kWho, "`weights`", graph, weights, count);
    check_vector(kWho, "`direction`", graph, direction, count, DType::f32);
    check_vector(kWho, "`alpha`", graph, alpha, 1, DType::f32);
    check_float_vector(kWho, "`result`", graph, result, count);
    check_status_tensor(kWho, graph, options.status, 1);
    if (count == 0) return;
    const bool in_place = overlap(graph, weights, result) && weights.dtype == result.dtype &&
                          same_place(graph, weights.reshape({count}), result.reshape({count}));
    Extents extents(graph);
    if (!in_place) extents.read("`weights`", weights);
    extents.read("`direction`", direction);
    extents.read("`alpha`", alpha);
    if (options.status) extents.read("`status`", options.status);
    extents.written("`result`", result);
    extents.check(kWho);

    using Job = gpu::NewtonUpdateJob;
    Job job{};
    job.count = narrow(count);
    job.momentum = options.momentum;
    job.flags =
        (options.momentum > 0 ? gpu::NEWTON_HAS_VELOCITY : 0) | (options.status ? gpu::NEWTON_HAS_STATUS : 0);
    std::vector<Operand> operands{{offsetof(Job, weights), weights, Access::read},
                                  {offsetof(Job, direction), direction, Access::read},
                                  {offsetof(Job, alpha), alpha, Access::read},
                                  {offsetof(Job, result), result, Access::write}};
    if (in_place) operands.front().access = operands.back().access = Access::read_write;
    // A load behind a condition may be done early: what is not there gets an address that is.
    if (options.momentum > 0)
        operands.push_back({offsetof(Job, velocity), graph.state(options.name, DType::f32, Shape{count}),
                            Access::read_write});
    else
        operands.push_back({offsetof(Job, velocity), direction, Access::read});
    operands.push_back({offsetof(Job, status), options.status ? options.status : alpha, Access::read});
    const PassGrid grid(graph.device(), 2);
    const double elements = static_cast<double>(count);
    add_operation(graph, make_operation(kUpdate, job, std::move(operands), grid.groups(count)),
                  {{gpu::SPEC_THREADS, grid.threads},
                   {gpu::SPEC_PER_THREAD, grid.per_thread},
                   {gpu::SPEC_DTYPE_A, dtype_code(weights)},
                   {gpu::SPEC_DTYPE_D, dtype_code(result)}},
                  (options.momentum > 0 ? 4 : 2) * elements,
                  element_bytes(weights, result) + (options.momentum > 0 ? 12 : 4) * elements,
                  options.guarded, "the only one");
}

void damped_newton_step(Graph& graph, const Tensor& hessian, const Tensor& gradient, const Tensor& lambda,
                        const Tensor& step, const DampedStepOptions& options) {
    const std::uint64_t n = check_damped(graph, "the Hessian", hessian, gradient, lambda, step, options);
    Extents extents(graph);
    extents.read("the Hessian", hessian);
    extents.read("`gradient`", gradient);
    extents.read("`lambda`", lambda);
    extents.written("`step`", step);
    if (options.status) extents.written("`status`", options.status);
    extents.check(kDamped);

    const Tensor damped = graph.temporary(DType::f32, Shape{n, n});
    add_newton_diagonal(graph, hessian, lambda, gradient, damped, options.guarded);
    CholeskyOptions cholesky_options;
    cholesky_options.status = options.status;
    cholesky_options.guarded = options.guarded;
    cholesky(graph, damped, damped, cholesky_options);
    const Tensor x = graph.temporary(DType::f32, Shape{n, 1});
    cholesky_solve(graph, damped, gradient.reshape(Shape{n, 1}), x, {.guarded = options.guarded});
    convert(graph, x, step.reshape(Shape{n, 1}), -1, options.guarded);
}

void damped_newton_step(Graph& graph, const Tensor& values, const Tensor& vectors, const Tensor& gradient,
                        const Tensor& lambda, const Tensor& step, const DampedStepOptions& options) {
    const std::uint64_t n = check_damped(graph, "the eigenvectors", vectors, gradient, lambda, step, options);
    check_vector(kDamped, "`values`", graph, values, n, DType::f32);
    Extents extents(graph);
    extents.read("the eigenvectors", vectors);
    extents.read("`values`", values);
    extents.read("`gradient`", gradient);
    extents.read("`lambda`", lambda);
    extents.written("`step`", step);
    if (options.status) extents.written("`status`", options.status);
    extents.check(kDamped);

    const Tensor coefficients = graph.temporary(DType::f32, Shape{n, 1});
    gemm(graph, vectors, gradient.reshape(Shape{n, 1}), {}, coefficients,
         {.transpose_a = Transpose::yes, .guarded = options.guarded});
    using Job = gpu::NewtonEigenJob;
    Job job{};
    job.order = narrow(n);
    std::vector<Operand> operands{{offsetof(Job, values), values, Access::read},
                                  {offsetof(Job, lambda), lambda, Access::read},
                                  {offsetof(Job, coefficients), coefficients, Access::read_write}};
    if (options.status) {
        job.flags = gpu::NEWTON_HAS_STATUS;
        operands.push_back({offsetof(Job, status), options.status, Access::write});
    }
    add_operation(graph, make_operation(kEigen, job, std::move(operands), 1),
                  {{gpu::SPEC_THREADS, graph.device().capabilities().cpu ? 8u : 128u}},
                  2.0 * static_cast<double>(n), 12.0 * static_cast<double>(n), options.guarded,
                  "one workgroup");
    gemm(graph, vectors, coefficients, {}, step.reshape(Shape{n, 1}), {.guarded = options.guarded});
}

}  // namespace heron
