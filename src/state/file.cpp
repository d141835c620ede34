// SPDX-License-Identifier: MIT
// Files: positioned reads, and replacement by write, synchronise, rename, synchronise the directory.
#include "state/file.hpp"

#include <algorithm>
#include <random>
#include <system_error>

#include "heron/error.hpp"
#include "state/safetensors_format.hpp"

#ifdef _WIN32
#include <windows.h>
#else
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#endif

namespace heron::state {
namespace {

// One request to the system stays below what every one of them takes in one piece (Linux: 2 GiB - 4 KiB).
constexpr std::size_t kMaxRequestBytes = std::size_t{1} << 30;

const char* remedy_for(const std::error_code& code) {
    if (code == std::errc::no_such_file_or_directory) return "check the path, and create the directory first";
    if (code == std::errc::permission_denied || code == std::errc::operation_not_permitted ||
        code == std::errc::read_only_file_system)
        return "check the permissions of the file and of its directory";
    if (code == std::errc::no_space_on_device) return "free some space or choose another disk";
    if (code == std::errc::file_too_large)
        return "choose a file system without this limit, or raise the user's limit";
    if (code == std::errc::too_many_files_open) return "close files or raise the limit of open ones";
    return "check the disk and the path, then try again";
}

[[noreturn]] void throw_io(const std::string& label, const std::string& action, int error) {
    const std::error_code code(error, std::system_category());
    throw Error(ErrorCode::io,
                in_quotes(label) + ": cannot " + action + ": " + code.message() + "; " + remedy_for(code));
}

// Where the bytes go in the end: the file that a symbolic link names, so that the link itself survives.
std::filesystem::path resolve_target(const std::filesystem::path& path) {
    std::error_code error;
    std::filesystem::path target = path;
    if (std::filesystem::is_symlink(std::filesystem::symlink_status(path, error))) {
        const std::filesystem::path named = std::filesystem::canonical(path, error);
        if (error)
            throw Error(ErrorCode::io, in_quotes(path_text(path)) +
                                           ": is a symbolic link that cannot be followed: " +
                                           error.message() + "; remove it or create what it names");
        target = named;
    }
    if (!target.has_filename())
        throw Error(ErrorCode::io, in_quotes(path_text(path)) + ": names no file; append a file name");
    const std::filesystem::file_status status = std::filesystem::status(target, error);
    // Renaming over a device would replace it, /dev/null included.
    if (std::filesystem::exists(status) && !std::filesystem::is_regular_file(status))
        throw Error(ErrorCode::io,
                    in_quotes(path_text(path)) +
                        ": exists and is no regular file, so it is not replaced; choose another path");
    return target;
}

std::filesystem::path random_sibling(const std::filesystem::path& target) {
    constexpr const char* kHex = "0123456789abcdef";
    std::string suffix = ".";
    try {
        std::random_device random;
        for (int word = 0; word < 2; ++word) {
            std::uint32_t bits = random();
            for (int digit = 0; digit < 8; ++digit, bits >>= 4) suffix += kHex[bits & 15];
        }
    } catch (const std::exception& error) {
        throw Error(ErrorCode::io, in_quotes(path_text(target)) + ": no random name for a file beside it: " +
                                       error.what() + "; try again");
    }
    std::filesystem::path sibling = target;
    sibling += suffix + ".tmp";
    return sibling;
}

}  // namespace

#ifndef _WIN32

InputFile::InputFile(const std::filesystem::path& path) : label_(path_text(path)) {
    // Non-blocking: opening a pipe must not wait for its writer. Without effect on regular files.
    do descriptor_ = ::open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK);
    while (descriptor_ < 0 && errno == EINTR);
    if (descriptor_ < 0) throw_io(label_, "open it for reading", errno);

    struct stat status {};
    const bool known = ::fstat(descriptor_, &status) == 0;
    const int error = errno;
    if (known && S_ISREG(status.st_mode)) {
        size_ = static_cast<std::uint64_t>(status.st_size);
        return;
    }
    ::close(descriptor_);
    if (!known) throw_io(label_, "ask for its size", error);
    throw Error(ErrorCode::io, in_quotes(label_) + ": is no regular file; name a safetensors file");
}

