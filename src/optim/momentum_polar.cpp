// SPDX-License-Identifier: MIT
//   small blocks   momentum, storing U  |  one workgroup: norm and all iterations
//   others         momentum, with partial norms of U  |  X = U / nu, U formed again  |  iterations
//   block8         momentum of the parameter, storing U  |  as for any matrix: polar()
//
// The kernels are shaders/optim/muon_momentum*.comp and muon_normalize.comp; the iterations are linalg's.
#include "optim/momentum_polar.hpp"

#include <cstddef>
#include <utility>
#include <vector>

#include "heron/linalg/reduce.hpp"
#include "heron/spirv/muon_momentum.hpp"
#include "heron/spirv/muon_momentum_block8.hpp"
#include "heron/spirv/muon_momentum_stateless.hpp"
#include "heron/spirv/muon_normalize.hpp"
#include "heron/spirv/muon_normalize_stateless.hpp"
#include "linalg/polar.hpp"
#include "linalg/reduce.hpp"
#include "optim/checks.hpp"
#include "optim/moments.hpp"
#include "optim/muon.h"

namespace heron {

namespace {

static_assert(sizeof(gpu::MuonMomentumJob) == 88);
static_assert(sizeof(gpu::MuonNormalizeJob) == 104);

constexpr KernelInfo kMomentum = make_kernel<gpu::MuonMomentumJob>("muon_momentum", spirv::muon_momentum);
constexpr KernelInfo kMomentumBlock8 =
    make_kernel<gpu::MuonMomentumJob>("muon_momentum_block8", spirv::muon_momentum_block8);
constexpr KernelInfo kMomentumStateless =
    make_kernel<gpu::MuonMomentumJob>("muon_momentum_stateless", spirv::muon_momentum_stateless);
constexpr KernelInfo kNormalize = make_kernel<gpu::MuonNormalizeJob>("muon_normalize", spirv::muon_normalize);
constexpr KernelInfo kNormalizeStateless =
    make_kernel<gpu::MuonNormalizeJob>("muon_normalize_stateless", spirv::muon_normalize_stateless);

// Adds the operations of one block.
class BlockRecipe {
public:
    BlockRecipe(StepBuilder& step, const StepBuilder::Item& item, const Momentum& momentum,
                const MatrixBlock& block, std::uint32_t flags, std::string_view stage)
        : step_(step),
          item_(item),
          momentum_(momentum.state),
          direction_(momentum.direction),
          block_(block),
          flags_(flags),
          stage_(stage) {}

    Tensor direction(const Tensor& norm) {
        Graph& graph = step_.graph();
        if (direction_) {
            const Tensor u = part_of_block(direction_);
            graph.set_stage(stage_ + " norm");
            if (norm) frobenius_norm(graph, u, norm);
            return u;
        }
        graph.set_stage(stage_ + " momentum");
        const ElementGrid grid =
            norm ? step_.elements(block_.count(), kMaxNormPartials) : step_.elements(block_.count());
        Tensor partials;
        if (norm) partials = graph.temporary(DType::f32, Shape{grid.groups, 3});
        const Shape shape{block_.rows, block_.cols};
        Tensor u;
        if (momentum_ && momentum_.dtype == DType::f32 &&
            (flags_ & (gpu::MUON_NESTEROV | gpu::MUON_SIGN)) == 0) {
            add_momentum(Tensor(), partials, grid, norm ? "U is M; leaves partial norms" : "U is M");
            u = part_of_block(momentum_);
        } else {
            u = graph.temporary(DType::f32, shape);
            add_momentum(u, partials, grid, norm ? "stores U; leaves partial norms" : "stores U");
        }
        if (norm) {
            graph.set_stage(stage_ + " norm");
            combine_norms(graph, partials, norm);
        }
        return u;
    }

    Tensor polar_factor(const PolarOptions& options, const Tensor& row_squares) {
        options_ = options;
        if (options.norm_rule == NormRule::clamped) flags_ |= gpu::MUON_CLAMPED;
        // muon_normalize writes neither padded rows, which 16-bit iterates want, nor a second word.
        const bool own = polar_has_two_f32_words(options_) ||
                         (polar_dtype(options_) != DType::f32 && block_.cols % 8 != 0);
        const Shape shape{block_.rows, block_.cols};
        Graph& graph = step_.graph();
        if (direction_) {
            const Tensor factor = graph.temporary(DType::f32, shape);
            graph.set_stage(stage_ + " polar");
            polar(graph, part_of_block(direction_), factor, options_, row_squares);
            return factor;
        }
        graph.set_stage(stage_ + " momentum");
        if (own || polar_fits_one_workgroup(step_.device(), block_.rows, block_.cols, options_)) {
            const Tensor u = graph.temporary(DType::f32, shape);
            add_momentum(u, Tensor(), step_.elements(block_.count()), "stores U for polar");
            graph.set_stage(stage_ + " polar");
            polar(graph, u, u, options_, row_squares);
            return u;
        }
        const Tensor x = graph.temporary(polar_dtype(options_), shape);
        const Tensor partials = add_momentum_norm("U is formed again by muon_normalize");
        graph.set_stage(stage_ + " polar");
        add_normalize(x, partials);
        return polar_iterate(graph, x, options_, row_squares);
    }

