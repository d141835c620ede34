// SPDX-License-Identifier: MIT
// triangular_solve() and triangular_inverse(): substitution in diagonal blocks, products for the rest.
#include "heron/linalg/triangular.hpp"

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <string>
#include <utility>
#include <vector>

#include "core/number_text.hpp"
#include "graph/graph.hpp"
#include "heron/spirv/triangular_cpu.hpp"
#include "heron/spirv/triangular_solve.hpp"
#include "heron/spirv/triangular_status.hpp"
#include "linalg/blocks.hpp"
#include "linalg/checks.hpp"
#include "linalg/convert.hpp"
#include "linalg/cpu_subgroup.hpp"
#include "linalg/integers.hpp"
#include "linalg/triangular.h"
#include "linalg/triangular.hpp"

namespace heron {

static_assert(sizeof(gpu::TriangularSolveJob) == 104);
static_assert(sizeof(gpu::TriangularStatusJob) == 40);

namespace {

constexpr KernelInfo kSolve =
    make_kernel<gpu::TriangularSolveJob>("triangular_solve", spirv::triangular_solve);
constexpr KernelInfo kStatus =
    make_kernel<gpu::TriangularStatusJob>("triangular_status", spirv::triangular_status);

constexpr KernelInfo kSolveCpu =
    make_kernel<gpu::TriangularSolveJob>("triangular_cpu", spirv::triangular_cpu);

constexpr std::uint64_t kBlock = gpu::TRIANGULAR_BLOCK;

struct Range {
    std::uint64_t first, count;
};

// The diagonal blocks of n rows, first to last.
std::vector<Range> blocks_of(std::uint64_t n) {
    std::vector<Range> blocks;
    for (std::uint64_t first = 0; first < n; first += kBlock)
        blocks.push_back({first, std::min(kBlock, n - first)});
    return blocks;
}

void add_status(Graph& graph, const Tensor& t, const Tensor& status, bool unit, bool guarded) {
    gpu::TriangularStatusJob job{};
    job.n = narrow(t.rows());
    job.t_step = narrow(t.stride() + 1);
    job.t_item = batch_stride(t);
    job.flags = unit ? gpu::TRIANGULAR_UNIT : 0;
    Operation operation =
        make_operation(kStatus, job,
                       {{offsetof(gpu::TriangularStatusJob, t), t, Access::read},
                        {offsetof(gpu::TriangularStatusJob, status), status, Access::write}},
                       status.shape.count());
    operation.constants = {{gpu::SPEC_THREADS, graph.device().capabilities().cpu ? 8u : 64u},
                           {gpu::SPEC_DTYPE_A, dtype_code(t)}};
    operation.reason = "the only one";
    operation.bytes = 4.0 * static_cast<double>(t.rows() * status.shape.count());
    operation.guarded = guarded;
    graph.add(std::move(operation));
}

// A triangular system in the order of its solution: M x = alpha b, M lower triangular after mirroring.
struct System {
    bool transposed;  // M is T^T
    bool upper;       // M is upper triangular: solved from its end
    bool rows_of_x;   // the unknowns are rows of X
    bool rows_of_b;   // their right-hand sides are rows of B
    bool unit;
};

// One diagonal block. `b` may be empty: the identity.
void add_substitution(Graph& graph, const System& system, const Tensor& t, Range rows, const Tensor& b,
                      std::uint64_t b_first, const Tensor& x, std::uint64_t x_first, float alpha,
                      const Tensor& status, bool reads_status, bool guarded) {
    const bool cpu = graph.device().capabilities().cpu;
    const std::uint64_t items = x.batch();
    const std::uint64_t columns = system.rows_of_x ? x.rows() : x.cols();
    gpu::TriangularSolveJob job{};
    job.n = narrow(rows.count);
    job.columns = narrow(columns);
    const std::uint32_t stride = narrow(t.stride());
    job.t_row = system.transposed ? 1 : stride;
    job.t_col = system.transposed ? stride : 1;
    job.t_item = batch_stride(t);
    job.t_first = narrow(rows.first * (t.stride() + 1));
    job.x_row = system.rows_of_x ? 1 : narrow(x.stride());
    job.x_col = system.rows_of_x ? narrow(x.stride()) : 1;
    job.x_item = item_stride(x);
    job.x_first = narrow(x_first) * job.x_row;
    if (b) {
        job.b_row = system.rows_of_b ? 1 : narrow(b.stride());
        job.b_col = system.rows_of_b ? narrow(b.stride()) : 1;
        job.b_item = batch_stride(b);
        job.b_first = narrow(b_first) * job.b_row;
    }
    if (system.upper) {  // from the last row to the first; distances wrap
        const std::uint32_t last = job.n - 1;
        job.t_first += last * (stride + 1);
        job.x_first += last * job.x_row;
        job.b_first += last * job.b_row;
        job.t_row = 0 - job.t_row;
        job.t_col = 0 - job.t_col;
        job.x_row = 0 - job.x_row;
        job.b_row = 0 - job.b_row;
        if (!b) {  // the right-hand side is mirrored as well
            job.x_first += last * job.x_col;
            job.x_col = 0 - job.x_col;
        }
    }
    job.alpha = alpha;
    const std::uint32_t subgroup = cpu_subgroup(graph.device());
    const std::uint32_t threads = subgroup != 0 ? subgroup : cpu ? 8 : 64, per_thread = cpu ? 4 : 1;
    job.groups = narrow(ceil_div(columns, std::uint64_t{threads} * per_thread));
    job.flags = (system.unit ? gpu::TRIANGULAR_UNIT : 0) | (b ? 0 : gpu::TRIANGULAR_IDENTITY);
    std::vector<Operand> operands{{offsetof(gpu::TriangularSolveJob, t), t, Access::read},
                                  {offsetof(gpu::TriangularSolveJob, x), x, Access::write}};
    if (b) operands.push_back({offsetof(gpu::TriangularSolveJob, b), b, Access::read});
    if (status) {
        job.flags |= reads_status ? gpu::TRIANGULAR_READS_STATUS : gpu::TRIANGULAR_HAS_STATUS;
        operands.push_back(
            {offsetof(gpu::TriangularSolveJob, status), status, reads_status ? Access::read : Access::write});
    }
    Operation operation =
        make_operation(subgroup != 0 ? kSolveCpu : kSolve, job, std::move(operands), items * job.groups);
    operation.constants = {{gpu::SPEC_THREADS, threads},
                           {gpu::SPEC_DTYPE_A, dtype_code(t)},
                           {gpu::SPEC_DTYPE_B, dtype_code(b ? b : x)},
                           {gpu::SPEC_PER_THREAD, per_thread}};
    if (subgroup != 0) operation.constants.push_back({gpu::SPEC_SUBGROUP, subgroup});
    operation.reason = "a diagonal block of up to 64 rows: substitution, an invocation a right-hand side" +
                       not_on_cpu(graph.device(), "triangular_cpu");
    const double n = static_cast<double>(rows.count), m = static_cast<double>(columns * items);
    operation.flops = n * n * m;
    operation.bytes = 4.0 * (n * n / 2 * static_cast<double>(items) + 2 * n * m);
    operation.guarded = guarded;
    graph.add(std::move(operation));
}

void check_triangle(std::string_view who, const Graph& graph, const Tensor& t, const Tensor& x) {
    check_float_tensor(who, "T", graph, t);
    check_float_tensor(who, "X", graph, x);
    if (t.rows() != t.cols()) refuse(who, "T is " + text(t) + "; it must be square");
    if (x.dtype != DType::f32) refuse(who, "X is " + text(x) + "; its elements must be f32");
}

void check_status(std::string_view who, const Graph& graph, const Tensor& status, const Tensor& t,
                  const Tensor& x) {
    check_status_tensor(who, graph, status, x.batch());
    if (!status) return;
    check_no_overlap(who, "status", status, "T", t, graph);
    check_no_overlap(who, "status", status, "X", x, graph);
}

}  // namespace

void add_transposed_division(Graph& graph, const Tensor& t, Triangle triangle, const Tensor& b,
                             const Tensor& x, bool guarded) {
    const bool upper = triangle == Triangle::upper;
    System system{};
    system.transposed = upper;
    system.rows_of_x = !upper;
    add_substitution(graph, system, t, {0, t.rows()}, b, 0, x, 0, 1.0f, {}, false, guarded);
}

void triangular_solve(Graph& graph, const Tensor& t, const Tensor& b, const Tensor& x,
                      const TriangularOptions& options) {
    const char* who = "triangular_solve";
    check_enumerator(who, options.triangle, Triangle::upper, "triangle is not one of Triangle");
    check_enumerator(who, options.transpose, Transpose::yes, "transpose is not one of Transpose");
    check_enumerator(who, options.side, Side::right, "side is not one of Side");
    check_triangle(who, graph, t, x);
    check_float_tensor(who, "B", graph, b);
    const std::uint64_t n = t.rows();
    const bool right = options.side == Side::right;
    if (b.shape != x.shape) refuse(who, "B is " + text(b) + ", X is " + text(x) + "; shapes must agree");
    if ((right ? x.cols() : x.rows()) != n)
        refuse(who, "T is " + text(t) + ", X is " + text(x) + "; X must have " + std::to_string(n) +
                        (right ? " columns" : " rows"));
    if (t.batch() != 1 && t.batch() != x.batch())
        refuse(who, "T is " + text(t) + ", X is " + text(x) + "; give as many T, or one for all");
    if (!std::isfinite(options.alpha))
        refuse(who, "alpha is " + number_text(options.alpha) + "; it must be finite");
    check_no_overlap(who, "X", x, "T", t, graph);
    if (!same_place(graph, x, b)) check_no_overlap(who, "X", x, "B", b, graph);
    check_status(who, graph, options.status, t, x);
    if (options.status) check_no_overlap(who, "status", options.status, "B", b, graph);

    const std::uint64_t items = x.batch();
    const std::uint64_t m = right ? x.rows() : x.cols();
    if (items == 0) return;
    const bool transposed = (options.transpose == Transpose::yes) != right;
    const System system{transposed, (options.triangle == Triangle::upper) != transposed, right, right,
                        options.unit_diagonal};
    if (m == 0 || n == 0) {
        if (options.status) add_status(graph, t, options.status, system.unit, options.guarded);
        return;
    }
    if (n <= kBlock) {
        add_substitution(graph, system, t, {0, n}, b, 0, x, 0, options.alpha, options.status, false,
                         options.guarded);
        return;
    }

    const Purpose purpose(graph, "triangular_solve in blocks: above 64 rows");
    const Tensor status = options.status ? options.status : graph.temporary(DType::u32, Shape{items});
    add_status(graph, t, status, system.unit, options.guarded);
    const Tensor t_items = with_even_items(graph, t, options.guarded);
    const Tensor b_items = with_even_items(graph, b, options.guarded);
    std::vector<Range> blocks = blocks_of(n);
    if (system.upper) std::reverse(blocks.begin(), blocks.end());
    std::uint64_t solved = 0;
    for (const Range& rows : blocks) {
        if (solved == 0) {
            add_substitution(graph, system, t, rows, b, rows.first, x, rows.first, options.alpha, status,
                             true, options.guarded);
        } else {
            const std::uint64_t before = system.upper ? n - solved : 0;
            const Tensor rest = graph.temporary(
                DType::f32, right ? Shape{items, m, rows.count} : Shape{items, rows.count, m});
            GemmOptions product;
            product.alpha = -1.0f;
            product.beta = options.alpha;
            product.split = SplitK::when_needed;  // two levels a block
            product.guarded = options.guarded;
            (right ? product.transpose_b : product.transpose_a) = options.transpose;
            for (std::uint64_t item = 0; item < items; ++item) {
                const Tensor triangle = t_items.batch_item(t.batch() == 1 ? 0 : item);
                const Tensor xi = x.batch_item(item), bi = b_items.batch_item(item);
                // The part of T that joins `rows` with what is solved: of M's rows and columns, where
                // transposition exchanges the two.
                const Tensor factor = transposed ? block(triangle, before, rows.first, solved, rows.count)
                                                 : block(triangle, rows.first, before, rows.count, solved);
                if (right)
                    gemm(graph, block(xi, 0, before, m, solved), factor,
                         block(bi, 0, rows.first, m, rows.count), rest.batch_item(item), product);
                else
                    gemm(graph, factor, block(xi, before, 0, solved, m),
                         block(bi, rows.first, 0, rows.count, m), rest.batch_item(item), product);
            }
            add_substitution(graph, system, t, rows, rest, 0, x, rows.first, 1.0f, status, true,
                             options.guarded);
        }
        solved += rows.count;
    }
}

void triangular_inverse(Graph& graph, const Tensor& t, const Tensor& x,
                        const TriangularInverseOptions& options) {
    const char* who = "triangular_inverse";
    check_enumerator(who, options.triangle, Triangle::upper, "triangle is not one of Triangle");
    check_triangle(who, graph, t, x);
    if (t.shape != x.shape) refuse(who, "T is " + text(t) + ", X is " + text(x) + "; shapes must agree");
    const bool in_place = same_place(graph, x, t);
    if (!in_place) check_no_overlap(who, "X", x, "T", t, graph);
    check_status(who, graph, options.status, t, x);

    const std::uint64_t n = t.rows(), items = x.batch();
    if (items == 0) return;
    const bool upper = options.triangle == Triangle::upper;
    const System system{false, upper, false, false, options.unit_diagonal};
    if (n <= kBlock && n > 0) {
        // Not in place: several workgroups read all of T.
        const Tensor to = in_place ? graph.temporary(DType::f32, x.shape) : x;
        add_substitution(graph, system, t, {0, n}, {}, 0, to, 0, 1.0f, options.status, false,
                         options.guarded);
        if (in_place) add_convert(graph, to, x, 1.0f, options.guarded);
        return;
    }
    const Purpose purpose(graph,
                          n > 0 ? "triangular_inverse in blocks: above 64 rows" : "no rows: the status");
    const Tensor status = options.status ? options.status : graph.temporary(DType::u32, Shape{items});
    add_status(graph, t, status, system.unit, options.guarded);

    const std::vector<Range> blocks = blocks_of(n);
    const auto part = [&](std::uint64_t item, const Range& rows, const Range& cols) {
        return block(x.batch_item(item), rows.first, cols.first, rows.count, cols.count);
    };
    // Not in place: several workgroups read all of a block of T.
    const Tensor own = in_place ? graph.temporary(DType::f32, Shape{items, n, kBlock}) : Tensor{};
    const Tensor t_items = with_even_items(graph, t, options.guarded);
    for (const Range& rows : blocks)
        for (std::uint64_t item = 0; item < items; ++item) {
            const Tensor diagonal =
                block(t_items.batch_item(item), rows.first, rows.first, rows.count, rows.count);
            const Tensor inverse = in_place
                                       ? block(own.batch_item(item), rows.first, 0, rows.count, rows.count)
                                       : part(item, rows, rows);
            add_substitution(graph, system, diagonal, {0, rows.count}, {}, 0, inverse, 0, 1.0f,
                             item_word(status, item), true, options.guarded);
            if (in_place) add_convert(graph, inverse, part(item, rows, rows), 1.0f, options.guarded);
        }
    const TriangularProductOptions left{
        .triangle = options.triangle, .alpha = -1.0f, .guarded = options.guarded};
    const TriangularProductOptions right{
        .side = Side::right, .triangle = options.triangle, .guarded = options.guarded};
    // Larger and larger diagonal blocks, in place.
    std::vector<Range> inverses = blocks;
    while (inverses.size() > 1) {
        std::vector<Range> larger;
        for (std::size_t i = 0; i < inverses.size(); i += 2) {
            if (i + 1 == inverses.size()) {
                larger.push_back(inverses[i]);
                continue;
            }
            const Range& first = inverses[i];
            const Range& second = inverses[i + 1];
            larger.push_back({first.first, first.count + second.count});
            // The block beside the diagonal: B below it, or above it.
            const Range& rows = upper ? first : second;
            const Range& cols = upper ? second : first;
            const Tensor product = graph.temporary(DType::f32, Shape{items, rows.count, cols.count});
            for (std::uint64_t item = 0; item < items; ++item) {
                const Tensor b =
                    block(t_items.batch_item(item), rows.first, cols.first, rows.count, cols.count);
                const Tensor z = product.batch_item(item);
                triangular_product(graph, part(item, cols, cols), b, z, right);
                triangular_product(graph, part(item, rows, rows), z, part(item, rows, cols), left);
                add_convert(graph, {}, part(item, cols, rows), 0.0f, options.guarded);
            }
        }
        inverses = std::move(larger);
    }
}

}  // namespace heron
