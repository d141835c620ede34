// SPDX-License-Identifier: MIT
#include "optim/step_builder.hpp"

#include <cmath>
#include <memory>
#include <utility>

#include "graph/graph.hpp"
#include "optim/draw_key.hpp"
#include "optim/mkor_switch.hpp"
#include "optim/step_checks.hpp"

namespace heron {

static_assert(sizeof(gpu::HyperSlot) == 36);
static_assert(sizeof(gpu::SchedulePiece) == 24);
static_assert(static_cast<std::uint32_t>(Schedule::Kind::exponential) == gpu::SCHEDULE_EXPONENTIAL);

StepBuilder::StepBuilder(const Device& device, std::span<const Optimizer* const> optimizers,
                         const StepOptions& options)
    : graph_(device), options_(options), optimizers_(optimizers) {
    if (options_.plan.name == PlanOptions().name) options_.plan.name = options_.name;
}

Plan StepBuilder::compile(const Device& device, std::span<const Optimizer* const> optimizers,
                          const StepOptions& options) {
    check_step(device, optimizers, options);
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
        step.first_slot_ = static_cast<std::uint32_t>(first_slot);
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

void StepBuilder::make_items() {
    for (const Optimizer* optimizer : optimizers_) {
        std::vector<Item> items;
        for (const Parameter& parameter : optimizer->parameters()) {
            Item item{&parameter,
                      graph_.external(parameter.name, parameter.weight),
                      graph_.external(parameter.name + ".grad", parameter.gradient),
                      {},
                      {},
                      draw_key(parameter.name)};
            const Shape& shape = parameter.weight.shape;
            if (options_.master_weights && parameter.weight.dtype != DType::f32)
                item.master = state(item, "master", DType::f32, shape);
            if (options_.ema_decay > 0) item.average = state(item, "ema", DType::f32, shape);
            layout_.parameters.push_back(parameter.name);
            items.push_back(item);
        }
        all_items_.push_back(std::move(items));
    }
}

void StepBuilder::add_switch(const StepLayout::Rate& rate, const std::optional<MkorSwitch>& rule) {
    std::vector<std::byte>& memory = graph_.impl().step_memory;
    layout_.switches.push_back({rate, rule, memory.size()});
    const MkorSwitchHistory history;
    const auto bytes = std::as_bytes(std::span(&history, 1));
    memory.insert(memory.end(), bytes.begin(), bytes.end());
}

void StepBuilder::make_slots() {
    std::vector<gpu::HyperSlot> slots;
    std::vector<gpu::SchedulePiece> pieces;
    for (const Optimizer* optimizer : optimizers_) {
        all_values_.push_back(optimizer->hyper());
        std::uint32_t chances = 0;
        for (const HyperValue& value : all_values_.back()) {
            gpu::HyperSlot slot = value.slot;
            slot.first_piece = static_cast<std::uint32_t>(pieces.size());
            slot.piece_count = static_cast<std::uint32_t>(value.schedule.pieces().size());
            if (slot.kind == gpu::SLOT_CHANCE) slot.draws += chances++;
            for (const Schedule::Piece& piece : value.schedule.pieces()) {
                const bool exponential = piece.kind == Schedule::Kind::exponential;
                pieces.push_back(
                    {static_cast<std::uint32_t>(piece.kind), piece.steps, piece.from, piece.to,
                     exponential ? static_cast<float>(std::log(static_cast<double>(piece.to) / piece.from))
                                 : 0.0f,
                     0});
            }
            const StepLayout::Rate rate{
                optimizer->name(), slots.size() * sizeof(gpu::HyperSlot) + offsetof(gpu::HyperSlot, value)};
            if (value.learning_rate) layout_.rates.push_back(rate);
            if (value.second_order) add_switch(rate, value.switching);
            if (value.damping) layout_.dampings.push_back(rate);
            keeps_values_ = keeps_values_ || slot.kind == gpu::SLOT_COUNTED;
            slots.push_back(slot);
        }
    }
    slot_count_ = static_cast<std::uint32_t>(slots.size());
    // Tables and temporaries are never empty, so that every address in the job is one.
    if (slots.empty()) slots.emplace_back();
    if (pieces.empty()) pieces.emplace_back();
    layout_.slots = graph_.table(std::as_bytes(std::span(slots)));
    pieces_ = graph_.table(std::as_bytes(std::span(pieces)));
    values_ = keeps_values_ ? graph_.state("heron.values", DType::f32, Shape{slots.size()})
                            : graph_.temporary(DType::f32, Shape{slots.size()});
    layout_.status = graph_.readback(sizeof(gpu::StepControl));
    graph_.impl().status = layout_.status;
}

}  // namespace heron
