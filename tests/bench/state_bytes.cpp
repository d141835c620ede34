// SPDX-License-Identifier: MIT
// How much does each optimizer keep from step to step, in each format of its moments? Prints
// docs/state-bytes.md:
//
//   state_bytes >docs/state-bytes.md
//
// Numbers are Plan::state_bytes() over the parameter's elements: exact, on any device. Nothing is allocated.
#include <CLI/CLI.hpp>
#include <cstdio>
#include <functional>
#include <iostream>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "heron/heron.hpp"

namespace {

using namespace heron;

constexpr MomentFormat kFormats[] = {MomentFormat::f32, MomentFormat::bf16, MomentFormat::block8};
constexpr std::uint64_t kSamples = 256;  // of the inputs and output gradients of layers

using Make = std::function<std::unique_ptr<Optimizer>(const Device&, MomentFormat)>;

struct Row {
    std::string name;
    Make make;           // none where the optimizer has no such format
    bool layer = false;  // a LayerOptimizer
};

template <class Algorithm, class Options>
Row row(std::string name, const Options& options) {
    return {std::move(name),
            [options](const Device& device, MomentFormat format) -> std::unique_ptr<Optimizer> {
                Options formatted = options;
                if constexpr (requires { formatted.moments = format; })
                    formatted.moments = format;
                else if constexpr (requires { formatted.step.moments = format; })
                    formatted.step.moments = format;
                else if constexpr (requires { formatted.moment_bits; }) {
                    if (format == MomentFormat::bf16) formatted.moment_bits = 16;
                    if (format == MomentFormat::block8) formatted.moment_bits = 8;
                } else if (format != MomentFormat::f32)
                    return nullptr;
                try {
                    return std::make_unique<Algorithm>(device, formatted);
                } catch (const Error&) {  // not with these options
                    if (format == MomentFormat::f32) throw;
                    return nullptr;
                }
            },
            std::is_base_of_v<LayerOptimizer, Algorithm>};
}

std::vector<Row> rows() {
    const Make lookahead = [](const Device& device, MomentFormat format) -> std::unique_ptr<Optimizer> {
        return std::make_unique<Lookahead>(device,
                                           std::make_unique<AdamW>(device, AdamWOptions{.moments = format}));
    };
    ShampooOptions adagrad;
    adagrad.graft = ShampooGraft::adagrad;
    KfacOptions ekfac;
    ekfac.method = KfacMethod::ekfac;
    SingdOptions diagonal;
    diagonal.inputs.kind = diagonal.outputs.kind = StructureKind::diagonal;
    Shampoo4BitOptions adamw;
    adamw.base = Shampoo4BitBase::adamw;
    return {
        row<Sgd>("SGD", SgdOptions()),
        row<Sgd>("SGD, momentum", SgdOptions{.momentum = 0.9}),
        row<SignSgd>("Signum", SignSgdOptions()),
        row<Lion>("Lion", LionOptions()),
        row<RandomScalingSgd>("SGD with random scaling", RandomScalingSgdOptions()),
        row<AdamW>("AdamW", AdamWOptions()),
        row<AdamW>("AMSGrad", AdamWOptions{.amsgrad = true}),
        {"Lookahead around AdamW", lookahead},
        row<Adafactor>("Adafactor", AdafactorOptions()),
        row<Adafactor>("Adafactor, first moment", AdafactorOptions{.beta1 = 0.9}),
        row<Muon>("Muon", MuonOptions()),
        row<NorMuon>("NorMuon", NorMuonOptions()),
        row<AdaMuon>("AdaMuon", AdaMuonOptions()),
        row<Auon>("AuON", AuonOptions()),
        row<Auon>("Hybrid-AuON", AuonOptions::hybrid_code()),
        row<Scion>("Scion", ScionOptions()),
        row<Scion>("Scion, momentum", ScionOptions{.momentum = 0.9}),
        row<Dion>("Dion, rank 1/4", DionOptions{.rank_fraction = 0.25}),
        row<Dion2>("Dion2", Dion2Options()),
        row<NorDion2>("NorDion2", NorDion2Options()),
        row<Mousse>("Mousse", MousseOptions()),
        row<Fismo>("FISMO", FismoOptions()),
        row<Fismo>("FISMO, as printed", FismoOptions::paper()),
        row<Conda>("Conda", CondaOptions()),
        row<Trion>("Trion, rank 128", TrionOptions{.rank = 128}),
        row<DctAdamW>("DCT-AdamW, rank 128", DctAdamWOptions{.rank = 128}),
        row<DctAdamW>("DCT-AdamW, rank 128, 4 bits of error",
                      DctAdamWOptions{.rank = 128, .error_feedback = true, .error_bits = 4}),
        row<GaLore>("GaLore, rank 128", GaLoreOptions()),
        row<GaLore>("GaLore, rank 128, Lion", GaLoreOptions{.inner = GaLoreInner::lion}),
        row<GaLore>("GaLore, rank 128, Adafactor", GaLoreOptions{.inner = GaLoreInner::adafactor}),
        row<NaturalGaLore>("Natural GaLore, rank 128, window 20", NaturalGaLoreOptions()),
        row<NaturalGaLore>("Natural GaLore, rank 128, window 20 in f16",
                           NaturalGaLoreOptions{.history_dtype = DType::f16}),
        row<OnlineSubspaceDescent>("Online Subspace Descent, rank 128", OnlineSubspaceDescentOptions()),
        row<Shampoo>("Shampoo, Adam's graft", ShampooOptions()),
        row<Shampoo>("Shampoo^2", ShampooOptions::shampoo2()),
        row<Shampoo>("SOAP", ShampooOptions::soap()),
        row<Shampoo>("KL-Shampoo", ShampooOptions::kl()),
        row<Shampoo4Bit>("4-bit Shampoo on SGD", Shampoo4BitOptions()),
        row<Shampoo4Bit>("4-bit Shampoo on AdamW", adamw),
        row<PsgdKron>("PSGD Kron", PsgdKronOptions()),
        row<PsgdKron>("PSGD Kron, momentum", PsgdKronOptions{.momentum = 0.9}),
        row<PsgdLra>("PSGD LRA, rank 10", PsgdLraOptions()),
        row<KronTorch>("PSGD Kron of kron_torch", KronTorchOptions()),
        row<Mfac>("M-FAC, window 64", MfacOptions{.window = 64}),
        row<Mfac>("M-FAC, window 64 in bf16", MfacOptions{.window = 64, .window_dtype = DType::bf16}),
        row<Kfac>("K-FAC", KfacOptions()),
        row<Kfac>("EK-FAC", ekfac),
        row<Mkor>("MKOR", MkorOptions()),
        row<Mkor>("MKOR, factors in bf16", MkorOptions{.factor_dtype = DType::bf16}),
        row<Mkor>("MKOR, Adam", MkorOptions{.base = MkorBase::adam}),
        row<Singd>("SINGD", SingdOptions()),
        row<Singd>("SINGD, factors in bf16", SingdOptions{.factor_dtype = DType::bf16}),
        row<Singd>("SINGD, diagonal factors", diagonal),
        row<Singd>("IKFAC", SingdOptions::ikfac()),
        row<Singd>("INGD", SingdOptions::ingd()),
    };
}

// Nothing looks at the memory.
TensorView view(std::uint64_t place, const Shape& shape) {
    return {.address = place << 40, .dtype = DType::f32, .shape = shape};
}

std::optional<double> bytes_of(const Device& device, const Row& row, MomentFormat format,
                               const Shape& shape) {
    const std::unique_ptr<Optimizer> optimizer = row.make(device, format);
    if (!optimizer || (row.layer && shape.rank() < 2)) return std::nullopt;
    Parameter parameter;
    parameter.name = "w";
    parameter.weight = view(1, shape);
    parameter.gradient = view(2, shape);
    try {
        if (row.layer)
            static_cast<LayerOptimizer&>(*optimizer)
                .add_layer({.weight = parameter,
                            .bias = {},
                            .inputs = view(3, {kSamples, shape[1]}),
                            .output_gradients = view(4, {kSamples, shape[0]}),
                            .patches = {}});
        else
            optimizer->add(parameter);
    } catch (const Error&) {  // of this shape
        return std::nullopt;
    }
    const Plan plan = compile(device, {optimizer.get()});
    return static_cast<double>(plan.state_bytes()) / static_cast<double>(shape.count());
}

void print_table(const Device& device, const std::string& title, const Shape& shape) {
    std::printf("\n## %s\n\n| optimizer | f32 | bf16 | block8 |\n| --- | --: | --: | --: |\n", title.c_str());
    for (const Row& row : rows()) {
        std::string line = "| " + row.name + " |";
        bool any = false;
        for (const MomentFormat format : kFormats) {
            const std::optional<double> bytes = bytes_of(device, row, format, shape);
            char text[32] = " |";
            if (bytes) std::snprintf(text, sizeof text, " %.2f |", *bytes);
            line += text;
            any = any || bytes;
        }
        if (any) std::printf("%s\n", line.c_str());
    }
}

}  // namespace

