// SPDX-License-Identifier: MIT
// polar() of small matrices: norm and all iterations in shared memory, one workgroup a matrix, one dispatch
// for all of them.
#include "linalg/polar_workgroup.h"

#include <algorithm>
#include <cstddef>
#include <utility>
#include <vector>

#include "graph/element_bytes.hpp"
#include "heron/spirv/polar_workgroup.hpp"
#include "linalg/integers.hpp"
#include "linalg/polar.hpp"

namespace heron {

namespace {

static_assert(sizeof(gpu::PolarWorkgroupJob) == 288);
static_assert(sizeof(gpu::PolarWorkgroupJob::coefficients) == 3 * gpu::POLAR_MAX_ITERATIONS * sizeof(float));

constexpr KernelInfo kWorkgroup =
    make_kernel<gpu::PolarWorkgroupJob>("polar_workgroup", spirv::polar_workgroup);

// How many invocations share the sum over K of each tile of S, q x q of which those on and above the diagonal
// are made: as many as are idle else, have 32 elements each, and find room for their sums behind S.
std::uint32_t splits_of(const PolarWorkgroupVariant& variant, std::uint64_t q, std::uint64_t K) {
    const std::uint64_t tiles = q * (q + 1) / 2;
    const std::uint64_t room = (variant.pool - K * q - 4 * q * q) / (4 * tiles);
    return narrow(std::clamp<std::uint64_t>(std::min({variant.threads / tiles, K / 32, 1 + room}), 1, 8));
}

// `coefficients` is at most POLAR_MAX_ITERATIONS long.
void add_workgroup(Graph& graph, const Tensor& x, const Tensor& result, std::uint32_t norm_rule,
                   std::span<const NewtonSchulzCoefficients> coefficients, const PolarOptions& options,
                   const Tensor& row_squares) {
    const PolarWorkgroupVariant variant = choose_polar_workgroup(graph.device().capabilities());
    gpu::PolarWorkgroupJob job{};
    job.rows = narrow(x.rows());
    job.cols = narrow(x.cols());
    job.x_stride = narrow(x.stride());
    job.x_item = narrow(item_of(x));
    job.x_dtype = static_cast<std::uint32_t>(x.dtype);
    job.result_stride = narrow(result.stride());
    job.result_item = narrow(item_of(result));
    job.result_dtype = static_cast<std::uint32_t>(result.dtype);
    job.norm_rule = norm_rule;
    job.norm_factor = static_cast<float>(options.norm_factor);
    job.eps = static_cast<float>(options.eps);
    job.iterations = narrow(coefficients.size());
    const bool has_status = options.status && norm_rule != gpu::POLAR_NORM_NONE;
    job.flags = (row_squares ? gpu::POLAR_ROW_SQUARES : 0) | (has_status ? gpu::POLAR_WORKGROUP_STATUS : 0);
    double flops = 0.0;
    const std::uint64_t k = std::min(x.rows(), x.cols()), K = std::max(x.rows(), x.cols());
    const std::uint64_t q = ceil_div(k, 4);
    job.strip_width = narrow(std::uint64_t{variant.threads} * variant.tiles / q);
    job.splits = splits_of(variant, q, K);
    const double square = static_cast<double>(k) * static_cast<double>(k);
    for (std::size_t i = 0; i < coefficients.size(); ++i) {
        job.coefficients[3 * i] = static_cast<float>(coefficients[i].a);
        job.coefficients[3 * i + 1] = static_cast<float>(coefficients[i].b);
        job.coefficients[3 * i + 2] = static_cast<float>(coefficients[i].c);
        flops += 3.0 * square * static_cast<double>(K) +
                 (coefficients[i].c != 0.0 ? square * static_cast<double>(k) : 0.0);
    }
    std::vector<Operand> operands{{offsetof(gpu::PolarWorkgroupJob, x), x, Access::read},
                                  {offsetof(gpu::PolarWorkgroupJob, result), result, Access::write}};
    if (row_squares)
        operands.push_back({offsetof(gpu::PolarWorkgroupJob, row_squares), row_squares, Access::write});
    if (has_status)
        operands.push_back({offsetof(gpu::PolarWorkgroupJob, status), options.status, Access::write});
    Operation operation = make_operation(kWorkgroup, job, std::move(operands), x.batch());
    operation.constants = {{gpu::SPEC_THREADS, variant.threads},
                           {gpu::SPEC_POOL, variant.pool},
                           {gpu::SPEC_TILES, variant.tiles}};
    operation.reason = "the matrix fits one workgroup's shared memory";
    if (row_squares) {
        operation.reason += "; with the squares of its rows";
        flops += 2.0 * static_cast<double>(k) * static_cast<double>(K);
    }
    operation.flops = flops * static_cast<double>(x.batch());
    operation.bytes = element_bytes(x, result, row_squares);
    operation.guarded = options.guarded;
    graph.add(std::move(operation));
}

}  // namespace

void add_polar_workgroup(Graph& graph, const Tensor& x, const Tensor& result, std::uint32_t norm_rule,
                         const PolarOptions& options, const Tensor& row_squares) {
    std::span<const NewtonSchulzCoefficients> rest = polar_coefficients(options);
    Tensor from = x;
    Tensor between = result;
    if (rest.size() > gpu::POLAR_MAX_ITERATIONS && result.dtype != DType::f32)
        between = polar_temporary(graph, x, DType::f32, x.rows(), x.cols());
    while (true) {
        const auto now = rest.first(std::min<std::size_t>(rest.size(), gpu::POLAR_MAX_ITERATIONS));
        rest = rest.subspan(now.size());
        const Tensor& to = rest.empty() ? result : between;
        add_workgroup(graph, from, to, norm_rule, now, options, rest.empty() ? row_squares : Tensor{});
        if (rest.empty()) return;
        from = between;
        norm_rule = gpu::POLAR_NORM_NONE;
    }
}

PolarWorkgroupVariant choose_polar_workgroup(const Capabilities& capabilities) {
    PolarWorkgroupVariant variant{};
    // More shared memory would keep other workgroups from a GPU's core.
    variant.pool = std::min<std::uint32_t>(capabilities.shared_memory_bytes, 65536) / 16;
    const std::uint32_t limit =
        std::min(capabilities.max_workgroup_invocations, capabilities.max_workgroup_size_x);
    variant.threads = std::min<std::uint32_t>(capabilities.cpu ? 16 : 256, limit);
    // The largest symmetric matrix: 2 k^2 floats.
    std::uint32_t q = 1;
    while ((q + 1) * 8 * (q + 1) <= variant.pool) ++q;
    variant.tiles = narrow(ceil_div(q * (q + 1) / 2, variant.threads));
    return variant;
}

bool polar_fits_one_workgroup(const Device& device, std::uint64_t rows, std::uint64_t cols,
                              const PolarOptions& options) {
    if (!options.one_workgroup || polar_has_two_f32_words(options) || rows == 0 || cols == 0) return false;
    const std::uint64_t k = std::min(rows, cols), K = std::max(rows, cols);
    const std::uint64_t q = ceil_div(k, 4);
    // Long matrices also need room to split the sums over K, 7 partial results for each tile of S.
    const std::uint64_t scratch = K >= 16 * q ? 7 * 2 * q * (q + 1) : 0;
    return q * (K + 4 * q) + scratch <= choose_polar_workgroup(device.capabilities()).pool;
}

}  // namespace heron
