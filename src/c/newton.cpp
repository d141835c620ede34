// SPDX-License-Identifier: MIT
// Rules of lengths and dampings of the C API.
#include "c/convert.hpp"
#include "c/handles.hpp"

using namespace heron;
using namespace heron::c;

heron_result heron_armijo_search_create(const heron_armijo_options* options, heron_armijo_search** search) {
    return guarded([&] {
        need(search, "search");
        *search = new heron_armijo_search{ArmijoSearch(read_options(options))};
    });
}
void heron_armijo_search_destroy(heron_armijo_search* search) { delete search; }
heron_result heron_armijo_search_begin(heron_armijo_search* search, double loss, double slope) {
    return guarded([&] { need(search, "search").search.begin(loss, slope); });
}
double heron_armijo_search_step(const heron_armijo_search* search) {
    return search == nullptr ? 0 : search->search.step();
}
heron_result heron_armijo_search_accepts(heron_armijo_search* search, double trial_loss, bool* accepted) {
    return guarded([&] {
        need(accepted, "accepted");
        *accepted = need(search, "search").search.accepts(trial_loss);
    });
}
bool heron_armijo_search_gave_up(const heron_armijo_search* search) {
    return search != nullptr && search->search.gave_up();
}

heron_result heron_levenberg_marquardt_create(const heron_levenberg_marquardt_options* options,
                                              heron_levenberg_marquardt** rule) {
    return guarded([&] {
        need(rule, "rule");
        *rule = new heron_levenberg_marquardt{LevenbergMarquardt(read_options(options))};
    });
}
void heron_levenberg_marquardt_destroy(heron_levenberg_marquardt* rule) { delete rule; }
double heron_levenberg_marquardt_lambda(const heron_levenberg_marquardt* rule) {
    return rule == nullptr ? 0 : rule->rule.lambda();
}
heron_result heron_levenberg_marquardt_update(heron_levenberg_marquardt* rule, double change, double slope,
                                              double curvature, double* ratio) {
    return guarded([&] {
        const double found = need(rule, "rule").rule.update(change, slope, curvature);
        if (ratio != nullptr) *ratio = found;
    });
}

heron_result heron_gradient_damping_rule_create(const heron_gradient_damping_options* options,
                                                heron_gradient_damping_rule** rule) {
    return guarded([&] {
        need(rule, "rule");
        *rule = new heron_gradient_damping_rule{GradientDampingRule(read_options(options))};
    });
}
void heron_gradient_damping_rule_destroy(heron_gradient_damping_rule* rule) { delete rule; }
heron_result heron_gradient_damping_rule_begin(heron_gradient_damping_rule* rule, double loss,
                                               double gradient_norm) {
    return guarded([&] { need(rule, "rule").rule.begin({loss, gradient_norm}); });
}
double heron_gradient_damping_rule_lambda(const heron_gradient_damping_rule* rule) {
    return rule == nullptr ? 0 : rule->rule.lambda();
}
heron_result heron_gradient_damping_rule_accepts(heron_gradient_damping_rule* rule, double loss,
                                                 double gradient_norm, double decrease, bool* accepted) {
    return guarded([&] {
        need(accepted, "accepted");
        *accepted = need(rule, "rule").rule.accepts({loss, gradient_norm}, decrease);
    });
}
heron_result heron_gradient_damping_rule_failed(heron_gradient_damping_rule* rule) {
    return guarded([&] { need(rule, "rule").rule.failed(); });
}
bool heron_gradient_damping_rule_gave_up(const heron_gradient_damping_rule* rule) {
    return rule != nullptr && rule->rule.gave_up();
}
double heron_gradient_damping_rule_radius(const heron_gradient_damping_rule* rule) {
    return rule == nullptr ? 0 : rule->rule.radius();
}
