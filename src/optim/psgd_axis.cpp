// SPDX-License-Identifier: MIT
// Factors that are diagonals go through shaders/optim/psgd_scale.comp, matrices through linalg's products.
#include "optim/psgd_axis.hpp"

#include <cstddef>

#include "heron/linalg/norms.hpp"
#include "heron/linalg/triangular.hpp"
#include "heron/spirv/psgd_scale.hpp"
#include "linalg/integers.hpp"
#include "optim/box_copy.hpp"
#include "optim/psgd_step.hpp"

namespace heron {

namespace {

static_assert(sizeof(gpu::PsgdScaleJob) == 48);

constexpr KernelInfo kScale = make_kernel<gpu::PsgdScaleJob>("psgd_scale", spirv::psgd_scale);

// The tensor as gemm() sees it.
Tensor along(const PsgdFactor& factor, const Tensor& x) {
    if (factor.outer == 1) return x.reshape(Shape{factor.extent, factor.inner});
    if (factor.inner == 1) return x.reshape(Shape{factor.outer, factor.extent});
    return x.reshape(Shape{factor.outer, factor.extent, factor.inner});
}
bool is_last(const PsgdFactor& factor) { return factor.inner == 1 && factor.outer != 1; }

}  // namespace

Tensor psgd_scale(Graph& graph, const PsgdFactor& factor, const Tensor& x, std::uint32_t flags) {
    using Job = gpu::PsgdScaleJob;
    const std::uint64_t count = factor.count();
    const Tensor result = graph.temporary(DType::f32, Shape{count});
    const ElementGrid grid = psgd_grid(graph.device(), count, 4);
    Job job{};
    job.count = narrow(count);
    job.extent = narrow(factor.extent);
    job.inner = narrow(factor.inner);
    job.rounds = grid.rounds;
    job.flags = flags;
    add_psgd(graph, kScale, job,
             {{offsetof(Job, x), x, Access::read},
              {offsetof(Job, q), factor.q, Access::read},
              {offsetof(Job, to), result, Access::write}},
             grid.groups, grid.threads, 2.0 * static_cast<double>(count), 8.0 * static_cast<double>(count));
    return result;
}

Tensor psgd_multiply(Graph& graph, const PsgdFactor& factor, const Tensor& x, Transpose transpose) {
    const Tensor from = along(factor, x), result = graph.temporary(DType::f32, from.shape);
    if (is_last(factor))
        gemm(graph, from, factor.q, {}, result,
             {.transpose_b = transpose == Transpose::yes ? Transpose::no : Transpose::yes});
    else
        gemm(graph, factor.q, from, {}, result, {.transpose_a = transpose});
    return result.reshape(Shape{factor.count()});
}

Tensor psgd_multiply_once(Graph& graph, const PsgdFactor& factor, const Tensor& x) {
    return factor.dense ? psgd_multiply(graph, factor, x, Transpose::no) : psgd_scale(graph, factor, x, 0);
}

Tensor psgd_solve(Graph& graph, const PsgdFactor& factor, const Tensor& x) {
    if (!factor.dense) return psgd_scale(graph, factor, x, gpu::PSGD_INVERSE);
    const Tensor from = along(factor, x), result = graph.temporary(DType::f32, from.shape);
    const bool last = is_last(factor);
    triangular_solve(graph, factor.q, from, result,
                     {.triangle = Triangle::upper,
                      .transpose = last ? Transpose::no : Transpose::yes,
                      .side = last ? Side::right : Side::left});
    return result.reshape(Shape{factor.count()});
}

Tensor psgd_gram(Graph& graph, const PsgdFactor& factor, const Tensor& x) {
    Tensor from = along(factor, x);
    if (from.shape.rank() == 3) {
        const Tensor unfolded =
            graph.temporary(DType::f32, Shape{factor.extent, factor.outer * factor.inner});
        const Shape turned{factor.extent, factor.outer, factor.inner};
        BoxPlace place{x.reshape(Shape{factor.count()}), 0, {}};
        place.strides[0] = factor.inner;
        place.strides[1] = factor.extent * factor.inner;
        place.strides[2] = 1;
        box_copy(graph, turned, place, {unfolded, 0, strides_of(turned)});
        from = unfolded;
    }
    const Tensor result = graph.temporary(
        DType::f32, factor.dense ? Shape{factor.extent, factor.extent} : Shape{factor.extent});
    if (factor.dense)
        syrk(graph, from, {}, result, {.transpose_a = is_last(factor) ? Transpose::yes : Transpose::no});
    else if (is_last(factor))
        column_norms(graph, from, result, NormKind::squared);
    else
        row_norms(graph, from, result, NormKind::squared);
    return result;
}

}  // namespace heron
