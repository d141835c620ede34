// SPDX-License-Identifier: MIT
// A program that is linked with the Vulkan loader: its vkCreateInstance must stay the loader's.
#include <vulkan/vulkan.h>

#include "round_trip.hpp"

int main() {
    heron::Device device = heron::Device::create();
    VkApplicationInfo application{};
    application.sType = VK_STRUCTURE_TYPE_APPLICATION_INFO;
    application.apiVersion = VK_API_VERSION_1_3;
    VkInstanceCreateInfo info{};
    info.sType = VK_STRUCTURE_TYPE_INSTANCE_CREATE_INFO;
    info.pApplicationInfo = &application;
    VkInstance instance = VK_NULL_HANDLE;
    if (vkCreateInstance(&info, nullptr, &instance) != VK_SUCCESS) return 1;
    std::uint32_t count = 0;
    if (vkEnumeratePhysicalDevices(instance, &count, nullptr) != VK_SUCCESS || count == 0) return 2;
    vkDestroyInstance(instance, nullptr);
    return round_trip(device) ? 0 : 3;
}
