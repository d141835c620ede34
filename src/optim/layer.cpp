// SPDX-License-Identifier: MIT
// The kernels are shaders/optim/layer_*.comp; statistics are accumulate_factor()'s.
#include "optim/layer.hpp"

#include <algorithm>
#include <cstddef>
#include <utility>

#include "graph/element_bytes.hpp"
#include "graph/graph.hpp"
#include "heron/spirv/layer_gradient.hpp"
#include "heron/spirv/layer_mean.hpp"
#include "heron/spirv/layer_rows.hpp"
#include "heron/spirv/layer_update.hpp"
#include "linalg/factor_source.hpp"
#include "linalg/integers.hpp"
#include "optim/checks.hpp"
#include "optim/layer.h"
#include "optim/moments.hpp"

namespace heron {

namespace {

static_assert(sizeof(gpu::LayerGradientJob) == 56);
static_assert(sizeof(gpu::LayerUpdateJob) == 144);
static_assert(sizeof(gpu::LayerMeanJob) == 32);
static_assert(sizeof(gpu::LayerRowsJob) == 128);

constexpr KernelInfo kGradient = make_kernel<gpu::LayerGradientJob>("layer_gradient", spirv::layer_gradient);
constexpr KernelInfo kUpdate = make_kernel<gpu::LayerUpdateJob>("layer_update", spirv::layer_update);
constexpr KernelInfo kMean = make_kernel<gpu::LayerMeanJob>("layer_mean", spirv::layer_mean);
constexpr KernelInfo kRows = make_kernel<gpu::LayerRowsJob>("layer_rows", spirv::layer_rows);

// Positions that one invocation of layer_rows adds up; some drivers end loops after 65,535 rounds.
constexpr std::uint64_t kMaxPositions = 32768;

// A word of the control block.
Tensor control_word(StepBuilder& step, std::size_t offset) {
    Tensor word = step.graph().control();
    word.byte_offset += offset;
    word.dtype = DType::f32;
    word.shape = Shape{1};
    return word;
}

// Factors on the sum of rows times their transposes, of [a, 1] and s.
std::pair<double, double> statistic_scales(const Layer& layer, const LayerShape& shape, std::uint64_t rows,
                                           ConvScaling scaling) {
    const double samples = static_cast<double>(shape.samples),
                 positions = static_cast<double>(shape.positions), count = static_cast<double>(rows);
    if (!layer.patches || scaling == ConvScaling::shared) {
        switch (layer.loss) {
            case LossReduction::none:
                return {1.0 / count, 1.0 / count};
            case LossReduction::sum:
                return {1.0 / count, 1.0};
            case LossReduction::mean_over_batch:
                return {1.0 / count, samples};
            case LossReduction::mean_over_positions:
                return {1.0 / count, samples * positions};
        }
    }
    // What the loss was divided by, twice.
    const double averaged = layer.loss == LossReduction::mean_over_batch       ? samples
                            : layer.loss == LossReduction::mean_over_positions ? samples * positions
                                                                               : 1.0;
    const double undo = averaged * averaged;
    if (scaling == ConvScaling::kfac_pytorch) {
        const double scale = 1.0 / (count * positions * positions);
        return {scale, scale * undo};
    }
    return {1.0 / (samples * positions * positions), positions / samples * undo};
}

struct Columns {
    std::uint64_t cols, stride, offset;
};

// How the parameters of a layer lie in [W, b].
template <class Function>
void for_each_parameter(const LayerItem& item, Function function) {
    function(*item.weight, Columns{item.shape.n, item.shape.order, 0});
    if (item.bias != nullptr) function(*item.bias, Columns{1, item.shape.order, item.shape.n});
}

}  // namespace

Shape LayerShape::matrices(std::uint64_t rows, std::uint64_t cols) const {
    return groups == 1 ? Shape{rows, cols} : Shape{groups, rows, cols};
}

LayerShape layer_shape(const Layer& layer) {
    const Shape &weight = layer.weight.weight.shape, &outputs = layer.output_gradients.shape;
    LayerShape shape;
    shape.samples = outputs[0];
    if (layer.patches) {
        shape.groups = layer.patches->groups;
        shape.n = weight[1] * weight[2] * weight[3];
        shape.positions = outputs[2] * outputs[3];
    } else {
        shape.n = weight[1];
        shape.positions = 1;
        for (std::size_t a = 1; a + 1 < outputs.rank(); ++a) shape.positions *= outputs[a];
    }
    shape.m = weight[0] / shape.groups;
    shape.order = shape.n + (layer.bias ? 1 : 0);
    return shape;
}

std::vector<LayerItem> layer_items(StepBuilder& step, const LayerOptimizer& optimizer, ConvScaling scaling) {
    std::vector<LayerItem> items;
    const StepBuilder::Item* next = step.items().data();
    for (const Layer& layer : optimizer.layers()) {
        LayerItem item{&layer, next++, nullptr, layer_shape(layer), {}, {}};
        if (layer.bias) item.bias = next++;
        const LayerShape& shape = item.shape;
        const bool reduces = layer.sharing == LayerSharing::reduce && shape.positions > 1;
        const std::uint64_t rows = shape.samples * (reduces ? 1 : shape.positions);
        const auto [input_scale, output_scale] = statistic_scales(layer, shape, rows, scaling);
        const auto source = [&](const char* name, const TensorView& view, std::uint64_t features) {
            LayerSource result;
            result.tensor = step.graph().external(layer.weight.name + "." + name, view);
            if (!layer.patches)
                result.tensor = result.tensor.reshape(Shape{shape.samples * shape.positions, features});
            result.positions = reduces ? shape.positions : 1;
            result.rows = rows;
            return result;
        };
        item.inputs = source("inputs", layer.inputs, shape.n);
        item.inputs.bias = layer.bias.has_value();
        item.inputs.patches = layer.patches;
        item.inputs.scale = input_scale;
        item.output_gradients = source("output_gradients", layer.output_gradients, shape.m);
        item.output_gradients.scale = output_scale;
        // The rows of images' channels: patches of 1 x 1.
        if (layer.patches) item.output_gradients.patches = ConvPatches{.groups = layer.patches->groups};
        if (reduces) {
            item.inputs.sharing = WeightSharing::mean;
            item.output_gradients.sharing = WeightSharing::sum;
        }
        items.push_back(item);
    }
    return items;
}

Tensor layer_mean(StepBuilder& step, const LayerItem& item, const char* name, const Tensor& statistic,
                  bool of_gradients) {
    using Job = gpu::LayerMeanJob;
    Graph& graph = step.graph();
    const Tensor mean = step.state(*item.weight, name, DType::f32, statistic.shape);
    const std::uint64_t count = statistic.shape.count();
    const Capabilities& capabilities = step.device().capabilities();
    const std::uint32_t threads = threads_of(capabilities, capabilities.cpu ? 32 : 256);
    Job job{};
    job.count = narrow(count);
    job.rounds = 4;
    job.flags = of_gradients ? gpu::LAYER_UNSCALE : 0;
    Operation operation = make_operation(kMean, job,
                                         {{offsetof(Job, statistic), statistic, Access::read},
                                          {offsetof(Job, mean), mean, Access::read_write},
                                          {Operand::kNoField, graph.control(), Access::read}},
                                         ceil_div(count, std::uint64_t{threads} * job.rounds));
    operation.constants = {{gpu::SPEC_THREADS, threads}};
    operation.reason = "the only one";
    operation.flops = 5.0 * static_cast<double>(count);
    operation.bytes = 12.0 * static_cast<double>(count);
    operation.guarded = false;
    graph.add(std::move(operation));
    return mean;
}

LayerStatistic layer_statistic(StepBuilder& step, const LayerItem& item, const char* name, bool of_gradients,
                               const std::function<Tensor()>& make) {
    if (!step.options().accumulate) return {make(), of_gradients ? layer_unscale(step) : Tensor()};
    Graph& graph = step.graph();
    const Section section = graph.impl().section;  // of steps; every micro-batch counts
    graph.set_section({});
    graph.set_phase(Phase::accumulate);
    const Tensor mean = layer_mean(step, item, name, make(), of_gradients);
    graph.set_phase(Phase::step);
    graph.set_section(section);
    return {mean, {}};
}

LayerStatistic layer_statistic(StepBuilder& step, const LayerItem& item, bool of_gradients) {
    const LayerSource& source = of_gradients ? item.output_gradients : item.inputs;
    const std::uint64_t order = of_gradients ? item.shape.m : item.shape.order;
    return layer_statistic(
        step, item, of_gradients ? "output_statistic" : "input_statistic", of_gradients, [&] {
            const Tensor to = step.graph().temporary(DType::f32, item.shape.matrices(order, order));
            FactorOptions options;
            options.decay = 0;
            options.scale = static_cast<float>(source.scale);
            options.bias = source.bias;
            options.sharing = source.sharing;
            options.positions = narrow(source.positions);
            options.patches = source.patches;
            accumulate_factor(step.graph(), source.tensor, to, options);
            return to;
        });
}

LayerStatistics layer_statistics(StepBuilder& step, const LayerItem& item) {
    return {layer_statistic(step, item, false), layer_statistic(step, item, true)};
}

Tensor layer_loss_scale(StepBuilder& step) {
    return control_word(step, offsetof(gpu::StepControl, loss_scale));
}

Tensor layer_unscale(StepBuilder& step) { return control_word(step, offsetof(gpu::StepControl, unscale)); }

FactorSource factor_source(const LayerSource& source) {
    if (source.patches) return patch_source(source.tensor, *source.patches);
    FactorSource from;
    from.items = source.tensor.batch();
    from.count = source.tensor.rows();
    from.rows.features = narrow(source.tensor.cols());
    from.rows.row_stride = from.rows.features;
    from.rows.item_stride = narrow(from.count * from.rows.features);
    return from;
}

Tensor layer_rows(Graph& graph, const LayerSource& source, const LayerShape& shape, const Tensor& unscale) {
    using Job = gpu::LayerRowsJob;
    const FactorSource from = factor_source(source);
    if (source.positions > kMaxPositions)
        refuse("layer_rows: a sample has " + std::to_string(source.positions) + " positions, at most " +
               std::to_string(kMaxPositions) + " can be reduced");
    const std::uint64_t columns = from.rows.features + (source.bias ? 1 : 0);
    const std::uint64_t elements = from.items * source.rows * columns;
    if (elements > 0xffffffffu)
        refuse("layer_rows: the rows of a layer have more than 2^32 elements; give it fewer samples at once");
    const Tensor to = graph.temporary(DType::f32, shape.matrices(source.rows, columns));
    Job job{};
    job.rows = from.rows;
    job.rows.count = narrow(from.count);
    job.items = narrow(from.items);
    job.samples = narrow(source.rows);
    job.positions = narrow(source.positions);
    job.columns = narrow(columns);
    job.weight = source.sharing == WeightSharing::mean ? 1.0f / static_cast<float>(source.positions) : 1.0f;
    job.flags = unscale ? gpu::LAYER_UNSCALE : 0;
    std::vector<Operand> operands{{offsetof(Job, from), source.tensor, Access::read},
                                  {offsetof(Job, to), to, Access::write}};
    if (unscale) operands.push_back({offsetof(Job, unscale), unscale, Access::read});
    const std::uint32_t threads = graph.device().capabilities().cpu ? 8 : 128;
    Operation operation = make_operation(kRows, job, std::move(operands), ceil_div(elements, threads));
    operation.constants = {{gpu::SPEC_THREADS, threads},
                           {gpu::SPEC_DTYPE_A, static_cast<std::uint32_t>(source.tensor.dtype)},
                           {gpu::SPEC_ROWS, source.patches ? gpu::FACTOR_PATCHES : gpu::FACTOR_MATRIX}};
    operation.reason = "the only one";
    operation.flops = static_cast<double>(elements) * static_cast<double>(source.positions);
    operation.bytes = element_bytes(source.tensor, to);
    graph.add(std::move(operation));
    return to;
}

Tensor layer_gradient(StepBuilder& step, const LayerItem& item) {
    using Job = gpu::LayerGradientJob;
    const LayerShape& shape = item.shape;
    const Tensor matrix = step.graph().temporary(DType::f32, shape.matrices(shape.m, shape.order));
    for_each_parameter(item, [&](const StepBuilder::Item& parameter, const Columns& columns) {
        const std::uint64_t count = parameter.gradient.shape.count();
        const ElementGrid grid = step.elements(count);
        Job job{};
        job.range = StepBuilder::range(0, count, grid);
        job.cols = narrow(columns.cols);
        job.stride = narrow(columns.stride);
        job.offset = narrow(columns.offset);
        std::vector<Operand> operands{{offsetof(Job, matrix), matrix, Access::write}};
        StepBuilder::add_gradient(operands, offsetof(Job, gradient), parameter);
        Operation operation = make_operation(kGradient, job, std::move(operands), grid.groups);
        operation.constants = {{gpu::SPEC_THREADS, grid.threads},
                               step.variant(),
                               {gpu::SPEC_DTYPE_B, static_cast<std::uint32_t>(parameter.gradient.dtype)}};
        operation.reason = step.variant_reason();
        operation.flops = static_cast<double>(count);
        operation.bytes = (4.0 + StepBuilder::gradient_bytes(parameter)) * static_cast<double>(count);
        step.graph().add(std::move(operation));
    });
    return matrix;
}

std::vector<HyperValue> layer_hyper(float lr, const Schedule& schedule, const MomentumStep& momentum) {
    return {HyperValue::lr(lr, schedule), HyperValue::constant(momentum.momentum),
            HyperValue::after_first(1.0 - momentum.dampening), HyperValue::constant(momentum.weight_decay)};
}

void check_momentum_step(std::string_view optimizer, const MomentumStep& o) {
    check_option(optimizer, "momentum", o.momentum, o.momentum >= 0 && o.momentum < 1, "in [0, 1)");
    check_option(optimizer, "dampening", o.dampening, o.dampening >= 0 && o.dampening <= 1, "in [0, 1]");
    check_option(optimizer, "weight_decay", o.weight_decay, o.weight_decay >= 0, "finite and not below 0");
    check_moments(optimizer, o.moments, MomentFormat::bf16);
    if (o.nesterov && o.momentum == 0) refuse(std::string(optimizer) + ": nesterov needs a momentum above 0");
    if (o.nesterov && o.dampening != 0)
        refuse(std::string(optimizer) + ": dampening is " + number_text(o.dampening) +
               ", must be 0 with nesterov");
}

std::string momentum_step_text(const MomentumStep& o) {
    return " momentum=" + number_text(o.momentum) + " dampening=" + number_text(o.dampening) +
           " nesterov=" + std::to_string(o.nesterov) + " weight_decay=" + number_text(o.weight_decay) +
           " decoupled_decay=" + std::to_string(o.decoupled_decay) +
           " decay_from=" + std::to_string(o.decay_from) + moments_text(o.moments);
}

void add_layer_update(StepBuilder& step, const LayerItem& item, const Tensor& direction, const Tensor& factor,
                      const MomentumStep& momentum) {
    using Job = gpu::LayerUpdateJob;
    for_each_parameter(item, [&](const StepBuilder::Item& parameter, const Columns& columns) {
        const std::uint64_t count = parameter.weight.shape.count();
        const MomentState b = momentum.momentum > 0
                                  ? moment_state(step, parameter, "momentum", momentum.moments)
                                  : MomentState();
        const ElementGrid grid = step.elements(count);
        Job job{};
        job.parameter = step.parameter_operand(parameter);
        job.range = StepBuilder::range(0, count, grid);
        job.cols = narrow(columns.cols);
        job.stride = narrow(columns.stride);
        job.offset = narrow(columns.offset);
        job.flags = (momentum.nesterov ? gpu::LAYER_NESTEROV : 0) |
                    (momentum.decoupled_decay ? gpu::LAYER_DECOUPLED : 0) | (factor ? gpu::LAYER_FACTOR : 0);
        job.decay_from = momentum.decay_from;
        std::vector<Operand> operands{{offsetof(Job, hyper), step.hyper(), Access::read},
                                      {offsetof(Job, direction), direction, Access::read}};
        if (factor) operands.push_back({offsetof(Job, factor), factor, Access::read});
        if (b) add_moment(operands, offsetof(Job, momentum), job.momentum, parameter, b.values, 0, count);
        StepBuilder::add_parameter(operands, offsetof(Job, parameter), parameter, 0, count);
        Operation operation = make_operation(kUpdate, job, std::move(operands), grid.groups);
        operation.constants = {{gpu::SPEC_THREADS, grid.threads},
                               step.variant(b ? gpu::SGD_MOMENTUM : 0),
                               {gpu::SPEC_DTYPE_A, static_cast<std::uint32_t>(parameter.weight.dtype)}};
        if (b) specialize_moments(operation, b.values.dtype);
        operation.reason = step.variant_reason();
        operation.flops = 8.0 * static_cast<double>(count);
        operation.bytes = (StepBuilder::parameter_bytes(parameter) + 4.0 + (b ? b.bytes() : 0.0)) *
                          static_cast<double>(count);
        step.graph().add(std::move(operation));
    });
}

}  // namespace heron
