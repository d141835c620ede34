// SPDX-License-Identifier: MIT
// Schedules as values of C. Every check is the C++ class's: pieces become one of its objects and come back.
#include <algorithm>
#include <span>

#include "c/convert.hpp"

namespace heron::c {

void fill_schedule(heron_schedule& c, const Schedule& schedule) {
    const std::vector<Schedule::Piece>& pieces = schedule.pieces();
    if (pieces.size() > HERON_SCHEDULE_PIECES)
        refuse("a schedule has " + std::to_string(pieces.size()) + " pieces, with room for " +
               std::to_string(HERON_SCHEDULE_PIECES) + "; longer ones go into piece_list");
    heron_schedule filled{};
    filled.piece_count = static_cast<std::uint32_t>(pieces.size());
    for (std::size_t i = 0; i < pieces.size(); ++i)
        filled.pieces[i] = {static_cast<heron_schedule_kind>(pieces[i].kind), pieces[i].steps, pieces[i].from,
                            pieces[i].to};
    c = filled;
}

namespace {

constexpr std::uint32_t kKinds = 4;

std::span<const heron_schedule_piece> pieces_of(const heron_schedule& c) {
    if (c.piece_list != nullptr) return {c.piece_list, c.piece_count};
    if (c.piece_count > HERON_SCHEDULE_PIECES)
        refuse("a schedule has " + std::to_string(c.piece_count) + " pieces, with room for " +
               std::to_string(HERON_SCHEDULE_PIECES) + "; longer ones go into piece_list");
    return {c.pieces, c.piece_count};
}

Schedule first_piece(const heron_schedule_piece& piece) {
    switch (static_cast<Schedule::Kind>(piece.kind)) {
        case Schedule::Kind::constant:
            return Schedule::constant(piece.from, piece.steps);
        case Schedule::Kind::linear:
            return Schedule::linear(piece.from, piece.to, piece.steps);
        case Schedule::Kind::cosine:
            return Schedule::cosine(piece.from, piece.to, piece.steps);
        case Schedule::Kind::exponential:
            return Schedule::exponential(piece.from, piece.to, piece.steps);
    }
    refuse("a heron_schedule_kind is no enumerator");
}

Schedule then_piece(const Schedule& schedule, const heron_schedule_piece& piece) {
    switch (static_cast<Schedule::Kind>(piece.kind)) {
        case Schedule::Kind::constant:
            return schedule.then_constant(piece.steps);
        case Schedule::Kind::linear:
            return schedule.then_linear(piece.to, piece.steps);
        case Schedule::Kind::cosine:
            return schedule.then_cosine(piece.to, piece.steps);
        case Schedule::Kind::exponential:
            return schedule.then_exponential(piece.to, piece.steps);
    }
    refuse("a heron_schedule_kind is no enumerator");
}

}  // namespace

Schedule read_schedule(const heron_schedule& c) {
    const std::span<const heron_schedule_piece> pieces = pieces_of(c);
    for (const heron_schedule_piece& piece : pieces) {
        if (static_cast<std::uint32_t>(piece.kind) >= kKinds)
            refuse("a heron_schedule_kind is " + std::to_string(static_cast<std::uint32_t>(piece.kind)) +
                   ", which is no enumerator");
        if (piece.kind == HERON_SCHEDULE_KIND_CONSTANT && piece.from != piece.to)
            refuse("a constant piece of a schedule goes from one factor to another");
    }
    if (pieces.empty()) return {};
    std::vector<float> steps;  // single factors at the beginning: the form that may jump
    for (const heron_schedule_piece& piece : pieces) {
        if (piece.kind != HERON_SCHEDULE_KIND_CONSTANT || piece.steps != 1) break;
        steps.push_back(piece.from);
    }
    Schedule schedule = steps.empty() ? first_piece(pieces[0]) : Schedule::sequence(steps);
    for (std::size_t i = std::max<std::size_t>(steps.size(), 1); i < pieces.size(); ++i) {
        const float last = schedule.pieces().back().to;
        // NaN is refused by what follows.
        if (pieces[i].from < last || pieces[i].from > last)
            refuse("piece " + std::to_string(i) + " of a schedule begins at " +
                   std::to_string(pieces[i].from) + ", where the one before ends at " + std::to_string(last));
        schedule = then_piece(schedule, pieces[i]);
    }
    return schedule;
}

namespace {

template <class Make>
heron_result make_schedule(heron_schedule* schedule, const Make& make) {
    return guarded([&] { fill_schedule(need(schedule, "schedule"), make()); });
}

// Appends by `then`.
template <class Then>
heron_result extend(heron_schedule* schedule, const Then& then) {
    return guarded([&] {
        if (need(schedule, "schedule").piece_list != nullptr)
            refuse("a schedule with a piece_list is extended by its owner");
        fill_schedule(*schedule, then(read_schedule(*schedule)));
    });
}

}  // namespace

}  // namespace heron::c

