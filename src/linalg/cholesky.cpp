// SPDX-License-Identifier: MIT
// cholesky() and log_determinant(): small matrices in one workgroup each, large ones panel by panel.
#include "heron/linalg/cholesky.hpp"

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <string>

#include "core/number_text.hpp"
#include "graph/element_bytes.hpp"
#include "graph/graph.hpp"
#include "heron/spirv/cholesky_cpu.hpp"
#include "heron/spirv/cholesky_finish.hpp"
#include "heron/spirv/cholesky_panel.hpp"
#include "heron/spirv/cholesky_start.hpp"
#include "heron/spirv/cholesky_workgroup.hpp"
#include "heron/spirv/log_determinant.hpp"
#include "linalg/blocks.hpp"
#include "linalg/checks.hpp"
#include "linalg/cholesky.h"
#include "linalg/cholesky.hpp"
#include "linalg/convert.hpp"
#include "linalg/cpu_subgroup.hpp"
#include "linalg/gemm.hpp"
#include "linalg/integers.hpp"
#include "linalg/pivots.hpp"
#include "linalg/tensors.hpp"
#include "linalg/triangular.h"
#include "linalg/triangular.hpp"

namespace heron {

static_assert(sizeof(gpu::CholeskyJob) == 128);
static_assert(sizeof(gpu::CholeskyStartJob) == 64);
static_assert(sizeof(gpu::CholeskyPanelJob) == 96);
static_assert(sizeof(gpu::CholeskyFinishJob) == 96);
static_assert(sizeof(gpu::LogDeterminantJob) == 32);

namespace {

constexpr KernelInfo kWorkgroup =
    make_kernel<gpu::CholeskyJob>("cholesky_workgroup", spirv::cholesky_workgroup);
constexpr KernelInfo kCpu = make_kernel<gpu::CholeskyJob>("cholesky_cpu", spirv::cholesky_cpu);
constexpr KernelInfo kStart = make_kernel<gpu::CholeskyStartJob>("cholesky_start", spirv::cholesky_start);
constexpr KernelInfo kPanel = make_kernel<gpu::CholeskyPanelJob>("cholesky_panel", spirv::cholesky_panel);
constexpr KernelInfo kFinish = make_kernel<gpu::CholeskyFinishJob>("cholesky_finish", spirv::cholesky_finish);
constexpr KernelInfo kLogDeterminant =
    make_kernel<gpu::LogDeterminantJob>("log_determinant", spirv::log_determinant);

constexpr std::uint32_t kPanelWidth = gpu::CHOLESKY_PANEL;
constexpr std::uint32_t kCpuBlock = gpu::TRIANGULAR_BLOCK;
constexpr std::uint32_t kMaxRetries = 8;
constexpr std::uint64_t kMaxRows = 65535;  // 32-bit indices
// lavapipe ends the loops of an invocation after 65,535 rounds. cholesky_finish.comp takes 5 n of them (with
// 8 invocations), the last panel of a retry 5 n + n (with 64: for 8 columns, 12 to load them and 27 to
// multiply).
constexpr std::uint64_t kMaxRowsOnCpu = 8192;
constexpr std::uint32_t kCpuRetryThreads = 64;

std::uint32_t largest_small(const Device& device) {
    return cpu_subgroup(device) != 0 ? gpu::CHOLESKY_LARGEST_CPU : gpu::CHOLESKY_LARGEST_SMALL;
}

std::uint32_t flags_of(const CholeskyOptions& options) {
    return (options.triangle == Triangle::upper ? gpu::CHOLESKY_UPPER : 0) |
           (options.status ? gpu::CHOLESKY_HAS_STATUS : 0) |
           (options.jitter_used ? gpu::CHOLESKY_HAS_JITTER : 0);
}

void check(const Graph& graph, const Tensor& a, const Tensor& factor, const CholeskyOptions& options) {
    const char* who = "cholesky";
    check_enumerator(who, options.triangle, Triangle::upper, "triangle is not one of Triangle");
    check_float_tensor(who, "A", graph, a);
    check_float_tensor(who, "the factor", graph, factor);
    if (a.rows() != a.cols()) refuse(who, "A is " + text(a) + "; it must be square");
    const bool cpu = graph.device().capabilities().cpu;
    const std::uint64_t largest = max_cholesky_rows(graph.device());
    if (a.rows() > largest)
        refuse(who, "A is " + text(a) + "; at most " + std::to_string(largest) + " rows are possible on " +
                        (cpu ? "a CPU driver" : "a GPU"));
    if (a.shape != factor.shape)
        refuse(who, "A is " + text(a) + ", the factor is " + text(factor) + "; shapes must agree");
    if (factor.dtype != DType::f32)
        refuse(who, "the factor is " + text(factor) + "; its elements must be f32");
    if (!same_place(graph, a, factor)) check_no_overlap(who, "the factor", factor, "A", a, graph);
    check_status_tensor(who, graph, options.status, a.batch());
    const Tensor& used = options.jitter_used;
    if (used) {
        check_float_tensor(who, "jitter_used", graph, used);
        if (used.dtype != DType::f32 || used.shape.count() != a.batch() || !is_contiguous(used))
            refuse(who, "jitter_used is " + text(used) + "; it must be a contiguous tensor of " +
                            std::to_string(a.batch()) + " f32, one for each matrix");
    }
    const Jitter& jitter = options.jitter;
    if (jitter.retries > kMaxRetries)
        refuse(who, "jitter.retries is " + std::to_string(jitter.retries) + "; it may be at most " +
                        std::to_string(kMaxRetries));
    const bool fits = jitter.absolute >= 0 && jitter.relative >= 0 && std::isfinite(jitter.absolute) &&
                      std::isfinite(jitter.relative);
    if (!fits || (jitter.retries > 0 && jitter.absolute == 0 && jitter.relative == 0))
        refuse(who, "jitter is " + number_text(jitter.absolute) + " absolute, " +
                        number_text(jitter.relative) +
                        " relative; both must be finite and not negative, and with retries one of them "
                        "positive");
    for (const Tensor* extra : {&options.status, &options.jitter_used})
        if (*extra) {
            const char* name = extra == &options.status ? "status" : "jitter_used";
            check_no_overlap(who, name, *extra, "A", a, graph);
            check_no_overlap(who, name, *extra, "the factor", factor, graph);
        }
    if (options.status && used) check_no_overlap(who, "jitter_used", used, "status", options.status, graph);
}

// The matrices that are factored: all, or those of `active`. (Results of the others are read later.)
Access written(const Tensor& active) { return active ? Access::read_write : Access::write; }
template <class Job>
void add_active(Job& job, std::vector<Operand>& operands, const Tensor& active) {
    if (!active) return;
    job.flags |= gpu::CHOLESKY_HAS_ACTIVE;
    operands.push_back({offsetof(Job, active_items), active, Access::read});
}

// On CPU drivers one subgroup does a matrix, or a block, else one workgroup.
Operation one_workgroup_operation(const Device& device, gpu::CholeskyJob& job, std::vector<Operand> operands,
                                  DType dtype, std::uint64_t items, const CholeskyOptions& options) {
    job.retries = options.jitter.retries;
    job.absolute = options.jitter.absolute;
    job.relative = options.jitter.relative;
    const std::uint32_t subgroup = cpu_subgroup(device);
    Operation operation = make_operation(subgroup != 0 ? kCpu : kWorkgroup, job, std::move(operands), items);
    operation.constants = {{gpu::SPEC_THREADS, subgroup != 0 ? subgroup : 128},
                           {gpu::SPEC_DTYPE_A, static_cast<std::uint32_t>(dtype)}};
    if (subgroup != 0) operation.constants.push_back({gpu::SPEC_SUBGROUP, subgroup});
    const double n = job.n;
    operation.flops = n * n * n / 3 * static_cast<double>(items);
    operation.bytes = 8 * n * n * static_cast<double>(items);
    operation.guarded = options.guarded;
    return operation;
}

void add_small(Graph& graph, const Tensor& a, const Tensor& factor, const CholeskyOptions& options,
               const Tensor& active) {
    gpu::CholeskyJob job{};
    job.n = narrow(a.rows());
    job.a_stride = narrow(a.stride());
    job.a_item = item_stride(a);
    job.l_stride = narrow(factor.stride());
    job.l_item = item_stride(factor);
    job.flags = flags_of(options);
    job.tolerance = pivot_tolerance(a.rows());
    std::vector<Operand> operands{{offsetof(gpu::CholeskyJob, a), a, Access::read},
                                  {offsetof(gpu::CholeskyJob, l), factor, written(active)}};
    if (options.status)
        operands.push_back({offsetof(gpu::CholeskyJob, status), options.status, written(active)});
    if (options.jitter_used)
        operands.push_back({offsetof(gpu::CholeskyJob, jitter), options.jitter_used, written(active)});
    add_active(job, operands, active);
    Operation operation =
        one_workgroup_operation(graph.device(), job, std::move(operands), a.dtype, a.batch(), options);
    operation.reason =
        "it fits one workgroup: one for each matrix" + not_on_cpu(graph.device(), "cholesky_cpu");
    graph.add(std::move(operation));
}

// The blocked form: its temporaries, and the operations on them.
class BlockedCholesky {
public:
    BlockedCholesky(Graph& graph, const Tensor& a, const Tensor& factor, const CholeskyOptions& options,
                    const Tensor& active)
        : graph_(graph),
          a_(a),
          factor_(factor),
          active_(active),
          options_(options),
          n_(a.rows()),
          items_(a.batch()),
          panels_(ceil_div(n_, kPanelWidth)),
          attempts_(options.jitter.retries + 1),
          // Not with `active`, which the products of its panels leave out and their divisions would not.
          cpu_(cpu_subgroup(graph.device()) != 0 && !active),
          upper_(options.triangle == Triangle::upper) {
        w_ = graph.temporary(DType::f32, Shape{items_, n_, n_});
        diagonal_ = graph.temporary(DType::f32, Shape{items_, n_});
        states_ = graph.temporary(DType::u32, Shape{items_, attempts_, panels_});
        nonfinite_ = graph.temporary(DType::f32, Shape{items_});  // words, and zero is the same
    }

