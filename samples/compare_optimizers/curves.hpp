// SPDX-License-Identifier: MIT
#pragma once

#include <filesystem>
#include <string>

#include "compare_optimizers/comparison.hpp"

namespace samples {

// Validation loss of every optimizer at its tuned rate, against steps and against time, as SVG: the best
// twelve and the reference in front, the others pale behind them, all with their losses in the legend, best
// first. An optimizer has the same colour and dashes in every picture, whoever else is in it. Throws
// heron::Error (io).
void write_curves(const std::filesystem::path& path, const TaskResult& result, const std::string& device);

}  // namespace samples
