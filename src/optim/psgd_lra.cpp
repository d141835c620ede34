// SPDX-License-Identifier: MIT
// PsgdLra's recipe. The kernels are shaders/optim/psgd_lra_*.comp, and those around all of PSGD
// (psgd_step.hpp).
#include "heron/optim/psgd_lra.hpp"

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <utility>

#include "heron/linalg/product.hpp"
#include "heron/linalg/reduce.hpp"
#include "heron/spirv/psgd_lra_columns.hpp"
#include "heron/spirv/psgd_lra_rate.hpp"
#include "heron/spirv/psgd_lra_rows.hpp"
#include "heron/spirv/psgd_lra_small.hpp"
#include "heron/spirv/psgd_lra_start.hpp"
#include "heron/spirv/psgd_lra_update.hpp"
#include "linalg/integers.hpp"
#include "optim/checks.hpp"
#include "optim/moments.hpp"
#include "optim/psgd_factors.hpp"
#include "optim/psgd_lra.h"
#include "optim/psgd_options.hpp"
#include "optim/psgd_step.hpp"

namespace heron {

namespace {

static_assert(sizeof(gpu::PsgdLraColumnsJob) == 56);
static_assert(sizeof(gpu::PsgdLraSmallJob) == 32);
static_assert(sizeof(gpu::PsgdLraRowsJob) == 56);
static_assert(sizeof(gpu::PsgdLraRateJob) == 48);
static_assert(sizeof(gpu::PsgdLraUpdateJob) == 40);
static_assert(sizeof(gpu::PsgdLraStartJob) == 48);

constexpr KernelInfo kColumns =
    make_kernel<gpu::PsgdLraColumnsJob>("psgd_lra_columns", spirv::psgd_lra_columns);
constexpr KernelInfo kSmall = make_kernel<gpu::PsgdLraSmallJob>("psgd_lra_small", spirv::psgd_lra_small);
constexpr KernelInfo kRows = make_kernel<gpu::PsgdLraRowsJob>("psgd_lra_rows", spirv::psgd_lra_rows);
constexpr KernelInfo kRate = make_kernel<gpu::PsgdLraRateJob>("psgd_lra_rate", spirv::psgd_lra_rate);
constexpr KernelInfo kUpdate = make_kernel<gpu::PsgdLraUpdateJob>("psgd_lra_update", spirv::psgd_lra_update);
constexpr KernelInfo kStart = make_kernel<gpu::PsgdLraStartJob>("psgd_lra_start", spirv::psgd_lra_start);

constexpr std::uint64_t kMaxPartials = 4096;

// One parameter and its rows of what all have together.
struct Part {
    const StepBuilder::Item* item;
    std::uint64_t first;
    std::uint32_t stream;  // of its draws
    PsgdInputTensors inputs;
    std::uint64_t count() const { return item->weight.shape.count(); }
};

class Recipe {
public:
    Recipe(StepBuilder& step, const PsgdLraOptions& options, const std::map<std::string, PsgdInputs>& inputs,
           const std::string& name)
        : step_(step),
          graph_(step.graph()),
          options_(options),
          stream_(psgd_stream(name)),
          newton_(options.fit == PsgdFit::hessian),
          fit_(psgd_section(step, kPsgdFitGate, options.update_probability, options.update_schedule,
                            newton_ && options.initial_scale == 0)) {
        graph_.set_stage("psgd momentum");
        const std::vector<std::uint32_t> streams = psgd_streams(name, step.items());
        for (std::size_t i = 0; i < step.items().size(); ++i) {
            const StepBuilder::Item& item = step.items()[i];
            if (item.weight.shape.count() == 0) continue;
            parts_.push_back({&item, rows_, streams[i], {}});
            elements_ += item.weight.shape.count();
            rows_ += (item.weight.shape.count() + 3) / 4 * 4;
        }
        if (parts_.empty()) return;
        if (options.rank >= elements_)
            refuse("PsgdLra \"" + name + "\": rank is " + std::to_string(options.rank) +
                   ", must be below the number of elements, " + std::to_string(elements_));
        if (rows_ * (2ull * options.rank + 2) > 0xfffffff0u)
            refuse("PsgdLra \"" + name + "\": " + std::to_string(elements_) + " elements of rank " +
                   std::to_string(options.rank) + " are more than 2^32; split them between optimizers");
        w_ = graph_.state(name + ".W", DType::f32, Shape{rows_, width()});
        d_ = graph_.state(name + ".d", DType::f32, Shape{rows_});
        smoothness_ = graph_.state(name + ".L", DType::f32, Shape{3});
        x_ = graph_.temporary(DType::f32, Shape{rows_});
        for (Part& part : parts_) add_inputs(part, inputs);
    }