    Tensor add_momentum_norm(std::string_view reason) {
        const ElementGrid grid = step_.elements(block_.count(), kMaxNormPartials);
        const Tensor partials = step_.graph().temporary(DType::f32, Shape{grid.groups, 3});
        add_momentum(Tensor(), partials, grid, reason);
        return partials;
    }

private:
    // Of an f32 tensor like the parameter.
    Tensor part_of_block(Tensor whole) const {
        whole.byte_offset += block_.first * sizeof(float);
        whole.shape = Shape{block_.rows, block_.cols};
        return whole;
    }
    // The momentum's share of the traffic: read and written, or only read.
    double momentum_bytes(double accesses) const {
        return momentum_ ? static_cast<double>(bytes_of(momentum_.dtype)) * accesses : 0.0;
    }
    double elements() const { return static_cast<double>(block_.count()); }
    std::uint32_t gradient_dtype() const { return static_cast<std::uint32_t>(item_.gradient.dtype); }

    // Stores U where `u` is a tensor, partial norms where `partials` is one.
    void add_momentum(const Tensor& u, const Tensor& partials, const ElementGrid& grid,
                      std::string_view reason) {
        gpu::MuonMomentumJob job{};
        job.range = StepBuilder::range(block_.first, block_.count(), grid);
        job.flags = flags_ | (u ? 0 : gpu::MUON_UNSTORED);
        std::vector<Operand> operands{{offsetof(gpu::MuonMomentumJob, hyper), step_.hyper(), Access::read}};
        StepBuilder::add_gradient(operands, offsetof(gpu::MuonMomentumJob, gradient), item_, block_.first,
                                  block_.count());
        if (momentum_)
            add_moment(operands, offsetof(gpu::MuonMomentumJob, momentum), job.momentum, item_, momentum_,
                       block_.first, block_.count());
        if (u) operands.push_back({offsetof(gpu::MuonMomentumJob, update), u, Access::write});
        if (partials) operands.push_back({offsetof(gpu::MuonMomentumJob, partials), partials, Access::write});
        Operation operation =
            make_operation(momentum_ ? kMomentum : kMomentumStateless, job, std::move(operands), grid.groups);
        operation.constants = {{gpu::SPEC_THREADS, grid.threads},
                               step_.variant(partials ? gpu::PARTIAL_NORMS : 0),
                               {gpu::SPEC_DTYPE_B, gradient_dtype()}};
        if (momentum_) specialize_moments(operation, momentum_.dtype);
        operation.reason = reason;
        operation.flops = (partials ? 8.0 : 6.0) * elements();
        operation.bytes =
            (momentum_bytes(2) + StepBuilder::gradient_bytes(item_) + (u ? 4.0 : 0.0)) * elements();
        step_.graph().add(std::move(operation));
    }

    void add_normalize(const Tensor& x, const Tensor& partials) {
        const ElementGrid grid = step_.elements_after_sums(block_.count(), partials.shape[0]);
        gpu::MuonNormalizeJob job{};
        job.range = StepBuilder::range(block_.first, block_.count(), grid);
        job.partial_count = static_cast<std::uint32_t>(partials.shape[0]);
        job.norm_factor = static_cast<float>(options_.norm_factor);
        job.eps = static_cast<float>(options_.eps);
        job.flags = flags_;
        std::vector<Operand> operands{{offsetof(gpu::MuonNormalizeJob, iterate), x, Access::write},
                                      {offsetof(gpu::MuonNormalizeJob, partials), partials, Access::read},
                                      {offsetof(gpu::MuonNormalizeJob, hyper), step_.hyper(), Access::read}};
        StepBuilder::add_gradient(operands, offsetof(gpu::MuonNormalizeJob, gradient), item_, block_.first,
                                  block_.count());
        if (momentum_)
            StepBuilder::add_part(operands, offsetof(gpu::MuonNormalizeJob, momentum.quads), momentum_,
                                  block_.first, block_.count(), Access::read);
        Operation operation = make_operation(momentum_ ? kNormalize : kNormalizeStateless, job,
                                             std::move(operands), grid.groups);
        operation.constants = {{gpu::SPEC_THREADS, grid.threads},
                               step_.variant(),
                               {gpu::SPEC_DTYPE_B, gradient_dtype()},
                               {gpu::SPEC_DTYPE_D, static_cast<std::uint32_t>(x.dtype)}};
        if (momentum_) specialize_moments(operation, momentum_.dtype);
        operation.reason = step_.variant_reason();
        operation.flops = 4.0 * elements();
        operation.bytes = (momentum_bytes(1) + StepBuilder::gradient_bytes(item_) +
                           static_cast<double>(bytes_of(x.dtype))) *
                          elements();
        step_.graph().add(std::move(operation));
    }

