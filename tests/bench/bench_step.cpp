// SPDX-License-Identifier: MIT
// What does a whole optimizer step cost, and how far is it from the memory's speed?
//
// One line of JSON a case: the step of the fashion_mnist sample's network, element-wise steps of 1, 100 and
// 10,000 tensors, Muon on many matrices of one shape, and matrix optimizers with Muon as their peer on one
// square matrix. Else the peer is a plain copy of as many bytes on the same device in the same run: a ratio
// of 1 means that the step moves its bytes as fast as a copy does. record_us is the CPU time of Plan::record;
// step_bound the whole step's time over that of its kernels and 6 us for each dispatch, which is what one
// costs on lavapipe; dispatches and levels are those of a step without refreshes. On CPU drivers the steps of
// one tensor have triad_gbytes_per_s, what the processors reach without a driver, and triad_ratio, the share
// of it.
#include <algorithm>
#include <array>
#include <cstdint>
#include <map>
#include <optional>
#include <set>
#include <string>
#include <string_view>
#include <vector>

#include "bench.hpp"
#include "copy.hpp"
#include "core/device.hpp"
#include "graph/plan.hpp"
#include "heron/heron.hpp"
#include "triad.hpp"

namespace {

using namespace heron;
using namespace heron::bench;

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
        times.push_back(1000 * milliseconds_since(begin));
        impl.check(impl.vk.EndCommandBuffer(commands), "vkEndCommandBuffer");
    }
    impl.vk.DestroyCommandPool(impl.device, pool, nullptr);
    return summarize(times).median;
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
    // Rows and columns, where all tensors are matrices of the same.
    std::optional<std::array<std::uint64_t, 2>> matrix() const {
        for (const Shape& shape : shapes_)
            if (shape.rank() != 2 || shape != shapes_[0]) return {};
        return {{shapes_[0][0], shapes_[0][1]}};
    }
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

constexpr double kDispatchMs = 0.006;

// What a step between refreshes has dispatches of: all steps that are measured here.
struct OrdinaryStep {
    explicit OrdinaryStep(const Plan& plan) {
        const DispatchSchedule& step = plan.impl().program(Phase::step).schedule;
        std::set<std::uint32_t> used;
        for (const Dispatch& dispatch : step.dispatches) {
            if (dispatch.in_section()) continue;
            ++dispatches;
            used.insert(step.level_of(dispatch));
        }
        levels = used.size();
    }
    std::size_t dispatches = 0;
    std::size_t levels = 0;
};

// What a step is compared with, where there is more than a copy of as many bytes.
struct Beside {
    Plan* muon = nullptr;  // in place of the copy
    Triad* triad = nullptr;
};

void report(Device& device, const std::string& name, const Network& network,
            std::initializer_list<const Optimizer*> optimizers, const StepOptions& options, int repeats,
            const Beside& beside = {}) {
    const auto begin = Clock::now();
    Plan plan = compile(device, optimizers, options);
    plan.allocate();
    plan.initialize();
    const double compile_ms = milliseconds_since(begin);
    std::optional<Copy> copy;
    Contest contest;
    const std::size_t own = contest.add(plan),
                      peer =
                          contest.add(beside.muon ? *beside.muon : copy.emplace(device, plan.bytes()).plan());
    std::optional<std::size_t> triad;
    if (beside.triad) triad = contest.add([&] { beside.triad->run(); });
    contest.run(repeats);
    const Times times = contest[own];
    const double step_ms = times.gpu_ms.value_or(times.wall_ms).median;
    const OrdinaryStep ordinary(plan);
    Line line("step", device);
    line.fields["case"] = name;
    line.fields["tensors"] = network.size();
    if (const auto matrix = network.matrix()) line.fields["matrix"] = *matrix;
    line.fields["elements"] = network.elements();
    line.fields["dispatches"] = ordinary.dispatches;
    line.fields["levels"] = ordinary.levels;
    line.fields["bytes"] = plan.bytes();
    line.fields["flops"] = plan.flops();
    line.fields["state_bytes"] = plan.state_bytes();
    line.fields["compile_ms"] = compile_ms;
    line.fields["record_us"] = record_us(device, plan);
    line.times(times);
    if (times.gpu_ms && times.gpu_ms->median > 0)
        line.fields["step_bound"] =
            times.wall_ms.median / (times.gpu_ms->median + kDispatchMs * ordinary.dispatches);
    const double gbytes_per_s = plan.bytes() / step_ms * 1e-6;
    line.fields["gbytes_per_s"] = gbytes_per_s;
    line.fields["gflops"] = plan.flops() / step_ms * 1e-6;
    if (triad) {
        const double triad_gbytes_per_s = beside.triad->bytes() / contest[*triad].wall_ms.median * 1e-6;
        line.fields["triad_gbytes_per_s"] = triad_gbytes_per_s;
        line.fields["triad_ratio"] = gbytes_per_s / triad_gbytes_per_s;
    }
    line.peer(beside.muon ? "muon" : "copy", contest[peer]);
    line.print();
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
        std::optional<Triad> triad;
        if (tensors == 1 && device.capabilities().cpu) triad.emplace(elements);
        const Beside beside{.triad = triad ? &*triad : nullptr};
        const std::string suffix = " " + std::to_string(tensors) + " tensors";
        report(device, "adamw" + suffix, network, {&adamw}, plain, repeats, beside);
        report(device, "adamw guarded" + suffix, network, {&adamw}, options, repeats, beside);
        report(device, "sgd momentum" + suffix, network, {&sgd}, plain, repeats, beside);
    }
}

