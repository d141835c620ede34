// SPDX-License-Identifier: MIT
// 4-bit Shampoo's recipe: the gradient in units of its size (scaled_gradient.hpp), factors
// (shampoo4bit_factor.hpp), products with the roots, their size (shampoo4bit_graft.comp); SGD's or AdamW's
// kernel takes the step.
#include "heron/optim/shampoo4bit.hpp"

#include <cstddef>
#include <span>
#include <string>
#include <utility>
#include <vector>

#include "heron/linalg/reduce.hpp"
#include "heron/linalg/two_sided.hpp"
#include "heron/spirv/shampoo4bit_graft.hpp"
#include "optim/adamw.hpp"
#include "optim/checks.hpp"
#include "optim/moments.hpp"
#include "optim/refresh.hpp"
#include "optim/scaled_gradient.hpp"
#include "optim/sgd.hpp"
#include "optim/shampoo4bit.h"
#include "optim/shampoo4bit_factor.hpp"
#include "optim/step_builder.hpp"
#include "optim/tensor_blocks.hpp"

namespace heron {

namespace {

static_assert(sizeof(gpu::Shampoo4BitGraftJob) == 64);
constexpr KernelInfo kGraft =
    make_kernel<gpu::Shampoo4BitGraftJob>("shampoo4bit_graft", spirv::shampoo4bit_graft);

bool is_adamw(const Shampoo4BitOptions& options) { return options.base == Shampoo4BitBase::adamw; }

AdamWOptions adamw_options(const Shampoo4BitOptions& o) {
    return {.lr = o.lr,
            .beta1 = o.beta1,
            .beta2 = o.beta2,
            .eps = o.eps,
            .weight_decay = o.weight_decay,
            .moments = o.moments,
            .schedule = o.schedule};
}

SgdOptions sgd_options(const Shampoo4BitOptions& o) {
    return {.lr = o.lr,
            .momentum = o.momentum,
            .nesterov = o.nesterov,
            .weight_decay = o.weight_decay,
            .moments = o.moments,
            .schedule = o.schedule};
}

// Without axes of length 1: a vector, or the first axis and all others.
Shape matrix_shape(const Shape& shape) {
    std::vector<std::uint64_t> extents;
    for (const std::uint64_t extent : shape)
        if (extent != 1) extents.push_back(extent);
    if (extents.size() <= 1) return Shape{shape.count()};
    return Shape{extents[0], shape.count() / extents[0]};
}

Tensor block_of(const Tensor& whole, const TensorBlock& block) {
    Tensor part = whole;
    part.byte_offset += (block.first[0] * whole.cols() + block.first[1]) * bytes_of(whole.dtype);
    part.shape = block.extents;
    part.row_stride = whole.cols();
    return part;
}

// Of the optimizer's blocks.
struct Refreshes {
    RefreshSchedule statistics, roots;
};

// FLOPs of both refreshes of a block, about.
double refresh_flops(const Shape& extents, const Shampoo4BitOptions& options) {
    const double m = static_cast<double>(extents[0]), n = static_cast<double>(extents[1]);
    const double root =
        options.root == Shampoo4BitRoot::newton ? 84.0 : 3.0 * options.root_rectifications + 1;
    return m * n * (m + n) + (7.7 + 3.0 * options.statistic_rectifications + root) * (m * m * m + n * n * n);
}

// A block has one turn in both intervals: its roots are made of statistics of the same step where the one
// interval divides the other.
std::vector<std::uint32_t> turns_of(std::span<const StepBuilder::Item> items,
                                    const Shampoo4BitOptions& options) {
    std::vector<double> flops;
    for (const StepBuilder::Item& item : items) {
        if (item.weight.shape.count() == 0) continue;
        const Shape matrix = matrix_shape(item.weight.shape);
        if (matrix.rank() == 1) continue;
        for (const TensorBlock& block : tensor_blocks(matrix, options.block_size))
            flops.push_back(refresh_flops(block.extents, options));
    }
    const RefreshPolicy &statistics = options.statistics, &roots = options.roots;
    const bool by_roots = roots.stagger && (!statistics.stagger || roots.interval >= statistics.interval);
    return refresh_turns(by_roots ? roots : statistics, flops);
}

Tensor precondition(StepBuilder& step, const StepBuilder::Item& item, const ScaledGradient& gradient,
                    Refreshes& refreshes, const Shampoo4BitOptions& options) {
    Graph& graph = step.graph();
    const std::vector<TensorBlock> blocks = tensor_blocks(gradient.matrix.shape, options.block_size);
    std::vector<QuantizedFactor> sides[2];
    for (std::uint32_t side = 0; side < 2; ++side) {
        std::vector<std::uint64_t> orders;
        for (const TensorBlock& block : blocks) orders.push_back(block.extents[side]);
        sides[side] = make_quantized_factors(graph, item.parameter->name, side, orders, options);
    }
    const Tensor direction = graph.temporary(DType::f32, gradient.matrix.shape);
    for (std::size_t b = 0; b < blocks.size(); ++b) {
        const Tensor g = block_of(gradient.matrix, blocks[b]);
        const Section statistics = refreshes.statistics.next(), roots = refreshes.roots.next();
        for (std::uint32_t side = 0; side < 2; ++side) {
            const QuantizedFactor& factor = sides[side][b];
            graph.set_stage("shampoo4bit statistics");
            graph.set_section(statistics);
            const Tensor statistic = graph.temporary(DType::f32, Shape{factor.order, factor.order});
            syrk(graph, g, {}, statistic, {.transpose_a = side == 0 ? Transpose::no : Transpose::yes});
            renew_statistics(graph, factor, statistic, gradient.unit, options);
            graph.set_stage("shampoo4bit roots");
            graph.set_section(roots);
            const DampingScales& scales = item.parameter->damping_scale;
            renew_quantized_root(graph, factor, options,
                                 options.epsilon * (side == 0 ? scales.outputs : scales.inputs));
            graph.set_section({});
        }
        graph.set_stage("shampoo4bit direction");
        const auto root = [&](const QuantizedFactor& factor) {
            return load_matrix(graph, factor.root, factor.order, factor.order, factor.form);
        };
        two_sided_product(graph, root(sides[0][b]), g, root(sides[1][b]), {}, block_of(direction, blocks[b]));
    }
    return direction;
}

// The direction (of a vector the gradient itself) gets the gradient's size, or the gradient's place.
void graft_direction(StepBuilder& step, const ScaledGradient& gradient, const Tensor& direction,
                     std::uint32_t start_step) {
    using Job = gpu::Shampoo4BitGraftJob;
    Graph& graph = step.graph();
    const bool is_gradient = direction.id == gradient.matrix.id;
    const Tensor gradient_norm = graph.temporary(DType::f32, Shape{1});
    frobenius_norm(graph, gradient.matrix, gradient_norm);
    Tensor direction_norm = gradient_norm;
    if (!is_gradient) {
        direction_norm = graph.temporary(DType::f32, Shape{1});
        frobenius_norm(graph, direction, direction_norm);
    }
    const std::uint64_t count = direction.shape.count();
    const ElementGrid grid = step.elements(count);
    Job job{};
    job.range = StepBuilder::range(0, count, grid);
    job.start = start_step;
    Operation operation = make_operation(
        kGraft, job,
        {{offsetof(Job, gradient), gradient.matrix, is_gradient ? Access::read_write : Access::read},
         {offsetof(Job, direction), direction, Access::read_write},
         {offsetof(Job, unit), gradient.unit, Access::read},
         {offsetof(Job, gradient_norm), gradient_norm, Access::read},
         {offsetof(Job, direction_norm), direction_norm, Access::read}},
        grid.groups);
    operation.constants = {{gpu::SPEC_THREADS, grid.threads}, step.variant()};
    operation.reason = step.variant_reason();
    operation.flops = 2.0 * static_cast<double>(count);
    operation.bytes = 8.0 * static_cast<double>(count);
    graph.add(std::move(operation));
}

}  // namespace

Shampoo4BitOptions Shampoo4BitOptions::adamw() {
    Shampoo4BitOptions options;
    options.base = Shampoo4BitBase::adamw;
    options.lr = 1e-3f;
    return options;
}

Shampoo4Bit::Shampoo4Bit(const Device& device, const Shampoo4BitOptions& options)
    : Optimizer(device, "shampoo4bit"), options_(options) {
    const char* who = "Shampoo4Bit";
    const Shampoo4BitOptions& o = options;
    check_enum(who, "base", o.base, Shampoo4BitBase::adamw);
    check_option(who, "lr", o.lr, o.lr >= 0, "finite and not below 0");
    check_option(who, "momentum", o.momentum, o.momentum >= 0 && o.momentum < 1, "in [0, 1)");
    check_option(who, "beta1", o.beta1, o.beta1 >= 0 && o.beta1 < 1, "in [0, 1)");
    check_option(who, "beta2", o.beta2, o.beta2 >= 0 && o.beta2 < 1, "in [0, 1)");
    check_option(who, "eps", o.eps, o.eps >= 0, "finite and not below 0");
    check_option(who, "weight_decay", o.weight_decay, o.weight_decay >= 0, "finite and not below 0");
    check_option(who, "factor_decay", o.factor_decay, o.factor_decay >= 0 && o.factor_decay <= 1,
                 "in [0, 1]");
    check_option(who, "epsilon", o.epsilon, o.epsilon >= 0, "finite and not below 0");
    check_option(who, "bits", o.bits, o.bits == 2 || o.bits == 4 || o.bits == 8 || o.bits == kPlainBits,
                 "2, 4, 8 or 32");
    check_option(who, "quantizer_block", o.quantizer_block,
                 o.quantizer_block >= 16 && o.quantizer_block <= 4096 && o.quantizer_block % 16 == 0,
                 "a multiple of 16, 16 to 4096");
    check_enum(who, "storage", o.storage, Shampoo4BitStorage::factor);
    check_enum(who, "root", o.root, Shampoo4BitRoot::newton);
    check_option(who, "statistic_rectifications", o.statistic_rectifications, o.statistic_rectifications <= 8,
                 "0 to 8");
    check_option(who, "root_rectifications", o.root_rectifications, o.root_rectifications <= 8, "0 to 8");
    check_option(who, "block_size", o.block_size, o.block_size >= 1, "1 or more");
    check_refresh(who, "statistics", o.statistics);
    check_refresh(who, "roots", o.roots);
    check_option(who, "start_step", o.start_step, o.start_step >= 1 && o.start_step < 0x80000000u,
                 "1 to 2^31 - 1");
    check_moments(who, o.moments, MomentFormat::bf16);
}

void Shampoo4Bit::check(const Parameter& parameter) const {
    if (parameter.weight.shape.count() == 0) return;
    const Shape matrix = matrix_shape(parameter.weight.shape);
    if (matrix.rank() < 2) return;  // without factors
    for (const std::uint64_t extent : matrix)
        check_factor_order("Shampoo4Bit", parameter, matrix, extent, options_.block_size);
}

std::string Shampoo4Bit::options_text() const {
    const auto number = [](auto value) { return std::to_string(static_cast<std::uint32_t>(value)); };
    const Shampoo4BitOptions& o = options_;
    return "shampoo4bit base=" + number(o.base) + " momentum=" + number_text(o.momentum) +
           " nesterov=" + number(o.nesterov) + " beta1=" + number_text(o.beta1) +
           " beta2=" + number_text(o.beta2) + " eps=" + number_text(o.eps) +
           " weight_decay=" + number_text(o.weight_decay) + " factor_decay=" + number_text(o.factor_decay) +
           " epsilon=" + number_text(o.epsilon) + " bits=" + number(o.bits) +
           " quantizer_block=" + number(o.quantizer_block) + " least_elements=" + number(o.least_elements) +
           " storage=" + number(o.storage) + " root=" + number(o.root) +
           " statistic_rectifications=" + number(o.statistic_rectifications) +
           " root_rectifications=" + number(o.root_rectifications) + " block_size=" + number(o.block_size) +
           refresh_text("statistics", o.statistics) + refresh_text("roots", o.roots) +
           " start_step=" + number(o.start_step) + moments_text(o.moments);
}

std::vector<HyperValue> Shampoo4Bit::hyper() const {
    return is_adamw(options_) ? adamw_hyper(adamw_options(options_)) : sgd_hyper(sgd_options(options_));
}

void Shampoo4Bit::build(StepBuilder& step) const {
    const Shampoo4BitOptions& o = options_;
    Graph& graph = step.graph();
    const std::vector<std::uint32_t> turns = turns_of(step.items(), o);
    Refreshes refreshes{{graph, name() + " statistics", o.statistics, 0, turns},
                        {graph, name() + " roots", o.roots, 0, turns}};
    for (const StepBuilder::Item& item : step.items()) {
        StepBuilder::Item grafted = item;
        if (const std::uint64_t count = item.weight.shape.count(); count > 0) {
            const Shape matrix = matrix_shape(item.weight.shape);
            const bool vector = matrix.rank() == 1;
            graph.set_stage("shampoo4bit gradient");
            const ScaledGradient gradient =
                scaled_gradient(step, item, {0, vector ? 1 : matrix[0], vector ? count : matrix[1], 1.0});
            grafted.gradient = vector ? gradient.matrix : precondition(step, item, gradient, refreshes, o);
            grafted.gradient_ready = true;
            graph.set_stage("shampoo4bit update");
            graft_direction(step, gradient, grafted.gradient, o.start_step);
        }
        if (is_adamw(o))
            add_adamw(step, grafted, 0, false, o.moments);
        else
            add_sgd(step, grafted, sgd_options(o));
    }
}

}  // namespace heron
