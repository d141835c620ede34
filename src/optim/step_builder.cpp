// SPDX-License-Identifier: MIT
#include "optim/step_builder.hpp"

#include <algorithm>
#include <bit>
#include <cmath>
#include <cstring>
#include <unordered_set>
#include <utility>

#include "core/section.h"
#include "graph/graph.hpp"
#include "heron/spirv/accumulate.hpp"
#include "heron/spirv/advance.hpp"
#include "heron/spirv/gradient_stats.hpp"
#include "heron/spirv/start_copies.hpp"
#include "optim/accumulate.h"
#include "optim/checks.hpp"
#include "optim/gradient_stats.h"
#include "optim/start_copies.h"

namespace heron {

namespace {

static_assert(sizeof(gpu::GradientOperand) == 16);
static_assert(sizeof(gpu::ParameterOperand) == 56);
static_assert(sizeof(gpu::ElementRange) == 16);
static_assert(sizeof(gpu::HyperSlot) == 32);
static_assert(sizeof(gpu::SchedulePiece) == 24);
static_assert(sizeof(gpu::AdvanceJob) == 112);
static_assert(sizeof(gpu::StepControl) == 64);
static_assert(static_cast<std::uint32_t>(Schedule::Kind::exponential) == gpu::SCHEDULE_EXPONENTIAL);

constexpr KernelInfo kGradientStats =
    make_kernel<gpu::GradientStatsJob>("gradient_stats", spirv::gradient_stats);
constexpr KernelInfo kAdvance = make_kernel<gpu::AdvanceJob>("advance", spirv::advance);
constexpr KernelInfo kAccumulate = make_kernel<gpu::AccumulateJob>("accumulate", spirv::accumulate);
constexpr KernelInfo kStartCopies = make_kernel<gpu::StartCopiesJob>("start_copies", spirv::start_copies);

// Partial statistics that the advance kernel combines: with 256 invocations 64 apiece.
constexpr std::uint64_t kMaxPartials = 16384;
constexpr float kSmallestLossScale = 0x1p-24f;
constexpr float kLargestLossScale = 0x1p120f;

std::string in_quotes(std::string_view text) { return "\"" + std::string(text) + "\""; }

std::uint32_t threads_of(const Capabilities& device, std::uint32_t wanted) {
    return std::min({wanted, std::bit_floor(device.max_workgroup_invocations),
                     std::bit_floor(device.max_workgroup_size_x)});
}

// A range of addresses that a step writes (weights) or reads (gradients).
struct Extent {
    VkDeviceAddress begin;
    VkDeviceAddress end;
    bool weight;
    const Parameter* parameter;
};

// Weights may overlap nothing else that the step touches; gradients may be shared.
void check_overlaps(std::span<const Optimizer* const> optimizers) {
    std::vector<Extent> extents;
    for (const Optimizer* optimizer : optimizers)
        for (const Parameter& parameter : optimizer->parameters())
            for (const TensorView* view : {&parameter.weight, &parameter.gradient})
                if (view->span_bytes() > 0)
                    extents.push_back({view->address, view->address + view->span_bytes(),
                                       view == &parameter.weight, &parameter});
    std::sort(extents.begin(), extents.end(),
              [](const Extent& a, const Extent& b) { return a.begin < b.begin; });
    const Extent* weight = nullptr;  // of those so far, the one that reaches furthest
    const Extent* gradient = nullptr;
    for (const Extent& extent : extents) {
        const Extent* other = weight != nullptr && weight->end > extent.begin ? weight : nullptr;
        if (other == nullptr && extent.weight && gradient != nullptr && gradient->end > extent.begin)
            other = gradient;
        if (other != nullptr) {
            const auto which = [](const Extent& e) { return e.weight ? "weight of " : "gradient of "; };
            refuse(
                std::string("compile: the ") + which(*other) + in_quotes(other->parameter->name) +
                " and the " + which(extent) + in_quotes(extent.parameter->name) +
                " overlap in memory; every weight needs memory of its own, and one parameter belongs to one "
                "optimizer");
        }
        const Extent*& furthest = extent.weight ? weight : gradient;
        if (furthest == nullptr || extent.end > furthest->end) furthest = &extent;
    }
}

void check_options(const StepOptions& options) {
    const std::string who = "StepOptions";
    check_option(who, "clip_norm", options.clip_norm, options.clip_norm >= 0,
                 "finite and not below 0 (0: none)");
    check_option(who, "clip_value", options.clip_value, options.clip_value >= 0,
                 "finite and not below 0 (0: none)");
    check_option(who, "ema_decay", options.ema_decay, options.ema_decay >= 0 && options.ema_decay < 1,
                 "in [0, 1)");
    const LossScaleOptions& scale = options.loss_scale;
    check_option(who, "loss_scale.initial", scale.initial,
                 scale.initial >= kSmallestLossScale && scale.initial <= kLargestLossScale,
                 "between 2^-24 and 2^120");
    check_option(who, "loss_scale.growth", scale.growth, scale.growth >= 1, "finite and at least 1");
    check_option(who, "loss_scale.backoff", scale.backoff, scale.backoff > 0 && scale.backoff <= 1,
                 "in (0, 1]");
    if (scale.growth_interval == 0) refuse(who + ": loss_scale.growth_interval is 0, must be at least 1");
    if (scale.dynamic && !options.skip_nonfinite)
        refuse(
            who +
            ": loss_scale.dynamic without skip_nonfinite would apply the overflowed gradients that it reacts "
            "to; set skip_nonfinite");
}

}  // namespace

void StepBuilder::check(const Device& device, std::span<const Optimizer* const> optimizers,
                        const StepOptions& options) {
    check_options(options);
    std::unordered_set<std::string_view> optimizer_names, parameter_names;
    std::unordered_set<const Optimizer*> seen;
    for (const Optimizer* optimizer : optimizers) {
        if (optimizer == nullptr) refuse("compile: an optimizer is null");
        if (!seen.insert(optimizer).second)
            refuse("compile: the optimizer " + in_quotes(optimizer->name()) + " is given twice");
        if (optimizer->device().id() != device.id())
            refuse("compile: the optimizer " + in_quotes(optimizer->name()) +
                   " was made for another device; make it with the device that compiles");
        if (optimizer->name().empty()) refuse("compile: an optimizer has an empty name; use set_name()");
        if (!optimizer_names.insert(optimizer->name()).second)
            refuse("compile: two optimizers are called " + in_quotes(optimizer->name()) +
                   "; tell them apart with set_name()");
        for (const Parameter& parameter : optimizer->parameters())
            if (!parameter_names.insert(parameter.name).second)
                refuse("compile: two parameters are called " + in_quotes(parameter.name) +
                       "; names are unique in a plan, states are saved under them");
    }
    check_overlaps(optimizers);
}

StepBuilder::StepBuilder(const Device& device, std::span<const Optimizer* const> optimizers,
                         const StepOptions& options)
    : graph_(device), options_(options), optimizers_(optimizers) {
    if (options_.plan.name == PlanOptions().name) options_.plan.name = options_.name;
}

Plan StepBuilder::compile(const Device& device, std::span<const Optimizer* const> optimizers,
                          const StepOptions& options) {
    check(device, optimizers, options);
    StepBuilder step(device, optimizers, options);
    step.layout_.control = step.graph_.control();
    step.make_items();
    step.make_slots();
    step.add_initialize();
    if (options.accumulate) step.add_accumulate();

    step.graph_.set_phase(Phase::step);
    step.graph_.set_stage("gradients");
    step.add_statistics();
    step.graph_.set_stage("advance");
    step.add_advance(gpu::ADVANCE_MODE_STEP);
    std::uint64_t first_slot = 0;
    for (std::size_t o = 0; o < optimizers.size(); ++o) {
        step.items_ = step.all_items_[o];
        step.hyper_ = step.values_;
        step.hyper_.byte_offset += first_slot * sizeof(float);
        step.hyper_.shape = Shape{step.all_values_[o].size()};
        first_slot += step.all_values_[o].size();
        step.graph_.set_section({});
        step.graph_.set_phase(Phase::step);
        optimizers[o]->build(step);
    }
    step.layout_.identity = step.identity();
    step.graph_.impl().step_layout = std::make_shared<const StepLayout>(std::move(step.layout_));
    return step.graph_.compile(step.options_.plan);
}

Tensor StepBuilder::state(const Item& item, std::string_view name, DType dtype, const Shape& shape) {
    return graph_.state(item.parameter->name + "." + std::string(name), dtype, shape);
}

void StepBuilder::make_items() {
    for (const Optimizer* optimizer : optimizers_) {
        std::vector<Item> items;
        for (const Parameter& parameter : optimizer->parameters()) {
            Item item{&parameter,
                      graph_.external(parameter.name, parameter.weight),
                      graph_.external(parameter.name + ".grad", parameter.gradient),
                      {},
                      {}};
            const Shape& shape = parameter.weight.shape;
            if (options_.master_weights && parameter.weight.dtype != DType::f32)
                item.master = state(item, "master", DType::f32, shape);
            if (options_.ema_decay > 0) item.average = state(item, "ema", DType::f32, shape);
            layout_.parameters.push_back(parameter.name);
            items.push_back(std::move(item));
        }
        all_items_.push_back(std::move(items));
    }
}

void StepBuilder::make_slots() {
    std::vector<gpu::HyperSlot> slots;
    std::vector<gpu::SchedulePiece> pieces;
    for (const Optimizer* optimizer : optimizers_) {
        all_values_.push_back(optimizer->hyper());
        for (const HyperValue& value : all_values_.back()) {
            gpu::HyperSlot slot = value.slot;
            slot.first_piece = static_cast<std::uint32_t>(pieces.size());
            slot.piece_count = static_cast<std::uint32_t>(value.schedule.pieces().size());
            for (const Schedule::Piece& piece : value.schedule.pieces()) {
                const bool exponential = piece.kind == Schedule::Kind::exponential;
                pieces.push_back(
                    {static_cast<std::uint32_t>(piece.kind), piece.steps, piece.from, piece.to,
                     exponential ? static_cast<float>(std::log(static_cast<double>(piece.to) / piece.from))
                                 : 0.0f,
                     0});
            }
            if (value.learning_rate)
                layout_.rates.push_back({optimizer->name(), slots.size() * sizeof(gpu::HyperSlot) +
                                                                offsetof(gpu::HyperSlot, value)});
            slots.push_back(slot);
        }
    }
    slot_count_ = static_cast<std::uint32_t>(slots.size());
    // Tables and temporaries are never empty, so that every address in the job is one.
    if (slots.empty()) slots.emplace_back();
    if (pieces.empty()) pieces.emplace_back();
    layout_.slots = graph_.table(std::as_bytes(std::span(slots)));
    pieces_ = graph_.table(std::as_bytes(std::span(pieces)));
    values_ = graph_.temporary(DType::f32, Shape{slots.size()});
    layout_.status = graph_.readback(sizeof(gpu::StepControl));
}

SpecConstant StepBuilder::variant(std::uint32_t bits) const {
    if (device().capabilities().cpu) bits |= gpu::ELEMENTS_SINGLE;
    if (options_.ema_decay > 0) bits |= gpu::ELEMENTS_AVERAGE;
    return {gpu::SPEC_FLAGS, bits};
}

std::string_view StepBuilder::variant_reason() const {
    return device().capabilities().cpu ? "CPU driver: word by word, neighbours in one invocation"
                                       : "16 bytes an access where addresses allow it";
}

ElementGrid StepBuilder::elements(std::uint64_t count, std::uint64_t max_groups) const {
    const Capabilities& capabilities = device().capabilities();
    const std::uint64_t quads = (count + 3) / 4;
    ElementGrid grid{};
    std::uint64_t rounds = 1;
    if (capabilities.cpu) {
        // Every word of the job costs an invocation as much as a word of a tensor: many elements for each of
        // few.
        grid.threads = threads_of(capabilities, 32);
        rounds = 4;
    } else {
        // Large tensors: several rounds, so that finding the job is paid for by more elements.
        grid.threads = threads_of(capabilities, 256);
        rounds = std::clamp<std::uint64_t>(count >> 22, 1, 4);
    }
    rounds = std::min(rounds, (quads + grid.threads - 1) / grid.threads);
    if (max_groups > 0)
        rounds = std::max(rounds, (quads + max_groups * grid.threads - 1) / (max_groups * grid.threads));
    grid.rounds = static_cast<std::uint32_t>(std::max<std::uint64_t>(rounds, 1));
    const std::uint64_t per_group = std::uint64_t{grid.threads} * grid.rounds;
    grid.groups = (quads + per_group - 1) / per_group;
    return grid;
}

void StepBuilder::add_part(std::vector<Operand>& operands, std::uint32_t field, const Tensor& whole,
                           std::uint64_t first, std::uint64_t count, Access access) {
    Tensor flat = whole.reshape(Shape{whole.shape.count()});
    if (first == 0 && count == flat.shape.count()) {
        operands.push_back({field, flat, access});
        return;
    }
    Tensor nothing = flat;  // no bytes, hence no dependency: only the address
    nothing.shape = Shape{0};
    operands.push_back({field, nothing, access});
    flat.byte_offset += first * bytes_of(whole.dtype);
    flat.shape = Shape{count};
    operands.push_back({Operand::kNoField, flat, access});
}

gpu::ElementRange StepBuilder::range(std::uint64_t first, std::uint64_t count, const ElementGrid& grid) {
    return {static_cast<std::uint32_t>(first), static_cast<std::uint32_t>(count), grid.rounds, 0};
}

void StepBuilder::add_gradient(std::vector<Operand>& operands, std::uint32_t field, const Item& item) {
    operands.push_back({field + static_cast<std::uint32_t>(offsetof(gpu::GradientOperand, address)),
                        item.gradient, Access::read});
    operands.push_back({field + static_cast<std::uint32_t>(offsetof(gpu::GradientOperand, low)),
                        item.gradient, Access::read});
}

gpu::ParameterOperand StepBuilder::parameter_operand(const Item& item) const {
    gpu::ParameterOperand operand{};
    operand.average_rate = static_cast<float>(1.0 - static_cast<double>(options_.ema_decay));
    operand.lr_scale = item.parameter->lr_scale;
    operand.weight_decay_scale = item.parameter->weight_decay_scale;
    operand.flags = (item.master ? gpu::PARAMETER_MASTER : 0);
    return operand;
}

void StepBuilder::add_parameter(std::vector<Operand>& operands, std::uint32_t field, const Item& item,
                                std::uint64_t first, std::uint64_t count) {
    using Member = gpu::ParameterOperand;
    const auto at = [field](std::size_t offset) { return field + static_cast<std::uint32_t>(offset); };
    add_part(operands, at(offsetof(Member, weight)), item.weight, first, count, Access::read_write);
    add_part(operands, at(offsetof(Member, words)), item.weight, first, count, Access::read_write);
    add_part(operands, at(offsetof(Member, low)), item.weight, first, count, Access::read_write);
    if (item.master)
        add_part(operands, at(offsetof(Member, master)), item.master, first, count, Access::read_write);
    if (item.average)
        add_part(operands, at(offsetof(Member, average)), item.average, first, count, Access::read_write);
}

double StepBuilder::parameter_bytes(const Item& item) {
    const double weight = static_cast<double>(bytes_of(item.weight.dtype));
    return weight + (item.master ? 8.0 : weight) + (item.average ? 8.0 : 0.0);
}

void StepBuilder::add_initialize() {
    graph_.set_phase(Phase::initialize);
    graph_.set_stage("initialize");
    add_advance(gpu::ADVANCE_MODE_INITIALIZE);
    for (const std::vector<Item>& items : all_items_)
        for (const Item& item : items) {
            const std::uint64_t count = item.weight.shape.count();
            if (count == 0 || (!item.master && !item.average)) continue;
            const ElementGrid grid = elements(count);
            gpu::StartCopiesJob job{};
            job.parameter = parameter_operand(item);
            job.range = range(0, count, grid);
            const std::uint32_t field = offsetof(gpu::StartCopiesJob, parameter);
            std::vector<Operand> operands;
            for (const std::size_t member :
                 {offsetof(gpu::ParameterOperand, weight), offsetof(gpu::ParameterOperand, low)})
                operands.push_back({field + static_cast<std::uint32_t>(member), item.weight, Access::read});
            if (item.master)
                operands.push_back(
                    {field + static_cast<std::uint32_t>(offsetof(gpu::ParameterOperand, master)), item.master,
                     Access::write});
            if (item.average)
                operands.push_back(
                    {field + static_cast<std::uint32_t>(offsetof(gpu::ParameterOperand, average)),
                     item.average, Access::write});
            Operation operation = make_operation(kStartCopies, job, std::move(operands), grid.groups);
            operation.constants = {{gpu::SPEC_THREADS, grid.threads},
                                   variant(),
                                   {gpu::SPEC_DTYPE_A, static_cast<std::uint32_t>(item.weight.dtype)}};
            operation.reason = variant_reason();
            operation.bytes = parameter_bytes(item) * static_cast<double>(count);
            operation.guarded = false;
            graph_.add(std::move(operation));
        }
}

void StepBuilder::add_accumulate() {
    graph_.set_phase(Phase::accumulate);
    graph_.set_stage("accumulate");
    for (std::vector<Item>& items : all_items_)
        for (Item& item : items) {
            const std::uint64_t count = item.weight.shape.count();
            const Tensor gradient = item.gradient;
            const Tensor sum = state(item, "gradient_sum", DType::f32, item.weight.shape);
            if (count > 0) {
                const ElementGrid grid = elements(count);
                gpu::AccumulateJob job{};
                job.range = range(0, count, grid);
                std::vector<Operand> operands;
                add_gradient(operands, offsetof(gpu::AccumulateJob, gradient), item);
                operands.push_back({offsetof(gpu::AccumulateJob, accumulator), sum, Access::read_write});
                operands.push_back({offsetof(gpu::AccumulateJob, control), layout_.control, Access::read});
                Operation operation = make_operation(kAccumulate, job, std::move(operands), grid.groups);
                operation.constants = {{gpu::SPEC_THREADS, grid.threads},
                                       variant(options_.skip_nonfinite ? 0 : gpu::ACCUMULATE_FINITE),
                                       {gpu::SPEC_DTYPE_B, static_cast<std::uint32_t>(gradient.dtype)}};
                operation.reason = variant_reason();
                operation.bytes = (8.0 + gradient_bytes(item)) * static_cast<double>(count);
                operation.guarded = false;
                graph_.add(std::move(operation));
            }
            item.gradient = sum;
        }
    add_advance(gpu::ADVANCE_MODE_ACCUMULATE);
}

void StepBuilder::add_statistics() {
    if (!options_.skip_nonfinite && options_.clip_norm == 0.0f) return;
    struct Part {
        const Item* item;
        ElementGrid grid;
    };
    std::vector<Part> parts;
    std::uint64_t total = 0, tensors = 0;
    for (const std::vector<Item>& items : all_items_)
        for (const Item& item : items) {
            total += item.gradient.shape.count();
            tensors += item.gradient.shape.count() > 0 ? 1 : 0;
        }
    if (total == 0) return;
    // On CPU drivers a workgroup's barriers cost as much as thousands of elements: few invocations, long
    // shares.
    const Capabilities& capabilities = device().capabilities();
    const std::uint32_t threads = threads_of(capabilities, capabilities.cpu ? 16 : 256);
    const std::uint64_t spare = tensors < kMaxPartials / 2 ? kMaxPartials - tensors : kMaxPartials / 2;
    const std::uint64_t share =
        std::max<std::uint64_t>((total + spare - 1) / spare, capabilities.cpu ? 16384 : 4096);
    const std::uint64_t per_round = std::uint64_t{threads} * 4;
    for (const std::vector<Item>& items : all_items_)
        for (const Item& item : items) {
            const std::uint64_t count = item.gradient.shape.count();
            if (count == 0) continue;
            const std::uint64_t rounds = (std::min(share, count) + per_round - 1) / per_round;
            const ElementGrid grid{threads, static_cast<std::uint32_t>(rounds),
                                   (count + rounds * per_round - 1) / (rounds * per_round)};
            parts.push_back({&item, grid});
            partial_count_ += static_cast<std::uint32_t>(grid.groups);
        }
    partials_ = graph_.temporary(DType::f32, Shape{partial_count_, 4});
    std::uint64_t first = 0;
    for (const Part& part : parts) {
        const std::uint64_t count = part.item->gradient.shape.count();
        gpu::GradientStatsJob job{};
        job.range = range(0, count, part.grid);
        std::vector<Operand> operands;
        add_gradient(operands, offsetof(gpu::GradientStatsJob, gradient), *part.item);
        operands.push_back({offsetof(gpu::GradientStatsJob, partials),
                            partials_.row_range(first, part.grid.groups), Access::write});
        first += part.grid.groups;
        Operation operation = make_operation(kGradientStats, job, std::move(operands), part.grid.groups);
        operation.constants = {{gpu::SPEC_THREADS, part.grid.threads},
                               variant(),
                               {gpu::SPEC_DTYPE_B, static_cast<std::uint32_t>(part.item->gradient.dtype)}};
        operation.reason = variant_reason();
        operation.flops = 2.0 * static_cast<double>(count);
        operation.bytes = gradient_bytes(*part.item) * static_cast<double>(count);
        operation.guarded = false;
        graph_.add(std::move(operation));
    }
}

void StepBuilder::add_advance(std::uint32_t mode) {
    const bool stepping = mode == gpu::ADVANCE_MODE_STEP;
    gpu::AdvanceJob job{};
    job.partial_count = stepping ? partial_count_ : 0;
    job.slot_count = slot_count_;
    job.mode = mode;
    job.flags = (options_.skip_nonfinite ? gpu::ADVANCE_SKIP_NONFINITE : 0) |
                (options_.loss_scale.dynamic ? gpu::ADVANCE_DYNAMIC_LOSS_SCALE : 0) |
                (options_.accumulate ? gpu::ADVANCE_ACCUMULATES : 0) | (stepping ? gpu::ADVANCE_SECTIONS : 0);
    job.clip_norm = options_.clip_norm;
    job.clip_value = options_.clip_value > 0 ? std::min(options_.clip_value, gpu::LARGEST_GRADIENT)
                                             : gpu::LARGEST_GRADIENT;
    job.initial_loss_scale = options_.loss_scale.initial;
    job.growth = options_.loss_scale.growth;
    job.backoff = options_.loss_scale.backoff;
    job.growth_interval = options_.loss_scale.growth_interval;
    job.seed = options_.seed;
    std::vector<Operand> operands{{offsetof(gpu::AdvanceJob, control), layout_.control, Access::read_write},
                                  {offsetof(gpu::AdvanceJob, status), layout_.status, Access::write}};
    if (stepping) {
        operands.push_back({offsetof(gpu::AdvanceJob, slots), layout_.slots, Access::read});
        operands.push_back({offsetof(gpu::AdvanceJob, pieces), pieces_, Access::read});
        operands.push_back({offsetof(gpu::AdvanceJob, values), values_, Access::write});
        operands.push_back({offsetof(gpu::AdvanceJob, sections), graph_.section_table(), Access::read});
        operands.push_back({offsetof(gpu::AdvanceJob, arguments), graph_.section_arguments(), Access::write});
        if (partials_) operands.push_back({offsetof(gpu::AdvanceJob, partials), partials_, Access::read});
    }
    Operation operation = make_operation(kAdvance, job, std::move(operands), 1);
    const Capabilities& capabilities = device().capabilities();
    operation.constants = {{gpu::SPEC_THREADS, threads_of(capabilities, capabilities.cpu ? 16 : 256)}};
    operation.reason = "one workgroup, so that one decision holds for the whole step";
    operation.bytes = 16.0 * job.partial_count + 36.0 * slot_count_;
    operation.guarded = false;
    graph_.add(std::move(operation));
}

// linear(0,1,100)+constant(1,1,0): from, to, steps.
std::string schedule_text(const Schedule& schedule) {
    constexpr const char* kKinds[] = {"constant", "linear", "cosine", "exponential"};
    if (schedule.pieces().empty()) return "none";
    std::string text;
    for (const Schedule::Piece& piece : schedule.pieces())
        text += std::string(text.empty() ? "" : "+") + kKinds[static_cast<std::uint32_t>(piece.kind)] + "(" +
                number_text(piece.from) + "," + number_text(piece.to) + "," + std::to_string(piece.steps) +
                ")";
    return text;
}

// What has to be equal for a checkpoint's states to go on as they were.
std::string StepBuilder::identity() const {
    std::string text =
        "step: skip_nonfinite=" + std::to_string(options_.skip_nonfinite) +
        " clip_norm=" + number_text(options_.clip_norm) + " clip_value=" + number_text(options_.clip_value) +
        " accumulate=" + std::to_string(options_.accumulate) +
        " master_weights=" + std::to_string(options_.master_weights) +
        " ema_decay=" + number_text(options_.ema_decay) +
        " loss_scale.dynamic=" + std::to_string(options_.loss_scale.dynamic) +
        " loss_scale.growth=" + number_text(options_.loss_scale.growth) +
        " loss_scale.backoff=" + number_text(options_.loss_scale.backoff) +
        " loss_scale.growth_interval=" + std::to_string(options_.loss_scale.growth_interval) + "\n";
    for (const Optimizer* optimizer : optimizers_) {
        text += "optimizer " + in_quotes(optimizer->name()) + ": algorithm=" + optimizer->options_text();
        for (const HyperValue& value : optimizer->hyper())
            if (value.slot.kind == gpu::SLOT_SCHEDULED) text += " schedule=" + schedule_text(value.schedule);
        text += "\n";
        for (const Parameter& parameter : optimizer->parameters()) {
            text += "parameter " + in_quotes(parameter.name) +
                    ": dtype=" + to_string(parameter.weight.dtype) +
                    " shape=" + parameter.weight.shape.text() +
                    " gradient=" + to_string(parameter.gradient.dtype) +
                    " lr_scale=" + number_text(parameter.lr_scale) +
                    " weight_decay_scale=" + number_text(parameter.weight_decay_scale) +
                    " heads=" + std::to_string(parameter.view.heads) +
                    " batch=" + std::to_string(parameter.view.batch) + " row_splits=";
            for (const std::uint64_t rows : parameter.view.row_splits) text += std::to_string(rows) + ",";
            text += "\n";
        }
    }
    return text;
}

}  // namespace heron
