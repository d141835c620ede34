// SPDX-License-Identifier: MIT
// Every optimizer, in its defaults and published forms, made through C and through C++: the same plan,
// options that a checkpoint of the other's accepts, and the same weights to the last bit.
#include <filesystem>
#include <functional>

#include "c_api/c_device_test.hpp"

namespace heron {
namespace {

constexpr std::uint32_t kRows = 24, kColumns = 16, kSamples = 5;
constexpr int kSteps = 3;

// Tensors of one training: the weight's, and what the passes of a layer leave behind.
struct Tensors {
    heron_parameter parameter;
    heron_tensor_view inputs, output_gradients;
};

// Which of the tensors an optimizer takes, by its class and options.
template <class Made, class Options>
bool takes_product(const Options& options) {
    if constexpr (requires { options.fit == PsgdFit::hessian; })
        return options.fit == PsgdFit::hessian;
    else
        return false;
}

template <class Made, class Options>
void add_in_cpp(Made& made, const Options& options, const Tensors& tensors) {
    const Parameter parameter = c::read_struct(tensors.parameter);
    if constexpr (std::is_base_of_v<LayerOptimizer, Made>) {
        Layer layer;
        layer.weight = parameter;
        layer.inputs = c::read(tensors.inputs);
        layer.output_gradients = c::read(tensors.output_gradients);
        made.add_layer(layer);
    } else if constexpr (requires { made.add(parameter, PsgdInputs{}); }) {
        if (takes_product<Made>(options))
            made.add(parameter, PsgdInputs{.product = parameter.gradient});
        else
            made.add(parameter);
    } else
        made.add(parameter);
}

template <class Made, class Options>
void add_in_c(heron_optimizer* made, const Options& options, const Tensors& tensors) {
    if constexpr (std::is_base_of_v<LayerOptimizer, Made>) {
        heron_layer layer;
        HERON_C_OK(heron_layer_init(&layer));
        layer.weight = &tensors.parameter;
        layer.inputs = tensors.inputs;
        layer.output_gradients = tensors.output_gradients;
        HERON_C_OK(heron_optimizer_add_layer(made, &layer));
    } else if (takes_product<Made>(options)) {
        heron_psgd_inputs inputs;
        HERON_C_OK(heron_psgd_inputs_init(&inputs));
        inputs.product = tensors.parameter.gradient;
        HERON_C_OK(heron_optimizer_add_with_inputs(made, &tensors.parameter, &inputs));
    } else
        HERON_C_OK(heron_optimizer_add(made, &tensors.parameter));
}

// What has no default: the rank of two optimizers.
template <class Options>
void complete(Options& options) {
    if constexpr (requires { options.rank; })
        if (options.rank == 0) options.rank = 4;
}

class COptimizersTest : public test::CDeviceTest {
protected:
    void TearDown() override {
        std::filesystem::remove(path_);
        CDeviceTest::TearDown();
    }

    Tensors tensors() {
        const heron_shape shape{2, {kRows, kColumns}};
        Tensors made;
        made.parameter =
            parameter("fc.weight", test::noise(kRows * kColumns, 1), test::noise(kRows * kColumns, 2), shape);
        made.inputs = tensor(test::noise(kSamples * kColumns, 3), {2, {kSamples, kColumns}});
        made.output_gradients = tensor(test::noise(kSamples * kRows, 4), {2, {kSamples, kRows}});
        return made;
    }

