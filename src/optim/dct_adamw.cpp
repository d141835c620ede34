// SPDX-License-Identifier: MIT
// DCT-AdamW's recipe, per batch of equal matrices of each parameter:
//
//   A  |  transform  |  norms  |  top r  |  slots  |  a, basis  |  E - a P^T; moments  |  back, codes of E  |
//   update
//
// from the transform to the slots in a section of its own where gap > 1.
#include "heron/optim/dct_adamw.hpp"

#include <algorithm>
#include <map>
#include <span>

#include "optim/adamw.hpp"
#include "optim/checks.hpp"
#include "optim/dct_subspace.hpp"
#include "optim/matrix_update.hpp"
#include "optim/row_codes.hpp"

namespace heron {

namespace {

std::vector<MatrixBatch> batches_of(const Parameter& parameter) {
    return matrix_batches(matrix_blocks("DctAdamW", parameter, ShapeFactor::none));
}

// What the r coefficients of all lines take.
Shape moment_shape(const std::vector<MatrixBatch>& batches, std::uint64_t rank) {
    if (batches.size() == 1 && batches[0].items == 1) {
        const std::uint64_t r = std::min(rank, batches[0].short_side());
        return batches[0].tall() ? Shape{batches[0].rows, r} : Shape{r, batches[0].cols};
    }
    std::uint64_t count = 0;
    for (const MatrixBatch& batch : batches)
        count += batch.items * batch.long_side() * std::min(rank, batch.short_side());
    return Shape{count};
}

}  // namespace

DctAdamW::DctAdamW(const Device& device, const DctAdamWOptions& options)
    : Optimizer(device, "dct_adamw"), options_(options) {
    const DctAdamWOptions& o = options;
    check_option("DctAdamW", "rank", o.rank, o.rank >= 1, "at least 1");
    check_rate_and_decay("DctAdamW", o.lr, o.weight_decay);
    check_option("DctAdamW", "beta1", o.beta1, o.beta1 >= 0 && o.beta1 < 1, "in [0, 1)");
    check_option("DctAdamW", "beta2", o.beta2, o.beta2 >= 0 && o.beta2 < 1, "in [0, 1)");
    check_option("DctAdamW", "eps", o.eps, o.eps >= 0, "finite and not below 0");
    check_option("DctAdamW", "gap", o.gap, o.gap >= 1 && o.gap <= 0x80000000u, "between 1 and 2^31");
    check_enum("DctAdamW", "vectors", o.vectors, DctVectors::rows);
    if (!(o.norm > 0)) refuse("DctAdamW: norm is " + number_text(o.norm) + ", must be above 0, or infinity");
    check_option("DctAdamW", "error_bits", o.error_bits,
                 o.error_bits == 32 || (o.error_feedback && (o.error_bits == 4 || o.error_bits == 8)),
                 "32, or with error_feedback 4 or 8");
}

bool DctAdamW::projects(const Parameter& parameter) const {
    const Shape& shape = parameter.weight.shape;
    return shape.rank() >= 2 && std::all_of(shape.begin(), shape.end(), [this](std::uint64_t extent) {
               return extent < options_.max_side;
           });
}

void DctAdamW::check(const Parameter& parameter) const {
    if (!projects(parameter)) return;
    for (const MatrixBatch& batch : batches_of(parameter)) {
        check_dct_side("DctAdamW", device(), parameter, batch);
        if (options_.error_bits < 32) check_row_codes("DctAdamW", parameter, batch);
    }
}

std::string DctAdamW::options_text() const {
    return "dct_adamw rank=" + std::to_string(options_.rank) + " beta1=" + number_text(options_.beta1) +
           " beta2=" + number_text(options_.beta2) + " eps=" + number_text(options_.eps) +
           " weight_decay=" + number_text(options_.weight_decay) + " gap=" + std::to_string(options_.gap) +
           " rotate=" + std::to_string(options_.rotate) +
           " error_feedback=" + std::to_string(options_.error_feedback) +
           " vectors=" + std::to_string(static_cast<int>(options_.vectors)) +
           " ell_norm=" + number_text(options_.norm) +
           " weighted_norms=" + std::to_string(options_.weighted_norms) +
           " error_bits=" + std::to_string(options_.error_bits) +
           " max_side=" + std::to_string(options_.max_side);
}

// gpu::AdamWHyper
std::vector<HyperValue> DctAdamW::hyper() const {
    return adamw_hyper({.lr = options_.lr,
                        .beta1 = options_.beta1,
                        .beta2 = options_.beta2,
                        .eps = options_.eps,
                        .weight_decay = options_.weight_decay,
                        .schedule = options_.schedule});
}

void DctAdamW::build(StepBuilder& step) const {
    Graph& graph = step.graph();
    const Section choice{options_.gap, options_.gap - 1, options_.gap > 1};
    const bool coded = options_.error_bits < 32;
    std::map<std::uint64_t, Tensor> norms;  // of the vectors, by their length
    for (const StepBuilder::Item& item : step.items()) {
        if (!projects(*item.parameter)) {
            graph.set_stage("dct_adamw adam");
            add_adamw(step, item);
            continue;
        }
        const std::vector<MatrixBatch> batches = batches_of(*item.parameter);
        const Shape slots{slot_count(batches, options_.rank)};
        const Shape moments = moment_shape(batches, options_.rank);
        const Tensor m = step.state(item, "m", DType::f32, moments);
        const Tensor v = step.state(item, "v", DType::f32, moments);
        const Tensor all_indices = step.state(item, "indices", DType::u32, slots);
        const Tensor all_since = options_.rotate ? step.state(item, "since", DType::u32, slots) : Tensor();
        const Tensor error = options_.error_feedback && !coded
                                 ? step.state(item, "error", DType::f32, item.weight.shape)
                                 : Tensor();
        RowCodes codes;
        if (coded) codes = make_row_codes(step, item, "error", batches, options_.error_bits);
        std::uint64_t first_slot = 0, first_moment = 0;
        for (const MatrixBatch& batch : batches) {
            const DctSubspace subspace(graph, batch, options_.rank, options_.vectors == DctVectors::columns);
            const Shape of_slots{batch.items, subspace.rank()};
            const Tensor indices = part_of(all_indices, first_slot, of_slots);
            const Tensor since = all_since ? part_of(all_since, first_slot, of_slots) : Tensor();
            first_slot += of_slots.count();
            const RowCodes batch_codes = coded ? codes.take(batch) : RowCodes();

            graph.set_stage("dct_adamw gradient");
            Tensor a;  // A
            if (error) {
                add_gradient_sum(step, item, batch, error);
                a = part_of(error, batch.first, batch.shape());
            } else {
                a = coded ? add_coded_gradient(step, item, batch, batch_codes)
                          : add_gradient_copy(step, item, batch);
            }
            graph.set_stage("dct_adamw choose");
            graph.set_section(choice);
            const Tensor coefficients = subspace.coefficients(a);
            const Tensor chosen = graph.temporary(DType::u32, of_slots);
            Tensor weights;
            if (options_.weighted_norms && options_.norm != 2) {
                weights = norms[batch.short_side()];
                if (!weights) {
                    const std::vector<float> values = subspace.vector_norms(options_.norm);
                    weights = graph.table(std::as_bytes(std::span(values)));
                    weights.dtype = DType::f32;
                    weights.shape = Shape{values.size()};
                    weights.row_stride = 0;
                    norms[batch.short_side()] = weights;
                }
            }
            subspace.choose(coefficients, options_.norm, chosen, weights);
            add_basis_slots(step, chosen, indices, since ? since : graph.temporary(DType::u32, of_slots),
                            batch.short_side());
            graph.set_section({});
            graph.set_stage("dct_adamw project");
            const Tensor basis = subspace.basis(indices);
            const Tensor selected =
                options_.gap == 1 ? subspace.select(coefficients, indices) : subspace.project(a, basis);
            if (options_.error_feedback) {
                graph.set_stage("dct_adamw feedback");
                subspace.expand(selected, basis, a, -1.0f, 1.0f);
                if (coded) add_row_codes(step, a, batch_codes);
            }
            graph.set_stage("dct_adamw adam");
            const Tensor direction = graph.temporary(DType::f32, selected.shape);
            add_subspace_adam(
                step, item, selected,
                {.m = m, .v = v, .first = first_moment, .since = since, .slots_are_columns = batch.tall()},
                direction);
            first_moment += selected.shape.count();
            graph.set_stage("dct_adamw update");
            const Tensor update = graph.temporary(DType::f32, batch.shape());
            subspace.expand(direction, basis, update, 1.0f, 0.0f);
            add_matrix_update(step, item, batch.stacked(), update, DecayForm::decoupled);
        }
    }
}

}  // namespace heron
