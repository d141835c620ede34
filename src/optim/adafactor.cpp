// SPDX-License-Identifier: MIT
// Adafactor's recipe, per parameter, four levels:
//
//   sums over rows and columns, |W|^2  |  r, c, mean(r)  |  |U|^2  |  update, U formed again
//
// The kernels are shaders/optim/adafactor_*.comp; adafactor.h there says how tiles cover a parameter.
#include "optim/adafactor.hpp"

#include <algorithm>
#include <bit>
#include <cmath>
#include <cstddef>
#include <limits>

#include "core/enumerator.hpp"
#include "heron/linalg/reduce.hpp"
#include "heron/spirv/adafactor_lines.hpp"
#include "heron/spirv/adafactor_norm.hpp"
#include "heron/spirv/adafactor_scale.hpp"
#include "heron/spirv/adafactor_sums.hpp"
#include "heron/spirv/adafactor_update.hpp"
#include "linalg/integers.hpp"
#include "optim/adafactor.h"
#include "optim/checks.hpp"
#include "optim/step_builder.hpp"

namespace heron {

namespace {

static_assert(sizeof(gpu::AdafactorTiles) == 56);
static_assert(sizeof(gpu::AdafactorDirection) == 32);
static_assert(sizeof(gpu::AdafactorSumsJob) == 192);
static_assert(sizeof(gpu::AdafactorLinesJob) == 128);
static_assert(sizeof(gpu::AdafactorNormJob) == 136);
static_assert(sizeof(gpu::AdafactorUpdateJob) == 232);
static_assert(sizeof(gpu::AdafactorScaleJob) == 48);

constexpr KernelInfo kSums = make_kernel<gpu::AdafactorSumsJob>("adafactor_sums", spirv::adafactor_sums);
constexpr KernelInfo kLines = make_kernel<gpu::AdafactorLinesJob>("adafactor_lines", spirv::adafactor_lines);
constexpr KernelInfo kNorm = make_kernel<gpu::AdafactorNormJob>("adafactor_norm", spirv::adafactor_norm);
constexpr KernelInfo kScale = make_kernel<gpu::AdafactorScaleJob>("adafactor_scale", spirv::adafactor_scale);
constexpr KernelInfo kUpdate =
    make_kernel<gpu::AdafactorUpdateJob>("adafactor_update", spirv::adafactor_update);

constexpr std::uint64_t kRowsPerLane = 4;
// Bounds the loops of an invocation: lavapipe ends them after 65,535 iterations in all.
constexpr std::uint64_t kMaxRounds = 512;

// Every tile of adafactor_update adds up the partial sums of all: few enough not to count against its
// elements. And a tile costs as much as some of its elements.
struct Tuning {
    std::uint32_t threads;
    std::uint64_t lane_rows;      // beside wide rows: 256 columns and 16 rows a round on a GPU
    std::uint64_t tiles;          // wanted at most
    std::uint64_t tile_elements;  // wanted at least
    std::uint32_t line_threads;   // of adafactor_lines
    std::uint32_t line_repeats;
};
// CPU drivers: one subgroup, whose barriers are free.
Tuning tuning(const Capabilities& device) {
    if (device.cpu)
        return {threads_of(device, std::bit_ceil(std::clamp(device.subgroup_size, 4u, 32u))),
                1,
                128,
                4096,
                threads_of(device, 32),
                8};
    return {threads_of(device, 256), 4, 1024, 4096, threads_of(device, 256), 1};
}

// A parameter's matrices, and how tiles cover them.
struct Layout {
    bool is_vector = false;
    std::uint64_t items = 1, rows = 1, cols = 1;
    Tuning tune;
    gpu::AdafactorTiles tiles{};
    std::uint64_t tile_count = 0;
    std::uint32_t chunk_rows = 1;
    std::uint64_t row_groups = 0, col_groups = 0;

