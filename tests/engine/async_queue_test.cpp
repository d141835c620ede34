// SPDX-License-Identifier: MIT
// The frame sample with a second queue for compute. Devices without a GPU have one queue, so it is emulated:
// its families, sharing and semaphores are checked as if both ran at the same time, and the two are executed
// in the orders that semaphores allow and that fit least.
#include <gtest/gtest.h>

#include <algorithm>
#include <cstring>
#include <string>
#include <vector>

#include "engine/second_queue.hpp"
#include "frame_loop.hpp"
#include "support/device_fixture.hpp"

namespace {

using heron::test::LateQueue;
using heron::test::SecondPlace;
using heron::test::SecondQueue;

constexpr std::uint32_t kFrames = 9;  // with snapshots after 1, 2, 4 and 8 steps

// All of the sample but its report.
struct Renderer {
    HostAllocator host;
    Context context;
    DeviceMemory memory;
    HeronMemory heron_memory;
    Training training;
    FrameLoop loop;

    Renderer(PFN_vkGetInstanceProcAddr entry, const heron::DeviceInfo& info)
        : context(entry, info.index, heron::test::validation_enabled()),
          memory(context),
          heron_memory(context, memory, false),
          training(context, memory, host, heron_memory.callbacks(), *samples::find_optimizer("muon")),
          loop(context, memory, heron_memory, host, training, {.frames = kFrames}) {}

