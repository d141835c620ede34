// SPDX-License-Identifier: MIT
// How long is the worst frame of a training with refreshes?
//
// Shampoo, FISMO and K-FAC over many matrices, one line of JSON a case: every refresh in the same step
// ("together"), in turns as RefreshPolicy deals them by itself ("default": small matrices keep together), one
// matrix after the other over the interval ("staggered"), and that in slices, each of at most a share of the
// FLOPs of a step ("sliced"; one frame a slice).
//
// Frames are those of a training's first two intervals, from its first step on, so that first refreshes are
// among them; every repetition begins anew, after one that is not counted, since drivers are slow at what
// they do for the first time. wall_ms is the median over all frames; first_ms the longest of the first step
// (median over repetitions), first_step_flops what that step has; worst_ms the longest of all, worst_step the
// step with the most FLOPs, and worst_ratio how much longer the longest of "together" was.
#include <string>
#include <vector>

#include "bench.hpp"
#include "graph/plan.hpp"
#include "heron/heron.hpp"
#include "support/commands.hpp"

namespace {

using namespace heron;
using namespace heron::bench;

struct Settings {
    std::uint64_t order = 128;
    std::uint32_t matrices = 8;
    std::uint32_t interval = 8;
    std::uint32_t slices = 4;
};

// FLOPs of the step with that number (from 0).
double flops_of(const Plan& plan, std::uint32_t step) {
    double sum = 0;
    for (const Node& node : plan.impl().graph.nodes)
        if (node.phase == Phase::step && node.section.runs(step)) sum += node.operation.flops;
    return sum;
}

// A layer's captures are what there is: its gradient.
void add_to(Optimizer& optimizer, const Parameter& parameter) { optimizer.add(parameter); }
void add_to(LayerOptimizer& optimizer, const Parameter& parameter) {
    Layer layer;
    layer.weight = parameter;
    layer.inputs = layer.output_gradients = parameter.gradient;
    optimizer.add_layer(layer);
}

struct Frames {
    Times times;
    double first_ms, worst_ms;
    std::uint64_t frames;
    double first_step_flops, worst_step_flops, mean_step_flops;
    std::uint32_t worst_step;
};

Frames run_frames(Device& device, const Optimizer& optimizer, const Settings& settings, double max_flops,
                  int repeats) {
    Plan plan = compile(device, {&optimizer});
    plan.allocate();
    const std::uint32_t steps = 2 * settings.interval;
    Frames result{};
    for (std::uint32_t t = 0; t < steps; ++t) {
        const double flops = flops_of(plan, t);
        if (t == 0) result.first_step_flops = flops;
        if (flops > result.worst_step_flops) result.worst_step = t;
        result.worst_step_flops = std::max(result.worst_step_flops, flops);
        result.mean_step_flops += flops / steps;
    }
    std::vector<double> frames, first;
    for (int repeat = -1; repeat < (repeats + 2) / 3; ++repeat) {
        plan.initialize();
        double longest = 0;  // of the first step
        for (std::uint32_t step = 0; step < steps; ++step)
            for (bool complete = false; !complete;) {
                test::Commands commands(device);
                const VkCommandBuffer frame = commands.begin();
                complete = plan.record_slice(frame, {.max_flops = max_flops, .one_time = true}).complete;
                commands.end(frame);
                const Clock::time_point begin = Clock::now();
                commands.submit(frame);
                const double ms = milliseconds_since(begin);
                if (step == 0) longest = std::max(longest, ms);
                if (repeat >= 0) frames.push_back(ms);
            }
        if (repeat >= 0) first.push_back(longest);
    }
    result.frames = frames.size();
    result.first_ms = summarize(std::move(first)).median;
    result.worst_ms = *std::ranges::max_element(frames);
    result.times.wall_ms = summarize(std::move(frames));
    return result;
}

// `make` makes the optimizer with a policy.
template <class Make>
void compare(Device& device, const char* name, const std::vector<Parameter>& parameters,
             const Settings& settings, int repeats, const Make& make) {
    double together_worst = 0, budget = 0;
    for (const char* mode : {"together", "default", "staggered", "sliced"}) {
        const std::string kind = mode;
        RefreshPolicy policy{.interval = settings.interval, .stagger = kind != "together"};
        if (kind != "default") policy.turn_flops = 0;
        const auto optimizer = make(policy);
        for (const Parameter& parameter : parameters) add_to(*optimizer, parameter);
        const bool sliced = kind == "sliced";
        const Frames frames = run_frames(device, *optimizer, settings,
                                         sliced ? budget : std::numeric_limits<double>::infinity(), repeats);
        if (kind == "together") together_worst = frames.worst_ms;
        budget = frames.worst_step_flops / settings.slices;
        Line line("refresh", device);
        line.fields["case"] = std::string(name) + " " + mode;
        line.fields["order"] = settings.order;
        line.fields["matrices"] = settings.matrices;
        line.fields["interval"] = settings.interval;
        line.fields["frames"] = frames.frames;
        line.times(frames.times);
        line.fields["mean_step_flops"] = frames.mean_step_flops;
        line.fields["first_step_flops"] = frames.first_step_flops;
        line.fields["worst_step_flops"] = frames.worst_step_flops;
        line.fields["worst_step"] = frames.worst_step;
        line.fields["first_ms"] = frames.first_ms;
        line.fields["worst_ms"] = frames.worst_ms;
        line.fields["worst_ratio"] = together_worst / frames.worst_ms;
        line.no_peer();
        line.print();
    }
}

void run(Device& device, const Settings& settings, int repeats) {
    const std::uint64_t n = settings.order, bytes = 4 * n * n * settings.matrices;
    const Buffer weights = device.create_buffer(bytes), gradients = device.create_buffer(bytes);
    std::vector<float> values(bytes / 4);
    std::uint32_t random = 1;
    for (float& value : values) {
        random = random * 1664525u + 1013904223u;
        value = static_cast<float>(random >> 8) * 0x1p-24f - 0.5f;
    }
    for (const Buffer* buffer : {&weights, &gradients})
        const_cast<Buffer*>(buffer)->write(std::as_bytes(std::span(values)));
    std::vector<Parameter> parameters;
    for (std::uint32_t k = 0; k < settings.matrices; ++k) {
        Parameter parameter;
        parameter.name = "p" + std::to_string(k);
        parameter.weight = weights.view(DType::f32, {n, n}, 4 * n * n * k);
        parameter.gradient = gradients.view(DType::f32, {n, n}, 4 * n * n * k);
        parameters.push_back(parameter);
    }
    compare(device, "shampoo", parameters, settings, repeats, [&](const RefreshPolicy& policy) {
        return std::make_unique<Shampoo>(
            device, ShampooOptions{.epsilon = 1e-6f, .root = ShampooRoot::newton, .refresh = policy});
    });
    compare(device, "fismo", parameters, settings, repeats, [&](const RefreshPolicy& policy) {
        return std::make_unique<Fismo>(device, FismoOptions{.refresh = policy});
    });
    compare(device, "kfac", parameters, settings, repeats, [&](const RefreshPolicy& policy) {
        return std::make_unique<Kfac>(device, KfacOptions{.refresh = policy});
    });
    compare(device, "psgd_kron", parameters, settings, repeats, [&](const RefreshPolicy& policy) {
        return std::make_unique<PsgdKron>(device, PsgdKronOptions{.initial_scale = 1.0f, .refresh = policy});
    });
}

}  // namespace

int main(int argc, char** argv) {
    CLI::App app(
        "Times the frames of steps with refreshes, together, staggered and sliced; one line of JSON a case.",
        "bench_refresh");
    Settings settings;
    app.add_option("--order", settings.order, "rows and columns of each matrix")
        ->check(CLI::Range(1, 4096))
        ->type_name("N")
        ->capture_default_str();
    app.add_option("--matrices", settings.matrices)
        ->check(CLI::Range(1, 1000))
        ->type_name("N")
        ->capture_default_str();
    app.add_option("--interval", settings.interval, "steps between two refreshes of a matrix")
        ->check(CLI::Range(1, 10000))
        ->type_name("N")
        ->capture_default_str();
    app.add_option("--slices", settings.slices, "a slice has at most this part of a step's FLOPs")
        ->check(CLI::Range(1, 1000))
        ->type_name("N")
        ->capture_default_str();
    return run_program(app, argc, argv, 3,
                       [&](Device& device, int repeats) { run(device, settings, repeats); });
}
