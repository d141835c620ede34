// SPDX-License-Identifier: MIT
// Trion's recipe, per batch of equal matrices of each parameter:
//
//   M + G  |  transform  |  norms  |  top r  |  select, basis  |  polar; M - (1 - mu) s P^T  |  back  |
//   update
#include "heron/optim/trion.hpp"

#include "optim/checks.hpp"
#include "optim/dct_subspace.hpp"
#include "optim/matrix_update.hpp"
#include "optim/momentum_polar.hpp"

namespace heron {

Trion::Trion(const Device& device, const TrionOptions& options)
    : Optimizer(device, "trion"), options_(options) {
    const TrionOptions& o = options;
    check_option("Trion", "rank", o.rank, o.rank >= 1, "at least 1");
    check_rate_and_decay("Trion", o.lr, o.weight_decay);
    check_option("Trion", "momentum", o.momentum, o.momentum >= 0 && o.momentum < 1, "in [0, 1)");
    check_enum("Trion", "shape_factor", o.shape_factor, ShapeFactor::spectral);
    check_orthogonalizer("Trion", o.polar);
}

void Trion::check(const Parameter& parameter) const {
    for (const MatrixBatch& batch : matrix_batches(matrix_blocks("Trion", parameter, options_.shape_factor)))
        check_dct_side("Trion", device(), parameter, batch);
}

std::string Trion::options_text() const {
    return "trion rank=" + std::to_string(options_.rank) + " momentum=" + number_text(options_.momentum) +
           " weight_decay=" + number_text(options_.weight_decay) +
           " shape_factor=" + std::to_string(static_cast<int>(options_.shape_factor)) +
           orthogonalizer_text(options_.polar);
}

// gpu::MuonHyper
std::vector<HyperValue> Trion::hyper() const {
    return {HyperValue::lr(options_.lr, options_.schedule), HyperValue::constant(options_.momentum),
            HyperValue::constant(1.0), HyperValue::constant(options_.weight_decay)};
}

void Trion::build(StepBuilder& step) const {
    Graph& graph = step.graph();
    for (const StepBuilder::Item& item : step.items()) {
        const std::vector<MatrixBatch> batches =
            matrix_batches(matrix_blocks("Trion", *item.parameter, options_.shape_factor));
        const Tensor momentum = step.state(item, "momentum", DType::f32, item.weight.shape);
        const Tensor all_indices =
            step.state(item, "indices", DType::u32, Shape{slot_count(batches, options_.rank)});
        std::uint64_t first_slot = 0;
        for (const MatrixBatch& batch : batches) {
            const DctSubspace subspace(graph, batch, options_.rank, batch.tall());
            const Tensor m = part_of(momentum, batch.first, batch.shape());
            const Tensor indices = part_of(all_indices, first_slot, Shape{batch.items, subspace.rank()});
            first_slot += indices.shape.count();

            graph.set_stage("trion momentum");
            add_gradient_sum(step, item, batch, momentum);
            graph.set_stage("trion transform");
            const Tensor coefficients = subspace.coefficients(m);
            graph.set_stage("trion select");
            subspace.choose(coefficients, 1.0f, indices);
            const Tensor selected = subspace.select(coefficients, indices);
            const Tensor basis = subspace.basis(indices);
            graph.set_stage("trion feedback");
            subspace.expand(selected, basis, m, static_cast<float>(options_.momentum - 1.0), 1.0f);
            graph.set_stage("trion polar");
            const Tensor factor = graph.temporary(DType::f32, selected.shape);
            polar(graph, selected, factor, options_.polar);
            graph.set_stage("trion update");
            const Tensor direction = graph.temporary(DType::f32, batch.shape());
            subspace.expand(factor, basis, direction, 1.0f, 0.0f);
            add_matrix_update(step, item, batch.stacked(), direction, DecayForm::decoupled);
        }
    }
}

}  // namespace heron
