// SPDX-License-Identifier: MIT
// Learning-rate schedules on the host; shaders/optim/advance.comp is the twin on the GPU.
#include <cmath>
#include <numbers>

#include "heron/train.hpp"
#include "optim/checks.hpp"

namespace heron {

namespace {
void check_factor(float factor) {
    check_option("Schedule", "a factor", factor, factor >= 0, "finite and not below 0");
}
}  // namespace

Schedule Schedule::then(Piece piece) const {
    check_factor(piece.from);
    check_factor(piece.to);
    if (piece.kind == Kind::exponential && (piece.from <= 0 || piece.to <= 0))
        refuse("Schedule: an exponential piece goes from " + number_text(piece.from) + " to " +
               number_text(piece.to) + "; both factors must be above 0");
    if (piece.kind != Kind::constant && piece.steps == 0)
        refuse("Schedule: a piece that is not constant has 0 steps, needs at least 1");
    if (!pieces_.empty() && pieces_.back().steps == 0)
        refuse(
            "Schedule: a piece follows a constant one that lasts for ever; give that one a number of steps");
    Schedule longer = *this;
    longer.pieces_.push_back(piece);
    return longer;
}

namespace {
float final_factor_of(const Schedule& schedule) {
    return schedule.pieces().empty() ? 1.0f : schedule.pieces().back().to;
}
}  // namespace

Schedule Schedule::constant(float factor, std::uint32_t steps) {
    return Schedule().then({Kind::constant, steps, factor, factor});
}
Schedule Schedule::linear(float from, float to, std::uint32_t steps) {
    return Schedule().then({Kind::linear, steps, from, to});
}
Schedule Schedule::cosine(float from, float to, std::uint32_t steps) {
    return Schedule().then({Kind::cosine, steps, from, to});
}
Schedule Schedule::exponential(float from, float to, std::uint32_t steps) {
    return Schedule().then({Kind::exponential, steps, from, to});
}

Schedule Schedule::sequence(std::span<const float> factors) {
    Schedule schedule;
    for (const float factor : factors) {
        check_factor(factor);
        schedule.pieces_.push_back({Kind::constant, 1, factor, factor});
    }
    return schedule;
}

Schedule Schedule::then_constant(std::uint32_t steps) const {
    const float factor = final_factor_of(*this);
    return then({Kind::constant, steps, factor, factor});
}
Schedule Schedule::then_linear(float to, std::uint32_t steps) const {
    return then({Kind::linear, steps, final_factor_of(*this), to});
}
Schedule Schedule::then_cosine(float to, std::uint32_t steps) const {
    return then({Kind::cosine, steps, final_factor_of(*this), to});
}
Schedule Schedule::then_exponential(float to, std::uint32_t steps) const {
    return then({Kind::exponential, steps, final_factor_of(*this), to});
}

Schedule Schedule::warmup_cosine(std::uint32_t warmup, std::uint32_t total, float final_factor) {
    if (total <= warmup)
        refuse("Schedule::warmup_cosine: total is " + std::to_string(total) +
               ", must be more than the warm-up's " + std::to_string(warmup));
    const Schedule start = warmup > 0 ? linear(0.0f, 1.0f, warmup) : Schedule();
    return start.then_cosine(final_factor, total - warmup);
}

Schedule Schedule::warmup_stable_decay(std::uint32_t warmup, std::uint32_t total, std::uint32_t decay,
                                       float final_factor) {
    if (decay == 0 || warmup > total || decay > total - warmup)
        refuse("Schedule::warmup_stable_decay: a warm-up of " + std::to_string(warmup) + " and a decay of " +
               std::to_string(decay) + " steps, the latter at least 1, must fit the total of " +
               std::to_string(total));
    Schedule schedule = warmup > 0 ? linear(0.0f, 1.0f, warmup) : Schedule();
    const std::uint32_t stable = total - warmup - decay;
    if (stable > 0) schedule = schedule.then_constant(stable);
    return schedule.then_linear(final_factor, decay);
}

double Schedule::factor(std::uint64_t step) const {
    std::uint64_t elapsed = step == 0 ? 0 : step - 1;
    double factor = 1.0;
    for (const Piece& piece : pieces_) {
        if (piece.steps == 0) return piece.from;
        if (elapsed < piece.steps) {
            const double x = static_cast<double>(elapsed) / piece.steps;
            const double from = piece.from, to = piece.to;
            switch (piece.kind) {
                case Kind::constant:
                    return from;
                case Kind::linear:
                    return from + (to - from) * x;
                case Kind::cosine:
                    return from + (to - from) * 0.5 * (1.0 - std::cos(std::numbers::pi * x));
                case Kind::exponential:
                    return from * std::exp(x * std::log(to / from));
            }
        }
        elapsed -= piece.steps;
        factor = piece.to;
    }
    return factor;
}

}  // namespace heron
