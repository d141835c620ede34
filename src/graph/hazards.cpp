// SPDX-License-Identifier: MIT
#include "graph/hazards.hpp"

#include <algorithm>
#include <map>
#include <utility>

namespace heron {

namespace {

struct Event {
    std::uint64_t begin = 0;
    std::uint64_t end = 0;
    std::uint32_t dispatch = 0;
    std::uint32_t job = 0;
    bool write = false;
};

bool same_job(const Event& a, const Event& b) { return a.dispatch == b.dispatch && a.job == b.job; }

// Of the touches seen so far, the two of different jobs that reach furthest: if any touch of another job than
// a given one is still open, one of these two is.
class Furthest {
public:
    void add(const Event& event) {
        if (same_job(first_, event)) {
            first_.end = std::max(first_.end, event.end);
        } else if (event.end > first_.end) {
            if (!same_job(second_, event) || first_.end > second_.end) second_ = first_;
            first_ = event;
        } else if (event.end > second_.end) {
            second_ = event;
        }
    }
    // An open touch of another job than `event`'s, or null.
    const Event* other_than(const Event& event) const {
        const Event& candidate = same_job(first_, event) ? second_ : first_;
        return candidate.end > event.begin && !same_job(candidate, event) ? &candidate : nullptr;
    }

private:
    Event first_;
    Event second_;
};

using Pairs = std::map<std::pair<std::uint32_t, std::uint32_t>, std::uint64_t>;

// Sweeps the touches of dispatches [first, last), between which no barrier stands, by address.
void sweep(std::span<const RecordedDispatch> dispatches, std::uint32_t first, std::uint32_t last,
           Pairs& found) {
    std::vector<Event> events;
    for (std::uint32_t d = first; d < last; ++d)
        for (const AddressTouch& touch : dispatches[d].touches)
            if (touch.begin < touch.end)
                events.push_back({touch.begin, touch.end, d, touch.job, touch.write});
    std::sort(events.begin(), events.end(), [](const Event& a, const Event& b) { return a.begin < b.begin; });

    Furthest readers, writers;
    for (const Event& event : events) {
        const Event* conflict = writers.other_than(event);
        if (conflict == nullptr && event.write) conflict = readers.other_than(event);
        if (conflict != nullptr) found.emplace(std::minmax(conflict->dispatch, event.dispatch), event.begin);
        (event.write ? writers : readers).add(event);
    }
}

}  // namespace

std::vector<Hazard> find_hazards(std::span<const RecordedDispatch> dispatches) {
    Pairs found;
    std::uint32_t first = 0;
    for (std::uint32_t d = 1; d <= dispatches.size(); ++d)
        if (d == dispatches.size() || dispatches[d].barrier_before) {
            sweep(dispatches, first, d, found);
            first = d;
        }
    std::vector<Hazard> hazards;
    for (const auto& [pair, address] : found) hazards.push_back({pair.first, pair.second, address});
    return hazards;
}

}  // namespace heron
