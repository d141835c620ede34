// SPDX-License-Identifier: MIT
// gauss_newton_direction() and gauss_newton_model(): the loss's part by samples, the rest by products.
#include <cstddef>
#include <string>
#include <utility>

#include "graph/element_bytes.hpp"
#include "heron/linalg/product.hpp"
#include "heron/linalg/spd.hpp"
#include "heron/newton.hpp"
#include "heron/spirv/gauss_newton_model.hpp"
#include "heron/spirv/gauss_newton_rows.hpp"
#include "heron/spirv/gauss_newton_samples.hpp"
#include "heron/spirv/newton_residual.hpp"
#include "linalg/checks.hpp"
#include "linalg/cholesky.hpp"
#include "linalg/tensors.hpp"
#include "newton/newton.h"
#include "newton/newton.hpp"

namespace heron {

static_assert(sizeof(gpu::GaussNewtonSamplesJob) == 80);
static_assert(sizeof(gpu::GaussNewtonRowsJob) == 72);
static_assert(sizeof(gpu::GaussNewtonModelJob) == 48);
static_assert(sizeof(gpu::NewtonResidualJob) == 40);
static_assert(static_cast<std::uint32_t>(PredictionLoss::softmax_cross_entropy) == gpu::LOSS_SOFTMAX);
static_assert(static_cast<std::uint32_t>(PredictionLoss::sigmoid_cross_entropy) == gpu::LOSS_SIGMOID);

namespace {

constexpr KernelInfo kSamples =
    make_kernel<gpu::GaussNewtonSamplesJob>("gauss_newton_samples", spirv::gauss_newton_samples);
constexpr KernelInfo kRows =
    make_kernel<gpu::GaussNewtonRowsJob>("gauss_newton_rows", spirv::gauss_newton_rows);
constexpr KernelInfo kModel =
    make_kernel<gpu::GaussNewtonModelJob>("gauss_newton_model", spirv::gauss_newton_model);
constexpr KernelInfo kResidual =
    make_kernel<gpu::NewtonResidualJob>("newton_residual", spirv::newton_residual);

struct Sizes {
    std::uint64_t samples, outputs, rows, columns;
};

Sizes check_system(std::string_view who, const Graph& graph, const GaussNewtonSystem& system) {
    check_enumerator(who, system.loss, PredictionLoss::sigmoid_cross_entropy,
                     "loss is not one of PredictionLoss");
    check_float_tensor(who, "Jacobian", graph, system.jacobian);
    check_float_tensor(who, "predictions", graph, system.predictions);
    const Sizes sizes{system.predictions.rows(), system.predictions.cols(), system.jacobian.rows(),
                      system.jacobian.cols()};
    if (system.jacobian.batch() != 1 || system.predictions.batch() != 1)
        refuse(who, "the Jacobian and the predictions are one matrix each");
    if (sizes.samples == 0 || sizes.outputs == 0 || sizes.columns == 0)
        refuse(who, "the Jacobian is " + text(system.jacobian) + ", the predictions are " +
                        text(system.predictions) + "; they must have elements");
    if (sizes.rows != sizes.samples * sizes.outputs)
        refuse(who, "the Jacobian is " + text(system.jacobian) + ", the predictions are " +
                        text(system.predictions) + "; it must have a row for each of them");
    if (const std::uint64_t largest = max_cholesky_rows(graph.device()); sizes.rows > largest)
        refuse(who, "there are " + std::to_string(sizes.rows) + " predictions; at most " +
                        std::to_string(largest) + " are possible on " +
                        (graph.device().capabilities().cpu ? "a CPU driver" : "a GPU"));
    check_vector(who, "`predictions`", graph, system.predictions, sizes.rows, DType::f32);
    check_vector(who, "`targets`", graph, system.targets, sizes.rows, DType::f32);
    return sizes;
}

struct OfSamples {
    Tensor probabilities, roots, rhs, residual;
};

// `lambda` empty: probabilities and residual only, for the model.
OfSamples add_samples(Graph& graph, const GaussNewtonSystem& system, const Sizes& sizes, const Tensor& lambda,
                      const Tensor& wanted_residual, bool guarded) {
    const auto column = [&] { return graph.temporary(DType::f32, Shape{sizes.rows, 1}); };
    OfSamples result;
    using Job = gpu::GaussNewtonSamplesJob;
    Job job{};
    job.samples = narrow(sizes.samples);
    job.outputs = narrow(sizes.outputs);
    job.loss = static_cast<std::uint32_t>(system.loss);
    // A load behind a condition may be done early: what is not there gets an address that is.
    std::vector<Operand> operands{{offsetof(Job, predictions), system.predictions, Access::read},
                                  {offsetof(Job, targets), system.targets, Access::read},
                                  {offsetof(Job, lambda), lambda ? lambda : system.targets, Access::read}};
    if (system.loss != PredictionLoss::squared_error) {
        result.probabilities = column();
        operands.push_back({offsetof(Job, probabilities), result.probabilities, Access::write});
    }
    if (lambda) {
        job.flags |= gpu::NEWTON_HAS_SYSTEM;
        result.roots = column();
        result.rhs = column();
        operands.push_back({offsetof(Job, roots), result.roots, Access::write});
        operands.push_back({offsetof(Job, rhs), result.rhs, Access::write});
    }
    result.residual = wanted_residual;
    if (!lambda && !result.residual) result.residual = column();
    if (result.residual) {
        job.flags |= gpu::NEWTON_HAS_RESIDUAL;
        operands.push_back({offsetof(Job, residual), result.residual, Access::write});
    }
    const std::uint32_t threads = graph.device().capabilities().cpu ? 8 : 64;
    add_operation(graph, make_operation(kSamples, job, std::move(operands), ceil_div(sizes.samples, threads)),
                  {{gpu::SPEC_THREADS, threads}}, 40.0 * static_cast<double>(sizes.rows),
                  28.0 * static_cast<double>(sizes.rows), guarded, "a sample an invocation");
    return result;
}

Tensor add_rows(Graph& graph, const GaussNewtonSystem& system, const Sizes& sizes, const OfSamples& of,
                const Tensor& lambda, bool guarded) {
    const Tensor v = graph.temporary(DType::f32, Shape{sizes.rows, sizes.columns});
    const bool cpu = graph.device().capabilities().cpu;
    // lavapipe ends the loops of an invocation after 65,535 rounds.
    const std::uint32_t threads = cpu ? 8 : 128, per_thread = cpu && sizes.outputs <= 2048 ? 8 : 1;
    using Job = gpu::GaussNewtonRowsJob;
    Job job{};
    job.samples = narrow(sizes.samples);
    job.outputs = narrow(sizes.outputs);
    job.columns = narrow(sizes.columns);
    job.stride = narrow(system.jacobian.stride());
    job.loss = static_cast<std::uint32_t>(system.loss);
    job.blocks = narrow(ceil_div(sizes.columns, std::uint64_t{threads} * per_thread));
    add_operation(graph,
                  make_operation(kRows, job,
                                 {{offsetof(Job, jacobian), system.jacobian, Access::read},
                                  {offsetof(Job, lambda), lambda, Access::read},
                                  {offsetof(Job, probabilities),
                                   of.probabilities ? of.probabilities : of.roots, Access::read},
                                  {offsetof(Job, roots), of.roots, Access::read},
                                  {offsetof(Job, rows), v, Access::write}},
                                 sizes.samples * job.blocks),
                  {{gpu::SPEC_THREADS, threads},
                   {gpu::SPEC_DTYPE_A, dtype_code(system.jacobian)},
                   {gpu::SPEC_PER_THREAD, per_thread}},
                  5.0 * static_cast<double>(v.shape.count()), element_bytes(system.jacobian, v), guarded,
                  "the rows of a sample by each other, columns apart");
    return v;
}

}  // namespace

void gauss_newton_direction(Graph& graph, const GaussNewtonSystem& system, const Tensor& lambda,
                            const Tensor& direction, const GaussNewtonOptions& options) {
    constexpr const char* kWho = "gauss_newton_direction";
    const Sizes sizes = check_system(kWho, graph, system);
    check_vector(kWho, "`lambda`", graph, lambda, 1, DType::f32);
    check_vector(kWho, "`direction`", graph, direction, sizes.columns, DType::f32);
    if (options.residual) check_vector(kWho, "`residual`", graph, options.residual, sizes.rows, DType::f32);
    check_status_tensor(kWho, graph, options.status, 1);
    Extents extents(graph);
    extents.read("the Jacobian", system.jacobian);
    extents.read("`predictions`", system.predictions);
    extents.read("`targets`", system.targets);
    extents.read("`lambda`", lambda);
    extents.written("`direction`", direction);
    if (options.residual) extents.written("`residual`", options.residual);
    if (options.status) extents.written("`status`", options.status);
    extents.check(kWho);

    const bool guarded = options.guarded;
    const OfSamples of = add_samples(graph, system, sizes, lambda, options.residual, guarded);
    const Tensor v = add_rows(graph, system, sizes, of, lambda, guarded);
    const Tensor gram = graph.temporary(DType::f32, Shape{sizes.rows, sizes.rows});
    syrk(graph, v, {}, gram, {.guarded = guarded});
    add_newton_diagonal(graph, gram, lambda, of.rhs, gram, guarded);
    const Tensor factor = graph.temporary(DType::f32, gram.shape);
    CholeskyOptions cholesky_options;
    cholesky_options.jitter = {.retries = 3, .relative = 1e-6f};
    cholesky_options.status = options.status;
    cholesky_options.guarded = guarded;
    cholesky(graph, gram, factor, cholesky_options);

    const auto column = [&] { return graph.temporary(DType::f32, Shape{sizes.rows, 1}); };
    const auto solve = [&](const Tensor& b, const Tensor& x) {
        cholesky_solve(graph, factor, b, x, {.guarded = guarded});
    };
    // x = u^T V (+ c) as a row, so that V is read along its rows.
    const Tensor x = direction.reshape(Shape{1, sizes.columns});
    const auto back = [&](const Tensor& u, const Tensor& c) {
        gemm(graph, u, v, c, x, {.transpose_a = Transpose::yes, .beta = c ? 1.0f : 0.0f, .guarded = guarded});
    };
    const Tensor u = column();
    solve(of.rhs, u);
    back(u, {});
    const Tensor along = column(), residual = column(), correction = column();
    gemm(graph, v, x, {}, along, {.transpose_b = Transpose::yes, .guarded = guarded});
    using Job = gpu::NewtonResidualJob;
    Job job{};
    job.count = narrow(sizes.rows);
    const PassGrid grid(graph.device());
    add_operation(graph,
                  make_operation(kResidual, job,
                                 {{offsetof(Job, rhs), of.rhs, Access::read},
                                  {offsetof(Job, solution), u, Access::read},
                                  {offsetof(Job, product), along, Access::read},
                                  {offsetof(Job, residual), residual, Access::write}},
                                 ceil_div(sizes.rows, grid.threads)),
                  {{gpu::SPEC_THREADS, grid.threads}}, 2.0 * static_cast<double>(sizes.rows),
                  16.0 * static_cast<double>(sizes.rows), guarded, "the only one");
    solve(residual, correction);
    back(correction, x);
}

void gauss_newton_model(Graph& graph, const GaussNewtonSystem& system, const Tensor& step,
                        const Tensor& model, bool guarded) {
    constexpr const char* kWho = "gauss_newton_model";
    const Sizes sizes = check_system(kWho, graph, system);
    check_vector(kWho, "`step`", graph, step, sizes.columns, DType::f32);
    check_vector(kWho, "`model`", graph, model, 2, DType::f32);
    Extents extents(graph);
    extents.read("the Jacobian", system.jacobian);
    extents.read("`predictions`", system.predictions);
    extents.read("`targets`", system.targets);
    extents.read("`step`", step);
    extents.written("`model`", model);
    extents.check(kWho);

    const OfSamples of = add_samples(graph, system, sizes, {}, {}, guarded);
    const Tensor along = graph.temporary(DType::f32, Shape{sizes.rows, 1});
    gemm(graph, system.jacobian, step.reshape(Shape{1, sizes.columns}), {}, along,
         {.transpose_b = Transpose::yes, .guarded = guarded});
    using Job = gpu::GaussNewtonModelJob;
    Job job{};
    job.samples = narrow(sizes.samples);
    job.outputs = narrow(sizes.outputs);
    job.loss = static_cast<std::uint32_t>(system.loss);
    add_operation(graph,
                  make_operation(kModel, job,
                                 {{offsetof(Job, along), along, Access::read},
                                  {offsetof(Job, probabilities), of.probabilities ? of.probabilities : along,
                                   Access::read},
                                  {offsetof(Job, residual), of.residual, Access::read},
                                  {offsetof(Job, model), model, Access::write}},
                                 1),
                  {{gpu::SPEC_THREADS, graph.device().capabilities().cpu ? 8u : 128u}},
                  10.0 * static_cast<double>(sizes.rows), 12.0 * static_cast<double>(sizes.rows), guarded,
                  "one workgroup");
}

}  // namespace heron
