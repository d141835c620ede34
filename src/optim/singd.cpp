// SPDX-License-Identifier: MIT
// SINGD's recipe: statistics of the layer, a step of both factors (curvature/structured_factor.hpp), the
// product with what they are square roots of, and SGD's step (layer.hpp).
#include "heron/optim/singd.hpp"

#include <string>
#include <utility>

#include "curvature/structured_factor.hpp"
#include "heron/linalg/reduce.hpp"
#include "optim/checks.hpp"
#include "optim/layer.h"
#include "optim/layer.hpp"
#include "optim/refresh.hpp"
#include "optim/step_builder.hpp"

namespace heron {

namespace {

constexpr std::uint32_t kMaxOrder = 8192;  // of dense and Toeplitz factors

struct Side {
    StructuredFactor factor;
    FactorCurvature curvature;
};

// FLOPs of the refresh of one of a layer's factors, about.
double refresh_flops(const LayerShape& shape, const MatrixStructure& structure, std::uint64_t order) {
    const double n = static_cast<double>(order),
                 stored = static_cast<double>(stored_shape(resolved(structure, order), order).count()),
                 rows = static_cast<double>(shape.samples) * static_cast<double>(shape.positions);
    return static_cast<double>(shape.groups) * (2 * rows * stored + 6 * stored * stored / n);
}

// One group of a layer: the whole of it, but for grouped convolutions.
class GroupRecipe {
public:
    GroupRecipe(StepBuilder& step, const LayerItem& item, std::uint64_t group, const SingdOptions& options)
        : step_(step), graph_(step.graph()), item_(item), group_(group), options_(options) {
        k_.factor = make_factor("K", options.inputs, item.shape.order);
        c_.factor = make_factor("C", options.outputs, item.shape.m);
    }

    // `inputs` and `outputs`: the statistics of all groups, where the structure needs all of one.
    void refresh(const LayerStatistic& inputs, const LayerStatistic& outputs) {
        curve(k_, item_.inputs, "input_statistic", inputs, false);
        curve(c_, item_.output_gradients, "output_statistic", outputs, true);
        const bool normalizes = options_.normalize_lr_cov;
        Tensor rate = step_.hyper();
        rate.byte_offset += sizeof(gpu::LayerHyper);
        rate.shape = Shape{1};
        FactorStep options{.sigma = normalizes ? (1.0 - options_.alpha1) / 2 : 0.5,
                           .alpha = options_.alpha1,
                           .kfac_like = options_.kfac_like,
                           .normalize = normalizes,
                           .rate = rate};
        // Of each factor, or of their product.
        const DampingScales& scales = item_.layer->weight.damping_scale;
        const double inputs_scale = static_cast<double>(scales.inputs),
                     outputs_scale = static_cast<double>(scales.outputs);
        options.damping = options_.damping * inputs_scale * (options_.kfac_like ? 1.0 : outputs_scale);
        add_factor_step(graph_, k_.factor, k_.curvature, c_.curvature, options);
        options.damping = options_.damping * outputs_scale * (options_.kfac_like ? 1.0 : inputs_scale);
        add_factor_step(graph_, c_.factor, c_.curvature, k_.curvature, options);
    }

