// SPDX-License-Identifier: MIT
// A graph collects operations on tensors; compile() turns it into a plan (plan.hpp). Optimizers are built on
// it, and so can be an application's own kernels (KernelInfo): every kernel is a grouped kernel, which does
// one stage for many tensors at once.
#pragma once

#include <algorithm>
#include <compare>
#include <concepts>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <type_traits>
#include <vector>

#include "heron/device.hpp"
#include "heron/export.hpp"
#include "heron/tensor.hpp"

namespace heron {

class Plan;
struct PlanOptions;

// A tensor of one graph, or a part of one. A handle: copying one copies no data.
struct HERON_API Tensor {
    static constexpr std::uint32_t kNone = 0xffffffff;

    std::uint32_t id = kNone;       // the memory object in its graph
    std::uint32_t graph = 0;        // which graph that is: graphs of a process are counted from 1
    std::uint64_t byte_offset = 0;  // of the first element, from the object's start
    DType dtype = DType::f32;
    Shape shape;                   // the last two axes are rows and columns, those before them a batch
    std::uint64_t row_stride = 0;  // elements between two rows; 0 = contiguous

    explicit operator bool() const { return id != kNone; }
    std::uint64_t rows() const;    // 1 for vectors and scalars
    std::uint64_t cols() const;    // 1 for scalars
    std::uint64_t batch() const;   // product of the axes before the last two
    std::uint64_t stride() const;  // elements between two rows, never 0 unless there are no columns
    std::uint64_t span_bytes() const;

    // Rows [first, first + count) of a matrix; throws (invalid_argument) outside of it.
    Tensor row_range(std::uint64_t first, std::uint64_t count) const;
    // One matrix of a batch.
    Tensor batch_item(std::uint64_t index) const;
    // The same elements under another shape of the same count; contiguous tensors only.
    Tensor reshape(const Shape& to) const;
};

enum class Access : std::uint8_t { read, write, read_write };  // what an operation does with an operand

// Value of a specialization constant; ids are the SPEC_ constants of core/shared.h, or an application's own
// from 64 on.
struct SpecConstant {
    std::uint32_t id;
    std::uint32_t value;
    bool operator==(const SpecConstant&) const = default;
};

// A grouped kernel: its SPIR-V and the layout of its job struct. Lives as long as the graphs and plans that
// use it (in practice a constant).
//
// A kernel of an application's own is a job struct in a header that GLSL and C++ share (it includes
// core/shared.h), a shader that includes core/kernel.glsl, and one line of CMake, after find_package(heron)
// or add_subdirectory(heron):
//
//   heron_shader(decay decay.comp TARGET my_program)   # heron::spirv::decay, in heron/spirv/decay.hpp
//
// shaders/README.md shows it step by step; it is installed in share/heron/shaders, with core/ beside it.
struct KernelInfo {
    const char* name;
    std::span<const std::uint32_t> spirv;
    std::uint32_t job_bytes;
    std::uint32_t first_group_offset;  // byte offset of the job's `uint first_group`
    std::uint64_t address_slots;       // bit i: the 8 bytes of a job from 8 i on are an address
};

// Where a job struct has addresses (KernelInfo::address_slots): found by what each of its members before
// first_group, and of the structs and arrays among them, can be initialized with. Any std::uint64_t counts as
// an address, so a 64-bit number is two of 32 bits. Of more than 512 bytes the first 512 are searched.
namespace job_layout {

constexpr std::uint64_t kUnknown = ~std::uint64_t{0};  // a member is neither an address nor a 32-bit number

struct AnyAddress {  // becomes an address (core/shared.h), and nothing else
    template <std::same_as<std::uint64_t> T>
    // NOLINTNEXTLINE(google-explicit-constructor): aggregates are tried with it
    constexpr operator T() const {
        return 0;
    }
};
template <class T>
concept Number = std::is_arithmetic_v<T> && sizeof(T) == 4;
struct AnyNumber {
    template <Number T>
    // NOLINTNEXTLINE(google-explicit-constructor): aggregates are tried with it
    constexpr operator T() const {
        return 0;
    }
};

template <class Job, std::uint64_t kBytes = 0, class... Members>
constexpr std::uint64_t address_slots(std::uint64_t slots = 0) {
    if constexpr (kBytes >= offsetof(Job, first_group) || kBytes >= 512) {
        return slots;
    } else if constexpr (requires { Job{Members{}..., AnyAddress{}}; }) {
        constexpr std::uint64_t kSlot = (kBytes + 7) / 8;
        return address_slots<Job, 8 * kSlot + 8, Members..., AnyAddress>(slots | std::uint64_t{1} << kSlot);
    } else if constexpr (requires { Job{Members{}..., AnyNumber{}}; }) {
        return address_slots<Job, kBytes + 4, Members..., AnyNumber>(slots);
    } else {
        return kUnknown;
    }
}

}  // namespace job_layout

template <class Job>
constexpr KernelInfo make_kernel(const char* name, std::span<const std::uint32_t> spirv) {
    static_assert(std::is_trivially_copyable_v<Job> && sizeof(Job) % 8 == 0,
                  "jobs are plain and a multiple of 8 bytes");
    constexpr std::uint64_t kSlots = job_layout::address_slots<Job>();
    static_assert(kSlots != job_layout::kUnknown, "a job's members are addresses and numbers of 32 bits");
    return {name, spirv, sizeof(Job), static_cast<std::uint32_t>(offsetof(Job, first_group)), kSlots};
}

// A tensor of a job: where its address goes, and what the kernel does with its bytes. Tensors that a job does
// without have no operand; the plan puts a readable address in their place, since drivers may load what no
// branch that is taken asks for.
struct Operand {
    static constexpr std::uint32_t kNoField = 0xffffffff;  // a dependency whose address the job does not hold
    std::uint32_t field;                                   // byte offset of the address in the job struct
    Tensor tensor;
    Access access;
};

// One job of one kernel.
struct Operation {
    const KernelInfo* kernel = nullptr;
    std::vector<SpecConstant> constants;  // the variant
    std::string reason;                   // why this kernel and variant, for describe()
    std::vector<std::byte> job;           // addresses and first_group are filled in by the plan
    std::vector<Operand> operands;
    std::uint64_t groups = 0;  // workgroups; 0 makes the operation vanish
    double flops = 0;
    double bytes = 0;     // of memory traffic, every operand of every pass once
    bool guarded = true;  // skipped on the GPU in steps that are skipped (non-finite gradients)
};

template <class Job>
Operation make_operation(const KernelInfo& kernel, const Job& job, std::vector<Operand> operands,
                         std::uint64_t groups) {
    Operation operation;
    operation.kernel = &kernel;
    operation.job.resize(sizeof(Job));
    std::memcpy(operation.job.data(), &job, sizeof(Job));
    operation.operands = std::move(operands);
    operation.groups = groups;
    return operation;
}

// The separate programs of a plan.
enum class Phase : std::uint8_t {
    step,        // what Plan::record records
    initialize,  // once, before the first step: first values of states
    accumulate,  // adds one micro-batch's gradients
};

// Operations that run only in some steps: those whose number (from 0) modulo the interval is `phase`, modulo
// the interval, and in which their gate is open. Which steps that are is decided on the GPU, from the steps
// done.
struct Section {
    std::uint32_t interval = 1;  // 1 to 2^31
    std::uint32_t phase = 0;     // below the longest interval
    bool first =
        false;  // and in step `start`, whatever the rest says: for what later steps cannot do without
    std::uint32_t start = 0;      // no step before this one
    std::uint32_t growth = 0;     // above 0: the interval doubles after every so many steps ...
    std::uint32_t doublings = 0;  // ... this often; 2^doublings interval is at most 2^31
    // Not 0: of those steps only the ones in which the value before that number, counted from 1, of the
    // kernel that starts a step (section_table()) is 0. heron::compile's kernel has values for chance and for
    // counting.
    std::uint32_t gate = 0;
    auto operator<=>(const Section&) const = default;

