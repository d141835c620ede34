// SPDX-License-Identifier: MIT
// Offsets in a linear piece of memory: one after the other, or shared by tensors that are not alive at the
// same time.
#pragma once

#include <cstdint>
#include <span>
#include <vector>

namespace heron {

// Hands out offsets that never cross a multiple of `block_bytes`, so that the arena can be cut into several
// buffers where a device limits their size.
class Arena {
public:
    explicit Arena(std::uint64_t block_bytes) : block_bytes_(block_bytes) {}

    // Large tensors start on 256 bytes, small ones on 64: thousands of biases should not cost a page each.
    std::uint64_t place(std::uint64_t bytes);
    std::uint64_t bytes() const { return end_; }

private:
    std::uint64_t block_bytes_;
    std::uint64_t end_ = 0;
};

struct TimedRequest {
    std::uint64_t bytes;
    std::uint32_t first;  // levels, inclusive
    std::uint32_t last;
    std::uint64_t offset = 0;  // result
};

// Places every request so that two of them share bytes only when a level lies between their lifetimes' ends.
// Returns the arena's size. Best fit over the levels in order; O(n log n).
std::uint64_t place_by_lifetime(std::span<TimedRequest> requests, std::uint64_t block_bytes);

}  // namespace heron
