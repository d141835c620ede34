// SPDX-License-Identifier: MIT
// 4-bit Shampoo against the authors' Python in f32 with their quantiser: trainings that run on, and every
// step from the states that the file has of the step before.
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <cstdio>
#include <cstdlib>
#include <sstream>
#include <stdexcept>
#include <string>
#include <vector>

#include "golden/training_deviation.hpp"
#include "heron/heron.hpp"
#include "support/device_fixture.hpp"
#include "support/golden.hpp"

namespace heron::test {
namespace {

// One side of a block: its place in the plan's states, and its name in the file.
struct Side {
    std::uint64_t order;
    std::uint32_t axis;
    bool plain;
    std::uint64_t at_matrix, at_words, at_absmax, at_line, at_failures;
};

struct SgdBase {
    double momentum = 0;
    bool nesterov = false;
};
// "SGD", then "momentum", "nesterov" and a number in any order, with any of "=,()" between them.
SgdBase sgd_base(const std::string& base) {
    SgdBase result;
    std::string spaced = base, word;
    for (char& c : spaced)
        if (std::string("=,()").find(c) != std::string::npos) c = ' ';
    std::istringstream words(spaced);
    words >> word;
    bool known = word == "SGD";
    while (words >> word) {
        char* end = nullptr;
        const double number = std::strtod(word.c_str(), &end);
        if (word == "nesterov" || word == "Nesterov")
            result.nesterov = true;
        else if (*end == '\0')
            result.momentum = number;
        else
            known = known && (word == "momentum" || word == "with");
    }
    if (!known) throw std::runtime_error("base \"" + base + "\" is not known to this test");
    return result;
}

TEST(Shampoo4BitFiles, BasesAreReadInAnyOrderOfWords) {
    for (const char* base : {"SGD nesterov momentum 0.9", "SGD momentum 0.9 nesterov", "SGD nesterov 0.9",
                             "SGD (momentum=0.9, nesterov)", "SGD with Nesterov momentum 0.9"}) {
        EXPECT_EQ(sgd_base(base).momentum, 0.9) << base;
        EXPECT_TRUE(sgd_base(base).nesterov) << base;
    }
    EXPECT_EQ(sgd_base("SGD momentum 0.5").momentum, 0.5);
    EXPECT_FALSE(sgd_base("SGD momentum 0.5").nesterov);
    EXPECT_EQ(sgd_base("SGD").momentum, 0.0);
    EXPECT_THROW(sgd_base("SGD dampening 0.1"), std::runtime_error);
    EXPECT_THROW(sgd_base("Lion momentum 0.9"), std::runtime_error);
}

class Shampoo4BitGoldenTest : public DeviceTest {
public:
    void run_file(const GoldenCase& golden, GoldenResult& result) {
        if (golden.parameters().size() != 1) throw std::runtime_error("several parameters");
        const Shampoo4BitOptions options = options_of(golden);
        run(golden, result, options, false);
        run(golden, result, options, true);
    }

private:
    static Shampoo4BitOptions options_of(const GoldenCase& golden) {
        Shampoo4BitOptions o;
        // "SGD momentum 0.9", "SGD nesterov momentum 0.9", "AdamW (0.9, 0.999, 1e-8)"
        const std::string base = golden.text("base", "SGD momentum 0.9");
        double numbers[3] = {};
        if (std::sscanf(base.c_str(), "AdamW (%lf, %lf, %lf)", &numbers[0], &numbers[1], &numbers[2]) == 3) {
            o.base = Shampoo4BitBase::adamw;
            o.beta1 = numbers[0];
            o.beta2 = numbers[1];
            o.eps = static_cast<float>(numbers[2]);
        } else {
            const SgdBase sgd = sgd_base(base);
            o.momentum = sgd.momentum;
            o.nesterov = sgd.nesterov;
        }
        const auto whole = [&](const char* key, double fallback) {
            return static_cast<std::uint32_t>(golden.number(key, fallback));
        };
        o.nesterov = golden.flag("nesterov", o.nesterov);
        o.lr = static_cast<float>(golden.number("lr"));
        o.weight_decay = static_cast<float>(golden.number("weight_decay", 0));
        o.factor_decay = golden.number("stat_decay", 0.95);
        o.epsilon = static_cast<float>(golden.number("matrix_eps", 1e-6));
        o.bits = whole("prec_bits", 32);
        o.quantizer_block = whole("quan_blocksize", 64);
        o.least_elements = whole("min_lowbit_size", 4096);
        if (golden.flag("naive", false)) o.storage = Shampoo4BitStorage::factor;
        if (whole("inv_root_mode", 0) == 1) o.root = Shampoo4BitRoot::newton;
        o.statistic_rectifications = whole("rect_t1", 1);
        o.root_rectifications = whole("rect_t2", 4);
        o.block_size = whole("prec_maxorder", 1200);
        o.statistics = {.interval = whole("stat_compute_steps", 100), .stagger = false};
        o.roots = {.interval = whole("prec_compute_steps", 500), .stagger = false};
        o.start_step = whole("start_prec_step", 1);
        return o;
    }

