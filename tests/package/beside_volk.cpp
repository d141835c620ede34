// SPDX-License-Identifier: MIT
// A program with its own volk: neither may overwrite the other's function pointers.
#include <volk.h>

#include "round_trip.hpp"

int main() {
    if (volkInitialize() != VK_SUCCESS) return 1;
    heron::Device device = heron::Device::create();
    VkApplicationInfo application{};
    application.sType = VK_STRUCTURE_TYPE_APPLICATION_INFO;
    application.apiVersion = VK_API_VERSION_1_3;
    VkInstanceCreateInfo info{};
    info.sType = VK_STRUCTURE_TYPE_INSTANCE_CREATE_INFO;
    info.pApplicationInfo = &application;
    VkInstance instance = VK_NULL_HANDLE;
    if (vkCreateInstance(&info, nullptr, &instance) != VK_SUCCESS) return 2;
    volkLoadInstance(instance);
    const auto mine = vkCreateDevice;
    heron::Device second = heron::Device::create();
    if (vkCreateDevice != mine || volkGetLoadedInstance() != instance) return 3;
    vkDestroyInstance(instance, nullptr);
    return round_trip(device) && round_trip(second) ? 0 : 4;
}
