// SPDX-License-Identifier: MIT
// The kernels are shaders/optim/dion2_*.comp; norms, selection and iterations are linalg's.
#include "optim/line_recipe.hpp"

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <string>
#include <utility>
#include <vector>

#include "heron/linalg.hpp"
#include "heron/spirv/dion2_momentum.hpp"
#include "heron/spirv/dion2_take.hpp"
#include "heron/spirv/dion2_update.hpp"
#include "linalg/integers.hpp"
#include "linalg/polar.hpp"
#include "optim/dion2.h"
#include "optim/moments.hpp"

namespace heron {

namespace {

static_assert(sizeof(gpu::Dion2MomentumJob) == 96);
static_assert(sizeof(gpu::Dion2TakeJob) == 104);
static_assert(sizeof(gpu::Dion2UpdateJob) == 128);

constexpr KernelInfo kMomentum = make_kernel<gpu::Dion2MomentumJob>("dion2_momentum", spirv::dion2_momentum);
constexpr KernelInfo kTake = make_kernel<gpu::Dion2TakeJob>("dion2_take", spirv::dion2_take);
constexpr KernelInfo kUpdate = make_kernel<gpu::Dion2UpdateJob>("dion2_update", spirv::dion2_update);

std::uint32_t flags_of(bool columns) { return columns ? gpu::DION2_COLUMNS : 0; }

// Returns the l1 norms of the block's lines, 1 x lines.
Tensor add_momentum(StepBuilder& step, const StepBuilder::Item& item, const Tensor& momentum,
                    const MatrixBlock& block, bool columns, const Tensor& positions) {
    using Job = gpu::Dion2MomentumJob;
    Graph& graph = step.graph();
    const Capabilities& capabilities = step.device().capabilities();
    const std::uint32_t threads = threads_of(capabilities, capabilities.cpu ? 8 : 256);
    const std::uint64_t row_quads = ceil_div(block.cols, 4);
    const std::uint64_t length = columns ? block.rows : row_quads;
    // A part is eight words of memory traffic for each of its results, or more; an invocation on a CPU driver
    // has to be worth its job's words.
    const std::uint64_t rounds = std::min<std::uint64_t>(capabilities.cpu ? 64 : 8, length);
    const std::uint64_t parts = ceil_div(length, rounds);
    const std::uint64_t lines = columns ? block.cols : block.rows;
    const Tensor sums = graph.temporary(DType::f32, columns ? Shape{parts, lines} : Shape{lines, parts});

    Job job{};
    job.range.first = narrow(block.first);
    job.range.count = narrow(block.count());
    job.range.rounds = narrow(rounds);
    job.rows = narrow(block.rows);
    job.cols = narrow(block.cols);
    job.parts = narrow(parts);
    job.flags = flags_of(columns);
    std::vector<Operand> operands{{offsetof(Job, sums), sums, Access::write},
                                  {offsetof(Job, positions), positions, Access::write}};
    StepBuilder::add_gradient(operands, offsetof(Job, gradient), item, block.first, block.count());
    add_moment(operands, offsetof(Job, momentum), job.momentum, item, momentum, block.first, block.count());
    const std::uint64_t invocations = parts * (columns ? row_quads : block.rows);
    Operation operation = make_operation(kMomentum, job, std::move(operands), ceil_div(invocations, threads));
    operation.constants = {{gpu::SPEC_THREADS, threads},
                           step.variant(),
                           {gpu::SPEC_DTYPE_B, static_cast<std::uint32_t>(item.gradient.dtype)}};
    specialize_moments(operation, momentum.dtype);
    operation.reason = step.variant_reason();
    const double elements = static_cast<double>(block.count());
    operation.flops = 3.0 * elements;
    operation.bytes =
        (2.0 * static_cast<double>(bytes_of(momentum.dtype)) + StepBuilder::gradient_bytes(item)) * elements +
        4.0 * static_cast<double>(sums.shape.count() + lines);
    graph.add(std::move(operation));

    if (parts == 1) return sums.reshape(Shape{1, lines});
    const Tensor norms = graph.temporary(DType::f32, Shape{1, lines});
    if (columns)
        column_norms(graph, sums, norms, NormKind::one);
    else
        row_norms(graph, sums, norms, NormKind::one);
    return norms;
}

// Returns the squares of what was taken in parts, groups x 3, for polar_of_partials(); none unless
// `with_norms`.
Tensor add_take(StepBuilder& step, const StepBuilder::Item& item, const Tensor& momentum,
                const MatrixBlock& block, const SelectedLines& lines, bool with_norms) {
    using Job = gpu::Dion2TakeJob;
    const bool cpu = step.device().capabilities().cpu;
    const std::uint32_t threads = threads_of(step.device().capabilities(), cpu ? 8 : 128);
    const std::uint64_t elements = lines.factor.shape.count();
    const std::uint64_t rounds =
        std::max<std::uint64_t>(cpu ? 128 : 4, ceil_div(elements, kMaxNormPartials * threads));
    const std::uint64_t groups = ceil_div(elements, rounds * threads);
    Tensor partials;
    if (with_norms) partials = step.graph().temporary(DType::f32, Shape{groups, 3});
    Job job{};
    job.range.first = narrow(block.first);
    job.range.count = narrow(block.count());
    job.range.rounds = narrow(rounds);
    job.rows = narrow(block.rows);
    job.cols = narrow(block.cols);
    job.count = narrow(lines.count);
    job.flags = flags_of(lines.columns);
    std::vector<Operand> operands{{offsetof(Job, indices), lines.indices, Access::read},
                                  {offsetof(Job, positions), lines.positions, Access::read_write},
                                  {offsetof(Job, lines), lines.factor, Access::write},
                                  {offsetof(Job, hyper), step.hyper(), Access::read}};
    if (with_norms) operands.push_back({offsetof(Job, partials), partials, Access::write});
    add_moment(operands, offsetof(Job, momentum), job.momentum, item, momentum, block.first, block.count());
    Operation operation = make_operation(kTake, job, std::move(operands), groups);
    operation.constants = {{gpu::SPEC_THREADS, threads}, step.variant(with_norms ? gpu::PARTIAL_NORMS : 0)};
    specialize_moments(operation, momentum.dtype);
    operation.reason = with_norms ? "leaves partial norms" : "one workgroup takes the norm";
    operation.flops = (with_norms ? 3.0 : 1.0) * static_cast<double>(elements);
    operation.bytes =
        (4.0 + 2.0 * static_cast<double>(bytes_of(momentum.dtype))) * static_cast<double>(elements) +
        8.0 * static_cast<double>(lines.count);
    step.graph().add(std::move(operation));
    return partials;
}

}  // namespace

std::uint64_t selected_count(double fraction, std::uint64_t lines) {
    const double wanted = std::ceil(fraction * static_cast<double>(lines));
    return std::clamp<std::uint64_t>(static_cast<std::uint64_t>(wanted), 1, lines);
}

SelectedLines add_selected_lines(StepBuilder& step, const StepBuilder::Item& item, const Tensor& momentum,
                                 const MatrixBlock& block, bool columns, std::uint64_t count,
                                 const PolarOptions& options, std::string_view stage,
                                 const Tensor& row_squares) {
    Graph& graph = step.graph();
    SelectedLines lines{};
    lines.columns = columns;
    lines.count = count;
    lines.indices = graph.temporary(DType::u32, Shape{1, count});
    lines.positions = graph.temporary(DType::u32, Shape{columns ? block.cols : block.rows});
    lines.factor = graph.temporary(DType::f32, columns ? Shape{block.rows, count} : Shape{count, block.cols});
    graph.set_stage(std::string(stage) + " momentum");
    const Tensor norms = add_momentum(step, item, momentum, block, columns, lines.positions);
    graph.set_stage(std::string(stage) + " selection");
    top_k(graph, norms, lines.indices);
    const bool fits =
        polar_fits_one_workgroup(step.device(), lines.factor.rows(), lines.factor.cols(), options);
    const Tensor partials = add_take(step, item, momentum, block, lines, !fits);
    graph.set_stage(std::string(stage) + " polar");
    polar_of_partials(graph, lines.factor, partials, lines.factor, options, row_squares);
    return lines;
}

void add_line_update(StepBuilder& step, const StepBuilder::Item& item, const MatrixBlock& block,
                     const SelectedLines& lines, const Tensor& factors) {
    using Job = gpu::Dion2UpdateJob;
    const ElementGrid grid = step.elements(block.count());
    Job job{};
    job.parameter = step.parameter_operand(item);
    job.range = StepBuilder::range(block.first, block.count(), grid);
    job.shape_factor = static_cast<float>(block.shape_factor);
    job.cols = narrow(block.cols);
    job.count = narrow(lines.count);
    job.flags = flags_of(lines.columns) | (factors ? gpu::DION2_FACTORS : 0);
    std::vector<Operand> operands{{offsetof(Job, update), lines.factor, Access::read},
                                  {offsetof(Job, positions), lines.positions, Access::read},
                                  {offsetof(Job, hyper), step.hyper(), Access::read}};
    if (factors) operands.push_back({offsetof(Job, factors), factors, Access::read});
    StepBuilder::add_parameter(operands, offsetof(Job, parameter), item, block.first, block.count());
    Operation operation = make_operation(kUpdate, job, std::move(operands), grid.groups);
    operation.constants = {{gpu::SPEC_THREADS, grid.threads},
                           step.variant(),
                           {gpu::SPEC_DTYPE_A, static_cast<std::uint32_t>(item.weight.dtype)}};
    operation.reason = step.variant_reason();
    const double elements = static_cast<double>(block.count());
    const double taken = static_cast<double>(lines.factor.shape.count());
    operation.flops = elements + (factors ? 3.0 : 2.0) * taken;
    operation.bytes = StepBuilder::parameter_bytes(item) * elements + 4.0 * taken;
    step.graph().add(std::move(operation));
}

}  // namespace heron
