// SPDX-License-Identifier: MIT
// svd(), polar_by_svd() and truncated_svd(): checks, and the order of the steps.
#include <algorithm>
#include <string>

#include "graph/graph.hpp"
#include "heron/linalg.hpp"
#include "linalg/blocks.hpp"
#include "linalg/checks.hpp"
#include "linalg/convert.hpp"
#include "linalg/eigensystem.hpp"
#include "linalg/halley.hpp"
#include "linalg/jacobi.h"
#include "linalg/jacobi.hpp"
#include "linalg/spectrum.h"

namespace heron {

namespace {

constexpr std::uint64_t kMaxOrder = 4096;
constexpr std::uint32_t kSweeps = 12;  // of a single pair: two sweeps over its Gram matrix each
// A random 129 x 97 matrix takes 8, one with singular values from 1 to 2^-24 takes 15.
constexpr std::uint32_t kBlockedSweeps = 20;
constexpr std::uint64_t kLeastByProducts = 16;  // columns, see polar_factor_first()

void check_factor(std::string_view who, const char* name, const Graph& graph, const Tensor& factor,
                  std::uint64_t rows, std::uint64_t cols, const Tensor& a, const Tensor& input) {
    check_float_tensor(who, name, graph, factor);
    if (factor.dtype != DType::f32 || factor.rows() != rows || factor.cols() != cols ||
        factor.batch() != a.batch())
        refuse(who, std::string(name) + " is " + text(factor) + ", A is " + text(a) + "; it must be f32, " +
                        std::to_string(a.batch()) + " times " + std::to_string(rows) + "x" +
                        std::to_string(cols));
    check_no_overlap(who, name, factor, "A", input, graph);
}

void check_values(std::string_view who, const Graph& graph, const Tensor& s, std::uint64_t count,
                  const Tensor& a) {
    check_float_tensor(who, "S", graph, s);
    if (s.dtype != DType::f32 || s.shape.count() != a.batch() * count || !is_contiguous(s))
        refuse(who, "S is " + text(s) + ", A is " + text(a) + "; it must be contiguous with " +
                        std::to_string(count) + " f32 for each matrix");
    check_no_overlap(who, "S", s, "A", a, graph);
}

void check_input(std::string_view who, const Graph& graph, const Tensor& a) {
    check_float_tensor(who, "A", graph, a);
    const std::uint64_t k = std::min(a.rows(), a.cols());
    if (k > kMaxOrder)
        refuse(who, "A is " + text(a) + "; the shorter side may be at most " + std::to_string(kMaxOrder));
    check_jacobi_workspace(who, graph.device(), a, k);
}

void check_options(std::string_view who, const Graph& graph, const Tensor& a, const SvdOptions& options,
                   std::initializer_list<NamedTensor> operands) {
    check_status_tensor(who, graph, options.status, a.batch(), operands);
    if (options.max_sweeps > 64)
        refuse(who, "max_sweeps is " + std::to_string(options.max_sweeps) + "; it may be at most 64");
}

// Jacobi's method takes a step over all columns for each of its rounds, and its loops over rows count against
// what lavapipe allows (65,535 in an invocation): R of tall matrices in their place.
bool qr_comes_first(std::uint64_t length, std::uint64_t k) {
    return length > std::max<std::uint64_t>(8 * k, 1024);
}

// Whether polar_by_svd() takes the polar factor by products, and Jacobi's method only for what may lack rank.
// Milliseconds of processor time on lavapipe 22.3, by Jacobi's method and so: 16 x 16, one: 1.2 and 1.7, 64:
// 72 and 47; 32 x 32, one: 2.0 and 1.7; 64 x 64, eight: 300 and 43.
bool polar_factor_first(const Device& device, const Tensor& a, const SvdOptions& options) {
    const std::uint64_t k = std::min(a.rows(), a.cols()), length = std::max(a.rows(), a.cols());
    return device.capabilities().cpu && options.max_sweeps == 0 && k >= kLeastByProducts &&
           (k + 7) / 8 * 8 <= choose_jacobi(device).order && !qr_comes_first(length, k);
}

// Of x, whose rows belong to the longer side and which jacobi has prepared, by its polar factor: X = U_p H,
// H = V S V^T, U = U_p V (Nakatsukasa and Higham 2013).
void polar_svd(Graph& graph, Jacobi& jacobi, const Tensor& x, const Tensor& left, const Tensor& s,
               const Tensor& right, const SvdOptions& options) {
    const std::uint64_t k = x.cols(), items = x.batch(), size = eigensystem_size(k);
    const GemmOptions plain{.guarded = options.guarded};
    const GemmOptions transposed{.transpose_a = Transpose::yes, .guarded = options.guarded};
    const Tensor factor = polar_factor(graph, x, options.guarded);
    const Tensor h = jacobi.matrix(k, k), symmetric = jacobi.matrix(size, size);
    gemm(graph, factor, x, Tensor{}, h, transposed);
    // A state of its own: that of A has the scale and the status.
    Jacobi(graph, items, k, k, options.guarded).prepare(h, symmetric, gpu::PREPARE_SYMMETRIC);
    const Tensor vectors =
        jacobi.orthonormalized(large_eigensystem(graph, jacobi, symmetric, k, options.guarded).vectors);

    const auto times_vectors = [&](const Tensor& matrix) {
        const Tensor result = jacobi.matrix(x.rows(), k);
        for (std::uint64_t item = 0; item < items; ++item)
            gemm(graph, matrix.batch_item(item), block(vectors.batch_item(item), 0, 0, k, k), Tensor{},
                 result.batch_item(item), plain);
        return result;
    };
    const Tensor image = times_vectors(x);
    jacobi.order(jacobi.column_products(image, image, k), true, s, options.status);
    if (left) {
        // One step of Bjorck and Bowie, after the columns beyond the rank are zero.
        const Tensor sorted = jacobi.matrix(x.rows(), k), gram = jacobi.matrix(k, k);
        jacobi.gather(times_vectors(factor), sorted, gpu::GATHER_WITHIN_RANK);
        syrk(graph, sorted, Tensor{}, gram, transposed);
        gemm(graph, sorted, gram, sorted, left, {.alpha = -0.5f, .beta = 1.5f, .guarded = options.guarded});
    }
    if (right) jacobi.gather(vectors, right, 0);
}

// The polar factor of x before Jacobi's method, which then has nothing to do for matrices of full rank.
struct Certain {
    Tensor factor;    // of x, whose rows belong to the longer side
    Tensor doubtful;  // u32, one for each matrix: 0 where `factor` is the one that is orthonormal
};

// X = U_p H, of norm 1 to 2: full rank for certain where H is so far from singular that H - 2^-20 length I
// has a Cholesky factor: that is four to eight times what counts as rank, and more than all that was rounded.
Certain certain_factor(Graph& graph, const Jacobi& jacobi, const Tensor& x, bool guarded) {
    const std::uint64_t k = x.cols();
    const Certain certain{polar_factor(graph, x, guarded), graph.temporary(DType::u32, Shape{x.batch()})};
    const Tensor one = graph.temporary(DType::f32, Shape{k, k});
    jacobi.identity(one);
    const Tensor h = jacobi.matrix(k, k), triangle = jacobi.matrix(k, k);
    gemm(graph, certain.factor, x, one, h,
         {.transpose_a = Transpose::yes,
          .beta = -0x1p-20f * static_cast<float>(x.rows()),
          .guarded = guarded});
    cholesky(graph, h, triangle, {.status = certain.doubtful, .guarded = guarded});
    return certain;
}

// Without checks. Columns of `left` (and rows of x) belong to the longer side. With `certain`, U, S and V are
// right for the doubtful matrices alone.
void add_svd(Graph& graph, const Tensor& a, const Tensor& u, const Tensor& s, const Tensor& v,
             const SvdOptions& options, Certain* certain = nullptr) {
    const bool tall = a.rows() >= a.cols();
    const std::uint64_t k = std::min(a.rows(), a.cols()), length = std::max(a.rows(), a.cols());
    const Tensor& left = tall ? u : v;
    const Tensor& right = tall ? v : u;
    Jacobi jacobi(graph, a.batch(), k, length, options.guarded);
    const JacobiVariant& variant = jacobi.variant();
    // A single pair, which needs no more than its own width, or pairs of full blocks.
    const std::uint64_t single = (k + 7) / 8 * 8, wide = 2 * variant.block;
    const bool whole = single <= variant.order, by_polar = !whole && options.max_sweeps == 0;
    const std::uint64_t size = by_polar ? k : whole ? single : (k + wide - 1) / wide * wide;
    const bool qr_first = qr_comes_first(length, k);

    const std::string larger =
        "above " + std::to_string(variant.order / 8 * 8) + " columns, one workgroup's limit";
    const Purpose purpose(graph,
                          (certain    ? "polar factor by products, and by Jacobi where rank may be lacking"
                           : whole    ? "svd by Jacobi, a pair of blocks"
                           : by_polar ? "svd by the polar factor: " + larger
                                      : "svd by Jacobi in blocks: max_sweeps is set; " + larger) +
                              (qr_first ? "; of R: one side is above eight times the other" : ""));

    Tensor x = jacobi.matrix(length, qr_first || certain != nullptr ? k : size), q, left_of_x = left;
    jacobi.prepare(a, x, tall ? gpu::PREPARE_COPY : gpu::PREPARE_TRANSPOSE);
    if (certain != nullptr) {
        *certain = certain_factor(graph, jacobi, x, options.guarded);
        const Tensor padded = jacobi.matrix(length, size);
        jacobi.pad_doubtful(x, certain->doubtful, padded);
        x = padded;
    } else if (qr_first) {
        q = jacobi.matrix(length, k);
        const Tensor r = jacobi.matrix(k, k);
        qr(graph, x, q, r, {.guarded = options.guarded});
        x = r;
        if (size != k) {
            x = jacobi.matrix(size, size);
            jacobi.pad(r, x);
        }
        if (left) left_of_x = jacobi.matrix(k, k);
    }
    if (by_polar) {
        polar_svd(graph, jacobi, x, left_of_x, s, right, options);
    } else {
        const Tensor rotation = jacobi.matrix(size, size);
        jacobi.identity(rotation);
        jacobi.column_sweeps(x, rotation, whole ? static_cast<std::uint32_t>(size / 2) : variant.block,
                             options.max_sweeps != 0 ? options.max_sweeps
                             : whole                 ? kSweeps
                                                     : kBlockedSweeps);
        jacobi.order(jacobi.column_products(x, x, k), true, s, options.status);
        if (left_of_x) jacobi.gather(x, left_of_x, gpu::GATHER_NORMALIZED);
        if (right) jacobi.gather(rotation, right, 0);
    }
    if (q && left) gemm(graph, q, left_of_x, Tensor{}, left, {.guarded = options.guarded});
}

}  // namespace

void svd(Graph& graph, const Tensor& a, const Tensor& u, const Tensor& s, const Tensor& v,
         const SvdOptions& options) {
    check_input("svd", graph, a);
    const std::uint64_t k = std::min(a.rows(), a.cols());
    if (u) check_factor("svd", "U", graph, u, a.rows(), k, a, a);
    if (v) check_factor("svd", "V", graph, v, a.cols(), k, a, a);
    check_values("svd", graph, s, k, a);
    if (u) check_no_overlap("svd", "U", u, "S", s, graph);
    if (v) check_no_overlap("svd", "V", v, "S", s, graph);
    if (u && v) check_no_overlap("svd", "U", u, "V", v, graph);
    check_options("svd", graph, a, options, {{"A", a}, {"U", u}, {"S", s}, {"V", v}});
    if (a.shape.count() == 0) {
        add_zeros(graph, options.status, options.guarded);
        return;
    }
    add_svd(graph, a, u, s, v, options);
}

void polar_by_svd(Graph& graph, const Tensor& a, const Tensor& result, const SvdOptions& options) {
    check_input("polar_by_svd", graph, a);
    check_factor("polar_by_svd", "result", graph, result, a.rows(), a.cols(), a, a);
    check_options("polar_by_svd", graph, a, options, {{"A", a}, {"result", result}});
    if (a.shape.count() == 0) {
        add_zeros(graph, options.status, options.guarded);
        return;
    }
    const std::uint64_t k = std::min(a.rows(), a.cols()), items = a.batch();
    const Tensor u = graph.temporary(DType::f32, Shape{items, a.rows(), k});
    const Tensor v = graph.temporary(DType::f32, Shape{items, a.cols(), k});
    const Tensor s = graph.temporary(DType::f32, Shape{items, k});
    const GemmOptions product{.transpose_b = Transpose::yes, .guarded = options.guarded};
    if (!polar_factor_first(graph.device(), a, options)) {
        add_svd(graph, a, u, s, v, options);
        gemm(graph, u, v, Tensor{}, result, product);
        return;
    }
    Certain certain;
    add_svd(graph, a, u, s, v, options, &certain);
    if (a.rows() >= a.cols()) {
        convert(graph, certain.factor.reshape(result.shape), result, 1.0f, options.guarded);
    } else {
        const Tensor one = graph.temporary(DType::f32, Shape{k, k});
        Jacobi(graph, 1, k, k, options.guarded).identity(one);
        gemm(graph, one, certain.factor, Tensor{}, result, product);
    }
    GemmOptions doubtful = product;
    doubtful.active = certain.doubtful;
    gemm(graph, u, v, Tensor{}, result, doubtful);
}

void truncated_svd(Graph& graph, const Tensor& a, const Tensor& u, const Tensor& s, const Tensor& v,
                   const TruncatedSvdOptions& options) {
    constexpr std::string_view kWho = "truncated_svd";
    check_float_tensor(kWho, "A", graph, a);
    check_float_tensor(kWho, "U", graph, u);
    const std::uint64_t r = u.cols(), items = a.batch();
    if (r > kMaxOrder)
        refuse(kWho, "U is " + text(u) + "; the rank may be at most " + std::to_string(kMaxOrder));
    check_jacobi_workspace(kWho, graph.device(), a, r);
    if (r > std::min(a.rows(), a.cols()))
        refuse(kWho, "U is " + text(u) + ", A is " + text(a) + "; the rank may be at most the shorter side");
    check_factor(kWho, "U", graph, u, a.rows(), r, a, a);
    check_factor(kWho, "V", graph, v, a.cols(), r, a, a);
    check_values(kWho, graph, s, r, a);
    if (!options.basis) refuse(kWho, "the option basis is empty; give random numbers or an earlier U");
    check_factor(kWho, "basis", graph, options.basis, a.rows(), r, a, a);
    if (!same_place(graph, options.basis, u)) check_no_overlap(kWho, "U", u, "basis", options.basis, graph);
    check_no_overlap(kWho, "V", v, "basis", options.basis, graph);
    check_no_overlap(kWho, "S", s, "basis", options.basis, graph);
    check_no_overlap(kWho, "U", u, "V", v, graph);
    check_no_overlap(kWho, "U", u, "S", s, graph);
    check_no_overlap(kWho, "V", v, "S", s, graph);
    check_status_tensor(kWho, graph, options.status, items,
                        {{"A", a}, {"U", u}, {"S", s}, {"V", v}, {"basis", options.basis}});
    if (options.iterations > 64)
        refuse(kWho, "iterations is " + std::to_string(options.iterations) + "; it may be at most 64");
    if (a.shape.count() == 0 || r == 0) {
        add_zeros(graph, options.status, options.guarded);
        return;
    }

    const GemmOptions plain{.guarded = options.guarded};
    const GemmOptions transposed{.transpose_a = Transpose::yes, .guarded = options.guarded};
    const SvdOptions inner{.guarded = options.guarded};
    // The polar factor is the orthonormal basis that is closest, and keeps columns of very different size
    // apart.
    const auto orthonormal = [&](const Tensor& x) {
        const Tensor q = graph.temporary(DType::f32, Shape{items, x.rows(), r});
        polar_by_svd(graph, x, q, inner);
        return q;
    };
    Tensor q = orthonormal(options.basis);
    for (std::uint32_t i = 0; i < options.iterations; ++i) {
        const Tensor right = graph.temporary(DType::f32, Shape{items, a.cols(), r});
        gemm(graph, a, q, Tensor{}, right, transposed);
        const Tensor left = graph.temporary(DType::f32, Shape{items, a.rows(), r});
        gemm(graph, a, orthonormal(right), Tensor{}, left, plain);
        q = orthonormal(left);
    }
    const Tensor small = graph.temporary(DType::f32, Shape{items, r, a.cols()});
    gemm(graph, q, a, Tensor{}, small, transposed);
    const Tensor u_small = graph.temporary(DType::f32, Shape{items, r, r});
    add_svd(graph, small, u_small, s, v, {.status = options.status, .guarded = options.guarded});
    gemm(graph, q, u_small, Tensor{}, u, plain);
}

}  // namespace heron
