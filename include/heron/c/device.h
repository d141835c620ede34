// SPDX-License-Identifier: MIT
// A Vulkan device as Heron uses it, created here or adopted from an engine; and buffers of its memory.
//
// Threads: functions that take a const heron_device* may run at the same time on the same device; creating and
// destroying one on another. Devices are independent of each other.
#pragma once

#include "heron/c/types.h"

#ifdef __cplusplus
extern "C" {
#endif

// Called from the thread that calls Heron. Must not call back into Heron. `text` lasts for the call.
typedef void (*heron_log_function)(void* user, heron_severity severity, const char* text);

// Memory through the engine's own allocator: both functions, or neither. They may be called from any thread
// that calls Heron; never while recording or submitting.
typedef struct heron_memory_callbacks {
    void* user;
    // Puts a range of at least request->bytes at request->alignment into `range`, mapped for the upload and
    // readback kinds. Its buffer has usage STORAGE_BUFFER | TRANSFER_SRC | TRANSFER_DST | INDIRECT_BUFFER |
    // SHADER_DEVICE_ADDRESS. False: out of device memory.
    bool (*allocate)(void* user, const heron_memory_request* request, heron_buffer_range* range);
    void (*free)(void* user, const heron_buffer_range* range);
} heron_memory_callbacks;

// What it points to is borrowed until the call that takes it returns, but for `allocator`, `log` and `memory`.
typedef struct heron_device_options {
    heron_struct header;  // by heron_device_options_init()
    // Index ("1"), UUID (32 hexadecimal digits, dashes allowed) or a part of the name, case-insensitive. NULL
    // or empty: the first usable device, discrete before integrated before virtual before CPU.
    const char* select;
    heron_disabled_capabilities disable;
    heron_log_function log;  // NULL: silent
    void* log_user;          // passed to it
    heron_memory_callbacks memory;           // NULLs: Heron's own arenas
    const VkAllocationCallbacks* allocator;  // host memory; NULL, or must outlive the device
    // From heron_device_pipeline_cache(); a foreign or damaged one is ignored with a warning.
    const void* pipeline_cache;
    size_t pipeline_cache_bytes;
    PFN_vkGetInstanceProcAddr get_instance_proc_addr;  // of the loader; NULL loads libvulkan at run time
    uint32_t instance_layer_count;
    const char* const* instance_layers;  // e.g. "VK_LAYER_KHRONOS_validation"
    uint32_t instance_extension_count;
    const char* const* instance_extensions;
    bool debug_names;  // = true; objects named and commands labelled where VK_EXT_debug_utils is enabled
} heron_device_options;

HERON_API heron_result heron_init_device_options(heron_device_options* options, size_t bytes, uint32_t version);
static inline heron_result heron_device_options_init(heron_device_options* options) {
    return heron_init_device_options(options, sizeof *options, HERON_VERSION);
}

// Handles of an engine. All must outlive the heron_device; Heron destroys none of them.
typedef struct heron_adopted_device {
    heron_struct header;  // by heron_adopted_device_init()
    PFN_vkGetInstanceProcAddr get_instance_proc_addr;
    VkInstance instance;
    VkPhysicalDevice physical_device;
    VkDevice device;
    uint32_t queue_family;  // of the queues that execute what Heron records; it must have compute
    // Others that execute plans, too, such as graphics beside async compute: the buffers of Heron's arenas are
    // CONCURRENT for all of them. Without any they are EXCLUSIVE, for queue_family. (Memory of callbacks and of
    // heron_plan_bind() is as the caller makes it.)
    uint32_t other_queue_family_count;
    const uint32_t* other_queue_families;
    // May be VK_NULL_HANDLE: then Heron submits nothing by itself, so that heron_plan_record_initialize(),
    // heron_plan_record() and heron_submit_info.submit remain, but no heron_plan_initialize(), files, states, and
    // no heron_buffer_read() or heron_buffer_write() of memory that the host does not see.
    VkQueue queue;
    uint32_t api_version;  // = VK_API_VERSION_1_3; as given to vkCreateInstance
    // What was enabled at vkCreateDevice: the pNext chain (VkPhysicalDeviceFeatures2, or the Vulkan11/12/13-
    // Features and extension structs) and the extension names. Heron uses nothing that is not enabled here.
    const void* enabled_features;
    uint32_t enabled_extension_count;
    const char* const* enabled_extensions;
    VkPipelineCache pipeline_cache;  // may be VK_NULL_HANDLE; else used in place of Heron's own
    // Both or neither: called around each vkQueueSubmit2 of Heron, for engines that lock their queue. Heron
    // holds a lock of its own meanwhile, so a thread that holds the engine's must not call Heron.
    void (*lock_queue)(void* user);
    void (*unlock_queue)(void* user);
    void* queue_user;  // passed to them
} heron_adopted_device;

HERON_API heron_result heron_init_adopted_device(heron_adopted_device* options, size_t bytes, uint32_t version);
static inline heron_result heron_adopted_device_init(heron_adopted_device* options) {
    return heron_init_adopted_device(options, sizeof *options, HERON_VERSION);
}

// One physical device. Its texts belong to the heron_device or heron_device_list that it is of.
typedef struct heron_device_info {
    uint32_t index;  // in the loader's order; what heron_device_options.select takes
    const char* name;
    const char* driver;  // driver name and its version text
    VkPhysicalDeviceType type;
    const char* type_text;  // "discrete GPU", "integrated GPU", "virtual GPU", "CPU", "other"
    uint8_t uuid[VK_UUID_SIZE];
    const char* uuid_text;  // 32 hexadecimal digits
    uint32_t vendor_id;
    uint32_t device_id;
    uint32_t api_version;
    bool usable;
    const char* reason;  // why it cannot be used, or, for a chosen device, why it was chosen
} heron_device_info;

// --- Devices

// `options` may not be NULL here: they carry the version of the headers, which is checked first.

// Every physical device of the loader, usable or not, with the reason. Fails (HERON_ERROR_UNSUPPORTED) where
// no Vulkan loader is installed.
HERON_API heron_result heron_device_list_create(const heron_device_options* options, heron_device_list** list);
HERON_API void heron_device_list_destroy(heron_device_list* list);
HERON_API uint32_t heron_device_list_count(const heron_device_list* list);
HERON_API const heron_device_info* heron_device_list_get(const heron_device_list* list, uint32_t index);  // or NULL

// Creates an instance, a device and a compute queue of its own. Fails (HERON_ERROR_UNSUPPORTED) where no
// device fits, naming each and why not.
HERON_API heron_result heron_device_create(const heron_device_options* options, heron_device** device);
// Uses the caller's device. Of `options`, select, layers, extensions and get_instance_proc_addr are
// ignored.
HERON_API heron_result heron_device_adopt(const heron_adopted_device* handles, const heron_device_options* options,
                                          heron_device** device);
// Does not wait for the GPU: all that was made of the device must be gone.
HERON_API void heron_device_destroy(heron_device* device);

// NULL for NULL; belongs to the device.
HERON_API const heron_device_info* heron_device_get_info(const heron_device* device);
HERON_API heron_result heron_device_capabilities(const heron_device* device, heron_capabilities* capabilities);
// Unique in the process and never used again; 0 for NULL.
HERON_API uint64_t heron_device_id(const heron_device* device);
// One line: which device was taken and why. Text: see heron/c/base.h.
HERON_API heron_result heron_device_explain(const heron_device* device, char* text, size_t* bytes);

// Null handles for NULL.
HERON_API VkInstance heron_device_instance(const heron_device* device);
HERON_API VkPhysicalDevice heron_device_physical_device(const heron_device* device);
HERON_API VkDevice heron_device_handle(const heron_device* device);
HERON_API uint32_t heron_device_queue_family(const heron_device* device);
HERON_API VkQueue heron_device_queue(const heron_device* device);  // null when adopted without one

// Pipelines compiled so far, to be stored by the application and given to heron_device_options.pipeline_cache.
// Carries its own header (size, hash, driver, UUID), which is checked before the driver sees a byte. May grow
// between two calls; one that did not fit whole (HERON_INCOMPLETE) is of no use.
HERON_API heron_result heron_device_pipeline_cache(const heron_device* device, void* data, size_t* bytes);
HERON_API uint64_t heron_device_pipelines_compiled(const heron_device* device);  // since creation

// True once any call returned VK_ERROR_DEVICE_LOST; every later one fails (HERON_ERROR_DEVICE_LOST) at once.
HERON_API bool heron_device_lost(const heron_device* device);
// Waits for what Heron has submitted before the call. Fails (HERON_ERROR_TIMEOUT) after `timeout_ns`.
HERON_API heron_result heron_device_wait_idle(const heron_device* device, uint64_t timeout_ns);

// --- Features for a vkCreateDevice of the caller's

// What Heron needs, and what it can use, of what `physical_device` offers. Put the features into
// VkDeviceCreateInfo::pNext (pEnabledFeatures null), and append the extensions. `disable` may be NULL. Fails
// (HERON_ERROR_UNSUPPORTED) naming every missing baseline feature. The chain must outlive the calls of
// vkCreateDevice and heron_device_adopt().
HERON_API heron_result heron_feature_chain_create(PFN_vkGetInstanceProcAddr get_instance_proc_addr,
                                                  VkInstance instance, VkPhysicalDevice physical_device,
                                                  uint32_t api_version, const heron_disabled_capabilities* disable,
                                                  heron_feature_chain** chain);
HERON_API void heron_feature_chain_destroy(heron_feature_chain* chain);
// VkPhysicalDeviceFeatures2 with its chain; NULL for NULL.
HERON_API const void* heron_feature_chain_features(const heron_feature_chain* chain);
// `count` may not be NULL. The names belong to the chain.
HERON_API const char* const* heron_feature_chain_extensions(const heron_feature_chain* chain, uint32_t* count);

// --- Tensors and buffers

// A tensor in the caller's buffer at `byte_offset` from the range's start; `row_stride` in elements, 0:
// contiguous. Fails (HERON_ERROR_INVALID_ARGUMENT) for a null buffer, a usage without the device-address flag,
// misalignment, or a tensor that does not fit. Kernels access whole 32-bit words: where a tensor of 16-bit
// elements ends within one, the VkBuffer must go on to that word's end. They keep the other half.
HERON_API heron_result heron_device_view(const heron_device* device, const heron_buffer_range* range,
                                         heron_dtype dtype, const heron_shape* shape, uint64_t byte_offset,
                                         uint64_t row_stride, heron_tensor_view* view);
// Bytes from the first to one past the last element, gaps between rows included.
HERON_API heron_result heron_tensor_view_span_bytes(const heron_tensor_view* view, uint64_t* bytes);

// Device memory with a device address. `name` may be NULL. Fails (HERON_ERROR_OUT_OF_DEVICE_MEMORY) with need
// and budget.
HERON_API heron_result heron_buffer_create(const heron_device* device, uint64_t bytes, heron_memory_kind kind,
                                           const char* name, heron_buffer** buffer);
// The GPU must have finished with it.
HERON_API void heron_buffer_destroy(heron_buffer* buffer);
// 0 and NULL for NULL.
HERON_API VkDeviceAddress heron_buffer_address(const heron_buffer* buffer);
HERON_API uint64_t heron_buffer_bytes(const heron_buffer* buffer);
HERON_API void* heron_buffer_mapped(const heron_buffer* buffer);  // NULL when the memory is not mapped
HERON_API heron_result heron_buffer_get_range(const heron_buffer* buffer, heron_buffer_range* range);
// A tensor in this buffer; fails as heron_device_view().
HERON_API heron_result heron_buffer_view(const heron_buffer* buffer, heron_dtype dtype, const heron_shape* shape,
                                         uint64_t byte_offset, uint64_t row_stride, heron_tensor_view* view);
// Blocking copies from and to the host, for set-up, tests and tools: through the mapping where there is one,
// else by a staging buffer and the device's queue (fails (HERON_ERROR_UNSUPPORTED) when adopted without one).
HERON_API heron_result heron_buffer_write(heron_buffer* buffer, const void* data, size_t bytes,
                                          uint64_t byte_offset);
HERON_API heron_result heron_buffer_read(const heron_buffer* buffer, void* data, size_t bytes,
                                         uint64_t byte_offset);

// 16-bit conversions as every Heron shader does them: round to nearest even; f32 NaN stays NaN.
HERON_API uint16_t heron_f32_to_f16(float value);
HERON_API float heron_f16_to_f32(uint16_t bits);
HERON_API uint16_t heron_f32_to_bf16(float value);
HERON_API float heron_bf16_to_f32(uint16_t bits);

#ifdef __cplusplus
}
#endif
