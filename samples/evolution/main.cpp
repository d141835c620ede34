// SPDX-License-Identifier: MIT
// Trains a network whose hidden units are 1 or -1, so that no gradient goes through them, by an evolution
// strategy with noise of low rank (EGGROLL): the scores of a population make gradients for any of Heron's
// optimizers.
#include <fmt/format.h>

#include <CLI/CLI.hpp>
#include <algorithm>
#include <chrono>
#include <random>
#include <string>
#include <vector>

#include "population.hpp"
#include "support/arguments.hpp"
#include "support/bad_input.hpp"
#include "support/dataset.hpp"
#include "support/device_option.hpp"
#include "support/optimizers.hpp"
#include "support/program.hpp"
#include "support/progress.hpp"

using namespace samples;

namespace {

struct Options {
    std::string data = kDefaultDataFolder;
    std::string device;
    std::string optimizer = "adamw";
    float lr = 0.01f;
    std::uint32_t hidden = 64;
    std::uint32_t steps = 1000;
    EvolutionSettings evolution;
};

void add_options(CLI::App& app, Options& options) {
    app.option_defaults()->take_last();
    app.add_option("--data", options.data, "folder with Fashion-MNIST, or another data set in IDX files")
        ->type_name("DIR")
        ->capture_default_str();
    add_device_option(app, options.device);
    app.add_option("--optimizer", options.optimizer,
                   "what takes the steps: one of those of fashion_mnist --help")
        ->type_name("NAME")
        ->capture_default_str();
    app.add_option("--lr", options.lr, "its learning rate")
        ->check(CLI::Range(1e-9, 1e3))
        ->capture_default_str();
    app.add_option("--sigma", options.evolution.sigma, "size of the noise")
        ->check(CLI::Range(1e-6, 1e3))
        ->capture_default_str();
    const auto number = [&app](const char* name, std::uint32_t& value, std::uint32_t most, const char* text) {
        app.add_option(name, value, text)->check(at_most(most))->type_name("N")->capture_default_str();
    };
    number("--members", options.evolution.members, 65536, "of the population; an even number");
    number("--rank", options.evolution.rank, 64, "of the noise");
    number("--batch", options.evolution.batch, 4096, "images that all members see in a step");
    number("--hidden", options.hidden, 4096, "units that are 1 or -1");
    number("--steps", options.steps, 1000000, "steps");
    number("--seed", options.evolution.seed, ~0u, "of the first weights, the noise and the order of images");
    app.footer("Exit code: 0 done, 1 failed, 2 bad input.");
}

// Rows of the batch, centred and scaled, and their labels once for each member.
void write_batch(Batch& batch, const DataSet& data, const LabelledImages& images,
                 const std::vector<std::uint32_t>& rows, std::uint32_t members) {
    const std::uint32_t pixels = images.pixels_per_image();
    std::vector<float> values(rows.size() * pixels);
    std::vector<std::uint32_t> labels;
    for (std::size_t r = 0; r < rows.size(); ++r)
        for (std::uint32_t k = 0; k < pixels; ++k)
            values[r * pixels + k] =
                (static_cast<float>(images.pixels[std::size_t{rows[r]} * pixels + k]) / 255 - data.mean) /
                data.deviation;
    for (std::uint32_t m = 0; m < members; ++m)
        for (const std::uint32_t row : rows) labels.push_back(images.labels[row]);
    batch.images.write(std::as_bytes(std::span(values)));
    batch.labels.write(std::as_bytes(std::span(labels)));
}

// Of the network without noise, over the whole test set.
double test_accuracy(heron::Plan& plan, Batch& batch, const DataSet& data, std::uint32_t rows) {
    std::uint32_t right = 0;
    std::vector<float> logits(std::size_t{rows} * data.classes);
    for (std::uint32_t first = 0; first < data.test.count; first += rows) {
        std::vector<std::uint32_t> here;
        for (std::uint32_t r = 0; r < rows; ++r) here.push_back(std::min(first + r, data.test.count - 1));
        write_batch(batch, data, data.test, here, 1);
        plan.run();
        batch.logits.read(std::as_writable_bytes(std::span(logits)));
        for (std::uint32_t r = 0; r < rows && first + r < data.test.count; ++r) {
            const auto row = std::span(logits).subspan(std::size_t{r} * data.classes, data.classes);
            right += std::max_element(row.begin(), row.end()) - row.begin() == data.test.labels[first + r];
        }
    }
    return static_cast<double>(right) / data.test.count;
}

int train(const Options& options) {
    const EvolutionSettings& s = options.evolution;
    if (s.members % 2 != 0) throw BadInput(fmt::format("--members {}: must be even", s.members));
    const NamedOptimizer& named = require_optimizer("--optimizer", options.optimizer);
    if (named.layers) throw BadInput("--optimizer " + options.optimizer + ": needs captured layers");
    const DataSet data = read_data_set(options.data);
    const heron::Device device = create_device(options.device);
    fmt::print("device: {}\n", device.info().name);

    const BinaryNetwork network(device, data.train.pixels_per_image(), options.hidden, data.classes, s.seed);
    const Optimizers optimizers = named.create({.device = device,
                                                .parameters = network.parameters(),
                                                .routes = heron::route(network.parameters()),
                                                .lr = options.lr,
                                                .schedule = heron::Schedule{},
                                                .rest_lr = options.lr});
    std::vector<const heron::Optimizer*> members;
    for (const auto& optimizer : optimizers) members.push_back(optimizer.get());
    heron::Plan step = heron::compile(device, members);
    Batch batch(device, network, s.batch, s.members);
    constexpr std::uint32_t kTestRows = 256;
    Batch test(device, network, kTestRows, 1);
    heron::Plan evolution = evolution_plan(device, network, batch, s);
    heron::Plan evaluation = evaluation_plan(device, network, test, kTestRows);
    step.allocate();
    step.initialize();
    evolution.allocate();
    evaluation.allocate();

    fmt::print("{} members of {} hidden units, noise of rank {}, {} takes the steps\n", s.members,
               options.hidden, s.rank, options.optimizer);
    Progress progress;
    std::mt19937 random(s.seed);
    std::vector<std::uint32_t> rows(s.batch);
    const auto begun = std::chrono::steady_clock::now();
    for (std::uint32_t t = 1; t <= options.steps; ++t) {
        for (std::uint32_t& row : rows) row = static_cast<std::uint32_t>(random() % data.train.count);
        write_batch(batch, data, data.train, rows, s.members);
        evolution.run();
        step.run();
        if (t % std::max(1u, options.steps / 10) == 0 || t == options.steps) {
            const float* scores = static_cast<const float*>(batch.scores.mapped());
            double loss = 0;
            for (std::uint32_t m = 0; m < s.members; ++m) loss -= static_cast<double>(scores[m]) / s.members;
            const std::chrono::duration<double> seconds = std::chrono::steady_clock::now() - begun;
            progress.line(fmt::format("  step {:>6}  loss {:.4f}  test accuracy {:.2f} %  {:.1f} s", t, loss,
                                      100 * test_accuracy(evaluation, test, data, kTestRows),
                                      seconds.count()));
        }
    }
    return 0;
}

}  // namespace

int main(int argc, char** argv) {
    return run_program("evolution", [&] {
        CLI::App app("Trains a network of binary units on Fashion-MNIST without derivatives.");
        Options options;
        add_options(app, options);
        try {
            app.parse(argc, argv);
        } catch (const CLI::ParseError& error) {
            return app.exit(error) == 0 ? 0 : kExitBadInput;
        }
        return train(options);
    });
}
