// SPDX-License-Identifier: MIT
// MKOR's recipe: means of the captures, inverses renewed by changes of rank one, the direction between both,
// its size, and a step of SGD (layer.hpp) or Adam. The kernels are shaders/optim/mkor_*.comp.
#include "heron/optim/mkor.hpp"

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <string>
#include <utility>

#include "curvature/structured_factor.hpp"
#include "graph/element_bytes.hpp"
#include "graph/section_entry.hpp"
#include "heron/linalg/product.hpp"
#include "heron/spirv/mkor_adam.hpp"
#include "heron/spirv/mkor_mean.hpp"
#include "heron/spirv/mkor_norms.hpp"
#include "heron/spirv/mkor_product.hpp"
#include "heron/spirv/mkor_refresh.hpp"
#include "heron/spirv/mkor_scale.hpp"
#include "linalg/integers.hpp"
#include "linalg/pieces.hpp"
#include "optim/checks.hpp"
#include "optim/layer.hpp"
#include "optim/mkor.h"
#include "optim/mkor_switch.hpp"
#include "optim/refresh.hpp"
#include "optim/step_builder.hpp"

namespace heron {

namespace {

static_assert(sizeof(gpu::MkorHyper) == 40);
static_assert(sizeof(gpu::MkorMeanJob) == 112);
static_assert(sizeof(gpu::MkorProductJob) == 80);
static_assert(sizeof(gpu::MkorRefreshJob) == 104);
static_assert(sizeof(gpu::MkorNormsJob) == 48);
static_assert(sizeof(gpu::MkorScaleJob) == 48);
static_assert(sizeof(gpu::MkorAdamJob) == 128);
static_assert(static_cast<std::uint32_t>(MkorRecurrence::printed) == gpu::MKOR_PRINTED);

constexpr KernelInfo kMean = make_kernel<gpu::MkorMeanJob>("mkor_mean", spirv::mkor_mean);
constexpr KernelInfo kProduct = make_kernel<gpu::MkorProductJob>("mkor_product", spirv::mkor_product);
constexpr KernelInfo kRefresh = make_kernel<gpu::MkorRefreshJob>("mkor_refresh", spirv::mkor_refresh);
constexpr KernelInfo kNorms = make_kernel<gpu::MkorNormsJob>("mkor_norms", spirv::mkor_norms);
constexpr KernelInfo kScale = make_kernel<gpu::MkorScaleJob>("mkor_scale", spirv::mkor_scale);
constexpr KernelInfo kAdam = make_kernel<gpu::MkorAdamJob>("mkor_adam", spirv::mkor_adam);

// Rows of a mean in one workgroup; fewer are not worth a second level.
constexpr std::uint64_t kMinPieceRows = 256, kMaxPieceRows = 16384;
// Workgroups whose partial sums every workgroup of mkor_scale adds up.
constexpr std::uint64_t kMaxPartials = 512;

// What one invocation goes through, one element (or two) a round.
struct Grid {
    std::uint32_t threads, rounds;
    std::uint64_t groups;
};
Grid grid_of(const Device& device, std::uint64_t count, std::uint64_t least_rounds,
             std::uint64_t max_groups) {
    const Capabilities& capabilities = device.capabilities();
    const std::uint64_t threads = threads_of(capabilities, capabilities.cpu ? 32 : 256);
    std::uint64_t rounds = std::min(least_rounds, std::max<std::uint64_t>(1, ceil_div(count, threads)));
    if (max_groups > 0) rounds = std::max(rounds, ceil_div(count, threads * max_groups));
    return {narrow(threads), narrow(rounds), ceil_div(count, threads * rounds)};
}

void add(Graph& graph, Operation operation, std::vector<SpecConstant> constants, double flops, double bytes) {
    operation.constants = std::move(constants);
    operation.reason = "the only one";
    operation.flops = flops;
    operation.bytes = bytes;
    graph.add(std::move(operation));
}

SpecConstant dtype_of(const Tensor& x) { return {gpu::SPEC_DTYPE_A, static_cast<std::uint32_t>(x.dtype)}; }

// What the loss was divided by: the means are of gradients of single losses. As the authors' package, `none`
// stands for the number of rows.
double loss_terms(const LayerItem& item) {
    const double samples = static_cast<double>(item.shape.samples),
                 positions = static_cast<double>(item.shape.positions);
    switch (item.layer->loss) {
        case LossReduction::sum:
            return 1.0;
        case LossReduction::mean_over_batch:
            return samples;
        case LossReduction::mean_over_positions:
            return samples * positions;
        case LossReduction::none:
            break;
    }
    return item.layer->patches ? samples : samples * positions;
}

// FLOPs of a layer's refresh, about.
double refresh_flops(const LayerShape& shape) {
    const double m = static_cast<double>(shape.m), n = static_cast<double>(shape.order),
                 rows = static_cast<double>(shape.samples) * static_cast<double>(shape.positions);
    return static_cast<double>(shape.groups) * (8 * (m * m + n * n) + rows * (m + n));
}

class LayerRecipe {
public:
    LayerRecipe(StepBuilder& step, const LayerItem& item, const Section& turns, const MkorOptions& options)
        : step_(step), graph_(step.graph()), item_(item), turns_(section_entry(turns)), options_(options) {}

