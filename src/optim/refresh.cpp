// SPDX-License-Identifier: MIT
#include "optim/refresh.hpp"

#include "graph/graph.hpp"
#include "optim/checks.hpp"

namespace heron {

namespace {
constexpr std::uint32_t kLongest = 10000;
}

void check_refresh(std::string_view optimizer, std::string_view option, const RefreshPolicy& policy) {
    const std::string name(option);
    check_option(optimizer, name + ".interval", policy.interval,
                 policy.interval >= 1 && policy.interval <= kLongest, "1 to 10000");
    check_option(optimizer, name + ".growth", policy.growth, policy.growth < 0x80000000u, "below 2^31");
    check_option(optimizer, name + ".doublings", policy.doublings, policy.doublings <= 16, "0 to 16");
    check_option(optimizer, name + ".first", policy.first, policy.first < 0x80000000u, "below 2^31");
}

std::string refresh_text(std::string_view option, const RefreshPolicy& policy) {
    const std::string name = " " + std::string(option);
    std::string text = name + ".interval=" + std::to_string(policy.interval);
    if (policy.growth > 0)
        text += name + ".growth=" + std::to_string(policy.growth) + name +
                ".doublings=" + std::to_string(policy.doublings);
    return text + name + ".stagger=" + std::to_string(policy.stagger) + name +
           ".first=" + std::to_string(policy.first);
}

Section refresh_section(const RefreshPolicy& policy, std::uint32_t index, std::uint32_t origin) {
    Section section;
    section.interval = policy.interval;
    if (policy.growth > 0) {
        section.growth = policy.growth;
        section.doublings = policy.doublings;
    }
    // Sections count from 0. The longest interval is a multiple of all others: one phase suits them all.
    const std::uint64_t longest = section.interval_at(0xffffffffu);
    section.phase =
        static_cast<std::uint32_t>(((policy.stagger ? index : 0) % longest + origin + longest - 1) % longest);
    section.start = policy.first > 0 ? policy.first - 1 : 0;
    section.first = policy.first > 0 && !policy.stagger;
    return section;
}

RefreshSchedule::RefreshSchedule(Graph& graph, std::string_view what, const RefreshPolicy& policy,
                                 std::uint32_t origin, FirstRefresh first)
    : graph_(graph), place_(graph.impl().refreshes.size()), policy_(policy), origin_(origin), first_(first) {
    graph.impl().refreshes.push_back({std::string(what), {}});
}

Section RefreshSchedule::next() {
    Section section = refresh_section(policy_, index_++, origin_);
    if (first_ == FirstRefresh::in_first_step) {
        section.start = 0;
        section.first = true;
    }
    graph_.impl().refreshes[place_].sections.push_back(section);
    return section;
}

}  // namespace heron
