// SPDX-License-Identifier: MIT
// Rules that choose lengths and dampings of steps, on the host, in double precision; they need no device. The
// steps themselves (heron/newton.hpp) are operations of graphs, in C++. Sources of the rules, and where they
// differ from official code: their options, in c/types.h, and heron/newton.hpp.
//
//   heron_armijo_search_begin(search, loss, slope);
//   do {
//       // weights + heron_armijo_search_step(search) * direction, and its loss
//       heron_armijo_search_accepts(search, trial_loss, &accepted);
//   } while (!accepted);
//
// A loss that is not finite is never accepted. ..._create() takes NULL for the default options, and fails
// (HERON_ERROR_INVALID_ARGUMENT), naming the option, for one out of range.
//
// Threads: one rule by one thread at a time.
#pragma once

#include "heron/c/types.h"

#ifdef __cplusplus
extern "C" {
#endif

// --- The length of a step along a direction (Armijo's condition, Goldstein's)

HERON_API heron_result heron_armijo_search_create(const heron_armijo_options* options,
                                                  heron_armijo_search** search);
HERON_API void heron_armijo_search_destroy(heron_armijo_search* search);
// `loss` at the weights; `slope`: of the loss along the direction, g^T direction.
HERON_API heron_result heron_armijo_search_begin(heron_armijo_search* search, double loss, double slope);
// The length to try, and, once one is accepted, that one; 0 for NULL.
HERON_API double heron_armijo_search_step(const heron_armijo_search* search);
// `*accepted`: whether the search ends at the present length, which has this loss; otherwise the length is the
// next one to try. Ends after heron_armijo_options.max_trials other lengths at the latest.
HERON_API heron_result heron_armijo_search_accepts(heron_armijo_search* search, double trial_loss, bool* accepted);
// Not one finite loss: the length is 0. False for NULL.
HERON_API bool heron_armijo_search_gave_up(const heron_armijo_search* search);

// --- Levenberg-Marquardt's damping

HERON_API heron_result heron_levenberg_marquardt_create(const heron_levenberg_marquardt_options* options,
                                                        heron_levenberg_marquardt** rule);
HERON_API void heron_levenberg_marquardt_destroy(heron_levenberg_marquardt* rule);
HERON_API double heron_levenberg_marquardt_lambda(const heron_levenberg_marquardt* rule);  // 0 for NULL
// `change`: loss after the step minus loss before; `slope` and `curvature` of the quadratic model along the
// step: g^T s and s^T H s. `ratio`, optional: of change and slope + curvature / 2. Where that is not a number,
// lambda is raised.
HERON_API heron_result heron_levenberg_marquardt_update(heron_levenberg_marquardt* rule, double change,
                                                        double slope, double curvature, double* ratio);

// --- Damping by the norm of the gradient, for trial loops: step with lambda, then tell what came of it

HERON_API heron_result heron_gradient_damping_rule_create(const heron_gradient_damping_options* options,
                                                          heron_gradient_damping_rule** rule);
HERON_API void heron_gradient_damping_rule_destroy(heron_gradient_damping_rule* rule);
// At a point with this loss and norm of the gradient.
HERON_API heron_result heron_gradient_damping_rule_begin(heron_gradient_damping_rule* rule, double loss,
                                                         double gradient_norm);
HERON_API double heron_gradient_damping_rule_lambda(const heron_gradient_damping_rule* rule);  // 0 for NULL
// `*accepted`: whether the step with lambda, which led to this loss and norm, is taken; the next
// heron_gradient_damping_rule_begin() is then at the new point. `decrease`: g+^T (x - x+), for
// HERON_GRADIENT_DAMPING_SUPER_UNIVERSAL; else it does not matter.
HERON_API heron_result heron_gradient_damping_rule_accepts(heron_gradient_damping_rule* rule, double loss,
                                                           double gradient_norm, double decrease, bool* accepted);
// H + lambda I was not positive definite: more damping.
HERON_API heron_result heron_gradient_damping_rule_failed(heron_gradient_damping_rule* rule);
// heron_gradient_damping_options.max_trials without a step that can be taken; false for NULL.
HERON_API bool heron_gradient_damping_rule_gave_up(const heron_gradient_damping_rule* rule);
// gamma, or h; 0 for NULL.
HERON_API double heron_gradient_damping_rule_radius(const heron_gradient_damping_rule* rule);

#ifdef __cplusplus
}
#endif
