// SPDX-License-Identifier: MIT
// What optimizers, steps and checkpoints refuse: each with a message that names the culprit, before anything
// changes.
#include <gtest/gtest.h>

#include <array>
#include <bit>
#include <cstdint>
#include <filesystem>
#include <fstream>
#include <limits>

#include "optim/registry.hpp"
#include "optim/training.hpp"

namespace heron::test {
namespace {

constexpr float kNan = std::numeric_limits<float>::quiet_NaN();
constexpr float kInfinity = std::numeric_limits<float>::infinity();

class BadInputTest : public DeviceTest {
protected:
    // `act` must throw invalid_argument with every one of `words` in its text.
    template <class Act>
    static void refused(const Act& act, std::initializer_list<const char*> words) {
        try {
            act();
            ADD_FAILURE() << "not refused: " << *words.begin();
        } catch (const Error& error) {
            EXPECT_EQ(error.code(), ErrorCode::invalid_argument) << error.what();
            for (const char* word : words)
                EXPECT_NE(std::string(error.what()).find(word), std::string::npos)
                    << error.what() << " lacks " << word;
        }
    }
    // As a layer or with a product where the optimizer takes these.
    void add_to(Optimizer& optimizer, const Parameter& p) {
        if (takes_product(optimizer)) {
            const GuardedBuffer& product = guarded(std::vector<float>(6 * 4, 0.5f));
            return add_with_product(optimizer, p, product.view(DType::f32, {6, 4}));
        }
        auto* layers = dynamic_cast<LayerOptimizer*>(&optimizer);
        if (layers == nullptr) return optimizer.add(p);
        Layer layer;
        layer.weight = p;
        layer.inputs = guarded(std::vector<float>(5 * 4, 0.5f)).view(DType::f32, {5, 4});
        layer.output_gradients = guarded(std::vector<float>(5 * 6, 0.5f)).view(DType::f32, {5, 6});
        layers->add_layer(layer);
    }
    // A parameter in one buffer: weight, then gradient.
    Parameter parameter(const std::string& name, const Shape& shape = {6, 4}) {
        GuardedBuffer& memory = guarded(std::vector<float>(2 * shape.count() + 8, 0.5f));
        Parameter p;
        p.name = name;
        p.weight = memory.view(DType::f32, shape);
        p.gradient = memory.view(DType::f32, shape, (shape.count() + 4) * 4);
        return p;
    }
};

TEST_P(BadInputTest, ParametersThatNoStepCouldUse) {
    AdamW adamw(device());
    const auto add = [&](auto&& change) {
        Parameter p = parameter("layer.weight");
        change(p);
        return [&adamw, p] { adamw.add(p); };
    };
    refused(add([](Parameter& p) { p.name.clear(); }), {"no name"});
    for (const char* name : {"caf\xe9", "\xff", "a\xc0\x80", "\xed\xa0\x80", "cut\xe2\x82"})
        refused(add([&](Parameter& p) { p.name = name; }), {"adamw", "not UTF-8"});
    refused(add([](Parameter& p) { p.name = "__metadata__"; }), {"__metadata__", "choose another"});
    refused(add([](Parameter& p) { p.weight.address = 0; }), {"layer.weight", "weight", "null"});
    refused(add([](Parameter& p) { p.gradient.address = 0; }), {"layer.weight", "gradient", "null"});
    refused(add([](Parameter& p) { p.weight.address += 2; }), {"layer.weight", "multiple of 4"});
    refused(add([](Parameter& p) { p.weight.dtype = DType::u32; }), {"layer.weight", "u32", "f16"});
    refused(add([](Parameter& p) { p.gradient.shape = Shape{4, 6}; }), {"layer.weight", "6x4", "4x6"});
    refused(add([](Parameter& p) { p.weight.row_stride = 8; }),
            {"layer.weight", "row stride of 8", "contiguous"});
    refused(add([](Parameter& p) { p.gradient.address = p.weight.address + 16; }),
            {"layer.weight", "overlap"});
    refused(add([](Parameter& p) { p.gradient = p.weight; }), {"layer.weight", "overlap"});
    refused(add([](Parameter& p) { p.role = static_cast<Role>(42); }), {"layer.weight", "role"});
    refused(add([](Parameter& p) { p.lr_scale = -1.0f; }), {"layer.weight", "lr_scale", "-1"});
    refused(add([](Parameter& p) { p.weight_decay_scale = kNan; }),
            {"layer.weight", "weight_decay_scale", "nan"});
    refused(add([](Parameter& p) {
                p.weight.shape = p.gradient.shape = Shape{1u << 20, 1u << 20};
            }),
            {"layer.weight", "2^32"});
    refused(add([&](Parameter& p) { p.weight.device = device().id() + 1000; }),
            {"layer.weight", "another device"});
    EXPECT_TRUE(adamw.parameters().empty());
    adamw.add(parameter("layer.weight"));
    refused([&] { adamw.add(parameter("layer.weight")); }, {"layer.weight", "unique"});
    adamw.add(
        parameter("layer.na\xc3\xaf"
                  "ve"));
    refused([&] { adamw.add(parameter("layer.weight")); }, {"layer.weight", "unique"});
    EXPECT_EQ(adamw.parameters().size(), 2u);
}

TEST_P(BadInputTest, EveryOptimizerRefusesTensorsAndRatesThatItCannotUse) {
    for (const OptimizerCase& entry : optimizer_registry()) {
        SCOPED_TRACE(entry.name);
        const std::unique_ptr<Optimizer> optimizer = entry.make(device());
        const auto add = [&](auto&& change) {
            Parameter p = parameter("layer.weight");
            change(p);
            return [this, &optimizer, p] { add_to(*optimizer, p); };
        };
        refused(add([](Parameter& p) { p.weight.address = 0; }), {"layer.weight", "weight", "null"});
        refused(add([](Parameter& p) { p.weight.dtype = DType::u32; }), {"layer.weight", "u32"});
        refused(add([](Parameter& p) { p.gradient.shape = Shape{4, 6}; }), {"layer.weight", "4x6"});
        refused(add([](Parameter& p) { p.gradient = p.weight; }), {"layer.weight", "overlap"});
        refused(add([](Parameter& p) { p.lr_scale = kNan; }), {"layer.weight", "lr_scale"});
        EXPECT_TRUE(optimizer->parameters().empty());
        add_to(*optimizer, parameter("layer.weight"));
        refused([&] { add_to(*optimizer, parameter("layer.weight")); }, {"layer.weight", "unique"});
        for (const float rate : {kNan, kInfinity, -kInfinity, -1.0f}) {
            refused([&] { entry.variants.make_extreme(device(), rate); }, {"lr"});
            Plan plan = compile(device(), {optimizer.get()});
            refused([&] { set_learning_rate(plan, optimizer->name(), rate); }, {"set_learning_rate", "lr"});
        }
    }
}

TEST_P(BadInputTest, EveryOptimizerRefusesOptionsOutOfRangeByName) {
    for (const OptimizerCase& entry : optimizer_registry()) {
        const std::vector<BadOption> options = entry.variants.bad_options();
        EXPECT_GE(options.size(), 5u) << entry.name;
        for (const BadOption& bad : options) {
            SCOPED_TRACE(entry.name + ": " + bad.name + " = " + std::to_string(bad.value));
            refused([&] { bad.make(device()); }, {option_checks::last_name(bad.name).c_str()});
        }
    }
}

TEST_P(BadInputTest, ShapesAndViewsThatMuonCannotTake) {
    Muon muon(device());
    const auto add = [&](const Shape& shape, const MatrixView& view) {
        Parameter p = parameter("qkv", shape);
        p.view = view;
        return [&muon, p] { muon.add(p); };
    };
    refused(add({7}, {}), {"qkv", "7", "matrices", "AdamW"});
    refused(add({6, 4}, {.row_splits = {3, 2}}), {"qkv", "sum to 5", "6"});
    refused(add({4, 12}, {.row_splits = {4, 4, 4}}), {"qkv", "sum to 12", "4 rows", "in x out", "transpose"});
    refused(add({6, 4}, {.row_splits = {6, 0}}), {"qkv", "block of 0"});
    refused(add({6, 4}, {.heads = 4}), {"qkv", "heads is 4", "6 rows"});
    refused(add({6, 4}, {.row_splits = {3, 3}, .heads = 2}), {"qkv", "heads", "row_splits"});
    refused(add({6, 4}, {.batch = true}), {"qkv", "batch", "three axes"});
}

TEST_P(BadInputTest, OptionsOutOfRange) {
    Device& d = device();
    refused([&] { AdamW(d, {.lr = -1.0f}); }, {"AdamW", "lr", "-1"});
    refused([&] { AdamW(d, {.lr = kNan}); }, {"AdamW", "lr", "nan"});
    refused([&] { AdamW(d, {.beta1 = 1.0}); }, {"AdamW", "beta1", "[0, 1)"});
    refused([&] { AdamW(d, {.beta2 = -0.1}); }, {"AdamW", "beta2", "-0.1"});
    refused([&] { AdamW(d, {.eps = -1e-8f}); }, {"AdamW", "eps"});
    refused([&] { AdamW(d, {.eps = kInfinity}); }, {"AdamW", "eps", "inf"});
    refused([&] { AdamW(d, {.weight_decay = kInfinity}); }, {"AdamW", "weight_decay"});
    refused([&] { Sgd(d, {.lr = kInfinity}); }, {"Sgd", "lr"});
    refused([&] { Sgd(d, {.momentum = 1.0}); }, {"Sgd", "momentum"});
    refused([&] { Sgd(d, {.momentum = 0.9, .dampening = 2.0}); }, {"Sgd", "dampening"});
    refused([&] { Sgd(d, {.nesterov = true}); }, {"Sgd", "nesterov", "momentum"});
    refused([&] { Sgd(d, {.momentum = 0.9, .dampening = 0.1, .nesterov = true}); },
            {"Sgd", "dampening", "nesterov"});
    refused([&] { Sgd(d, {.weight_decay = -1.0f}); }, {"Sgd", "weight_decay"});
    refused([&] { Muon(d, {.lr = kNan}); }, {"Muon", "lr"});
    refused([&] { Muon(d, {.momentum = 1.5}); }, {"Muon", "momentum", "1.5"});
    refused([&] { Muon(d, {.weight_decay = -1.0f}); }, {"Muon", "weight_decay"});
    refused([&] { Muon(d, {.polar = {.eps = -1.0}}); }, {"Muon", "polar.eps"});
    refused([&] { Muon(d, {.polar = {.norm_factor = 0.0}}); }, {"Muon", "norm_factor"});
    refused(
        [&] {
            Muon(d, {.polar = {.coefficients = {{1.0, std::nan(""), 0.0}}}});
        },
        {"Muon", "coefficient"});
    refused([&] { Muon(d, {.polar = {.precision = DType::u32}}); }, {"Muon", "precision", "u32"});
    for (const double factor : {1e-60, 1e-30, 1e30, 1e300})
        refused([&] { Muon(d, {.polar = {.norm_factor = factor}}); }, {"Muon", "polar.norm_factor", "2^20"});
    for (const double big : {1.1e4, -1e29, 1e300})
        refused(
            [&] {
                Muon(d, {.polar = {.coefficients = {{1.0, 0.0, 0.0}, {1.0, 0.0, big}}}});
            },
            {"Muon", "polar.coefficient 1", "1e4"});
    refused([&] { Muon(d, {.polar = {.eps = 1e300}}); }, {"Muon", "polar.eps"});
    refused([&] { Muon(d, {.polar = {.form = static_cast<PolarForm>(9)}}); }, {"Muon", "polar.form"});
    refused([&] { Muon(d, {.polar = {.norm_rule = static_cast<NormRule>(2)}}); },
            {"Muon", "polar.norm_rule"});
    refused([&] { Muon(d, {.momentum_rule = static_cast<MomentumRule>(99)}); },
            {"Muon", "momentum_rule", "99"});
    refused([&] { Muon(d, {.shape_factor = static_cast<ShapeFactor>(99)}); }, {"Muon", "shape_factor", "99"});
    refused([&] { Muon(d, {.shape_factor = static_cast<ShapeFactor>(-1)}); }, {"Muon", "shape_factor"});
    refused([&] { Muon(d, {.decay = static_cast<DecayForm>(5)}); }, {"Muon", "decay", "5"});
    refused([&] { Muon(d, {.extra_scale = 0}); }, {"Muon", "extra_scale", "0"});
    refused([&] { Muon(d, {.momentum_schedule = Schedule::linear(1, 1.1f, 9)}); },
            {"Muon", "momentum_schedule", "1.04"});
    PolarOptions cans;
    cans.coefficients = newton_schulz_coefficients("cans");
    refused([&] { Muon(d, {.polar = cans}); }, {"Muon", "polar.norm_factor", "1.01", "CANS"});
    cans.norm_factor = 1.01;
    EXPECT_NO_THROW(Muon(d, {.polar = cans}));
    refused([&] { Muon(d, {.conv_factor = static_cast<ConvFactor>(2)}); }, {"Muon", "conv_factor", "2"});

    Sgd sgd(d);
    sgd.add(parameter("a"));
    const auto step = [&](auto&& change) {
        StepOptions options;
        change(options);
        return [&, options] { compile(d, {&sgd}, options); };
    };
    refused(step([](StepOptions& o) { o.clip_norm = -1.0f; }), {"clip_norm", "-1"});
    refused(step([](StepOptions& o) { o.clip_norm = kInfinity; }), {"clip_norm", "inf"});
    refused(step([](StepOptions& o) { o.clip_value = kNan; }), {"clip_value", "nan"});
    refused(step([](StepOptions& o) { o.ema_decay = 1.0f; }), {"ema_decay", "[0, 1)"});
    refused(step([](StepOptions& o) { o.loss_scale.initial = 0.0f; }), {"loss_scale.initial"});
    refused(step([](StepOptions& o) { o.loss_scale.growth = 0.5f; }), {"loss_scale.growth"});
    refused(step([](StepOptions& o) { o.loss_scale.backoff = 2.0f; }), {"loss_scale.backoff"});
    refused(step([](StepOptions& o) { o.loss_scale.growth_interval = 0; }), {"growth_interval"});
    refused(step([](StepOptions& o) {
                o.loss_scale.dynamic = true;
                o.skip_nonfinite = false;
            }),
            {"dynamic", "skip_nonfinite"});
}

TEST_P(BadInputTest, OptionsOutOfRangeOfLionSignSgdAndRandomScaling) {
    Device& d = device();
    refused([&] { Lion(d, {.lr = kNan}); }, {"Lion", "lr"});
    refused([&] { Lion(d, {.beta1 = 1.0}); }, {"Lion", "beta1", "[0, 1)"});
    refused([&] { Lion(d, {.beta2 = -0.5}); }, {"Lion", "beta2", "-0.5"});
    refused([&] { Lion(d, {.weight_decay = kInfinity}); }, {"Lion", "weight_decay"});
    refused([&] { SignSgd(d, {.momentum = 1.0}); }, {"SignSgd", "momentum"});
    refused([&] { SignSgd(d, {.momentum = 0.0, .nesterov = true}); }, {"SignSgd", "nesterov", "momentum"});
    refused([&] { SignSgd(d, {.weight_decay = -1.0f}); }, {"SignSgd", "weight_decay"});
    SignSgd scaled(d, {.shape_scaling = true});
    refused([&] { scaled.add(parameter("bias", {7})); }, {"bias", "shape_scaling", "matrices"});
    refused(
        [&] {
            Parameter p = parameter("experts", {6, 4});
            p.view.batch = true;
            scaled.add(p);
        },
        {"experts", "three axes"});
    refused([&] { RandomScalingSgd(d, {.beta = 1.0}); }, {"RandomScalingSgd", "beta"});
    refused([&] { RandomScalingSgd(d, {.mu = -1.0f}); }, {"RandomScalingSgd", "mu", "-1"});
}

TEST_P(BadInputTest, OptionsOutOfRangeOfAdafactor) {
    Device& d = device();
    refused([&] { Adafactor(d, {.lr = kNan}); }, {"Adafactor", "lr"});
    refused([&] { Adafactor(d, {.form = static_cast<AdafactorForm>(2)}); }, {"Adafactor", "form", "2"});
    refused([&] { Adafactor(d, {.rate = static_cast<AdafactorRate>(3)}); }, {"Adafactor", "rate", "3"});
    refused([&] { Adafactor(d, {.decay = 0.0}); }, {"Adafactor", "decay", "below 0"});
    refused([&] { Adafactor(d, {.beta1 = 1.0}); }, {"Adafactor", "beta1"});
    refused([&] { Adafactor(d, {.eps1 = -1.0f}); }, {"Adafactor", "eps1"});
    refused([&] { Adafactor(d, {.eps2 = kInfinity}); }, {"Adafactor", "eps2"});
    refused([&] { Adafactor(d, {.clip_threshold = 0.0f}); }, {"Adafactor", "clip_threshold"});
    refused([&] { Adafactor(d, {.weight_decay = -1.0f}); }, {"Adafactor", "weight_decay"});
}

TEST_P(BadInputTest, OptionsOutOfRangeOfKfac) {
    Device& d = device();
    refused([&] { Kfac(d, {.lr = kNan}); }, {"Kfac", "lr"});
    refused([&] { Kfac(d, {.step = {.momentum = 1.0}}); }, {"Kfac", "momentum", "[0, 1)"});
    refused([&] { Kfac(d, {.step = {.dampening = 0.1, .nesterov = true}}); }, {"Kfac", "dampening"});
    refused([&] { Kfac(d, {.step = {.weight_decay = -1.0f}}); }, {"Kfac", "weight_decay"});
    refused([&] { Kfac(d, {.method = static_cast<KfacMethod>(4)}); }, {"Kfac", "method", "4"});
    for (const float damping : {0.0f, -1.0f, kNan, kInfinity})
        refused([&] { Kfac(d, {.damping = damping}); }, {"Kfac", "damping", "above 0"});
    refused([&] { Kfac(d, {.damping_schedule = Schedule::linear(1, 0, 9)}); }, {"Kfac", "damping_schedule"});
    refused([&] { Kfac(d, {.damping_unit = static_cast<DampingUnit>(3)}); }, {"Kfac", "damping_unit"});
    refused([&] { Kfac(d, {.damping_split = static_cast<DampingSplit>(3)}); }, {"Kfac", "damping_split"});
    refused([&] { Kfac(d, {.eigenvalue_floor = -1.0f}); }, {"Kfac", "eigenvalue_floor"});
    refused([&] { Kfac(d, {.factor_decay = 1.0}); }, {"Kfac", "factor_decay", "[0, 1)"});
    refused([&] { Kfac(d, {.factor_decay_schedule = Schedule::constant(2)}); },
            {"Kfac", "factor_decay_schedule"});
    refused([&] { Kfac(d, {.factor_interval = 0}); }, {"Kfac", "factor_interval"});
    refused([&] { Kfac(d, {.refresh = {.interval = 0x40000001}}); },
            {"Kfac", "refresh.interval", "1073741825"});
    refused([&] { Kfac(d, {.refresh = {.interval = 0x10000001, .growth = 9, .doublings = 2}}); },
            {"Kfac", "refresh.interval", "268435457"});
    refused([&] { Kfac(d, {.moments_interval = 0}); }, {"Kfac", "moments_interval"});
    refused([&] { Kfac(d, {.kl_clip = 0.0f}); }, {"Kfac", "kl_clip", "above 0"});
    refused([&] { Kfac(d, {.kl_clip_lr = kNan}); }, {"Kfac", "kl_clip_lr"});
    refused([&] { Kfac(d, {.conv_scaling = static_cast<ConvScaling>(3)}); }, {"Kfac", "conv_scaling"});
    refused([&] { Singd(d, {.conv_scaling = static_cast<ConvScaling>(3)}); }, {"Singd", "conv_scaling"});
}

TEST_P(BadInputTest, OptionsOutOfRangeOfSingdAndMkor) {
    Device& d = device();
    refused([&] { Singd(d, {.lr = kNan}); }, {"Singd", "lr"});
    refused([&] { Singd(d, {.lr_cov = -1.0f}); }, {"Singd", "lr_cov"});
    refused([&] { Singd(d, {.damping = -1.0}); }, {"Singd", "damping"});
    refused([&] { Singd(d, {.alpha1 = 1.0}); }, {"Singd", "alpha1", "[0, 1)"});
    refused([&] { Singd(d, {.kfac_like = true}); }, {"Singd", "alpha1 with kfac_like", "0.5"});
    refused([&] { Singd(d, {.inputs = {.kind = static_cast<StructureKind>(6)}}); }, {"Singd", "inputs.kind"});
    refused([&] { Singd(d, {.outputs = {.block = 0}}); }, {"Singd", "outputs.block", "1 to 1024"});
    refused([&] { Singd(d, {.outputs = {.last = 121}}); }, {"Singd", "outputs.last", "121"});
    refused([&] { Singd(d, {.factor_dtype = DType::u32}); }, {"Singd", "factor_dtype", "u32"});
    refused([&] { Singd(d, {.refresh = {.interval = 0}}); }, {"Singd", "refresh.interval"});
    refused([&] { Singd(d, {.step = {.momentum = 1.0}}); }, {"Singd", "momentum"});
    refused([&] { Mkor(d, {.lr = kInfinity}); }, {"Mkor", "lr"});
    refused([&] { Mkor(d, {.recurrence = static_cast<MkorRecurrence>(3)}); }, {"Mkor", "recurrence"});
    refused([&] { Mkor(d, {.factor_decay = 1.0}); }, {"Mkor", "factor_decay", "(0, 1)"});
    refused([&] { Mkor(d, {.norm_threshold = kNan}); }, {"Mkor", "norm_threshold"});
    EXPECT_NO_THROW(Mkor(d, {.norm_threshold = kInfinity}));
    refused([&] { Mkor(d, {.blend = 1.5}); }, {"Mkor", "blend"});
    refused([&] { Mkor(d, {.clip = 0.0f}); }, {"Mkor", "clip"});
    refused([&] { Mkor(d, {.refresh = {.interval = 0x40000001}}); },
            {"Mkor", "refresh.interval", "1073741825"});
    refused([&] { Mkor(d, {.factor_dtype = DType::u32}); }, {"Mkor", "factor_dtype"});
    refused([&] { Mkor(d, {.base = static_cast<MkorBase>(2)}); }, {"Mkor", "base"});
    refused([&] { Mkor(d, {.base = MkorBase::adam, .step = {.decoupled_decay = true}}); },
            {"Mkor", "decoupled_decay"});
    refused([&] { Mkor(d, {.beta2 = 1.0}); }, {"Mkor", "beta2"});
    refused([&] { Mkor(d, {.switching = MkorSwitch{.window = 0}}); }, {"Mkor", "switching.window", "1 to"});
    refused([&] { Mkor(d, {.switching = MkorSwitch{.share = kNan}}); }, {"Mkor", "switching.share"});
    refused([&] { Mkor(d, {.switching = MkorSwitch{.patience = 1001}}); }, {"Mkor", "switching.patience"});
    Singd dense(d);
    Layer wide;
    wide.weight = parameter("wide", {1, 8193});
    wide.inputs = guarded(std::vector<float>(8193)).view(DType::f32, {1, 8193});
    wide.output_gradients = guarded(std::vector<float>(1)).view(DType::f32, {1, 1});
    refused([&] { dense.add_layer(wide); }, {"wide", "8193", "8192", "diagonals"});
    Singd diagonal(d, {.inputs = {.kind = StructureKind::diagonal}});
    EXPECT_NO_THROW(diagonal.add_layer(wide));
}

TEST_P(BadInputTest, LayersThatNoStepCouldUse) {
    Kfac kfac(device());
    refused([&] { kfac.add(parameter("alone")); }, {"kfac", "alone", "add_layer", "AdamW"});
    refused([&] { Lookahead(device(), std::make_unique<Kfac>(device())).add(parameter("alone")); },
            {"alone", "add_layer"});
    const auto capture = [&](const Shape& shape) {
        return guarded(std::vector<float>(shape.count(), 0.5f)).view(DType::f32, shape);
    };
    const auto linear = [&] {
        Layer layer;
        layer.weight = parameter("w", {6, 4});
        layer.bias = parameter("b", {6});
        layer.inputs = capture({5, 4});
        layer.output_gradients = capture({5, 6});
        return layer;
    };
    const auto convolution = [&] {
        Layer layer;
        layer.weight = parameter("w", {6, 2, 3, 3});
        layer.inputs = capture({2, 4, 5, 6});
        layer.output_gradients = capture({2, 6, 3, 4});
        layer.patches = ConvPatches{.kernel = {3, 3}, .groups = 2};
        return layer;
    };
    const auto add = [&](Layer layer, auto&& change) {
        change(layer);
        return [&kfac, layer] { kfac.add_layer(layer); };
    };
    refused(add(linear(), [](Layer& l) { l.inputs.address = 0; }), {"w", "inputs", "null"});
    refused(add(linear(), [](Layer& l) { l.inputs.dtype = DType::u32; }), {"w", "inputs", "u32"});
    refused(add(linear(), [](Layer& l) { l.output_gradients.address += 2; }), {"w", "output gradients"});
    refused(add(linear(), [](Layer& l) { l.inputs.device = 12345; }), {"w", "inputs", "another device"});
    refused(add(linear(), [](Layer& l) { l.inputs.row_stride = 8; }), {"w", "inputs", "contiguous"});
    refused(add(linear(), [](Layer& l) { l.inputs.shape = Shape{5, 3}; }), {"w", "inputs", "5x3", "5x4"});
    refused(add(linear(), [](Layer& l) { l.inputs.shape = Shape{20}; }), {"w", "N x .. x n"});
    refused(add(linear(), [](Layer& l) { l.output_gradients.shape = Shape{6, 5}; }), {"w", "6x5", "5x6"});
    refused(add(linear(),
                [](Layer& l) {
                    l.inputs.shape = l.output_gradients.shape = Shape{0, 4};
                }),
            {"w", "0x4"});
    refused(add(linear(),
                [](Layer& l) {
                    l.inputs.shape = Shape{0, 4};
                    l.output_gradients.shape = Shape{0, 6};
                }),
            {"w", "no samples"});
    refused(add(linear(),
                [](Layer& l) {
                    l.bias->weight.shape = l.bias->gradient.shape = Shape{3, 2};
                }),
            {"w", "biases", "3x2"});
    refused(add(linear(), [](Layer& l) { l.bias->name = "w"; }), {"w", "same name"});
    refused(add(linear(), [](Layer& l) { l.bias->gradient.address = 0; }), {"b", "gradient", "null"});
    refused(add(linear(), [](Layer& l) { l.weight.view.heads = 2; }), {"w", "view"});
    refused(add(linear(), [](Layer& l) { l.inputs.address = l.weight.weight.address; }), {"w", "overlap"});
    refused(add(linear(), [](Layer& l) { l.sharing = static_cast<LayerSharing>(2); }), {"w", "sharing"});
    refused(add(linear(), [](Layer& l) { l.loss = static_cast<LossReduction>(4); }), {"w", "loss"});
    refused(add(linear(), [](Layer& l) { l.patches = ConvPatches(); }), {"w", "6x4", "filter"});
    refused(add(convolution(), [](Layer& l) { l.patches.reset(); }), {"w", "6x2x3x3", "matrix"});
    refused(add(convolution(), [](Layer& l) { l.patches->kernel[1] = 2; }), {"w", "3 x 2"});
    refused(add(convolution(), [](Layer& l) { l.patches->stride[0] = 0; }), {"w", "at least 1"});
    refused(add(convolution(), [](Layer& l) { l.patches->groups = 4; }), {"w", "groups is 4"});
    refused(add(convolution(), [](Layer& l) { l.patches->groups = 1; }), {"w", "N x 2 x H x W"});
    refused(add(convolution(), [](Layer& l) { l.patches->stride[0] = 2; }), {"w", "output gradients"});
    refused(add(convolution(), [](Layer& l) { l.patches->dilation[0] = 3; }), {"w", "does not fit"});
    EXPECT_TRUE(kfac.layers().empty() && kfac.parameters().empty());
    kfac.add_layer(linear());
    Layer conv = convolution();
    conv.weight.name = "conv";
    kfac.add_layer(conv);
    EXPECT_EQ(kfac.layers().size(), 2u);
    EXPECT_EQ(kfac.parameters().size(), 3u);
    // What another optimizer writes is no capture.
    Sgd sgd(device());
    Parameter written = parameter("written");
    written.weight.address = conv.inputs.address;
    sgd.add(written);
    refused([&] { compile(device(), {&kfac, &sgd}); }, {"written", "inputs of", "conv", "overlap"});
    Layer large;
    large.weight = parameter("large", {1, 4097});
    large.inputs = capture({1, 4097});
    large.output_gradients = capture({1, 1});
    Kfac eigen(device(), {.method = KfacMethod::eigen});
    refused([&] { eigen.add_layer(large); }, {"large", "4097", "4096"});
    EXPECT_NO_THROW(kfac.add_layer(large));
}

TEST_P(BadInputTest, WhatLookaheadCannotWrap) {
    Device& d = device();
    const auto sgd = [&] { return std::make_unique<Sgd>(d); };
    refused([&] { Lookahead(d, nullptr); }, {"Lookahead", "null"});
    refused([&] { Lookahead(d, sgd(), {.steps = 0}); }, {"Lookahead", "steps"});
    refused([&] { Lookahead(d, sgd(), {.alpha = 1.5f}); }, {"Lookahead", "alpha", "[0, 1]"});
    refused([&] { Lookahead(d, sgd(), {.alpha = kNan}); }, {"Lookahead", "alpha"});
    refused([&] { Lookahead(d, sgd(), {.momentum = static_cast<LookaheadMomentum>(3)}); },
            {"Lookahead", "momentum", "3"});
    refused([&] { Lookahead(d, std::make_unique<Lookahead>(d, sgd())); }, {"is a Lookahead"});
    refused([&] { Lookahead(d, sgd()).add_layer({}); }, {"sgd", "not layers", "add()"});
    refused([&] { Lookahead(d, sgd()).add(parameter("a"), PsgdInputs{}); }, {"sgd", "PsgdInputs", "add("});
    refused([&] { Lookahead(device({.shader_float16 = true}), sgd()); }, {"sgd", "another device"});
    refused(
        [&] {
            std::unique_ptr<Sgd> used = sgd();
            used->add(parameter("a"));
            Lookahead(d, std::move(used));
        },
        {"sgd", "has parameters"});
    for (const LookaheadMomentum momentum : {LookaheadMomentum::reset, LookaheadMomentum::pullback}) {
        Lookahead without(d, sgd(), {.momentum = momentum});
        without.add(parameter("a"));
        refused([&] { compile(d, {&without}); }, {"no momentum", "\"a\"", "LookaheadMomentum::none"});
    }
    Lookahead muon(d, std::make_unique<Muon>(d));
    refused([&] { muon.add(parameter("bias", {7})); }, {"bias", "matrices"});
}

TEST_P(BadInputTest, OptimizersThatDoNotGoTogether) {
    Device& d = device();
    Sgd one(d), two(d), other_name(d), elsewhere(device({.shader_float16 = true}));
    other_name.set_name("other");
    const Parameter shared = parameter("shared");
    one.add(shared);
    Sgd badly_named(d);
    badly_named.set_name("sgd\xe9");
    refused([&] { compile(d, {&badly_named}); }, {"not UTF-8", "set_name"});
    refused([&] { compile(d, {&one, nullptr}); }, {"null"});
    refused([&] { compile(d, {&one, &one}); }, {"sgd", "twice"});
    refused([&] { compile(d, {&one, &two}); }, {"sgd", "set_name"});
    refused([&] { compile(d, {&one, &elsewhere}); }, {"sgd", "another device"});
    other_name.add(parameter("shared"));
    refused([&] { compile(d, {&one, &other_name}); }, {"shared", "unique"});

    // The same memory under another name; a weight in another's gradient; but gradients may be shared.
    const auto pair_with = [&](auto&& change) {
        Parameter p = parameter("second");
        change(p);
        return [&d, &one, p] {
            Sgd second(d);
            second.set_name("second");
            second.add(p);
            compile(d, {&one, &second});
        };
    };
    refused(pair_with([&](Parameter& p) { p.weight.address = shared.weight.address; }),
            {"shared", "second", "overlap"});
    refused(pair_with([&](Parameter& p) { p.weight.address = shared.weight.address + 92; }),
            {"shared", "second", "overlap"});
    refused(pair_with([&](Parameter& p) { p.weight.address = shared.gradient.address; }),
            {"shared", "second", "overlap"});
    refused(pair_with([&](Parameter& p) { p.gradient.address = shared.weight.address; }),
            {"shared", "second", "overlap"});
    EXPECT_NO_THROW(pair_with([&](Parameter& p) { p.gradient.address = shared.gradient.address; })());
    // A parameter called like another's gradient.
    Sgd third(d);
    third.set_name("third");
    third.add(parameter("shared.grad"));
    refused([&] { compile(d, {&one, &third}); }, {"shared.grad"});

    Graph graph(d);
    Plan no_step = graph.compile({});
    refused([&] { status(no_step); }, {"status", "heron::compile"});
    refused([&] { set_learning_rate(no_step, "sgd", 0.1f); }, {"set_learning_rate", "heron::compile"});
}

TEST_P(BadInputTest, CheckpointsOfAnotherPlanChangeNothing) {
    const std::filesystem::path file = std::filesystem::temp_directory_path() /
                                       ("heron_foreign_" + std::to_string(GetParam().index) + ".safetensors");
    const MakeOptimizer adamw = [](const Device& on) {
        return std::make_unique<AdamW>(on, AdamWOptions{.lr = 0.1f});
    };
    const MakeOptimizer other_beta = [](const Device& on) {
        return std::make_unique<AdamW>(on, AdamWOptions{.lr = 0.1f, .beta2 = 0.95});
    };
    const MakeOptimizer other_rate = [](const Device& on) {
        return std::make_unique<AdamW>(on, AdamWOptions{.lr = 0.5f});
    };
    const MakeOptimizer scheduled = [](const Device& on) {
        return std::make_unique<AdamW>(on, AdamWOptions{.lr = 0.1f, .schedule = Schedule::constant(0.5f)});
    };
    const MakeOptimizer sgd = [](const Device& on) {
        return std::make_unique<Sgd>(on, SgdOptions{.lr = 0.1f, .momentum = 0.9});
    };
    const MakeOptimizer sgd_called_adamw = [&](const Device& on) {
        std::unique_ptr<Optimizer> made = sgd(on);
        made->set_name("adamw");
        return made;
    };
    const std::vector<TestTensor> tensors{{.name = "a", .shape = {6, 4}}};
    {
        Training saved(device(), adamw, tensors);
        saved.steps(1, 2);
        refused([&] { save_checkpoint(saved.plan(), file, {{"heron.plan", "x"}}); }, {"heron.plan"});
        set_learning_rate(saved.plan(), "adamw", 0.0123f);
        save_checkpoint(saved.plan(), file);
    }
    const auto refuses = [&](const MakeOptimizer& make, const std::vector<TestTensor>& into,
                             const StepOptions& options, std::initializer_list<const char*> words) {
        Training training(device(), make, into, options, 9);
        training.steps(1, 1);
        const auto bits = training.bits();
        refused([&] { load_checkpoint(training.plan(), file); }, words);
        EXPECT_TRUE(training.bits() == bits);
        EXPECT_EQ(training.control().step, 1u);
    };
    refuses(other_beta, tensors, {},
            {"another plan: optimizer \"adamw\" has beta2=0.999 in the file, beta2=0.95 in this plan."});
    refuses(scheduled, tensors, {},
            {"has schedule=none in the file, schedule=constant(0.5,0.5,0) in this plan."});
    refuses(sgd, tensors, {},
            {"another plan: the file has optimizer \"adamw\" where this plan has optimizer \"sgd\"."});
    refuses(sgd_called_adamw, tensors, {},
            {"optimizer \"adamw\" has algorithm=adamw in the file, algorithm=sgd in this plan."});
    refuses(adamw, {{.name = "b", .shape = {6, 4}}}, {},
            {"the file has parameter \"a\" where this plan has parameter \"b\"."});
    refuses(adamw, {{.name = "a", .shape = {4, 6}}}, {},
            {"parameter \"a\" has shape=6x4 in the file, shape=4x6 in this plan."});
    refuses(adamw, {{.name = "a", .shape = {6, 4}, .weight_dtype = DType::f16}}, {},
            {"parameter \"a\" has dtype=f32 in the file, dtype=f16 in this plan."});
    refuses(adamw, {tensors[0], {.name = "b", .shape = {1}}}, {},
            {"the file has nothing where this plan has parameter \"b\"."});
    StepOptions options;
    options.ema_decay = 0.5f;
    refuses(adamw, tensors, options, {"step has ema_decay=0 in the file, ema_decay=0.5 in this plan."});
    // The rate that was set is part of the checkpoint; the one that the options begin with is not.
    {
        Training training(device(), other_rate, tensors);
        load_checkpoint(training.plan(), file);
        const std::filesystem::path again = file.string() + ".again";
        save_checkpoint(training.plan(), again);
        std::ifstream a(file, std::ios::binary), b(again, std::ios::binary);
        EXPECT_TRUE(std::equal(std::istreambuf_iterator<char>(a), {}, std::istreambuf_iterator<char>(b), {}));
        std::filesystem::remove(again);
    }
    // Other options, where the caller accepts them; but not another algorithm or other states.
    {
        Training training(device(), other_beta, tensors);
        load_checkpoint(training.plan(), file, ChangedOptions::accept);
        EXPECT_EQ(training.control().step, 2u);
        Training scheduled_one(device(), scheduled, tensors);
        load_checkpoint(scheduled_one.plan(), file, ChangedOptions::accept);
        scheduled_one.steps(3, 1);
        EXPECT_EQ(scheduled_one.control().step, 3u);
        Training other(device(), sgd_called_adamw, tensors), averaged(device(), adamw, tensors, options);
        refused([&] { load_checkpoint(other.plan(), file, ChangedOptions::accept); }, {"algorithm=sgd"});
        EXPECT_THROW(load_checkpoint(averaged.plan(), file, ChangedOptions::accept), Error);
        refused([&] { load_checkpoint(training.plan(), file, static_cast<ChangedOptions>(2)); },
                {"ChangedOptions"});
    }
    std::filesystem::resize_file(file, std::filesystem::file_size(file) - 1);
    Training training(device(), adamw, tensors);
    const auto bits = training.bits();
    EXPECT_THROW(load_checkpoint(training.plan(), file), Error);
    EXPECT_THROW(load_checkpoint(training.plan(), file.string() + ".none"), Error);
    EXPECT_TRUE(training.bits() == bits);
    std::filesystem::remove(file);
}

// A training with a 16-bit weight and every kind of state, and what may befall its checkpoint.
class CheckpointTest : public BadInputTest {
protected:
    void SetUp() override {
        BadInputTest::SetUp();
        file_ = std::filesystem::temp_directory_path() /
                ("heron_damaged_" + std::to_string(GetParam().index) + ".safetensors");
    }
    void TearDown() override {
        std::filesystem::remove(file_);
        BadInputTest::TearDown();
    }
    static StepOptions options() {
        StepOptions options;
        options.ema_decay = 0.5f;
        options.accumulate = true;
        return options;
    }
    std::unique_ptr<Training> trained(unsigned seed) {
        const MakeOptimizer muon = [](const Device& on) {
            return std::make_unique<Muon>(on, MuonOptions{.lr = 0.25f});
        };
        auto training = std::make_unique<Training>(
            device(), muon,
            std::vector<TestTensor>{{.name = "a", .shape = {6, 4}, .weight_dtype = DType::f16}}, options(),
            seed);
        accumulate_and_step(*training);
        return training;
    }
    static void accumulate_and_step(Training& training) {
        training.plan().wait(training.plan().submit_accumulate());
        training.plan().run();
    }
    // The file must be refused as corrupt, with `word` in the text, and change nothing.
    void corrupt(const std::string& word) {
        const auto training = trained(9);
        const auto bits = training->bits();
        const gpu::StepControl control = training->control();
        try {
            load_checkpoint(training->plan(), file_);
            ADD_FAILURE() << "accepted, should name " << word;
        } catch (const Error& error) {
            EXPECT_EQ(error.code(), ErrorCode::corrupt_file) << error.what();
            EXPECT_NE(std::string(error.what()).find(word), std::string::npos)
                << error.what() << " lacks " << word;
        }
        EXPECT_TRUE(training->bits() == bits);
        using Words = std::array<std::uint32_t, sizeof(gpu::StepControl) / 4>;  // NaNs are equal there
        EXPECT_EQ(std::bit_cast<Words>(training->control()), std::bit_cast<Words>(control));
    }
    std::string content() const {
        std::ifstream in(file_, std::ios::binary);
        return {std::istreambuf_iterator<char>(in), {}};
    }
    void set_content(const std::string& bytes) const {
        std::ofstream(file_, std::ios::binary | std::ios::trunc) << bytes;
    }