    // C C^T [G, g_b] K K^T.
    Tensor direction(const Tensor& gradient) {
        return structured_inverse_product(
            graph_, c_.factor.k, ProductSide::left,
            structured_inverse_product(graph_, k_.factor.k, ProductSide::right, gradient));
    }

private:
    std::string suffix() const {
        return item_.shape.groups > 1 ? "." + std::to_string(group_) : std::string();
    }
    StructuredFactor make_factor(const char* name, const MatrixStructure& structure, std::uint64_t order) {
        return make_structured_factor(graph_, item_.layer->weight.name + "." + name + suffix(), structure,
                                      order, options_.factor_dtype, options_.alpha1 > 0);
    }
    void curve(Side& side, const LayerSource& source, const std::string& name, const LayerStatistic& full,
               bool of_gradients) {
        const StructuredFactor& factor = side.factor;
        LayerStatistic statistic = full;
        if (full.matrix) {
            if (item_.shape.groups > 1) statistic.matrix = full.matrix.batch_item(group_);
        } else {
            statistic = layer_statistic(step_, item_, (name + suffix()).c_str(), of_gradients, [&] {
                LayerSource rows = source;
                // Sums over positions are formed first, for all groups alike.
                if (source.positions > 1)
                    rows = {.tensor = layer_rows(graph_, source, item_.shape)
                                          .reshape(Shape{item_.shape.groups, source.rows, factor.order()}),
                            .rows = source.rows,
                            .scale = source.scale};
                return structured_statistic(graph_, factor.structure(), factor.order(), rows.tensor,
                                            factor_source(rows), group_, static_cast<float>(rows.scale));
            });
        }
        side.curvature.h = structured_congruence(graph_, factor.k, statistic.matrix);
        side.curvature.gram = structured_gram(graph_, factor.k);
        side.curvature.unit = statistic.unit;
    }

