// SPDX-License-Identifier: MIT
// How kernels go through the elements of Kronecker factors.
#pragma once

#include <algorithm>
#include <cstdint>
#include <utility>

#include "core/shared.h"
#include "heron/graph.hpp"
#include "linalg/integers.hpp"

namespace heron {

struct FactorGrid {
    std::uint32_t threads, rounds;
    std::uint64_t groups;
};

// A workgroup has so many rows' worth of elements at least that adding up the traces, where it does, is a
// quarter of its work: on CPU drivers elements that lie a row apart take four times as long.
inline FactorGrid factor_grid(const Device& device, std::uint64_t order) {
    const Capabilities& capabilities = device.capabilities();
    const std::uint64_t threads =
        std::min<std::uint64_t>({capabilities.cpu ? 32u : 256u, capabilities.max_workgroup_invocations,
                                 capabilities.max_workgroup_size_x});
    const std::uint64_t count = order * order;
    const std::uint64_t rounds =
        std::clamp<std::uint64_t>(ceil_div((capabilities.cpu ? 32 : 8) * order, threads), 4,
                                  std::max<std::uint64_t>(4, ceil_div(count, threads)));
    return {narrow(threads), narrow(rounds), ceil_div(count, threads * rounds)};
}

// `flops` and `bytes` of an element.
inline void add_factor_operation(Graph& graph, Operation operation, const FactorGrid& grid, double flops,
                                 double bytes, std::uint64_t count) {
    operation.constants.push_back({gpu::SPEC_THREADS, grid.threads});
    operation.reason = "the only one";
    operation.flops = flops * static_cast<double>(count);
    operation.bytes = bytes * static_cast<double>(count);
    graph.add(std::move(operation));
}

inline Tensor temporary_like(Graph& graph, const Tensor& x) { return graph.temporary(DType::f32, x.shape); }

}  // namespace heron
