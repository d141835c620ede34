// SPDX-License-Identifier: MIT
// Refresh policies as sections of the graph.
#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "heron/graph.hpp"
#include "heron/optim/refresh.hpp"

namespace heron {

// Throws (invalid_argument), in the name of `optimizer`, for what is out of range; `option` is the policy's
// name.
void check_refresh(std::string_view optimizer, std::string_view option, const RefreshPolicy& policy);
// " refresh=10 refresh.growth=..." for Optimizer::options_text().
std::string refresh_text(std::string_view option, const RefreshPolicy& policy);
// The same; nothing for RefreshPolicy's defaults: checkpoints from before there was a choice stay good.
std::string changed_refresh_text(std::string_view option, const RefreshPolicy& policy);
// The turn of each matrix, from 0, by what its refresh takes: see RefreshPolicy::turn_flops. All 0 without
// stagger.
std::vector<std::uint32_t> refresh_turns(const RefreshPolicy& policy, std::span<const double> flops);
// FLOPs, about, of a root or basis of `order` rows by eigh(), small ones by Jacobi's method.
double eigen_flops(std::uint64_t order);

// Of a matrix. Without stagger it is renewed in the steps (from 1) that are `origin` modulo the interval,
// with it `turn` steps later.
Section refresh_section(const RefreshPolicy& policy, std::uint32_t turn, std::uint32_t origin);

// The first step, and no other within 2^31 - 2.
inline constexpr Section kFirstStep{.interval = 0x80000000u, .phase = 0x7ffffffeu, .first = true};

enum class FirstRefresh {
    by_policy,
    in_first_step,  // of everything, whatever its turn: for what no step can do without
};

// Gives an optimizer's matrices their sections, one after the other, and notes them for Plan::describe().
class RefreshSchedule {
public:
    // `what`: whose refreshes they are. `turns`: refresh_turns() of all that next() is called for.
    RefreshSchedule(Graph& graph, std::string_view what, const RefreshPolicy& policy, std::uint32_t origin,
                    std::vector<std::uint32_t> turns, FirstRefresh first = FirstRefresh::by_policy);
    // `gate`: see Section::gate.
    Section next(std::uint32_t gate = 0);
    // The first step, for a matrix that has a beginning there besides its refreshes.
    Section in_first_step();

private:
    Graph& graph_;
    std::size_t place_;  // of its turns in the graph
    RefreshPolicy policy_;
    std::uint32_t origin_;
    std::vector<std::uint32_t> turns_;
    std::size_t index_ = 0;
    FirstRefresh first_;
};

}  // namespace heron