    void build() {
        const LayerShape& shape = item_.shape;
        const Shape matrices = shape.matrices(shape.m, shape.order);
        const Tensor middle = graph_.temporary(DType::f32, matrices),
                     direction = graph_.temporary(DType::f32, matrices);
        const auto part = [&](const Tensor& all, std::uint64_t g) {
            return shape.groups > 1 ? all.batch_item(g) : all;
        };
        graph_.set_stage("mkor refresh");
        if (step_.options().accumulate) graph_.set_phase(Phase::accumulate);
        const Tensor a = mean_rows(item_.inputs), s = mean_rows(item_.output_gradients);
        std::vector<Tensor> input_means, output_means;
        for (std::uint64_t g = 0; g < shape.groups; ++g) {
            output_means.push_back(mean("output_mean", g, part(s, g), shape.m, loss_terms(item_), true));
            input_means.push_back(mean("input_mean", g, part(a, g), shape.order, 1.0, false));
        }
        graph_.set_phase(Phase::step);
        std::vector<StructuredFactor> left, right;
        for (std::uint64_t g = 0; g < shape.groups; ++g) {
            left.push_back(renewed("L_inverse", g, shape.m, output_means[g], part(middle, g)));
            right.push_back(renewed("R_inverse", g, shape.order, input_means[g], part(direction, g)));
        }
        graph_.set_stage("mkor direction");
        const Tensor gradient = layer_gradient(step_, item_);
        // Zero bits in first-order steps: both products are left out.
        Tensor second_order = step_.hyper();
        second_order.byte_offset += offsetof(gpu::MkorHyper, second_order);
        second_order.dtype = DType::u32;
        second_order.shape = Shape{1};
        const GemmOptions when{.active = second_order};
        for (std::uint64_t g = 0; g < shape.groups; ++g) {
            gemm(graph_, left[g].k.values, part(gradient, g), {}, part(middle, g), when);
            gemm(graph_, part(middle, g), right[g].k.values, {}, part(direction, g), when);
        }
        graph_.set_stage("mkor update");
        scale(gradient, direction);
        if (options_.base == MkorBase::sgd) {
            add_layer_update(step_, item_, direction, {}, options_.step);
        } else {
            add_adam(*item_.weight, direction, shape.n, 0);
            if (item_.bias != nullptr) add_adam(*item_.bias, direction, 1, shape.n);
        }
    }

private:
    // N R x F as it was captured, or means over the positions of each image, with a column of ones: groups x
    // N x columns.
    Tensor mean_rows(const LayerSource& source) {
        if (!source.patches) return source.tensor;
        LayerSource means = source;
        means.sharing = WeightSharing::mean;
        means.positions = item_.shape.positions;
        means.rows = item_.shape.samples;
        return layer_rows(graph_, means, item_.shape);
    }

    std::string name_in_group(const char* name, std::uint64_t group) const {
        return name + (item_.shape.groups > 1 ? "." + std::to_string(group) : std::string());
    }

