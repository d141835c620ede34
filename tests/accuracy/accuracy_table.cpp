// SPDX-License-Identifier: MIT
// Reads reports of test programs (--gtest_output=json) and writes a table in Markdown of the numbers that
// tests recorded (RecordProperty), the largest of all tests of a primitive, a column for each device.
// accuracy_table <report.json>...
#include <algorithm>
#include <cstdio>
#include <fstream>
#include <iostream>
#include <iterator>
#include <map>
#include <nlohmann/json.hpp>
#include <set>
#include <sstream>
#include <string>
#include <tuple>

namespace {

using Json = nlohmann::ordered_json;

// "linalg/gemm_test.json" -> "gemm"
std::string subject_of(std::string path) {
    path = path.substr(path.rfind('/') + 1);
    return path.substr(0, path.find("_test"));
}

// Properties lie beside GoogleTest's own fields; they are text there, and numbers where they are an accuracy.
bool is_number(const Json& value, double& number) {
    if (!value.is_string()) return false;
    std::istringstream text(value.get<std::string>());
    return (text >> number) && text.eof();
}

// The end of a key that tests/support/worst_ratios.hpp makes: the largest extent of a size class.
struct SizeClass {
    const char* suffix;
    const char* text;
};
constexpr SizeClass kSizeClasses[] = {
    {"", "any"},           {"_up_to_16", "16"},     {"_up_to_64", "64"},
    {"_up_to_256", "256"}, {"_up_to_1024", "1024"}, {"_above_1024", "> 1024"}};

// Takes it off the key.
std::size_t take_size_class(std::string& key) {
    for (std::size_t i = std::size(kSizeClasses) - 1; i > 0; --i)
        if (key.ends_with(kSizeClasses[i].suffix)) {
            key.resize(key.size() - std::string(kSizeClasses[i].suffix).size());
            return i;
        }
    return 0;
}

bool is_own_field(const std::string& key) {
    static const std::set<std::string> fields{"name",        "file",      "line",   "type_param",
                                              "value_param", "status",    "result", "time",
                                              "timestamp",   "classname", "id",     "assertions"};
    return fields.contains(key);
}

}  // namespace

int main(int argc, char** argv) {
    using Place = std::tuple<std::string, std::string, std::size_t>;  // subject, quantity, size class
    std::map<Place, std::map<std::string, double>> rows;              // by device
    std::set<std::string> devices;
    bool failed = false;
    for (int i = 1; i < argc; ++i) {
        std::ifstream file(argv[i]);
        const Json report = Json::parse(file, nullptr, false);
        if (report.is_discarded()) {
            std::cerr << "accuracy_table: " << argv[i] << " is not a report\n";
            return 2;
        }
        for (const Json& suite : report["testsuites"])
            for (const Json& test : suite["testsuite"]) {
                failed = failed || test.contains("failures");
                const std::string device = test.value("value_param", "");
                for (const auto& [key, value] : test.items()) {
                    double number = 0;
                    if (is_own_field(key) || !is_number(value, number)) continue;
                    devices.insert(device);
                    std::string quantity = key;
                    const std::size_t size = take_size_class(quantity);
                    double& worst = rows[{subject_of(argv[i]), quantity, size}][device];
                    worst = std::max(worst, number);
                }
            }
    }
    if (rows.empty() || failed) {
        std::cerr << "accuracy_table: " << (failed ? "a test failed\n" : "no test recorded a number\n");
        return 1;
    }
    std::cout << "# Accuracy\n\n"
                 "Written by `tests/accuracy/run.sh` from what the tests record: the largest error of each, "
                 "as a share of what\n"
                 "the test allows (1 is the limit); mostly the bound in the primitive's header. "
                 "A size class is of\n"
                 "operands whose largest extent is at most that, and above the one before; `any`: not "
                 "recorded by size. What is\n"
                 "exact has no line: conversions, selection and sorting, random bits.\n\n"
                 "| primitive | quantity | size |";
    for (const std::string& device : devices) std::cout << " " << (device.empty() ? "any" : device) << " |";
    std::cout << "\n| --- | --- | --: |";
    for (std::size_t i = 0; i < devices.size(); ++i) std::cout << " --: |";
    std::cout << "\n";
    for (const auto& [place, values] : rows) {
        std::cout << "| " << std::get<0>(place) << " | " << std::get<1>(place) << " | "
                  << kSizeClasses[std::get<2>(place)].text << " |";
        for (const std::string& device : devices) {
            const auto found = values.find(device);
            char text[32] = "";
            if (found != values.end()) std::snprintf(text, sizeof(text), "%.3g", found->second);
            std::cout << " " << text << " |";
        }
        std::cout << "\n";
    }
}
