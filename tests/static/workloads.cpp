// SPDX-License-Identifier: MIT
// A kernel that static_report never sees gets its line here.
#include "static/workloads.hpp"

#include <functional>
#include <iostream>
#include <vector>

#include "graph/transfer.hpp"
#include "heron/heron.hpp"

namespace heron::test {
namespace {

// Only shapes matter: states of a plan that gets no memory.
struct Work {
    Graph graph;
    int count = 0;

    explicit Work(const Device& device) : graph(device) {}
    Tensor tensor(DType dtype, const Shape& shape) {
        return graph.state("t" + std::to_string(count++), dtype, shape);
    }
};

// A case that this library refuses on this device (unsupported) is left out.
void compile_case(const Device& device, const std::function<void(Work&)>& add) {
    Work work(device);
    try {
        add(work);
    } catch (const Error& error) {
        if (error.code() != ErrorCode::unsupported) throw;
        std::cerr << error.what() << "\n";
        return;
    }
    work.graph.compile({}).prewarm();
}

constexpr DType kFloats[] = {DType::f32, DType::f16, DType::bf16};

void compile_products(const Device& device) {
    // One tile, a few, and enough for the largest.
    for (std::uint64_t n : {8, 64, 512, 2048})
        for (DType in : kFloats)
            for (DType out : {in, DType::f32}) {
                if (in == DType::f32 && out != in) continue;
                compile_case(device, [&](Work& w) {
                    const Shape shape{n, n};
                    gemm(w.graph, w.tensor(in, shape), w.tensor(in, shape), {}, w.tensor(out, shape));
                    syrk(w.graph, w.tensor(in, shape), w.tensor(out, shape), w.tensor(out, shape),
                         {.beta = 1});
                    if (in == DType::f32)
                        gemm(w.graph, w.tensor(in, shape), w.tensor(in, shape), {}, w.tensor(out, shape),
                             {.row_squares = w.tensor(DType::f32, {n})});
                });
            }
    // Chosen by name only.
    for (const auto& [variant, in] : {std::pair{"gemm_coopmat2", DType::f16},
                                      {"gemm_coopmat_bf16", DType::bf16},
                                      {"gemm_coopmat_bf16_large", DType::bf16}})
        compile_case(device, [&, variant = variant, in = in](Work& w) {
            const Shape shape{512, 512};
            const GemmOptions options{.beta = 1, .variant = variant};
            gemm(w.graph, w.tensor(in, shape), w.tensor(in, shape), w.tensor(DType::f32, shape),
                 w.tensor(DType::f32, shape), options);
        });
}

void compile_reductions(const Device& device) {
    for (DType in : kFloats)
        compile_case(device, [&](Work& w) {
            const Tensor x = w.tensor(in, {4, 300, 300});
            sum(w.graph, x, w.tensor(DType::f32, {4}));
            frobenius_norm(w.graph, x, w.tensor(DType::f32, {4}));
            count_nonfinite(w.graph, x, w.tensor(DType::u32, {4}));
            for (DType out : kFloats) convert(w.graph, x, w.tensor(out, {4, 300, 300}));
        });
}

void compile_polar(const Device& device) {
    for (const Shape& shape : {Shape{24, 24}, Shape{96, 64}, Shape{512, 2048}})
        for (PolarForm form : {PolarForm::standard, PolarForm::gram})
            for (const auto& [precision, words] :
                 {std::pair{DType::f32, 1u}, {DType::f16, 1u}, {DType::f16, 2u}, {DType::bf16, 2u}})
                compile_case(device, [&, precision = precision, words = words](Work& w) {
                    polar(w.graph, w.tensor(DType::f32, shape), w.tensor(DType::f32, shape),
                          {.form = form, .precision = precision, .words = words});
                });
}

// One square matrix, and one that is long, of each size: what one workgroup holds, and what needs many.
void compile_factorisations(const Device& device) {
    for (std::uint64_t n : {16, 64, 512}) {
        const Shape square{n, n}, tall{4 * n, n}, one_each{1};
        const auto matrix = [&](Work& w) { return w.tensor(DType::f32, square); };
        const auto vector = [&](Work& w) { return w.tensor(DType::f32, {n}); };
        const auto status = [&](Work& w) { return w.tensor(DType::u32, one_each); };
        compile_case(device, [&](Work& w) {
            for (Triangle triangle : {Triangle::lower, Triangle::upper}) {
                const Tensor factor = matrix(w);
                cholesky(w.graph, matrix(w), factor, {.triangle = triangle, .status = status(w)});
                cholesky_solve(w.graph, factor, matrix(w), matrix(w),
                               {.triangle = triangle, .status = status(w)});
                triangular_inverse(w.graph, factor, matrix(w), {.triangle = triangle});
                triangular_product(w.graph, factor, matrix(w), matrix(w), {.triangle = triangle});
                log_determinant(w.graph, factor, w.tensor(DType::f32, one_each));
            }
            spd_solve(w.graph, matrix(w), matrix(w), matrix(w), {.status = status(w)});
            spd_inverse(w.graph, matrix(w), matrix(w), {.jitter = {.retries = 3, .relative = 1e-6f}});
        });
        compile_case(device, [&](Work& w) {
            const LdltFactor factor{matrix(w), w.tensor(DType::f32, {n, 2}), w.tensor(DType::u32, {n})};
            ldlt(w.graph, matrix(w), factor, {.status = status(w)});
            ldlt_solve(w.graph, factor, matrix(w), matrix(w), {.status = status(w)});
        });
        for (QrMethod method : {QrMethod::householder, QrMethod::cholesky})
            compile_case(device, [&](Work& w) {
                qr(w.graph, w.tensor(DType::f32, tall), w.tensor(DType::f32, tall), matrix(w),
                   {.method = method, .status = status(w)});
            });
        compile_case(device, [&](Work& w) {
            eigh(w.graph, matrix(w), vector(w), matrix(w), {.status = status(w)});
            eigh(w.graph, matrix(w), vector(w), matrix(w),
                 {.basis = matrix(w), .max_sweeps = 4, .status = status(w)});
            matrix_power(w.graph, matrix(w), matrix(w), {.status = status(w)});
            power_iteration(w.graph, matrix(w), vector(w), w.tensor(DType::f32, one_each));
            condition_estimate(w.graph, matrix(w), matrix(w), w.tensor(DType::f32, one_each));
        });
        compile_case(device, [&](Work& w) {
            svd(w.graph, w.tensor(DType::f32, tall), w.tensor(DType::f32, tall), vector(w), matrix(w),
                {.status = status(w)});
            polar_by_svd(w.graph, w.tensor(DType::f32, tall), w.tensor(DType::f32, tall));
            truncated_svd(w.graph, w.tensor(DType::f32, tall), w.tensor(DType::f32, {4 * n, 8}),
                          w.tensor(DType::f32, {8}), w.tensor(DType::f32, {n, 8}),
                          {.basis = w.tensor(DType::f32, {4 * n, 8})});
        });
        compile_case(device, [&](Work& w) {
            sherman_morrison(w.graph, matrix(w), vector(w));
            cholesky_update(w.graph, matrix(w), vector(w));
            cholesky_downdate(w.graph, matrix(w), vector(w));
            cholesky_replace_row(w.graph, matrix(w), w.tensor(DType::u32, one_each), vector(w), status(w));
            update_inverse(w.graph, matrix(w), w.tensor(DType::f32, {n, 4}), {.status = status(w)});
        });
    }
}

void compile_roots(const Device& device) {
    for (std::uint64_t n : {16, 512}) {
        const auto matrix = [&](Work& w) { return w.tensor(DType::f32, {n, n}); };
        compile_case(device, [&](Work& w) {
            for (std::uint32_t p : {1, 4}) inverse_root(w.graph, matrix(w), matrix(w), {.p = p});
            inverse_root(w.graph, matrix(w), matrix(w), {.method = RootMethod::denman_beavers});
            inverse_root(w.graph, matrix(w), matrix(w), {.p = 1, .guess = matrix(w)});
            inverse_root(w.graph, matrix(w), matrix(w), {.words = 2});
        });
    }
}

void compile_woodbury(const Device& device) {
    for (DType dtype : kFloats)
        compile_case(device, [&](Work& w) {
            const std::uint64_t s = 32, d = 100000;
            const auto floats = [&](const Shape& shape) { return w.tensor(DType::f32, shape); };
            const Window window{w.tensor(dtype, {s, d}), floats({s, s}), w.tensor(DType::u32, {s})};
            window_gram(w.graph, window);
            window_push(w.graph, window, w.tensor(dtype, {d}), w.tensor(DType::u32, {1}));
            woodbury_range(w.graph, window, floats({s}), floats({d}));
            woodbury_range(w.graph, window, floats({s}), floats({d}),
                           {.kept = {floats({s, s}), floats({s, s}), w.tensor(DType::u32, {5})}});
            woodbury_solve(w.graph, window, w.tensor(dtype, {d}), floats({d}));
            woodbury_diagonal(w.graph, floats({d}), w.tensor(dtype, {d, s}), floats({s, s}), floats({d}),
                              floats({d}), {.positive_definite = false});
        });
}

void compile_fisher_inverse(const Device& device) {
    for (DType dtype : kFloats)
        compile_case(device, [&](Work& w) {
            const std::uint64_t m = 64, d = 10000;
            const auto floats = [&] { return w.tensor(DType::f32, {d}); };
            const Tensor kept = w.tensor(DType::u32, {d}), weights = floats(), scores = floats();
            const FisherInverse inverse{w.tensor(DType::f32, {m, d}), static_cast<std::uint32_t>(m)};
            fisher_inverse(w.graph, w.tensor(dtype, {m, d}), inverse,
                           {.kept = kept, .status = w.tensor(DType::u32, {79})});
            fisher_product(w.graph, inverse, floats(), floats());
            fisher_elements(w.graph, inverse, w.tensor(DType::u32, {9, 2}), w.tensor(DType::f32, {9}));
            pruning_scores(w.graph, inverse, weights, kept, scores);
            prune_smallest(w.graph, scores, kept, 1000);
            prune_weights(w.graph, inverse, kept, weights);
        });
}

void compile_aggregators(const Device& device) {
    for (DType dtype : kFloats)
        for (std::uint64_t k : {2, 16, 128})
            compile_case(device, [&](Work& w) {
                const std::uint64_t n = 100000;
                const JacobianPart part{w.tensor(dtype, {k, n}), w.tensor(dtype, {n})};
                aggregate_mean(w.graph, {&part, 1});
                aggregate_upgrad(w.graph, {&part, 1});
                aggregate_mgda(w.graph, {&part, 1});
                const BloopPart gradients{"w", w.tensor(dtype, {n}), w.tensor(dtype, {n}),
                                          w.tensor(dtype, {n})};
                bloop(w.graph, {&gradients, 1});
            });
}

void compile_newton(const Device& device) {
    for (DType dtype : kFloats)
        compile_case(device, [&](Work& w) {
            const std::uint64_t b = 64, c = 10, d = 100000, n = 300;
            const auto floats = [&](const Shape& shape) { return w.tensor(DType::f32, shape); };
            const GaussNewtonSystem system{w.tensor(dtype, {b * c, d}), floats({b, c}), floats({b, c}),
                                           PredictionLoss::softmax_cross_entropy};
            const Tensor direction = floats({d}), scalar = floats({1}), weights = w.tensor(dtype, {d});
            gauss_newton_direction(w.graph, system, scalar, direction);
            average_direction(w.graph, direction);
            gauss_newton_model(w.graph, system, direction, floats({2}));
            newton_update(w.graph, weights, direction, scalar, weights, {.momentum = 0.5f});
            damped_newton_step(w.graph, floats({n, n}), floats({n}), scalar, floats({n}));
            damped_newton_step(w.graph, floats({n}), floats({n, n}), floats({n}), scalar, floats({n}));
        });
}

void compile_evolution(const Device& device) {
    for (DType dtype : kFloats)
        compile_case(device, [&](Work& w) {
            const std::uint32_t members = 64;
            const std::uint64_t t = 32, m = 128, n = 784;
            const Population population{.members = members, .epoch = w.tensor(DType::u32, {1})};
            const LowRankNoise noise = low_rank_noise(w.graph, population, 0, m, n, 4);
            const Tensor full = full_noise(w.graph, population, 1, m);
            const Tensor fitness = w.tensor(DType::f32, {members});
            perturbed_linear(w.graph, w.tensor(dtype, {members, t, n}), w.tensor(dtype, {m, n}), noise, 0.1f,
                             w.tensor(DType::f32, {members, t, m}));
            const DrawnNoise drawn{population, 0, 4};
            perturbed_linear(w.graph, w.tensor(dtype, {members, t, n}), w.tensor(dtype, {m, n}), drawn, 0.1f,
                             w.tensor(DType::f32, {members, t, m}));
            perturbed_copies(w.graph, w.tensor(dtype, {m}), full, 0.1f, w.tensor(DType::f32, {members, m}));
            shape_fitness(w.graph, w.tensor(DType::f32, {members}), fitness);
            evolution_gradient(w.graph, fitness, noise, 0.1f, w.tensor(dtype, {m, n}));
            evolution_gradient(w.graph, fitness, full, 0.1f, w.tensor(dtype, {m}));
        });
}

void compile_structured(const Device& device) {
    compile_case(device, [&](Work& w) {
        const Tensor x = w.tensor(DType::f32, {300, 500});
        const QuantizedMatrix codes{w.tensor(DType::u32, {300, quantized_words(500, 4)}),
                                    w.tensor(DType::f32, {300, 8}), w.tensor(DType::f32, {300})};
        quantize(w.graph, x, codes);
        dequantize(w.graph, codes, x);
    });
    for (DType in : kFloats)
        compile_case(device, [&](Work& w) {
            const Shape shape{300, 500};
            const auto x = [&] { return w.tensor(in, shape); };
            const auto floats = [&](const Shape& of) { return w.tensor(DType::f32, of); };
            for (NormKind kind : {NormKind::two, NormKind::squared, NormKind::one, NormKind::infinity}) {
                row_norms(w.graph, x(), floats({300}), kind);
                column_norms(w.graph, x(), floats({500}), kind);
            }
            row_power_norms(w.graph, x(), floats({300}), 3.0f);
            column_power_norms(w.graph, x(), floats({500}), 3.0f);
            scale_rows(w.graph, x(), floats({300}), x());
            scale_columns(w.graph, x(), floats({500}), x());
            normalize_rows(w.graph, x(), x());
            normalize_columns(w.graph, x(), x());
            two_sided_product(w.graph, floats({300, 300}), x(), floats({500, 500}), {}, x());
            dct(w.graph, w.tensor(in, {64, 512}), floats({64, 512}));
            dct(w.graph, x(), floats(shape));
            dct(w.graph, x(), floats(shape), {.axis = DctAxis::columns, .inverse = true});
            dct_basis(w.graph, w.tensor(DType::u32, {9}), floats({9, 500}));
            for (Distribution distribution : {Distribution::uniform, Distribution::normal,
                                              Distribution::signs, Distribution::exponential})
                fill_random(w.graph, x(), {.distribution = distribution});
            fill_random(w.graph, w.tensor(DType::u32, shape), {.distribution = Distribution::bits});
            top_k(w.graph, x(), w.tensor(DType::u32, {300, 8}), w.tensor(in, {300, 8}));
            argsort(w.graph, w.tensor(DType::f32, {4, 5000}), w.tensor(DType::u32, {4, 5000}));
            gather_rows(w.graph, x(), w.tensor(DType::u32, {9}), w.tensor(in, {9, 500}));
            gather_columns(w.graph, x(), w.tensor(DType::u32, {9}), w.tensor(in, {300, 9}));
            for (std::uint64_t width : {48, 512}) {
                accumulate_factor(w.graph, w.tensor(in, {1024, width}), floats({width, width}));
                accumulate_factor(w.graph, w.tensor(in, {4096, width}), floats({width + 1, width + 1}),
                                  {.bias = true, .sharing = WeightSharing::mean, .positions = 16});
            }
        });
}

// A matrix and a bias for each optimizer, with memory of their own.
class Network {
public:
    Network(const Device& device, DType dtype) : dtype_(dtype) {
        memory_ = device.create_buffer(4 * kBytes);
        captures_ = device.create_buffer(2 * kBytes);
        const Shape shapes[] = {Shape{256, 784}, Shape{256}};
        for (std::uint64_t i = 0; i < 2; ++i) {
            Parameter parameter;
            parameter.name = i == 0 ? "matrix" : "bias";
            parameter.weight = memory_.view(dtype_, shapes[i], 2 * i * kBytes);
            parameter.gradient = memory_.view(dtype_, shapes[i], (2 * i + 1) * kBytes);
            parameters_.push_back(parameter);
        }
    }
    void give_to(Optimizer& optimizer, bool only_matrix = false) const {
        optimizer.add(parameters_[0]);
        if (!only_matrix) optimizer.add(parameters_[1]);
    }
    // The matrix as a convolution's filter.
    void give_filter_to(Optimizer& optimizer) const {
        Parameter filter = parameters_[0];
        filter.weight = memory_.view(dtype_, Shape{256, 16, 7, 7}, 0);
        filter.gradient = memory_.view(dtype_, Shape{256, 16, 7, 7}, kBytes);
        optimizer.add(filter);
    }
    // Matrix and bias as one layer, or the filter as another.
    void give_layer_to(LayerOptimizer& optimizer, bool filter, LayerSharing sharing) const {
        Layer layer;
        layer.weight = parameters_[0];
        Shape inputs{64, 784}, outputs{64, 256};
        if (filter) {
            layer.weight.weight = memory_.view(dtype_, Shape{256, 16, 7, 7}, 0);
            layer.weight.gradient = memory_.view(dtype_, Shape{256, 16, 7, 7}, kBytes);
            layer.patches = ConvPatches{.kernel = {7, 7}};
            layer.sharing = sharing;
            inputs = Shape{8, 16, 8, 8};
            outputs = Shape{8, 256, 2, 2};
        } else {
            layer.bias = parameters_[1];
        }
        layer.inputs = captures_.view(dtype_, inputs);
        layer.output_gradients = captures_.view(dtype_, outputs, kBytes);
        optimizer.add_layer(layer);
    }

private:
    static constexpr std::uint64_t kBytes = 1 << 20;
    DType dtype_;
    Buffer memory_;
    Buffer captures_;
    std::vector<Parameter> parameters_;
};

std::vector<StepOptions> step_options(DType dtype) {
    StepOptions plain;
    plain.skip_nonfinite = false;
    StepOptions guarded;
    guarded.clip_norm = 1;
    guarded.ema_decay = 0.99f;
    guarded.accumulate = true;
    guarded.master_weights = dtype != DType::f32;
    return {plain, guarded};
}

void compile_steps(const Device& device) {
    for (DType dtype : kFloats) {
        const Network network(device, dtype);
        const auto compile_step = [&](Optimizer&& optimizer, bool only_matrix = false) {
            network.give_to(optimizer, only_matrix);
            for (const StepOptions& options : step_options(dtype))
                compile(device, {&optimizer}, options).prewarm();
        };
        compile_step(AdamW(device));
        compile_step(AdamW(device, {.amsgrad = true}));
        compile_step(AdamW(device, {.moments = MomentFormat::bf16}));
        compile_step(AdamW(device, {.moments = MomentFormat::block8}));
        compile_step(Adafactor(device));
        compile_step(Adafactor(device, {.beta1 = 0.9}));
        compile_step(Lookahead(device, std::make_unique<AdamW>(device)));
        for (const MomentFormat moments : {MomentFormat::f32, MomentFormat::bf16})
            compile_step(Lookahead(device, std::make_unique<Lion>(device, LionOptions{.moments = moments}),
                                   {.momentum = LookaheadMomentum::pullback}));
        compile_step(Lion(device));
        compile_step(Lion(device, {.moments = MomentFormat::bf16}));
        compile_step(SignSgd(device));
        compile_step(Lion(device, {.moments = MomentFormat::block8}));
        compile_step(SignSgd(device, {.moments = MomentFormat::bf16}));
        compile_step(SignSgd(device, {.moments = MomentFormat::block8}));
        compile_step(RandomScalingSgd(device));
        compile_step(RandomScalingSgd(device, {.moments = MomentFormat::bf16}));
        compile_step(RandomScalingSgd(device, {.moments = MomentFormat::block8}));
        compile_step(Sgd(device));
        compile_step(Sgd(device, {.momentum = 0.9, .nesterov = true}));
        compile_step(Sgd(device, {.momentum = 0.9, .moments = MomentFormat::bf16}));
        compile_step(Sgd(device, {.momentum = 0.9, .moments = MomentFormat::block8}));
        for (DType precision : {DType::f32, DType::f16}) {
            MuonOptions options;
            options.polar.precision = precision;
            compile_step(Muon(device, options), true);
        }
        compile_step(Muon(device, {.moments = MomentFormat::block8}), true);
        compile_step(NorMuon(device), true);
        compile_step(NorMuon(device, {.moments = MomentFormat::bf16}), true);
        for (DionQr qr : {DionQr::automatic, DionQr::rcqr})
            compile_step(Dion(device, {.rank_fraction = 0.25, .qr = qr}), true);
        compile_step(AdaMuon(device), true);
        compile_step(Dion2(device), true);
        compile_step(Dion2(device, {.moments = MomentFormat::bf16}), true);
        compile_step(NorDion2(device), true);
        compile_step(Conda(device, {.gap = 100}));
        compile_step(Conda(device, {.gap = 100, .moments = MomentFormat::bf16}));
        compile_step(GaLore(
            device, {.rank = 64, .projection = GaLoreProjection::full, .moments = GaLoreMoments::rotate}));
        compile_step(GaLore(device, {.rank = 64, .moment_bits = 8}), true);
        compile_step(GaLore(device, {.rank = 64, .iterations = 2, .inner = GaLoreInner::lion}), true);
        compile_step(GaLore(device, {.rank = 64, .moment_bits = 8, .inner = GaLoreInner::lion}), true);
        compile_step(GaLore(device, {.rank = 64, .moment_bits = 16}), true);
        compile_step(GaLore(device, {.rank = 64, .moment_bits = 16, .inner = GaLoreInner::lion}), true);
        compile_step(GaLore(device, {.rank = 64, .inner = GaLoreInner::adafactor, .scale_parameter = true}),
                     true);
        compile_step(NaturalGaLore(device, {.rank = 64, .history = 8}), true);
        compile_step(OnlineSubspaceDescent(device, {.rank = 64}), true);
        compile_step(Trion(device, {.rank = 64}), true);
        compile_step(DctAdamW(device, {.rank = 64, .rotate = true, .error_feedback = true}));
        compile_step(DctAdamW(device, {.rank = 64, .error_feedback = true, .error_bits = 4}));
        compile_step(Auon(device, AuonOptions::paper()));
        for (double momentum : {0.0, 0.9})
            for (ScionNorm norm : {ScionNorm::spectral, ScionNorm::sign, ScionNorm::row})
                compile_step(Scion(device, {.momentum = momentum, .norm = norm}), true);
        compile_step(Scion(device, {.momentum = 0.9, .norm = ScionNorm::sign, .moments = MomentFormat::bf16}),
                     true);
        compile_step(Mousse(device), true);
        compile_step(Shampoo(device, {.trace_exponent = 0.5, .block_size = 256, .momentum = 0.9}));
        compile_step(Shampoo(device, {.momentum = 0.9, .moments = MomentFormat::bf16}));
        ShampooOptions soap = ShampooOptions::soap();
        soap.basis_tolerance = 0.01f;
        compile_step(Shampoo(device, soap));
        compile_step(Shampoo4Bit(device, {.least_elements = 4096, .block_size = 256}));
        compile_step(Shampoo4Bit(device, {.root = Shampoo4BitRoot::newton}), true);
        compile_step(Shampoo4Bit(device, {.moments = MomentFormat::bf16}), true);
        for (MomentFormat moments : {MomentFormat::f32, MomentFormat::bf16})
            compile_step(Shampoo4Bit(device, {.base = Shampoo4BitBase::adamw, .moments = moments}), true);
        Shampoo filters(device, {.block_size = 64});
        network.give_filter_to(filters);
        compile(device, {&filters}, {}).prewarm();
        const auto compile_kfac = [&](KfacMethod method, bool filter, LayerSharing sharing) {
            Kfac kfac(device, {.method = method});
            network.give_layer_to(kfac, filter, sharing);
            for (const StepOptions& options : step_options(dtype))
                compile(device, {&kfac}, options).prewarm();
        };
        for (KfacMethod method : {KfacMethod::inverse, KfacMethod::ekfac, KfacMethod::batch})
            for (const bool filter : {false, true}) compile_kfac(method, filter, LayerSharing::reduce);
        compile_kfac(KfacMethod::ekfac, true, LayerSharing::expand);
        // Both sides matrices; three axes; all forms of the changes of a factor.
        for (PsgdGeometry geometry : {PsgdGeometry::pro4p, PsgdGeometry::quad, PsgdGeometry::qep})
            compile_step(PsgdKron(device, {.geometry = geometry, .momentum = 0.9, .max_skew = 4.0}));
        compile_step(PsgdLra(device, {.momentum = 0.9}));
        compile_step(KronTorch(device));
        compile_step(KronTorch(device, {.moments = MomentFormat::bf16}));
        compile_step(
            Mfac(device, {.window = 256, .weight_decay = 0.1f, .window_dtype = dtype, .sparse = true}));
        compile_step(Fismo(device), true);
        compile_step(Fismo(device, FismoOptions::paper()), true);
    }
}

// A layer of each kind for the optimizers that take layers.
class LayerNetwork {
public:
    LayerNetwork(const Device& device, DType dtype)
        : dtype_(dtype), memory_(device.create_buffer(12 * kBytes)) {}
    void give_to(LayerOptimizer& optimizer) {
        const auto parameter = [&](const char* name, const Shape& shape) {
            Parameter p;
            p.name = name;
            p.weight = view(shape);
            p.gradient = view(shape);
            return p;
        };
        next_ = 0;
        Layer linear{.weight = parameter("linear", {256, 784}), .bias = parameter("bias", {256})};
        linear.inputs = view({16, 64, 784});
        linear.output_gradients = view({16, 64, 256});
        optimizer.add_layer(linear);
        Layer filter{.weight = parameter("filter", {64, 16, 3, 3})};
        filter.inputs = view({4, 16, 32, 32});
        filter.output_gradients = view({4, 64, 32, 32});
        filter.patches = ConvPatches{.kernel = {3, 3}, .padding = {1, 1}};
        filter.sharing = LayerSharing::reduce;
        optimizer.add_layer(filter);
    }

private:
    static constexpr std::uint64_t kBytes = 4 << 20;
    TensorView view(const Shape& shape) { return memory_.view(dtype_, shape, kBytes * next_++); }

