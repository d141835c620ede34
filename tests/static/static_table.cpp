// SPDX-License-Identifier: MIT
// Reads the lines of static_report, of any number of devices, from standard input, writes a table in
// Markdown, and checks what every kernel has to keep to. Exit code: 0 all kept; 1 not.
#include <algorithm>
#include <iostream>
#include <map>
#include <nlohmann/json.hpp>
#include <set>
#include <string>
#include <string_view>
#include <vector>

namespace {

using Json = nlohmann::ordered_json;

std::uint64_t number(const Json& line, const char* field) {
    return line[field].is_null() ? 0 : line[field].get<std::uint64_t>();
}

bool starts(const Json& line, const char* field, std::string_view text) {
    return line[field].get<std::string>().starts_with(text);
}

bool has(const Json& line, const char* field, std::string_view text) {
    return line[field].get<std::string>().find(text) != std::string::npos;
}

bool is_rdna(const Json& line) {
    return has(line, "driver", "radv") && !has(line, "device", "VEGA") && !has(line, "device", "POLARIS");
}

// What every kernel keeps to.
struct Gate {
    const char* name;
    bool (*broken)(const Json& line);
};
constexpr Gate kGates[] = {
    {"its driver tells (all but llvmpipe do)",
     [](const Json& line) {
         return !has(line, "driver", "llvmpipe") &&
                (line["registers"].is_null() || line["spills"].is_null() || line["occupancy"].is_null() ||
                 line["code_bytes"].is_null());
     }},
    {"no spills", [](const Json& line) { return number(line, "spills") > 0; }},
    {"no scratch memory", [](const Json& line) { return number(line, "scratch_bytes") > 0; }},
    {"code below 32 KiB", [](const Json& line) { return number(line, "code_bytes") >= 32768; }},
    {"products: 8 waves of 32 per SIMD (RDNA)",
     [](const Json& line) {
         return starts(line, "kernel", "gemm") && is_rdna(line) && number(line, "occupancy") < 8;
     }},
    {"products: 16 warps per SM (NVK)",
     [](const Json& line) {
         return starts(line, "kernel", "gemm") && has(line, "driver", "NVK") &&
                number(line, "occupancy") < 16;
     }},
    // A text that is missing, or in another form than the patterns know, has none.
    {"products of cooperative matrices: matrix instructions in the driver's text (RADV, NVK)",
     [](const Json& line) {
         return starts(line, "kernel", "gemm_coopmat") &&
                (has(line, "driver", "radv") || has(line, "driver", "NVK")) &&
                number(line, "matrix_instructions") == 0;
     }},
    {"no more matrix instructions than the arithmetic needs",
     [](const Json& line) {
         return starts(line, "kernel", "gemm_coopmat") &&
                number(line, "matrix_instructions") != number(line, "least_matrix_instructions");
     }},
    {"no 16-bit loads from shared memory around matrix instructions",
     [](const Json& line) {
         return starts(line, "kernel", "gemm_coopmat") && number(line, "shared_loads_16") > 0;
     }},
};

// Compiled for none of the devices, and known to be.
struct Uncompiled {
    std::string_view kernel, why;
};
constexpr Uncompiled kUncompiled[] = {
    {"gemm_coopmat2",
     "no driver of Mesa's has the workgroup scope of VK_NV_cooperative_matrix2; validated as SPIR-V only"},
    {"gemm_coopmat_bf16", "Debian 13's glslang does not know bf16 cooperative matrices yet"},
    {"gemm_coopmat_bf16_large", "as gemm_coopmat_bf16"},
};

bool is_uncompiled(const std::string& kernel) {
    return std::ranges::find(kUncompiled, kernel, &Uncompiled::kernel) != std::end(kUncompiled);
}

// One row: the worst of a kernel's variants.
struct Row {
    std::uint64_t variants = 0;
    std::map<std::string, std::uint64_t> worst;
    std::set<std::string> unknown;  // fields that the driver does not tell

