// SPDX-License-Identifier: MIT
// Mfac's recipe: one vector of all gradients of a block, into its window, times the inverse Fisher matrix
// (linalg/woodbury.hpp), back to the parameters. The kernels are shaders/optim/mfac_*.comp.
#include "heron/optim/mfac.hpp"

#include <cstddef>
#include <utility>
#include <vector>

#include "heron/spirv/mfac_gradient.hpp"
#include "heron/spirv/mfac_keep.hpp"
#include "heron/spirv/mfac_update.hpp"
#include "linalg/integers.hpp"
#include "optim/checks.hpp"
#include "optim/hyper.hpp"
#include "optim/mfac.h"
#include "optim/step_builder.hpp"

namespace heron {

namespace {

static_assert(sizeof(gpu::MfacKeepJob) == 88);
static_assert(sizeof(gpu::MfacGradientJob) == 120);
static_assert(sizeof(gpu::MfacUpdateJob) == 104);

constexpr KernelInfo kKeep = make_kernel<gpu::MfacKeepJob>("mfac_keep", spirv::mfac_keep);
constexpr KernelInfo kGradient = make_kernel<gpu::MfacGradientJob>("mfac_gradient", spirv::mfac_gradient);
constexpr KernelInfo kUpdate = make_kernel<gpu::MfacUpdateJob>("mfac_update", spirv::mfac_update);

constexpr std::uint64_t kMaxWords = std::uint64_t{1} << 31;

// A parameter's elements of a block.
struct Part {
    const StepBuilder::Item* item;
    std::uint64_t first;
    Tensor kept, momentum;

    std::uint64_t count() const { return item->weight.shape.count(); }
    std::uint64_t padded() const { return (count() + 3) / 4 * 4; }
    // Of a vector of the block, the padding included.
    Tensor of(const Tensor& whole) const {
        Tensor part = whole;
        part.byte_offset += first * sizeof(float);
        part.shape = Shape{padded()};
        return part;
    }
};

// What has a window of its own.
struct Block {
    std::string name;
    float damping;
    std::uint64_t elements = 0;
    std::vector<Part> parts;
    Window window;
    WindowFactor factor;  // empty where it is not kept
    Tensor slot, newest, gradient, direction, status, used;

    void add(const StepBuilder::Item& item) {
        parts.push_back({&item, elements, {}, {}});
        elements += parts.back().padded();
    }
};

class Recipe {
public:
    Recipe(StepBuilder& step, const MfacOptions& options, const std::string& name)
        : step_(step), graph_(step.graph()), options_(options) {
        for (const StepBuilder::Item& item : step.items()) {
            if (item.weight.shape.count() == 0) continue;
            const bool own = options.blocks == MfacBlocks::layer;
            if (own || blocks_.empty()) {
                const DampingScales& scale = item.parameter->damping_scale;
                blocks_.push_back({own ? item.parameter->name : name,
                                   own ? options.damping * (scale.inputs * scale.outputs) : options.damping});
            }
            blocks_.back().add(item);
        }
        for (Block& block : blocks_) make(block, name);
    }

