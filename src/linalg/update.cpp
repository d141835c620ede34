// SPDX-License-Identifier: MIT
// Rank-one changes of inverses and Cholesky factors: checks and jobs.
#include "heron/linalg/update.hpp"

#include <algorithm>
#include <bit>
#include <cmath>
#include <cstddef>
#include <string>

#include "core/number_text.hpp"
#include "graph/element_bytes.hpp"
#include "graph/graph.hpp"
#include "heron/spirv/cholesky_apply.hpp"
#include "heron/spirv/cholesky_rotations.hpp"
#include "heron/spirv/rank_one.hpp"
#include "linalg/checks.hpp"
#include "linalg/convert.hpp"
#include "linalg/integers.hpp"
#include "linalg/update.h"

namespace heron {

static_assert(sizeof(gpu::RankOneJob) == 80 && offsetof(gpu::RankOneJob, first_group) == 76);
static_assert(sizeof(gpu::CholeskyUpdateJob) == 80 && offsetof(gpu::CholeskyUpdateJob, first_group) == 76);

namespace {

constexpr KernelInfo kRankOne = make_kernel<gpu::RankOneJob>("rank_one", spirv::rank_one);
constexpr KernelInfo kRotations =
    make_kernel<gpu::CholeskyUpdateJob>("cholesky_rotations", spirv::cholesky_rotations);
constexpr KernelInfo kApply = make_kernel<gpu::CholeskyUpdateJob>("cholesky_apply", spirv::cholesky_apply);

// One workgroup finds all rotations of a matrix.
constexpr std::uint64_t kMaxCholesky = 4096;

void check_matrix(std::string_view who, const char* name, const Graph& graph, const Tensor& x) {
    check_float_tensor(who, name, graph, x);
    if (x.dtype != DType::f32 || x.rows() != x.cols())
        refuse(who, std::string(name) + " is " + text(x) + "; it must be f32 and square");
}

// n elements for each matrix, or for all; returns the elements between those of two matrices.
std::uint32_t check_vector(std::string_view who, const char* name, const Graph& graph, const Tensor& x,
                           const char* vector_name, const Tensor& vector) {
    check_float_tensor(who, vector_name, graph, vector);
    const std::uint64_t n = x.cols(), count = vector.shape.count();
    if ((count != n && count != n * x.batch()) || !is_contiguous(vector))
        refuse(who, std::string(vector_name) + " is " + text(vector) + ", " + name + " is " + text(x) +
                        "; it must be a contiguous tensor of " + std::to_string(n) +
                        " elements for each matrix, or for all");
    check_no_overlap(who, name, x, vector_name, vector, graph);
    return count == n ? 0 : narrow(n);
}

void check_status(std::string_view who, const char* name, const Graph& graph, const Tensor& x,
                  const char* vector_name, const Tensor& vector, const Tensor& status) {
    check_status_tensor(who, graph, status, x.batch());
    if (!status) return;
    check_no_overlap(who, "status", status, name, x, graph);
    check_no_overlap(who, "status", status, vector_name, vector, graph);
}

enum class Change { update, downdate, replace };

void add_cholesky(std::string_view who, Graph& graph, Change change, const Tensor& l, const Tensor& row,
                  const char* vector_name, const Tensor& vector, const Tensor& status, bool guarded) {
    check_matrix(who, "L", graph, l);
    const std::uint64_t n = l.cols(), items = l.batch();
    if (n > kMaxCholesky)
        refuse(who, "L is " + text(l) + "; at most 4096 rows are possible, factorise it anew");
    gpu::CholeskyUpdateJob job{};
    job.vector_item = check_vector(who, "L", graph, l, vector_name, vector);
    check_status(who, "L", graph, l, vector_name, vector, status);
    const bool replaces = change == Change::replace;
    if (replaces) {
        check_tensor(who, "row", graph, row);
        const std::uint64_t count = row.shape.count();
        if (row.dtype != DType::u32 || (count != 1 && count != items) || !is_contiguous(row))
            refuse(who, "row is " + text(row) + ", L is " + text(l) +
                            "; it must be a contiguous tensor of one u32 for each matrix, or for all");
        check_no_overlap(who, "L", l, "row", row, graph);
        if (status) check_no_overlap(who, "status", status, "row", row, graph);
        job.row_item = count == 1 ? 0 : 1;
    }
    if (n * items == 0) {
        add_zeros(graph, status, guarded);
        return;
    }
    if (items * gpu::CHOLESKY_SCRATCH * n > kMaxIndex)
        refuse(who, "L is " + text(l) + "; its rotations, " + std::to_string(gpu::CHOLESKY_SCRATCH) +
                        " f32 for each row, are 2^32 elements or more; split the batch");

    const Capabilities& device = graph.device().capabilities();
    const Tensor scratch = graph.temporary(DType::f32, Shape{items, gpu::CHOLESKY_SCRATCH, n});
    const Tensor apply = graph.temporary(DType::u32, Shape{items});
    job.n = narrow(n);
    job.l_row = narrow(l.stride());
    job.l_item = batch_stride(l);
    job.flags = (status ? gpu::UPDATE_STATUS : 0) | (change == Change::downdate ? gpu::UPDATE_DOWNDATE : 0) |
                (replaces ? gpu::UPDATE_REPLACE : 0);
    const auto operands = [&](bool finds) {
        std::vector<Operand> all{
            {offsetof(gpu::CholeskyUpdateJob, l), l, finds ? Access::read : Access::read_write},
            {offsetof(gpu::CholeskyUpdateJob, scratch), scratch, finds ? Access::write : Access::read},
            {offsetof(gpu::CholeskyUpdateJob, apply), apply, finds ? Access::write : Access::read}};
        if (replaces) all.push_back({offsetof(gpu::CholeskyUpdateJob, row), row, Access::read});
        if (finds) all.push_back({offsetof(gpu::CholeskyUpdateJob, vector), vector, Access::read});
        if (finds && status) all.push_back({offsetof(gpu::CholeskyUpdateJob, status), status, Access::write});
        return all;
    };
    const double half = static_cast<double>(n * n * items) * (replaces ? 6 : 3);

    // Many invocations on CPU drivers too: lavapipe ends the loops of an invocation after 65,535 rounds.
    const std::uint32_t threads = device.cpu ? 64 : 128;
    job.groups = 1;
    Operation operation = make_operation(kRotations, job, operands(true), items);
    operation.constants = {{gpu::SPEC_THREADS, threads},
                           {gpu::SPEC_DTYPE_A, static_cast<std::uint32_t>(vector.dtype)}};
    operation.reason = "one workgroup for each matrix";
    operation.flops = half;
    operation.bytes = element_bytes(l) / 2 + element_bytes(scratch);
    operation.guarded = guarded;
    graph.add(std::move(operation));

    const std::uint32_t rows = device.cpu ? 8 : 128;
    job.groups = narrow(ceil_div(n, rows));
    operation = make_operation(kApply, job, operands(false), items * job.groups);
    operation.constants = {{gpu::SPEC_THREADS, rows}};
    operation.reason = "one invocation for each row";
    operation.flops = half;
    operation.bytes = element_bytes(l, scratch);
    operation.guarded = guarded;
    graph.add(std::move(operation));
}

}  // namespace

void sherman_morrison(Graph& graph, const Tensor& p, const Tensor& u, const Tensor& status,
                      const RankOneOptions& options) {
    constexpr std::string_view who = "sherman_morrison";
    check_matrix(who, "P", graph, p);
    gpu::RankOneJob job{};
    job.u_item = check_vector(who, "P", graph, p, "u", u);
    check_status(who, "P", graph, p, "u", u, status);
    if (!(options.gamma > 0) || !std::isfinite(options.gamma) || !std::isfinite(1.0f / options.gamma) ||
        !std::isfinite(options.beta))
        refuse(who, "gamma is " + number_text(options.gamma) + ", beta " + number_text(options.beta) +
                        "; gamma must be above 0, and both finite");
    const std::uint64_t n = p.cols(), items = p.batch();
    if (n * n > 0xffffffffu) refuse(who, "P is " + text(p) + "; at most 65,535 rows are possible");
    if (n * items == 0) {
        add_zeros(graph, status, options.guarded);
        return;
    }

    const bool cpu = graph.device().capabilities().cpu;
    const std::uint32_t threads = cpu ? 8 : 128, per_thread = cpu ? 256 : 4;
    const Tensor y = graph.temporary(DType::f32, Shape{items, n});
    const Tensor factor = graph.temporary(DType::u32, Shape{items, 2});
    job.n = narrow(n);
    job.p_row = narrow(p.stride());
    job.p_item = batch_stride(p);
    job.lanes = std::min(threads, std::bit_ceil(narrow(ceil_div(n, 8))));
    job.flags = status ? gpu::UPDATE_STATUS : 0;
    job.gamma = options.gamma;
    job.beta = options.beta;

    const auto add = [&](std::uint32_t operation_code, std::uint64_t groups, Access p_access, Access y_access,
                         Access factor_access, std::string_view reason, double flops) {
        job.groups = narrow(groups);
        Operation operation = make_operation(kRankOne, job,
                                             {{offsetof(gpu::RankOneJob, p), p, p_access},
                                              {offsetof(gpu::RankOneJob, u), u, Access::read},
                                              {offsetof(gpu::RankOneJob, y), y, y_access},
                                              {offsetof(gpu::RankOneJob, factor), factor, factor_access}},
                                             items * groups);
        if (status && operation_code == gpu::RANK_ONE_FACTOR)
            operation.operands.push_back({offsetof(gpu::RankOneJob, status), status, Access::write});
        operation.constants = {{gpu::SPEC_THREADS, threads},
                               {gpu::SPEC_RANK_ONE, operation_code},
                               {gpu::SPEC_DTYPE_A, static_cast<std::uint32_t>(u.dtype)},
                               {gpu::SPEC_PER_THREAD, per_thread}};
        operation.reason = reason;
        operation.flops = flops * static_cast<double>(items);
        operation.bytes = operation_code == gpu::RANK_ONE_FACTOR
                              ? element_bytes(y, u)
                              : element_bytes(p) * (operation_code == gpu::RANK_ONE_UPDATE ? 2 : 1);
        operation.guarded = options.guarded;
        graph.add(std::move(operation));
    };
    const double square = static_cast<double>(n) * static_cast<double>(n);
    add(gpu::RANK_ONE_PRODUCT, ceil_div(n, threads / job.lanes), Access::read, Access::write, Access::write,
        "y = P u", 2 * square);
    add(gpu::RANK_ONE_FACTOR, 1, Access::read, Access::read, Access::write, "one workgroup for each matrix",
        2 * static_cast<double>(n));
    add(gpu::RANK_ONE_UPDATE, ceil_div(n * n, std::uint64_t{threads} * per_thread), Access::read_write,
        Access::read, Access::read, "elements of P", 3 * square);
}

void cholesky_update(Graph& graph, const Tensor& l, const Tensor& v, const Tensor& status, bool guarded) {
    add_cholesky("cholesky_update", graph, Change::update, l, {}, "v", v, status, guarded);
}

void cholesky_downdate(Graph& graph, const Tensor& l, const Tensor& v, const Tensor& status, bool guarded) {
    add_cholesky("cholesky_downdate", graph, Change::downdate, l, {}, "v", v, status, guarded);
}

void cholesky_replace_row(Graph& graph, const Tensor& l, const Tensor& row, const Tensor& column,
                          const Tensor& status, bool guarded) {
    add_cholesky("cholesky_replace_row", graph, Change::replace, l, row, "column", column, status, guarded);
}

}  // namespace heron
