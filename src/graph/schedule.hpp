// SPDX-License-Identifier: MIT
// From operations in program order to levels of merged dispatches.
//
// An operation's level is one more than the highest level among the earlier operations that it conflicts with
// (same bytes, one of them writes). Operations of one level are independent, so those of the same kernel and
// variant become one dispatch, and one barrier between levels suffices.
#pragma once

#include <cstdint>
#include <vector>

#include "graph/byte_rows.hpp"
#include "graph/graph.hpp"

namespace heron {

// Bytes of an object as an operation touches them. Overlapping externals share a domain, so that equal bytes
// have equal (domain, offset) whatever name they are reached by.
struct Touch {
    std::uint32_t domain;
    ByteRows bytes;
    bool write;
};

class Domains {
public:
    explicit Domains(const std::vector<Object>& objects);
    Touch touch(const Object& object, const Operand& operand) const;
    // The object overlaps the same others, at the same distances.
    bool same(const Domains& other, std::uint32_t object) const {
        return domain_[object] == other.domain_[object] && shift_[object] == other.shift_[object];
    }

private:
    std::vector<std::uint32_t> domain_;
    std::vector<std::uint64_t> shift_;
};

// The jobs of one kernel and variant in one level.
struct Batch {
    std::vector<std::uint32_t> nodes;  // in program order; one job each
    std::uint32_t level = 0;
    std::uint64_t groups = 0;
    double flops = 0;
    double bytes = 0;
    std::uint64_t job_offset = 0;  // of the job array in the tables' memory
};

// A range of a batch's workgroups: all of them, unless the batch is too long for one dispatch.
struct Dispatch {
    std::uint32_t batch = 0;
    std::uint64_t first_group = 0;
    std::uint64_t end_group = 0;
    std::uint32_t x = 0;
    std::uint32_t y = 0;
    std::uint32_t section_entry = kNoSection;  // index of its indirect arguments
    double flops = 0;
    double bytes = 0;

    static constexpr std::uint32_t kNoSection = 0xffffffff;
    bool in_section() const { return section_entry != kNoSection; }
};

struct Lifetime {
    std::uint32_t first = 0xffffffff;  // levels, inclusive; first > last: never used
    std::uint32_t last = 0;
};

struct DispatchSchedule {
    std::vector<Batch> batches;  // by level
    std::vector<Dispatch> dispatches;
    std::uint32_t levels = 0;
    std::vector<Lifetime> lifetimes;  // per object

    std::uint32_t level_of(const Dispatch& dispatch) const { return batches[dispatch.batch].level; }
};

struct DispatchLimits {
    double flops;
    double bytes;
    std::uint32_t max_x;
    std::uint32_t max_y;
};

// Throws (invalid_argument) for temporaries that are read before they are written, or that cross a phase or a
// section.
DispatchSchedule schedule(const Graph::Impl& graph, const Domains& domains, Phase phase,
                          const DispatchLimits& limits);

}  // namespace heron
