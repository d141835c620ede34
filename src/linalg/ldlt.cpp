// SPDX-License-Identifier: MIT
// ldlt(), ldlt_solve() and inverses of symmetric indefinite matrices: small ones in one workgroup each,
// others in panels, with products for what is left of the matrix after each.
#include "heron/linalg/ldlt.hpp"

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <string>
#include <vector>

#include "graph/element_bytes.hpp"
#include "graph/graph.hpp"
#include "heron/linalg/product.hpp"
#include "heron/spirv/ldlt.hpp"
#include "heron/spirv/ldlt_finish.hpp"
#include "heron/spirv/ldlt_panel.hpp"
#include "heron/spirv/ldlt_rows.hpp"
#include "heron/spirv/ldlt_start.hpp"
#include "linalg/blocks.hpp"
#include "linalg/checks.hpp"
#include "linalg/convert.hpp"
#include "linalg/integers.hpp"
#include "linalg/ldlt.h"
#include "linalg/ldlt.hpp"
#include "linalg/pivots.hpp"
#include "linalg/tensors.hpp"

namespace heron {

static_assert(sizeof(gpu::LdltJob) == 72);
static_assert(sizeof(gpu::LdltStartJob) == 64);
static_assert(sizeof(gpu::LdltPanelJob) == 72);
static_assert(sizeof(gpu::LdltFinishJob) == 56);
static_assert(sizeof(gpu::LdltRowsJob) == 80);

namespace {

constexpr KernelInfo kLdlt = make_kernel<gpu::LdltJob>("ldlt", spirv::ldlt);
constexpr KernelInfo kStart = make_kernel<gpu::LdltStartJob>("ldlt_start", spirv::ldlt_start);
constexpr KernelInfo kPanel = make_kernel<gpu::LdltPanelJob>("ldlt_panel", spirv::ldlt_panel);
constexpr KernelInfo kFinish = make_kernel<gpu::LdltFinishJob>("ldlt_finish", spirv::ldlt_finish);
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

// One subgroup on CPU drivers, where barriers are dear, as long as there is little to do between them, and a
// few for panels. More of them for large ones: lavapipe ends all loops of an invocation after 65,535 rounds,
// and a panel takes about 1,200 for each row that an invocation has.
std::uint32_t pivot_threads(const Capabilities& device, std::uint64_t n) {
    const std::uint32_t most = std::min(device.max_workgroup_invocations, device.max_workgroup_size_x);
    if (device.cpu) return n <= gpu::LDLT_LARGEST_SMALL ? 8 : n <= 2048 ? 64 : 128;
    return most >= 256 ? 256 : 128;
}

void add_small(Graph& graph, const Tensor& a, const LdltFactor& factor, const LdltOptions& options) {
    gpu::LdltJob job{};
    job.n = narrow(a.rows());
    job.a_stride = narrow(a.stride());
    job.a_item = item_stride(a);
    job.l_stride = narrow(factor.l.stride());
    job.l_item = item_stride(factor.l);
    job.flags = (options.triangle == Triangle::upper ? gpu::LDLT_UPPER : 0) |
                (options.status ? gpu::LDLT_HAS_STATUS : 0);
    job.tolerance = pivot_tolerance(a.rows());
    std::vector<Operand> operands{{offsetof(gpu::LdltJob, a), a, Access::read},
                                  {offsetof(gpu::LdltJob, l), factor.l, Access::write},
                                  {offsetof(gpu::LdltJob, d), factor.d, Access::write},
                                  {offsetof(gpu::LdltJob, permutation), factor.permutation, Access::write}};
    if (options.status) operands.push_back({offsetof(gpu::LdltJob, status), options.status, Access::write});
    Operation operation = make_operation(kLdlt, job, std::move(operands), a.batch());
    operation.constants = {{gpu::SPEC_THREADS, pivot_threads(graph.device().capabilities(), a.rows())},
                           {gpu::SPEC_DTYPE_A, dtype_code(a)}};
    operation.reason = "one workgroup for each matrix";
    const double n = static_cast<double>(a.rows());
    operation.flops = n * n * n / 3 * static_cast<double>(a.batch());
    operation.bytes = 4 * operation.flops;
    operation.guarded = options.guarded;
    graph.add(std::move(operation));
}

// The blocked form: its temporaries, and the operations on them.
class BlockedLdlt {
public:
    BlockedLdlt(Graph& graph, const Tensor& a, const LdltFactor& factor, const LdltOptions& options)
        : graph_(graph),
          a_(a),
          factor_(factor),
          options_(options),
          n_(a.rows()),
          items_(a.batch()),
          cpu_(graph.device().capabilities().cpu) {
        state_ = graph.temporary(DType::u32, Shape{items_, gpu::LDLT_STATE_WORDS});
        l_panel_ = graph.temporary(DType::f32, Shape{items_, gpu::LDLT_SLOTS, n_});
        ld_panel_ = graph.temporary(DType::f32, Shape{items_, gpu::LDLT_SLOTS, n_});
    }