    std::vector<std::uint8_t> picture() {
        const heron::BufferRange pixels = memory.allocate(
            heron::MemoryKind::readback, VkDeviceSize{4} * Scene::kSize.width * Scene::kSize.height);
        loop.read_picture(pixels);
        std::vector<std::uint8_t> copy(pixels.bytes);
        std::memcpy(copy.data(), pixels.mapped, copy.size());
        memory.free(pixels);
        return copy;
    }
};

void expect_same_weights(const LoopResult& result, const LoopResult& expected) {
    EXPECT_EQ(result.skipped, 0u);
    const std::size_t common = std::min(result.snapshots.size(), expected.snapshots.size());
    EXPECT_GT(common, 0u);
    for (std::size_t power = 0; power < common; ++power)
        EXPECT_EQ(result.snapshots[power].weights, expected.snapshots[power].weights)
            << "after " << (1u << power) << " steps";
}

class AsyncQueueTest : public testing::TestWithParam<heron::DeviceInfo> {};
HERON_DEVICE_TESTS(AsyncQueueTest);

TEST_P(AsyncQueueTest, WhicheverQueueIsLateFramesAndWeightsAreTheSame) {
    LoopResult expected;
    std::vector<std::uint8_t> picture;
    {
        Renderer renderer(heron::test::plain_entry(), GetParam());
        expected = renderer.loop.run(Mode::async);
        picture = renderer.picture();
    }
    ASSERT_EQ(expected.steps, kFrames);
    ASSERT_EQ(expected.snapshots.size(), 4u);
    for (const SecondPlace place : {SecondPlace::own_family, SecondPlace::same_family})
        for (const LateQueue late : {LateQueue::first, LateQueue::second}) {
            SCOPED_TRACE(testing::Message() << "place " << int(place) << ", late " << int(late));
            SecondQueue queues(heron::test::plain_entry(), place, late);
            {
                Renderer renderer(queues.entry(), GetParam());
                EXPECT_TRUE(renderer.context.async()) << renderer.context.queues_text();
                const LoopResult result = renderer.loop.run(Mode::async);
                EXPECT_EQ(result.steps, kFrames);
                expect_same_weights(result, expected);
                EXPECT_TRUE(renderer.picture() == picture) << "the last frame is another one";
                EXPECT_EQ(renderer.context.validation_messages(), 0u);
            }
            EXPECT_EQ(queues.misuse(), "");
        }
}

// Heron is adopted for the family of async compute, and records into the frame's command buffers, too.
TEST_P(AsyncQueueTest, EveryModeKeepsToTheFamiliesOfItsQueues) {
    SecondQueue queues(heron::test::plain_entry(), SecondPlace::own_family, LateQueue::second);
    {
        Renderer renderer(queues.entry(), GetParam());
        const Context& context = renderer.context;
        EXPECT_NE(context.compute().family, context.graphics().family);
        EXPECT_EQ(renderer.training.device().queue_family(), context.compute().family);
        const LoopResult recorded = renderer.loop.run(Mode::record);
        for (const Mode mode : {Mode::secondary, Mode::async, Mode::slices})
            expect_same_weights(renderer.loop.run(mode), recorded);
        EXPECT_EQ(context.validation_messages(), 0u);
    }
    EXPECT_EQ(queues.misuse(), "");
}

// The renderer brings its own memory; an engine that does not has Heron's arenas.
TEST_P(AsyncQueueTest, ArenasAreSharedByTheFamiliesThatHeronIsToldOf) {
    constexpr std::uint64_t kCount = 64;
    for (const bool told : {false, true}) {
        SecondQueue queues(heron::test::plain_entry(), SecondPlace::own_family, LateQueue::second);
        {
            const Context context(queues.entry(), GetParam().index, heron::test::validation_enabled());
            const std::uint32_t graphics = context.graphics().family;
            heron::AdoptedDevice handles = context.handles();
            if (told) handles.other_queue_families = {&graphics, 1};
            const heron::Device device = heron::Device::adopt(handles);
            const heron::Buffer values =
                device.create_buffer(2 * kCount * sizeof(float), heron::MemoryKind::upload);
            heron::AdamW adamw(device);
            adamw.add({"weight", values.view(heron::DType::f32, {kCount}),
                       values.view(heron::DType::f32, {kCount}, kCount * sizeof(float))});
            heron::Plan plan = heron::compile(device, {&adamw});
            plan.allocate();
            EXPECT_EQ(context.validation_messages(), 0u);
        }
        const bool complains = queues.misuse().find("does not share") != std::string::npos;
        EXPECT_EQ(complains, !told) << queues.misuse();
    }
}

// Of a batch: the first value that it waits for, or signals; 0 where there is none.
std::uint64_t value_of(const std::vector<VkSemaphoreSubmitInfo>& semaphores) {
    return semaphores.empty() ? 0 : semaphores.front().value;
}

// Frame f draws what step f has published, and step f + 1 runs beside it; its weights go where those of step
// f - 1 were, from which frame f - 1 has drawn. So each waits for that, and for no more.
TEST_P(AsyncQueueTest, FramesAndStepsWaitForEachOtherAsFarAsTheyMust) {
    SecondQueue queues(heron::test::plain_entry(), SecondPlace::own_family, LateQueue::second);
    std::vector<SecondQueue::Batch> frames, compute;
    {
        Renderer renderer(queues.entry(), GetParam());
        queues.take_submitted();
        renderer.loop.run(Mode::async);
        for (const SecondQueue::Batch& batch : queues.take_submitted())
            (batch.second ? compute : frames).push_back(batch);
    }
    ASSERT_EQ(frames.size(), kFrames);
    // The first weights; for each step a backward pass, Heron's commands and the publication; the last loss.
    ASSERT_EQ(compute.size(), 3 * kFrames + 2);
    ASSERT_EQ(frames[0].signals.size(), 1u);
    ASSERT_EQ(compute[3].signals.size(), 1u);
    const VkSemaphore drawn = frames[0].signals[0].semaphore;
    const VkSemaphore trained = compute[3].signals[0].semaphore;
    ASSERT_NE(drawn, trained);
    for (std::uint32_t f = 0; f < kFrames; ++f) {
        SCOPED_TRACE(testing::Message() << "frame " << f);
        const SecondQueue::Batch& frame = frames[f];
        const SecondQueue::Batch& backward = compute[1 + 3 * f];
        const SecondQueue::Batch& publish = compute[3 + 3 * f];
        EXPECT_EQ(value_of(frame.signals), f + 1);
        EXPECT_EQ(value_of(publish.signals), f + 1);
        EXPECT_EQ(value_of(frame.waits), f);
        EXPECT_EQ(value_of(backward.waits), f);
        ASSERT_EQ(frame.waits.size(), f > 0 ? 1u : 0u);
        ASSERT_EQ(backward.waits.size(), f > 0 ? 1u : 0u);
        if (f == 0) continue;
        EXPECT_EQ(frame.waits[0].semaphore, trained);
        EXPECT_EQ(backward.waits[0].semaphore, drawn);
    }
    EXPECT_EQ(queues.misuse(), "");
}

}  // namespace
