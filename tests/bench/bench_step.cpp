// SPDX-License-Identifier: MIT
// What does a whole optimizer step cost, and how far is it from the memory's speed?
//
// One line of JSON a case: the step of the fashion_mnist sample's network, and element-wise steps of 1, 100
// and 10,000 tensors, each beside a plain copy of as many bytes on the same device in the same run.
// `copy_ratio` is the copy's time over the step's: 1 means that the step moves its bytes as fast as a copy
// does. Times are medians; `spread` is the distance between the quartiles over the median. gpu_ms comes from
// timestamps (null where there are none), wall_ms from submission to completion, record_us is the CPU time of
// Plan::record.
//
//   bench_step [--device SELECT] [--elements N] [--repeats N]
#include <algorithm>
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <iostream>
#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "core/device.hpp"
#include "core/shared.h"
#include "graph/copy.h"
#include "heron/heron.hpp"
#include "heron/spirv/copy.hpp"

namespace {

using namespace heron;
using Clock = std::chrono::steady_clock;

struct Sample {
    double median;
    double spread;
};

Sample summarize(std::vector<double> values) {
    std::sort(values.begin(), values.end());
    const auto at = [&](double q) {
        return values[static_cast<std::size_t>(q * static_cast<double>(values.size() - 1))];
    };
    return {at(0.5), at(0.5) > 0 ? (at(0.75) - at(0.25)) / at(0.5) : 0};
}

struct Times {
    Sample wall_ms;
    Sample gpu_ms;
    bool has_gpu = false;
};

Times measure(Plan& plan, int repeats) {
    std::vector<double> wall, gpu;
    for (int repeat = -2; repeat < repeats; ++repeat) {
        const auto begin = Clock::now();
        plan.run();
        const double ms = std::chrono::duration<double, std::milli>(Clock::now() - begin).count();
        double sum = 0;
        const std::vector<DispatchTiming> timings = plan.timings();
        for (const DispatchTiming& timing : timings) sum += timing.ns * 1e-6;
        if (repeat < 0) continue;
        wall.push_back(ms);
        if (!timings.empty()) gpu.push_back(sum);
    }
    Times times{summarize(wall), {}, !gpu.empty()};
    if (times.has_gpu) times.gpu_ms = summarize(gpu);
    return times;
}

// CPU microseconds of recording one step into a command buffer.
double record_us(Device& device, Plan& plan) {
    Device::Impl& impl = device.impl();
    VkCommandPoolCreateInfo pool_info{VK_STRUCTURE_TYPE_COMMAND_POOL_CREATE_INFO};
    pool_info.flags = VK_COMMAND_POOL_CREATE_RESET_COMMAND_BUFFER_BIT;
    pool_info.queueFamilyIndex = impl.queue_family;
    VkCommandPool pool = VK_NULL_HANDLE;
    impl.check(impl.vk.CreateCommandPool(impl.device, &pool_info, nullptr, &pool), "vkCreateCommandPool");
    VkCommandBufferAllocateInfo info{VK_STRUCTURE_TYPE_COMMAND_BUFFER_ALLOCATE_INFO};
    info.commandPool = pool;
    info.level = VK_COMMAND_BUFFER_LEVEL_PRIMARY;
    info.commandBufferCount = 1;
    VkCommandBuffer commands = VK_NULL_HANDLE;
    impl.check(impl.vk.AllocateCommandBuffers(impl.device, &info, &commands), "vkAllocateCommandBuffers");
    std::vector<double> times;
    for (int repeat = 0; repeat < 50; ++repeat) {
        VkCommandBufferBeginInfo begin_info{VK_STRUCTURE_TYPE_COMMAND_BUFFER_BEGIN_INFO};
        impl.check(impl.vk.BeginCommandBuffer(commands, &begin_info), "vkBeginCommandBuffer");
        const auto begin = Clock::now();
        plan.record(commands);
        times.push_back(std::chrono::duration<double, std::micro>(Clock::now() - begin).count());
        impl.check(impl.vk.EndCommandBuffer(commands), "vkEndCommandBuffer");
    }
    impl.vk.DestroyCommandPool(impl.device, pool, nullptr);
    return summarize(times).median;
}

// A copy that reads and writes `bytes` in all.
Times copy_times(const Device& device, double bytes, int repeats) {
    static const KernelInfo kCopy = make_kernel<gpu::CopyJob>("copy", spirv::copy);
    const std::uint64_t quads = std::max<std::uint64_t>(1, static_cast<std::uint64_t>(bytes / 32));
    const Buffer from = device.create_buffer(quads * 16), to = device.create_buffer(quads * 16);
    Graph graph(device);
    gpu::CopyJob job{};
    job.quads = static_cast<std::uint32_t>(quads);
    const Shape shape{quads * 4};
    Operation operation = make_operation(
        kCopy, job,
        {{offsetof(gpu::CopyJob, from), graph.external("from", from.view(DType::u32, shape)), Access::read},
         {offsetof(gpu::CopyJob, to), graph.external("to", to.view(DType::u32, shape)), Access::write}},
        (quads + gpu::COPY_QUADS_PER_GROUP - 1) / gpu::COPY_QUADS_PER_GROUP);
    operation.constants = {{gpu::SPEC_THREADS, 64}};
    graph.add(std::move(operation));
    PlanOptions options;
    options.profile = true;
    Plan plan = graph.compile(options);
    plan.allocate();
    return measure(plan, repeats);
}

// Parameters and gradients of one network, in two buffers.
class Network {
public:
    Network(const Device& device, std::vector<Shape> shapes) : shapes_(std::move(shapes)) {
        for (const Shape& shape : shapes_) {
            offsets_.push_back(bytes_);
            bytes_ += (shape.count() * 4 + 255) / 256 * 256;
        }
        weights_ = device.create_buffer(bytes_);
        gradients_ = device.create_buffer(bytes_);
        std::vector<float> values(bytes_ / 4);
        std::uint32_t random = 1;
        for (float& value : values) {
            random = random * 1664525u + 1013904223u;
            value = static_cast<float>(random >> 8) * 0x1p-24f - 0.5f;
        }
        weights_.write(std::as_bytes(std::span(values)));
        gradients_.write(std::as_bytes(std::span(values)));
    }

