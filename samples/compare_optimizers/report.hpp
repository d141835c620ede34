// SPDX-License-Identifier: MIT
// What a comparison leaves behind: tables, curves and all figures.
#pragma once

#include <filesystem>
#include <span>
#include <string>

#include "compare_optimizers/comparison.hpp"

namespace samples {

// For a terminal.
std::string table_text(const TaskResult& result);
// What stands out, in sentences.
std::string findings(const TaskResult& result);

struct ReportHead {
    std::string device;   // and driver
    std::string command;  // that made it
    std::string method;   // how rates were tuned, in a sentence or two
};
// comparison.md, images/compare-<task>.svg, and comparison.csv (every step and evaluation of every trial;
// columns task, optimizer, lr, seed, tuned, step, seconds, train_loss, validation_loss,
// validation_accuracy). Throws heron::Error (io) naming the file that cannot be written.
void write_report(const std::filesystem::path& folder, std::span<const TaskResult> results,
                  const ReportHead& head);

}  // namespace samples
