// SPDX-License-Identifier: MIT
// The frame sample as its users run it, on every device, under the validation layer where it is installed.
#include <gtest/gtest.h>

#include "samples/sample_program.hpp"
#include "support/device_fixture.hpp"

namespace heron::test {
namespace {

class FrameLoopTest : public testing::TestWithParam<DeviceInfo> {
protected:
    static Outcome frame_loop(const std::string& arguments) {
        return run(std::string(FRAME_LOOP_PROGRAM) + " --device " + std::to_string(GetParam().index) +
                   (validation_enabled() ? " --validation " : " ") + arguments);
    }
    static void expect_says(const Outcome& outcome, const std::string& text) {
        EXPECT_NE(outcome.text.find(text), std::string::npos) << text << "\n" << outcome.text;
    }
};
HERON_DEVICE_TESTS(FrameLoopTest);

// No message, no allocation, no pipeline, and the same bits in all four modes; or the program fails.
TEST_P(FrameLoopTest, TrainsInFourWaysToTheSameBits) {
    for (const char* optimizer : {"shampoo", "fismo", "kfac"}) {
        const Outcome outcome = frame_loop(std::string("--frames 16 --optimizer ") + optimizer);
        EXPECT_EQ(outcome.code, 0) << outcome.text;
        expect_says(outcome, "the same bits in record, secondary, async, slices");
        expect_says(outcome, "Nothing was allocated or compiled inside a frame.");
        if (validation_enabled()) expect_says(outcome, "No message of the validation layer.");
        for (const char* mode : {"none", "record", "secondary", "async", "slices"})
            EXPECT_EQ(lines_with(outcome.text, std::string("| ") + mode).size(), 1u) << outcome.text;
    }
}

// A budget below every dispatch's cost: one dispatch a frame.
TEST_P(FrameLoopTest, TheSmallestBudgetGoesOnByOneDispatch) {
    const Outcome outcome = frame_loop("--frames 30 --mode slices --budget 0.001 --optimizer adamw");
    EXPECT_EQ(outcome.code, 0) << outcome.text;
    expect_says(outcome, "the same bits in slices");
}

TEST_P(FrameLoopTest, OneFrameIsEnough) {
    const Outcome outcome = frame_loop("--frames 1 --optimizer muon");
    EXPECT_EQ(outcome.code, 0) << outcome.text;
    expect_says(outcome, "Weights after 1 steps: the same bits in record, secondary, async");
}

// The adapter that engines copy, where the build found the allocator.
TEST_P(FrameLoopTest, TakesMemoryFromTheVulkanMemoryAllocator) {
    const Outcome outcome = frame_loop("--frames 8 --optimizer shampoo --vma");
    if (!FRAME_LOOP_HAVE_VMA) {
        EXPECT_EQ(outcome.code, 2) << outcome.text;
        expect_says(outcome, "--vma: vk_mem_alloc.h was not found when this program was built");
        return;
    }
    EXPECT_EQ(outcome.code, 0) << outcome.text;
    // (On a busy machine eight frames may be too few for a step in slices.)
    expect_says(outcome, "the same bits in record, secondary, async");
    expect_says(outcome, "Nothing was allocated or compiled inside a frame.");
}

TEST_P(FrameLoopTest, RefusesWhatItDoesNotKnow) {
    for (const char* wrong : {"--mode twice", "--optimizer none", "--frames 0", "--budget -1"}) {
        const Outcome outcome = frame_loop(wrong);
        EXPECT_EQ(outcome.code, 2) << outcome.text;
        EXPECT_EQ(outcome.text.find("Renderer:"), std::string::npos) << outcome.text;
    }
}

}  // namespace
}  // namespace heron::test