    void build() {
        const auto every_part = [&](auto add) {
            for (const Block& block : blocks_)
                for (const Part& part : block.parts) add(block, part);
        };
        if (options_.sparse) {
            graph_.set_stage("mfac start");
            graph_.set_phase(Phase::initialize);
            every_part([&](const Block&, const Part& part) { add_keep(part); });
            graph_.set_phase(Phase::step);
        }
        graph_.set_stage("mfac gradient");
        every_part([&](const Block& block, const Part& part) { add_gradient(block, part); });
        graph_.set_stage("mfac window");
        for (const Block& block : blocks_)
            window_push(graph_, block.window, block.gradient, block.slot, {.newest = block.newest});
        graph_.set_stage("mfac solve");
        for (const Block& block : blocks_) {
            const bool whole = options_.average == MfacAverage::window;
            woodbury_range(graph_, block.window, block.newest, block.direction,
                           {.lambda = block.damping,
                            .weight = whole ? 1.0f / static_cast<float>(options_.window) : 1.0f,
                            .average_rows = !whole,
                            .refinement = options_.refinement,
                            .status = block.status,
                            .damping = block.used,
                            .kept = block.factor});
        }
        graph_.set_stage("mfac update");
        every_part([&](const Block& block, const Part& part) { add_update(block, part); });
    }

private:
    void make(Block& block, const std::string& name) {
        const std::uint64_t m = options_.window, d = block.elements;
        const std::string who = "Mfac \"" + name + "\": ";
        if (m * d * bytes_of(options_.window_dtype) / 4 > kMaxWords)
            refuse(who + "a window of " + std::to_string(m) + " gradients of " + std::to_string(d) +
                   " elements is more than 2^31 words; take a smaller window, 16 bits, MfacBlocks::layer or "
                   "several optimizers");
        if (!(block.damping > 0) || !std::isfinite(block.damping * static_cast<float>(m)))
            refuse(who + "the damping of parameter " + in_quotes(block.name) + " is " +
                   number_text(block.damping) + ", must be above 0 and finite, times the window, too");
        const auto state = [&](const char* what, DType dtype, const Shape& shape) {
            return graph_.state(block.name + "." + what, dtype, shape);
        };
        block.window = {.rows = state("window", options_.window_dtype, Shape{m, d}),
                        .gram = state("gram", DType::f32, Shape{m, m}),
                        .exponents = state("exponents", DType::u32, Shape{m}),
                        .normalized = options_.window_dtype != DType::f32};
        if (options_.keep_factor)
            block.factor = {.factor = state("factor", DType::f32, Shape{m, m}),
                            .system = state("system", DType::f32, Shape{m, m}),
                            .counts = state("factor_counts", DType::u32, Shape{WindowFactor::kCounts})};
        block.slot = state("slot", DType::u32, Shape{1});
        block.status = state("status", DType::u32, Shape{1});
        block.used = state("damping", DType::f32, Shape{1});
        block.newest = graph_.temporary(DType::f32, Shape{m});
        block.gradient = graph_.temporary(DType::f32, Shape{d});
        block.direction = graph_.temporary(DType::f32, Shape{d});
        for (Part& part : block.parts) {
            if (options_.momentum > 0)
                part.momentum = step_.state(*part.item, "momentum", DType::f32, part.item->weight.shape);
            if (options_.sparse)
                part.kept = step_.state(*part.item, "kept", DType::u32, Shape{part.padded() / 4});
        }
    }

    void add(Operation operation, const Part& part, const ElementGrid& grid, double flops, double bytes,
             bool has_gradient = false) {
        operation.constants = {
            {gpu::SPEC_THREADS, grid.threads},
            step_.variant(),
            {gpu::SPEC_DTYPE_A, static_cast<std::uint32_t>(part.item->weight.dtype)},
        };
        if (has_gradient)
            operation.constants.push_back(
                {gpu::SPEC_DTYPE_B, static_cast<std::uint32_t>(part.item->gradient.dtype)});
        operation.reason = step_.variant_reason();
        operation.flops = flops * static_cast<double>(part.count());
        operation.bytes = bytes * static_cast<double>(part.count());
        graph_.add(std::move(operation));
    }
    double weight_bytes(const Part& part) const {
        return part.item->master ? 4.0 : static_cast<double>(bytes_of(part.item->weight.dtype));
    }

    void add_keep(const Part& part) {
        using Job = gpu::MfacKeepJob;
        const ElementGrid grid = step_.elements(part.count());
        Job job{};
        job.range = StepBuilder::range(0, part.count(), grid);
        // The weight itself, not its master copy: both are zero in the same places.
        StepBuilder::Item item = *part.item;
        item.master = {};
        std::vector<Operand> operands{{offsetof(Job, kept), part.kept, Access::write}};
        StepBuilder::add_parameter_reads(operands, offsetof(Job, parameter), item);
        Operation operation = make_operation(kKeep, job, std::move(operands), grid.groups);
        operation.guarded = false;
        add(std::move(operation), part, grid, 0.0, 1.0 + static_cast<double>(bytes_of(item.weight.dtype)));
    }

