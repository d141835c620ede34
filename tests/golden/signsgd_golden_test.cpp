// SPDX-License-Identifier: MIT
// SignSGD and Signum against NVIDIA's Emerging-Optimizers: updates without learning rate.
#include "golden/optimizer_golden.hpp"

namespace heron::test {
namespace {

class SignSgdGoldenTest : public OptimizerGoldenTest {};

TEST_P(SignSgdGoldenTest, EveryFile) {
    run_golden("signsgd", GetParam().name, [&](const GoldenCase& golden, GoldenResult& result) {
        OptimizerGolden setup;
        setup.updates = !golden.has_tensor(GoldenCase::tensor_name("w", golden.parameters().front(), 0));
        SignSgdOptions options;
        options.lr = setup.updates ? 1.0f : static_cast<float>(golden.number("lr", options.lr));
        options.momentum = golden.number("momentum", options.momentum);
        options.nesterov = golden.flag("nesterov", false);
        options.bias_correction = golden.flag("correct_bias", false);
        options.shape_scaling = golden.flag("use_shape_scaling", false);
        options.weight_decay = static_cast<float>(golden.number("weight_decay", 0.0));
        setup.make = [&](const Device& on) { return std::make_unique<SignSgd>(on, options); };
        setup.element_wise = true;
        setup.lr = options.lr;
        setup.states = {{"m", "momentum"}, {"momentum_buffer", "momentum"}, {"exp_avg", "momentum"}};
        run_case(golden, result, setup);
    });
}

HERON_DEVICE_TESTS(SignSgdGoldenTest);

}  // namespace
}  // namespace heron::test
