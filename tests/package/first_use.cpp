// SPDX-License-Identifier: MIT
// A program that only knows Heron's headers.
#include "round_trip.hpp"

int main() {
    heron::Device device = heron::Device::create();
    std::puts(device.explain().c_str());
    return round_trip(device) ? 0 : 1;
}
