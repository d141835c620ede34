// SPDX-License-Identifier: MIT
// The transformer's parameters in their order, and where each lies in its buffers.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "transformer.hpp"

namespace samples {

struct TransformerEntry {
    std::string name;
    heron::Shape shape;
    double variance;  // of the first values; 0: all are 1
    heron::Role role;
    std::uint64_t byte_offset;
};

std::vector<TransformerEntry> transformer_layout(const TransformerShape& shape);

// y = x W^T of it belongs to an optimizer of layers.
inline bool is_linear(const TransformerEntry& entry) {
    return entry.role == heron::Role::hidden_matrix || entry.role == heron::Role::head;
}

}  // namespace samples
