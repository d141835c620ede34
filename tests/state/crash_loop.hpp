// SPDX-License-Identifier: MIT
// A process that overwrites a checkpoint again and again is killed at random moments; after each kill the
// checkpoint must be one version, complete, and not older than the last one whose writing was reported done.
#pragma once

#include <gtest/gtest.h>
#include <sys/wait.h>
#include <unistd.h>

#include <chrono>
#include <csignal>
#include <cstring>
#include <optional>
#include <random>
#include <thread>

#include "state/handmade_file.hpp"

namespace heron::test {

constexpr std::uint64_t kCrashTensors = 8;
constexpr std::uint64_t kCrashValues = 32'768;  // of 8 bytes: 2 MiB in all, written in 64 KiB pieces

inline std::uint64_t crash_value(std::uint64_t version, std::uint64_t tensor, std::uint64_t index) {
    return (version * kCrashTensors + tensor) * kCrashValues + index;
}

inline void write_version(const std::filesystem::path& path, std::uint64_t version) {
    std::vector<FileTensorSource> tensors;
    for (std::uint64_t tensor = 0; tensor < kCrashTensors; ++tensor)
        tensors.push_back({"t" + std::to_string(tensor),
                           FileDType::u64,
                           {kCrashValues},
                           [=](std::uint64_t offset, std::span<std::byte> chunk) {
                               for (std::size_t i = 0; i < chunk.size() / 8; ++i) {
                                   const std::uint64_t value = crash_value(version, tensor, offset / 8 + i);
                                   std::memcpy(chunk.data() + 8 * i, &value, 8);
                               }
                           }});
    write_safetensors(path, tensors, {{"version", std::to_string(version)}}, {.chunk_bytes = 65'536});
}

// The version that the file holds; nothing where it is unreadable or mixed.
inline std::optional<std::uint64_t> complete_version(const std::filesystem::path& path) {
    try {
        const SafetensorsReader reader(path);
        const std::uint64_t version = std::stoull(reader.metadata().at("version"));
        std::vector<std::uint64_t> values(kCrashValues);
        for (std::uint64_t tensor = 0; tensor < kCrashTensors; ++tensor) {
            reader.read("t" + std::to_string(tensor), std::as_writable_bytes(std::span(values)));
            for (std::uint64_t i = 0; i < kCrashValues; ++i)
                if (values[i] != crash_value(version, tensor, i)) return std::nullopt;
        }
        return version;
    } catch (const std::exception& error) {
        ADD_FAILURE() << error.what();
        return std::nullopt;
    }
}

// The child: never returns. Reports each version once it is written.
[[noreturn]] inline void overwrite_forever(const std::filesystem::path& path, std::uint64_t version,
                                           int reports) {
    try {
        for (;; ++version) {
            write_version(path, version);
            if (::write(reports, &version, sizeof version) != sizeof version) ::_exit(1);
        }
    } catch (...) {
        ::_exit(2);
    }
}

inline void kill_while_overwriting(int kills) {
    TemporaryDirectory directory;
    const std::filesystem::path path = directory / "checkpoint.safetensors";
    std::uint64_t version = 1;
    write_version(path, version);
    std::mt19937 random(7);
    int in_the_middle = 0;  // kills that left a sibling behind

    for (int kill = 0; kill < kills; ++kill) {
        int reports[2];
        ASSERT_EQ(::pipe(reports), 0);
        const pid_t child = ::fork();
        ASSERT_GE(child, 0);
        if (child == 0) {
            ::close(reports[0]);
            overwrite_forever(path, version + 1, reports[1]);
        }
        ::close(reports[1]);
        // After a first version, so that the moment falls into the work, not into the start of the process.
        std::uint64_t reported = 0;
        ASSERT_EQ(::read(reports[0], &reported, sizeof reported), static_cast<ssize_t>(sizeof reported));
        std::this_thread::sleep_for(std::chrono::microseconds(random() % 20'000));
        ASSERT_EQ(::kill(child, SIGKILL), 0);
        int status = 0;
        ASSERT_EQ(::waitpid(child, &status, 0), child);
        ASSERT_TRUE(WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL)
            << "the child ended by itself: " << status;
        for (std::uint64_t next = 0; ::read(reports[0], &next, sizeof next) == sizeof next;) reported = next;
        ::close(reports[0]);

        const std::optional<std::uint64_t> found = complete_version(path);
        ASSERT_TRUE(found) << "kill " << kill << ": the checkpoint is unreadable or mixed";
        ASSERT_GE(*found, reported) << "kill " << kill << ": a version reported as written is lost";
        ASSERT_LE(*found, reported + 1);
        version = *found;

        for (const auto& entry : std::filesystem::directory_iterator(directory.path()))
            if (entry.path() != path) {
                EXPECT_EQ(entry.path().extension(), ".tmp");
                std::filesystem::remove(entry.path());
                ++in_the_middle;
            }
    }
    // The negative control: the kills did hit the writing.
    EXPECT_GT(in_the_middle, kills / 8);
    testing::Test::RecordProperty("in_the_middle", in_the_middle);
}

}  // namespace heron::test
