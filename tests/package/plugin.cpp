// SPDX-License-Identifier: MIT
// The plug-in that plugin_host loads: one device per call, gone when it returns.
#include "round_trip.hpp"

extern "C" __attribute__((visibility("default"))) int use_device() {
    try {
        heron::Device device = heron::Device::create();
        return round_trip(device) ? 0 : 1;
    } catch (const std::exception& error) {
        std::fprintf(stderr, "%s\n", error.what());
        return 2;
    }
}