    StepBuilder& step_;
    const StepBuilder::Item& item_;
    Tensor momentum_, direction_;
    MatrixBlock block_;
    PolarOptions options_;
    std::uint32_t flags_;
    std::string stage_;
};

}  // namespace

Momentum::Momentum(StepBuilder& step, const StepBuilder::Item& item, MomentFormat format, std::uint32_t flags,
                   std::string_view stage) {
    using Job = gpu::MuonMomentumJob;
    const MomentState moment = moment_state(step, item, "momentum", format);
    state = moment.values;
    const std::uint64_t count = item.weight.shape.count();
    if (!moment.scales || count == 0) return;
    Graph& graph = step.graph();
    graph.set_stage(std::string(stage) + " momentum");
    direction = graph.temporary(DType::f32, item.weight.shape);
    const ElementGrid grid = block8_grid(step, count);
    Job job{};
    job.range = StepBuilder::range(0, count, grid);
    job.flags = flags;
    std::vector<Operand> operands{{offsetof(Job, hyper), step.hyper(), Access::read},
                                  {offsetof(Job, update), direction, Access::write}};
    StepBuilder::add_gradient(operands, offsetof(Job, gradient), item);
    add_block8(operands, offsetof(Job, momentum), job.momentum, item, moment);
    Operation operation = make_operation(kMomentumBlock8, job, std::move(operands), grid.groups);
    operation.constants = {{gpu::SPEC_THREADS, grid.threads},
                           step.variant(),
                           {gpu::SPEC_DTYPE_B, static_cast<std::uint32_t>(item.gradient.dtype)}};
    operation.reason = "one workgroup a block of 8-bit elements";
    operation.flops = 30.0 * static_cast<double>(count);
    operation.bytes = (moment.bytes() + StepBuilder::gradient_bytes(item) + 4.0) * static_cast<double>(count);
    graph.add(std::move(operation));
}

Tensor momentum_polar(StepBuilder& step, const StepBuilder::Item& item, const Momentum& momentum,
                      const MatrixBlock& block, const PolarOptions& options, std::uint32_t flags,
                      std::string_view stage, const Tensor& row_squares) {
    return BlockRecipe(step, item, momentum, block, flags, stage).polar_factor(options, row_squares);
}

Tensor momentum_direction(StepBuilder& step, const StepBuilder::Item& item, const Momentum& momentum,
                          const MatrixBlock& block, std::uint32_t flags, std::string_view stage,
                          const Tensor& norm) {
    return BlockRecipe(step, item, momentum, block, flags, stage).direction(norm);
}

Tensor momentum_norm(StepBuilder& step, const StepBuilder::Item& item, const Tensor& momentum,
                     const MatrixBlock& block) {
    Momentum whole;
    whole.state = momentum;
    return BlockRecipe(step, item, whole, block, 0, "").add_momentum_norm("leaves partial norms");
}

namespace {

// CANS amplifies whatever its input has above 1: a rounding of the norm is enough (49,000 times at 1).
constexpr double kCansNormFactor = 1.01;

bool is_cans(const PolarOptions& options) {
    const NewtonSchulzCoefficients first = newton_schulz_coefficients("cans").front();
    if (options.coefficients.empty()) return false;
    const NewtonSchulzCoefficients& given = options.coefficients.front();
    return given.a == first.a && given.b == first.b && given.c == first.c;
}

}  // namespace

void check_orthogonalizer(std::string_view optimizer, const PolarOptions& options) {
    check_polar_options(std::string(optimizer).c_str(), options, "polar.");
    if (options.status)
        refuse(std::string(optimizer) +
               ": polar.status is set; it belongs to one call of polar(), not to a recipe");
    if (is_cans(options) && options.norm_factor < kCansNormFactor)
        refuse(std::string(optimizer) + ": polar.norm_factor is " + number_text(options.norm_factor) +
               ", must be at least " + number_text(kCansNormFactor) + " with the coefficients of CANS");
    if (!options.guarded)
        refuse(std::string(optimizer) +
               ": polar.guarded is off; an unguarded iteration would run in skipped steps");
}

PolarOptions dion_polar_options(double eps) {
    PolarOptions options;
    options.coefficients = newton_schulz_coefficients("pe-dion");
    options.norm_factor = 1.02;
    options.eps = eps;
    return options;
}

std::string orthogonalizer_text(const PolarOptions& options) {
    std::string text =
        " polar.norm_rule=" + std::to_string(static_cast<int>(options.norm_rule)) +
        " polar.norm_factor=" + number_text(options.norm_factor) + " polar.eps=" + number_text(options.eps) +
        " polar.form=" + std::to_string(static_cast<int>(options.form)) +
        " polar.precision=" + to_string(options.precision) + (options.words == 2 ? " polar.words=2" : "") +
        " polar.one_workgroup=" + std::to_string(options.one_workgroup) + " polar.restarts=";
    for (const std::uint32_t restart : options.restarts) text += std::to_string(restart) + ",";
    text += " polar.coefficients=";
    for (const NewtonSchulzCoefficients& c : options.coefficients)
        text += number_text(c.a) + "," + number_text(c.b) + "," + number_text(c.c) + ";";
    return text;
}

}  // namespace heron
