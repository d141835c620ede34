// SPDX-License-Identifier: MIT
// What Shampoo's options say of its roots.
#pragma once

#include <cstddef>
#include <cstdint>

#include "heron/optim/shampoo.hpp"

namespace heron {

inline bool iterates(ShampooRoot root) {
    return root != ShampooRoot::eigenvalues && root != ShampooRoot::pseudo_inverse;
}

// Whether roots go on from the last eigenvectors.
inline bool has_bases(const ShampooOptions& options) {
    return !options.eigenbasis && (options.qr_steps > 0 || options.basis_tolerance > 0);
}

// Whether bases of eigenvectors begin in a step of their own, the first.
inline bool waits(const ShampooOptions& options) { return options.first_basis == ShampooFirstBasis::eigh; }

// p of an axis of a block with `order` axes.
inline double exponent_of(const ShampooOptions& options, std::size_t order, std::size_t axis) {
    const auto found = options.exponents.find(static_cast<std::uint32_t>(order));
    if (found == options.exponents.end()) return 1.0 / (2.0 * static_cast<double>(order));
    return found->second.size() == 1 ? found->second[0] : found->second[axis];
}

}  // namespace heron
