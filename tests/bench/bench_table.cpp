// SPDX-License-Identifier: MIT
// Reads the lines of benchmark programs (standard input) and writes them as a page in Markdown: a table for
// each benchmark, a row for each case.
#include <cstdio>
#include <iostream>
#include <map>
#include <nlohmann/json.hpp>
#include <set>
#include <string>
#include <vector>

namespace {

using Json = nlohmann::ordered_json;

// What a case is made of stands between the machine and the first time.
std::string case_of(const Json& line) {
    static const std::set<std::string> machine{"benchmark", "device", "driver", "commit"};
    static const std::set<std::string> figures{"dispatches", "wall_ms"};
    std::string text;
    for (const auto& [key, value] : line.items()) {
        if (machine.contains(key)) continue;
        if (figures.contains(key)) break;
        if (value.is_boolean()) {
            if (value.get<bool>()) text += (text.empty() ? "" : ", ") + key;
            continue;
        }
        const bool name = value.is_string();
        if (!text.empty()) text += ", ";
        text += name ? value.get<std::string>() : key + " " + value.dump();
    }
    return text;
}

std::string number(const Json& line, const char* key) {
    const auto found = line.find(key);
    if (found == line.end() || !found->is_number()) return "";
    char text[32];
    std::snprintf(text, sizeof(text), "%.3g", found->get<double>());
    return text;
}

}  // namespace

int main() {
    std::map<std::string, std::vector<Json>> tables;
    std::string text;
    while (std::getline(std::cin, text)) {
        Json line = Json::parse(text, nullptr, false);
        if (line.is_discarded() || !line.contains("benchmark") || !line.contains("wall_ms")) {
            std::cerr << "bench_table: not a line of a benchmark: " << text << "\n";
            return 2;
        }
        tables[line["benchmark"]].push_back(std::move(line));
    }
    if (tables.empty()) {
        std::cerr << "bench_table: no lines\n";
        return 2;
    }
    const Json& first = tables.begin()->second.front();
    std::cout << "# " << first.value("device", "") << "\n\n"
              << first.value("driver", "") << ", commit " << first.value("commit", "")
              << ". Medians; the ratio is the peer's time over Heron's, of the same run: "
              << "above 1\nHeron is faster.\n";
    for (const auto& [benchmark, lines] : tables) {
        // Many times a case, of which the worst counts.
        const bool frames = lines.front().contains("worst_ms");
        std::cout << "\n## " << benchmark << "\n\n| case | ms | spread |"
                  << (frames ? " first ms | worst ms |" : "")
                  << " GFLOP/s | peer | peer's ms | ratio |\n| --- | --: | --: |"
                  << (frames ? " --: | --: |" : "") << " --: | --- | --: | --: |\n";
        for (const Json& line : lines)
            std::cout << "| " << case_of(line) << " | " << number(line, "wall_ms") << " | "
                      << number(line, "wall_spread") << " | "
                      << (frames ? number(line, "first_ms") + " | " + number(line, "worst_ms") + " | " : "")
                      << number(line, "gflops") << " | "
                      << (line["peer"].is_string() ? line["peer"].get<std::string>() : "") << " | "
                      << number(line, "peer_ms") << " | " << number(line, "peer_ratio") << " |\n";
    }
}
