// SPDX-License-Identifier: MIT
// A program that only knows Heron's headers.
#include <heron/version.hpp>

#include "round_trip.hpp"

int main() {
    heron::Device device = heron::Device::create();
    heron::check_version();
    std::puts(device.explain().c_str());
    return round_trip(device) ? 0 : 1;
}
