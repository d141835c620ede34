// SPDX-License-Identifier: MIT
// Jacobi's method: choices, jobs, and the order of the steps.
#include "linalg/jacobi.hpp"

#include <algorithm>
#include <cmath>
#include <cstddef>

#include "graph/element_bytes.hpp"
#include "heron/linalg.hpp"
#include "heron/spirv/jacobi_cpu.hpp"
#include "heron/spirv/jacobi_gram.hpp"
#include "heron/spirv/jacobi_prepare.hpp"
#include "heron/spirv/jacobi_rotate.hpp"
#include "heron/spirv/jacobi_rotate_cpu.hpp"
#include "heron/spirv/jacobi_settle.hpp"
#include "heron/spirv/jacobi_solve.hpp"
#include "heron/spirv/spectrum_columns.hpp"
#include "heron/spirv/spectrum_gather.hpp"
#include "heron/spirv/spectrum_order.hpp"
#include "heron/spirv/spectrum_quotients.hpp"
#include "linalg/checks.hpp"
#include "linalg/cpu_subgroup.hpp"
#include "linalg/eigensystem.hpp"
#include "linalg/integers.hpp"
#include "linalg/jacobi.h"
#include "linalg/real.hpp"
#include "linalg/reduce.hpp"
#include "linalg/spectrum.h"

