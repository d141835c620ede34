// SPDX-License-Identifier: MIT
// Refresh policies as sections of the graph.
#pragma once

#include <cstdint>
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

// The first step, and no other within 2^31 - 2.
inline constexpr Section kFirstStep{.interval = 0x80000000u, .phase = 0x7ffffffeu, .first = true};

enum class FirstRefresh {
    by_policy,
    in_first_step,  // of everything, whatever its turn: for what no step can do without
};

// Gives an optimizer's matrices their sections, one after the other, and notes them for Plan::describe().
class RefreshSchedule {
public:
    // `what`: whose refreshes they are.
    RefreshSchedule(Graph& graph, std::string_view what, const RefreshPolicy& policy, std::uint32_t origin,
                    FirstRefresh first = FirstRefresh::by_policy);
    Section next();

private:
    Graph& graph_;
    std::size_t place_;  // of its turns in the graph
    RefreshPolicy policy_;
    std::uint32_t origin_, index_ = 0;
    FirstRefresh first_;
};

}  // namespace heron
