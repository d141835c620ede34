// SPDX-License-Identifier: MIT
// Text that several samples print alike.
#pragma once

#include <fmt/format.h>

#include <cstdint>
#include <string>

namespace samples {

inline std::string bytes_text(std::uint64_t bytes) {
    const auto in = [bytes](int power) {
        return static_cast<double>(bytes) / static_cast<double>(1ull << power);
    };
    if (bytes >= 1ull << 60) return "unlimited";
    if (bytes >= 1ull << 30) return fmt::format("{:.2f} GiB", in(30));
    if (bytes >= 1ull << 20) return fmt::format("{:.2f} MiB", in(20));
    return fmt::format("{:.1f} KiB", in(10));
}

}  // namespace samples
