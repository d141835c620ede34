// SPDX-License-Identifier: MIT
// The yardstick of whatever is bound by memory: a copy of as many bytes on the same device.
#pragma once

#include "bench.hpp"
#include "core/shared.h"
#include "graph/copy.h"
#include "heron/spirv/copy.hpp"
namespace heron::bench {

// A copy that reads and writes `bytes` in all.
inline Times copy_times(const Device& device, double bytes, int repeats) {
    static const KernelInfo kCopy = make_kernel<gpu::CopyJob>("copy", spirv::copy);
    const std::uint64_t quads = std::max<std::uint64_t>(1, static_cast<std::uint64_t>(bytes / 32));
    const Buffer from = device.create_buffer(quads * 16), to = device.create_buffer(quads * 16);
    Graph graph(device);
    gpu::CopyJob job{};
    job.quads = static_cast<std::uint32_t>(quads);
    const Shape shape{quads * 4};
    Operation operation = make_operation(
        kCopy, job,
        {{offsetof(gpu::CopyJob, from), graph.external("from", from.view(DType::u32, shape)), Access::read},
         {offsetof(gpu::CopyJob, to), graph.external("to", to.view(DType::u32, shape)), Access::write}},
        (quads + gpu::COPY_QUADS_PER_GROUP - 1) / gpu::COPY_QUADS_PER_GROUP);
    operation.constants = {{gpu::SPEC_THREADS, 64}};
    graph.add(std::move(operation));
    PlanOptions options;
    options.profile = true;
    Plan plan = graph.compile(options);
    plan.allocate();
    return time_plan(plan, repeats);
}

}  // namespace heron::bench
