// SPDX-License-Identifier: MIT
// Shampoo (Gupta, Koren and Singer, arXiv 1802.09568) in the form of Distributed Shampoo (arXiv 2309.06497),
// Shampoo^2 (arXiv 2406.17748), KL-Shampoo (arXiv 2509.03378) and SOAP's form of it (arXiv 2409.11321). For
// anything: a factor for every axis of a tensor, whose inverse root multiplies the gradient on that axis.
//
// A parameter's axes of length 1 go, small neighbours are merged (from the last: a filter out x in x kh x kw
// becomes out x (in kh kw)), and every axis is cut into pieces of `block_size`. A block d_1 x .. x d_k has
// factors, refreshes and a graft of its own. In step t, for each block:
//
//   F_i <- beta2 F_i + w C_i       C_i = G G^T over all axes but i (of a matrix: G G^T, G^T G);
//                                  w = 1 - beta2, or 1 where beta2 is 1
//   refresh:  X = F_i / (1 - beta2^n);   R_i = (X + epsilon I)^-p_i,   p_i = 1 / (2 k)       first: I
//             n: how often F_i took a C_i; t, unless factor_interval is above 1
//   Gbar = (beta3 m + (1 - beta3) G) / (1 - beta3 beta1^(t-1));   m <- beta1 m + (1 - beta1) G
//   P = Gbar x_1 R_1 .. x_k R_k;   P <- P |U| / |P|, U what the graft makes of Gbar
//   before the first refresh of its last block:  P = U
//   decay:     P <- P + wd W
//   momentum:  B <- mu B + (1 - dampening) P
//   W <- W - lr B, or W - lr P without momentum
//
// Eigenvalues of X up to n 2^-23 of the largest are what f32 makes of zero, and count as that. Where epsilon
// is smaller still, they get the root of the smallest of the others: a step in which the roots are renewed
// has nothing in the null space, so that the root there only magnifies roundings; one in between takes what
// its gradient has there as it takes the weakest direction known, or, if `null_space` says so, by epsilon^-p.
// (With whitened statistics zero ends at sqrt(n) 2^-24, and epsilon counts down to 2^-23 of the largest.
// Methods of ShampooRoot::newton and the like have no floor: take an epsilon or relative_epsilon of 1e-6 or
// more of the largest, of 1e-7 in two words.) Gradients below 1e-13 count as zero in factors.
//
// FLOPs of an m x n block: 2 m n (m + n) for P in every step, and m n (m + n) where factors take a C_i; a
// refresh has two matrix_power(), or inverse_root(), and m^3 + n^3 more with ShampooNullSpace::epsilon. Bytes
// (f32), Adam's graft and first moment: 92 m n + 20 (m^2 + n^2), and 8 m n for copies where there are several
// blocks (whose rows' gaps plans count, too).
//
// State, f32: <parameter>.m (beta1 > 0), .v (grafts with a second moment), .momentum (momentum > 0); for each
// axis a that is left (from 0) .factor<a> and .factor<a>_whitener (R), those of all blocks one after the
// other, d_a^2 each, blocks in row-major order: for a matrix 8 (m^2 + n^2) bytes. A refresh without a root
// (X + epsilon I is zero or not finite) keeps the last one: <parameter>.factor<a>_failures count them, u32,
// one for each block. (Distributed Shampoo stops after three.) With `diagnostics` also .factor<a>_condition,
// f32, what condition_estimate() says of each block's factor at its last refresh (0 before it and without a
// factor, the largest f32 where it has no root), and with a root by iterations .factor<a>_iterations, u32 (of
// two runs the first's).
#pragma once

#include <cstdint>
#include <map>
#include <vector>

#include "heron/optim/moments.hpp"
#include "heron/optim/refresh.hpp"
#include "heron/train.hpp"