    // In the file's order, block by block, rows before columns.
    static std::vector<Side> sides_of(const Shape& shape, const Shampoo4BitOptions& options) {
        std::vector<std::uint64_t> extents;
        for (const std::uint64_t extent : shape)
            if (extent != 1) extents.push_back(extent);
        if (extents.size() < 2) return {};
        const std::uint64_t lengths[] = {extents[0], shape.count() / extents[0]};
        Side next[2] = {{0, 0, false, 0, 0, 0, 0, 0}, {0, 1, false, 0, 0, 0, 0, 0}};
        std::vector<Side> sides;
        for (std::uint64_t row = 0; row < lengths[0]; row += options.block_size)
            for (std::uint64_t col = 0; col < lengths[1]; col += options.block_size)
                for (std::uint32_t axis = 0; axis < 2; ++axis) {
                    const std::uint64_t n =
                        std::min<std::uint64_t>(options.block_size, lengths[axis] - (axis == 0 ? row : col));
                    Side side = next[axis];
                    side.order = n;
                    side.plain = options.bits == 32 || n * n < options.least_elements;
                    sides.push_back(side);
                    if (side.plain) {
                        next[axis].at_matrix += n * n;
                    } else {
                        next[axis].at_words += n * quantized_words(n, options.bits);
                        next[axis].at_absmax +=
                            n * ((n + options.quantizer_block - 1) / options.quantizer_block);
                    }
                    next[axis].at_line += n;
                }
        return sides;
    }

    template <class Value>
    static std::vector<Value> read(const Plan& plan, const std::string& name, std::uint64_t first,
                                   std::uint64_t count) {
        std::vector<Value> all(plan.state_view(name).shape.count());
        plan.read_state(name, std::as_writable_bytes(std::span(all)));
        const auto begin = all.begin() + static_cast<std::ptrdiff_t>(first);
        return {begin, begin + static_cast<std::ptrdiff_t>(count)};
    }
    template <class Value>
    static void write(Plan& plan, const std::string& name, std::uint64_t first,
                      const std::vector<Value>& part) {
        std::vector<Value> all(plan.state_view(name).shape.count());
        plan.read_state(name, std::as_writable_bytes(std::span(all)));
        std::copy(part.begin(), part.end(), all.begin() + static_cast<std::ptrdiff_t>(first));
        plan.write_state(name, std::as_bytes(std::span(all)));
    }

