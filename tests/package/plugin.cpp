// SPDX-License-Identifier: MIT
// The plug-in that plugin_host loads: one device per call, gone when it returns.
#include <heron/heron.h>

#include "round_trip.hpp"

extern "C" __attribute__((visibility("default"))) int use_device() {
    try {
        // Leaves a text with the thread, which must not keep the plug-in.
        if (heron_check_version(0) != HERON_ERROR_VERSION_MISMATCH || heron_last_error()[0] == 0) return 3;
        heron::Device device = heron::Device::create();
        return round_trip(device) ? 0 : 1;
    } catch (const std::exception& error) {
        std::fprintf(stderr, "%s\n", error.what());
        return 2;
    }
}
