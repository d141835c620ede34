// SPDX-License-Identifier: MIT
// The only file that talks to volk, whose symbols the generated header gives names of Heron's own: an
// application that links the loader, or volk, shares nothing with us.
#include "heron_volk_rename.h"
// After the renaming.
#include <volk.h>

#include "core/loader.hpp"

#ifdef _WIN32
#include <windows.h>
#else
#include <dlfcn.h>
#endif

#include <mutex>
#include <string>

#include "heron/error.hpp"

namespace heron {
namespace {

// volkLoadDeviceTable asks volk's global vkGetDeviceProcAddr, the one piece of state that devices would
// share; it is set and used under this mutex only. Constant-initialised: nothing runs when the library is
// loaded.
constinit std::mutex volk_mutex;

[[noreturn]] void missing(const char* name) {
    throw Error(ErrorCode::unsupported, std::string("the Vulkan loader or driver does not have ") + name +
                                            "; Heron needs Vulkan 1.3: update the loader and the driver");
}

#ifdef _WIN32
constexpr const char* kLibraries[] = {"vulkan-1.dll"};
constexpr const char* kRemedy = "install the graphics driver of your GPU's maker";
#elif defined(__APPLE__)
constexpr const char* kLibraries[] = {"libvulkan.dylib", "libvulkan.1.dylib", "libMoltenVK.dylib"};
constexpr const char* kRemedy = "install the Vulkan SDK or MoltenVK";
#else
constexpr const char* kLibraries[] = {"libvulkan.so.1", "libvulkan.so"};
constexpr const char* kRemedy =
    "install it and a driver (Debian: libvulkan1 and mesa-vulkan-drivers, which also has a CPU driver)";
#endif

void* open_library(const char* name) {
#ifdef _WIN32
    return reinterpret_cast<void*>(LoadLibraryA(name));
#else
    return dlopen(name, RTLD_NOW | RTLD_LOCAL);
#endif
}

void close_library(void* module) {
#ifdef _WIN32
    FreeLibrary(reinterpret_cast<HMODULE>(module));
#else
    dlclose(module);
#endif
}

PFN_vkGetInstanceProcAddr entry_of(void* module) {
#ifdef _WIN32
    return reinterpret_cast<PFN_vkGetInstanceProcAddr>(
        reinterpret_cast<void*>(GetProcAddress(reinterpret_cast<HMODULE>(module), "vkGetInstanceProcAddr")));
#else
    return reinterpret_cast<PFN_vkGetInstanceProcAddr>(dlsym(module, "vkGetInstanceProcAddr"));
#endif
}

}  // namespace

void FunctionTable::load_global(PFN_vkGetInstanceProcAddr entry) {
    GetInstanceProcAddr = entry;
#define HERON_LOAD(name) \
    if (!(name = reinterpret_cast<PFN_vk##name>(entry(VK_NULL_HANDLE, "vk" #name)))) missing("vk" #name);
    HERON_GLOBAL_FUNCTIONS(HERON_LOAD)
#undef HERON_LOAD
}

void FunctionTable::load_instance(VkInstance instance) {
#define HERON_LOAD(name)                                                                     \
    if (!(name = reinterpret_cast<PFN_vk##name>(GetInstanceProcAddr(instance, "vk" #name)))) \
        missing("vk" #name);
    HERON_INSTANCE_FUNCTIONS(HERON_LOAD)
#undef HERON_LOAD
#ifdef VK_KHR_cooperative_matrix
    GetPhysicalDeviceCooperativeMatrixPropertiesKHR =
        reinterpret_cast<PFN_vkGetPhysicalDeviceCooperativeMatrixPropertiesKHR>(
            GetInstanceProcAddr(instance, "vkGetPhysicalDeviceCooperativeMatrixPropertiesKHR"));
#endif
#ifdef VK_NV_cooperative_matrix2
    GetPhysicalDeviceCooperativeMatrixFlexibleDimensionsPropertiesNV =
        reinterpret_cast<PFN_vkGetPhysicalDeviceCooperativeMatrixFlexibleDimensionsPropertiesNV>(
            GetInstanceProcAddr(instance,
                                "vkGetPhysicalDeviceCooperativeMatrixFlexibleDimensionsPropertiesNV"));
#endif
}

void FunctionTable::load_device(VkDevice device) {
    // First, so that whoever created the device can destroy it when one of the others is missing.
    DestroyDevice = reinterpret_cast<PFN_vkDestroyDevice>(GetDeviceProcAddr(device, "vkDestroyDevice"));
    VolkDeviceTable table{};
    {
        const std::lock_guard lock(volk_mutex);
        vkGetDeviceProcAddr = GetDeviceProcAddr;
        volkLoadDeviceTable(&table, device);
        vkGetDeviceProcAddr = nullptr;
    }
#define HERON_LOAD(name) \
    if (!(name = table.vk##name)) missing("vk" #name);
    HERON_DEVICE_FUNCTIONS(HERON_LOAD)
#undef HERON_LOAD
}

void FunctionTable::load_debug(VkInstance instance) {
    // From the instance: drivers need not know this extension, the loader and the layers do.
#define HERON_LOAD(name) name = reinterpret_cast<PFN_vk##name>(GetInstanceProcAddr(instance, "vk" #name));
    HERON_DEBUG_FUNCTIONS(HERON_LOAD)
#undef HERON_LOAD
}

PFN_vkGetInstanceProcAddr LoaderLibrary::open(PFN_vkGetInstanceProcAddr given) {
    if (given) return given;
    for (const char* name : kLibraries) {
        if (module_) break;
        module_ = open_library(name);
    }
    const PFN_vkGetInstanceProcAddr entry = module_ ? entry_of(module_) : nullptr;
    if (!entry)
        throw Error(ErrorCode::unsupported,
                    std::string("no Vulkan loader (") + kLibraries[0] + ") on this system: " + kRemedy);
    return entry;
}

LoaderLibrary::~LoaderLibrary() {
    if (module_) close_library(module_);
}

}  // namespace heron
