// SPDX-License-Identifier: MIT
// A Vulkan device as Heron uses it: created here, or adopted from an engine.
#pragma once

#include <vulkan/vulkan_core.h>

#include <array>
#include <cstdint>
#include <functional>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "heron/error.hpp"
#include "heron/export.hpp"
#include "heron/tensor.hpp"
#include "heron/version.hpp"

namespace heron {

enum class Severity { debug, info, warning, error };  // of a line of the log
// Called from the thread that calls Heron. Must not call back into Heron. Silent when empty.
using LogCallback = std::function<void(Severity, std::string_view)>;

// One physical device, as Device::list() and device.info() report it.
struct DeviceInfo {
    std::uint32_t index = 0;  // in the loader's order; what `select` takes
    std::string name;
    std::string driver;  // driver name and its version text
    VkPhysicalDeviceType type = VK_PHYSICAL_DEVICE_TYPE_OTHER;
    std::array<std::uint8_t, VK_UUID_SIZE> uuid{};
    std::uint32_t vendor_id = 0;
    std::uint32_t device_id = 0;
    std::uint32_t api_version = 0;
    bool usable = false;
    std::string reason;  // why it cannot be used, or, for a chosen device, why it was chosen

    HERON_API std::string uuid_text() const;  // 32 hexadecimal digits
    // "discrete GPU", "integrated GPU", "virtual GPU", "CPU", "other"
    HERON_API std::string type_text() const;
};

// Shape of one multiplication of matrix units: m x k times k x n.
struct MatrixShape {
    std::uint32_t m = 0, n = 0, k = 0;
    bool operator==(const MatrixShape&) const = default;
};

// What a device offers beyond the baseline, and its limits, as Heron uses them.
struct Capabilities {
    bool cpu = false;                // a CPU driver (lavapipe, SwiftShader): CPU variants are chosen
    bool cpu_uniform_loads = false;  // ... that loads an address common to a subgroup once (lavapipe 26.1)
    bool shader_float16 = false;     // arithmetic on float16_t
    bool storage_16bit = false;      // 16-bit loads and stores
    bool storage_8bit = false;
    bool subgroup_size_control = false;  // compute workgroups of full subgroups of `subgroup_size`
    bool cooperative_matrix = false;     // VK_KHR_cooperative_matrix with f16 operands and f32 sums
    MatrixShape cooperative_f16;         // the one of its shapes that Heron's kernels use; zeros: none fits
    MatrixShape cooperative_bf16;        // the same for bf16 operands (VK_KHR_shader_bfloat16)
    bool bfloat16 = false;               // VK_KHR_shader_bfloat16
    bool cooperative_matrix2 = false;    // VK_NV_cooperative_matrix2
    // Of it: what rows, columns and depth of f16 matrices with f32 sums are multiples of that a workgroup of
    // 256 holds together; zeros: it cannot, or not through tensor layouts, or not up to 128 x 128.
    MatrixShape cooperative_workgroup_f16;
    std::uint32_t cooperative_workgroup_bytes = 0;  // of shared memory that the driver keeps for them
    bool memory_budget = false;                     // VK_EXT_memory_budget
    bool pipeline_statistics = false;               // VK_KHR_pipeline_executable_properties
    bool timestamps = false;                        // on the queue family in use
    bool debug_utils = false;                       // names and labels are set
    std::uint32_t subgroup_size = 1;
    std::uint32_t max_workgroup_invocations = 128;
    std::uint32_t max_workgroup_size_x = 128;
    std::uint32_t max_workgroup_count[3] = {65535, 65535, 65535};
    std::uint32_t shared_memory_bytes = 16384;
    std::uint64_t max_buffer_bytes = 0;
    std::uint64_t max_allocation_bytes = 0;
    double timestamp_period_ns = 0;
    std::uint32_t timestamp_bits = 0;  // that count: a timestamp wraps round after them; 0: no timestamps
};

// Treats the device as if it did not have something: for tests, and as a way around a driver's defect.
struct DisabledCapabilities {
    bool shader_float16 = false;
    bool storage_16bit = false;
    bool storage_8bit = false;
    bool subgroup_size_control = false;
    bool cooperative_matrix = false;
    bool bfloat16 = false;
    bool cooperative_matrix2 = false;
    bool memory_budget = false;
    bool pipeline_statistics = false;
    bool timestamps = false;
    bool cpu = false;                     // choose the GPU variants on a CPU driver
    std::uint32_t max_shared_memory = 0;  // bytes; 0 = the device's own limit
    std::uint32_t max_invocations = 0;    // per workgroup; 0 = the device's own limit
};

enum class MemoryKind {
    device,    // fastest for the GPU; not mapped unless all of the device's memory is
    upload,    // mapped, coherent; written by the host, read by the GPU (job arrays)
    readback,  // mapped, coherent, host-cached where there is such a type
};

struct MemoryRequest {
    MemoryKind kind = MemoryKind::device;
    VkDeviceSize bytes = 0;
    VkDeviceSize alignment = 256;
    const char* purpose = "";  // "state", "workspace", "tables", ...: for names and logs
};

// Memory through the engine's own allocator. Both functions may be called from any thread that calls Heron;
// neither is ever called while recording or submitting.
struct MemoryCallbacks {
    // Returns a range of at least request.bytes at request.alignment, mapped for upload and readback kinds.
    // Its buffer has usage STORAGE_BUFFER | TRANSFER_SRC | TRANSFER_DST | INDIRECT_BUFFER |
    // SHADER_DEVICE_ADDRESS. May throw; a range with a null buffer means out of device memory.
    std::function<BufferRange(const MemoryRequest&)> allocate;
    std::function<void(const BufferRange&)> free;
};

struct DeviceOptions {
    // Index ("1"), UUID (32 hexadecimal digits, dashes allowed) or a part of the name, case-insensitive.
    // Empty: the first usable device, discrete before integrated before virtual before CPU.
    std::string select;
    DisabledCapabilities disable;
    LogCallback log;
    MemoryCallbacks memory;                            // default: Heron's own arenas
    const VkAllocationCallbacks* allocator = nullptr;  // host memory; must outlive the device
    // From pipeline_cache_bytes(); a foreign or damaged one is ignored with a warning.
    std::span<const std::byte> pipeline_cache;
    // Entry point of the loader; null loads libvulkan at run time. (Tests put their fault injectors here.)
    PFN_vkGetInstanceProcAddr get_instance_proc_addr = nullptr;
    std::vector<const char*> instance_layers;  // e.g. "VK_LAYER_KHRONOS_validation"
    std::vector<const char*> instance_extensions;
    bool debug_names = true;  // objects named and commands labelled where VK_EXT_debug_utils is enabled
    // Of the headers that the application was compiled with; not to be changed. A library that does not fit
    // them refuses to make a device (version_mismatch).
    int header_major = HERON_VERSION_MAJOR;
    int header_minor = HERON_VERSION_MINOR;
};

// Handles of an engine. Everything must outlive the Device; Heron destroys none of it.
struct AdoptedDevice {
    PFN_vkGetInstanceProcAddr get_instance_proc_addr = nullptr;
    VkInstance instance = VK_NULL_HANDLE;
    VkPhysicalDevice physical_device = VK_NULL_HANDLE;
    VkDevice device = VK_NULL_HANDLE;
    std::uint32_t queue_family = 0;  // of the queues that execute what Heron records; it must have compute
    // Others that execute plans, too, such as graphics beside async compute: the buffers of Heron's arenas
    // are CONCURRENT for all of them. Without any they are EXCLUSIVE, for queue_family. (Memory of callbacks
    // and of Plan::bind() is as the caller makes it.)
    std::span<const std::uint32_t> other_queue_families;
    // Optional: without it Heron submits nothing by itself, so the record functions of plans and
    // SubmitInfo::submit remain, but no Plan::initialize(), save(), load(), read_state(), checkpoints, and no
    // Buffer::read() or write() of memory that the host does not see. For these, give a queue, and lock_queue
    // where other threads use it too.
    VkQueue queue = VK_NULL_HANDLE;
    std::uint32_t api_version = VK_API_VERSION_1_3;  // as given to vkCreateInstance
    // What was enabled at vkCreateDevice: the pNext chain (VkPhysicalDeviceFeatures2, or the
    // Vulkan11/12/13Features and extension structs) and the extension names. Heron uses nothing that is not
    // enabled here.
    const void* enabled_features = nullptr;
    std::span<const char* const> enabled_extensions;
    VkPipelineCache pipeline_cache = VK_NULL_HANDLE;  // optional: used instead of Heron's own
    // Called around each vkQueueSubmit2 of Heron, for engines that lock their queue; Heron holds a lock of
    // its own meanwhile, so a thread that holds the engine's must not call Heron.
    std::function<void()> lock_queue;
    std::function<void()> unlock_queue;
};

// Features and extensions for the caller's own vkCreateDevice: what Heron needs, and what it can use, of what
// `physical_device` offers. Put `features()` into VkDeviceCreateInfo::pNext (pEnabledFeatures null), and
// append `extensions()`. Throws heron::Error (unsupported) naming every missing baseline feature. The object
// must outlive the call of vkCreateDevice and of Device::adopt.
class HERON_API FeatureChain {
public:
    FeatureChain(PFN_vkGetInstanceProcAddr get_instance_proc_addr, VkInstance instance,
                 VkPhysicalDevice physical_device, std::uint32_t api_version = VK_API_VERSION_1_3,
                 const DisabledCapabilities& disable = {});
    ~FeatureChain();
    FeatureChain(FeatureChain&&) noexcept;
    FeatureChain& operator=(FeatureChain&&) noexcept;