    // P after this step's refresh with the mean v. `product`: what P will be multiplied into.
    StructuredFactor renewed(const char* name, std::uint64_t group, std::uint64_t order, const Tensor& v,
                             const Tensor& product) {
        const StructuredFactor p =
            make_structured_factor(graph_, item_.layer->weight.name + "." + name_in_group(name, group), {},
                                   order, options_.factor_dtype, false);
        const std::uint32_t row_threads =
            threads_of(step_.device().capabilities(), step_.device().capabilities().cpu ? 8 : 64);
        const Tensor sums = graph_.temporary(DType::f32, Shape{order, 2});
        const double elements = static_cast<double>(order * order),
                     matrix_bytes = elements * static_cast<double>(bytes_of(options_.factor_dtype));
        {
            using Job = gpu::MkorProductJob;
            Job job{};
            job.order = narrow(order);
            job.turns = turns_;
            job.warmup = options_.warmup_steps;
            add(graph_,
                make_operation(kProduct, job,
                               {{offsetof(Job, p), p.k.values, Access::read},
                                {offsetof(Job, v), v, Access::read},
                                {offsetof(Job, sums), sums, Access::write},
                                {offsetof(Job, hyper), step_.hyper(), Access::read}},
                               order),
                {{gpu::SPEC_THREADS, row_threads}, dtype_of(p.k.values)}, 3.0 * elements, matrix_bytes);
        }
        using Job = gpu::MkorRefreshJob;
        // Every workgroup adds up the rows' sums first.
        const Grid grid =
            grid_of(step_.device(), ceil_div(order * order, 2), std::max<std::uint64_t>(4, order / 32), 0);
        Job job{};
        job.order = narrow(order);
        job.rounds = grid.rounds;
        job.turns = turns_;
        job.warmup = options_.warmup_steps;
        job.recurrence = static_cast<std::uint32_t>(options_.recurrence);
        job.gamma = static_cast<float>(options_.factor_decay);
        job.threshold = options_.norm_threshold;
        job.zeta = static_cast<float>(options_.blend);
        add(graph_,
            make_operation(kRefresh, job,
                           {{offsetof(Job, p), p.k.values, Access::read_write},
                            {offsetof(Job, v), v, Access::read},
                            {offsetof(Job, sums), sums, Access::read},
                            {offsetof(Job, failures), p.failures, Access::read_write},
                            {offsetof(Job, hyper), step_.hyper(), Access::read},
                            // In first-order steps the product stays what it was, whatever that is.
                            {Operand::kNoField, product, Access::write}},
                           grid.groups),
            {{gpu::SPEC_THREADS, grid.threads}, dtype_of(p.k.values)}, 5.0 * elements, 2 * matrix_bytes);
        return p;
    }

    // Of this step's rows of the captures, `factor` of their elements; with micro-batches of all of theirs, a
    // state.
    Tensor mean(const char* name, std::uint64_t group, const Tensor& rows, std::uint64_t columns,
                double factor, bool of_gradients) {
        using Job = gpu::MkorMeanJob;
        const bool accumulates = step_.options().accumulate;
        const Capabilities& capabilities = step_.device().capabilities();
        const std::uint32_t threads = threads_of(capabilities, capabilities.cpu ? 8 : 64);
        const std::uint64_t count = rows.rows(), tiles = ceil_div(columns, threads);
        const std::uint64_t wanted = std::max(useful_pieces(capabilities, tiles, count, kMinPieceRows),
                                              ceil_div(count, kMaxPieceRows));
        const std::uint64_t piece_rows = ceil_div(count, wanted), pieces = ceil_div(count, piece_rows);
        const float weight = static_cast<float>(1.0 / static_cast<double>(count));
        const Tensor v = graph_.temporary(DType::f32, Shape{columns});
        const Tensor partials = pieces > 1 ? graph_.temporary(DType::f32, Shape{pieces, columns}) : v;
        Job job{};
        job.rows = narrow(count);
        job.features = narrow(rows.cols());
        job.columns = narrow(columns);
        job.pieces = narrow(pieces);
        job.piece_rows = narrow(piece_rows);
        job.turns = turns_;
        job.warmup = options_.warmup_steps;
        job.factor = static_cast<float>(factor);
        job.clip = options_.clip;
        job.weight = pieces > 1 ? 1.0f : weight;
        job.flags = accumulates ? gpu::MKOR_MICRO_BATCH : 0;
        if (of_gradients) job.flags |= accumulates ? gpu::MKOR_LOSS_SCALE : gpu::MKOR_UNSCALE;
        std::vector<Operand> operands{{offsetof(Job, from), rows, Access::read},
                                      {offsetof(Job, to), partials, Access::write}};
        if (!accumulates) operands.push_back({offsetof(Job, hyper), step_.hyper(), Access::read});
        if (of_gradients)
            operands.push_back({offsetof(Job, unscale),
                                accumulates ? layer_loss_scale(step_) : layer_unscale(step_), Access::read});
        add(graph_, make_operation(kMean, job, std::move(operands), tiles * pieces),
            {{gpu::SPEC_THREADS, threads}, dtype_of(rows)}, static_cast<double>(count * columns),
            element_bytes(rows, partials));
        if (pieces > 1) sum_pieces(graph_, partials, v, weight);
        return accumulates ? layer_mean(step_, item_, name_in_group(name, group).c_str(), v, false) : v;
    }