    Layout(const Device& device, const Shape& shape) : tune(tuning(device.capabilities())) {
        const std::size_t rank = shape.rank();
        is_vector = rank < 2;
        const std::uint64_t count = shape.count();
        if (count == 0) return;
        std::uint64_t lane_cols, lane_rows = 1;
        if (is_vector) {
            lane_cols = std::min<std::uint64_t>(tune.threads, std::bit_ceil(ceil_div(count, 4)));
            cols = 4 * lane_cols;
            rows = ceil_div(count, cols);
        } else {
            for (std::size_t axis = 0; axis + 2 < rank; ++axis) items *= shape[axis];
            rows = shape[rank - 2];
            cols = shape[rank - 1];
            const std::uint64_t wanted_rows = std::bit_ceil(ceil_div(rows, kRowsPerLane));
            const std::uint64_t widest =
                std::max<std::uint64_t>(tune.threads / std::min(wanted_rows, tune.lane_rows), 1);
            lane_cols = std::min(widest, std::bit_ceil(ceil_div(cols, 4)));
            lane_rows = std::min(tune.threads / lane_cols, wanted_rows);
        }
        const std::uint64_t tile_items = tune.threads / (lane_cols * lane_rows);
        const std::uint64_t col_tiles = ceil_div(cols, 4 * lane_cols);
        const std::uint64_t all_rounds = ceil_div(rows, kRowsPerLane * lane_rows);
        std::uint64_t per_round = ceil_div(items, tile_items) * col_tiles;
        const std::uint64_t wanted_rounds =
            std::max(ceil_div(per_round * all_rounds, tune.tiles),
                     ceil_div(tune.tile_elements, 4 * kRowsPerLane * tune.threads));
        const std::uint64_t rounds = std::min({wanted_rounds, all_rounds, kMaxRounds});
        const std::uint64_t row_tiles = ceil_div(all_rounds, rounds);
        const std::uint64_t item_rounds =
            all_rounds > 1 ? 1 : std::min({wanted_rounds, ceil_div(items, tile_items), kMaxRounds});
        per_round = ceil_div(items, tile_items * item_rounds) * col_tiles;
        tile_count = per_round * row_tiles;

        chunk_rows = narrow(std::min<std::uint64_t>(tune.line_threads, std::bit_ceil(rows)));
        const std::uint64_t row_chunks = is_vector ? 1 : ceil_div(rows, chunk_rows);
        const std::uint64_t row_blocks = ceil_div(items, tune.line_threads / chunk_rows) * row_chunks;
        row_groups = ceil_div(row_blocks, tune.line_repeats);
        col_groups = ceil_div(items * cols, std::uint64_t{tune.line_threads} * tune.line_repeats);

        tiles = {narrow(items),      narrow(rows),
                 narrow(cols),       narrow(lane_cols),
                 narrow(lane_rows),  narrow(tile_items),
                 narrow(row_tiles),  narrow(col_tiles),
                 narrow(rounds),     narrow(item_rounds),
                 narrow(row_chunks), 0,
                 narrow(count),      0};
    }
    Shape row_shape(const Shape& shape) const {
        std::vector<std::uint64_t> axes;
        for (std::size_t axis = 0; axis + 1 < shape.rank(); ++axis) axes.push_back(shape[axis]);
        return Shape(axes);
    }
    Shape col_shape(const Shape& shape) const {
        std::vector<std::uint64_t> axes;
        for (std::size_t axis = 0; axis < shape.rank(); ++axis)
            if (axis + 2 != shape.rank()) axes.push_back(shape[axis]);
        return Shape(axes);
    }
};

std::uint32_t rate_flags(const AdafactorOptions& options) {
    return (options.scale_parameter ? gpu::ADAFACTOR_SCALED : 0) |
           (options.rate == AdafactorRate::capped ? gpu::ADAFACTOR_CAPPED : 0) |
           (options.rate == AdafactorRate::warmup ? gpu::ADAFACTOR_WARMUP : 0);
}

// Adds the operations of one parameter.
class ParameterRecipe {
public:
    ParameterRecipe(StepBuilder& step, const AdafactorOptions& options, const StepBuilder::Item& item)
        : step_(step), options_(options), item_(item), layout_(step.device(), item.weight.shape) {
        const Shape& shape = item.weight.shape;
        if (layout_.is_vector) {
            row_ = col_ = step.state(item, "v", DType::f32, shape);
        } else {
            row_ = step.state(item, "row", DType::f32, layout_.row_shape(shape));
            col_ = step.state(item, "col", DType::f32, layout_.col_shape(shape));
        }
        if (options.beta1 > 0) moment_ = step.state(item, "m", DType::f32, shape);
        layout_.tiles.flags = form_flags() | rate_flags(options);
    }

