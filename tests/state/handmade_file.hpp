// SPDX-License-Identifier: MIT
// Safetensors files put together byte by byte, independent of the writer, and what errors say about them.
#pragma once

#include <gtest/gtest.h>
#include <unistd.h>

#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <fstream>
#include <functional>
#include <iterator>
#include <span>
#include <string>
#include <string_view>

#include "heron/error.hpp"
#include "heron/state.hpp"

namespace heron::test {

// A file with a true or false header length, little-endian whatever the host.
inline std::string file_with_length(std::uint64_t header_bytes, std::string_view json,
                                    std::string_view data) {
    std::string file;
    for (int byte = 0; byte < 8; ++byte) file += static_cast<char>(header_bytes >> (8 * byte) & 0xFF);
    file += json;
    file += data;
    return file;
}

inline std::string file_of(std::string_view json, std::string_view data = {}) {
    return file_with_length(json.size(), json, data);
}

inline std::span<const std::byte> bytes_of_text(std::string_view text) {
    return std::as_bytes(std::span(text));
}

// The error that `act` throws, code and text; fails the test where it throws none.
struct Caught {
    ErrorCode code = ErrorCode::internal;
    std::string text;
};
inline Caught caught(const std::function<void()>& act) {
    try {
        act();
    } catch (const Error& error) {
        return {error.code(), error.what()};
    }
    ADD_FAILURE() << "no heron::Error was thrown";
    return {};
}

inline bool contains(std::string_view text, std::string_view part) {
    return text.find(part) != std::string_view::npos;
}

// An empty directory of this process, removed with its content at the end.
class TemporaryDirectory {
public:
    TemporaryDirectory() {
        std::string pattern = (std::filesystem::temp_directory_path() / "heron-state-XXXXXX").string();
        if (!::mkdtemp(pattern.data())) throw std::runtime_error("no temporary directory: " + pattern);
        path_ = pattern;
    }
    ~TemporaryDirectory() {
        std::error_code ignored;
        std::filesystem::remove_all(path_, ignored);
    }
    TemporaryDirectory(const TemporaryDirectory&) = delete;
    TemporaryDirectory& operator=(const TemporaryDirectory&) = delete;

    std::filesystem::path operator/(std::string_view name) const { return path_ / name; }
    const std::filesystem::path& path() const { return path_; }
    std::size_t entry_count() const {
        const std::filesystem::directory_iterator entries(path_);
        return static_cast<std::size_t>(std::distance(begin(entries), end(entries)));
    }

private:
    std::filesystem::path path_;
};

inline std::string content_of(const std::filesystem::path& path) {
    std::ifstream in(path, std::ios::binary);
    return {std::istreambuf_iterator<char>(in), {}};
}

inline void put_content(const std::filesystem::path& path, std::string_view content) {
    std::ofstream out(path, std::ios::binary | std::ios::trunc);
    out.write(content.data(), static_cast<std::streamsize>(content.size()));
    ASSERT_TRUE(out.good()) << path;
}

}  // namespace heron::test
