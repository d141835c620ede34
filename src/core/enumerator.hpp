// SPDX-License-Identifier: MIT
// Whether a value that the caller gave is one of its enumeration's.
#pragma once

#include <cstdint>

namespace heron {

// Of an enumeration that counts from 0 to `last`.
template <class Enum>
constexpr bool is_enumerator(Enum value, Enum last) {
    return static_cast<std::uint64_t>(value) <= static_cast<std::uint64_t>(last);
}

}  // namespace heron
