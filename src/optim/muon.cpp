// SPDX-License-Identifier: MIT
// Muon's recipe, per block (matrix) of each parameter:
//
//   small blocks   momentum, storing U  |  one workgroup: norm and all iterations  |  update
//   others         momentum, with partial norms of U  |  X = U / nu, U formed again  |  iterations  |  update
//
// The kernels are shaders/optim/muon_*.comp; the iterations are linalg's.
#include "heron/optim/muon.hpp"

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <numeric>
#include <utility>

#include "core/enumerator.hpp"
#include "heron/spirv/muon_momentum.hpp"
#include "heron/spirv/muon_normalize.hpp"
#include "heron/spirv/muon_update.hpp"
#include "linalg/polar.hpp"
#include "optim/checks.hpp"
#include "optim/muon.h"
#include "optim/muon_blocks.hpp"
#include "optim/step_builder.hpp"

namespace heron {

namespace {

static_assert(sizeof(gpu::MuonMomentumJob) == 72);
static_assert(sizeof(gpu::MuonNormalizeJob) == 88);
static_assert(sizeof(gpu::MuonUpdateJob) == 104);

constexpr KernelInfo kMomentum = make_kernel<gpu::MuonMomentumJob>("muon_momentum", spirv::muon_momentum);
constexpr KernelInfo kNormalize = make_kernel<gpu::MuonNormalizeJob>("muon_normalize", spirv::muon_normalize);
constexpr KernelInfo kUpdate = make_kernel<gpu::MuonUpdateJob>("muon_update", spirv::muon_update);

// Every workgroup of muon_normalize adds up the partial norms of its block: few enough not to count against
// its elements.
constexpr std::uint64_t kMaxNormPartials = 512;

template <class Enum>
void check_enum(const char* name, Enum value, Enum last) {
    if (!is_enumerator(value, last))
        refuse(std::string("Muon: ") + name + " is " + std::to_string(static_cast<int>(value)) +
               ", which is no enumerator");
}

double shape_factor(ShapeFactor rule, double m, double n) {
    switch (rule) {
        case ShapeFactor::none:
            return 1.0;
        case ShapeFactor::max_one_sqrt_ratio:
            return std::sqrt(std::max(1.0, m / n));
        case ShapeFactor::sqrt_ratio:
            return std::sqrt(m / n);
        case ShapeFactor::match_rms:
            return 0.2 * std::sqrt(std::max(m, n));
        case ShapeFactor::spectral:
            return std::sqrt(std::max(m, n));
    }
    return 1.0;
}

// Adds the operations of one block.
class BlockRecipe {
public:
    BlockRecipe(StepBuilder& step, const MuonOptions& options, const StepBuilder::Item& item,
                const Tensor& momentum, const MuonBlock& block)
        : step_(step),
          options_(options),
          item_(item),
          momentum_(momentum),
          block_(block),
          count_(block.rows * block.cols) {}

    void build() {
        const PolarOptions& polar_options = options_.polar;
        // 16-bit iterates want padded rows, which muon_normalize does not write.
        const bool padded = polar_options.precision != DType::f32 && block_.cols % 8 != 0;
        const Shape shape{block_.rows, block_.cols};
        if (padded || polar_fits_one_workgroup(step_.device(), block_.rows, block_.cols, polar_options)) {
            const Tensor u = step_.graph().temporary(DType::f32, shape);
            step_.graph().set_stage("muon momentum");
            add_momentum(u, Tensor(), step_.elements(count_));
            step_.graph().set_stage("muon polar");
            polar(step_.graph(), u, u, polar_options);
            factor_ = u;
        } else {
            const ElementGrid grid = step_.elements(count_, kMaxNormPartials);
            const Tensor partials = step_.graph().temporary(DType::f32, Shape{grid.groups, 3});
            const Tensor x = step_.graph().temporary(polar_options.precision, shape);
            step_.graph().set_stage("muon momentum");
            add_momentum(Tensor(), partials, grid);
            step_.graph().set_stage("muon polar");
            add_normalize(x, partials, static_cast<std::uint32_t>(grid.groups));
            factor_ = polar_iterate(step_.graph(), x, polar_options);
        }
        step_.graph().set_stage("muon update");
        add_update();
    }

private:
    std::uint32_t flags() const {
        return (options_.nesterov ? gpu::MUON_NESTEROV : 0) |
               (options_.polar.norm_rule == NormRule::clamped ? gpu::MUON_CLAMPED : 0) |
               (options_.decay == DecayForm::cautious ? gpu::MUON_CAUTIOUS : 0);
    }
    double elements() const { return static_cast<double>(count_); }
    std::uint32_t gradient_dtype() const { return static_cast<std::uint32_t>(item_.gradient.dtype); }

