// SPDX-License-Identifier: MIT
// Reads the lines of benchmark programs (standard input) and writes them as a page in Markdown: the goals for
// such a device and what was reached, then a table for each benchmark, a row for each case.
#include <algorithm>
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

std::string number(double value) {
    char text[32];
    std::snprintf(text, sizeof(text), "%.3g", value);
    return text;
}

bool has(const Json& line, const char* key) {
    const auto found = line.find(key);
    return found != line.end() && found->is_number();
}

std::string number(const Json& line, const char* key) {
    return has(line, key) ? number(line[key].get<double>()) : "";
}

// What only some benchmarks have.
struct Column {
    const char* key;
    const char* title;
};
constexpr Column kColumns[] = {{"first_ms", "first ms"},           {"worst_ms", "worst ms"},
                               {"plain_ratio", "to full product"}, {"naive_ratio", "to naive shader"},
                               {"triad_ratio", "of triad"},        {"step_bound", "of its kernels"}};

std::vector<Column> columns_of(const std::vector<Json>& lines) {
    std::vector<Column> columns;
    for (const Column& column : kColumns)
        if (std::ranges::any_of(lines, [&](const Json& line) { return has(line, column.key); }))
            columns.push_back(column);
    return columns;
}

// --- Goals: a ratio of one run, for a kind of device. The worst of the cases counts.

bool is_on(const Json& line, const char* device) {
    return line.value("device", "").find(device) != std::string::npos;
}
bool is_lavapipe(const Json& line) { return is_on(line, "llvmpipe"); }
bool is_swiftshader(const Json& line) { return is_on(line, "SwiftShader"); }
bool is_hardware(const Json& line) { return !is_lavapipe(line) && !is_swiftshader(line); }
bool is_any(const Json&) { return true; }

// One product of squares, 512 to 2048, by the kernel that Heron chooses.
bool is_square_product(const Json& line) {
    const std::uint64_t n = line.value("n", std::uint64_t{0});
    return line["benchmark"] == "gemm" && line.value("batch", 0) == 1 && !line.value("forced", false) &&
           line.value("dtype", "") == "f32" && n >= 512 && n <= 2048 &&
           line.value("m", std::uint64_t{0}) == n && line.value("k", std::uint64_t{0}) == n;
}
bool is_full_product(const Json& line) { return is_square_product(line) && !line.value("symmetric", false); }
bool is_packed_product(const Json& line) {
    return is_full_product(line) && line.value("variant", "") == "gemm_packed";
}
// On drivers that are slower with packed panels than without.
bool is_unpacked_product(const Json& line) { return is_full_product(line) && !is_packed_product(line); }
bool is_symmetric_product(const Json& line) {
    return is_square_product(line) && line.value("symmetric", false);
}
bool is_product_512(const Json& line) { return is_full_product(line) && line["n"] == 512; }

bool is_step(const Json& line) { return line["benchmark"] == "step"; }
bool is_large_step(const Json& line) {
    return is_step(line) && line.value("elements", std::uint64_t{0}) >= 16'000'000;
}
bool is_large_adamw(const Json& line) {
    return is_large_step(line) && line.value("case", "") == "adamw 1 tensors";
}
// A refresh in every step, of a large matrix; its peer is Muon.
bool is_large_fismo(const Json& line) {
    const std::string name = line.value("case", "");
    return is_step(line) && (name == "fismo 1024" || name == "fismo 2048" || name == "fismo 4096");
}
bool is_large_update(const Json& line) {
    return is_large_adamw(line) ||
           (is_large_step(line) && line.value("case", "") == "sgd momentum 1 tensors");
}

enum class Bound { least, most };