InputFile::~InputFile() { ::close(descriptor_); }

void InputFile::read_at(std::uint64_t offset, std::span<std::byte> destination) const {
    while (!destination.empty()) {
        const std::size_t request = std::min(destination.size(), kMaxRequestBytes);
        const ssize_t got = ::pread(descriptor_, destination.data(), request, static_cast<off_t>(offset));
        if (got < 0) {
            if (errno == EINTR) continue;
            throw_io(label_, "read " + std::to_string(request) + " bytes at " + std::to_string(offset),
                     errno);
        }
        if (got == 0)
            throw Error(ErrorCode::io, in_quotes(label_) + ": ends at byte " + std::to_string(offset) +
                                           ", it had " + std::to_string(size_) +
                                           " when it was opened; do not truncate a file that is being read");
        offset += static_cast<std::uint64_t>(got);
        destination = destination.subspan(static_cast<std::size_t>(got));
    }
}

ReplacementFile::ReplacementFile(const std::filesystem::path& path, bool sync)
    : target_(resolve_target(path)), sync_(sync) {
    do {
        sibling_ = random_sibling(target_);
        do descriptor_ = ::open(sibling_.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0666);
        while (descriptor_ < 0 && errno == EINTR);
    } while (descriptor_ < 0 && errno == EEXIST);
    if (descriptor_ < 0) fail("create a file beside it");
    exists_ = true;

    // A checkpoint that was private stays private. Best effort: some file systems know no permissions.
    struct stat status {};
    if (::stat(target_.c_str(), &status) == 0) {
        const int changed = ::fchmod(descriptor_, status.st_mode & 07777);
        static_cast<void>(changed);
    }
}

ReplacementFile::~ReplacementFile() {
    if (descriptor_ >= 0) ::close(descriptor_);
    if (exists_) ::unlink(sibling_.c_str());
}

void ReplacementFile::fail(const std::string& action) const {
    const int error = errno;
    throw_io(path_text(target_), action, error);
}

void ReplacementFile::write(std::span<const std::byte> bytes) {
    while (!bytes.empty()) {
        const ssize_t put = ::write(descriptor_, bytes.data(), std::min(bytes.size(), kMaxRequestBytes));
        if (put < 0) {
            if (errno == EINTR) continue;
            fail("write its new content (the old is untouched)");
        }
        bytes = bytes.subspan(static_cast<std::size_t>(put));
    }
}

void ReplacementFile::close_and_check() {
    const int descriptor = descriptor_;
    descriptor_ = -1;  // closed in any case: after EINTR too, on Linux
    if (::close(descriptor) != 0 && errno != EINTR) fail("write its new content (the old is untouched)");
}

