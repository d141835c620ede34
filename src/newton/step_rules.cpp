// SPDX-License-Identifier: MIT
// Lengths and dampings of steps, on the host.
#include <algorithm>
#include <cmath>
#include <string>

#include "core/number_text.hpp"
#include "heron/error.hpp"
#include "heron/newton.hpp"

namespace heron {

namespace {

constexpr double kLossRounding = 0x1p-52;  // of losses near 1, as in EGN's code

void require(bool condition, const char* who, const char* name, double value, const char* rule) {
    if (!condition)
        throw Error(ErrorCode::invalid_argument,
                    std::string(who) + ": " + name + " is " + number_text(value) + "; it must be " + rule);
}

bool positive(double value) { return value > 0 && std::isfinite(value); }

}  // namespace

ArmijoSearch::ArmijoSearch(const ArmijoOptions& options) : options_(options), step_(options.largest) {
    constexpr const char* kWho = "ArmijoSearch";
    require(positive(options.largest), kWho, "largest", options.largest, "finite and above 0");
    require(options.aggressiveness > 0 && options.aggressiveness < 1, kWho, "aggressiveness",
            options.aggressiveness, "in (0, 1)");
    require(options.decrease > 0 && options.decrease < 1, kWho, "decrease", options.decrease, "in (0, 1)");
    require(options.increase >= 1 && std::isfinite(options.increase), kWho, "increase", options.increase,
            "finite and not below 1");
    if (options.start > SearchStart::goldstein)
        throw Error(ErrorCode::invalid_argument, "ArmijoSearch: start is not one of SearchStart");
}

void ArmijoSearch::begin(double loss, double slope) {
    loss_ = loss;
    slope_ = slope;
    trials_ = 0;
    if (gave_up_) step_ = options_.largest;  // no length to begin from
    gave_up_ = false;
    if (options_.start == SearchStart::increase) step_ *= options_.increase;
    step_ = std::min(step_, options_.largest);
}

bool ArmijoSearch::accepts(double trial_loss) {
    const bool last = trials_ == options_.max_trials;
    const double c = 1 - options_.aggressiveness;
    const double decrease = loss_ - trial_loss;
    const bool finite = std::isfinite(trial_loss);
    if (last) {
        if (finite) return true;
        gave_up_ = true;
        step_ = 0;
        return true;
    }
    double factor = 1;
    if (!finite || -step_ * c * slope_ > decrease + kLossRounding)
        factor = options_.decrease;
    else if (options_.start == SearchStart::goldstein && decrease > -step_ * (1 - c) * slope_ &&
             step_ < options_.largest)
        factor = options_.increase;
    if (factor == 1) return true;
    ++trials_;
    step_ = std::min(step_ * factor, options_.largest);
    return false;
}

LevenbergMarquardt::LevenbergMarquardt(const LevenbergMarquardtOptions& options)
    : options_(options), lambda_(options.lambda) {
    constexpr const char* kWho = "LevenbergMarquardt";
    require(positive(options.smallest), kWho, "smallest", options.smallest, "finite and above 0");
    require(options.largest >= options.smallest && std::isfinite(options.largest), kWho, "largest",
            options.largest, "finite and not below smallest");
    require(options.lambda >= options.smallest && options.lambda <= options.largest, kWho, "lambda",
            options.lambda, "between smallest and largest");
    require(options.raise >= 1 && std::isfinite(options.raise), kWho, "raise", options.raise,
            "finite and not below 1");
    require(options.lower > 0 && options.lower <= 1, kWho, "lower", options.lower, "in (0, 1]");
    require(options.bad <= options.good, kWho, "bad", options.bad, "not above good");
}

double LevenbergMarquardt::update(double change, double slope, double curvature) {
    const double ratio = change / (slope + curvature / 2);
    double factor = 1;
    if (!(ratio >= options_.bad))
        factor = options_.raise;
    else if (ratio > options_.good)
        factor = options_.lower;
    lambda_ = std::clamp(lambda_ * factor, options_.smallest, options_.largest);
    return ratio;
}

GradientDampingRule::GradientDampingRule(const GradientDampingOptions& options)
    : options_(options), radius_(options.initial) {
    constexpr const char* kWho = "GradientDampingRule";
    if (options.rule > GradientDamping::square_root)
        throw Error(ErrorCode::invalid_argument, "GradientDampingRule: rule is not one of GradientDamping");
    require(positive(options.initial), kWho, "initial", options.initial, "finite and above 0");
    require(positive(options.smallest), kWho, "smallest", options.smallest, "finite and above 0");
    require(options.epsilon >= 0 && std::isfinite(options.epsilon), kWho, "epsilon", options.epsilon,
            "finite and not below 0");
    require(options.power >= 0 && std::isfinite(options.power), kWho, "power", options.power,
            "finite and not below 0");
    require(options.max_trials > 0, kWho, "max_trials", options.max_trials, "above 0");
}

void GradientDampingRule::begin(const Point& at) {
    at_ = at;
    trials_ = 0;
    gave_up_ = false;
}

double GradientDampingRule::lambda() const {
    switch (options_.rule) {
        case GradientDamping::normalized_smoothness:
            return at_.gradient_norm / (radius_ + options_.epsilon);
        case GradientDamping::super_universal:
            return radius_ * std::pow(at_.gradient_norm, options_.power);
        case GradientDamping::square_root:
            break;
    }
    return std::sqrt(radius_ * at_.gradient_norm);
}

bool GradientDampingRule::accepts(const Point& trial, double decrease) {
    const double square = trial.gradient_norm * trial.gradient_norm;
    bool good = std::isfinite(trial.loss) && std::isfinite(square);
    const bool finite = good;
    double scale = 1;
    switch (options_.rule) {
        case GradientDamping::normalized_smoothness:
            good = good && at_.loss - trial.loss >= square / (8 * lambda());
            scale = 2;
            break;
        case GradientDamping::super_universal:
            good = good && decrease >= square / (4 * lambda());
            scale = 0.25;
            break;
        case GradientDamping::square_root:
            good = good && trial.loss <= at_.loss;
            scale = 0.5;
            break;
    }
    if (good) {
        radius_ = std::max(radius_ * scale, options_.smallest);
        return true;
    }
    const bool last = trials_ + 1 == options_.max_trials;
    reject();
    if (last && finite) gave_up_ = false;  // taken, for want of a better one
    return last && finite;
}

void GradientDampingRule::failed() { reject(); }

void GradientDampingRule::reject() {
    switch (options_.rule) {
        case GradientDamping::normalized_smoothness:
            radius_ *= 0.5;
            break;
        case GradientDamping::super_universal:
            radius_ *= 4;
            break;
        case GradientDamping::square_root:
            radius_ *= 2;
            break;
    }
    gave_up_ = ++trials_ >= options_.max_trials;
}

}  // namespace heron