    void add_gradient(std::vector<Operand>& operands, std::uint32_t field) const {
        using Member = gpu::GradientOperand;
        for (const std::size_t member : {offsetof(Member, address), offsetof(Member, low)})
            StepBuilder::add_part(operands, field + static_cast<std::uint32_t>(member), item_.gradient,
                                  block_.first, count_, Access::read);
    }

    // Stores U where `u` is a tensor, partial norms where `partials` is one.
    void add_momentum(const Tensor& u, const Tensor& partials, const ElementGrid& grid) {
        gpu::MuonMomentumJob job{};
        job.range = StepBuilder::range(block_.first, count_, grid);
        job.flags = flags();
        std::vector<Operand> operands{{offsetof(gpu::MuonMomentumJob, hyper), step_.hyper(), Access::read}};
        add_gradient(operands, offsetof(gpu::MuonMomentumJob, gradient));
        StepBuilder::add_part(operands, offsetof(gpu::MuonMomentumJob, momentum), momentum_, block_.first,
                              count_, Access::read_write);
        if (u) operands.push_back({offsetof(gpu::MuonMomentumJob, update), u, Access::write});
        if (partials) operands.push_back({offsetof(gpu::MuonMomentumJob, partials), partials, Access::write});
        Operation operation = make_operation(kMomentum, job, std::move(operands), grid.groups);
        operation.constants = {{gpu::SPEC_THREADS, grid.threads},
                               step_.variant(partials ? gpu::MUON_NORM : 0),
                               {gpu::SPEC_DTYPE_B, gradient_dtype()}};
        operation.reason = u ? "stores U for polar" : "U is formed again by muon_normalize";
        operation.flops = 6.0 * elements();
        operation.bytes = (8.0 + StepBuilder::gradient_bytes(item_) + (u ? 4.0 : 0.0)) * elements();
        step_.graph().add(std::move(operation));
    }

    void add_normalize(const Tensor& x, const Tensor& partials, std::uint32_t partial_count) {
        const ElementGrid grid = step_.elements(count_);
        gpu::MuonNormalizeJob job{};
        job.range = StepBuilder::range(block_.first, count_, grid);
        job.partial_count = partial_count;
        job.norm_factor = static_cast<float>(options_.polar.norm_factor);
        job.eps = static_cast<float>(options_.polar.eps);
        job.flags = flags();
        std::vector<Operand> operands{{offsetof(gpu::MuonNormalizeJob, iterate), x, Access::write},
                                      {offsetof(gpu::MuonNormalizeJob, partials), partials, Access::read},
                                      {offsetof(gpu::MuonNormalizeJob, hyper), step_.hyper(), Access::read}};
        add_gradient(operands, offsetof(gpu::MuonNormalizeJob, gradient));
        StepBuilder::add_part(operands, offsetof(gpu::MuonNormalizeJob, momentum), momentum_, block_.first,
                              count_, Access::read);
        Operation operation = make_operation(kNormalize, job, std::move(operands), grid.groups);
        operation.constants = {{gpu::SPEC_THREADS, grid.threads},
                               step_.variant(),
                               {gpu::SPEC_DTYPE_B, gradient_dtype()},
                               {gpu::SPEC_DTYPE_D, static_cast<std::uint32_t>(x.dtype)}};
        operation.reason = step_.variant_reason();
        operation.flops = 4.0 * elements();
        operation.bytes =
            (4.0 + StepBuilder::gradient_bytes(item_) + static_cast<double>(bytes_of(x.dtype))) * elements();
        step_.graph().add(std::move(operation));
    }

