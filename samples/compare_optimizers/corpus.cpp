// SPDX-License-Identifier: MIT
#include "corpus.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <fstream>
#include <iterator>

#include "support/bad_input.hpp"

namespace samples {

namespace {

namespace fs = std::filesystem;

constexpr std::uintmax_t kMostBytes = std::uintmax_t{256} << 20;  // of all texts: indices are 4 bytes each
constexpr std::size_t kBlock = 2048;
constexpr std::size_t kBlocks = 10;  // of which the last is for validation

std::string read_text(const fs::path& file) {
    std::error_code failed;
    if (!fs::is_regular_file(file, failed))
        throw BadInput("--text " + file.string() + ": there is no such file");
    if (fs::file_size(file, failed) > kMostBytes || failed)
        throw BadInput("--text " + file.string() + ": is longer than 256 MiB");
    std::ifstream stream(file, std::ios::binary);
    std::string text{std::istreambuf_iterator<char>(stream), std::istreambuf_iterator<char>()};
    if (!stream) throw BadInput("--text " + file.string() + ": cannot be read");
    return text;
}

}  // namespace

std::vector<fs::path> default_texts() {
    const fs::path folder = "/usr/share/common-licenses";
    std::vector<fs::path> files;
    // Those that share the fewest passages with each other.
    for (const char* name : {"Apache-2.0", "Artistic", "GFDL-1.3", "GPL-3", "LGPL-2.1", "MPL-2.0"})
        if (std::error_code failed; fs::is_regular_file(folder / name, failed))
            files.push_back(folder / name);
    return files;
}

Corpus read_corpus(std::span<const fs::path> files, std::uint32_t context) {
    if (files.empty())
        throw BadInput("--text: /usr/share/common-licenses is not there; give a text file of your own");
    std::string text;
    Corpus corpus;
    for (const fs::path& file : files) {
        text += read_text(file);
        if (text.size() > kMostBytes) throw BadInput("--text: the texts are longer than 256 MiB together");
    }
    corpus.source = files.front().filename().string();
    if (files.size() > 1)
        corpus.source =
            fmt::format("{} texts ({} to {})", files.size(), corpus.source, files.back().filename().string());
    const std::size_t block = std::min(kBlock, text.size() / kBlocks);
    if (block <= context)
        throw BadInput(
            fmt::format("--text: {} characters are too few for a context of {}: a tenth of the "
                        "text must be longer",
                        text.size(), context));

    std::array<bool, 256> used{};
    for (const char c : text) used[static_cast<std::uint8_t>(c)] = true;
    std::array<std::uint8_t, 256> index{};
    for (std::size_t c = 0; c < used.size(); ++c)
        if (used[c]) index[c] = static_cast<std::uint8_t>(corpus.vocabulary++);
    for (std::size_t i = 0; i < text.size(); ++i)
        (i / block % kBlocks == kBlocks - 1 ? corpus.validation : corpus.train)
            .push_back(index[static_cast<std::uint8_t>(text[i])]);
    return corpus;
}

}  // namespace samples
