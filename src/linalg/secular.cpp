// SPDX-License-Identifier: MIT
// Divide and conquer: jobs, and the order of the steps.
#include "linalg/secular.hpp"

#include <algorithm>
#include <cstddef>
#include <utility>
#include <vector>

#include "heron/linalg/product.hpp"
#include "heron/spirv/secular_deflate.hpp"
#include "heron/spirv/secular_order.hpp"
#include "heron/spirv/secular_roots.hpp"
#include "heron/spirv/secular_vectors.hpp"
#include "heron/spirv/secular_weights.hpp"
#include "linalg/integers.hpp"
#include "linalg/real.hpp"
#include "linalg/secular.h"

namespace heron {

static_assert(sizeof(gpu::SecularJob) == 88);

namespace {

using Job = gpu::SecularJob;

constexpr KernelInfo kOrder = make_kernel<Job>("secular_order", spirv::secular_order);
constexpr KernelInfo kDeflate = make_kernel<Job>("secular_deflate", spirv::secular_deflate);
constexpr KernelInfo kRoots = make_kernel<Job>("secular_roots", spirv::secular_roots);
constexpr KernelInfo kWeights = make_kernel<Job>("secular_weights", spirv::secular_weights);
constexpr KernelInfo kVectors = make_kernel<Job>("secular_vectors", spirv::secular_vectors);

}  // namespace

Eigensystem join_parts(Graph& graph, Eigensystem parts, const Tensor& off_diagonal, std::uint64_t count,
                       bool guarded) {
    const std::uint64_t size = off_diagonal.cols(), items = off_diagonal.rows(), total = items * size;
    const bool cpu = graph.device().capabilities().cpu;
    Eigensystem now = std::move(parts);
    for (std::uint64_t half = now.vectors.cols(); half < size; half *= 2) {
        const std::uint64_t m = 2 * half, merges = size / m;
        const bool last = m == size;
        const Tensor numbers = graph.temporary(DType::f32, Shape{gpu::SECULAR_NUMBERS, total});
        const Tensor words = graph.temporary(DType::u32, Shape{gpu::SECULAR_WORDS, total});
        const Tensor u = graph.temporary(DType::f32, Shape{items * merges, m, m});
        const Tensor values = graph.temporary(DType::f32, Shape{items, last ? count : size});
        Job job{};
        job.size = narrow(size);
        job.half_size = narrow(half);
        job.merges = narrow(merges);
        job.total = narrow(total);
        job.count = narrow(values.cols());

        const Operand d{offsetof(Job, d), now.values, Access::read};
        const Operand e{offsetof(Job, e), off_diagonal, Access::read};
        const auto state = [&](Access access) { return Operand{offsetof(Job, numbers), numbers, access}; };
        const auto lists = [&](Access access) { return Operand{offsetof(Job, words), words, access}; };
        const auto results = [&](Access access) { return Operand{offsetof(Job, values), values, access}; };
        // `terms`: operations for each pair of a pole and a root.
        const auto add = [&](const KernelInfo& kernel, std::uint32_t threads, std::uint64_t groups,
                             double terms, std::vector<Operand> operands, const char* reason) {
            job.groups = narrow(groups);
            Operation operation = make_operation(kernel, job, std::move(operands), items * merges * groups);
            operation.constants = {{gpu::SPEC_THREADS, threads}};
            operation.reason = reason;
            operation.flops = terms * real(total * m);
            operation.bytes = 4.0 * real(total) * (&kernel == &kVectors ? real(m) : 8.0);
            operation.guarded = guarded;
            graph.add(std::move(operation));
        };
        const std::uint32_t threads = cpu ? 8 : 32;
        const std::uint64_t groups = ceil_div(m, threads);
        add(kOrder, threads, groups, 1,
            {d, e, {offsetof(Job, q), now.vectors, Access::read}, state(Access::write), lists(Access::write)},
            "a pole for each invocation");
        add(kDeflate, 1, 1, 0,
            {e, state(Access::read_write), lists(Access::read_write), results(Access::write)},
            "one invocation for each pair of parts");
        add(kRoots, threads, groups, 64,
            {e, state(Access::read_write), lists(Access::read), results(Access::read_write)},
            "a root for each invocation");
        add(kWeights, threads, groups, 5, {e, state(Access::read_write), lists(Access::read)},
            "a pole for each invocation");
        add(kVectors, threads, groups, 10,
            {state(Access::read), lists(Access::read), {offsetof(Job, u), u, Access::write}},
            "a column for each invocation");

        // diag(Q_1, Q_2) U, the halves of its rows as a batch.
        Tensor halves = u, joined = graph.temporary(DType::f32, u.shape);
        halves.shape = Shape{items * merges * 2, half, m};
        Tensor result = joined;
        result.shape = halves.shape;
        gemm(graph, now.vectors, halves, Tensor{}, result, {.guarded = guarded});
        now = {values, joined};
    }
    return now;
}

}  // namespace heron
