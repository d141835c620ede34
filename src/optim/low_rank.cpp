// SPDX-License-Identifier: MIT
// The kernels are shaders/optim/low_rank_*.comp.
#include "optim/low_rank.hpp"

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <span>
#include <string>
#include <utility>

#include "heron/linalg.hpp"
#include "heron/spirv/low_rank_adam8.hpp"
#include "heron/spirv/low_rank_basis.hpp"
#include "heron/spirv/low_rank_diagonal.hpp"
#include "heron/spirv/low_rank_lion.hpp"
#include "heron/spirv/low_rank_lion8.hpp"
#include "heron/spirv/low_rank_square.hpp"
#include "linalg/integers.hpp"
#include "optim/adafactor.hpp"
#include "optim/adamw.hpp"
#include "optim/checks.hpp"
#include "optim/draw_key.hpp"
#include "optim/lion.hpp"
#include "optim/low_rank.h"
#include "optim/matrix_update.hpp"
#include "optim/moments.hpp"
#include "optim/muon.h"

namespace heron {

namespace {

static_assert(sizeof(gpu::LowRankBasisJob) == 56);
static_assert(sizeof(gpu::LowRankLionJob) == 72);
static_assert(sizeof(gpu::LowRankSquareJob) == 40);
static_assert(sizeof(gpu::LowRankAdam8Job) == 96);
static_assert(sizeof(gpu::LowRankDiagonalJob) == 32);

constexpr KernelInfo kAdam8 = make_kernel<gpu::LowRankAdam8Job>("low_rank_adam8", spirv::low_rank_adam8);
constexpr KernelInfo kBasis = make_kernel<gpu::LowRankBasisJob>("low_rank_basis", spirv::low_rank_basis);
constexpr KernelInfo kDiagonal =
    make_kernel<gpu::LowRankDiagonalJob>("low_rank_diagonal", spirv::low_rank_diagonal);
constexpr KernelInfo kLion = make_kernel<gpu::LowRankLionJob>("low_rank_lion", spirv::low_rank_lion);
constexpr KernelInfo kLion8 = make_kernel<gpu::LowRankLionJob>("low_rank_lion8", spirv::low_rank_lion8);
constexpr KernelInfo kSquare = make_kernel<gpu::LowRankSquareJob>("low_rank_square", spirv::low_rank_square);

constexpr std::uint64_t kMaxShortSide = 4096;  // svd()'s
// Parts of a state begin with 16 bytes of their own.
constexpr std::uint64_t kPartElements = 4;

bool has_left(const MatrixBatch& batch, GaLoreProjection projection) {
    return projection == GaLoreProjection::left || projection == GaLoreProjection::full ||
           (projection == GaLoreProjection::standard && !batch.tall()) ||
           (projection == GaLoreProjection::reverse && batch.tall());
}
bool has_right(const MatrixBatch& batch, GaLoreProjection projection) {
    return projection == GaLoreProjection::full || !has_left(batch, projection);
}

// The first columns of `found`, or their negatives.
void add_basis(StepBuilder& step, const Tensor& found, const Tensor& values, const Tensor& old,
               const Tensor& basis) {
    using Job = gpu::LowRankBasisJob;
    Job job{};
    job.rows = narrow(basis.rows());
    job.found_cols = narrow(found.cols());
    job.value_count = narrow(values.cols());
    job.rank = narrow(basis.cols());
    Operation operation = make_operation(kBasis, job,
                                         {{offsetof(Job, found), found, Access::read},
                                          {offsetof(Job, values), values, Access::read},
                                          {offsetof(Job, old), old, Access::read},
                                          {offsetof(Job, basis), basis, Access::write}},
                                         basis.batch() * basis.cols());
    const Capabilities& capabilities = step.device().capabilities();
    operation.constants = {{gpu::SPEC_THREADS, threads_of(capabilities, capabilities.cpu ? 8 : 128)}};
    operation.reason = "one workgroup a vector";
    const double elements = static_cast<double>(basis.shape.count());
    operation.flops = 3.0 * elements;
    operation.bytes = 16.0 * elements;
    step.graph().add(std::move(operation));
}

Tensor squared(StepBuilder& step, const Tensor& x) {
    using Job = gpu::LowRankSquareJob;
    const Tensor result = step.graph().temporary(DType::f32, x.shape);
    const ElementGrid grid = step.elements(x.shape.count());
    Job job{};
    job.range = StepBuilder::range(0, x.shape.count(), grid);
    Operation operation = make_operation(
        kSquare, job, {{offsetof(Job, from), x, Access::read}, {offsetof(Job, to), result, Access::write}},
        grid.groups);
    operation.constants = {{gpu::SPEC_THREADS, grid.threads}, step.variant()};
    operation.reason = step.variant_reason();
    operation.flops = static_cast<double>(x.shape.count());
    operation.bytes = 8.0 * static_cast<double>(x.shape.count());
    step.graph().add(std::move(operation));
    return result;
}

}  // namespace

bool is_vector(const Parameter& parameter) { return parameter.weight.shape.rank() < 2; }

std::vector<MatrixBatch> low_rank_batches(std::string_view optimizer, const Parameter& parameter) {
    std::vector<MatrixBatch> batches = matrix_batches(matrix_blocks(optimizer, parameter, ShapeFactor::none));
    std::erase_if(batches, [](const MatrixBatch& batch) { return batch.count() == 0; });
    for (const MatrixBatch& batch : batches)
        if (batch.short_side() > kMaxShortSide)
            refuse(std::string(optimizer) + ": parameter " + in_quotes(parameter.name) + " has a matrix of " +
                   std::to_string(batch.rows) + "x" + std::to_string(batch.cols) +
                   "; its shorter side may be at most " + std::to_string(kMaxShortSide) +
                   ", give it to AdamW");
    return batches;
}

Shape low_rank_shape(const MatrixBatch& batch, const LowRankBasis& basis) {
    return Shape{batch.items, basis.left ? basis.left.cols() : batch.rows,
                 basis.right ? basis.right.cols() : batch.cols};
}

void project(Graph& graph, const Tensor& x, const LowRankBasis& basis, const Tensor& low) {
    const GemmOptions transposed{.transpose_a = Transpose::yes};
    if (!basis.right) {
        gemm(graph, basis.left, x, {}, low, transposed);
    } else if (!basis.left) {
        gemm(graph, x, basis.right, {}, low);
    } else if (x.rows() >= x.cols()) {  // what is left of the first product is smaller
        const Tensor half = graph.temporary(DType::f32, Shape{x.batch(), basis.left.cols(), x.cols()});
        gemm(graph, basis.left, x, {}, half, transposed);
        gemm(graph, half, basis.right, {}, low);
    } else {
        const Tensor half = graph.temporary(DType::f32, Shape{x.batch(), x.rows(), basis.right.cols()});
        gemm(graph, x, basis.right, {}, half);
        gemm(graph, basis.left, half, {}, low, transposed);
    }
}

void expand(Graph& graph, const Tensor& low, const LowRankBasis& basis, const Tensor& out) {
    const GemmOptions transposed{.transpose_b = Transpose::yes};
    if (!basis.right) {
        gemm(graph, basis.left, low, {}, out);
    } else if (!basis.left) {
        gemm(graph, low, basis.right, {}, out, transposed);
    } else if (out.rows() <= out.cols()) {
        const Tensor half = graph.temporary(DType::f32, Shape{out.batch(), out.rows(), low.cols()});
        gemm(graph, basis.left, low, {}, half);
        gemm(graph, half, basis.right, {}, out, transposed);
    } else {
        const Tensor half = graph.temporary(DType::f32, Shape{out.batch(), low.rows(), out.cols()});
        gemm(graph, low, basis.right, {}, half, transposed);
        gemm(graph, basis.left, half, {}, out);
    }
}

LowRankState::LowRankState(StepBuilder& step, const StepBuilder::Item& item, std::string_view name,
                           const std::vector<Shape>& parts, DType dtype)
    : parts_(parts) {
    std::uint64_t count = 0;
    for (const Shape& part : parts) {
        firsts_.push_back(count);
        count += ceil_div(part.count(), kPartElements) * kPartElements;
    }
    Shape shape{count};
    if (parts.size() == 1) {
        std::vector<std::uint64_t> axes(parts[0].begin(), parts[0].end());
        if (axes[0] == 1) axes.erase(axes.begin());
        shape = Shape(axes);
    }
    whole_ = step.state(item, name, dtype, shape);
}

std::uint32_t low_rank_tensor(const StepBuilder::Item& item, std::size_t batch) {
    return draw_key(item.parameter->name, batch);
}

std::vector<LowRankBasis> add_low_rank_bases(StepBuilder& step, const StepBuilder::Item& item,
                                             const std::vector<MatrixBatch>& batches, std::uint64_t rank,
                                             GaLoreProjection projection) {
    std::vector<LowRankBasis> bases(batches.size());
    const auto add = [&](const char* name, std::uint32_t stream, Tensor LowRankBasis::*side, const auto& has,
                         const auto& length) {
        std::vector<Shape> shapes;
        std::vector<std::size_t> owners;
        for (std::size_t b = 0; b < batches.size(); ++b)
            if (has(batches[b], projection)) {
                shapes.push_back(
                    Shape{batches[b].items, length(batches[b]), std::min(rank, batches[b].short_side())});
                owners.push_back(b);
            }
        if (shapes.empty()) return;
        const LowRankState state(step, item, name, shapes);
        Graph& graph = step.graph();
        graph.set_phase(Phase::initialize);
        graph.set_stage("initialize");
        for (std::size_t i = 0; i < owners.size(); ++i) {
            bases[owners[i]].*side = state.part(i);
            fill_random(graph, state.part(i),
                        {.tensor = low_rank_tensor(item, owners[i]),
                         .stream = stream,
                         .scale = static_cast<float>(1 / std::sqrt(static_cast<double>(shapes[i][1]))),
                         .guarded = false});
        }
        graph.set_phase(Phase::step);
    };
    add("left", gpu::LOW_RANK_STREAM_LEFT, &LowRankBasis::left, has_left,
        [](const MatrixBatch& batch) { return batch.rows; });
    add("right", gpu::LOW_RANK_STREAM_RIGHT, &LowRankBasis::right, has_right,
        [](const MatrixBatch& batch) { return batch.cols; });
    return bases;
}

void add_singular_basis(StepBuilder& step, const Tensor& gradient, const LowRankBasis& basis,
                        const LowRankBasis& next, std::uint32_t iterations) {
    Graph& graph = step.graph();
    const std::uint64_t items = gradient.batch();
    const std::uint64_t k = std::min(gradient.rows(), gradient.cols());
    const std::uint64_t r = iterations == 0 ? k : (basis.left ? basis.left : basis.right).cols();
    const Tensor values = graph.temporary(DType::f32, Shape{items, r});
    Tensor u, v;
    if (basis.left || iterations > 0) u = graph.temporary(DType::f32, Shape{items, gradient.rows(), r});
    if (basis.right || iterations > 0) v = graph.temporary(DType::f32, Shape{items, gradient.cols(), r});
    if (iterations == 0) {
        svd(graph, gradient, u, values, v);
    } else {
        Tensor start = basis.left;
        if (!start) {
            start = graph.temporary(DType::f32, u.shape);
            gemm(graph, gradient, basis.right, {}, start);
        }
        truncated_svd(graph, gradient, u, values, v, {.iterations = iterations, .basis = start});
    }
    if (basis.left) add_basis(step, u, values, basis.left, next.left);
    if (basis.right) add_basis(step, v, values, basis.right, next.right);
}

void add_diagonal(StepBuilder& step, const Tensor& low) {
    using Job = gpu::LowRankDiagonalJob;
    const ElementGrid grid = step.elements(low.shape.count());
    Job job{};
    job.range = StepBuilder::range(0, low.shape.count(), grid);
    job.order = narrow(low.cols());
    Operation operation =
        make_operation(kDiagonal, job, {{offsetof(Job, low), low, Access::read_write}}, grid.groups);
    operation.constants = {{gpu::SPEC_THREADS, grid.threads}, step.variant()};
    operation.reason = step.variant_reason();
    operation.bytes = 8.0 * static_cast<double>(low.shape.count());
    step.graph().add(std::move(operation));
}

std::vector<HyperValue> low_rank_hyper(const LowRankRates& rates, const LowRankInnerOptions& options) {
    switch (options.inner) {
        case GaLoreInner::adafactor:
            return adafactor_hyper(options.adafactor);
        case GaLoreInner::lion:
            return lion_hyper({.lr = rates.lr,
                               .beta1 = rates.beta1,
                               .beta2 = rates.beta2,
                               .weight_decay = rates.weight_decay,
                               .schedule = rates.schedule});
        case GaLoreInner::adamw:
            break;
    }
    return adamw_hyper({.lr = rates.lr,
                        .beta1 = rates.beta1,
                        .beta2 = rates.beta2,
                        .eps = rates.eps,
                        .weight_decay = rates.weight_decay,
                        .bias_correction = rates.bias_correction,
                        .eps_on_uncorrected = true,
                        .schedule = rates.schedule});
}

void add_full_rank(StepBuilder& step, const StepBuilder::Item& item, const LowRankInnerOptions& options) {
    switch (options.inner) {
        case GaLoreInner::adamw:
            add_adamw(step, item, gpu::ADAMW_DECAY_AFTER);
            break;
        case GaLoreInner::adafactor:
            add_adafactor(step, item, options.adafactor);
            break;
        case GaLoreInner::lion:
            add_lion(step, item, "m", gpu::LION_DECAY_AFTER);
            break;
    }
}

LowRankInner::LowRankInner(StepBuilder& step, const StepBuilder::Item& item,
                           const LowRankInnerOptions& options, const std::vector<Shape>& shapes)
    : step_(step), item_(item), options_(options) {
    const bool adafactor = options.inner == GaLoreInner::adafactor;
    if (!adafactor && options.moment_bits == 8) {
        std::vector<Shape> codes, scales;
        for (const Shape& shape : shapes) {
            scales.push_back(Shape{moment_blocks(shape.count())});
            codes.push_back(Shape{moment_words(shape.count())});
        }
        m_ = LowRankState(step, item, "m", codes, DType::u32);
        m_scale_ = LowRankState(step, item, "m_scale", scales);
        if (options.inner == GaLoreInner::lion) return;
        v_ = LowRankState(step, item, "v", codes, DType::u32);
        v_scale_ = LowRankState(step, item, "v_scale", scales);
        return;
    }
    const DType dtype = moment_dtype(options.moment_bits == 16 ? MomentFormat::bf16 : MomentFormat::f32);
    if (!adafactor || options.adafactor.beta1 > 0) m_ = LowRankState(step, item, "m", shapes, dtype);
    if (options.inner == GaLoreInner::adamw) v_ = LowRankState(step, item, "v", shapes, dtype);
    if (!adafactor) return;
    rate_ = add_adafactor_rate(step, item, options.adafactor);
    std::vector<Shape> rows, cols;
    for (const Shape& shape : shapes) {
        rows.push_back(Shape{shape[0], shape[1]});
        cols.push_back(Shape{shape[0], shape[2]});
    }
    row_ = LowRankState(step, item, "row", rows);
    col_ = LowRankState(step, item, "col", cols);
}

Tensor LowRankInner::direction(std::size_t batch, const Tensor& low) {
    Graph& graph = step_.graph();
    const Tensor result = graph.temporary(DType::f32, low.shape);
    if (options_.inner == GaLoreInner::adafactor) {
        add_adafactor_direction(step_, item_, options_.adafactor, low,
                                {row_.part(batch), col_.part(batch), m_ ? m_.part(batch) : Tensor()}, rate_,
                                result);
    } else if (options_.inner == GaLoreInner::lion) {
        add_lion_direction(batch, low, result);
    } else if (m_scale_) {
        add_adam8(batch, low, result);
    } else {
        add_subspace_adam(step_, item_, low,
                          {.m = m_.whole(), .v = v_.whole(), .first = m_.first(batch), .since = {}}, result);
    }
    return result;
}

// Job and operands of a kernel from a gradient to a direction.
template <class Job>
std::vector<Operand> LowRankInner::operands(Job& job, std::size_t batch, const Tensor& low,
                                            const Tensor& result, const ElementGrid& grid) const {
    // Of codes, four a word, the first is that of the batch in memory, too.
    const std::uint64_t first = m_.first(batch) * (m_scale_ ? 4 : 1);
    job.range = StepBuilder::range(first, low.shape.count(), grid);
    return {{offsetof(Job, gradient), low, Access::read},
            {offsetof(Job, direction), result, Access::write},
            {offsetof(Job, hyper), step_.hyper(), Access::read}};
}

void LowRankInner::add(Operation operation, const ElementGrid& grid, std::uint64_t count, double flops,
                       double bytes) {
    operation.constants = {{gpu::SPEC_THREADS, grid.threads}, step_.variant()};
    if (!m_scale_) specialize_moments(operation, m_.whole().dtype);
    operation.reason = m_scale_ ? "one workgroup a block" : step_.variant_reason();
    operation.flops = flops * static_cast<double>(count);
    operation.bytes = bytes * static_cast<double>(count);
    step_.graph().add(std::move(operation));
}

void LowRankInner::add_lion_direction(std::size_t batch, const Tensor& low, const Tensor& result) {
    using Job = gpu::LowRankLionJob;
    const std::uint64_t count = low.shape.count();
    const ElementGrid grid = m_scale_ ? block8_grid(step_, count) : step_.elements(count);
    Job job{};
    std::vector<Operand> all = operands(job, batch, low, result, grid);
    if (m_scale_)
        add_block8(all, offsetof(Job, momentum), job.momentum, item_, {m_.part(batch), m_scale_.part(batch)});
    else
        add_moment(all, offsetof(Job, momentum), job.momentum, item_, m_.whole(), m_.first(batch), count);
    add(make_operation(m_scale_ ? kLion8 : kLion, job, std::move(all), grid.groups), grid, count, 6.0,
        m_scale_ ? 14.0 : 8.0 + 2.0 * static_cast<double>(bytes_of(m_.whole().dtype)));
}

void LowRankInner::add_adam8(std::size_t batch, const Tensor& low, const Tensor& result) {
    using Job = gpu::LowRankAdam8Job;
    const std::uint64_t count = low.shape.count();
    const ElementGrid grid = block8_grid(step_, count);
    Job job{};
    std::vector<Operand> all = operands(job, batch, low, result, grid);
    add_block8(all, offsetof(Job, moment1), job.moment1, item_, {m_.part(batch), m_scale_.part(batch)});
    add_block8(all, offsetof(Job, moment2), job.moment2, item_, {v_.part(batch), v_scale_.part(batch)});
    // (The gradient twice, codes from a cache.)
    add(make_operation(kAdam8, job, std::move(all), grid.groups), grid, count, 40.0, 16.0);
}

void LowRankInner::rotate(std::size_t batch, const LowRankBasis& basis, const LowRankBasis& next) {
    Graph& graph = step_.graph();
    const auto turn = [&](const Tensor& from, const Tensor& to) {
        if (!from) return Tensor();
        const Tensor r = graph.temporary(DType::f32, Shape{from.batch(), from.cols(), from.cols()});
        gemm(graph, from, to, {}, r, {.transpose_a = Transpose::yes});
        return r;
    };
    const LowRankBasis rotation{turn(basis.left, next.left), turn(basis.right, next.right)};
    const auto apply = [&](const Tensor& moment, const LowRankBasis& by) {
        const Tensor turned = graph.temporary(DType::f32, moment.shape);
        project(graph, moment, by, turned);
        convert(graph, turned, moment);
    };
    apply(m_.part(batch), rotation);
    if (!v_) return;
    apply(v_.part(batch), {rotation.left ? squared(step_, rotation.left) : Tensor(),
                           rotation.right ? squared(step_, rotation.right) : Tensor()});
}

void LowRankInner::update(const MatrixBatch& batch, const Tensor& direction) {
    MatrixBlock block = batch.stacked();
    if (options_.inner != GaLoreInner::lion) block.shape_factor = static_cast<double>(options_.scale);
    switch (options_.inner) {
        case GaLoreInner::adamw:
            add_matrix_update(step_, item_, block, direction, DecayForm::after);
            break;
        case GaLoreInner::adafactor:
            add_matrix_update(step_, item_, block, direction, DecayForm::decoupled, {}, 0, rate_);
            break;
        case GaLoreInner::lion:
            add_matrix_update(step_, item_, block, direction, DecayForm::after, {}, gpu::MUON_SIGN);
            break;
    }
}

}  // namespace heron
