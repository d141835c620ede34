// SPDX-License-Identifier: MIT
// Devices for tests, the validation layer around them, and guard bands.
#include "support/device_fixture.hpp"

#include <dlfcn.h>

#include <algorithm>
#include <cctype>
#include <cstdlib>
#include <map>
#include <mutex>
#include <stdexcept>

namespace heron::test {
namespace {

constexpr const char* kLayer = "VK_LAYER_KHRONOS_validation";
constexpr std::byte kPattern{0xa5};
constexpr std::byte kNan{0xff};

struct State {
    std::mutex mutex;
    std::vector<std::string> messages;
    std::map<VkInstance, VkDebugUtilsMessengerEXT> messengers;
    std::map<std::string, Device> devices;
};

State& state() {
    static State* const state = new State;  // never destroyed: layers may call until the very end
    return *state;
}

template <typename Pfn>
Pfn find(VkInstance instance, const char* name) {
    return reinterpret_cast<Pfn>(plain_entry()(instance, name));
}

bool layer_installed() {
    const auto enumerate =
        find<PFN_vkEnumerateInstanceLayerProperties>(VK_NULL_HANDLE, "vkEnumerateInstanceLayerProperties");
    std::uint32_t count = 0;
    if (!enumerate || enumerate(&count, nullptr) != VK_SUCCESS) return false;
    std::vector<VkLayerProperties> layers(count);
    if (enumerate(&count, layers.data()) < 0) return false;
    return std::any_of(layers.begin(), layers.end(), [](const VkLayerProperties& layer) {
        return std::strcmp(layer.layerName, kLayer) == 0;
    });
}

// Messages that say nothing about Heron, by the beginning of their name.
bool is_noise(const char* id) {
    constexpr const char* kNoise[] = {
        "Loader Message",               // drivers and layers that are not installed completely
        "UNASSIGNED-cache-file-error",  // the layer's own cache in a read-only home
        "UNASSIGNED-khronos-validation-createinstance-status-message",
        "UNASSIGNED-CreateInstance-status-message",  // which checks are on
        "WARNING-CreateInstance-status-message",
    };
    return id && std::any_of(std::begin(kNoise), std::end(kNoise), [&](const char* noise) {
               return std::strncmp(id, noise, std::strlen(noise)) == 0;
           });
}

VKAPI_ATTR VkBool32 VKAPI_CALL on_message(VkDebugUtilsMessageSeverityFlagBitsEXT,
                                          VkDebugUtilsMessageTypeFlagsEXT,
                                          const VkDebugUtilsMessengerCallbackDataEXT* data, void*) {
    if (is_noise(data->pMessageIdName)) return VK_FALSE;
    const std::lock_guard lock(state().mutex);
    state().messages.emplace_back(data->pMessage ? data->pMessage : "(no text)");
    return VK_FALSE;
}

VKAPI_ATTR VkResult VKAPI_CALL create_instance(const VkInstanceCreateInfo* info,
                                               const VkAllocationCallbacks* allocator, VkInstance* instance) {
    std::vector<const char*> layers(info->ppEnabledLayerNames,
                                    info->ppEnabledLayerNames + info->enabledLayerCount);
    std::vector<const char*> extensions(info->ppEnabledExtensionNames,
                                        info->ppEnabledExtensionNames + info->enabledExtensionCount);
    auto add = [](std::vector<const char*>& names, const char* wanted) {
        if (std::none_of(names.begin(), names.end(),
                         [&](const char* n) { return std::strcmp(n, wanted) == 0; }))
            names.push_back(wanted);
    };
    add(layers, kLayer);
    add(extensions, VK_EXT_DEBUG_UTILS_EXTENSION_NAME);
    add(extensions, VK_EXT_VALIDATION_FEATURES_EXTENSION_NAME);

    VkDebugUtilsMessengerCreateInfoEXT messenger{};
    messenger.sType = VK_STRUCTURE_TYPE_DEBUG_UTILS_MESSENGER_CREATE_INFO_EXT;
    messenger.messageSeverity =
        VK_DEBUG_UTILS_MESSAGE_SEVERITY_WARNING_BIT_EXT | VK_DEBUG_UTILS_MESSAGE_SEVERITY_ERROR_BIT_EXT;
    messenger.messageType = VK_DEBUG_UTILS_MESSAGE_TYPE_VALIDATION_BIT_EXT;
    messenger.pfnUserCallback = on_message;
    constexpr VkValidationFeatureEnableEXT kChecks[] = {
        VK_VALIDATION_FEATURE_ENABLE_SYNCHRONIZATION_VALIDATION_EXT};
    VkValidationFeaturesEXT features{};
    features.sType = VK_STRUCTURE_TYPE_VALIDATION_FEATURES_EXT;
    features.enabledValidationFeatureCount = 1;
    features.pEnabledValidationFeatures = kChecks;
    // Also for messages about the creation itself.
    VkDebugUtilsMessengerCreateInfoEXT during_creation = messenger;
    during_creation.pNext = info->pNext;
    features.pNext = &during_creation;

    VkInstanceCreateInfo changed = *info;
    changed.pNext = &features;
    changed.enabledLayerCount = static_cast<std::uint32_t>(layers.size());
    changed.ppEnabledLayerNames = layers.data();
    changed.enabledExtensionCount = static_cast<std::uint32_t>(extensions.size());
    changed.ppEnabledExtensionNames = extensions.data();
    const VkResult result =
        find<PFN_vkCreateInstance>(VK_NULL_HANDLE, "vkCreateInstance")(&changed, allocator, instance);
    if (result != VK_SUCCESS) return result;
    VkDebugUtilsMessengerEXT handle = VK_NULL_HANDLE;
    const auto create = find<PFN_vkCreateDebugUtilsMessengerEXT>(*instance, "vkCreateDebugUtilsMessengerEXT");
    if (create && create(*instance, &messenger, nullptr, &handle) == VK_SUCCESS) {
        const std::lock_guard lock(state().mutex);
        state().messengers[*instance] = handle;
    }
    return result;
}

VKAPI_ATTR void VKAPI_CALL destroy_instance(VkInstance instance, const VkAllocationCallbacks* allocator) {
    VkDebugUtilsMessengerEXT handle = VK_NULL_HANDLE;
    {
        const std::lock_guard lock(state().mutex);
        if (auto node = state().messengers.extract(instance)) handle = node.mapped();
    }
    if (handle)
        find<PFN_vkDestroyDebugUtilsMessengerEXT>(instance, "vkDestroyDebugUtilsMessengerEXT")(
            instance, handle, nullptr);
    find<PFN_vkDestroyInstance>(instance, "vkDestroyInstance")(instance, allocator);
}

VKAPI_ATTR PFN_vkVoidFunction VKAPI_CALL validated(VkInstance instance, const char* name) {
    if (std::strcmp(name, "vkCreateInstance") == 0)
        return reinterpret_cast<PFN_vkVoidFunction>(create_instance);
    if (std::strcmp(name, "vkDestroyInstance") == 0)
        return reinterpret_cast<PFN_vkVoidFunction>(destroy_instance);
    if (std::strcmp(name, "vkGetInstanceProcAddr") == 0)
        return reinterpret_cast<PFN_vkVoidFunction>(validated);
    return plain_entry()(instance, name);
}

std::string key_of(const DeviceInfo& info, const DisabledCapabilities& d) {
    std::string key = std::to_string(info.index);
    for (bool off :
         {d.shader_float16, d.storage_16bit, d.storage_8bit, d.subgroup_size_control, d.cooperative_matrix,
          d.bfloat16, d.cooperative_matrix2, d.memory_budget, d.pipeline_statistics, d.timestamps, d.cpu})
        key += off ? '1' : '0';
    return key + " " + std::to_string(d.max_shared_memory) + " " + std::to_string(d.max_invocations);
}

std::string lower_case(std::string text) {
    for (char& c : text) c = static_cast<char>(std::tolower(static_cast<unsigned char>(c)));
    return text;
}

}  // namespace

PFN_vkGetInstanceProcAddr plain_entry() {
    static const PFN_vkGetInstanceProcAddr entry = [] {
        void* loader = dlopen("libvulkan.so.1", RTLD_NOW | RTLD_LOCAL);
        if (!loader) throw std::runtime_error("libvulkan.so.1 is not installed");
        return reinterpret_cast<PFN_vkGetInstanceProcAddr>(dlsym(loader, "vkGetInstanceProcAddr"));
    }();
    return entry;
}

bool validation_enabled() {
    static const bool enabled = [] {
        const char* wish = std::getenv("HERON_TEST_VALIDATION");
        return (!wish || std::strcmp(wish, "0") != 0) && layer_installed();
    }();
    return enabled;
}

PFN_vkGetInstanceProcAddr validated_entry() { return validation_enabled() ? validated : plain_entry(); }

std::vector<std::string> take_validation_messages() {
    const std::lock_guard lock(state().mutex);
    return std::exchange(state().messages, {});
}

const std::vector<DeviceInfo>& devices() {
    static const std::vector<DeviceInfo> usable = [] {
        DeviceOptions options;
        options.get_instance_proc_addr = plain_entry();
        const char* variable = std::getenv("HERON_TEST_DEVICE");
        const std::string wish = lower_case(variable ? variable : "");
        std::vector<DeviceInfo> list;
        for (DeviceInfo& info : Device::list(options)) {
            const bool wanted = wish.empty() || wish == std::to_string(info.index) ||
                                wish == info.uuid_text() ||
                                lower_case(info.name).find(wish) != std::string::npos;
            if (info.usable && wanted) list.push_back(std::move(info));
        }
        if (list.empty())
            throw std::runtime_error(wish.empty()
                                         ? "no usable Vulkan device: install mesa-vulkan-drivers"
                                         : "no usable Vulkan device matches HERON_TEST_DEVICE=" + wish);
        return list;
    }();
    return usable;
}

DeviceOptions device_options(const DeviceInfo& info, const DisabledCapabilities& disable) {
    DeviceOptions options;
    options.select = std::to_string(info.index);
    options.disable = disable;
    options.get_instance_proc_addr = validated_entry();
    return options;
}

Device& cached_device(const DeviceInfo& info, const DisabledCapabilities& disable) {
    auto& cache = state().devices;  // tests run one after the other
    const std::string key = key_of(info, disable);
    auto found = cache.find(key);
    if (found == cache.end()) found = cache.emplace(key, Device::create(device_options(info, disable))).first;
    return found->second;
}

void drop_cached_devices() { state().devices.clear(); }

GuardedBuffer::GuardedBuffer(const Device& device, std::uint64_t bytes, MemoryKind kind)
    : bytes_(bytes),
      after_((bytes + 3) / 4 * 4),
      buffer_(device.create_buffer(after_ + 2 * kGuardBytes, kind, "guarded")) {
    std::vector<std::byte> content(buffer_.bytes(), kPattern);
    std::fill_n(content.begin() + kGuardBytes, bytes_, kNan);
    buffer_.write(content);
}

BufferRange GuardedBuffer::range() const {
    BufferRange inside = buffer_.range();
    inside.offset += kGuardBytes;
    inside.bytes = bytes_;
    if (inside.mapped) inside.mapped = static_cast<std::byte*>(inside.mapped) + kGuardBytes;
    return inside;
}

TensorView GuardedBuffer::view(DType dtype, const Shape& shape, std::uint64_t byte_offset,
                               std::uint64_t row_stride) const {
    const TensorView view = buffer_.view(dtype, shape, kGuardBytes + byte_offset, row_stride);
    if (byte_offset + view.span_bytes() > bytes_)
        throw std::out_of_range("tensor " + shape.text() + " does not fit between the guard bands");
    return view;
}

void GuardedBuffer::write_bytes(std::span<const std::byte> data, std::uint64_t byte_offset) {
    if (byte_offset + data.size() > bytes_) throw std::out_of_range("write beyond the guard bands");
    buffer_.write(data, kGuardBytes + byte_offset);
}

void GuardedBuffer::read_bytes(std::span<std::byte> data, std::uint64_t byte_offset) const {
    if (byte_offset + data.size() > bytes_) throw std::out_of_range("read beyond the guard bands");
    buffer_.read(data, kGuardBytes + byte_offset);
}

::testing::AssertionResult GuardedBuffer::intact() const {
    std::vector<std::byte> content(buffer_.bytes());
    buffer_.read(content);
    for (std::uint64_t i = 0; i < content.size(); ++i) {
        // The inside's last word belongs to it: 16-bit tensors with an odd count are stored in whole words.
        const bool inside = i >= kGuardBytes && i < kGuardBytes + after_;
        if (!inside && content[i] != kPattern)
            return ::testing::AssertionFailure()
                   << "guard band changed at byte "
                   << static_cast<std::int64_t>(i) - std::int64_t{kGuardBytes} << " of a buffer of " << bytes_
                   << " bytes: 0x" << std::hex << std::to_integer<int>(content[i]);
    }
    return ::testing::AssertionSuccess();
}

void DeviceTest::SetUp() {
    take_validation_messages();
    RecordProperty("driver", GetParam().driver);  // for tests/accuracy
}

void DeviceTest::TearDown() {
    for (std::size_t i = 0; i < guarded_.size(); ++i)
        EXPECT_TRUE(guarded_[i].intact()) << "guarded buffer " << i << " on " << GetParam().name;
    guarded_.clear();
    for (const std::string& message : take_validation_messages()) ADD_FAILURE() << "validation: " << message;
}

std::string device_test_name(const ::testing::TestParamInfo<DeviceInfo>& info) {
    std::string name = std::to_string(info.param.index) + "_";
    for (char c : info.param.name) {
        if (std::isalnum(static_cast<unsigned char>(c)))
            name += c;
        else if (name.back() != '_')
            name += '_';
    }
    while (name.back() == '_') name.pop_back();
    return name;
}

}  // namespace heron::test
