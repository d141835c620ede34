// SPDX-License-Identifier: MIT
// AuON and Hybrid-AuON: momentum divided by the RMS of its entries' hyperbolic cosines (arXiv 2509.24320;
// ryyzn9/AuON), Hybrid after Newton-Schulz. For parameters of any number of axes.
//
//   M <- mu M + (1 - mu) G;  U = (1 - mu) G + mu M;  hybrid, two or more axes: U <- polar(U)
//   c = gamma U / (|U| + 1e-7);  r = sqrt(mean(cosh(c)^2));  W <- W - lr wd W - lr U / r
//   paper: W <- W - lr wd W - lr X / sqrt(mean(cosh(X)^2)), X = U / |U|, hybrid: one step of Newton-Schulz
//
// r is all but a constant: between sqrt(1 + gamma^2 / N) and sqrt(1 + sinh(gamma)^2 / N) for N elements,
// since |c| = gamma. AuON is Nesterov's momentum, Hybrid-AuON is Muon without a shape factor; only the
// paper's AuON has a rate that does not depend on the size of gradients. Where the bounds of r are less than
// 2^-20 apart the lower one is taken, and nothing is summed (the code's form; N above 1.2 million with
// gamma 1.5).
//
// A parameter with more than two axes is out x (the rest), or a batch of matrices (MatrixView::batch); blocks
// have their own norms. State: M, as large as the parameter, <parameter>.momentum. FLOPs of AuON: 9 m n, and
// 21 m n for r; bytes, with f32 tensors: 28 m n, with r 32 m n: |U| comes with the momentum's pass. Hybrid:
// over Muon, 21 m n FLOPs and one pass, 4 m n bytes, for r; |U| comes with the last product.
#pragma once

#include "heron/linalg.hpp"
#include "heron/optim/matrix.hpp"
#include "heron/optim/moments.hpp"
#include "heron/train.hpp"

namespace heron {

enum class AuonForm { code, paper };  // the formula of the authors' code or of the paper

struct AuonOptions {
    float lr = 0.24f;        // finite, >= 0; the authors' code, as are the other defaults
    double momentum = 0.95;  // [0, 1)
    bool nesterov = true;
    float weight_decay = 0.0f;  // finite, >= 0; multiplied by lr
    float gamma = 1.5f;         // 0 to 40; the paper's form has 1
    AuonForm form = AuonForm::code;
    bool hybrid = false;
    DecayForm decay = DecayForm::decoupled;
    PolarOptions polar;                        // of hybrid: muon x 5, norm + 1e-7
    MomentFormat moments = MomentFormat::f32;  // of M
    Schedule schedule;

    HERON_API static AuonOptions hybrid_code();   // Hybrid-AuON
    HERON_API static AuonOptions paper();         // gamma 1
    HERON_API static AuonOptions hybrid_paper();  // gamma 1, one step of Newton-Schulz
};

class HERON_API Auon : public Optimizer {
public:
    // Throws (invalid_argument) naming the option that is out of range.
    explicit Auon(const Device& device, const AuonOptions& options = {});
    const AuonOptions& options() const { return options_; }

private:
    void check(const Parameter& parameter) const override;
    std::vector<HyperValue> hyper() const override;
    std::string options_text() const override;
    void build(StepBuilder& step) const override;
    AuonOptions options_;
};

}  // namespace heron
