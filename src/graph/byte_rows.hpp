// SPDX-License-Identifier: MIT
// The bytes of a tensor, and whether two have some in common: blocks of columns side by side in one matrix
// span nearly the same memory, and share none of it.
#pragma once

#include <cstdint>

#include "heron/graph.hpp"

namespace heron {

struct ByteRows {
    std::uint64_t begin = 0, end = 0;
    // Rows with gaps between them: from one to the next, and of a row. A pitch of 0: all of [begin, end).
    std::uint64_t pitch = 0, width = 0;

    bool empty() const { return begin >= end; }
};

// `address`: of the tensor's memory object.
inline ByteRows byte_rows(const Tensor& tensor, std::uint64_t address) {
    const std::uint64_t begin = address + tensor.byte_offset;
    const std::uint64_t size = bytes_of(tensor.dtype), pitch = tensor.stride() * size,
                        width = tensor.cols() * size;
    // Rows that share words are kept together.
    const bool gaps = width < pitch && (begin | pitch | width) % sizeof(std::uint32_t) == 0;
    return {begin, begin + tensor.span_bytes(), gaps ? pitch : 0, gaps ? width : 0};
}

// How far rows of b begin behind the last ones of a that do not begin after them; a has a pitch.
inline std::uint64_t bytes_behind(const ByteRows& a, const ByteRows& b) {
    return b.begin >= a.begin ? (b.begin - a.begin) % a.pitch
                              : (a.pitch - (a.begin - b.begin) % a.pitch) % a.pitch;
}

// False only if they share no byte.
inline bool overlap(const ByteRows& a, const ByteRows& b) {
    if (a.empty() || b.empty() || a.begin >= b.end || b.begin >= a.end) return false;
    if (a.pitch == 0 || a.pitch != b.pitch) return true;
    const std::uint64_t behind = bytes_behind(a, b);
    return behind < a.width || behind + b.width > a.pitch;
}

// True only if whatever overlaps b overlaps a.
inline bool covers(const ByteRows& a, const ByteRows& b) {
    if (b.begin < a.begin || a.end < b.end) return false;
    return a.pitch == 0 || (a.pitch == b.pitch && bytes_behind(a, b) + b.width <= a.width);
}

}  // namespace heron
