// SPDX-License-Identifier: MIT
// When an optimizer renews what it does not renew in every step: factors, inverses, roots, bases. Shampoo,
// 4-bit Shampoo, FISMO, Mousse, GaLore, K-FAC, SINGD, MKOR and PSGD have it as an option, `refresh` with most
// of them.
//
// Three ways keep a refresh from being a frame's hitch, and they go together. A long interval makes it rare:
// Newton's method with a Hessian that is renewed every m-th iteration needs sqrt(d) fewer operations at m = d
// (Doikov, Chayti and Jaggi, arXiv 2212.00781). Staggering spreads the matrices over the steps of an
// interval, by what their refreshes take; small ones keep together, in the dispatches of one of them. And a
// slice's budget (Plan::record_slice, SliceBudget) cuts a step where the frame's time ends,
// refreshes included, to the same bits. Plan::describe() says which steps carry how many, and the dearest.
#pragma once

#include <cstdint>

namespace heron {

struct RefreshPolicy {
    std::uint32_t interval = 1;  // steps between two refreshes of a matrix; 1..2^30, doubled, too
    // Above 0: the interval doubles after every so many steps, since curvature changes less and less as a
    // training goes on, this often (0..16).
    std::uint32_t growth = 0;
    std::uint32_t doublings = 4;
    // The optimizer's matrices (or layers) take turns: the interval's first step is the first turn, the one
    // after it the second, and no step carries more than its share (turn_flops). That goes for first
    // refreshes, too: until its own, a matrix has what the optimizer begins with (the identity, or what it
    // grafts).
    bool stagger = true;
    // Above 0: nothing is renewed before this step (from 1). With stagger the first turn from there on is a
    // matrix's first refresh; without it everything is renewed in this step, whatever the interval says. 0:
    // the first turn is the first refresh, unless the optimizer says otherwise.
    std::uint32_t first = 0;
    // How matrices are dealt to the turns; FLOPs, finite, >= 0. There are as many turns as it takes for none
    // to have more than this, or than the dearest matrix alone, and all are about as full; where the interval
    // (with growth the longest) has fewer steps, none takes more than its part of all and one matrix. Costs
    // are estimates, from shapes and options. The default is six matrices of 64 x 64 with roots by
    // eigenvalues: what a GPU does side by side, whereas each turn has dispatches of its own; so a few small
    // matrices have one turn together. 0: matrix number k has its turn k steps after the first, whatever it
    // takes.
    float turn_flops = 3e8f;
};

}  // namespace heron
