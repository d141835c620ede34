// SPDX-License-Identifier: MIT
// What the functions of heron/curvature.hpp share: checks, and parts of batches.
#pragma once

#include <cmath>
#include <cstdint>
#include <span>
#include <string>
#include <string_view>

#include "core/number_text.hpp"
#include "heron/curvature.hpp"
#include "linalg/checks.hpp"

namespace heron {

// Of a batch, or of one matrix.
inline Tensor matrix_of(const Tensor& t, std::uint64_t group) {
    return t.shape.rank() == 2 ? t : t.batch_item(group);
}
// The part of `count` elements that belongs to a group.
inline Tensor part_of(Tensor t, std::uint64_t group, std::uint64_t count) {
    t.byte_offset += group * count * bytes_of(t.dtype);
    t.shape = Shape{count};
    t.row_stride = 0;
    return t;
}
inline Shape matrices(std::uint64_t groups, std::uint64_t rows, std::uint64_t cols) {
    return groups == 1 ? Shape{rows, cols} : Shape{groups, rows, cols};
}

inline Tensor constant_floats(Graph& graph, std::span<const float> values) {
    Tensor table = graph.table(std::as_bytes(values));
    table.dtype = DType::f32;
    table.shape = Shape{values.size()};
    return table;
}

inline void check_matrices(std::string_view who, const char* which, const Graph& graph, const Tensor& t,
                           std::uint64_t groups, std::uint64_t rows, std::uint64_t cols, bool f32 = true) {
    check_float_tensor(who, which, graph, t);
    if ((f32 && t.dtype != DType::f32) || t.batch() != groups || t.rows() != rows || t.cols() != cols ||
        (f32 && t.stride() != t.cols()))
        refuse(who, std::string(which) + " is " + text(t) + "; it must be " + (f32 ? "f32, " : "") +
                        std::to_string(groups) + " of " + std::to_string(rows) + " x " +
                        std::to_string(cols) + (f32 ? ", without gaps" : ""));
}

// Empty, or `count` f32.
inline void check_floats(std::string_view who, const char* which, const Graph& graph, const Tensor& t,
                         std::uint64_t count) {
    if (!t) return;
    check_float_tensor(who, which, graph, t);
    if (t.dtype != DType::f32 || t.shape.count() != count)
        refuse(who, std::string(which) + " is " + text(t) + "; it must be " + std::to_string(count) + " f32");
}

inline void check_factors(std::string_view who, const Graph& graph, const KroneckerFactors& factors) {
    if (!factors.inputs || !factors.outputs || !factors.left_out)
        refuse(who, "the factors are empty; make them with make_kronecker_factors()");
    check_matrices(who, "inputs", graph, factors.inputs, factors.groups(), factors.cols(), factors.cols());
    check_matrices(who, "outputs", graph, factors.outputs, factors.groups(), factors.rows(), factors.rows());
}

inline void check_eigen(std::string_view who, const Graph& graph, const KroneckerEigen& eigen) {
    if (!eigen.input_vectors || !eigen.output_vectors)
        refuse(who, "the eigenvectors are empty; make them with make_kronecker_eigen()");
    const std::uint64_t groups = eigen.input_vectors.batch(), n = eigen.input_vectors.rows(),
                        m = eigen.output_vectors.rows();
    check_matrices(who, "input_vectors", graph, eigen.input_vectors, groups, n, n);
    check_matrices(who, "output_vectors", graph, eigen.output_vectors, groups, m, m);
    check_floats(who, "input_values", graph, eigen.input_values, groups * n);
    check_floats(who, "output_values", graph, eigen.output_values, groups * m);
    check_floats(who, "level", graph, eigen.level, groups);
}

// The decay and its complement as two f32.
inline Tensor rates_of(std::string_view who, Graph& graph, double decay, const Tensor& rates) {
    check_floats(who, "rates", graph, rates, 2);
    if (rates) return rates;
    if (!(decay >= 0 && decay < 1)) refuse(who, "decay is " + number_text(decay) + "; it must be in [0, 1)");
    const float values[] = {static_cast<float>(decay), static_cast<float>(1.0 - decay)};
    return constant_floats(graph, values);
}

// damp_factors() of matrices whose means are over other numbers of rows than they have, where these are
// given; and what was added to them, one f32 a group each, where levels are given. Checks nothing but the
// damping.
void add_damping(Graph& graph, std::string_view who, std::span<const Tensor> factors,
                 std::span<const Tensor> damped, const CurvatureDamping& damping,
                 std::span<const std::uint64_t> mean_rows = {}, std::span<const Tensor> levels = {});

// The damping as one f32, without its scales.
Tensor damping_value(std::string_view who, Graph& graph, const CurvatureDamping& damping);
// The scale of a product of so many factors.
float product_scale(const CurvatureDamping& damping, std::size_t factors);

}  // namespace heron
