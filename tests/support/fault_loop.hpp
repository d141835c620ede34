// SPDX-License-Identifier: MIT
// Lets every Vulkan call that can fail, fail once, in every way.
#pragma once

#include <gtest/gtest.h>

#include <cstdint>
#include <heron/error.hpp>

#include "core/check.hpp"
#include "support/vulkan_proxy.hpp"

namespace heron::test {

// `life` makes a device through `proxy`, works with it, lets go of all of it, and returns what came out, the
// same each time. Whichever of its calls fails: the error that says so comes out, no handle stays behind, and
// the next attempt gives the same bits.
template <class Life>
void fail_everywhere(VulkanProxy& proxy, const Life& life) {
    const auto expected = life();
    ASSERT_EQ(proxy.live_text(), "");
    const std::uint64_t calls = proxy.fallible_calls();
    ASSERT_GT(calls, 40u);
    for (VkResult result :
         {VK_ERROR_OUT_OF_HOST_MEMORY, VK_ERROR_OUT_OF_DEVICE_MEMORY, VK_ERROR_DEVICE_LOST, VK_TIMEOUT}) {
        std::uint64_t index = 0;
        std::uint64_t silent_waits = 0;  // of the destructors of a plan and of the device
        for (; index < 10 * calls; ++index) {
            proxy.fail_call(index, result);
            try {
                const auto values = life();
                // Only these may be survived: memory of another type serves as well, destructors tell nobody.
                if (proxy.failed() == "vkWaitSemaphores")
                    ++silent_waits;
                else if (!proxy.failed().empty())
                    EXPECT_EQ(proxy.failed(), "vkAllocateMemory") << index;
                EXPECT_EQ(values, expected);
            } catch (const Error& error) {
                // A time-out is one of a wait only.
                if (proxy.failed() == "vkWaitSemaphores" || result != VK_TIMEOUT)
                    EXPECT_STREQ(to_string(error.code()), to_string(code_of(result)))
                        << index << " " << proxy.failed() << ": " << error.what();
                EXPECT_EQ(error.vk_result(), result)
                    << index << " " << proxy.failed() << ": " << error.what();
                EXPECT_FALSE(proxy.failed().empty()) << error.what();
            }
            EXPECT_EQ(proxy.live_text(), "") << "call " << index << ", " << proxy.failed();
            if (proxy.failed().empty()) break;
        }
        EXPECT_EQ(index, calls) << "every call was reached";
        EXPECT_LE(silent_waits, 2u);
        proxy.stop_failing();
        EXPECT_EQ(life(), expected) << "a retry gives the same bits";
        if (::testing::Test::HasFailure()) return;
    }
}

}  // namespace heron::test
