// SPDX-License-Identifier: MIT
// Inverse Fisher matrices and pruning by them against IST-DASLab/M-FAC. Bounds follow from the file's
// gradients (support/fisher_reference.hpp).
#include <algorithm>
#include <cmath>
#include <numeric>
#include <stdexcept>

#include "heron/heron.hpp"
#include "support/device_fixture.hpp"
#include "support/fisher_reference.hpp"
#include "support/golden.hpp"
#include "support/polar_reference.hpp"

namespace heron::test {
namespace {

class MfacStaticGoldenTest : public DeviceTest {
public:
    void run_file(const GoldenCase& golden, GoldenResult& results) {
        if (golden.has("sparsity"))
            check_pruning(golden, results);
        else
            check_inverse(golden, results);
    }

private:
    struct Result {
        GuardedBuffer* buffer;
        Tensor tensor;
        std::vector<double> values() const {
            const std::vector<float> floats = buffer->floats();
            return {floats.begin(), floats.end()};
        }
    };
    Result place(Graph& graph, const std::vector<float>& values, const Shape& shape) {
        GuardedBuffer& buffer = guarded(values);
        return {&buffer, graph.external("tensor" + std::to_string(names_++), buffer.view(DType::f32, shape))};
    }
    Result zeros(Graph& graph, const Shape& shape) {
        return place(graph, std::vector<float>(shape.count(), 0.0f), shape);
    }
    Result indices(Graph& graph, const std::vector<std::uint32_t>& values, const Shape& shape) {
        GuardedBuffer& buffer = guarded(values);
        return {&buffer, graph.external("tensor" + std::to_string(names_++), buffer.view(DType::u32, shape))};
    }
    static void run(const Graph& graph) {
        Plan plan = graph.compile({.name = "mfac static golden"});
        plan.allocate();
        plan.run();
    }
    static double norm(const std::vector<double>& x) {
        double sum = 0;
        for (const double value : x) sum += value * value;
        return std::sqrt(sum);
    }
    static double largest(const std::vector<double>& x) {
        double result = 0;
        for (const double value : x) result = std::max(result, std::abs(value));
        return result;
    }

    void check_inverse(const GoldenCase& golden, GoldenResult& results) {
        const GoldenTensor g = golden.tensor("G"), x = golden.tensor("x"), hx = golden.tensor("Hx"),
                           diagonal = golden.tensor("diag");
        const std::uint64_t m = static_cast<std::uint64_t>(golden.number("m")),
                            d = static_cast<std::uint64_t>(golden.number("d"));
        if (!(g.shape == Shape{m, d})) throw std::runtime_error("G is not m x d");
        const std::uint64_t block =
            static_cast<std::uint64_t>(golden.number("blocksize", static_cast<double>(d)));
        const double damping = golden.number("damp");
        golden.number("npages", 1);  // how the code goes through memory
        golden.number("perbatch", 1);
        Graph graph(device());
        const FisherInverse inverse{zeros(graph, g.shape).tensor, static_cast<std::uint32_t>(m), block,
                                    static_cast<float>(damping)};
        const Result product = zeros(graph, x.shape), computed = zeros(graph, x.shape);
        fisher_inverse(graph, place(graph, g.floats(), g.shape).tensor, inverse);
        fisher_product(graph, inverse, place(graph, x.floats(), x.shape).tensor, product.tensor);
        fisher_diagonal(graph, inverse, computed.tensor);
        Result elements{};
        if (golden.has_tensor("ij")) {
            const GoldenTensor ij = golden.tensor("ij");
            elements = zeros(graph, Shape{ij.shape[0]});
            const std::vector<std::uint32_t> pairs(ij.values.begin(), ij.values.end());
            fisher_elements(graph, inverse, indices(graph, pairs, ij.shape).tensor, elements.tensor);
        }
        run(graph);
        const FisherReference reference(matrix_of(g.values, m, d), damping, block);
        const double allowed = reference.error / damping;
        results.add("Hx", frobenius_error(product.values(), hx.values),
                    allowed * norm(x.values) / norm(hx.values));
        results.add("diag", maximum_error(computed.values(), diagonal.values),
                    allowed / largest(diagonal.values));
        if (elements.buffer != nullptr) {
            const GoldenTensor expected = golden.tensor("elements");
            results.add("elements", maximum_error(elements.values(), expected.values),
                        allowed / largest(expected.values));
        }
        // The code's own way to them: V^T diag(1 / denom) V = (I / damping - F^-1).
        for (const char* name : {"state.V", "state.denom"}) golden.ignore(name);
    }

