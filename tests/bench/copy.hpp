// SPDX-License-Identifier: MIT
// The yardstick of whatever is bound by memory: a copy of as many bytes on the same device.
#pragma once

#include "bench.hpp"
#include "core/shared.h"
#include "graph/copy.h"
#include "heron/spirv/copy.hpp"

namespace heron::bench {

// A copy that reads and writes `bytes` in all.
class Copy {
public:
    Copy(const Device& device, double bytes)
        : quads_(std::max<std::uint64_t>(1, static_cast<std::uint64_t>(bytes / 32))),
          from_(device.create_buffer(quads_ * 16)),
          to_(device.create_buffer(quads_ * 16)),
          plan_(compile(device)) {
        plan_.allocate();
    }
    Plan& plan() { return plan_; }

private:
    Plan compile(const Device& device) const {
        static const KernelInfo kCopy = make_kernel<gpu::CopyJob>("copy", spirv::copy);
        Graph graph(device);
        gpu::CopyJob job{};
        job.quads = static_cast<std::uint32_t>(quads_);
        const auto external = [&](const char* name, const Buffer& buffer) {
            return graph.external(name, buffer.view(DType::u32, {quads_ * 4}));
        };
        Operation operation =
            make_operation(kCopy, job,
                           {{offsetof(gpu::CopyJob, from), external("from", from_), Access::read},
                            {offsetof(gpu::CopyJob, to), external("to", to_), Access::write}},
                           (quads_ + gpu::COPY_QUADS_PER_GROUP - 1) / gpu::COPY_QUADS_PER_GROUP);
        operation.constants = {{gpu::SPEC_THREADS, 64}};
        graph.add(std::move(operation));
        return graph.compile({.profile = true});
    }

    std::uint64_t quads_;
    Buffer from_, to_;
    Plan plan_;
};

}  // namespace heron::bench
