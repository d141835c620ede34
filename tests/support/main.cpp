// SPDX-License-Identifier: MIT
// The main function of every test program.
#include <gtest/gtest.h>
#include <unistd.h>

#include <cstdio>
#include <cstdlib>
#include <filesystem>
#include <string>
#include <system_error>

#include "support/device_fixture.hpp"

namespace {

namespace fs = std::filesystem;

// What testing::TempDir() gives: a folder of this process, since the same tests of another build may run
// beside it and call their files alike.
class OwnFolder {
public:
    OwnFolder() : path_(fs::path(::testing::TempDir()) / ("heron_tests_" + std::to_string(getpid()))) {
        fs::create_directories(path_);
        setenv("TEST_TMPDIR", path_.c_str(), 1);
    }
    OwnFolder(const OwnFolder&) = delete;
    OwnFolder& operator=(const OwnFolder&) = delete;
    ~OwnFolder() {
        std::error_code ignored;
        fs::remove_all(path_, ignored);
    }

private:
    fs::path path_;
};

}  // namespace

int main(int argc, char** argv) {
    try {
        ::testing::InitGoogleTest(&argc, argv);
        const OwnFolder folder;
        int result = RUN_ALL_TESTS();
        // Destroying a device has its own messages, among them those about what was left behind.
        heron::test::drop_cached_devices();
        for (const std::string& message : heron::test::take_validation_messages()) {
            std::fprintf(stderr, "validation, outside of the tests: %s\n", message.c_str());
            result = 1;
        }
        return result;
    } catch (const std::exception& error) {
        std::fprintf(stderr, "%s\n", error.what());
        return 1;
    }
}
