// SPDX-License-Identifier: MIT
// Discrete cosine transforms as graph operations (heron/linalg.hpp).
#pragma once

#include <cstdint>

#include "heron/export.hpp"
#include "heron/graph.hpp"

namespace heron {

enum class DctAxis : std::uint32_t {
    rows = 0,     // each row is transformed: out = x C^T
    columns = 1,  // each column: out = C x
};

struct DctOptions {
    DctAxis axis = DctAxis::rows;
    bool inverse = false;  // DCT-III, the transpose and inverse: out = x C, or C^T x
    bool guarded = true;   // see Operation::guarded
};

// The orthonormal DCT-II (scipy.fft.dct with norm="ortho"), C[k][i] = s_k cos(pi (2 i + 1) k / (2 n)), s_0 =
// sqrt(1 / n), else sqrt(2 / n), of every row or column of every matrix. x is f32, f16 or bf16, `out` f32 of
// its shape; it may be x.
//
// Even lengths odd 2^q with odd <= 15 (768, 1536, 5120) whose half fits shared memory (4096 in 16 KiB, 8192
// in 32): by a real FFT (J. Makhoul, IEEE Trans. ASSP 28(1), 1980), one dispatch, about n (2.5 q + 8 (odd -
// 1)) FLOPs a line, 8 bytes an element; error of a line at most (4 log2(2 n) + 2 odd^1.5) u |x|_2. Lines do
// not touch each other: neither scales nor NaNs of one reach another. Other lengths up to 4096: by gemm()
// with C, generated in float64, 4 n^2 bytes of table memory for each length of a graph: 2 n^2 FLOPs a line,
// error as gemm()'s. Above that, up to 32768 (11008, 13824): with pieces of C of up to 64 MiB, which
// dct_basis() makes one after the other in workspace, at 8 n^2 FLOPs and 8 n^2 bytes for all lines of x
// together; elements of C are 3 u off; two levels a piece, n^2 / 2^24 of them. Longer ones are refused.
// Twiddle factors come from float64 in a table of 8 n bytes, not from the driver's sin and cos.
HERON_API void dct(Graph& graph, const Tensor& x, const Tensor& out, const DctOptions& options = {});
// Whether dct() takes lines of that length on the device.
HERON_API bool dct_takes(const Device& device, std::uint64_t length);

// out[i][:] = the vector whose product with a line is element indices[i] of the line's transform: row
// indices[i] of C, or with `inverse` its column. `out`: r x n f32, contiguous, of any batch; `indices`:
// contiguous u32, one for each row of each matrix. An index beyond n gives numbers without meaning. n up to
// 32768. 4 bytes and 8 FLOPs an element, from a table of 8 n bytes: no n x n matrix; error of an element 3 u.
HERON_API void dct_basis(Graph& graph, const Tensor& indices, const Tensor& out, bool inverse = false,
                         bool guarded = true);

}  // namespace heron
