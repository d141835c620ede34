// SPDX-License-Identifier: MIT
// The finished trials of a comparison in a file, so that one that was cut off goes on.
//
// Text, a line each, written as soon as it is known:
//   comparison <what trials depend on beside their own settings>
//   steps <task> <steps of each of its trials>
//   trial <task> <optimizer> <lr> <seed> <figures>
//
// A line that does not end is of no use. What is in the file stays there as it is: going on is as safe as
// beginning. Of a trial that is there twice the first one counts; one of an unknown optimizer is let be.
#pragma once

#include <cstddef>
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
    // Begins the file anew, or with `resume` goes on behind its last whole line. Throws BadInput for a file
    // of another `comparison`, one with a line that no comparison writes, and one that cannot be written.
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

    // Returns the bytes of all whole lines.
    std::size_t read(const std::string& text, const std::string& comparison);
    void read_line(const std::string& line);
    [[noreturn]] void refuse_to_write() const;
    void write_line(const std::string& line);

    std::filesystem::path path_;
    std::ofstream file_;
    std::map<std::string, std::uint32_t> steps_;
    std::deque<Entry> entries_;
};

}  // namespace samples
