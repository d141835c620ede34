// SPDX-License-Identifier: MIT
// PSGD's Kronecker factors of a tensor, one for each axis: a matrix Q, or its diagonal. P = Q^T Q of all axes
// together preconditions; a fit moves Q so that P h, for gradients or Hessian-vector products h, becomes
// white.
//
// Everything here is operations of one parameter, which the plan batches with those of the others.
#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "heron/optim/psgd.hpp"
#include "optim/step_builder.hpp"

namespace heron {

struct PsgdFactor {
    std::uint64_t outer, extent, inner;  // of a tensor outer x extent x inner; this is the axis in between
    bool dense;
    Tensor q;           // extent x extent, or extent elements
    Tensor smoothness;  // L, one f32; empty: steps are by the bound alone

    std::uint64_t count() const { return outer * extent * inner; }
};

// For the axes `extents`: states <parameter>.Q0, .Q1, ... and, where steps are `smooth`, .L.
std::vector<PsgdFactor> make_psgd_factors(StepBuilder& step, const StepBuilder::Item& item,
                                          std::span<const std::uint64_t> extents,
                                          const std::vector<bool>& dense, bool smooth);

// Sets Q_i to `scale` I, in the phase or section that is set.
void start_psgd_factors(Graph& graph, std::span<const PsgdFactor> factors, float scale);
// What the scale is made of, where it is not given: of all parameters of an optimizer together.
struct PsgdMoments {
    Tensor moments;  // psgd_moments4.comp
    float damping = 0;
    std::uint64_t probes = 0;  // elements of all of them
    bool squared = false;      // the factors are those of P
};
void start_psgd_factors(Graph& graph, std::span<const PsgdFactor> factors, const PsgdMoments& moments);

struct PsgdFitRules {
    PsgdGeometry geometry = PsgdGeometry::q05eq15;
    float rate = 0.1f;
    double decay = 0.9;  // of L
    // Vectors of the power iteration that bounds a norm; 0: one, the largest row, and two products in place
    // of four (kron_torch).
    std::uint32_t vectors = 32;

    bool fits_p() const { return geometry == PsgdGeometry::pro4p || geometry == PsgdGeometry::quad4p; }
};
// Normal numbers that the power iterations of a fit take.
std::uint64_t psgd_bound_draws(std::span<const PsgdFactor> factors, const PsgdFitRules& rules);

// x (contiguous f32, all elements of the tensor) times P: a temporary.
Tensor psgd_precondition(Graph& graph, std::span<const PsgdFactor> factors, const Tensor& x,
                         const PsgdFitRules& rules);
// Fits the factors to h. `probe`: v of Newton's criterion, E h^T P h + v^T P^-1 v, or of geometry eq; empty:
// white noise that is never drawn. `draws`: of the power iterations. A factor whose change is not finite
// stays as it is.
void fit_psgd_factors(Graph& graph, std::span<const PsgdFactor> factors, const Tensor& h, const Tensor& probe,
                      const Tensor& draws, const PsgdFitRules& rules);
// What that takes, about, for RefreshSchedule.
double psgd_fit_flops(std::span<const PsgdFactor> factors, const PsgdFitRules& rules);
// Gives the factors equal largest elements; their product stays as it is.
void balance_psgd_factors(Graph& graph, std::span<const PsgdFactor> factors);

// `count` elements from `first` on, as `shape`.
Tensor psgd_part(const Tensor& whole, std::uint64_t first, const Shape& shape);

}  // namespace heron
