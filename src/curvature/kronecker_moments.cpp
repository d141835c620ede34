// SPDX-License-Identifier: MIT
// EK-FAC's second moments (heron/curvature.hpp).
#include "heron/spirv/kronecker_moments.hpp"

#include <algorithm>
#include <cstddef>
#include <utility>
#include <vector>

#include "curvature/kronecker.h"
#include "curvature/kronecker_checks.hpp"
#include "curvature/kronecker_grid.hpp"
#include "heron/linalg/product.hpp"
#include "heron/spirv/kronecker_square.hpp"
#include "heron/spirv/kronecker_table.hpp"

namespace heron {

namespace {

static_assert(sizeof(gpu::KroneckerMomentsJob) == 56);
static_assert(sizeof(gpu::KroneckerSquareJob) == 24);
static_assert(sizeof(gpu::KroneckerTableJob) == 72);

constexpr KernelInfo kMoments =
    make_kernel<gpu::KroneckerMomentsJob>("kronecker_moments", spirv::kronecker_moments);
constexpr KernelInfo kSquare =
    make_kernel<gpu::KroneckerSquareJob>("kronecker_square", spirv::kronecker_square);
constexpr KernelInfo kTable = make_kernel<gpu::KroneckerTableJob>("kronecker_table", spirv::kronecker_table);

// Some drivers end the loops of an invocation after 65,535 rounds of all of them: one for each sample, and
// for each of its positions; lavapipe adds one.
constexpr std::uint64_t kMaxRounds = 60000, kMaxPositions = 32768;

void add_squares(Graph& graph, const Tensor& values) {
    using Job = gpu::KroneckerSquareJob;
    const std::uint64_t count = values.shape.count();
    FactorGrid grid = factor_grid(graph.device(), 1);
    grid.groups = ceil_div(count, std::uint64_t{grid.threads} * grid.rounds);
    Job job{};
    job.count = narrow(count);
    job.rounds = grid.rounds;
    add_factor_operation(
        graph,
        make_operation(kSquare, job, {{offsetof(Job, values), values, Access::read_write}}, grid.groups),
        grid, 1, 8, count);
}

void add_table(Graph& graph, const Tensor& moments, std::uint64_t group, std::uint32_t flags, float weight,
               std::vector<Operand> operands, double bytes) {
    using Job = gpu::KroneckerTableJob;
    const Tensor matrix = matrix_of(moments, group);
    const std::uint64_t count = matrix.shape.count();
    FactorGrid grid = factor_grid(graph.device(), 1);
    grid.groups = ceil_div(count, std::uint64_t{grid.threads} * grid.rounds);
    Job job{};
    job.count = narrow(count);
    job.cols = narrow(matrix.cols());
    job.rounds = grid.rounds;
    job.weight = weight;
    job.flags = flags;
    operands.push_back({offsetof(Job, moments), matrix, Access::read_write});
    add_factor_operation(graph, make_operation(kTable, job, std::move(operands), grid.groups), grid, 5, bytes,
                         count);
}

}  // namespace

void renew_moments(Graph& graph, const KroneckerEigen& eigen, const Tensor& moments) {
    using Job = gpu::KroneckerTableJob;
    constexpr std::string_view kWho = "renew_moments";
    check_eigen(kWho, graph, eigen);
    const std::uint64_t groups = eigen.input_vectors.batch(), m = eigen.output_vectors.rows(),
                        n = eigen.input_vectors.rows();
    check_matrices(kWho, "moments", graph, moments, groups, m, n);
    for (std::uint64_t g = 0; g < groups; ++g)
        add_table(graph, moments, g, gpu::KRONECKER_RESTART, 0,
                  {{offsetof(Job, row_values), part_of(eigen.output_values, g, m), Access::read},
                   {offsetof(Job, column_values), part_of(eigen.input_values, g, n), Access::read}},
                  4);
}

void moments_statistic(Graph& graph, const KroneckerEigen& eigen, const Tensor& input_rows,
                       const Tensor& output_rows, const Tensor& statistic, std::uint64_t positions) {
    using Job = gpu::KroneckerMomentsJob;
    constexpr std::string_view kWho = "moments_statistic";
    check_eigen(kWho, graph, eigen);
    const std::uint64_t groups = eigen.input_vectors.batch(), m = eigen.output_vectors.rows(),
                        n = eigen.input_vectors.rows(), rows = input_rows.rows();
    check_matrices(kWho, "statistic", graph, statistic, groups, m, n);
    check_matrices(kWho, "input_rows", graph, input_rows, groups, rows, n, false);
    check_matrices(kWho, "output_rows", graph, output_rows, groups, rows, m, false);
    if (rows == 0 || positions == 0 || positions > kMaxPositions || rows % positions != 0)
        refuse(kWho, "positions is " + std::to_string(positions) + "; it must divide the " +
                         std::to_string(rows) + " rows, and be at most " + std::to_string(kMaxPositions));
    const Tensor row_parts = graph.temporary(DType::f32, matrices(groups, rows, m));
    const Tensor column_parts = graph.temporary(DType::f32, matrices(groups, rows, n));
    gemm(graph, output_rows, eigen.output_vectors, {}, row_parts);
    gemm(graph, input_rows, eigen.input_vectors, {}, column_parts);
    if (positions == 1) {
        // (P_i R_j)^2 = P_i^2 R_j^2: a product.
        add_squares(graph, row_parts);
        add_squares(graph, column_parts);
        gemm(graph, row_parts, column_parts, {}, statistic, {.transpose_a = Transpose::yes});
        return;
    }
    const std::uint64_t samples = rows / positions, at_once = kMaxRounds / (positions + 2);
    const std::uint32_t threads = graph.device().capabilities().cpu ? 8 : 64;
    for (std::uint64_t first = 0; first < samples; first += at_once)
        for (std::uint64_t g = 0; g < groups; ++g) {
            const std::uint64_t count = std::min(at_once, samples - first);
            Job job{};
            job.rows = narrow(m);
            job.cols = narrow(n);
            job.tiles = narrow(ceil_div(n, 4));
            job.first = narrow(first);
            job.samples = narrow(count);
            job.positions = narrow(positions);
            Operation operation =
                make_operation(kMoments, job,
                               {{offsetof(Job, row_parts), matrix_of(row_parts, g), Access::read},
                                {offsetof(Job, column_parts), matrix_of(column_parts, g), Access::read},
                                {offsetof(Job, sums), matrix_of(statistic, g),
                                 first == 0 ? Access::write : Access::read_write}},
                               ceil_div(m * job.tiles, std::uint64_t{threads}));
            operation.constants = {{gpu::SPEC_THREADS, threads}};
            operation.reason = "the only one";
            const double work = static_cast<double>(count * positions);
            operation.flops = 2.0 * work * static_cast<double>(m * n);
            operation.bytes = 4.0 * work * static_cast<double>(m + n) + 4.0 * static_cast<double>(m * n);
            graph.add(std::move(operation));
        }
}

void update_moments(Graph& graph, const Tensor& statistic, const Tensor& moments,
                    const MomentsUpdateOptions& options) {
    using Job = gpu::KroneckerTableJob;
    constexpr std::string_view kWho = "update_moments";
    check_float_tensor(kWho, "moments", graph, moments);
    check_matrices(kWho, "moments", graph, moments, moments.batch(), moments.rows(), moments.cols());
    check_matrices(kWho, "statistic", graph, statistic, moments.batch(), moments.rows(), moments.cols());
    check_no_overlap(kWho, "moments", moments, "statistic", statistic, graph);
    check_floats(kWho, "unit", graph, options.unit, 1);
    if (!std::isfinite(options.scale)) refuse(kWho, "scale is not finite");
    const Tensor rates = rates_of(kWho, graph, options.decay, options.rates);
    for (std::uint64_t g = 0; g < moments.batch(); ++g) {
        std::vector<Operand> operands{{offsetof(Job, sums), matrix_of(statistic, g), Access::read},
                                      {offsetof(Job, rates), rates, Access::read}};
        if (options.unit) operands.push_back({offsetof(Job, unit), options.unit, Access::read});
        add_table(graph, moments, g, options.unit ? gpu::KRONECKER_HAS_UNIT : 0, options.scale,
                  std::move(operands), 12);
    }
}

}  // namespace heron
