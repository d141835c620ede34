// SPDX-License-Identifier: MIT
// The kernel is shaders/optim/box_copy.comp.
#include "optim/box_copy.hpp"

#include <algorithm>
#include <cstddef>
#include <utility>

#include "heron/spirv/box_copy.hpp"
#include "linalg/integers.hpp"
#include "optim/box_copy.h"

namespace heron {

namespace {

static_assert(sizeof(gpu::BoxCopyJob) == 144);
static_assert(gpu::BOX_AXES == Shape::kMaxRank);
constexpr KernelInfo kBoxCopy = make_kernel<gpu::BoxCopyJob>("box_copy", spirv::box_copy);

}  // namespace

BoxIndices strides_of(const Shape& shape) {
    BoxIndices strides{};
    std::uint64_t stride = 1;
    for (std::size_t a = shape.rank(); a-- > 0; stride *= shape[a]) strides[a] = stride;
    return strides;
}

void box_copy(Graph& graph, const Shape& extents, const BoxPlace& from, const BoxPlace& to) {
    using Job = gpu::BoxCopyJob;
    const std::uint64_t count = extents.count();
    const Capabilities& capabilities = graph.device().capabilities();
    const std::uint64_t threads =
        std::min<std::uint64_t>({capabilities.cpu ? 32u : 256u, capabilities.max_workgroup_invocations,
                                 capabilities.max_workgroup_size_x});
    const std::uint64_t rounds = std::min<std::uint64_t>(4, ceil_div(count, threads));
    Job job{};
    job.count = narrow(count);
    job.rounds = narrow(rounds);
    job.axes = narrow(extents.rank());
    for (std::size_t a = 0; a < extents.rank(); ++a) {
        job.extent[a] = narrow(extents[a]);
        job.from_stride[a] = narrow(from.strides[a]);
        job.to_stride[a] = narrow(to.strides[a]);
    }
    job.from_first = narrow(from.first);
    job.to_first = narrow(to.first);
    Operation operation = make_operation(
        kBoxCopy, job,
        {{offsetof(Job, from), from.tensor, Access::read}, {offsetof(Job, to), to.tensor, Access::write}},
        ceil_div(count, threads * rounds));
    operation.constants = {{gpu::SPEC_THREADS, narrow(threads)}};
    operation.reason = "the only one";
    operation.bytes = 8.0 * static_cast<double>(count);
    graph.add(std::move(operation));
}

}  // namespace heron
