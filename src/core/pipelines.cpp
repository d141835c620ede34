// SPDX-License-Identifier: MIT
// Pipelines, compiled on first use, and the pipeline cache with a header that is checked before the driver
// sees a byte.
//
// Stored form, little-endian as on every machine that has Vulkan:
//   0 magic "HERONPC\n"   8 version   12 vendor   16 device   20 driver version   24 pipeline cache UUID (16
//   bytes) 40 payload bytes (64 bits)   48 FNV-1a hash (64 bits) of bytes 0 to 47 and of the payload   56
//   payload
#include "core/pipelines.hpp"

#include <cstring>
#include <string>

#include "core/device.hpp"
#include "core/hash.hpp"
#include "core/specialize.hpp"

namespace heron {
namespace {

struct CacheHeader {
    char magic[8];
    std::uint32_t version;
    std::uint32_t vendor;
    std::uint32_t device;
    std::uint32_t driver;
    std::uint8_t uuid[VK_UUID_SIZE];
    std::uint64_t payload_bytes;
    std::uint64_t hash;
};
static_assert(sizeof(CacheHeader) == 56 && offsetof(CacheHeader, hash) == 48);

constexpr char kMagic[8] = {'H', 'E', 'R', 'O', 'N', 'P', 'C', '\n'};
constexpr std::uint32_t kVersion = 1;

std::uint64_t header_hash(const CacheHeader& header, std::span<const std::byte> payload) {
    const auto fields = std::as_bytes(std::span(&header, 1)).first(offsetof(CacheHeader, hash));
    return hash_of(payload, hash_of(fields));
}

CacheHeader header_of(const Device::Impl& device, std::span<const std::byte> payload) {
    CacheHeader header{};
    std::memcpy(header.magic, kMagic, sizeof kMagic);
    header.version = kVersion;
    header.vendor = device.info.vendor_id;
    header.device = device.info.device_id;
    header.driver = device.driver_version;
    std::memcpy(header.uuid, device.pipeline_cache_uuid.data(), VK_UUID_SIZE);
    header.payload_bytes = payload.size();
    header.hash = header_hash(header, payload);
    return header;
}

// Empty where it may be used; else why not.
std::string refusal(const Device::Impl& device, std::span<const std::byte> stored) {
    CacheHeader found;
    if (stored.size() < sizeof found) return "it is too short";
    std::memcpy(&found, stored.data(), sizeof found);
    if (std::memcmp(found.magic, kMagic, sizeof kMagic) != 0) return "it does not begin as one";
    if (found.version != kVersion) return "its version is " + std::to_string(found.version);
    const std::span<const std::byte> payload = stored.subspan(sizeof found);
    if (found.payload_bytes != payload.size()) return "its size is not what its header says";
    if (found.hash != header_hash(found, payload)) return "it is damaged (hash)";
    const CacheHeader expected = header_of(device, payload);
    if (found.vendor != expected.vendor || found.device != expected.device) return "it is of another device";
    if (found.driver != expected.driver || std::memcmp(found.uuid, expected.uuid, VK_UUID_SIZE) != 0)
        return "it is of another driver version";
    return {};
}

}  // namespace

Pipelines::Pipelines(Device::Impl& device, VkPipelineCache adopted, std::span<const std::byte> stored)
    : device_(device), owns_cache_(adopted == VK_NULL_HANDLE), cache_(adopted) {
    try {
        VkPushConstantRange push{};
        push.stageFlags = VK_SHADER_STAGE_COMPUTE_BIT;
        push.size = kPushBytes;
        VkPipelineLayoutCreateInfo layout_info{};
        layout_info.sType = VK_STRUCTURE_TYPE_PIPELINE_LAYOUT_CREATE_INFO;
        layout_info.pushConstantRangeCount = 1;
        layout_info.pPushConstantRanges = &push;
        device_.check(
            device_.vk.CreatePipelineLayout(device_.device, &layout_info, device_.allocator, &layout_),
            "vkCreatePipelineLayout");
        device_.name(VK_OBJECT_TYPE_PIPELINE_LAYOUT, layout_, "heron layout");
        if (!owns_cache_) return;

        VkPipelineCacheCreateInfo cache_info{};
        cache_info.sType = VK_STRUCTURE_TYPE_PIPELINE_CACHE_CREATE_INFO;
        if (!stored.empty()) {
            const std::string reason = refusal(device_, stored);
            if (reason.empty()) {
                cache_info.initialDataSize = stored.size() - sizeof(CacheHeader);
                cache_info.pInitialData = stored.data() + sizeof(CacheHeader);
            } else {
                device_.log(Severity::warning, "the stored pipeline cache is ignored: " + reason);
            }
        }
        device_.check(device_.vk.CreatePipelineCache(device_.device, &cache_info, device_.allocator, &cache_),
                      "vkCreatePipelineCache");
        device_.name(VK_OBJECT_TYPE_PIPELINE_CACHE, cache_, "heron pipeline cache");
    } catch (...) {
        destroy();
        throw;
    }
}

Pipelines::~Pipelines() { destroy(); }

void Pipelines::destroy() noexcept {
    for (const auto& [key, pipeline] : pipelines_)
        if (pipeline) device_.vk.DestroyPipeline(device_.device, pipeline, device_.allocator);
    if (cache_ && owns_cache_) device_.vk.DestroyPipelineCache(device_.device, cache_, device_.allocator);
    if (layout_) device_.vk.DestroyPipelineLayout(device_.device, layout_, device_.allocator);
}

VkPipeline Pipelines::get(const KernelDesc& kernel) {
    device_.check_alive();
    const Capabilities& limits = device_.capabilities;
    const std::uint32_t allowed = std::min(limits.max_workgroup_invocations, limits.max_workgroup_size_x);
    if (kernel.threads == 0 || kernel.threads > allowed)
        throw Error(ErrorCode::unsupported, std::string("kernel ") + kernel.name + " needs " +
                                                std::to_string(kernel.threads) +
                                                " invocations per workgroup, " + device_.info.name + " has " +
                                                std::to_string(allowed));
    if (kernel.shared_bytes > limits.shared_memory_bytes)
        throw Error(ErrorCode::unsupported, std::string("kernel ") + kernel.name + " needs " +
                                                bytes_text(kernel.shared_bytes) + " of shared memory, " +
                                                device_.info.name + " has " +
                                                bytes_text(limits.shared_memory_bytes));

    if (kernel.subgroup != 0 && (!limits.subgroup_size_control || kernel.subgroup != limits.subgroup_size))
        throw Error(ErrorCode::unsupported,
                    std::string("kernel ") + kernel.name + " needs full subgroups of " +
                        std::to_string(kernel.subgroup) + ", which " + device_.info.name + " does not offer");

    const std::lock_guard lock(mutex_);
    const Key key{
        kernel.spirv.data(), kernel.spirv.size(), {kernel.constants.begin(), kernel.constants.end()}};
    // The place in the map first: once there is a pipeline, nothing may fail any more.
    const auto place = pipelines_.try_emplace(key, VkPipeline{VK_NULL_HANDLE}).first;
    if (place->second) return place->second;

    std::string name = std::string("heron ") + kernel.name;
    std::vector<VkSpecializationMapEntry> entries;
    std::vector<std::uint32_t> values;
    for (const SpecializationConstant& constant : kernel.constants) {
        entries.push_back({constant.id, static_cast<std::uint32_t>(values.size() * sizeof(std::uint32_t)),
                           sizeof(std::uint32_t)});
        values.push_back(constant.value);
        name += " " + std::to_string(constant.id) + "=" + std::to_string(constant.value);
    }
    VkSpecializationInfo specialization{};
    specialization.mapEntryCount = static_cast<std::uint32_t>(entries.size());
    specialization.pMapEntries = entries.data();
    specialization.dataSize = values.size() * sizeof(std::uint32_t);
    specialization.pData = values.data();

    std::vector<std::uint32_t> words;
    if (device_.keeps_constants_open) words = specialized(kernel.spirv, kernel.constants);
    const std::span<const std::uint32_t> spirv = words.empty() ? kernel.spirv : std::span(words);
    VkShaderModuleCreateInfo module_info{};
    module_info.sType = VK_STRUCTURE_TYPE_SHADER_MODULE_CREATE_INFO;
    module_info.codeSize = spirv.size_bytes();
    module_info.pCode = spirv.data();
    VkShaderModule module = VK_NULL_HANDLE;
    device_.check(device_.vk.CreateShaderModule(device_.device, &module_info, device_.allocator, &module),
                  "vkCreateShaderModule", kernel.name);
    VkComputePipelineCreateInfo create_info{};
    create_info.sType = VK_STRUCTURE_TYPE_COMPUTE_PIPELINE_CREATE_INFO;
    create_info.stage.sType = VK_STRUCTURE_TYPE_PIPELINE_SHADER_STAGE_CREATE_INFO;
    create_info.stage.stage = VK_SHADER_STAGE_COMPUTE_BIT;
    create_info.stage.module = module;
    create_info.stage.pName = "main";
    if (words.empty()) create_info.stage.pSpecializationInfo = &specialization;
    VkPipelineShaderStageRequiredSubgroupSizeCreateInfo subgroup{};
    subgroup.sType = VK_STRUCTURE_TYPE_PIPELINE_SHADER_STAGE_REQUIRED_SUBGROUP_SIZE_CREATE_INFO;
    subgroup.requiredSubgroupSize = kernel.subgroup;
    if (kernel.subgroup != 0) {
        if (!device_.one_subgroup_size) create_info.stage.pNext = &subgroup;
        create_info.stage.flags = VK_PIPELINE_SHADER_STAGE_CREATE_REQUIRE_FULL_SUBGROUPS_BIT;
    }
    create_info.layout = layout_;
    VkPipeline pipeline = VK_NULL_HANDLE;
    device_.name(VK_OBJECT_TYPE_SHADER_MODULE, module, name);
    const VkResult result = device_.vk.CreateComputePipelines(device_.device, cache_, 1, &create_info,
                                                              device_.allocator, &pipeline);
    device_.vk.DestroyShaderModule(device_.device, module, device_.allocator);
    device_.check(result, "vkCreateComputePipelines", kernel.name);
    place->second = pipeline;
    ++compiled_;
    device_.name(VK_OBJECT_TYPE_PIPELINE, pipeline, name);
    return pipeline;
}

std::uint64_t Pipelines::compiled() const {
    const std::lock_guard lock(mutex_);
    return compiled_;
}

std::vector<std::byte> Pipelines::cache_bytes() const {
    std::vector<std::byte> payload;
    VkResult result;
    do {  // another thread may add a pipeline between the two calls
        std::size_t size = 0;
        device_.check(device_.vk.GetPipelineCacheData(device_.device, cache_, &size, nullptr),
                      "vkGetPipelineCacheData");
        payload.resize(size);
        result = device_.vk.GetPipelineCacheData(device_.device, cache_, &size, payload.data());
        if (result != VK_INCOMPLETE) device_.check(result, "vkGetPipelineCacheData");
        payload.resize(size);
    } while (result == VK_INCOMPLETE);
    const CacheHeader header = header_of(device_, payload);
    const auto header_bytes = std::as_bytes(std::span(&header, 1));
    std::vector<std::byte> bytes(header_bytes.begin(), header_bytes.end());
    bytes.insert(bytes.end(), payload.begin(), payload.end());
    return bytes;
}

}  // namespace heron