    template <class Made, class Options, class C>
    void expect_same(Options options, heron_result (*initialize)(C*),
                     heron_result (*create)(const heron_device*, const C*, heron_optimizer**)) {
        // C++
        const Device& device = c_device()->device;
        complete(options);
        Made made(device, options);
        const Tensors in_cpp = tensors();
        add_in_cpp(made, options, in_cpp);
        Plan plan = compile(device, {&made});
        plan.allocate();
        plan.initialize();
        for (int step = 0; step < kSteps; ++step) plan.run();
        save_checkpoint(plan, path_);

        // C
        C c_options;
        HERON_C_OK(initialize(&c_options));
        complete(c_options);
        test::OwnedOptimizer c_made;
        HERON_C_OK(create(c_device(), &c_options, c_made.out()));
        EXPECT_EQ(heron_optimizer_name(c_made), made.name());
        const Tensors in_c = tensors();
        add_in_c<Made>(c_made, options, in_c);
        EXPECT_EQ(heron_optimizer_parameter_count(c_made), 1u);
        test::OwnedPlan c_plan;
        heron_optimizer* const members[] = {c_made};
        HERON_C_OK(heron_compile(c_device(), members, 1, nullptr, c_plan.out()));
        HERON_C_OK(heron_plan_allocate(c_plan));
        HERON_C_OK(heron_plan_initialize(c_plan));
        for (int step = 0; step < kSteps; ++step) HERON_C_OK(heron_plan_run(c_plan));

        const std::string described = test::text_of(
            [&](char* text, std::size_t* bytes) { return heron_plan_describe(c_plan, text, bytes); });
        EXPECT_EQ(described, plan.describe());
        EXPECT_EQ(values(in_c.parameter.weight), values(in_cpp.parameter.weight));
        // Every option but the learning rate, whose effect the weights show, is in a checkpoint.
        HERON_C_OK(heron_load_checkpoint(c_plan, path_.c_str(), HERON_CHANGED_OPTIONS_REFUSE, nullptr));
    }

