// SPDX-License-Identifier: MIT
// What do the optimizers cost beside Muon? Prints docs/step-cost.md:
//
//   step_cost --time 512 >docs/step-cost.md
//
// FLOPs and bytes are what plans state of the steps 1001 to 2000 (mean; and the step with most), for one
// square hidden matrix, with the options of the samples' table of optimizers, and some forms that it does
// not have (kMore). Times are the mean of --repeats steps, from submission to completion: 20 of them, the
// interval of most refreshes there, or a multiple have as many of these as a training. At --estimate's sizes
// one step of each kind is taken (kinds have other FLOPs: with a refresh, and without), and stands for all of
// its kind. What is over Muon's is over steps of Muon taken in between, because a machine that others use,
// too, is not as fast an hour later. A dash: the device cannot hold the plan.
#include <algorithm>
#include <cstdio>
#include <map>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "bench.hpp"
#include "core/push.h"
#include "heron/heron.hpp"
#include "support/optimizers.hpp"

namespace {

using namespace heron;
using namespace heron::bench;

constexpr std::uint32_t kFirstStep = 1001, kSteps = 1000;
constexpr int kWarmUps = 2, kTurn = 5, kMuonSteps = 2;
// Forms of other optimizers that have other costs.
constexpr std::string_view kForms[] = {"adamw_bf16", "adamw_block8",   "muon_bf16", "lion_bf16",
                                       "sgd_bf16",   "singd_diagonal", "ingd"};
constexpr std::uint64_t kSamples = 256;  // of the inputs and output gradients that optimizers of layers read

// Gradients stand for products with the Hessian.
samples::Optimizers psgd(const samples::OptimizerRequest& request, const PsgdKronOptions& options) {
    auto optimizer = std::make_unique<PsgdKron>(request.device, options);
    for (const Parameter& parameter : request.parameters) {
        PsgdInputs inputs;
        if (options.fit == PsgdFit::hessian) inputs.product = parameter.gradient;
        optimizer->add(parameter, inputs);
    }
    samples::Optimizers result;
    result.push_back(std::move(optimizer));
    return result;
}

template <PsgdGeometry kGeometry>
samples::Optimizers psgd_by(const samples::OptimizerRequest& request) {
    return psgd(request, {.geometry = kGeometry, .momentum = 0.9});
}

// What the samples have no use for. (PSGD's first geometry is psgd_kron's.)
constexpr samples::NamedOptimizer kMore[] = {
    {"psgd_newton", "PSGD by Hessian-vector products", 0.03f, false, false,
     [](const samples::OptimizerRequest& request) { return psgd(request, PsgdKronOptions::newton()); }},
    {"psgd_kron_qeq", "PSGD, QEQ", 0.03f, false, false, psgd_by<PsgdGeometry::qeq>},
    {"psgd_kron_qep", "PSGD, QEP", 0.03f, false, false, psgd_by<PsgdGeometry::qep>},
    {"psgd_kron_quad", "PSGD, QUAD", 0.03f, false, false, psgd_by<PsgdGeometry::quad>},
    {"psgd_kron_eq", "PSGD, EQ", 0.03f, false, false, psgd_by<PsgdGeometry::eq>},
    {"psgd_kron_pro4p", "PSGD, PRO4P", 0.03f, false, false, psgd_by<PsgdGeometry::pro4p>},
    {"psgd_kron_quad4p", "PSGD, QUAD4P", 0.03f, false, false, psgd_by<PsgdGeometry::quad4p>}};

struct Cost {
    double state = 0;  // bytes an element
    double flops = 0, worst_flops = 0, bytes = 0;
    std::optional<double> ms, over_muon;
};

// Columns of one quantity, one for each size.
struct Column {
    const char* title;
    const char* what;
    double (*value)(const Cost& cost, const Cost& muon);
    const char* format;
};

Cost cost_of(const Plan& plan, double elements) {
    Cost cost;
    cost.state = static_cast<double>(plan.state_bytes()) / elements;
    for (std::uint32_t t = 0; t < kSteps; ++t) {
        const StepCost step = plan.cost(kFirstStep + t);
        cost.flops += step.flops / kSteps;
        cost.bytes += step.bytes / kSteps;
        cost.worst_flops = std::max(cost.worst_flops, step.flops);
    }
    return cost;
}

struct Settings {
    std::vector<std::uint64_t> sizes{512, 1024, 2048, 4096}, time, estimate;
};

bool contains(const std::vector<std::uint64_t>& values, std::uint64_t value) {
    return std::ranges::find(values, value) != values.end();
}

class Table {
public:
    Table(Device& device, const Settings& settings, int steps)
        : device_(device), settings_(settings), sizes_(settings.sizes), steps_(steps) {
        // In the order of the other tables' columns.
        for (const std::uint64_t n : sizes_)
            if (contains(settings.time, n) || contains(settings.estimate, n)) timed_.push_back(n);
        largest_ = *std::ranges::max_element(sizes_);
        weights_ = device.create_buffer(4 * largest_ * largest_);
        gradients_ = device.create_buffer(4 * largest_ * largest_);
        captures_ = device.create_buffer(4 * 2 * kSamples * largest_);
        std::vector<float> values(largest_ * std::max(largest_, 2 * kSamples));
        std::uint32_t random = 1;
        for (float& value : values) {
            random = random * 1664525u + 1013904223u;
            value = static_cast<float>(random >> 8) * 0x1p-24f - 0.5f;
        }
        const auto bytes = std::as_bytes(std::span(values));
        weights_.write(bytes.first(4 * largest_ * largest_));
        gradients_.write(bytes.first(4 * largest_ * largest_));
        captures_.write(bytes.first(4 * 2 * kSamples * largest_));
    }

