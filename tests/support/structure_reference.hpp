// SPDX-License-Identifier: MIT
// Structured matrices (heron/linalg/structure.hpp) in float64, as full matrices.
#pragma once

#include <algorithm>
#include <utility>
#include <vector>

#include "heron/linalg/structure.hpp"
#include "support/matrix.hpp"

namespace heron::test {

// Rows and columns of the stored elements, in the order of storage; of a Toeplitz structure those of its
// first column (row).
inline std::vector<std::pair<Eigen::Index, Eigen::Index>> structure_positions(const MatrixStructure& s,
                                                                              Eigen::Index order) {
    std::vector<std::pair<Eigen::Index, Eigen::Index>> at;
    const Eigen::Index block = s.block, first = std::min<Eigen::Index>(s.first, order),
                       last = order - std::min<Eigen::Index>(s.last, order - first);
    const auto rectangle = [&](Eigen::Index i0, Eigen::Index i1, Eigen::Index j0, Eigen::Index j1) {
        for (Eigen::Index i = i0; i < i1; ++i)
            for (Eigen::Index j = j0; j < j1; ++j) at.emplace_back(i, j);
    };
    switch (s.kind) {
        case StructureKind::dense:
            rectangle(0, order, 0, order);
            break;
        case StructureKind::diagonal:
            for (Eigen::Index i = 0; i < order; ++i) at.emplace_back(i, i);
            break;
        case StructureKind::block_diagonal:
            for (Eigen::Index i = 0; i < order; i += block) {
                const Eigen::Index end = std::min(i + block, order);
                rectangle(i, end, i, end);
            }
            break;
        case StructureKind::lower_toeplitz:
            rectangle(0, order, 0, std::min<Eigen::Index>(order, 1));
            break;
        case StructureKind::upper_toeplitz:
            rectangle(0, std::min<Eigen::Index>(order, 1), 0, order);
            break;
        case StructureKind::hierarchical:
            rectangle(0, first, 0, order);
            for (Eigen::Index i = first; i < last; ++i) at.emplace_back(i, i);
            rectangle(last, order, first, order);
            break;
    }
    return at;
}

inline bool is_toeplitz(const MatrixStructure& s) {
    return s.kind == StructureKind::lower_toeplitz || s.kind == StructureKind::upper_toeplitz;
}

inline Matrix from_stored(const MatrixStructure& s, Eigen::Index order, const std::vector<double>& stored) {
    Matrix result = Matrix::Zero(order, order);
    const auto positions = structure_positions(s, order);
    for (std::size_t e = 0; e < positions.size(); ++e) {
        const auto [i, j] = positions[e];
        result(i, j) = stored[e];
        if (is_toeplitz(s))
            for (Eigen::Index k = 1; i + k < order && j + k < order; ++k) result(i + k, j + k) = stored[e];
    }
    return result;
}

// Of a matrix that has the structure.
inline std::vector<double> to_stored(const MatrixStructure& s, const Matrix& matrix) {
    std::vector<double> stored;
    for (const auto& [i, j] : structure_positions(s, matrix.rows())) stored.push_back(matrix(i, j));
    return stored;
}

// Pi(X) of a symmetric X: the orthogonal projection on the symmetric parts of matrices of the structure.
inline Matrix projection(const MatrixStructure& s, const Matrix& x) {
    const Eigen::Index order = x.rows();
    Matrix result = Matrix::Zero(order, order);
    if (is_toeplitz(s)) {
        const bool lower = s.kind == StructureKind::lower_toeplitz;
        for (Eigen::Index k = 0; k < order; ++k) {
            double sum = 0;
            for (Eigen::Index i = 0; i + k < order; ++i) sum += k == 0 ? x(i, i) : x(i, i + k) + x(i + k, i);
            for (Eigen::Index i = 0; i + k < order; ++i)
                (lower ? result(i + k, i) : result(i, i + k)) = sum / static_cast<double>(order - k);
        }
        return result;
    }
    std::vector<std::vector<bool>> held(static_cast<std::size_t>(order),
                                        std::vector<bool>(static_cast<std::size_t>(order), false));
    const auto positions = structure_positions(s, order);
    for (const auto& [i, j] : positions)
        held[static_cast<std::size_t>(i)][static_cast<std::size_t>(j)] = true;
    for (const auto& [i, j] : positions)
        result(i, j) =
            held[static_cast<std::size_t>(j)][static_cast<std::size_t>(i)] ? x(i, j) : x(i, j) + x(j, i);
    return result;
}

}  // namespace heron::test