    // Codes, element by element, of the file's bytes: rows one after another, the first element lowest.
    static std::vector<std::uint32_t> codes_in_file(const GoldenTensor& bytes, std::uint64_t n,
                                                    std::uint32_t bits) {
        std::vector<std::uint32_t> codes;
        for (std::uint64_t i = 0; i < n * n; ++i)
            codes.push_back(static_cast<std::uint32_t>(bytes.values[i * bits / 8]) >> i * bits % 8 &
                            ((1u << bits) - 1));
        return codes;
    }
    static std::vector<std::uint32_t> codes_in_plan(const std::vector<std::uint32_t>& words, std::uint64_t n,
                                                    std::uint32_t bits) {
        std::vector<std::uint32_t> codes;
        const std::uint64_t row = quantized_words(n, bits);
        for (std::uint64_t i = 0; i < n * n; ++i)
            codes.push_back(words[i / n * row + i % n * bits / 32] >> i % n * bits % 32 & ((1u << bits) - 1));
        return codes;
    }
    static std::vector<std::uint32_t> packed(const std::vector<std::uint32_t>& codes, std::uint64_t n,
                                             std::uint32_t bits) {
        const std::uint64_t row = quantized_words(n, bits);
        std::vector<std::uint32_t> words(n * row, 0);
        for (std::uint64_t i = 0; i < n * n; ++i)
            words[i / n * row + i % n * bits / 32] |= codes[i] << i % n * bits % 32;
        return words;
    }

    // A matrix of a side: basis, factor or root.
    struct Matrix {
        std::string in_file, in_plan, dense, codes, absmax, diagonal;
    };
    static std::vector<Matrix> matrices(const Side& side, std::size_t index, int t,
                                        const Shampoo4BitOptions& options) {
        const std::string axis = std::to_string(side.axis);
        const std::string stat = "state." + std::to_string(t) + ".stat" + std::to_string(index) + ".";
        const std::string root = "state." + std::to_string(t) + ".root" + std::to_string(index) + ".";
        const Matrix second{root, "p.root" + axis, "dense", "codes", "absmax", "diag"};
        if (options.storage == Shampoo4BitStorage::factor)
            return {{stat, "p.factor" + axis, "dense", "codes", "absmax", "diag"}, second};
        return {{stat, "p.basis" + axis, "Vt", "Vt_codes", "Vt_absmax", ""}, second};
    }

    // Some files have states of their last step alone.
    static bool has_states(const GoldenCase& golden, const std::vector<Side>& sides, int t,
                           const Shampoo4BitOptions& options) {
        if (sides.empty()) return false;
        const Matrix first = matrices(sides[0], 0, t, options)[0];
        return golden.has_tensor(first.in_file + (sides[0].plain ? first.dense : first.codes));
    }

    static void feed(const GoldenCase& golden, Plan& plan, const std::vector<Side>& sides, int t,
                     const Shampoo4BitOptions& options) {
        for (std::size_t i = 0; i < sides.size(); ++i) {
            const Side& side = sides[i];
            const std::uint64_t n = side.order;
            for (const Matrix& m : matrices(side, i, t, options)) {
                if (side.plain) {
                    write(plan, m.in_plan, side.at_matrix, golden.tensor(m.in_file + m.dense).floats());
                    continue;
                }
                const auto codes = codes_in_file(golden.tensor(m.in_file + m.codes), n, options.bits);
                write(plan, m.in_plan + "_codes", side.at_words, packed(codes, n, options.bits));
                write(plan, m.in_plan + "_absmax", side.at_absmax,
                      golden.tensor(m.in_file + m.absmax).floats());
                if (!m.diagonal.empty())
                    write(plan, m.in_plan + "_diagonal", side.at_line,
                          golden.tensor(m.in_file + m.diagonal).floats());
            }
            if (options.storage == Shampoo4BitStorage::eigenvectors)
                write(plan, "p.eigenvalues" + std::to_string(side.axis), side.at_line,
                      golden.tensor("state." + std::to_string(t) + ".stat" + std::to_string(i) + ".eig")
                          .floats());
        }
    }

