// SPDX-License-Identifier: MIT
// Trains an image into a multi-resolution grid of features and a small perceptron: a neural texture. The grid
// belongs to AdamW, the perceptron to the optimizers asked for, one run each. Leaves pictures and curves
// behind, or shows the learning in a window.
#include <fmt/format.h>

#include <CLI/CLI.hpp>
#include <algorithm>
#include <cmath>
#include <cstdio>
#include <deque>
#include <filesystem>
#include <map>
#include <set>
#include <string>
#include <vector>

#include "curve.hpp"
#include "heron/heron.hpp"
#include "image.hpp"
#include "learn_in_window.hpp"
#include "support/arguments.hpp"
#include "support/bad_input.hpp"
#include "support/device_option.hpp"
#include "support/program.hpp"
#include "support/progress.hpp"
#include "support/text.hpp"
#include "training.hpp"

using namespace samples;

namespace {

namespace fs = std::filesystem;

struct Options {
    std::string image;
    std::uint32_t size = 256;
    std::string out = "out";
    std::string device;
    bool list_devices = false;
    std::vector<std::string> optimizers = {"muon"};
    bool compare = false;
    std::vector<std::string> learning_rates;
    float grid_lr = 0.06f;  // 0.01 to 0.08 were tried with Muon, each better than those below
    std::uint32_t steps = 1000;
    std::uint32_t samples = 4096;
    std::uint32_t layers = 2;
    std::uint32_t finest = 0;
    std::uint32_t seed = 1;
    bool describe = false;
    bool window = false;
    bool close = false;
};

const std::vector<std::string> kCompared = {"adamw", "muon", "shampoo", "fismo"};
constexpr std::uint32_t kWidth = 64;  // of the perceptron's layers
// Of those that are compared, the best of two to four in 200 steps on lavapipe; the others have the table's.
const std::map<std::string, float> kRates = {
    {"adamw", 0.02f}, {"muon", 0.04f}, {"shampoo", 0.03f}, {"fismo", 0.1f}};

std::string own_rates() {
    std::string text;
    for (const auto& [name, rate] : kRates)
        text += fmt::format("{} {} {:g}", text.empty() ? "" : ",", name, rate);
    return text;
}

std::string help_footer() {
    return "Devices found:\n" + device_table() + "\nOptimizers:\n" + optimizer_table() +
           "Here the rates are" + own_rates() + "; those of the others as above.\n" +
           "\nWritten to the output folder, for every optimizer: <optimizer>-<step>.png after 10, 100, 1000 "
           "and all\n"
           "steps, <optimizer>-panels.png (truth, network, four times the difference); and psnr.svg, "
           "psnr.csv.\n"
           "The same seed on the same device and driver gives the same bits: compare the printed hashes.\n"
           "Exit code: 0 done, 1 failed (also: the training diverged), 2 bad input.";
}

void add_options(CLI::App& app, Options& options) {
    app.option_defaults()->take_last();
    const auto number = [&app](const char* name, std::uint32_t& value, const CLI::Validator& range,
                               const char* text) {
        return app.add_option(name, value, text)->check(range)->type_name("N");
    };
    app.add_option("--image", options.image, "PNG or JPEG file; default: a picture that the program makes")
        ->type_name("FILE");
    number("--size", options.size, at_most(4096, 16), "pixels of a side of that picture")
        ->capture_default_str();
    app.add_option("--out", options.out, "output folder")->type_name("DIR")->capture_default_str();
    samples::add_device_option(app, options.device);
    app.add_flag("--list-devices", options.list_devices, "list the devices and end");
    auto* optimizers =
        app.add_option("--optimizer,--optimizers", options.optimizers,
                       "of the perceptron, one run each, separated by commas; the grid has AdamW")
            ->delimiter(',')
            ->type_name("NAMES")
            ->capture_default_str();
    app.add_flag("--compare", options.compare, "the same as --optimizers adamw,muon,shampoo,fismo")
        ->excludes(optimizers);
    app.add_option("--lr", options.learning_rates, "learning rate of an optimizer; separated by commas")
        ->delimiter(',')
        ->type_name("NAME=VALUE");
    app.add_option("--grid-lr", options.grid_lr, "learning rate of the grid's AdamW")
        ->check(CLI::NonNegativeNumber)
        ->type_name("RATE")
        ->capture_default_str();
    number("--steps", options.steps, at_most(10'000'000), "training steps")->capture_default_str();
    number("--samples", options.samples, at_most(65536, 16), "samples a step, about")->capture_default_str();
    number("--layers", options.layers, at_most(3), "hidden layers of the perceptron, 64 wide")
        ->capture_default_str();
    number("--finest", options.finest, at_most(4096, 4),
           "cells of the finest level along the image's longer side (default: a third of its pixels)");
    number("--seed", options.seed, at_most(~0u, 0), "of the first weights and of the samples")
        ->capture_default_str();
    app.add_flag("--describe", options.describe, "print the stages, kernels and costs of each plan");
    auto* window =
        app.add_flag("--window", options.window, "show the learning in a window, with one optimizer");
    app.add_flag("--close", options.close, "close the window after the last step")->needs(window);
    app.footer(help_footer);
}

TextureShape shape_of(const Image& image, const Options& options) {
    TextureShape shape;
    shape.width = image.width;
    shape.height = image.height;
    shape.finest =
        options.finest != 0 ? options.finest : std::clamp(std::max(image.width, image.height) / 3, 1u, 4096u);
    shape.coarsest = std::min(shape.coarsest, shape.finest);
    shape.hidden.assign(options.layers, kWidth);
    return shape;
}

std::vector<TrainingSettings> plan_runs(const Options& options) {
    std::map<std::string, float> rates = parse_learning_rates(options.learning_rates);
    std::vector<TrainingSettings> runs;
    for (const std::string& name : options.compare ? kCompared : options.optimizers) {
        TrainingSettings run;
        run.optimizer = &require_optimizer("--optimizer", name);
        for (const TrainingSettings& other : runs)
            if (other.optimizer == run.optimizer) throw BadInput("--optimizer: " + name + " is given twice");
        const auto own = kRates.find(name);
        run.lr = own == kRates.end() ? run.optimizer->lr : own->second;
        if (const auto rate = rates.extract(name)) run.lr = rate.mapped();
        run.grid_lr = options.grid_lr;
        run.steps = options.steps;
        run.samples = options.samples;
        run.seed = options.seed;
        runs.push_back(run);
    }
    if (!rates.empty())
        throw BadInput("--lr " + rates.begin()->first + ": --optimizer does not ask for that optimizer");
    return runs;
}

// Steps after which the picture is judged: twenty-five, and those whose pictures are kept.
std::set<std::uint32_t> judged_steps(std::uint32_t steps, const std::set<std::uint32_t>& kept) {
    constexpr std::uint32_t kPoints = 25;
    std::set<std::uint32_t> result = kept;
    for (std::uint32_t i = 1; i <= kPoints; ++i)
        result.insert(static_cast<std::uint32_t>((std::uint64_t{steps} * i + kPoints - 1) / kPoints));
    return result;
}

void print_plans(const Training& training, const Options& options) {
    const heron::Plan& passes = training.passes_plan();
    const heron::Plan& optimizer = training.optimizer_plan();
    const std::string text = optimizer.describe();
    fmt::print("{}", training.routing());
    fmt::print("  a step: passes {} dispatches in {} levels, optimizer {} dispatches in {} levels{}\n",
               passes.dispatch_count(), passes.level_count(), optimizer.dispatch_count(),
               optimizer.level_count(),
               text.find("polar_workgroup") != std::string::npos
                   ? ", polar factors of all matrices in one: a workgroup each"
                   : "");
    if (options.describe) fmt::print("{}{}", passes.describe(), text);
    std::fflush(stdout);
}

// Why a run was in vain; empty where it was not.
std::string failure(const Training& training, const TrainingSettings& settings) {
    if (std::isfinite(training.loss()) && training.skipped() < training.done()) return {};
    return fmt::format(
        "{}: the loss is {} after {} steps, {} of them skipped because their gradients were "
        "not finite. Try a lower learning rate: --lr {}={:.2g}",
        settings.optimizer->name, training.loss(), training.done(), training.skipped(),
        settings.optimizer->name, settings.lr / 10);
}

// One of the runs, which go on in turns: what slows the machine down for a while is shared by all of them.
struct Run {
    const TrainingSettings& settings;
    Training training;
    Curve curve;

