// SPDX-License-Identifier: MIT
// Inverse Fisher matrices of few gradients: by syrk(), cholesky() and triangular_solve(), all full blocks as
// one batch and the last one, where it is shorter, as another. The kernels are shaders/linalg/fisher_*.comp.
#include "heron/linalg/fisher_inverse.hpp"

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <string>
#include <utility>
#include <vector>

#include "graph/graph.hpp"
#include "heron/linalg/cholesky.hpp"
#include "heron/linalg/product.hpp"
#include "heron/linalg/select.hpp"
#include "heron/linalg/triangular.hpp"
#include "heron/spirv/fisher_blocks.hpp"
#include "heron/spirv/fisher_drop.hpp"
#include "heron/spirv/fisher_elements.hpp"
#include "heron/spirv/fisher_settle.hpp"
#include "heron/spirv/fisher_values.hpp"
#include "linalg/checks.hpp"
#include "linalg/fisher.h"
#include "linalg/jacobi.hpp"
#include "linalg/tensors.hpp"
#include "linalg/woodbury.hpp"

namespace heron {

static_assert(sizeof(gpu::FisherBlocksJob) == 56);
static_assert(sizeof(gpu::FisherValuesJob) == 56);
static_assert(sizeof(gpu::FisherElementsJob) == 48);
static_assert(sizeof(gpu::FisherDropJob) == 24);
static_assert(sizeof(gpu::FisherSettleJob) == 32);

namespace {

constexpr KernelInfo kBlocks = make_kernel<gpu::FisherBlocksJob>("fisher_blocks", spirv::fisher_blocks);
constexpr KernelInfo kValues = make_kernel<gpu::FisherValuesJob>("fisher_values", spirv::fisher_values);
constexpr KernelInfo kElements =
    make_kernel<gpu::FisherElementsJob>("fisher_elements", spirv::fisher_elements);
constexpr KernelInfo kDrop = make_kernel<gpu::FisherDropJob>("fisher_drop", spirv::fisher_drop);
constexpr KernelInfo kSettle = make_kernel<gpu::FisherSettleJob>("fisher_settle", spirv::fisher_settle);

constexpr float kEps32 = 0x1p-23f;

std::uint32_t threads_of(const Graph& graph) { return graph.device().capabilities().cpu ? 16 : 128; }

void add(Graph& graph, Operation operation, std::vector<SpecConstant> constants, double flops, double bytes,
         bool guarded) {
    constants.push_back({gpu::SPEC_THREADS, threads_of(graph)});
    add_operation(graph, std::move(operation), std::move(constants), flops, bytes, guarded, "the only one");
}

void check_inverse(std::string_view who, const Graph& graph, const FisherInverse& inverse) {
    const std::uint64_t m = inverse.gradients;
    if (m < 1 || m > kMaxWindowRows)
        refuse(who, "there are " + std::to_string(m) + " gradients; 1 to " + std::to_string(kMaxWindowRows) +
                        " are possible");
    if (inverse.block < 1) refuse(who, "the block has no coordinates; it must have one at least");
    if (!is_positive(inverse.damping) || !std::isfinite(1 / inverse.damping))
        refuse(who, "the damping is " + std::to_string(inverse.damping) +
                        "; it and its reciprocal must be positive and finite");
    check_float_tensor(who, "Y", graph, inverse.rows);
    const std::uint64_t count = inverse.rows.shape.count();
    if (count < m || count % m != 0 || count > std::uint64_t{1} << 31)
        refuse(who, "Y is " + text(inverse.rows) + "; it must have a multiple of " + std::to_string(m) +
                        " elements, at most 2^31");
    check_elements(who, "Y", graph, inverse.rows, count, ElementKind::f32);
}

// Blocks of one size: their Y as a batch of m x width, and their part of vectors.
struct Batch {
    std::uint64_t blocks, width, first, first_block;
    Tensor y;