    void scale(const Tensor& gradient, const Tensor& direction) {
        const std::uint64_t count = direction.shape.count();
        const Grid norm_grid = grid_of(step_.device(), count, 8, kMaxPartials),
                   grid = grid_of(step_.device(), count, 8, 0);
        const Tensor partials = graph_.temporary(DType::f32, Shape{norm_grid.groups, gpu::MKOR_NORM_WORDS});
        const double elements = static_cast<double>(count);
        {
            using Job = gpu::MkorNormsJob;
            Job job{};
            job.count = narrow(count);
            job.columns = narrow(item_.shape.order);
            job.features = narrow(item_.shape.n);
            job.rounds = norm_grid.rounds;
            add(graph_,
                make_operation(kNorms, job,
                               {{offsetof(Job, gradient), gradient, Access::read},
                                {offsetof(Job, direction), direction, Access::read},
                                {offsetof(Job, partials), partials, Access::write}},
                               norm_grid.groups),
                {{gpu::SPEC_THREADS, norm_grid.threads}}, 4 * elements, 8 * elements);
        }
        using Job = gpu::MkorScaleJob;
        Job job{};
        job.count = narrow(count);
        job.partial_count = narrow(norm_grid.groups);
        job.rounds = grid.rounds;
        add(graph_,
            make_operation(kScale, job,
                           {{offsetof(Job, gradient), gradient, Access::read},
                            {offsetof(Job, direction), direction, Access::read_write},
                            {offsetof(Job, partials), partials, Access::read},
                            {offsetof(Job, hyper), step_.hyper(), Access::read}},
                           grid.groups),
            {{gpu::SPEC_THREADS, grid.threads}}, elements, 8 * elements);
    }

    void add_adam(const StepBuilder::Item& parameter, const Tensor& direction, std::uint64_t cols,
                  std::uint64_t offset) {
        using Job = gpu::MkorAdamJob;
        const Shape& shape = parameter.weight.shape;
        const std::uint64_t count = shape.count();
        const Tensor m = step_.state(parameter, "m", DType::f32, shape),
                     v = step_.state(parameter, "v", DType::f32, shape);
        const ElementGrid grid = step_.elements(count);
        Job job{};
        job.parameter = step_.parameter_operand(parameter);
        job.range = StepBuilder::range(0, count, grid);
        job.cols = narrow(cols);
        job.stride = narrow(item_.shape.order);
        job.offset = narrow(offset);
        job.decay_from = options_.step.decay_from;
        std::vector<Operand> operands{{offsetof(Job, direction), direction, Access::read},
                                      {offsetof(Job, moment1), m, Access::read_write},
                                      {offsetof(Job, moment2), v, Access::read_write},
                                      {offsetof(Job, hyper), step_.hyper(), Access::read}};
        StepBuilder::add_parameter(operands, offsetof(Job, parameter), parameter, 0, count);
        Operation operation = make_operation(kAdam, job, std::move(operands), grid.groups);
        operation.constants = {{gpu::SPEC_THREADS, grid.threads},
                               step_.variant(),
                               {gpu::SPEC_DTYPE_A, static_cast<std::uint32_t>(parameter.weight.dtype)}};
        operation.reason = step_.variant_reason();
        operation.flops = 12.0 * static_cast<double>(count);
        operation.bytes = (StepBuilder::parameter_bytes(parameter) + 20.0) * static_cast<double>(count);
        graph_.add(std::move(operation));
    }

