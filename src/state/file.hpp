// SPDX-License-Identifier: MIT
// Files as the operating system gives them: positioned reads, and replacement that a crash cannot tear.
#pragma once

#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <span>
#include <string>

namespace heron::state {

// A regular file open for reading. Throws heron::Error (io).
class InputFile {
public:
    explicit InputFile(const std::filesystem::path& path);
    ~InputFile();
    InputFile(const InputFile&) = delete;
    InputFile& operator=(const InputFile&) = delete;

    std::uint64_t size() const { return size_; }  // bytes, when it was opened
    // Fills `destination` from `offset`; an early end is io. Threads: safe, there is no shared file position.
    void read_at(std::uint64_t offset, std::span<std::byte> destination) const;

private:
    std::string label_;
    std::uint64_t size_ = 0;
#ifdef _WIN32
    void* handle_ = nullptr;
#else
    int descriptor_ = -1;
#endif
};

// The next content of a file, written to a sibling that commit() renames over it. Destroyed without commit,
// the sibling is removed and the file is as before. Throws heron::Error (io).
class ReplacementFile {
public:
    ReplacementFile(const std::filesystem::path& path, bool sync);
    ~ReplacementFile();
    ReplacementFile(const ReplacementFile&) = delete;
    ReplacementFile& operator=(const ReplacementFile&) = delete;

    void write(std::span<const std::byte> bytes);
    void commit();

private:
    void close_and_check();
    [[noreturn]] void fail(const std::string& action) const;

    std::filesystem::path target_;
    std::filesystem::path sibling_;
    bool sync_ = true;
    bool exists_ = false;  // the sibling
#ifdef _WIN32
    void* handle_ = nullptr;
#else
    int descriptor_ = -1;
#endif
};

}  // namespace heron::state