    void add() {
        const bool updates = n_ > (cpu_ ? kCpuBlock : outer());
        add_convert(graph_, {}, nonfinite_, 0.0f, options_.guarded);
        start(w_, cpu_ && (updates || attempts_ == 1));
        Tensor again = w_;  // what the retries begin with
        if (attempts_ > 1 && updates) {
            again = graph_.temporary(DType::f32, Shape{items_, n_, n_});
            start(again, false);
        }
        for (std::uint64_t begin = 0; begin < n_; begin += outer()) {
            const std::uint64_t end = std::min(begin + outer(), n_);
            for (std::uint64_t first = begin; first < end; first += cpu_ ? kCpuBlock : kPanelWidth)
                if (cpu_)
                    panel_by_products(begin, first);
                else
                    panel(w_, begin, first, 0);
            if (end < n_) update(begin, end);
        }
        for (std::uint32_t attempt = 1; attempt < attempts_; ++attempt)
            for (std::uint64_t first = 0; first < n_; first += kPanelWidth) panel(again, 0, first, attempt);
        finish();
    }

private:
    // Columns between two updates of everything that is left.
    static constexpr std::uint64_t outer() { return 8 * kPanelWidth; }

    void start(const Tensor& w, bool one_triangle) {
        const std::uint64_t side = ceil_div(n_, kPanelWidth);
        gpu::CholeskyStartJob job{};
        job.n = narrow(n_);
        job.a_stride = narrow(a_.stride());
        job.a_item = item_stride(a_);
        job.flags = flags_of(options_) | (one_triangle ? gpu::CHOLESKY_ONE_TRIANGLE : 0);
        std::vector<Operand> operands{
            {offsetof(gpu::CholeskyStartJob, a), a_, Access::read},
            {offsetof(gpu::CholeskyStartJob, w), w, Access::write},
            {offsetof(gpu::CholeskyStartJob, diagonal), diagonal_, Access::write},
            {offsetof(gpu::CholeskyStartJob, nonfinite), nonfinite_, Access::read_write}};
        add_active(job, operands, active_);
        Operation operation =
            make_operation(kStart, job, std::move(operands), items_ * side * (side + 1) / 2);
        operation.bytes = element_bytes(a_, w);
        const std::uint32_t lanes = cpu_ ? load_lanes(graph_.device()) : 0;
        std::vector<SpecConstant> constants{{gpu::SPEC_THREADS, cpu_ ? std::max(8u, lanes) : 128u},
                                            {gpu::SPEC_DTYPE_A, static_cast<std::uint32_t>(a_.dtype)}};
        if (lanes != 0) constants.push_back({gpu::SPEC_SUBGROUP, lanes});
        add_operation(graph_, std::move(operation), std::move(constants), options_.guarded, "the only one");
    }

