// SPDX-License-Identifier: MIT
// Reads reports of test programs (--gtest_output=json), of any number of builds, and writes a table in
// Markdown of the numbers that tests recorded (RecordProperty), the largest of all tests of a primitive, a
// column for each device.
//   accuracy_table <table.md> <report.json>...
// Exit code: 0 written; 1 not, because a test failed or a number is above 1; 2 bad arguments or reports.
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

// GoogleTest's, and the one of tests/support/device_fixture.cpp.
bool is_own_field(const std::string& key) {
    static const std::set<std::string> fields{"name",   "file",       "line",  "type_param", "value_param",
                                              "status", "result",     "time",  "timestamp",  "classname",
                                              "id",     "assertions", "driver"};
    return fields.contains(key);
}

using Place = std::tuple<std::string, std::string, std::size_t>;  // subject, quantity, size class
using Rows = std::map<Place, std::map<std::string, double>>;      // by device
using Devices = std::map<std::string, std::string>;               // their drivers

bool all_allowed(const Rows& rows) {
    bool allowed = true;
    for (const auto& [place, values] : rows)
        for (const auto& [device, value] : values) {
            if (value <= 1) continue;
            allowed = false;
            std::cerr << "accuracy_table: " << std::get<0>(place) << ", " << std::get<1>(place) << ", "
                      << kSizeClasses[std::get<2>(place)].text << ": " << value << " of what is allowed on "
                      << device << "\n";
        }
    return allowed;
}

void write(std::ostream& out, const Rows& rows, const Devices& devices) {
    out << "# Accuracy\n\n"
           "Written by `accuracy_table` from what tests record (`tests/accuracy/run.sh`): the largest\n"
           "error of each, as a share of what the test allows (1 is the limit); mostly the bound in the\n"
           "primitive's header. A size class is of operands whose largest extent is at most that, and\n"
           "above the one before; `any`: not recorded by size. What is exact has no line: conversions,\n"
           "selection and sorting, random bits. Lines of names with `slow` are matrices of thousands of\n"
           "rows, by tests that take minutes (`ctest -L slow`): where they were run.\n"
           "\n"
           "Some bars are not the usual ones. Inverse roots are judged by n kappa eps. The bound 50 n\n"
           "kappa^(1/p) u, which is often asked for, is less for large kappa and p > 1, and more than f32\n"
           "can always do: rounding the exact X alone changes X^p A by up to kappa u. With one word an\n"
           "element 330 of 494 roots in inverse_root_test are below it; with two all are, or within\n"
           "twice what the exact root has when it is rounded. Sums of one sign on GPUs, products of\n"
           "equal elements for one, are judged by k / 2 roundings, not by sqrt(k).\n"
           "Polynomials of Newton-Schulz in f32 are held to 1e-5, and in f16 to 2e-2, for singular values\n"
           "from a tenth of the largest on: one that lifts small ones magnifies their roundings by its\n"
           "slope. In bf16 the bar is 0.15, since each of five iterations rounds its iterate to 8 bits;\n"
           "two words of f16 an element are held to 1e-5, two of bf16 to 6e-4. Two words of f32 are held to\n"
           "2e-6 for every named set of coefficients and all singular values, zeros included; where one\n"
           "of them is nearly the norm, f32's error of the norm shows, as in one word.\n"
           "Shares just below 1 are of bounds that are reached by nature: half a unit in the last place\n"
           "where a result is rounded to 16 bits or one word (random numbers, normalized lines, products in\n"
           "two words that are rounded), and for truncated_svd the residual of a float64 subspace iteration\n"
           "with as many iterations, which no result of that rank is much below.\n"
           "\n";
    for (const auto& [device, driver] : devices)
        if (!driver.empty()) out << "- " << device << ": " << driver << "\n";
    out << "\n| primitive | quantity | size |";
    for (const auto& [device, driver] : devices) out << " " << (device.empty() ? "any" : device) << " |";
    out << "\n| --- | --- | --: |";
    for (std::size_t i = 0; i < devices.size(); ++i) out << " --: |";
    out << "\n";
    for (const auto& [place, values] : rows) {
        out << "| " << std::get<0>(place) << " | " << std::get<1>(place) << " | "
            << kSizeClasses[std::get<2>(place)].text << " |";
        for (const auto& [device, driver] : devices) {
            const auto found = values.find(device);
            char text[32] = "";
            if (found != values.end()) std::snprintf(text, sizeof(text), "%.3g", found->second);
            out << " " << text << " |";
        }
        out << "\n";
    }
}

}  // namespace

int main(int argc, char** argv) {
    if (argc < 3) {
        std::cerr << "accuracy_table <table.md> <report.json>...\n";
        return 2;
    }
    Rows rows;
    Devices devices;
    bool failed = false;
    for (int i = 2; i < argc; ++i) {
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
                    devices[device] = test.value("driver", "");
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
    if (!all_allowed(rows)) return 1;
    std::ofstream table(argv[1]);
    write(table, rows, devices);
    if (!table.flush()) {
        std::cerr << "accuracy_table: cannot write " << argv[1] << "\n";
        return 2;
    }
}
