// SPDX-License-Identifier: MIT
// The table of optimizers. A matrix optimizer takes the parameters that heron::route gives it, AdamW the
// rest.
#include "optimizers.hpp"

#include <algorithm>

namespace samples {

namespace {

// Rates of Muon and AdamW were tuned with the default network and 4 to 5 epochs of 512 images on lavapipe,
// one seed: Muon 0.01, 0.02 and 0.04 gave 89.7, 90.0 and 89.8 % of the test images; AdamW 0.001, 0.002,
// 0.004, 0.008, 0.01 and 0.015 gave 87.2, 87.6, 88.4, 88.1, 88.3 and 88.3 %. The others are between the best
// rates of both tasks of compare_optimizers, in 40 steps.
constexpr float kWeightDecay = 0.01f;
// Steps between roots of curvature, whose factors for images are of order 784.
constexpr std::uint32_t kRefresh = 20;

std::unique_ptr<heron::Optimizer> adamw(const OptimizerRequest& request, float lr,
                                        heron::MomentFormat moments = heron::MomentFormat::f32) {
    return std::make_unique<heron::AdamW>(
        request.device,
        heron::AdamWOptions{
            .lr = lr, .weight_decay = kWeightDecay, .moments = moments, .schedule = request.schedule});
}

// `matrices` takes what is routed to a matrix optimizer, AdamW everything else.
Optimizers split(const OptimizerRequest& request, std::unique_ptr<heron::Optimizer> matrices,
                 heron::MomentFormat moments = heron::MomentFormat::f32) {
    Optimizers result;
    result.push_back(std::move(matrices));
    result.push_back(adamw(request, request.rest_lr, moments));
    for (std::size_t i = 0; i < request.parameters.size(); ++i)
        result[request.routes[i].matrix ? 0 : 1]->add(request.parameters[i]);
    std::erase_if(result, [](const auto& optimizer) { return optimizer->parameters().empty(); });
    return result;
}

template <class Algorithm, class Options>
Optimizers split(const OptimizerRequest& request, Options options) {
    options.lr = request.lr;
    options.weight_decay = kWeightDecay;
    options.schedule = request.schedule;
    heron::MomentFormat moments = heron::MomentFormat::f32;
    if constexpr (requires { moments = options.moments; }) moments = options.moments;
    return split(request, std::make_unique<Algorithm>(request.device, options), moments);
}

// One optimizer for all parameters.
Optimizers whole(const OptimizerRequest& request, std::unique_ptr<heron::Optimizer> optimizer) {
    for (const heron::Parameter& parameter : request.parameters) optimizer->add(parameter);
    Optimizers result;
    result.push_back(std::move(optimizer));
    return result;
}

// Scion, each parameter by the norm of its role. `head_scale` is on the heads' options.
Optimizers by_role(const OptimizerRequest& request, heron::ScionOptions options, float head_scale) {
    options.schedule = request.schedule;
    Optimizers result;
    for (const bool heads : {false, true}) {
        if (heads) options.scale *= head_scale;
        auto optimizer = std::make_unique<heron::Scion>(request.device, options);
        optimizer->set_name(heads ? "scion_head" : "scion");
        for (std::size_t i = 0; i < request.parameters.size(); ++i) {
            heron::Parameter parameter = request.parameters[i];
            parameter.role = request.routes[i].role;
            if ((parameter.role == heron::Role::head) == heads) optimizer->add(parameter);
        }
        if (!optimizer->parameters().empty()) result.push_back(std::move(optimizer));
    }
    return result;
}

// Options that all parameters share.
template <class Algorithm, class Options>
Optimizers whole(const OptimizerRequest& request, Options options) {
    options.lr = request.lr;
    options.schedule = request.schedule;
    return whole(request, std::make_unique<Algorithm>(request.device, options));
}

// Shampoo's forms with what short trainings of small networks want.
Optimizers shampoo(const OptimizerRequest& request, heron::ShampooOptions options,
                   std::uint32_t interval = kRefresh) {
    options.refresh.interval = interval;
    options.block_size = 512;
    options.weight_decay = kWeightDecay;
    return whole<heron::Shampoo>(request, options);
}

// Layers to an optimizer of layers, AdamW for what belongs to none.
Optimizers by_layers(const OptimizerRequest& request, std::unique_ptr<heron::LayerOptimizer> optimizer) {
    for (const heron::Layer& layer : request.layers) optimizer->add_layer(layer);
    auto rest = adamw(request, request.rest_lr);
    for (const heron::Parameter& parameter : request.parameters)
        if (std::ranges::find(optimizer->parameters(), parameter.name, &heron::Parameter::name) ==
            optimizer->parameters().end())
            rest->add(parameter);
    Optimizers result;
    result.push_back(std::move(optimizer));
    result.push_back(std::move(rest));
    std::erase_if(result, [](const auto& each) { return each->parameters().empty(); });
    return result;
}

// Options that optimizers of layers share.
template <class Algorithm, class Options>
Optimizers by_layers(const OptimizerRequest& request, Options options) {
    options.lr = request.lr;
    options.step.weight_decay = kWeightDecay;
    options.step.decoupled_decay = true;
    options.schedule = request.schedule;
    return by_layers(request, std::make_unique<Algorithm>(request.device, options));
}

Optimizers kfac(const OptimizerRequest& request, heron::KfacMethod method) {
    heron::KfacOptions options;
    options.method = method;
    options.damping = 1e-2f;
    options.warm_factors = true;
    options.factor_interval = options.moments_interval = 5;
    options.refresh.interval = kRefresh;
    return by_layers<heron::Kfac>(request, options);
}

Optimizers singd(const OptimizerRequest& request, heron::SingdOptions options) {
    // Factors that begin at the identity have far to go in a short training.
    options.lr_cov = 0.2f;
    options.normalize_lr_cov = true;
    options.damping = 1e-2;
    options.refresh.interval = 2;
    return by_layers<heron::Singd>(request, options);
}

heron::SingdOptions structured(heron::StructureKind structure) {
    heron::SingdOptions options;
    options.inputs.kind = options.outputs.kind = structure;
    return options;
}

constexpr NamedOptimizer kOptimizers[] = {
    {"adamw", "AdamW for everything", 0.01f, false, false,
     [](const OptimizerRequest& request) { return whole(request, adamw(request, request.lr)); }},
    {"adamw_bf16", "AdamW with moments in bf16", 0.01f, false, true,
     [](const OptimizerRequest& request) {
         return whole(request, adamw(request, request.lr, heron::MomentFormat::bf16));
     }},
    {"adamw_block8", "AdamW with moments in 8 bits", 0.01f, false, true,
     [](const OptimizerRequest& request) {
         return whole(request, adamw(request, request.lr, heron::MomentFormat::block8));
     }},
    {"muon", "Muon for the matrices of the hidden layers, AdamW for the rest", 0.02f, true, false,
     [](const OptimizerRequest& request) { return split<heron::Muon>(request, heron::MuonOptions()); }},
    {"muon_bf16", "Muon and AdamW with moments in bf16", 0.02f, true, true,
     [](const OptimizerRequest& request) {
         return split<heron::Muon>(request, heron::MuonOptions{.moments = heron::MomentFormat::bf16});
     }},
    {"muon_moonlight", "Muon as in Moonlight, updates of RMS 0.2", 0.01f, true, true,
     [](const OptimizerRequest& request) {
         return split<heron::Muon>(request, heron::MuonOptions::moonlight());
     }},
    {"muon_dion", "Muon as in microsoft/dion, by Polar Express", 0.06f, true, true,
     [](const OptimizerRequest& request) { return split<heron::Muon>(request, heron::MuonOptions::dion()); }},
    {"muon_emerging", "Muon as in Emerging-Optimizers", 0.003f, true, true,
     [](const OptimizerRequest& request) {
         return split<heron::Muon>(request, heron::MuonOptions::emerging());
     }},
    {"normuon", "NorMuon for the matrices of the hidden layers, AdamW for the rest", 0.02f, true, false,
     [](const OptimizerRequest& request) { return split<heron::NorMuon>(request, heron::NorMuonOptions()); }},
    {"normuon_dion", "NorMuon as in microsoft/dion", 0.06f, true, true,
     [](const OptimizerRequest& request) {
         return split<heron::NorMuon>(request, heron::NorMuonOptions::dion());
     }},
    {"normuon_modded", "NorMuon as in modded-nanogpt", 0.02f, true, true,
     [](const OptimizerRequest& request) {
         return split<heron::NorMuon>(request, heron::NorMuonOptions::modded());
     }},
    {"normuon_paper", "NorMuon of the paper", 0.02f, true, true,
     [](const OptimizerRequest& request) {
         return split<heron::NorMuon>(request, heron::NorMuonOptions::paper());
     }},
    {"adamuon", "AdaMuon for the matrices of the hidden layers, AdamW for the rest", 0.03f, true, false,
     [](const OptimizerRequest& request) { return split<heron::AdaMuon>(request, heron::AdaMuonOptions()); }},
    {"adamuon_paper", "AdaMuon of the paper", 0.03f, true, true,
     [](const OptimizerRequest& request) {
         return split<heron::AdaMuon>(request, heron::AdaMuonOptions::paper());
     }},
    {"dion", "Dion of rank 1/4 for the matrices of the hidden layers, AdamW for the rest", 0.06f, true, false,
     [](const OptimizerRequest& request) {
         return split<heron::Dion>(request, heron::DionOptions{.rank_fraction = 0.25});
     }},
    {"dion2", "Dion2 for the matrices of the hidden layers, AdamW for the rest", 0.06f, true, false,
     [](const OptimizerRequest& request) { return split<heron::Dion2>(request, heron::Dion2Options()); }},
    {"nordion2", "NorDion2 for the matrices of the hidden layers, AdamW for the rest", 0.06f, true, false,
     [](const OptimizerRequest& request) {
         return split<heron::NorDion2>(request, heron::NorDion2Options());
     }},
    {"conda", "Conda for the matrices of the hidden layers, AdamW for the rest", 0.05f, true, false,
     [](const OptimizerRequest& request) {
         return split<heron::Conda>(request, heron::CondaOptions{.beta2 = 0.99, .gap = 100, .scale = 0.25f});
     }},
    {"galore", "GaLore of rank 32 for the matrices of the hidden layers, AdamW for the rest", 0.06f, true,
     false,
     [](const OptimizerRequest& request) {
         return split<heron::GaLore>(
             request, heron::GaLoreOptions{.rank = 32, .scale = 0.25f, .refresh = {.interval = kRefresh}});
     }},
    {"natural_galore", "Natural GaLore of rank 32 for the matrices of the hidden layers, AdamW for the rest",
     0.07f, true, false,
     [](const OptimizerRequest& request) {
         return split<heron::NaturalGaLore>(
             request,
             heron::NaturalGaLoreOptions{.rank = 32, .scale = 0.25f, .refresh = {.interval = kRefresh}});
     }},
    {"online_subspace_descent",
     "Online Subspace Descent of rank 32 for the matrices of the hidden layers, AdamW for the rest", 0.07f,
     true, false,
     [](const OptimizerRequest& request) {
         return split<heron::OnlineSubspaceDescent>(
             request, heron::OnlineSubspaceDescentOptions{
                          .rank = 32, .scale = 0.25f, .descent = {.rate = 1.0f / kRefresh}});
     }},
    {"trion", "Trion of rank 32 for the matrices of the hidden layers, AdamW for the rest", 0.06f, true,
     false,
     [](const OptimizerRequest& request) {
         return split<heron::Trion>(request, heron::TrionOptions{.rank = 32});
     }},
    {"dct_adamw", "DCT-AdamW of rank 32 for the matrices of the hidden layers, AdamW for the rest", 0.02f,
     true, false,
     [](const OptimizerRequest& request) {
         return split<heron::DctAdamW>(
             request, heron::DctAdamWOptions{.rank = 32, .rotate = true, .error_feedback = true});
     }},
    {"auon", "AuON for the matrices of the hidden layers, AdamW for the rest", 3.0f, true, false,
     [](const OptimizerRequest& request) { return split<heron::Auon>(request, heron::AuonOptions()); }},
    {"auon_paper", "AuON of the paper", 0.3f, true, true,
     [](const OptimizerRequest& request) {
         return split<heron::Auon>(request, heron::AuonOptions::paper());
     }},
    {"hybrid_auon", "Hybrid-AuON for the matrices of the hidden layers, AdamW for the rest", 0.04f, true,
     false,
     [](const OptimizerRequest& request) {
         return split<heron::Auon>(request, heron::AuonOptions::hybrid_code());
     }},
    {"scion", "Scion for everything: hidden matrices by the spectral norm, heads by signs, vectors by RMS",
     0.015f, false, false,
     [](const OptimizerRequest& request) {
         // Radii as the authors' example of an image classifier has them.
         return by_role(request, {.lr = request.lr, .momentum = 0.5, .scale = 8}, 16);
     }},
    {"trust_region", "Trust region in the norms of Scion, without radii", 0.03f, false, true,
     [](const OptimizerRequest& request) {
         heron::ScionOptions options = heron::ScionOptions::trust_region(
             heron::ScionNorm::automatic, request.lr, kWeightDecay * request.lr);
         options.momentum = 0.9;
         return by_role(request, options, 1);
     }},
    {"fismo", "FISMO for the matrices of the hidden layers, AdamW for the rest", 0.06f, true, false,
     [](const OptimizerRequest& request) {
         return split<heron::Fismo>(request, heron::FismoOptions{.refresh = {.interval = kRefresh}});
     }},
    {"mousse", "Mousse for the matrices of the hidden layers, AdamW for the rest", 0.1f, true, false,
     [](const OptimizerRequest& request) {
         // The default, 1e-10, magnifies what a gradient has in directions that the last refresh had not
         // seen.
         return split<heron::Mousse>(
             request, heron::MousseOptions{.damping = 1e-5f, .refresh = {.interval = kRefresh}});
     }},
    {"shampoo", "Shampoo with Adam's graft for everything", 0.02f, false, false,
     [](const OptimizerRequest& request) { return shampoo(request, {.beta2 = 0.999, .graft_eps = 1e-8f}); }},
    {"shampoo2", "Shampoo^2 for everything", 0.01f, false, false,
     [](const OptimizerRequest& request) { return shampoo(request, heron::ShampooOptions::shampoo2()); }},
    {"shampoo4bit", "4-bit Shampoo on AdamW for everything", 0.01f, false, false,
     [](const OptimizerRequest& request) {
         heron::Shampoo4BitOptions options;
         options.base = heron::Shampoo4BitBase::adamw;
         options.weight_decay = kWeightDecay;
         options.block_size = 512;
         options.statistics = {.interval = 5};
         options.roots = {.interval = kRefresh};
         return whole<heron::Shampoo4Bit>(request, options);
     }},
    {"kl_shampoo", "KL-Shampoo with Adam's graft for everything", 0.01f, false, false,
     [](const OptimizerRequest& request) {
         // The preset has no graft, and its scale is not its own before many refreshes: both sides'
         // statistics take in what the other side's last root left of the gradient, so that each corrects the
         // whole scale at once. In 82 steps it ends at losses of 0.59 and 3.08 without a graft, 0.55 and 2.76
         // with it.
         heron::ShampooOptions options = heron::ShampooOptions::kl();
         options.graft = heron::ShampooGraft::adam;
         options.graft_eps = 1e-8f;
         return shampoo(request, options);
     }},
    {"soap", "SOAP for everything", 0.02f, false, false,
     [](const OptimizerRequest& request) {
         heron::ShampooOptions options = heron::ShampooOptions::soap();
         // What docs/comparison.md was measured with, which is not the preset: that has a beta1 of 0.95,
         // spends its first step on a basis by eigh() and renews it every tenth one. Short trainings want
         // new ones more often; a step of QR is cheap, and does not go far.
         options.first_basis = heron::ShampooFirstBasis::qr;
         options.beta1 = 0.9;
         return shampoo(request, options, kRefresh / 4);
     }},
    {"psgd_kron", "PSGD with Kronecker factors for everything", 0.01f, false, false,
     [](const OptimizerRequest& request) {
         // A matrix for every axis, as in kron_torch's form, not for the shorter one alone.
         return whole<heron::PsgdKron>(
             request, heron::PsgdKronOptions{.momentum = 0.9, .max_skew = 1e6, .weight_decay = kWeightDecay});
     }},
    {"psgd_lra", "PSGD with a preconditioner of rank 10 for everything", 0.03f, false, false,
     [](const OptimizerRequest& request) {
         return whole<heron::PsgdLra>(request,
                                      heron::PsgdLraOptions{.momentum = 0.9, .weight_decay = kWeightDecay});
     }},
    {"kron_torch", "PSGD Kron in kron_torch's form for everything", 0.03f, false, false,
     [](const OptimizerRequest& request) {
         return whole<heron::KronTorch>(request, heron::KronTorchOptions{.weight_decay = kWeightDecay});
     }},
    {"mfac", "M-FAC with a window of 32 gradients for everything", 0.3f, false, false,
     [](const OptimizerRequest& request) {
         heron::MfacOptions options{.window = 32, .damping = 1e-3f, .momentum = 0.9};
         options.average = heron::MfacAverage::filled;
         return whole<heron::Mfac>(request, options);
     }},
    {"mfac_1024", "M-FAC with a window of 1024 gradients, kept in 16 bits, for everything", 0.3f, false, true,
     [](const OptimizerRequest& request) {
         heron::MfacOptions options{.window = 1024, .damping = 1e-3f, .momentum = 0.9};
         options.average = heron::MfacAverage::filled;
         options.window_dtype = heron::DType::f16;
         return whole<heron::Mfac>(request, options);
     }},
    {"kfac", "K-FAC for the layers, AdamW for what belongs to none", 0.05f, false, false,
     [](const OptimizerRequest& request) { return kfac(request, heron::KfacMethod::inverse); }, true},
    {"ekfac", "EK-FAC for the layers, AdamW for what belongs to none", 0.05f, false, false,
     [](const OptimizerRequest& request) { return kfac(request, heron::KfacMethod::ekfac); }, true},
    {"mkor", "MKOR for the layers, AdamW for what belongs to none", 0.08f, false, false,
     [](const OptimizerRequest& request) { return by_layers<heron::Mkor>(request, heron::MkorOptions()); },
     true},
    {"mkor_h", "MKOR-H: MKOR until its losses fall too slowly, then SGD", 0.08f, false, false,
     [](const OptimizerRequest& request) {
         heron::MkorOptions options;
         options.switching = {.window = 10};
         return by_layers<heron::Mkor>(request, options);
     },
     true},
    {"singd", "SINGD for the layers, AdamW for what belongs to none", 5e-3f, false, false,
     [](const OptimizerRequest& request) { return singd(request, {}); }, true},
    {"singd_diagonal", "SINGD with diagonal factors", 5e-3f, false, true,
     [](const OptimizerRequest& request) {
         return singd(request, structured(heron::StructureKind::diagonal));
     },
     true},
    {"ikfac", "IKFAC for the layers, AdamW for what belongs to none", 0.1f, false, false,
     [](const OptimizerRequest& request) {
         // lr_cov stays at 0.01: times the largest eigenvalue of a mean of images it is near 2, where steps
         // of the factors begin to grow.
         heron::SingdOptions options = heron::SingdOptions::ikfac();
         options.damping = 0.1;  // of each factor alone, as sqrt(damping) is of K-FAC's
         options.refresh.interval = 2;
         return by_layers<heron::Singd>(request, options);
     },
     true},
    {"ingd", "INGD as in its authors' code, whose factors move little in the first 500 steps", 0.05f, false,
     true,
     [](const OptimizerRequest& request) {
         return by_layers<heron::Singd>(request, heron::SingdOptions::ingd());
     },
     true},
    {"amsgrad", "AMSGrad for everything", 0.01f, false, true,
     [](const OptimizerRequest& request) {
         return whole<heron::AdamW>(request,
                                    heron::AdamWOptions{.weight_decay = kWeightDecay, .amsgrad = true});
     }},
    {"adafactor", "Adafactor for everything", 0.08f, false, false,
     [](const OptimizerRequest& request) {
         return whole<heron::Adafactor>(request, heron::AdafactorOptions());
     }},
    {"adafactor_hf", "Adafactor as in transformers", 0.08f, false, true,
     [](const OptimizerRequest& request) {
         return whole<heron::Adafactor>(request, heron::AdafactorOptions::transformers());
     }},
    {"lion", "Lion for everything", 3e-3f, false, false,
     [](const OptimizerRequest& request) {
         return whole<heron::Lion>(request, heron::LionOptions{.weight_decay = 10 * kWeightDecay});
     }},
    {"lion_bf16", "Lion with its momentum in bf16", 3e-3f, false, true,
     [](const OptimizerRequest& request) {
         return whole<heron::Lion>(request, heron::LionOptions{.weight_decay = 10 * kWeightDecay,
                                                               .moments = heron::MomentFormat::bf16});
     }},
    {"signum", "SignSGD with momentum 0.9 for everything", 3e-3f, false, false,
     [](const OptimizerRequest& request) { return whole<heron::SignSgd>(request, heron::SignSgdOptions()); }},
    {"signsgd", "SignSGD without momentum", 3e-3f, false, true,
     [](const OptimizerRequest& request) {
         return whole<heron::SignSgd>(request, heron::SignSgdOptions{.momentum = 0.0});
     }},
    {"sgd", "SGD with Nesterov momentum 0.9 for everything", 0.08f, false, false,
     [](const OptimizerRequest& request) {
         return whole<heron::Sgd>(request, heron::SgdOptions{.momentum = 0.9, .nesterov = true});
     }},
    {"sgd_bf16", "SGD with its momentum in bf16", 0.08f, false, true,
     [](const OptimizerRequest& request) {
         return whole<heron::Sgd>(
             request,
             heron::SgdOptions{.momentum = 0.9, .nesterov = true, .moments = heron::MomentFormat::bf16});
     }},
    {"random_scaling_sgd", "SGD with momentum 0.9 and exponential random scaling for everything", 0.05f,
     false, false,
     [](const OptimizerRequest& request) {
         return whole<heron::RandomScalingSgd>(request, heron::RandomScalingSgdOptions{.beta = 0.9});
     }},
    {"lookahead", "Lookahead around AdamW for everything", 0.02f, false, false,
     [](const OptimizerRequest& request) {
         return whole(request,
                      std::make_unique<heron::Lookahead>(request.device, adamw(request, request.lr)));
     }},
};

}  // namespace

std::span<const NamedOptimizer> named_optimizers() { return kOptimizers; }

LossListeners::LossListeners(const Optimizers& optimizers) {
    for (const auto& optimizer : optimizers) {
        const auto* mkor = dynamic_cast<const heron::Mkor*>(optimizer.get());
        if (mkor && mkor->options().switching) names_.push_back(mkor->name());
    }
}

void LossListeners::report(heron::Plan& plan, double loss) const {
    for (const std::string& name : names_) heron::report_loss(plan, name, loss);
}

const NamedOptimizer* find_optimizer(std::string_view name) {
    for (const NamedOptimizer& optimizer : kOptimizers)
        if (optimizer.name == name) return &optimizer;
    return nullptr;
}

}  // namespace samples
