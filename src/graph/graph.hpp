// SPDX-License-Identifier: MIT
// What a graph holds: memory objects, and operations in program order.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "heron/graph.hpp"

namespace heron {

enum class ObjectKind : std::uint8_t {
    external,
    state,
    temporary,
    table,      // written by the host
    readback,   // read by the host
    arguments,  // of indirect dispatches; lies in the state's memory, is not saved
};

struct Object {
    ObjectKind kind = ObjectKind::temporary;
    std::string name;
    DType dtype = DType::f32;
    Shape shape;
    std::uint64_t bytes = 0;
    bool saved = true;                // state: whether it is part of a checkpoint
    TensorView view;                  // external
    std::vector<std::byte> contents;  // table
};

struct Node {
    Operation operation;
    Phase phase;
    Section section;
    std::uint32_t stage;  // index into Graph::Impl::stages
};

// When an optimizer renews its matrices: for describe(), which sees of it no more than sections.
struct RefreshTurns {
    std::string what;                 // "kfac"
    std::vector<Section> sections;    // one a matrix
    std::uint32_t in_first_step = 0;  // so many besides, in that step alone
};

struct StepLayout;  // src/optim/step_layout.hpp

struct Graph::Impl {
    explicit Impl(const Device& owner);

    std::uint32_t add_object(Object object);
    Tensor tensor_of(std::uint32_t id) const;
    // False for the empty tensor and for those of other graphs. (The graph's plans own its tensors, too.)
    bool owns(const Tensor& tensor) const { return tensor.graph == serial && tensor.id < objects.size(); }

    const Device* device;
    std::uint32_t serial;  // Tensor::graph
    std::vector<Object> objects;
    std::vector<Node> nodes;
    std::vector<std::string> stages{""};
    std::unordered_map<std::string, std::uint32_t> names;  // of externals and states
    // Tables of constants that operations share, by what they hold. The host changes none of them.
    std::unordered_map<std::string, Tensor> shared_tables;

    Phase phase = Phase::step;
    Section section;
    std::uint32_t stage = 0;
    std::string purpose;  // see Purpose
    Tensor control;
    Tensor status;  // readback that begins like the control block, where there is one
    Tensor section_table;
    Tensor section_arguments;
    // Where heron::compile put what status() and its siblings look for; null in other graphs. Never changes,
    // so the graph and its plans share it.
    std::shared_ptr<const StepLayout> step_layout;
    // What functions of a step remember on the host from one call to the next (MkorSwitchHistory); each plan
    // has its own.
    std::vector<std::byte> step_memory;
    std::vector<RefreshTurns> refreshes;
};

// While one lives, the reason of every operation that is added begins with its text: which form of a compound
// operation they are of, and why. One inside another adds to it.
class Purpose {
public:
    Purpose(Graph& graph, const std::string& text) : impl_(graph.impl()), outer_(impl_.purpose) {
        impl_.purpose = outer_.empty() ? text : outer_ + "; " + text;
    }
    ~Purpose() { impl_.purpose = outer_; }
    Purpose(const Purpose&) = delete;
    Purpose& operator=(const Purpose&) = delete;

private:
    Graph::Impl& impl_;
    const std::string outer_;
};

}  // namespace heron
