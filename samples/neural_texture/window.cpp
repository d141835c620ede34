// SPDX-License-Identifier: MIT
// GLFW's window, and Vulkan's part of it. Pixels are copied into the swapchain's images, so a queue that
// computes and presents will do: nothing is drawn by graphics.
#include "window.hpp"

#define GLFW_INCLUDE_NONE
#include <algorithm>
#include <limits>
#include <stdexcept>

#include "support/device_option.hpp"

// Behind vulkan_core.h, so that GLFW declares its functions for Vulkan.
#include <GLFW/glfw3.h>

using samples::check;

namespace {

constexpr std::uint64_t kTimeoutNs = 60'000'000'000;

[[noreturn]] void fail(const std::string& what) {
    const char* reason = nullptr;
    glfwGetError(&reason);
    throw std::runtime_error(reason ? what + ": " + reason : what);
}

}  // namespace

#define WINDOW_INSTANCE_FUNCTIONS(X)           \
    X(DestroySurfaceKHR)                       \
    X(GetPhysicalDeviceSurfaceCapabilitiesKHR) \
    X(GetPhysicalDeviceSurfaceFormatsKHR)
#define WINDOW_DEVICE_FUNCTIONS(X) \
    X(CreateSemaphore)             \
    X(DestroySemaphore)            \
    X(CmdCopyBufferToImage)        \
    X(CreateSwapchainKHR)          \
    X(DestroySwapchainKHR)         \
    X(GetSwapchainImagesKHR)       \
    X(AcquireNextImageKHR)         \
    X(QueuePresentKHR)

