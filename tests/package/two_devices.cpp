// SPDX-License-Identifier: MIT
// Two devices at once, different ones where the machine has them; the first dies first.
#include <optional>
#include <thread>

#include "round_trip.hpp"

int main() {
    std::optional<heron::Device> first = heron::Device::create();
    heron::DeviceOptions options;
    for (const heron::DeviceInfo& info : heron::Device::list()) {
        if (info.usable && info.index != first->info().index) options.select = std::to_string(info.index);
    }
    heron::Device second = heron::Device::create(options);
    std::printf("%s\n%s\n", first->explain().c_str(), second.explain().c_str());
    if (first->handle() == second.handle()) return 1;

    bool first_right = false;
    std::thread other([&] { first_right = round_trip(*first); });
    const bool second_right = round_trip(second);
    other.join();
    first.reset();
    return first_right && second_right && round_trip(second) ? 0 : 2;
}
