// SPDX-License-Identifier: MIT
// condition_estimate(): two power iterations.
#include "linalg/condition.h"

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <string>
#include <utility>
#include <vector>

#include "graph/element_bytes.hpp"
#include "heron/linalg/power_iteration.hpp"
#include "heron/spirv/condition.hpp"
#include "linalg/checks.hpp"
#include "linalg/convert.hpp"
#include "linalg/integers.hpp"

namespace heron {

namespace {

static_assert(sizeof(gpu::ConditionJob) == 64);
constexpr KernelInfo kCondition = make_kernel<gpu::ConditionJob>("condition", spirv::condition);
constexpr std::string_view kWho = "condition_estimate";

// From a start of its own: power_iteration() begins zeros anew.
Tensor largest_eigenvalue(Graph& graph, const Tensor& a, std::uint32_t iterations, bool guarded) {
    const Tensor vector = graph.temporary(DType::f32, Shape{a.batch(), a.rows(), 1}),
                 value = graph.temporary(DType::f32, Shape{a.batch()});
    add_zeros(graph, vector, guarded);
    power_iteration(graph, a, vector, value, {.iterations = iterations, .guarded = guarded});
    return value;
}

}  // namespace

void condition_estimate(Graph& graph, const Tensor& a, const Tensor& x, const Tensor& condition,
                        const ConditionOptions& options) {
    check_float_tensor(kWho, "A", graph, a);
    check_float_tensor(kWho, "X", graph, x);
    const std::uint64_t items = a.batch();
    if (a.rows() != a.cols()) refuse(kWho, "A is " + text(a) + "; it must be square");
    if (a.shape != x.shape) refuse(kWho, "A is " + text(a) + ", X is " + text(x) + "; shapes must agree");
    check_one_each(kWho, "condition", graph, condition, a);
    check_no_overlap(kWho, "condition", condition, "A", a, graph);
    check_no_overlap(kWho, "condition", condition, "X", x, graph);
    check_status_tensor(kWho, graph, options.root_status, items, {{"condition", condition}});
    if (!(options.root > 0) || !std::isfinite(options.root))
        refuse(kWho, "root is " + std::to_string(options.root) + "; it must be finite and above 0");
    for (const auto& [name, value] :
         {std::pair{"damping", options.damping}, std::pair{"relative_damping", options.relative_damping}})
        if (!(value >= 0) || !std::isfinite(value))
            refuse(kWho, std::string(name) + " is " + std::to_string(value) +
                             "; it must be finite and not negative");
    if (options.iterations < 1 || options.iterations > 64)
        refuse(kWho, "iterations is " + std::to_string(options.iterations) + "; it must be 1 to 64");
    if (a.shape.count() == 0) {
        add_zeros(graph, condition, options.guarded);
        return;
    }
    using Job = gpu::ConditionJob;
    constexpr std::uint32_t kThreads = 32;
    // A step with A^-1 = X^r has r products.
    const auto root_iterations = static_cast<std::uint32_t>(
        std::min(64.0, std::ceil(std::max(1.0, options.root) * options.iterations)));
    const Tensor norm = largest_eigenvalue(graph, a, options.iterations, options.guarded),
                 inverse_norm = largest_eigenvalue(graph, x, root_iterations, options.guarded);
    Job job{};
    job.root = static_cast<float>(options.root);
    job.damping = options.damping;
    job.relative = options.relative_damping;
    job.items = narrow(items);
    job.has_status = options.root_status ? 1 : 0;
    std::vector<Operand> operands{{offsetof(Job, norm), norm, Access::read},
                                  {offsetof(Job, inverse_norm), inverse_norm, Access::read},
                                  {offsetof(Job, condition), condition, Access::write}};
    if (options.root_status) operands.push_back({offsetof(Job, status), options.root_status, Access::read});
    Operation operation = make_operation(kCondition, job, std::move(operands), ceil_div(items, kThreads));
    operation.constants = {{gpu::SPEC_THREADS, kThreads}};
    operation.reason = "the only implementation";
    operation.flops = 4.0 * static_cast<double>(items);
    operation.bytes = element_bytes(norm, inverse_norm, condition);
    operation.guarded = options.guarded;
    graph.add(std::move(operation));
}

}  // namespace heron
