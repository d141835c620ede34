// SPDX-License-Identifier: MIT
// Plan: sections, whose dispatches are indirect ones, and the steps that can do without any of them.
#include <algorithm>
#include <atomic>
#include <cstddef>
#include <cstring>

#include "core/push.h"
#include "core/section.h"
#include "graph/plan.hpp"
#include "graph/section_entry.hpp"

namespace heron {

static_assert(sizeof(gpu::SectionEntry) == 4 * gpu::SECTION_TABLE_HEADER_WORDS);

// Gives every dispatch of a section its place in the indirect arguments, and the table its size.
void Plan::Impl::number_sections() {
    DispatchSchedule& step = program(Phase::step).schedule;
    for (std::uint32_t d = 0; d < step.dispatches.size(); ++d) {
        const Node& node = graph.nodes[step.batches[step.dispatches[d].batch].nodes.front()];
        if (node.section.every_step()) continue;
        step.dispatches[d].section_entry = static_cast<std::uint32_t>(section_dispatches.size());
        section_dispatches.push_back(d);
        if (std::ranges::find(sections, node.section) == sections.end()) sections.push_back(node.section);
    }
    if (graph.section_table) {
        Object& table = graph.objects[graph.section_table.id];
        table.contents.resize((section_dispatches.size() + 1) * sizeof(gpu::SectionEntry));
        table.bytes = table.contents.size();
        table.shape = Shape{table.bytes / 4};
        std::vector<gpu::SectionEntry> entries(section_dispatches.size() + 1);
        entries[0].x = static_cast<std::uint32_t>(section_dispatches.size());
        for (std::size_t i = 0; i < section_dispatches.size(); ++i) {
            const Dispatch& dispatch = step.dispatches[section_dispatches[i]];
            gpu::SectionEntry& entry = entries[i + 1];
            entry = section_entry(graph.nodes[step.batches[dispatch.batch].nodes.front()].section);
            entry.x = dispatch.x;
            entry.y = dispatch.y;
        }
        std::memcpy(table.contents.data(), entries.data(), table.contents.size());
    }
    if (graph.section_arguments) {
        Object& arguments = graph.objects[graph.section_arguments.id];
        arguments.bytes =
            std::max<std::uint64_t>(4, section_dispatches.size() * gpu::SECTION_ARGUMENT_WORDS * 4);
        arguments.shape = Shape{arguments.bytes / 4};
    }
    if (!section_dispatches.empty() && !graph.section_table)
        refuse(
            "there are sections, but no operation reads the section table and writes the section arguments; "
            "heron::compile adds one");
}

namespace {

constexpr std::uint32_t kNotBegun = 0xffffffff;  // StepControl::tick of a status that nothing has written yet

}  // namespace

// Tick and number of the last step that has begun. A step in flight may have written its tick and not yet its
// number; the number is never older than that of the step before.
gpu::StepControl Plan::Impl::read_status() const {
    const Region& memory = region(RegionKind::readback);
    if (!memory.coherent)
        for (const BufferRange& block : memory.blocks) vk().invalidate(block);
    const std::span<std::byte> status =
        memory.mapped(locations[graph.status.id].offset, sizeof(gpu::StepControl));
    const auto word = [&](std::size_t offset) {
        return std::atomic_ref(*reinterpret_cast<std::uint32_t*>(status.data() + offset))
            .load(std::memory_order_acquire);
    };
    gpu::StepControl control{};
    control.tick = word(offsetof(gpu::StepControl, tick));
    control.step = word(offsetof(gpu::StepControl, step));
    return control;
}

void Plan::Impl::write_status(const gpu::StepControl& control) {
    const Region& memory = region(RegionKind::readback);
    std::memcpy(memory.mapped(locations[graph.status.id].offset, sizeof(control)).data(), &control,
                sizeof(control));
    if (!memory.coherent)
        for (const BufferRange& block : memory.blocks) vk().flush(block);
}

// Steps that were recorded and have not begun run at a time that nobody tells.
void Plan::Impl::note_pending_steps() {
    if (graph.status && initialized && recorded_one_time && read_status().tick != issued) unseen_steps = true;
}

void Plan::Impl::await_status() {
    if (!graph.status) return;
    if (initialized && read_status().tick != issued) unseen_steps = true;
    write_status({.tick = kNotBegun});
    issued = 0;
}

void Plan::Impl::show_control(const gpu::StepControl& control) {
    forget_timings();  // of the steps before: how they went is overwritten
    if (!graph.status) return;
    note_pending_steps();
    write_status(control);
    issued = control.tick;
}

// A dispatch of nothing still costs its barrier, and a refresh may be thousands of them in a row. Which
// sections run is decided on the GPU, but the host can rule all of them out: the steps done are at least what
// the status says, and at most as many more as have been issued since, of which any may yet be skipped. The
// step that is about to be issued matters only if it is not skipped; its number from 0 is that of the steps
// done before it.
bool Plan::Impl::sections_may_run() {
    if (!graph.status || unseen_steps) return true;
    const bool settled = !recorded_one_time && finished_submissions() == submitted;
    const gpu::StepControl status = read_status();
    if (status.tick == kNotBegun) return true;
    if (settled) issued = status.tick;  // a submission that failed has begun nothing
    const std::uint32_t in_flight = issued - status.tick;
    if (in_flight > 0x80000000u) return true;                       // more have run than were issued
    const std::uint32_t done = std::min(status.step, 0xfffffffeu);  // the GPU's count of them ends there
    const std::uint64_t last = std::uint64_t{done} + in_flight + (settled ? 0 : 1);
    return std::ranges::any_of(sections,
                               [&](const Section& section) { return section.next_run(done) <= last; });
}

Sections Plan::Impl::issue_step() {
    if (sections.empty()) return Sections::all;
    const Sections which = sections_may_run() ? Sections::all : Sections::none;
    ++issued;
    return which;
}

}  // namespace heron
