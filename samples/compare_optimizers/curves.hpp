// SPDX-License-Identifier: MIT
#pragma once

#include <filesystem>
#include <string>

#include "compare_optimizers/comparison.hpp"

namespace samples {

// Validation loss of every optimizer at its tuned rate, against steps and against time, as SVG. Throws
// heron::Error (io).
void write_curves(const std::filesystem::path& path, const TaskResult& result, const std::string& device);

}  // namespace samples
