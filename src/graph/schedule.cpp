// SPDX-License-Identifier: MIT
#include "graph/schedule.hpp"

#include <algorithm>
#include <cmath>
#include <map>
#include <numeric>
#include <string>
#include <utility>

#include "heron/error.hpp"

namespace heron {

namespace {

// What one domain has seen so far. A later write that covers an entry dominates it, so lists stay short.
struct Seen {
    ByteRows bytes;
    std::uint32_t level;
    bool write;
};

std::uint32_t level_after(const std::vector<Seen>& history, const Touch& touch) {
    std::uint32_t level = 0;
    for (const Seen& seen : history)
        if ((seen.write || touch.write) && overlap(seen.bytes, touch.bytes))
            level = std::max(level, seen.level + 1);
    return level;
}

void remember(std::vector<Seen>& history, const Touch& touch, std::uint32_t level) {
    if (touch.write) {
        std::erase_if(history, [&](const Seen& seen) { return covers(touch.bytes, seen.bytes); });
    } else {
        for (Seen& seen : history)
            if (!seen.write && covers(touch.bytes, seen.bytes) && covers(seen.bytes, touch.bytes)) {
                seen.level = std::max(seen.level, level);
                return;
            }
    }
    history.push_back({touch.bytes, level, touch.write});
}

// Operations with equal keys in one level are one dispatch.
struct BatchKey {
    std::uint32_t level;
    const KernelInfo* kernel;
    std::vector<std::uint32_t> constants;
    bool guarded;
    Section section;
    std::uint32_t stage;
    auto operator<=>(const BatchKey&) const = default;
};

BatchKey key_of(const Node& node, std::uint32_t level) {
    BatchKey key{level, node.operation.kernel, {}, node.operation.guarded, node.section, node.stage};
    for (const SpecConstant& constant : node.operation.constants) {
        key.constants.push_back(constant.id);
        key.constants.push_back(constant.value);
    }
    return key;
}

// Temporaries hold nothing before their first write, nothing after their phase, and nothing when their
// section is skipped.
class TemporaryRules {
public:
    explicit TemporaryRules(const Graph::Impl& graph)
        : graph_(graph), writer_(graph.objects.size(), nullptr) {}

