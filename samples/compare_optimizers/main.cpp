// SPDX-License-Identifier: MIT
// Compares any set of optimizers at tuned learning rates: a perceptron on Fashion-MNIST and a transformer on
// text, both in Vulkan compute alone.
#include <fmt/format.h>
#include <fmt/ranges.h>

#include <CLI/CLI.hpp>
#include <algorithm>
#include <cmath>
#include <cstdint>
#include <cstdio>
#include <filesystem>
#include <initializer_list>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "compare_optimizers/comparison.hpp"
#include "compare_optimizers/corpus.hpp"
#include "compare_optimizers/journal.hpp"
#include "compare_optimizers/report.hpp"
#include "compare_optimizers/task.hpp"
#include "support/arguments.hpp"
#include "support/bad_input.hpp"
#include "support/device_option.hpp"
#include "support/program.hpp"
#include "support/progress.hpp"

using namespace samples;

namespace {

namespace fs = std::filesystem;

constexpr const char* kImageTask = "fashion_mnist";
constexpr const char* kTextTask = "text";

struct Preset {
    const char* name;
    const char* summary;
    ImageTaskSettings image;
    TextTaskSettings text;
};

const Preset kPresets[] = {
    {"small",
     "some minutes on two CPU cores",
     {.hidden = {128, 64}, .batch = 128, .validation = 1000, .steps = 200},
     {.context = 32, .width = 32, .heads = 2, .blocks = 2, .sequences = 16, .validation = 128, .steps = 200}},
    {"medium",
     "for a GPU",
     {.hidden = {512, 256}, .batch = 512, .validation = 10000, .steps = 600},
     {.context = 128,
      .width = 256,
      .heads = 4,
      .blocks = 4,
      .sequences = 32,
      .validation = 64,
      .steps = 1000}},
    {"large",
     "for a large GPU",
     {.hidden = {2048, 1024}, .batch = 1024, .validation = 10000, .steps = 1200},
     {.context = 256,
      .width = 512,
      .heads = 8,
      .blocks = 6,
      .sequences = 64,
      .validation = 32,
      .steps = 3000}},
};

struct Options {
    std::vector<std::string> optimizers = {"all"};
    std::vector<std::string> tasks = {kImageTask, kTextTask};
    std::string preset = "small";
    std::optional<std::uint32_t> steps;
    std::uint32_t seeds = 3;
    std::uint32_t seed = 1;
    std::vector<double> factors = {0.3, 1, 3};
    std::vector<std::string> learning_rates;
    std::vector<std::string> targets;
    double budget = 0;  // minutes
    std::string data = kDefaultDataFolder;
    std::vector<std::string> texts;
    std::vector<std::uint32_t> hidden;
    std::optional<std::uint32_t> batch, context, width, heads, blocks, sequences;
    std::string device;
    bool list_devices = false;
    bool resume = false;
    std::string out = "out";
};

std::string help_footer() {
    std::string text = "Presets:\n";
    for (const Preset& preset : kPresets)
        text += fmt::format(
            "  {:<8} {}: perceptron of widths {} ({} steps), transformer of {} blocks, width {} "
            "({} steps)\n",
            preset.name, preset.summary, fmt::join(preset.image.hidden, ","), preset.image.steps,
            preset.text.blocks, preset.text.width, preset.text.steps);
    return text + "\nOptimizers:\n" + optimizer_table() + "\nDevices found:\n" + device_table() +
           "\nHow rates are tuned: with the first seed each factor on an optimizer's default rate is tried; "
           "the two best rates get all seeds, and the median of the last validation losses decides; while "
           "the best one is at an end, the grid grows.\n"
           "Written to the output folder: comparison.md (the tables), images/compare-<task>.svg (curves "
           "against steps and time), comparison.csv (every step of every run), each time that an optimizer "
           "is done; comparison.runs (what --resume goes on with).\n"
           "docs/comparison.md, all optimizers on two tasks with three seeds, says by which options it was "
           "made.\n"
           "Exit code: 0 done, 1 failed (also: an optimizer refused a task, or diverged at every rate), "
           "2 bad input.";
}

void add_options(CLI::App& app, Options& options) {
    app.option_defaults()->take_last();
    const auto list = [&app](const char* name, auto& values, const char* type, const char* text) {
        return app.add_option(name, values, text)->delimiter(',')->type_name(type);
    };
    list("--optimizers,--optimizer", options.optimizers, "NAMES",
         "which, separated by commas; all: every one below that is not a form of another")
        ->capture_default_str();
    list("--tasks", options.tasks, "NAMES", "fashion_mnist, text")->capture_default_str();
    app.add_option("--preset", options.preset, "sizes and steps: small, medium, large")
        ->type_name("NAME")
        ->capture_default_str();
    const auto number = [&app](const char* name, auto& value, std::uint32_t most, const char* text,
                               std::uint32_t least = 1) {
        return app.add_option(name, value, text)->check(at_most(most, least))->type_name("N");
    };
    number("--steps", options.steps, 1000000, "of each run; default: the preset's");
    number("--seeds", options.seeds, 99, "of first weights and data order; medians are taken over them")
        ->capture_default_str();
    number("--seed", options.seed, ~0u - 99, "the first one", 0)->capture_default_str();
    list("--factors", options.factors, "FACTORS", "on the default learning rates, for the sweep")
        ->capture_default_str();
    list("--lr", options.learning_rates, "NAME=VALUE", "learning rate of an optimizer, in place of a sweep");
    list("--target", options.targets, "TASK=LOSS",
         "validation loss whose steps and time are reported; default: what AdamW ends with");
    app.add_option(
           "--budget", options.budget,
           "minutes for everything: runs are made shorter to fit, all of a task alike; default: no limit")
        ->check(CLI::Range(0.01, 1e6).description(""))
        ->type_name("MINUTES");
    app.add_flag("--resume", options.resume, "go on where a comparison in the output folder was cut off");
    app.add_option("--data", options.data, "images: folder with IDX files, as in fashion_mnist")
        ->type_name("DIR")
        ->capture_default_str();
    list("--text", options.texts, "FILES", "text; default: files of /usr/share/common-licenses");
    list("--hidden", options.hidden, "WIDTHS", "of the perceptron; default: the preset's, as all below")
        ->check(at_most(32768));
    number("--batch", options.batch, 65536, "images a step");
    number("--context", options.context, 4096, "of the transformer: characters of a window");
    number("--width", options.width, 8192, "its width, a multiple of the heads");
    number("--heads", options.heads, 256, "of its attention");
    number("--blocks", options.blocks, 64, "attention and perceptron, one behind the other");
    number("--sequences", options.sequences, 4096, "windows a step");
    add_device_option(app, options.device);
    app.add_flag("--list-devices", options.list_devices, "list the devices and end");
    app.add_option("--out", options.out, "output folder")->type_name("DIR")->capture_default_str();
    app.footer(help_footer);
}

Preset choose_preset(const Options& options) {
    const auto found = std::ranges::find(kPresets, options.preset, &Preset::name);
    if (found == std::end(kPresets))
        throw BadInput("--preset " + options.preset + ": must be small, medium or large");
    Preset preset = *found;
    const auto replace = [](std::uint32_t& value, const std::optional<std::uint32_t>& by) {
        value = by.value_or(value);
    };
    if (!options.hidden.empty()) preset.image.hidden = options.hidden;
    replace(preset.image.batch, options.batch);
    replace(preset.image.steps, options.steps);
    replace(preset.text.context, options.context);
    replace(preset.text.width, options.width);
    replace(preset.text.heads, options.heads);
    replace(preset.text.blocks, options.blocks);
    replace(preset.text.sequences, options.sequences);
    replace(preset.text.steps, options.steps);
    const TextTaskSettings& text = preset.text;
    if (text.width % text.heads != 0)
        throw BadInput(fmt::format("--width {}: must be a multiple of the {} heads", text.width, text.heads));
    // Kernels count elements with 32 bits.
    const std::uint64_t rows = std::uint64_t{text.sequences} * text.context;
    if (rows * text.heads > 0x3fffffff / text.context || rows > 0x3fffffff / std::max(4 * text.width, 256u))
        throw BadInput("--sequences: the transformer has more than 2^30 activations of a kind");
    if (preset.image.hidden.size() > 16) throw BadInput("--hidden: must be 1 to 16 widths");
    for (const std::uint32_t width : preset.image.hidden)
        if (std::uint64_t{width} * preset.image.batch > 0x3fffffff)
            throw BadInput("--hidden: a layer has more than 2^30 activations");
    return preset;
}

template <class Value>
void refuse_repetition(const char* option, const std::vector<Value>& values) {
    for (std::size_t i = 0; i < values.size(); ++i)
        if (std::ranges::count(values, values[i]) > 1)
            throw BadInput(fmt::format("{}: {} is given twice", option, values[i]));
}

void check_tasks(const std::vector<std::string>& tasks) {
    refuse_repetition("--tasks", tasks);
    for (const std::string& task : tasks)
        if (task != kImageTask && task != kTextTask)
            throw BadInput("--tasks " + task + ": there is no such task; known: fashion_mnist text");
}

ComparisonSettings comparison_settings(const Options& options) {
    ComparisonSettings settings;
    if (options.optimizers == std::vector<std::string>{"all"})
        for (const NamedOptimizer& optimizer : named_optimizers()) {
            if (!optimizer.form) settings.optimizers.push_back(&optimizer);
        }
    else
        for (const std::string& name : options.optimizers)
            settings.optimizers.push_back(&require_optimizer("--optimizers", name));
    refuse_repetition("--optimizers", options.optimizers);
    settings.rates = parse_learning_rates(options.learning_rates);
    for (const auto& [name, lr] : settings.rates) {
        if (lr == 0) throw BadInput("--lr " + name + "=0: must be above 0");
        if (std::ranges::find(settings.optimizers, name, &NamedOptimizer::name) == settings.optimizers.end())
            throw BadInput("--lr " + name + ": --optimizers does not ask for that optimizer");
    }
    settings.factors = options.factors;
    std::ranges::sort(settings.factors);
    refuse_repetition("--factors", settings.factors);
    for (const double factor : settings.factors)
        if (!(factor >= 1e-6 && factor <= 1e6))
            throw BadInput(fmt::format("--factors {}: must be 0.000001 to 1000000", factor));
    settings.seeds = options.seeds;
    settings.first_seed = options.seed;
    settings.budget_seconds = 60 * options.budget;
    for (const std::string& entry : options.targets) {
        const std::size_t equals = entry.find('=');
        const std::string task = entry.substr(0, equals);
        const std::string text = equals == std::string::npos ? "" : entry.substr(equals + 1);
        char* end = nullptr;
        const double loss = std::strtod(text.c_str(), &end);
        if (text.empty() || *end != '\0' || !std::isfinite(loss) || loss <= 0)
            throw BadInput("--target " + entry + ": must be TASK=LOSS, e.g. text=2.5");
        if (std::ranges::find(options.tasks, task) == options.tasks.end())
            throw BadInput("--target " + entry + ": --tasks does not ask for that task");
        settings.targets[task] = loss;
    }
    return settings;
}

std::string method_text(const ComparisonSettings& settings) {
    return fmt::format(
        "With seed {} the default rate of each optimizer times {}; then the better of the two\nbest, by the "
        "median of {} {}, and beyond while that is the grid's end.",
        settings.first_seed, fmt::join(settings.factors, ", "), settings.seeds,
        settings.seeds == 1 ? "seed" : "seeds");
}

// FNV-1a, of one after the other.
std::uint64_t fingerprint(std::initializer_list<std::span<const std::uint8_t>> parts) {
    std::uint64_t hash = 0xcbf29ce484222325;
    for (const std::span<const std::uint8_t> part : parts)
        for (const std::uint8_t byte : part) hash = (hash ^ byte) * 0x100000001b3;
    return hash;
}

// What a journal's trials have in common: tasks of the same name and size may have other data.
std::string journal_text(const std::string& device, const std::vector<const Task*>& tasks,
                         const Preset& preset, const std::optional<DataSet>& data,
                         const std::optional<Corpus>& corpus) {
    std::string text = device;
    for (const Task* task : tasks) text += "; " + task->name + ": " + task->text();
    if (data)
        text += fmt::format(
            "; images {:016x}, {} for validation",
            fingerprint({data->train.pixels, data->train.labels, data->test.pixels, data->test.labels}),
            preset.image.validation);
    if (corpus)
        text += fmt::format("; characters {:016x}, {} windows for validation",
                            fingerprint({corpus->train, corpus->validation}), preset.text.validation);
    return text;
}

int run(const Options& options, const std::string& command) {
    if (options.list_devices) {
        fmt::print("{}", device_table());
        return 0;
    }
    const ComparisonSettings settings = comparison_settings(options);
    check_tasks(options.tasks);
    const Preset preset = choose_preset(options);
    const auto wanted = [&](const char* task) {
        return std::ranges::find(options.tasks, task) != options.tasks.end();
    };
    std::optional<DataSet> data;
    std::optional<Corpus> corpus;
    if (wanted(kImageTask)) data = read_data_set(options.data);
    if (wanted(kTextTask)) {
        const std::vector<fs::path> files =
            options.texts.empty() ? default_texts()
                                  : std::vector<fs::path>(options.texts.begin(), options.texts.end());
        corpus = read_corpus(files, preset.text.context);
    }
    create_output_folder(options.out);

    const heron::Device device = create_device(options.device);
    fmt::print("Device: {}\n", device.explain());
    std::vector<std::unique_ptr<Task>> tasks;
    if (data) tasks.push_back(image_task(device, *data, preset.image));
    if (corpus) tasks.push_back(text_task(device, *corpus, preset.text));
    std::vector<const Task*> pointers;
    for (const auto& task : tasks) {
        fmt::print("Task:   {}: {}, {} steps\n", task->name, task->text(), task->steps);
        pointers.push_back(task.get());
    }
    std::fflush(stdout);

    const std::string device_text = fmt::format("{} ({})", device.info().name, device.info().driver);
    const auto report = [&](const std::vector<TaskResult>& results) {
        write_report(options.out, results,
                     {.device = device_text, .command = command, .method = method_text(settings)});
    };
    Progress progress;
    Journal journal(fs::path(options.out) / "comparison.runs", options.resume,
                    journal_text(device_text, pointers, preset, data, corpus));
    const std::vector<TaskResult> results = compare(device, pointers, settings, journal, progress, report);
    progress.clear();
    bool good = true;
    for (const TaskResult& result : results) {
        fmt::print("\n{}{}", table_text(result), findings(result));
        for (const Standing& standing : result.standings)
            good = good && standing.refusal.empty() && std::isfinite(standing.validation_loss);
    }
    fmt::print("\nWritten to {}: comparison.md, comparison.csv", options.out);
    for (const TaskResult& result : results) fmt::print(", images/compare-{}.svg", result.task->name);
    fmt::print("\n");
    return good ? 0 : 1;
}

}  // namespace

int main(int argc, char** argv) {
    Options options;
    CLI::App app(
        "Compares optimizers at tuned learning rates: a perceptron on Fashion-MNIST and a character-level "
        "transformer on text, in Vulkan compute.",
        "compare_optimizers");
    add_options(app, options);
    try {
        app.parse(argc, argv);
    } catch (const CLI::ParseError& error) {
        return app.exit(error) == 0 ? 0 : kExitBadInput;
    }
    std::string command = "samples/run.sh --sample compare_optimizers";
    for (int i = 1; i < argc; ++i) command += " " + std::string(argv[i]);
    return run_program("compare_optimizers", [&] { return run(options, command); });
}
