// SPDX-License-Identifier: MIT
#include "optim/matrix_update.hpp"

#include <algorithm>
#include <cstddef>
#include <utility>

#include "heron/spirv/muon_update.hpp"
#include "heron/spirv/muon_update_lines.hpp"
#include "linalg/integers.hpp"
#include "optim/adafactor.h"
#include "optim/adamw.h"
#include "optim/checks.hpp"
#include "optim/lion.h"
#include "optim/muon.h"

namespace heron {

namespace {

static_assert(sizeof(gpu::MuonUpdateJob) == 128);
// What the kernel reads of any of them.
template <class Hyper>
constexpr bool begins_as_muon() {
    return offsetof(Hyper, lr) == offsetof(gpu::MuonHyper, lr) &&
           offsetof(Hyper, weight_decay) == offsetof(gpu::MuonHyper, weight_decay);
}
static_assert(begins_as_muon<gpu::AdamWHyper>() && begins_as_muon<gpu::LionHyper>() &&
              begins_as_muon<gpu::AdafactorHyper>());

constexpr KernelInfo kUpdate = make_kernel<gpu::MuonUpdateJob>("muon_update", spirv::muon_update);
constexpr KernelInfo kUpdateLines =
    make_kernel<gpu::MuonUpdateJob>("muon_update_lines", spirv::muon_update_lines);

constexpr std::uint64_t kAlignment = 16;  // of the address that the job holds

}  // namespace

std::uint32_t decay_flags(DecayForm decay) {
    const bool cautious = decay == DecayForm::cautious || decay == DecayForm::cautious_squared;
    const bool squared = decay == DecayForm::squared || decay == DecayForm::cautious_squared;
    return (cautious ? gpu::MUON_CAUTIOUS : 0) | (squared ? gpu::MUON_SQUARED_DECAY : 0) |
           (decay == DecayForm::after ? gpu::MUON_DECAY_AFTER : 0);
}

std::vector<HyperValue> matrix_hyper(float lr, const Schedule& schedule, double momentum, MomentumRule rule,
                                     float weight_decay, const Schedule& momentum_schedule) {
    // Without a schedule 1 - momentum is rounded once, from double.
    const bool scheduled = !momentum_schedule.pieces().empty();
    const float value = static_cast<float>(momentum);
    const HyperValue rate = rule == MomentumRule::sum ? HyperValue::constant(1.0)
                            : scheduled               ? HyperValue::complement(value, momentum_schedule)
                                                      : HyperValue::constant(1.0 - momentum);
    return {HyperValue::lr(lr, schedule),
            scheduled ? HyperValue::scheduled(value, momentum_schedule) : HyperValue::constant(momentum),
            rate, HyperValue::constant(weight_decay)};
}

void check_momentum(std::string_view optimizer, double momentum, const Schedule& momentum_schedule) {
    check_option(optimizer, "momentum", momentum, momentum >= 0 && momentum < 1, "in [0, 1)");
    for (const Schedule::Piece& piece : momentum_schedule.pieces()) {
        const double largest = momentum * static_cast<double>(std::max(piece.from, piece.to));
        check_option(optimizer, "momentum times momentum_schedule", largest, largest < 1, "in [0, 1)");
    }
}

std::uint32_t add_direction(std::vector<Operand>& operands, std::uint32_t field, const Tensor& direction) {
    const std::uint64_t shift = direction.byte_offset % kAlignment;
    Tensor address = direction.reshape(Shape{direction.shape.count()});
    if (shift > 0) {
        operands.push_back({Operand::kNoField, address, Access::read});
        address.byte_offset -= shift;
        address.shape = Shape{0};  // no bytes, hence no dependency
    }
    operands.push_back({field, address, Access::read});
    return narrow(shift / bytes_of(direction.dtype));
}

void add_matrix_update(StepBuilder& step, const StepBuilder::Item& item, const MatrixBlock& block,
                       const Tensor& direction, DecayForm decay, const LineFactors& lines,
                       std::uint32_t flags, const Tensor& rate) {
    using Job = gpu::MuonUpdateJob;
    const double elements = static_cast<double>(block.count());
    const ElementGrid grid = step.elements(block.count());
    Job job{};
    job.parameter = step.parameter_operand(item);
    job.range = StepBuilder::range(block.first, block.count(), grid);
    job.shape_factor = static_cast<float>(block.shape_factor);
    job.flags = decay_flags(decay) | flags;
    std::vector<Operand> operands{{offsetof(Job, hyper), step.hyper(), Access::read}};
    StepBuilder::add_parameter(operands, offsetof(Job, parameter), item, block.first, block.count());
    job.direction_first = add_direction(operands, offsetof(Job, direction), direction);
    if (lines.factors) {
        job.cols = narrow(lines.cols);
        job.line_scale = static_cast<float>(lines.scale);
        job.line_eps = static_cast<float>(lines.eps);
        job.flags |=
            (lines.columns ? gpu::MUON_LINE_COLUMNS : 0) | (lines.divides ? gpu::MUON_LINE_DIVIDE : 0);
        operands.push_back({offsetof(Job, line_factors), lines.factors, Access::read});
    }
    if (rate) operands.push_back({offsetof(Job, line_factors), rate, Access::read});
    Operation operation =
        make_operation(lines.factors ? kUpdateLines : kUpdate, job, std::move(operands), grid.groups);
    operation.constants = {{gpu::SPEC_THREADS, grid.threads},
                           step.variant(rate ? gpu::MUON_RATED : 0),
                           {gpu::SPEC_DTYPE_A, static_cast<std::uint32_t>(item.weight.dtype)},
                           {gpu::SPEC_DTYPE_D, static_cast<std::uint32_t>(direction.dtype)}};
    operation.reason = step.variant_reason();
    operation.flops = (lines.factors ? 4.0 : 3.0) * elements;
    operation.bytes =
        (StepBuilder::parameter_bytes(item) + static_cast<double>(bytes_of(direction.dtype))) * elements;
    step.graph().add(std::move(operation));
}

}  // namespace heron
