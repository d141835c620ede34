// SPDX-License-Identifier: MIT
// Notes every compute pipeline that a Device makes, with what its driver says of the machine code
// (VK_KHR_pipeline_executable_properties). One capture may exist at a time; it must outlive the Device.
#pragma once

#include <vulkan/vulkan_core.h>

#include <cstdint>
#include <map>
#include <string>
#include <vector>

#include "heron/graph.hpp"

namespace heron::test {

struct CapturedPipeline {
    std::string kernel;
    std::vector<SpecConstant> constants;
    std::uint32_t subgroup = 0;                // invocations that run together
    std::map<std::string, double> statistics;  // under the driver's names
    std::string assembly;                      // the last text that the driver offers
};

// Give entry() to DeviceOptions::get_instance_proc_addr, and VK_EXT_debug_utils to its instance_extensions:
// kernels are known by their debug names.
class PipelineCapture {
public:
    explicit PipelineCapture(PFN_vkGetInstanceProcAddr next);
    ~PipelineCapture();
    PipelineCapture(const PipelineCapture&) = delete;
    PipelineCapture& operator=(const PipelineCapture&) = delete;

    PFN_vkGetInstanceProcAddr entry() const;
    const std::vector<CapturedPipeline>& pipelines() const;
};

}  // namespace heron::test