    void panel(const Tensor& w, std::uint64_t begin, std::uint64_t first, std::uint32_t attempt) {
        const std::uint64_t below = n_ - std::min(first + kPanelWidth, n_);
        gpu::CholeskyPanelJob job{};
        job.n = narrow(n_);
        job.l_row = upper_ ? 1 : narrow(factor_.stride());
        job.l_col = upper_ ? narrow(factor_.stride()) : 1;
        job.l_item = item_stride(factor_);
        job.begin = narrow(begin);
        job.first = narrow(first);
        job.attempt = attempt;
        job.attempts = attempts_;
        const float power = attempt == 0 ? 0.0f : std::pow(10.0f, static_cast<float>(attempt - 1));
        job.absolute = options_.jitter.absolute * power;
        job.relative = options_.jitter.relative * power;
        job.tolerance = pivot_tolerance(n_);
        job.groups = narrow(std::max<std::uint64_t>(1, ceil_div(below, gpu::CHOLESKY_PANEL_ROWS)));
        std::vector<Operand> operands{{offsetof(gpu::CholeskyPanelJob, w), w, Access::read},
                                      {offsetof(gpu::CholeskyPanelJob, l), factor_,
                                       begin == first ? written(active_) : Access::read_write},
                                      {offsetof(gpu::CholeskyPanelJob, diagonal), diagonal_, Access::read},
                                      {offsetof(gpu::CholeskyPanelJob, states), states_,
                                       first == 0 && attempt == 0 ? Access::write : Access::read_write}};
        add_active(job, operands, active_);
        Operation operation = make_operation(kPanel, job, std::move(operands), items_ * job.groups);
        const double inner = static_cast<double>(first - begin) + kPanelWidth / 2.0;
        const double rows =
            static_cast<double>(below + kPanelWidth * job.groups) * static_cast<double>(items_);
        operation.flops = 2.0 * rows * inner * kPanelWidth;
        operation.bytes = 4.0 * rows * (2.0 * kPanelWidth + static_cast<double>(first - begin));
        // One subgroup on CPU drivers, where a barrier between several costs more than their work; but the
        // panels of a retry subtract all columns before them, which are too many loop rounds for one.
        const std::uint32_t on_cpu = attempt == 0 ? 8 : kCpuRetryThreads;
        add_operation(graph_, std::move(operation),
                      {{gpu::SPEC_THREADS, graph_.device().capabilities().cpu ? on_cpu : 128u}},
                      options_.guarded,
                      attempt == 0 ? "32 columns of a large matrix"
                                   : "retry with jitter; returns at once where it is not needed");
    }