    // What is subtracted takes the place of the weight, a given rate that of the options.
    ParameterRecipe(StepBuilder& step, const AdafactorOptions& options, const StepBuilder::Item& item,
                    const Tensor& gradient, const AdafactorStates& states, const Tensor& rate,
                    const Tensor& direction)
        : step_(step),
          options_(options),
          item_{item.parameter, direction, gradient, {}, {}, item.draws, true},
          only_direction_(true),
          layout_(step.device(), direction.shape),
          row_(states.row),
          col_(states.col),
          moment_(states.moment),
          rate_(rate) {
        layout_.tiles.flags = form_flags();
    }

    void build() {
        Graph& graph = step_.graph();
        const std::uint64_t lines = layout_.items * layout_.rows, columns = layout_.items * layout_.cols;
        updates_ = graph.temporary(DType::f32, Shape{layout_.tile_count, 3});
        // (A kernel may load from both sides of a branch: no address is null.)
        row_sums_ = col_sums_ = means_ = col_;
        if (!layout_.is_vector) {
            row_sums_ = graph.temporary(DType::f32, Shape{lines * layout_.tiles.col_tiles});
            col_sums_ = graph.temporary(DType::f32, Shape{columns * layout_.tiles.row_tiles});
            means_ = graph.temporary(DType::f32, Shape{layout_.items * layout_.tiles.row_chunks});
        }
        weights_ = is_scaled() ? graph.temporary(DType::f32, Shape{layout_.tile_count, 3}) : updates_;
        set_stage("adafactor sums");
        add_sums();
        set_stage("adafactor factors");
        if (!layout_.is_vector) add_lines();
        set_stage("adafactor norm");
        add_norm();
        set_stage("adafactor update");
        add_update();
    }

private:
    // A part of another optimizer belongs to that one's stage.
    void set_stage(const char* stage) {
        if (!only_direction_) step_.graph().set_stage(stage);
    }
    std::uint32_t form_flags() const {
        return (layout_.is_vector ? gpu::ADAFACTOR_VECTOR : 0) |
               (options_.form == AdafactorForm::transformers ? gpu::ADAFACTOR_TRANSFORMERS : 0);
    }
    bool is_scaled() const { return (layout_.tiles.flags & gpu::ADAFACTOR_SCALED) != 0; }
    double elements() const { return static_cast<double>(item_.weight.shape.count()); }
    double weight_bytes() const { return static_cast<double>(bytes_of(item_.weight.dtype)); }
    float added_eps() const { return options_.form == AdafactorForm::transformers ? options_.eps1 : 0.0f; }
    gpu::ElementRange range() const {
        return {0, static_cast<std::uint32_t>(item_.weight.shape.count()), 1, 0};
    }
    std::vector<SpecConstant> constants(std::uint32_t bits = 0) const {
        return {{gpu::SPEC_THREADS, layout_.tune.threads},
                step_.variant(item_, bits),
                {gpu::SPEC_DTYPE_A, static_cast<std::uint32_t>(item_.weight.dtype)},
                {gpu::SPEC_DTYPE_B, static_cast<std::uint32_t>(item_.gradient.dtype)}};
    }

