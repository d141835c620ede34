// SPDX-License-Identifier: MIT
// The yardstick of products on devices for which no library is one: a shader without any of their means.
#pragma once

#include <cstddef>
#include <cstdint>

#include "bench.hpp"
#include "heron/spirv/bench_naive_gemm.hpp"
#include "naive_gemm.h"

namespace heron::bench {

// D = A B, m x k times k x n floats. The buffers must outlive the plan.
inline Plan naive_gemm_plan(const Device& device, const Buffer& a, const Buffer& b, const Buffer& d,
                            std::uint64_t m, std::uint64_t n, std::uint64_t k) {
    using Job = gpu::NaiveGemmJob;
    static const KernelInfo kNaiveGemm = make_kernel<Job>("bench_naive_gemm", spirv::bench_naive_gemm);
    constexpr std::uint32_t kThreads = 64;
    Graph graph(device);
    Job job{};
    job.m = static_cast<std::uint32_t>(m);
    job.n = static_cast<std::uint32_t>(n);
    job.k = static_cast<std::uint32_t>(k);
    const auto external = [&](const char* name, const Buffer& buffer, const Shape& shape) {
        return graph.external(name, buffer.view(DType::f32, shape));
    };
    Operation operation = make_operation(kNaiveGemm, job,
                                         {{offsetof(Job, a), external("a", a, {m, k}), Access::read},
                                          {offsetof(Job, b), external("b", b, {k, n}), Access::read},
                                          {offsetof(Job, d), external("d", d, {m, n}), Access::write}},
                                         (m * n + kThreads - 1) / kThreads);
    operation.constants = {{gpu::SPEC_THREADS, kThreads}};
    graph.add(std::move(operation));
    Plan plan = graph.compile({.profile = true});
    plan.allocate();
    return plan;
}

}  // namespace heron::bench
