// SPDX-License-Identifier: MIT
// Instances, the choice of a device, creation and adoption, submission on one timeline.
#include "core/device.hpp"

#include <algorithm>
#include <array>
#include <cctype>
#include <cstring>
#include <limits>

namespace heron {
namespace {

constexpr const char* kPortabilityEnumeration = "VK_KHR_portability_enumeration";

bool has_instance_extension(const FunctionTable& vk, const char* layer, std::string_view name) {
    std::vector<VkExtensionProperties> list;
    VkResult result;
    do {
        std::uint32_t count = 0;
        result = vk.EnumerateInstanceExtensionProperties(layer, &count, nullptr);
        // vkCreateInstance says more plainly that a layer is missing.
        if (layer && result == VK_ERROR_LAYER_NOT_PRESENT) return false;
        check_result(result, "vkEnumerateInstanceExtensionProperties", "");
        list.resize(count);
        result = vk.EnumerateInstanceExtensionProperties(layer, &count, list.data());
        check_result(result, "vkEnumerateInstanceExtensionProperties", "");
        list.resize(count);
    } while (result == VK_INCOMPLETE);
    return std::any_of(list.begin(), list.end(),
                       [&](const VkExtensionProperties& item) { return name == item.extensionName; });
}

std::vector<Probe> probe_all(const Instance& instance) {
    std::vector<Probe> probes;
    std::uint32_t index = 0;
    for (VkPhysicalDevice handle : instance.physical_devices())
        probes.push_back(probe_device(instance.vk, handle, index++));
    return probes;
}

int rank_of(VkPhysicalDeviceType type) {
    switch (type) {
        case VK_PHYSICAL_DEVICE_TYPE_DISCRETE_GPU:
            return 0;
        case VK_PHYSICAL_DEVICE_TYPE_INTEGRATED_GPU:
            return 1;
        case VK_PHYSICAL_DEVICE_TYPE_VIRTUAL_GPU:
            return 2;
        case VK_PHYSICAL_DEVICE_TYPE_CPU:
            return 3;
        default:
            return 4;
    }
}

std::string line_of(const DeviceInfo& info) {
    return "\n  " + std::to_string(info.index) + ": " + info.name + ", " + info.type_text() + ", " +
           info.driver + ", UUID " + info.uuid_text() + (info.usable ? "" : ": " + info.reason);
}

std::string lines_of(const std::vector<Probe>& probes) {
    std::string text;
    for (const Probe& probe : probes) text += line_of(probe.info);
    return text;
}

std::string lower_case(std::string_view text) {
    std::string lower(text);
    for (char& c : lower)
        if (c >= 'A' && c <= 'Z')
            c = static_cast<char>(c - 'A' + 'a');  // not tolower: that depends on the locale
    return lower;
}

bool is_hexadecimal(std::string_view text) {
    return text.find_first_not_of("0123456789abcdef") == std::string_view::npos;
}

// The chosen probe, and why. Index before UUID before name part; a number that is no index may be part of a
// name.
std::pair<const Probe*, std::string> choose(const std::vector<Probe>& probes, const std::string& select) {
    std::vector<const Probe*> matches;
    std::string how;
    const std::string wish = lower_case(select);
    if (wish.empty()) {
        for (const Probe& probe : probes)
            if (probe.info.usable) matches.push_back(&probe);
        if (matches.empty())
            throw Error(ErrorCode::unsupported,
                        probes.empty()
                            ? "no Vulkan device found: install a driver (Debian: mesa-vulkan-drivers, which "
                              "also has a CPU driver)"
                            : "no Vulkan device can be used:" + lines_of(probes));
    } else {
        if (wish.size() <= 6 && wish.find_first_not_of("0123456789") == std::string::npos) {
            const std::size_t index = std::stoul(wish);
            if (index < probes.size()) {
                matches.push_back(&probes[index]);
                how = "selected by index " + wish;
            }
        }
        std::string digits = wish;
        digits.erase(std::remove(digits.begin(), digits.end(), '-'), digits.end());
        if (matches.empty() && digits.size() == 2 * VK_UUID_SIZE && is_hexadecimal(digits)) {
            for (const Probe& probe : probes)
                if (probe.info.uuid_text() == digits) matches.push_back(&probe);
            how = "selected by UUID";
        }
        if (matches.empty()) {
            for (const Probe& probe : probes)
                if (lower_case(probe.info.name).find(wish) != std::string::npos) matches.push_back(&probe);
            how = "selected by name part \"" + select + "\"";
        }
        if (matches.empty())
            throw Error(ErrorCode::invalid_argument,
                        "no Vulkan device matches \"" + select +
                            "\" as index, UUID or part of a name; there " +
                            (probes.empty() ? std::string("is none") : "are:" + lines_of(probes)));
        std::erase_if(matches, [](const Probe* probe) { return !probe->info.usable; });
        if (matches.empty())
            throw Error(ErrorCode::unsupported,
                        "the device that \"" + select + "\" selects cannot be used:" + lines_of(probes));
    }
    const Probe* best = *std::min_element(matches.begin(), matches.end(), [](const Probe* a, const Probe* b) {
        if (rank_of(a->info.type) != rank_of(b->info.type))
            return rank_of(a->info.type) < rank_of(b->info.type);
        // Of two CPU drivers the one with wider vectors: lavapipe runs a step 40 times faster than
        // SwiftShader.
        return a->info.type == VK_PHYSICAL_DEVICE_TYPE_CPU && a->v11.subgroupSize > b->v11.subgroupSize;
    });
    if (matches.size() == 1) return {best, how.empty() ? "the only usable device" : how};
    return {best, (how.empty() ? "first" : how + ", first") + " of " + std::to_string(matches.size()) +
                      (how.empty() ? " usable devices" : " matches") +
                      " (discrete before integrated before virtual before CPU, wide CPU drivers first, then "
                      "the loader's order)"};
}

// A family with compute; with timestamps where there is a choice.
std::uint32_t choose_queue_family(const Probe& probe) {
    std::uint32_t chosen = std::numeric_limits<std::uint32_t>::max();
    for (std::uint32_t i = 0; i < probe.queue_families.size(); ++i) {
        const VkQueueFamilyProperties& family = probe.queue_families[i];
        if (family.queueCount == 0 || (family.queueFlags & VK_QUEUE_COMPUTE_BIT) == 0) continue;
        if (family.timestampValidBits > 0) return i;
        chosen = std::min(chosen, i);
    }
    return chosen;
}

void check_options(const DeviceOptions& options) {
    if (!options.memory.allocate != !options.memory.free)
        throw Error(
            ErrorCode::invalid_argument,
            "DeviceOptions::memory has only one of its callbacks; give both allocate and free, or neither");
    for (const char* name : options.instance_layers)
        if (!name)
            throw Error(ErrorCode::invalid_argument,
                        "DeviceOptions::instance_layers contains a null pointer");
    for (const char* name : options.instance_extensions)
        if (!name)
            throw Error(ErrorCode::invalid_argument,
                        "DeviceOptions::instance_extensions contains a null pointer");
}

}  // namespace

// --- Instance

Instance::~Instance() {
    if (owned && handle) vk.DestroyInstance(handle, allocator);
}

void Instance::create(const DeviceOptions& options) {
    vk.load_global(library.open(options.get_instance_proc_addr));
    allocator = options.allocator;

    std::uint32_t version = VK_API_VERSION_1_0;
    check_result(vk.EnumerateInstanceVersion(&version), "vkEnumerateInstanceVersion", "");
    if (version < VK_API_VERSION_1_3)
        throw Error(ErrorCode::unsupported, "the Vulkan loader is too old: it has Vulkan " +
                                                version_text(version) + ", Heron needs 1.3");

    std::vector<const char*> extensions = options.instance_extensions;
    auto enabled = [&](std::string_view name) {
        return std::any_of(extensions.begin(), extensions.end(), [&](const char* e) { return name == e; });
    };
    if (options.debug_names && !enabled(VK_EXT_DEBUG_UTILS_EXTENSION_NAME)) {
        bool offered = has_instance_extension(vk, nullptr, VK_EXT_DEBUG_UTILS_EXTENSION_NAME);
        for (const char* layer : options.instance_layers)
            offered = offered || has_instance_extension(vk, layer, VK_EXT_DEBUG_UTILS_EXTENSION_NAME);
        if (offered) extensions.push_back(VK_EXT_DEBUG_UTILS_EXTENSION_NAME);
    }
    debug_utils = options.debug_names && enabled(VK_EXT_DEBUG_UTILS_EXTENSION_NAME);
    // Without it MoltenVK's devices are not listed.
    const bool portability = has_instance_extension(vk, nullptr, kPortabilityEnumeration);
    if (portability && !enabled(kPortabilityEnumeration)) extensions.push_back(kPortabilityEnumeration);

    VkApplicationInfo application{};
    application.sType = VK_STRUCTURE_TYPE_APPLICATION_INFO;
    application.pEngineName = "Heron";
    application.apiVersion = VK_API_VERSION_1_3;
    VkInstanceCreateInfo create_info{};
    create_info.sType = VK_STRUCTURE_TYPE_INSTANCE_CREATE_INFO;
    create_info.pApplicationInfo = &application;
    if (portability) create_info.flags = VK_INSTANCE_CREATE_ENUMERATE_PORTABILITY_BIT_KHR;
    create_info.enabledLayerCount = static_cast<std::uint32_t>(options.instance_layers.size());
    create_info.ppEnabledLayerNames = options.instance_layers.data();
    create_info.enabledExtensionCount = static_cast<std::uint32_t>(extensions.size());
    create_info.ppEnabledExtensionNames = extensions.data();

    // Where a function is missing, the destructor cannot destroy the instance, so this one is fetched by
    // itself.
    VkInstance created = VK_NULL_HANDLE;
    const VkResult result = vk.CreateInstance(&create_info, allocator, &created);
    std::string what;
    if (result == VK_ERROR_INCOMPATIBLE_DRIVER)
        what = "no Vulkan driver is installed (Debian: mesa-vulkan-drivers, which also has a CPU driver)";
    if (result == VK_ERROR_LAYER_NOT_PRESENT) {
        what = "a layer of DeviceOptions::instance_layers is not installed:";
        for (const char* layer : options.instance_layers) what.append(" ").append(layer);
    }
    if (result == VK_ERROR_EXTENSION_NOT_PRESENT)
        what = "an extension of DeviceOptions::instance_extensions is missing";
    check_result(result, "vkCreateInstance", what);
    vk.DestroyInstance =
        reinterpret_cast<PFN_vkDestroyInstance>(vk.GetInstanceProcAddr(created, "vkDestroyInstance"));
    owned = vk.DestroyInstance != nullptr;
    handle = created;
    vk.load_instance(created);
    if (debug_utils) vk.load_debug(created);
}

std::vector<VkPhysicalDevice> Instance::physical_devices() const {
    std::vector<VkPhysicalDevice> handles;
    VkResult result;
    do {
        std::uint32_t count = 0;
        result = vk.EnumeratePhysicalDevices(handle, &count, nullptr);
        // Some loaders say so when an ICD found no device of its own.
        if (result == VK_ERROR_INITIALIZATION_FAILED)
            throw_result(result, "vkEnumeratePhysicalDevices", "no driver could be initialised");
        check_result(result, "vkEnumeratePhysicalDevices", "");
        handles.resize(count);
        result = vk.EnumeratePhysicalDevices(handle, &count, handles.data());
        check_result(result, "vkEnumeratePhysicalDevices", "");
        handles.resize(count);
    } while (result == VK_INCOMPLETE);
    return handles;
}

// --- Device::Impl

struct Device::Impl::Opening {
    const Probe& probe;
    Features features;                        // enabled
    std::span<const std::string> extensions;  // enabled
    VkPipelineCache pipeline_cache = VK_NULL_HANDLE;
    std::string reason;
};

void Device::Impl::open(const Opening& opening, const DeviceOptions& options) {
    // Ids start at 1. The counter is the one thing that devices share; it only tells them apart.
    constinit static std::atomic<std::uint64_t> last_id{0};
    id = ++last_id;

    const Probe& probe = opening.probe;
    const Features features = without_extensions_missing(opening.features, opening.extensions);
    info = probe.info;
    info.reason = opening.reason;
    cooperative_matrix_shapes =
        heron::cooperative_matrix_shapes(instance.vk, physical_device, opening.extensions);
    capabilities = capabilities_of(probe, features, opening.extensions, queue_family,
                                   cooperative_matrix_shapes, options.disable);
    capabilities.debug_utils = vk.SetDebugUtilsObjectNameEXT != nullptr;
    if (capabilities.cooperative_matrix2)
        cooperative_matrix2_features = without(features, options.disable).cooperative_matrix2;
    limits = probe.properties.limits;
    driver_version = probe.properties.driverVersion;
    std::copy_n(probe.properties.pipelineCacheUUID, VK_UUID_SIZE, pipeline_cache_uuid.begin());
    non_coherent_atom = std::max<VkDeviceSize>(1, limits.nonCoherentAtomSize);

    VkSemaphoreTypeCreateInfo type{};
    type.sType = VK_STRUCTURE_TYPE_SEMAPHORE_TYPE_CREATE_INFO;
    type.semaphoreType = VK_SEMAPHORE_TYPE_TIMELINE;
    VkSemaphoreCreateInfo create_info{};
    create_info.sType = VK_STRUCTURE_TYPE_SEMAPHORE_CREATE_INFO;
    create_info.pNext = &type;
    check(vk.CreateSemaphore(device, &create_info, allocator, &timeline), "vkCreateSemaphore", "timeline");
    name(VK_OBJECT_TYPE_SEMAPHORE, timeline, "heron timeline");
    if (owns_device) {
        name(VK_OBJECT_TYPE_DEVICE, device, "heron device");
        name(VK_OBJECT_TYPE_QUEUE, queue, "heron queue");
    }

    memory = std::make_unique<Memory>(*this, options.memory);
    pipelines = std::make_unique<Pipelines>(*this, opening.pipeline_cache, options.pipeline_cache);
}

Device::Impl::~Impl() {
    if (!abandoned_.empty()) {
        // A copy timed out. Its memory must not go while the queue may still use it, but a device that hangs
        // must not hang its owner for ever.
        constexpr std::uint64_t kPatience_ns = 2'000'000'000;
        VkSemaphoreWaitInfo wait_info{};
        wait_info.sType = VK_STRUCTURE_TYPE_SEMAPHORE_WAIT_INFO;
        wait_info.semaphoreCount = 1;
        wait_info.pSemaphores = &timeline;
        wait_info.pValues = &submitted_;
        vk.WaitSemaphores(device, &wait_info, kPatience_ns);
        for (Abandoned& item : abandoned_) vk.DestroyCommandPool(device, item.pool, allocator);
        abandoned_.clear();
    }
    pipelines.reset();
    memory.reset();
    if (timeline) vk.DestroySemaphore(device, timeline, allocator);
    if (owns_device && device && vk.DestroyDevice) vk.DestroyDevice(device, allocator);
}

void Device::Impl::check(VkResult result, const char* call, std::string_view what) const {
    if (result == VK_SUCCESS) return;
    if (result == VK_ERROR_DEVICE_LOST) lost_.store(true, std::memory_order_relaxed);
    throw_result(result, call, what);
}

void Device::Impl::check_alive() const {
    if (lost())
        throw Error(
            ErrorCode::device_lost,
            info.name + " was lost by an earlier call: destroy the Device and all that was made from it",
            VK_ERROR_DEVICE_LOST);
}

void Device::Impl::log(Severity severity, std::string_view text) const {
    if (log_callback) log_callback(severity, text);
}

void Device::Impl::name(VkObjectType type, std::uint64_t handle, std::string_view text) const noexcept {
    if (!vk.SetDebugUtilsObjectNameEXT || handle == 0) return;
    char buffer[128];  // names are short; no allocation that could fail
    const std::size_t length = std::min(text.size(), sizeof buffer - 1);
    std::memcpy(buffer, text.data(), length);
    buffer[length] = '\0';
    VkDebugUtilsObjectNameInfoEXT name_info{};
    name_info.sType = VK_STRUCTURE_TYPE_DEBUG_UTILS_OBJECT_NAME_INFO_EXT;
    name_info.objectType = type;
    name_info.objectHandle = handle;
    name_info.pObjectName = buffer;
    // A name that is not set harms nobody; a lost device will be told by the next call that matters.
    (void)vk.SetDebugUtilsObjectNameEXT(device, &name_info);
}

void Device::Impl::begin_label(VkCommandBuffer commands, const char* text) const noexcept {
    if (!vk.CmdBeginDebugUtilsLabelEXT) return;
    VkDebugUtilsLabelEXT label{};
    label.sType = VK_STRUCTURE_TYPE_DEBUG_UTILS_LABEL_EXT;
    label.pLabelName = text;
    vk.CmdBeginDebugUtilsLabelEXT(commands, &label);
}

void Device::Impl::end_label(VkCommandBuffer commands) const noexcept {
    if (vk.CmdEndDebugUtilsLabelEXT) vk.CmdEndDebugUtilsLabelEXT(commands);
}

std::uint64_t Device::Impl::submit(std::span<const VkCommandBuffer> commands,
                                   std::span<const VkSemaphoreSubmitInfo> waits,
                                   std::span<const VkSemaphoreSubmitInfo> signals) {
    check_alive();
    if (!queue)
        throw Error(ErrorCode::unsupported,
                    "the device was adopted without a queue, so Heron cannot submit: set "
                    "AdoptedDevice::queue, or record "
                    "into a command buffer of your own");

    // Bounded, so that a submission needs no memory.
    std::array<VkCommandBufferSubmitInfo, 4> command_infos{};
    std::array<VkSemaphoreSubmitInfo, 20> all_signals{};
    if (commands.size() > command_infos.size() || signals.size() >= all_signals.size())
        throw Error(ErrorCode::internal, "submit: too many command buffers or semaphores");
    for (std::size_t i = 0; i < commands.size(); ++i) {
        command_infos[i].sType = VK_STRUCTURE_TYPE_COMMAND_BUFFER_SUBMIT_INFO;
        command_infos[i].commandBuffer = commands[i];
    }
    std::copy(signals.begin(), signals.end(), all_signals.begin());
    VkSemaphoreSubmitInfo& own = all_signals[signals.size()];
    own.sType = VK_STRUCTURE_TYPE_SEMAPHORE_SUBMIT_INFO;
    own.semaphore = timeline;
    own.stageMask = VK_PIPELINE_STAGE_2_ALL_COMMANDS_BIT;

    VkSubmitInfo2 submit_info{};
    submit_info.sType = VK_STRUCTURE_TYPE_SUBMIT_INFO_2;
    submit_info.waitSemaphoreInfoCount = static_cast<std::uint32_t>(waits.size());
    submit_info.pWaitSemaphoreInfos = waits.data();
    submit_info.commandBufferInfoCount = static_cast<std::uint32_t>(commands.size());
    submit_info.pCommandBufferInfos = command_infos.data();
    submit_info.signalSemaphoreInfoCount = static_cast<std::uint32_t>(signals.size() + 1);
    submit_info.pSignalSemaphoreInfos = all_signals.data();

    // Heron's own lock, then the engine's: values must reach the queue in rising order.
    const std::lock_guard lock(submit_mutex_);
    own.value = submitted_ + 1;
    if (lock_queue) lock_queue();
    const VkResult result = vk.QueueSubmit2(queue, 1, &submit_info, VK_NULL_HANDLE);
    if (unlock_queue) unlock_queue();
    check(result, "vkQueueSubmit2");
    return ++submitted_;
}

std::uint64_t Device::Impl::submitted() const {
    const std::lock_guard lock(submit_mutex_);
    return submitted_;
}

std::uint64_t Device::Impl::completed() const {
    check_alive();
    std::uint64_t value = 0;
    check(vk.GetSemaphoreCounterValue(device, timeline, &value), "vkGetSemaphoreCounterValue");
    return value;
}

bool Device::Impl::wait(std::uint64_t value, std::uint64_t timeout_ns) const {
    check_alive();
    VkSemaphoreWaitInfo wait_info{};
    wait_info.sType = VK_STRUCTURE_TYPE_SEMAPHORE_WAIT_INFO;
    wait_info.semaphoreCount = 1;
    wait_info.pSemaphores = &timeline;
    wait_info.pValues = &value;
    const VkResult result = vk.WaitSemaphores(device, &wait_info, timeout_ns);
    if (result == VK_TIMEOUT) return false;
    check(result, "vkWaitSemaphores");
    return true;
}

// --- Device

std::vector<DeviceInfo> Device::list(const DeviceOptions& options) {
    check_options(options);
    Instance instance;
    instance.create(options);
    std::vector<DeviceInfo> infos;
    for (Probe& probe : probe_all(instance)) infos.push_back(std::move(probe.info));
    return infos;
}

Device Device::create(const DeviceOptions& options) {
    check_options(options);
    auto impl = std::make_unique<Impl>();
    impl->allocator = options.allocator;
    impl->log_callback = options.log;
    impl->instance.create(options);
    const std::vector<Probe> probes = probe_all(impl->instance);
    auto [probe, reason] = choose(probes, options.select);

    const Features features = without(probe->features, options.disable);
    const std::vector<std::string> extensions = useful_extensions(probe->extensions, features);
    FeatureStructs structs(extensions);
    structs.set(features);
    std::vector<const char*> extension_names;
    for (const std::string& name : extensions) extension_names.push_back(name.c_str());

    impl->physical_device = probe->handle;
    impl->queue_family = choose_queue_family(*probe);
    const float priority = 1.0f;
    VkDeviceQueueCreateInfo queue_info{};
    queue_info.sType = VK_STRUCTURE_TYPE_DEVICE_QUEUE_CREATE_INFO;
    queue_info.queueFamilyIndex = impl->queue_family;
    queue_info.queueCount = 1;
    queue_info.pQueuePriorities = &priority;
    VkDeviceCreateInfo create_info{};
    create_info.sType = VK_STRUCTURE_TYPE_DEVICE_CREATE_INFO;
    create_info.pNext = &structs.core;
    create_info.queueCreateInfoCount = 1;
    create_info.pQueueCreateInfos = &queue_info;
    create_info.enabledExtensionCount = static_cast<std::uint32_t>(extension_names.size());
    create_info.ppEnabledExtensionNames = extension_names.data();
    impl->vk = impl->instance.vk;
    check_result(impl->vk.CreateDevice(probe->handle, &create_info, impl->allocator, &impl->device),
                 "vkCreateDevice", probe->info.name);
    impl->owns_device = true;
    impl->vk.load_device(impl->device);
    impl->vk.GetDeviceQueue(impl->device, impl->queue_family, 0, &impl->queue);

    impl->open({*probe, features, extensions, VK_NULL_HANDLE, std::move(reason)}, options);
    Device device(std::move(impl));
    device.impl_->log(Severity::info, device.explain());
    return device;
}

Device Device::adopt(const AdoptedDevice& handles, const DeviceOptions& options) {
    check_options(options);
    auto refuse = [](bool wrong, const std::string& text) {
        if (wrong) throw Error(ErrorCode::invalid_argument, "Device::adopt: " + text);
    };
    refuse(!handles.get_instance_proc_addr,
           "get_instance_proc_addr is null; give the loader's vkGetInstanceProcAddr");
    refuse(!handles.instance, "instance is null");
    refuse(!handles.physical_device, "physical_device is null");
    refuse(!handles.device, "device is null");
    refuse(
        !handles.enabled_features,
        "enabled_features is null; give the chain that vkCreateDevice got (heron::FeatureChain makes one)");
    refuse(!handles.lock_queue != !handles.unlock_queue, "only one of lock_queue and unlock_queue is set");
    if (handles.api_version < VK_API_VERSION_1_3)
        throw Error(ErrorCode::unsupported, "Device::adopt: the instance is for Vulkan " +
                                                version_text(handles.api_version) +
                                                "; set VkApplicationInfo::apiVersion to 1.3 or more");
    std::vector<std::string> extensions;
    for (const char* name : handles.enabled_extensions) {
        refuse(!name, "enabled_extensions contains a null pointer");
        extensions.emplace_back(name);
    }

    auto impl = std::make_unique<Impl>();
    impl->allocator = options.allocator;
    impl->log_callback = options.log;
    impl->lock_queue = handles.lock_queue;
    impl->unlock_queue = handles.unlock_queue;
    Instance& instance = impl->instance;
    instance.vk.GetInstanceProcAddr = handles.get_instance_proc_addr;
    instance.handle = handles.instance;
    instance.vk.load_instance(handles.instance);
    // An instance extension, so it is in no device's list unless the caller says so there.
    instance.debug_utils = options.debug_names && contains(extensions, VK_EXT_DEBUG_UTILS_EXTENSION_NAME);
    if (instance.debug_utils) instance.vk.load_debug(handles.instance);

    const std::vector<VkPhysicalDevice> physical_devices = instance.physical_devices();
    const auto found = std::find(physical_devices.begin(), physical_devices.end(), handles.physical_device);
    refuse(found == physical_devices.end(), "physical_device is not one of this instance's");
    const Probe probe = probe_device(instance.vk, handles.physical_device,
                                     static_cast<std::uint32_t>(found - physical_devices.begin()));
    if (!probe.info.usable)
        throw Error(ErrorCode::unsupported, "Device::adopt: " + probe.info.name + ": " + probe.info.reason);
    refuse(handles.queue_family >= probe.queue_families.size(),
           "queue_family is " + std::to_string(handles.queue_family) + ", the device has " +
               std::to_string(probe.queue_families.size()));
    refuse((probe.queue_families[handles.queue_family].queueFlags & VK_QUEUE_COMPUTE_BIT) == 0,
           "queue family " + std::to_string(handles.queue_family) +
               " has no compute; choose one with VK_QUEUE_COMPUTE_BIT");

    const Features features = read_features(handles.enabled_features);
    const std::string missing = missing_baseline(features);
    if (!missing.empty())
        throw Error(ErrorCode::unsupported,
                    "Device::adopt: enabled_features lacks " + missing +
                        "; enable them at vkCreateDevice, for example with the chain of heron::FeatureChain");

    impl->physical_device = handles.physical_device;
    impl->device = handles.device;
    impl->queue = handles.queue;
    impl->queue_family = handles.queue_family;
    impl->vk = instance.vk;
    impl->vk.load_device(handles.device);
    impl->open({probe, features, extensions, handles.pipeline_cache, "adopted from the application"},
               options);
    Device device(std::move(impl));
    device.impl_->log(Severity::info, device.explain());
    return device;
}

Device::Device(std::unique_ptr<Impl> impl) : impl_(std::move(impl)) {}
Device::Device(Device&&) noexcept = default;
Device& Device::operator=(Device&&) noexcept = default;
Device::~Device() = default;

const DeviceInfo& Device::info() const { return impl_->info; }
std::uint64_t Device::id() const { return impl_->id; }
const Capabilities& Device::capabilities() const { return impl_->capabilities; }

std::string Device::explain() const {
    const DeviceInfo& info = impl_->info;
    return info.name + ", " + info.type_text() + ", " + info.driver + ": " + info.reason;
}

VkInstance Device::instance() const { return impl_->instance.handle; }
VkPhysicalDevice Device::physical_device() const { return impl_->physical_device; }
VkDevice Device::handle() const { return impl_->device; }
std::uint32_t Device::queue_family() const { return impl_->queue_family; }
VkQueue Device::queue() const { return impl_->queue; }

std::vector<std::byte> Device::pipeline_cache_bytes() const {
    impl_->check_alive();
    return impl_->pipelines->cache_bytes();
}

std::uint64_t Device::pipelines_compiled() const { return impl_->pipelines->compiled(); }

bool Device::lost() const { return impl_->lost(); }

void Device::wait_idle(std::uint64_t timeout_ns) const {
    const std::uint64_t value = impl_->submitted();
    if (!impl_->wait(value, timeout_ns))
        throw Error(ErrorCode::timeout,
                    "Device::wait_idle: " + impl_->info.name + " did not finish submission " +
                        std::to_string(value) + " within " + std::to_string(timeout_ns) + " ns",
                    VK_TIMEOUT);
}

}  // namespace heron