    StepBuilder& step_;
    Graph& graph_;
    const LayerItem& item_;
    // For kernels that look themselves: no section has warm-up steps.
    const gpu::SectionEntry turns_;
    const MkorOptions& options_;
};

}  // namespace

Mkor::Mkor(const Device& device, const MkorOptions& options)
    : LayerOptimizer(device, "mkor"), options_(options) {
    const MkorOptions& o = options;
    check_option("Mkor", "lr", o.lr, o.lr >= 0, "finite and not below 0");
    check_enum("Mkor", "recurrence", o.recurrence, MkorRecurrence::printed);
    check_enum("Mkor", "base", o.base, MkorBase::adam);
    check_option("Mkor", "factor_decay", o.factor_decay, o.factor_decay > 0 && o.factor_decay < 1,
                 "in (0, 1)");
    if (!(o.norm_threshold > 0))
        refuse("Mkor: norm_threshold is " + number_text(o.norm_threshold) + ", must be above 0");
    check_option("Mkor", "blend", o.blend, o.blend >= 0 && o.blend <= 1, "in [0, 1]");
    check_option("Mkor", "clip", o.clip, o.clip > 0, "finite and above 0");
    check_refresh("Mkor", "refresh", o.refresh);
    if (o.factor_dtype != DType::f32 && o.factor_dtype != DType::f16 && o.factor_dtype != DType::bf16)
        refuse("Mkor: factor_dtype is " + std::string(to_string(o.factor_dtype)) +
               ", must be f32, f16 or bf16");
    check_momentum_step("Mkor", o.step);
    if (o.base == MkorBase::adam && o.step.decoupled_decay)
        refuse("Mkor: decoupled_decay is set, which Adam's step here does not have; use SGD");
    if (o.base == MkorBase::adam && o.step.moments != MomentFormat::f32)
        refuse("Mkor: moments must be f32 with Adam's step; use SGD");
    check_option("Mkor", "beta1", o.beta1, o.beta1 >= 0 && o.beta1 < 1, "in [0, 1)");
    check_option("Mkor", "beta2", o.beta2, o.beta2 >= 0 && o.beta2 < 1, "in [0, 1)");
    check_option("Mkor", "eps", o.eps, o.eps >= 0, "finite and not below 0");
    if (o.switching) check_mkor_switch(*o.switching);
}

std::string Mkor::options_text() const {
    const MkorOptions& o = options_;
    return "mkor recurrence=" + std::to_string(static_cast<int>(o.recurrence)) +
           " factor_decay=" + number_text(o.factor_decay) + " norm_threshold=" +
           (std::isfinite(o.norm_threshold) ? number_text(o.norm_threshold) : std::string("none")) +
           " blend=" + number_text(o.blend) + " clip=" + number_text(o.clip) +
           refresh_text("refresh", o.refresh) + " warmup_steps=" + std::to_string(o.warmup_steps) +
           " factor_dtype=" + to_string(o.factor_dtype) +
           " base=" + std::to_string(static_cast<int>(o.base)) + " beta1=" + number_text(o.beta1) +
           " beta2=" + number_text(o.beta2) + " eps=" + number_text(o.eps) + momentum_step_text(o.step) +
           (o.switching ? mkor_switch_text(*o.switching) : std::string()) + layers_text();
}

// gpu::MkorHyper
std::vector<HyperValue> Mkor::hyper() const {
    const MkorOptions& o = options_;
    std::vector<HyperValue> values = layer_hyper(o.lr, o.schedule, o.step);
    for (const HyperValue& value :
         {HyperValue::second_order_switch(o.second_order, o.switching), HyperValue::constant(1.0 - o.beta1),
          HyperValue::constant(1.0 - o.beta2), HyperValue::constant(o.eps),
          HyperValue::inverse_correction(o.beta1), HyperValue::inverse_correction(o.beta2)})
        values.push_back(value);
    return values;
}

void Mkor::build(StepBuilder& step) const {
    const std::vector<LayerItem> items = layer_items(step, *this, ConvScaling::shared);
    std::vector<double> flops;
    for (const LayerItem& item : items)
        if (item.shape.m > 0 && item.shape.order > 0) flops.push_back(refresh_flops(item.shape));
    RefreshSchedule refreshes(step.graph(), name(), options_.refresh, 1,
                              refresh_turns(options_.refresh, flops));
    for (const LayerItem& item : items)
        if (item.shape.m > 0 && item.shape.order > 0)
            LayerRecipe(step, item, refreshes.next(), options_).build();
}

}  // namespace heron