    DType dtype_;
    Buffer memory_;
    std::uint64_t next_ = 0;
};

void compile_layers(const Device& device) {
    for (DType dtype : kFloats) {
        LayerNetwork network(device, dtype);
        const auto compile_step = [&](LayerOptimizer&& optimizer) {
            network.give_to(optimizer);
            for (const StepOptions& options : step_options(dtype))
                compile(device, {&optimizer}, options).prewarm();
        };
        for (StructureKind kind :
             {StructureKind::dense, StructureKind::block_diagonal, StructureKind::lower_toeplitz}) {
            SingdOptions options;
            options.inputs.kind = kind;
            options.outputs.kind = StructureKind::hierarchical;
            options.factor_dtype = dtype;
            compile_step(Singd(device, options));
        }
        for (MkorBase base : {MkorBase::sgd, MkorBase::adam})
            compile_step(Mkor(device, {.factor_dtype = dtype, .base = base}));
        compile_step(Mkor(device, {.step = {.moments = MomentFormat::bf16}}));
    }
}

}  // namespace

void compile_workloads(Device& device) {
    compile_products(device);
    compile_reductions(device);
    compile_polar(device);
    compile_factorisations(device);
    compile_roots(device);
    compile_woodbury(device);
    compile_fisher_inverse(device);
    compile_aggregators(device);
    compile_newton(device);
    compile_evolution(device);
    compile_structured(device);
    compile_steps(device);
    compile_layers(device);
    const Transfer transfer(device);  // of checkpoints
}

}  // namespace heron::test
