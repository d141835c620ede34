// SPDX-License-Identifier: MIT
// matrix_power(): eigh, the function of the eigenvalues, one symmetric product.
#include "heron/spirv/matrix_power.hpp"

#include <cmath>
#include <cstddef>
#include <limits>
#include <string>

#include "core/enumerator.hpp"
#include "core/number_text.hpp"
#include "graph/element_bytes.hpp"
#include "heron/linalg.hpp"
#include "linalg/checks.hpp"
#include "linalg/convert.hpp"
#include "linalg/integers.hpp"
#include "linalg/matrix_power.h"
#include "linalg/spectrum_power.hpp"
#include "linalg/split_exponent.hpp"

namespace heron {

namespace {

constexpr KernelInfo kMatrixPower = make_kernel<gpu::MatrixPowerJob>("matrix_power", spirv::matrix_power);

void check_number(const char* name, double value, bool may_be_negative) {
    if (!std::isfinite(value) || (!may_be_negative && value < 0.0))
        refuse("matrix_power", std::string(name) + " is " + std::to_string(value) + "; it must be finite" +
                                   (may_be_negative ? "" : " and not negative"));
}

}  // namespace

void matrix_power(Graph& graph, const Tensor& a, const Tensor& result, const MatrixPowerOptions& options) {
    check_float_tensor("matrix_power", "A", graph, a);
    check_float_tensor("matrix_power", "result", graph, result);
    const std::uint64_t n = a.cols(), items = a.batch();
    if (a.rows() != n) refuse("matrix_power", "A is " + text(a) + "; it must be square");
    if (result.dtype != DType::f32 || result.rows() != n || result.cols() != n || result.batch() != items)
        refuse("matrix_power",
               "result is " + text(result) + ", A is " + text(a) + "; it must be f32 and of the same shape");
    check_number("exponent", options.exponent, true);
    if (std::abs(options.exponent) > std::numeric_limits<float>::max())
        refuse("matrix_power",
               "exponent is " + number_text(options.exponent) + "; it must be within f32's range");
    check_number("damping", static_cast<double>(options.damping), false);
    check_number("relative_damping", static_cast<double>(options.relative_damping), false);
    check_number("floor", static_cast<double>(options.floor), false);
    check_number("absolute_floor", static_cast<double>(options.absolute_floor), false);
    if (!is_enumerator(options.floor_rule, SpectrumFloor::exact))
        refuse("matrix_power", "floor_rule is not one of SpectrumFloor");
    if (options.floor >= 1.0f)
        refuse("matrix_power", "floor is " + number_text(options.floor) + "; it must be below 1");
    for (const Tensor& used : {a, options.basis, options.vectors, options.values, options.status})
        if (used) check_no_overlap("matrix_power", "result", result, "another operand", used, graph);
    check_status_tensor(
        "matrix_power", graph, options.status, items,
        {{"A", a}, {"values", options.values}, {"vectors", options.vectors}, {"the basis", options.basis}});

    const Tensor values = options.values ? options.values : graph.temporary(DType::f32, Shape{items, n});
    const Tensor vectors =
        options.vectors ? options.vectors : graph.temporary(DType::f32, Shape{items, n, n});
    const Tensor status = graph.temporary(DType::u32, Shape{items});
    eigh(graph, a, values, vectors, {.basis = options.basis, .status = status, .guarded = options.guarded});
    if (n == 0 || items == 0) {
        add_zeros(graph, options.status, options.guarded);
        return;
    }

    spectrum_power(graph, values, vectors, status, result, options);
}

void spectrum_power(Graph& graph, const Tensor& values, const Tensor& vectors, const Tensor& status,
                    const Tensor& result, const MatrixPowerOptions& options) {
    const std::uint64_t n = result.cols(), items = result.batch();
    const std::uint32_t threads = graph.device().capabilities().cpu ? 8 : 64;
    const Tensor w = graph.temporary(DType::f32, Shape{items, n, n});
    gpu::MatrixPowerJob job{};
    job.order = narrow(n);
    job.v_stride = narrow(vectors.stride());
    job.v_item = narrow(n * vectors.stride());
    job.row_chunks = narrow((n + gpu::POWER_ROWS - 1) / gpu::POWER_ROWS);
    job.chunks = narrow((n * job.row_chunks + threads - 1) / threads);
    const SplitExponent exponent = split_exponent(options.exponent);
    job.exponent_high = exponent.high;
    job.exponent_low = exponent.low;
    job.damping = options.damping;
    job.relative_damping = options.relative_damping;
    job.floor = options.floor > 0.0f ? options.floor : static_cast<float>(n) * 0x1p-23f;
    job.rule = static_cast<std::uint32_t>(options.floor_rule);
    job.has_status = options.status ? 1 : 0;
    job.absolute_floor = options.absolute_floor;
    std::vector<Operand> operands{{offsetof(gpu::MatrixPowerJob, v), vectors, Access::read},
                                  {offsetof(gpu::MatrixPowerJob, values), values, Access::read},
                                  {offsetof(gpu::MatrixPowerJob, w), w, Access::write},
                                  {offsetof(gpu::MatrixPowerJob, eigh_status), status, Access::read}};
    if (options.status)
        operands.push_back({offsetof(gpu::MatrixPowerJob, status), options.status, Access::write});
    Operation operation = make_operation(kMatrixPower, job, std::move(operands), items * job.chunks);
    operation.constants = {{gpu::SPEC_THREADS, threads}};
    operation.reason = "64 rows of a column for each invocation";
    operation.flops = static_cast<double>(items * n * n);
    operation.bytes = element_bytes(vectors, w);
    operation.guarded = options.guarded;
    graph.add(std::move(operation));
    gemm(graph, w, vectors, Tensor{}, result,
         {.transpose_b = Transpose::yes, .symmetric = true, .guarded = options.guarded});
}

}  // namespace heron