    const void* features() const;  // VkPhysicalDeviceFeatures2 with its chain
    std::span<const char* const> extensions() const;

    struct Impl;

private:
    std::unique_ptr<Impl> impl_;
};

class Buffer;

// Graphs, optimizers and plans keep a reference to the Device object they were made with: it must stay where
// it is (moving is for returning one from a function) and outlive them. Threads: const functions,
// create_buffer() and wait_idle() among them, may be called from several threads at once; move and
// destruction may not run beside anything else on the same device. Devices are independent of each other.
class HERON_API Device {
public:
    // Every physical device of the loader, usable or not, with the reason. Throws (unsupported) when no
    // Vulkan loader is installed.
    static std::vector<DeviceInfo> list(const DeviceOptions& options = {});
    // Creates an instance, a device and a compute queue of its own. Throws (unsupported) when no device fits,
    // naming each and why not.
    static Device create(const DeviceOptions& options = {});
    // Uses the caller's device. Of `options`, select, layers, extensions and get_instance_proc_addr are
    // ignored.
    static Device adopt(const AdoptedDevice& handles, const DeviceOptions& options = {});

    Device(Device&&) noexcept;
    Device& operator=(Device&&) noexcept;
    ~Device();  // after all graphs, plans and buffers of the device are gone

    const DeviceInfo& info() const;
    const Capabilities& capabilities() const;
    // Unique in the process and never used again: what other objects of this device carry, so that those of
    // another one are refused.
    std::uint64_t id() const;
    // One line: which device was taken and why.
    std::string explain() const;