    void add_sums() {
        using Job = gpu::AdafactorSumsJob;
        Job job{};
        job.parameter = step_.parameter_operand(item_);
        job.tiles = layout_.tiles;
        job.range = range();
        job.row_weight = static_cast<float>(1.0 / static_cast<double>(layout_.cols));
        job.col_weight = static_cast<float>(1.0 / static_cast<double>(layout_.rows));
        job.eps = added_eps();
        std::vector<Operand> operands{
            {offsetof(Job, col_sums), col_sums_, layout_.is_vector ? Access::read_write : Access::write},
            {offsetof(Job, row_sums), row_sums_, layout_.is_vector ? Access::read_write : Access::write},
            {offsetof(Job, weights), weights_, Access::write},
            {offsetof(Job, hyper), step_.hyper(), Access::read}};
        StepBuilder::add_gradient(operands, offsetof(Job, gradient), item_);
        if (!only_direction_) StepBuilder::add_parameter_reads(operands, offsetof(Job, parameter), item_);
        Operation operation = make_operation(kSums, job, std::move(operands), layout_.tile_count);
        operation.constants = constants();
        operation.reason = step_.variant_reason();
        operation.flops = (is_scaled() ? 7.0 : 5.0) * elements();
        operation.bytes = (StepBuilder::gradient_bytes(item_) + (layout_.is_vector ? 8.0 : 0.0) +
                           (is_scaled() ? (item_.master ? 4.0 : weight_bytes()) : 0.0)) *
                          elements();
        step_.graph().add(std::move(operation));
    }

    void add_lines() {
        using Job = gpu::AdafactorLinesJob;
        Job job{};
        job.tiles = layout_.tiles;
        job.row_groups = static_cast<std::uint32_t>(layout_.row_groups);
        job.chunk_rows = layout_.chunk_rows;
        job.repeats = layout_.tune.line_repeats;
        job.eps = added_eps();
        job.mean_weight = static_cast<float>(1.0 / static_cast<double>(layout_.rows));
        std::vector<Operand> operands{{offsetof(Job, row_sums), row_sums_, Access::read},
                                      {offsetof(Job, col_sums), col_sums_, Access::read},
                                      {offsetof(Job, row), row_, Access::read_write},
                                      {offsetof(Job, col), col_, Access::read_write},
                                      {offsetof(Job, means), means_, Access::write},
                                      {offsetof(Job, hyper), step_.hyper(), Access::read}};
        Operation operation =
            make_operation(kLines, job, std::move(operands), layout_.row_groups + layout_.col_groups);
        operation.constants = {{gpu::SPEC_THREADS, layout_.tune.line_threads}};
        operation.reason = "one invocation a row or column";
        const double rows = static_cast<double>(layout_.items * layout_.rows);
        const double cols = static_cast<double>(layout_.items * layout_.cols);
        operation.flops = rows * (4.0 + layout_.tiles.col_tiles) + cols * (3.0 + layout_.tiles.row_tiles);
        operation.bytes =
            4.0 * (rows * (2.0 + layout_.tiles.col_tiles) + cols * (2.0 + layout_.tiles.row_tiles));
        step_.graph().add(std::move(operation));
    }

    gpu::AdafactorDirection direction() const {
        gpu::AdafactorDirection direction{};
        if (options_.form == AdafactorForm::torch) {
            direction.mean_floor = options_.eps1;
            const bool normal = options_.eps1 >= std::numeric_limits<float>::min();
            direction.inverse_floor = normal ? 1.0f / options_.eps1 : 0.0f;
        }
        return direction;
    }
    void add_direction(std::vector<Operand>& operands, std::size_t field) const {
        using Member = gpu::AdafactorDirection;
        const auto at = [field](std::size_t offset) { return static_cast<std::uint32_t>(field + offset); };
        operands.push_back({at(offsetof(Member, row)), row_, Access::read});
        operands.push_back({at(offsetof(Member, col)), col_, Access::read});
        operands.push_back({at(offsetof(Member, means)), means_, Access::read});
    }

