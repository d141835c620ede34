// SPDX-License-Identifier: MIT
#include "program.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <cstdlib>
#include <system_error>

#include "bad_input.hpp"
#include "device_option.hpp"
#include "heron/heron.hpp"

namespace samples {

namespace {

float parse_learning_rate(const std::string& name, const std::string& text) {
    char* end = nullptr;
    const float value = std::strtof(text.c_str(), &end);
    if (text.empty() || *end != '\0' || !std::isfinite(value) || value < 0)
        throw BadInput("--lr " + name + "=" + text + ": must be a number of at least 0");
    return value;
}

}  // namespace

std::string device_table() {
    std::string text;
    try {
        for (const heron::DeviceInfo& info : heron::Device::list())
            text += fmt::format("  {}  {} ({}), {}, uuid {}{}\n", info.index, info.name, info.type_text(),
                                info.driver, info.uuid_text(),
                                info.usable ? "" : "\n     not usable: " + info.reason);
        if (text.empty()) text = "  none (Debian: apt install mesa-vulkan-drivers has one for the CPU)\n";
    } catch (const heron::Error& error) {
        text = fmt::format("  none: {}\n", error.what());
    }
    return text;
}

std::string optimizer_table() {
    std::string text;
    std::size_t width = 8;
    for (const NamedOptimizer& optimizer : named_optimizers()) width = std::max(width, optimizer.name.size());
    for (const NamedOptimizer& optimizer : named_optimizers())
        text +=
            fmt::format("  {:<{}} {} (lr {:g})\n", optimizer.name, width, optimizer.summary, optimizer.lr);
    return text;
}

const NamedOptimizer& require_optimizer(std::string_view option, std::string_view name) {
    if (const NamedOptimizer* optimizer = find_optimizer(name)) return *optimizer;
    std::string known;
    for (const NamedOptimizer& optimizer : named_optimizers()) known += " " + std::string(optimizer.name);
    throw BadInput(fmt::format("{} {}: there is no such optimizer; known:{}", option, name, known));
}

std::map<std::string, float> parse_learning_rates(std::span<const std::string> entries) {
    std::map<std::string, float> rates;
    for (const std::string& entry : entries) {
        const std::size_t equals = entry.find('=');
        if (equals == std::string::npos)
            throw BadInput("--lr " + entry + ": must be NAME=VALUE, e.g. muon=0.02");
        const std::string name = entry.substr(0, equals);
        if (!find_optimizer(name))
            throw BadInput(fmt::format("--lr {}: there is no optimizer '{}'", entry, name));
        rates[name] = parse_learning_rate(name, entry.substr(equals + 1));
    }
    return rates;
}

void create_output_folder(const std::filesystem::path& folder) {
    std::error_code failed;
    std::filesystem::create_directories(folder, failed);
    if (failed || !std::filesystem::is_directory(folder))
        throw BadInput("--out " + folder.string() + ": cannot be created: " + failed.message());
}

std::string clock_text(double seconds) {
    const auto whole = std::lround(std::max(0.0, seconds));
    return fmt::format("{}:{:02}", whole / 60, whole % 60);
}

int run_program(const char* name, const std::function<int()>& program) {
    try {
        return program();
    } catch (const BadInput& error) {
        fmt::print(stderr, "{}: {}\n", name, error.what());
        return kExitBadInput;
    } catch (const NoDevice& error) {
        fmt::print(stderr, "{}: {}\n", name, error.what());
        return error.exit_code;
    } catch (const heron::Error& error) {
        fmt::print(stderr, "{}: {}\n", name, error.what());
        switch (error.code()) {
            case heron::ErrorCode::invalid_argument:
            case heron::ErrorCode::unsupported:
            case heron::ErrorCode::corrupt_file:
            case heron::ErrorCode::version_mismatch:
            case heron::ErrorCode::io:
                return kExitBadInput;
            default:
                return 1;
        }
    } catch (const std::exception& error) {
        fmt::print(stderr, "{}: {}\n", name, error.what());
        return 1;
    }
}

}  // namespace samples
