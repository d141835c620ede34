// SPDX-License-Identifier: MIT
// fill_random() against Philox 4x32-10 on the host and float64 transformations of its words, on every device.
#include <bit>
#include <cmath>
#include <limits>
#include <numbers>

#include "linalg/linalg_test.hpp"
#include "support/philox.hpp"

namespace heron::test {
namespace {

// The published known-answer vectors (Random123, kat_vectors, philox4x32 10).
struct KnownAnswer {
    PhiloxBlock counter;
    std::uint32_t key0, key1;
    PhiloxBlock result;
};
constexpr KnownAnswer kKnownAnswers[] = {
    {{0, 0, 0, 0}, 0, 0, {0x6627e8d5, 0xe169c58d, 0xbc57ac4c, 0x9b00dbd8}},
    {{0xffffffff, 0xffffffff, 0xffffffff, 0xffffffff},
     0xffffffff,
     0xffffffff,
     {0x408f276d, 0x41c83b0e, 0xa20bc7c6, 0x6d5451fd}},
    {{0x243f6a88, 0x85a308d3, 0x13198a2e, 0x03707344},
     0xa4093822,
     0x299f31d0,
     {0xd16cfe09, 0x94fdcceb, 0x5001e420, 0x24126ea1}},
};

std::vector<std::uint32_t> expected_words(std::uint64_t count, const RandomOptions& x) {
    std::vector<std::uint32_t> words;
    for (std::uint64_t e = 0; e < count; ++e)
        words.push_back(
            philox({x.first_block + static_cast<std::uint32_t>(e / 4), x.step, x.tensor, x.stream},
                   static_cast<std::uint32_t>(x.seed), static_cast<std::uint32_t>(x.seed >> 32))[e % 4]);
    return words;
}

// What element e should be, and how far a device may be off, before rounding to the tensor's dtype.
struct Expected {
    double value, allowed;
};
Expected expected_number(const std::vector<std::uint32_t>& words, std::uint64_t e, Distribution distribution,
                         DType dtype) {
    constexpr double u = 0x1p-24;
    const auto positive = [](std::uint32_t word) { return ((word >> 8) + 1) * 0x1p-24; };
    switch (distribution) {
        case Distribution::uniform: {
            const int bits = dtype == DType::f16 ? 11 : dtype == DType::bf16 ? 8 : 24;
            return {std::ldexp(words[e] >> (32 - bits), -bits), 0};
        }
        case Distribution::normal: {
            const std::uint64_t pair = e / 2 * 2;
            const double radius = std::sqrt(-2 * std::log(positive(words[pair])));
            const std::uint32_t word = words[pair + 1];
            // In quarters of a circle; the quarter's own offset is centred.
            const double angle =
                ((word >> 30) + ((word >> 6) & 0xffffff) * 0x1p-24 - 0.5) * std::numbers::pi / 2;
            return {radius * (e % 2 == 0 ? std::cos(angle) : std::sin(angle)), 8 * u * radius};
        }
        case Distribution::signs:
            return {words[e] >> 31 == 0 ? 1.0 : -1.0, 0};
        default: {
            const double value = -std::log(positive(words[e]));
            return {value, 2 * u * value};
        }
    }
}

const char* to_string(Distribution distribution) {
    switch (distribution) {
        case Distribution::uniform:
            return "uniform";
        case Distribution::normal:
            return "normal";
        case Distribution::signs:
            return "signs";
        case Distribution::exponential:
            return "exponential";
        default:
            return "bits";
    }
}

class RandomTest : public LinalgTest {
protected:
    // Fills a 1 x count tensor and returns its words; without a control block.
    std::vector<std::uint32_t> words(Device& device, std::uint64_t count, RandomOptions options,
                                     const PlanOptions& plan = {}) {
        options.control = false;
        GuardedBuffer& buffer = guarded_on(device, std::vector<std::uint32_t>(count, 0xdeadbeef));
        Graph graph(device);
        const DType dtype = options.distribution == Distribution::bits ? DType::u32 : DType::f32;
        fill_random(graph, graph.external("x", buffer.view(dtype, {count})), options);
        run(graph, plan);
        return buffer.read<std::uint32_t>();
    }
};

TEST_P(RandomTest, WordsAreThePublishedOnes) {
    for (const KnownAnswer& known : kKnownAnswers) {
        EXPECT_EQ(philox(known.counter, known.key0, known.key1), known.result);
        const std::vector<std::uint32_t> is = words(device(), 4,
                                                    {.distribution = Distribution::bits,
                                                     .seed = std::uint64_t{known.key1} << 32 | known.key0,
                                                     .tensor = known.counter[2],
                                                     .stream = known.counter[3],
                                                     .step = known.counter[1],
                                                     .first_block = known.counter[0]});
        EXPECT_EQ(is, std::vector<std::uint32_t>(known.result.begin(), known.result.end()));
    }
}

TEST_P(RandomTest, WordsAreTheHostsForEverySize) {
    const RandomOptions options{.distribution = Distribution::bits, .seed = 0x123456789abcdef0, .tensor = 7};
    for (std::uint64_t count : {1u, 2u, 3u, 5u, 8u, 31u, 33u, 257u, 2047u, 2049u, 10001u})
        EXPECT_EQ(words(device(), count, options), expected_words(count, options)) << count;
}

TEST_P(RandomTest, NumbersMatchFloat64) {
    for (DType dtype : {DType::f32, DType::f16, DType::bf16})
        for (Distribution distribution :
             {Distribution::uniform, Distribution::normal, Distribution::signs, Distribution::exponential})
            for (std::uint64_t gap : {0u, 3u}) {
                const std::uint64_t items = 2, rows = 31, cols = 37, stride = cols + gap;
                const std::vector<Matrix> nothing(items, Matrix::Constant(rows, cols, 0.25));
                GuardedBuffer& buffer = guarded(encode(nothing, dtype, stride));
                RandomOptions options{.distribution = distribution,
                                      .seed = 99,
                                      .tensor = 3,
                                      .stream = 5,
                                      .step = 1000,
                                      .control = false,
                                      .scale = 0.5f};
                Graph graph(device());
                const Tensor to = graph.external(
                    "x", {buffer.address(), dtype, {items, rows, cols}, gap == 0 ? 0 : stride});
                fill_random(graph, to, options);
                run(graph);
                const auto bytes = buffer.read<std::byte>();
                EXPECT_TRUE(gaps_intact(bytes, dtype, items, rows, cols, stride));
                const std::vector<Matrix> is = decode(bytes, dtype, items, rows, cols, stride);
                const auto expected = expected_words(items * rows * cols, options);
                double worst = 0, error = 0, bound = 0;
                std::uint64_t where = 0;
                for (std::uint64_t e = 0; e < expected.size(); ++e) {
                    const Expected should = expected_number(expected, e, distribution, dtype);
                    const double value = is[e / (rows * cols)](static_cast<Eigen::Index>(e / cols % rows),
                                                               static_cast<Eigen::Index>(e % cols));
                    // The rounding of a 16-bit result comes on top; subnormals of f16 are 2^-24 apart.
                    const double rounding = dtype == DType::f32
                                                ? 0
                                                : 0.5 * std::abs(should.value) * unit_roundoff(dtype) +
                                                      (dtype == DType::f16 ? 0x1p-25 : 0);
                    double off = std::abs(value - 0.5 * should.value);
                    if (std::isnan(off)) off = kInfinity;  // above everything, and not forgotten
                    const double allowed = 0.5 * should.allowed + rounding;
                    const double share = off == 0 ? 0 : allowed == 0 ? kInfinity : off / allowed;
                    if (share <= worst) continue;
                    worst = share, error = off, bound = allowed, where = e;
                }
                ratio(std::string(to_string(distribution)) + ", " + to_string(dtype), cols, error, bound,
                      "gap " + std::to_string(gap) + ", element " + std::to_string(where));
            }
}

// minus_log() of shaders/linalg/philox.glsl in the host's float, operation by operation.
float minus_log(float value) {
    const std::uint32_t bits = std::bit_cast<std::uint32_t>(value) + 0x004b0000u;
    const float e = static_cast<float>(static_cast<int>(bits >> 23) - 127);
    // Through volatile: the host's compiler must not contract either.
    volatile float x = std::bit_cast<float>((bits & 0x7fffffu) + 0x3f350000u) - 1.0f;
    volatile float z = x * x, p = -0.0797601640f;
    for (const float coefficient : {0.127378225f, -0.130229086f, 0.142027736f, -0.166384518f, 0.200013325f,
                                    -0.250003576f, 0.333333284f}) {
        volatile float product = p * x;
        p = product + coefficient;
    }
    volatile float cubic = p * x;
    cubic = cubic * z;
    volatile float half = 0.5f * z;
    volatile float rest = cubic - half;
    volatile float low = e * 2.12194440e-4f;
    rest = rest - low;
    volatile float high = e * -0.693359375f;
    high = high - x;
    return high - rest;
}

TEST_P(RandomTest, ExponentialNumbersAreTheSameBitsEverywhere) {
    const RandomOptions options{.distribution = Distribution::exponential, .seed = 77, .tensor = 2};
    const auto is = words(device(), 1 << 16, options);
    const auto from = expected_words(1 << 16, options);
    for (std::size_t e = 0; e < is.size(); ++e)
        ASSERT_EQ(std::bit_cast<float>(is[e]), minus_log(static_cast<float>((from[e] >> 8) + 1) * 0x1p-24f))
            << e;
}

// Moments of 2^18 numbers: each within five standard deviations of its own distribution.
TEST_P(RandomTest, MomentsAreThoseOfTheDistribution) {
    constexpr std::uint64_t kCount = 1 << 18;
    struct Moments {
        Distribution distribution;
        double mean, square, fourth, eighth;  // E x, E x^2, E x^4, E x^8
    };
    for (const Moments& m :
         {Moments{Distribution::uniform, 0.5, 1.0 / 3, 1.0 / 5, 1.0 / 9},
          Moments{Distribution::normal, 0, 1, 3, 105}, Moments{Distribution::exponential, 1, 2, 24, 40320}}) {
        const auto bits = words(device(), kCount, {.distribution = m.distribution, .seed = 5});
        double sum = 0, squares = 0, fourths = 0;
        for (std::uint32_t word : bits) {
            const double x = std::bit_cast<float>(word);
            sum += x;
            squares += x * x;
            fourths += x * x * x * x;
        }
        const double n = kCount;
        EXPECT_NEAR(sum / n, m.mean, 5 * std::sqrt((m.square - m.mean * m.mean) / n));
        EXPECT_NEAR(squares / n, m.square, 5 * std::sqrt((m.fourth - m.square * m.square) / n));
        EXPECT_NEAR(fourths / n, m.fourth, 5 * std::sqrt((m.eighth - m.fourth * m.fourth) / n));
    }
}

TEST_P(RandomTest, BitsDependOnNeitherSlicingNorGrouping) {
    const RandomOptions options{.seed = 17, .tensor = 2};
    constexpr std::uint64_t kCount = 50000;
    const auto whole = words(device(), kCount, options);
    EXPECT_EQ(words(device(), kCount, options), whole);
    EXPECT_EQ(words(device(), kCount, options, {.max_dispatch_flops = 1e5}), whole) << "split dispatches";

    // In two parts, beside another tensor.
    GuardedBuffer& buffer = guarded(kCount * 4);
    GuardedBuffer& other = guarded(1000 * 4);
    Graph graph(device());
    RandomOptions part = options;
    part.control = false;
    fill_random(graph, graph.external("first", buffer.view(DType::f32, {2000})), part);
    RandomOptions beside = part;
    beside.tensor = 3;
    fill_random(graph, graph.external("other", other.view(DType::f32, {1000})), beside);
    part.first_block = 500;
    fill_random(graph, graph.external("second", buffer.view(DType::f32, {kCount - 2000}, 8000)), part);
    Plan plan = graph.compile({});
    EXPECT_EQ(plan.dispatch_count(), 1u);
    run(graph);
    EXPECT_EQ(buffer.read<std::uint32_t>(), whole);
    EXPECT_NE(other.read<std::uint32_t>(), std::vector(whole.begin(), whole.begin() + 1000));
}

TEST_P(RandomTest, GpuVariantGivesTheSameBits) {
    Device& gpu = smallest_gpu();
    for (Distribution distribution : {Distribution::bits, Distribution::normal, Distribution::exponential})
        EXPECT_EQ(words(gpu, 5003, {.distribution = distribution, .seed = 1}),
                  words(device(), 5003, {.distribution = distribution, .seed = 1}));
}

// A plan that is compiled once draws anew in every step, from the control block or from a counter.
TEST_P(RandomTest, ReplayedPlansDrawAnew) {
    constexpr std::uint64_t kCount = 100;
    GuardedBuffer& a = guarded(kCount * 4);
    GuardedBuffer& b = guarded(kCount * 4);
    Graph graph(device());
    const Tensor counter = graph.state("counter", DType::u32, {1});
    const RandomOptions by_control{.distribution = Distribution::bits, .seed = 0xfffffffe00000003, .step = 1};
    RandomOptions by_counter = by_control;
    by_counter.control = false;
    by_counter.counter = counter;
    fill_random(graph, graph.external("a", a.view(DType::u32, {kCount})), by_control);
    fill_random(graph, graph.external("b", b.view(DType::u32, {kCount})), by_counter);
    advance_counter(graph, counter);
    Plan plan = graph.compile({});
    plan.allocate();
    plan.initialize();
    EXPECT_TRUE(plan.hazards().empty());
    const auto at_step = [&](std::uint32_t step, std::uint32_t more_seed) {
        RandomOptions options = by_control;
        options.step = 1 + step;
        options.seed += more_seed;
        return expected_words(kCount, options);
    };
    std::vector<std::uint32_t> control(16);
    for (std::uint32_t step : {0u, 1u, 2u}) {
        control[1] = 41 + step;  // StepControl::step
        control[11] = 100;       // StepControl::seed
        plan.write_state("heron.control", std::as_bytes(std::span(control)));
        plan.run();
        EXPECT_EQ(a.read<std::uint32_t>(), at_step(41 + step, 100));
        EXPECT_EQ(b.read<std::uint32_t>(), at_step(step, 0));
    }
    // A skipped step draws nothing and counts nothing.
    control[2] = 1;
    plan.write_state("heron.control", std::as_bytes(std::span(control)));
    plan.run();
    EXPECT_EQ(b.read<std::uint32_t>(), at_step(2, 0));
    std::uint32_t count = 0;
    plan.read_state("counter", std::as_writable_bytes(std::span(&count, 1)));
    EXPECT_EQ(count, 3u);
}

TEST_P(RandomTest, RefusesWhatDoesNotFit) {
    Graph graph(device());
    const Tensor x = graph.temporary(DType::f32, {5}), words = graph.temporary(DType::u32, {5});
    expect_refusals(
        graph,
        {
            {"`to` is empty", [&] { fill_random(graph, {}); }},
            {"`to` is empty", [&] { fill_random(graph, {}, {.distribution = Distribution::bits}); }},
            {"fills u32 tensors", [&] { fill_random(graph, x, {.distribution = Distribution::bits}); }},
            {"f32, f16 or bf16", [&] { fill_random(graph, words); }},
            {"must be finite",
             [&] { fill_random(graph, x, {.scale = std::numeric_limits<float>::infinity()}); }},
            {"must be one u32", [&] { fill_random(graph, x, {.counter = words}); }},
            {"overlaps counter",
             [&] {
                 fill_random(
                     graph, words,
                     {.distribution = Distribution::bits, .counter = words.reshape({5, 1}).row_range(2, 1)});
             }},
            {"counter is empty", [&] { advance_counter(graph, {}); }},
            {"must be one u32", [&] { advance_counter(graph, x); }},
            {"not one of", [&] { fill_random(graph, x, {.distribution = static_cast<Distribution>(9)}); }},
        });
    fill_random(graph, graph.temporary(DType::f32, {0, 3}), {.control = false});
    EXPECT_EQ(graph.compile({}).dispatch_count(), 0u);
}

HERON_DEVICE_TESTS(RandomTest);

}  // namespace
}  // namespace heron::test