    void measure(const samples::NamedOptimizer& named) {
        std::vector<std::optional<Cost>> costs;
        for (const std::uint64_t n : sizes_) {
            const Parameter parameter = parameter_of(n);
            const std::vector<Parameter> parameters{parameter};
            const samples::Optimizers optimizers =
                named.create({.device = device_,
                              .parameters = parameters,
                              .routes = route(parameters),
                              .lr = named.lr,
                              .schedule = {},
                              .layers = {{.weight = parameter,
                                          .bias = {},
                                          .inputs = captures_.view(DType::f32, {kSamples, n}),
                                          .output_gradients = captures_.view(DType::f32, {kSamples, n},
                                                                             4 * kSamples * largest_),
                                          .patches = {}}}});
            std::vector<const Optimizer*> pointers;
            for (const auto& optimizer : optimizers) pointers.push_back(optimizer.get());
            try {
                Plan plan = compile(device_, pointers);
                Cost cost = cost_of(plan, static_cast<double>(n * n));
                if (contains(timed_, n)) time(plan, n, cost);
                costs.emplace_back(cost);
                std::cerr << named.name << " " << n
                          << (cost.ms ? ": " + std::to_string(*cost.ms) + " ms" : "") << "\n";
            } catch (const Error& error) {  // a window of gradients that no buffer of the device holds
                if (error.code() != ErrorCode::unsupported && error.code() != ErrorCode::out_of_device_memory)
                    throw;
                costs.emplace_back();
                std::cerr << named.name << " " << n << ": " << error.what() << "\n";
            }
        }
        rows_.push_back({std::string(named.name), costs});
    }