    // CPU drivers: the same with products, twice as wide, one matrix after the other. Of W only what is on
    // and above the diagonal counts.
    void panel_by_products(std::uint64_t begin, std::uint64_t first) {
        const std::uint64_t width = std::min<std::uint64_t>(kCpuBlock, n_ - first);
        const std::uint64_t below = n_ - first - width, done = first - begin;
        GemmOptions minus;
        minus.alpha = -1.0f;
        minus.beta = 1.0f;
        minus.guarded = options_.guarded;
        minus.packing = false;
        (upper_ ? minus.transpose_a : minus.transpose_b) = Transpose::yes;
        for (std::uint64_t item = 0; item < items_ && done > 0; ++item) {
            const Tensor l = factor_.batch_item(item);
            const Tensor w = block(w_.batch_item(item), first, first, width, n_ - first);
            if (upper_)
                gemm(graph_, block(l, begin, first, done, width), block(l, begin, first, done, n_ - first), w,
                     w, minus);
            else
                gemm(graph_, block(l, first, begin, width, done), block(l, first, begin, n_ - first, done), w,
                     w, minus);
        }
        diagonal_block(first, width);
        for (std::uint64_t item = 0; item < items_ && below > 0; ++item) {
            const Tensor l = factor_.batch_item(item);
            add_transposed_division(graph_, block(l, first, first, width, width), options_.triangle,
                                    block(w_.batch_item(item), first, first + width, width, below),
                                    upper_ ? block(l, first, first + width, width, below)
                                           : block(l, first + width, first, below, width),
                                    options_.guarded);
        }
    }

