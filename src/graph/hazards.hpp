// SPDX-License-Identifier: MIT
// Proves the barriers of a recorded step: synchronization validation does not see buffer device addresses.
#pragma once

#include <cstdint>
#include <span>
#include <vector>

namespace heron {

// Bytes of device memory that a job of a dispatch reads or writes, by address.
struct AddressTouch {
    std::uint64_t begin;
    std::uint64_t end;
    bool write;
    std::uint32_t job;  // jobs of one dispatch run at the same time, too
};

struct RecordedDispatch {
    std::vector<AddressTouch> touches;
    bool barrier_before =
        false;  // a full compute barrier is recorded between the previous dispatch and this one
};

struct Hazard {
    std::uint32_t first;  // indices of the dispatches, equal when two jobs of one collide
    std::uint32_t second;
    std::uint64_t address;  // of the first byte that both touch
};

// Jobs between which no barrier stands and which touch a common byte that one of them writes: empty only if
// there are none (of many jobs that touch the same byte not every pair is listed). Knows nothing of tensors,
// levels or lifetimes: it replays addresses.
std::vector<Hazard> find_hazards(std::span<const RecordedDispatch> dispatches);

}  // namespace heron
