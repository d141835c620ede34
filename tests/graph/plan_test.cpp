// SPDX-License-Identifier: MIT
// Scheduling, recording, replay, slices, sections and states of plans, with a kernel whose operations do not
// commute.
#include "graph/plan.hpp"

#include <gtest/gtest.h>

#include <algorithm>
#include <bit>
#include <chrono>
#include <cmath>
#include <cstring>
#include <filesystem>
#include <functional>
#include <iterator>
#include <limits>
#include <random>

#include "core/device.hpp"
#include "graph/affine_chain.hpp"
#include "graph/barrier_mutation.hpp"
#include "heron/graph.hpp"
#include "heron/linalg/product.hpp"
#include "heron/linalg/reduce.hpp"
#include "heron/plan.hpp"
#include "support/commands.hpp"
#include "support/device_fixture.hpp"

namespace heron {
namespace {

using gpu::AffineJob;
using test::add_affine;
using test::add_alternate;
using test::affine;
using test::Chain;
using test::expect_close;
using test::kAffine;
using test::random_values;

class PlanTest : public test::DeviceTest {};

TEST_P(PlanTest, MergesTensorsIntoOneDispatchPerLevel) {
    Chain chain(device());
    Plan plan = chain.graph.compile({});
    EXPECT_EQ(plan.dispatch_count(), 3u);
    EXPECT_EQ(plan.level_count(), 3u);
    EXPECT_GT(plan.state_bytes(), 0u);
    EXPECT_GT(plan.table_bytes(), 0u);
    EXPECT_NE(plan.describe().find("test_affine x 5 jobs"), std::string::npos) << plan.describe();
}

// Drivers may load from them, whatever a kernel's branches say.
TEST_P(PlanTest, AddressesThatNoOperandFillsAreReadable) {
    using job_layout::address_slots;
    static_assert(address_slots<AffineJob>() == 0b11 && address_slots<gpu::AlternateJob>() == 0b111);
    // In structs, behind numbers, and in an array.
    struct Pair {
        std::uint64_t first;
        std::uint32_t count, step;
    };
    struct Mixed {
        Pair pair;
        std::uint32_t number;
        float scale;
        std::uint64_t behind[2];
        std::uint32_t first_group, reserved;
    };
    static_assert(address_slots<Mixed>() == 0b11001);
    struct Long {
        std::uint64_t first;
        float table[1000];
        std::uint64_t too_far;
        std::uint32_t first_group, reserved;
    };
    static_assert(address_slots<Long>() == 1);
    struct Halves {
        std::uint64_t first;
        std::uint16_t half[2];
        std::uint32_t first_group;
    };
    static_assert(address_slots<Halves>() == job_layout::kUnknown);
    Graph graph(device());
    const Tensor short_one = graph.state("short", DType::f32, {8}),
                 long_one = graph.state("long", DType::f32, {64});
    graph.add(make_operation(test::kAlternate, gpu::AlternateJob{},
                             {{offsetof(gpu::AlternateJob, control), short_one, Access::read},
                              {offsetof(gpu::AlternateJob, arguments), long_one, Access::read}},
                             1));
    graph.add(make_operation(kAffine, AffineJob{},
                             {{Operand::kNoField, graph.state("none", DType::f32, {0}), Access::read}}, 1));
    Plan plan = graph.compile({});
    plan.allocate();
    const Plan::Impl& impl = plan.impl();
    const Region& tables = impl.region(RegionKind::tables);
    for (const Batch& batch : impl.program(Phase::step).schedule.batches) {
        const std::byte* bytes = tables.mapped(batch.job_offset, sizeof(gpu::AlternateJob)).data();
        if (impl.graph.nodes[batch.nodes[0]].operation.kernel == &test::kAlternate) {
            gpu::AlternateJob job;
            std::memcpy(&job, bytes, sizeof(job));
            EXPECT_EQ(job.control, plan.view(short_one).address);
            EXPECT_EQ(job.arguments, plan.view(long_one).address);
            EXPECT_EQ(job.table, plan.view(long_one).address) << "not the longest operand";
        } else {
            AffineJob job;
            std::memcpy(&job, bytes, sizeof(job));
            EXPECT_EQ(job.x, tables.address(batch.job_offset)) << "not the job, where there is no operand";
            EXPECT_EQ(job.y, job.x);
            EXPECT_EQ(job.a, 0.0f);
        }
    }
}

TEST_P(PlanTest, DescribeSaysWhatSpecializationConstantsMean) {
    Graph graph(device());
    Operation operation =
        make_operation(kAffine, AffineJob{},
                       {{offsetof(AffineJob, y), graph.state("s", DType::f32, {64}), Access::write}}, 1);
    operation.constants = {{gpu::SPEC_THREADS, 64},
                           {gpu::SPEC_DTYPE_A, static_cast<std::uint32_t>(DType::bf16)},
                           {gpu::SPEC_DTYPE_D, 9},
                           {gpu::SPEC_FLAGS, gpu::ELEMENTS_AVERAGE | gpu::ADAMW_AMSGRAD | (1u << 31)},
                           {gpu::SPEC_REDUCTION, gpu::REDUCE_NONFINITE},
                           {77, 5}};
    graph.add(operation);
    operation.constants = {{gpu::SPEC_FLAGS, gpu::SGD_MOMENTUM | gpu::ELEMENTS_SINGLE}};
    graph.add(operation);
    const std::string text = graph.compile({}).describe();
    for (const char* words :
         {"constants threads=64 A=bf16 D=9 ELEMENTS_AVERAGE ADAMW_AMSGRAD flags=2147483648 "
          "reduction=nonfinite 77=5\n",
          "constants ELEMENTS_SINGLE SGD_MOMENTUM\n"})
        EXPECT_NE(text.find(words), std::string::npos) << text;
}

TEST_P(PlanTest, DescribeNamesTheStagesThatHaveANameOnly) {
    Graph graph(device());
    const Tensor y = graph.state("s", DType::f32, {64});
    const Operation operation =
        make_operation(kAffine, AffineJob{}, {{offsetof(AffineJob, y), y, Access::write}}, 1);
    graph.add(operation);
    graph.set_stage("halving");
    graph.add(operation);
    const std::string text = graph.compile({}).describe();
    for (const char* line :
         {"step: 2 dispatches in 2 levels, 1 barrier between them",
          "  level 0  test_affine x 1 job, 1 workgroup,", "  level 1  halving: test_affine x 1 job, "})
        EXPECT_NE(text.find(line), std::string::npos) << text;
}

TEST_P(PlanTest, DescribeTellsEveryReasonOfADispatchOnce) {
    Graph graph(device());
    for (const char* reason : {"it is small", "", "it is forced", "it is small"}) {
        Operation operation =
            make_operation(kAffine, AffineJob{},
                           {{offsetof(AffineJob, y), graph.temporary(DType::f32, {64}), Access::write}}, 1);
        operation.reason = reason;
        graph.add(operation);
    }
    const std::string text = graph.compile({}).describe();
    EXPECT_NE(text.find("test_affine x 4 jobs"), std::string::npos) << text;
    EXPECT_NE(text.find("; it is small; it is forced\n"), std::string::npos) << text;
}

// The numbers in the tables of core/shared.h stand in the library's headers too.
TEST(SpecTextTest, NamesEveryDTypeAsTheLibraryDoes) {
    for (std::uint32_t value = 0; value < std::size(gpu::kDTypeNames); ++value)
        EXPECT_EQ(gpu::kDTypeNames[value], to_string(static_cast<DType>(value)));
    EXPECT_EQ(gpu::kFlagNames[std::countr_zero(gpu::PARTIAL_NORMS)], "PARTIAL_NORMS");
    EXPECT_EQ(gpu::kFlagNames[std::countr_zero(gpu::ADAMW_AMSGRAD)], "ADAMW_AMSGRAD");
}

TEST_P(PlanTest, StepsMatchFloat64) {
    Chain chain(device());
    Plan plan = chain.graph.compile({});
    plan.allocate();
    plan.initialize();
    EXPECT_EQ(plan.hazards(), std::vector<std::string>{});
    for (int step = 0; step < 3; ++step) plan.run();
    const auto expected = chain.expected(3);
    const auto actual = chain.actual();
    for (std::size_t i = 0; i < Chain::kTensors; ++i) expect_close(actual[i], expected[i], 9);
}

TEST_P(PlanTest, ManySubmissionsInFlightGiveTheSameBits) {
    Chain chain(device());
    Plan plan = chain.graph.compile({});
    plan.allocate();
    plan.initialize();
    for (int step = 0; step < 8; ++step) plan.run();
    const auto one_by_one = chain.actual();
    chain.clear();
    plan.initialize();
    std::uint64_t ticket = 0;
    for (int step = 0; step < 8; ++step) ticket = plan.submit();
    plan.wait(ticket);
    EXPECT_TRUE(plan.finished(ticket));
    EXPECT_EQ(chain.actual(), one_by_one);
}

TEST_P(PlanTest, ReplayedSecondaryCommandBufferGivesTheSameBits) {
    test::Commands commands(device());
    Chain chain(device());
    Plan plan = chain.graph.compile({});
    plan.allocate();
    plan.initialize();
    for (int step = 0; step < 4; ++step) plan.run();
    const auto expected = chain.actual();
    chain.clear();
    plan.initialize();
    const VkCommandBuffer secondary = commands.begin(VK_COMMAND_BUFFER_LEVEL_SECONDARY);
    plan.record(secondary);
    commands.end(secondary);
    const VkCommandBuffer primary = commands.begin();
    for (int step = 0; step < 4; ++step) device().impl().vk.CmdExecuteCommands(primary, 1, &secondary);
    commands.end(primary);
    commands.submit(primary);
    EXPECT_EQ(chain.actual(), expected);
}

TEST_P(PlanTest, SlicesGiveTheBitsOfTheWholeStep) {
    test::Commands commands(device());
    Chain chain(device());
    PlanOptions options;
    Plan plan = chain.graph.compile(options);
    plan.allocate();
    plan.initialize();
    for (int step = 0; step < 3; ++step) plan.run();
    const auto expected = chain.actual();
    for (const SliceBudget& budget : {SliceBudget{1, 1e30}, SliceBudget{2, 1e30}, SliceBudget{100, 1e-9}}) {
        chain.clear();
        plan.initialize();
        std::uint32_t slices = 0;
        for (int step = 0; step < 3; ++step) {
            SliceResult result;
            do {
                const VkCommandBuffer slice = commands.begin();
                result = plan.record_slice(slice, budget);
                commands.end(slice);
                commands.submit(slice);
                ++slices;
                EXPECT_EQ(plan.slice_pending(), !result.complete);
                if (!result.complete) EXPECT_THROW(plan.submit(), Error);
            } while (!result.complete);
        }
        EXPECT_EQ(slices, budget.max_dispatches == 2 ? 6u : 9u);
        EXPECT_EQ(chain.actual(), expected);
    }
}

TEST_P(PlanTest, SlicesHoldTheFlopsOfTheirBudgetOrOneDispatch) {
    test::Commands commands(device());
    const Buffer x = test::upload(device(), std::vector<float>(64, 1.0f)),
                 y = test::upload(device(), std::vector<float>(64, 0.0f));
    Graph graph(device());
    const Tensor from = graph.external("x", x.view(DType::f32, {64})),
                 to = graph.external("y", y.view(DType::f32, {64}));
    for (const double flops : {10.0, 10.0, 10.0, 40.0, 5.0}) add_affine(graph, from, to, 1.0f, 1.0f, flops);
    Plan plan = graph.compile({});
    plan.allocate();
    std::vector<std::uint32_t> dispatches;
    for (bool complete = false; !complete;) {
        const VkCommandBuffer slice = commands.begin();
        const SliceResult result = plan.record_slice(slice, {.max_flops = 25});
        commands.end(slice);
        commands.submit(slice);
        dispatches.push_back(result.dispatches);
        complete = result.complete;
    }
    EXPECT_EQ(dispatches, (std::vector<std::uint32_t>{2, 1, 1, 1}));
}

// The rest of a step that is begun works with what its beginning worked with.
TEST_P(PlanTest, NothingIsExchangedUnderAPendingSlice) {
    test::Commands commands(device());
    Chain chain(device());
    Plan plan = chain.graph.compile({});
    plan.allocate();
    plan.initialize();
    plan.run();
    const auto expected = chain.actual();
    chain.clear();
    plan.initialize();
    const auto slice = [&](const SliceBudget& budget) {
        const VkCommandBuffer buffer = commands.begin();
        plan.record_slice(buffer, budget);
        commands.end(buffer);
        commands.submit(buffer);
    };
    const std::filesystem::path path = std::filesystem::path(::testing::TempDir()) / "pending.safetensors";
    slice({1, 1e30});
    ASSERT_TRUE(plan.slice_pending());
    Buffer fresh = test::upload(device(), std::vector<float>(1000, 0.0f));
    const Plan::Rebinding binding{"t4.y", fresh.view(DType::f32, {1000})};
    std::vector<std::byte> state(plan.state_view("t1.s").span_bytes());
    const VkCommandBuffer unused = commands.begin();
    const std::function<void()> calls[] = {
        [&] {
            plan.rebind({&binding, 1});
        },
        [&] { plan.write_state("t1.s", state); },
        [&] { plan.record(unused); },
        [&] { plan.submit(); },
        [&] { plan.save(path, {}); },
        [&] { plan.load(path, {}); },
        [&] { plan.record_accumulate(unused); },
    };
    for (const auto& call : calls) try {
            call();
            ADD_FAILURE() << "call " << &call - calls << " passed";
        } catch (const Error& error) {
            EXPECT_EQ(error.code(), ErrorCode::invalid_argument);
            EXPECT_NE(std::string(error.what()).find("sliced step is not complete"), std::string::npos)
                << error.what();
        }
    commands.end(unused);
    plan.read_state("t1.s", state);
    slice({});
    EXPECT_FALSE(plan.slice_pending());
    EXPECT_EQ(chain.actual(), expected);
    plan.rebind({&binding, 1});
}

TEST_P(PlanTest, LimitsAreNumbersAboveZero) {
    test::Commands commands(device());
    Chain chain(device());
    constexpr double kNan = std::numeric_limits<double>::quiet_NaN();
    constexpr double kInfinity = std::numeric_limits<double>::infinity();
    for (const double bad : {kNan, 0.0, -1.0, -kInfinity}) {
        EXPECT_THROW(chain.graph.compile({.max_dispatch_flops = bad}), Error) << bad;
        EXPECT_THROW(chain.graph.compile({.max_dispatch_bytes = bad}), Error) << bad;
    }
    Plan plan = chain.graph.compile({.max_dispatch_flops = kInfinity, .max_dispatch_bytes = kInfinity});
    plan.allocate();
    plan.initialize();
    const VkCommandBuffer buffer = commands.begin();
    for (const double bad : {kNan, 0.0, -1.0, -kInfinity})
        EXPECT_THROW(plan.record_slice(buffer, {100, bad}), Error) << bad;
    for (const double bad : {kNan, 0.0, -1.0, -kInfinity})
        EXPECT_THROW(plan.record_slice(buffer, {.max_flops = bad}), Error) << bad;
    EXPECT_FALSE(plan.slice_pending());
    EXPECT_TRUE(plan.record_slice(buffer, {100, kInfinity}).complete);
    commands.end(buffer);
    commands.submit(buffer);
    expect_close(chain.actual()[4], chain.expected(1)[4], 3);
}

// No limit is so low that work is lost: a workgroup is the least that a dispatch holds.
TEST_P(PlanTest, TheLowestLimitsSplitIntoSingleWorkgroups) {
    for (const double limit : {std::numeric_limits<double>::denorm_min(), 1e-310, 1e-20, 1.0}) {
        Graph graph(device());
        const Tensor x = graph.state("x", DType::f32, {640}), y = graph.state("y", DType::f32, {640});
        add_affine(graph, x, y, 1.0f, 1.0f, 1e9);
        EXPECT_EQ(graph.compile({.max_dispatch_flops = limit}).dispatch_count(), 10u) << limit;
    }
}

// Plan::run() gives up after a minute, and what it throws destroys the plan while its steps still run.
TEST_P(PlanTest, OneOfACpuDriverWaitsForItsStepsWhenItIsDestroyed) {
    if (!device().capabilities().cpu) GTEST_SKIP() << "a GPU that does not answer is waited for two seconds";
    const auto products = [&](int count) {
        constexpr std::uint64_t kOrder = 400;
        Graph graph(device());
        const Tensor a = graph.state("a", DType::f32, {kOrder, kOrder}),
                     b = graph.state("b", DType::f32, {kOrder, kOrder});
        for (int i = 0; i < count; ++i) gemm(graph, a, a, {}, b);
        Plan plan = graph.compile({});
        plan.allocate();
        plan.initialize();
        return plan;
    };
    Plan one = products(1);
    one.run();
    const auto begin = std::chrono::steady_clock::now();
    one.run();
    const std::chrono::duration<double> each = std::chrono::steady_clock::now() - begin;
    const int count = static_cast<int>(std::min(5.0 / each.count(), 4000.0)) + 1;  // five seconds
    std::uint64_t last = 0;
    {
        Plan many = products(count);
        EXPECT_THROW(many.wait(many.submit(), 1'000'000), Error);
        last = device().impl().submitted();
    }
    // The plan waits for its own semaphore; drivers signal the device's a moment later.
    EXPECT_TRUE(device().impl().wait(last, 100'000'000));
}

TEST_P(PlanTest, LongDispatchesAreSplitWithoutChangingBits) {
    Chain chain(device());
    Plan whole = chain.graph.compile({});
    whole.allocate();
    whole.initialize();
    whole.run();
    const auto expected = chain.actual();
    chain.clear();
    Graph graph(device());
    for (std::size_t i = 0; i < Chain::kTensors; ++i) {
        const std::string name = "t" + std::to_string(i);
        const Shape shape{Chain::kCounts[i]};
        const Tensor x = graph.external(name + ".x", chain.inputs[i].view(DType::f32, shape));
        const Tensor y = graph.external(name + ".y", chain.outputs[i].view(DType::f32, shape));
        const Tensor s = graph.state(name + ".s", DType::f32, shape);
        add_affine(graph, x, s, 0.25f, 0.5f, 1e9);
        add_affine(graph, s, y, -1.0f, 0.125f, 1e9);
        add_affine(graph, x, y, 0.5f, 0.0f, 1e9);
    }
    PlanOptions options;
    options.max_dispatch_flops = 1e9;
    Plan split = graph.compile(options);
    EXPECT_EQ(split.dispatch_count(), 15u);
    EXPECT_EQ(split.level_count(), 3u);
    split.allocate();
    split.initialize();
    EXPECT_TRUE(split.hazards().empty());
    split.run();
    EXPECT_EQ(chain.actual(), expected);
}

// Proves the barriers: each one that is left out is noticed.
TEST_P(PlanTest, HazardCheckNoticesEveryMissingBarrier) {
    Chain chain(device());
    Plan plan = chain.graph.compile({});
    plan.allocate();
    EXPECT_EQ(test::remove_each_barrier(plan.impl().recorded(Phase::step)), 2);
}

// Random programs on a few tensors, their parts and temporaries: the schedule must equal program order, and
// need barriers only where the hazard check wants them.
TEST_P(PlanTest, RandomProgramsEqualProgramOrder) {
    constexpr std::size_t kCount = 96;
    std::mt19937 random(3);
    for (int repeat = 0; repeat < 20; ++repeat) {
        Graph graph(device());
        std::vector<std::vector<double>> model;
        std::vector<Tensor> tensors;
        Buffer memory = device().create_buffer(6 * kCount * 4);
        std::vector<float> start = random_values(6 * kCount, static_cast<unsigned>(repeat));
        memory.write(std::as_bytes(std::span(start)));
        for (std::size_t t = 0; t < 6; ++t)
            tensors.push_back(graph.external("e" + std::to_string(t),
                                             memory.view(DType::f32, {kCount / 8, 8}, t * kCount * 4)));
        std::vector<double> reference(start.begin(), start.end());
        for (int op = 0; op < 25; ++op) {
            const std::size_t from = random() % 6, to = random() % 6;
            const std::uint64_t rows = 1 + random() % 12;
            const std::uint64_t x_row = random() % (13 - rows), y_row = random() % (13 - rows);
            if (from == to && x_row < y_row + rows && y_row < x_row + rows)
                continue;  // one job may not race with itself
            add_affine(graph, tensors[from].row_range(x_row, rows), tensors[to].row_range(y_row, rows), 0.5f,
                       0.25f);
            for (std::size_t i = 0; i < rows * 8; ++i) {
                double& y = reference[to * kCount + y_row * 8 + i];
                y = 0.5 * reference[from * kCount + x_row * 8 + i] + 0.25 + 0.5 * y;
            }
        }
        Plan plan = graph.compile({});
        plan.allocate();
        plan.initialize();
        EXPECT_EQ(plan.hazards(), std::vector<std::string>{});
        plan.run();
        expect_close(test::download(memory), reference, 25);
    }
}

// In each phase a temporary lies where that phase has room for it.
TEST_P(PlanTest, ATemporaryOfTwoPhasesOverwritesNothingInEither) {
    const Shape shape{64};
    const std::vector<float> first_values = random_values(64, 1), second_values = random_values(64, 2);
    const Buffer first_input = test::upload(device(), first_values);
    const Buffer second_input = test::upload(device(), second_values);
    const Buffer first_output = device().create_buffer(256), second_output = device().create_buffer(256);
    Graph graph(device());
    const Tensor x1 = graph.external("x1", first_input.view(DType::f32, shape));
    const Tensor x2 = graph.external("x2", second_input.view(DType::f32, shape));
    const Tensor y1 = graph.external("y1", first_output.view(DType::f32, shape));
    const Tensor y2 = graph.external("y2", second_output.view(DType::f32, shape));
    const Tensor kept = graph.state("kept", DType::f32, shape);
    const Tensor t1 = graph.temporary(DType::f32, shape), t2 = graph.temporary(DType::f32, shape);
    convert(graph, x1, t1);
    convert(graph, x2, t2);
    convert(graph, t1, y1);
    convert(graph, t2, y2);
    graph.set_phase(Phase::initialize);
    convert(graph, x2, t2);
    convert(graph, t2, kept);
    Plan plan = graph.compile({});
    plan.allocate();
    EXPECT_EQ(plan.hazards(), std::vector<std::string>{});
    plan.initialize();
    plan.run();
    EXPECT_EQ(test::download(first_output), first_values);
    EXPECT_EQ(test::download(second_output), second_values);
    std::vector<float> state(64);
    plan.read_state("kept", std::as_writable_bytes(std::span(state)));
    EXPECT_EQ(state, second_values);
}

TEST_P(PlanTest, OverlappingExternalsAreOrdered) {
    Buffer memory = test::upload(device(), std::vector<float>(128, 1.0f));
    Graph graph(device());
    const Tensor whole = graph.external("whole", memory.view(DType::f32, {128}));
    const Tensor half = graph.external("half", memory.view(DType::f32, {64}, 256));
    Buffer other = test::upload(device(), std::vector<float>(128, 2.0f));
    const Tensor x = graph.external("x", other.view(DType::f32, {128}));
    add_affine(graph, x, whole, 1.0f, 0.0f);                                  // 2.5
    add_affine(graph, x.reshape({2, 64}).row_range(0, 1), half, 0.0f, 1.0f);  // second half: 2.25
    Plan plan = graph.compile({});
    EXPECT_EQ(plan.level_count(), 2u);
    plan.allocate();
    plan.initialize();
    plan.run();
    const std::vector<float> result = test::download(memory);
    EXPECT_EQ(result[63], 2.5f);
    EXPECT_EQ(result[64], 2.25f);
}

TEST_P(PlanTest, BlocksOfColumnsSideBySideAreIndependent) {
    Graph graph(device());
    Buffer from = test::upload(device(), std::vector<float>(60, 1.0f)),
           to = test::upload(device(), std::vector<float>(60, 0.0f));
    const Tensor x = graph.external("x", from.view(DType::f32, {6, 10})),
                 y = graph.external("y", to.view(DType::f32, {6, 10}));
    const auto columns = [](const Tensor& whole, std::uint64_t first, std::uint64_t count) {
        Tensor part = whole;
        part.byte_offset += first * sizeof(float);
        part.shape = Shape{whole.rows(), count};
        part.row_stride = whole.cols();
        return part;
    };
    convert(graph, columns(x, 0, 4), columns(y, 0, 4), 1.0f);
    convert(graph, columns(x, 4, 6), columns(y, 4, 6), 2.0f);
    convert(graph, columns(x, 0, 2), columns(y, 3, 2), 3.0f);  // after both
    convert(graph, columns(x, 0, 1), columns(y, 9, 1), 4.0f);  // after the second
    Plan plan = graph.compile({});
    plan.allocate();
    plan.initialize();
    EXPECT_EQ(plan.level_count(), 2u);
    EXPECT_EQ(plan.dispatch_count(), 2u);
    EXPECT_TRUE(plan.hazards().empty());
    plan.run();
    const std::vector<float> result = test::download(to), row{1, 1, 1, 3, 3, 2, 2, 2, 2, 4};
    for (std::size_t i = 0; i < result.size(); ++i) EXPECT_EQ(result[i], row[i % 10]) << "element " << i;
}

TEST_P(PlanTest, SectionsRunInTheirStepsOnlyWholeReplayedAndSliced) {
    test::Commands commands(device());
    const auto build = [&](Graph& graph, const Buffer& x, const Buffer& y, const Buffer& z) {
        const Tensor tx = graph.external("x", x.view(DType::f32, {200}));
        const Tensor ty = graph.external("y", y.view(DType::f32, {200}));
        const Tensor tz = graph.external("z", z.view(DType::f32, {200}));
        const Tensor state = graph.state("s", DType::f32, {200});
        add_alternate(graph);
        // Two refreshes, staggered, one in the first step, too; a third from step 3 on, in it whatever the
        // phase, first in every second, then in every fourth step.
        for (std::uint32_t phase : {0u, 2u, 4u}) {
            if (phase == 4)
                graph.set_section(
                    {.interval = 2, .phase = 0, .first = true, .start = 3, .growth = 5, .doublings = 1});
            else
                graph.set_section({3, phase, phase == 2});
            const Tensor temporary = graph.temporary(DType::f32, {200});
            add_affine(graph, tx, temporary, 1.0f, 0.0f, 0, Access::write);
            add_affine(graph, tx, state, 0.5f, static_cast<float>(phase));
        }
        graph.set_section({});
        add_affine(graph, state, ty, 1.0f, 0.0f);
        add_affine(graph, tx, tz, 1.0f, 1.0f);
    };
    const std::vector<float> input = random_values(200, 1);
    const std::vector<float> zeros(200, 0.0f);
    const Buffer x = test::upload(device(), input), y = test::upload(device(), zeros),
                 z = test::upload(device(), zeros);
    Graph graph(device());
    build(graph, x, y, z);
    Plan plan = graph.compile({});
    plan.allocate();
    EXPECT_EQ(plan.hazards(), std::vector<std::string>{});

    const std::vector<double> xd(input.begin(), input.end());
    std::vector<double> s(200, 0.0), yd(200, 0.0);
    for (int step = 0; step < 10; ++step) {
        if (step % 3 == 0) s = affine(xd, s, 0.5, 0.0);
        if (step % 3 == 2 || step == 0) s = affine(xd, s, 0.5, 2.0);
        if (step == 3 || step == 4 || step == 8) s = affine(xd, s, 0.5, 4.0);
        yd = affine(s, yd, 1.0, 0.0);
    }
    plan.initialize();
    for (int step = 0; step < 10; ++step) plan.run();
    const std::vector<float> whole = test::download(y);
    expect_close(whole, yd, 20);

    for (std::uint32_t dispatches : {1u, 3u}) {
        const_cast<Buffer&>(y).write(std::as_bytes(std::span(zeros)));
        plan.initialize();
        for (int step = 0; step < 10; ++step)
            for (bool complete = false; !complete;) {
                const VkCommandBuffer slice = commands.begin();
                complete = plan.record_slice(slice, {dispatches, 1e30}).complete;
                commands.end(slice);
                commands.submit(slice);
            }
        EXPECT_EQ(test::download(y), whole);
    }
    const_cast<Buffer&>(y).write(std::as_bytes(std::span(zeros)));
    plan.initialize();
    const VkCommandBuffer replayed = commands.begin();
    plan.record(replayed);
    commands.end(replayed);
    for (int step = 0; step < 10; ++step) commands.submit(replayed);
    EXPECT_EQ(test::download(y), whole);
}

TEST_P(PlanTest, RefusesMisuse) {
    Graph graph(device());
    const Tensor temporary = graph.temporary(DType::f32, {64});
    const Buffer buffer = test::upload(device(), std::vector<float>(64, 0.0f));
    const Tensor y = graph.external("y", buffer.view(DType::f32, {64}));
    EXPECT_THROW(graph.external("y", buffer.view(DType::f32, {64})), Error) << "a name used twice";
    EXPECT_THROW(graph.external("null", TensorView{0, DType::f32, {64}, 0}), Error);
    TensorView foreign_device = buffer.view(DType::f32, {64});
    foreign_device.device += 1000;
    EXPECT_THROW(graph.external("foreign", foreign_device), Error);
    for (const char* name : {"", "caf\xe9", "\xf8", "__metadata__"}) {
        EXPECT_THROW(graph.external(name, buffer.view(DType::f32, {64})), Error) << name;
        EXPECT_THROW(graph.state(name, DType::f32, {64}), Error) << name;
    }
    EXPECT_THROW(graph.set_section({3, 3}), Error);
    EXPECT_THROW(graph.set_section({0, 0}), Error);
    EXPECT_THROW(graph.set_section({0x80000001u, 0}), Error);
    EXPECT_THROW(graph.set_section({.interval = 3, .phase = 12, .growth = 5, .doublings = 2}), Error);
    EXPECT_THROW(graph.set_section({.interval = 3, .growth = 1, .doublings = 30}), Error);
    EXPECT_THROW(graph.set_section({.growth = 1, .doublings = 32}), Error);
    Operation wrong =
        make_operation(kAffine, AffineJob{}, {{offsetof(AffineJob, count), y, Access::read}}, 1);
    EXPECT_THROW(graph.add(wrong), Error) << "an address in a scalar's place";
    Tensor foreign = y;
    foreign.id = 1000;
    EXPECT_THROW(add_affine(graph, foreign, y, 1, 1), Error);
    Graph other(device());
    const Tensor same_id = other.external("y", buffer.view(DType::f32, {64}));
    EXPECT_THROW(add_affine(graph, same_id, y, 1, 1), Error) << "a tensor of another graph";
    Tensor too_long = y;
    too_long.shape = Shape{65};
    EXPECT_THROW(add_affine(graph, too_long, y, 1, 1), Error);
    Tensor in_a_word = y;
    in_a_word.dtype = DType::bf16;
    in_a_word.byte_offset = 2;
    EXPECT_THROW(add_affine(graph, in_a_word, y, 1, 1), Error) << "kernels address words";
    Tensor far = y;
    far.byte_offset = ~std::uint64_t{0} - 100;
    EXPECT_THROW(add_affine(graph, far, y, 1, 1), Error) << "an end that overflows";
    Tensor wide = y.reshape({2, 32});
    wide.row_stride = (std::uint64_t{1} << 62) + 32;  // four of it overflow to the bytes of the tensor
    EXPECT_THROW(add_affine(graph, wide, y, 1, 1), Error) << "a span that overflows";
    add_affine(graph, temporary, y, 1, 1);
    EXPECT_THROW(graph.compile({}), Error) << "a temporary that nobody wrote";

    Plan empty;
    EXPECT_THROW(empty.run(), Error);
    EXPECT_THROW(empty.describe(), Error);
    EXPECT_THROW(empty.state_bytes(), Error);

    Chain chain(device());
    Plan plan = chain.graph.compile({});
    EXPECT_THROW(plan.submit(), Error) << "no memory yet";
    EXPECT_THROW(plan.record(VK_NULL_HANDLE), Error);
    EXPECT_THROW(plan.hazards(), Error);
    plan.allocate();
    EXPECT_THROW(plan.allocate(), Error);
    EXPECT_THROW(plan.submit(), Error) << "not initialized";
    EXPECT_THROW(plan.view(same_id), Error) << "a tensor of another graph";
    EXPECT_THROW(plan.record_initialize(VK_NULL_HANDLE), Error);
    plan.initialize();
    EXPECT_THROW(plan.record(VK_NULL_HANDLE), Error);
    EXPECT_THROW(plan.record_slice(VK_NULL_HANDLE, {}), Error);
    const SemaphoreValue null_semaphore;
    EXPECT_THROW(plan.submit({.wait = {&null_semaphore, 1}, .signal = {}, .submit = {}}), Error);
    EXPECT_THROW(plan.read_state("t0.x", {}), Error) << "an external is not a state";
    std::byte four[4];
    EXPECT_THROW(plan.read_state("t1.s", four), Error) << "wrong size";
    EXPECT_THROW(plan.wait(7), Error) << "a ticket that nobody has";
    EXPECT_THROW(plan.submit_accumulate(), Error);
}

// What 64 bits do not count must not come out small.
TEST_P(PlanTest, RefusesSizesThatOverflow) {
    Graph graph(device());
    const auto refused = [](ErrorCode code, const char* word, auto&& call) {
        try {
            call();
            ADD_FAILURE() << "accepted, though too large: " << word;
        } catch (const Error& error) {
            EXPECT_EQ(error.code(), code);
            EXPECT_NE(std::string(error.what()).find(word), std::string::npos) << error.what();
        }
    };
    constexpr auto kInvalid = ErrorCode::invalid_argument;
    for (const Shape& shape : {Shape{1ull << 62}, Shape{1ull << 32, 1ull << 32}}) {
        refused(kInvalid, "state \"s\"", [&] { graph.state("s", DType::f32, shape); });
        refused(kInvalid, "temporary", [&] { graph.temporary(DType::f32, shape); });
    }
    refused(kInvalid, "readback", [&] { graph.readback(~0ull); });
    const Buffer buffer = device().create_buffer(256);
    TensorView view = buffer.view(DType::f32, {64});
    view.address = ~VkDeviceAddress{0} - 63;
    refused(kInvalid, "end of the address space", [&] { graph.external("x", view); });
    const Tensor x = graph.external("x", buffer.view(DType::f32, {64}));
    add_affine(graph, x, x, 1.0f, 1.0f);
    Plan plan = graph.compile({});
    const Plan::Rebinding binding{"x", view};
    refused(kInvalid, "end of the address space", [&] { plan.rebind({&binding, 1}); });
    graph.state("s", DType::f32, {1ull << 61});
    refused(ErrorCode::unsupported, "largest buffer", [&] { graph.compile({}); });
}

TEST_P(PlanTest, BindsTheCallersMemoryAndNamesWhatIsWrongWithIt) {
    Chain chain(device());
    Plan plan = chain.graph.compile({});
    const Buffer state = device().create_buffer(plan.state_bytes() + 256);
    const Buffer workspace = device().create_buffer(std::max<std::uint64_t>(plan.workspace_bytes(), 256));
    const Buffer tables = device().create_buffer(plan.table_bytes(), MemoryKind::upload);
    const Buffer readback =
        device().create_buffer(std::max<std::uint64_t>(plan.readback_bytes(), 256), MemoryKind::readback);
    PlanMemory good{state.range(), workspace.range(), tables.range(), readback.range()};
    good.state.offset += 256;
    good.state.bytes -= 256;
    const auto refused = [&](PlanMemory memory, const char* word) {
        try {
            plan.bind(memory);
            ADD_FAILURE() << "accepted, though wrong: " << word;
        } catch (const Error& error) {
            EXPECT_EQ(error.code(), ErrorCode::invalid_argument);
            EXPECT_NE(std::string(error.what()).find(word), std::string::npos) << error.what();
        }
    };
    PlanMemory bad = good;
    bad.state.buffer = VK_NULL_HANDLE;
    refused(bad, "state");
    bad = good;
    bad.state.bytes = plan.state_bytes() - 1;
    refused(bad, "the plan needs");
    bad = good;
    bad.state.offset += 4;
    refused(bad, "256");
    bad = good;
    bad.tables.usage = VK_BUFFER_USAGE_STORAGE_BUFFER_BIT;
    refused(bad, "SHADER_DEVICE_ADDRESS");
    bad = good;
    bad.tables.mapped = nullptr;
    refused(bad, "not mapped");
    plan.bind(good);
    plan.initialize();
    plan.run();
    const auto expected = chain.expected(1);
    const auto actual = chain.actual();
    for (std::size_t i = 0; i < Chain::kTensors; ++i) expect_close(actual[i], expected[i], 3);
}

TEST_P(PlanTest, ClearsNothingBehindAStateOfAnOddNumberOfHalves) {
    Graph graph(device());
    graph.state("s", DType::bf16, {3});
    Plan plan = graph.compile({});
    const Buffer memory = test::upload(device(), std::vector<std::uint8_t>(256, 0xab));
    PlanMemory ranges;
    ranges.state = memory.range();
    ranges.state.bytes = plan.state_bytes();
    plan.bind(ranges);
    plan.initialize();
    const std::vector<std::uint8_t> bytes = test::download<std::uint8_t>(memory);
    for (std::size_t i = 0; i < bytes.size(); ++i)
        EXPECT_EQ(bytes[i], i < plan.state_bytes() ? 0 : 0xab) << "byte " << i;
}

// One buffer for everything, with room between the ranges: bytes that two of them use are refused, those that
// are only offered twice are not.
TEST_P(PlanTest, RefusesMemoryThatOverlapsItselfOrATensor) {
    const std::uint64_t half = std::uint64_t{1} << 16;
    const Buffer memory = device().create_buffer(6 * half, MemoryKind::upload);
    const auto range = [&](std::uint64_t offset) {
        BufferRange part = memory.range();
        part.offset += offset;
        part.bytes -= offset;
        part.mapped = static_cast<std::byte*>(part.mapped) + offset;
        return part;
    };
    Graph graph(device());
    const Shape shape{100};
    const Tensor x = graph.external("x", memory.view(DType::f32, shape, 5 * half));
    const Tensor s = graph.state("s", DType::f32, shape);
    const Tensor written = graph.readback(400);
    add_affine(graph, x, graph.temporary(DType::f32, shape), 1.0f, 1.0f, 0, Access::write);
    add_affine(graph, x, s, 1.0f, 1.0f);
    add_affine(graph, s, written, 1.0f, 1.0f);
    add_affine(graph, s, x, 1.0f, 1.0f);
    Plan plan = graph.compile({});
    const PlanMemory good{range(0), range(half), range(2 * half), range(3 * half)};
    const auto refused = [&](const char* first, const char* second, auto&& call) {
        const std::uint64_t compiled = device().pipelines_compiled();
        try {
            call();
            ADD_FAILURE() << "accepted an overlap of " << first << " and " << second;
        } catch (const Error& error) {
            EXPECT_EQ(error.code(), ErrorCode::invalid_argument);
            for (const char* word : {first, second, "nothing else may use"})
                EXPECT_NE(std::string(error.what()).find(word), std::string::npos) << error.what();
        }
        EXPECT_EQ(device().pipelines_compiled(), compiled);
    };
    const auto bind_refused = [&](const char* first, const char* second, BufferRange PlanMemory::*which,
                                  std::uint64_t offset) {
        PlanMemory bad = good;
        bad.*which = range(offset);
        refused(first, second, [&] { plan.bind(bad); });
        EXPECT_THROW(plan.initialize(), Error) << "there is still no memory";
    };
    bind_refused("for state", "for tables", &PlanMemory::state, 2 * half);
    bind_refused("for state", "for workspace", &PlanMemory::workspace, 256);
    bind_refused("for state", "for readback", &PlanMemory::readback, 256);
    bind_refused("for tables", "for readback", &PlanMemory::tables, 3 * half + 256);
    bind_refused("for state", "\"x\"", &PlanMemory::state, 5 * half);
    bind_refused("for readback", "\"x\"", &PlanMemory::readback, 5 * half + 256);
    bind_refused("for tables", "\"x\"", &PlanMemory::tables, 5 * half - plan.table_bytes() / 256 * 256);

    plan.bind(good);
    plan.initialize();
    const auto rebind_refused = [&](const char* which, std::uint64_t offset) {
        const Plan::Rebinding binding{"x", memory.view(DType::f32, shape, offset)};
        refused("\"x\"", which, [&] { plan.rebind({&binding, 1}); });
    };
    rebind_refused("for state", 0);
    rebind_refused("for tables", 2 * half - 396);
    rebind_refused("for readback", 3 * half + plan.readback_bytes() - 4);
    const Plan::Rebinding behind{"x", memory.view(DType::f32, shape, 3 * half + plan.readback_bytes())};
    plan.rebind({&behind, 1});
    plan.run();
}

TEST_P(PlanTest, RebindsWithoutRecompiling) {
    Chain chain(device());
    Plan plan = chain.graph.compile({});
    plan.allocate();
    plan.initialize();
    Buffer fresh = test::upload(device(), std::vector<float>(1000, 0.0f));
    const Plan::Rebinding binding{"t4.y", fresh.view(DType::f32, {1000})};
    plan.rebind({&binding, 1});
    plan.run();
    expect_close(test::download(fresh), chain.expected(1)[4], 3);
    EXPECT_EQ(chain.actual()[4], std::vector<float>(1000, 0.0f));

    const Plan::Rebinding wrong_shape{"t4.y", fresh.view(DType::f32, {999})};
    EXPECT_THROW(plan.rebind({&wrong_shape, 1}), Error);
    const Plan::Rebinding overlap{"t4.x", fresh.view(DType::f32, {1000})};
    EXPECT_THROW(plan.rebind({&overlap, 1}), Error);
    const Plan::Rebinding unknown{"nobody", fresh.view(DType::f32, {1000})};
    EXPECT_THROW(plan.rebind({&unknown, 1}), Error);
    const std::vector<Plan::Rebinding> swap{{"t4.y", chain.outputs[4].view(DType::f32, {1000})},
                                            {"t4.x", fresh.view(DType::f32, {1000})}};
    plan.rebind(swap);
}

// Two names for one tensor, and one for a part of it: all of them move, or none.
TEST_P(PlanTest, TensorsThatShareMemoryMoveTogether) {
    const Shape shape{4, 4};
    Buffer memory = test::upload(device(), std::vector<float>(64, 1.0f));
    const Buffer output = test::upload(device(), std::vector<float>(16, 0.0f));
    Graph graph(device());
    const Tensor a = graph.external("a", memory.view(DType::f32, shape));
    const Tensor b = graph.external("b", memory.view(DType::f32, shape));
    const Tensor row = graph.external("row", memory.view(DType::f32, {4}, 16));
    const Tensor y = graph.external("y", output.view(DType::f32, shape));
    add_affine(graph, a, y, 1.0f, 0.0f);
    add_affine(graph, b, y, 1.0f, 0.0f);
    add_affine(graph, y.row_range(0, 1).reshape({4}), row, 0.0f, 2.0f);
    Plan plan = graph.compile({});
    plan.allocate();
    plan.initialize();
    const auto at = [&](std::uint64_t float_offset, std::uint64_t row_stride = 0) {
        return std::vector<Plan::Rebinding>{
            {"a", memory.view(DType::f32, shape, float_offset * 4, row_stride)},
            {"b", memory.view(DType::f32, shape, float_offset * 4)},
            {"row", memory.view(DType::f32, {4}, float_offset * 4 + 16)}};
    };
    const auto refused = [&](const std::vector<Plan::Rebinding>& bindings, const char* words) {
        try {
            plan.rebind(bindings);
            ADD_FAILURE() << "accepted: " << words;
        } catch (const Error& error) {
            EXPECT_EQ(error.code(), ErrorCode::invalid_argument);
            EXPECT_NE(std::string(error.what()).find(words), std::string::npos) << error.what();
        }
    };
    std::vector<Plan::Rebinding> some = at(32);
    some.pop_back();
    refused(some, "share memory move together");
    std::vector<Plan::Rebinding> shifted = at(32);
    shifted[2].view = memory.view(DType::f32, {4}, 32 * 4 + 32);
    refused(shifted, "share memory move together");
    refused({{"y", memory.view(DType::f32, shape)}}, "share memory move together");
    refused(at(0, 5), "with a row stride of 5, the tensor is f32 4x4 with a row stride of 4");
    plan.rebind(at(32, 4));  // 4 is what 0 means
    plan.run();
    const std::vector<float> values = test::download(memory);
    for (std::size_t i = 0; i < values.size(); ++i)
        EXPECT_EQ(values[i], i >= 36 && i < 40 ? 2.5f : 1.0f) << "element " << i;
    EXPECT_EQ(test::download(output), std::vector<float>(16, 1.5f));
}

TEST_P(PlanTest, SavesAndLoadsStatesBitForBit) {
    Chain chain(device());
    Plan plan = chain.graph.compile({});
    plan.allocate();
    plan.initialize();
    for (int step = 0; step < 2; ++step) plan.run();
    const std::filesystem::path path = std::filesystem::path(::testing::TempDir()) / "plan_test.safetensors";
    std::vector<std::string> externals;
    for (std::size_t i = 0; i < Chain::kTensors; ++i) externals.push_back("t" + std::to_string(i) + ".y");
    plan.save(path, externals, {{"note", "hello"}});
    for (int step = 0; step < 3; ++step) plan.run();
    const auto uninterrupted = chain.actual();

    chain.clear();
    Plan second = chain.graph.compile({});
    second.allocate();
    second.initialize();
    EXPECT_EQ(second.load(path, externals).at("note"), "hello");
    for (int step = 0; step < 3; ++step) second.run();
    EXPECT_EQ(chain.actual(), uninterrupted);
    const std::vector<std::string> missing{"t0.x"};
    EXPECT_THROW(second.load(path, missing), Error);
    std::filesystem::remove(path);
}

VkSemaphore make_timeline(Device::Impl& impl) {
    VkSemaphoreTypeCreateInfo type{VK_STRUCTURE_TYPE_SEMAPHORE_TYPE_CREATE_INFO};
    type.semaphoreType = VK_SEMAPHORE_TYPE_TIMELINE;
    const VkSemaphoreCreateInfo info{VK_STRUCTURE_TYPE_SEMAPHORE_CREATE_INFO, &type, 0};
    VkSemaphore semaphore = VK_NULL_HANDLE;
    impl.check(impl.vk.CreateSemaphore(impl.device, &info, nullptr, &semaphore), "vkCreateSemaphore");
    return semaphore;
}

TEST_P(PlanTest, SubmissionsWaitForAndSignalTheCallersSemaphores) {
    Device::Impl& impl = device().impl();
    Chain chain(device());
    Plan plan = chain.graph.compile({});
    plan.allocate();
    plan.initialize();
    const VkSemaphore start = make_timeline(impl), done = make_timeline(impl);
    const SemaphoreValue wait_for{start, 3}, signal{done, 7};
    const std::uint64_t ticket = plan.submit({.wait = {&wait_for, 1}, .signal = {&signal, 1}, .submit = {}});
    EXPECT_FALSE(plan.finished(ticket));
    try {
        plan.wait(ticket, 1'000'000);
        ADD_FAILURE() << "finished before its semaphore was signalled";
    } catch (const Error& error) {
        EXPECT_EQ(error.code(), ErrorCode::timeout);
    }
    VkSemaphoreSignalInfo go{VK_STRUCTURE_TYPE_SEMAPHORE_SIGNAL_INFO};
    go.semaphore = start;
    go.value = 3;
    impl.check(impl.vk.SignalSemaphore(impl.device, &go), "vkSignalSemaphore");
    plan.wait(ticket);
    std::uint64_t value = 0;
    impl.check(impl.vk.GetSemaphoreCounterValue(impl.device, done, &value), "vkGetSemaphoreCounterValue");
    EXPECT_EQ(value, 7u);
    expect_close(chain.actual()[4], chain.expected(1)[4], 3);
    impl.vk.DestroySemaphore(impl.device, start, nullptr);
    impl.vk.DestroySemaphore(impl.device, done, nullptr);
}

// An engine that keeps its queue to itself: adopted without a queue, submits through the callback.
TEST_P(PlanTest, AnAdoptedDeviceWithoutAQueueSubmitsThroughTheCallback) {
    test::Commands commands(device());
    Device::Impl& engine = device().impl();
    const FeatureChain features(engine.vk.GetInstanceProcAddr, device().instance(),
                                device().physical_device());
    AdoptedDevice handles;
    handles.get_instance_proc_addr = engine.vk.GetInstanceProcAddr;
    handles.instance = device().instance();
    handles.physical_device = device().physical_device();
    handles.device = device().handle();
    handles.queue_family = device().queue_family();
    handles.enabled_features = features.features();
    handles.enabled_extensions = features.extensions();
    Device adopted = Device::adopt(handles);
    Chain chain(adopted);
    Plan plan = chain.graph.compile({});
    plan.allocate();
    EXPECT_THROW(plan.initialize(), Error) << "there is no queue";
    EXPECT_THROW(plan.submit(), Error);
    const VkCommandBuffer first = commands.begin();
    plan.record_initialize(first);
    commands.end(first);
    commands.submit(first);
    int calls = 0;
    const SubmitInfo info{.wait = {}, .signal = {}, .submit = [&](const VkSubmitInfo2& submission) {
                              ++calls;
                              return engine.vk.QueueSubmit2(engine.queue, 1, &submission, VK_NULL_HANDLE);
                          }};
    for (int step = 0; step < 2; ++step) plan.wait(plan.submit(info));
    EXPECT_EQ(calls, 2);
    expect_close(chain.actual()[3], chain.expected(2)[3], 6);
    try {
        plan.submit({.wait = {}, .signal = {}, .submit = [](const VkSubmitInfo2&) {
                         return VK_ERROR_OUT_OF_HOST_MEMORY;
                     }});
        ADD_FAILURE() << "the callback's failure was lost";
    } catch (const Error& error) {
        EXPECT_EQ(error.vk_result(), VK_ERROR_OUT_OF_HOST_MEMORY);
    }
    plan.wait(plan.submit(info));
    expect_close(chain.actual()[3], chain.expected(3)[3], 9);
}

HERON_DEVICE_TESTS(PlanTest);

}  // namespace
}  // namespace heron