struct Goal {
    bool (*device)(const Json& line);
    const char* text;
    bool (*counts)(const Json& line);
    const char* field;
    Bound bound;
    double limit;
};
constexpr Goal kGoals[] = {
    {is_lavapipe, "f32 products of 512 to 2048 by packed panels: OpenBLAS's time over theirs",
     is_packed_product, "peer_ratio", Bound::least, 0.28},
    {is_lavapipe, "f32 products of 512 to 2048 without panels: OpenBLAS's time over theirs",
     is_unpacked_product, "peer_ratio", Bound::least, 0.13},
    {is_lavapipe, "symmetric products of 512 to 2048: the time of X times X^T in full over theirs",
     is_symmetric_product, "plain_ratio", Bound::least, 1.6},
    {is_lavapipe, "AdamW of 16.7 million parameters: its bytes a second over the processors' triad",
     is_large_adamw, "triad_ratio", Bound::least, 0.3},
    {is_lavapipe, "steps: their time over that of their kernels and 6 us a dispatch", is_step, "step_bound",
     Bound::most, 1.15},
    {is_any, "FISMO with a refresh in every step, 1024 to 4096: Muon's time over its", is_large_fismo,
     "peer_ratio", Bound::least, 0.625},
    {is_swiftshader, "f32 product of 512: a shader without tiles' time over its own", is_product_512,
     "naive_ratio", Bound::least, 4},
    {is_hardware, "AdamW and SGD of 16.7 million parameters: a copy's time over theirs", is_large_update,
     "peer_ratio", Bound::least, 0.88},
};

void print_goals(const std::vector<const Json*>& lines) {
    std::cout << "\n## Goals\n\n| ratio | goal | measured | |\n| --- | --: | --: | --- |\n";
    for (const Goal& goal : kGoals) {
        if (!goal.device(*lines.front())) continue;
        std::vector<double> values;
        for (const Json* line : lines)
            if (goal.counts(*line) && has(*line, goal.field))
                values.push_back((*line)[goal.field].get<double>());
        std::cout << "| " << goal.text << " | " << (goal.bound == Bound::least ? ">= " : "<= ")
                  << number(goal.limit) << " | ";
        if (values.empty()) {
            std::cout << " | not measured |\n";
            continue;
        }
        const auto [least, most] = std::ranges::minmax(values);
        const bool met = goal.bound == Bound::least ? least >= goal.limit : most <= goal.limit;
        std::cout << number(least);
        if (values.size() > 1) std::cout << " to " << number(most) << " (" << values.size() << " cases)";
        std::cout << " | " << (met ? "met" : "missed") << " |\n";
    }
}

}  // namespace

int main() {
    std::map<std::string, std::vector<Json>> tables;
    std::set<std::string> cores;  // that OpenBLAS had kernels for
    std::string text;
    while (std::getline(std::cin, text)) {
        Json line = Json::parse(text, nullptr, false);
        if (line.is_discarded() || !line.contains("benchmark") || !line.contains("wall_ms")) {
            std::cerr << "bench_table: not a line of a benchmark: " << text << "\n";
            return 2;
        }
        if (line.contains("peer_core")) cores.insert(line["peer_core"]);
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
              << "above 1\nHeron is faster.";
    for (const std::string& core : cores) std::cout << " OpenBLAS runs its kernels for " << core << ".";
    std::cout << "\n";
    std::vector<const Json*> all;
    for (const auto& [benchmark, lines] : tables)
        for (const Json& line : lines) all.push_back(&line);
    print_goals(all);
    for (const auto& [benchmark, lines] : tables) {
        const std::vector<Column> columns = columns_of(lines);
        std::cout << "\n## " << benchmark << "\n\n| case | ms | spread |";
        for (const Column& column : columns) std::cout << " " << column.title << " |";
        std::cout << " GFLOP/s | peer | peer's ms | ratio |\n| --- | --: | --: |";
        for (std::size_t i = 0; i < columns.size(); ++i) std::cout << " --: |";
        std::cout << " --: | --- | --: | --: |\n";
        for (const Json& line : lines) {
            std::cout << "| " << case_of(line) << " | " << number(line, "wall_ms") << " | "
                      << number(line, "wall_spread") << " | ";
            for (const Column& column : columns) std::cout << number(line, column.key) << " | ";
            std::cout << number(line, "gflops") << " | "
                      << (line["peer"].is_string() ? line["peer"].get<std::string>() : "") << " | "
                      << number(line, "peer_ms") << " | " << number(line, "peer_ratio") << " |\n";
        }
    }
}