    void print() const {
        const auto muon = std::ranges::find(rows_, std::string("muon"), &Row::name);
        for (const Column& column : kColumns) print_column(column, muon->costs);
        if (!timed_.empty()) {
            std::printf(
                "\n## Time\n\nMilliseconds of a step, the mean of steps %d to %d of a training, with what "
                "these renew and no other refresh; in brackets over those of Muon in between.",
                kWarmUps + 1, kWarmUps + steps_);
            for (const std::uint64_t n : settings_.estimate)
                std::printf(" At %llu one step of each kind was taken and stands for all of its kind.",
                            static_cast<unsigned long long>(n));
            std::printf("\n\n");
            print_head(timed_);
            for (const Row& row : rows_) {
                std::printf("| %s |", row.name.c_str());
                for (std::size_t i = 0; i < sizes_.size(); ++i) {
                    if (!contains(timed_, sizes_[i])) continue;
                    if (row.costs[i])
                        std::printf(" %.4g (%.2f) |", *row.costs[i]->ms, *row.costs[i]->over_muon);
                    else
                        std::printf(" - |");
                }
                std::printf("\n");
            }
        }
    }

private:
    struct Row {
        std::string name;
        std::vector<std::optional<Cost>> costs;  // empty: the device cannot hold the plan
    };
    static constexpr Column kColumns[] = {
        {"State", "Bytes of state for each element of the matrix, which is f32; forms name other moments.",
         [](const Cost& cost, const Cost&) { return cost.state; }, " %.2f |"},
        {"FLOPs", "Of a step, in the mean over refreshes, over Muon's.",
         [](const Cost& cost, const Cost& muon) { return cost.flops / muon.flops; }, " %.3g |"},
        {"FLOPs of the worst step",
         "Over Muon's: a refresh, where there is one. Slices (Plan::record_slice) spread it.",
         [](const Cost& cost, const Cost& muon) { return cost.worst_flops / muon.flops; }, " %.3g |"},
        {"Memory traffic", "Of a step, in the mean, over Muon's; every operand of every pass counted once.",
         [](const Cost& cost, const Cost& muon) { return cost.bytes / muon.bytes; }, " %.3g |"}};

    static void print_head(const std::vector<std::uint64_t>& sizes) {
        std::printf("| optimizer |");
        for (const std::uint64_t n : sizes) std::printf(" %llu |", static_cast<unsigned long long>(n));
        std::printf("\n| --- |");
        for (std::size_t i = 0; i < sizes.size(); ++i) std::printf(" --: |");
        std::printf("\n");
    }
    void print_column(const Column& column, const std::vector<std::optional<Cost>>& muon) const {
        std::printf("\n## %s\n\n%s\n\n", column.title, column.what);
        print_head(sizes_);
        for (const Row& row : rows_) {
            std::printf("| %s |", row.name.c_str());
            for (std::size_t i = 0; i < sizes_.size(); ++i)
                if (row.costs[i])
                    std::printf(column.format, column.value(*row.costs[i], muon[i].value()));
                else
                    std::printf(" - |");
            std::printf("\n");
        }
    }
    // Steps of the optimizer and of Muon by turns.
    void time(Plan& plan, std::uint64_t n, Cost& cost) {
        plan.allocate();
        plan.initialize();
        Plan& muon = muon_of(n);
        const auto ms_of = [](Plan& of, int steps) {
            const Clock::time_point begin = Clock::now();
            for (int step = 0; step < steps; ++step) run_patiently(of);
            return milliseconds_since(begin);
        };
        const bool estimate = contains(settings_.estimate, n);
        ms_of(plan, estimate ? 1 : kWarmUps);
        double ms = 0, muon_ms = 0;
        int muon_steps = 0;
        const auto take_muon = [&](int steps) {
            muon_ms += ms_of(muon, steps);
            muon_steps += steps;
        };
        if (estimate) {
            std::map<double, std::vector<std::uint32_t>> kinds;  // by FLOPs
            for (int step = 0; step < steps_; ++step) {
                const auto t = static_cast<std::uint32_t>(kWarmUps + 1 + step);
                kinds[plan.cost(t).flops].push_back(t);
            }
            for (const auto& [flops, steps] : kinds) {
                set_next_step(plan, steps.front());
                ms += ms_of(plan, 1) * static_cast<double>(steps.size());
                take_muon(1);
            }
        } else {
            for (int done = 0; done < steps_; done += kTurn) {
                ms += ms_of(plan, std::min(kTurn, steps_ - done));
                ms_of(muon, 1);
                take_muon(kMuonSteps);
            }
        }
        cost.ms = ms / steps_;
        cost.over_muon = *cost.ms * muon_steps / muon_ms;
    }
    static void set_next_step(Plan& plan, std::uint32_t step) {
        gpu::StepControl control{};
        const auto bytes = std::as_writable_bytes(std::span(&control, 1));
        plan.read_state("heron.control", bytes);
        control.step = step - 1;
        plan.write_state("heron.control", bytes);
    }
    Plan& muon_of(std::uint64_t n) {
        const auto [place, is_new] = muons_.try_emplace(n);
        if (is_new) {
            Muon muon(device_);
            muon.add(parameter_of(n));
            place->second = compile(device_, {&muon});
            place->second.allocate();
            place->second.initialize();
            run_patiently(place->second);
        }
        return place->second;
    }
    Parameter parameter_of(std::uint64_t n) const {
        Parameter parameter;
        parameter.name = "blocks.0.fc.weight";
        parameter.weight = weights_.view(DType::f32, {n, n});
        parameter.gradient = gradients_.view(DType::f32, {n, n});
        return parameter;
    }

