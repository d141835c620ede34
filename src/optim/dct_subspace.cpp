// SPDX-License-Identifier: MIT
#include "optim/dct_subspace.hpp"

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <numbers>
#include <string>

#include "heron/linalg/dct.hpp"
#include "heron/linalg/norms.hpp"
#include "heron/linalg/product.hpp"
#include "heron/linalg/select.hpp"
#include "heron/spirv/basis_slots.hpp"
#include "optim/checks.hpp"
#include "optim/subspace.h"

namespace heron {

namespace {

static_assert(sizeof(gpu::BasisSlotsJob) == 40);
constexpr std::uint64_t kMaxVectors = 32 * gpu::BASIS_WORDS;  // of a basis, a bit each
constexpr KernelInfo kBasisSlots = make_kernel<gpu::BasisSlotsJob>("basis_slots", spirv::basis_slots);

}  // namespace

DctSubspace::DctSubspace(Graph& graph, const MatrixBatch& batch, std::uint64_t rank, bool inverse)
    : graph_(graph), batch_(batch), rank_(std::min(rank, batch.short_side())), inverse_(inverse) {}

Shape DctSubspace::selected_shape() const {
    return batch_.tall() ? Shape{batch_.items, batch_.rows, rank_} : Shape{batch_.items, rank_, batch_.cols};
}

Tensor DctSubspace::coefficients(const Tensor& x) const {
    const Tensor result = graph_.temporary(DType::f32, batch_.shape());
    dct(graph_, x, result, {.axis = batch_.tall() ? DctAxis::rows : DctAxis::columns, .inverse = inverse_});
    return result;
}

void DctSubspace::choose(const Tensor& coefficients, float exponent, const Tensor& indices,
                         const Tensor& weights) const {
    const Tensor scores = graph_.temporary(DType::f32, Shape{batch_.items, batch_.short_side()});
    if (batch_.tall())
        column_power_norms(graph_, coefficients, scores, exponent);
    else
        row_power_norms(graph_, coefficients, scores, exponent);
    if (weights) scale_columns(graph_, scores, weights, scores);
    top_k(graph_, scores, indices);
}

std::vector<float> DctSubspace::vector_norms(float exponent) const {
    const std::uint64_t k = batch_.short_side();
    const bool largest = std::isinf(exponent);
    const double p = largest ? 1.0 : static_cast<double>(exponent);
    // |cos(pi a / (2 k))|^p, a below 2 k: the period of an element's size.
    std::vector<double> powers(2 * k);
    for (std::uint64_t a = 0; a < 2 * k; ++a)
        powers[a] = std::pow(
            std::abs(std::cos(std::numbers::pi * static_cast<double>(a) / static_cast<double>(2 * k))), p);
    const double of_first = std::pow(1.0 / static_cast<double>(k), p / 2),
                 of_others = std::pow(2.0 / static_cast<double>(k), p / 2);  // rows of Q
    std::vector<float> norms(k);
    for (std::uint64_t vector = 0; vector < k; ++vector) {
        double sum = 0;
        for (std::uint64_t element = 0; element < k; ++element) {
            // Element (row, column) of Q.
            const std::uint64_t row = inverse_ ? element : vector, column = inverse_ ? vector : element;
            const double x = (row == 0 ? of_first : of_others) * powers[row * (2 * column + 1) % (2 * k)];
            sum = largest ? std::max(sum, x) : sum + x;
        }
        norms[vector] = static_cast<float>(std::pow(sum, 1 / p));
    }
    return norms;
}

Tensor DctSubspace::select(const Tensor& coefficients, const Tensor& indices) const {
    const Tensor result = graph_.temporary(DType::f32, selected_shape());
    if (batch_.tall())
        gather_columns(graph_, coefficients, indices, result);
    else
        gather_rows(graph_, coefficients, indices, result);
    return result;
}

Tensor DctSubspace::basis(const Tensor& indices) const {
    const Tensor result = graph_.temporary(DType::f32, Shape{batch_.items, rank_, batch_.short_side()});
    dct_basis(graph_, indices, result, inverse_);
    return result;
}

Tensor DctSubspace::project(const Tensor& x, const Tensor& basis) const {
    const Tensor result = graph_.temporary(DType::f32, selected_shape());
    if (batch_.tall())
        gemm(graph_, x, basis, {}, result, {.transpose_b = Transpose::yes});
    else
        gemm(graph_, basis, x, {}, result);
    return result;
}

void DctSubspace::expand(const Tensor& selected, const Tensor& basis, const Tensor& out, float alpha,
                         float beta) const {
    const Tensor c = beta == 0 ? Tensor() : out;
    if (batch_.tall())
        gemm(graph_, selected, basis, c, out, {.alpha = alpha, .beta = beta});
    else
        gemm(graph_, basis, selected, c, out, {.transpose_a = Transpose::yes, .alpha = alpha, .beta = beta});
}

std::uint64_t slot_count(std::span<const MatrixBatch> batches, std::uint64_t rank) {
    std::uint64_t count = 0;
    for (const MatrixBatch& batch : batches) count += batch.items * std::min(rank, batch.short_side());
    return count;
}

void add_basis_slots(StepBuilder& step, const Tensor& chosen, const Tensor& indices, const Tensor& since,
                     std::uint64_t vectors) {
    using Job = gpu::BasisSlotsJob;
    Job job{};
    job.slots = static_cast<std::uint32_t>(chosen.cols());
    job.vectors = static_cast<std::uint32_t>(vectors);
    Operation operation = make_operation(kBasisSlots, job,
                                         {{offsetof(Job, chosen), chosen, Access::read},
                                          {offsetof(Job, indices), indices, Access::read_write},
                                          {offsetof(Job, since), since, Access::write}},
                                         chosen.rows());
    const Capabilities& capabilities = step.device().capabilities();
    operation.constants = {{gpu::SPEC_THREADS, threads_of(capabilities, capabilities.cpu ? 8 : 128)}};
    operation.reason = "one workgroup a matrix";
    operation.bytes = 16.0 * static_cast<double>(chosen.shape.count());
    step.graph().add(std::move(operation));
}

void check_dct_side(std::string_view optimizer, const Device& device, const Parameter& parameter,
                    const MatrixBatch& batch) {
    const std::uint64_t k = batch.short_side();
    if (!dct_takes(device, k) || k > kMaxVectors)
        refuse(std::string(optimizer) + ": parameter " + in_quotes(parameter.name) + " has a matrix of " +
               std::to_string(batch.rows) + "x" + std::to_string(batch.cols) + "; its shorter side, " +
               std::to_string(k) + ", must be at most " + std::to_string(kMaxVectors) + ": give it to AdamW");
}

}  // namespace heron
