// SPDX-License-Identifier: MIT
// Devices, feature chains and buffers of the C API.
#include <algorithm>
#include <memory>
#include <span>
#include <utility>

#include "c/convert.hpp"
#include "c/handles.hpp"

namespace heron::c {

DeviceDescription::DeviceDescription(DeviceInfo described)
    : described_(std::move(described)), uuid_(described_.uuid_text()), type_(described_.type_text()) {
    info_.index = described_.index;
    info_.name = described_.name.c_str();
    info_.driver = described_.driver.c_str();
    info_.type = described_.type;
    info_.type_text = type_.c_str();
    std::copy(described_.uuid.begin(), described_.uuid.end(), info_.uuid);
    info_.uuid_text = uuid_.c_str();
    info_.vendor_id = described_.vendor_id;
    info_.device_id = described_.device_id;
    info_.api_version = described_.api_version;
    info_.usable = described_.usable;
    info_.reason = described_.reason.c_str();
}

namespace {

MemoryCallbacks read_callbacks(const heron_memory_callbacks& c) {
    if ((c.allocate == nullptr) != (c.free == nullptr))
        refuse("heron_device_options.memory has one of allocate and free; give both or neither");
    if (c.allocate == nullptr) return {};
    return {[c](const MemoryRequest& request) {
                const auto asked = filled<heron_memory_request>(request);
                heron_buffer_range range{};
                return c.allocate(c.user, &asked, &range) ? read(range) : BufferRange{};
            },
            [c](const BufferRange& range) {
                const auto freed = filled<heron_buffer_range>(range);
                c.free(c.user, &freed);
            }};
}

DeviceOptions read_device_options(const heron_device_options* options) {
    const heron_device_options& c = need(options, "options");
    check_header(c.header, sizeof c, "heron_device_options");
    DeviceOptions read;
    if (c.select != nullptr) read.select = c.select;
    Read()(c.disable, read.disable);
    if (c.log != nullptr)
        read.log = [log = c.log, user = c.log_user](Severity severity, std::string_view text) {
            log(user, static_cast<heron_severity>(severity), std::string(text).c_str());
        };
    read.memory = read_callbacks(c.memory);
    read.allocator = c.allocator;
    read.pipeline_cache = need_bytes(c.pipeline_cache, c.pipeline_cache_bytes, "pipeline_cache");
    read.get_instance_proc_addr = c.get_instance_proc_addr;
    const auto layers = need_list(c.instance_layers, c.instance_layer_count, "instance_layers");
    read.instance_layers.assign(layers.begin(), layers.end());
    const auto extensions =
        need_list(c.instance_extensions, c.instance_extension_count, "instance_extensions");
    read.instance_extensions.assign(extensions.begin(), extensions.end());
    read.debug_names = c.debug_names;
    return read;
}

AdoptedDevice read_adopted(const heron_adopted_device* handles) {
    const heron_adopted_device& c = need(handles, "handles");
    check_header(c.header, sizeof c, "heron_adopted_device");
    if ((c.lock_queue == nullptr) != (c.unlock_queue == nullptr))
        refuse("heron_adopted_device has one of lock_queue and unlock_queue; give both or neither");
    AdoptedDevice read;
    read.get_instance_proc_addr = c.get_instance_proc_addr;
    read.instance = c.instance;
    read.physical_device = c.physical_device;
    read.device = c.device;
    read.queue_family = c.queue_family;
    read.other_queue_families =
        need_list(c.other_queue_families, c.other_queue_family_count, "other_queue_families");
    read.queue = c.queue;
    read.api_version = c.api_version;
    read.enabled_features = c.enabled_features;
    read.enabled_extensions =
        need_list(c.enabled_extensions, c.enabled_extension_count, "enabled_extensions");
    read.pipeline_cache = c.pipeline_cache;
    if (c.lock_queue != nullptr) {
        read.lock_queue = [lock = c.lock_queue, user = c.queue_user] { lock(user); };
        read.unlock_queue = [unlock = c.unlock_queue, user = c.queue_user] { unlock(user); };
    }
    return read;
}

const Device& device_of(const heron_device* device) { return need(device, "device").device; }

}  // namespace

}  // namespace heron::c

using namespace heron;
using namespace heron::c;