    // The starts of the power iterations of a step, in the order in which the file drew them.
    static void feed_draws(const GoldenCase& golden, Plan& plan, const std::vector<Side>& sides, int t) {
        std::size_t draw = 0;
        for (const Side& side : sides) {
            const std::string name = "rng." + std::to_string(t) + "." + std::to_string(draw) + ".uniform";
            if (side.order == 1 || !golden.has_tensor(name)) continue;
            ++draw;
            std::vector<float> v = golden.tensor(name).floats();
            for (float& x : v) x = 2 * x - 1;
            write(plan, "p.vector" + std::to_string(side.axis), side.at_line, v);
        }
    }

    // A quantised matrix as it is applied.
    static std::vector<double> dequantised(const std::vector<std::uint32_t>& codes,
                                           const std::vector<double>& absmax,
                                           const std::vector<double>& diagonal,
                                           const Shampoo4BitOptions& options, std::uint64_t n) {
        const std::uint64_t blocks = (n + options.quantizer_block - 1) / options.quantizer_block;
        std::vector<double> matrix;
        for (std::uint64_t i = 0; i < n * n; ++i) {
            const std::uint64_t row = i / n, col = i % n;
            const auto level = static_cast<double>(quantized_level(codes[i], options.bits));
            matrix.push_back(row == col && !diagonal.empty()
                                 ? diagonal[row]
                                 : level * absmax[row * blocks + col / options.quantizer_block]);
        }
        return matrix;
    }
    // |X - X'|_F of the plan's matrix and the file's, which is more than rounding where a code in the middle
    // between two levels went to the other one.
    static double distance(const GoldenCase& golden, const Plan& plan, const Side& side, const Matrix& m,
                           const Shampoo4BitOptions& options) {
        if (side.plain) return 0;
        const std::uint64_t n = side.order;
        const auto plan_floats = [&](const char* name, std::uint64_t first, std::uint64_t count) {
            const std::vector<float> values = read<float>(plan, m.in_plan + name, first, count);
            return std::vector<double>(values.begin(), values.end());
        };
        const bool diagonal = !m.diagonal.empty();
        const std::vector<double> absmax = golden.tensor(m.in_file + m.absmax).values;
        const std::vector<double> expected = dequantised(
            codes_in_file(golden.tensor(m.in_file + m.codes), n, options.bits), absmax,
            diagonal ? golden.tensor(m.in_file + m.diagonal).values : std::vector<double>(), options, n);
        const std::vector<double> computed = dequantised(
            codes_in_plan(read<std::uint32_t>(plan, m.in_plan + "_codes", side.at_words,
                                              n * quantized_words(n, options.bits)),
                          n, options.bits),
            plan_floats("_absmax", side.at_absmax, absmax.size()),
            diagonal ? plan_floats("_diagonal", side.at_line, n) : std::vector<double>(), options, n);
        double sum = 0;
        for (std::size_t i = 0; i < expected.size(); ++i) sum += std::pow(computed[i] - expected[i], 2);
        return std::sqrt(sum);
    }

    // What roots that differ in a few codes may move a step by, relatively: a side's |R - R'| over the least
    // that R makes of a vector, about its least diagonal element.
    static double moved_by_roots(const GoldenCase& golden, const Plan& plan, const std::vector<Side>& sides,
                                 int t, const Shampoo4BitOptions& options) {
        double sum = 0;
        for (std::size_t i = 0; i < sides.size(); ++i) {
            if (sides[i].plain) continue;
            const Matrix root = matrices(sides[i], i, t, options)[1];
            const std::vector<double> diagonal = golden.tensor(root.in_file + root.diagonal).values;
            sum += distance(golden, plan, sides[i], root, options) /
                   *std::min_element(diagonal.begin(), diagonal.end());
        }
        return sum;
    }

