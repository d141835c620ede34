// SPDX-License-Identifier: MIT
// The main function of every test program.
#include <gtest/gtest.h>

#include <cstdio>

#include "support/device_fixture.hpp"

int main(int argc, char** argv) {
    try {
        ::testing::InitGoogleTest(&argc, argv);
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