int main(int argc, char** argv) try {
    CLI::App app("Bytes of state of every optimizer, as a page.", "state_bytes");
    std::uint64_t rows = 1024, cols = 4096;
    app.add_option("--rows", rows, "of the matrix")->check(CLI::Range(1, 4096))->capture_default_str();
    app.add_option("--cols", cols, "of the matrix; elements of the vector")
        ->check(CLI::Range(1, 65536))
        ->capture_default_str();
    CLI11_PARSE(app, argc, argv);
    const Device device = Device::create();
    std::printf("# Bytes of state for each element of a parameter\n\n");
    std::printf(
        "Written by `tests/bench/state_bytes >docs/state-bytes.md` (in the build folder). Options are ");
    std::printf("the defaults but for what a line says; columns are the formats of moments ");
    std::printf(
        "([moments.hpp](../include/heron/optim/moments.hpp)), empty where the optimizer has none or ");
    std::printf("not that one. All else that is kept (curvature factors, bases, windows) is counted, too. ");
    std::printf(
        "Master copies and averages of weights, which are the step's, not an optimizer's, are not: 4 ");
    std::printf("bytes each. (A step keeps some bytes of its own, which show with short vectors.)\n");
    print_table(device, "A matrix of " + std::to_string(rows) + " x " + std::to_string(cols), {rows, cols});
    print_table(device, "A vector of " + std::to_string(cols), {cols});
    return 0;
} catch (const std::exception& error) {
    std::fprintf(stderr, "%s\n", error.what());
    return 1;
}
