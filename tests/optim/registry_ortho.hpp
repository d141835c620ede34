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
inline double factor_of(const Shape& matrix, double (*factor)(double, double)) {
    return factor(static_cast<double>(matrix[0]), static_cast<double>(matrix[1]));
}

// One matrix a parameter.
template <class Algorithm, class AlgorithmReference, class Options>
OptimizerCase matrix_case(std::string name, const Options& options, double (*factor)(double, double)) {
    return {std::move(name),
            maker<Algorithm>(options),
            variants_of<Algorithm>(options),
            [=](const Shape& shape) {
                return std::make_unique<AlgorithmReference>(
                    options, std::vector<ReferenceBlock>{{shape[0], shape[1], factor_of(shape, factor)}});
            },
            false,
            matrix_shapes()};
}

// The authors' form of a filter: rows of its kernels, the factor from the kernel's axes.
inline OptimizerCase normuon_authors() {
    const NorMuonOptions options = NorMuonOptions::authors();
    OptimizerCase result =
        matrix_case<NorMuon, NorMuonReference>("normuon_authors", options, max_one_sqrt_ratio);
    result.reference = [=](const Shape& shape) {
        const std::size_t rank = shape.rank();
        return std::make_unique<NorMuonReference>(
            options,
            std::vector<ReferenceBlock>{{shape[0], shape.count() / shape[0],
                                         max_one_sqrt_ratio(static_cast<double>(shape[rank - 2]),
                                                            static_cast<double>(shape[rank - 1]))}},
            rank > 2 ? shape : Shape{});
    };
    result.shapes = {{1, 9}, {9, 1}, {6, 5, 3, 2}, {6, 10}, {5, 4, 2, 3}};
    return result;
}

// AdaMuon's first step makes signs of the polar factor's elements. Among many there is one so near to zero
// that the roundings of Newton-Schulz decide it: no large shapes.
inline OptimizerCase adamuon_case(std::string name, const AdaMuonOptions& options) {
    OptimizerCase result = matrix_case<AdaMuon, AdaMuonReference>(std::move(name), options, no_factor);
    std::erase_if(result.shapes, [](const Shape& shape) { return shape[0] * shape[1] > 12500; });
    return result;
}

inline OptimizerCase auon_case(std::string name, const AuonOptions& options) {
    return {std::move(name),
            maker<Auon>(options),
            variants_of<Auon>(options),
            [=](const Shape& shape) {
                const bool matrix = shape.rank() >= 2;
                const std::uint64_t rows = matrix ? shape[0] : 1;
                return std::make_unique<AuonReference>(
                    options, std::vector<ReferenceBlock>{{rows, shape.count() / rows, 1.0}},
                    options.hybrid && matrix);
            },
            false,
            any_shapes()};
}

inline OptimizerCase scion_case(std::string name, const ScionOptions& options,
                                std::vector<Shape> shapes = matrix_shapes()) {
    return {std::move(name),
            maker<Scion>(options),
            variants_of<Scion>(options),
            [=](const Shape& shape) {
                const bool matrix = shape.rank() >= 2;
                const std::uint64_t rows = matrix ? shape[0] : 1;
                const ScionNorm norm = options.norm != ScionNorm::automatic ? options.norm
                                       : matrix                             ? ScionNorm::spectral
                                                                            : ScionNorm::frobenius;
                return std::make_unique<ScionReference>(options, norm, rows, shape.count() / rows);
            },
            false,
            std::move(shapes)};
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
    NorMuonOptions normuon_after = NorMuonOptions::paper();
    AdaMuonOptions adamuon_after = AdaMuonOptions::paper();
    AuonOptions hybrid_after = AuonOptions::hybrid_code();
    normuon_after.decay = adamuon_after.decay = hybrid_after.decay = DecayForm::after;
    normuon_after.weight_decay = adamuon_after.weight_decay = hybrid_after.weight_decay = 0.1f;
    ScionOptions products{.lr = 0.02f, .norm_scale = ScionScale::normalized_max};
    products.polar.one_workgroup = false;
    ScionOptions trust_region = ScionOptions::trust_region(ScionNorm::frobenius, 0.1f, 0.05f);
    trust_region.momentum = 0.9;
    MuonOptions emerging = MuonOptions::emerging();
    emerging.lr = 0.02f;
    emerging.extra_scale = 0.2f;
    emerging.polar.form = PolarForm::gram;
    emerging.polar.one_workgroup = false;
    return {
        small(matrix_case<Muon, MuonReference>("muon_emerging", emerging,
                                               [](double m, double n) { return std::sqrt(std::max(m, n)); })),
        matrix_case<NorMuon, NorMuonReference>("normuon", NorMuonOptions(), max_one_sqrt_ratio),
        normuon_authors(),
        small(matrix_case<NorMuon, NorMuonReference>("normuon_paper", normuon_after, no_factor)),
        matrix_case<NorMuon, NorMuonReference>("normuon_dion", dion, sqrt_ratio),
        small(matrix_case<NorMuon, NorMuonReference>("normuon_modded", NorMuonOptions::modded(),
                                                     max_one_sqrt_ratio)),
        adamuon_case("adamuon", AdaMuonOptions()),
        small(adamuon_case("adamuon_paper", adamuon_after)),
        small(adamuon_case("adamuon_products", adamuon)),
        auon_case("auon", {.lr = 0.1f, .gamma = 4}),
        small(auon_case("auon_constant", {.nesterov = false, .gamma = 0.01f})),
        small(auon_case("auon_paper", AuonOptions::paper())),
        small(auon_case("hybrid_auon", hybrid_after)),
        small(auon_case("hybrid_auon_paper", AuonOptions::hybrid_paper())),
        scion_case("scion", {.lr = 0.02f, .momentum = 0.9, .scale = 3},
                   {{}, {7}, {256}, {6, 10}, {17, 13}, {200, 33}, {40, 310}}),
        small(scion_case("scion_products", products)),
        scion_case("scion_sign", {.lr = 0.02f, .momentum = 0.9, .norm = ScionNorm::sign}),
        small(scion_case("scion_sign_light", {.lr = 0.02f,
                                              .norm = ScionNorm::sign,
                                              .norm_scale = ScionScale::unnormalized,
                                              .weight_decay = 0})),
        scion_case("scion_row", {.lr = 0.1f, .momentum = 0.9, .norm = ScionNorm::row}),
        scion_case("scion_column", {.lr = 0.1f, .norm = ScionNorm::column}),
        small(scion_case("scion_column_transposed", {.lr = 0.1f,
                                                     .momentum = 0.5,
                                                     .norm = ScionNorm::column,
                                                     .norm_scale = ScionScale::unnormalized,
                                                     .transpose = true})),
        small(scion_case("scion_frobenius",
                         {.lr = 0.1f, .momentum = 0.9, .norm = ScionNorm::frobenius, .scale = 2})),
        small(scion_case("trust_region", trust_region)),
    };
}

}  // namespace heron::test::registry
