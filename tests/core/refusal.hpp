// SPDX-License-Identifier: MIT
// What a function that must throw heron::Error says.
#pragma once

#include <gtest/gtest.h>

#include <string>

#include "heron/error.hpp"

namespace heron::test {

// The text; fails the test where nothing is thrown or the code is another one.
template <typename Function>
std::string refusal(ErrorCode code, Function function) {
    try {
        function();
    } catch (const Error& error) {
        EXPECT_STREQ(to_string(error.code()), to_string(code)) << error.what();
        return error.what();
    }
    ADD_FAILURE() << "nothing was thrown";
    return {};
}

inline ::testing::AssertionResult says(const std::string& text, const std::string& part) {
    if (text.find(part) != std::string::npos) return ::testing::AssertionSuccess();
    return ::testing::AssertionFailure() << "\"" << text << "\" does not contain \"" << part << "\"";
}

}  // namespace heron::test