    Run(const heron::Device& device, const Image& truth, const TextureShape& shape,
        const TrainingSettings& run_settings)
        : settings(run_settings), training(device, truth, shape, settings) {
        curve.name = settings.optimizer->name;
        curve.lr = settings.lr;
        curve.points.push_back({0, 0.0, training.psnr()});
    }

    // Until that step. Returns how it stands then.
    std::string advance(std::uint32_t step) {
        training.run(step - training.done());
        curve.points.push_back({step, training.seconds(), training.psnr()});
        return fmt::format("{:<12} loss {:.5f}  PSNR {:.2f} dB  {:.1f} s", curve.name, training.loss(),
                           curve.points.back().psnr, training.seconds());
    }
};

void train(std::deque<Run>& runs, const Image& truth, const Options& options) {
    std::set<std::uint32_t> kept = {options.steps};
    for (const std::uint32_t step : {10u, 100u, 1000u})
        if (step < options.steps) kept.insert(step);
    Progress progress;
    for (const std::uint32_t step : judged_steps(options.steps, kept))
        for (Run& run : runs) {
            const std::string state = run.advance(step);
            if (!kept.contains(step)) {
                progress.show(double(step) / options.steps, fmt::format("step {}/{}", step, options.steps),
                              state);
                continue;
            }
            const std::span<const std::uint32_t> picture = run.training.draw();
            write_image(fs::path(options.out) / fmt::format("{}-{}.png", run.curve.name, step),
                        {truth.width, truth.height, {picture.begin(), picture.end()}});
            progress.line(
                fmt::format("step {:>{}}  {}", step, fmt::formatted_size("{}", options.steps), state));
        }
}

void finish(Run& run, const Image& truth, const Options& options) {
    Training& training = run.training;
    write_panels(fs::path(options.out) / (run.curve.name + "-panels.png"), truth, training.draw(),
                 fmt::format("{}: PSNR {:.2f} dB after {} steps; {} parameters for {} colours",
                             run.curve.name, run.curve.points.back().psnr, training.done(),
                             training.texture().parameter_count(), 3 * truth.pixels.size()));
    fmt::print("{}: optimizer state {}, {:.2f} ms a step, skipped {}\n", run.curve.name,
               samples::bytes_text(training.optimizer_plan().state_bytes()),
               1e3 * training.seconds() / training.done(), training.skipped());
    fmt::print("  weights {:016x} (hash of all parameters)\n", training.texture().hash());
    std::fflush(stdout);
}

void print_table(const std::vector<Curve>& curves) {
    const double time = equal_time(curves);
    fmt::print("{:<12} {:>8} {:>10} {:>14} {:>22}\n", "optimizer", "lr", "seconds",
               fmt::format("PSNR, step {}", curves.front().points.back().step),
               fmt::format("PSNR after {:.1f} s", time));
    for (const Curve& curve : curves)
        fmt::print("{:<12} {:>8g} {:>10.1f} {:>11.2f} dB {:>19.2f} dB\n", curve.name, curve.lr,
                   curve.seconds(), curve.points.back().psnr, curve.psnr_after(time));
}

int run(const Options& options) {
    if (options.list_devices) {
        fmt::print("{}", device_table());
        return 0;
    }
    const std::vector<TrainingSettings> plans = plan_runs(options);
    const Image truth = options.image.empty() ? make_image(options.size) : read_image(options.image);
    const TextureShape shape = shape_of(truth, options);
    if (options.window) {
        if (plans.size() != 1) throw BadInput("--window: give one optimizer with --optimizer");
        learn_in_window(truth, shape, plans.front(), {options.device, options.close});
        return 0;
    }
    create_output_folder(options.out);
    const heron::Device device = samples::create_device(options.device);
    fmt::print("Device:  {}\n", device.explain());
    const std::string what =
        fmt::format("{} of {} x {} pixels", options.image.empty() ? "the program's own image" : options.image,
                    truth.width, truth.height);
    std::string widths = std::to_string(shape.inputs());
    for (const std::uint32_t width : shape.hidden) widths += "-" + std::to_string(width);
    const std::string network = fmt::format("{} levels of {} to {} cells, perceptron {}-3", shape.levels,
                                            shape.coarsest, shape.finest, widths);
    fmt::print("Image:   {}\nNetwork: {}; about {} samples a step, seed {}\n\n", what, network,
               options.samples, options.seed);

    std::deque<Run> runs;  // they stay where they are
    for (const TrainingSettings& settings : plans) {
        fmt::print("{}: {}, lr {:g}; the grid by AdamW, lr {:g}\n", settings.optimizer->name,
                   settings.optimizer->summary, settings.lr, settings.grid_lr);
        print_plans(runs.emplace_back(device, truth, shape, settings).training, options);
    }
    fmt::print("\n");
    train(runs, truth, options);
    fmt::print("\n");
    std::vector<Curve> curves;
    bool good = true;
    for (Run& run : runs) {
        finish(run, truth, options);
        curves.push_back(run.curve);
        const std::string why = failure(run.training, run.settings);
        if (why.empty()) continue;
        fmt::print(stderr, "neural_texture: {}\n", why);
        good = false;
    }
    fmt::print("\n");
    print_table(curves);
    const fs::path out = options.out;
    write_psnr_svg(out / "psnr.svg", curves, "Neural texture: " + what,
                   fmt::format("{}; {} samples a step, on {}", network, options.samples, device.info().name));
    write_psnr_csv(out / "psnr.csv", curves);
    fmt::print("\nWritten to {}: psnr.svg, psnr.csv, and pictures of every optimizer\n", out.string());
    return good ? 0 : 1;
}

}  // namespace

int main(int argc, char** argv) {
    Options options;
    CLI::App app("Trains an image into a grid of features and a small perceptron, in Vulkan compute.",
                 "neural_texture");
    add_options(app, options);
    try {
        app.parse(argc, argv);
    } catch (const CLI::ParseError& error) {
        return app.exit(error) == 0 ? 0 : kExitBadInput;
    }
    return run_program("neural_texture", [&] { return run(options); });
}