    void diagonal_block(std::uint64_t first, std::uint64_t width) {
        gpu::CholeskyJob job{};
        job.n = narrow(width);
        job.a_stride = narrow(n_);
        job.a_item = narrow(n_ * n_);
        job.a_first = narrow(first * (n_ + 1));
        job.l_stride = narrow(factor_.stride());
        job.l_item = item_stride(factor_);
        job.l_first = narrow(first * (factor_.stride() + 1));
        job.diagonal_first = narrow(first);
        job.diagonal_item = narrow(n_);
        job.state = narrow(first / kPanelWidth);
        job.state_count = narrow(ceil_div(width, kPanelWidth));
        job.state_item = narrow(attempts_ * panels_);
        job.tolerance = pivot_tolerance(n_);
        job.flags = gpu::CHOLESKY_IS_BLOCK | (upper_ ? gpu::CHOLESKY_UPPER : 0);
        CholeskyOptions options;  // retries are of whole matrices
        options.guarded = options_.guarded;
        const Access access = first == 0 ? Access::write : Access::read_write;
        Operation operation =
            one_workgroup_operation(graph_.device(), job,
                                    {{offsetof(gpu::CholeskyJob, a), w_, Access::read},
                                     {offsetof(gpu::CholeskyJob, l), factor_, access},
                                     {offsetof(gpu::CholeskyJob, diagonal), diagonal_, Access::read},
                                     {offsetof(gpu::CholeskyJob, states), states_, access}},
                                    DType::f32, items_, options);
        operation.reason = "64 columns of a large matrix";
        graph_.add(std::move(operation));
    }

    // W -= L L^T below and right of column `end`, with the columns of L from `begin` on.
    void update(std::uint64_t begin, std::uint64_t end) {
        GemmOptions gemm_options;
        gemm_options.alpha = -1.0f;
        gemm_options.beta = 1.0f;
        gemm_options.guarded = options_.guarded;
        gemm_options.transpose_a = upper_ ? Transpose::yes : Transpose::no;
        const std::uint64_t rest = n_ - end, width = end - begin;
        for (std::uint64_t item = 0; item < items_; ++item) {
            const Tensor l = factor_.batch_item(item);
            const Tensor columns =
                upper_ ? block(l, begin, end, width, rest) : block(l, end, begin, rest, width);
            const Tensor w = block(w_.batch_item(item), end, end, rest, rest);
            if (active_) gemm_options.active = item_word(active_, item);
            if (cpu_)
                syrk_upper(graph_, columns, w, w, gemm_options);
            else
                syrk(graph_, columns, w, w, gemm_options);
        }
    }

    void finish() {
        const std::uint32_t rows_per_group = cpu_ ? 32 : 8;
        gpu::CholeskyFinishJob job{};
        job.n = narrow(n_);
        job.l_stride = narrow(factor_.stride());
        job.l_item = item_stride(factor_);
        job.flags = flags_of(options_);
        job.attempts = attempts_;
        job.panels = narrow(panels_);
        job.absolute = options_.jitter.absolute;
        job.relative = options_.jitter.relative;
        job.groups = narrow(ceil_div(n_, rows_per_group));
        std::vector<Operand> operands{
            {offsetof(gpu::CholeskyFinishJob, l), factor_, written(active_)},
            {offsetof(gpu::CholeskyFinishJob, diagonal), diagonal_, Access::read},
            {offsetof(gpu::CholeskyFinishJob, states), states_, Access::read},
            {offsetof(gpu::CholeskyFinishJob, nonfinite), nonfinite_, Access::read}};
        if (options_.status)
            operands.push_back({offsetof(gpu::CholeskyFinishJob, status), options_.status, written(active_)});
        if (options_.jitter_used)
            operands.push_back(
                {offsetof(gpu::CholeskyFinishJob, jitter), options_.jitter_used, written(active_)});
        add_active(job, operands, active_);
        Operation operation = make_operation(kFinish, job, std::move(operands), items_ * job.groups);
        operation.bytes = element_bytes(factor_) / 2;
        add_operation(graph_, std::move(operation),
                      {{gpu::SPEC_THREADS, cpu_ ? 8u : 128u}, {gpu::SPEC_PER_THREAD, rows_per_group}},
                      options_.guarded, "the only one");
    }