    StepBuilder& step_;
    Graph& graph_;
    const LayerItem& item_;
    const std::uint64_t group_;
    const SingdOptions& options_;
    Side k_, c_;
};

void check_structure(const char* name, const MatrixStructure& s) {
    const std::string who = std::string(name) + ".";
    check_enum("Singd", who + "kind", s.kind, StructureKind::hierarchical);
    check_option("Singd", who + "block", s.block, s.block >= 1 && s.block <= 1024, "1 to 1024");
    // An element's sum has up to (first + last + 1)^2 terms.
    check_option("Singd", who + "first", s.first, s.first <= 120, "at most 120");
    check_option("Singd", who + "last", s.last, s.last <= 120, "at most 120");
}

std::string structure_text(const MatrixStructure& s) {
    return std::to_string(static_cast<std::uint32_t>(s.kind)) + "," + std::to_string(s.block) + "," +
           std::to_string(s.first) + "," + std::to_string(s.last);
}

}  // namespace

SingdOptions SingdOptions::ikfac() {
    SingdOptions options;
    options.kfac_like = true;
    options.alpha1 = 0;
    return options;
}

SingdOptions SingdOptions::ingd(float lr_cov, std::uint32_t refresh_interval) {
    SingdOptions options;
    options.lr_cov = 1.0f;
    // Pieces of one step jump to where the next one begins.
    options.lr_cov_schedule = Schedule::constant(2e-4f, 100)
                                  .then_linear(2e-3f, 1)
                                  .then_constant(398)
                                  .then_linear(lr_cov, 1)
                                  .then_constant();
    options.refresh = {.interval = refresh_interval, .stagger = false};
    options.step.weight_decay = 1e-2f;
    options.step.decay_from = 20 * refresh_interval;
    options.conv_scaling = ConvScaling::alecwangcq;
    return options;
}

Singd::Singd(const Device& device, const SingdOptions& options)
    : LayerOptimizer(device, "singd"), options_(options) {
    const SingdOptions& o = options;
    check_option("Singd", "lr", o.lr, o.lr >= 0, "finite and not below 0");
    check_option("Singd", "lr_cov", o.lr_cov, o.lr_cov >= 0, "finite and not below 0");
    check_option("Singd", "damping", o.damping, o.damping >= 0, "finite and not below 0");
    check_option("Singd", "alpha1", o.alpha1, o.alpha1 >= 0 && o.alpha1 < 1, "in [0, 1)");
    check_option("Singd", "alpha1 with kfac_like", o.alpha1, !o.kfac_like || o.alpha1 == 0, "0");
    check_structure("inputs", o.inputs);
    check_structure("outputs", o.outputs);
    if (o.factor_dtype != DType::f32 && o.factor_dtype != DType::f16 && o.factor_dtype != DType::bf16)
        refuse("Singd: factor_dtype is " + std::string(to_string(o.factor_dtype)) +
               ", must be f32, f16 or bf16");
    check_refresh("Singd", "refresh", o.refresh);
    check_momentum_step("Singd", o.step);
    check_enum("Singd", "conv_scaling", o.conv_scaling, ConvScaling::alecwangcq);
}

void Singd::check_layer(const Layer& layer) const {
    const LayerShape shape = layer_shape(layer);
    const auto check_side = [&](const char* what, const MatrixStructure& structure, std::uint64_t order) {
        if (needs_all(resolved(structure, order)) && order > kMaxOrder)
            refuse("Singd: layer " + in_quotes(layer.weight.name) + " has " + std::to_string(order) + " " +
                   what + "; dense and Toeplitz factors have at most " + std::to_string(kMaxOrder) +
                   ", take diagonals or blocks");
    };
    check_side("inputs", options_.inputs, shape.order);
    check_side("outputs", options_.outputs, shape.m);
}

std::string Singd::options_text() const {
    const SingdOptions& o = options_;
    return "singd lr_cov=" + number_text(o.lr_cov) + " damping=" + number_text(o.damping) +
           " alpha1=" + number_text(o.alpha1) + " normalize_lr_cov=" + std::to_string(o.normalize_lr_cov) +
           " kfac_like=" + std::to_string(o.kfac_like) + " inputs=" + structure_text(o.inputs) +
           " outputs=" + structure_text(o.outputs) + " factor_dtype=" + to_string(o.factor_dtype) +
           refresh_text("refresh", o.refresh) + momentum_step_text(o.step) +
           " conv_scaling=" + std::to_string(static_cast<std::uint32_t>(o.conv_scaling)) + layers_text();
}

// gpu::LayerHyper, then lr_cov.
std::vector<HyperValue> Singd::hyper() const {
    std::vector<HyperValue> values = layer_hyper(options_.lr, options_.schedule, options_.step);
    values.push_back(HyperValue::scheduled(options_.lr_cov, options_.lr_cov_schedule));
    return values;
}

void Singd::build(StepBuilder& step) const {
    Graph& graph = step.graph();
    const std::vector<LayerItem> items = layer_items(step, *this, options_.conv_scaling);
    std::vector<double> flops;
    for (const LayerItem& item : items)
        if (item.shape.m > 0 && item.shape.order > 0)
            flops.push_back(refresh_flops(item.shape, options_.inputs, item.shape.order) +
                            refresh_flops(item.shape, options_.outputs, item.shape.m));
    RefreshSchedule refreshes(graph, name(), options_.refresh, 1, refresh_turns(options_.refresh, flops));
    for (const LayerItem& item : items) {
        if (item.shape.m == 0 || item.shape.order == 0) continue;
        std::vector<GroupRecipe> groups;
        for (std::uint64_t g = 0; g < item.shape.groups; ++g) groups.emplace_back(step, item, g, options_);

        graph.set_stage("singd factors");
        graph.set_section(refreshes.next());
        const auto full = [&](const MatrixStructure& structure, std::uint64_t order, bool of_gradients) {
            return needs_all(resolved(structure, order)) ? layer_statistic(step, item, of_gradients)
                                                         : LayerStatistic{};
        };
        const LayerStatistic inputs = full(options_.inputs, item.shape.order, false),
                             outputs = full(options_.outputs, item.shape.m, true);
        for (GroupRecipe& group : groups) group.refresh(inputs, outputs);
        graph.set_section({});

        graph.set_stage("singd direction");
        const Tensor gradient = layer_gradient(step, item);
        Tensor direction;
        if (groups.size() == 1) {
            direction = groups[0].direction(gradient);
        } else {
            direction = graph.temporary(DType::f32, gradient.shape);
            for (std::uint64_t g = 0; g < groups.size(); ++g)
                convert(graph, groups[g].direction(gradient.batch_item(g)), direction.batch_item(g));
        }
        graph.set_stage("singd update");
        add_layer_update(step, item, direction, {}, options_.step);
    }
}

}  // namespace heron
