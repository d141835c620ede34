// SPDX-License-Identifier: MIT
#include "optim/registry.hpp"

#include <algorithm>
#include <cmath>
#include <functional>
#include <utility>

#include "optim/registry_adafactor.hpp"
#include "optim/registry_dion.hpp"
#include "optim/registry_elementwise.hpp"
#include "optim/registry_kfac.hpp"
#include "optim/registry_kronecker.hpp"
#include "optim/registry_lookahead.hpp"
#include "optim/registry_low_rank.hpp"
#include "optim/registry_mfac.hpp"
#include "optim/registry_mkor.hpp"
#include "optim/registry_ortho.hpp"
#include "optim/registry_psgd.hpp"
#include "optim/registry_shampoo.hpp"
#include "optim/registry_shampoo4bit.hpp"
#include "optim/registry_singd.hpp"
#include "optim/registry_subspace.hpp"

namespace heron::test {

namespace registry {
namespace {

OptimizerCase adamw(std::string name, const AdamWOptions& options) {
    return {std::move(name),
            maker<AdamW>(options),
            variants_of<AdamW>(options),
            [=](const Shape&) { return std::make_unique<AdamWReference>(options); },
            true,
            any_shapes()};
}

OptimizerCase sgd(std::string name, const SgdOptions& options) {
    return {std::move(name),
            maker<Sgd>(options),
            variants_of<Sgd>(options),
            [=](const Shape&) { return std::make_unique<SgdReference>(options); },
            true,
            any_shapes()};
}

OptimizerCase muon(std::string name, const MuonOptions& options,
                   const std::function<double(double, double)>& factor) {
    return {std::move(name),
            maker<Muon>(options),
            variants_of<Muon>(options),
            [=](const Shape& shape) {
                const double m = static_cast<double>(shape[0]), n = static_cast<double>(shape[1]);
                return std::make_unique<MuonReference>(
                    options, std::vector<ReferenceBlock>{{shape[0], shape[1], factor(m, n)}});
            },
            false,
            matrix_shapes()};
}

}  // namespace
}  // namespace registry

std::vector<OptimizerCase> optimizer_registry() {
    using namespace registry;
    MuonOptions products = MuonOptions::keller_jordan();
    products.polar.one_workgroup = false;
    products.decay = DecayForm::after;
    products.weight_decay = 0.1f;
    MuonOptions block8 = MuonOptions::keller_jordan();
    block8.moments = MomentFormat::block8;
    MuonOptions dion = MuonOptions::dion();
    dion.decay = DecayForm::cautious;
    dion.weight_decay = 0.1f;
    const auto kj = [](double m, double n) { return std::sqrt(std::max(1.0, m / n)); };
    std::vector<OptimizerCase> cases{
        sgd("sgd", {.lr = 0.1f}),
        sgd("sgd_momentum", {.lr = 0.1f, .momentum = 0.9, .dampening = 0.1, .weight_decay = 0.01f}),
        sgd("sgd_nesterov",
            {.lr = 0.1f, .momentum = 0.9, .nesterov = true, .weight_decay = 0.01f, .decoupled_decay = true}),
        adamw("adamw", {}),
        adamw("amsgrad", {.lr = 0.01f, .beta2 = 0.95, .amsgrad = true}),
        adamw("adamw_moonlight", {.beta2 = 0.95, .weight_decay = 0.1f, .eps_on_uncorrected = true}),
        adamw("adamw_cautious", {.lr = 0.01f, .beta2 = 0.95, .weight_decay = 0.1f, .cautious_decay = true}),
        adamw("adamw_uncorrected",
              {.eps = 0.0f, .weight_decay = 0.0f, .amsgrad = true, .bias_correction = false}),
        without_reference(adamw("adamw_bf16", {.moments = MomentFormat::bf16})),
        without_reference(adamw("adamw_block8", {.moments = MomentFormat::block8})),
        without_reference(
            sgd("sgd_block8",
                {.momentum = 0.9, .nesterov = true, .weight_decay = 0.01f, .moments = MomentFormat::block8})),
        muon("muon", MuonOptions::keller_jordan(), kj),
        muon("muon_products", products, kj),
        without_reference(muon("muon_block8", block8, kj)),
        muon("muon_torch", MuonOptions::torch(), kj),
        muon("muon_moonlight", MuonOptions::moonlight(),
             [](double m, double n) { return 0.2 * std::sqrt(std::max(m, n)); }),
        muon("muon_dion", dion, [](double m, double n) { return std::sqrt(m / n); }),
    };
    for (const std::vector<OptimizerCase>& family :
         {ortho_cases(), dion_cases(), elementwise_cases(), adafactor_cases(), subspace_cases(),
          kronecker_cases(), kfac_cases(), mkor_cases(), singd_cases(), shampoo_cases(), shampoo4bit_cases(),
          psgd_cases(), low_rank_cases(), mfac_cases()})
        cases.insert(cases.end(), family.begin(), family.end());
    cases.push_back(lookahead("lookahead_adamw", {.steps = 2, .alpha = 0.5f}, adamw("", {}), "m"));
    cases.push_back(lookahead("lookahead_sgd", {.steps = 2, .momentum = LookaheadMomentum::pullback},
                              sgd("", {.lr = 0.1f, .momentum = 0.9, .dampening = 0.1}), "momentum"));
    cases.push_back(lookahead("lookahead_muon", {.steps = 2, .momentum = LookaheadMomentum::reset},
                              muon("", MuonOptions::keller_jordan(), kj), "momentum"));
    cases.push_back(without_reference(lookahead("lookahead_lion_bf16",
                                                {.steps = 2, .momentum = LookaheadMomentum::pullback},
                                                lion("", {.moments = MomentFormat::bf16}), "momentum")));
    // Around one with sections of its own: new bases in steps 1, 4, 7, weights in 2, 4, 6.
    cases.push_back(lookahead("lookahead_conda", {.steps = 2, .alpha = 0.5f},
                              small(conda("", {.lr = 0.01f, .beta2 = 0.99, .eps = 0.05f, .gap = 3})), "m"));
    return cases;
}

std::vector<Training::Group> every_optimizer(const Shape& shape) {
    std::vector<Training::Group> groups;
    for (const OptimizerCase& entry : optimizer_registry())
        groups.push_back({[entry](const Device& on) {
                              std::unique_ptr<Optimizer> optimizer = entry.make(on);
                              optimizer->set_name(entry.name);
                              return optimizer;
                          },
                          {{.name = entry.name, .shape = shape}}});
    return groups;
}

}  // namespace heron::test
