// SPDX-License-Identifier: MIT
// Panels: what the packed kernel multiplies. gemm_pack makes them of an operand, in a dispatch (a level)
// before.
#pragma once

#include <cstddef>
#include <cstdint>
#include <vector>

#include "heron/linalg.hpp"
#include "linalg/gemm.h"
#include "linalg/gemm.hpp"

namespace heron {

// GemmOptions::active as the items of a job see it.
struct ActiveItems {
    Tensor tensor = {};  // empty: all of them are
    bool kept = true;    // what is not active is read later

    std::uint32_t flags() const { return tensor ? gpu::GEMM_ACTIVE : 0; }
    void add_to(std::vector<Operand>& operands, std::size_t field) const {
        if (tensor) operands.push_back({static_cast<std::uint32_t>(field), tensor, Access::read});
    }
    // What is left as it is must be there.
    Access access() const { return tensor && kept ? Access::read_write : Access::write; }
};

enum class GemmSide { a, b };

// Lines of a panel.
std::uint32_t panel_width(const Capabilities& device, GemmSide side);

// An operand as gemm_pack sees it: lines (rows of op(A), columns of op(B)) of k elements each.
struct GemmLines {
    Tensor x;
    GemmSide side;
    std::uint64_t count, k;
    std::uint32_t line, step;  // elements from line to line, and from k to k
    std::uint64_t items = 1;
    std::uint32_t item = 0;  // elements from item to item
    ActiveItems active = {};
};

// Adds the operation that packs them; the result has a panel in each row, one item after the other.
Tensor add_panels(Graph& graph, const GemmLines& x, bool guarded);

// A whole operand in panels, for products that take a part of its k each.
struct Panels {
    Tensor tensor;            // a panel in each row; empty: none
    std::uint64_t steps = 0;  // of a panel

    explicit operator bool() const { return static_cast<bool>(tensor); }
    // Those of k in [first, first + count). `first` is a multiple of gpu::PANEL_STEP, and so is the end, or
    // it is the operand's.
    Tensor part(std::uint64_t first, std::uint64_t count) const;
};

// Panels of op(A) or op(B), one matrix; none where the kernel has no use for them.
Panels pack(Graph& graph, const GemmChoice& choice, GemmSide side, const Tensor& x, Transpose transpose,
            bool guarded);

}  // namespace heron
