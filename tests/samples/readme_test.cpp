// SPDX-License-Identifier: MIT
// What README.md says there is, against what there is.
#include <gtest/gtest.h>

#include <algorithm>
#include <filesystem>
#include <map>
#include <regex>
#include <string>
#include <vector>

#include "sample_program.hpp"
#include "support/optimizers.hpp"

namespace heron::test {
namespace {

namespace fs = std::filesystem;

const fs::path kRoot = HERON_SOURCE_DIR;

// From one line to before another, without either.
std::string between(const std::string& text, const std::string& first, const std::string& last) {
    const std::size_t begin = text.find("\n" + first + "\n"), end = text.find("\n" + last + "\n", begin + 1);
    EXPECT_TRUE(begin != std::string::npos && end != std::string::npos) << first << " ... " << last;
    return text.substr(begin, end - begin);
}

// Classes of optimizers, each with the header that has it.
std::map<std::string, std::string> optimizer_classes() {
    const std::regex declaration("class HERON_API (\\w+) (?:final )?: public (?:Layer)?Optimizer");
    std::map<std::string, std::string> classes;
    for (const fs::directory_entry& header : fs::directory_iterator(kRoot / "include/heron/optim")) {
        const std::string text = text_of(header.path());
        for (std::sregex_iterator it(text.begin(), text.end(), declaration), end; it != end; ++it)
            classes[it->str(1)] = header.path().filename().string();
    }
    classes.erase("LayerOptimizer");  // a base
    return classes;
}

std::vector<std::string> table_rows(const std::string& text) {
    std::vector<std::string> rows;
    for (const std::string& line : lines_with(text, "| "))
        if (line.starts_with("| ") && !line.starts_with("| ---") && !line.starts_with("| optimizer "))
            rows.push_back(line);
    return rows;
}

TEST(Readme, HasALineForEveryOptimizer) {
    const std::string table = between(text_of(kRoot / "README.md"), "## Optimizers", "## Linear algebra");
    const std::map<std::string, std::string> classes = optimizer_classes();
    EXPECT_GE(classes.size(), 32u);
    for (const auto& [name, header] : classes)
        EXPECT_EQ(lines_with(table, "| [optim/" + header + "](include/heron/optim/" + header + ")").size() +
                      lines_with(table, ", [" + header + "](include/heron/optim/" + header + ")").size(),
                  1u)
            << name << " of " << header;
}

TEST(Readme, HasTheWholeComparison) {
    const std::string readme = text_of(kRoot / "README.md");
    const std::string page = text_of(kRoot / "docs/comparison.md");
    std::vector<std::string> rows;
    for (const std::string& row : table_rows(between(readme, "## Optimizers", "## Linear algebra")))
        if (row.find(".hpp") == std::string::npos) rows.push_back(row);
    EXPECT_EQ(rows, table_rows(between(page, "## All tasks", "## fashion_mnist")));
    for (const samples::NamedOptimizer& optimizer : samples::named_optimizers()) {
        if (optimizer.form) continue;
        const std::string begin = "| " + std::string(optimizer.name) + " |";
        EXPECT_EQ(std::count_if(rows.begin(), rows.end(),
                                [&](const std::string& row) { return row.starts_with(begin); }),
                  1)
            << optimizer.name;
    }
}

// What everything is compared with, at a rate with a worse one on both sides.
TEST(Readme, TheComparisonTunesAdamW) {
    std::vector<std::string> rows;
    for (const std::string& row : table_rows(text_of(kRoot / "docs/comparison.md")))
        if (row.starts_with("| adamw |")) rows.push_back(row);
    EXPECT_GE(rows.size(), 3u);  // of all tasks, and of two of them
    for (const std::string& row : rows) EXPECT_EQ(row.find("(edge)"), std::string::npos) << row;
}

// The shared tests run what the registry has.
TEST(Registry, HasEveryOptimizer) {
    std::string registry;
    for (const fs::directory_entry& file : fs::directory_iterator(kRoot / "tests/optim"))
        if (file.path().filename().string().starts_with("registry")) registry += text_of(file.path());
    for (const auto& [name, header] : optimizer_classes())
        EXPECT_NE(registry.find("<" + name), std::string::npos) << name << " of " << header;
}

}  // namespace
}  // namespace heron::test
