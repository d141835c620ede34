// SPDX-License-Identifier: MIT
// Shapes and the extent of tensor views, with every product checked.
#include "heron/tensor.hpp"

#include <algorithm>
#include <limits>

#include "heron/error.hpp"

namespace heron {
namespace {

std::uint64_t product(std::uint64_t a, std::uint64_t b, const Shape& shape) {
    if (a != 0 && b > std::numeric_limits<std::uint64_t>::max() / a)
        throw Error(ErrorCode::invalid_argument, "shape " + shape.text() + " overflows 64 bits");
    return a * b;
}

}  // namespace

const char* to_string(DType dtype) {
    switch (dtype) {
        case DType::f32:
            return "f32";
        case DType::f16:
            return "f16";
        case DType::bf16:
            return "bf16";
        case DType::u32:
            return "u32";
    }
    return "unknown";
}

Shape::Shape(std::initializer_list<std::uint64_t> extents)
    : Shape(std::span<const std::uint64_t>(extents.begin(), extents.size())) {}

Shape::Shape(std::span<const std::uint64_t> extents) : rank_(extents.size()) {
    if (extents.size() > kMaxRank)
        throw Error(ErrorCode::invalid_argument, "shape has " + std::to_string(extents.size()) +
                                                     " extents, at most " + std::to_string(kMaxRank) +
                                                     " are allowed");
    std::copy(extents.begin(), extents.end(), extents_.begin());
}

std::uint64_t Shape::count() const {
    // A zero anywhere makes the tensor empty, even where the other extents alone would overflow.
    if (std::find(begin(), end(), std::uint64_t{0}) != end()) return 0;
    std::uint64_t count = 1;
    for (std::uint64_t extent : *this) count = product(count, extent, *this);
    return count;
}

std::string Shape::text() const {
    if (rank_ == 0) return "scalar";
    std::string text;
    for (std::uint64_t extent : *this) text += (text.empty() ? "" : "x") + std::to_string(extent);
    return text;
}

std::uint64_t TensorView::span_bytes() const {
    const std::uint64_t count = shape.count();
    if (count == 0) return 0;
    const std::uint64_t cols = shape.rank() == 0 ? 1 : shape[shape.rank() - 1];
    const std::uint64_t stride = row_stride == 0 ? cols : row_stride;
    if (stride < cols)
        throw Error(ErrorCode::invalid_argument, "row stride " + std::to_string(stride) +
                                                     " is less than the " + std::to_string(cols) +
                                                     " columns of shape " + shape.text());
    // All rows but the last take a whole stride.
    const std::uint64_t gaps = product(count / cols - 1, stride, shape);
    if (gaps > std::numeric_limits<std::uint64_t>::max() - cols)
        throw Error(ErrorCode::invalid_argument, "shape " + shape.text() + " overflows 64 bits");
    return product(gaps + cols, bytes_of(dtype), shape);
}

bool TensorView::contiguous() const {
    return row_stride == 0 || shape.rank() < 2 || row_stride == shape[shape.rank() - 1];
}

}  // namespace heron
