// SPDX-License-Identifier: MIT
// Refusals of the training layer: who, which argument, what it was, what it should be.
#pragma once

#include <cmath>
#include <string>
#include <string_view>

#include "core/enumerator.hpp"
#include "core/number_text.hpp"
#include "heron/error.hpp"

namespace heron {

[[noreturn]] inline void refuse(const std::string& text) { throw Error(ErrorCode::invalid_argument, text); }

inline std::string in_quotes(std::string_view text) { return "\"" + std::string(text) + "\""; }

// `range` describes what `holds` tests: "in [0, 1)".
template <class Number>
void check_option(std::string_view who, std::string_view name, Number value, bool holds,
                  std::string_view range) {
    if (!std::isfinite(value) || !holds)
        refuse(std::string(who) + ": " + std::string(name) + " is " + number_text(value) + ", must be " +
               std::string(range));
}

// What every optimizer has.
inline void check_rate_and_decay(std::string_view who, float lr, float weight_decay) {
    check_option(who, "lr", lr, lr >= 0, "finite and not below 0");
    check_option(who, "weight_decay", weight_decay, weight_decay >= 0, "finite and not below 0");
}

// `last`: the enumeration's last value; the first is 0.
template <class Enum>
void check_enum(std::string_view who, std::string_view name, Enum value, Enum last) {
    if (!is_enumerator(value, last))
        refuse(std::string(who) + ": " + std::string(name) + " is " +
               std::to_string(static_cast<int>(value)) + ", which is no enumerator");
}

}  // namespace heron
