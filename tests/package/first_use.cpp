// SPDX-License-Identifier: MIT
// A program that only knows Heron's headers.
#include <heron/version.hpp>

#include "every_device.hpp"
#include "round_trip.hpp"

int main() {
    heron::check_version();
    return on_every_device(round_trip);
}