    Graph& graph_;
    const Tensor a_, factor_, active_;
    const CholeskyOptions& options_;
    const std::uint64_t n_, items_, panels_;
    const std::uint32_t attempts_;
    const bool cpu_, upper_;
    Tensor w_, diagonal_, states_, nonfinite_;
};

void add_factorisation(Graph& graph, const Tensor& a, const Tensor& factor, const CholeskyOptions& options,
                       const Tensor& active) {
    if (cholesky_fits_one_workgroup(graph.device(), a.rows(), options)) {
        add_small(graph, a, factor, options, active);
        return;
    }
    const Purpose purpose(
        graph, "cholesky in panels: " + (options.one_workgroup
                                             ? "above " + std::to_string(largest_small(graph.device())) +
                                                   " rows, what one workgroup takes"
                                             : std::string("one workgroup is switched off")));
    BlockedCholesky(graph, a, factor, options, active).add();
}

}  // namespace

std::uint64_t max_cholesky_rows(const Device& device) {
    return device.capabilities().cpu ? kMaxRowsOnCpu : kMaxRows;
}

bool cholesky_fits_one_workgroup(const Device& device, std::uint64_t n, const CholeskyOptions& options) {
    return options.one_workgroup && n <= largest_small(device);
}

void cholesky(Graph& graph, const Tensor& a, const Tensor& factor, const CholeskyOptions& options) {
    check(graph, a, factor, options);
    if (a.shape.count() == 0) {
        add_zeros(graph, options.status, options.guarded);
        add_zeros(graph, options.jitter_used, options.guarded);
        return;
    }
    add_factorisation(graph, a, factor, options, {});
}

void add_active_cholesky(Graph& graph, const Tensor& active, const Tensor& a, const Tensor& factor,
                         const CholeskyOptions& options) {
    add_factorisation(graph, a, factor, options, active);
}

void log_determinant(Graph& graph, const Tensor& factor, const Tensor& result, bool guarded) {
    const char* who = "log_determinant";
    check_float_tensor(who, "the factor", graph, factor);
    if (factor.rows() != factor.cols() || factor.dtype != DType::f32)
        refuse(who, "the factor is " + text(factor) + "; it must be square and f32");
    check_float_tensor(who, "`result`", graph, result);
    if (result.dtype != DType::f32 || result.shape.count() != factor.batch() || !is_contiguous(result))
        refuse(who, "`result` is " + text(result) + "; it must be a contiguous tensor of " +
                        std::to_string(factor.batch()) + " f32, one for each matrix");
    check_no_overlap(who, "`result`", result, "the factor", factor, graph);
    gpu::LogDeterminantJob job{};
    job.n = narrow(factor.rows());
    job.step = narrow(factor.stride() + 1);
    job.item = item_stride(factor);
    Operation operation = make_operation(kLogDeterminant, job,
                                         {{offsetof(gpu::LogDeterminantJob, l), factor, Access::read},
                                          {offsetof(gpu::LogDeterminantJob, result), result, Access::write}},
                                         factor.batch());
    operation.constants = {{gpu::SPEC_THREADS, graph.device().capabilities().cpu ? 8u : 128u}};
    operation.reason = "the only one";
    const double count = static_cast<double>(factor.batch() * factor.rows());
    operation.flops = 16 * count;
    operation.bytes = 4 * count;
    operation.guarded = guarded;
    graph.add(std::move(operation));
}

}  // namespace heron
