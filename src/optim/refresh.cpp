// SPDX-License-Identifier: MIT
#include "optim/refresh.hpp"

#include <algorithm>
#include <numeric>
#include <utility>

#include "graph/graph.hpp"
#include "optim/checks.hpp"

namespace heron {

namespace {
constexpr std::uint32_t kLongest = 1u << 30;

// Matrices as they are dealt to turns.
struct Deal {
    std::vector<std::uint32_t> turns;  // of the matrices
    std::vector<double> loads;         // of the turns

    double fullest() const { return *std::ranges::max_element(loads); }
};

// One matrix after the other, in this order, each to the turn that `choose` finds (or makes) for its cost.
template <class Choose>
Deal deal(std::span<const std::uint32_t> order, std::span<const double> flops, std::vector<double> loads,
          const Choose& choose) {
    Deal result{std::vector<std::uint32_t>(flops.size()), std::move(loads)};
    for (const std::uint32_t matrix : order) {
        const auto turn = choose(result.loads, flops[matrix]);
        *turn += flops[matrix];
        result.turns[matrix] = static_cast<std::uint32_t>(turn - result.loads.begin());
    }
    return result;
}

}  // namespace

void check_refresh(std::string_view optimizer, std::string_view option, const RefreshPolicy& policy) {
    const std::string name(option);
    check_option(optimizer, name + ".growth", policy.growth, policy.growth < 0x80000000u, "below 2^31");
    check_option(optimizer, name + ".doublings", policy.doublings, policy.doublings <= 16, "0 to 16");
    const std::uint64_t doublings = policy.growth > 0 ? policy.doublings : 0;
    check_option(optimizer, name + ".interval", policy.interval,
                 policy.interval >= 1 && std::uint64_t{policy.interval} << doublings <= kLongest,
                 "1 to 2^30, doublings included");
    check_option(optimizer, name + ".first", policy.first, policy.first < 0x80000000u, "below 2^31");
    check_option(optimizer, name + ".turn_flops", policy.turn_flops, policy.turn_flops >= 0,
                 "finite and not below 0");
}

std::string refresh_text(std::string_view option, const RefreshPolicy& policy) {
    const std::string name = " " + std::string(option);
    std::string text = name + ".interval=" + std::to_string(policy.interval);
    if (policy.growth > 0)
        text += name + ".growth=" + std::to_string(policy.growth) + name +
                ".doublings=" + std::to_string(policy.doublings);
    return text + name + ".stagger=" + std::to_string(policy.stagger) + name +
           ".first=" + std::to_string(policy.first) + name + ".turn_flops=" + number_text(policy.turn_flops);
}

std::string changed_refresh_text(std::string_view option, const RefreshPolicy& policy) {
    const std::string text = refresh_text(option, policy);
    return text == refresh_text(option, {}) ? "" : text;
}

std::vector<std::uint32_t> refresh_turns(const RefreshPolicy& policy, std::span<const double> flops) {
    std::vector<std::uint32_t> order(flops.size(), 0);
    if (!policy.stagger || flops.empty()) return order;
    std::iota(order.begin(), order.end(), 0u);
    if (policy.turn_flops == 0.0f) return order;
    std::stable_sort(order.begin(), order.end(),
                     [&](std::uint32_t a, std::uint32_t b) { return flops[a] > flops[b]; });
    const double room = std::max(static_cast<double>(policy.turn_flops), flops[order.front()]);
    const std::uint64_t most = refresh_section(policy, 0, 0).interval_at(0xffffffffu);
    const Deal packed = deal(order, flops, {}, [&](std::vector<double>& loads, double cost) {
        const auto turn = std::ranges::find_if(loads, [&](double load) { return load + cost <= room; });
        if (turn != loads.end()) return turn;
        return loads.size() < most ? loads.insert(loads.end(), 0.0) : std::ranges::min_element(loads);
    });
    // In as many turns, but evenly: nearly always no turn is fuller than the fullest of those.
    const Deal even =
        deal(order, flops, std::vector<double>(packed.loads.size(), 0.0),
             [](std::vector<double>& loads, double) { return std::ranges::min_element(loads); });
    return even.fullest() <= packed.fullest() ? even.turns : packed.turns;
}

double eigen_flops(std::uint64_t order) {
    constexpr std::uint64_t kSmall = 64;  // what one workgroup does on every device
    const double n = static_cast<double>(order);
    return (order <= kSmall ? 90.0 : 10.0) * n * n * n;
}

Section refresh_section(const RefreshPolicy& policy, std::uint32_t turn, std::uint32_t origin) {
    Section section;
    section.interval = policy.interval;
    if (policy.growth > 0) {
        section.growth = policy.growth;
        section.doublings = policy.doublings;
    }
    // Sections count from 0. The longest interval is a multiple of all others: one phase suits them all.
    const std::uint64_t longest = section.interval_at(0xffffffffu);
    section.phase =
        static_cast<std::uint32_t>(((policy.stagger ? turn : 0) % longest + origin + longest - 1) % longest);
    section.start = policy.first > 0 ? policy.first - 1 : 0;
    section.first = policy.first > 0 && !policy.stagger;
    return section;
}

RefreshSchedule::RefreshSchedule(Graph& graph, std::string_view what, const RefreshPolicy& policy,
                                 std::uint32_t origin, std::vector<std::uint32_t> turns, FirstRefresh first)
    : graph_(graph),
      place_(graph.impl().refreshes.size()),
      policy_(policy),
      origin_(origin),
      turns_(std::move(turns)),
      first_(first) {
    graph.impl().refreshes.push_back({std::string(what), {}});
}

Section RefreshSchedule::next(std::uint32_t gate) {
    Section section = refresh_section(policy_, turns_.at(index_++), origin_);
    section.gate = gate;
    if (first_ == FirstRefresh::in_first_step) {
        section.start = 0;
        section.first = true;
    }
    graph_.impl().refreshes[place_].sections.push_back(section);
    return section;
}

Section RefreshSchedule::in_first_step() {
    ++graph_.impl().refreshes[place_].in_first_step;
    return kFirstStep;
}

}  // namespace heron
