// SPDX-License-Identifier: MIT
// Refresh policies as sections of the graph.
#pragma once

#include <string>
#include <string_view>

#include "heron/graph.hpp"
#include "heron/optim/refresh.hpp"

namespace heron {

// Throws (invalid_argument), in the name of `optimizer`, for what is out of range; `option` is the policy's
// name.
void check_refresh(std::string_view optimizer, std::string_view option, const RefreshPolicy& policy);
// " refresh=10 refresh.growth=..." for Optimizer::options_text().
std::string refresh_text(std::string_view option, const RefreshPolicy& policy);
// Of the matrix number `index`. Without stagger it is renewed in the steps (from 1) that are `origin` modulo
// the interval, with it `index` steps later.
Section refresh_section(const RefreshPolicy& policy, std::uint32_t index, std::uint32_t origin);

}  // namespace heron
