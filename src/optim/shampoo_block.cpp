// SPDX-License-Identifier: MIT
// A block of one or two axes is a matrix, a view of the whole. One of more is unfolded along an axis, d x
// (the rest, axes in cyclic order): X^T R is then the product with R on that axis, unfolded along the next.
#include "optim/shampoo_block.hpp"

#include <cstddef>
#include <span>

#include "heron/linalg/reduce.hpp"
#include "optim/box_copy.hpp"

namespace heron {

namespace {

bool is_matrix(const ShampooBlock& block) { return block.merged.rank() <= 2; }
bool is_whole(const ShampooBlock& block) { return block.box.extents == block.merged; }

Tensor matrix_of(const ShampooBlock& block, const Tensor& whole) {
    const bool vector = block.merged.rank() == 1;
    const std::size_t last = vector ? 0 : 1;
    const std::uint64_t cols = block.merged[last];
    Tensor matrix = whole.reshape(Shape{vector ? 1 : block.merged[0], cols});
    if (is_whole(block)) return matrix;
    matrix.byte_offset +=
        ((vector ? 0 : block.box.first[0] * cols) + block.box.first[last]) * bytes_of(whole.dtype);
    matrix.shape = Shape{vector ? 1 : block.box.extents[0], block.box.extents[last]};
    matrix.row_stride = cols;
    return matrix;
}

BoxPlace place_of(const ShampooBlock& block, const Tensor& whole) {
    BoxPlace place{whole, 0, strides_of(block.merged)};
    for (std::size_t a = 0; a < block.merged.rank(); ++a)
        place.first += block.box.first[a] * place.strides[a];
    return place;
}

Shape cyclic(const Shape& shape, std::size_t first) {
    std::vector<std::uint64_t> extents;
    for (std::size_t a = 0; a < shape.rank(); ++a) extents.push_back(shape[(first + a) % shape.rank()]);
    return Shape(std::span<const std::uint64_t>(extents));
}

Tensor unfolded(Graph& graph, const ShampooBlock& block, const Tensor& whole, std::size_t axis) {
    const Shape& extents = block.box.extents;
    const std::size_t order = extents.rank();
    const Shape matrix{extents[axis], extents.count() / extents[axis]};
    if (axis == 0 && is_whole(block)) return whole.reshape(matrix);
    const Tensor result = graph.temporary(DType::f32, matrix);
    const BoxPlace whole_place = place_of(block, whole);
    BoxPlace from = whole_place;
    for (std::size_t a = 0; a < order; ++a) from.strides[a] = whole_place.strides[(axis + a) % order];
    const Shape turned = cyclic(extents, axis);
    box_copy(graph, turned, from, {result, 0, strides_of(turned)});
    return result;
}

// Of a block unfolded along an axis of `extent`: multiplied by that axis's root, unfolded along the next one.
Tensor multiply(Graph& graph, const Tensor& x, const KroneckerFactor& factor, std::uint64_t next,
                Transpose transpose) {
    const Tensor result = graph.temporary(DType::f32, Shape{x.cols(), x.rows()});
    if (factor) {
        gemm(graph, x, factor.whitener, {}, result,
             {.transpose_a = Transpose::yes, .transpose_b = transpose});
    } else {
        BoxPlace to{result, 0, {}};
        to.strides[0] = 1;
        to.strides[1] = x.rows();
        box_copy(graph, x.shape, {x, 0, strides_of(x.shape)}, to);
    }
    return result.reshape(Shape{next, x.shape.count() / next});
}

// Multiplied by the roots of `count` axes from `axis` on, unfolded along the axis after them.
Tensor multiply_axes(Graph& graph, const ShampooBlock& block, Tensor x, std::size_t axis, std::size_t count,
                     Transpose transpose = Transpose::no) {
    const std::size_t order = block.factors.size();
    for (std::size_t a = 0; a < count; ++a, axis = (axis + 1) % order)
        x = multiply(graph, x, block.factors[axis], block.box.extents[(axis + 1) % order], transpose);
    return x;
}

void add_statistic_of(Graph& graph, const KroneckerFactor& factor, const Tensor& x, Transpose transpose,
                      const FactorSum& sum) {
    const Tensor statistic = graph.temporary(DType::f32, factor.average.shape);
    syrk(graph, x, {}, statistic, {.transpose_a = transpose});
    add_statistic(graph, factor, statistic, sum);
}

}  // namespace

void add_statistics(Graph& graph, const ShampooBlock& block, const Tensor& whole, bool whitened,
                    const FactorSum& sum) {
    const std::size_t order = block.factors.size();
    if (is_matrix(block)) {
        const Tensor x = matrix_of(block, whole);
        const KroneckerFactor rows = order == 2 ? block.factors[0] : KroneckerFactor();
        const KroneckerFactor& cols = block.factors.back();
        const auto seen = [&](const KroneckerFactor& p, const KroneckerFactor& q) {
            return whitened ? whiten(graph, p, x, q, WhitenerForm::symmetric) : x;
        };
        if (rows) add_statistic_of(graph, rows, seen({}, cols), Transpose::no, sum);
        if (cols) add_statistic_of(graph, cols, seen(rows, {}), Transpose::yes, sum);
        return;
    }
    for (std::size_t axis = 0; axis < order; ++axis) {
        if (!block.factors[axis]) continue;
        const std::size_t next = (axis + 1) % order;
        const Tensor x =
            whitened ? multiply_axes(graph, block, unfolded(graph, block, whole, next), next, order - 1)
                     : unfolded(graph, block, whole, axis);
        add_statistic_of(graph, block.factors[axis], x, Transpose::no, sum);
    }
}

Tensor precondition(Graph& graph, const ShampooBlock& block, const Tensor& whole) {
    if (!is_matrix(block))
        return multiply_axes(graph, block, unfolded(graph, block, whole, 0), 0, block.factors.size());
    const Tensor x = matrix_of(block, whole);
    const KroneckerFactor rows = block.factors.size() == 2 ? block.factors[0] : KroneckerFactor();
    const KroneckerFactor& cols = block.factors.back();
    if (rows || cols) return whiten(graph, rows, x, cols, WhitenerForm::symmetric);
    const Tensor copy = graph.temporary(DType::f32, x.shape);
    convert(graph, x, copy);
    return copy;
}

Tensor rotate_back(Graph& graph, const ShampooBlock& block, const Tensor& x) {
    if (!is_matrix(block)) return multiply_axes(graph, block, x, 0, block.factors.size(), Transpose::yes);
    const KroneckerFactor rows = block.factors.size() == 2 ? block.factors[0] : KroneckerFactor();
    return map_back(graph, rows, x, block.factors.back(), WhitenerForm::symmetric);
}

Tensor block_norm(Graph& graph, const ShampooBlock& block, const Tensor& whole) {
    const Tensor norm = graph.temporary(DType::f32, Shape{1});
    frobenius_norm(graph, is_matrix(block) ? matrix_of(block, whole) : unfolded(graph, block, whole, 0),
                   norm);
    return norm;
}

void put_block(Graph& graph, const ShampooBlock& block, const Tensor& values, const Tensor& whole) {
    if (is_matrix(block))
        convert(graph, values, matrix_of(block, whole));
    else
        box_copy(graph, block.box.extents, {values, 0, strides_of(block.box.extents)},
                 place_of(block, whole));
}

}  // namespace heron