    Device& device_;
    const Settings& settings_;
    std::vector<std::uint64_t> sizes_, timed_;
    int steps_;
    std::uint64_t largest_ = 0;
    Buffer weights_, gradients_, captures_;
    std::map<std::uint64_t, Plan> muons_;  // by order
    std::vector<Row> rows_;
};

}  // namespace

int main(int argc, char** argv) {
    CLI::App app("Costs of every optimizer's step beside Muon's, as a page.", "step_cost");
    Settings settings;
    std::vector<std::string> names;
    std::string note;
    app.add_option("--sizes", settings.sizes, "rows and columns of the matrix")
        ->check(CLI::Range(1, 4096))
        ->type_name("N...")
        ->capture_default_str();
    app.add_option("--time", settings.time, "those of --sizes at which steps are timed, too")
        ->type_name("N...");
    app.add_option("--estimate", settings.estimate,
                   "those of --sizes at which one step of each kind is timed, for all of its kind")
        ->type_name("N...");
    app.callback([&] {
        for (const auto* timed : {&settings.time, &settings.estimate})
            for (const std::uint64_t n : *timed)
                if (!contains(settings.sizes, n))
                    throw CLI::ValidationError(std::to_string(n) + " is none of --sizes");
    });
    app.add_option("--optimizers", names,
                   "some, in place of all but forms of another one that cost what it does")
        ->type_name("NAME...");
    app.add_option("--note", note, "a sentence for the page, such as what else the machine was doing");
    return run_program(app, argc, argv, 20, [&](Device& device, int repeats) {
        Table table(device, settings, repeats);
        const auto measure = [&](const samples::NamedOptimizer& named) {
            const bool wanted = names.empty()
                                    ? !named.form || std::ranges::find(kForms, named.name) != std::end(kForms)
                                    : std::ranges::find(names, named.name) != names.end();
            if (wanted || named.name == "muon") table.measure(named);
        };
        std::ranges::for_each(samples::named_optimizers(), measure);
        std::ranges::for_each(kMore, measure);
        std::string command = "step_cost";
        for (int i = 1; i < argc; ++i)
            command += std::string(" ") + (std::string_view(argv[i]).find(' ') == std::string_view::npos
                                               ? std::string(argv[i])
                                               : "\"" + std::string(argv[i]) + "\"");
        std::printf("# What a step costs\n\n");
        std::printf("Written by `tests/bench/%s` (in the build folder). ", command.c_str());
        std::printf("One square hidden matrix of so many rows and columns, the options of ");
        std::printf(
            "[the samples' table](../samples/support/optimizers.cpp), or, of forms that it does not have, "
            "[the program's own](../tests/bench/step_cost.cpp); FLOPs and bytes as plans state ");
        std::printf("them, of steps 1001 to 2000; optimizers of layers see %llu samples. ",
                    static_cast<unsigned long long>(kSamples));
        std::printf(
            "In that table most refreshes come every 20 steps, SOAP's every 5, SINGD's and IKFAC's every 2, "
            "MKOR's and INGD's every 10, Conda's every 100, and Shampoo and its relatives have blocks of "
            "512, with which longer sides cost less than with the library's 1024.\n\n");
        std::printf("Device: %s (%s).%s%s\n", device.info().name.c_str(), device.info().driver.c_str(),
                    note.empty() ? "" : " ", note.c_str());
        table.print();
    });
}
