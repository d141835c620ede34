// SPDX-License-Identifier: MIT
// sum(), frobenius_norm() and count_nonfinite(): passes of one kernel, each 4096 times shorter than the one
// before.
#include "linalg/reduce.hpp"

#include <cstddef>
#include <cstdint>
#include <string>

#include "graph/element_bytes.hpp"
#include "heron/linalg.hpp"
#include "heron/spirv/reduce.hpp"
#include "linalg/checks.hpp"
#include "linalg/integers.hpp"
#include "linalg/reduce.h"

namespace heron {

static_assert(sizeof(gpu::ReduceJob) == 48 && offsetof(gpu::ReduceJob, first_group) == 44);

namespace {

constexpr KernelInfo kReduce = make_kernel<gpu::ReduceJob>("reduce", spirv::reduce);

// Of one workgroup. The same on every device: the error bound follows from the depth of the tree.
constexpr std::uint32_t kChunk = 4096;

struct Reduction {
    std::uint32_t kind;   // REDUCE_
    std::uint32_t flags;  // of gpu::ReduceJob
    bool guarded;
};

// Of `count` elements of each of `items` matrices; `partial`: of partial results. Checks nothing.
void add_passes(Graph& graph, const Reduction& reduction, Tensor from, std::uint64_t items,
                std::uint64_t count, const Tensor& result, bool partial) {
    const std::uint32_t threads = graph.device().capabilities().cpu ? 8 : 128;
    const DType dtype = from.dtype;
    for (bool last = false; !last; partial = true) {
        const std::uint64_t chunks = count == 0 ? 1 : (count + kChunk - 1) / kChunk;
        last = chunks == 1;
        const Tensor to = last ? result : graph.temporary(DType::f32, Shape{items, chunks, 3});
        gpu::ReduceJob job{};
        job.count = narrow(count);
        job.cols = partial ? 1 : narrow(from.cols());
        job.stride = partial ? 1 : narrow(from.stride());
        job.item_stride = partial ? narrow(count) : narrow(from.rows() * from.stride());
        job.chunks = narrow(chunks);
        job.flags = reduction.flags | (partial ? gpu::REDUCE_PARTIAL : 0) |
                    (!partial && from.stride() != from.cols() ? gpu::REDUCE_STRIDED : 0);
        Operation operation = make_operation(kReduce, job,
                                             {{offsetof(gpu::ReduceJob, from), from, Access::read},
                                              {offsetof(gpu::ReduceJob, to), to, Access::write}},
                                             items * chunks);
        operation.constants = {{gpu::SPEC_THREADS, threads},
                               {gpu::SPEC_REDUCTION, reduction.kind},
                               {gpu::SPEC_DTYPE_A, static_cast<std::uint32_t>(dtype)},
                               {gpu::SPEC_PER_THREAD, kChunk / threads}};
        operation.reason =
            last ? "one workgroup for each matrix" : "4096 elements a workgroup, partial results";
        operation.flops = static_cast<double>(count) * static_cast<double>(items);
        operation.bytes = element_bytes(from, to);
        operation.guarded = reduction.guarded;
        graph.add(std::move(operation));
        from = to;
        count = chunks;
    }
}

void add_reduction(std::string_view who, std::uint32_t kind, Graph& graph, const Tensor& x,
                   const Tensor& result, bool guarded, std::uint32_t flags = 0) {
    check_float_tensor(who, "x", graph, x);
    const DType wanted =
        kind == gpu::REDUCE_NONFINITE || (flags & gpu::REDUCE_EXPONENT) != 0 ? DType::u32 : DType::f32;
    check_tensor(who, "`result`", graph, result);
    const std::uint64_t items = x.batch();
    if (result.dtype != wanted || result.shape.count() != items || !is_contiguous(result))
        refuse(who, "`result` is " + text(result) + ", x is " + text(x) +
                        "; it must be a contiguous tensor of " + std::to_string(items) + " " +
                        to_string(wanted) + ", one for each matrix");
    check_no_overlap(who, "`result`", result, "x", x, graph);

    add_passes(graph, {kind, flags, guarded}, x, items, x.rows() * x.cols(), result, false);
}

}  // namespace

void sum(Graph& graph, const Tensor& x, const Tensor& result, bool guarded) {
    add_reduction("sum", gpu::REDUCE_SUM, graph, x, result, guarded);
}

void frobenius_norm(Graph& graph, const Tensor& x, const Tensor& result, bool guarded) {
    add_reduction("frobenius_norm", gpu::REDUCE_NORM, graph, x, result, guarded);
}

void norm_exponent(Graph& graph, const Tensor& x, const Tensor& result, bool guarded) {
    add_reduction("norm_exponent", gpu::REDUCE_NORM, graph, x, result, guarded, gpu::REDUCE_EXPONENT);
}

void combine_norms(Graph& graph, const Tensor& partials, const Tensor& result, bool guarded) {
    add_passes(graph, {gpu::REDUCE_NORM, 0, guarded}, partials, 1, partials.shape[0], result, true);
}

void count_nonfinite(Graph& graph, const Tensor& x, const Tensor& result, bool guarded) {
    add_reduction("count_nonfinite", gpu::REDUCE_NONFINITE, graph, x, result, guarded);
}

}  // namespace heron