    void add_update() {
        const ElementGrid grid = step_.elements(count_);
        gpu::MuonUpdateJob job{};
        job.parameter = step_.parameter_operand(item_);
        job.range = StepBuilder::range(block_.first, count_, grid);
        job.shape_factor = static_cast<float>(block_.shape_factor);
        job.flags = flags();
        std::vector<Operand> operands{{offsetof(gpu::MuonUpdateJob, factor), factor_, Access::read},
                                      {offsetof(gpu::MuonUpdateJob, hyper), step_.hyper(), Access::read}};
        StepBuilder::add_parameter(operands, offsetof(gpu::MuonUpdateJob, parameter), item_, block_.first,
                                   count_);
        Operation operation = make_operation(kUpdate, job, std::move(operands), grid.groups);
        operation.constants = {{gpu::SPEC_THREADS, grid.threads},
                               step_.variant(),
                               {gpu::SPEC_DTYPE_A, static_cast<std::uint32_t>(item_.weight.dtype)},
                               {gpu::SPEC_DTYPE_D, static_cast<std::uint32_t>(factor_.dtype)}};
        operation.reason = step_.variant_reason();
        operation.flops = 3.0 * elements();
        operation.bytes =
            (StepBuilder::parameter_bytes(item_) + static_cast<double>(bytes_of(factor_.dtype))) * elements();
        step_.graph().add(std::move(operation));
    }

