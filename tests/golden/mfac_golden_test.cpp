// SPDX-License-Identifier: MIT
// M-FAC against IST-DASLab/M-FAC: the optimizer, and the window that it is made of.
//
// The damping may be raised, to what is lost in f32 anyway (heron/linalg/woodbury.hpp). Bounds are 2e-4, what
// float32 owes for solves of condition 1e4, and how far the raised damping, which the device reports, moves
// the result in float64.
#include <algorithm>
#include <cmath>
#include <stdexcept>

#include "golden/optimizer_golden.hpp"
#include "golden/window_debt.hpp"
#include "optim/reference_mfac.hpp"
#include "support/fisher_reference.hpp"

namespace heron::test {
namespace {

constexpr double kBound = 2e-4;

class MfacGoldenTest : public OptimizerGoldenTest {
public:
    void run_file(const GoldenCase& golden, GoldenResult& result) {
        if (golden.has("ngrads"))
            run_optimizer(golden, result);
        else
            run_window(golden, result);
    }

private:
    static float reported_damping(const Plan& plan) {
        float damping = 0;
        plan.read_state("mfac.damping", std::as_writable_bytes(std::span(&damping, 1)));
        return damping;
    }
    // Raised as documented, and no further.
    static void check_damping(GoldenResult& result, const MfacWindow& window, double used) {
        result.add("damping", std::abs(used / raised_damping(window) - 1), 1e-5);
    }

    void run_optimizer(const GoldenCase& golden, GoldenResult& result) {
        MfacOptions options;
        options.lr = static_cast<float>(golden.number("lr", options.lr));
        options.momentum = golden.number("momentum", options.momentum);
        options.weight_decay = static_cast<float>(golden.number("weight_decay", options.weight_decay));
        options.window = static_cast<std::uint32_t>(golden.number("ngrads", options.window));
        options.damping = static_cast<float>(golden.number("damp", options.damping));
        options.sparse = golden.flag("sparse", options.sparse);
        if (golden.has("steps") &&
            golden.has_tensor(GoldenCase::tensor_name("g", golden.parameters()[0],
                                                      static_cast<int>(golden.number("steps")) + 1)))
            throw std::runtime_error("there are more gradients than steps");
        OptimizerGolden setup;
        setup.make = [&](const Device& on) { return std::make_unique<Mfac>(on, options); };
        setup.update_bound = kBound;
        const std::vector<double> more = owed(golden, options);
        setup.conditioning = [more](const std::string&, int t) {
            return *std::max_element(more.begin(), more.begin() + t);
        };
        run_case(golden, result, setup);
    }