    void add() {
        add_zeros(graph_, state_, options_.guarded);
        start();
        for (std::uint64_t begin = 0; begin < n_; begin += gpu::LDLT_PANEL) {
            panel(begin);
            if (begin + gpu::LDLT_PANEL < n_) update(begin + gpu::LDLT_PANEL);
        }
        finish();
    }

private:
    void start() {
        constexpr std::uint64_t kTile = 32;
        const std::uint64_t side = ceil_div(n_, kTile);
        gpu::LdltStartJob job{};
        job.n = narrow(n_);
        job.a_stride = narrow(a_.stride());
        job.a_item = item_stride(a_);
        job.l_stride = narrow(factor_.l.stride());
        job.l_item = item_stride(factor_.l);
        job.flags = options_.triangle == Triangle::upper ? gpu::LDLT_UPPER : 0;
        Operation operation =
            make_operation(kStart, job,
                           {{offsetof(gpu::LdltStartJob, a), a_, Access::read},
                            {offsetof(gpu::LdltStartJob, l), factor_.l, Access::write},
                            {offsetof(gpu::LdltStartJob, permutation), factor_.permutation, Access::write},
                            {offsetof(gpu::LdltStartJob, state), state_, Access::read_write}},
                           items_ * side * (side + 1) / 2);
        operation.bytes = element_bytes(a_, factor_.l) / 2;
        add_operation(graph_, std::move(operation),
                      {{gpu::SPEC_THREADS, cpu_ ? 8u : 128u}, {gpu::SPEC_DTYPE_A, dtype_code(a_)}},
                      options_.guarded, "the only one");
    }

    void panel(std::uint64_t begin) {
        gpu::LdltPanelJob job{};
        job.n = narrow(n_);
        job.begin = narrow(begin);
        job.w_stride = narrow(factor_.l.stride());
        job.w_item = item_stride(factor_.l);
        job.tolerance = pivot_tolerance(n_);
        Operation operation = make_operation(
            kPanel, job,
            {{offsetof(gpu::LdltPanelJob, w), factor_.l, Access::read_write},
             {offsetof(gpu::LdltPanelJob, d), factor_.d, begin == 0 ? Access::write : Access::read_write},
             {offsetof(gpu::LdltPanelJob, permutation), factor_.permutation, Access::read_write},
             {offsetof(gpu::LdltPanelJob, state), state_, Access::read_write},
             {offsetof(gpu::LdltPanelJob, l_panel), l_panel_, Access::write},
             {offsetof(gpu::LdltPanelJob, ld_panel), ld_panel_, Access::write}},
            items_);
        // Each column, and the one that it is compared with, minus half of the panel on average.
        const double elements =
            static_cast<double>(n_ - begin) * gpu::LDLT_PANEL * static_cast<double>(items_);
        operation.flops = 2.0 * elements * gpu::LDLT_PANEL;
        operation.bytes = 4.0 * elements * gpu::LDLT_PANEL;
        add_operation(graph_, std::move(operation),
                      {{gpu::SPEC_THREADS, pivot_threads(graph_.device().capabilities(), n_)}},
                      options_.guarded, "60 columns of a large matrix");
    }

    // What is left of A, from column `end` on, minus the panel before it.
    void update(std::uint64_t end) {
        const std::uint64_t rest = n_ - end;
        GemmOptions gemm_options;
        gemm_options.transpose_a = Transpose::yes;
        gemm_options.alpha = -1.0f;
        gemm_options.beta = 1.0f;
        gemm_options.symmetric = true;
        gemm_options.guarded = options_.guarded;
        for (std::uint64_t item = 0; item < items_; ++item) {
            const Tensor w = block(factor_.l.batch_item(item), end, end, rest, rest);
            gemm(graph_, block(l_panel_.batch_item(item), 0, end, gpu::LDLT_SLOTS, rest),
                 block(ld_panel_.batch_item(item), 0, end, gpu::LDLT_SLOTS, rest), w, w, gemm_options);
        }
    }

    void finish() {
        const std::uint32_t rows_per_group = cpu_ ? 32 : 8;
        gpu::LdltFinishJob job{};
        job.n = narrow(n_);
        job.l_stride = narrow(factor_.l.stride());
        job.l_item = item_stride(factor_.l);
        job.flags = options_.status ? gpu::LDLT_HAS_STATUS : 0;
        job.groups = narrow(ceil_div(n_, rows_per_group));
        std::vector<Operand> operands{{offsetof(gpu::LdltFinishJob, l), factor_.l, Access::read_write},
                                      {offsetof(gpu::LdltFinishJob, d), factor_.d, Access::read_write},
                                      {offsetof(gpu::LdltFinishJob, state), state_, Access::read}};
        if (options_.status)
            operands.push_back({offsetof(gpu::LdltFinishJob, status), options_.status, Access::write});
        Operation operation = make_operation(kFinish, job, std::move(operands), items_ * job.groups);
        operation.bytes = element_bytes(factor_.l) / 2;
        add_operation(graph_, std::move(operation),
                      {{gpu::SPEC_THREADS, cpu_ ? 8u : 128u}, {gpu::SPEC_PER_THREAD, rows_per_group}},
                      options_.guarded, "the only one");
    }

    Graph& graph_;
    const Tensor a_;
    const LdltFactor& factor_;
    const LdltOptions& options_;
    const std::uint64_t n_, items_;
    const bool cpu_;
    Tensor state_, l_panel_, ld_panel_;
};

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
    operation.bytes = element_bytes(b, x);
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

    if (a.rows() <= gpu::LDLT_LARGEST_SMALL) {
        add_small(graph, a, factor, options);
    } else {
        const Purpose purpose(graph, "ldlt in panels: above " + std::to_string(gpu::LDLT_LARGEST_SMALL) +
                                         " rows, what one workgroup takes");
        BlockedLdlt(graph, a, factor, options).add();
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