using namespace heron::c;
using heron::Schedule;

heron_result heron_schedule_constant(heron_schedule* schedule, float factor, uint32_t steps) {
    return make_schedule(schedule, [&] { return Schedule::constant(factor, steps); });
}
heron_result heron_schedule_linear(heron_schedule* schedule, float from, float to, uint32_t steps) {
    return make_schedule(schedule, [&] { return Schedule::linear(from, to, steps); });
}
heron_result heron_schedule_cosine(heron_schedule* schedule, float from, float to, uint32_t steps) {
    return make_schedule(schedule, [&] { return Schedule::cosine(from, to, steps); });
}
heron_result heron_schedule_exponential(heron_schedule* schedule, float from, float to, uint32_t steps) {
    return make_schedule(schedule, [&] { return Schedule::exponential(from, to, steps); });
}
heron_result heron_schedule_warmup_cosine(heron_schedule* schedule, uint32_t warmup, uint32_t total,
                                          float final_factor) {
    return make_schedule(schedule, [&] { return Schedule::warmup_cosine(warmup, total, final_factor); });
}
heron_result heron_schedule_warmup_stable_decay(heron_schedule* schedule, uint32_t warmup, uint32_t total,
                                                uint32_t decay, float final_factor) {
    return make_schedule(schedule,
                         [&] { return Schedule::warmup_stable_decay(warmup, total, decay, final_factor); });
}

heron_result heron_schedule_sequence(heron_schedule* schedule, const float* factors, uint32_t count,
                                     heron_schedule_piece* storage) {
    return guarded([&] {
        need(schedule, "schedule");
        const Schedule made = Schedule::sequence(need_list(factors, count, "factors"));
        if (storage == nullptr) return fill_schedule(*schedule, made);
        for (std::uint32_t i = 0; i < count; ++i)
            storage[i] = {HERON_SCHEDULE_KIND_CONSTANT, 1, factors[i], factors[i]};
        *schedule = {};
        schedule->piece_count = count;
        schedule->piece_list = storage;
    });
}

heron_result heron_schedule_then_constant(heron_schedule* schedule, uint32_t steps) {
    return extend(schedule, [&](const Schedule& before) { return before.then_constant(steps); });
}
heron_result heron_schedule_then_linear(heron_schedule* schedule, float to, uint32_t steps) {
    return extend(schedule, [&](const Schedule& before) { return before.then_linear(to, steps); });
}
heron_result heron_schedule_then_cosine(heron_schedule* schedule, float to, uint32_t steps) {
    return extend(schedule, [&](const Schedule& before) { return before.then_cosine(to, steps); });
}
heron_result heron_schedule_then_exponential(heron_schedule* schedule, float to, uint32_t steps) {
    return extend(schedule, [&](const Schedule& before) { return before.then_exponential(to, steps); });
}

heron_result heron_schedule_factor(const heron_schedule* schedule, uint64_t step, double* factor) {
    return guarded([&] {
        const Schedule read = read_schedule(need(schedule, "schedule"));
        need(factor, "factor") = read.factor(step);
    });
}
