// SPDX-License-Identifier: MIT
// dct(): by FFT where the length allows it, else by gemm() with the matrix of the transform, or its pieces.
#include "heron/linalg/dct.hpp"

#include <algorithm>
#include <bit>
#include <cmath>
#include <cstddef>
#include <numbers>
#include <numeric>
#include <span>
#include <string>
#include <vector>

#include "graph/element_bytes.hpp"
#include "graph/graph.hpp"
#include "heron/linalg/product.hpp"
#include "heron/linalg/reduce.hpp"
#include "heron/spirv/dct.hpp"
#include "heron/spirv/dct_basis.hpp"
#include "linalg/checks.hpp"
#include "linalg/dct.h"
#include "linalg/integers.hpp"

namespace heron {

static_assert(sizeof(gpu::DctJob) == 80 && offsetof(gpu::DctJob, first_group) == 76);

namespace {

static_assert(sizeof(gpu::DctBasisJob) == 48);

constexpr KernelInfo kDct = make_kernel<gpu::DctJob>("dct", spirv::dct);
constexpr KernelInfo kDctBasis = make_kernel<gpu::DctBasisJob>("dct_basis", spirv::dct_basis);

// Of a matrix in table memory: 64 MiB.
constexpr std::uint64_t kMaxMatrix = 4096;
// Of a basis: (2 i + 1) k stays below 2^32.
constexpr std::uint64_t kMaxBasis = 32768;

// The table of that name, made once a graph: all transforms of one length share theirs.
template <class Values>
Tensor shared_table(Graph& graph, const std::string& name, DType dtype, const Shape& shape,
                    const Values& values_of) {
    Tensor& table = graph.impl().shared_tables[name];
    if (!table) {
        const auto values = values_of();
        table = graph.table(std::as_bytes(std::span(values)));
        table.dtype = dtype;
        table.shape = shape;
        table.row_stride = 0;
    }
    return table;
}

std::vector<float> matrix_values(std::uint64_t n) {
    std::vector<float> values(n * n);
    for (std::uint64_t k = 0; k < n; ++k)
        for (std::uint64_t i = 0; i < n; ++i) {
            // The angle modulo a full turn, in integers.
            const std::uint64_t turn = (2 * i + 1) * k % (4 * n);
            const double cosine =
                std::cos(std::numbers::pi * static_cast<double>(turn) / (2 * static_cast<double>(n)));
            values[k * n + i] =
                static_cast<float>(std::sqrt((k == 0 ? 1.0 : 2.0) / static_cast<double>(n)) * cosine);
        }
    return values;
}
// C of the header.
Tensor matrix_table(Graph& graph, std::uint64_t n) {
    return shared_table(graph, "dct matrix " + std::to_string(n), DType::f32, Shape{n, n},
                        [n] { return matrix_values(n); });
}

std::vector<float> unit_values(std::uint64_t n) {
    std::vector<float> values;
    for (std::uint64_t k = 0; k < n; ++k) {
        const double angle = std::numbers::pi * static_cast<double>(k) / (2 * static_cast<double>(n));
        values.push_back(static_cast<float>(std::cos(angle)));
        values.push_back(static_cast<float>(std::sin(angle)));
    }
    return values;
}
// cos and sin of pi k / (2 n), k < n.
Tensor unit_table(Graph& graph, std::uint64_t n) {
    return shared_table(graph, "dct units " + std::to_string(n), DType::f32, Shape{2 * n},
                        [n] { return unit_values(n); });
}
// 0, 1, ..., n - 1.
Tensor index_table(Graph& graph, std::uint64_t n) {
    return shared_table(graph, "dct indices " + std::to_string(n), DType::u32, Shape{n}, [n] {
        std::vector<std::uint32_t> indices(n);
        std::iota(indices.begin(), indices.end(), 0u);
        return indices;
    });
}

// The odd factor is summed directly: up to here that costs no more than a product's tile for every line.
constexpr std::uint64_t kMaxOdd = 15;

std::uint64_t odd_factor(std::uint64_t n) { return n >> std::countr_zero(n); }

// A real FFT of n / 2 complex numbers of eight bytes, in shared memory.
bool takes_fft(const Device& device, std::uint64_t n) {
    return n > 0 && n % 2 == 0 && odd_factor(n) <= kMaxOdd &&
           4 * n <= device.capabilities().shared_memory_bytes;
}

void add_fft(Graph& graph, const Tensor& x, const Tensor& out, const DctOptions& options) {
    const bool rows = options.axis == DctAxis::rows;
    const Capabilities& device = graph.device().capabilities();
    const std::uint64_t n = rows ? x.cols() : x.rows(), lines = rows ? x.rows() : x.cols();
    gpu::DctJob job{};
    job.n = narrow(n);
    job.odd = narrow(odd_factor(n));
    job.log_two = narrow(static_cast<std::uint64_t>(std::countr_zero(n / 2)));
    job.lines = narrow(lines);
    job.from_line = rows ? narrow(x.stride()) : 1;
    job.from_element = rows ? 1 : narrow(x.stride());
    job.from_item = batch_stride(x);
    job.to_line = rows ? narrow(out.stride()) : 1;
    job.to_element = rows ? 1 : narrow(out.stride());
    job.to_item = batch_stride(out);
    job.scale = static_cast<float>(std::sqrt(2.0 / static_cast<double>(n)));
    job.inverse = options.inverse ? 1 : 0;

    // Complex numbers in shared memory; few where a workgroup of many lines would leave cores idle.
    const std::uint64_t slots = std::max<std::uint64_t>(n / 2, device.cpu ? 256 : 1024);
    const std::uint32_t threads = device.cpu ? 8 : 128;
    const std::uint64_t here = slots / (n / 2);
    job.groups = narrow((lines + here - 1) / here);
    Operation operation = make_operation(kDct, job,
                                         {{offsetof(gpu::DctJob, from), x, Access::read},
                                          {offsetof(gpu::DctJob, to), out, Access::write},
                                          {offsetof(gpu::DctJob, table), unit_table(graph, n), Access::read}},
                                         x.batch() * job.groups);
    operation.constants = {{gpu::SPEC_THREADS, threads},
                           {gpu::SPEC_DTYPE_A, static_cast<std::uint32_t>(x.dtype)},
                           {gpu::SPEC_POOL, narrow(slots / 2)}};
    operation.reason =
        "the length is even with an odd factor of at most 15, and half of it fits shared memory";
    operation.flops = static_cast<double>(x.batch() * lines) * static_cast<double>(n) *
                      (2.5 * (job.log_two + 1) + 8.0 * (job.odd - 1));
    operation.bytes = element_bytes(x, out) + 8 * static_cast<double>(n);
    operation.guarded = options.guarded;
    graph.add(std::move(operation));
}

void add_product(Graph& graph, const Tensor& x, const Tensor& out, const DctOptions& options) {
    const bool rows = options.axis == DctAxis::rows;
    const bool in_place = overlap(graph, x, out);
    const Tensor to = in_place ? graph.temporary(DType::f32, x.shape) : out;
    const Tensor matrix = matrix_table(graph, rows ? x.cols() : x.rows());
    GemmOptions product{.guarded = options.guarded};
    if (rows) {
        product.transpose_b = options.inverse ? Transpose::no : Transpose::yes;
        gemm(graph, x, matrix, {}, to, product);
    } else {
        product.transpose_a = options.inverse ? Transpose::yes : Transpose::no;
        gemm(graph, matrix, x, {}, to, product);
    }
    if (in_place) convert(graph, to, out, 1.0f, options.guarded);
}

// The matrix in pieces of its rows, or columns, of at most 64 MiB: the device makes each where the one before
// it was, and a product gives the elements of all lines that belong to it.
void add_pieces(Graph& graph, const Tensor& x, const Tensor& out, const DctOptions& options) {
    const bool rows = options.axis == DctAxis::rows;
    const std::uint64_t n = rows ? x.cols() : x.rows(), height = kMaxMatrix * kMaxMatrix / n / 64 * 64;
    const bool in_place = overlap(graph, x, out);
    const Tensor to = in_place ? graph.temporary(DType::f32, x.shape) : out;
    Tensor from = x;
    if (!rows && x.dtype != DType::f32 && x.rows() * x.stride() % 2 != 0) {  // items that begin within a word
        from = graph.temporary(DType::f32, x.shape);
        convert(graph, x, from, 1.0f, options.guarded);
    }
    const Tensor indices = index_table(graph, n), pieces = graph.temporary(DType::f32, Shape{height, n});
    GemmOptions product{.guarded = options.guarded};
    if (rows) product.transpose_b = Transpose::yes;
    for (std::uint64_t first = 0; first < n; first += height) {
        const std::uint64_t count = std::min(height, n - first);
        Tensor chosen = indices;
        chosen.byte_offset += first * sizeof(std::uint32_t);
        chosen.shape = Shape{count};
        const Tensor piece = pieces.row_range(0, count);
        dct_basis(graph, chosen, piece, options.inverse, options.guarded);
        if (rows) {
            Tensor columns = to;
            columns.byte_offset += first * sizeof(float);
            columns.shape = Shape{to.batch(), to.rows(), count};
            columns.row_stride = to.stride();
            gemm(graph, from, piece, {}, columns, product);
        } else {
            for (std::uint64_t item = 0; item < x.batch(); ++item)
                gemm(graph, piece, from.batch_item(item), {}, to.batch_item(item).row_range(first, count),
                     product);
        }
    }
    if (in_place) convert(graph, to, out, 1.0f, options.guarded);
}

}  // namespace

void dct(Graph& graph, const Tensor& x, const Tensor& out, const DctOptions& options) {
    constexpr std::string_view who = "dct";
    check_float_tensor(who, "x", graph, x);
    check_float_tensor(who, "`out`", graph, out);
    if (static_cast<std::uint32_t>(options.axis) > 1) refuse(who, "axis is not one of DctAxis");
    if (out.shape != x.shape || out.dtype != DType::f32)
        refuse(who, "`out` is " + text(out) + ", x is " + text(x) + "; it must be f32 of the same shape");
    if (!same_place(graph, x, out)) check_no_overlap(who, "`out`", out, "x", x, graph);
    const std::uint64_t n = options.axis == DctAxis::rows ? x.cols() : x.rows();
    if (!dct_takes(graph.device(), n))
        refuse(who, "x is " + text(x) + "; " + std::to_string(n) +
                        " is neither at most 32768 nor 2^q times an odd number up to 15 with half of it in "
                        "shared memory");
    if (x.shape.count() == 0) return;
    if (n == 1) {
        convert(graph, x, out, 1.0f, options.guarded);
    } else if (takes_fft(graph.device(), n)) {
        add_fft(graph, x, out, options);
    } else {
        const bool whole = n <= kMaxMatrix;
        const Purpose purpose(
            graph,
            std::string(whole ? "dct by a product: "
                              : "dct by products with pieces of a matrix above 64 MiB: ") +
                (n % 2 == 0 && odd_factor(n) <= kMaxOdd ? "half a line does not fit shared memory"
                                                        : "the length is odd, or its odd factor above 15"));
        if (whole)
            add_product(graph, x, out, options);
        else
            add_pieces(graph, x, out, options);
    }
}

bool dct_takes(const Device& device, std::uint64_t length) {
    return length <= kMaxBasis || takes_fft(device, length);
}

void dct_basis(Graph& graph, const Tensor& indices, const Tensor& out, bool inverse, bool guarded) {
    constexpr std::string_view who = "dct_basis";
    check_float_tensor(who, "`out`", graph, out);
    check_indices(who, graph, indices);
    const std::uint64_t n = out.cols(), rows = out.batch() * out.rows();
    if (out.dtype != DType::f32 || out.stride() != n || n > kMaxBasis)
        refuse(who, "`out` is " + text(out) + "; it must be contiguous f32 with at most " +
                        std::to_string(kMaxBasis) + " columns");
    if (indices.shape.count() != rows || !is_contiguous(indices))
        refuse(who, "`indices` is " + text(indices) + ", `out` is " + text(out) +
                        "; it must be contiguous with one u32 for each row");
    check_no_overlap(who, "`out`", out, "`indices`", indices, graph);
    if (rows * n == 0) return;

    const bool cpu = graph.device().capabilities().cpu;
    const std::uint32_t threads = cpu ? 8 : 128, per_thread = cpu ? 128 : 4;
    gpu::DctBasisJob job{};
    job.n = narrow(n);
    job.count = narrow(rows * n);
    job.scale = static_cast<float>(std::sqrt(2.0 / static_cast<double>(n)));
    job.scale0 = static_cast<float>(std::sqrt(1.0 / static_cast<double>(n)));
    job.inverse = inverse ? 1 : 0;
    Operation operation =
        make_operation(kDctBasis, job,
                       {{offsetof(gpu::DctBasisJob, indices), indices, Access::read},
                        {offsetof(gpu::DctBasisJob, table), unit_table(graph, n), Access::read},
                        {offsetof(gpu::DctBasisJob, to), out, Access::write}},
                       ceil_div(job.count, std::uint64_t{threads} * per_thread));
    operation.constants = {{gpu::SPEC_THREADS, threads}, {gpu::SPEC_PER_THREAD, per_thread}};
    operation.reason = "cosines from a table of n";
    operation.flops = 8.0 * job.count;
    operation.bytes = 4.0 * job.count + 8.0 * static_cast<double>(n + rows);
    operation.guarded = guarded;
    graph.add(std::move(operation));
}

}  // namespace heron
