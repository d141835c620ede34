// SPDX-License-Identifier: MIT
// The kernels are shaders/optim/psgd_{moment,noise,moments4,update}.comp.
#include "optim/psgd_step.hpp"

#include <algorithm>
#include <cstddef>
#include <map>
#include <utility>

#include "heron/linalg/random.hpp"
#include "heron/spirv/psgd_moment.hpp"
#include "heron/spirv/psgd_moments4.hpp"
#include "heron/spirv/psgd_noise.hpp"
#include "heron/spirv/psgd_update.hpp"
#include "linalg/integers.hpp"
#include "optim/checks.hpp"
#include "optim/draw_key.hpp"
#include "optim/moments.hpp"

namespace heron {

namespace {

static_assert(sizeof(gpu::PsgdMomentJob) == 88);
static_assert(sizeof(gpu::PsgdNoiseJob) == 88);
static_assert(sizeof(gpu::PsgdMomentsJob) == 72);
static_assert(sizeof(gpu::PsgdUpdateJob) == 128);

constexpr KernelInfo kMoment = make_kernel<gpu::PsgdMomentJob>("psgd_moment", spirv::psgd_moment);
constexpr KernelInfo kNoise = make_kernel<gpu::PsgdNoiseJob>("psgd_noise", spirv::psgd_noise);
constexpr KernelInfo kMoments = make_kernel<gpu::PsgdMomentsJob>("psgd_moments4", spirv::psgd_moments4);
constexpr KernelInfo kUpdate = make_kernel<gpu::PsgdUpdateJob>("psgd_update", spirv::psgd_update);

constexpr std::uint64_t kMaxPartials = 512;

void add(StepBuilder& step, Operation operation, const ElementGrid& grid, DType weight, DType gradient,
         double flops, double bytes, std::uint64_t count, DType moment = DType::f32) {
    operation.constants = {{gpu::SPEC_THREADS, grid.threads},
                           step.variant(),
                           {gpu::SPEC_DTYPE_A, static_cast<std::uint32_t>(weight)},
                           {gpu::SPEC_DTYPE_B, static_cast<std::uint32_t>(gradient)}};
    specialize_moments(operation, moment);
    operation.reason = step.variant_reason();
    operation.flops = flops * static_cast<double>(count);
    operation.bytes = bytes * static_cast<double>(count);
    step.graph().add(std::move(operation));
}

// `item` with another tensor for its gradient.
StepBuilder::Item reading(const StepBuilder::Item& item, const Tensor& tensor) {
    StepBuilder::Item other = item;
    if (tensor) other.gradient = tensor;
    return other;
}

}  // namespace

ElementGrid psgd_grid(const Device& device, std::uint64_t count, std::uint64_t rounds,
                      std::uint64_t max_groups) {
    const Capabilities& capabilities = device.capabilities();
    ElementGrid grid{};
    grid.threads = threads_of(capabilities, capabilities.cpu ? 32 : 256);
    if (capabilities.cpu) rounds = 16;
    if (max_groups > 0)
        rounds = std::max(rounds, (count + max_groups * grid.threads - 1) / (max_groups * grid.threads));
    grid.rounds = narrow(std::min(rounds, (count + grid.threads - 1) / grid.threads));
    const std::uint64_t per_group = std::uint64_t{grid.threads} * grid.rounds;
    grid.groups = (count + per_group - 1) / per_group;
    return grid;
}

void add_with_inputs(const Optimizer& optimizer, const std::string& who, Parameter parameter, PsgdFit fit,
                     const PsgdInputs& inputs, std::map<std::string, PsgdInputs>& kept,
                     const std::function<void(Parameter)>& add) {
    check_psgd_inputs(optimizer.device(), who, parameter, fit, inputs);
    const std::string name = parameter.name;
    if (kept.contains(name)) return add(std::move(parameter));  // which refuses it
    kept[name] = inputs;
    try {
        add(std::move(parameter));
    } catch (...) {
        kept.erase(name);
        throw;
    }
}

Section psgd_section(const StepBuilder& step, std::uint32_t gate, float probability, const Schedule& schedule,
                     bool first) {
    if (probability >= 1.0f && schedule.pieces().empty()) return {};
    return {.first = first, .gate = step.gate(gate)};
}

void check_psgd_view(const Device& device, const std::string& who, std::string_view which,
                     const TensorView& view, const Shape& shape) {
    const std::string subject = who + ": " + std::string(which);
    if (view.dtype != DType::f32) refuse(subject + " is " + to_string(view.dtype) + ", must be f32");
    if (!(view.shape == shape))
        refuse(subject + " has shape " + view.shape.text() + ", its weight has " + shape.text());
    if (!view.contiguous()) refuse(subject + " has gaps between its rows");
    if (shape.count() == 0) return;
    if (view.device != 0 && view.device != device.id()) refuse(subject + " is memory of another device");
    if (view.address == 0) refuse(subject + " has a null address");
    if (view.address % 4 != 0) refuse(subject + " lies at an address that is not a multiple of 4 bytes");
}

void check_psgd_draws(const Device& device, const std::string& who, const TensorView& view,
                      std::uint64_t least) {
    check_psgd_view(device, who, "its tensor of draws", view, view.shape);
    if (view.address % 16 != 0)
        refuse(who + ": its tensor of draws lies at an address that is not a multiple of 16 bytes");
    if (view.shape.count() < least)
        refuse(who + ": its tensor of draws has " + std::to_string(view.shape.count()) +
               " numbers, a fit takes " + std::to_string(least));
}

void check_psgd_product(const std::string& optimizer, const Parameter& parameter, PsgdFit fit,
                        const std::map<std::string, PsgdInputs>& inputs) {
    if (fit == PsgdFit::hessian && !inputs.contains(parameter.name))
        refuse(optimizer + ": parameter " + in_quotes(parameter.name) +
               " has no product of the Hessian; give it one, add(parameter, {.product = ...})");
}

void check_psgd_inputs(const Device& device, const std::string& optimizer, const Parameter& parameter,
                       PsgdFit fit, const PsgdInputs& inputs) {
    const std::string who = optimizer + ": parameter " + in_quotes(parameter.name);
    const Shape& shape = parameter.weight.shape;
    if (fit == PsgdFit::hessian) {
        check_psgd_view(device, who, "its product", inputs.product, shape);
        if (inputs.probe.address != 0) check_psgd_view(device, who, "its probe", inputs.probe, shape);
    } else if (inputs.product.address != 0 || inputs.probe.address != 0) {
        refuse(who + " has a product or a probe; only PsgdFit::hessian takes them");
    }
    if (inputs.draws.address != 0) check_psgd_draws(device, who, inputs.draws, shape.count());
}

PsgdInputs psgd_inputs(const std::map<std::string, PsgdInputs>& inputs, const Parameter& parameter) {
    const auto found = inputs.find(parameter.name);
    return found == inputs.end() ? PsgdInputs() : found->second;
}

PsgdInputTensors add_psgd_inputs(StepBuilder& step, const StepBuilder::Item& item, const PsgdInputs& given,
                                 PsgdFit fit) {
    const auto external = [&](const char* name, const TensorView& view) {
        return view.address == 0 ? Tensor() : step.graph().external(item.parameter->name + "." + name, view);
    };
    PsgdInputTensors tensors;
    tensors.draws = external("draws", given.draws);
    if (fit != PsgdFit::hessian) return tensors;
    tensors.product = external("product", given.product);
    tensors.probe = external("probe", given.probe);
    tensors.own_probe = !tensors.probe;
    if (tensors.own_probe) tensors.probe = step.state(item, "probe", DType::f32, item.weight.shape);
    return tensors;
}

PsgdMoment add_psgd_moment(StepBuilder& step, const StepBuilder::Item& item, const PsgdMomentRules& rules) {
    using Job = gpu::PsgdMomentJob;
    Graph& graph = step.graph();
    const Shape& shape = item.weight.shape;
    const std::uint64_t count = shape.count();
    const bool has_momentum = rules.momentum > 0;
    const MomentState m = has_momentum ? moment_state(step, item, "momentum", rules.moments) : MomentState();
    if (count == 0) return {};
    const ElementGrid grid = step.elements(count, rules.sums ? kMaxPartials : 0);
    PsgdMoment result;
    const bool keeps = has_momentum && !rules.correct && !rules.to && rules.moments == MomentFormat::f32;
    result.x = keeps ? m.values : rules.to ? rules.to : graph.temporary(DType::f32, shape);
    if (rules.sums) result.partials = graph.temporary(DType::f32, Shape{grid.groups});
    Job job{};
    job.range = StepBuilder::range(0, count, grid);
    job.flags = (has_momentum ? gpu::PSGD_MOMENTUM : 0) | (rules.ramp ? gpu::PSGD_RAMP : 0) |
                (keeps ? 0 : gpu::PSGD_DIRECTION) |
                (rules.sums ? (rules.of_gradient ? gpu::PSGD_SUM_GRADIENT : gpu::PSGD_SUM_DIRECTION) : 0);
    std::vector<Operand> operands{{offsetof(Job, hyper), step.hyper(), Access::read}};
    StepBuilder::add_gradient(operands, offsetof(Job, gradient), item);
    if (m) add_moment(operands, offsetof(Job, momentum), job.momentum, item, m.values, 0, count);
    if (!keeps) operands.push_back({offsetof(Job, x), result.x, Access::write});
    if (rules.sums) operands.push_back({offsetof(Job, partials), result.partials, Access::write});
    add(step, make_operation(kMoment, job, std::move(operands), grid.groups), grid, item.weight.dtype,
        item.gradient.dtype, 5.0,
        StepBuilder::gradient_bytes(item) + (m ? m.bytes() : 0.0) + (keeps ? 0.0 : 4.0), count,
        m ? m.values.dtype : DType::f32);
    return result;
}

Tensor add_psgd_noise(StepBuilder& step, const StepBuilder::Item& item, const PsgdNoise& noise) {
    using Job = gpu::PsgdNoiseJob;
    const std::uint64_t count = item.weight.shape.count();
    const ElementGrid grid = step.elements(count);
    const StepBuilder::Item from = reading(item, noise.raw);
    const Tensor h = noise.in_place ? noise.y : step.graph().temporary(DType::f32, item.weight.shape);
    Job job{};
    job.range = StepBuilder::range(0, count, grid);
    job.damping = noise.damping;
    job.scale = noise.scale;
    job.flags = noise.raw ? gpu::PSGD_RAW : noise.y ? 0 : gpu::PSGD_FROM_GRADIENT;
    std::vector<Operand> operands{{offsetof(Job, z), noise.z, Access::read},
                                  {offsetof(Job, h), h, noise.in_place ? Access::read_write : Access::write}};
    if (noise.y)
        operands.push_back({offsetof(Job, y), noise.y, noise.in_place ? Access::read_write : Access::read});
    else
        StepBuilder::add_gradient(operands, offsetof(Job, gradient), from);
    if (noise.partials) {
        job.flags |= gpu::PSGD_MEAN;
        job.partial_count = narrow(noise.partials.shape.count());
        operands.push_back({offsetof(Job, partials), noise.partials, Access::read});
    }
    add(step, make_operation(kNoise, job, std::move(operands), grid.groups), grid, item.weight.dtype,
        from.gradient.dtype, 4.0, 12.0, count);
    return h;
}

void fill_psgd_draws(Graph& graph, const Tensor& to, std::uint64_t elements, PsgdPurpose purpose,
                     std::uint32_t stream) {
    RandomOptions options;
    options.tensor = static_cast<std::uint32_t>(elements);
    options.stream = stream + static_cast<std::uint32_t>(purpose);
    fill_random(graph, to, options);
}

Tensor add_psgd_draws(StepBuilder& step, const StepBuilder::Item& item, std::uint64_t count,
                      std::uint32_t stream) {
    const Tensor draws = step.graph().temporary(DType::f32, Shape{count});
    fill_psgd_draws(step.graph(), draws, item.weight.shape.count(), PsgdPurpose::fit, stream);
    return draws;
}

// Parameters of one size have streams of their own, others differ in their sizes.
std::uint32_t psgd_stream(std::string_view optimizer, std::uint32_t ordinal) {
    return draw_key(optimizer) + (ordinal << 2);
}

std::vector<std::uint32_t> psgd_streams(std::string_view optimizer,
                                        std::span<const StepBuilder::Item> items) {
    std::map<std::uint64_t, std::uint32_t> seen;
    std::vector<std::uint32_t> streams;
    for (const StepBuilder::Item& item : items)
        streams.push_back(psgd_stream(optimizer, seen[item.weight.shape.count()]++));
    return streams;
}

void add_psgd_moments(StepBuilder& step, std::span<const PsgdMomentInput> inputs, const Tensor& moments) {
    using Job = gpu::PsgdMomentsJob;
    Graph& graph = step.graph();
    std::uint64_t groups = 0, elements = 0;
    for (const PsgdMomentInput& input : inputs) {
        elements += input.item->weight.shape.count();
        groups += step.elements(input.item->weight.shape.count(), kMaxPartials).groups;
    }
    const Tensor partials = graph.temporary(DType::f32, Shape{groups, 3});
    std::uint64_t first = 0;
    for (const PsgdMomentInput& input : inputs) {
        const std::uint64_t count = input.item->weight.shape.count();
        const ElementGrid grid = step.elements(count, kMaxPartials);
        const StepBuilder::Item from = reading(*input.item, input.raw);
        Job job{};
        job.range = StepBuilder::range(0, count, grid);
        job.flags = (input.raw ? gpu::PSGD_RAW : 0) | (input.probe ? gpu::PSGD_PROBE : 0);
        std::vector<Operand> operands{
            {offsetof(Job, partials), partials.row_range(first, grid.groups), Access::write}};
        StepBuilder::add_gradient(operands, offsetof(Job, gradient), from);
        if (input.probe) operands.push_back({offsetof(Job, v), input.probe, Access::read});
        add(step, make_operation(kMoments, job, std::move(operands), grid.groups), grid,
            input.item->weight.dtype, from.gradient.dtype, 6.0,
            2 * StepBuilder::gradient_bytes(from) + (input.probe ? 4.0 : 0.0), count);
        first += grid.groups;
    }
    Job job{};
    job.partial_count = narrow(groups);
    job.elements = static_cast<float>(elements);
    job.flags = gpu::PSGD_COMBINE;
    add(step,
        make_operation(kMoments, job,
                       {{offsetof(Job, partials), partials, Access::read},
                        {offsetof(Job, result), moments, Access::write}},
                       1),
        step.elements(groups), DType::f32, DType::f32, 6.0, 12.0, groups);
}

void add_psgd_update(StepBuilder& step, const StepBuilder::Item& item, const PsgdUpdate& update) {
    using Job = gpu::PsgdUpdateJob;
    const std::uint64_t count = item.weight.shape.count();
    const ElementGrid grid = step.elements(count);
    Job job{};
    job.parameter = step.parameter_operand(item);
    job.range = StepBuilder::range(0, count, grid);
    job.norm_first = narrow(update.norm_first);
    job.norm_count = narrow(update.norm_count);
    job.limit = static_cast<float>(update.limit);
    job.eps = static_cast<float>(update.eps);
    job.largest = update.largest;
    job.decays = update.decays ? 1 : 0;
    std::vector<Operand> operands{{offsetof(Job, direction), update.direction, Access::read},
                                  {offsetof(Job, norms), update.norms, Access::read},
                                  {offsetof(Job, hyper), step.hyper(), Access::read}};
    StepBuilder::add_parameter(operands, offsetof(Job, parameter), item, 0, count);
    add(step, make_operation(kUpdate, job, std::move(operands), grid.groups), grid, item.weight.dtype,
        item.gradient.dtype, 6.0, StepBuilder::parameter_bytes(item) + 4.0, count);
}

}  // namespace heron