    void build() {
        if (parts_.empty()) return;
        start();
        if (options_.fit_first) fit();
        graph_.set_stage("psgd precondition");
        const Tensor direction = precondition();
        const Tensor norm = graph_.temporary(DType::f32, Shape{1});
        frobenius_norm(graph_, direction, norm);
        if (!options_.fit_first) fit();
        graph_.set_stage("psgd update");
        for (const Part& part : parts_) {
            PsgdUpdate update{.direction = of(direction, part), .norms = norm};
            update.limit = options_.clip_norm > 0 ? static_cast<double>(options_.clip_norm)
                                                  : static_cast<double>(options_.clip_rms) *
                                                        std::sqrt(static_cast<double>(elements_));
            update.largest = options_.clip_element;
            add_psgd_update(step_, *part.item, update);
        }
        if (newton_) draw_probes();
    }

private:
    std::uint64_t width() const { return 2ull * options_.rank + 2; }
    Tensor of(const Tensor& whole, const Part& part) const {
        return psgd_part(whole, part.first, Shape{part.count()});
    }
    Tensor rows_of(const Part& part) const { return w_.row_range(part.first, part.count()); }

    ElementGrid grid_of(std::uint64_t count, std::uint64_t max_groups = 0) const {
        return psgd_grid(graph_.device(), count, 1, max_groups);
    }
    void add_inputs(Part& part, const std::map<std::string, PsgdInputs>& inputs) {
        const StepBuilder::Item& item = *part.item;
        add_psgd_moment(
            step_, item,
            {.momentum = options_.momentum, .moments = options_.moments, .ramp = true, .to = of(x_, part)});
        part.inputs = add_psgd_inputs(step_, item, psgd_inputs(inputs, *item.parameter), options_.fit);
        if (part.inputs.own_probe) drawn_.push_back({part.inputs.probe, part.stream});
    }

    void draw_probes() {
        for (const auto& [probe, stream] : drawn_)
            fill_psgd_draws(graph_, probe, probe.shape.count(), PsgdPurpose::probe, stream);
    }

    void start() {
        graph_.set_stage("psgd start");
        graph_.set_phase(Phase::initialize);
        if (newton_) draw_probes();
        if (options_.rank > 0) start_low_rank();
        const PsgdFactor d{1, rows_, 1, false, d_, {}};
        if (options_.initial_scale > 0) start_psgd_factors(graph_, {&d, 1}, options_.initial_scale);
        graph_.set_phase(Phase::step);
        if (options_.initial_scale > 0) return;
        graph_.set_section(kPsgdFirst);
        PsgdMoments moments{graph_.temporary(DType::f32, Shape{1, 2}), options_.damping,
                            newton_ ? elements_ : 0, false};
        std::vector<PsgdMomentInput> inputs;
        for (const Part& part : parts_) inputs.push_back({part.item, part.inputs.product, part.inputs.probe});
        add_psgd_moments(step_, inputs, moments.moments);
        start_psgd_factors(graph_, {&d, 1}, moments);
        graph_.set_section({});
    }

