// SPDX-License-Identifier: MIT
// What operations over many tensors share: their checks, how they are cut into workgroups, how they enter a
// graph.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "heron/graph.hpp"
#include "linalg/integers.hpp"

namespace heron {

// `count` elements without gaps, of that dtype. `name` as in errors.
void check_vector(std::string_view who, const std::string& name, const Graph& graph, const Tensor& tensor,
                  std::uint64_t count, DType dtype);
// The same of f32, f16 or bf16.
void check_float_vector(std::string_view who, const std::string& name, const Graph& graph,
                        const Tensor& tensor, std::uint64_t count);

// The tensors of an operation: none that is written may overlap another one. In n log n, for many parameters.
class Extents {
public:
    explicit Extents(const Graph& graph) : graph_(graph) {}
    void read(std::string name, const Tensor& tensor) { add(std::move(name), tensor, false); }
    void written(std::string name, const Tensor& tensor) { add(std::move(name), tensor, true); }
    void check(std::string_view who);

private:
    struct Extent {
        std::string name;
        Tensor tensor;
        bool external, written;
        std::uint32_t id;
        std::uint64_t begin, end;
    };
    void add(std::string name, const Tensor& tensor, bool written);
    const Graph& graph_;
    std::vector<Extent> extents_;
};

// Workgroups of passes that add up over all parts: their number is bounded for the kernel that sums them up.
// lavapipe ends loops after 65,535 rounds.
struct Chunks {
    Chunks(const Device& device, std::uint64_t elements);
    std::uint64_t length() const { return std::uint64_t{threads} * per_thread; }
    std::uint64_t of(std::uint64_t elements) const { return ceil_div(elements, length()); }
    std::string text() const;

    std::uint32_t threads, per_thread;
};

// Workgroups of element-wise passes; an invocation writes `wide` neighbours in each of its rounds.
struct PassGrid {
    explicit PassGrid(const Device& device, std::uint32_t wide = 1)
        : threads(device.capabilities().cpu ? 8 : 128),
          per_thread(device.capabilities().cpu ? 64 : 1),
          wide_(wide) {}
    std::uint64_t groups(std::uint64_t elements) const {
        return ceil_div(elements, std::uint64_t{wide_} * threads * per_thread);
    }

    std::vector<SpecConstant> constants() const;

    std::uint32_t threads, per_thread;

private:
    std::uint32_t wide_;
};

// `operation`, with what is not in the job, into the graph. `reason`: why this kernel, as describe() prints
// it.
void add_operation(Graph& graph, Operation operation, std::vector<SpecConstant> constants, double flops,
                   double bytes, bool guarded, std::string reason = {});
// The same of one that has its FLOPs and bytes.
void add_operation(Graph& graph, Operation operation, std::vector<SpecConstant> constants, bool guarded,
                   std::string reason);

inline constexpr std::uint64_t kMaxParts = 16384;

}  // namespace heron
