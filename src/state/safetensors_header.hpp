// SPDX-License-Identifier: MIT
// The JSON header of a safetensors file, parsed event by event into checked tensors, without a document tree.
#pragma once

#include <cstdint>
#include <map>
#include <string>
#include <string_view>
#include <vector>

#include "heron/state.hpp"

namespace heron::state {

struct Header {
    std::map<std::string, std::string> metadata;
    std::vector<FileTensor> tensors;     // in the order of their bytes
    std::vector<std::uint32_t> by_name;  // indices of tensors, ascending names
};

// Parses and checks `json` for a file with `data_bytes` bytes after the header, which begin at `data_offset`
// of the file. Throws heron::Error (corrupt_file) whose text begins with `label`. Memory stays within a small
// multiple of json.size().
Header parse_header(std::string_view json, std::uint64_t data_offset, std::uint64_t data_bytes,
                    const std::string& label);

}  // namespace heron::state
