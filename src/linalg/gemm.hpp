// SPDX-License-Identifier: MIT
// The implementations of gemm(), best first, and the choice between them.
#pragma once

#include <cstdint>
#include <initializer_list>
#include <optional>
#include <span>
#include <string>
#include <string_view>

#include "heron/linalg.hpp"
#include "linalg/checks.hpp"

namespace heron {

struct GemmShape {
    std::uint64_t m, n, k, batch;
    bool symmetric;
    DType a = DType::f32, b = DType::f32;
    bool packing = true;
};

struct GemmKernel {
    KernelInfo info;  // its name is what GemmOptions::variant takes
    std::uint32_t (*threads)(const Capabilities&);
    // Rows and columns of D that a workgroup computes. In symmetric products, as many workgroups as fit into
    // a square as wide as a tile belong together.
    std::uint32_t (*tile_rows)(const Capabilities&);
    std::uint32_t (*tile_cols)(const Capabilities&);
    // Why the device cannot run it at all; empty when it can.
    std::string_view (*missing)(const Capabilities&);
    // Why another one is better for this product; empty when none is.
    std::string_view (*unsuitable)(const Capabilities&, const GemmShape&);
    std::string_view reason;  // why it was chosen
    // Multiplies on matrix units, operands of this type only.
    std::optional<DType> matrix_units = {};
    // Multiplies panels that gemm_pack makes of the operands, in a dispatch (a level) before.
    bool packed = false;
    // A tile has so many sums of squares of a row (gpu::GemmJob::squares).
    std::uint32_t row_parts = 1;
    // Its cooperative matrices belong to a whole workgroup, of sizes that are the kernel's own; else to
    // subgroups, of the device's.
    bool workgroup_matrices = false;
    // A tile is a whole matrix, and a workgroup computes small_items() of them.
    bool whole_matrices = false;
    // Multiplies pairs of 16-bit elements, f16 or bf16.
    bool pairs = false;

    // Why it cannot multiply these, on a device that it can run on; empty when it can.
    std::string_view impossible(const Capabilities&, const GemmShape&) const;
};

// m x n results that a workgroup of gemm_small computes; 0: they are too large for it.
std::uint32_t small_items(std::uint64_t m, std::uint64_t n);

std::span<const GemmKernel> gemm_kernels();

struct GemmChoice {
    const GemmKernel* kernel;
    std::string reason;  // why this one, and why not those before it in the list
};

// The first kernel that neither lacks something nor is unsuitable; the last one suits everything. A forced
// variant is refused (invalid_argument, unsupported) with the list or the reason.
GemmChoice choose_gemm(const Capabilities& device, const GemmShape& shape, std::string_view variant = {});

// GemmOptions::row_squares: empty, or `count` f32 without gaps, apart from `others` (of which
// empty ones do not count).
void check_squares(std::string_view who, const Graph& graph, const char* name, const Tensor& squares,
                   std::uint64_t count, std::initializer_list<NamedTensor> others);

// What gemm() itself does not ask for.
struct GemmDetails {
    // Panels::part() of A or B, which are one matrix then, to be read in their place.
    Tensor packed_a = {}, packed_b = {};
    bool upper = false;  // of a symmetric result what is below the diagonal is not wanted
    // Elements of all partial results of a sum in pieces: what 32-bit indices reach (tests lower it).
    std::uint64_t partial_sums = 0xffffffff;
};

// gemm() without C, with a kernel that was chosen for something larger.
void gemm(Graph& graph, const GemmChoice& choice, const Tensor& a, const Tensor& b, const Tensor& d,
          const GemmOptions& options, const GemmDetails& details = {});

// syrk() of which only what is on and above the diagonal of D is wanted; below it anything may be.
void syrk_upper(Graph& graph, const Tensor& a, const Tensor& c, const Tensor& d, const GemmOptions& options);

}  // namespace heron