    void add(const Json& line) {
        ++variants;
        for (const char* field : {"registers", "shared_bytes", "spills", "scratch_bytes", "occupancy",
                                  "code_bytes", "matrix_instructions"}) {
            if (line[field].is_null()) unknown.insert(field);
            const std::uint64_t value = number(line, field);
            const auto [place, first] = worst.try_emplace(field, value);
            if (!first)
                place->second = std::string_view(field) == "occupancy" ? std::min(place->second, value)
                                                                       : std::max(place->second, value);
        }
    }
    std::string cell(const char* field) const {
        return unknown.contains(field) ? "" : std::to_string(worst.at(field));
    }
};

std::string occupancy_unit(const std::string& driver) {
    if (driver.starts_with("radv")) return "waves of 32 per SIMD";
    if (driver.starts_with("NVK")) return "warps per SM";
    if (driver.starts_with("turnip")) return "waves per core";
    return "threads per core";
}

}  // namespace

int main() {
    std::map<std::string, std::map<std::string, Row>> tables;  // by device, then kernel
    std::map<std::string, std::string> drivers;
    std::map<std::string, int> unseen;
    std::set<std::string> failures;
    for (std::string text; std::getline(std::cin, text);) {
        const Json line = Json::parse(text, nullptr, false);
        if (line.is_discarded()) {
            std::cerr << "static_table: not a line of static_report: " << text << "\n";
            return 2;
        }
        const std::string device = line["label"];
        drivers[device] = line["driver"];
        if (line.contains("unseen")) {
            for (const std::string kernel : line["unseen"]) ++unseen[kernel];
            continue;
        }
        Row& row = tables[device][line["kernel"]];
        row.add(line);
        for (const Gate& gate : kGates)
            if (gate.broken(line))
                failures.insert(device + ": " + line["kernel"].get<std::string>() + " " +
                                line["variant"].get<std::string>() + ": " + gate.name);
    }
    for (const auto& [kernel, devices] : unseen)
        if (devices == static_cast<int>(drivers.size()) && !is_uncompiled(kernel))
            failures.insert(kernel +
                            ": no device compiles it; add work for it to tests/static/workloads.cpp");
    for (const auto& [device, table] : tables)
        for (const auto& [kernel, row] : table)
            if (is_uncompiled(kernel))
                failures.insert(std::string(device).append(": ").append(kernel).append(
                    " is compiled now; take it from kUncompiled in tests/static/static_table.cpp"));

    std::cout << "# What compilers make of the kernels\n\n"
                 "Written by `.ci/run static`: every kernel as the library chooses it for one of each kind "
                 "of work,\n"
                 "compiled by Mesa's drivers for devices that were not there. Rows are the worst of a "
                 "kernel's variants; an\n"
                 "empty cell is what a driver does not tell.\n\n"
                 "Every kernel keeps to:\n\n";
    for (const Gate& gate : kGates) std::cout << "- " << gate.name << "\n";
    std::cout << "\nCompiled for none of these devices:\n\n";
    for (const Uncompiled& item : kUncompiled) std::cout << "- `" << item.kernel << "`: " << item.why << "\n";
    for (const auto& [device, table] : tables) {
        std::cout << "\n## " << device << "\n\n"
                  << drivers[device]
                  << "\n\n| kernel | variants | registers | shared bytes | spills | scratch bytes | "
                  << occupancy_unit(drivers[device]) << " | code bytes | matrix instructions |\n| --- |";
        for (int i = 0; i < 8; ++i) std::cout << " --: |";
        std::cout << "\n";
        for (const auto& [kernel, row] : table) {
            std::cout << "| `" << kernel << "` | " << row.variants;
            for (const char* field : {"registers", "shared_bytes", "spills", "scratch_bytes", "occupancy",
                                      "code_bytes", "matrix_instructions"})
                std::cout << " | " << row.cell(field);
            std::cout << " |\n";
        }
    }
    for (const std::string& failure : failures) std::cerr << "static_table: " << failure << "\n";
    if (tables.empty()) std::cerr << "static_table: nothing on standard input\n";
    return failures.empty() && !tables.empty() ? 0 : 1;
}
