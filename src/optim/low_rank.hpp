// SPDX-License-Identifier: MIT
// What GaLore and its relatives share: gradients in few dimensions, and optimizers that work there. Of a
// batch of matrices X, rows x cols, with bases of r columns:
//
//   right   L = X R       rows x r      back: N R^T
//   left    L = L^T X     r x cols      back: L N
//   both    L = L^T X R   r x r         back: L N R^T
#pragma once

#include <cstdint>
#include <string_view>
#include <vector>

#include "heron/optim/adafactor.hpp"
#include "heron/optim/galore.hpp"
#include "optim/subspace.hpp"

namespace heron {

struct LowRankBasis {
    Tensor left;   // items x rows x r; empty: rows stay
    Tensor right;  // items x cols x r; empty: columns stay
};

// Of matrices under `basis`.
Shape low_rank_shape(const MatrixBatch& batch, const LowRankBasis& basis);
void project(Graph& graph, const Tensor& x, const LowRankBasis& basis, const Tensor& low);
void expand(Graph& graph, const Tensor& low, const LowRankBasis& basis, const Tensor& out);

// Of a batch's random numbers (RandomOptions::tensor): of the parameter's name, so that draws depend neither
// on groups nor on the order of parameters.
std::uint32_t low_rank_tensor(const StepBuilder::Item& item, std::size_t batch);

// The bases of a parameter's batches: states <parameter>.left and .right, at first random and about
// orthonormal.
std::vector<LowRankBasis> add_low_rank_bases(StepBuilder& step, const StepBuilder::Item& item,
                                             const std::vector<MatrixBatch>& batches, std::uint64_t rank,
                                             GaLoreProjection projection);

// `next` becomes singular vectors of `gradient`, of the largest singular values, with signs that `basis` has;
// `basis` of a matrix of zeros. The two may be the same. `iterations`: GaLoreOptions::iterations.
void add_singular_basis(StepBuilder& step, const Tensor& gradient, const LowRankBasis& basis,
                        const LowRankBasis& next, std::uint32_t iterations);

// L of the gradient whose singular vectors both bases are: without what rounding leaves beside its diagonal.
void add_diagonal(StepBuilder& step, const Tensor& low);

// A state of which each batch has a part, one after the other.
class LowRankState {
public:
    LowRankState() = default;
    LowRankState(StepBuilder& step, const StepBuilder::Item& item, std::string_view name,
                 const std::vector<Shape>& parts, DType dtype = DType::f32);

    explicit operator bool() const { return static_cast<bool>(whole_); }
    const Tensor& whole() const { return whole_; }
    std::uint64_t first(std::size_t batch) const { return firsts_[batch]; }
    Tensor part(std::size_t batch) const { return part_of(whole_, firsts_[batch], parts_[batch]); }

private:
    Tensor whole_;
    std::vector<Shape> parts_;
    std::vector<std::uint64_t> firsts_;
};

// What an inner optimizer is told.
struct LowRankInnerOptions {
    GaLoreInner inner = GaLoreInner::adamw;
    AdafactorOptions adafactor;      // of GaLoreInner::adafactor
    std::uint32_t moment_bits = 32;  // 8 and 16 not of GaLoreInner::adafactor
    float scale = 1.0f;
};
// The hyper struct of an optimizer whose moments live in few dimensions begins with these: gpu::AdamWHyper,
// gpu::AdafactorHyper or gpu::LionHyper.
struct LowRankRates {
    float lr = 0;
    double beta1 = 0, beta2 = 0;
    float eps = 0;
    float weight_decay = 0;
    bool bias_correction = true;
    Schedule schedule;
};
std::vector<HyperValue> low_rank_hyper(const LowRankRates& rates, const LowRankInnerOptions& options);
// The step of a parameter that is no matrix.
void add_full_rank(StepBuilder& step, const StepBuilder::Item& item, const LowRankInnerOptions& options);

// The inner optimizer of one parameter; its states are called m and v, m, or row, col and m.
class LowRankInner {
public:
    LowRankInner(StepBuilder& step, const StepBuilder::Item& item, const LowRankInnerOptions& options,
                 const std::vector<Shape>& shapes);

    // Where a batch moves along, from its projected gradient.
    Tensor direction(std::size_t batch, const Tensor& low);
    // Moments in the basis `next` that were in `basis`: m' = R^T m R and v' with the squares of R's elements,
    // R = basis^T next.
    void rotate(std::size_t batch, const LowRankBasis& basis, const LowRankBasis& next);
    // W <- W - what came back from the basis.
    void update(const MatrixBatch& batch, const Tensor& direction);

private:
    StepBuilder& step_;
    const StepBuilder::Item& item_;
    const LowRankInnerOptions& options_;
    template <class Job>
    std::vector<Operand> operands(Job& job, std::size_t batch, const Tensor& low, const Tensor& result,
                                  const ElementGrid& grid) const;
    void add(Operation operation, const ElementGrid& grid, std::uint64_t count, double flops, double bytes);
    void add_lion_direction(std::size_t batch, const Tensor& low, const Tensor& result);
    void add_adam8(std::size_t batch, const Tensor& low, const Tensor& result);

    Tensor rate_;  // Adafactor's
    LowRankState m_, v_, row_, col_;
    LowRankState m_scale_, v_scale_;  // of moments in 8 bits
};

bool is_vector(const Parameter& parameter);
// The parameter's matrices, in batches; refuses, in the name of `optimizer`, what svd() does not take.
std::vector<MatrixBatch> low_rank_batches(std::string_view optimizer, const Parameter& parameter);

}  // namespace heron
