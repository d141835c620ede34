// SPDX-License-Identifier: MIT
// A window with a swapchain, on a device of the sample's own that Heron adopts.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "heron/heron.hpp"
#include "support/vulkan_api.hpp"
#include "texture.hpp"

struct GLFWwindow;

class Window {
public:
    // `select` as --device has it. Throws std::runtime_error where there is no display, or where the device
    // cannot present on it; samples::NoDevice and heron::Error.
    Window(const std::string& select, std::uint32_t width, std::uint32_t height);
    Window(const Window&) = delete;
    Window& operator=(const Window&) = delete;
    ~Window();

    const heron::Device& device() const { return *device_; }
    // In pixels, which may be others than those asked for.
    std::uint32_t width() const { return width_; }
    std::uint32_t height() const { return height_; }
    samples::TexturePicture::Order order() const { return order_; }

    // Takes the user's events; false when the window is to be closed.
    bool open();
    void wait();  // for an event
    void set_title(const std::string& title);
    // width x height pixels in the window's order, written and waited for. Waits until they are copied.
    void show(const heron::Buffer& pixels);

private:
    struct Functions;  // that no other sample needs

    void create_instance();
    void create_device(std::uint32_t index);
    void create_swapchain();
    void record(VkImage image, const heron::Buffer& pixels);
    void release();

    GLFWwindow* window_ = nullptr;
    PFN_vkGetInstanceProcAddr get_;
    VkInstance instance_ = VK_NULL_HANDLE;
    samples::InstanceFunctions fi_;
    std::unique_ptr<Functions> own_;
    VkSurfaceKHR surface_ = VK_NULL_HANDLE;
    VkPhysicalDevice physical_device_ = VK_NULL_HANDLE;
    std::uint32_t queue_family_ = 0;
    std::optional<heron::FeatureChain> features_;
    VkDevice handle_ = VK_NULL_HANDLE;
    samples::DeviceFunctions vk_;
    VkQueue queue_ = VK_NULL_HANDLE;
    std::optional<heron::Device> device_;
    VkSwapchainKHR swapchain_ = VK_NULL_HANDLE;
    std::vector<VkImage> images_;
    VkExtent2D extent_{};  // of the swapchain
    std::uint32_t width_ = 0, height_ = 0;
    samples::TexturePicture::Order order_ = samples::TexturePicture::Order::blue_first;
    VkCommandPool pool_ = VK_NULL_HANDLE;
    VkCommandBuffer commands_ = VK_NULL_HANDLE;
    VkFence fence_ = VK_NULL_HANDLE;
    VkSemaphore acquired_ = VK_NULL_HANDLE;
    std::vector<VkSemaphore> copied_;  // of each image
};
