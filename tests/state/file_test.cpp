// SPDX-License-Identifier: MIT
// The order of system calls that makes a replacement safe, and what is left when one of them fails. The calls
// are caught by functions of the same names in this program, which the library's references find first.
#include "state/file.hpp"

#include <fcntl.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <cerrno>
#include <csignal>
#include <vector>

#include "state/handmade_file.hpp"

namespace {

struct Watch {
    std::vector<std::string> calls;
    std::string failing;          // the call that fails,
    int failing_errno = 0;        // with this
    std::size_t skip = 0;         // after so many of its kind
    std::size_t short_write = 0;  // at most so many bytes a call; 0: no limit
    bool interrupt = false;       // every write is interrupted once
    bool interrupted = false;
};
Watch* watch = nullptr;

bool fails(const char* call) {
    if (!watch) return false;
    watch->calls.emplace_back(call);
    if (watch->failing != call) return false;
    if (watch->skip > 0) {
        --watch->skip;
        return false;
    }
    errno = watch->failing_errno;
    return true;
}

bool is_directory(int descriptor) {
    struct stat status {};
    return ::fstat(descriptor, &status) == 0 && S_ISDIR(status.st_mode);
}

}  // namespace

extern "C" {

int fsync(int descriptor) {
    if (fails(is_directory(descriptor) ? "fsync directory" : "fsync")) return -1;
    return static_cast<int>(::syscall(SYS_fsync, descriptor));
}

int rename(const char* from, const char* to) noexcept {
    if (fails("rename")) return -1;
    return static_cast<int>(::syscall(SYS_renameat, AT_FDCWD, from, AT_FDCWD, to));
}

ssize_t write(int descriptor, const void* bytes, size_t count) {
    if (watch && descriptor > 2) {
        if (fails("write")) return -1;
        if (watch->interrupt && (watch->interrupted = !watch->interrupted)) {
            errno = EINTR;
            return -1;
        }
        if (watch->short_write > 0 && count > watch->short_write) count = watch->short_write;
    }
    return ::syscall(SYS_write, descriptor, bytes, count);
}

int close(int descriptor) {
    const bool failed = watch && !is_directory(descriptor) && fails("close");
    const int error = errno;
    const int result = static_cast<int>(::syscall(SYS_close, descriptor));
    if (failed) errno = error;
    return failed ? -1 : result;
}

}  // extern "C"

namespace heron::state {
namespace {

using test::caught;
using test::contains;

void replace(const std::filesystem::path& path, std::string_view content, bool sync = true) {
    ReplacementFile file(path, sync);
    file.write(test::bytes_of_text(content.substr(0, content.size() / 2)));
    file.write(test::bytes_of_text(content.substr(content.size() / 2)));
    file.commit();
}

class Replacement : public testing::Test {
protected:
    void SetUp() override {
        test::put_content(path_, "old");
        watch = &watched_;
    }
    void TearDown() override { watch = nullptr; }

    std::string content() {
        watch = nullptr;
        return test::content_of(path_);
    }

