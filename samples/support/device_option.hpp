// SPDX-License-Identifier: MIT
// The option --device, the same for all samples that have one.
#pragma once

#include <CLI/CLI.hpp>
#include <stdexcept>
#include <string>

#include "heron/device.hpp"

namespace samples {

inline void add_device_option(CLI::App& app, std::string& select,
                              const std::string& otherwise = "the first usable, GPUs first") {
    app.add_option("--device", select, "index, UUID or part of the name; default: " + otherwise)
        ->type_name("SELECT");
}

struct NoDevice : std::runtime_error {
    NoDevice(const std::string& text, int code) : std::runtime_error(text), exit_code(code) {}
    int exit_code;  // of the program: 2 (bad input) for a choice that fits none, 1 where there is none at all
};

// The device that was chosen with --device. Throws NoDevice, and heron::Error where the device fails.
inline heron::Device create_device(const std::string& select) {
    try {
        return heron::Device::create({.select = select});
    } catch (const heron::Error& error) {
        if (error.code() != heron::ErrorCode::invalid_argument &&
            error.code() != heron::ErrorCode::unsupported)
            throw;
        const std::string option = select.empty() ? "" : "--device " + select + ": ";
        throw NoDevice(option + error.what(), select.empty() ? 1 : 2);
    }
}

}  // namespace samples
