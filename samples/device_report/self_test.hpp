// SPDX-License-Identifier: MIT
// Numerical self-test of one device: Heron's building blocks against float64 on the host.
#pragma once

#include <functional>
#include <string>

#include "heron/heron.hpp"

struct CheckResult {
    std::string name;
    double error = 0;     // the largest
    double allowed = 0;   // passed when error <= allowed
    std::string failure;  // not empty: the check ended with this message
    bool passed() const { return failure.empty() && error <= allowed; }
};

// Calls `report` after each check.
void self_test(const heron::Device& device, const std::function<void(const CheckResult&)>& report);
