// SPDX-License-Identifier: MIT
// Each usable device of the machine in turn.
#pragma once

#include <cstdio>
#include <heron/device.hpp>
#include <string>

// Returns what a program's main() should: 0 where `works` says so of every device, and there is one.
template <class Works>
int on_every_device(const Works& works) {
    int result = 2;
    for (const heron::DeviceInfo& info : heron::Device::list()) {
        if (!info.usable) continue;
        heron::DeviceOptions options;
        options.select = std::to_string(info.index);
        const heron::Device device = heron::Device::create(options);
        std::puts(device.explain().c_str());
        if (!works(device)) return 1;
        result = 0;
    }
    return result;
}
