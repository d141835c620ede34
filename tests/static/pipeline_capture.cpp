// SPDX-License-Identifier: MIT
// The hooks: names of shader modules are remembered, pipelines are made with statistics and texts and asked
// for them at once.
#include "static/pipeline_capture.hpp"

#include <cstring>
#include <stdexcept>
#include <string_view>

namespace heron::test {
namespace {

struct State {
    PFN_vkGetInstanceProcAddr next = nullptr;
    PFN_vkGetDeviceProcAddr next_device = nullptr;
    PFN_vkCreateComputePipelines create = nullptr;
    PFN_vkSetDebugUtilsObjectNameEXT set_name = nullptr;
    std::map<std::uint64_t, std::string> module_names;
    std::vector<CapturedPipeline> pipelines;
};

State* active = nullptr;

template <typename Pfn>
Pfn device_function(VkDevice device, const char* name) {
    return reinterpret_cast<Pfn>(active->next_device(device, name));
}

void check(VkResult result, const char* call) {
    if (result != VK_SUCCESS)
        throw std::runtime_error(std::string(call) + ": VkResult " + std::to_string(result));
}

double number(const VkPipelineExecutableStatisticKHR& statistic) {
    switch (statistic.format) {
        case VK_PIPELINE_EXECUTABLE_STATISTIC_FORMAT_BOOL32_KHR:
            return statistic.value.b32 != VK_FALSE ? 1 : 0;
        case VK_PIPELINE_EXECUTABLE_STATISTIC_FORMAT_INT64_KHR:
            return static_cast<double>(statistic.value.i64);
        case VK_PIPELINE_EXECUTABLE_STATISTIC_FORMAT_UINT64_KHR:
            return static_cast<double>(statistic.value.u64);
        default:
            return statistic.value.f64;
    }
}

void read_executable(VkDevice device, VkPipeline pipeline, CapturedPipeline& captured) {
    VkPipelineInfoKHR info{};
    info.sType = VK_STRUCTURE_TYPE_PIPELINE_INFO_KHR;
    info.pipeline = pipeline;
    std::uint32_t count = 1;  // a compute pipeline is one program
    VkPipelineExecutablePropertiesKHR properties{};
    properties.sType = VK_STRUCTURE_TYPE_PIPELINE_EXECUTABLE_PROPERTIES_KHR;
    check(device_function<PFN_vkGetPipelineExecutablePropertiesKHR>(
              device, "vkGetPipelineExecutablePropertiesKHR")(device, &info, &count, &properties),
          "vkGetPipelineExecutablePropertiesKHR");
    captured.subgroup = properties.subgroupSize;

    VkPipelineExecutableInfoKHR executable{};
    executable.sType = VK_STRUCTURE_TYPE_PIPELINE_EXECUTABLE_INFO_KHR;
    executable.pipeline = pipeline;
    const auto get_statistics = device_function<PFN_vkGetPipelineExecutableStatisticsKHR>(
        device, "vkGetPipelineExecutableStatisticsKHR");
    check(get_statistics(device, &executable, &count, nullptr), "vkGetPipelineExecutableStatisticsKHR");
    VkPipelineExecutableStatisticKHR no_statistic{};
    no_statistic.sType = VK_STRUCTURE_TYPE_PIPELINE_EXECUTABLE_STATISTIC_KHR;
    std::vector<VkPipelineExecutableStatisticKHR> statistics(count, no_statistic);
    check(get_statistics(device, &executable, &count, statistics.data()),
          "vkGetPipelineExecutableStatisticsKHR");
    for (const auto& statistic : statistics) captured.statistics[statistic.name] = number(statistic);

    const auto get_texts = device_function<PFN_vkGetPipelineExecutableInternalRepresentationsKHR>(
        device, "vkGetPipelineExecutableInternalRepresentationsKHR");
    check(get_texts(device, &executable, &count, nullptr),
          "vkGetPipelineExecutableInternalRepresentationsKHR");
    VkPipelineExecutableInternalRepresentationKHR no_text{};
    no_text.sType = VK_STRUCTURE_TYPE_PIPELINE_EXECUTABLE_INTERNAL_REPRESENTATION_KHR;
    std::vector<VkPipelineExecutableInternalRepresentationKHR> texts(count, no_text);
    check(get_texts(device, &executable, &count, texts.data()),
          "vkGetPipelineExecutableInternalRepresentationsKHR");
    std::vector<std::string> contents(count);
    for (std::uint32_t i = 0; i < count; ++i) {
        contents[i].resize(texts[i].dataSize);
        texts[i].pData = contents[i].data();
    }
    check(get_texts(device, &executable, &count, texts.data()),
          "vkGetPipelineExecutableInternalRepresentationsKHR");
    for (std::uint32_t i = 0; i < count; ++i)
        if (texts[i].isText) captured.assembly = contents[i].c_str();
}

VKAPI_ATTR VkResult VKAPI_CALL create_pipelines(VkDevice device, VkPipelineCache, std::uint32_t count,
                                                const VkComputePipelineCreateInfo* infos,
                                                const VkAllocationCallbacks* allocator,
                                                VkPipeline* pipelines) {
    // The executable-properties extension is enabled where Device found it.
    const bool offered = active->next_device(device, "vkGetPipelineExecutableStatisticsKHR") != nullptr;
    for (std::uint32_t i = 0; i < count; ++i) {
        VkComputePipelineCreateInfo info = infos[i];
        if (offered)
            info.flags |= VK_PIPELINE_CREATE_CAPTURE_STATISTICS_BIT_KHR |
                          VK_PIPELINE_CREATE_CAPTURE_INTERNAL_REPRESENTATIONS_BIT_KHR;
        // No cache: what it holds may have been made without the flags.
        const VkResult result = active->create(device, VK_NULL_HANDLE, 1, &info, allocator, &pipelines[i]);
        if (result != VK_SUCCESS) return result;
        CapturedPipeline captured;
        captured.kernel = active->module_names[reinterpret_cast<std::uint64_t>(info.stage.module)];
        if (const VkSpecializationInfo* values = info.stage.pSpecializationInfo)
            for (std::uint32_t k = 0; k < values->mapEntryCount; ++k) {
                const VkSpecializationMapEntry& entry = values->pMapEntries[k];
                SpecConstant constant{entry.constantID, 0};
                std::memcpy(&constant.value, static_cast<const char*>(values->pData) + entry.offset, 4);
                captured.constants.push_back(constant);
            }
        if (offered) read_executable(device, pipelines[i], captured);
        active->pipelines.push_back(std::move(captured));
    }
    return VK_SUCCESS;
}

// Heron calls a shader module "heron <kernel> <id>=<value> ...".
VKAPI_ATTR VkResult VKAPI_CALL set_name(VkDevice device, const VkDebugUtilsObjectNameInfoEXT* info) {
    if (info->objectType == VK_OBJECT_TYPE_SHADER_MODULE) {
        std::string_view text = info->pObjectName;
        text.remove_prefix(text.find(' ') + 1);
        active->module_names[info->objectHandle] = text.substr(0, text.find(' '));
    }
    return active->set_name(device, info);
}

VKAPI_ATTR PFN_vkVoidFunction VKAPI_CALL get_device_proc_addr(VkDevice device, const char* name) {
    const PFN_vkVoidFunction real = active->next_device(device, name);
    if (std::string_view(name) != "vkCreateComputePipelines") return real;
    active->create = reinterpret_cast<PFN_vkCreateComputePipelines>(real);
    return reinterpret_cast<PFN_vkVoidFunction>(create_pipelines);
}

VKAPI_ATTR PFN_vkVoidFunction VKAPI_CALL get_instance_proc_addr(VkInstance instance, const char* name) {
    const PFN_vkVoidFunction real = active->next(instance, name);
    if (std::string_view(name) == "vkGetDeviceProcAddr") {
        active->next_device = reinterpret_cast<PFN_vkGetDeviceProcAddr>(real);
        return reinterpret_cast<PFN_vkVoidFunction>(get_device_proc_addr);
    }
    if (std::string_view(name) == "vkSetDebugUtilsObjectNameEXT" && real) {
        active->set_name = reinterpret_cast<PFN_vkSetDebugUtilsObjectNameEXT>(real);
        return reinterpret_cast<PFN_vkVoidFunction>(set_name);
    }
    return real;
}

}  // namespace

PipelineCapture::PipelineCapture(PFN_vkGetInstanceProcAddr next) {
    if (active) throw std::logic_error("a second PipelineCapture");
    active = new State{};
    active->next = next;
}

PipelineCapture::~PipelineCapture() {
    delete active;
    active = nullptr;
}

PFN_vkGetInstanceProcAddr PipelineCapture::entry() const { return get_instance_proc_addr; }

const std::vector<CapturedPipeline>& PipelineCapture::pipelines() const { return active->pipelines; }

}  // namespace heron::test
