// SPDX-License-Identifier: MIT
// How rates, decays and dampings that were tuned on one network go on to wider and deeper ones: functions
// that set the factors of Parameter (lr_scale, weight_decay_scale, damping_scale). They multiply what is
// there, so that they can be applied one after the other, each once, before the parameters are given to an
// optimizer.
//
// A parameter's width: of hidden matrices and heads their inputs (columns of the matrix view; of a filter in
// x kernel), of embeddings (words x width) their columns, of input layers (width x data) their rows, of
// vectors their length. Its role is what route() makes of it; input layers have to be named as such
// (Role::input).
#pragma once

#include <span>

#include "heron/train.hpp"

namespace heron {

// A factor (width / base width)^exponent for every role; -4 to 4.
struct WidthRules {
    double base_width = 1.0;  // above 0: the width that the numbers were tuned at; 1: as the formula stands
    double hidden_matrix = 0.0;  // exponents
    double embedding = 0.0;
    double head = 0.0;
    double input = 0.0;
    double vector = 0.0;

    // --- Learning rates. Weights begin with a standard deviation of fan_in^-1/2, heads of fan_in^-1 (or 0).

    // The maximal update parametrization for each kind of update: SGD and Adam (Yang et al., arXiv
    // 2203.03466, table 3; there biases share the input layers' rule), Shampoo and K-FAC (Ishikawa and
    // Karakida, arXiv 2312.12226, as the author's code has it).
    static WidthRules mup_sgd(double base) { return {base, 0.0, 1.0, -1.0, 1.0, 1.0}; }
    // AdamW, Lion, SOAP, PSGD's whitening, Shampoo with Adam's graft, and whatever moves each element by
    // about lr.
    static WidthRules mup_adam(double base) { return {base, -1.0, 0.0, -1.0, 0.0, 0.0}; }
    // Shampoo without graft, exponents of 1/4 a side. A graft brings its own rule: mup_adam() with Adam's.
    static WidthRules mup_shampoo(double base) { return {base, 0.0, 0.5, -0.5, 0.5, 0.5}; }
    // Muon, FISMO, Mousse and Shampoo^2 with ShapeFactor::none: an update of spectral norm 1 needs sqrt(out /
    // in). With ShapeFactor::sqrt_ratio the step does this by itself: no rule. With max_one_sqrt_ratio,
    // Muon's default, hidden matrices need none either: it differs by their ratio of sides, which the width
    // does not change; heads and embeddings have AdamW's. With match_rms and spectral the update's spectral
    // norm grows as width^1/2, which lets AdamW's rates be used, but is no muP: for that hidden_matrix is
    // -0.5.
    static WidthRules mup_orthogonal(double base) { return {base, 0.0, 0.5, -0.5, 0.5, 0.5}; }
    static WidthRules mup_kfac(double base) { return {base, 0.0, 0.0, 0.0, 0.0, 0.0}; }
    // K-FAC with the inputs' factor alone (FOOF).
    static WidthRules mup_foof(double base) { return {base, 1.0, 1.0, 0.0, 1.0, 1.0}; }
    // u-muP (Blake, Eichenberg et al., arXiv 2407.17465): weights begin with variance 1, and the forward pass
    // divides by sqrt(fan_in). Matrices and embeddings width^-1/2, heads as they are; vectors as they are
    // with Adam, times the width with SGD. SGD's matrices and embeddings grow as width^1/2 where the
    // readout's gradient is scaled like its output (the official code's constraint "to_output_scale"). Input
    // layers count as matrices there: without Role::input. Besides: parameters of residual branches
    // scale_learning_rates(..., depth^-1/2), and make_decay_independent().
    static WidthRules u_mup_adam() { return {1.0, -0.5, -0.5, 0.0, 0.0, 0.0}; }
    static WidthRules u_mup_sgd() { return {1.0, -0.5, -0.5, 0.0, 0.0, 1.0}; }
    static WidthRules u_mup_sgd_to_output_scale() { return {1.0, 0.5, 0.5, 0.0, 0.0, 1.0}; }
    // microsoft/dion's README: the head's rate divided by sqrt(fan_in).
    static WidthRules dion() { return {1.0, 0.0, 0.0, -0.5, 0.0, 0.0}; }

    // --- Weight decay

    // AdamW whose rates follow mup_adam() (arXiv 2510.15262): lambda of matrices grows as sqrt(width), so
    // that singular values, sqrt(lr / lambda) width^0.75, keep the gain of a layer. Give vectors no decay.
    static WidthRules decay_adamw(double base) { return {base, 0.5, 0.0, 0.5, 0.0, 0.0}; }
    // Optimizers that precondition matrices (arXiv 2512.05620): decay independent of the rate, as 1 / width.
    static WidthRules decay_matrix(double base) { return {base, -1.0, 0.0, -1.0, 0.0, 0.0}; }
};

// All throw (invalid_argument) for numbers out of range and scales that would not be finite, before they
// change any.

// lr_scale times the rule's factor, or times a number, at least 0.
HERON_API void scale_learning_rates(std::span<Parameter> parameters, const WidthRules& rules);
HERON_API void scale_learning_rates(std::span<Parameter> parameters, double factor);
// weight_decay_scale times the rule's factor. An optimizer's decay, where it is not independent, is
// multiplied by the parameter's rate, too.
HERON_API void scale_weight_decay(std::span<Parameter> parameters, const WidthRules& rules);
// weight_decay_scale divided by lr_scale: a parameter loses the same share whatever its rate's factor. (The
// schedule stays in it.) After the rules for rates; a parameter whose rate is 0 keeps its decay.
HERON_API void make_decay_independent(std::span<Parameter> parameters);
// How damping follows the width under muP (arXiv 2312.12226): that of a layer's input factor grows as fan_in
// / base, but for input layers and embeddings, that of its output factor falls as base / fan_out, but for
// heads. FISMO, Mousse and the Shampoos have a damping of either side; where there is one of the product of
// both factors (K-FAC, SINGD) it is multiplied by both. Not for K-FAC with DampingUnit::trace, which follows
// the rule by itself.
HERON_API void scale_damping(std::span<Parameter> parameters, double base_width);

}  // namespace heron
