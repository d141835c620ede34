// SPDX-License-Identifier: MIT
// The finished trials of a comparison in a file, so that one that was cut off goes on.
//
// Text, a line each, written as soon as it is known:
//   comparison <what trials depend on beside their own settings>
//   steps <task> <steps of each of its trials>
//   trial <task> <optimizer> <lr> <seed> <figures>
#pragma once

#include <cstdint>
#include <deque>
#include <filesystem>
#include <fstream>
#include <map>
#include <optional>
#include <string>

#include "compare_optimizers/trial.hpp"

namespace samples {

class Journal {
public:
    // Begins the file anew, or with `resume` keeps what is in it; a line that was cut off is dropped. Throws
    // BadInput for a file of another `comparison`, and one that cannot be written.
    Journal(const std::filesystem::path& file, bool resume, const std::string& comparison);

    std::optional<std::uint32_t> steps(const Task& task) const;
    void set_steps(const Task& task, std::uint32_t steps);

    const Trial* find(const Task& task, const NamedOptimizer& optimizer, float lr, std::uint32_t seed) const;
    // Any trial of the optimizer; nullptr where there is none.
    const Trial* find(const Task& task, const NamedOptimizer& optimizer) const;
    void add(const Task& task, const Trial& trial);

private:
    struct Entry {
        std::string task;
        Trial trial;
    };

    void read(const std::string& text, const std::string& comparison);
    void write_line(const std::string& line);

    std::filesystem::path path_;
    std::ofstream file_;
    std::map<std::string, std::uint32_t> steps_;
    std::deque<Entry> entries_;
};

}  // namespace samples
