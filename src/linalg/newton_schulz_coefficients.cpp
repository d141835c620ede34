// SPDX-License-Identifier: MIT
// The published coefficient sets of odd quintic iterations X <- a X + b (X X^T) X + c (X X^T)^2 X.
//
// Sources: muon: Jordan et al. 2024. you5: dion's set for Muon. pe-*: Polar Express, arXiv 2505.16932, as the
// authors' code (raw, basic), the Gram form (gram), dion and Emerging-Optimizers (nv, four decimals) use it.
// cans: arXiv 2506.10935. cubic5: arXiv 2606.00371. deepseekv4: Emerging-Optimizers. cubic, quintic: the
// classic ones. Emerging-Optimizers' "aol" is left out: with the Frobenius norm its output reaches -1.084.
#include "linalg/newton_schulz_coefficients.hpp"

#include <algorithm>
#include <array>
#include <string>

#include "heron/error.hpp"

namespace heron {

namespace {

using Triple = NewtonSchulzCoefficients;

constexpr Triple kMuon = {3.4445, -4.7750, 2.0315};
constexpr Triple kCubic = {1.5, -0.5, 0.0};
constexpr Triple kQuintic = {1.875, -1.25, 0.375};

constexpr Triple kYou[] = {
    {4.0848, -6.8946, 2.9270}, {3.9505, -6.3029, 2.6377}, {3.7418, -5.5913, 2.3037},
    {2.8769, -3.1427, 1.2046}, {2.8366, -3.0525, 1.2012},
};

// polar_express_coefficients(1e-3, 8, 0, 0.02407327424182761) with the last one in its limit.
constexpr Triple kPolarExpress[] = {
    {8.28721201814563, -23.595886519098837, 17.300387312530933},
    {4.107059111542203, -2.9478499167379106, 0.5448431082926601},
    {3.9486908534822946, -2.908902115962949, 0.5518191394370137},
    {3.3184196573706015, -2.488488024314874, 0.51004894012372},
    {2.300652019954817, -1.6689039845747493, 0.4188073119525673},
    {1.891301407787398, -1.2679958271945868, 0.37680408948524835},
    {1.8750014808534479, -1.2500016453999487, 0.3750001645474248},
    {1.875, -1.25, 0.375},
};

// polar_express_coefficients(1e-3, 5, 0.02, 0.02).
constexpr Triple kPolarExpressDion[] = {
    {8.156554524902461, -22.48329292557795, 15.878769915207462},
    {4.042929935166739, -2.808917465908714, 0.5000178451051316},
    {3.8916678022926607, -2.772484153217685, 0.5060648178503393},
    {3.285753657755655, -2.3681294933425376, 0.46449024233003106},
    {2.3465413258596377, -1.7097828382687081, 0.42323551169305323},
};

constexpr Triple kPolarExpressNv[] = {
    {8.2051, -22.9019, 16.4607}, {4.0664, -2.8612, 0.5184}, {3.9096, -2.8234, 0.5250},
    {3.2856, -2.4153, 0.4853},   {2.2779, -1.6198, 0.3985}, {1.8726, -1.2307, 0.3585},
    {1.8564, -1.2132, 0.3568},   {1.875, -1.25, 0.375},
};

constexpr Triple kCans[] = {
    {8.4703, -25.1081, 18.6293}, {4.1828, -3.1087, 0.5806}, {3.9619, -2.9541, 0.5630},
    {3.2866, -2.4647, 0.5074},   {2.2737, -1.6447, 0.4162},
};

constexpr Triple kDeepseekV4[] = {
    kMuon, kMuon, kMuon, kMuon, kMuon, kMuon, kMuon, kMuon, {2.0, -1.5, 0.5}, {2.0, -1.5, 0.5}};

constexpr Triple kCubic5[] = {
    {3.3656576, -3.3420992, 0.0}, {2.5744352, -1.4957376, 0.0}, {2.5368962, -1.4312570, 0.0},
    {2.4418906, -1.2764040, 0.0}, {2.2230472, -0.9630650, 0.0},
};

enum class Length { any, fixed };

// p(x / s) instead of p(x), for the first `scaled` triples: room for norms that are too small by up to s.
struct CoefficientSet {
    std::string_view name;
    std::span<const Triple> triples;
    std::uint32_t default_steps;
    Length length;
    double safety = 1.0;
    std::uint32_t scaled = 0;
};

constexpr CoefficientSet kSets[] = {
    {"muon", {&kMuon, 1}, 5, Length::any},
    {"cubic", {&kCubic, 1}, 15, Length::any},
    {"quintic", {&kQuintic, 1}, 8, Length::any},
    {"you5", kYou, 5, Length::fixed},
    {"pe-raw", kPolarExpress, 8, Length::any},
    {"pe-basic", kPolarExpress, 8, Length::any, 1.01, 7},
    {"pe-gram", {kPolarExpress, 5}, 5, Length::any, 1.05, 5},
    {"pe-dion", kPolarExpressDion, 5, Length::any},
    {"pe-nv", kPolarExpressNv, 8, Length::any},
    {"cans", kCans, 5, Length::any},
    {"deepseekv4", kDeepseekV4, 10, Length::fixed},
    {"cubic5", kCubic5, 5, Length::fixed},
};

}  // namespace

NewtonSchulzCoefficients divide_argument(const NewtonSchulzCoefficients& p, double s) {
    return {p.a / s, p.b / (s * s * s), p.c / (s * s * s * s * s)};
}

std::vector<NewtonSchulzCoefficients> newton_schulz_coefficients(std::string_view name, std::uint32_t steps) {
    const auto* set =
        std::find_if(std::begin(kSets), std::end(kSets), [&](const auto& s) { return s.name == name; });
    if (set == std::end(kSets)) {
        std::string known;
        for (const CoefficientSet& s : kSets) known += (known.empty() ? "" : ", ") + std::string(s.name);
        throw Error(ErrorCode::invalid_argument, "newton_schulz_coefficients: unknown set \"" +
                                                     std::string(name) + "\"; known are " + known);
    }
    if (steps == 0) steps = set->default_steps;
    if (set->length == Length::fixed && steps != set->default_steps)
        throw Error(ErrorCode::invalid_argument, "newton_schulz_coefficients: " + std::string(name) +
                                                     " has exactly " + std::to_string(set->default_steps) +
                                                     " steps, " + std::to_string(steps) + " were asked for");
    if (steps > kMaxNewtonSchulzSteps)
        throw Error(ErrorCode::invalid_argument, "newton_schulz_coefficients: " + std::to_string(steps) +
                                                     " steps; at most " +
                                                     std::to_string(kMaxNewtonSchulzSteps) + " are possible");
    std::vector<Triple> coefficients(steps);
    for (std::uint32_t i = 0; i < steps; ++i) {
        const std::size_t own = std::min<std::size_t>(i, set->triples.size() - 1);
        coefficients[i] =
            own < set->scaled ? divide_argument(set->triples[own], set->safety) : set->triples[own];
    }
    return coefficients;
}

}  // namespace heron
