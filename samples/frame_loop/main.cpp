// SPDX-License-Identifier: MIT
// A renderer that trains a small network inside its frames, in four ways, and tells what that costs them.
#define STB_IMAGE_WRITE_IMPLEMENTATION
#define STB_IMAGE_WRITE_STATIC
#include <fmt/format.h>
#include <stb_image_write.h>

#include <CLI/CLI.hpp>
#include <fstream>
#include <string>
#include <vector>

#include "frame_loop.hpp"
#include "heron_memory.hpp"
#include "report.hpp"
#include "shaders/scene.h"
#include "support/arguments.hpp"
#include "support/bad_input.hpp"
#include "support/device_option.hpp"
#include "support/program.hpp"
#include "support/text.hpp"

namespace {

struct Options {
    std::string device;
    std::string mode = "all";
    std::string optimizer = "shampoo";
    std::uint32_t frames = 200;
    double budget_us = 0;
    bool validation = false;
    bool vma = false;
    std::string image;
    std::string report;
};

// The baseline, then what was asked for.
std::vector<Mode> modes_of(const std::string& name) {
    std::vector<Mode> modes{Mode::none};
    for (const ModeText& mode : kModes)
        if (mode.mode != Mode::none && (name == "all" || name == mode.name)) modes.push_back(mode.mode);
    if (modes.size() == 1 && name != "none") {
        std::string known = "all";
        for (const ModeText& mode : kModes) known += ", " + std::string(mode.name);
        throw samples::BadInput("--mode " + name + ": there is no such mode; known: " + known);
    }
    return modes;
}

// How the figures came about.
std::string conditions(const Options& options) {
    return fmt::format(
        "Build:    {}; {}\n", FRAME_LOOP_BUILD_TYPE,
        options.validation
            ? "under the validation layer, which is a part of all times: they are no measurement"
            : "without the validation layer, so without its messages: --validation counts them");
}

// A line for each promise that was broken, or one that says what was kept.
std::string verdict(const std::vector<std::string>& broken, bool validation) {
    std::string text;
    for (const std::string& each : broken) text += "FAILED: " + each + "\n";
    if (broken.empty())
        text = fmt::format("{}Nothing was allocated or compiled inside a frame.\n",
                           validation ? "No message of the validation layer. " : "");
    return text;
}

void write_report(const Options& options, const std::string& head, const std::string& body) {
    std::ofstream file(options.report);
    file << "# What frames cost\n\nWritten by `frame_loop --optimizer " << options.optimizer << " --frames "
         << options.frames << (options.vma ? " --vma" : "") << (options.validation ? " --validation" : "")
         << " --report FILE`.\n\n```text\n"
         << head << "```\n\n"
         << body;
    if (!file.flush()) throw samples::BadInput("--report " + options.report + ": cannot be written");
}

void write_image(const Options& options, DeviceMemory& memory, FrameLoop& loop) {
    const heron::BufferRange pixels =
        memory.allocate(heron::MemoryKind::readback, Scene::kSize.width * Scene::kSize.height * 4);
    loop.read_picture(pixels);
    const auto width = static_cast<int>(Scene::kSize.width), height = static_cast<int>(Scene::kSize.height);
    if (!stbi_write_png(options.image.c_str(), width, height, 4, pixels.mapped, 4 * width))
        throw samples::BadInput("--image " + options.image + ": cannot be written");
    memory.free(pixels);
}

int run(const Options& options) {
    const std::vector<Mode> modes = modes_of(options.mode);
    const samples::NamedOptimizer& optimizer = samples::require_optimizer("--optimizer", options.optimizer);
    // The samples choose alike; a renderer has its own way to its device.
    const std::uint32_t index = samples::create_device(options.device).info().index;

    const HostAllocator host;
    const Context context(samples::open_vulkan(), index, options.validation);
    std::vector<LoopResult> results;
    std::string head;
    {
        DeviceMemory memory(context);
        HeronMemory heron_memory(context, memory, options.vma);
        Training training(context, memory, host, heron_memory.callbacks(), optimizer);
        FrameLoop loop(context, memory, heron_memory, host, training,
                       {.frames = options.frames, .budget_us = options.budget_us});
        const heron::Plan& plan = training.plan();
        head = fmt::format(
            "Renderer: {}, {} x {}, {} triangles; {}\n"
            "Heron:    {}\n"
            "Plan:     {}, {} dispatches in {} levels; {} of state, {} of workspace, {} seen by the host\n"
            "{}",
            context.name(), Scene::kSize.width, Scene::kSize.height, 2 * heron::gpu::GRID * heron::gpu::GRID,
            context.queues_text(), training.device().explain(), optimizer.name, plan.dispatch_count(),
            plan.level_count(), samples::bytes_text(plan.state_bytes()),
            samples::bytes_text(plan.workspace_bytes()),
            samples::bytes_text(plan.table_bytes() + plan.readback_bytes()), conditions(options));
        fmt::print("{}\n", head);
        std::fflush(stdout);
        for (const Mode mode : modes) results.push_back(loop.run(mode));
        if (!options.image.empty()) write_image(options, memory, loop);
    }

    std::vector<std::string> broken = broken_promises(results);
    if (host.live() != 0) broken.push_back(fmt::format("{} pieces of host memory left behind", host.live()));
    if (context.validation_messages() > 0)
        broken.push_back(fmt::format("{} messages of the validation layer", context.validation_messages()));
    const std::string body =
        report_table(results) + "\n" + weights_text(results) + "\n" + verdict(broken, options.validation);
    fmt::print("{}", body);
    if (!options.report.empty()) write_report(options, head, body);
    return broken.empty() ? 0 : 1;
}

}  // namespace

int main(int argc, char** argv) {
    Options options;
    CLI::App app("A renderer trains a small network with Heron inside its frames, and tells what they cost.",
                 "frame_loop");
    samples::add_device_option(app, options.device);
    app.add_option("--frames", options.frames, "frames in each mode")
        ->check(samples::at_most(1000000))
        ->capture_default_str();
    app.add_option("--mode", options.mode, "none, record, secondary, async, slices or all; none comes first")
        ->capture_default_str();
    app.add_option("--optimizer", options.optimizer, "by its name in the samples' table")
        ->capture_default_str();
    app.add_option("--budget", options.budget_us,
                   "of GPU time for a frame's slice, in microseconds; default: a quarter of a step's")
        ->check(CLI::PositiveNumber);
    app.add_flag("--validation", options.validation, "under the validation layer, its messages counted");
    app.add_flag("--vma", options.vma,
                 "Heron's memory from the Vulkan Memory Allocator, where the build has it");
    app.add_option("--image", options.image, "PNG file for the last picture");
    app.add_option("--report", options.report, "Markdown file for the table");
    app.footer([] { return "Optimizers:\n" + samples::optimizer_table(); });
    try {
        app.parse(argc, argv);
    } catch (const CLI::ParseError& error) {
        return app.exit(error) == 0 ? 0 : samples::kExitBadInput;
    }
    return samples::run_program("frame_loop", [&] { return run(options); });
}
