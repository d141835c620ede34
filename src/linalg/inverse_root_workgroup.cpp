// SPDX-License-Identifier: MIT
// Inverse roots of small matrices: coupled Newton, a workgroup each.
#include "heron/spirv/inverse_root_workgroup.hpp"

#include <algorithm>
#include <cstddef>
#include <string>
#include <utility>

#include "graph/element_bytes.hpp"
#include "linalg/blocks.hpp"
#include "linalg/inverse_root.hpp"

namespace heron {

static_assert(sizeof(gpu::InverseRootJob) == 96);

namespace {

constexpr KernelInfo kWorkgroup =
    make_kernel<gpu::InverseRootJob>("inverse_root_workgroup", spirv::inverse_root_workgroup);

struct Variant {
    std::uint32_t threads, pool, tiles, largest;
};

Variant choose_variant(const Capabilities& capabilities) {
    Variant variant{};
    // A little is left for the kernel's other variables; more than 64 KiB would keep other workgroups away.
    variant.pool = std::min<std::uint32_t>(capabilities.shared_memory_bytes, 65536) / 16 - 4;
    variant.threads = std::min({capabilities.cpu ? 8u : 256u, capabilities.max_workgroup_invocations,
                                capabilities.max_workgroup_size_x});
    std::uint32_t q = 1;
    while (12 * (q + 1) * (q + 1) <= variant.pool) ++q;
    variant.largest = 4 * q;
    variant.tiles = narrow(ceil_div(q * (q + 1) / 2, variant.threads));
    return variant;
}

}  // namespace

std::string root_workgroup_refusal(const Device& device, std::uint64_t n, const InverseRootOptions& options) {
    if (!options.one_workgroup) return "one workgroup is switched off";
    if (options.guess) return "one workgroup takes no guess";
    if (options.words == 2) return "one workgroup has one word an element";
    const RootMethod method = root_method(options, true);
    if (method != RootMethod::newton)
        return std::string("one workgroup has newton, not ") + to_string(method);
    const Variant variant = choose_variant(device.capabilities());
    if (n > variant.largest)
        return "above " + std::to_string(variant.largest) + " rows, shared memory's limit";
    // lavapipe ends an invocation's loops after 65,535 iterations: high roots with large budgets have more.
    const std::uint64_t products = 2 + root_products_of_power(options.p);
    const std::uint64_t loops =
        root_budget(options, RootMethod::newton) * products * variant.tiles * (ceil_div(n, 4) + 4);
    return loops <= 40000 ? "" : "too many iterations for one workgroup";
}

bool inverse_root_fits_one_workgroup(const Device& device, std::uint64_t n,
                                     const InverseRootOptions& options) {
    return root_workgroup_refusal(device, n, options).empty();
}

void add_root_workgroup(Graph& graph, const Tensor& a, const Tensor& x, const InverseRootOptions& options) {
    const Variant variant = choose_variant(graph.device().capabilities());
    gpu::InverseRootJob job{};
    job.n = narrow(a.rows());
    job.a_stride = narrow(a.stride());
    job.a_item = item_stride(a);
    job.x_stride = narrow(x.stride());
    job.x_item = item_stride(x);
    job.p = options.p;
    job.iterations = root_budget(options, RootMethod::newton);
    job.absolute = options.damping.absolute;
    job.relative = options.damping.relative;
    job.relative_to = static_cast<std::uint32_t>(options.damping.scale);
    job.tolerance = options.tolerance;
    job.flags = root_flags(options);
    std::vector<Operand> operands{
        {offsetof(gpu::InverseRootJob, a), a, Access::read},
        {offsetof(gpu::InverseRootJob, x), x, options.keep_on_failure ? Access::read_write : Access::write}};
    add_root_reports<gpu::InverseRootJob>(operands, options);
    Operation operation = make_operation(kWorkgroup, job, std::move(operands), a.batch());
    operation.constants = {{gpu::SPEC_THREADS, variant.threads},
                           {gpu::SPEC_DTYPE_A, static_cast<std::uint32_t>(a.dtype)},
                           {gpu::SPEC_POOL, variant.pool},
                           {gpu::SPEC_TILES, variant.tiles}};
    operation.reason = "three matrices fit shared memory: one workgroup for each root";
    const double n = static_cast<double>(a.rows());
    operation.flops =
        n * n * n * (1 + root_products_of_power(options.p)) * job.iterations * static_cast<double>(a.batch());
    operation.bytes = element_bytes(a, x);
    operation.guarded = options.guarded;
    graph.add(std::move(operation));
}

}  // namespace heron
