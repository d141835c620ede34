// SPDX-License-Identifier: MIT
// ldlt(), ldlt_solve() and inverses: symmetric indefinite matrices, one workgroup each.
#include "heron/linalg/ldlt.hpp"

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <string>
#include <vector>

#include "heron/spirv/ldlt.hpp"
#include "heron/spirv/ldlt_rows.hpp"
#include "linalg/blocks.hpp"
#include "linalg/checks.hpp"
#include "linalg/integers.hpp"
#include "linalg/ldlt.h"
#include "linalg/ldlt.hpp"

namespace heron {

static_assert(sizeof(gpu::LdltJob) == 88);
static_assert(sizeof(gpu::LdltRowsJob) == 80);

namespace {

constexpr KernelInfo kLdlt = make_kernel<gpu::LdltJob>("ldlt", spirv::ldlt);
constexpr KernelInfo kRows = make_kernel<gpu::LdltRowsJob>("ldlt_rows", spirv::ldlt_rows);

void check_factor(std::string_view who, const Graph& graph, const LdltFactor& factor) {
    check_float_tensor(who, "L", graph, factor.l);
    check_float_tensor(who, "D", graph, factor.d);
    if (factor.l.rows() != factor.l.cols() || factor.l.dtype != DType::f32)
        refuse(who, "L is " + text(factor.l) + "; it must be square and f32");
    const std::uint64_t n = factor.l.rows(), items = factor.l.batch();
    if (n > gpu::LDLT_LARGEST)
        refuse(who, "L is " + text(factor.l) + "; it may have at most " + std::to_string(gpu::LDLT_LARGEST) +
                        " rows");
    if (factor.d.dtype != DType::f32 || factor.d.rows() != n || factor.d.cols() != 2 ||
        factor.d.batch() != items || factor.d.stride() != 2)
        refuse(who, "D is " + text(factor.d) + "; it must be f32, contiguous, with " + std::to_string(n) +
                        " rows and 2 columns for each of " + std::to_string(items) + " matrices");
    check_status_tensor(who, graph, factor.permutation, n * items);
    if (!factor.permutation)
        refuse(who, "the permutation is empty; give it a tensor of " + std::to_string(n) + " u32 a matrix");
    check_no_overlap(who, "D", factor.d, "L", factor.l, graph);
    check_no_overlap(who, "the permutation", factor.permutation, "L", factor.l, graph);
    check_no_overlap(who, "the permutation", factor.permutation, "D", factor.d, graph);
}

// Where the dispatches for one matrix end, so that none of them is long: lavapipe ends all loops of an
// invocation after 65,535 iterations together, and a weak GPU has a watchdog.
std::vector<std::uint64_t> dispatch_ends(std::uint64_t n, std::uint32_t threads) {
    constexpr std::uint64_t kMost = 50000;
    const auto passes = [&](std::uint64_t count) { return ceil_div(count, threads); };
    const std::uint64_t all = n * (passes(n) + 1);  // every element once
    std::vector<std::uint64_t> ends;
    std::uint64_t iterations = all;
    for (std::uint64_t k = 0; k < n; ++k) {
        const std::uint64_t rest = n - k;
        const std::uint64_t step = rest * (passes(rest) + 3) / 2 + rest + 6 * passes(n) + 64;
        if (iterations + step > kMost) {
            ends.push_back(k);
            iterations = 0;
        }
        iterations += step;
    }
    if (iterations + all > kMost) ends.push_back(n);
    ends.push_back(n);
    return ends;
}

void add_rows(Graph& graph, std::uint32_t kind, const LdltFactor& factor, const Tensor& b, const Tensor& x,
              const Tensor& status, bool guarded) {
    const std::uint32_t threads = graph.device().capabilities().cpu ? 8 : 64;
    const bool divides = kind == gpu::LDLT_DIVIDE;
    gpu::LdltRowsJob job{};
    job.n = narrow(x.rows());
    job.columns = narrow(x.cols());
    job.factor_item = factor.l.batch() == 1 ? 0 : 1;
    if (b) {
        job.b_stride = narrow(b.stride());
        job.b_item = item_stride(b);
    }
    job.x_stride = narrow(x.stride());
    job.x_item = item_stride(x);
    job.flags = status ? gpu::LDLT_HAS_STATUS : 0;
    job.groups = narrow(std::max<std::uint64_t>(1, ceil_div(x.cols(), threads)));
    std::vector<Operand> operands{{offsetof(gpu::LdltRowsJob, x), x, Access::write}};
    if (b) operands.push_back({offsetof(gpu::LdltRowsJob, b), b, Access::read});
    if (divides)
        operands.push_back({offsetof(gpu::LdltRowsJob, d), factor.d, Access::read});
    else
        operands.push_back({offsetof(gpu::LdltRowsJob, permutation), factor.permutation, Access::read});
    if (status) operands.push_back({offsetof(gpu::LdltRowsJob, status), status, Access::write});
    Operation operation = make_operation(kRows, job, std::move(operands), x.batch() * job.groups);
    operation.constants = {{gpu::SPEC_THREADS, threads},
                           {gpu::SPEC_LDLT_STEP, kind},
                           {gpu::SPEC_DTYPE_B, dtype_code(b ? b : x)}};
    operation.reason = "the only one";
    operation.bytes = static_cast<double>((b ? b.span_bytes() : 0) + x.span_bytes());
    operation.guarded = guarded;
    graph.add(std::move(operation));
}

// `b` may be empty: the identity.
void add_solve(Graph& graph, const LdltFactor& factor, const Tensor& b, const Tensor& x,
               const LdltSolveOptions& options) {
    const Tensor y = graph.temporary(DType::f32, x.shape), z = graph.temporary(DType::f32, x.shape);
    TriangularOptions solve;
    solve.unit_diagonal = true;
    solve.guarded = options.guarded;
    add_rows(graph, b ? gpu::LDLT_GATHER : gpu::LDLT_PERMUTATION, factor, b, y, {}, options.guarded);
    triangular_solve(graph, factor.l, y, y, solve);
    add_rows(graph, gpu::LDLT_DIVIDE, factor, y, z, options.status, options.guarded);
    solve.transpose = Transpose::yes;
    triangular_solve(graph, factor.l, z, z, solve);
    add_rows(graph, gpu::LDLT_SCATTER, factor, z, x, {}, options.guarded);
}

}  // namespace

void ldlt(Graph& graph, const Tensor& a, const LdltFactor& factor, const LdltOptions& options) {
    const char* who = "ldlt";
    check_enumerator(who, options.triangle, Triangle::upper, "triangle is not one of Triangle");
    check_float_tensor(who, "A", graph, a);
    if (a.rows() != a.cols()) refuse(who, "A is " + text(a) + "; it must be square");
    check_factor(who, graph, factor);
    if (a.shape != factor.l.shape)
        refuse(who, "A is " + text(a) + ", L is " + text(factor.l) + "; shapes must agree");
    if (!same_place(graph, a, factor.l)) check_no_overlap(who, "L", factor.l, "A", a, graph);
    check_no_overlap(who, "D", factor.d, "A", a, graph);
    check_no_overlap(who, "the permutation", factor.permutation, "A", a, graph);
    check_status_tensor(who, graph, options.status, a.batch());
    if (options.status)
        for (const Tensor* other : {&a, &factor.l, &factor.d, &factor.permutation})
            check_no_overlap(who, "status", options.status, "an operand", *other, graph);
    if (a.batch() == 0) return;

    const Capabilities& device = graph.device().capabilities();
    gpu::LdltJob job{};
    job.n = narrow(a.rows());
    job.a_stride = narrow(a.stride());
    job.a_item = item_stride(a);
    job.l_stride = narrow(factor.l.stride());
    job.l_item = item_stride(factor.l);
    job.flags = (options.triangle == Triangle::upper ? gpu::LDLT_UPPER : 0) |
                (options.status ? gpu::LDLT_HAS_STATUS : 0);
    job.tolerance = static_cast<float>(2.0 * std::sqrt(static_cast<double>(a.rows())) * 0x1p-24);
    const std::uint32_t most = std::min(device.max_workgroup_invocations, device.max_workgroup_size_x);
    // One subgroup on CPU drivers, where barriers are dear, as long as there is little to do between them.
    const std::uint32_t threads = device.cpu ? (a.rows() <= 96 ? 8 : 64) : most >= 256 ? 256 : 128;
    const Tensor state = graph.temporary(DType::u32, Shape{a.batch(), gpu::LDLT_STATE_WORDS});
    const std::vector<std::uint64_t> ends = dispatch_ends(a.rows(), threads);
    for (std::size_t i = 0; i < ends.size(); ++i) {
        const bool first = i == 0, last = i + 1 == ends.size();
        gpu::LdltJob part = job;
        part.end = narrow(ends[i]);
        part.flags |= (first ? gpu::LDLT_FIRST : 0) | (last ? gpu::LDLT_LAST : 0);
        const Access access = first ? Access::write : Access::read_write;
        std::vector<Operand> operands{{offsetof(gpu::LdltJob, l), factor.l, access},
                                      {offsetof(gpu::LdltJob, d), factor.d, access},
                                      {offsetof(gpu::LdltJob, permutation), factor.permutation, access},
                                      {offsetof(gpu::LdltJob, state), state, access}};
        if (first) operands.push_back({offsetof(gpu::LdltJob, a), a, Access::read});
        if (last && options.status)
            operands.push_back({offsetof(gpu::LdltJob, status), options.status, Access::write});
        Operation operation = make_operation(kLdlt, part, std::move(operands), a.batch());
        operation.constants = {{gpu::SPEC_THREADS, threads}, {gpu::SPEC_DTYPE_A, dtype_code(a)}};
        operation.reason = "one workgroup for each matrix; the only one";
        const double n = static_cast<double>(a.rows());
        operation.flops = n * n * n / 3 * static_cast<double>(a.batch()) / static_cast<double>(ends.size());
        operation.bytes = 4 * operation.flops;
        operation.guarded = options.guarded;
        graph.add(std::move(operation));
    }
}

void ldlt_solve(Graph& graph, const LdltFactor& factor, const Tensor& b, const Tensor& x,
                const LdltSolveOptions& options) {
    const char* who = "ldlt_solve";
    check_factor(who, graph, factor);
    check_float_tensor(who, "B", graph, b);
    check_float_tensor(who, "X", graph, x);
    if (x.dtype != DType::f32) refuse(who, "X is " + text(x) + "; its elements must be f32");
    if (b.shape != x.shape) refuse(who, "B is " + text(b) + ", X is " + text(x) + "; shapes must agree");
    if (x.rows() != factor.l.rows())
        refuse(who, "L is " + text(factor.l) + ", X is " + text(x) + "; X must have " +
                        std::to_string(factor.l.rows()) + " rows");
    if (factor.l.batch() != 1 && factor.l.batch() != x.batch())
        refuse(who,
               "L is " + text(factor.l) + ", X is " + text(x) + "; give as many factors, or one for all");
    if (!same_place(graph, x, b)) check_no_overlap(who, "X", x, "B", b, graph);
    for (const Tensor* other : {&factor.l, &factor.d, &factor.permutation})
        check_no_overlap(who, "X", x, "the factor", *other, graph);
    check_status_tensor(who, graph, options.status, x.batch());
    if (options.status)
        for (const Tensor* other : {&b, &x, &factor.l, &factor.d, &factor.permutation})
            check_no_overlap(who, "status", options.status, "an operand", *other, graph);
    if (x.batch() == 0) return;

    add_solve(graph, factor, b, x, options);
}

void add_ldlt_inverse(Graph& graph, const LdltFactor& factor, const Tensor& x, bool guarded) {
    add_solve(graph, factor, {}, x, {.guarded = guarded});
}

}  // namespace heron