    std::filesystem::path file_;
};

TEST_P(CheckpointTest, EveryChangedByteOfTensorsAndRatesIsNoticed) {
    save_checkpoint(trained(1)->plan(), file_, {{"note", "seven"}});
    const std::string good = content();
    const std::size_t header = 8 + static_cast<std::size_t>(static_cast<unsigned char>(good[0])) +
                               256 * static_cast<std::size_t>(static_cast<unsigned char>(good[1]));
    ASSERT_LT(header, good.size());
    for (std::size_t at = header; at < good.size(); at += 61) {
        SCOPED_TRACE(at);
        std::string bad = good;
        bad[at] = static_cast<char>(bad[at] ^ 1);
        set_content(bad);
        corrupt("damaged");
    }
    for (const auto& [from, to] : {std::pair<std::string, std::string>{"0.25", "0.75"},
                                   {"seven", "eight"},
                                   {"heron.hash", "hexon.hash"}}) {
        std::string bad = good;
        ASSERT_NE(bad.find(from), std::string::npos);
        bad.replace(bad.find(from), from.size(), to);
        set_content(bad);
        corrupt("damaged");
    }
    set_content(good);
    const auto training = trained(9);
    EXPECT_EQ(load_checkpoint(training->plan(), file_),
              (std::map<std::string, std::string>{{"note", "seven"}}));
    EXPECT_TRUE(training->bits() == trained(1)->bits());
}

TEST_P(CheckpointTest, ImpossibleControlBlocksAreRefused) {
    const auto saved = trained(1);
    const gpu::StepControl good = saved->control();
    const auto with = [&](auto&& change, const std::string& word) {
        SCOPED_TRACE(word);
        gpu::StepControl control = good;
        change(control);
        saved->set_control(control);
        save_checkpoint(saved->plan(), file_);
        corrupt(word);
    };
    for (const float scale : {kNan, 0.0f, kInfinity, -1.0f, 0x1p-25f, 0x1p121f})
        with([=](gpu::StepControl& c) { c.loss_scale = scale; }, "loss_scale");
    with([](gpu::StepControl& c) { c.step = 0xffffffff; }, "add up");
    with([](gpu::StepControl& c) { c.skipped = 1; }, "add up");
    with([](gpu::StepControl& c) { c.tick = 7; }, "add up");
    with([](gpu::StepControl& c) { c.good_steps = 5; }, "good_steps");
    with([](gpu::StepControl& c) { c.skip = 2; }, "skip");
    with([](gpu::StepControl& c) { c.gradient_scale = kNan; }, "gradient_scale");
    with([](gpu::StepControl& c) { c.clip_value = -1.0f; }, "clip_value");
    with([](gpu::StepControl& c) { c.gradient_norm = kInfinity; }, "gradient_norm");
    with([](gpu::StepControl& c) { c.reserved2 = 1; }, "reserved");
    saved->set_control(good);
    save_checkpoint(saved->plan(), file_);
    load_checkpoint(trained(9)->plan(), file_);
}

TEST_P(CheckpointTest, ElementsThatAreNotFiniteAreRefusedByPlace) {
    const auto saved = trained(1);
    const std::vector<float> weight = saved->tensor().weight();
    for (const float value : {kNan, kInfinity, -kInfinity}) {
        std::vector<float> bad = weight;
        bad[5] = value;
        saved->tensor().set_weight(bad);
        save_checkpoint(saved->plan(), file_);
        corrupt("element 5 of \"a\"");
    }
    saved->tensor().set_weight(weight);
    for (const std::string name : {"a.momentum", "a.ema"}) {
        const std::vector<float> values = saved->state(name);
        std::vector<float> bad = values;
        bad[23] = kNan;
        saved->set_state(name, bad);
        save_checkpoint(saved->plan(), file_);
        corrupt("element 23 of \"" + name + "\"");
        saved->set_state(name, values);
    }
    // A sum of gradients may overflow: its step is skipped, here as where it was saved.
    saved->set_state("a.gradient_sum", std::vector<float>(24, kInfinity));
    save_checkpoint(saved->plan(), file_);
    load_checkpoint(trained(9)->plan(), file_);
}

TEST_P(CheckpointTest, NothingIsSavedBeforeThereIsAnything) {
    Sgd sgd(device(), {.momentum = 0.5});
    sgd.add(parameter("a"));
    Plan plan = compile(device(), {&sgd});
    plan.allocate();
    refused([&] { save_checkpoint(plan, file_); }, {"initialize()"});
    EXPECT_FALSE(std::filesystem::exists(file_));
}

HERON_DEVICE_TESTS(BadInputTest);
HERON_DEVICE_TESTS(CheckpointTest);

}  // namespace
}  // namespace heron::test