    static void compare_states(const GoldenCase& golden, GoldenResult& result, const Plan& plan,
                               const std::vector<Side>& sides, int t, const Shampoo4BitOptions& options) {
        for (std::size_t i = 0; i < sides.size(); ++i) {
            const Side& side = sides[i];
            const std::uint64_t n = side.order;
            const auto floats = [&](const std::string& name, std::uint64_t first, std::uint64_t count) {
                const std::vector<float> values = read<float>(plan, name, first, count);
                return std::vector<double>(values.begin(), values.end());
            };
            // The last vectors of a QR are what rounding leaves of columns that are nearly spanned by the
            // others; small eigenvalues have the rounding of the largest, n u, and a quarter of that reaches
            // the root.
            double basis_bound = kStateBound, root_bound = kStateBound;
            double root_moved = 0;  // at most, by other codes of the basis: 2 |V - V'| |X|
            if (options.storage == Shampoo4BitStorage::eigenvectors) {
                const std::string name = "state." + std::to_string(t) + ".stat" + std::to_string(i) + ".eig";
                const std::vector<double> values = golden.tensor(name).values;
                result.add(name,
                           maximum_error(floats("p.eigenvalues" + std::to_string(side.axis), side.at_line, n),
                                         values),
                           kStateBound);
                const double largest = *std::max_element(values.begin(), values.end());
                const double smallest =
                    std::max(*std::min_element(values.begin(), values.end()), 1e-4 * largest);
                const double ridge = static_cast<double>(options.epsilon) * largest;
                basis_bound = std::max(basis_bound, largest / smallest * kUnit);
                root_bound = std::max(root_bound,
                                      0.25 * static_cast<double>(n) * kUnit * largest / (smallest + ridge));
                const Matrix basis = matrices(side, i, t, options)[0];
                root_moved = 2 * distance(golden, plan, side, basis, options) *
                             std::pow(*std::min_element(values.begin(), values.end()) + ridge, -0.25);
            }
            for (const Matrix& m : matrices(side, i, t, options)) {
                const bool root = m.in_file.find("root") != std::string::npos;
                const double bound = root ? root_bound : basis_bound;
                // maximum_error() is of the largest element.
                const auto bound_of = [&](const std::vector<double>& values) {
                    return bound + (root ? root_moved / *std::max_element(values.begin(), values.end()) : 0);
                };
                if (side.plain) {
                    result.add(m.in_file + m.dense,
                               maximum_error(floats(m.in_plan, side.at_matrix, n * n),
                                             golden.tensor(m.in_file + m.dense).values),
                               bound);
                    continue;
                }
                if (golden.has_tensor(m.in_file + m.dense)) golden.ignore(m.in_file + m.dense);
                const auto computed =
                    codes_in_plan(read<std::uint32_t>(plan, m.in_plan + "_codes", side.at_words,
                                                      n * quantized_words(n, options.bits)),
                                  n, options.bits);
                compare_codes(result, m.in_file + m.codes, computed,
                              codes_in_file(golden.tensor(m.in_file + m.codes), n, options.bits),
                              options.bits, bound);
                const std::vector<double> absmax = golden.tensor(m.in_file + m.absmax).values;
                result.add(
                    m.in_file + m.absmax,
                    maximum_error(floats(m.in_plan + "_absmax", side.at_absmax, absmax.size()), absmax),
                    bound_of(absmax));
                if (m.diagonal.empty()) continue;
                const std::vector<double> diagonal = golden.tensor(m.in_file + m.diagonal).values;
                result.add(m.in_file + m.diagonal,
                           maximum_error(floats(m.in_plan + "_diagonal", side.at_line, n), diagonal),
                           bound_of(diagonal));
            }
        }
    }

