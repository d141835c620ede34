// SPDX-License-Identifier: MIT
// Plan: counts, the readable description, and the hazard check.
#include <algorithm>
#include <cstdio>
#include <iterator>
#include <map>
#include <numeric>
#include <set>
#include <string_view>

#include "core/shared.h"
#include "graph/plan.hpp"

namespace heron {

namespace {

std::string scaled(double value, const char* unit) {
    const char* prefix = "";
    for (const char* next : {"k", "M", "G", "T"}) {
        if (value < 1000) break;
        value /= 1000;
        prefix = next;
    }
    char text[48];
    std::snprintf(text, sizeof(text), "%.3g %s%s", value, prefix, unit);
    return text;
}

// "1 level", "2 levels"
std::string counted(std::uint64_t count, const char* one, const char* plural_end = "s") {
    return std::to_string(count) + " " + one + (count == 1 ? "" : plural_end);
}

// Phase and start count steps from 0, as sections do.
std::string section_text(const Section& section) {
    // Once, as far as anybody will see.
    if (section.first && section.interval > 1u << 30) return "in step " + std::to_string(section.start);
    std::string text =
        "every " + std::to_string(section.interval) + " steps (phase " + std::to_string(section.phase);
    if (section.growth > 0 && section.doublings > 0)
        text += ", doubled " + std::to_string(section.doublings) + " times, after every " +
                std::to_string(section.growth) + " steps";
    if (section.start > 0) text += ", from step " + std::to_string(section.start) + " on";
    text += ")";
    if (section.gate != 0) text += " while gate " + std::to_string(section.gate) + " is open";
    return text + (section.first ? section.start > 0 ? " and in that" : " and in the first" : "");
}

void add(StepCost& sum, const Batch& batch, double share = 1) {
    sum.flops += share * batch.flops;
    sum.bytes += share * batch.bytes;
}

std::string cost_text(const StepCost& cost) {
    return scaled(cost.flops, "FLOP") + ", " + scaled(cost.bytes, "B");
}

// Of the batches of a phase. A batch is one section's.
struct PhaseCost {
    PhaseCost(const DispatchSchedule& schedule, const std::vector<Node>& nodes) {
        for (const Batch& batch : schedule.batches) {
            const Section& section = nodes[batch.nodes.front()].section;
            if (section.every_step()) {
                add(always, batch);
                continue;
            }
            add(sections, batch);
            add(mean, batch, 1.0 / section.interval);
            has_sections = true;
            mean_is_bound =
                mean_is_bound || section.gate != 0 || (section.growth > 0 && section.doublings > 0);
        }
    }

