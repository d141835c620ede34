// SPDX-License-Identifier: MIT
// Steps of Gauss-Newton and of damped Newton methods, as graph operations (heron/linalg.hpp says what these
// have in common), and the rules that choose their lengths and dampings, on the host.
//
// The caller brings predictions and their Jacobian (gauss_newton_direction), or a Hessian
// (damped_newton_step), and the losses at trial points; nothing here differentiates. Parameters are one
// vector of d elements; those of a network are ranges of it. One step with a line search:
//
//   plan_direction: gauss_newton_direction(), gauss_newton_model() of the direction
//   plan_trial:     newton_update(), weights + alpha direction to `trial`
//   search.begin(loss, slope);                       // slope: the model's first number
//   do {
//       alpha.write(search.step()); plan_trial.run(); trial_loss = ...;
//   } while (!search.accepts(trial_loss));
//
// Throws (invalid_argument) for shapes, dtypes and numbers that do not fit, before anything is added.
// Threads: the operations as Graph, a rule by one thread at a time.
#pragma once

#include <cstdint>
#include <string>

#include "heron/export.hpp"
#include "heron/graph.hpp"

namespace heron {

// --- Directions

// What is minimised, in the mean over b samples, of c predictions f for each and targets t.
enum class PredictionLoss : std::uint32_t {
    squared_error,          // |f - t|^2 / 2
    softmax_cross_entropy,  // -sum t log softmax(f): f logits, t probabilities of sum 1, one-hot or soft
    sigmoid_cross_entropy,  // -sum t log p + (1 - t) log (1 - p), p = sigmoid(f): f logits, 0 <= t <= 1
};

struct GaussNewtonSystem {
    Tensor jacobian;     // of the predictions, b c x d: row i c + k of sample i, output k; f32, f16 or bf16
    Tensor predictions;  // b x c f32, without gaps
    Tensor targets;      // b x c f32, without gaps
    PredictionLoss loss = PredictionLoss::squared_error;
};

struct GaussNewtonOptions {
    // Optional, b x c f32, without gaps: r = -dloss/df of each sample, so that the gradient is -J^T r / b.
    Tensor residual;
    // Optional, one u32 (status.hpp). ok; jittered: right for a larger lambda; indefinite: more than rounding
    // errors, the direction is zero; nonfinite: so is an input or lambda, or lambda is not above 0; the
    // direction is not to be used.
    Tensor status;
    bool guarded = true;
};

// direction = (J^T Q J / b + lambda I)^-1 J^T r / b, exactly: Q is the Hessian of the loss by the
// predictions, r minus its gradient. (M. Korbit, A. Adeoye, A. Bemporad, M. Zanon: Exact Gauss-Newton
// Optimization for Training Deep Neural Networks, arXiv 2405.14402; their code's default lambda
// is 1.) lambda: one f32 > 0 on the device, so that it may change from step to step; direction: d f32,
// without gaps.
//
// By the identity of Duncan, Guttman and Woodbury in the b c unknowns of the batch: with S S^T = Q, S q = r
// and V = S^T J / sqrt(b lambda), direction = V^T (I + V V^T)^-1 q / sqrt(b lambda), always symmetric
// positive definite (the official code solves (Q J J^T + b lambda I) z = r, whose matrix is not symmetric for
// cross entropy). Probabilities under S are at least 1e-12. One step of refinement with residuals through V.
//
// b c <= 65535, on CPU drivers 8192, as cholesky() has it. (b c)^2 d + 8 b c d FLOPs and cholesky() and
// cholesky_solve() of b c rows; workspace 4 b c d + 8 (b c)^2 bytes. Relative error of the solve: n u cond(I
// + V V^T), n = b c, before the refinement, which leaves about sqrt(d) u while cond < 1e5.
HERON_API void gauss_newton_direction(Graph& graph, const GaussNewtonSystem& system, const Tensor& lambda,
                                      const Tensor& direction, const GaussNewtonOptions& options = {});

// model = (g^T s, s^T J^T Q J s / b), two f32, of a step s (d f32): slope and curvature of the quadratic
// model (without lambda) along it, g the gradient of the loss. One pass over J, 2 b c d FLOPs; b c as above.
HERON_API void gauss_newton_model(Graph& graph, const GaussNewtonSystem& system, const Tensor& step,
                                  const Tensor& model, bool guarded = true);

struct AverageDirectionOptions {
    float momentum = 0.9f;                   // [0, 1)
    std::string name = "direction_average";  // of the states: d f32, and one f32
    bool guarded = true;
};
// direction <- average / (1 - momentum^t), average <- momentum average + (1 - momentum) direction, in place:
// the momentum of EGN's second release (somax v1), before the line search. The first is newton_update()'s.
HERON_API void average_direction(Graph& graph, const Tensor& direction,
                                 const AverageDirectionOptions& options = {});

struct NewtonUpdateOptions {
    // [0, 1): adds momentum (w - w of the step before), the heavy ball of EGN's first release; state `name`,
    // d f32. Not for trials: each call is a step.
    float momentum = 0;
    std::string name = "velocity";
    // Optional, one u32: where it is neither ok nor jittered, result is the weights.
    Tensor status;
    bool guarded = true;
};
// result = weights + alpha direction; alpha one f32 on the device. weights and result d elements, f32, f16 or
// bf16, without gaps; result may be weights. Beyond a 16-bit result's range to infinity.
HERON_API void newton_update(Graph& graph, const Tensor& weights, const Tensor& direction,
                             const Tensor& alpha, const Tensor& result,
                             const NewtonUpdateOptions& options = {});

struct DampedStepOptions {
    // Optional, one u32: ok; indefinite: H + lambda I is not positive definite, the step is zero; nonfinite.
    Tensor status;
    bool guarded = true;
};
// step = -(H + lambda I)^-1 g: H n x n f32 symmetric (the lower triangle is read), g and step n f32, lambda
// one f32 on the device. cholesky() and cholesky_solve() of n rows, as many as that takes; workspace 8 n^2
// bytes.
HERON_API void damped_newton_step(Graph& graph, const Tensor& hessian, const Tensor& gradient,
                                  const Tensor& lambda, const Tensor& step,
                                  const DampedStepOptions& options = {});
// The same from eigh() of H: values n, vectors n x n in columns, as it leaves them. 4 n^2 FLOPs for each
// lambda: for trials, and for lazy Hessians, which are kept for several steps (N. Doikov, E. Chayti, M.
// Jaggi, arXiv 2212.00781).
HERON_API void damped_newton_step(Graph& graph, const Tensor& values, const Tensor& vectors,
                                  const Tensor& gradient, const Tensor& lambda, const Tensor& step,
                                  const DampedStepOptions& options = {});

// --- Rules, on the host, in double precision. A loss that is not finite is never accepted.

// How a search begins: at min(increase alpha, largest), or where the last one ended; goldstein also
// lengthens.
enum class SearchStart : std::uint32_t { increase, conservative, goldstein };

// S. Vaswani et al., arXiv 1905.09997, with the constants of EGN.
struct ArmijoOptions {
    double largest = 1;           // the learning rate
    double aggressiveness = 0.9;  // in (0, 1): c = 1 - aggressiveness of Armijo's condition
    double decrease = 0.8;        // in (0, 1)
    double increase = 1.5;        // >= 1
    std::uint32_t max_trials =
        15;  // shorter steps; the one after that is taken as it is if its loss is finite
    SearchStart start = SearchStart::increase;
};
class HERON_API ArmijoSearch {
public:
    explicit ArmijoSearch(const ArmijoOptions& options = {});
    // loss at the weights; slope g^T direction.
    void begin(double loss, double slope);
    double step() const { return step_; }
    // Whether the search ends at step(), which has this loss; otherwise step() is the next length to try.
    // Ends after max_trials other lengths at the latest.
    bool accepts(double trial_loss);
    bool gave_up() const { return gave_up_; }  // not one finite loss: step() is 0

private:
    ArmijoOptions options_;
    double step_, loss_ = 0, slope_ = 0;
    std::uint32_t trials_ = 0;
    bool gave_up_ = false;
};

// Levenberg-Marquardt: lambda by the ratio of the decrease and the model's. EGN's factors; those of the trust
// region in the same authors' later library are 1.5 and 0.5.
struct LevenbergMarquardtOptions {
    double lambda = 1;
    double raise = 1.01, lower = 0.99;  // where the ratio is below `bad`, above `good`
    double bad = 0.25, good = 0.75;
    double smallest = 1e-12, largest = 1e6;
};
class HERON_API LevenbergMarquardt {
public:
    explicit LevenbergMarquardt(const LevenbergMarquardtOptions& options = {});
    double lambda() const { return lambda_; }
    // change: loss after the step minus loss before; slope and curvature of the step from
    // gauss_newton_model(). Returns the ratio of change and slope + curvature / 2, below 0 where the loss
    // rose: a step that a caller may take back. Where it is not a number, lambda is raised.
    double update(double change, double slope, double curvature);

private:
    LevenbergMarquardtOptions options_;
    double lambda_;
};

// Dampings by the norm of the gradient, for trial loops: step with lambda(), then tell what came of it.
enum class GradientDamping : std::uint32_t {
    // lambda = |g| / gamma; accepted if f - f+ >= |g+|^2 / (8 lambda), then gamma doubles, else it halves.
    // (A. Semenov, M. Jaggi, N. Doikov: Gradient-Normalized Smoothness, arXiv 2506.13710, algorithm 1.)
    normalized_smoothness,
    // lambda = h |g|^power; accepted if g+^T (x - x+) >= |g+|^2 / (4 lambda), then h / 4, else 4 h.
    // (N. Doikov, K. Mishchenko, Y. Nesterov: Super-Universal Regularized Newton Method, arXiv 2208.05888.)
    super_universal,
    // lambda = sqrt(h |g|); accepted if the loss falls, then h / 2, else 2 h.
    square_root,
};
struct GradientDampingOptions {
    GradientDamping rule = GradientDamping::normalized_smoothness;
    double initial = 1;      // gamma, or h
    double smallest = 1e-9;  // of gamma after an accepted step (super_universal: of h; the official 1e-5)
    double epsilon = 1e-8;   // added to gamma below |g|
    double power = 1;        // of |g|, super_universal
    std::uint32_t max_trials =
        40;  // the last one is taken if its loss is finite and the system could be solved
};
class HERON_API GradientDampingRule {
public:
    explicit GradientDampingRule(const GradientDampingOptions& options = {});
    struct Point {
        double loss = 0;
        double gradient_norm = 0;  // |g|
    };
    void begin(const Point& at);
    double lambda() const;
    // Whether the step with lambda() is taken. `decrease` is g+^T (x - x+), for super_universal. The next
    // begin() is at the new point if it was.
    bool accepts(const Point& trial, double decrease = 0);
    // H + lambda I was not positive definite: more damping. (The official code takes the last step that it
    // had.)
    void failed();
    bool gave_up() const { return gave_up_; }  // max_trials without a step that can be taken
    double radius() const { return radius_; }  // gamma, or h

private:
    void reject();
    GradientDampingOptions options_;
    Point at_;
    double radius_;
    std::uint32_t trials_ = 0;
    bool gave_up_ = false;
};

}  // namespace heron
