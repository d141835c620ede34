// SPDX-License-Identifier: MIT
// Paths and metadata of files, as plans and checkpoints of the C API take them.
#pragma once

#include <cstdint>
#include <filesystem>
#include <map>
#include <memory>
#include <string>

#include "c/handles.hpp"

namespace heron::c {

std::filesystem::path path_of(const char* path);  // of UTF-8
std::map<std::string, std::string> read_metadata(const heron_metadata_entry* entries, std::uint32_t count);

// `load` returns a file's texts, which are handed out where somebody asks; its memory is taken first, so that
// nothing is left to fail once the file is loaded.
template <class Load>
void load_metadata(heron_metadata** metadata, const Load& load) {
    auto loaded = std::make_unique<heron_metadata>();
    loaded->texts = load();
    if (metadata != nullptr) *metadata = loaded.release();
}

}  // namespace heron::c
