// SPDX-License-Identifier: MIT
// A few vectors of a cosine basis on the shorter side of matrices, chosen by the size of their coefficients:
// what Trion and DCT-AdamW have in common. Shapes, for r vectors of length k = short_side():
//
//   x, coefficients   items x rows x cols
//   basis             items x r x k, a vector a row
//   selected          items x rows x r for tall matrices, items x r x cols for wide ones
#pragma once

#include <cstdint>
#include <span>
#include <string_view>
#include <vector>

#include "optim/subspace.hpp"

namespace heron {

class DctSubspace {
public:
    // `inverse`: coefficients of DCT-III, else of DCT-II (linalg/dct.hpp). r is at most the short side.
    DctSubspace(Graph& graph, const MatrixBatch& batch, std::uint64_t rank, bool inverse);

    std::uint64_t rank() const { return rank_; }
    Shape selected_shape() const;
    // Of all vectors: every row of tall matrices transformed, every column of wide ones.
    Tensor coefficients(const Tensor& x) const;
    // The r vectors whose coefficients have the largest norm, largest first (equal ones: the lower number
    // first), into `indices`, u32, items x r. `weights`, optional, k f32: factors on the norms.
    // p-norms, p = `exponent` above 0, infinity too.
    void choose(const Tensor& coefficients, float exponent, const Tensor& indices,
                const Tensor& weights = {}) const;
    // p-norms of the k vectors themselves.
    std::vector<float> vector_norms(float exponent) const;
    Tensor select(const Tensor& coefficients, const Tensor& indices) const;
    Tensor basis(const Tensor& indices) const;
    // `selected` of x by products with the basis.
    Tensor project(const Tensor& x, const Tensor& basis) const;
    // out = alpha times `selected` in the original space + beta out.
    void expand(const Tensor& selected, const Tensor& basis, const Tensor& out, float alpha,
                float beta) const;

private:
    Graph& graph_;
    MatrixBatch batch_;
    std::uint64_t rank_;
    bool inverse_;
};

// Of all matrices, `rank` each or as many as the short side has.
std::uint64_t slot_count(std::span<const MatrixBatch> batches, std::uint64_t rank);
// Slots for `chosen` vectors of `vectors`, all contiguous u32, items x r: a vector that `indices` holds stays
// where it is, the others, in rising order, take the free slots. `since`: the step in which each came.
void add_basis_slots(StepBuilder& step, const Tensor& chosen, const Tensor& indices, const Tensor& since,
                     std::uint64_t vectors);

// Throws (invalid_argument), in the name of `optimizer`, for a short side that dct() does not take.
void check_dct_side(std::string_view optimizer, const Device& device, const Parameter& parameter,
                    const MatrixBatch& batch);

}  // namespace heron
