// SPDX-License-Identifier: MIT
#include "graph/arena.hpp"

#include <algorithm>
#include <map>
#include <numeric>

namespace heron {

namespace {

std::uint64_t align_up(std::uint64_t value, std::uint64_t alignment) {
    return (value + alignment - 1) / alignment * alignment;
}
std::uint64_t alignment_of(std::uint64_t bytes) { return bytes >= 4096 ? 256 : 64; }

// Free pieces by offset; all sizes and offsets are multiples of 256, so that every piece suits every request.
class FreeList {
public:
    explicit FreeList(std::uint64_t block_bytes) : arena_(block_bytes), block_bytes_(block_bytes) {}

    std::uint64_t take(std::uint64_t bytes) {
        auto best = pieces_.end();
        for (auto piece = pieces_.begin(); piece != pieces_.end(); ++piece)
            if (piece->second >= bytes && (best == pieces_.end() || piece->second < best->second))
                best = piece;
        if (best == pieces_.end()) return arena_.place(bytes);
        const std::uint64_t offset = best->first;
        const std::uint64_t rest = best->second - bytes;
        pieces_.erase(best);
        if (rest > 0) pieces_.emplace(offset + bytes, rest);
        return offset;
    }

    void give(std::uint64_t offset, std::uint64_t bytes) {
        auto next = pieces_.lower_bound(offset);
        if (next != pieces_.end() && next->first == offset + bytes && next->first % block_bytes_ != 0) {
            bytes += next->second;
            next = pieces_.erase(next);
        }
        if (next != pieces_.begin()) {
            auto before = std::prev(next);
            if (before->first + before->second == offset && offset % block_bytes_ != 0) {
                before->second += bytes;
                return;
            }
        }
        pieces_.emplace(offset, bytes);
    }

    std::uint64_t bytes() const { return arena_.bytes(); }

private:
    Arena arena_;
    std::uint64_t block_bytes_;
    std::map<std::uint64_t, std::uint64_t> pieces_;
};

}  // namespace

std::uint64_t Arena::place(std::uint64_t bytes) {
    std::uint64_t offset = align_up(end_, alignment_of(bytes));
    if (bytes > 0 && offset / block_bytes_ != (offset + bytes - 1) / block_bytes_)
        offset = align_up(offset, block_bytes_);
    end_ = offset + bytes;
    return offset;
}

std::uint64_t place_by_lifetime(std::span<TimedRequest> requests, std::uint64_t block_bytes) {
    std::vector<std::uint32_t> by_start(requests.size());
    std::iota(by_start.begin(), by_start.end(), 0u);
    // Large ones first within a level: they find room before small ones have cut it up.
    std::stable_sort(by_start.begin(), by_start.end(), [&](std::uint32_t a, std::uint32_t b) {
        return requests[a].first != requests[b].first ? requests[a].first < requests[b].first
                                                      : requests[a].bytes > requests[b].bytes;
    });
    std::vector<std::uint32_t> by_end = by_start;
    std::stable_sort(by_end.begin(), by_end.end(),
                     [&](std::uint32_t a, std::uint32_t b) { return requests[a].last < requests[b].last; });

    FreeList memory(block_bytes);
    const auto padded = [](std::uint64_t bytes) { return align_up(std::max<std::uint64_t>(bytes, 1), 256); };
    std::size_t ended = 0;
    for (std::uint32_t index : by_start) {
        TimedRequest& request = requests[index];
        for (; ended < by_end.size() && requests[by_end[ended]].last < request.first; ++ended)
            memory.give(requests[by_end[ended]].offset, padded(requests[by_end[ended]].bytes));
        request.offset = memory.take(padded(request.bytes));
    }
    return memory.bytes();
}

}  // namespace heron