    // U and V.
    void start_low_rank() {
        const Tensor norms = graph_.temporary(DType::f32, Shape{2});
        // One block for all: norms are of the whole.
        const std::uint64_t r = options_.rank;
        const Tensor u = graph_.temporary(DType::f32, Shape{elements_, r}),
                     v = graph_.temporary(DType::f32, Shape{elements_, r});
        fill_psgd_draws(graph_, u, elements_, PsgdPurpose::u, stream_);
        fill_psgd_draws(graph_, v, elements_, PsgdPurpose::v, stream_);
        frobenius_norm(graph_, u, psgd_part(norms, 0, Shape{1}));
        frobenius_norm(graph_, v, psgd_part(norms, 1, Shape{1}));
        std::uint64_t before = 0;
        for (const Part& part : parts_) {
            using Job = gpu::PsgdLraStartJob;
            const std::uint64_t count = part.count();
            const ElementGrid grid = grid_of(count * r);
            Job job{};
            job.rows = narrow(count);
            job.rank = options_.rank;
            job.rounds = grid.rounds;
            add_psgd(graph_, kStart, job,
                     {{offsetof(Job, u), u.row_range(before, count), Access::read},
                      {offsetof(Job, v), v.row_range(before, count), Access::read},
                      {offsetof(Job, norms), norms, Access::read},
                      {offsetof(Job, w), rows_of(part), Access::write}},
                     grid.groups, grid.threads, 2.0 * static_cast<double>(count * r),
                     16.0 * static_cast<double>(count * r));
            before += count;
        }
    }

    // The columns of work: d x, and v / d.
    void add_columns(const Part& part, const Tensor& x, const Tensor& v) {
        using Job = gpu::PsgdLraColumnsJob;
        const ElementGrid grid = grid_of(part.count());
        Job job{};
        job.count = narrow(part.count());
        job.rank = options_.rank;
        job.rounds = grid.rounds;
        job.flags = v ? gpu::LRA_PROBE : 0;
        std::vector<Operand> operands{{offsetof(Job, d), of(d_, part), Access::read},
                                      {offsetof(Job, x), x, Access::read},
                                      {offsetof(Job, w), rows_of(part), Access::read_write}};
        if (v) operands.push_back({offsetof(Job, v), v, Access::read});
        const double count = static_cast<double>(part.count());
        add_psgd(graph_, kColumns, job, std::move(operands), grid.groups, grid.threads, 2 * count,
                 20 * count);
    }

    // The vectors and matrices of r that follow from W^T W.
    Tensor add_small(std::uint32_t flags) {
        using Job = gpu::PsgdLraSmallJob;
        const std::uint64_t r = options_.rank;
        const Tensor gram = graph_.temporary(DType::f32, Shape{width(), width()});
        syrk(graph_, w_, {}, gram, {.transpose_a = Transpose::yes, .packing = false});
        const Tensor small = graph_.temporary(
            DType::f32, Shape{gpu::LRA_SCALARS + gpu::LRA_VECTORS * r + gpu::LRA_MATRICES * r * r});
        Job job{};
        job.rank = options_.rank;
        job.flags = flags;
        const double cube = static_cast<double>(r * r * r), square = static_cast<double>(width() * width());
        add_psgd(graph_, kSmall, job,
                 {{offsetof(Job, gram), gram, Access::read}, {offsetof(Job, small), small, Access::write}}, 1,
                 threads_of(graph_.device().capabilities(), 128),
                 (flags & gpu::LRA_APPLY) != 0 ? square : 22 * cube, 8 * square);
        return small;
    }

    void add_rows(const Tensor& small, const Tensor& to, const ElementGrid& grid, std::uint32_t flags) {
        using Job = gpu::PsgdLraRowsJob;
        Job job{};
        job.rows = narrow(rows_);
        job.rank = options_.rank;
        job.rounds = grid.rounds;
        job.flags = flags;
        const double elements = static_cast<double>(rows_ * width());
        add_psgd(graph_, kRows, job,
                 {{offsetof(Job, w), w_, Access::read},
                  {offsetof(Job, d), d_, Access::read},
                  {offsetof(Job, small), small, Access::read},
                  {offsetof(Job, to), to, Access::write}},
                 grid.groups, grid.threads, 4 * elements, 4 * elements);
    }

    Tensor precondition() {
        for (const Part& part : parts_) add_columns(part, of(x_, part), {});
        const Tensor small = add_small(gpu::LRA_APPLY);
        const Tensor direction = graph_.temporary(DType::f32, Shape{rows_});
        add_rows(small, direction, grid_of(rows_), gpu::LRA_APPLY);
        return direction;
    }

