// SPDX-License-Identifier: MIT
// The kernels are shaders/optim/shampoo4bit_values.comp, shampoo4bit_weights.comp,
// shampoo4bit_ridge.comp and shampoo4bit_newton.comp.
#include "optim/shampoo4bit_factor.hpp"

#include <algorithm>
#include <cstddef>
#include <utility>

#include "curvature/kronecker_factor.hpp"
#include "heron/linalg/norms.hpp"
#include "heron/linalg/power_iteration.hpp"
#include "heron/linalg/qr.hpp"
#include "heron/linalg/random.hpp"
#include "heron/linalg/reduce.hpp"
#include "heron/spirv/shampoo4bit_newton.hpp"
#include "heron/spirv/shampoo4bit_ridge.hpp"
#include "heron/spirv/shampoo4bit_values.hpp"
#include "heron/spirv/shampoo4bit_weights.hpp"
#include "linalg/integers.hpp"
#include "optim/draw_key.hpp"
#include "optim/shampoo4bit.h"

namespace heron {

namespace {

static_assert(sizeof(gpu::Shampoo4BitValuesJob) == 48);
static_assert(sizeof(gpu::Shampoo4BitWeightsJob) == 40);
static_assert(sizeof(gpu::Shampoo4BitRidgeJob) == 40);
static_assert(sizeof(gpu::Shampoo4BitNewtonJob) == 96);

constexpr KernelInfo kValues =
    make_kernel<gpu::Shampoo4BitValuesJob>("shampoo4bit_values", spirv::shampoo4bit_values);
constexpr KernelInfo kWeights =
    make_kernel<gpu::Shampoo4BitWeightsJob>("shampoo4bit_weights", spirv::shampoo4bit_weights);
constexpr KernelInfo kNewton =
    make_kernel<gpu::Shampoo4BitNewtonJob>("shampoo4bit_newton", spirv::shampoo4bit_newton);
constexpr KernelInfo kRidge =
    make_kernel<gpu::Shampoo4BitRidgeJob>("shampoo4bit_ridge", spirv::shampoo4bit_ridge);

constexpr std::uint32_t kPowerIterations = 10;

bool keeps_eigenvectors(const Shampoo4BitOptions& options) {
    return options.storage == Shampoo4BitStorage::eigenvectors;
}
bool iterates(const Shampoo4BitOptions& options) {
    return !keeps_eigenvectors(options) || options.root == Shampoo4BitRoot::newton;
}

// Memory of several factors as one state.
class Pool {
public:
    Pool(Graph& graph, std::string name, DType dtype)
        : graph_(graph), name_(std::move(name)), dtype_(dtype) {}

    void reserve(std::uint64_t count) { count_ += count; }
    // After everything is reserved.
    Tensor take(const Shape& shape) {
        if (shape.count() == 0) return {};
        if (!whole_) whole_ = graph_.state(name_, dtype_, Shape{count_});
        Tensor part = whole_;
        part.byte_offset += taken_ * bytes_of(dtype_);
        part.shape = shape;
        taken_ += shape.count();
        return part;
    }

private:
    Graph& graph_;
    std::string name_;
    DType dtype_;
    std::uint64_t count_ = 0, taken_ = 0;
    Tensor whole_;
};

// Matrices of one kind, of which some are quantised.
class MatrixPool {
public:
    MatrixPool(Graph& graph, const std::string& name, bool keeps_diagonal)
        : plain_(graph, name, DType::f32),
          codes_(graph, name + "_codes", DType::u32),
          absmax_(graph, name + "_absmax", DType::f32),
          diagonal_(graph, name + "_diagonal", DType::f32),
          keeps_diagonal_(keeps_diagonal) {}