namespace heron {

enum class ShampooGraft {
    none,     // P as it is; of blocks before their first refresh Gbar
    sgd,      // U = Gbar
    adagrad,  // U = Gbar / (sqrt(v) + eps), v <- v + G^2
    rmsprop,  // v <- beta v + (1 - beta) G^2, without correction of its bias
    adam,     // the same with v / (1 - beta^t)
};

enum class ShampooDecay {
    decoupled,    // P + wd W
    corrected,    // P + wd (schedule's factor) W: the decay shrinks as the square of the rate
    independent,  // P + (wd / lr) W, lr that of the options: the decay follows the schedule alone
    l2,           // G + wd W, before all else
};

enum class ShampooRoot {
    eigenvalues,     // matrix_power(): the most accurate, any exponent
    pseudo_inverse,  // the null space stays out (rank_tolerance, absolute_rank_tolerance); epsilon is 0
    // inverse_root(), exponents 1 / whole number; newton_schulz and denman_beavers 1/2 and, by two runs, 1/4.
    newton,
    newton_schulz,
    denman_beavers,
    newton_two_words,  // inverse_root() in two words: exact, at ten times the FLOPs, and more dispatches
};

// What the factor of an axis is made of.
enum class ShampooStatistic {
    gradient,  // G
    whitened,  // G multiplied by the roots of all other axes, those of the refresh before (KL-Shampoo)
};

// What roots by eigenvalues have in the null space of X where epsilon is less than f32 can tell from zero.
enum class ShampooNullSpace {
    level,  // the root of the smallest of the other eigenvalues
    // (epsilon + relative_epsilon times the largest)^-p, as Distributed Shampoo has it in float64, for steps
    // after the refresh; that of the refresh itself, which has nothing there but rounding, is level's. What
    // a later gradient has there takes its step over: of a vector, with epsilon = 1e-12, it counts 1e6 times.
    // Zero ends at sqrt(n) 2^-24 of the largest.
    epsilon,
};

// How bases of eigenvectors begin.
enum class ShampooFirstBasis {
    qr,  // from I, by qr_steps, or, where these are 0, by eigh() (Distributed Shampoo's form)
    // By eigh() in the first step, which does nothing else: W, m, v, c and B stay as they are, and
    // corrections of biases count from the second step on (SOAP's authors').
    eigh,
};

// Defaults are Distributed Shampoo's but for least_order (1 there: a matrix of up to block_size elements
// becomes a vector), graft (none) and stagger.
struct ShampooOptions {
    float lr = 0.01f;    // finite, >= 0
    double beta1 = 0.9;  // [0, 1)
    double beta3 = -1;   // [0, 1), or -1: beta1; beta1^2 is much like NAdam's
    double beta2 = 1.0;  // [0, 1]; 1: a sum, as AdaGrad's
    // Factors take a C_i in the first step and in those that this divides, all parameters' in the same ones:
    // 1..10000. A third of the work between refreshes is theirs.
    std::uint32_t factor_interval = 1;
    // w is 1, whatever beta2, and neither the factors' bias nor that of SOAP's c is corrected.
    bool unweighted_sum = false;
    bool bias_correction = true;
    float epsilon = 1e-12f;         // finite, >= 0
    float relative_epsilon = 0.0f;  // finite, >= 0; with eigenvalues times the largest of X, and added; with
                                    // iterations times |X|_inf, and the larger of both is taken
    ShampooStatistic statistic = ShampooStatistic::gradient;
    // p of blocks with so many axes, one for all axes or one for each; 0: the axis has no factor. 0..4.
    std::map<std::uint32_t, std::vector<double>> exponents;
    // Above 0: X <- X / max(tr X, epsilon)^e before epsilon is added; 0..4. With 0.5 and exponents of 1/2 it
    // is (L kron R / tr L)^(-1/2).
    double trace_exponent = 0;
    // Of eigenvalues; epsilon, which is then above 0, costs a second product for every root. (Distributed
    // Shampoo, matrix_functions.py: the eigenvalues of X + epsilon I, moved up until the least is epsilon.)
    ShampooNullSpace null_space = ShampooNullSpace::level;
    ShampooRoot root = ShampooRoot::eigenvalues;
    // Of pseudo_inverse: eigenvalues up to this times the largest are zero, [0, 1); below n 2^-23, what f32
    // can tell from zero, it is that. (Distributed Shampoo's rank_rtol.)
    float rank_tolerance = 0.0f;
    float absolute_rank_tolerance = 0.0f;  // and up to this; finite, >= 0 (rank_atol)
    // SOAP's form ("eigenvalue-corrected" in Distributed Shampoo): whiteners Q_i are the eigenvectors of X,
    // at first I, and P, without waiting for refresh.first, is Adam's step in their basis,
    //   c <- beta2 c + w (G x_1 Q_1^T .. x_k Q_k^T)^2
    //   P = (Gbar x_1 Q_1^T ..) / (sqrt(c / (1 - beta2^t)) + epsilon) x_1 Q_1 ..
    // c is <parameter>.basis_moment, block after block, and does not turn with the basis. Exponents (but for
    // 0: the axis is not rotated), `root`, and scaling by the trace do not matter.
    //
    // Note: while factors are rank deficient and change at every refresh, c belongs to another basis than
    // what it divides, and directions that it has hardly seen get enormous steps: with an interval of 1 and
    // one QR step from the identity a small network's loss was infinite after three steps. Let refresh.first
    // be some steps, or the interval 5 or more.
    bool eigenbasis = false;
    // Of the eigenbasis. After eigh's the refreshes follow their policy, from the second step on.
    ShampooFirstBasis first_basis = ShampooFirstBasis::qr;
    // Of c, in place of the square root's 1/2, for blocks with so many axes; (0, 4].
    std::map<std::uint32_t, double> moment_exponents;
    // Eigenvectors, of SOAP's form and of the roots eigenvalues and pseudo_inverse. 0: eigh(). Else so many
    // steps of the QR algorithm from the last basis, at first I, 1..64: roots are then Q (diag(Q^T X Q) +
    // epsilon)^-p Q^T (Distributed Shampoo's eigendecomposed form).
    std::uint32_t qr_steps = 0;
    // Above 0: where B = Q^T X Q with the last basis has at most this share of its norm off its diagonal,
    // eigh()'s basis is not taken, nor any further step of QR, whose columns are sorted all the same. [0, 1].
    float basis_tolerance = 0.0f;
    // 1 or more. Axes that have a factor may be up to 4096 long, merged and cut: Optimizer::add() refuses the
    // parameter otherwise.
    std::uint32_t block_size = 1024;
    std::uint32_t least_order = 2;  // no merging below so many axes, 1..8
    // Of roots, block by block: in steps that the interval divides, from refresh.first on (0: the interval),
    // and in that one, too. With `stagger` as many steps after those as the block's turn is, first refreshes
    // as well. Until all blocks of a parameter have had theirs it takes U; without a graft R = I in those
    // that have not.
    RefreshPolicy refresh;
    // Keeps the condition number of each factor at its last refresh, and the iterations of its root where it
    // has some, in states of their own, which checkpoints leave out. Nothing else is different. Not
    // with eigenbasis, which has no root.
    bool diagnostics = false;
    ShampooGraft graft = ShampooGraft::adam;
    double graft_beta = 0.999;  // [0, 1); of Adam and RMSProp
    float graft_eps = 1e-10f;   // finite, >= 0
    // Adam and RMSProp: v <- beta v + G^2, without correction of its bias.
    bool graft_unweighted_sum = false;
    float weight_decay = 0.0f;  // finite, >= 0
    ShampooDecay decay = ShampooDecay::decoupled;
    double momentum = 0;  // mu, [0, 1)
    // Without momentum these two change nothing.
    double dampening = 0;   // [0, 1]
    bool nesterov = false;  // W - lr ((1 - dampening) P + mu B)
    // Of m, v, c and B; f32 or bf16. Steps are along what m, v and c were before they are rounded.
    MomentFormat moments = MomentFormat::f32;
    Schedule schedule;