namespace heron {

namespace {

constexpr KernelInfo kPrepare = make_kernel<gpu::JacobiPrepareJob>("jacobi_prepare", spirv::jacobi_prepare);
constexpr KernelInfo kSolve = make_kernel<gpu::JacobiSolveJob>("jacobi_solve", spirv::jacobi_solve);
constexpr KernelInfo kSolveCpu = make_kernel<gpu::JacobiSolveJob>("jacobi_cpu", spirv::jacobi_cpu);
constexpr KernelInfo kRotateCpu =
    make_kernel<gpu::JacobiRotateJob>("jacobi_rotate_cpu", spirv::jacobi_rotate_cpu);
constexpr KernelInfo kRotate = make_kernel<gpu::JacobiRotateJob>("jacobi_rotate", spirv::jacobi_rotate);
constexpr KernelInfo kGram = make_kernel<gpu::JacobiGramJob>("jacobi_gram", spirv::jacobi_gram);
constexpr KernelInfo kSettle = make_kernel<gpu::JacobiSettleJob>("jacobi_settle", spirv::jacobi_settle);
constexpr KernelInfo kColumns =
    make_kernel<gpu::SpectrumColumnsJob>("spectrum_columns", spirv::spectrum_columns);
constexpr KernelInfo kQuotients =
    make_kernel<gpu::SpectrumQuotientsJob>("spectrum_quotients", spirv::spectrum_quotients);
constexpr KernelInfo kOrder = make_kernel<gpu::SpectrumOrderJob>("spectrum_order", spirv::spectrum_order);
constexpr KernelInfo kGather = make_kernel<gpu::SpectrumGatherJob>("spectrum_gather", spirv::spectrum_gather);

constexpr double kEps = 0x1p-23;
constexpr std::uint64_t kChunk = 1024;  // elements of a workgroup of jacobi_prepare and spectrum_gather

// Sweeps of one dispatch over a whole matrix: as many as lavapipe has loop iterations for
// (jacobi_solve.comp). Over a pair of blocks one is enough: with two, a random 256 x 256 matrix takes as many
// sweeps.
constexpr std::uint32_t kSweepsAtOnce = 2;

// jacobi_cpu.comp: rows in memory of a subgroup, two blocks or a whole matrix.
constexpr std::uint32_t kCpuOrder = 64;
constexpr std::uint32_t kCpuSweepsAtOnce = 3;

}  // namespace

JacobiVariant choose_jacobi(const Device& owner) {
    const Capabilities& device = owner.capabilities();
    JacobiVariant variant{};
    // More shared memory would keep other workgroups from a GPU's core. On CPU drivers, 32 KiB keep two
    // sweeps within the loop iterations that lavapipe allows (jacobi_solve.comp).
    const std::uint32_t bytes =
        std::min<std::uint32_t>(device.shared_memory_bytes, device.cpu ? 32768 : 65536);
    variant.order = 2;
    while (4 * (variant.order + 2) * (variant.order + 3) + 8 * (variant.order + 2) <= bytes)
        variant.order += 2;
    variant.block = variant.order >= 64 ? 32 : 16;
    const std::uint32_t limit = std::min(device.max_workgroup_invocations, device.max_workgroup_size_x);
    const std::uint32_t subgroup = std::clamp<std::uint32_t>(device.subgroup_size, 4, 16);
    variant.threads = std::min<std::uint32_t>(device.cpu ? std::max(subgroup, 8u) : 256, limit);
    variant.rotate_threads = std::min<std::uint32_t>(device.cpu ? subgroup : 128, limit);
    variant.rotate_lanes = device.cpu ? variant.rotate_threads : 16;
    variant.cpu_subgroup = cpu_subgroup(owner);
    variant.eigen_order = variant.cpu_subgroup != 0 ? kCpuOrder : variant.order;
    variant.eigen_sweeps = variant.cpu_subgroup != 0 ? kCpuSweepsAtOnce : kSweepsAtOnce;
    return variant;
}

void check_jacobi_workspace(std::string_view who, const Device& device, const Tensor& a,
                            std::uint64_t order) {
    const JacobiVariant variant = choose_jacobi(device);
    const std::uint64_t wide = order <= variant.order ? 8 : 2 * variant.block;
    const std::uint64_t size = std::max(ceil_div(order, wide) * wide, eigensystem_size(order));
    if (a.batch() * size * size > kMaxIndex)
        refuse(who, "A is " + text(a) + "; its batch of padded matrices, " + std::to_string(size) + "x" +
                        std::to_string(size) + ", has 2^32 elements or more; split it");
}

// Beyond, roundings of long sums cancel or are those of sums in pieces.
constexpr std::uint64_t kMaxRankScale = 8192;

Jacobi::Jacobi(Graph& graph, std::uint64_t items, std::uint64_t rotated, std::uint64_t rank_scale,
               bool guarded)
    : graph_(graph),
      variant_(choose_jacobi(graph.device())),
      items_(items),
      rotated_(rotated),
      rank_scale_(std::min(rank_scale, kMaxRankScale)),
      guarded_(guarded),
      state_(graph.temporary(DType::u32, Shape{items, gpu::JACOBI_STATE_WORDS})) {}

Tensor Jacobi::matrix(std::uint64_t rows, std::uint64_t cols) const {
    return graph_.temporary(DType::f32, Shape{items_, rows, cols});
}

namespace {

gpu::JacobiPrepareJob source_job(const Tensor& x) {
    gpu::JacobiPrepareJob job{};
    job.rows = narrow(x.rows());
    job.cols = narrow(x.cols());
    job.x_stride = narrow(x.stride());
    job.x_item = narrow(x.rows() * x.stride());
    return job;
}

Operation prepare_operation(const Capabilities& device, const Tensor& y, std::uint32_t how, DType dtype,
                            gpu::JacobiPrepareJob job, std::vector<Operand> operands, bool guarded) {
    job.y_rows = narrow(y.rows());
    job.y_cols = narrow(y.cols());
    const std::uint64_t chunks = ceil_div(y.rows() * y.cols(), kChunk);
    job.chunks = narrow(chunks);
    operands.push_back({offsetof(gpu::JacobiPrepareJob, y), y, Access::write});
    double bytes = 0;
    for (const Operand& operand : operands) bytes += element_bytes(operand.tensor);
    Operation operation = make_operation(kPrepare, job, std::move(operands), y.batch() * chunks);
    operation.constants = {{gpu::SPEC_THREADS, device.cpu ? 8u : 128u},
                           {gpu::SPEC_DTYPE_A, static_cast<std::uint32_t>(dtype)},
                           {gpu::SPEC_PREPARE, how}};
    operation.reason = "1024 elements a workgroup";
    operation.bytes = bytes;
    operation.guarded = guarded;
    return operation;
}

}  // namespace

void add_identity(Graph& graph, const Tensor& y, bool guarded) {
    graph.add(prepare_operation(graph.device().capabilities(), y, gpu::PREPARE_IDENTITY, DType::f32, {}, {},
                                guarded));
}

void Jacobi::prepare(const Tensor& x, const Tensor& y, std::uint32_t how) {
    const Tensor exponent = graph_.temporary(DType::u32, Shape{items_});
    const Tensor nonfinite = graph_.temporary(DType::u32, Shape{items_});
    norm_exponent(graph_, x, exponent, guarded_);
    count_nonfinite(graph_, x, nonfinite, guarded_);
    graph_.add(prepare_operation(graph_.device().capabilities(), y, how, x.dtype, source_job(x),
                                 {{offsetof(gpu::JacobiPrepareJob, x), x, Access::read},
                                  {offsetof(gpu::JacobiPrepareJob, exponent), exponent, Access::read},
                                  {offsetof(gpu::JacobiPrepareJob, nonfinite), nonfinite, Access::read},
                                  {offsetof(gpu::JacobiPrepareJob, state), state_, Access::write}},
                                 guarded_));
}

void Jacobi::pad(const Tensor& x, const Tensor& y) const {
    graph_.add(prepare_operation(graph_.device().capabilities(), y, gpu::PREPARE_PAD, x.dtype, source_job(x),
                                 {{offsetof(gpu::JacobiPrepareJob, x), x, Access::read}}, guarded_));
}

void Jacobi::pad_doubtful(const Tensor& x, const Tensor& doubtful, const Tensor& y) const {
    graph_.add(prepare_operation(graph_.device().capabilities(), y, gpu::PREPARE_DOUBTFUL, x.dtype,
                                 source_job(x),
                                 {{offsetof(gpu::JacobiPrepareJob, x), x, Access::read},
                                  {offsetof(gpu::JacobiPrepareJob, nonfinite), doubtful, Access::read},
                                  {offsetof(gpu::JacobiPrepareJob, state), state_, Access::read_write}},
                                 guarded_));
}

void Jacobi::prepare_basis(const Tensor& x, const Tensor& y) {
    const std::uint64_t n = x.cols();
    const Tensor one = graph_.temporary(DType::f32, Shape{n, n});
    identity(one);
    const Tensor distance = matrix(n, n);
    syrk(graph_, x, one, distance, {.transpose_a = Transpose::yes, .beta = -1.0f, .guarded = guarded_});
    const Tensor norm = graph_.temporary(DType::f32, Shape{items_});
    frobenius_norm(graph_, distance, norm, guarded_);
    graph_.add(prepare_operation(graph_.device().capabilities(), y, gpu::PREPARE_BASIS, x.dtype,
                                 source_job(x),
                                 {{offsetof(gpu::JacobiPrepareJob, x), x, Access::read},
                                  {offsetof(gpu::JacobiPrepareJob, norm), norm, Access::read},
                                  {offsetof(gpu::JacobiPrepareJob, state), state_, Access::read}},
                                 guarded_));
}

void Jacobi::start_sweeps(std::uint64_t pairs, std::uint64_t order, std::uint64_t partials) {
    scratch_ = graph_.temporary(DType::f32, Shape{items_ * pairs, order, order});
    partials_ = graph_.temporary(DType::f32, Shape{items_, partials});
}

void Jacobi::add_solve(const Tensor& x, const Tensor& j, const Pairs& pairs, std::uint32_t sweeps,
                       double tolerance, double floor, std::uint32_t flags, std::uint32_t partial_at) {
    gpu::JacobiSolveJob job{};
    job.order = pairs.order;
    job.x_stride = narrow(pairs.x_stride);
    job.x_item = narrow(pairs.x_item);
    job.x_pair = narrow(pairs.x_pair);
    job.block = pairs.block;
    job.blocks = pairs.blocks;
    job.round = pairs.round;
    job.pairs = pairs.pairs;
    job.partial_at = partial_at;
    job.partial_item = narrow(partials_.cols());
    job.sweeps = sweeps;
    job.tolerance = static_cast<float>(tolerance);
    job.floor = static_cast<float>(floor);
    job.flags = flags;
    // Measured against the diagonal, elements need to be there and rotated; else columns are enough.
    const bool by_columns = variant_.cpu_subgroup != 0 && (flags & gpu::SOLVE_RELATIVE) == 0;
    Operation operation =
        make_operation(by_columns ? kSolveCpu : kSolve, job,
                       {{offsetof(gpu::JacobiSolveJob, x), x,
                         (flags & gpu::SOLVE_KEEP) != 0 ? Access::read_write : Access::read},
                        {offsetof(gpu::JacobiSolveJob, jt), scratch_,
                         (flags & gpu::SOLVE_CONTINUED) != 0 ? Access::read_write : Access::write},
                        {offsetof(gpu::JacobiSolveJob, j), j, Access::write},
                        {offsetof(gpu::JacobiSolveJob, partials), partials_, Access::write},
                        {offsetof(gpu::JacobiSolveJob, state), state_, Access::read}},
                       items_ * pairs.pairs);
    if (by_columns)
        operation.constants = {{gpu::SPEC_THREADS, variant_.cpu_subgroup},
                               {gpu::SPEC_SUBGROUP, variant_.cpu_subgroup},
                               {gpu::SPEC_ORDER, kCpuOrder}};
    else
        operation.constants = {{gpu::SPEC_THREADS, variant_.threads}, {gpu::SPEC_ORDER, variant_.order}};
    operation.reason = "one workgroup for each matrix, or pair of blocks";
    const double m = real(pairs.order + pairs.order % 2);
    operation.flops = real(operation.groups) * sweeps * m * m * m * 7;
    operation.bytes = real(operation.groups) * m * m * 4 * (3 + 2.0 * sweeps * m);
    operation.guarded = guarded_;
    graph_.add(std::move(operation));
}

// For columns of x that meet as `pairs` says.
template <typename Job>
Job Jacobi::columns_job(const Tensor& x, const Pairs& pairs) {
    Job job{};
    job.rows = narrow(x.rows());
    job.stride = narrow(x.cols());
    job.item = narrow(x.rows() * x.cols());
    job.block = pairs.block;
    job.blocks = pairs.blocks;
    job.round = pairs.round;
    return job;
}

void Jacobi::add_rotate(const Tensor& x, const Tensor& y, const Tensor& j, const Pairs& pairs,
                        bool transposed) const {
    const std::uint32_t subgroup = variant_.cpu_subgroup;
    // SwiftShader, with subgroups of 4, compiles few rows faster.
    const std::uint32_t rows = subgroup > 4    ? 32
                               : subgroup != 0 ? 16
                                               : 4 * (variant_.rotate_threads / variant_.rotate_lanes);
    auto job = columns_job<gpu::JacobiRotateJob>(x, pairs);
    job.chunks = narrow(ceil_div(x.rows(), rows));
    job.flags = transposed ? gpu::ROTATE_TRANSPOSED : 0;
    std::vector<Operand> operands{{offsetof(gpu::JacobiRotateJob, j), j, Access::read},
                                  {offsetof(gpu::JacobiRotateJob, state), state_, Access::read}};
    const bool in_place = x.id == y.id;
    operands.push_back({offsetof(gpu::JacobiRotateJob, x), x, in_place ? Access::read_write : Access::read});
    operands.push_back({offsetof(gpu::JacobiRotateJob, y), y, in_place ? Access::read_write : Access::write});
    Operation operation = make_operation(subgroup != 0 ? kRotateCpu : kRotate, job, std::move(operands),
                                         items_ * pairs.pairs * job.chunks);
    if (subgroup != 0)
        operation.constants = {{gpu::SPEC_THREADS, subgroup},
                               {gpu::SPEC_SUBGROUP, subgroup},
                               {gpu::SPEC_TILES, rows},
                               {gpu::SPEC_ORDER, variant_.order}};
    else
        operation.constants = {{gpu::SPEC_THREADS, variant_.rotate_threads},
                               {gpu::SPEC_LANES, variant_.rotate_lanes},
                               {gpu::SPEC_POOL, rows * pairs.order / 4}};
    operation.reason = "some rows of a pair of blocks for each workgroup";
    operation.flops = 2.0 * real(items_ * x.rows() * x.cols()) * pairs.order;
    operation.bytes = element_bytes(x, y, j);
    operation.guarded = guarded_;
    graph_.add(std::move(operation));
}

void Jacobi::add_gram(const Tensor& x, const Tensor& g, const Pairs& pairs) const {
    const std::uint32_t threads = graph_.device().capabilities().cpu ? 8 : 64;
    const std::uint64_t quads = pairs.order / 4;
    auto job = columns_job<gpu::JacobiGramJob>(x, pairs);
    job.chunks = narrow(ceil_div(quads * (quads + 1) / 2, threads));
    Operation operation = make_operation(kGram, job,
                                         {{offsetof(gpu::JacobiGramJob, x), x, Access::read},
                                          {offsetof(gpu::JacobiGramJob, g), g, Access::write},
                                          {offsetof(gpu::JacobiGramJob, state), state_, Access::read}},
                                         items_ * pairs.pairs * job.chunks);
    operation.constants = {{gpu::SPEC_THREADS, threads}};
    operation.reason = "a 4 x 4 tile for each invocation";
    operation.flops = real(items_ * x.rows() * x.cols()) * (pairs.order + 4);
    operation.bytes = element_bytes(x, g);
    operation.guarded = guarded_;
    graph_.add(std::move(operation));
}

void Jacobi::add_settle(double tolerance, double limit) const {
    gpu::JacobiSettleJob job{};
    job.count = narrow(partials_.cols());
    job.tolerance = static_cast<float>(tolerance);
    job.limit = static_cast<float>(limit);
    Operation operation =
        make_operation(kSettle, job,
                       {{offsetof(gpu::JacobiSettleJob, partials), partials_, Access::read},
                        {offsetof(gpu::JacobiSettleJob, state), state_, Access::read_write}},
                       items_);
    operation.constants = {{gpu::SPEC_THREADS, graph_.device().capabilities().cpu ? 8u : 64u}};
    operation.reason = "one workgroup for each matrix";
    operation.bytes = element_bytes(partials_);
    operation.guarded = guarded_;
    graph_.add(std::move(operation));
}

// The matrix has norm 1 to 2. Off-diagonal elements are to become smaller than its rounding errors.
constexpr double kEigenTolerance = kEps * kEps;

void Jacobi::solve(const Tensor& x, const Tensor& v, std::uint32_t sweeps) {
    const std::uint64_t n = x.cols();
    const std::uint32_t parts = narrow(x.batch() / items_);
    const std::uint32_t at_once = variant_.eigen_sweeps;
    start_sweeps(parts, n + n % 2, parts);
    for (std::uint32_t done = 0; done < sweeps; done += at_once) {
        const std::uint32_t flags =
            gpu::SOLVE_LAST | gpu::SOLVE_KEEP | (done == 0 ? 0 : gpu::SOLVE_CONTINUED);
        const bool last = done + at_once >= sweeps;
        add_solve(x, v, {narrow(n), 0, 0, 0, parts, n * n, n, parts * n * n},
                  std::min(at_once, sweeps - done), kEigenTolerance, 0.0, flags, 0);
        add_settle(kEigenTolerance, last ? std::pow(real(n) * kEps, 2) : -1.0);
    }
}

void Jacobi::eigen_sweeps(const Tensor& x, const Tensor& v, std::uint32_t sweeps) {
    const std::uint64_t size = x.cols();
    const std::uint32_t m = 2 * variant_.block;
    const std::uint32_t blocks = narrow(size / variant_.block);
    const std::uint32_t pairs = blocks / 2;
    start_sweeps(pairs, m, std::uint64_t{blocks - 1} * pairs);
    const Tensor j = graph_.temporary(DType::f32, Shape{items_ * pairs, m, m});
    const Tensor other = matrix(size, size);
    for (std::uint32_t sweep = 0; sweep < sweeps; ++sweep) {
        for (std::uint32_t round = 0; round + 1 < blocks; ++round) {
            const Pairs at{m, variant_.block, blocks, round, pairs, 0, size, size * size};
            add_solve(x, j, at, 1, kEigenTolerance / blocks, 0.0, 0, round * pairs);
            // J^T X J = (X J)^T J for symmetric X.
            add_rotate(x, other, j, at, true);
            add_rotate(v, v, j, at, false);
            add_rotate(other, x, j, at, false);
        }
        add_settle(kEigenTolerance, sweep + 1 == sweeps ? std::pow(real(rotated_) * kEps, 2) : -1.0);
    }
}

void Jacobi::column_sweeps(const Tensor& x, const Tensor& v, std::uint32_t block, std::uint32_t sweeps) {
    const std::uint32_t m = 2 * block;
    const std::uint32_t blocks = narrow(x.cols() / block);
    const std::uint32_t pairs = blocks / 2;
    start_sweeps(pairs, m, std::uint64_t{blocks - 1} * pairs);
    const Tensor g = graph_.temporary(DType::f32, Shape{items_ * pairs, m, m});
    const Tensor j = graph_.temporary(DType::f32, Shape{items_ * pairs, m, m});
    // A scalar product is off by about u: so is each of the cosines, however long the method goes on.
    const double tolerance = std::pow(real(rotated_) * kEps, 2);
    // Columns that are surely below the numerical rank, of a matrix of norm 1 to 2.
    const double floor = std::pow(real(rank_scale_) * kEps, 2) / real(rotated_);
    for (std::uint32_t sweep = 0; sweep < sweeps; ++sweep) {
        for (std::uint32_t round = 0; round + 1 < blocks; ++round) {
            const Pairs at{
                m, block, blocks, round, pairs, std::uint64_t{m} * m, m, std::uint64_t{m} * m * pairs};
            add_gram(x, g, at);
            add_solve(g, j, at, pairs == 1 ? kSweepsAtOnce : 1, kEps * kEps, floor, gpu::SOLVE_RELATIVE,
                      round * pairs);
            add_rotate(x, x, j, at, false);
            add_rotate(v, v, j, at, false);
        }
        add_settle(tolerance, sweep + 1 == sweeps ? 64 * tolerance : -1.0);
    }
}

Tensor Jacobi::orthonormalized(const Tensor& v) const {
    const Tensor gram = graph_.temporary(DType::f32, Shape{v.batch(), v.cols(), v.cols()});
    syrk(graph_, v, Tensor{}, gram, {.transpose_a = Transpose::yes, .guarded = guarded_});
    const Tensor result = graph_.temporary(DType::f32, v.shape);
    gemm(graph_, v, gram, v, result, {.alpha = -0.5f, .beta = 1.5f, .guarded = guarded_});
    return result;
}

Tensor Jacobi::column_products(const Tensor& x, const Tensor& y, std::uint64_t cols) const {
    const std::uint32_t threads = graph_.device().capabilities().cpu ? 8 : 32;
    const std::uint64_t items = x.batch();
    const Tensor d = graph_.temporary(DType::f32, Shape{items, cols});
    gpu::SpectrumColumnsJob job{};
    job.rows = narrow(x.rows());
    job.cols = narrow(cols);
    job.stride = narrow(x.cols());
    job.item = narrow(x.rows() * x.cols());
    job.chunks = narrow(ceil_div(cols, threads));
    Operation operation = make_operation(kColumns, job,
                                         {{offsetof(gpu::SpectrumColumnsJob, x), x, Access::read},
                                          {offsetof(gpu::SpectrumColumnsJob, y), y, Access::read},
                                          {offsetof(gpu::SpectrumColumnsJob, d), d, Access::write}},
                                         items * job.chunks);
    operation.constants = {{gpu::SPEC_THREADS, threads}};
    operation.reason = "one invocation for each column";
    operation.flops = 2.0 * real(items * x.rows() * cols);
    operation.bytes = element_bytes(x, y);
    operation.guarded = guarded_;
    graph_.add(std::move(operation));
    return d;
}

Tensor Jacobi::quotients(const Tensor& x, const Tensor& v) const {
    const std::uint32_t threads = graph_.device().capabilities().cpu ? 8 : 32;
    const std::uint64_t n = x.cols();
    const Tensor d = graph_.temporary(DType::f32, Shape{items_, n});
    gpu::SpectrumQuotientsJob job{};
    job.order = narrow(n);
    Operation operation = make_operation(kQuotients, job,
                                         {{offsetof(gpu::SpectrumQuotientsJob, x), x, Access::read},
                                          {offsetof(gpu::SpectrumQuotientsJob, v), v, Access::read},
                                          {offsetof(gpu::SpectrumQuotientsJob, d), d, Access::write}},
                                         items_ * n);
    operation.constants = {{gpu::SPEC_THREADS, threads}};
    operation.reason = "one workgroup for each column";
    operation.flops = 27.0 * real(items_ * n * n * n);
    operation.bytes = element_bytes(x, v);
    operation.guarded = guarded_;
    graph_.add(std::move(operation));
    return d;
}

void Jacobi::order(const Tensor& d, bool squared, const Tensor& values, const Tensor& status) {
    const std::uint32_t threads = graph_.device().capabilities().cpu ? 8 : 64;
    order_ = graph_.temporary(DType::u32, d.shape);
    sorted_ = graph_.temporary(DType::f32, d.shape);
    gpu::SpectrumOrderJob job{};
    job.count = narrow(d.cols());
    job.flags = (squared ? gpu::ORDER_SQUARED : 0) | (status ? gpu::ORDER_HAS_STATUS : 0);
    job.rank_scale = narrow(rank_scale_);
    job.chunks = narrow(ceil_div(d.cols(), threads));
    std::vector<Operand> operands{{offsetof(gpu::SpectrumOrderJob, d), d, Access::read},
                                  {offsetof(gpu::SpectrumOrderJob, state), state_, Access::read},
                                  {offsetof(gpu::SpectrumOrderJob, values), values, Access::write},
                                  {offsetof(gpu::SpectrumOrderJob, sorted), sorted_, Access::write},
                                  {offsetof(gpu::SpectrumOrderJob, order), order_, Access::write}};
    if (status) operands.push_back({offsetof(gpu::SpectrumOrderJob, status), status, Access::write});
    Operation operation = make_operation(kOrder, job, std::move(operands), items_ * job.chunks);
    operation.constants = {{gpu::SPEC_THREADS, threads}};
    operation.reason = "one invocation for each value";
    operation.flops = real(items_ * d.cols() * d.cols());
    operation.bytes = 4 * element_bytes(d);
    operation.guarded = guarded_;
    graph_.add(std::move(operation));
}

void Jacobi::gather(const Tensor& x, const Tensor& y, std::uint32_t flags) const {
    const bool transposed = (flags & gpu::GATHER_TRANSPOSED) != 0;
    gpu::SpectrumGatherJob job{};
    job.rows = narrow(transposed ? y.cols() : y.rows());
    job.cols = narrow(transposed ? y.rows() : y.cols());
    job.x_stride = narrow(x.cols());
    job.x_item = narrow(x.rows() * x.cols());
    job.order_item = narrow(order_.cols());
    job.y_stride = narrow(y.stride());
    job.y_item = narrow(y.rows() * y.stride());
    job.flags = flags;
    job.rank_scale = narrow(rank_scale_);
    job.chunks = narrow(ceil_div(y.rows() * y.cols(), kChunk));
    Operation operation = make_operation(kGather, job,
                                         {{offsetof(gpu::SpectrumGatherJob, x), x, Access::read},
                                          {offsetof(gpu::SpectrumGatherJob, order), order_, Access::read},
                                          {offsetof(gpu::SpectrumGatherJob, sorted), sorted_, Access::read},
                                          {offsetof(gpu::SpectrumGatherJob, y), y, Access::write}},
                                         items_ * job.chunks);
    operation.constants = {{gpu::SPEC_THREADS, graph_.device().capabilities().cpu ? 8u : 128u}};
    operation.reason = "1024 elements a workgroup";
    operation.bytes = element_bytes(x, y);
    operation.guarded = guarded_;
    graph_.add(std::move(operation));
}

}  // namespace heron
