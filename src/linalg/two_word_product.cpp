// SPDX-License-Identifier: MIT
// The kernel is shaders/linalg/two_word_product.comp.
#include "linalg/two_word_product.hpp"

#include <cstddef>
#include <utility>
#include <vector>

#include "graph/element_bytes.hpp"
#include "heron/spirv/two_word_product.hpp"
#include "linalg/integers.hpp"
#include "linalg/two_word_product.h"

namespace heron {

namespace {

static_assert(sizeof(gpu::TwoWordProductJob) == 56);
constexpr KernelInfo kProduct =
    make_kernel<gpu::TwoWordProductJob>("two_word_product", spirv::two_word_product);

}  // namespace

void add_two_word_product(Graph& graph, const Tensor& a, const Tensor& b, const Tensor& d,
                          const TwoWordProduct& options) {
    using Job = gpu::TwoWordProductJob;
    // CPU drivers: one subgroup, which waits for no other at its barriers.
    const std::uint32_t threads =
        graph.device().capabilities().cpu ? gpu::TWO_WORD_ACROSS : gpu::TWO_WORD_THREADS;
    const std::uint32_t tile_rows = threads / gpu::TWO_WORD_ACROSS * gpu::TWO_WORD_BLOCK,
                        tile_cols = gpu::TWO_WORD_ACROSS * gpu::TWO_WORD_BLOCK;
    Job job{};
    job.m = narrow(d.rows() / 2);
    job.n = narrow(d.cols());
    job.k = narrow(a.cols());
    job.flags =
        (options.active ? gpu::TWO_WORD_ACTIVE : 0) | (options.symmetric ? gpu::TWO_WORD_SYMMETRIC : 0);
    job.groups = narrow(ceil_div(job.m, tile_rows) * ceil_div(job.n, tile_cols));
    std::vector<Operand> operands{{offsetof(Job, a), a, Access::read},
                                  {offsetof(Job, b), b, Access::read},
                                  {offsetof(Job, d), d, options.active ? Access::read_write : Access::write}};
    if (options.active) operands.push_back({offsetof(Job, active_items), options.active, Access::read});
    Operation operation = make_operation(kProduct, job, std::move(operands), d.batch() * job.groups);
    operation.constants = {{gpu::SPEC_THREADS, threads}};
    operation.reason = "the only one for two words an element";
    operation.flops =
        kTwoWordFlops * (options.symmetric ? 0.5 : 1.0) * job.k * (static_cast<double>(d.shape.count()) / 2);
    operation.bytes = element_bytes(a, b, d);
    operation.guarded = options.guarded;
    graph.add(std::move(operation));
}

}  // namespace heron