    void add_result(std::vector<Operand>& operands, std::size_t field) const {
        using Member = gpu::ParameterOperand;
        for (const std::size_t member :
             {offsetof(Member, weight), offsetof(Member, words), offsetof(Member, low)})
            operands.push_back({static_cast<std::uint32_t>(field + member), item_.weight, Access::write});
    }

    void add_norm() {
        using Job = gpu::AdafactorNormJob;
        Job job{};
        job.direction = direction();
        job.tiles = layout_.tiles;
        job.range = range();
        std::vector<Operand> operands{{offsetof(Job, updates), updates_, Access::write}};
        StepBuilder::add_gradient(operands, offsetof(Job, gradient), item_);
        add_direction(operands, offsetof(Job, direction));
        Operation operation = make_operation(kNorm, job, std::move(operands), layout_.tile_count);
        operation.constants = constants();
        operation.reason = step_.variant_reason();
        operation.flops = 5.0 * elements();
        operation.bytes = StepBuilder::gradient_bytes(item_) * elements();
        step_.graph().add(std::move(operation));
    }

    void add_update() {
        using Job = gpu::AdafactorUpdateJob;
        const std::uint64_t count = item_.weight.shape.count();
        Job job{};
        job.parameter = step_.parameter_operand(item_);
        job.direction = direction();
        job.tiles = layout_.tiles;
        job.range = range();
        job.eps2 = options_.eps2;
        job.inverse_clip = static_cast<float>(1.0 / static_cast<double>(options_.clip_threshold));
        job.inverse_count = static_cast<float>(1.0 / static_cast<double>(count));
        std::vector<Operand> operands{{offsetof(Job, updates), updates_, Access::read},
                                      {offsetof(Job, weights), weights_, Access::read},
                                      {offsetof(Job, hyper), step_.hyper(), Access::read}};
        if (rate_) operands.push_back({offsetof(Job, rate), rate_, Access::read});
        if (moment_) operands.push_back({offsetof(Job, moment1), moment_, Access::read_write});
        StepBuilder::add_gradient(operands, offsetof(Job, gradient), item_);
        if (only_direction_)
            add_result(operands, offsetof(Job, parameter));
        else
            StepBuilder::add_parameter(operands, offsetof(Job, parameter), item_, 0, count);
        add_direction(operands, offsetof(Job, direction));
        Operation operation = make_operation(kUpdate, job, std::move(operands), layout_.tile_count);
        operation.constants = constants(moment_ ? gpu::SGD_MOMENTUM : 0);
        operation.reason = step_.variant_reason();
        operation.flops = (moment_ ? 11.0 : 8.0) * elements();
        operation.bytes = (StepBuilder::parameter_bytes(item_) + StepBuilder::gradient_bytes(item_) +
                           (moment_ ? 8.0 : 0.0)) *
                          elements();
        step_.graph().add(std::move(operation));
    }

