// SPDX-License-Identifier: MIT
// The kernel is shaders/linalg/split_words.comp.
#include "linalg/split_words.hpp"

#include <cstddef>
#include <utility>

#include "graph/element_bytes.hpp"
#include "heron/spirv/split_words.hpp"
#include "linalg/integers.hpp"

namespace heron {

namespace {

static_assert(sizeof(gpu::SplitWordsJob) == 64);
constexpr KernelInfo kSplit = make_kernel<gpu::SplitWordsJob>("split_words", spirv::split_words);

}  // namespace

void add_split_words(Graph& graph, const Tensor& x, const Tensor& high, const Tensor& low, bool guarded) {
    const std::uint32_t threads = graph.device().capabilities().cpu ? 16 : 128;
    gpu::SplitWordsJob job{};
    job.rows = narrow(x.rows());
    job.cols = narrow(x.cols());
    job.x_stride = narrow(x.stride());
    job.x_item = narrow(x.rows() * x.stride());
    job.word_stride = narrow(high.stride());
    job.word_item = narrow(high.rows() * high.stride());
    job.pairs = narrow(x.batch() * x.rows() * ceil_div(x.cols(), 2));
    Operation operation = make_operation(kSplit, job,
                                         {{offsetof(gpu::SplitWordsJob, x), x, Access::read},
                                          {offsetof(gpu::SplitWordsJob, high), high, Access::write},
                                          {offsetof(gpu::SplitWordsJob, low), low, Access::write}},
                                         ceil_div(job.pairs, threads));
    operation.constants = {{gpu::SPEC_THREADS, threads},
                           {gpu::SPEC_DTYPE_D, static_cast<std::uint32_t>(high.dtype)}};
    operation.reason = "the only implementation";
    operation.flops = 2.0 * static_cast<double>(x.shape.count());
    operation.bytes = element_bytes(x, high, low);
    operation.guarded = guarded;
    graph.add(std::move(operation));
}

}  // namespace heron
