// SPDX-License-Identifier: MIT
// Dion and its successors.
#pragma once

#include "optim/optimizer_case.hpp"
#include "optim/reference_dion.hpp"
#include "optim/registry_ortho.hpp"

namespace heron::test::registry {

// Y = M Q is as well-conditioned as random matrices are that are far from square.
inline OptimizerCase dion(
    std::string name, const DionOptions& options, double (*factor)(double, double) = sqrt_ratio,
    std::vector<Shape> shapes = {
        {1, 1}, {1, 9}, {9, 1}, {8, 14}, {27, 16}, {130, 90}, {200, 34}, {40, 310}, {1, 10000}}) {
    return {std::move(name),
            maker<Dion>(options),
            variants_of<Dion>(options),
            [=](const Shape& shape) {
                return std::make_unique<DionReference>(options, shape[0], shape[1], factor_of(shape, factor));
            },
            false,
            std::move(shapes)};
}

template <class Algorithm, class Options>
OptimizerCase dion2(std::string name, const Options& options, std::vector<Shape> shapes,
                    double (*factor)(double, double) = sqrt_ratio) {
    return {std::move(name),
            maker<Algorithm>(options),
            variants_of<Algorithm>(options),
            [=](const Shape& shape) {
                return std::make_unique<Dion2Reference>(options, shape[0], shape[1],
                                                        factor_of(shape, factor));
            },
            false,
            std::move(shapes)};
}

inline std::vector<OptimizerCase> dion_cases() {
    DionOptions half;
    half.rank_fraction = 0.5;
    DionOptions sketched = half;
    sketched.qr = DionQr::rcqr;
    sketched.power_iterations = 2;
    sketched.shape_factor = ShapeFactor::match_rms;
    DionOptions householder = half;
    householder.qr = DionQr::householder;
    householder.power_iterations = 3;
    DionOptions simple = DionOptions::simple(3);
    simple.qr = DionQr::cqr;
    Dion2Options products;
    products.fraction = 0.5;
    products.polar.one_workgroup = false;
    products.shape_factor = ShapeFactor::max_one_sqrt_ratio;
    NorDion2Options unscaled;
    unscaled.shape_factor = ShapeFactor::none;
    Dion2Options bf16;
    bf16.moments = MomentFormat::bf16;
    // A vector of 2500 selected elements is its own polar factor, at the end of the polynomials' range, where
    // their slope is 161: sums of squares would have to be exact to 1e-6.
    std::vector<Shape> rows = matrix_shapes();
    rows.back() = {1000, 3};
    return {dion("dion", half),
            dion("dion_rcqr", sketched, [](double m, double n) { return 0.2 * std::sqrt(std::max(m, n)); }),
            dion("dion_householder", householder, sqrt_ratio, {{1, 9}, {9, 1}, {40, 33}, {6, 10}, {17, 13}}),
            dion("dion_simple", simple),
            dion2<Dion2>("dion2", Dion2Options(), matrix_shapes()),
            dion2<Dion2>("dion2_products", products, matrix_shapes(), max_one_sqrt_ratio),
            dion2<NorDion2>("nordion2", NorDion2Options(), rows),
            small(dion2<NorDion2>("nordion2_unscaled", unscaled, rows, no_factor)),
            without_reference(dion2<Dion2>("dion2_bf16", bf16, matrix_shapes()))};
}

}  // namespace heron::test::registry
