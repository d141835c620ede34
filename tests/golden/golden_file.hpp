// SPDX-License-Identifier: MIT
// A golden file that a test writes itself, and whether it passes.
#pragma once

#include <gtest/gtest.h>

#include <deque>
#include <filesystem>
#include <functional>
#include <map>
#include <span>
#include <string>
#include <utility>
#include <vector>

#include "heron/state.hpp"
#include "support/golden.hpp"

namespace heron::test {

using RunGoldenFile = std::function<void(const GoldenCase&, GoldenResult&)>;

class GoldenFile {
public:
    GoldenFile(const GoldenFile&) = delete;
    GoldenFile& operator=(const GoldenFile&) = delete;
    ~GoldenFile() { std::filesystem::remove(file_); }

    // Whether the file passes as run_golden() would have it.
    ::testing::AssertionResult passes(const RunGoldenFile& run) const {
        GoldenResult result;
        const GoldenCase golden(file_);
        try {
            run(golden, result);
        } catch (const std::exception& error) {
            return ::testing::AssertionFailure() << error.what();
        }
        for (const std::string& unread : golden.unread())
            return ::testing::AssertionFailure() << unread << " was not read";
        if (!result.ok())
            return ::testing::AssertionFailure()
                   << result.what() << ": error " << result.error() << ", bound " << result.bound();
        return ::testing::AssertionSuccess();
    }

protected:
    explicit GoldenFile(const std::string& name)
        : file_(std::filesystem::path(::testing::TempDir()) / (name + ".safetensors")) {}
    void add(const std::string& name, const Shape& shape, std::vector<double> values) {
        contents_.push_back(std::move(values));
        tensors_.push_back(FileTensorSource::borrow(name, FileDType::f64, {shape.begin(), shape.end()},
                                                    std::as_bytes(std::span(contents_.back()))));
    }
    // All that was added.
    void write(const std::map<std::string, std::string>& metadata) const {
        write_safetensors(file_, tensors_, metadata);
    }

private:
    std::filesystem::path file_;
    std::deque<std::vector<double>> contents_;
    std::vector<FileTensorSource> tensors_;
};

}  // namespace heron::test
