// SPDX-License-Identifier: MIT
// Values that an optimizer must refuse, for every one of its options: made of the options struct itself, so
// that a new option is covered by being there.
#pragma once

#include <algorithm>
#include <array>
#include <cstddef>
#include <cstdint>
#include <limits>
#include <memory>
#include <optional>
#include <stdexcept>
#include <string>
#include <string_view>
#include <type_traits>
#include <vector>

#include "heron/heron.hpp"
#include "optim/training.hpp"

namespace heron::test {

// An algorithm with one option that is out of range.
struct BadOption {
    std::string name;  // "polar.eps"
    double value;      // of an enumeration, the number of no enumerator
    MakeOptimizer make;
};

// The names of all options, which C++ cannot ask a struct for. A struct with one that is missing here is
// noticed (add_bad_values()). clang-format takes them for nested calls.
// clang-format off
#define HERON_OPTIONS(X)                                                                                    \
    X(absolute_rank_tolerance) X(adafactor_decay) X(adafactor_eps) X(adafactor_eps2) X(adafactor_rate)      \
    X(alpha) X(alpha1) X(amsgrad) X(average) X(balance_probability) X(balance_schedule) X(base) X(basis)    \
    X(basis_tolerance) X(beta) X(beta1) X(beta2) X(beta3) X(bias_correction) X(bits) X(blend) X(block)      \
    X(block_size) X(blocks) X(bound_rows) X(cautious_decay) X(clip) X(clip_element) X(clip_norm)            \
    X(clip_rms) X(clip_threshold) X(coefficients) X(conv_factor) X(conv_scaling) X(dampening) X(damping)    \
    X(damping_at_refresh) X(damping_schedule) X(damping_split) X(damping_unit) X(decay) X(decay_from)       \
    X(decoupled_decay) X(descent) X(diagnostics) X(doublings) X(ef_decay) X(eigenbasis) X(eigenvalue_floor) \
    X(eps) X(eps1) X(eps2) X(eps_on_uncorrected) X(epsilon) X(error_bits) X(error_feedback) X(exact_polar)  \
    X(exponent) X(exponents) X(extra_scale) X(factor_decay) X(factor_decay_schedule) X(factor_dtype)        \
    X(factor_interval) X(first) X(first_basis) X(fit) X(fit_first) X(form) X(fraction) X(gamma) X(gap)      \
    X(geometry) X(graft) X(graft_beta) X(graft_eps) X(graft_unweighted_sum) X(growth) X(guarded) X(history) \
    X(history_dtype) X(hybrid) X(initial_scale) X(inner) X(inputs) X(interval) X(iterations) X(keep_factor) \
    X(kernel) X(kfac_like) X(kind) X(kl_clip) X(kl_clip_lr) X(lambda) X(last) X(least_elements)             \
    X(least_order) X(lines) X(lr) X(lr_cov) X(lr_cov_schedule) X(max_order) X(max_side) X(max_skew)         \
    X(memory) X(merge_axes) X(method) X(min_axes) X(moment_bits) X(moment_exponents) X(moments)             \
    X(moments_interval) X(momentum) X(momentum_into_fit) X(momentum_rule) X(momentum_schedule)              \
    X(momentum_space) X(mu) X(nesterov) X(norm) X(norm_factor) X(norm_rule) X(norm_scale) X(norm_threshold) \
    X(normalize_lr_cov) X(null_space) X(one_workgroup) X(orthogonality) X(outputs) X(oversample)            \
    X(patience) X(polar) X(power_iterations) X(precision) X(preconditioner_lr) X(projection) X(qr)          \
    X(qr_steps) X(quantizer_block) X(rank) X(rank_fraction) X(rank_multiple) X(rank_tolerance) X(rate)      \
    X(recurrence) X(refinement) X(refresh) X(relative_epsilon) X(rescale_rule) X(restarts) X(rms) X(root)   \
    X(root_rectifications) X(roots) X(rotate) X(rule) X(scale) X(scale_in_place) X(scale_parameter)         \
    X(scales) X(schedule) X(second_order) X(shape_factor) X(shape_scaling) X(share) X(side) X(sides)        \
    X(sign) X(smoothness_decay) X(sparse) X(stagger) X(start_step) X(statistic) X(statistic_rectifications) \
    X(statistic_scale) X(statistics) X(status) X(step) X(steps) X(storage) X(switching) X(trace_exponent)   \
    X(transpose) X(turn_flops) X(u_probability) X(u_schedule) X(unweighted_sum) X(update_probability)       \
    X(update_schedule) X(variance_rule) X(vectors) X(warm_factors) X(warmup_steps) X(weight_decay)          \
    X(weighted_norms) X(whitening) X(window) X(window_dtype) X(words)
// clang-format on

namespace option_checks {

// Becomes a member of any type. Not an optional, which has a constructor from anything.
template <class T>
constexpr bool kIsOptional = false;
template <class T>
constexpr bool kIsOptional<std::optional<T>> = true;
template <class T>
concept NotOptional = !kIsOptional<T>;
struct Anything {
    template <NotOptional T>
    operator T() const;  // NOLINT(google-explicit-constructor): aggregates are tried with it
};
template <class Options, class... Members>
constexpr std::size_t count_members() {
    if constexpr (requires { Options{Members{}..., Anything{}}; })
        return count_members<Options, Members..., Anything>();
    else
        return sizeof...(Members);
}
// Whether it is a struct of options of its own: PolarOptions, RefreshPolicy.
template <class Member>
constexpr bool kIsStruct =
    std::is_class_v<Member>&& std::is_aggregate_v<Member> && !std::is_same_v<Member, Tensor>;
template <class Member>
constexpr bool kIsNumber = std::is_floating_point_v<Member> || std::is_same_v<Member, std::optional<float>>;

inline std::string last_name(const std::string& name) { return name.substr(name.rfind('.') + 1); }

template <std::size_t count>
bool is_one_of(const std::array<std::string_view, count>& names, std::string_view name) {
    return std::find(names.begin(), names.end(), name) != names.end();
}

// What no option of that name and type takes; empty for switches, schedules and lists.
template <class Member>
std::vector<double> bad_values(std::string_view name) {
    constexpr double kInfinity = std::numeric_limits<double>::infinity();
    // 1 is the most that they take, or less.
    constexpr std::array<std::string_view, 19> kFractions = {"alpha",
                                                             "alpha1",
                                                             "balance_probability",
                                                             "beta",
                                                             "beta1",
                                                             "beta2",
                                                             "beta3",
                                                             "blend",
                                                             "dampening",
                                                             "ef_decay",
                                                             "factor_decay",
                                                             "fraction",
                                                             "graft_beta",
                                                             "momentum",
                                                             "preconditioner_lr",
                                                             "rank_fraction",
                                                             "smoothness_decay",
                                                             "u_probability",
                                                             "update_probability"};
    constexpr std::array<std::string_view, 3> kNegative = {"adafactor_decay", "beta3", "decay"};
    constexpr std::array<std::string_view, 2> kInfinite = {"norm", "norm_threshold"};
    constexpr std::array<std::string_view, 13> kFromOne = {
        "block_size", "bound_rows",       "factor_interval", "interval", "least_order", "max_order",
        "min_axes",   "moments_interval", "stagger",         "steps",    "start_step",  "window",
        "words"};
    constexpr std::array<std::string_view, 13> kBounded = {"block",
                                                           "bound_rows",
                                                           "doublings",
                                                           "interval",
                                                           "last",
                                                           "least_order",
                                                           "max_order",
                                                           "min_axes",
                                                           "power_iterations",
                                                           "quantizer_block",
                                                           "root_rectifications",
                                                           "window",
                                                           "words"};
    std::vector<double> values;
    if constexpr (kIsNumber<Member>) {
        values = {std::numeric_limits<double>::quiet_NaN(), -kInfinity};
        if (!is_one_of(kInfinite, name)) values.push_back(kInfinity);
        if (!is_one_of(kNegative, name)) values.push_back(-1);
        if (is_one_of(kFractions, name)) values.push_back(1.5);
    } else if constexpr (std::is_enum_v<Member>) {
        values = {99};
    } else if constexpr (std::is_integral_v<Member> && !std::is_same_v<Member, bool>) {
        if (is_one_of(kFromOne, name)) values.push_back(0);
        if (is_one_of(kBounded, name)) values.push_back(std::numeric_limits<Member>::max());
    }
    return values;
}

// Sets a member of that type, at that place, to a bad value.
using Setter = void (*)(std::byte* member, double value);
template <class Member>
void set_member(std::byte* member, double value) {
    if constexpr (kIsNumber<Member> || std::is_integral_v<Member>)
        *reinterpret_cast<Member*>(member) = static_cast<Member>(value);
    else if constexpr (std::is_enum_v<Member>)
        *reinterpret_cast<Member*>(member) = static_cast<Member>(static_cast<int>(value));
}

// One bad value of one option: where it lies in its struct, and how to set it. (Templates here are few and
// small, of types and not of structs: every test of the registry compiles them.)
struct BadValue {
    std::string name;
    double value;
    std::ptrdiff_t offset;
    Setter set;
};

template <class Options>
void add_bad_values(std::vector<BadValue>& list, const std::byte* whole, const Options& options,
                    const std::string& prefix);

template <class Member>
void add_member(std::vector<BadValue>& list, const std::byte* whole, const Member& member,
                const std::string& prefix, const char* name) {
    if constexpr (kIsStruct<Member>) {
        add_bad_values(list, whole, member, prefix + name + ".");
    } else {
        const std::ptrdiff_t offset = reinterpret_cast<const std::byte*>(&member) - whole;
        for (const double value : bad_values<Member>(name))
            list.push_back({prefix + name, value, offset, set_member<Member>});
    }
}

template <class Options>
void add_bad_values(std::vector<BadValue>& list, const std::byte* whole, const Options& options,
                    const std::string& prefix) {
    std::size_t named = 0;
#define HERON_ADD(name)                                       \
    if constexpr (requires { options.name; }) {               \
        ++named;                                              \
        add_member(list, whole, options.name, prefix, #name); \
    }
    HERON_OPTIONS(HERON_ADD)
#undef HERON_ADD
    if (named != count_members<Options>())
        throw std::logic_error("HERON_OPTIONS lacks an option beside " + list.back().name);
}

// `make` makes the algorithm of a struct with one bad option.
template <class Options, class Make>
std::vector<BadOption> bad_options(const Options& good, const Make& make) {
    std::vector<BadValue> values;
    add_bad_values(values, reinterpret_cast<const std::byte*>(&good), good, "");
    std::vector<BadOption> result;
    for (const BadValue& bad : values)
        result.push_back({bad.name, bad.value, [=](const Device& device) {
                              Options options = good;
                              bad.set(reinterpret_cast<std::byte*>(&options) + bad.offset, bad.value);
                              return make(device, options);
                          }});
    return result;
}

}  // namespace option_checks
}  // namespace heron::test