    void fit() {
        graph_.set_stage("psgd fit");
        graph_.set_section(fit_);
        for (const Part& part : parts_) {
            const Tensor z = part.inputs.draws ? part.inputs.draws
                                               : add_psgd_draws(step_, *part.item, part.count(), part.stream);
            const Tensor h =
                add_psgd_noise(step_, *part.item, psgd_noise(options_, z, part.inputs.product, of(x_, part)));
            add_columns(part, h, newton_ ? part.inputs.probe : z);
        }
        const Tensor small = add_small(0);
        const ElementGrid grid = grid_of(rows_, kMaxPartials);
        const Tensor partials = graph_.temporary(DType::f32, Shape{grid.groups, 4});
        add_rows(small, partials, grid, 0);
        add_rate(small, partials);
        add_update(small);
        graph_.set_section({});
    }

    void add_rate(const Tensor& small, const Tensor& partials) {
        using Job = gpu::PsgdLraRateJob;
        Tensor choice = step_.hyper();
        choice.byte_offset += kPsgdBalanceGate * sizeof(float);
        choice.shape = Shape{1};
        Job job{};
        job.partial_count = narrow(partials.rows());
        job.decay = static_cast<float>(options_.smoothness_decay);
        job.rate = options_.preconditioner_lr;
        const double count = static_cast<double>(partials.shape.count());
        add_psgd(graph_, kRate, job,
                 {{offsetof(Job, partials), partials, Access::read},
                  {offsetof(Job, small), small, Access::read_write},
                  {offsetof(Job, smoothness), smoothness_, Access::read_write},
                  {offsetof(Job, choice), choice, Access::read}},
                 1, threads_of(graph_.device().capabilities(), 128), count, 4 * count);
    }

    void add_update(const Tensor& small) {
        using Job = gpu::PsgdLraUpdateJob;
        const Capabilities& device = graph_.device().capabilities();
        Job job{};
        job.rows = narrow(rows_);
        job.rank = options_.rank;
        const double elements = static_cast<double>(rows_ * width());
        add_psgd(graph_, kUpdate, job,
                 {{offsetof(Job, w), w_, Access::read_write},
                  {offsetof(Job, d), d_, Access::read_write},
                  {offsetof(Job, small), small, Access::read}},
                 (rows_ + gpu::LRA_ROWS - 1) / gpu::LRA_ROWS, threads_of(device, device.cpu ? 32 : 128),
                 2 * elements * options_.rank, 8 * elements);
    }

    StepBuilder& step_;
    Graph& graph_;
    const PsgdLraOptions& options_;
    std::uint32_t stream_;  // of U's and V's draws
    bool newton_;
    Section fit_;
    std::vector<Part> parts_;
    std::vector<std::pair<Tensor, std::uint32_t>> drawn_;  // probes, and their streams
    std::uint64_t elements_ = 0, rows_ = 0;
    Tensor w_, d_, smoothness_, x_;
};

}  // namespace

PsgdLraOptions PsgdLraOptions::newton() { return psgd_newton<PsgdLraOptions>(); }

PsgdLra::PsgdLra(const Device& device, const PsgdLraOptions& options)
    : Optimizer(device, "psgd_lra"), options_(options) {
    check_psgd_options("PsgdLra", options);
    check_option("PsgdLra", "rank", options.rank, options.rank <= gpu::LRA_MAX_RANK, "at most 64");
    check_psgd_chance("PsgdLra", "u_probability", options.u_probability);
}

void PsgdLra::check(const Parameter& parameter) const {
    check_psgd_product("PsgdLra", parameter, options_.fit, inputs_);
}

void PsgdLra::add(Parameter parameter, const PsgdInputs& inputs) {
    add_with_inputs(*this, "PsgdLra", std::move(parameter), options_.fit, inputs, inputs_,
                    [this](Parameter checked) { Optimizer::add(std::move(checked)); });
}

std::string PsgdLra::options_text() const {
    return "psgd_lra rank=" + std::to_string(options_.rank) +
           " u_probability=" + number_text(options_.u_probability) + psgd_options_text(options_);
}

// The second gate is the choice between U and V.
std::vector<HyperValue> PsgdLra::hyper() const {
    return psgd_hyper(name(), options_,
                      HyperValue::chance(name(), options_.u_probability, options_.u_schedule));
}

void PsgdLra::build(StepBuilder& step) const { Recipe(step, options_, inputs_, name()).build(); }

}  // namespace heron
