// SPDX-License-Identifier: MIT
// A whole training step on devices that are less than, or other than, the real one: it passes, or is refused
// by name.
#include <gtest/gtest.h>

#include "optim/registry.hpp"
#include "support/vulkan_proxy.hpp"

namespace heron::test {
namespace {

class EmulatedTest : public DeviceTest {
protected:
    // Weights after three steps of Muon (one matrix that fits one workgroup, one that does not) and AdamW.
    std::vector<std::vector<float>> train(const Emulation& emulation) {
        VulkanProxy proxy(plain_entry(), emulation);
        std::vector<std::vector<float>> weights;
        {
            DeviceOptions options = device_options(GetParam());
            options.get_instance_proc_addr = proxy.entry();
            Device device = Device::create(options);
            StepOptions step;
            step.clip_norm = 5.0f;
            Training training(
                device,
                {{[](const Device& on) { return std::make_unique<Muon>(on); },
                  {{.name = "small", .shape = {20, 12}}, {.name = "large", .shape = {130, 97}}}},
                 {[](const Device& on) { return std::make_unique<AdamW>(on); },
                  {{.name = "bias", .shape = {333}},
                   {.name = "half",
                    .shape = {7, 5},
                    .weight_dtype = DType::f16,
                    .gradient_dtype = DType::bf16}}}},
                step);
            training.steps(1, 3);
            for (std::size_t i = 0; i < training.size(); ++i) weights.push_back(training.tensor(i).weight());
        }
        EXPECT_EQ(proxy.live_text(), "");
        return weights;
    }

    // Other kernels sum in another order; Newton-Schulz amplifies that as specified (1e-5 of the update's
    // norm each step), and 16-bit weights may round the other way.
    void expect_alike(const Emulation& emulation, const std::vector<std::vector<float>>& expected) {
        const auto actual = train(emulation);
        ASSERT_EQ(actual.size(), expected.size());
        for (std::size_t i = 0; i < actual.size(); ++i) {
            const double unit = i == 3 ? 0x1p-10 : 0x1p-22;
            for (std::size_t k = 0; k < actual[i].size(); ++k)
                ASSERT_NEAR(actual[i][k], expected[i][k], 3e-5 * 0.02 * 8 + unit * std::abs(expected[i][k]))
                    << "tensor " << i << " element " << k;
        }
    }
};
HERON_DEVICE_TESTS(EmulatedTest);

TEST_P(EmulatedTest, EverySubgroupSizeAndLimitTrainsAlike) {
    const auto expected = train({});
    for (const std::uint32_t size : {1u, 2u, 4u, 8u, 16u, 32u, 64u, 128u}) {
        SCOPED_TRACE("subgroup size " + std::to_string(size));
        Emulation emulation;
        emulation.subgroup_size = size;
        expect_alike(emulation, expected);
    }
    {
        SCOPED_TRACE("the smallest limits of Vulkan 1.3");
        Emulation emulation;
        emulation.shared_memory_bytes = 16384;
        emulation.max_invocations = 128;
        emulation.without_16_bit_types = true;
        expect_alike(emulation, expected);
    }
    {
        SCOPED_TRACE("a discrete GPU with memory that is not coherent");
        Emulation emulation;
        emulation.separate_host_memory = true;
        emulation.non_coherent = true;
        expect_alike(emulation, expected);
    }
}

// All in one plan, with the kernels of GPUs: one step matches float64 where there is a reference.
TEST_P(EmulatedTest, EveryOptimizerStepsWithTheSmallestLimits) {
    Emulation emulation;
    emulation.shared_memory_bytes = 16384;
    emulation.max_invocations = 128;
    emulation.without_16_bit_types = true;
    VulkanProxy proxy(plain_entry(), emulation);
    {
        DeviceOptions options = device_options(GetParam(), {.cpu = true});
        options.get_instance_proc_addr = proxy.entry();
        Device device = Device::create(options);
        EXPECT_EQ(device.capabilities().shared_memory_bytes, 16384u);
        const std::vector<OptimizerCase> registry = optimizer_registry();
        const Shape shape{17, 13};
        Training training(device, every_optimizer(shape));
        ASSERT_EQ(training.size(), registry.size());
        std::vector<std::vector<float>> before;
        std::vector<std::unique_ptr<Reference>> references;
        for (std::size_t i = 0; i < registry.size(); ++i) {
            before.push_back(training.tensor(i).weight());
            references.push_back(registry[i].reference ? registry[i].reference(shape) : nullptr);
            if (!references[i]) continue;
            references[i]->states = training.states_of(i);
            references[i]->optimizer = registry[i].name;
        }
        training.draw_gradients(3);
        training.plan().run();
        EXPECT_EQ(training.nonfinite(), std::vector<std::string>{});
        for (std::size_t i = 0; i < registry.size(); ++i) {
            SCOPED_TRACE(registry[i].name);
            const std::vector<float> after = training.tensor(i).weight();
            EXPECT_NE(after, before[i]);
            if (!references[i]) continue;
            std::vector<double> expected = doubles(before[i]);
            references[i]->step(expected, doubles(training.tensor(i).gradient_values()), 1);
            double error = 0, update = 0, weight = 0;
            for (std::size_t k = 0; k < after.size(); ++k) {
                error += std::pow(after[k] - expected[k], 2);
                update += std::pow(expected[k] - before[i][k], 2);
                weight += expected[k] * expected[k];
            }
            // As anywhere else (optimizer_test.cpp): 1e-4 of the update, and three roundings of W.
            EXPECT_LE(std::sqrt(error), 1e-4 * std::sqrt(update) + 3 * 0x1p-24 * std::sqrt(weight));
        }
    }
    EXPECT_EQ(proxy.live_text(), "");
}

TEST_P(EmulatedTest, DevicesBelowTheBaselineAreRefusedByName) {
    const auto refused = [&](const Emulation& emulation, const std::string& word) {
        VulkanProxy proxy(plain_entry(), emulation);
        DeviceOptions options = device_options(GetParam());
        options.get_instance_proc_addr = proxy.entry();
        try {
            Device::create(options);
            ADD_FAILURE() << "accepted without " << word;
        } catch (const Error& error) {
            EXPECT_EQ(error.code(), ErrorCode::unsupported);
            EXPECT_NE(std::string(error.what()).find(word), std::string::npos) << error.what();
        }
    };
    Emulation old;
    old.api_version = VK_API_VERSION_1_2;
    refused(old, "1.2");
    for (const char* feature : {"bufferDeviceAddress", "scalarBlockLayout", "timelineSemaphore",
                                "synchronization2", "maintenance4"}) {
        Emulation emulation;
        emulation.without_features = {feature};
        refused(emulation, feature);
    }
}

}  // namespace
}  // namespace heron::test
