// SPDX-License-Identifier: MIT
// The text that the transformer learns, as characters (bytes) of a small vocabulary.
#pragma once

#include <cstdint>
#include <filesystem>
#include <span>
#include <string>
#include <vector>

namespace samples {

struct Corpus {
    std::string source;               // what to call it
    std::vector<std::uint8_t> train;  // indices into the vocabulary
    std::vector<std::uint8_t> validation;
    std::uint32_t vocabulary = 0;  // different bytes in the text
};

// Files of /usr/share/common-licenses, which every Debian system has: those of them that are there.
std::vector<std::filesystem::path> default_texts();

// One text after the other. Of each ten blocks of 2048 characters (of a tenth of the text, where it is
// shorter) the last is for validation. Throws BadInput: no text, one that cannot be read, or that has no
// block longer than `context`.
Corpus read_corpus(std::span<const std::filesystem::path> files, std::uint32_t context);

}  // namespace samples