void ReplacementFile::commit() {
    if (sync_) {
#ifdef __APPLE__
        // fsync there reaches the drive, not its platters.
        const bool synced = ::fcntl(descriptor_, F_FULLFSYNC) == 0 || ::fsync(descriptor_) == 0;
#else
        const bool synced = ::fsync(descriptor_) == 0;
#endif
        if (!synced) fail("bring its new content to the disk (the old is untouched)");
    }
    close_and_check();
    if (::rename(sibling_.c_str(), target_.c_str()) != 0)
        fail("rename its new content over it (the old is untouched)");
    exists_ = false;
    if (!sync_) return;

    std::filesystem::path directory = target_.parent_path();
    if (directory.empty()) directory = ".";
    const int descriptor = ::open(directory.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    // A directory may be writable and not readable; then the rename is as durable as we can make it.
    if (descriptor < 0) return;
    const bool synced = ::fsync(descriptor) == 0;
    const int error = errno;
    ::close(descriptor);
    // Some file systems do not synchronise directories at all and say so with these.
    if (!synced && error != EINVAL && error != ENOTSUP && error != ENOSYS)
        throw_io(path_text(target_), "bring its directory to the disk (the new file is in place)", error);
}

#else  // _WIN32

namespace {

int last_error() { return static_cast<int>(GetLastError()); }

}  // namespace

InputFile::InputFile(const std::filesystem::path& path) : label_(path_text(path)) {
    // Others may replace or delete the file while it is open, as on other systems.
    handle_ = CreateFileW(path.c_str(), GENERIC_READ, FILE_SHARE_READ | FILE_SHARE_WRITE | FILE_SHARE_DELETE,
                          nullptr, OPEN_EXISTING, FILE_ATTRIBUTE_NORMAL, nullptr);
    if (handle_ == INVALID_HANDLE_VALUE) throw_io(label_, "open it for reading", last_error());
    LARGE_INTEGER bytes{};
    if (GetFileType(handle_) == FILE_TYPE_DISK && GetFileSizeEx(handle_, &bytes)) {
        size_ = static_cast<std::uint64_t>(bytes.QuadPart);
        return;
    }
    CloseHandle(handle_);
    throw Error(ErrorCode::io, in_quotes(label_) + ": is no regular file; name a safetensors file");
}

InputFile::~InputFile() { CloseHandle(handle_); }

void InputFile::read_at(std::uint64_t offset, std::span<std::byte> destination) const {
    while (!destination.empty()) {
        const auto request = static_cast<DWORD>(std::min(destination.size(), kMaxRequestBytes));
        OVERLAPPED position{};
        position.Offset = static_cast<DWORD>(offset);
        position.OffsetHigh = static_cast<DWORD>(offset >> 32);
        DWORD got = 0;
        if (!ReadFile(handle_, destination.data(), request, &got, &position) &&
            last_error() != ERROR_HANDLE_EOF)
            throw_io(label_, "read " + std::to_string(request) + " bytes at " + std::to_string(offset),
                     last_error());
        if (got == 0)
            throw Error(ErrorCode::io, in_quotes(label_) + ": ends at byte " + std::to_string(offset) +
                                           ", it had " + std::to_string(size_) +
                                           " when it was opened; do not truncate a file that is being read");
        offset += got;
        destination = destination.subspan(got);
    }
}

ReplacementFile::ReplacementFile(const std::filesystem::path& path, bool sync)
    : target_(resolve_target(path)), sync_(sync) {
    do {
        sibling_ = random_sibling(target_);
        handle_ = CreateFileW(sibling_.c_str(), GENERIC_WRITE, 0, nullptr, CREATE_NEW, FILE_ATTRIBUTE_NORMAL,
                              nullptr);
    } while (handle_ == INVALID_HANDLE_VALUE && last_error() == ERROR_FILE_EXISTS);
    if (handle_ == INVALID_HANDLE_VALUE) {
        handle_ = nullptr;
        fail("create a file beside it");
    }
    exists_ = true;
}

ReplacementFile::~ReplacementFile() {
    if (handle_) CloseHandle(handle_);
    if (exists_) DeleteFileW(sibling_.c_str());
}

void ReplacementFile::fail(const std::string& action) const {
    const int error = last_error();
    throw_io(path_text(target_), action, error);
}

void ReplacementFile::write(std::span<const std::byte> bytes) {
    while (!bytes.empty()) {
        const auto request = static_cast<DWORD>(std::min(bytes.size(), kMaxRequestBytes));
        DWORD put = 0;
        if (!WriteFile(handle_, bytes.data(), request, &put, nullptr))
            fail("write its new content (the old is untouched)");
        bytes = bytes.subspan(put);
    }
}

void ReplacementFile::close_and_check() {
    void* handle = handle_;
    handle_ = nullptr;
    if (!CloseHandle(handle)) fail("write its new content (the old is untouched)");
}

void ReplacementFile::commit() {
    if (sync_ && !FlushFileBuffers(handle_)) fail("bring its new content to the disk (the old is untouched)");
    close_and_check();
    // Write-through also stands for synchronising the directory.
    const DWORD flags = MOVEFILE_REPLACE_EXISTING | (sync_ ? DWORD{MOVEFILE_WRITE_THROUGH} : DWORD{0});
    if (!MoveFileExW(sibling_.c_str(), target_.c_str(), flags))
        fail("rename its new content over it (the old is untouched)");
    exists_ = false;
}

#endif

}  // namespace heron::state
