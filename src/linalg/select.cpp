// SPDX-License-Identifier: MIT
// argsort(), top_k() and gathers: checks, and the passes of a merge sort.
#include "heron/linalg/select.hpp"

#include <algorithm>
#include <bit>
#include <cstddef>
#include <string>

#include "graph/element_bytes.hpp"
#include "heron/spirv/gather.hpp"
#include "heron/spirv/merge_runs.hpp"
#include "heron/spirv/sort_runs.hpp"
#include "linalg/checks.hpp"
#include "linalg/integers.hpp"
#include "linalg/sort.h"

namespace heron {

static_assert(sizeof(gpu::SortRunsJob) == 64 && offsetof(gpu::SortRunsJob, first_group) == 60);
static_assert(sizeof(gpu::MergeRunsJob) == 72 && offsetof(gpu::MergeRunsJob, first_group) == 68);
static_assert(sizeof(gpu::GatherJob) == 72 && offsetof(gpu::GatherJob, first_group) == 68);

namespace {

constexpr KernelInfo kSortRuns = make_kernel<gpu::SortRunsJob>("sort_runs", spirv::sort_runs);
constexpr KernelInfo kMergeRuns = make_kernel<gpu::MergeRunsJob>("merge_runs", spirv::merge_runs);
constexpr KernelInfo kGather = make_kernel<gpu::GatherJob>("gather", spirv::gather);

constexpr std::uint64_t kMaxElements = std::uint64_t{1} << 30;

std::uint32_t code(const Tensor& tensor) { return static_cast<std::uint32_t>(tensor.dtype); }

// Sorts each row, and keeps the first indices.cols() elements.
void select(std::string_view who, Graph& graph, const Tensor& x, const Tensor& indices, const Tensor& values,
            SortOrder order, bool guarded) {
    check_float_tensor(who, "x", graph, x);
    check_indices(who, graph, indices);
    if (static_cast<std::uint32_t>(order) > 1) refuse(who, "order is not one of SortOrder");
    const std::uint64_t rows = x.batch() * x.rows(), cols = x.cols(), wanted = indices.cols();
    if (indices.batch() * indices.rows() != rows || wanted > cols)
        refuse(who, "`indices` is " + text(indices) + ", x is " + text(x) +
                        "; it must have as many rows and not more columns");
    check_no_overlap(who, "`indices`", indices, "x", x, graph);
    if (values) {
        check_float_tensor(who, "`values`", graph, values);
        if (values.shape != indices.shape)
            refuse(who,
                   "`values` is " + text(values) + ", `indices` is " + text(indices) + "; shapes must agree");
        check_no_overlap(who, "`values`", values, "x", x, graph);
        check_no_overlap(who, "`values`", values, "`indices`", indices, graph);
    }
    if (rows * wanted == 0) return;

    const bool cpu = graph.device().capabilities().cpu;
    // On CPU drivers a stage of a network costs half as much as a merge, which halves the number of runs; of
    // 16, 32, 64 and 256 elements, runs of 16 were the fastest (lavapipe 22.3).
    const std::uint32_t threads = cpu ? 8 : 128, slots = cpu ? 256 : 1024, per_thread = cpu ? 64 : 16;
    const std::uint64_t run = std::bit_ceil(std::min<std::uint64_t>(cols, cpu ? 16 : slots));
    std::uint64_t runs = ceil_div(cols, run);
    if (cols > kMaxElements || rows * runs * run > kMaxElements)
        refuse(who,
               "x is " + text(x) + "; at most 2^30 elements can be sorted at once, split it into row ranges");

    const std::uint32_t flags =
        (order == SortOrder::descending ? gpu::SORT_DESCENDING : 0) | (values ? gpu::SORT_VALUES : 0);
    const std::vector<SpecConstant> dtypes{{gpu::SPEC_DTYPE_A, code(x)},
                                           {gpu::SPEC_DTYPE_D, values ? code(values) : code(x)}};
    std::uint64_t kept = std::min(run, wanted);
    bool last = runs == 1;
    const auto pairs = [&] { return graph.temporary(DType::u32, Shape{rows, runs, kept * 2}); };
    const auto add = [&](Operation operation, const Tensor& to, std::size_t values_field) {
        if (last && values) operation.operands.push_back({narrow(values_field), values, Access::write});
        operation.constants.insert(operation.constants.end(), dtypes.begin(), dtypes.end());
        operation.bytes += element_bytes(to);
        operation.guarded = guarded;
        graph.add(std::move(operation));
    };

    {
        gpu::SortRunsJob job{};
        job.rows = narrow(rows);
        job.cols = narrow(cols);
        job.stride = narrow(x.stride());
        job.run = narrow(run);
        job.runs = narrow(runs);
        job.kept = narrow(kept);
        job.index_stride = narrow(indices.stride());
        job.value_stride = values ? narrow(values.stride()) : 0;
        job.flags = flags | (last ? gpu::SORT_LAST : 0);
        const Tensor to = last ? indices : pairs();
        Operation operation = make_operation(kSortRuns, job,
                                             {{offsetof(gpu::SortRunsJob, keys), x, Access::read},
                                              {offsetof(gpu::SortRunsJob, to), to, Access::write}},
                                             ceil_div(rows * runs, slots / run));
        operation.constants = {{gpu::SPEC_THREADS, threads}, {gpu::SPEC_POOL, slots / 2}};
        operation.reason = "sorted runs in shared memory";
        const double stages = static_cast<double>(std::bit_width(run));
        operation.flops = static_cast<double>(rows * cols) * stages * stages / 2;
        operation.bytes = element_bytes(x);
        add(std::move(operation), to, offsetof(gpu::SortRunsJob, values));
        if (last) return;

        Tensor from = to;
        while (!last) {
            last = runs <= 2;
            const std::uint64_t result = last ? wanted : std::min(2 * kept, wanted);
            gpu::MergeRunsJob merge{};
            merge.rows = job.rows;
            merge.stride = job.stride;
            merge.runs = narrow(runs);
            merge.kept = narrow(kept);
            merge.result = narrow(result);
            merge.pieces = narrow(ceil_div(result, per_thread));
            merge.index_stride = job.index_stride;
            merge.value_stride = job.value_stride;
            merge.flags = flags | (last ? gpu::SORT_LAST : 0);
            runs = (runs + 1) / 2;
            kept = result;
            const Tensor merged = last ? indices : pairs();
            operation = make_operation(kMergeRuns, merge,
                                       {{offsetof(gpu::MergeRunsJob, from), from, Access::read},
                                        {offsetof(gpu::MergeRunsJob, to), merged, Access::write},
                                        {offsetof(gpu::MergeRunsJob, keys), x, Access::read}},
                                       ceil_div(rows * runs * merge.pieces, threads));
            operation.constants = {{gpu::SPEC_THREADS, threads}, {gpu::SPEC_PER_THREAD, per_thread}};
            operation.reason = "runs merged two and two";
            operation.flops = 4.0 * static_cast<double>(rows * runs * result);
            operation.bytes = element_bytes(from);
            add(std::move(operation), merged, offsetof(gpu::MergeRunsJob, values));
            from = merged;
        }
    }
}

void gather(std::string_view who, Graph& graph, bool columns, const Tensor& x, const Tensor& indices,
            const Tensor& out, bool guarded) {
    check_float_tensor(who, "x", graph, x);
    check_indices(who, graph, indices);
    check_float_tensor(who, "`out`", graph, out);
    if (columns ? x.rows() != out.rows() : x.cols() != out.cols())
        refuse(who, "`out` is " + text(out) + ", x is " + text(x) + "; the " +
                        (columns ? "numbers of rows" : "numbers of columns") + " must agree");
    if (x.batch() != 1 && x.batch() != out.batch())
        refuse(who,
               "x is " + text(x) + ", `out` is " + text(out) + "; give it as many matrices, or one for all");
    const std::uint64_t each = columns ? out.cols() : out.rows();
    const std::uint64_t count = indices.shape.count();
    if ((count != each && count != each * out.batch()) || !is_contiguous(indices))
        refuse(who, "`indices` is " + text(indices) + ", `out` is " + text(out) +
                        "; it must be a contiguous tensor of " + std::to_string(each) +
                        " u32, or as many for each matrix");
    check_no_overlap(who, "`out`", out, "x", x, graph);
    check_no_overlap(who, "`out`", out, "`indices`", indices, graph);
    if (out.shape.count() == 0) return;

    gpu::GatherJob job{};
    job.rows = narrow(out.batch() * out.rows());
    job.cols = narrow(out.cols());
    job.item_rows = narrow(out.rows());
    job.from_rows = narrow(x.rows());
    job.from_cols = narrow(x.cols());
    job.from_stride = narrow(x.stride());
    job.from_item = batch_stride(x);
    job.to_stride = narrow(out.stride());
    job.index_item = count == each ? 0 : narrow(each);
    job.flags = (columns ? gpu::GATHER_COLUMNS : 0) |
                (job.rows == 1 || job.to_stride % 2 == 0 ? gpu::GATHER_PAIRS : 0);
    const bool cpu = graph.device().capabilities().cpu;
    const std::uint32_t threads = cpu ? 8 : 128, per_thread = cpu ? 128 : 4;
    const std::uint64_t pairs = std::uint64_t{job.rows} * ceil_div(job.cols, 2);
    Operation operation = make_operation(kGather, job,
                                         {{offsetof(gpu::GatherJob, from), x, Access::read},
                                          {offsetof(gpu::GatherJob, indices), indices, Access::read},
                                          {offsetof(gpu::GatherJob, to), out, Access::write}},
                                         ceil_div(pairs, std::uint64_t{threads} * per_thread));
    operation.constants = {{gpu::SPEC_THREADS, threads},
                           {gpu::SPEC_DTYPE_A, code(x)},
                           {gpu::SPEC_DTYPE_D, code(out)},
                           {gpu::SPEC_PER_THREAD, per_thread}};
    operation.reason = "the only one";
    operation.flops = static_cast<double>(out.shape.count());
    operation.bytes = 2 * element_bytes(out) + element_bytes(indices);
    operation.guarded = guarded;
    graph.add(std::move(operation));
}

}  // namespace

void argsort(Graph& graph, const Tensor& keys, const Tensor& indices, SortOrder order, bool guarded) {
    if (keys && indices && keys.shape != indices.shape)
        refuse("argsort", "`indices` is " + text(indices) + ", x is " + text(keys) + "; shapes must agree");
    select("argsort", graph, keys, indices, {}, order, guarded);
}

void top_k(Graph& graph, const Tensor& x, const Tensor& indices, const Tensor& values, SortOrder order,
           bool guarded) {
    select("top_k", graph, x, indices, values, order, guarded);
}

void gather_rows(Graph& graph, const Tensor& x, const Tensor& indices, const Tensor& out, bool guarded) {
    gather("gather_rows", graph, false, x, indices, out, guarded);
}
void gather_columns(Graph& graph, const Tensor& x, const Tensor& indices, const Tensor& out, bool guarded) {
    gather("gather_columns", graph, true, x, indices, out, guarded);
}

}  // namespace heron