    // A value in the middle between two levels may go to either, and few values are: what differs does so by
    // one level and `bound`.
    static void compare_codes(GoldenResult& result, const std::string& what,
                              const std::vector<std::uint32_t>& computed,
                              const std::vector<std::uint32_t>& expected, std::uint32_t bits, double bound) {
        const std::uint32_t last = (1u << bits) - 1;
        const auto level = [&](std::uint32_t code) {
            return static_cast<double>(quantized_level(std::min(code, last), bits));
        };
        double worst = 0, changed = 0;
        for (std::size_t k = 0; k < expected.size(); ++k) {
            const std::uint32_t code = expected[k];
            const double gap =
                std::max(level(code + 1) - level(code), level(code) - level(code > 0 ? code - 1 : 0));
            worst = std::max(worst, std::abs(level(computed[k]) - level(code)) / (gap + 2 * bound));
            changed += computed[k] == code ? 0 : 1;
        }
        result.add(what, worst, 1);
        result.add(what + " (share)", changed / static_cast<double>(expected.size()),
                   std::max(0.02, (last + 1) * bound));
    }

    void run(const GoldenCase& golden, GoldenResult& result, const Shampoo4BitOptions& options, bool fed) {
        const GoldenTensor first = golden.tensor("w.0");
        GuardedBuffer& weight = guarded(first.floats());
        GuardedBuffer& gradient = guarded(std::vector<float>(first.values.size(), 0.0f));
        Shampoo4Bit optimizer(device(), options);
        Parameter parameter;
        parameter.name = "p";
        parameter.weight = weight.view(DType::f32, first.shape);
        parameter.gradient = gradient.view(DType::f32, first.shape);
        optimizer.add(parameter);
        Plan plan = compile(device(), {&optimizer});
        plan.allocate();
        plan.initialize();
        const std::vector<Side> sides = sides_of(first.shape, options);
        // What rounding to f32 costs the reference is measured, and as much again ten times is allowed. One
        // code in the middle between two levels moves the step by its share of a matrix, and momentum keeps
        // that.
        const double update_bound = float32_bound(golden, 1e-3);
        double moved = 0;
        std::vector<double> last = first.values;
        for (int t = 1; golden.has_tensor("g." + std::to_string(t)); ++t) {
            gradient.write(golden.tensor("g." + std::to_string(t)).floats());
            if (fed && t > 1 && has_states(golden, sides, t - 1, options))
                feed(golden, plan, sides, t - 1, options);
            feed_draws(golden, plan, sides, t);
            const std::vector<float> before = weight.floats();
            plan.run();
            const std::vector<float> after = weight.floats();
            const std::vector<double> expected = golden.tensor("w." + std::to_string(t)).values;
            std::vector<double> update, wanted;
            double norm = 0, size = 0;
            for (std::size_t i = 0; i < after.size(); ++i) {
                update.push_back(static_cast<double>(after[i]) - static_cast<double>(before[i]));
                wanted.push_back(expected[i] - last[i]);
                norm += expected[i] * expected[i];
                size += wanted[i] * wanted[i];
            }
            last = expected;
            const double rounding = size > 0 ? 3 * 0x1p-24 * std::sqrt(norm / size) : 0;
            const bool compared = has_states(golden, sides, t, options);
            if (compared) moved = std::max(moved, moved_by_roots(golden, plan, sides, t, options));
            result.add((fed ? "fed update " : "update ") + std::to_string(t), frobenius_error(update, wanted),
                       update_bound + moved + rounding);
            if (fed && compared) compare_states(golden, result, plan, sides, t, options);
        }
        TrainingDeviation deviation;
        deviation.add(first.values, last, weight.floats());
        if (!fed) deviation.compare(golden, result, "", update_bound + moved);
    }

    static constexpr double kUnit = 0x1p-24;
    static constexpr double kStateBound = 2e-5;
};

TEST_P(Shampoo4BitGoldenTest, EveryFile) {
    run_golden("shampoo4bit", GetParam().name,
               [&](const GoldenCase& golden, GoldenResult& result) { run_file(golden, result); });
}

HERON_DEVICE_TESTS(Shampoo4BitGoldenTest);

}  // namespace
}  // namespace heron::test
