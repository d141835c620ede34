// SPDX-License-Identifier: MIT
// Norms of rows and columns in one or two passes, and the kernel that scales by them.
#include "heron/linalg/norms.hpp"

#include <algorithm>
#include <bit>
#include <cmath>
#include <cstddef>
#include <limits>
#include <string>

#include "core/number_text.hpp"
#include "graph/element_bytes.hpp"
#include "heron/spirv/line_norms.hpp"
#include "heron/spirv/scale_lines.hpp"
#include "linalg/checks.hpp"
#include "linalg/integers.hpp"
#include "linalg/norms.h"

namespace heron {

static_assert(sizeof(gpu::LineNormsJob) == 72 && offsetof(gpu::LineNormsJob, first_group) == 68);
static_assert(sizeof(gpu::ScaleLinesJob) == 72 && offsetof(gpu::ScaleLinesJob, first_group) == 68);
static_assert(static_cast<std::uint32_t>(NormKind::two) == gpu::NORM_TWO &&
              static_cast<std::uint32_t>(NormKind::squared) == gpu::NORM_SQUARED &&
              static_cast<std::uint32_t>(NormKind::one) == gpu::NORM_ONE &&
              static_cast<std::uint32_t>(NormKind::infinity) == gpu::NORM_INFINITY);

namespace {

constexpr KernelInfo kLineNorms = make_kernel<gpu::LineNormsJob>("line_norms", spirv::line_norms);
constexpr KernelInfo kScaleLines = make_kernel<gpu::ScaleLinesJob>("scale_lines", spirv::scale_lines);

enum class Axis { rows, columns };  // what the lines are

// Elements of a line for each of its lanes, as in the shader.
constexpr std::uint64_t kPerLane = 512;

std::uint64_t lines_of(const Tensor& x, Axis axis) { return axis == Axis::rows ? x.rows() : x.cols(); }

void check_kind(std::string_view who, NormKind kind) {
    if (static_cast<std::uint32_t>(kind) > gpu::NORM_INFINITY) refuse(who, "kind is not one of NormKind");
}

// gpu::NORM_POWER: the lines' maxima, and the exponent.
struct Power {
    Tensor maxima;
    float exponent = 1;
};

// Checks nothing. With maxima, `kind` does not matter.
void add_norms(Graph& graph, Axis axis, const Tensor& x, const Tensor& result, NormKind kind, bool guarded,
               const Power& power = {}) {
    const bool rows = axis == Axis::rows;
    std::uint64_t lines = lines_of(x, axis), length = rows ? x.cols() : x.rows(), items = x.batch();
    if (lines * items == 0) return;
    const std::uint32_t threads = graph.device().capabilities().cpu ? 8 : 128;
    Tensor from = x;
    bool partial = false, last = false;
    for (; !last; partial = true) {
        gpu::LineNormsJob job{};
        job.lines = narrow(lines);
        job.extent = narrow(length);
        job.line_stride = narrow(partial ? length : rows ? x.stride() : 1);
        job.element_stride = narrow(partial || rows ? 1 : x.stride());
        job.item_stride = partial ? 0 : batch_stride(x);
        // Columns side by side are loads side by side already, as long as there are enough of them.
        const std::uint64_t wanted = partial || rows ? ceil_div(length, 8) : threads / lines;
        job.lanes = std::min(threads, std::bit_ceil(narrow(std::clamp<std::uint64_t>(wanted, 1, threads))));
        job.line_groups = narrow(ceil_div(lines, threads / job.lanes));
        job.chunks = narrow(std::max<std::uint64_t>(1, ceil_div(length, kPerLane * job.lanes)));
        job.partial = partial ? 1 : 0;
        job.exponent = power.exponent;
        last = job.chunks == 1;
        const Tensor to = last ? result : graph.temporary(DType::f32, Shape{items * lines, job.chunks, 3});
        Operation operation = make_operation(
            kLineNorms, job,
            {{offsetof(gpu::LineNormsJob, from), from, Access::read},
             {offsetof(gpu::LineNormsJob, to), to, Access::write},
             {offsetof(gpu::LineNormsJob, maxima), power.maxima ? power.maxima : from, Access::read}},
            items * job.line_groups * job.chunks);
        operation.constants = {
            {gpu::SPEC_THREADS, threads},
            {gpu::SPEC_NORM, power.maxima ? gpu::NORM_POWER : static_cast<std::uint32_t>(kind)},
            {gpu::SPEC_DTYPE_A, static_cast<std::uint32_t>(x.dtype)}};
        operation.reason = last ? "lines fit a workgroup" : "512 elements a lane, partial results";
        operation.flops =
            (power.maxima ? 6.0 : 2.0) * static_cast<double>(length) * static_cast<double>(lines * items);
        operation.bytes = element_bytes(from, to);
        operation.guarded = guarded;
        graph.add(std::move(operation));
        from = to;
        lines *= items;  // partial results have no gaps
        items = 1;
        length = job.chunks;
    }
}

void check_lines(std::string_view who, const char* name, const Graph& graph, const Tensor& x, Axis axis,
                 const Tensor& lines, bool may_be_shared) {
    check_float_tensor(who, name, graph, lines);
    const std::uint64_t each = lines_of(x, axis);
    const std::uint64_t count = lines.shape.count();
    const bool fits = count == each * x.batch() || (may_be_shared && count == each);
    if (lines.dtype != DType::f32 || !fits || !is_contiguous(lines))
        refuse(who, std::string(name) + " is " + text(lines) + ", x is " + text(x) +
                        "; it must be a contiguous tensor of " + std::to_string(each * x.batch()) +
                        " f32, one for each " + (axis == Axis::rows ? "row" : "column"));
}

void check_norms(std::string_view who, const Graph& graph, Axis axis, const Tensor& x, const Tensor& result) {
    check_float_tensor(who, "x", graph, x);
    check_lines(who, "`result`", graph, x, axis, result, false);
    check_no_overlap(who, "`result`", result, "x", x, graph);
}

void norms(std::string_view who, Graph& graph, Axis axis, const Tensor& x, const Tensor& result,
           NormKind kind, bool guarded) {
    check_kind(who, kind);
    check_norms(who, graph, axis, x, result);
    add_norms(graph, axis, x, result, kind, guarded);
}

void power_norms(std::string_view who, Graph& graph, Axis axis, const Tensor& x, const Tensor& result,
                 float exponent, bool guarded) {
    if (!(exponent >= std::numeric_limits<float>::min()))  // subnormal ones have no reciprocal
        refuse(who, "exponent is " + number_text(exponent) + "; it must be at least 2^-126, or infinity");
    check_norms(who, graph, axis, x, result);
    if (exponent == 1) return add_norms(graph, axis, x, result, NormKind::one, guarded);
    if (exponent == 2) return add_norms(graph, axis, x, result, NormKind::two, guarded);
    if (std::isinf(exponent)) return add_norms(graph, axis, x, result, NormKind::infinity, guarded);
    if (x.batch() * lines_of(x, axis) == 0) return;
    const Tensor maxima = graph.temporary(DType::f32, Shape{x.batch() * lines_of(x, axis)});
    add_norms(graph, axis, x, maxima, NormKind::infinity, guarded);
    add_norms(graph, axis, x, result, NormKind::one, guarded, {maxima, exponent});
}

void check_scaled(std::string_view who, const Graph& graph, const Tensor& x, const Tensor& out) {
    check_float_tensor(who, "x", graph, x);
    check_float_tensor(who, "`out`", graph, out);
    if (x.shape != out.shape)
        refuse(who, "`out` is " + text(out) + ", x is " + text(x) + "; shapes must agree");
    if (!same_place(graph, x, out)) check_no_overlap(who, "`out`", out, "x", x, graph);
}

// Checks nothing.
void add_scale(Graph& graph, Axis axis, const Tensor& x, const Tensor& factors, const Tensor& out,
               gpu::ScaleLinesJob job, bool guarded) {
    if (x.shape.count() == 0) return;
    const std::uint64_t lines = lines_of(x, axis);
    job.rows = narrow(x.batch() * x.rows());
    job.cols = narrow(x.cols());
    job.from_stride = narrow(x.stride());
    job.to_stride = narrow(out.stride());
    job.lines = narrow(lines);
    job.item_rows = narrow(x.rows());
    job.factor_items = narrow(factors.shape.count() / lines);
    job.flags |= (axis == Axis::columns ? gpu::SCALE_COLUMNS : 0) |
                 (job.rows == 1 || job.to_stride % 2 == 0 ? gpu::SCALE_PAIRS : 0);

    const bool cpu = graph.device().capabilities().cpu;
    const std::uint32_t threads = cpu ? 8 : 128;
    const std::uint32_t per_thread = cpu ? 128 : 4;  // few workgroups where one costs a microsecond
    const std::uint64_t pairs = std::uint64_t{job.rows} * ceil_div(job.cols, 2);
    Operation operation = make_operation(kScaleLines, job,
                                         {{offsetof(gpu::ScaleLinesJob, from), x, Access::read},
                                          {offsetof(gpu::ScaleLinesJob, factors), factors, Access::read},
                                          {offsetof(gpu::ScaleLinesJob, to), out, Access::write}},
                                         ceil_div(pairs, std::uint64_t{threads} * per_thread));
    operation.constants = {{gpu::SPEC_THREADS, threads},
                           {gpu::SPEC_DTYPE_A, static_cast<std::uint32_t>(x.dtype)},
                           {gpu::SPEC_DTYPE_D, static_cast<std::uint32_t>(out.dtype)},
                           {gpu::SPEC_PER_THREAD, per_thread}};
    operation.reason = "the only one";
    operation.flops = static_cast<double>(x.shape.count());
    operation.bytes = element_bytes(x, out, factors);
    operation.guarded = guarded;
    graph.add(std::move(operation));
}

void scale(std::string_view who, Graph& graph, Axis axis, const Tensor& x, const Tensor& factors,
           const Tensor& out, bool guarded) {
    check_scaled(who, graph, x, out);
    check_lines(who, "`factors`", graph, x, axis, factors, true);
    check_no_overlap(who, "`out`", out, "`factors`", factors, graph);
    add_scale(graph, axis, x, factors, out, {}, guarded);
}

void normalize(std::string_view who, Graph& graph, Axis axis, const Tensor& x, const Tensor& out,
               const NormalizeOptions& options) {
    check_kind(who, options.kind);
    check_scaled(who, graph, x, out);
    if (!(options.eps >= 0) || !std::isfinite(options.eps) || !std::isfinite(options.scale))
        refuse(who, "eps is " + number_text(options.eps) + ", scale " + number_text(options.scale) +
                        "; eps must be at least 0, and both finite");
    check_enumerator(who, options.rule, NormRule::clamped, "rule is not one of NormRule");
    if (x.shape.count() == 0) return;
    const Tensor norms = graph.temporary(DType::f32, Shape{x.batch() * lines_of(x, axis)});
    add_norms(graph, axis, x, norms, options.kind, options.guarded);
    gpu::ScaleLinesJob job{};
    job.flags = gpu::SCALE_DIVIDE | (options.rule == NormRule::added ? gpu::SCALE_ADD : 0);
    job.eps = options.eps;
    job.scale = options.scale;
    add_scale(graph, axis, x, norms, out, job, options.guarded);
}

}  // namespace

void row_norms(Graph& graph, const Tensor& x, const Tensor& result, NormKind kind, bool guarded) {
    norms("row_norms", graph, Axis::rows, x, result, kind, guarded);
}
void column_norms(Graph& graph, const Tensor& x, const Tensor& result, NormKind kind, bool guarded) {
    norms("column_norms", graph, Axis::columns, x, result, kind, guarded);
}

void row_power_norms(Graph& graph, const Tensor& x, const Tensor& result, float exponent, bool guarded) {
    power_norms("row_power_norms", graph, Axis::rows, x, result, exponent, guarded);
}
void column_power_norms(Graph& graph, const Tensor& x, const Tensor& result, float exponent, bool guarded) {
    power_norms("column_power_norms", graph, Axis::columns, x, result, exponent, guarded);
}

void scale_rows(Graph& graph, const Tensor& x, const Tensor& factors, const Tensor& out, bool guarded) {
    scale("scale_rows", graph, Axis::rows, x, factors, out, guarded);
}
void scale_columns(Graph& graph, const Tensor& x, const Tensor& factors, const Tensor& out, bool guarded) {
    scale("scale_columns", graph, Axis::columns, x, factors, out, guarded);
}

void normalize_rows(Graph& graph, const Tensor& x, const Tensor& out, const NormalizeOptions& options) {
    normalize("normalize_rows", graph, Axis::rows, x, out, options);
}
void normalize_columns(Graph& graph, const Tensor& x, const Tensor& out, const NormalizeOptions& options) {
    normalize("normalize_columns", graph, Axis::columns, x, out, options);
}

}  // namespace heron
