// SPDX-License-Identifier: MIT
// The kernels are shaders/curvature/structured_*.comp; dense matrices go through linalg's products.
#include "curvature/structured_factor.hpp"

#include <algorithm>
#include <cstddef>
#include <utility>

#include "curvature/structured.h"
#include "heron/spirv/structured_commit.hpp"
#include "heron/spirv/structured_diagonals.hpp"
#include "heron/spirv/structured_gram.hpp"
#include "heron/spirv/structured_momentum.hpp"
#include "heron/spirv/structured_multiply.hpp"
#include "heron/spirv/structured_product.hpp"
#include "heron/spirv/structured_start.hpp"
#include "heron/spirv/structured_statistic.hpp"
#include "heron/spirv/structured_total.hpp"
#include "linalg/integers.hpp"
#include "linalg/pieces.hpp"

namespace heron {

namespace {

static_assert(sizeof(gpu::StructuredStartJob) == 32);
static_assert(sizeof(gpu::StructuredStatisticJob) == 128);
static_assert(sizeof(gpu::StructuredTotalJob) == 32);
static_assert(sizeof(gpu::StructuredGramJob) == 56);
static_assert(sizeof(gpu::StructuredMultiplyJob) == 48);
static_assert(sizeof(gpu::StructuredDiagonalsJob) == 24);
static_assert(sizeof(gpu::StructuredProductJob) == 64);
static_assert(sizeof(gpu::StructuredMomentumJob) == 136);
static_assert(sizeof(gpu::StructuredCommitJob) == 80);
static_assert(static_cast<std::uint32_t>(StructureKind::hierarchical) == gpu::STRUCTURE_HIERARCHICAL);

constexpr KernelInfo kStart =
    make_kernel<gpu::StructuredStartJob>("structured_start", spirv::structured_start);
constexpr KernelInfo kStatistic =
    make_kernel<gpu::StructuredStatisticJob>("structured_statistic", spirv::structured_statistic);
constexpr KernelInfo kTotal =
    make_kernel<gpu::StructuredTotalJob>("structured_total", spirv::structured_total);
constexpr KernelInfo kGram = make_kernel<gpu::StructuredGramJob>("structured_gram", spirv::structured_gram);
constexpr KernelInfo kMultiply =
    make_kernel<gpu::StructuredMultiplyJob>("structured_multiply", spirv::structured_multiply);
constexpr KernelInfo kDiagonals =
    make_kernel<gpu::StructuredDiagonalsJob>("structured_diagonals", spirv::structured_diagonals);
constexpr KernelInfo kProduct =
    make_kernel<gpu::StructuredProductJob>("structured_product", spirv::structured_product);
constexpr KernelInfo kMomentum =
    make_kernel<gpu::StructuredMomentumJob>("structured_momentum", spirv::structured_momentum);
constexpr KernelInfo kCommit =
    make_kernel<gpu::StructuredCommitJob>("structured_commit", spirv::structured_commit);

// Rows of a statistic in one workgroup; fewer are not worth a second level.
constexpr std::uint64_t kMinPieceRows = 256, kMaxPieceRows = 16384;
constexpr std::uint64_t kLines = 4;  // of structured_product.comp

bool is_dense(const MatrixStructure& s) { return s.kind == StructureKind::dense; }
bool is_toeplitz(const MatrixStructure& s) {
    return s.kind == StructureKind::lower_toeplitz || s.kind == StructureKind::upper_toeplitz;
}

// Orders of both dense parts.
std::pair<std::uint64_t, std::uint64_t> dense_parts(const MatrixStructure& s, std::uint64_t order) {
    const std::uint64_t first = std::min<std::uint64_t>(s.first, order);
    return {first, std::min<std::uint64_t>(s.last, order - first)};
}

std::uint64_t stored_elements(const MatrixStructure& structure, std::uint64_t order) {
    return stored_shape(structure, order).count();
}

gpu::Structure shader_structure(const MatrixStructure& s, std::uint64_t order) {
    gpu::Structure result{static_cast<std::uint32_t>(s.kind), narrow(order), 0, 0};
    if (s.kind == StructureKind::block_diagonal) result.first = s.block;
    if (s.kind == StructureKind::hierarchical) {
        const auto [first, last] = dense_parts(s, order);
        result.first = narrow(first);
        result.last = narrow(last);
    }
    return result;
}

// Elements of a column that are not always zero, on average.
double column_elements(const StructuredMatrix& k) {
    const double order = static_cast<double>(k.order);
    return is_toeplitz(k.structure)
               ? (order + 1) / 2
               : static_cast<double>(stored_elements(k.structure, k.order)) / std::max(order, 1.0);
}

std::uint32_t threads_for(const Graph& graph, std::uint32_t cpu, std::uint32_t gpu) {
    const Capabilities& device = graph.device().capabilities();
    return std::min({device.cpu ? cpu : gpu, device.max_workgroup_invocations, device.max_workgroup_size_x});
}

void add(Graph& graph, Operation operation, std::uint32_t threads, const Tensor& typed, double flops,
         double bytes) {
    operation.constants = {{gpu::SPEC_THREADS, threads}};
    if (typed) operation.constants.push_back({gpu::SPEC_DTYPE_A, static_cast<std::uint32_t>(typed.dtype)});
    operation.reason = "the only one";
    operation.flops = flops;
    operation.bytes = bytes;
    graph.add(std::move(operation));
}

double bytes_of(const Tensor& x) { return static_cast<double>(x.span_bytes()); }

StructuredMatrix temporary_like(Graph& graph, const StructuredMatrix& k) {
    return {graph.temporary(DType::f32, stored_shape(k.structure, k.order)), k.structure, k.order};
}

void add_gram(Graph& graph, const StructuredMatrix& k, const Tensor& u, const StructuredMatrix& to) {
    using Job = gpu::StructuredGramJob;
    const std::uint64_t stored = stored_elements(k.structure, k.order);
    const std::uint32_t threads = threads_for(graph, 8, 64);
    Job job{};
    job.structure = shader_structure(k.structure, k.order);
    job.stored = narrow(stored);
    job.flags = u ? gpu::STRUCTURED_HAS_U : 0;
    std::vector<Operand> operands{{offsetof(Job, k), k.values, Access::read},
                                  {offsetof(Job, to), to.values, Access::write}};
    if (u) operands.push_back({offsetof(Job, u), u, Access::read});
    const double column = column_elements(k);
    add(graph, make_operation(kGram, job, std::move(operands), ceil_div(stored, threads)), threads, k.values,
        2.0 * static_cast<double>(stored) * column * (u ? column + 1 : 1),
        bytes_of(k.values) + bytes_of(to.values) + (u ? bytes_of(u) : 0.0));
}

// K B, in the structure.
StructuredMatrix add_multiply(Graph& graph, const StructuredMatrix& k, const Tensor& b) {
    using Job = gpu::StructuredMultiplyJob;
    const StructuredMatrix to = temporary_like(graph, k);
    if (is_dense(k.structure)) {
        gemm(graph, k.values, b, {}, to.values);
        return to;
    }
    const std::uint64_t stored = stored_elements(k.structure, k.order);
    const std::uint32_t threads = threads_for(graph, 8, 64);
    Job job{};
    job.structure = shader_structure(k.structure, k.order);
    job.stored = narrow(stored);
    add(graph,
        make_operation(kMultiply, job,
                       {{offsetof(Job, k), k.values, Access::read},
                        {offsetof(Job, b), b, Access::read},
                        {offsetof(Job, to), to.values, Access::write}},
                       ceil_div(stored, threads)),
        threads, k.values, 2.0 * static_cast<double>(stored) * column_elements(k),
        bytes_of(k.values) + bytes_of(b) + bytes_of(to.values));
    return to;
}

// `squared`: K K^T, of a diagonal.
Tensor add_product(Graph& graph, const StructuredMatrix& k, Transpose transpose, ProductSide side,
                   const Tensor& x, bool squared) {
    using Job = gpu::StructuredProductJob;
    const Tensor y = graph.temporary(DType::f32, x.shape);
    const bool left = side == ProductSide::left;
    const std::uint64_t lines = left ? x.cols() : x.rows();
    const std::uint32_t threads = threads_for(graph, 8, 64);
    Job job{};
    job.structure = shader_structure(k.structure, k.order);
    job.free = narrow(lines);
    job.free_stride = left ? 1 : narrow(x.cols());
    job.along_stride = left ? narrow(x.cols()) : 1;
    // (K X)_i is the sum over j of K_ij x_j: along rows of K, as X K^T.
    const bool rows = left == (transpose == Transpose::no);
    job.flags = (rows ? gpu::STRUCTURED_TRANSPOSED : 0) | (squared ? gpu::STRUCTURED_SQUARED : 0) |
                (left ? gpu::STRUCTURED_FREE_FASTEST : 0);
    const std::uint64_t groups = left ? k.order * ceil_div(lines, kLines * threads)
                                      : ceil_div(k.order, threads) * ceil_div(lines, kLines);
    add(graph,
        make_operation(kProduct, job,
                       {{offsetof(Job, x), x, Access::read},
                        {offsetof(Job, k), k.values, Access::read},
                        {offsetof(Job, y), y, Access::write}},
                       groups),
        threads, k.values,
        2.0 * static_cast<double>(lines) * static_cast<double>(k.order) * column_elements(k),
        2.0 * bytes_of(x) + bytes_of(k.values));
    return y;
}

}  // namespace

MatrixStructure resolved(const MatrixStructure& structure, std::uint64_t order) {
    const bool dense = (structure.kind == StructureKind::block_diagonal && structure.block >= order) ||
                       (structure.kind == StructureKind::hierarchical && structure.first >= order);
    MatrixStructure result = structure;
    if (dense) result.kind = StructureKind::dense;
    return result;
}

Shape stored_shape(const MatrixStructure& structure, std::uint64_t order) {
    switch (structure.kind) {
        case StructureKind::dense:
            return Shape{order, order};
        case StructureKind::diagonal:
        case StructureKind::lower_toeplitz:
        case StructureKind::upper_toeplitz:
            return Shape{order};
        case StructureKind::block_diagonal: {
            const std::uint64_t block = structure.block, rest = order % block;
            return Shape{(order - rest) * block + rest * rest};
        }
        case StructureKind::hierarchical:
            break;
    }
    const auto [first, last] = dense_parts(structure, order);
    return Shape{first * order + (order - first - last) + last * (order - first)};
}

StructuredFactor make_structured_factor(Graph& graph, const std::string& name,
                                        const MatrixStructure& structure, std::uint64_t order, DType dtype,
                                        bool momentum) {
    const MatrixStructure kept = resolved(structure, order);
    const Shape shape = stored_shape(kept, order);
    StructuredFactor factor{{graph.state(name, dtype, shape), kept, order},
                            momentum ? graph.state(name + "_momentum", dtype, shape) : Tensor(),
                            graph.state(name + "_failures", DType::u32, Shape{1})};
    const std::uint64_t stored = shape.count();
    const std::uint32_t threads = threads_for(graph, 32, 256);
    gpu::StructuredStartJob job{};
    job.structure = shader_structure(kept, order);
    job.stored = narrow(stored);
    Operation operation = make_operation(
        kStart, job, {{offsetof(gpu::StructuredStartJob, k), factor.k.values, Access::read_write}},
        ceil_div(ceil_div(stored, 2), threads));
    operation.guarded = false;
    graph.set_phase(Phase::initialize);
    add(graph, std::move(operation), threads, factor.k.values, 0, bytes_of(factor.k.values));
    graph.set_phase(Phase::step);
    return factor;
}

bool needs_all(const MatrixStructure& structure) { return is_dense(structure) || is_toeplitz(structure); }

Tensor structured_statistic(Graph& graph, const MatrixStructure& structure, std::uint64_t order,
                            const Tensor& activations, const FactorSource& source, std::uint64_t item,
                            float scale) {
    using Job = gpu::StructuredStatisticJob;
    const Shape shape = stored_shape(structure, order);
    const std::uint64_t stored = shape.count();
    const std::uint32_t threads = threads_for(graph, 8, 64);
    const std::uint64_t tiles = ceil_div(stored, threads);
    const std::uint64_t wanted =
        std::max(useful_pieces(graph.device().capabilities(), tiles, source.count, kMinPieceRows),
                 ceil_div(source.count, kMaxPieceRows));
    const std::uint64_t piece_rows = ceil_div(source.count, wanted);
    const std::uint64_t pieces = ceil_div(source.count, piece_rows);
    const Tensor result = graph.temporary(DType::f32, shape);
    const Tensor partials = pieces > 1 ? graph.temporary(DType::f32, Shape{pieces, stored}) : result;
    Job job{};
    job.rows = source.rows;
    job.rows.count = narrow(source.count);
    job.structure = shader_structure(structure, order);
    job.item = narrow(item);
    job.stored = narrow(stored);
    job.pieces = narrow(pieces);
    job.piece_rows = narrow(piece_rows);
    job.weight = scale;
    Operation operation = make_operation(
        kStatistic, job,
        {{offsetof(Job, from), activations, Access::read}, {offsetof(Job, to), partials, Access::write}},
        tiles * pieces);
    operation.constants = {{gpu::SPEC_THREADS, threads},
                           {gpu::SPEC_DTYPE_A, static_cast<std::uint32_t>(activations.dtype)},
                           {gpu::SPEC_ROWS, source.patches ? gpu::FACTOR_PATCHES : gpu::FACTOR_MATRIX}};
    operation.reason = "the structure's elements alone";
    operation.flops = 2.0 * static_cast<double>(stored) * static_cast<double>(source.count);
    operation.bytes = bytes_of(activations) + bytes_of(partials);
    graph.add(std::move(operation));
    if (pieces > 1) sum_pieces(graph, partials, result, scale);
    return result;
}

void sum_pieces(Graph& graph, const Tensor& pieces, const Tensor& result, float weight) {
    using Job = gpu::StructuredTotalJob;
    const std::uint64_t count = result.shape.count();
    const std::uint32_t threads = threads_for(graph, 8, 64);
    Job job{};
    job.count = narrow(count);
    job.pieces = narrow(pieces.rows());
    job.weight = weight;
    add(graph,
        make_operation(
            kTotal, job,
            {{offsetof(Job, from), pieces, Access::read}, {offsetof(Job, to), result, Access::write}},
            ceil_div(count, threads)),
        threads, {}, static_cast<double>(pieces.shape.count()), bytes_of(pieces) + bytes_of(result));
}

StructuredMatrix structured_congruence(Graph& graph, const StructuredMatrix& k, const Tensor& u) {
    const StructuredMatrix result = temporary_like(graph, k);
    if (is_dense(k.structure)) {
        const Tensor product = graph.temporary(DType::f32, u.shape);
        gemm(graph, u, k.values, {}, product);
        gemm(graph, k.values, product, {}, result.values, {.transpose_a = Transpose::yes, .symmetric = true});
    } else if (is_toeplitz(k.structure)) {
        using Job = gpu::StructuredDiagonalsJob;
        const Tensor w =
            structured_product(graph, k, Transpose::yes, ProductSide::left,
                               structured_product(graph, k, Transpose::no, ProductSide::right, u));
        const std::uint32_t threads = threads_for(graph, 8, 64);
        Job job{};
        job.order = narrow(k.order);
        add(graph,
            make_operation(
                kDiagonals, job,
                {{offsetof(Job, w), w, Access::read}, {offsetof(Job, to), result.values, Access::write}},
                ceil_div(k.order, threads)),
            threads, {}, static_cast<double>(k.order * k.order) / 2,
            bytes_of(w) / 2 + bytes_of(result.values));
    } else {
        add_gram(graph, k, u, result);
    }
    return result;
}

StructuredMatrix structured_gram(Graph& graph, const StructuredMatrix& k) {
    const StructuredMatrix result = temporary_like(graph, k);
    if (is_dense(k.structure))
        syrk(graph, k.values, {}, result.values, {.transpose_a = Transpose::yes});
    else
        add_gram(graph, k, {}, result);
    return result;
}

Tensor structured_product(Graph& graph, const StructuredMatrix& k, Transpose transpose, ProductSide side,
                          const Tensor& x) {
    if (!is_dense(k.structure)) return add_product(graph, k, transpose, side, x, false);
    const Tensor y = graph.temporary(DType::f32, x.shape);
    if (side == ProductSide::left)
        gemm(graph, k.values, x, {}, y, {.transpose_a = transpose});
    else
        gemm(graph, x, k.values, {}, y, {.transpose_b = transpose});
    return y;
}

Tensor structured_inverse_product(Graph& graph, const StructuredMatrix& k, ProductSide side,
                                  const Tensor& x) {
    if (k.structure.kind == StructureKind::diagonal)
        return add_product(graph, k, Transpose::no, side, x, true);
    const bool left = side == ProductSide::left;
    const std::uint64_t lines = left ? x.cols() : x.rows();
    // n^3 + 2 l n^2 FLOPs with K K^T, 4 l n^2 without.
    if (is_dense(k.structure) && 2 * lines > k.order) {
        const Tensor square = graph.temporary(DType::f32, k.values.shape);
        syrk(graph, k.values, {}, square);
        const Tensor y = graph.temporary(DType::f32, x.shape);
        if (left)
            gemm(graph, square, x, {}, y);
        else
            gemm(graph, x, square, {}, y);
        return y;
    }
    const Transpose first = left ? Transpose::yes : Transpose::no,
                    second = left ? Transpose::no : Transpose::yes;
    return structured_product(graph, k, second, side, structured_product(graph, k, first, side, x));
}

void add_factor_step(Graph& graph, const StructuredFactor& factor, const FactorCurvature& own,
                     const FactorCurvature& other, const FactorStep& options) {
    const std::uint64_t stored = stored_elements(factor.structure(), factor.order());
    const double elements = static_cast<double>(stored);
    const std::uint32_t threads = threads_for(graph, 32, 256);
    // Every workgroup adds up traces first: no more of them than elements are for.
    const std::uint64_t rounds = std::clamp<std::uint64_t>(
        ceil_div(8 * other.h.order, threads), 4, std::max<std::uint64_t>(4, ceil_div(stored, threads)));
    const std::uint64_t groups = ceil_div(stored, threads * rounds);
    const Tensor candidate = graph.temporary(DType::f32, own.h.values.shape);
    const Tensor maxima = graph.temporary(DType::f32, Shape{groups});
    {
        using Job = gpu::StructuredMomentumJob;
        Job job{};
        job.structure = shader_structure(factor.structure(), factor.order());
        job.other = shader_structure(other.h.structure, other.h.order);
        job.stored = narrow(stored);
        job.rounds = narrow(rounds);
        job.sigma = static_cast<float>(options.sigma);
        job.alpha = static_cast<float>(options.alpha);
        job.damping = static_cast<float>(options.damping);
        job.flags = (factor.momentum ? gpu::STRUCTURED_HAS_MOMENTUM : 0) |
                    (options.kfac_like ? gpu::STRUCTURED_KFAC_LIKE : 0) |
                    (own.unit ? gpu::STRUCTURED_HAS_UNIT : 0) | (other.unit ? gpu::STRUCTURED_OTHER_UNIT : 0);
        std::vector<Operand> operands{{offsetof(Job, h), own.h.values, Access::read},
                                      {offsetof(Job, gram), own.gram.values, Access::read},
                                      {offsetof(Job, other_h), other.h.values, Access::read},
                                      {offsetof(Job, other_gram), other.gram.values, Access::read},
                                      {offsetof(Job, candidate), candidate, Access::write},
                                      {offsetof(Job, maxima), maxima, Access::write}};
        if (factor.momentum) operands.push_back({offsetof(Job, momentum), factor.momentum, Access::read});
        if (own.unit) operands.push_back({offsetof(Job, unit), own.unit, Access::read});
        if (other.unit) operands.push_back({offsetof(Job, other_unit), other.unit, Access::read});
        add(graph, make_operation(kMomentum, job, std::move(operands), groups), threads, factor.k.values,
            8.0 * elements, 12.0 * elements + (factor.momentum ? bytes_of(factor.momentum) : 0.0));
    }
    const StructuredMatrix product = add_multiply(graph, factor.k, candidate);
    using Job = gpu::StructuredCommitJob;
    Job job{};
    job.stored = narrow(stored);
    job.rounds = narrow(std::max<std::uint64_t>(rounds / 2, 1));
    job.maxima_count = narrow(groups);
    job.flags = (factor.momentum ? gpu::STRUCTURED_HAS_MOMENTUM : 0) |
                (options.normalize ? gpu::STRUCTURED_NORMALIZE : 0);
    std::vector<Operand> operands{{offsetof(Job, k), factor.k.values, Access::read_write},
                                  {offsetof(Job, candidate), candidate, Access::read},
                                  {offsetof(Job, product), product.values, Access::read},
                                  {offsetof(Job, maxima), maxima, Access::read},
                                  {offsetof(Job, rate), options.rate, Access::read},
                                  {offsetof(Job, failures), factor.failures, Access::read_write}};
    if (factor.momentum) operands.push_back({offsetof(Job, momentum), factor.momentum, Access::read_write});
    add(graph,
        make_operation(kCommit, job, std::move(operands),
                       ceil_div(ceil_div(stored, 2), std::uint64_t{threads} * job.rounds)),
        threads, factor.k.values, 3.0 * elements,
        8.0 * elements + 2 * bytes_of(factor.k.values) + (factor.momentum ? bytes_of(factor.momentum) : 0.0));
}

}  // namespace heron