    const std::filesystem::path path_ =
        std::filesystem::path(::testing::TempDir()) / "c_optimizers_test.safetensors";
};
HERON_DEVICE_TESTS(COptimizersTest);

TEST_P(COptimizersTest, MakeTheSamePlansAsInCpp){
#define HERON_C_FIELDS(Struct, ...)
#define HERON_C_STRUCT(C, initialize)
#define HERON_C_OPTIMIZER(Made, options, C, initialize, create) \
    {                                                           \
        SCOPED_TRACE(#initialize);                              \
        expect_same<Made>(options, initialize, create);         \
    }
#include "c_api/list.inc"
#undef HERON_C_FIELDS
#undef HERON_C_STRUCT
#undef HERON_C_OPTIMIZER
}

TEST_P(COptimizersTest, OptionsOutOfRangeAreRefusedByName) {
    heron_adamw_options options;
    HERON_C_OK(heron_adamw_options_init(&options));
    options.beta1 = 1;
    heron_optimizer* made = nullptr;
    EXPECT_EQ(heron_adamw_create(c_device(), &options, &made), HERON_ERROR_INVALID_ARGUMENT);
    EXPECT_TRUE(test::says(heron_last_error(), "beta1")) << heron_last_error();
    EXPECT_EQ(made, nullptr);
    EXPECT_EQ(heron_adamw_create(c_device(), &options, nullptr), HERON_ERROR_INVALID_ARGUMENT);
    options.header = {};
    EXPECT_EQ(heron_adamw_create(c_device(), &options, &made), HERON_ERROR_INVALID_ARGUMENT);
    EXPECT_TRUE(test::says(heron_last_error(), "heron_adamw_options_init()")) << heron_last_error();
    options.header = {sizeof options, HERON_MAKE_VERSION(HERON_VERSION_MAJOR + 1, 0, 0)};
    EXPECT_EQ(heron_adamw_create(c_device(), &options, &made), HERON_ERROR_VERSION_MISMATCH);
    HERON_C_OK(heron_adamw_create(c_device(), nullptr, &made));  // the defaults
    heron_optimizer_destroy(made);
}

TEST_P(COptimizersTest, LookaheadTakesItsInnerOptimizer) {
    const Tensors in_cpp = tensors(), in_c = tensors();
    const Device& device = c_device()->device;
    Lookahead made(device, std::make_unique<AdamW>(device), {.steps = 2});
    made.add(c::read_struct(in_cpp.parameter));
    Plan plan = compile(device, {&made});
    plan.allocate();
    plan.initialize();

    heron_lookahead_options options;
    HERON_C_OK(heron_lookahead_options_init(&options));
    options.steps = 2;
    test::OwnedOptimizer inner, c_made;
    HERON_C_OK(heron_adamw_create(c_device(), nullptr, inner.out()));
    HERON_C_OK(heron_lookahead_create(c_device(), inner.release(), &options, c_made.out()));
    HERON_C_OK(heron_optimizer_add(c_made, &in_c.parameter));
    test::OwnedPlan c_plan;
    heron_optimizer* const members[] = {c_made};
    HERON_C_OK(heron_compile(c_device(), members, 1, nullptr, c_plan.out()));
    HERON_C_OK(heron_plan_allocate(c_plan));
    HERON_C_OK(heron_plan_initialize(c_plan));
    for (int step = 0; step < kSteps; ++step) {
        plan.run();
        HERON_C_OK(heron_plan_run(c_plan));
    }
    EXPECT_EQ(values(in_c.parameter.weight), values(in_cpp.parameter.weight));
    // The slow weights, and back.
    const std::vector<float> fast = values(in_c.parameter.weight);
    test::OwnedEvaluationWeights slow;
    HERON_C_OK(heron_evaluation_weights_create(c_plan, &in_c.parameter, 1, "slow", slow.out()));
    EXPECT_EQ(heron_evaluation_weights_restore(slow), HERON_ERROR_INVALID_ARGUMENT);
    HERON_C_OK(heron_evaluation_weights_load(slow));
    EXPECT_NE(values(in_c.parameter.weight), fast);
    HERON_C_OK(heron_evaluation_weights_restore(slow));
    EXPECT_EQ(values(in_c.parameter.weight), fast);

    // Its inner optimizer is gone, even where it is refused.
    test::OwnedOptimizer again;
    HERON_C_OK(heron_adamw_create(c_device(), nullptr, inner.out()));
    options.steps = 0;
    EXPECT_EQ(heron_lookahead_create(c_device(), inner.release(), &options, again.out()),
              HERON_ERROR_INVALID_ARGUMENT);
    EXPECT_EQ(heron_lookahead_create(c_device(), nullptr, nullptr, again.out()),
              HERON_ERROR_INVALID_ARGUMENT);
}

TEST_P(COptimizersTest, TakesWhatTheyAreGivenOrSaysWhyNot) {
    const Tensors in_c = tensors();
    heron_layer layer;
    HERON_C_OK(heron_layer_init(&layer));
    EXPECT_EQ(layer.loss, HERON_LOSS_REDUCTION_MEAN_OVER_BATCH);
    heron_psgd_inputs inputs;
    HERON_C_OK(heron_psgd_inputs_init(&inputs));
    test::OwnedOptimizer adamw, kfac, kron;
    HERON_C_OK(heron_adamw_create(c_device(), nullptr, adamw.out()));
    HERON_C_OK(heron_kfac_create(c_device(), nullptr, kfac.out()));
    HERON_C_OK(heron_kron_torch_create(c_device(), nullptr, kron.out()));
    EXPECT_EQ(heron_optimizer_add_layer(adamw, &layer), HERON_ERROR_INVALID_ARGUMENT);
    EXPECT_EQ(heron_optimizer_add_layer(kfac, &layer), HERON_ERROR_INVALID_ARGUMENT);  // without a weight
    EXPECT_TRUE(test::says(heron_last_error(), "heron_layer.weight")) << heron_last_error();
    EXPECT_EQ(heron_optimizer_add(kfac, &in_c.parameter), HERON_ERROR_INVALID_ARGUMENT);
    EXPECT_EQ(heron_optimizer_add_with_inputs(adamw, &in_c.parameter, &inputs), HERON_ERROR_INVALID_ARGUMENT);
    inputs.product = in_c.parameter.gradient;
    EXPECT_EQ(heron_optimizer_add_with_inputs(kron, &in_c.parameter, &inputs), HERON_ERROR_INVALID_ARGUMENT);
    inputs.product = {};
    inputs.draws = in_c.parameter.gradient;
    HERON_C_OK(heron_optimizer_add_with_inputs(kron, &in_c.parameter, &inputs));
    EXPECT_EQ(heron_optimizer_add(kron, &in_c.parameter), HERON_ERROR_INVALID_ARGUMENT);  // a second time
    HERON_C_OK(heron_optimizer_set_name(adamw, "biases"));
    EXPECT_STREQ(heron_optimizer_name(adamw), "biases");
}

}  // namespace
}  // namespace heron