    StepCost always;
    StepCost sections;  // all of them together
    StepCost mean;      // of the sections over the steps of their first intervals, with every gate open
    bool has_sections = false;
    bool mean_is_bound = false;  // gates close, or intervals grow
};

// "2 each in steps 0-1, 1 in step 4": how many matrices have their turn in which steps of an interval.
std::string turns_text(const std::map<std::uint32_t, std::uint32_t>& counts) {
    constexpr int kMostRanges = 8;
    std::string text;
    int ranges = 0;
    for (auto begin = counts.begin(); begin != counts.end();) {
        std::uint32_t last = begin->first;
        auto end = std::next(begin);
        for (; end != counts.end() && end->first == last + 1 && end->second == begin->second; ++end)
            last = end->first;
        if (ranges++ == kMostRanges) return text + ", ...";
        const bool one = last == begin->first;
        text += (text.empty() ? "" : ", ") + std::to_string(begin->second);
        text += (one ? " in step " : " each in steps ") + std::to_string(begin->first);
        if (!one) text += "-" + std::to_string(last);
        begin = end;
    }
    return text;
}

std::string refreshes_text(const RefreshTurns& turns) {
    const Section& any = turns.sections.front();    // of one policy: they differ in their phases alone
    std::map<std::uint32_t, std::uint32_t> counts;  // by steps of an interval
    for (const Section& section : turns.sections) ++counts[section.phase % any.interval];
    std::string text = "  refreshes of " + turns.what + ": " + std::to_string(turns.sections.size());
    if (any.interval == 1)
        text += " in every step";
    else
        text += " in " + std::to_string(any.interval) + " steps, " + turns_text(counts) + " of them";
    if (any.growth > 0 && any.doublings > 0) text += " at first";
    if (any.gate != 0) text += ", where a draw or count takes the step";
    if (any.start > 0) text += "; none before step " + std::to_string(any.start);
    if (any.first && any.interval > 1) text += "; all in step " + std::to_string(any.start);
    if (turns.in_first_step > 0) text += "; " + std::to_string(turns.in_first_step) + " in step 0";
    return text + "\n";
}

// What steps take whose sections have their turn.
struct StepCosts {
    double least = 0;  // without sections
    double most = 0;
    std::uint64_t worst = 0;  // the first step, from 0, that takes most
};
StepCosts step_costs(const Graph::Impl& graph) {
    constexpr std::uint64_t kLongestWindow = 20000;
    StepCosts costs;
    std::map<Section, double> sections;
    for (const Node& node : graph.nodes)
        if (node.phase == Phase::step) {
            if (node.section.every_step())
                costs.least += node.operation.flops;
            else
                sections[node.section] += node.operation.flops;
        }
    // From the last start on intervals repeat, until they grow; what is done once is done in a start.
    std::uint64_t last = 0, window = 1;
    std::set<std::uint64_t> begins{0};
    for (const auto& [section, flops] : sections) {
        last = std::max<std::uint64_t>(last, section.start);
        window = std::min(std::lcm(window, std::uint64_t{section.interval}), kLongestWindow);
        if (section.first) begins.insert(section.start);
    }
    begins.insert(last);
    costs.most = costs.least;
    for (const std::uint64_t begin : begins) {
        const std::uint64_t length = begin == last || begin == 0 ? window : 1;
        std::vector<double> flops(length, costs.least);
        for (const auto& [section, more] : sections)
            for (std::uint64_t step = begin;; ++step) {
                step = section.next_run(static_cast<std::uint32_t>(step));
                if (step >= begin + length) break;
                flops[step - begin] += more;
            }
        const auto most = std::ranges::max_element(flops);
        if (*most <= costs.most) continue;
        costs.most = *most;
        costs.worst = begin + static_cast<std::uint64_t>(most - flops.begin());
    }
    return costs;
}

// Of a step with sections, as if all gates were open.
std::string sections_text(const Graph::Impl& graph) {
    std::string text;
    for (const RefreshTurns& turns : graph.refreshes)
        if (!turns.sections.empty()) text += refreshes_text(turns);
    const StepCosts costs = step_costs(graph);
    if (costs.most > costs.least)
        text += "  a step takes at most " + scaled(costs.most, "FLOP") + ", first in step " +
                std::to_string(costs.worst) + "\n";
    return text;
}

}  // namespace

std::string constants_text(std::span<const SpecConstant> constants) {
    std::string text;
    const auto add = [&](std::string_view word) { text.append(text.empty() ? "" : " ").append(word); };
    for (const SpecConstant& constant : constants) {
        const auto* known = std::find_if(std::begin(gpu::kSpecTexts), std::end(gpu::kSpecTexts),
                                         [&](const gpu::SpecText& entry) { return entry.id == constant.id; });
        if (known == std::end(gpu::kSpecTexts)) {
            add(std::to_string(constant.id) + "=" + std::to_string(constant.value));
            continue;
        }
        std::uint32_t rest = constant.value;
        for (std::size_t bit = 0; bit < known->bits.size(); ++bit) {
            if (((rest >> bit) & 1) != 0) add(known->bits[bit]);
            rest &= ~(std::uint32_t{1} << bit);
        }
        if (known->bits.empty() || rest != 0)
            add(std::string(known->name) + "=" +
                (rest < known->values.size() ? std::string(known->values[rest]) : std::to_string(rest)));
    }
    return text;
}

std::uint32_t Plan::dispatch_count(Phase phase) const {
    return static_cast<std::uint32_t>(impl().program(phase).schedule.dispatches.size());
}

std::uint32_t Plan::level_count(Phase phase) const { return impl().program(phase).schedule.levels; }

double Plan::flops() const {
    return PhaseCost(impl().program(Phase::step).schedule, impl().graph.nodes).always.flops;
}

double Plan::bytes() const {
    return PhaseCost(impl().program(Phase::step).schedule, impl().graph.nodes).always.bytes;
}

StepCost Plan::cost(std::uint32_t step) const {
    if (step == 0) impl().refuse("cost: step is 0; steps are counted from 1");
    StepCost sum;
    for (const Batch& batch : impl().program(Phase::step).schedule.batches)
        if (impl().graph.nodes[batch.nodes.front()].section.runs(step - 1)) add(sum, batch);
    return sum;
}

std::string Plan::describe() const {
    const Plan::Impl& plan = impl();
    std::string text = plan.options.name + " on " + plan.graph.device->info().name + "\n";
    text += "memory: state " + scaled(static_cast<double>(state_bytes()), "B") + ", workspace " +
            scaled(static_cast<double>(workspace_bytes()), "B") + ", host-visible " +
            scaled(static_cast<double>(table_bytes() + readback_bytes()), "B") + "\n";
    for (Phase phase : kPhases) {
        const DispatchSchedule& schedule = plan.program(phase).schedule;
        if (schedule.dispatches.empty()) continue;
        const char* name = phase == Phase::step         ? "step"
                           : phase == Phase::initialize ? "initialize"
                                                        : "accumulate";
        const PhaseCost cost(schedule, plan.graph.nodes);
        text += std::string(name) + ": " + counted(schedule.dispatches.size(), "dispatch", "es") + " in " +
                counted(schedule.levels, "level") + ", " + counted(schedule.levels - 1, "barrier") +
                " between them, " + cost_text(cost.always) + " of traffic";
        if (cost.has_sections)
            text += " in every step\n  not in every step: " +
                    counted(plan.section_dispatches.size(), "dispatch", "es") + ", " +
                    cost_text(cost.sections) + " of traffic, all of it together; in the mean " +
                    (cost.mean_is_bound ? "at most " : "") + cost_text(cost.mean) + " a step";
        text += "\n";
        std::map<std::string, std::uint32_t> said;  // why, and in which level first
        std::vector<std::uint32_t> parts(schedule.batches.size(), 0);
        for (const Dispatch& dispatch : schedule.dispatches) ++parts[dispatch.batch];
        for (std::size_t b = 0; b < schedule.batches.size(); ++b) {
            const Batch& batch = schedule.batches[b];
            const Node& node = plan.graph.nodes[batch.nodes.front()];
            const std::string& stage = plan.graph.stages[node.stage];  // empty before any set_stage()
            text += "  level " + std::to_string(batch.level) + "  " + stage + (stage.empty() ? "" : ": ") +
                    node.operation.kernel->name + " x " + counted(batch.nodes.size(), "job") + ", " +
                    counted(batch.groups, "workgroup") + ", " + scaled(batch.flops, "FLOP") + ", " +
                    scaled(batch.bytes, "B");
            if (parts[b] > 1) text += ", in " + std::to_string(parts[b]) + " dispatches";
            if (!node.section.every_step()) text += ", " + section_text(node.section);
            const std::string constants = constants_text(node.operation.constants);
            if (!constants.empty()) text += ", constants " + constants;
            std::vector<std::string_view> clauses;  // jobs of one kernel and variant may share some
            for (const std::uint32_t job : batch.nodes) {
                std::string_view rest = plan.graph.nodes[job].operation.reason;
                while (!rest.empty()) {
                    const std::size_t end = std::min(rest.find("; "), rest.size());
                    const std::string_view clause = rest.substr(0, end);
                    if (std::find(clauses.begin(), clauses.end(), clause) == clauses.end())
                        clauses.push_back(clause);
                    rest.remove_prefix(std::min(end + 2, rest.size()));
                }
            }
            std::string why;
            for (const std::string_view clause : clauses) why.append("; ").append(clause);
            // A chain of products says the same a hundred times.
            const auto [first, is_new] = said.try_emplace(why, batch.level);
            constexpr std::size_t kLong = 80;
            text += is_new || why.size() < kLong ? why : "; as in level " + std::to_string(first->second);
            text += "\n";
        }
        if (phase == Phase::step) text += sections_text(plan.graph);
    }
    return text;
}

std::vector<RecordedDispatch> Plan::Impl::recorded(Phase phase) const {
    const DispatchSchedule& schedule = program(phase).schedule;
    std::vector<RecordedDispatch> result(schedule.batches.size());
    for (std::size_t b = 0; b < schedule.batches.size(); ++b) {
        const Batch& batch = schedule.batches[b];
        result[b].barrier_before = b > 0 && schedule.batches[b - 1].level != batch.level;
        for (std::uint32_t job = 0; job < batch.nodes.size(); ++job)
            for (const Operand& operand : graph.nodes[batch.nodes[job]].operation.operands) {
                const std::uint64_t begin = address(operand.tensor, phase);
                const std::uint64_t bytes = graph.objects[operand.tensor.id].kind == ObjectKind::arguments
                                                ? graph.objects[operand.tensor.id].bytes
                                                : operand.tensor.span_bytes();
                // Row by row, without what the scheduler knows of rows.
                const std::uint64_t size = bytes_of(operand.tensor.dtype),
                                    pitch = operand.tensor.stride() * size,
                                    width = std::min(operand.tensor.cols() * size, bytes);
                const bool gaps = width < pitch;
                for (std::uint64_t row = 0; row < bytes; row += gaps ? pitch : bytes)
                    result[b].touches.push_back({begin + row, begin + row + (gaps ? width : bytes),
                                                 operand.access != Access::read, job});
            }
    }
    return result;
}

std::vector<std::string> Plan::hazards() const {
    impl().require_memory("hazards");
    std::vector<std::string> texts;
    for (Phase phase : kPhases) {
        const DispatchSchedule& schedule = impl().program(phase).schedule;
        for (const Hazard& hazard : find_hazards(impl().recorded(phase))) {
            const auto kernel = [&](std::uint32_t batch) {
                return std::string(
                           impl().graph.nodes[schedule.batches[batch].nodes.front()].operation.kernel->name) +
                       " (batch " + std::to_string(batch) + ")";
            };
            texts.push_back(kernel(hazard.first) + " and " + kernel(hazard.second) + " at address " +
                            std::to_string(hazard.address));
        }
    }
    return texts;
}

}  // namespace heron
