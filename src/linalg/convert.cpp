// SPDX-License-Identifier: MIT
// convert(): to = scale * from between dtypes and strides.
#include "linalg/convert.hpp"

#include <cmath>
#include <cstddef>
#include <cstdint>

#include "core/number_text.hpp"
#include "graph/element_bytes.hpp"
#include "heron/spirv/convert.hpp"
#include "linalg/checks.hpp"
#include "linalg/convert.h"
#include "linalg/integers.hpp"

namespace heron {

static_assert(sizeof(gpu::ConvertJob) == 48 && offsetof(gpu::ConvertJob, first_group) == 44);

namespace {

constexpr KernelInfo kConvert = make_kernel<gpu::ConvertJob>("convert", spirv::convert);

}  // namespace

void add_convert(Graph& graph, const Tensor& from, const Tensor& to, float scale, bool guarded) {
    const std::uint64_t count = to.shape.count();
    if (count == 0) return;
    const bool zero = !from;
    const bool whole = zero || from.batch() == to.batch();
    // Without gaps everything is one long row, whose pairs are words of 16-bit data even where the rows are
    // odd.
    const bool one_row = to.stride() == to.cols() && (zero || (whole && from.stride() == from.cols()));

    gpu::ConvertJob job{};
    job.rows = one_row ? 1 : narrow(to.batch() * to.rows());
    job.cols = one_row ? narrow(count) : narrow(to.cols());
    job.from_rows = zero || one_row ? 1 : narrow(from.batch() * from.rows());
    job.from_stride = zero || one_row ? 0 : narrow(from.stride());
    job.to_stride = one_row ? 0 : narrow(to.stride());
    job.flags = (scale != 1.0f ? gpu::CONVERT_SCALE : 0) | (zero ? gpu::CONVERT_ZERO : 0) |
                (one_row || job.rows == 1 || job.to_stride % 2 == 0 ? gpu::CONVERT_PAIRS : 0);
    job.scale = scale;

    const bool cpu = graph.device().capabilities().cpu;
    const std::uint32_t threads = cpu ? 8 : 128;
    const std::uint32_t per_thread = cpu ? 256 : 4;  // few workgroups where one costs a microsecond
    const std::uint64_t pairs = std::uint64_t{job.rows} * ((std::uint64_t{job.cols} + 1) / 2);
    const std::uint64_t per_group = std::uint64_t{threads} * per_thread;
    std::vector<Operand> operands{{offsetof(gpu::ConvertJob, to), to, Access::write}};
    if (!zero) operands.push_back({offsetof(gpu::ConvertJob, from), from, Access::read});
    Operation operation =
        make_operation(kConvert, job, std::move(operands), (pairs + per_group - 1) / per_group);
    operation.constants = {{gpu::SPEC_THREADS, threads},
                           {gpu::SPEC_DTYPE_A, static_cast<std::uint32_t>(zero ? to.dtype : from.dtype)},
                           {gpu::SPEC_DTYPE_D, static_cast<std::uint32_t>(to.dtype)},
                           {gpu::SPEC_PER_THREAD, per_thread}};
    operation.reason = "the only one";
    operation.flops = static_cast<double>(count);
    operation.bytes = element_bytes(to) + (zero ? 0 : element_bytes(from));
    operation.guarded = guarded;
    graph.add(std::move(operation));
}

bool has_even_items(const Tensor& x) {
    return x.batch() == 1 || x.rows() * x.stride() * bytes_of(x.dtype) % sizeof(std::uint32_t) == 0;
}

DType with_even_items_dtype(const Tensor& x) { return has_even_items(x) ? x.dtype : DType::f32; }

Tensor with_even_items(Graph& graph, const Tensor& x, bool guarded) {
    if (has_even_items(x)) return x;
    const Tensor copy = graph.temporary(with_even_items_dtype(x), x.shape);
    add_convert(graph, x, copy, 1.0f, guarded);
    return copy;
}

void add_zeros(Graph& graph, const Tensor& words, bool guarded) {
    if (!words) return;
    Tensor floats = words;
    floats.dtype = DType::f32;
    add_convert(graph, {}, floats, 0.0f, guarded);
}

void convert(Graph& graph, const Tensor& from, const Tensor& to, float scale, bool guarded) {
    check_float_tensor("convert", "`from`", graph, from);
    check_float_tensor("convert", "`to`", graph, to);
    if (from.shape != to.shape)
        refuse("convert", "`from` is " + text(from) + ", `to` is " + text(to) + "; shapes must agree");
    if (!std::isfinite(scale)) refuse("convert", "scale is " + number_text(scale) + "; it must be finite");
    if (!same_place(graph, from, to)) check_no_overlap("convert", "`to`", to, "`from`", from, graph);
    add_convert(graph, from, to, scale, guarded);
}

}  // namespace heron
