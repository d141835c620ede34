// SPDX-License-Identifier: MIT
// Reduction to tridiagonal form: choices, jobs, and the order of the steps.
#include "linalg/tridiagonal.hpp"

#include <algorithm>
#include <cstddef>
#include <utility>

#include "graph/element_bytes.hpp"
#include "heron/linalg/product.hpp"
#include "heron/spirv/column_sums.hpp"
#include "heron/spirv/reflectors.hpp"
#include "heron/spirv/tridiagonal_column.hpp"
#include "heron/spirv/tridiagonal_correct.hpp"
#include "heron/spirv/tridiagonal_split.hpp"
#include "linalg/blocks.hpp"
#include "linalg/integers.hpp"
#include "linalg/real.hpp"
#include "linalg/tridiagonal.h"

namespace heron {

static_assert(sizeof(gpu::ColumnSumsJob) == 80);
static_assert(sizeof(gpu::TridiagonalCorrectJob) == 96);
static_assert(sizeof(gpu::TridiagonalColumnJob) == 104);
static_assert(sizeof(gpu::ReflectorsJob) == 48);
static_assert(sizeof(gpu::TridiagonalSplitJob) == 40);

namespace {

constexpr KernelInfo kSums = make_kernel<gpu::ColumnSumsJob>("column_sums", spirv::column_sums);
constexpr KernelInfo kCorrect =
    make_kernel<gpu::TridiagonalCorrectJob>("tridiagonal_correct", spirv::tridiagonal_correct);
constexpr KernelInfo kColumn =
    make_kernel<gpu::TridiagonalColumnJob>("tridiagonal_column", spirv::tridiagonal_column);
constexpr KernelInfo kReflectors = make_kernel<gpu::ReflectorsJob>("reflectors", spirv::reflectors);
constexpr KernelInfo kSplit =
    make_kernel<gpu::TridiagonalSplitJob>("tridiagonal_split", spirv::tridiagonal_split);

constexpr std::uint64_t kPanel = gpu::TRIDIAGONAL_PANEL;
constexpr std::uint64_t kChunk = 1024;  // elements of a workgroup of tridiagonal_split

}  // namespace

Tridiagonal::Tridiagonal(Graph& graph, const Tensor& a, std::uint64_t order, bool guarded)
    : graph_(graph),
      a_(a),
      items_(a.batch()),
      size_(a.cols()),
      order_(order),
      guarded_(guarded),
      cpu_(graph.device().capabilities().cpu) {
    const auto make = [&](std::uint64_t rows, std::uint64_t cols) {
        return graph_.temporary(DType::f32, Shape{items_, rows, cols});
    };
    v_all_ = make(size_, size_);
    z_ = make(size_, 2 * kPanel);
    z_swapped_ = make(size_, 2 * kPanel);
    sums_ = make(pieces(order_), size_);
    inner_ = make(pieces(order_), 2 * kPanel);
    for (Tensor* vector : {&next_, &product_, &v_, &tau_, &diagonal_, &off_diagonal_})
        *vector = graph_.temporary(DType::f32, Shape{items_, size_});

    for (std::uint64_t j = 0; j < order_; ++j) {
        const std::uint64_t done = j % kPanel;
        column(j, gpu::TRIDIAGONAL_NEXT | (done > 0 ? gpu::TRIDIAGONAL_PREVIOUS : 0));
        if (j + 1 == order_) break;
        sums(a_, j + 1, order_ - j - 1, j, sums_);
        if (done > 0) sums(z_, 0, 2 * kPanel, j, inner_);
        const bool ends = done + 1 == kPanel;
        correct(j, ends ? 0 : gpu::TRIDIAGONAL_NEXT);
        if (!ends) continue;
        column(j + 1, gpu::TRIDIAGONAL_PREVIOUS);
        update(j + 1);
    }
}

// Rows that are summed by one workgroup; more pieces keep a GPU busy.
std::uint64_t Tridiagonal::pieces(std::uint64_t rows) const { return ceil_div(rows, cpu_ ? 512 : 64); }

void Tridiagonal::add(Operation operation, std::vector<SpecConstant> constants, const char* reason) const {
    operation.constants = std::move(constants);
    operation.reason = reason;
    operation.guarded = guarded_;
    graph_.add(std::move(operation));
}

void Tridiagonal::column(std::uint64_t index, std::uint32_t flags) const {
    const bool previous = (flags & gpu::TRIDIAGONAL_PREVIOUS) != 0;
    gpu::TridiagonalColumnJob job{};
    job.order = narrow(order_);
    job.size = narrow(size_);
    job.column = narrow(index);
    job.done = narrow((flags & gpu::TRIDIAGONAL_NEXT) != 0 ? index % kPanel : kPanel);
    job.flags = flags;
    using Job = gpu::TridiagonalColumnJob;
    const Access access = index == 0 ? Access::write : Access::read_write;
    std::vector<Operand> operands{{offsetof(Job, a), a_, Access::read},
                                  {offsetof(Job, v_all), v_all_, access},
                                  {offsetof(Job, z), z_, access},
                                  {offsetof(Job, z_swapped), z_swapped_, access},
                                  {offsetof(Job, next), next_, access},
                                  {offsetof(Job, v), v_, access},
                                  {offsetof(Job, tau), tau_, access},
                                  {offsetof(Job, diagonal), diagonal_, access},
                                  {offsetof(Job, off_diagonal), off_diagonal_, access}};
    if (previous) operands.push_back({offsetof(Job, product), product_, Access::read});
    Operation operation = make_operation(kColumn, job, std::move(operands), items_);
    const double rows = real((order_ - index) * items_);
    operation.flops = rows * (previous ? 12 : 4);
    operation.bytes = rows * (previous ? 52 : 28);
    const Capabilities& device = graph_.device().capabilities();
    const std::uint32_t limit =
        std::min({device.max_workgroup_invocations, device.max_workgroup_size_x, 512u});
    add(std::move(operation),
        {{gpu::SPEC_THREADS, cpu_           ? 8u
                             : limit >= 512 ? 512u
                                            : 128u}},
        "one workgroup for each matrix");
}

// Columns of X, in rows after `column`, times v: pieces of sums.
void Tridiagonal::sums(const Tensor& x, std::uint64_t first_col, std::uint64_t cols, std::uint64_t column,
                       const Tensor& result) const {
    // CPU drivers load v again for each row, as dear as an element of X.
    const std::uint32_t threads = cpu_ ? 8 : 64, per_thread = cpu_ ? 8 : 4;
    const std::uint64_t rows = order_ - column - 1;
    gpu::ColumnSumsJob job{};
    job.rows = narrow(rows);
    job.cols = narrow(cols);
    job.x_first = narrow((column + 1) * x.cols() + first_col);
    job.x_stride = narrow(x.cols());
    job.x_item = narrow(x.rows() * x.cols());
    job.v_first = narrow(column + 1);
    job.v_item = narrow(size_);
    job.y_first = narrow(first_col);
    job.y_piece = narrow(result.cols());
    job.pieces = narrow(pieces(rows));
    job.y_item = narrow(result.rows() * result.cols());
    job.piece_rows = narrow(ceil_div(rows, job.pieces));
    job.groups = narrow(ceil_div(cols, std::uint64_t{threads} * per_thread));
    using Job = gpu::ColumnSumsJob;
    Operation operation = make_operation(kSums, job,
                                         {{offsetof(Job, x), x, Access::read},
                                          {offsetof(Job, v), v_, Access::read},
                                          {offsetof(Job, y), result, Access::write}},
                                         items_ * job.pieces * job.groups);
    operation.flops = 2.0 * real(rows * cols * items_);
    operation.bytes = 4.0 * real((rows * (cols + 1) + job.pieces * cols) * items_);
    add(std::move(operation), {{gpu::SPEC_THREADS, threads}, {gpu::SPEC_PER_THREAD, per_thread}},
        "some columns for each invocation");
}

void Tridiagonal::correct(std::uint64_t index, std::uint32_t flags) const {
    const std::uint32_t threads = cpu_ ? 8 : 64, per_thread = cpu_ ? 8 : 1;
    const std::uint64_t rows = order_ - index - 1, done = index % kPanel;
    gpu::TridiagonalCorrectJob job{};
    job.order = narrow(order_);
    job.size = narrow(size_);
    job.column = narrow(index);
    job.done = narrow(done);
    job.pieces = narrow(pieces(rows));
    job.most_pieces = narrow(sums_.rows());
    job.groups = narrow(ceil_div(rows, std::uint64_t{threads} * per_thread));
    job.flags = flags;
    using Job = gpu::TridiagonalCorrectJob;
    Operation operation = make_operation(kCorrect, job,
                                         {{offsetof(Job, a), a_, Access::read},
                                          {offsetof(Job, z), z_, Access::read},
                                          {offsetof(Job, z_swapped), z_swapped_, Access::read},
                                          {offsetof(Job, sums), sums_, Access::read},
                                          {offsetof(Job, inner), done > 0 ? inner_ : sums_, Access::read},
                                          {offsetof(Job, product), product_, Access::write},
                                          {offsetof(Job, next), next_, Access::write}},
                                         items_ * job.groups);
    operation.flops = real(rows * items_) * (8 * real(done) + real(job.pieces));
    operation.bytes = 4.0 * real(rows * items_) * (2 * real(done) + real(job.pieces) + 3);
    add(std::move(operation), {{gpu::SPEC_THREADS, threads}, {gpu::SPEC_PER_THREAD, per_thread}},
        "a row for each invocation, or several");
}

// A <- A - Z Z'^T in rows and columns from `first` on.
void Tridiagonal::update(std::uint64_t first) const {
    const std::uint64_t rest = order_ - first;
    for (std::uint64_t item = 0; item < items_; ++item) {
        const Tensor part = block(a_.batch_item(item), first, first, rest, rest);
        gemm(graph_, block(z_.batch_item(item), first, 0, rest, 2 * kPanel),
             block(z_swapped_.batch_item(item), first, 0, rest, 2 * kPanel), part, part,
             {.transpose_b = Transpose::yes,
              .alpha = -1.0f,
              .beta = 1.0f,
              .symmetric = true,
              .split = SplitK::when_needed,
              .guarded = guarded_});
    }
}

void Tridiagonal::multiply(const Tensor& x) const {
    if (order_ < 2) return;
    const std::uint64_t count = order_ - 1;  // reflectors
    struct Block {
        std::uint64_t first;
        Tensor factor;  // V T
    };
    const GemmOptions plain{.guarded = guarded_};
    const GemmOptions transposed{.transpose_a = Transpose::yes, .guarded = guarded_};
    const GemmOptions minus{.alpha = -1.0f, .beta = 1.0f, .guarded = guarded_};
    const std::uint32_t threads = cpu_ ? 8 : 32;
    std::vector<Block> blocks;
    for (std::uint64_t first = 0; first < count; first += gpu::REFLECTORS) {
        const std::uint64_t width = std::min<std::uint64_t>(gpu::REFLECTORS, count - first);
        const std::uint64_t rows = order_ - first;
        const Tensor gram = graph_.temporary(DType::f32, Shape{items_, width, width});
        const Tensor t = graph_.temporary(DType::f32, Shape{items_, width, width});
        const Tensor factor = graph_.temporary(DType::f32, Shape{items_, rows, width});
        gpu::ReflectorsJob job{};
        job.width = narrow(width);
        job.tau_first = narrow(first);
        job.tau_item = narrow(size_);
        job.groups = narrow(ceil_div(width, threads));
        for (std::uint64_t item = 0; item < items_; ++item) {
            const Tensor v = block(v_all_.batch_item(item), first, first, rows, width);
            syrk(graph_, v, Tensor{}, gram.batch_item(item), transposed);
        }
        using Job = gpu::ReflectorsJob;
        Operation operation = make_operation(kReflectors, job,
                                             {{offsetof(Job, gram), gram, Access::read},
                                              {offsetof(Job, tau), tau_, Access::read},
                                              {offsetof(Job, t), t, Access::write}},
                                             items_ * job.groups);
        operation.flops = real(items_ * width * width * width) / 3;
        operation.bytes = 8.0 * real(items_ * width * width);
        add(std::move(operation), {{gpu::SPEC_THREADS, threads}}, "a row of T for each invocation");
        for (std::uint64_t item = 0; item < items_; ++item)
            gemm(graph_, block(v_all_.batch_item(item), first, first, rows, width), t.batch_item(item),
                 Tensor{}, factor.batch_item(item), plain);
        blocks.push_back({first, factor});
    }
    // Q = (H_1 ...) ... (... H_n-1): the last block first.
    for (std::size_t index = blocks.size(); index-- > 0;) {
        const auto& [first, factor] = blocks[index];
        const std::uint64_t width = factor.cols(), rows = factor.rows();
        const Tensor inner = graph_.temporary(DType::f32, Shape{items_, width, size_});
        for (std::uint64_t item = 0; item < items_; ++item) {
            const Tensor part = x.batch_item(item).row_range(first, rows);
            gemm(graph_, block(v_all_.batch_item(item), first, first, rows, width), part, Tensor{},
                 inner.batch_item(item), transposed);
            gemm(graph_, factor.batch_item(item), inner.batch_item(item), part, part, minus);
        }
    }
}

Tensor Tridiagonal::split(std::uint64_t leaf) const {
    const Tensor parts = graph_.temporary(DType::f32, Shape{items_ * (size_ / leaf), leaf, leaf});
    gpu::TridiagonalSplitJob job{};
    job.size = narrow(size_);
    job.leaf = narrow(leaf);
    job.chunks = narrow(ceil_div(size_ * leaf, kChunk));
    using Job = gpu::TridiagonalSplitJob;
    Operation operation = make_operation(kSplit, job,
                                         {{offsetof(Job, diagonal), diagonal_, Access::read},
                                          {offsetof(Job, off_diagonal), off_diagonal_, Access::read},
                                          {offsetof(Job, parts), parts, Access::write}},
                                         items_ * job.chunks);
    operation.bytes = element_bytes(parts);
    add(std::move(operation), {{gpu::SPEC_THREADS, cpu_ ? 8u : 128u}}, "1024 elements a workgroup");
    return parts;
}

}  // namespace heron