    // What each step's solve owes beyond kBound: the whole model's window, along the file's weights.
    static std::vector<double> owed(const GoldenCase& golden, const MfacOptions& options) {
        const std::vector<std::string> names = golden.parameters();
        std::vector<double> result;
        std::unique_ptr<MfacWindow> window;
        for (int t = 1; golden.has_tensor(GoldenCase::tensor_name("g", names[0], t)); ++t) {
            std::vector<double> gradient;
            for (const std::string& name : names) {
                const auto tensor = [&](const char* kind, int step) {
                    return golden.tensor(GoldenCase::tensor_name(kind, name, step)).values;
                };
                const std::vector<double> start = tensor("w", 0), w = tensor("w", t - 1), g = tensor("g", t);
                for (std::size_t i = 0; i < g.size(); ++i)
                    if (!options.sparse || start[i] != 0)
                        gradient.push_back(g[i] + static_cast<double>(options.weight_decay) * w[i]);
            }
            if (!window)
                window = std::make_unique<MfacWindow>(options.window, gradient.size(),
                                                      static_cast<double>(options.damping));
            const std::vector<double> exact = window->push(gradient);
            result.push_back(window_debt(*window, exact, raised_damping(*window)));
        }
        return result;
    }
    // ihvp.t = F^-1 g.t by the optimizer, with weights of zero and rate 1; Hx.t = F^-1 x.t for any x, with
    // its window.
    void run_window(const GoldenCase& golden, GoldenResult& result) {
        const std::uint64_t m = static_cast<std::uint64_t>(golden.number("m")),
                            d = static_cast<std::uint64_t>(golden.number("d"));
        const double lambda = golden.number("damp");
        const std::vector<float> zeros(d, 0.0f);
        GuardedBuffer &weight = guarded(zeros), &gradient = guarded(zeros);
        Mfac mfac(
            device(),
            {.lr = 1.0f, .window = static_cast<std::uint32_t>(m), .damping = static_cast<float>(lambda)});
        mfac.add({"p", weight.view(DType::f32, {d}), gradient.view(DType::f32, {d})});
        Plan plan = compile(device(), {&mfac});
        plan.allocate();
        plan.initialize();
        Graph graph(device());
        // Rows are padded to multiples of four; so is x.
        const Tensor rows = graph.external("window", plan.state_view("mfac.window"));
        const std::uint64_t padded = rows.cols();
        GuardedBuffer &b = guarded(std::vector<float>(padded, 0.0f)),
                      &solution = guarded(std::vector<float>(padded, 0.0f)),
                      &y = guarded(std::vector<float>(m * padded, 0.0f));
        const FisherInverse fisher{graph.external("y", y.view(DType::f32, {m, padded})),
                                   static_cast<std::uint32_t>(m), padded, static_cast<float>(lambda)};
        fisher_inverse(graph, rows, fisher);
        fisher_product(graph, fisher, graph.external("x", b.view(DType::f32, {padded})),
                       graph.external("result", solution.view(DType::f32, {padded})));
        Plan solve = graph.compile({.name = "mfac golden"});
        solve.allocate();

        MfacWindow reference(m, d, lambda);
        const int steps = static_cast<int>(golden.number("steps"));
        for (int step = 1; step <= steps; ++step) {
            const std::string t = "." + std::to_string(step);
            const GoldenTensor g = golden.tensor("g" + t), expected = golden.tensor("ihvp" + t);
            gradient.write(g.floats());
            weight.write(zeros);
            plan.run();
            const std::vector<double> exact = reference.push(g.values);
            const double used = static_cast<double>(reported_damping(plan));
            check_damping(result, reference, used);
            std::vector<double> u = doubles_of(weight);
            for (double& value : u) value = -value;
            result.add("ihvp" + t, frobenius_error(u, expected.values),
                       kBound + window_debt(reference, exact, used));
            if (golden.has_tensor("state.dots" + t))
                result.add("dots" + t,
                           frobenius_error(dots_of(plan, m), golden.tensor("state.dots" + t).values), 1e-6);
            for (const char* name : {"state.D", "state.B", "state.denom"}) golden.ignore(name + t);
            if (!golden.has_tensor("x" + t)) continue;
            std::vector<float> right = golden.tensor("x" + t).floats();
            right.resize(padded, 0.0f);
            b.write(right);
            solve.run();
            std::vector<double> product = doubles_of(solution);
            product.resize(d);
            const GoldenTensor wanted = golden.tensor("Hx" + t);
            const FisherReference exactly(reference.rows(), lambda, d);
            result.add("Hx" + t, frobenius_error(product, wanted.values),
                       exactly.error / lambda * euclidean_norm(golden.tensor("x" + t).values) /
                           euclidean_norm(wanted.values));
        }
    }

    static std::vector<double> doubles_of(const GuardedBuffer& buffer) {
        const std::vector<float> values = buffer.floats();
        return {values.begin(), values.end()};
    }
    // Products of gradients, from those of rows over powers of two.
    static std::vector<double> dots_of(const Plan& plan, std::uint64_t m) {
        std::vector<float> gram(m * m);
        std::vector<std::int32_t> e(m);
        plan.read_state("mfac.gram", std::as_writable_bytes(std::span(gram)));
        plan.read_state("mfac.exponents", std::as_writable_bytes(std::span(e)));
        std::vector<double> dots(gram.begin(), gram.end());
        for (std::uint64_t i = 0; i < m; ++i)
            for (std::uint64_t j = 0; j < m; ++j) dots[i * m + j] *= std::ldexp(1.0, e[i] + e[j]);
        return dots;
    }
};

TEST_P(MfacGoldenTest, EveryFile) {
    run_golden("mfac_dynamic", GetParam().name,
               [&](const GoldenCase& golden, GoldenResult& result) { run_file(golden, result); });
}

HERON_DEVICE_TESTS(MfacGoldenTest);

}  // namespace
}  // namespace heron::test