    StepBuilder& step_;
    const AdafactorOptions& options_;
    StepBuilder::Item item_;
    bool only_direction_ = false;
    Layout layout_;
    Tensor row_, col_;  // of a vector both v
    Tensor moment_;     // empty without beta1
    Tensor rate_;       // empty: that of the options
    Tensor row_sums_, col_sums_, means_, updates_, weights_;
};

}  // namespace

AdafactorOptions AdafactorOptions::transformers() {
    AdafactorOptions options;
    options.form = AdafactorForm::transformers;
    options.eps1 = 1e-30f;
    return options;
}

void check_adafactor(std::string_view who, const AdafactorOptions& o) {
    check_rate_and_decay(who, o.lr, o.weight_decay);
    check_enum(who, "form", o.form, AdafactorForm::transformers);
    check_enum(who, "rate", o.rate, AdafactorRate::constant);
    check_option(who, "decay", o.decay, o.decay < 0, "finite and below 0");
    check_option(who, "beta1", o.beta1, o.beta1 >= 0 && o.beta1 < 1, "in [0, 1)");
    check_option(who, "eps1", o.eps1, o.eps1 >= 0, "finite and not below 0");
    check_option(who, "eps2", o.eps2, o.eps2 >= 0, "finite and not below 0");
    check_option(who, "clip_threshold", o.clip_threshold, o.clip_threshold > 0, "finite and above 0");
}

Adafactor::Adafactor(const Device& device, const AdafactorOptions& options)
    : Optimizer(device, "adafactor"), options_(options) {
    check_adafactor("Adafactor", options);
}

std::string Adafactor::options_text() const {
    return "adafactor form=" + std::to_string(static_cast<int>(options_.form)) +
           " rate=" + std::to_string(static_cast<int>(options_.rate)) +
           " scale_parameter=" + std::to_string(options_.scale_parameter) +
           " decay=" + number_text(options_.decay) + " beta1=" + number_text(options_.beta1) +
           " eps1=" + number_text(options_.eps1) + " eps2=" + number_text(options_.eps2) +
           " clip_threshold=" + number_text(options_.clip_threshold) +
           " weight_decay=" + number_text(options_.weight_decay);
}

std::vector<HyperValue> adafactor_hyper(const AdafactorOptions& o) {
    return {HyperValue::lr(o.lr, o.schedule),   HyperValue::step(),
            HyperValue::power_of_step(o.decay), HyperValue::constant(o.weight_decay),
            HyperValue::constant(o.beta1),      HyperValue::constant(1.0 - o.beta1)};
}

void add_adafactor(StepBuilder& step, const StepBuilder::Item& item, const AdafactorOptions& options) {
    ParameterRecipe recipe(step, options, item);
    if (item.weight.shape.count() > 0) recipe.build();
}

Tensor add_adafactor_rate(StepBuilder& step, const StepBuilder::Item& item, const AdafactorOptions& options) {
    using Job = gpu::AdafactorScaleJob;
    Graph& graph = step.graph();
    const Tensor& weight = item.master ? item.master : item.weight;
    const std::uint64_t count = weight.shape.count();
    const Tensor rate = graph.temporary(DType::f32, Shape{1});
    Tensor norm = step.hyper();  // (not used)
    if (options.scale_parameter) {
        norm = graph.temporary(DType::f32, Shape{1});
        frobenius_norm(graph, weight.reshape(Shape{count}), norm);
    }
    Job job{};
    job.norm_factor = static_cast<float>(1.0 / std::sqrt(static_cast<double>(count)));
    job.eps2 = options.eps2;
    job.lr_scale = item.parameter->lr_scale;
    job.flags = rate_flags(options);
    Operation operation = make_operation(kScale, job,
                                         {{offsetof(Job, norm), norm, Access::read},
                                          {offsetof(Job, rate), rate, Access::write},
                                          {offsetof(Job, hyper), step.hyper(), Access::read}},
                                         1);
    operation.constants = {{gpu::SPEC_THREADS, 1}};
    operation.reason = "one number";
    operation.flops = 4.0;
    operation.bytes = 8.0;
    graph.add(std::move(operation));
    return rate;
}

void add_adafactor_direction(StepBuilder& step, const StepBuilder::Item& item,
                             const AdafactorOptions& options, const Tensor& gradient,
                             const AdafactorStates& states, const Tensor& rate, const Tensor& direction) {
    ParameterRecipe(step, options, item, gradient, states, rate, direction).build();
}

std::vector<HyperValue> Adafactor::hyper() const { return adafactor_hyper(options_); }

void Adafactor::build(StepBuilder& step) const {
    for (const StepBuilder::Item& item : step.items()) add_adafactor(step, item, options_);
}

}  // namespace heron