struct Window::Functions {
#define WINDOW_DECLARE(name) PFN_vk##name name = nullptr;
    WINDOW_INSTANCE_FUNCTIONS(WINDOW_DECLARE)
    WINDOW_DEVICE_FUNCTIONS(WINDOW_DECLARE)
#undef WINDOW_DECLARE

#define WINDOW_LOAD(name)                                          \
    name = reinterpret_cast<PFN_vk##name>(get(owner, "vk" #name)); \
    if (!name) throw std::runtime_error("the Vulkan driver has no vk" #name);
    void load(PFN_vkGetInstanceProcAddr get, VkInstance owner) { WINDOW_INSTANCE_FUNCTIONS(WINDOW_LOAD) }
    void load(PFN_vkGetDeviceProcAddr get, VkDevice owner) { WINDOW_DEVICE_FUNCTIONS(WINDOW_LOAD) }
#undef WINDOW_LOAD
};

Window::Window(const std::string& select, std::uint32_t width, std::uint32_t height)
    : get_(samples::open_vulkan()), own_(std::make_unique<Functions>()) {
    // The samples choose their devices alike; this one is made by hand afterwards.
    const std::uint32_t index = samples::create_device(select).info().index;
    if (glfwInit() == GLFW_FALSE) fail("--window: there is no display");
    try {
        glfwWindowHint(GLFW_CLIENT_API, GLFW_NO_API);
        glfwWindowHint(GLFW_RESIZABLE, GLFW_FALSE);
        window_ = glfwCreateWindow(static_cast<int>(width), static_cast<int>(height), "neural_texture",
                                   nullptr, nullptr);
        if (!window_) fail("--window: it cannot be opened");
        create_instance();
        create_device(index);
        create_swapchain();
        width_ = extent_.width;
        height_ = extent_.height;
    } catch (...) {
        release();
        throw;
    }
}

Window::~Window() { release(); }

void Window::release() {
    if (handle_) {
        vk_.DeviceWaitIdle(handle_);
        own_->DestroySemaphore(handle_, acquired_, nullptr);
        for (const VkSemaphore semaphore : copied_) own_->DestroySemaphore(handle_, semaphore, nullptr);
        vk_.DestroyFence(handle_, fence_, nullptr);
        vk_.DestroyCommandPool(handle_, pool_, nullptr);
        own_->DestroySwapchainKHR(handle_, swapchain_, nullptr);
        device_.reset();
        vk_.DestroyDevice(handle_, nullptr);
    }
    if (surface_) own_->DestroySurfaceKHR(instance_, surface_, nullptr);
    if (instance_) fi_.DestroyInstance(instance_, nullptr);
    if (window_) glfwDestroyWindow(window_);
    glfwTerminate();
}

void Window::create_instance() {
    std::uint32_t count = 0;
    const char** extensions = glfwGetRequiredInstanceExtensions(&count);
    if (!extensions) fail("--window: GLFW finds no Vulkan for this display");
    const VkApplicationInfo application{.sType = VK_STRUCTURE_TYPE_APPLICATION_INFO,
                                        .pApplicationName = "neural_texture",
                                        .apiVersion = VK_API_VERSION_1_3};
    const VkInstanceCreateInfo info{.sType = VK_STRUCTURE_TYPE_INSTANCE_CREATE_INFO,
                                    .pApplicationInfo = &application,
                                    .enabledExtensionCount = count,
                                    .ppEnabledExtensionNames = extensions};
    const auto create = reinterpret_cast<PFN_vkCreateInstance>(get_(nullptr, "vkCreateInstance"));
    check(create(&info, nullptr, &instance_), "vkCreateInstance");
    fi_ = samples::InstanceFunctions(get_, instance_);
    own_->load(get_, instance_);
    check(glfwCreateWindowSurface(instance_, window_, nullptr, &surface_), "glfwCreateWindowSurface");
}

void Window::create_device(std::uint32_t index) {
    std::uint32_t count = 0;
    check(fi_.EnumeratePhysicalDevices(instance_, &count, nullptr), "vkEnumeratePhysicalDevices");
    std::vector<VkPhysicalDevice> devices(count);
    check(fi_.EnumeratePhysicalDevices(instance_, &count, devices.data()), "vkEnumeratePhysicalDevices");
    physical_device_ = devices.at(index);

    fi_.GetPhysicalDeviceQueueFamilyProperties(physical_device_, &count, nullptr);
    std::vector<VkQueueFamilyProperties> families(count);
    fi_.GetPhysicalDeviceQueueFamilyProperties(physical_device_, &count, families.data());
    const auto fits = [&](std::uint32_t family) {
        return (families[family].queueFlags & VK_QUEUE_COMPUTE_BIT) != 0 &&
               glfwGetPhysicalDevicePresentationSupport(instance_, physical_device_, family) == GLFW_TRUE;
    };
    while (queue_family_ < count && !fits(queue_family_)) ++queue_family_;
    if (queue_family_ == count)
        throw std::runtime_error("--window: no queue of the device both computes and presents there");

    features_.emplace(get_, instance_, physical_device_);
    const auto needed = features_->extensions();
    std::vector<const char*> extensions(needed.begin(), needed.end());
    extensions.push_back(VK_KHR_SWAPCHAIN_EXTENSION_NAME);
    const float priority = 1.0f;
    const VkDeviceQueueCreateInfo queue{.sType = VK_STRUCTURE_TYPE_DEVICE_QUEUE_CREATE_INFO,
                                        .queueFamilyIndex = queue_family_,
                                        .queueCount = 1,
                                        .pQueuePriorities = &priority};
    const VkDeviceCreateInfo info{.sType = VK_STRUCTURE_TYPE_DEVICE_CREATE_INFO,
                                  .pNext = features_->features(),
                                  .queueCreateInfoCount = 1,
                                  .pQueueCreateInfos = &queue,
                                  .enabledExtensionCount = static_cast<std::uint32_t>(extensions.size()),
                                  .ppEnabledExtensionNames = extensions.data()};
    check(fi_.CreateDevice(physical_device_, &info, nullptr, &handle_), "vkCreateDevice");
    vk_ = samples::DeviceFunctions(fi_.GetDeviceProcAddr, handle_);
    own_->load(fi_.GetDeviceProcAddr, handle_);
    vk_.GetDeviceQueue(handle_, queue_family_, 0, &queue_);
    device_ = heron::Device::adopt({.get_instance_proc_addr = get_,
                                    .instance = instance_,
                                    .physical_device = physical_device_,
                                    .device = handle_,
                                    .queue_family = queue_family_,
                                    .queue = queue_,
                                    .api_version = VK_API_VERSION_1_3,
                                    .enabled_features = features_->features(),
                                    .enabled_extensions = extensions});

    const VkCommandPoolCreateInfo pool{.sType = VK_STRUCTURE_TYPE_COMMAND_POOL_CREATE_INFO,
                                       .queueFamilyIndex = queue_family_};
    check(vk_.CreateCommandPool(handle_, &pool, nullptr, &pool_), "vkCreateCommandPool");
    const VkCommandBufferAllocateInfo allocate{.sType = VK_STRUCTURE_TYPE_COMMAND_BUFFER_ALLOCATE_INFO,
                                               .commandPool = pool_,
                                               .level = VK_COMMAND_BUFFER_LEVEL_PRIMARY,
                                               .commandBufferCount = 1};
    check(vk_.AllocateCommandBuffers(handle_, &allocate, &commands_), "vkAllocateCommandBuffers");
    const VkFenceCreateInfo fence{.sType = VK_STRUCTURE_TYPE_FENCE_CREATE_INFO};
    check(vk_.CreateFence(handle_, &fence, nullptr, &fence_), "vkCreateFence");
    const VkSemaphoreCreateInfo semaphore{.sType = VK_STRUCTURE_TYPE_SEMAPHORE_CREATE_INFO};
    check(own_->CreateSemaphore(handle_, &semaphore, nullptr, &acquired_), "vkCreateSemaphore");
}

void Window::create_swapchain() {
    VkSurfaceCapabilitiesKHR surface{};
    check(own_->GetPhysicalDeviceSurfaceCapabilitiesKHR(physical_device_, surface_, &surface),
          "vkGetPhysicalDeviceSurfaceCapabilitiesKHR");
    if (!(surface.supportedUsageFlags & VK_IMAGE_USAGE_TRANSFER_DST_BIT))
        throw std::runtime_error("--window: nothing can be copied into the images of this display");
    std::uint32_t count = 0;
    check(own_->GetPhysicalDeviceSurfaceFormatsKHR(physical_device_, surface_, &count, nullptr),
          "vkGetPhysicalDeviceSurfaceFormatsKHR");
    std::vector<VkSurfaceFormatKHR> formats(count);
    check(own_->GetPhysicalDeviceSurfaceFormatsKHR(physical_device_, surface_, &count, formats.data()),
          "vkGetPhysicalDeviceSurfaceFormatsKHR");
    // Copied as they are: the pictures are encoded for a display already.
    const auto format = std::ranges::find_if(formats, [](const VkSurfaceFormatKHR& each) {
        return (each.format == VK_FORMAT_B8G8R8A8_UNORM || each.format == VK_FORMAT_R8G8B8A8_UNORM) &&
               each.colorSpace == VK_COLOR_SPACE_SRGB_NONLINEAR_KHR;
    });
    if (format == formats.end()) throw std::runtime_error("--window: the display has no 8-bit colours");
    order_ = format->format == VK_FORMAT_B8G8R8A8_UNORM ? samples::TexturePicture::Order::blue_first
                                                        : samples::TexturePicture::Order::red_first;
    extent_ = surface.currentExtent;
    if (extent_.width == std::numeric_limits<std::uint32_t>::max()) {
        int width = 0, height = 0;
        glfwGetFramebufferSize(window_, &width, &height);
        extent_.width = std::clamp(static_cast<std::uint32_t>(width), surface.minImageExtent.width,
                                   surface.maxImageExtent.width);
        extent_.height = std::clamp(static_cast<std::uint32_t>(height), surface.minImageExtent.height,
                                    surface.maxImageExtent.height);
    }
    // An image more than the display keeps; a maximum of 0 means none.
    const std::uint32_t most = surface.maxImageCount == 0 ? surface.minImageCount + 1 : surface.maxImageCount;
    const VkSwapchainKHR old = swapchain_;
    vk_.DeviceWaitIdle(handle_);
    const VkSwapchainCreateInfoKHR info{.sType = VK_STRUCTURE_TYPE_SWAPCHAIN_CREATE_INFO_KHR,
                                        .surface = surface_,
                                        .minImageCount = std::min(surface.minImageCount + 1, most),
                                        .imageFormat = format->format,
                                        .imageColorSpace = format->colorSpace,
                                        .imageExtent = extent_,
                                        .imageArrayLayers = 1,
                                        .imageUsage = VK_IMAGE_USAGE_TRANSFER_DST_BIT,
                                        .imageSharingMode = VK_SHARING_MODE_EXCLUSIVE,
                                        .preTransform = surface.currentTransform,
                                        .compositeAlpha = VK_COMPOSITE_ALPHA_OPAQUE_BIT_KHR,
                                        .presentMode = VK_PRESENT_MODE_FIFO_KHR,
                                        .clipped = VK_TRUE,
                                        .oldSwapchain = old};
    check(own_->CreateSwapchainKHR(handle_, &info, nullptr, &swapchain_), "vkCreateSwapchainKHR");
    own_->DestroySwapchainKHR(handle_, old, nullptr);
    check(own_->GetSwapchainImagesKHR(handle_, swapchain_, &count, nullptr), "vkGetSwapchainImagesKHR");
    images_.resize(count);
    check(own_->GetSwapchainImagesKHR(handle_, swapchain_, &count, images_.data()),
          "vkGetSwapchainImagesKHR");
    // One an image: it is free again when the image has been acquired again.
    while (copied_.size() < images_.size()) {
        const VkSemaphoreCreateInfo semaphore{.sType = VK_STRUCTURE_TYPE_SEMAPHORE_CREATE_INFO};
        check(own_->CreateSemaphore(handle_, &semaphore, nullptr, &copied_.emplace_back()),
              "vkCreateSemaphore");
    }
}

bool Window::open() {
    glfwPollEvents();
    return glfwWindowShouldClose(window_) == GLFW_FALSE && glfwGetKey(window_, GLFW_KEY_ESCAPE) != GLFW_PRESS;
}

void Window::wait() { glfwWaitEvents(); }

void Window::set_title(const std::string& title) { glfwSetWindowTitle(window_, title.c_str()); }

void Window::record(VkImage image, const heron::Buffer& pixels) {
    const auto barrier = [&](VkImageLayout from, VkImageLayout to) {
        const bool before = to == VK_IMAGE_LAYOUT_TRANSFER_DST_OPTIMAL;
        const VkImageMemoryBarrier2 change{
            .sType = VK_STRUCTURE_TYPE_IMAGE_MEMORY_BARRIER_2,
            // The transfer stage is where the submission waits for the image.
            .srcStageMask = VK_PIPELINE_STAGE_2_ALL_TRANSFER_BIT,
            .srcAccessMask = before ? VK_ACCESS_2_NONE : VK_ACCESS_2_TRANSFER_WRITE_BIT,
            .dstStageMask = before ? VK_PIPELINE_STAGE_2_ALL_TRANSFER_BIT : VK_PIPELINE_STAGE_2_NONE,
            .dstAccessMask = before ? VK_ACCESS_2_TRANSFER_WRITE_BIT : VK_ACCESS_2_NONE,
            .oldLayout = from,
            .newLayout = to,
            .srcQueueFamilyIndex = VK_QUEUE_FAMILY_IGNORED,
            .dstQueueFamilyIndex = VK_QUEUE_FAMILY_IGNORED,
            .image = image,
            .subresourceRange = {VK_IMAGE_ASPECT_COLOR_BIT, 0, 1, 0, 1}};
        const VkDependencyInfo dependency{.sType = VK_STRUCTURE_TYPE_DEPENDENCY_INFO,
                                          .imageMemoryBarrierCount = 1,
                                          .pImageMemoryBarriers = &change};
        vk_.CmdPipelineBarrier2(commands_, &dependency);
    };
    const VkCommandBufferBeginInfo begin{.sType = VK_STRUCTURE_TYPE_COMMAND_BUFFER_BEGIN_INFO,
                                         .flags = VK_COMMAND_BUFFER_USAGE_ONE_TIME_SUBMIT_BIT};
    check(vk_.ResetCommandPool(handle_, pool_, 0), "vkResetCommandPool");
    check(vk_.BeginCommandBuffer(commands_, &begin), "vkBeginCommandBuffer");
    barrier(VK_IMAGE_LAYOUT_UNDEFINED, VK_IMAGE_LAYOUT_TRANSFER_DST_OPTIMAL);
    const VkBufferImageCopy copy{
        .bufferOffset = pixels.range().offset,
        .bufferRowLength = width_,
        .imageSubresource = {VK_IMAGE_ASPECT_COLOR_BIT, 0, 0, 1},
        .imageExtent = {std::min(width_, extent_.width), std::min(height_, extent_.height), 1}};
    own_->CmdCopyBufferToImage(commands_, pixels.range().buffer, image, VK_IMAGE_LAYOUT_TRANSFER_DST_OPTIMAL,
                               1, &copy);
    barrier(VK_IMAGE_LAYOUT_TRANSFER_DST_OPTIMAL, VK_IMAGE_LAYOUT_PRESENT_SRC_KHR);
    check(vk_.EndCommandBuffer(commands_), "vkEndCommandBuffer");
}

void Window::show(const heron::Buffer& pixels) {
    std::uint32_t index = 0;
    const VkResult acquired =
        own_->AcquireNextImageKHR(handle_, swapchain_, kTimeoutNs, acquired_, VK_NULL_HANDLE, &index);
    if (acquired == VK_ERROR_OUT_OF_DATE_KHR) {  // the next picture will be shown
        create_swapchain();
        return;
    }
    if (acquired != VK_SUBOPTIMAL_KHR) check(acquired, "vkAcquireNextImageKHR");
    record(images_[index], pixels);
    const VkSemaphoreSubmitInfo wait{.sType = VK_STRUCTURE_TYPE_SEMAPHORE_SUBMIT_INFO,
                                     .semaphore = acquired_,
                                     .stageMask = VK_PIPELINE_STAGE_2_ALL_TRANSFER_BIT};
    const VkSemaphoreSubmitInfo signal{.sType = VK_STRUCTURE_TYPE_SEMAPHORE_SUBMIT_INFO,
                                       .semaphore = copied_[index],
                                       .stageMask = VK_PIPELINE_STAGE_2_ALL_COMMANDS_BIT};
    const VkCommandBufferSubmitInfo commands{.sType = VK_STRUCTURE_TYPE_COMMAND_BUFFER_SUBMIT_INFO,
                                             .commandBuffer = commands_};
    const VkSubmitInfo2 submit{.sType = VK_STRUCTURE_TYPE_SUBMIT_INFO_2,
                               .waitSemaphoreInfoCount = 1,
                               .pWaitSemaphoreInfos = &wait,
                               .commandBufferInfoCount = 1,
                               .pCommandBufferInfos = &commands,
                               .signalSemaphoreInfoCount = 1,
                               .pSignalSemaphoreInfos = &signal};
    check(vk_.ResetFences(handle_, 1, &fence_), "vkResetFences");
    check(vk_.QueueSubmit2(queue_, 1, &submit, fence_), "vkQueueSubmit2");
    check(vk_.WaitForFences(handle_, 1, &fence_, VK_TRUE, kTimeoutNs), "vkWaitForFences");
    const VkPresentInfoKHR present{.sType = VK_STRUCTURE_TYPE_PRESENT_INFO_KHR,
                                   .waitSemaphoreCount = 1,
                                   .pWaitSemaphores = &copied_[index],
                                   .swapchainCount = 1,
                                   .pSwapchains = &swapchain_,
                                   .pImageIndices = &index};
    const VkResult presented = own_->QueuePresentKHR(queue_, &present);
    if (presented == VK_ERROR_OUT_OF_DATE_KHR)
        create_swapchain();
    else if (presented != VK_SUBOPTIMAL_KHR)
        check(presented, "vkQueuePresentKHR");
}
