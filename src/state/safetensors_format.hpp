// SPDX-License-Identifier: MIT
// What the safetensors reader and writer share: the dtype table, checked sizes, and names made fit for
// messages.
#pragma once

#include <cstdint>
#include <filesystem>
#include <optional>
#include <span>
#include <string>
#include <string_view>

#include "heron/state.hpp"

namespace heron::state {

inline constexpr std::string_view kMetadataKey = "__metadata__";
inline constexpr std::uint64_t kLengthBytes = 8;  // of the header's length, at the start of the file
inline constexpr std::size_t kMaxFileRank = 32;   // nobody writes more; bounds what a hostile shape can cost

std::optional<FileDType> find_dtype(std::string_view spelled);

// Product of the extents, nothing where the product of the non-zero ones overflows 64 bits: so a zero cannot
// hide extents that whoever computes strides would overflow on.
std::optional<std::uint64_t> checked_count(std::span<const std::uint64_t> shape);
std::optional<std::uint64_t> checked_bytes(std::uint64_t count, FileDType dtype);

bool valid_utf8(std::string_view text);
// Why no tensor of a file can have this name, with the remedy; empty where one can.
std::string_view name_problem(std::string_view name);

// In quotation marks, control characters escaped, cut to a readable length: file content may go into a
// terminal.
std::string in_quotes(std::string_view text);
std::string shape_text(std::span<const std::uint64_t> shape);  // "[64, 32]"
std::string path_text(const std::filesystem::path& path);      // UTF-8 on every system

}  // namespace heron::state