    test::TemporaryDirectory directory_;
    std::filesystem::path path_ = directory_ / "checkpoint";
    Watch watched_;
};

TEST_F(Replacement, SynchronisesBeforeAndAfterRenaming) {
    replace(path_, "new content");
    EXPECT_EQ(watched_.calls,
              (std::vector<std::string>{"write", "write", "fsync", "close", "rename", "fsync directory"}));
    EXPECT_EQ(content(), "new content");
    EXPECT_EQ(directory_.entry_count(), 1u);
}

TEST_F(Replacement, WithoutSyncStillRenames) {
    replace(path_, "new content", /*sync=*/false);
    EXPECT_EQ(watched_.calls, (std::vector<std::string>{"write", "write", "close", "rename"}));
    EXPECT_EQ(content(), "new content");
}

TEST_F(Replacement, ShortAndInterruptedWritesAreContinued) {
    watched_.short_write = 3;
    watched_.interrupt = true;
    replace(path_, "a longer new content");
    EXPECT_EQ(content(), "a longer new content");
}

TEST_F(Replacement, AnyFailureBeforeRenamingLeavesTheOldFile) {
    struct Case {
        const char* call;
        int error;
        std::size_t skip;
        const char* remedy;
    };
    for (const Case& c :
         {Case{"write", ENOSPC, 0, "free some space"}, Case{"write", ENOSPC, 1, "free some space"},
          Case{"write", EIO, 1, "check the disk"}, Case{"fsync", EIO, 0, "check the disk"},
          Case{"fsync", ENOSPC, 0, "free some space"}, Case{"close", EIO, 0, "check the disk"},
          Case{"rename", EACCES, 0, "permissions"}, Case{"rename", EROFS, 0, "permissions"}}) {
        watched_ = {};
        watched_.failing = c.call;
        watched_.failing_errno = c.error;
        watched_.skip = c.skip;
        watch = &watched_;
        const test::Caught error = caught([&] { replace(path_, "new content"); });
        EXPECT_EQ(error.code, ErrorCode::io) << c.call;
        EXPECT_TRUE(contains(error.text, path_.string())) << error.text;
        EXPECT_TRUE(contains(error.text, "the old is untouched")) << error.text;
        EXPECT_TRUE(contains(error.text, c.remedy)) << error.text;
        EXPECT_EQ(content(), "old") << c.call;
        EXPECT_EQ(directory_.entry_count(), 1u) << c.call << ": the sibling is left behind";
    }
}

TEST_F(Replacement, FailingDirectorySyncIsReportedWithTheNewFileInPlace) {
    watched_.failing = "fsync directory";
    watched_.failing_errno = EIO;
    const test::Caught error = caught([&] { replace(path_, "new content"); });
    EXPECT_EQ(error.code, ErrorCode::io);
    EXPECT_TRUE(contains(error.text, "the new file is in place")) << error.text;
    EXPECT_EQ(content(), "new content");
    EXPECT_EQ(directory_.entry_count(), 1u);
}

TEST_F(Replacement, FileSystemsThatCannotSynchroniseDirectoriesAreFine) {
    watched_.failing = "fsync directory";
    watched_.failing_errno = EINVAL;
    replace(path_, "new content");
    EXPECT_EQ(content(), "new content");
}

TEST_F(Replacement, AbandonedReplacementLeavesTheOldFile) {
    {
        ReplacementFile file(path_, true);
        file.write(test::bytes_of_text("half"));
        EXPECT_EQ(directory_.entry_count(), 2u);
    }
    EXPECT_EQ(content(), "old");
    EXPECT_EQ(directory_.entry_count(), 1u);
}

// The real thing, as far as it can be had without a disk of one's own.
TEST_F(Replacement, LimitOfTheSystemIsAnErrorNotASignal) {
    watch = nullptr;
    rlimit before{};
    ASSERT_EQ(::getrlimit(RLIMIT_FSIZE, &before), 0);
    rlimit lower = before;
    lower.rlim_cur = 100'000;
    void (*handler)(int) = std::signal(SIGXFSZ, SIG_IGN);
    ASSERT_EQ(::setrlimit(RLIMIT_FSIZE, &lower), 0);
    const test::Caught error = caught([&] { replace(path_, std::string(1'000'000, 'x')); });
    ASSERT_EQ(::setrlimit(RLIMIT_FSIZE, &before), 0);
    std::signal(SIGXFSZ, handler);
    EXPECT_EQ(error.code, ErrorCode::io);
    EXPECT_TRUE(contains(error.text, "raise the user's limit")) << error.text;
    EXPECT_EQ(content(), "old");
    EXPECT_EQ(directory_.entry_count(), 1u);
}

TEST(InputFile, ReadsAtAnyOffsetAndStopsAtTheEnd) {
    test::TemporaryDirectory directory;
    test::put_content(directory / "file", "abcdef");
    const InputFile file(directory / "file");
    EXPECT_EQ(file.size(), 6u);
    std::string text(3, '?');
    file.read_at(3, std::as_writable_bytes(std::span(text)));
    EXPECT_EQ(text, "def");
    const test::Caught error = caught([&] { file.read_at(4, std::as_writable_bytes(std::span(text))); });
    EXPECT_EQ(error.code, ErrorCode::io);
    EXPECT_TRUE(contains(error.text, "ends at byte 6")) << error.text;
}

}  // namespace
}  // namespace heron::state