heron_result heron_init_device_options(heron_device_options* options, size_t bytes, uint32_t version) {
    return initialize(options, bytes, version, [] {
        heron_device_options initial{};
        initial.debug_names = DeviceOptions{}.debug_names;
        return initial;
    });
}

heron_result heron_init_adopted_device(heron_adopted_device* options, size_t bytes, uint32_t version) {
    return initialize(options, bytes, version, [] {
        heron_adopted_device initial{};
        initial.api_version = AdoptedDevice{}.api_version;
        return initial;
    });
}

heron_result heron_device_list_create(const heron_device_options* options, heron_device_list** list) {
    return guarded([&] {
        need(list, "list");
        auto made = std::make_unique<heron_device_list>();
        for (DeviceInfo& info : Device::list(read_device_options(options)))
            made->devices.emplace_back(std::move(info));
        *list = made.release();
    });
}
void heron_device_list_destroy(heron_device_list* list) { delete list; }
uint32_t heron_device_list_count(const heron_device_list* list) {
    return list == nullptr ? 0 : static_cast<uint32_t>(list->devices.size());
}
const heron_device_info* heron_device_list_get(const heron_device_list* list, uint32_t index) {
    return index < heron_device_list_count(list) ? &list->devices[index].info() : nullptr;
}

heron_result heron_device_create(const heron_device_options* options, heron_device** device) {
    return guarded([&] {
        need(device, "device");
        *device = new heron_device(Device::create(read_device_options(options)));
    });
}
heron_result heron_device_adopt(const heron_adopted_device* handles, const heron_device_options* options,
                                heron_device** device) {
    return guarded([&] {
        need(device, "device");
        *device = new heron_device(Device::adopt(read_adopted(handles), read_device_options(options)));
    });
}
void heron_device_destroy(heron_device* device) { delete device; }

const heron_device_info* heron_device_get_info(const heron_device* device) {
    return device == nullptr ? nullptr : &device->description.info();
}
heron_result heron_device_capabilities(const heron_device* device, heron_capabilities* capabilities) {
    return guarded([&] {
        need(capabilities, "capabilities") = filled<heron_capabilities>(device_of(device).capabilities());
    });
}
uint64_t heron_device_id(const heron_device* device) { return device == nullptr ? 0 : device->device.id(); }
heron_result heron_device_explain(const heron_device* device, char* text, size_t* bytes) {
    return guarded_result([&] { return hand_out(device_of(device).explain(), text, bytes); });
}

VkInstance heron_device_instance(const heron_device* device) {
    return device == nullptr ? VK_NULL_HANDLE : device->device.instance();
}
VkPhysicalDevice heron_device_physical_device(const heron_device* device) {
    return device == nullptr ? VK_NULL_HANDLE : device->device.physical_device();
}
VkDevice heron_device_handle(const heron_device* device) {
    return device == nullptr ? VK_NULL_HANDLE : device->device.handle();
}
uint32_t heron_device_queue_family(const heron_device* device) {
    return device == nullptr ? 0 : device->device.queue_family();
}
VkQueue heron_device_queue(const heron_device* device) {
    return device == nullptr ? VK_NULL_HANDLE : device->device.queue();
}

heron_result heron_device_pipeline_cache(const heron_device* device, void* data, size_t* bytes) {
    return guarded_result([&] {
        const std::vector<std::byte> cache = device_of(device).pipeline_cache_bytes();
        const std::size_t room = need(bytes, "bytes");
        *bytes = cache.size();
        if (data == nullptr) return HERON_SUCCESS;
        std::copy_n(cache.begin(), std::min(room, cache.size()), static_cast<std::byte*>(data));
        return room < cache.size() ? HERON_INCOMPLETE : HERON_SUCCESS;
    });
}
uint64_t heron_device_pipelines_compiled(const heron_device* device) {
    return guarded_value(uint64_t{0}, [&] { return device_of(device).pipelines_compiled(); });
}
bool heron_device_lost(const heron_device* device) { return device != nullptr && device->device.lost(); }
heron_result heron_device_wait_idle(const heron_device* device, uint64_t timeout_ns) {
    return guarded([&] { device_of(device).wait_idle(timeout_ns); });
}