    void add_gradient(const Block& block, const Part& part) {
        using Job = gpu::MfacGradientJob;
        const StepBuilder::Item& item = *part.item;
        const bool decays = options_.weight_decay > 0;
        const ElementGrid grid = step_.elements(part.count());
        Job job{};
        job.parameter = step_.parameter_operand(item);
        job.range = StepBuilder::range(0, part.count(), grid);
        job.flags = (decays ? gpu::MFAC_DECAYS : 0) | (options_.sparse ? gpu::MFAC_SPARSE : 0);
        std::vector<Operand> operands{{offsetof(Job, hyper), step_.hyper(), Access::read},
                                      {offsetof(Job, x), part.of(block.gradient), Access::write}};
        StepBuilder::add_gradient(operands, offsetof(Job, gradient), item);
        if (decays) StepBuilder::add_parameter_reads(operands, offsetof(Job, parameter), item);
        if (options_.sparse) operands.push_back({offsetof(Job, kept), part.kept, Access::read});
        add(make_operation(kGradient, job, std::move(operands), grid.groups), part, grid, 2.0,
            StepBuilder::gradient_bytes(item) + (decays ? weight_bytes(part) : 0.0) + 4.0, true);
    }

    void add_update(const Block& block, const Part& part) {
        using Job = gpu::MfacUpdateJob;
        const StepBuilder::Item& item = *part.item;
        const ElementGrid grid = step_.elements(part.count());
        Job job{};
        job.parameter = step_.parameter_operand(item);
        job.range = StepBuilder::range(0, part.count(), grid);
        std::vector<Operand> operands{{offsetof(Job, hyper), step_.hyper(), Access::read},
                                      {offsetof(Job, direction), part.of(block.direction), Access::read}};
        StepBuilder::add_parameter(operands, offsetof(Job, parameter), item, 0, part.count());
        if (part.momentum) {
            job.flags = gpu::MFAC_MOMENTUM;
            operands.push_back({offsetof(Job, momentum), part.momentum, Access::read_write});
        }
        add(make_operation(kUpdate, job, std::move(operands), grid.groups), part, grid, 5.0,
            StepBuilder::parameter_bytes(item) + 4.0 + (part.momentum ? 8.0 : 0.0));
    }

    StepBuilder& step_;
    Graph& graph_;
    const MfacOptions& options_;
    std::vector<Block> blocks_;
};

}  // namespace

Mfac::Mfac(const Device& device, const MfacOptions& options) : Optimizer(device, "mfac"), options_(options) {
    const MfacOptions& o = options;
    check_rate_and_decay("Mfac", o.lr, o.weight_decay);
    check_option("Mfac", "window", o.window, o.window >= 1 && o.window <= 1024, "1 to 1024");
    check_option("Mfac", "damping", o.damping, o.damping > 0, "finite and above 0");
    check_option("Mfac", "momentum", o.momentum, o.momentum >= 0 && o.momentum < 1, "in [0, 1)");
    check_enum("Mfac", "blocks", o.blocks, MfacBlocks::layer);
    check_enum("Mfac", "average", o.average, MfacAverage::filled);
    check_enum("Mfac", "refinement", o.refinement, Refinement::always);
    check_enum("Mfac", "window_dtype", o.window_dtype, DType::bf16);
}

std::string Mfac::options_text() const {
    const MfacOptions& o = options_;
    const auto number = [](auto value) { return std::to_string(static_cast<std::uint32_t>(value)); };
    return "mfac window=" + number(o.window) + " damping=" + number_text(o.damping) +
           " momentum=" + number_text(o.momentum) + " weight_decay=" + number_text(o.weight_decay) +
           " blocks=" + number(o.blocks) + " average=" + number(o.average) +
           " window_dtype=" + number(o.window_dtype) + " sparse=" + number(o.sparse) +
           " keep_factor=" + number(o.keep_factor) + " refinement=" + number(o.refinement);
}

// gpu::MfacHyper
std::vector<HyperValue> Mfac::hyper() const {
    return {HyperValue::lr(options_.lr, options_.schedule), HyperValue::constant(options_.momentum),
            HyperValue::constant(1.0 - options_.momentum), HyperValue::constant(options_.weight_decay)};
}

void Mfac::build(StepBuilder& step) const { Recipe(step, options_, name()).build(); }

}  // namespace heron