    StepBuilder& step_;
    const MuonOptions& options_;
    const StepBuilder::Item& item_;
    Tensor momentum_;
    MuonBlock block_;
    std::uint64_t count_;
    Tensor factor_;
};

}  // namespace

std::vector<MuonBlock> muon_blocks(const Parameter& parameter, const MuonOptions& options) {
    const Shape& shape = parameter.weight.shape;
    const MatrixView& view = parameter.view;
    const std::string who = "Muon: parameter \"" + parameter.name + "\"";
    if (shape.rank() < 2)
        refuse(who + " has shape " + shape.text() + "; Muon takes matrices, give vectors to AdamW");
    if (view.batch && shape.rank() < 3)
        refuse(who + " has shape " + shape.text() +
               " and view.batch; a batch of matrices has at least three axes");
    if (view.heads > 0 && !view.row_splits.empty())
        refuse(who + " has both view.heads and view.row_splits; set one of them");
    const std::uint64_t count = shape.count();
    const std::size_t rank = shape.rank();
    std::uint64_t items = 1, rows = shape[0];
    if (view.batch) {
        for (std::size_t axis = 0; axis + 2 < rank; ++axis) items *= shape[axis];
        rows = shape[rank - 2];
    }
    std::uint64_t cols = 1;
    for (std::size_t axis = view.batch ? rank - 1 : 1; axis < rank; ++axis) cols *= shape[axis];

    std::vector<std::uint64_t> heights{rows};
    if (view.heads > 0) {
        if (rows % view.heads != 0)
            refuse(who + ": view.heads is " + std::to_string(view.heads) + ", which does not divide its " +
                   std::to_string(rows) + " rows");
        heights.assign(view.heads, rows / view.heads);
    } else if (!view.row_splits.empty()) {
        heights = view.row_splits;
        std::uint64_t sum = 0;
        for (const std::uint64_t height : heights) {
            if (height == 0 || height > rows)
                refuse(who + ": view.row_splits has a block of " + std::to_string(height) + " rows");
            sum += height;
        }
        if (sum != rows)
            refuse(who + ": view.row_splits sum to " + std::to_string(sum) + ", the matrix has " +
                   std::to_string(rows) + " rows");
    }

    std::vector<MuonBlock> blocks;
    if (count == 0) return blocks;
    const bool by_kernel = options.conv_factor == ConvFactor::kernel && !view.batch && rank > 2;
    std::uint64_t first = 0;
    for (std::uint64_t item = 0; item < items; ++item)
        for (const std::uint64_t height : heights) {
            const double m = static_cast<double>(by_kernel ? shape[rank - 2] : height);
            const double n = static_cast<double>(by_kernel ? shape[rank - 1] : cols);
            blocks.push_back({first, height, cols, shape_factor(options.shape_factor, m, n)});
            first += height * cols;
        }
    return blocks;
}

MuonOptions MuonOptions::keller_jordan() {
    MuonOptions options;
    options.conv_factor = ConvFactor::kernel;
    return options;
}

MuonOptions MuonOptions::torch() {
    MuonOptions options;
    options.lr = 1e-3f;
    options.weight_decay = 0.1f;
    options.polar.norm_rule = NormRule::clamped;
    return options;
}

MuonOptions MuonOptions::moonlight() {
    MuonOptions options;
    options.lr = 1e-3f;
    options.weight_decay = 0.1f;
    options.momentum_rule = MomentumRule::sum;
    options.shape_factor = ShapeFactor::match_rms;
    return options;
}

MuonOptions MuonOptions::dion() {
    MuonOptions options;
    options.lr = 0.01f;
    options.weight_decay = 0.01f;
    options.nesterov = false;
    options.momentum_rule = MomentumRule::sum;
    options.shape_factor = ShapeFactor::sqrt_ratio;
    options.polar.coefficients = newton_schulz_coefficients("pe-dion");
    options.polar.norm_factor = 1.02;
    options.polar.eps = 1e-8;
    return options;
}

Muon::Muon(const Device& device, const MuonOptions& options) : Optimizer(device, "muon"), options_(options) {
    const MuonOptions& o = options;
    check_option("Muon", "lr", o.lr, o.lr >= 0, "finite and not below 0");
    check_option("Muon", "momentum", o.momentum, o.momentum >= 0 && o.momentum < 1, "in [0, 1)");
    check_option("Muon", "weight_decay", o.weight_decay, o.weight_decay >= 0, "finite and not below 0");
    check_enum("momentum_rule", o.momentum_rule, MomentumRule::sum);
    check_enum("shape_factor", o.shape_factor, ShapeFactor::spectral);
    check_enum("decay", o.decay, DecayForm::cautious);
    check_enum("conv_factor", o.conv_factor, ConvFactor::kernel);
    check_polar_options("Muon", o.polar, "polar.");
    if (!o.polar.guarded)
        refuse("Muon: polar.guarded is off; an unguarded iteration would run in skipped steps");
}

void Muon::check(const Parameter& parameter) const { muon_blocks(parameter, options_); }

std::string Muon::options_text() const {
    std::string text =
        "muon momentum=" + number_text(options_.momentum) + " nesterov=" + std::to_string(options_.nesterov) +
        " weight_decay=" + number_text(options_.weight_decay) +
        " momentum_rule=" + std::to_string(static_cast<int>(options_.momentum_rule)) +
        " shape_factor=" + std::to_string(static_cast<int>(options_.shape_factor)) +
        " decay=" + std::to_string(static_cast<int>(options_.decay)) +
        " conv_factor=" + std::to_string(static_cast<int>(options_.conv_factor)) +
        " polar.norm_rule=" + std::to_string(static_cast<int>(options_.polar.norm_rule)) +
        " polar.norm_factor=" + number_text(options_.polar.norm_factor) +
        " polar.eps=" + number_text(options_.polar.eps) +
        " polar.form=" + std::to_string(static_cast<int>(options_.polar.form)) +
        " polar.precision=" + to_string(options_.polar.precision) +
        " polar.one_workgroup=" + std::to_string(options_.polar.one_workgroup) + " polar.restarts=";
    for (const std::uint32_t restart : options_.polar.restarts) text += std::to_string(restart) + ",";
    text += " polar.coefficients=";
    for (const NewtonSchulzCoefficients& c : options_.polar.coefficients)
        text += number_text(c.a) + "," + number_text(c.b) + "," + number_text(c.c) + ";";
    return text;
}

// gpu::MuonHyper
std::vector<HyperValue> Muon::hyper() const {
    const double rate = options_.momentum_rule == MomentumRule::ema ? 1.0 - options_.momentum : 1.0;
    return {HyperValue::lr(options_.lr, options_.schedule), HyperValue::constant(options_.momentum),
            HyperValue::constant(rate), HyperValue::constant(options_.weight_decay)};
}

void Muon::build(StepBuilder& step) const {
    for (const StepBuilder::Item& item : step.items()) {
        const Tensor momentum = step.state(item, "momentum", DType::f32, item.weight.shape);
        for (const MuonBlock& block : muon_blocks(*item.parameter, options_))
            BlockRecipe(step, options_, item, momentum, block).build();
    }
}

}  // namespace heron
