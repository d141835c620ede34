// SPDX-License-Identifier: MIT
// Square matrices of a structure (heron/linalg/structure.hpp) as graph operations, and the factors of SINGD
// made of them: K with K K^T an approximate inverse of a Kronecker factor U, moved by multiplicative steps,
// without an inverse or a decomposition (Lin et al., arXiv 2312.05705).
//
// Pi(X) is the projection of a symmetric X on the structure, as that header says.
#pragma once

#include <cstdint>
#include <string>

#include "heron/graph.hpp"
#include "heron/linalg/product.hpp"
#include "heron/linalg/structure.hpp"
#include "linalg/factor_source.hpp"

namespace heron {

// order x order for dense ones, else a vector of the stored elements.
struct StructuredMatrix {
    Tensor values;
    MatrixStructure structure;
    std::uint64_t order = 0;
};

// A structure whose dense part is all of a matrix of that order becomes dense.
MatrixStructure resolved(const MatrixStructure& structure, std::uint64_t order);
Shape stored_shape(const MatrixStructure& structure, std::uint64_t order);

struct StructuredFactor {
    StructuredMatrix k;
    Tensor momentum;  // m, as K; empty without
    Tensor failures;  // one u32: steps that were dropped since they were not finite

    const MatrixStructure& structure() const { return k.structure; }
    std::uint64_t order() const { return k.order; }
};

// States <name> (identity at first; f32, f16 or bf16), <name>_momentum and <name>_failures.
StructuredFactor make_structured_factor(Graph& graph, const std::string& name,
                                        const MatrixStructure& structure, std::uint64_t order, DType dtype,
                                        bool momentum);

// Whether Pi(K^T U K) depends on all of U: else on its elements at the positions of the structure alone.
bool needs_all(const MatrixStructure& structure);
// Those, U = scale times the sum of a a^T over the rows of item `item` of a (with a last column of ones
// where `order` is features + 1), straight from a: a temporary of stored_shape(), f32. 2 FLOPs a row and
// stored element.
Tensor structured_statistic(Graph& graph, const MatrixStructure& structure, std::uint64_t order,
                            const Tensor& activations, const FactorSource& source, std::uint64_t item,
                            float scale);

// result = weight times the sums of the columns of `pieces`, in the order of its rows; f32.
void sum_pieces(Graph& graph, const Tensor& pieces, const Tensor& result, float weight);

// Pi(K^T U K), of U as needs_all() says, order x order or stored elements; a temporary f32.
StructuredMatrix structured_congruence(Graph& graph, const StructuredMatrix& k, const Tensor& u);
// Pi(K^T K).
StructuredMatrix structured_gram(Graph& graph, const StructuredMatrix& k);

enum class ProductSide : std::uint32_t { left, right };
// op(K) X (left) or X op(K) (right), a temporary f32 of X's shape. X: a matrix, f32, contiguous. 2 FLOPs for
// each line of X and stored element.
Tensor structured_product(Graph& graph, const StructuredMatrix& k, Transpose transpose, ProductSide side,
                          const Tensor& x);
// K K^T X or X K K^T.
Tensor structured_inverse_product(Graph& graph, const StructuredMatrix& k, ProductSide side, const Tensor& x);

// What a step of both factors of a matrix is made of, for one of them.
struct FactorCurvature {
    StructuredMatrix h;     // Pi(K^T U K) over unit^2
    StructuredMatrix gram;  // Pi(K^T K)
    Tensor unit;            // one f32, or empty: 1
};
struct FactorStep {
    double sigma = 0.5;
    double alpha = 0.5;  // of the momentum; 0: none
    double damping = 1e-3;
    bool kfac_like = false;  // traces of the other factor's curvature count as 1
    bool normalize = false;  // the rate is divided by max(1, largest |m|)
    Tensor rate;             // beta, one f32
};
// m <- sigma (t H + damping u Pi(K^T K) - I) + alpha m, K <- K - beta K m, with t and u the mean diagonal
// elements of the other factor's H and Pi(K^T K). A step with an m that is not finite (or above 2^60) is
// dropped and counted; elements end at 65504. Three levels.
void add_factor_step(Graph& graph, const StructuredFactor& factor, const FactorCurvature& own,
                     const FactorCurvature& other, const FactorStep& options);

}  // namespace heron
