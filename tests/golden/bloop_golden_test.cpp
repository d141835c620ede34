// SPDX-License-Identifier: MIT
// Bloop and its relatives against apple/ml-bloop.
#include <gtest/gtest.h>

#include <algorithm>
#include <map>
#include <stdexcept>
#include <string>
#include <vector>

#include "heron/heron.hpp"
#include "support/device_fixture.hpp"
#include "support/golden.hpp"

namespace heron::test {
namespace {

class BloopGoldenTest : public DeviceTest {
protected:
    static BloopMethod method_of(const std::string& text) {
        const std::map<std::string, BloopMethod> methods{{"dynamic_barrier", BloopMethod::dynamic_barrier},
                                                         {"pcgrad", BloopMethod::pcgrad},
                                                         {"mixed", BloopMethod::mixed}};
        for (const auto& [name, method] : methods)
            if (text.starts_with(name)) return method;
        if (text.starts_with("bloop")) return BloopMethod::bloop;
        throw std::runtime_error("unknown method " + text);
    }

    void run_file(const GoldenCase& golden, GoldenResult& results) {
        BloopOptions options;
        options.method = method_of(golden.text("method", "bloop"));
        options.ema = golden.number("ema");
        options.lambda = static_cast<float>(golden.number("lbda"));
        options.eps = static_cast<float>(golden.number("eps"));
        options.rescale = golden.flag("rescale", false);
        options.use_ratio_only = golden.flag("use_ratio_only", false);
        const std::string init = golden.text("init", "grad");
        options.start = init == "grad" ? BloopStart::gradient : BloopStart::state;
        const bool projects = options.method != BloopMethod::mixed;
        const bool two = options.method == BloopMethod::pcgrad;

        // "main.a.1": parameter a, step 1.
        std::vector<std::string> names;
        int steps = 0;
        for (const std::string& tensor : golden.tensor_names()) {
            if (!tensor.starts_with("main.")) continue;
            const std::size_t dot = tensor.rfind('.');
            const int step = std::stoi(tensor.substr(dot + 1));
            if (step == 1) names.push_back(tensor.substr(5, dot - 5));
            steps = std::max(steps, step);
        }
        const auto key = [](const std::string& kind, const std::string& name, int step) {
            return kind + "." + name + "." + std::to_string(step);
        };

        Graph graph(device());
        std::vector<GuardedBuffer*> main, auxiliary, direction;
        std::vector<BloopPart> parts;
        for (const std::string& name : names) {
            const Shape shape = golden.tensor(key("main", name, 1)).shape;
            const auto place = [&](std::vector<GuardedBuffer*>& buffers, const std::string& kind) {
                buffers.push_back(&guarded(std::vector<float>(shape.count())));
                return graph.external(name + "." + kind, buffers.back()->view(DType::f32, shape));
            };
            parts.push_back(
                {name, place(main, "main"), place(auxiliary, "aux"), place(direction, "direction")});
        }
        bloop(graph, parts, options);
        Plan plan = graph.compile({.name = "bloop golden"});
        plan.allocate();
        if (projects) plan.initialize();
        if (init == "random") start_from_file(golden, plan, parts, options, key);

        // The authors' factor of bloop and dynamic_barrier is 1 + lambda, ours 1 / (1 + lambda).
        const double square = (1 + golden.number("lbda")) * (1 + golden.number("lbda"));
        const double scale = options.rescale && projects && !two ? square : 1;
        // A few roundings of each element, and of inner products of the file's few elements.
        constexpr double kBound = 2e-6;
        for (int step = 1; step <= steps; ++step) {
            for (std::size_t i = 0; i < names.size(); ++i) {
                main[i]->write(golden.tensor(key("main", names[i], step)).floats());
                auxiliary[i]->write(golden.tensor(key("aux", names[i], step)).floats());
            }
            plan.run();
            for (std::size_t i = 0; i < names.size(); ++i) {
                std::vector<double> values;
                for (float value : direction[i]->floats()) values.push_back(scale * value);
                const std::string name = key("direction", names[i], step);
                results.add(name, frobenius_error(values, golden.tensor(name).values), kBound);
                const auto check_state = [&](const std::string& kind, const char* state) {
                    const std::string file = key(kind, names[i], step);
                    if (!projects) return golden.ignore(file);  // what it began with
                    std::vector<float> average(values.size());
                    plan.read_state(names[i] + state, std::as_writable_bytes(std::span(average)));
                    results.add(file,
                                frobenius_error(std::vector<double>(average.begin(), average.end()),
                                                golden.tensor(file).values),
                                kBound);
                };
                check_state("state.ema", ".main_average");
                if (two) check_state("state.ema_aux", ".auxiliary_average");
            }
        }
    }

    // Averages that began as noise: what the first step has left, without what it added.
    template <typename Key>
    static void start_from_file(const GoldenCase& golden, Plan& plan, const std::vector<BloopPart>& parts,
                                const BloopOptions& options, const Key& key) {
        const auto begin = [&](const BloopPart& part, const char* kind, const char* from, const char* state) {
            const GoldenTensor after = golden.tensor(key(kind, part.name, 1));
            const GoldenTensor gradient = golden.tensor(key(from, part.name, 1));
            std::vector<float> before(after.values.size());
            for (std::size_t i = 0; i < before.size(); ++i)
                before[i] = static_cast<float>((after.values[i] - options.ema * gradient.values[i]) /
                                               (1 - options.ema));
            plan.write_state(part.name + state, std::as_bytes(std::span(before)));
        };
        for (const BloopPart& part : parts) {
            if (options.method == BloopMethod::mixed) continue;
            begin(part, "state.ema", "main", ".main_average");
            if (options.method == BloopMethod::pcgrad)
                begin(part, "state.ema_aux", "aux", ".auxiliary_average");
        }
    }
};

TEST_P(BloopGoldenTest, EveryFile) {
    run_golden("bloop", GetParam().name,
               [&](const GoldenCase& golden, GoldenResult& results) { run_file(golden, results); });
}

HERON_DEVICE_TESTS(BloopGoldenTest);

}  // namespace
}  // namespace heron::test
