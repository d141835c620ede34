// SPDX-License-Identifier: MIT
#include "optim/natural_window.hpp"

namespace heron {

NaturalWindow::NaturalWindow(StepBuilder& step, const StepBuilder::Item& item,
                             const NaturalWindowOptions& options, const std::vector<Shape>& shapes)
    : graph_(step.graph()), options_(options) {
    std::vector<Shape> rows, grams, exponents, slots, reports, counts;
    const std::uint64_t s = options.history;
    for (const Shape& shape : shapes) {
        rows.push_back(Shape{shape[0], s, shape[1] * shape[2]});
        grams.push_back(Shape{shape[0], s, s});
        exponents.push_back(Shape{shape[0], s});
        slots.push_back(Shape{1});
        reports.push_back(Shape{shape[0]});
        counts.push_back(Shape{shape[0], WindowFactor::kCounts});
    }
    rows_ = LowRankState(step, item, "history", rows, options.dtype);
    gram_ = LowRankState(step, item, "gram", grams);
    exponents_ = LowRankState(step, item, "exponents", exponents, DType::u32);
    slot_ = LowRankState(step, item, "slot", slots, DType::u32);
    status_ = LowRankState(step, item, "status", reports, DType::u32);
    damping_ = LowRankState(step, item, "damping", reports);
    if (!options.keep_factor) return;
    factor_ = LowRankState(step, item, "factor", grams);
    system_ = LowRankState(step, item, "system", grams);
    factor_counts_ = LowRankState(step, item, "factor_counts", counts, DType::u32);
}

Tensor NaturalWindow::transform(std::size_t batch, const Tensor& low) {
    const Window window{rows_.part(batch), gram_.part(batch), exponents_.part(batch),
                        options_.dtype != DType::f32};
    const Tensor newest = graph_.temporary(DType::f32, Shape{low.batch(), options_.history});
    window_push(graph_, window, low, slot_.part(batch), {.newest = newest});
    const Tensor result = graph_.temporary(DType::f32, low.shape);
    WindowFactor kept;
    if (factor_) kept = {factor_.part(batch), system_.part(batch), factor_counts_.part(batch)};
    woodbury_range(graph_, window, newest, result,
                   {.lambda = options_.lambda,
                    .status = status_.part(batch),
                    .damping = damping_.part(batch),
                    .kept = kept});
    return result;
}

}  // namespace heron