    void check(const Node& node, const Operand& operand) {
        const Object& object = graph_.objects[operand.tensor.id];
        if (object.kind != ObjectKind::temporary || object.bytes == 0) return;
        const std::string who =
            std::string(node.operation.kernel->name) + ": a temporary of shape " + object.shape.text();
        const Node*& writer = writer_[operand.tensor.id];
        if (writer == nullptr && operand.access != Access::write)
            throw Error(ErrorCode::invalid_argument,
                        who + " is read before anything in its phase has written it");
        if (writer == nullptr) writer = &node;
        if (!(writer->section == node.section) && !writer->section.every_step())
            throw Error(ErrorCode::invalid_argument, who +
                                                         " is written in a section and used outside of it; "
                                                         "use a state, which keeps its content in "
                                                         "the steps that skip the section");
    }

private:
    const Graph::Impl& graph_;
    std::vector<const Node*> writer_;
};

void split(const DispatchSchedule& schedule, std::uint32_t index, const DispatchLimits& limits,
           std::vector<Dispatch>& out) {
    const Batch& batch = schedule.batches[index];
    const double wanted = std::max(batch.flops / limits.flops, batch.bytes / limits.bytes);
    const double most_groups = static_cast<double>(limits.max_x) * limits.max_y;
    const auto groups_in_all = static_cast<double>(batch.groups);
    // Compared as numbers with a fraction: `wanted` may be too large for an integer.
    const auto parts = static_cast<std::uint64_t>(
        std::min(std::max({1.0, std::ceil(wanted), std::ceil(groups_in_all / most_groups)}), groups_in_all));
    for (std::uint64_t part = 0; part < parts; ++part) {
        Dispatch dispatch;
        dispatch.batch = index;
        dispatch.first_group = batch.groups * part / parts;
        dispatch.end_group = batch.groups * (part + 1) / parts;
        const std::uint64_t groups = dispatch.end_group - dispatch.first_group;
        const std::uint64_t y = (groups + limits.max_x - 1) / limits.max_x;
        dispatch.y = static_cast<std::uint32_t>(y);
        dispatch.x = static_cast<std::uint32_t>((groups + y - 1) / y);
        const double share = static_cast<double>(groups) / static_cast<double>(batch.groups);
        dispatch.flops = batch.flops * share;
        dispatch.bytes = batch.bytes * share;
        out.push_back(dispatch);
    }
}

}  // namespace

Domains::Domains(const std::vector<Object>& objects) : domain_(objects.size()), shift_(objects.size(), 0) {
    std::iota(domain_.begin(), domain_.end(), 0u);
    std::vector<std::uint32_t> externals;
    for (std::uint32_t id = 0; id < objects.size(); ++id)
        if (objects[id].kind == ObjectKind::external && objects[id].bytes > 0) externals.push_back(id);
    std::sort(externals.begin(), externals.end(), [&](std::uint32_t a, std::uint32_t b) {
        return std::pair(objects[a].view.address, a) < std::pair(objects[b].view.address, b);
    });
    std::uint32_t first = 0;  // of the run of overlapping externals
    VkDeviceAddress end = 0;
    for (std::uint32_t id : externals) {
        const VkDeviceAddress address = objects[id].view.address;
        if (end == 0 || address >= end) {
            first = id;
            end = address;
        }
        domain_[id] = first;
        shift_[id] = address - objects[first].view.address;
        end = std::max(end, address + objects[id].bytes);
    }
}

Touch Domains::touch(const Object& object, const Operand& operand) const {
    const std::uint32_t id = operand.tensor.id;
    const bool write = operand.access != Access::read;
    // Their size is known only after scheduling; every use touches all of it.
    if (object.kind == ObjectKind::arguments) return {domain_[id], {0, 1}, write};
    return {domain_[id], byte_rows(operand.tensor, shift_[id]), write};
}

DispatchSchedule schedule(const Graph::Impl& graph, const Domains& domains, Phase phase,
                          const DispatchLimits& limits) {
    DispatchSchedule result;
    result.lifetimes.resize(graph.objects.size());
    std::vector<std::vector<Seen>> histories(graph.objects.size());
    std::map<BatchKey, std::uint32_t> index;
    TemporaryRules rules(graph);

    for (std::uint32_t n = 0; n < graph.nodes.size(); ++n) {
        const Node& node = graph.nodes[n];
        if (node.phase != phase) continue;
        std::uint32_t level = 0;
        for (const Operand& operand : node.operation.operands) {
            rules.check(node, operand);
            const Touch touch = domains.touch(graph.objects[operand.tensor.id], operand);
            if (!touch.bytes.empty()) level = std::max(level, level_after(histories[touch.domain], touch));
        }
        for (const Operand& operand : node.operation.operands) {
            const Touch touch = domains.touch(graph.objects[operand.tensor.id], operand);
            if (!touch.bytes.empty()) remember(histories[touch.domain], touch, level);
            Lifetime& life = result.lifetimes[operand.tensor.id];
            life.first = std::min(life.first, level);
            life.last = std::max(life.last, level);
        }
        const auto [entry, created] =
            index.emplace(key_of(node, level), static_cast<std::uint32_t>(result.batches.size()));
        if (created) {
            result.batches.emplace_back();
            result.batches.back().level = level;
        }
        Batch& batch = result.batches[entry->second];
        batch.nodes.push_back(n);
        batch.groups += node.operation.groups;
        batch.flops += node.operation.flops;
        batch.bytes += node.operation.bytes;
        result.levels = std::max(result.levels, level + 1);
        if (batch.groups > 0x7fffffff)
            throw Error(ErrorCode::unsupported,
                        std::string(node.operation.kernel->name) +
                            ": more than 2^31 workgroups in one dispatch; use several plans");
    }
    std::stable_sort(result.batches.begin(), result.batches.end(),
                     [](const Batch& a, const Batch& b) { return a.level < b.level; });
    for (std::uint32_t b = 0; b < result.batches.size(); ++b) split(result, b, limits, result.dispatches);
    return result;
}

}  // namespace heron