heron_result heron_feature_chain_create(PFN_vkGetInstanceProcAddr get_instance_proc_addr, VkInstance instance,
                                        VkPhysicalDevice physical_device, uint32_t api_version,
                                        const heron_disabled_capabilities* disable,
                                        heron_feature_chain** chain) {
    return guarded([&] {
        need(chain, "chain");
        *chain = new heron_feature_chain{
            FeatureChain(get_instance_proc_addr, instance, physical_device, api_version,
                         disable == nullptr ? DisabledCapabilities{} : read(*disable))};
    });
}
void heron_feature_chain_destroy(heron_feature_chain* chain) { delete chain; }
const void* heron_feature_chain_features(const heron_feature_chain* chain) {
    return chain == nullptr ? nullptr : chain->chain.features();
}
const char* const* heron_feature_chain_extensions(const heron_feature_chain* chain, uint32_t* count) {
    return guarded_value(static_cast<const char* const*>(nullptr), [&] {
        const auto extensions = need(chain, "chain").chain.extensions();
        need(count, "count") = static_cast<uint32_t>(extensions.size());
        return extensions.data();
    });
}

heron_result heron_device_view(const heron_device* device, const heron_buffer_range* range, heron_dtype dtype,
                               const heron_shape* shape, uint64_t byte_offset, uint64_t row_stride,
                               heron_tensor_view* view) {
    return guarded([&] {
        Shape extents;
        Read()(need(shape, "shape"), extents);
        need(view, "view") = filled<heron_tensor_view>(device_of(device).view(
            read(need(range, "range")), enum_of<DType>(dtype), extents, byte_offset, row_stride));
    });
}
heron_result heron_tensor_view_span_bytes(const heron_tensor_view* view, uint64_t* bytes) {
    return guarded([&] { need(bytes, "bytes") = read(need(view, "view")).span_bytes(); });
}

heron_result heron_buffer_create(const heron_device* device, uint64_t bytes, heron_memory_kind kind,
                                 const char* name, heron_buffer** buffer) {
    return guarded([&] {
        need(buffer, "buffer");
        *buffer = new heron_buffer{
            device_of(device).create_buffer(bytes, enum_of<MemoryKind>(kind), name == nullptr ? "" : name)};
    });
}
void heron_buffer_destroy(heron_buffer* buffer) { delete buffer; }
VkDeviceAddress heron_buffer_address(const heron_buffer* buffer) {
    return buffer == nullptr ? 0 : buffer->buffer.address();
}
uint64_t heron_buffer_bytes(const heron_buffer* buffer) {
    return buffer == nullptr ? 0 : buffer->buffer.bytes();
}
void* heron_buffer_mapped(const heron_buffer* buffer) {
    return buffer == nullptr ? nullptr : buffer->buffer.mapped();
}
heron_result heron_buffer_get_range(const heron_buffer* buffer, heron_buffer_range* range) {
    return guarded(
        [&] { need(range, "range") = filled<heron_buffer_range>(need(buffer, "buffer").buffer.range()); });
}
heron_result heron_buffer_view(const heron_buffer* buffer, heron_dtype dtype, const heron_shape* shape,
                               uint64_t byte_offset, uint64_t row_stride, heron_tensor_view* view) {
    return guarded([&] {
        Shape extents;
        Read()(need(shape, "shape"), extents);
        need(view, "view") = filled<heron_tensor_view>(
            need(buffer, "buffer").buffer.view(enum_of<DType>(dtype), extents, byte_offset, row_stride));
    });
}
heron_result heron_buffer_write(heron_buffer* buffer, const void* data, size_t bytes, uint64_t byte_offset) {
    return guarded(
        [&] { need(buffer, "buffer").buffer.write(need_bytes(data, bytes, "data"), byte_offset); });
}
heron_result heron_buffer_read(const heron_buffer* buffer, void* data, size_t bytes, uint64_t byte_offset) {
    return guarded([&] { need(buffer, "buffer").buffer.read(need_bytes(data, bytes, "data"), byte_offset); });
}

uint16_t heron_f32_to_f16(float value) { return f32_to_f16(value); }
float heron_f16_to_f32(uint16_t bits) { return f16_to_f32(bits); }
uint16_t heron_f32_to_bf16(float value) { return f32_to_bf16(value); }
float heron_bf16_to_f32(uint16_t bits) { return bf16_to_f32(bits); }
