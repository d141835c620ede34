// SPDX-License-Identifier: MIT
// Trains a multi-layer network on Fashion-MNIST, or any IDX data set, in Vulkan compute alone: with Muon for
// the hidden matrices and AdamW for the rest, then with AdamW alone. Leaves curves, predictions and
// checkpoints behind.
#include <fmt/format.h>

#include <CLI/CLI.hpp>
#include <algorithm>
#include <cmath>
#include <cstdio>
#include <filesystem>
#include <map>
#include <string>
#include <vector>

#include "curve.hpp"
#include "heron/heron.hpp"
#include "pictures.hpp"
#include "support/arguments.hpp"
#include "support/bad_input.hpp"
#include "support/dataset.hpp"
#include "support/device_option.hpp"
#include "support/network.hpp"
#include "support/optimizers.hpp"
#include "support/program.hpp"
#include "support/progress.hpp"
#include "support/text.hpp"
#include "trainer.hpp"

using namespace samples;

namespace {

namespace fs = std::filesystem;

constexpr const char* kCurveFile = "curves.csv";

struct Options {
    std::string data = kDefaultDataFolder;
    std::string out = "out";
    std::string device;
    bool list_devices = false;
    std::vector<std::string> optimizers = {"muon", "adamw"};
    std::vector<std::string> learning_rates;
    std::vector<std::uint32_t> filters;
    std::vector<std::uint32_t> hidden = {256, 128};
    std::uint32_t batch = 512;
    std::uint32_t epochs = 4;
    std::uint32_t seed = 1;
    std::uint32_t stop_after = 100000;
    std::string resume;
    bool describe = false;
};

std::string help_footer() {
    return "Devices found:\n" + device_table() + "\nOptimizers:\n" + optimizer_table() +
           "\nWritten to the output folder: curves.svg, curves.csv, predictions.png, "
           "checkpoint-<optimizer>.safetensors\n"
           "The same seed on the same device and driver gives the same bits: compare the printed hashes.\n"
           "Exit code: 0 done, 1 failed (also: the training diverged), 2 bad input.";
}

void add_options(CLI::App& app, Options& options) {
    app.option_defaults()->take_last();
    app.add_option("--data", options.data,
                   "folder with {train,t10k}-{images-idx3,labels-idx1}-ubyte, plain or .gz: Fashion-MNIST, "
                   "MNIST, your "
                   "own; class names in labels.txt, if there is one")
        ->type_name("DIR")
        ->capture_default_str();
    app.add_option("--out", options.out, "output folder")->type_name("DIR")->capture_default_str();
    samples::add_device_option(app, options.device);
    app.add_flag("--list-devices", options.list_devices, "list the devices and end");
    app.add_option("--optimizer,--optimizers", options.optimizers, "one run each, separated by commas")
        ->delimiter(',')
        ->type_name("NAMES")
        ->capture_default_str();
    app.add_option(
           "--lr", options.learning_rates,
           "learning rate of an optimizer; separated by commas; with --resume instead of the checkpoint's")
        ->delimiter(',')
        ->type_name("NAME=VALUE");
    app.add_option(
           "--filters", options.filters,
           "filters of convolutions (3 x 3, stride 2) before the hidden layers, separated by commas: 8,16")
        ->delimiter(',')
        ->check(at_most(1024))
        ->type_name("COUNTS");
    app.add_option("--hidden", options.hidden, "widths of the hidden layers, separated by commas")
        ->delimiter(',')
        ->check(at_most(32768))
        ->type_name("WIDTHS")
        ->capture_default_str();
    const auto number = [&app](const char* name, std::uint32_t& value, std::uint32_t most, const char* text) {
        app.add_option(name, value, text)->check(at_most(most))->type_name("N")->capture_default_str();
    };
    number("--batch", options.batch, 65536, "images a step");
    number("--epochs", options.epochs, 100000, "passes over the training images");
    app.add_option("--seed", options.seed, "of the first weights and of the order of the images")
        ->check(at_most(~0u, 0))
        ->type_name("N")
        ->capture_default_str();
    number("--stop-after", options.stop_after, 100000, "end after that many epochs, to be resumed later");
    app.add_option(
           "--resume", options.resume,
           "checkpoint to go on from, with one optimizer and the same settings; the curves go on from the "
           "curves.csv in its folder, and those of other optimizers in the output folder stay")
        ->type_name("FILE");
    app.add_flag("--describe", options.describe, "print the stages, kernels and costs of each plan");
    app.footer(help_footer);
}

// One run for each optimizer asked for.
std::vector<RunSettings> plan_runs(const Options& options, const DataSet& data) {
    std::map<std::string, float> rates = parse_learning_rates(options.learning_rates);
    if (!options.resume.empty() && options.optimizers.size() != 1)
        throw BadInput("--resume: give the one optimizer of the checkpoint with --optimizer");
    if (options.hidden.empty() || options.hidden.size() > 16)
        throw BadInput("--hidden: must be 1 to 16 widths");
    if (options.batch > data.train.count)
        throw BadInput(
            fmt::format("--batch {}: there are only {} training images", options.batch, data.train.count));
    // Kernels count elements with 32 bits.
    std::uint64_t widest = data.train.pixels_per_image();
    std::uint64_t before = widest;
    if (options.filters.size() > 4) throw BadInput("--filters: at most 4 convolutions");
    std::uint64_t rows = data.train.rows, cols = data.train.cols, channels = 1;
    for (const std::uint32_t filters : options.filters) {
        rows = (rows + 1) / 2;
        cols = (cols + 1) / 2;
        before = filters * rows * cols;
        // Kernels count the elements of all patches, too.
        widest = std::max({widest, before, 9 * channels * rows * cols, 9 * channels * filters});
        channels = filters;
    }
    for (const std::uint32_t width : options.hidden) {
        widest = std::max<std::uint64_t>(widest, width);
        if (before * width > 0x3fffffff) throw BadInput("--hidden: a layer has more than 2^30 weights");
        before = width;
    }
    if (options.batch * widest > 0x3fffffff)
        throw BadInput("--batch: a layer has more than 2^30 activations");
    if (std::uint64_t{options.epochs} * (data.train.count / options.batch) > 0x3fffffff)
        throw BadInput("--epochs: more than 2^30 steps");

    std::vector<RunSettings> runs;
    for (const std::string& name : options.optimizers) {
        RunSettings run;
        run.optimizer = &require_optimizer("--optimizer", name);
        for (const RunSettings& other : runs)
            if (other.optimizer == run.optimizer) throw BadInput("--optimizer: " + name + " is given twice");
        if (const auto rate = rates.extract(name)) run.lr = rate.mapped();
        run.filters = options.filters;
        run.hidden = options.hidden;
        run.batch = options.batch;
        run.epochs = options.epochs;
        run.stop_after = options.stop_after;
        run.seed = options.seed;
        run.checkpoint = fs::path(options.out) / ("checkpoint-" + name + ".safetensors");
        run.resume = options.resume;
        run.curve = run.resume.parent_path() / kCurveFile;
        run.describe = options.describe;
        runs.push_back(std::move(run));
    }
    if (!rates.empty())
        throw BadInput("--lr " + rates.begin()->first + ": --optimizer does not ask for that optimizer");
    return runs;
}

RunObserver observe(Progress& progress, CurveFile& curve_file, const RunSettings& run) {
    RunObserver observer;
    observer.note = [&progress](const std::string& text) {
        progress.line(text.ends_with('\n') ? text.substr(0, text.size() - 1) : text);
    };
    observer.progress = [&progress, &run](const RunProgress& now) {
        const double left = double(now.total - now.done) / std::max(now.steps_per_second, 1e-9);
        progress.show(double(now.done - now.begun) / double(now.total - now.begun),
                      fmt::format("  epoch {}/{}", now.epoch, run.epochs),
                      fmt::format("step {}/{}  loss {:.4f}  {:.0f} images/s  {} left", now.done, now.total,
                                  now.loss, now.steps_per_second * run.batch, clock_text(left)));
    };
    observer.evaluated = [&progress, &curve_file, &run](const Curve& curve, double train_loss) {
        const Curve::Evaluation& evaluation = curve.evaluations.back();
        const std::string trained =
            curve.steps.empty() ? std::string(17, ' ') : fmt::format("train loss {:.4f}", train_loss);
        progress.line(fmt::format("  epoch {:>{}}/{}  {}  test loss {:.4f}  test accuracy {:.2f} %  {:.1f} s",
                                  evaluation.epoch, fmt::formatted_size("{}", run.epochs), run.epochs,
                                  trained, evaluation.loss, 100 * evaluation.accuracy, evaluation.seconds));
        curve_file.append(std::string(run.optimizer->name), curve);
    };
    return observer;
}

void print_result(const RunResult& run) {
    fmt::print("  {} parameters ({}), optimizer state {}\n", run.parameters,
               samples::bytes_text(4 * run.parameters), samples::bytes_text(run.state_bytes));
    fmt::print("  test accuracy {:.2f} %, {} steps in {:.1f} s, skipped {}\n", 100 * run.accuracy(),
               run.steps, run.seconds, run.skipped);
    if (run.time.total() > 0) {
        const double all = run.time.total();
        const auto share = [all](double part) {
            return fmt::format("{:.2f} s ({:.0f} %)", part, 100 * part / all);
        };
        fmt::print("  GPU time of {} steps: forward {}, backward {}, optimizer {}\n", run.time.steps,
                   share(run.time.forward), share(run.time.backward), share(run.time.optimizer));
    } else if (run.steps > 0) {
        fmt::print("  GPU time: not known, the device has no timestamps on this queue\n");
    }
    fmt::print("  weights {:016x} (hash of all parameters)\n\n", run.hash);
    std::fflush(stdout);
}

// Why a run was in vain, and what to try; empty where it was not.
std::string failure(const RunResult& run) {
    std::string what;
    if (!std::isfinite(run.loss()))
        what = fmt::format(
            "the test loss is not finite after {} steps ({} of them were skipped, because their "
            "gradients were not): the training has diverged",
            run.steps, run.skipped);
    else if (run.steps > 0 && run.skipped == run.steps)
        what = fmt::format(
            "all {} steps were skipped, because their gradients were not finite: nothing was "
            "learned",
            run.steps);
    else
        return {};
    return fmt::format("{}: {}. Try a lower learning rate: --lr {}={:.2g}", run.name, what, run.name,
                       run.lr / 10);
}

// Those of this program run, then what else is in the file: of the other optimizers, where one was resumed.
std::vector<LabelledCurve> labelled_curves(const std::vector<RunResult>& results, const fs::path& file) {
    std::vector<LabelledCurve> curves;
    for (const RunResult& result : results)
        curves.push_back({fmt::format("{} (lr {:g})", result.name, result.lr), result.curve});
    for (const std::string& name : CurveFile::runs(file)) {
        if (std::ranges::find(results, name, &RunResult::name) != results.end()) continue;
        Curve curve = CurveFile::read(file, name);
        if (!curve.evaluations.empty()) curves.push_back({name, std::move(curve)});
    }
    return curves;
}

int run(const Options& options) {
    if (options.list_devices) {
        fmt::print("{}", device_table());
        return 0;
    }
    const DataSet data = read_data_set(options.data);
    const std::vector<RunSettings> runs = plan_runs(options, data);
    create_output_folder(options.out);

    const heron::Device device = samples::create_device(options.device);
    fmt::print("Device: {}\n", device.explain());
    fmt::print("Data:   {}: {} training and {} test images of {} x {} pixels, {} classes\n", options.data,
               data.train.count, data.test.count, data.train.rows, data.train.cols, data.classes);
    std::string widths = std::to_string(data.train.pixels_per_image());
    for (const std::uint32_t filters : options.filters) widths += "-conv" + std::to_string(filters);
    for (const std::uint32_t width : options.hidden) widths += "-" + std::to_string(width);
    fmt::print("Network: {}-{}, batch {}, {} epochs, seed {}\n\n", widths, data.classes, options.batch,
               options.epochs, options.seed);

    const DeviceImages train_images(device, data.train, "train");
    const DeviceImages test_images(device, data.test, "test");
    const fs::path out = options.out;
    CurveFile curve_file(out / kCurveFile, !options.resume.empty());
    std::vector<RunResult> results;
    for (const RunSettings& settings : runs) {
        Progress progress;
        const NamedOptimizer& optimizer = *settings.optimizer;
        progress.line(settings.resume.empty()
                          ? fmt::format("{}: {}, lr {:g}", optimizer.name, optimizer.summary,
                                        settings.lr.value_or(optimizer.lr))
                          : fmt::format("{}: {}", optimizer.name, optimizer.summary));
        results.push_back(train(device, data, train_images, test_images, settings,
                                observe(progress, curve_file, settings)));
        print_result(results.back());
    }

    fmt::print("{:<10} {:>8} {:>10} {:>14} {:>10} {:>16}\n", "optimizer", "lr", "test loss", "test accuracy",
               "seconds", "optimizer state");
    for (const RunResult& result : results)
        fmt::print("{:<10} {:>8g} {:>10.4f} {:>12.2f} % {:>10.1f} {:>16}\n", result.name, result.lr,
                   result.loss(), 100 * result.accuracy(), result.total_seconds(),
                   samples::bytes_text(result.state_bytes));

    const fs::path folder = fs::weakly_canonical(options.data);
    write_curves_svg(
        out / "curves.svg", labelled_curves(results, out / kCurveFile),
        fmt::format("{}, perceptron {}-{}", folder.filename().string(), widths, data.classes),
        fmt::format("batch {}, seed {}, on {}", options.batch, options.seed, device.info().name));
    write_prediction_grid(out / "predictions.png", data, results.front());
    fmt::print("\nWritten to {}: curves.svg, curves.csv, predictions.png", out.string());
    for (const RunSettings& settings : runs) fmt::print(", {}", settings.checkpoint.filename().string());
    fmt::print("\n");

    bool good = true;
    for (const RunResult& result : results)
        if (const std::string why = failure(result); !why.empty()) {
            std::fflush(stdout);
            fmt::print(stderr, "fashion_mnist: {}\n", why);
            good = false;
        }
    return good ? 0 : 1;
}

}  // namespace

int main(int argc, char** argv) {
    Options options;
    CLI::App app(
        "Trains a multi-layer perceptron on Fashion-MNIST in Vulkan compute, once with each optimizer.",
        "fashion_mnist");
    add_options(app, options);
    try {
        app.parse(argc, argv);
    } catch (const CLI::ParseError& error) {
        return app.exit(error) == 0 ? 0 : kExitBadInput;
    }
    return run_program("fashion_mnist", [&] { return run(options); });
}
