// SPDX-License-Identifier: MIT
// power_iteration(): products and normalisations in turn.
#include "heron/spirv/power_iteration.hpp"

#include <cmath>
#include <cstddef>
#include <string>

#include "core/number_text.hpp"
#include "graph/element_bytes.hpp"
#include "heron/linalg.hpp"
#include "linalg/checks.hpp"
#include "linalg/convert.hpp"
#include "linalg/power_iteration.h"

namespace heron {

namespace {

constexpr KernelInfo kPowerIteration =
    make_kernel<gpu::PowerIterationJob>("power_iteration", spirv::power_iteration);
constexpr std::string_view kWho = "power_iteration";

void add_step(Graph& graph, std::uint32_t how, const Tensor& v, const Tensor& w, const Tensor& value,
              const PowerIterationOptions& options) {
    gpu::PowerIterationJob job{};
    job.order = static_cast<std::uint32_t>(v.rows());
    job.mix = options.mix;
    job.has_status = options.status ? 1 : 0;
    std::vector<Operand> operands{{offsetof(gpu::PowerIterationJob, v), v, Access::read_write}};
    if (how == gpu::POWER_STEP) {
        operands.push_back({offsetof(gpu::PowerIterationJob, w), w, Access::read});
        operands.push_back({offsetof(gpu::PowerIterationJob, value), value, Access::write});
        if (options.status)
            operands.push_back({offsetof(gpu::PowerIterationJob, status), options.status, Access::write});
    }
    Operation operation = make_operation(kPowerIteration, job, std::move(operands), v.batch());
    operation.constants = {{gpu::SPEC_THREADS, graph.device().capabilities().cpu ? 8u : 128u},
                           {gpu::SPEC_POWER, how}};
    operation.reason = "one workgroup for each vector";
    operation.flops = 4.0 * static_cast<double>(v.shape.count());
    operation.bytes = 2.0 * element_bytes(v);
    operation.guarded = options.guarded;
    graph.add(std::move(operation));
}

}  // namespace

void power_iteration(Graph& graph, const Tensor& a, const Tensor& vector, const Tensor& value,
                     const PowerIterationOptions& options) {
    check_float_tensor(kWho, "A", graph, a);
    check_float_tensor(kWho, "vector", graph, vector);
    const std::uint64_t n = a.cols(), items = a.batch();
    if (a.rows() != n) refuse(kWho, "A is " + text(a) + "; it must be square");
    if (vector.dtype != DType::f32 || vector.shape.count() != items * n || !is_contiguous(vector))
        refuse(kWho, "vector is " + text(vector) + ", A is " + text(a) + "; it must be contiguous with " +
                         std::to_string(n) + " f32 for each matrix");
    check_one_each(kWho, "value", graph, value, a);
    check_no_overlap(kWho, "vector", vector, "A", a, graph);
    check_no_overlap(kWho, "value", value, "A", a, graph);
    check_no_overlap(kWho, "vector", vector, "value", value, graph);
    check_status_tensor(kWho, graph, options.status, items, {{"A", a}, {"vector", vector}, {"value", value}});
    if (options.iterations < 1 || options.iterations > 64)
        refuse(kWho, "iterations is " + std::to_string(options.iterations) + "; it must be 1 to 64");
    if (!std::isfinite(options.mix) || options.mix < 0.0f || options.mix > 1.0f)
        refuse(kWho, "mix is " + number_text(options.mix) + "; it must be between 0 and 1");
    if (n == 0 || items == 0) {
        add_zeros(graph, value, options.guarded);
        add_zeros(graph, options.status, options.guarded);
        return;
    }

    const Tensor v = vector.reshape(Shape{items, n, 1});
    const Tensor w = graph.temporary(DType::f32, Shape{items, n, 1});
    add_step(graph, gpu::POWER_START, v, w, value, options);
    for (std::uint32_t i = 0; i < options.iterations; ++i) {
        gemm(graph, a, v, Tensor{}, w, {.guarded = options.guarded});
        add_step(graph, gpu::POWER_STEP, v, w, value, options);
    }
}

}  // namespace heron