    bool every_step() const {
        return interval == 1 && start == 0 && (growth == 0 || doublings == 0) && gate == 0;
    }
    std::uint64_t interval_at(std::uint32_t step) const {
        return std::uint64_t{interval} << (growth == 0 ? 0 : std::min(step / growth, doublings));
    }
    // The first step from `from` on that is its turn, as if its gate were open.
    HERON_API std::uint64_t next_run(std::uint32_t from) const;
    // Whether it runs in that step, from 0, whose gate is open or not.
    bool runs(std::uint32_t step, bool open = true) const {
        const std::uint64_t now = interval_at(step);
        return step >= start && ((open && step % now == phase % now) || (first && step == start));
    }
};

// Threads: one graph is used by one thread at a time.
class HERON_API Graph {
public:
    explicit Graph(const Device& device);
    ~Graph();
    Graph(Graph&&) noexcept;
    Graph& operator=(Graph&&) noexcept;

    const Device& device() const;

    // Memory of the caller. Views may overlap or be given twice; the scheduler orders what touches the same
    // bytes. Can be moved later with Plan::rebind(name).
    Tensor external(std::string name, const TensorView& view);
    // Memory that lives from step to step, zero at first, saved in checkpoints under its name (unique in the
    // graph). Reports to the host, which no step reads, need not be `saved`: a plan that loads a checkpoint
    // has zeros there.
    Tensor state(std::string name, DType dtype, const Shape& shape, bool saved = true);
    // Memory between operations of one phase; shares bytes with other temporaries that are not alive at the
    // same time. Used in several phases, it holds nothing at the beginning of each.
    Tensor temporary(DType dtype, const Shape& shape);
    // Constants, uploaded when memory is bound. The host may change them between steps: see Plan::table.
    Tensor table(std::span<const std::byte> bytes);
    // Host-readable memory that kernels write for the host: see Plan::readback.
    Tensor readback(std::uint64_t bytes);

    // The step's control block (shaders/core/push.h), which every kernel reaches through its push constants;
    // states on the first call. A graph without one has no guard and no sections.
    Tensor control();
    // For the kernel that starts a step (shaders/core/section.h): the table of all dispatches that belong to
    // sections, and the arguments of their indirect dispatches, which that kernel writes. Sizes are known
    // only to compile().
    Tensor section_table();
    Tensor section_arguments();

    // What is added from here on belongs to ... (labels appear in describe() and in debuggers).
    void set_phase(Phase phase);
    void set_stage(std::string_view label);
    void set_section(Section section);  // {} is "every step"

    // Throws (invalid_argument) for a job of the wrong size, operands of another graph, or a misused section.
    void add(Operation operation);

    // Schedules everything added so far. Allocates no device memory. Defined in plan.hpp's terms.
    Plan compile(const PlanOptions& options) const;

    struct Impl;
    Impl& impl() const { return *impl_; }

private:
    std::unique_ptr<Impl> impl_;
};

}  // namespace heron
