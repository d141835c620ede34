// SPDX-License-Identifier: MIT
// FNV-1a, 64 bits: notices damage, not intent. Each byte is xored in and multiplied by an odd number, so two
// inputs that differ in one byte never collide.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>

namespace heron {

inline constexpr std::uint64_t kEmptyHash = 0xcbf29ce484222325ull;

// The hash of what `hash` is of, followed by `bytes`.
inline std::uint64_t hash_of(std::span<const std::byte> bytes, std::uint64_t hash = kEmptyHash) {
    for (const std::byte byte : bytes)
        hash = (hash ^ std::to_integer<std::uint64_t>(byte)) * 0x100000001b3ull;
    return hash;
}

}  // namespace heron
