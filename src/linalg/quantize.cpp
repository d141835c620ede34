// SPDX-License-Identifier: MIT
// quantize() and dequantize(); the kernels are shaders/linalg/quantize.comp and dequantize.comp.
#include "linalg/quantize.hpp"

#include <algorithm>
#include <bit>
#include <cmath>
#include <cstddef>
#include <string>

#include "heron/spirv/dequantize.hpp"
#include "heron/spirv/quantize.hpp"
#include "linalg/checks.hpp"
#include "linalg/integers.hpp"
#include "linalg/quantize.h"

namespace heron {

static_assert(sizeof(gpu::QuantizeCode) == 24);
static_assert(sizeof(gpu::QuantizeJob) == 104);
static_assert(sizeof(gpu::DequantizeJob) == 80);

namespace {

constexpr KernelInfo kQuantize = make_kernel<gpu::QuantizeJob>("quantize", spirv::quantize);
constexpr KernelInfo kDequantize = make_kernel<gpu::DequantizeJob>("dequantize", spirv::dequantize);

// Between two levels in the space of q: as f32 has it, like the authors' table.
float step_of(std::uint32_t bits) { return 2.0f / static_cast<float>((1u << bits) - 1); }

gpu::QuantizeCode code_of(std::uint64_t cols, const QuantizeOptions& options) {
    gpu::QuantizeCode code{};
    code.bits = options.bits;
    code.block = options.block;
    code.blocks = narrow(ceil_div(cols, options.block));
    code.words = narrow(options.bits == kPlainBits ? cols : quantized_words(cols, options.bits));
    if (options.bits != kPlainBits) {
        const float step = step_of(options.bits);
        code.step_high = std::bit_cast<float>(std::bit_cast<std::uint32_t>(step) & 0xffffff00u);
        code.step_low = step - code.step_high;
    }
    return code;
}

double code_bytes(std::uint64_t rows, const gpu::QuantizeCode& code) {
    return 4.0 * static_cast<double>(rows) * (code.words + (code.bits == kPlainBits ? 0.0 : code.blocks));
}

void add_quantize(Graph& graph, gpu::QuantizeJob job, const Tensor& x, const QuantizedMatrix& to,
                  const QuantizeOptions& options) {
    using Job = gpu::QuantizeJob;
    if (job.rows == 0 || job.cols == 0) return;
    job.code = code_of(job.cols, options);
    const std::uint32_t threads = graph.device().capabilities().cpu ? 8 : 64;
    std::vector<Operand> operands{{offsetof(Job, codes), to.codes, Access::write}};
    if (x) operands.push_back({offsetof(Job, from), x, Access::read});
    if (to.absmax) operands.push_back({offsetof(Job, absmax), to.absmax, Access::write});
    if (to.diagonal) {
        job.flags |= gpu::QUANTIZE_DIAGONAL;
        operands.push_back({offsetof(Job, diagonal), to.diagonal, Access::write});
    }
    if (options.status) {
        job.flags |= gpu::QUANTIZE_STATUS;
        operands.push_back({offsetof(Job, status), options.status, Access::read});
    }
    if (options.failures) {
        job.flags |= gpu::QUANTIZE_FAILURES;
        operands.push_back({offsetof(Job, failures), options.failures, Access::read_write});
    }
    Operation operation = make_operation(kQuantize, job, std::move(operands),
                                         ceil_div(std::uint64_t{job.rows} * job.code.blocks, threads));
    operation.constants = {{gpu::SPEC_THREADS, threads}};
    operation.reason = "the only one";
    const double elements = static_cast<double>(job.rows) * job.cols;
    operation.flops = (4.0 + 10.0 * options.bits) * elements;
    operation.bytes = (x ? 8.0 : 0.0) * elements + code_bytes(job.rows, job.code);
    operation.guarded = options.guarded;
    graph.add(std::move(operation));
}

void check_words(const char* who, const char* name, const Graph& graph, const Tensor& tensor, DType dtype,
                 std::uint64_t count, const std::string& what) {
    if (!tensor || tensor.dtype != dtype || tensor.shape.count() != count || !is_contiguous(tensor))
        refuse(who, std::string(name) + " is " + (tensor ? text(tensor) : "empty") +
                        "; it must be contiguous with " + std::to_string(count) + " " + to_string(dtype) +
                        ", " + what);
    if (dtype == DType::u32)
        check_indices(who, graph, tensor);
    else
        check_float_tensor(who, name, graph, tensor);
}

void check(const char* who, const Graph& graph, const Tensor& x, std::uint64_t rows, std::uint64_t cols,
           const QuantizedMatrix& matrix, const QuantizeOptions& options) {
    check_float_tensor(who, "x", graph, x);
    if (x.dtype != DType::f32 || x.batch() != 1)
        refuse(who, "x is " + text(x) + "; it must be one matrix of f32");
    if (options.bits != 2 && options.bits != 4 && options.bits != 8)
        refuse(who, "bits is " + std::to_string(options.bits) + "; it must be 2, 4 or 8");
    if (options.block < 16 || options.block > 4096 || options.block % 16 != 0)
        refuse(who,
               "block is " + std::to_string(options.block) + "; it must be a multiple of 16, 16 to 4096");
    check_enumerator(who, options.transpose, Transpose::yes, "transpose is not one of Transpose");
    check_words(who, "codes", graph, matrix.codes, DType::u32, rows * quantized_words(cols, options.bits),
                "whole words for each row");
    check_words(who, "absmax", graph, matrix.absmax, DType::f32, rows * ceil_div(cols, options.block),
                "one for each block of a row");
    if (matrix.diagonal)
        check_words(who, "diagonal", graph, matrix.diagonal, DType::f32, std::min(rows, cols),
                    "one for each element of the diagonal");
    check_no_overlap(who, "codes", matrix.codes, "x", x, graph);
    check_no_overlap(who, "absmax", matrix.absmax, "x", x, graph);
    check_no_overlap(who, "codes", matrix.codes, "absmax", matrix.absmax, graph);
    if (matrix.diagonal) {
        check_no_overlap(who, "diagonal", matrix.diagonal, "x", x, graph);
        check_no_overlap(who, "diagonal", matrix.diagonal, "codes", matrix.codes, graph);
        check_no_overlap(who, "diagonal", matrix.diagonal, "absmax", matrix.absmax, graph);
    }
}

}  // namespace

float quantized_level(std::uint32_t code, std::uint32_t bits) {
    if ((bits != 2 && bits != 4 && bits != 8) || code >> bits != 0)
        refuse("quantized_level", "code " + std::to_string(code) + " of " + std::to_string(bits) +
                                      " bits; bits is 2, 4 or 8, and the code below 2^bits");
    const std::uint32_t last = (1u << bits) - 1, middle = last / 2;
    if (code == middle) return 0.0f;
    const bool below = code < middle;
    const float q = std::fma(step_of(bits), static_cast<float>(below ? code : last - code), -1.0f);
    return below ? -q * q : q * q;
}

void quantize(Graph& graph, const Tensor& x, const QuantizedMatrix& to, const QuantizeOptions& options) {
    const char* who = "quantize";
    const bool turned = options.transpose == Transpose::yes;
    const std::uint64_t rows = turned ? x.cols() : x.rows(), cols = turned ? x.rows() : x.cols();
    check(who, graph, x, rows, cols, to, options);
    check_status_tensor(who, graph, options.status, 1,
                        {{"codes", to.codes}, {"absmax", to.absmax}, {"diagonal", to.diagonal}});
    check_status_tensor(who, graph, options.failures, 1,
                        {{"codes", to.codes},
                         {"absmax", to.absmax},
                         {"diagonal", to.diagonal},
                         {"x", x},
                         {"status", options.status}});
    if (options.failures && !options.status) refuse(who, "failures are counted by `status`, which is empty");
    store_matrix(graph, x, to, options);
}

void dequantize(Graph& graph, const QuantizedMatrix& from, const Tensor& x, const QuantizeOptions& options) {
    using Job = gpu::DequantizeJob;
    check("dequantize", graph, x, x.rows(), x.cols(), from, options);
    if (x.shape.count() == 0) return;
    Job job{};
    job.code = code_of(x.cols(), options);
    job.rows = narrow(x.rows());
    job.cols = narrow(x.cols());
    job.row_stride = narrow(x.stride());
    const bool cpu = graph.device().capabilities().cpu;
    const std::uint32_t threads = cpu ? 8 : 128;
    job.rounds = cpu ? 16 : 1;
    std::vector<Operand> operands{{offsetof(Job, codes), from.codes, Access::read},
                                  {offsetof(Job, absmax), from.absmax, Access::read},
                                  {offsetof(Job, to), x, Access::write}};
    if (from.diagonal) {
        job.flags |= gpu::QUANTIZE_DIAGONAL;
        operands.push_back({offsetof(Job, diagonal), from.diagonal, Access::read});
    }
    Operation operation =
        make_operation(kDequantize, job, std::move(operands),
                       ceil_div(x.rows() * job.code.words, std::uint64_t{threads} * job.rounds));
    operation.constants = {{gpu::SPEC_THREADS, threads}};
    operation.reason = "the only one";
    const double elements = static_cast<double>(x.shape.count());
    operation.flops = 8.0 * elements;
    operation.bytes = 4.0 * elements + code_bytes(x.rows(), job.code);
    operation.guarded = options.guarded;
    graph.add(std::move(operation));
}

void store_matrix(Graph& graph, const Tensor& x, const QuantizedMatrix& to, const QuantizeOptions& options) {
    const bool turned = options.transpose == Transpose::yes;
    gpu::QuantizeJob job{};
    job.rows = narrow(turned ? x.cols() : x.rows());
    job.cols = narrow(turned ? x.rows() : x.cols());
    job.row_stride = turned ? 1 : narrow(x.stride());
    job.col_stride = turned ? narrow(x.stride()) : 1;
    add_quantize(graph, job, x, to, options);
}

void store_identity(Graph& graph, float scale, std::uint64_t n, const QuantizedMatrix& to,
                    const QuantizeOptions& options) {
    gpu::QuantizeJob job{};
    job.rows = job.cols = narrow(n);
    job.identity = scale;
    job.flags = gpu::QUANTIZE_IDENTITY;
    add_quantize(graph, job, {}, to, options);
}

Tensor load_matrix(Graph& graph, const QuantizedMatrix& from, std::uint64_t rows, std::uint64_t cols,
                   const QuantizeOptions& options) {
    if (options.bits == kPlainBits) return from.codes;
    const Tensor result = graph.temporary(DType::f32, Shape{rows, cols});
    dequantize(graph, from, result, {.bits = options.bits, .block = options.block});
    return result;
}

}  // namespace heron