    // Exponents of 1/2 with scaling by the trace, no graft. Steps of matrices have the same size whatever the
    // gradient's scale. Blocks of another order keep 1 / (2 k), and the trace scales them, too, as in
    // Distributed Shampoo: their steps grow as the square root of the gradient's scale. (The paper has
    // matrices alone: give vectors to options with a trace_exponent of 0, or to another optimizer.)
    HERON_API static ShampooOptions shampoo2();
    // KL-Shampoo in Distributed Shampoo's form: whitened statistics, beta2 = 0.999, exponents of 1/2, no
    // graft; a refresh in every tenth step. The authors' own code (yorkerlin/KL-Methods, kl_opt.py) differs,
    // and is no option here: R is Q d^-1/2 Q^T, Q a basis as soap()'s, d averages of the squares of G
    // whitened by the other axes, in that basis, in every step, from 0.1 on; d^-1/2 is at most max(10, min(n,
    // 4000)); statistics are means over the other axes, not sums; a step has R of the step before, and m
    // without correction of its bias; betas are 0.9 and 0.98; the first step fills the factors alone. Here R
    // is I at first and then X's own root, bounded by epsilon alone, the same until the next refresh.
    HERON_API static ShampooOptions kl();
    // SOAP with its authors' start: the eigenbasis, by eigh() in the first step, renewed by one step of QR
    // every tenth time; betas of 0.95, no graft. As in Distributed Shampoo, and not in the authors' code, a
    // refresh comes before c and P of its step, c does not follow columns that change places, and vectors
    // have a basis, too (unless exponents[1] is {0}).
    HERON_API static ShampooOptions soap();
};

class HERON_API Shampoo : public Optimizer {
public:
    // Throws (invalid_argument) naming the option that is out of range.
    explicit Shampoo(const Device& device, const ShampooOptions& options = {});
    const ShampooOptions& options() const { return options_; }

private:
    void check(const Parameter& parameter) const override;
    std::vector<HyperValue> hyper() const override;
    std::string options_text() const override;
    void build(StepBuilder& step) const override;
    ShampooOptions options_;
};

}  // namespace heron
