// SPDX-License-Identifier: MIT
#include "optim/hyper.hpp"

#include <cmath>

#include "optim/draw_key.hpp"

namespace heron {

namespace {

// The logarithm in two floats: beta^t is formed from t times it, which takes more than one float's accuracy.
void set_log(double beta, float& high, float& low) {
    const double log_beta = std::log(beta);
    high = static_cast<float>(log_beta);
    low = static_cast<float>(log_beta - static_cast<double>(high));
}

}  // namespace

HyperValue HyperValue::constant(double value) {
    HyperValue result;
    result.slot.kind = gpu::SLOT_CONSTANT;
    result.slot.value = static_cast<float>(value);
    return result;
}

HyperValue HyperValue::scheduled(float value, const Schedule& schedule) {
    HyperValue result = constant(value);
    result.slot.kind = gpu::SLOT_SCHEDULED;
    result.schedule = schedule;
    return result;
}

HyperValue HyperValue::complement(float value, const Schedule& schedule) {
    HyperValue result = scheduled(value, schedule);
    result.slot.kind = gpu::SLOT_COMPLEMENT;
    return result;
}

HyperValue HyperValue::lr(float value, const Schedule& schedule) {
    HyperValue result = scheduled(value, schedule);
    result.learning_rate = true;
    return result;
}

HyperValue HyperValue::damping_of(float value, const Schedule& schedule) {
    HyperValue result = scheduled(value, schedule);
    result.damping = true;
    return result;
}

HyperValue HyperValue::second_order_switch(bool on, const std::optional<MkorSwitch>& switching) {
    HyperValue result = constant(on ? 1.0 : 0.0);
    result.second_order = true;
    result.switching = switching;
    return result;
}

HyperValue HyperValue::inverse_correction(double beta, std::uint32_t delay) {
    if (beta == 0.0) return constant(1.0);
    HyperValue result = constant(delay);
    result.slot.kind = gpu::SLOT_INVERSE_CORRECTION;
    set_log(beta, result.slot.log1, result.slot.log1_low);
    return result;
}

HyperValue HyperValue::inverse_correction_every(double beta, std::uint32_t interval) {
    HyperValue result = inverse_correction(beta);
    if (beta == 0.0) return result;
    result.slot.kind = gpu::SLOT_CORRECTION_EVERY;
    result.slot.value = static_cast<float>(interval);
    return result;
}

HyperValue HyperValue::correction_ratio(double beta1, double beta2) {
    // A decay of 0 needs no correction; -1e30 stands for log 0.
    HyperValue result;
    result.slot.kind = gpu::SLOT_CORRECTION_RATIO;
    result.slot.log1 = result.slot.log2 = -1e30f;
    if (beta1 > 0.0) set_log(beta1, result.slot.log1, result.slot.log1_low);
    if (beta2 > 0.0) set_log(beta2, result.slot.log2, result.slot.log2_low);
    return result;
}

HyperValue HyperValue::correction_growth(double beta, double value) {
    HyperValue result = constant(value);
    if (beta == 0.0) return result;
    result.slot.kind = gpu::SLOT_CORRECTION_GROWTH;
    set_log(beta, result.slot.log1, result.slot.log1_low);
    return result;
}

HyperValue HyperValue::exponential_draw() {
    HyperValue result;
    result.slot.kind = gpu::SLOT_EXPONENTIAL;
    return result;
}

HyperValue HyperValue::power_of_step(double exponent) {
    HyperValue result = constant(exponent);
    result.slot.kind = gpu::SLOT_POWER;
    return result;
}

HyperValue HyperValue::step() {
    HyperValue result;
    result.slot.kind = gpu::SLOT_STEP;
    return result;
}

HyperValue HyperValue::chance(std::string_view optimizer, float probability, const Schedule& schedule) {
    HyperValue result = scheduled(probability, schedule);
    result.slot.kind = gpu::SLOT_CHANCE;
    result.slot.draws = draw_key(optimizer);
    return result;
}

HyperValue HyperValue::counted(float value, const Schedule& schedule) {
    HyperValue result = scheduled(value, schedule);
    result.slot.kind = gpu::SLOT_COUNTED;
    return result;
}

HyperValue HyperValue::after_first(double value) {
    HyperValue result = constant(value);
    result.slot.kind = gpu::SLOT_FIRST;
    return result;
}

}  // namespace heron
