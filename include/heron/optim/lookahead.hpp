// SPDX-License-Identifier: MIT
// Lookahead (arXiv 1907.08610; michaelrzhang/lookahead) around any other optimizer of parameters or of
// layers, but another Lookahead.
//
//   every step: the inner optimizer's;  every `steps`-th after it: W <- alpha W + (1 - alpha) S;  S <- W
//
// The inner optimizer's momentum B (its state called "momentum", or "m"), at the same time:
//
//   none      stays
//   reset     B <- 0, in any format
//   pullback  B <- alpha B + (1 - alpha) C;  C <- B, the copy that the synchronization before left (first: 0)
//
// The authors' code loses C after the first time (it becomes the live buffer itself); here it does not. B is
// pulled back element by element of what the inner optimizer keeps, f32 or bf16 (rounded stochastically, C
// not at all), but not block8: coefficients in a basis (DctAdamW, GaLore and its relatives), too, where C has
// those of the basis that was.
//
// State: S in f32, <parameter>.slow, and with pullback C in f32, <parameter>.slow_momentum, shaped like B. S
// begins as the parameter in Plan::initialize(); to evaluate the slow weights: EvaluationWeights
// (evaluation.hpp). On top of the inner optimizer's cost 3 FLOPs and 16 bytes an element with f32 tensors,
// every `steps` steps; in the others nothing. Of an element of B as many at the same time with pullback (12
// bytes in bf16), with reset its bytes. StepOptions::ema_decay averages what synchronizations make of W.
//
// The other wrappers, averages of the weights (ema_decay) and accumulation of gradients (accumulate), are
// StepOptions: they are around all optimizers of a plan, Lookahead among them.
#pragma once

#include "heron/optim/layer.hpp"

namespace heron {

struct PsgdInputs;  // psgd.hpp

enum class LookaheadMomentum { none, reset, pullback };  // what becomes of it at a synchronization

struct LookaheadOptions {
    std::uint32_t steps = 5;  // >= 1; the authors' code, as all defaults here
    float alpha = 0.8f;       // [0, 1]; 1 leaves the inner optimizer as it is
    LookaheadMomentum momentum = LookaheadMomentum::none;
};

// Takes parameters, or layers, in place of the inner optimizer; its learning rate is that one's.
class HERON_API Lookahead : public Optimizer {
public:
    // Throws (invalid_argument) naming the option that is out of range, for no inner optimizer, one that is a
    // Lookahead, has parameters or belongs to another device. compile() throws for one without momentum where
    // that is to be changed, and for block8 where it is to be pulled back.
    Lookahead(const Device& device, std::unique_ptr<Optimizer> inner, const LookaheadOptions& options = {});
    ~Lookahead() override;
    const LookaheadOptions& options() const { return options_; }
    using Optimizer::add;
    // Around PsgdKron and PsgdLra, as their add() with inputs: Newton's products of the Hessian are those at
    // the weights that the step finds, which after a synchronization are the slow ones. Throws
    // (invalid_argument) around others.
    void add(Parameter parameter, const PsgdInputs& inputs);
    // Around K-FAC and its relatives, as LayerOptimizer::add_layer(); throws (invalid_argument) around
    // others.
    void add_layer(Layer layer);
    const Optimizer& inner() const { return *inner_; }

private:
    void check(const Parameter& parameter) const override;
    std::vector<HyperValue> hyper() const override;
    std::string options_text() const override;
    void build(StepBuilder& step) const override;
    std::unique_ptr<Optimizer> inner_;
    LookaheadOptions options_;
};

}  // namespace heron
