// SPDX-License-Identifier: MIT
// One job of one of the samples' own kernels, as an operation of a graph.
#pragma once

#include <cstddef>
#include <cstdint>
#include <utility>
#include <vector>

#include "core/shared.h"
#include "heron/graph.hpp"

namespace samples {

inline constexpr std::uint32_t kThreads = 64;  // of a workgroup: one or two subgroups on every device

constexpr std::uint64_t divide_up(std::uint64_t a, std::uint64_t b) { return (a + b - 1) / b; }

// The address field of a job that a tensor goes to.
#define SAMPLES_FIELD(job, member) static_cast<std::uint32_t>(offsetof(heron::gpu::job, member))

// `bytes` of memory traffic; where it is not given, every operand once.
template <class Job>
void add_operation(heron::Graph& graph, const heron::KernelInfo& kernel, const Job& job,
                   std::vector<heron::Operand> operands, std::uint64_t groups,
                   std::uint32_t threads = kThreads, std::uint64_t bytes = 0) {
    heron::Operation operation = heron::make_operation(kernel, job, std::move(operands), groups);
    operation.constants = {{heron::gpu::SPEC_THREADS, threads}};
    operation.reason = "the sample's only variant";
    operation.guarded = false;
    if (bytes == 0)
        for (const heron::Operand& operand : operation.operands) bytes += operand.tensor.span_bytes();
    operation.bytes = static_cast<double>(bytes);
    graph.add(std::move(operation));
}

}  // namespace samples
