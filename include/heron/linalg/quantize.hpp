// SPDX-License-Identifier: MIT
// Matrices in 2, 4 or 8 bits an element, as graph operations (heron/linalg.hpp): the block-wise quantiser of
// 4-bit Shampoo (Wang, Zhou et al., arXiv 2405.18144, "linear-2" map), bit for bit.
#pragma once

#include <cstdint>

#include "heron/export.hpp"
#include "heron/graph.hpp"
#include "heron/linalg/product.hpp"

namespace heron {

struct QuantizeOptions {
    std::uint32_t bits = 4;    // 2, 4 or 8
    std::uint32_t block = 64;  // neighbouring elements of a row that share a scale; a multiple of 16, to 4096
    Transpose transpose = Transpose::no;  // the rows of x^T are coded; quantize() alone
    // Optional, one u32 (linalg/status.hpp): where it says that the matrix could not be done, the codes stay
    // as they are, and `failures`, one u32, counts it. quantize() alone.
    Tensor status;
    Tensor failures;
    bool guarded = true;
};

// Tensors of a matrix of rows x cols elements.
struct QuantizedMatrix {
    Tensor codes;  // u32, rows x quantized_words(cols, bits): the code of a row's first element in the lowest
                   // bits of its first word; a row begins with a word
    Tensor absmax;  // f32, rows x ceil(cols / block): the largest magnitude of each block
    // Optional, f32, one for each element of the diagonal (min(rows, cols)), which is kept as it is: blocks
    // are coded as if it were 0.
    Tensor diagonal;
};

// Words of a row: ceil(cols bits / 32).
constexpr std::uint64_t quantized_words(std::uint64_t cols, std::uint32_t bits) {
    return (cols * bits + 31) / 32;
}

// The number that code k of `bits` bits stands for, in units of its block's absmax: with q evenly spaced in
// [-1, 1] and q = 0 for k = 2^(bits - 1) - 1, sign(q) q^2. Of 4 bits: -1, -.7511, -.5378, -.36, -.2178,
// -.1111, -.04, 0, .0044, .04, .1111, .2178, .36, .5378, .7511, 1: one more above zero than below.
HERON_API float quantized_level(std::uint32_t code, std::uint32_t bits);

// Codes of the levels nearest to x / absmax, between two the one with the even code. x: one matrix, f32. The
// same codes on every device: 1 / absmax is rounded correctly, then multiplied. A block with an element that
// is not finite gets a NaN for its absmax; one below 2^-126 counts as zero. Error of an element: 0.125 absmax
// (4 bits), 0.0078 (8 bits). 4 + 10 * bits operations an element; 8 bytes an element (blocks are read twice)
// and the codes. Throws (invalid_argument) for shapes, dtypes, options or overlaps that do not fit.
HERON_API void quantize(Graph& graph, const Tensor& x, const QuantizedMatrix& to,
                        const QuantizeOptions& options = {});
// x = level(code) absmax, one rounding, and the diagonal; NaN throughout blocks whose absmax is. 8 operations
// and 4 bytes an element, and the codes.
HERON_API void dequantize(Graph& graph, const QuantizedMatrix& from, const Tensor& x,
                          const QuantizeOptions& options = {});

}  // namespace heron