    // Rounds that begin at the file's weights, each with those that are still there alone: blocks are of
    // them. Of the gradients the last one is zero, as in the code, whose loop ends before it.
    void check_pruning(const GoldenCase& golden, GoldenResult& results) {
        const GoldenTensor start = golden.tensor("w.0");
        const std::uint64_t m = static_cast<std::uint64_t>(golden.number("ngrads")),
                            block = static_cast<std::uint64_t>(golden.number("blocksize")),
                            all = start.values.size();
        const double damping = golden.number("damp");
        const std::vector<double> targets = sparsities(golden);
        golden.ignore("x");  // the network's inputs and labels, which the gradients come from
        golden.ignore("y");
        std::vector<double> weights = start.values;
        std::vector<std::uint64_t> there(all);
        std::iota(there.begin(), there.end(), 0);
        for (std::size_t round = 1; round <= targets.size(); ++round) {
            const std::string r = "." + std::to_string(round);
            const GoldenTensor given = golden.tensor("grads" + r), expected = golden.tensor("w" + r),
                               mask = golden.tensor("mask" + r);
            if (!(given.shape == Shape{m, all})) throw std::runtime_error("grads" + r + " is not ngrads x d");
            const std::uint64_t d = there.size();
            std::vector<double> g(m * d), w(d);
            for (std::uint64_t i = 0; i < d; ++i) {
                w[i] = weights[there[i]];
                for (std::uint64_t k = 0; k + 1 < m; ++k) g[k * d + i] = given.values[k * all + there[i]];
            }
            const double sparsity = static_cast<double>(all - d) / static_cast<double>(all);
            const std::uint64_t count =
                static_cast<std::uint64_t>(static_cast<double>(all) * (targets[round - 1] - sparsity));
            Graph graph(device());
            const FisherInverse inverse{zeros(graph, Shape{m, d}).tensor, static_cast<std::uint32_t>(m),
                                        block, static_cast<float>(damping)};
            const Result kept = indices(graph, std::vector<std::uint32_t>(d, 1u), Shape{d}),
                         scores = zeros(graph, Shape{d}),
                         computed = place(graph, {w.begin(), w.end()}, Shape{d});
            fisher_inverse(graph, place(graph, {g.begin(), g.end()}, Shape{m, d}).tensor, inverse);
            pruning_scores(graph, inverse, computed.tensor, kept.tensor, scores.tensor);
            prune_smallest(graph, scores.tensor, kept.tensor, count);
            prune_weights(graph, inverse, kept.tensor, computed.tensor);
            run(graph);

            const std::vector<std::uint32_t> left = kept.buffer->read<std::uint32_t>();
            std::vector<double> wanted;
            double wrong = 0;
            for (std::uint64_t i = 0; i < d; ++i) {
                wanted.push_back(expected.values[there[i]]);
                if ((left[i] != 0) != (mask.values[there[i]] != 0)) ++wrong;
            }
            results.add("mask" + r, wrong, 0);
            const FisherReference reference(matrix_of(g, m, d), damping, block);
            results.add("w" + r, maximum_error(computed.values(), wanted),
                        weight_bound(reference, damping, w, left) / largest(wanted));
            weights = expected.values;
            std::erase_if(there, [&](std::uint64_t i) { return mask.values[i] == 0; });
        }
    }

    // What errors of the inverse make of F^-1 z and of z, and a rounding of the weights.
    static double weight_bound(const FisherReference& reference, double damping,
                               const std::vector<double>& weights, const std::vector<std::uint32_t>& kept) {
        double z = 0, z_error = 0;
        for (std::size_t i = 0; i < weights.size(); ++i) {
            if (kept[i] != 0) continue;
            const Eigen::Index at = static_cast<Eigen::Index>(i);
            const double diagonal = reference.inverse(at, at), removal = weights[i] / diagonal;
            z += removal * removal;
            z_error += std::pow(removal * reference.error / (damping * diagonal), 2);
        }
        return (reference.error * std::sqrt(z) + std::sqrt(z_error)) / damping + 0x1p-23 * largest(weights);
    }

    // A number or a list of numbers.
    static std::vector<double> sparsities(const GoldenCase& golden) {
        try {
            return golden.numbers("sparsity");
        } catch (const std::exception&) {
            return {golden.number("sparsity")};
        }
    }

    int names_ = 0;
};

TEST_P(MfacStaticGoldenTest, EveryFile) {
    run_golden("mfac_static", GetParam().name,
               [&](const GoldenCase& golden, GoldenResult& results) { run_file(golden, results); });
}

HERON_DEVICE_TESTS(MfacStaticGoldenTest);

}  // namespace
}  // namespace heron::test