    VkInstance instance() const;  // handles: created by Heron, or adopted
    VkPhysicalDevice physical_device() const;
    VkDevice handle() const;
    std::uint32_t queue_family() const;
    VkQueue queue() const;  // null when adopted without one

    // Device memory with a device address; throws (out_of_device_memory) with need and budget.
    Buffer create_buffer(std::uint64_t bytes, MemoryKind kind = MemoryKind::device,
                         std::string_view name = {}) const;

    // A tensor in the caller's buffer at `byte_offset` from the range's start. Throws (invalid_argument) for
    // a null buffer, a usage without the device-address flag, misalignment, or a tensor that does not fit.
    // Kernels access whole 32-bit words: where a tensor of 16-bit elements ends within one, the VkBuffer must
    // go on to that word's end. They keep the other half.
    TensorView view(const BufferRange& range, DType dtype, const Shape& shape, std::uint64_t byte_offset = 0,
                    std::uint64_t row_stride = 0) const;

    // Pipelines compiled so far, to be stored by the application and given to DeviceOptions::pipeline_cache.
    // Carries its own header (size, hash, driver, UUID), which is checked before the driver sees a byte.
    std::vector<std::byte> pipeline_cache_bytes() const;
    std::uint64_t pipelines_compiled() const;  // since creation

    // True once any call returned VK_ERROR_DEVICE_LOST; every later call throws (device_lost) at once.
    bool lost() const;
    // Waits for what Heron has submitted before the call. Throws (timeout) after `timeout_ns`.
    void wait_idle(std::uint64_t timeout_ns = 60'000'000'000) const;

    struct Impl;
    Impl& impl() const { return *impl_; }

private:
    explicit Device(std::unique_ptr<Impl> impl);
    std::unique_ptr<Impl> impl_;
};

// A range of device memory, freed on destruction (the GPU must have finished with it).
class HERON_API Buffer {
public:
    Buffer() = default;
    Buffer(Buffer&&) noexcept;
    Buffer& operator=(Buffer&&) noexcept;
    ~Buffer();

    VkDeviceAddress address() const { return address_; }
    std::uint64_t bytes() const { return bytes_; }
    const BufferRange& range() const { return range_; }
    void* mapped() const { return range_.mapped; }  // null when the memory is not mapped
    explicit operator bool() const { return device_ != nullptr; }

    // A tensor in this buffer; throws as Device::view.
    TensorView view(DType dtype, const Shape& shape, std::uint64_t byte_offset = 0,
                    std::uint64_t row_stride = 0) const;

    // Blocking copies from and to the host, for set-up, tests and tools: through the mapping where there is
    // one, else by a staging buffer and the device's queue (throws (unsupported) when adopted without one).
    void write(std::span<const std::byte> data, std::uint64_t byte_offset = 0);
    void read(std::span<std::byte> data, std::uint64_t byte_offset = 0) const;

private:
    friend class Device;
    friend struct BufferAccess;
    Device::Impl* device_ = nullptr;
    BufferRange range_;
    VkDeviceAddress address_ = 0;
    std::uint64_t bytes_ = 0;
    void* allocation_ = nullptr;  // Heron's own allocation record, null for the caller's callbacks
};

}  // namespace heron