    Parameter parameter(std::size_t i) const {
        Parameter parameter;
        parameter.name = "p" + std::to_string(i);
        parameter.weight = weights_.view(DType::f32, shapes_[i], offsets_[i]);
        parameter.gradient = gradients_.view(DType::f32, shapes_[i], offsets_[i]);
        return parameter;
    }
    std::size_t size() const { return shapes_.size(); }
    std::uint64_t elements() const {
        std::uint64_t sum = 0;
        for (const Shape& shape : shapes_) sum += shape.count();
        return sum;
    }

private:
    std::vector<Shape> shapes_;
    std::vector<std::uint64_t> offsets_;
    std::uint64_t bytes_ = 0;
    Buffer weights_, gradients_;
};

void report(Device& device, const std::string& name, const Network& network,
            std::initializer_list<const Optimizer*> optimizers, const StepOptions& options, int repeats) {
    const auto begin = Clock::now();
    Plan plan = compile(device, optimizers, options);
    plan.allocate();
    plan.initialize();
    const double compile_ms = std::chrono::duration<double, std::milli>(Clock::now() - begin).count();
    const Times times = measure(plan, repeats);
    const Times copy = copy_times(device, plan.bytes(), repeats);
    const bool gpu = times.has_gpu && copy.has_gpu;
    const double step_ms = gpu ? times.gpu_ms.median : times.wall_ms.median;
    const double copy_ms = gpu ? copy.gpu_ms.median : copy.wall_ms.median;
    nlohmann::ordered_json line;
    line["benchmark"] = "step";
    line["case"] = name;
    line["device"] = device.info().name;
    line["driver"] = device.info().driver;
    line["tensors"] = network.size();
    line["elements"] = network.elements();
    line["dispatches"] = plan.dispatch_count();
    line["levels"] = plan.level_count();
    line["bytes"] = plan.bytes();
    line["flops"] = plan.flops();
    line["state_bytes"] = plan.state_bytes();
    line["compile_ms"] = compile_ms;
    line["record_us"] = record_us(device, plan);
    line["wall_ms"] = times.wall_ms.median;
    line["wall_spread"] = times.wall_ms.spread;
    if (times.has_gpu) {
        line["gpu_ms"] = times.gpu_ms.median;
        line["gpu_spread"] = times.gpu_ms.spread;
    } else {
        line["gpu_ms"] = nullptr;
    }
    line["gbytes_per_s"] = plan.bytes() / step_ms * 1e-6;
    line["gflops"] = plan.flops() / step_ms * 1e-6;
    line["copy_ms"] = copy_ms;
    line["copy_gbytes_per_s"] = plan.bytes() / copy_ms * 1e-6;
    line["copy_ratio"] = copy_ms / step_ms;
    std::cout << line.dump() << std::endl;
}

void run(Device& device, std::uint64_t elements, int repeats) {
    StepOptions options;
    options.plan.profile = true;
    options.clip_norm = 1.0f;
    {
        const Network network(device, {{256, 784}, {256}, {128, 256}, {128}, {10, 128}, {10}});
        Muon muon(device);
        AdamW adamw(device);
        for (std::size_t i = 0; i < network.size(); ++i) {
            if (i == 0 || i == 2)
                muon.add(network.parameter(i));
            else
                adamw.add(network.parameter(i));
        }
        report(device, "fashion_mnist muon+adamw", network, {&muon, &adamw}, options, repeats);
        AdamW alone(device);
        for (std::size_t i = 0; i < network.size(); ++i) alone.add(network.parameter(i));
        report(device, "fashion_mnist adamw", network, {&alone}, options, repeats);
    }
    for (std::uint64_t tensors : {1, 100, 10000}) {
        const Network network(
            device, std::vector<Shape>(tensors, Shape{std::max<std::uint64_t>(elements / tensors, 1)}));
        StepOptions plain;  // no guard, no clipping: the update alone
        plain.plan.profile = true;
        plain.skip_nonfinite = false;
        AdamW adamw(device);
        Sgd sgd(device, {.momentum = 0.9f});
        for (std::size_t i = 0; i < network.size(); ++i) {
            adamw.add(network.parameter(i));
            sgd.add(network.parameter(i));
        }
        const std::string suffix = " " + std::to_string(tensors) + " tensors";
        report(device, "adamw" + suffix, network, {&adamw}, plain, repeats);
        report(device, "adamw guarded" + suffix, network, {&adamw}, options, repeats);
        report(device, "sgd momentum" + suffix, network, {&sgd}, plain, repeats);
    }
}

}  // namespace

int main(int argc, char** argv) {
    DeviceOptions device_options;
    std::uint64_t elements = 0;
    int repeats = 15;
    for (int i = 1; i + 1 < argc; i += 2) {
        const std::string key = argv[i];
        if (key == "--device") device_options.select = argv[i + 1];
        if (key == "--elements") elements = std::strtoull(argv[i + 1], nullptr, 10);
        if (key == "--repeats") repeats = std::max(3, std::atoi(argv[i + 1]));
    }
    try {
        Device device = Device::create(device_options);
        std::cerr << device.explain() << "\n";
        run(device, elements != 0 ? elements : 16'777'216, repeats);
    } catch (const std::exception& error) {
        std::cerr << "bench_step: " << error.what() << "\n";
        return 1;
    }
}
