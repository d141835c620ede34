// SPDX-License-Identifier: MIT
// Conda's recipe, per batch of equal matrices of each parameter:
//
//   m, copy of G  |  refresh: svd of m  |  G B and m B  |  v and direction  |  back  |  update
//
// The kernels are shaders/optim/gradient_sum.comp, subspace_adam.comp and muon_update.comp.
#include "heron/optim/conda.hpp"

#include <algorithm>

#include "heron/linalg/product.hpp"
#include "heron/linalg/svd.hpp"
#include "optim/adamw.hpp"
#include "optim/checks.hpp"
#include "optim/matrix_update.hpp"
#include "optim/moments.hpp"
#include "optim/subspace.hpp"

namespace heron {

namespace {

constexpr std::uint64_t kMaxShortSide = 4096;  // svd()'s

bool is_vector(const Parameter& parameter) { return parameter.weight.shape.rank() < 2; }

// X B with a basis on the right, B^T X with one on the left; back: X B^T, B X.
void project(Graph& graph, bool right, const Tensor& x, const Tensor& basis, const Tensor& out, bool back) {
    if (right)
        gemm(graph, x, basis, {}, out, {.transpose_b = back ? Transpose::yes : Transpose::no});
    else
        gemm(graph, basis, x, {}, out, {.transpose_a = back ? Transpose::no : Transpose::yes});
}

}  // namespace

Conda::Conda(const Device& device, const CondaOptions& options)
    : Optimizer(device, "conda"), options_(options) {
    const CondaOptions& o = options;
    check_rate_and_decay("Conda", o.lr, o.weight_decay);
    check_option("Conda", "beta1", o.beta1, o.beta1 >= 0 && o.beta1 < 1, "in [0, 1)");
    check_option("Conda", "beta2", o.beta2, o.beta2 >= 0 && o.beta2 < 1, "in [0, 1)");
    check_option("Conda", "eps", o.eps, o.eps >= 0, "finite and not below 0");
    check_option("Conda", "gap", o.gap, o.gap <= 0x80000000u, "at most 2^31");
    check_option("Conda", "stagger", o.stagger, o.stagger >= 1 && o.stagger <= std::max(o.gap, 1u),
                 "between 1 and gap");
    check_option("Conda", "scale", o.scale, o.scale >= 0, "finite and not below 0");
    check_enum("Conda", "side", o.side, CondaSide::longer);
    check_moments("Conda", o.moments, MomentFormat::bf16);
}

void Conda::check(const Parameter& parameter) const {
    if (options_.gap == 0 || is_vector(parameter)) return;
    const std::vector<MatrixBlock> blocks = matrix_blocks("Conda", parameter, ShapeFactor::none);
    for (const MatrixBatch& batch : matrix_batches(blocks))
        if (batch.short_side() > kMaxShortSide)
            refuse("Conda: parameter " + in_quotes(parameter.name) + " has a matrix of " +
                   std::to_string(batch.rows) + "x" + std::to_string(batch.cols) +
                   "; its shorter side may be at most " + std::to_string(kMaxShortSide) +
                   ", give it to AdamW");
}

std::string Conda::options_text() const {
    return "conda beta1=" + number_text(options_.beta1) + " beta2=" + number_text(options_.beta2) +
           " eps=" + number_text(options_.eps) + " weight_decay=" + number_text(options_.weight_decay) +
           " gap=" + std::to_string(options_.gap) + " stagger=" + std::to_string(options_.stagger) +
           " scale=" + number_text(options_.scale) +
           " side=" + std::to_string(static_cast<int>(options_.side)) +
           // Nothing where it is on: checkpoints from before there was a choice stay good.
           (options_.bias_correction ? "" : " bias_correction=0") + moments_text(options_.moments);
}

// gpu::AdamWHyper
std::vector<HyperValue> Conda::hyper() const {
    return adamw_hyper({.lr = options_.lr,
                        .beta1 = options_.beta1,
                        .beta2 = options_.beta2,
                        .eps = options_.eps,
                        .weight_decay = options_.weight_decay,
                        .bias_correction = options_.bias_correction,
                        .eps_on_uncorrected = true,
                        .schedule = options_.schedule});
}

void Conda::build(StepBuilder& step) const {
    Graph& graph = step.graph();
    std::uint32_t turn = 0;
    for (const StepBuilder::Item& item : step.items()) {
        if (options_.gap == 0 || is_vector(*item.parameter)) {
            graph.set_stage("conda adam");
            add_adamw(step, item, gpu::ADAMW_DECAY_AFTER, false, options_.moments);
            continue;
        }
        const std::vector<MatrixBatch> batches =
            matrix_batches(matrix_blocks("Conda", *item.parameter, ShapeFactor::none));
        const bool longer = options_.side == CondaSide::longer;
        const auto side_of = [&](const MatrixBatch& batch) {
            return longer ? batch.long_side() : batch.short_side();
        };
        std::uint64_t basis_count = 0, moment_count = 0;
        for (const MatrixBatch& batch : batches) {
            basis_count += batch.items * side_of(batch) * batch.short_side();
            moment_count += batch.items * batch.short_side() * batch.short_side();
        }
        const DType dtype = moment_dtype(options_.moments);
        const Tensor m = step.state(item, "m", dtype, item.weight.shape);
        const Tensor v = step.state(item, "v", dtype, longer ? Shape{moment_count} : item.weight.shape);
        const Tensor bases = step.state(item, "basis", DType::f32, Shape{basis_count});
        const std::uint64_t phase =
            std::uint64_t{options_.gap} * (turn++ % options_.stagger) / options_.stagger;

        std::uint64_t first_of_basis = 0, first_of_v = 0;
        for (const MatrixBatch& batch : batches) {
            const std::uint64_t k = batch.short_side();
            const bool right = batch.tall() != longer;
            const Tensor basis = part_of(bases, first_of_basis, Shape{batch.items, side_of(batch), k});
            first_of_basis += basis.shape.count();
            graph.set_stage("conda momentum");
            const auto [gradient, moment] = add_gradient_average(step, item, batch, m);
            graph.set_stage("conda basis");
            graph.set_section({options_.gap, static_cast<std::uint32_t>(phase), phase != 0});
            const Tensor values = graph.temporary(DType::f32, Shape{batch.items, k});
            svd(graph, moment, right ? Tensor() : basis, values, right ? basis : Tensor());
            graph.set_section({});
            graph.set_stage("conda project");
            const Shape projected =
                right ? Shape{batch.items, batch.rows, k} : Shape{batch.items, k, batch.cols};
            const Tensor direction = graph.temporary(DType::f32, projected);
            const Tensor moment_in_basis = graph.temporary(DType::f32, projected);
            project(graph, right, gradient, basis, direction, false);
            project(graph, right, moment, basis, moment_in_basis, false);
            graph.set_stage("conda adam");
            add_subspace_adam(
                step, item, direction,
                {.m = moment_in_basis, .update = false, .v = v, .first = first_of_v, .since = {}}, direction);
            first_of_v += projected.count();
            graph.set_stage("conda project");
            project(graph, right, direction, basis, gradient, true);
            graph.set_stage("conda update");
            MatrixBlock scaled = batch.stacked();
            scaled.shape_factor = static_cast<double>(options_.scale);
            add_matrix_update(step, item, scaled, gradient, DecayForm::after);
        }
    }
}

}  // namespace heron
