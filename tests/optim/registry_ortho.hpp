// SPDX-License-Identifier: MIT
// The orthogonalizing optimizers beside Muon, for the registry.
#pragma once

#include <utility>

#include "optim/optimizer_case.hpp"
#include "optim/reference_ortho.hpp"

namespace heron::test::registry {

inline double max_one_sqrt_ratio(double m, double n) { return std::sqrt(std::max(1.0, m / n)); }
inline double sqrt_ratio(double m, double n) { return std::sqrt(m / n); }
inline double no_factor(double, double) { return 1.0; }

// One matrix a parameter.
template <class Algorithm, class AlgorithmReference, class Options>
OptimizerCase matrix_case(std::string name, const Options& options, double (*factor)(double, double)) {
    return {std::move(name),
            maker<Algorithm>(options),
            extreme_maker<Algorithm>(options),
            [=](const Shape& shape) {
                const double m = static_cast<double>(shape[0]), n = static_cast<double>(shape[1]);
                return std::make_unique<AlgorithmReference>(
                    options, std::vector<ReferenceBlock>{{shape[0], shape[1], factor(m, n)}});
            },
            false,
            matrix_shapes()};
}

// AdaMuon's first step makes signs of the polar factor's elements. Among many there is one so near to zero
// that the roundings of Newton-Schulz decide it: no large shapes.
inline OptimizerCase adamuon_case(std::string name, const AdaMuonOptions& options) {
    OptimizerCase result = matrix_case<AdaMuon, AdaMuonReference>(std::move(name), options, no_factor);
    std::erase_if(result.shapes, [](const Shape& shape) { return shape[0] * shape[1] > 12500; });
    return result;
}

// Fewer and smaller tensors, for further forms of an optimizer.
inline OptimizerCase small(OptimizerCase entry) {
    entry.shapes = {{1, 9}, {9, 1}, {40, 33}, {6, 10}, {17, 13}};
    return entry;
}

inline std::vector<OptimizerCase> ortho_cases() {
    NorMuonOptions dion = NorMuonOptions::dion();
    dion.polar.one_workgroup = false;
    AdaMuonOptions adamuon;  // with products, and without signs
    adamuon.polar.one_workgroup = adamuon.sign = false;
    adamuon.decay = DecayForm::squared;
    return {
        matrix_case<NorMuon, NorMuonReference>("normuon", NorMuonOptions(), max_one_sqrt_ratio),
        small(matrix_case<NorMuon, NorMuonReference>("normuon_paper", NorMuonOptions::paper(), no_factor)),
        matrix_case<NorMuon, NorMuonReference>("normuon_dion", dion, sqrt_ratio),
        small(matrix_case<NorMuon, NorMuonReference>("normuon_modded", NorMuonOptions::modded(),
                                                     max_one_sqrt_ratio)),
        adamuon_case("adamuon", AdaMuonOptions()),
        small(adamuon_case("adamuon_paper", AdaMuonOptions::paper())),
        small(adamuon_case("adamuon_products", adamuon)),
    };
}

}  // namespace heron::test::registry