// One step of Muon for all of them.
void run_layers(Device& device, const std::vector<std::uint64_t>& layers, DType precision, int repeats) {
    const Network network(device, std::vector<Shape>(layers[0], Shape{layers[1], layers[2]}));
    StepOptions options;
    options.plan.profile = true;
    Muon muon(device, {.polar = {.precision = precision}});
    for (std::size_t i = 0; i < network.size(); ++i) muon.add(network.parameter(i));
    report(device, std::string("muon layers ") + to_string(precision), network, {&muon}, options, repeats);
}

constexpr std::array kMatrixCases{"muon",
                                  "fismo",
                                  "fismo whitened",
                                  "fismo symmetric",
                                  "fismo between refreshes",
                                  "mousse between refreshes"};

void run_matrix(Device& device, std::uint64_t order, const std::vector<std::string>& cases, int repeats) {
    const Network network(device, {{order, order}});
    StepOptions options;
    options.plan.profile = true;
    const auto wanted = [&](std::string_view name) { return std::ranges::find(cases, name) != cases.end(); };
    const std::string suffix = " " + std::to_string(order);
    Muon muon(device);
    muon.add(network.parameter(0));
    if (wanted("muon")) report(device, "muon" + suffix, network, {&muon}, options, repeats);
    Plan peer = compile(device, {&muon}, options);
    peer.allocate();
    peer.initialize();
    const auto beside = [&](const std::string& name, Optimizer&& optimizer) {
        if (!wanted(name)) return;
        optimizer.add(network.parameter(0));
        report(device, name + suffix, network, {&optimizer}, options, repeats, {.muon = &peer});
    };
    beside("fismo", Fismo(device, {.refresh = {.interval = 1}}));
    beside("fismo whitened",
           Fismo(device, {.momentum_space = MomentumSpace::whitened, .refresh = {.interval = 1}}));
    beside("fismo symmetric", Fismo(device, {.whitening = Whitening::symmetric, .refresh = {.interval = 1}}));
    beside("fismo between refreshes", Fismo(device, {.refresh = {.interval = 10000}}));
    beside("mousse between refreshes", Mousse(device, {.refresh = {.interval = 10000}}));
}

}  // namespace

int main(int argc, char** argv) {
    CLI::App app("Times whole optimizer steps beside a copy of as many bytes; one line of JSON a case.",
                 "bench_step");
    std::uint64_t elements = 16'777'216;
    app.add_option("--elements", elements, "of all tensors together; 0: the matrix optimizers alone")
        ->check(CLI::Range(std::uint64_t{0}, std::uint64_t{1} << 32))
        ->type_name("N")
        ->capture_default_str();
    std::vector<std::uint64_t> orders{512};
    app.add_option("--orders", orders, "rows and columns of the matrix optimizers' matrix, one run each")
        ->check(CLI::Range(std::uint64_t{1}, std::uint64_t{8192}))
        ->type_name("N...")
        ->capture_default_str();
    std::vector<std::string> cases(kMatrixCases.begin(), kMatrixCases.end());
    app.add_option("--matrix", cases, "some of the matrix optimizers, in place of all")
        ->check(CLI::IsMember(std::vector<std::string>(kMatrixCases.begin(), kMatrixCases.end())))
        ->type_name("NAME...");
    std::vector<std::string> layers;
    app.add_option("--layers", layers, "Muon on so many matrices of a shape, too")
        ->check([](const std::string& text) -> std::string {
            return extents_of(text).size() == 3 ? "" : "must be COUNTxROWSxCOLS, e.g. 32x64x64";
        })
        ->type_name("COUNTxROWSxCOLS...");
    const std::map<std::string, DType> types{{"f32", DType::f32}, {"f16", DType::f16}, {"bf16", DType::bf16}};
    std::string precision = "f32";
    app.add_option("--precision", precision, "of Muon's iterates for --layers")
        ->check(CLI::IsMember(types))
        ->capture_default_str();
    return run_program(app, argc, argv, 15, [&](Device& device, int repeats) {
        if (elements > 0) run(device, elements, repeats);
        for (const std::string& one : layers)
            run_layers(device, extents_of(one), types.at(precision), repeats);
        for (const std::uint64_t order : orders) run_matrix(device, order, cases, repeats);
    });
}
