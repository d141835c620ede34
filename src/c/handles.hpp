// SPDX-License-Identifier: MIT
// What is behind the handles of the C API.
#pragma once

#include <deque>
#include <map>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "c/boundary.hpp"
#include "heron/heron.h"
#include "heron/heron.hpp"

namespace heron::c {

// A device's description with its texts; stays where it is, since `info` points into it.
class DeviceDescription {
public:
    explicit DeviceDescription(DeviceInfo described);
    DeviceDescription(const DeviceDescription&) = delete;
    DeviceDescription& operator=(const DeviceDescription&) = delete;
    const heron_device_info& info() const { return info_; }

private:
    DeviceInfo described_;
    std::string uuid_, type_;
    heron_device_info info_{};
};

}  // namespace heron::c

struct heron_device {
    explicit heron_device(heron::Device made) : device(std::move(made)), description(device.info()) {}
    heron::Device device;
    const heron::c::DeviceDescription description;
};

struct heron_device_list {
    std::deque<heron::c::DeviceDescription> devices;
};

struct heron_feature_chain {
    heron::FeatureChain chain;
};

struct heron_buffer {
    heron::Buffer buffer;
};

struct heron_optimizer {
    std::unique_ptr<heron::Optimizer> optimizer;
};

struct heron_routing {
    std::vector<heron::Route> routes;
};

struct heron_plan {
    explicit heron_plan(heron::Plan made) : plan(std::move(made)), states(plan.states()) {}
    heron::Plan plan;
    const std::vector<heron::Plan::StateEntry> states;
    std::vector<heron::DispatchTiming> timed;    // what the last heron_plan_timings() gave out ...
    std::vector<heron_dispatch_timing> timings;  // ... and the view of it
};

struct heron_metadata {
    std::map<std::string, std::string> texts;
};

struct heron_evaluation_weights {
    heron::EvaluationWeights weights;
};

struct heron_armijo_search {
    heron::ArmijoSearch search;
};

struct heron_levenberg_marquardt {
    heron::LevenbergMarquardt rule;
};

struct heron_gradient_damping_rule {
    heron::GradientDampingRule rule;
};

struct heron_safetensors_reader {
    explicit heron_safetensors_reader(heron::SafetensorsReader opened);
    const heron::SafetensorsReader reader;
    const heron_metadata metadata;
    std::vector<heron_file_tensor> tensors;  // of the reader's; in C
};