    Tensor of(const Tensor& vector) const {
        Tensor part = vector;
        part.byte_offset += first * sizeof(float);
        part.shape = Shape{blocks, width, 1};
        part.row_stride = 0;
        return part;
    }
};

std::vector<Batch> batches_of(const FisherInverse& inverse) {
    const std::uint64_t d = inverse.coordinates(), m = inverse.gradients;
    const std::uint64_t width = std::min(inverse.block, d), full = d / width, rest = d % width;
    std::vector<Batch> batches;
    const auto push = [&](std::uint64_t blocks, std::uint64_t columns, std::uint64_t first,
                          std::uint64_t first_block) {
        Tensor y = inverse.rows;
        y.byte_offset += first * m * sizeof(float);
        y.shape = Shape{blocks, m, columns};
        y.row_stride = 0;
        batches.push_back({blocks, columns, first, first_block, y});
    };
    push(full, width, 0, 0);
    if (rest > 0) push(1, rest, full * width, full);
    return batches;
}

void add_product(Graph& graph, const FisherInverse& inverse, const Tensor& x, const Tensor& result,
                 bool guarded) {
    for (const Batch& batch : batches_of(inverse)) {
        const Tensor yx = graph.temporary(DType::f32, Shape{batch.blocks, inverse.gradients, 1});
        GemmOptions options;
        options.guarded = guarded;
        options.packing = false;
        gemm(graph, batch.y, batch.of(x), {}, yx, options);
        options.transpose_a = Transpose::yes;
        options.alpha = -1.0f / (static_cast<float>(inverse.gradients) * inverse.damping);
        options.beta = 1.0f / inverse.damping;
        gemm(graph, batch.y, yx, batch.of(x), batch.of(result), options);
    }
}

void add_values(Graph& graph, const FisherInverse& inverse, std::uint32_t mode, const Tensor& weights,
                const Tensor& kept, const Tensor& result, bool guarded) {
    using Job = gpu::FisherValuesJob;
    const std::uint64_t d = inverse.coordinates();
    Job job{};
    job.d = narrow(d);
    job.rows = inverse.gradients;
    job.block = narrow(std::min(inverse.block, d));
    job.mode = mode;
    job.damping = inverse.damping;
    std::vector<Operand> operands{{offsetof(Job, y), inverse.rows, Access::read},
                                  {offsetof(Job, result), result, Access::write}};
    if (weights) {
        operands.push_back({offsetof(Job, weights), weights, Access::read});
        operands.push_back({offsetof(Job, kept), kept, Access::read});
    }
    const double count = static_cast<double>(inverse.rows.shape.count());
    add(graph, make_operation(kValues, job, std::move(operands), ceil_div(d, threads_of(graph))), {},
        2 * count, 4 * count + (weights ? 12 : 4) * static_cast<double>(d), guarded);
}

void check_apart(std::string_view who, const Graph& graph, const NamedTensor& output,
                 std::initializer_list<NamedTensor> others) {
    for (const NamedTensor& other : others)
        check_no_overlap(who, output.name, output.tensor, other.name, other.tensor, graph);
}

}  // namespace

void fisher_inverse(Graph& graph, const Tensor& gradients, const FisherInverse& inverse,
                    const FisherInverseOptions& options) {
    const char* who = "fisher_inverse";
    check_inverse(who, graph, inverse);
    check_float_tensor(who, "the gradients", graph, gradients);
    const std::uint64_t m = inverse.gradients, d = inverse.coordinates();
    if (gradients.batch() != 1 || gradients.rows() != m || gradients.cols() != d)
        refuse(who, "the gradients are " + text(gradients) + "; they must be " + std::to_string(m) +
                        " rows of " + std::to_string(d) + " elements");
    check_apart(who, graph, {"Y", inverse.rows}, {{"the gradients", gradients}});
    if (options.kept) {
        check_elements(who, "kept", graph, options.kept, d, ElementKind::u32);
        check_apart(who, graph, {"Y", inverse.rows}, {{"kept", options.kept}});
    }
    check_status_tensor(who, graph, options.status, inverse.blocks(),
                        {{"Y", inverse.rows}, {"the gradients", gradients}, {"kept", options.kept}});

    using Job = gpu::FisherBlocksJob;
    const std::uint32_t per_thread = graph.device().capabilities().cpu ? 64 : 4;
    Job job{};
    job.d = narrow(d);
    job.stride = narrow(gradients.stride());
    job.rows = inverse.gradients;
    job.block = narrow(std::min(inverse.block, d));
    job.groups = narrow(ceil_div(d, std::uint64_t{threads_of(graph)} * per_thread));
    job.has_kept = options.kept ? 1 : 0;
    std::vector<Operand> operands{{offsetof(Job, g), gradients, Access::read},
                                  {offsetof(Job, y), inverse.rows, Access::write}};
    if (options.kept) operands.push_back({offsetof(Job, kept), options.kept, Access::read});
    add(graph, make_operation(kBlocks, job, std::move(operands), m * job.groups),
        {{gpu::SPEC_DTYPE_A, dtype_code(gradients)}, {gpu::SPEC_PER_THREAD, per_thread}}, 0,
        static_cast<double>(m * d * (4 + bytes_of(gradients.dtype))), options.guarded);

    const Tensor one = graph.temporary(DType::f32, Shape{m, m});
    add_identity(graph, one, options.guarded);
    for (const Batch& batch : batches_of(inverse)) {
        const Tensor c = graph.temporary(DType::f32, Shape{batch.blocks, m, m});
        GemmOptions gram;
        gram.alpha = 1.0f / static_cast<float>(m);
        gram.beta = inverse.damping;
        gram.guarded = options.guarded;
        syrk(graph, batch.y, one, c, gram);
        CholeskyOptions factor;
        factor.jitter = {.retries = 3, .relative = 4 * kEps32 * static_cast<float>(m)};
        if (options.status) {
            factor.status = options.status;
            factor.status.byte_offset += batch.first_block * sizeof(std::uint32_t);
            factor.status.shape = Shape{batch.blocks};
        }
        factor.guarded = options.guarded;
        cholesky(graph, c, c, factor);
        TriangularOptions solve;
        solve.guarded = options.guarded;
        triangular_solve(graph, c, batch.y, batch.y, solve);
    }
}

void fisher_product(Graph& graph, const FisherInverse& inverse, const Tensor& x, const Tensor& result,
                    bool guarded) {
    const char* who = "fisher_product";
    check_inverse(who, graph, inverse);
    check_elements(who, "x", graph, x, inverse.coordinates(), ElementKind::f32);
    check_elements(who, "the result", graph, result, inverse.coordinates(), ElementKind::f32);
    check_apart(who, graph, {"the result", result}, {{"x", x}, {"Y", inverse.rows}});
    add_product(graph, inverse, x, result, guarded);
}

void fisher_diagonal(Graph& graph, const FisherInverse& inverse, const Tensor& result, bool guarded) {
    const char* who = "fisher_diagonal";
    check_inverse(who, graph, inverse);
    check_elements(who, "the result", graph, result, inverse.coordinates(), ElementKind::f32);
    check_apart(who, graph, {"the result", result}, {{"Y", inverse.rows}});
    add_values(graph, inverse, gpu::FISHER_DIAGONAL, {}, {}, result, guarded);
}

void fisher_elements(Graph& graph, const FisherInverse& inverse, const Tensor& pairs, const Tensor& result,
                     bool guarded) {
    const char* who = "fisher_elements";
    check_inverse(who, graph, inverse);
    check_indices(who, graph, pairs);
    const std::uint64_t count = pairs.shape.count() / 2, d = inverse.coordinates();
    if (pairs.shape.count() % 2 != 0) refuse(who, "the indices are no pairs");
    check_elements(who, "the pairs", graph, pairs, 2 * count, ElementKind::u32);
    check_elements(who, "the result", graph, result, count, ElementKind::f32);
    check_apart(who, graph, {"the result", result}, {{"the pairs", pairs}, {"Y", inverse.rows}});
    using Job = gpu::FisherElementsJob;
    Job job{};
    job.count = narrow(count);
    job.d = narrow(d);
    job.rows = inverse.gradients;
    job.block = narrow(std::min(inverse.block, d));
    job.damping = inverse.damping;
    const double products = static_cast<double>(count * inverse.gradients);
    add(graph,
        make_operation(kElements, job,
                       {{offsetof(Job, y), inverse.rows, Access::read},
                        {offsetof(Job, pairs), pairs, Access::read},
                        {offsetof(Job, result), result, Access::write}},
                       ceil_div(count, threads_of(graph))),
        {}, 2 * products, 8 * products + 12 * static_cast<double>(count), guarded);
}

void pruning_scores(Graph& graph, const FisherInverse& inverse, const Tensor& weights, const Tensor& kept,
                    const Tensor& scores, bool guarded) {
    const char* who = "pruning_scores";
    check_inverse(who, graph, inverse);
    const std::uint64_t d = inverse.coordinates();
    check_elements(who, "the weights", graph, weights, d, ElementKind::f32);
    check_elements(who, "kept", graph, kept, d, ElementKind::u32);
    check_elements(who, "the scores", graph, scores, d, ElementKind::f32);
    check_apart(who, graph, {"the scores", scores},
                {{"the weights", weights}, {"kept", kept}, {"Y", inverse.rows}});
    add_values(graph, inverse, gpu::FISHER_SCORES, weights, kept, scores, guarded);
}

void prune_smallest(Graph& graph, const Tensor& scores, const Tensor& kept, std::uint64_t count,
                    bool guarded) {
    const char* who = "prune_smallest";
    check_float_tensor(who, "the scores", graph, scores);
    const std::uint64_t all = scores.shape.count();
    check_elements(who, "the scores", graph, scores, all, ElementKind::f32);
    check_elements(who, "kept", graph, kept, all, ElementKind::u32);
    check_apart(who, graph, {"kept", kept}, {{"the scores", scores}});
    if (count > all)
        refuse(who,
               "the count is " + std::to_string(count) + "; there are " + std::to_string(all) + " scores");
    if (count == 0) return;
    Tensor row = scores;
    row.shape = Shape{1, all};
    row.row_stride = 0;
    const Tensor indices = graph.temporary(DType::u32, Shape{1, count});
    top_k(graph, row, indices, {}, SortOrder::ascending, guarded);
    using Job = gpu::FisherDropJob;
    Job job{};
    job.count = narrow(count);
    add(graph,
        make_operation(kDrop, job,
                       {{offsetof(Job, indices), indices, Access::read},
                        {offsetof(Job, kept), kept, Access::read_write}},
                       ceil_div(count, threads_of(graph))),
        {}, 0, 8 * static_cast<double>(count), guarded);
}

void prune_weights(Graph& graph, const FisherInverse& inverse, const Tensor& kept, const Tensor& weights,
                   bool guarded) {
    const char* who = "prune_weights";
    check_inverse(who, graph, inverse);
    const std::uint64_t d = inverse.coordinates();
    check_elements(who, "kept", graph, kept, d, ElementKind::u32);
    check_elements(who, "the weights", graph, weights, d, ElementKind::f32);
    check_apart(who, graph, {"the weights", weights}, {{"kept", kept}, {"Y", inverse.rows}});
    const Tensor removal = graph.temporary(DType::f32, Shape{d}),
                 change = graph.temporary(DType::f32, Shape{d});
    add_values(graph, inverse, gpu::FISHER_REMOVAL, weights, kept, removal, guarded);
    add_product(graph, inverse, removal, change, guarded);
    using Job = gpu::FisherSettleJob;
    Job job{};
    job.count = narrow(d);
    add(graph,
        make_operation(kSettle, job,
                       {{offsetof(Job, weights), weights, Access::read_write},
                        {offsetof(Job, change), change, Access::read},
                        {offsetof(Job, kept), kept, Access::read}},
                       ceil_div(d, threads_of(graph))),
        {}, static_cast<double>(d), 16 * static_cast<double>(d), guarded);
}

}  // namespace heron
