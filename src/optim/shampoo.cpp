// SPDX-License-Identifier: MIT
// Shampoo's recipe: moments (shampoo_moments.comp), blocks (shampoo_block.hpp), update (shampoo_update.comp).
#include "heron/optim/shampoo.hpp"

#include <algorithm>
#include <cstddef>
#include <string>
#include <utility>

#include "heron/spirv/shampoo_basis.hpp"
#include "heron/spirv/shampoo_moments.hpp"
#include "heron/spirv/shampoo_update.hpp"
#include "linalg/integers.hpp"
#include "linalg/split_exponent.hpp"
#include "optim/graft.hpp"
#include "optim/moments.hpp"
#include "optim/refresh.hpp"
#include "optim/shampoo.h"
#include "optim/shampoo_block.hpp"
#include "optim/shampoo_options.hpp"
#include "optim/step_builder.hpp"

namespace heron {

namespace {

static_assert(sizeof(gpu::ShampooMomentsJob) == 200);
static_assert(sizeof(gpu::ShampooUpdateJob) == 144);
static_assert(sizeof(gpu::ShampooBasisJob) == 88);
constexpr KernelInfo kMoments =
    make_kernel<gpu::ShampooMomentsJob>("shampoo_moments", spirv::shampoo_moments);
constexpr KernelInfo kBasis = make_kernel<gpu::ShampooBasisJob>("shampoo_basis", spirv::shampoo_basis);
constexpr KernelInfo kUpdate = make_kernel<gpu::ShampooUpdateJob>("shampoo_update", spirv::shampoo_update);

bool has_squares(ShampooGraft graft) { return graft != ShampooGraft::none && graft != ShampooGraft::sgd; }
RootMethod method_of(ShampooRoot root) {
    if (root == ShampooRoot::newton_schulz) return RootMethod::newton_schulz;
    if (root == ShampooRoot::denman_beavers) return RootMethod::denman_beavers;
    return RootMethod::newton;
}

// In the step of a refresh a factor of gradients is made of all that its root is multiplied with; the
// whitened statistics of the next step are not.
SpectrumFloor floor_rule_of(const ShampooOptions& options) {
    if (options.root == ShampooRoot::pseudo_inverse) return SpectrumFloor::drop;
    return options.statistic == ShampooStatistic::whitened ? SpectrumFloor::clear : SpectrumFloor::level;
}

// Whether the epsilon of a null space is seen: roots outlive the step that renews them, or the next step's
// statistics are multiplied with them.
bool has_later_roots(const ShampooOptions& options) {
    const RefreshPolicy& policy = options.refresh;
    const bool between = policy.interval > 1 || (policy.growth > 0 && policy.doublings > 0);
    return options.null_space == ShampooNullSpace::epsilon && !options.eigenbasis &&
           (between || options.statistic == ShampooStatistic::whitened);
}

RefreshPolicy policy_of(const ShampooOptions& options) {
    RefreshPolicy policy = options.refresh;
    if (policy.first == 0) policy.first = policy.interval;
    if (waits(options)) policy.first = std::max(policy.first, 2u);  // eigh() has the first step
    return policy;
}

// Of all that a parameter's first step leaves out where that is its basis'.
Section section_of(const ShampooOptions& options) { return waits(options) ? Section{.start = 1} : Section{}; }

// The temporaries of one parameter.
struct Moments {
    Tensor scaled, filtered, grafted;
};

Moments add_moments(StepBuilder& step, const StepBuilder::Item& item, const ShampooOptions& options) {
    using Job = gpu::ShampooMomentsJob;
    Graph& graph = step.graph();
    const Shape& shape = item.weight.shape;
    const std::uint64_t count = shape.count();
    const bool filters = options.beta1 > 0, squares = has_squares(options.graft);
    const DType dtype = moment_dtype(options.moments);
    const Tensor m = filters ? step.state(item, "m", dtype, shape) : Tensor();
    const Tensor v = squares ? step.state(item, "v", dtype, shape) : Tensor();
    if (count == 0) return {};
    Moments result;
    result.scaled = graph.temporary(DType::f32, shape);
    result.filtered = graph.temporary(DType::f32, shape);
    result.grafted = squares ? graph.temporary(DType::f32, shape) : result.filtered;

    const ElementGrid grid = step.elements(count);
    const double beta3 = options.beta3 < 0 ? options.beta1 : options.beta3;
    const double share = filters ? beta3 / options.beta1 : 0;
    Job job{};
    job.parameter = step.parameter_operand(item);
    job.range = StepBuilder::range(0, count, grid);
    job.rate1 = static_cast<float>(1.0 - options.beta1);
    job.rate3 = static_cast<float>(1.0 - beta3);
    job.share = static_cast<float>(share);
    job.rest = static_cast<float>(1.0 - share);
    job.square_rate =
        options.graft == ShampooGraft::adagrad ? 0.0f : static_cast<float>(1.0 - options.graft_beta);
    job.graft_eps = options.graft_eps;
    job.moment.parameter = item.draws;
    std::vector<Operand> operands{{offsetof(Job, scaled), result.scaled, Access::write},
                                  {offsetof(Job, filtered), result.filtered, Access::write},
                                  {offsetof(Job, hyper), step.hyper(), Access::read}};
    StepBuilder::add_gradient(operands, offsetof(Job, gradient), item);
    if (options.decay == ShampooDecay::l2) {
        job.flags |= gpu::SHAMPOO_L2;
        StepBuilder::add_parameter_reads(operands, offsetof(Job, parameter), item);
    }
    if (waits(options)) job.flags |= gpu::SHAMPOO_WAITS;
    if (filters) {
        job.flags |= gpu::SHAMPOO_FILTERS;
        add_moment(operands, offsetof(Job, moment), job.moment, item, m, 0, count);
    }
    if (squares) {
        job.flags |=
            gpu::SHAMPOO_SQUARES |
            (options.graft == ShampooGraft::adagrad || options.graft_unweighted_sum ? gpu::SHAMPOO_SUM : 0);
        add_moment(operands, offsetof(Job, square), job.square, item, v, 0, count);
        operands.push_back({offsetof(Job, grafted), result.grafted, Access::write});
    }
    Operation operation = make_operation(kMoments, job, std::move(operands), grid.groups);
    operation.constants = {{gpu::SPEC_THREADS, grid.threads},
                           step.variant(),
                           {gpu::SPEC_DTYPE_A, static_cast<std::uint32_t>(item.weight.dtype)},
                           {gpu::SPEC_DTYPE_B, static_cast<std::uint32_t>(item.gradient.dtype)}};
    operation.reason = step.variant_reason();
    specialize_moments(operation, dtype);
    operation.flops = 16.0 * static_cast<double>(count);
    const double moment = 2.0 * static_cast<double>(bytes_of(dtype));
    operation.bytes = (StepBuilder::gradient_bytes(item) + 8.0 + (filters ? moment : 0.0) +
                       (squares ? moment + 4.0 : 0.0)) *
                      static_cast<double>(count);
    graph.add(std::move(operation));
    return result;
}

// `start`: the first step, from 1, in which the direction is that of the roots.
void add_update(StepBuilder& step, const StepBuilder::Item& item, const Tensor& direction,
                const Tensor& grafted, const Tensor& buffer, std::uint64_t start,
                const ShampooOptions& options) {
    using Job = gpu::ShampooUpdateJob;
    const std::uint64_t count = item.weight.shape.count();
    const ElementGrid grid = step.elements(count);
    Job job{};
    job.parameter = step.parameter_operand(item);
    job.range = StepBuilder::range(0, count, grid);
    job.momentum = static_cast<float>(options.momentum);
    job.rate = static_cast<float>(1.0 - options.dampening);
    job.start = narrow(start);
    job.flags = (options.decay == ShampooDecay::l2 ? gpu::SHAMPOO_L2 : 0) |
                (options.graft != ShampooGraft::none ? gpu::SHAMPOO_GRAFTS : 0) |
                (options.nesterov ? gpu::SHAMPOO_NESTEROV : 0) | (buffer ? gpu::SHAMPOO_MOMENTUM : 0);
    std::vector<Operand> operands{{offsetof(Job, direction), direction, Access::read},
                                  {offsetof(Job, grafted), grafted, Access::read},
                                  {offsetof(Job, hyper), step.hyper(), Access::read}};
    if (buffer) {
        add_moment(operands, offsetof(Job, velocity), job.velocity, item, buffer, 0, count);
        job.velocity.parameter += gpu::MOMENT_OTHERS;
    }
    StepBuilder::add_parameter(operands, offsetof(Job, parameter), item, 0, count);
    Operation operation = make_operation(kUpdate, job, std::move(operands), grid.groups);
    operation.constants = {{gpu::SPEC_THREADS, grid.threads},
                           step.variant(),
                           {gpu::SPEC_DTYPE_A, static_cast<std::uint32_t>(item.weight.dtype)}};
    operation.reason = step.variant_reason();
    if (buffer) specialize_moments(operation, buffer.dtype);
    operation.flops = (buffer ? 8.0 : 4.0) * static_cast<double>(count);
    operation.bytes = (StepBuilder::parameter_bytes(item) + 4.0 +
                       (buffer ? 2.0 * static_cast<double>(bytes_of(buffer.dtype)) : 0.0)) *
                      static_cast<double>(count);
    step.graph().add(std::move(operation));
}

// FLOPs of the refresh of a block with these extents, about.
double refresh_flops(const Shape& extents, const ShampooOptions& options) {
    double flops = 0;
    for (std::size_t axis = 0; axis < extents.rank(); ++axis) {
        if (!(exponent_of(options, extents.rank(), axis) > 0)) continue;
        const double n = static_cast<double>(extents[axis]);
        if (iterates(options.root) && !options.eigenbasis)
            flops += 30 * n * n * n;
        else
            flops += options.qr_steps > 0 ? 8 * n * n * n * options.qr_steps : eigen_flops(extents[axis]);
    }
    return flops;
}

// The roots that the steps after this one have in place of those now, one an axis; or none.
std::vector<LaterRoot> add_refresh(StepBuilder& step, const ShampooBlock& block, const DampingScales& scales,
                                   const Section& section, const ShampooOptions& options) {
    Graph& graph = step.graph();
    Tensor correction = step.hyper();
    correction.byte_offset += offsetof(gpu::ShampooHyper, factor_scale);
    correction.shape = Shape{1};
    const FactorBasisOptions basis{.qr_steps = options.qr_steps, .tolerance = options.basis_tolerance};
    FactorRootOptions root{.root = iterates(options.root) ? FactorRoot::iteration : FactorRoot::eigenvalues,
                           .method = method_of(options.root),
                           .words = options.root == ShampooRoot::newton_two_words ? 2u : 1u,
                           .floor_rule = floor_rule_of(options),
                           .exact_later = has_later_roots(options),
                           .rank_tolerance = options.rank_tolerance,
                           .basis = basis,
                           .trace_exponent = options.trace_exponent};
    std::vector<LaterRoot> later(block.factors.size());
    graph.set_section(section);
    for (std::size_t axis = 0; axis < block.factors.size(); ++axis) {
        if (!block.factors[axis]) continue;
        root.exponent = exponent_of(options, block.factors.size(), axis);
        const float scale = axis == 0 ? scales.outputs : scales.inputs;
        root.damping = {options.epsilon * scale, options.relative_epsilon * scale, DampingScale::infinity};
        root.absolute_rank_tolerance = options.absolute_rank_tolerance * scale;
        if (options.eigenbasis)
            renew_basis(graph, block.factors[axis], correction, options.epsilon * scale, basis);
        else
            later[axis] = renew_root(graph, block.factors[axis], correction, root);
    }
    graph.set_section({});
    return later;
}

// ... once the direction is there.
void take_later_roots(Graph& graph, const ShampooBlock& block, const std::vector<LaterRoot>& later,
                      const Section& section) {
    graph.set_section(section);
    for (std::size_t axis = 0; axis < later.size(); ++axis)
        if (later[axis]) take_over(graph, block.factors[axis], later[axis]);
    graph.set_section({});
}

// SOAP's step of a block, whose moment lies in `moment` from element `first` on.
Tensor adam_in_basis(StepBuilder& step, const StepBuilder::Item& item, const ShampooBlock& block,
                     const Moments& moments, const Tensor& moment, std::uint64_t first, const FactorSum& sum,
                     const ShampooOptions& options) {
    using Job = gpu::ShampooBasisJob;
    Graph& graph = step.graph();
    const Tensor g = precondition(graph, block, moments.scaled),
                 x = precondition(graph, block, moments.filtered);
    const std::uint64_t count = x.shape.count();
    const ElementGrid grid = step.elements(count);
    Job job{};
    job.range = StepBuilder::range(first, count, grid);
    job.decay = static_cast<float>(sum.decay);
    job.rate = static_cast<float>(sum.rate);
    job.eps = options.epsilon;
    const auto exponent = options.moment_exponents.find(static_cast<std::uint32_t>(block.factors.size()));
    const SplitExponent split =
        split_exponent(exponent == options.moment_exponents.end() ? 0.5 : exponent->second);
    job.exponent_high = split.high;
    job.exponent_low = split.low;
    std::vector<Operand> operands{{offsetof(Job, gradient), g, Access::read},
                                  {offsetof(Job, filtered), x, Access::read_write},
                                  {offsetof(Job, hyper), step.hyper(), Access::read}};
    add_moment(operands, offsetof(Job, moment), job.moment, item, moment, first, count);
    job.moment.parameter += gpu::MOMENT_OTHERS;
    Operation operation = make_operation(kBasis, job, std::move(operands), grid.groups);
    operation.constants = {{gpu::SPEC_THREADS, grid.threads}, step.variant()};
    specialize_moments(operation, moment.dtype);
    operation.reason = step.variant_reason();
    operation.flops = 8.0 * static_cast<double>(count);
    operation.bytes = (12.0 + 2.0 * static_cast<double>(bytes_of(moment.dtype))) * static_cast<double>(count);
    graph.add(std::move(operation));
    return rotate_back(graph, block, x);
}

}  // namespace

// gpu::ShampooHyper
std::vector<HyperValue> Shampoo::hyper() const {
    const ShampooOptions& o = options_;
    HyperValue decay = HyperValue::constant(o.weight_decay);
    if (o.decay == ShampooDecay::corrected) decay = HyperValue::scheduled(o.weight_decay, o.schedule);
    if (o.decay == ShampooDecay::independent)
        decay = HyperValue::constant(
            o.lr > 0 ? static_cast<double>(o.weight_decay) / static_cast<double>(o.lr) : 0.0);
    const bool corrects = o.bias_correction && o.beta2 < 1 && !o.unweighted_sum;
    const std::uint32_t delay = waits(o) ? 1 : 0;
    const HyperValue scale =
        corrects ? HyperValue::inverse_correction(o.beta2, delay) : HyperValue::constant(1.0);
    // Of the factors, which take a statistic in the first step, too.
    const HyperValue of_factors = !corrects ? scale
                                  : o.factor_interval == 1
                                      ? HyperValue::inverse_correction(o.beta2)
                                      : HyperValue::inverse_correction_every(o.beta2, o.factor_interval);
    return {HyperValue::lr(o.lr, o.schedule),
            decay,
            o.bias_correction ? HyperValue::inverse_correction(o.beta1, delay) : HyperValue::constant(1.0),
            o.graft == ShampooGraft::adam && !o.graft_unweighted_sum
                ? HyperValue::inverse_correction(o.graft_beta, delay)
                : HyperValue::constant(1.0),
            of_factors,
            scale};
}

void Shampoo::build(StepBuilder& step) const {
    const ShampooOptions& o = options_;
    Graph& graph = step.graph();
    const FactorSum sum{.decay = o.beta2,
                        .rate = o.beta2 < 1 && !o.unweighted_sum ? 1.0 - o.beta2 : 1.0,
                        .constant_unit = gpu::SHAMPOO_STATISTIC_UNIT};
    // Also in the first step: some refreshes come before the interval's end.
    const Section statistics =
        o.factor_interval > 1
            ? Section{.interval = o.factor_interval, .phase = o.factor_interval - 1, .first = true}
            : Section{};
    std::vector<double> flops;
    for (const StepBuilder::Item& item : step.items())
        for (const TensorBlock& box :
             tensor_blocks(merge_axes(item.weight.shape, o.block_size, o.least_order), o.block_size))
            flops.push_back(refresh_flops(box.extents, o));
    RefreshSchedule refreshes(graph, name(), policy_of(o), 0, refresh_turns(policy_of(o), flops));
    ShampooOptions by_eigh = o;  // of first bases
    by_eigh.qr_steps = 0;
    by_eigh.basis_tolerance = 0;
    for (const StepBuilder::Item& item : step.items()) {
        graph.set_stage("shampoo moments");
        const Moments moments = add_moments(step, item, o);
        const Tensor buffer = o.momentum > 0
                                  ? step.state(item, "momentum", moment_dtype(o.moments), item.weight.shape)
                                  : Tensor();
        const Tensor basis =
            o.eigenbasis ? step.state(item, "basis_moment", moment_dtype(o.moments), item.weight.shape)
                         : Tensor();

        const Shape merged = merge_axes(item.weight.shape, o.block_size, o.least_order);
        const std::size_t order = merged.rank();
        std::vector<ShampooBlock> blocks;
        for (const TensorBlock& box : tensor_blocks(merged, o.block_size))
            blocks.push_back({merged, box, std::vector<KroneckerFactor>(order)});
        for (std::size_t axis = 0; axis < order; ++axis) {
            std::vector<std::uint64_t> orders;
            const bool has_factor = exponent_of(o, order, axis) > 0;
            for (const ShampooBlock& block : blocks)
                orders.push_back(has_factor ? block.box.extents[axis] : 0);
            const std::vector<KroneckerFactor> factors =
                make_factors(graph, item.parameter->name + ".factor" + std::to_string(axis), orders,
                             {.start = FactorStart::zero,
                              .bases = has_bases(o),
                              .conditions = o.diagnostics,
                              .iterations = o.diagnostics && iterates(o.root)});
            for (std::size_t b = 0; b < blocks.size(); ++b) blocks[b].factors[axis] = factors[b];
        }
        if (blocks.empty()) continue;

        std::uint64_t first = 0;  // of the block in the moment of its basis
        std::uint64_t start = 0;  // when all blocks have a root
        Tensor direction = blocks.size() > 1 ? graph.temporary(DType::f32, merged) : Tensor();
        for (const ShampooBlock& block : blocks) {
            graph.set_stage("shampoo statistics");
            graph.set_section(statistics);
            add_statistics(graph, block, moments.scaled, o.statistic == ShampooStatistic::whitened, sum);
            graph.set_section({});
            graph.set_stage("shampoo refresh");
            const Section refresh = refreshes.next();
            const DampingScales& scales = item.parameter->damping_scale;
            if (waits(o))
                add_refresh(step, block, scales, refreshes.in_first_step(), by_eigh);
            else
                start = std::max(start, refresh.next_run(0) + 1);
            const std::vector<LaterRoot> later = add_refresh(step, block, scales, refresh, o);
            graph.set_stage("shampoo direction");
            graph.set_section(section_of(o));
            const Tensor p = o.eigenbasis ? adam_in_basis(step, item, block, moments, basis, first, sum, o)
                                          : precondition(graph, block, moments.filtered);
            first += block.box.extents.count();
            if (o.graft != ShampooGraft::none) graft(step, p, block_norm(graph, block, moments.grafted));
            if (blocks.size() > 1)
                put_block(graph, block, p, direction);
            else
                direction = p;
            take_later_roots(graph, block, later, refresh);
        }
        graph.set_stage("shampoo update");
        graph.set_section(section_of(o));
        add_update(step, item, direction, moments.grafted, buffer, start, o);
        graph.set_section({});
    }
}

}  // namespace heron
