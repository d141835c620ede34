// SPDX-License-Identifier: MIT
// The kernels around the recipes: start of the copies, accumulation, statistics of the gradients, advance.
#include <algorithm>

#include "core/section.h"
#include "graph/graph.hpp"
#include "heron/spirv/accumulate.hpp"
#include "heron/spirv/advance.hpp"
#include "heron/spirv/gradient_stats.hpp"
#include "heron/spirv/start_copies.hpp"
#include "optim/accumulate.h"
#include "optim/gradient_stats.h"
#include "optim/start_copies.h"
#include "optim/step_builder.hpp"

namespace heron {

namespace {

static_assert(sizeof(gpu::AdvanceJob) == 112);
static_assert(sizeof(gpu::StepControl) == 64);

constexpr KernelInfo kGradientStats =
    make_kernel<gpu::GradientStatsJob>("gradient_stats", spirv::gradient_stats);
constexpr KernelInfo kAdvance = make_kernel<gpu::AdvanceJob>("advance", spirv::advance);
constexpr KernelInfo kAccumulate = make_kernel<gpu::AccumulateJob>("accumulate", spirv::accumulate);
constexpr KernelInfo kStartCopies = make_kernel<gpu::StartCopiesJob>("start_copies", spirv::start_copies);

// Partial statistics that the advance kernel combines: with 256 invocations 64 apiece.
constexpr std::uint64_t kMaxPartials = 16384;

}  // namespace

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
            const Tensor sum = state(item, kGradientSum, DType::f32, item.weight.shape);
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
                (options_.accumulate ? gpu::ADVANCE_ACCUMULATES : 0) |
                (stepping ? gpu::ADVANCE_SECTIONS : 0) | (keeps_values_ ? gpu::ADVANCE_KEEPS_VALUES : 0);
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
        operands.push_back(
            {offsetof(gpu::AdvanceJob, values), values_, keeps_values_ ? Access::read_write : Access::write});
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

}  // namespace heron
