// SPDX-License-Identifier: MIT
// Lists every Vulkan device with what Heron uses of it, runs the numerical self-test on it, and prints a
// table: what to attach to a bug report. Exit code: 0 all usable devices pass, 1 one fails or there is none,
// 2 bad arguments.
#include <fmt/format.h>

#include <CLI/CLI.hpp>
#include <cstdio>
#include <exception>
#include <string>
#include <vector>

#include "hardware.hpp"
#include "heron/heron.hpp"
#include "self_test.hpp"
#include "support/device_option.hpp"
#include "support/text.hpp"

namespace {

void print_capabilities(const heron::Capabilities& c) {
    const auto flag = [](const char* name, bool value) { print_line(name, value ? "yes" : "no"); };
    flag("CPU driver", c.cpu);
    flag("f16 arithmetic", c.shader_float16);
    flag("16-bit storage", c.storage_16bit);
    flag("8-bit storage", c.storage_8bit);
    flag("cooperative matrix", c.cooperative_matrix);
    flag("cooperative matrix 2", c.cooperative_matrix2);
    const heron::MatrixShape& grain = c.cooperative_workgroup_f16;
    if (c.cooperative_matrix2)
        print_line("workgroup matrices, f16",
                   grain.m == 0
                       ? "no"
                       : fmt::format("multiples of {} x {} x {}, {} of shared memory reserved", grain.m,
                                     grain.n, grain.k, samples::bytes_text(c.cooperative_workgroup_bytes)));
    flag("bfloat16", c.bfloat16);
    flag("subgroup size control", c.subgroup_size_control);
    flag("memory budget", c.memory_budget);
    flag("pipeline statistics", c.pipeline_statistics);
    print_line("timestamps", c.timestamps ? fmt::format("yes, {:g} ns", c.timestamp_period_ns) : "no");
    flag("debug names", c.debug_utils);
    print_line("subgroup size in use", std::to_string(c.subgroup_size));
    print_line("workgroup",
               fmt::format("{} invocations, {} in x", c.max_workgroup_invocations, c.max_workgroup_size_x));
    print_line("workgroups", fmt::format("{} x {} x {}", c.max_workgroup_count[0], c.max_workgroup_count[1],
                                         c.max_workgroup_count[2]));
    print_line("shared memory", samples::bytes_text(c.shared_memory_bytes));
    print_line("largest buffer", samples::bytes_text(c.max_buffer_bytes));
    print_line("largest allocation", samples::bytes_text(c.max_allocation_bytes));
}

// Returns whether every check passed.
bool print_self_test(const heron::Device& device) {
    bool good = true;
    fmt::print("    {:<34} {:>11} {:>11}\n", "self-test", "error", "allowed");
    self_test(device, [&good](const CheckResult& result) {
        good = good && result.passed();
        if (result.failure.empty())
            fmt::print("    {:<34} {:>11.3g} {:>11.3g}  {}\n", result.name, result.error, result.allowed,
                       result.passed() ? "ok" : "FAILED");
        else
            fmt::print("    {:<34} FAILED: {}\n", result.name, result.failure);
        std::fflush(stdout);
    });
    return good;
}

}  // namespace

int main(int argc, char** argv) {
    std::string select;
    bool only_list = false;
    CLI::App app("Lists Vulkan devices and tests Heron's numerics on each.", "device_report");
    samples::add_device_option(app, select, "all of them");
    app.add_flag("--no-test", only_list, "list only");
    app.footer("Exit code: 0 all usable devices pass, 1 one fails or there is none, 2 bad arguments.");
    try {
        app.parse(argc, argv);
    } catch (const CLI::ParseError& error) {
        return app.exit(error) == 0 ? 0 : 2;
    }

    const heron::Version version = heron::library_version();
    fmt::print("Heron {}.{}.{}\n", version.major, version.minor, version.patch);
    print_toolchain();
    std::uint32_t usable = 0;
    bool good = true;
    try {
        std::vector<heron::DeviceInfo> devices = heron::Device::list();
        if (!select.empty()) {
            const heron::DeviceInfo chosen = samples::create_device(select).info();
            devices = {chosen};
        }
        for (const heron::DeviceInfo& info : devices) {
            fmt::print("\n[{}] {}\n", info.index, info.name);
            fmt::print("    {}, driver {}, Vulkan {}\n    vendor {:04x}, device {:04x}, uuid {}\n",
                       info.type_text(), info.driver, version_text(info.api_version), info.vendor_id,
                       info.device_id, info.uuid_text());
            if (!info.usable) {
                fmt::print("    not usable: {}\n", info.reason);
                continue;
            }
            ++usable;
            try {
                const heron::Device device = heron::Device::create({.select = std::to_string(info.index)});
                print_capabilities(device.capabilities());
                print_hardware(device);
                if (!only_list) good = print_self_test(device) && good;
            } catch (const std::exception& error) {
                fmt::print("    FAILED: {}\n", error.what());
                good = false;
            }
        }
    } catch (const samples::NoDevice& error) {
        fmt::print(stderr, "device_report: {}\n", error.what());
        return error.exit_code;
    } catch (const heron::Error& error) {
        fmt::print(stderr, "device_report: {}\n", error.what());
        return 1;
    }
    fmt::print("\n{} usable device{}: {}\n", usable, usable == 1 ? "" : "s",
               usable == 0 ? "none to test"
               : only_list ? "not tested"
               : good      ? "all checks passed"
                           : "CHECKS FAILED");
    return usable > 0 && good ? 0 : 1;
}