    void reserve(std::uint64_t n, const QuantizeOptions& form) {
        if (form.bits == kPlainBits) return plain_.reserve(n * n);
        codes_.reserve(n * quantized_words(n, form.bits));
        absmax_.reserve(n * ceil_div(n, form.block));
        if (keeps_diagonal_) diagonal_.reserve(n);
    }
    QuantizedMatrix take(std::uint64_t n, const QuantizeOptions& form) {
        if (form.bits == kPlainBits) return {plain_.take(Shape{n, n}), {}, {}};
        return {codes_.take(Shape{n, quantized_words(n, form.bits)}),
                absmax_.take(Shape{n, ceil_div(n, form.block)}),
                keeps_diagonal_ ? diagonal_.take(Shape{n}) : Tensor()};
    }

private:
    Pool plain_, codes_, absmax_, diagonal_;
    bool keeps_diagonal_;
};

std::uint32_t threads_of(const Graph& graph, std::uint32_t gpu, std::uint32_t cpu) {
    const Capabilities& device = graph.device().capabilities();
    return device.cpu ? cpu : std::min(gpu, device.max_workgroup_invocations);
}

void add(Graph& graph, Operation operation, std::uint32_t threads, double flops, double bytes) {
    operation.constants = {{gpu::SPEC_THREADS, threads}};
    operation.reason = "the only one";
    operation.flops = flops;
    operation.bytes = bytes;
    graph.add(std::move(operation));
}

// Rayleigh quotients of the columns of `basis`, or without one `start`.
void add_values(Graph& graph, const Tensor& values, const Tensor& basis, const Tensor& product,
                const Tensor& status, float start) {
    using Job = gpu::Shampoo4BitValuesJob;
    const std::uint64_t n = values.shape.count();
    const std::uint32_t threads = threads_of(graph, 128, 8);
    Job job{};
    job.order = narrow(n);
    job.start = start;
    std::vector<Operand> operands{{offsetof(Job, values), values, Access::write}};
    if (basis) {
        operands.push_back({offsetof(Job, basis), basis, Access::read});
        operands.push_back({offsetof(Job, product), product, Access::read});
        operands.push_back({offsetof(Job, status), status, Access::read});
    } else {
        job.flags = gpu::SHAMPOO4BIT_START;
    }
    Operation operation =
        make_operation(kValues, job, std::move(operands), ceil_div(n, std::min(threads, 32u)));
    operation.guarded = static_cast<bool>(basis);
    const double count = static_cast<double>(n * n);
    add(graph, std::move(operation), threads, basis ? 2 * count : 0,
        basis ? 8 * count : 4.0 * static_cast<double>(n));
}

// V^T, `steps` times closer to orthonormal.
Tensor rectified(Graph& graph, Tensor v, std::uint32_t steps) {
    for (std::uint32_t i = 0; i < steps; ++i) {
        const Tensor gram = graph.temporary(DType::f32, v.shape), next = graph.temporary(DType::f32, v.shape);
        syrk(graph, v, {}, gram);
        gemm(graph, gram, v, v, next, {.alpha = -0.5f, .beta = 1.5f});
        v = next;
    }
    return v;
}

Tensor load_basis(Graph& graph, const QuantizedFactor& factor, std::uint32_t rectifications) {
    const Tensor v = load_matrix(graph, factor.basis, factor.order, factor.order, factor.form);
    return factor.form.bits == kPlainBits ? v : rectified(graph, v, rectifications);
}

// V diag(e) V^T of rows V^T.
Tensor rebuilt(Graph& graph, const Tensor& v, const Tensor& eigenvalues) {
    const Tensor scaled = graph.temporary(DType::f32, v.shape), a = graph.temporary(DType::f32, v.shape);
    scale_rows(graph, v, eigenvalues, scaled);
    gemm(graph, v, scaled, {}, a, {.transpose_a = Transpose::yes, .symmetric = true});
    return a;
}

// (A + epsilon lambda I)^(-1/4); A becomes the damped matrix.
void newton_root(Graph& graph, const QuantizedFactor& factor, const Tensor& a, const Tensor& root,
                 const Tensor& status, float epsilon) {
    const std::uint64_t n = factor.order;
    const Shape square{n, n};
    const auto matrix = [&] { return graph.temporary(DType::f32, square); };
    const Tensor value = graph.temporary(DType::f32, Shape{1}), norm = graph.temporary(DType::f32, Shape{1}),
                 errors = graph.temporary(DType::u32, Shape{gpu::SHAMPOO4BIT_ERRORS}),
                 active = graph.temporary(DType::u32, Shape{1});
    power_iteration(graph, a, factor.vector, value, {.iterations = kPowerIterations, .mix = 0.0f});
    fill_random(graph, factor.vector, {.tensor = factor.draws});
    {
        using Job = gpu::Shampoo4BitRidgeJob;
        Job job{};
        job.order = narrow(n);
        job.epsilon = epsilon;
        const std::uint32_t threads = threads_of(graph, 64, 16);
        add(graph,
            make_operation(kRidge, job,
                           {{offsetof(Job, matrix), a, Access::read_write},
                            {offsetof(Job, value), value, Access::read},
                            {offsetof(Job, errors), errors, Access::write}},
                           ceil_div(n, threads)),
            threads, 2.0 * static_cast<double>(n), 8.0 * static_cast<double>(n));
    }
    frobenius_norm(graph, a, norm);

    using Job = gpu::Shampoo4BitNewtonJob;
    const std::uint32_t threads = threads_of(graph, 128, 8);
    // M_k, T_k; X_(k-1), which becomes the result where it is to.
    const auto between = [&](std::uint32_t iteration, const Tensor& m, const Tensor& t, const Tensor& x) {
        const bool start = iteration == 0;
        Job job{};
        job.order = narrow(n);
        job.iteration = iteration;
        job.rounds = graph.device().capabilities().cpu ? 64 : 4;
        std::vector<Operand> operands{
            {offsetof(Job, x), x, start ? Access::write : Access::read},
            {offsetof(Job, result), root, start ? Access::write : Access::read_write},
            {offsetof(Job, errors), errors, Access::read_write},
            {offsetof(Job, active_word), active, Access::write}};
        if (start) {
            operands.push_back({offsetof(Job, a), a, Access::read});
            operands.push_back({offsetof(Job, norm), norm, Access::read});
            operands.push_back({offsetof(Job, status), status, Access::write});
        }
        if (m) {
            operands.push_back({offsetof(Job, m), m, start ? Access::write : Access::read});
            operands.push_back({offsetof(Job, t), t, Access::write});
        } else {
            job.flags = gpu::SHAMPOO4BIT_LAST;
        }
        const double count = static_cast<double>(n * n);
        add(graph,
            make_operation(kNewton, job, std::move(operands),
                           ceil_div(n * n, std::uint64_t{threads} * job.rounds)),
            threads, 4 * count, 16 * count);
    };
    const Tensor m[] = {matrix(), matrix()}, t = matrix(), x[] = {matrix(), matrix()}, squared = matrix(),
                 fourth = matrix();
    between(0, m[0], t, x[0]);
    for (std::uint32_t k = 1; k <= gpu::SHAMPOO4BIT_ITERATIONS; ++k) {
        const std::uint32_t from = (k - 1) % 2, to = k % 2;
        // What the first iteration writes, later ones may leave as it is.
        GemmOptions products;
        if (k > 1) products.active = active;
        gemm(graph, x[from], t, {}, x[to], products);
        gemm(graph, t, t, {}, squared, products);
        gemm(graph, squared, squared, {}, fourth, products);
        gemm(graph, fourth, m[from], {}, m[to], products);
        between(k, m[to], t, x[from]);
    }
    between(gpu::SHAMPOO4BIT_ITERATIONS + 1, {}, {}, x[gpu::SHAMPOO4BIT_ITERATIONS % 2]);
}

}  // namespace

std::vector<QuantizedFactor> make_quantized_factors(Graph& graph, const std::string& parameter,
                                                    std::uint32_t side, std::span<const std::uint64_t> orders,
                                                    const Shampoo4BitOptions& options) {
    const auto named = [&](const char* what) { return parameter + "." + what + std::to_string(side); };
    const bool eigen = keeps_eigenvectors(options), iterate = iterates(options);
    MatrixPool bases(graph, named(eigen ? "basis" : "factor"), !eigen), roots(graph, named("root"), true);
    Pool eigenvalues(graph, named("eigenvalues"), DType::f32), vectors(graph, named("vector"), DType::f32),
        failures(graph, named("failures"), DType::u32);
    std::vector<QuantizedFactor> factors;
    for (const std::uint64_t n : orders) {
        QuantizedFactor factor;
        factor.order = n;
        const bool plain = options.bits == kPlainBits || n * n < options.least_elements;
        factor.form.bits = plain ? kPlainBits : options.bits;
        factor.form.block = options.quantizer_block;
        bases.reserve(n, factor.form);
        roots.reserve(n, factor.form);
        if (eigen) eigenvalues.reserve(n);
        if (iterate) vectors.reserve(n);
        failures.reserve(1);
        factors.push_back(factor);
    }
    graph.set_phase(Phase::initialize);
    for (QuantizedFactor& factor : factors) {
        const std::uint64_t n = factor.order;
        factor.basis = bases.take(n, factor.form);
        factor.root = roots.take(n, factor.form);
        if (eigen) factor.eigenvalues = eigenvalues.take(Shape{n});
        if (iterate) factor.vector = vectors.take(Shape{n, 1});
        factor.draws = draw_key(named("vector"), static_cast<std::uint64_t>(&factor - factors.data()));
        factor.failures = failures.take(Shape{1});
        QuantizeOptions start = factor.form;
        start.guarded = false;
        store_identity(graph, eigen ? 1.0f : options.epsilon, n, factor.basis, start);
        store_identity(graph, 1.0f, n, factor.root, start);
        if (eigen) add_values(graph, factor.eigenvalues, {}, {}, {}, options.epsilon);
    }
    graph.set_phase(Phase::step);
    return factors;
}

void renew_statistics(Graph& graph, const QuantizedFactor& factor, const Tensor& statistic,
                      const Tensor& unit, const Shampoo4BitOptions& options) {
    const std::uint64_t n = factor.order;
    const Shape square{n, n};
    const FactorSum sum{.decay = options.factor_decay,
                        .rate = options.factor_decay < 1 ? 1.0 - options.factor_decay : 1.0,
                        .unit = unit};
    if (!keeps_eigenvectors(options)) {
        const Tensor a = load_matrix(graph, factor.basis, n, n, factor.form);
        add_statistic(graph, {.average = a}, statistic, sum);
        if (factor.form.bits != kPlainBits) store_matrix(graph, a, factor.basis, factor.form);
        return;
    }
    const Tensor v = load_basis(graph, factor, options.statistic_rectifications);
    const Tensor a = rebuilt(graph, v, factor.eigenvalues);
    add_statistic(graph, {.average = a}, statistic, sum);
    const Tensor turned = graph.temporary(DType::f32, square), q = graph.temporary(DType::f32, square),
                 r = graph.temporary(DType::f32, square), product = graph.temporary(DType::f32, square);
    const Tensor status = graph.temporary(DType::u32, Shape{1});
    gemm(graph, a, v, {}, turned, {.transpose_b = Transpose::yes});
    qr(graph, turned, q, r, {.method = QrMethod::householder, .positive_diagonal = false, .status = status});
    gemm(graph, a, q, {}, product);
    add_values(graph, factor.eigenvalues, q, product, status, 0);
    QuantizeOptions form = factor.form;
    form.transpose = Transpose::yes;
    form.status = status;
    store_matrix(graph, q, factor.basis, form);
}

void renew_quantized_root(Graph& graph, const QuantizedFactor& factor, const Shampoo4BitOptions& options,
                          float epsilon) {
    const std::uint64_t n = factor.order;
    const Shape square{n, n};
    const Tensor x = graph.temporary(DType::f32, square), status = graph.temporary(DType::u32, Shape{1});
    if (iterates(options)) {
        if (n == 1) return;
        Tensor a = graph.temporary(DType::f32, square);
        if (keeps_eigenvectors(options))
            a = rebuilt(graph, load_basis(graph, factor, options.statistic_rectifications),
                        factor.eigenvalues);
        else if (factor.form.bits == kPlainBits)
            convert(graph, factor.basis.codes, a);
        else
            a = load_matrix(graph, factor.basis, n, n, factor.form);
        newton_root(graph, factor, a, x, status, epsilon);
    } else {
        const Tensor v = load_basis(graph, factor, options.root_rectifications);
        using Job = gpu::Shampoo4BitWeightsJob;
        Job job{};
        job.order = narrow(n);
        job.epsilon = std::max(epsilon, 0x1p-24f);
        const Tensor weights = graph.temporary(DType::f32, Shape{n}),
                     scaled = graph.temporary(DType::f32, square);
        add(graph,
            make_operation(kWeights, job,
                           {{offsetof(Job, values), factor.eigenvalues, Access::read},
                            {offsetof(Job, weights), weights, Access::write},
                            {offsetof(Job, status), status, Access::write}},
                           1),
            threads_of(graph, 128, 8), 40.0 * static_cast<double>(n), 8.0 * static_cast<double>(n));
        scale_rows(graph, v, weights, scaled);
        syrk(graph, scaled, {}, x, {.transpose_a = Transpose::yes});
    }
    QuantizeOptions form = factor.form;
    // A symmetric X is read column by column, side by side. Of a factor that was quantised row by row it is
    // not.
    form.transpose = keeps_eigenvectors(options) ? Transpose::yes : Transpose::no;
    form.status = status;
    form.failures = factor.failures;
    store_matrix(graph, x, factor.root, form);
}

}  // namespace heron
