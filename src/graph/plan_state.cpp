// SPDX-License-Identifier: MIT
// Plan: reading, writing, saving and loading states and parameters.
#include <algorithm>
#include <map>

#include "graph/plan.hpp"
#include "graph/transfer.hpp"
#include "heron/state.hpp"

namespace heron {

namespace {

FileDType dtype_in_file(DType dtype) { return dtype == DType::u32 ? FileDType::u32 : file_dtype(dtype); }

struct Saved {
    std::string name;
    DType dtype;
    Shape shape;
    std::uint64_t bytes;
    VkDeviceAddress address;
};

// What save() writes and load() reads: states and the named externals.
std::vector<Saved> saved_tensors(const Plan::Impl& plan, std::span<const std::string> externals) {
    std::vector<Saved> result;
    const auto add = [&](std::uint32_t id) {
        const Object& object = plan.graph.objects[id];
        result.push_back(
            {object.name, object.dtype, object.shape, object.bytes, plan.address(plan.graph.tensor_of(id))});
    };
    for (std::uint32_t id = 0; id < plan.graph.objects.size(); ++id)
        if (plan.graph.objects[id].kind == ObjectKind::state) add(id);
    for (const std::string& name : externals) {
        const std::uint32_t id = plan.object_named(name, ObjectKind::external);
        if (!plan.graph.objects[id].view.contiguous())
            plan.refuse("save or load \"" + name +
                        "\": the tensor has a row stride; only contiguous ones are saved");
        add(id);
    }
    return result;
}

void require_size(const Plan::Impl& plan, const char* what, std::string_view name, const TensorView& state,
                  std::size_t bytes) {
    if (bytes != state.span_bytes())
        plan.refuse(std::string(what) + " \"" + std::string(name) + "\": the state has " +
                    std::to_string(state.span_bytes()) + " bytes, the caller's memory " +
                    std::to_string(bytes));
}

}  // namespace

std::vector<Plan::StateEntry> Plan::states() const {
    std::vector<StateEntry> entries;
    for (const Object& object : impl().graph.objects)
        if (object.kind == ObjectKind::state) entries.push_back({object.name, object.dtype, object.shape});
    return entries;
}

TensorView Plan::state_view(std::string_view name) const {
    return view(impl().graph.tensor_of(impl().object_named(name, ObjectKind::state)));
}

void Plan::read_state(std::string_view name, std::span<std::byte> to) const {
    const TensorView state = state_view(name);
    require_size(impl(), "read_state", name, state, to.size());
    Transfer(device()).read(state.address, to);
}

void Plan::write_state(std::string_view name, std::span<const std::byte> from) {
    const TensorView state = state_view(name);
    require_size(impl(), "write_state", name, state, from.size());
    Transfer(device()).write(state.address, from);
}

void Plan::save(const std::filesystem::path& path, std::span<const std::string> externals,
                const std::map<std::string, std::string>& metadata) const {
    impl().require_memory("save");
    if (impl().cursor != 0) impl().refuse("save: a sliced step is not complete");
    Transfer transfer(device());
    std::vector<FileTensorSource> sources;
    for (const Saved& tensor : saved_tensors(impl(), externals)) {
        FileTensorSource source;
        source.name = tensor.name;
        source.dtype = dtype_in_file(tensor.dtype);
        source.shape.assign(tensor.shape.begin(), tensor.shape.end());
        source.fill = [&transfer, address = tensor.address](std::uint64_t offset,
                                                            std::span<std::byte> chunk) {
            transfer.read(address + offset, chunk);
        };
        sources.push_back(std::move(source));
    }
    write_safetensors(path, sources, metadata);
}

std::map<std::string, std::string> Plan::load(const std::filesystem::path& path,
                                              std::span<const std::string> externals) {
    impl().require_memory("load");
    if (impl().cursor != 0) impl().refuse("load: a sliced step is not complete");
    const SafetensorsReader file(path);
    const std::vector<Saved> tensors = saved_tensors(impl(), externals);
    const auto mismatch = [&](const std::string& text) {
        throw Error(ErrorCode::invalid_argument,
                    impl().options.name + ": load " + path.string() + ": " + text);
    };
    for (const Saved& tensor : tensors) {
        const FileTensor* stored = file.find(tensor.name);
        if (stored == nullptr)
            mismatch("the file has no tensor \"" + tensor.name + "\", which this plan needs");
        if (stored->dtype != dtype_in_file(tensor.dtype) ||
            !std::equal(stored->shape.begin(), stored->shape.end(), tensor.shape.begin(), tensor.shape.end()))
            mismatch("\"" + tensor.name + "\" is " + to_string(stored->dtype) + " with " +
                     std::to_string(stored->count) + " elements, the plan's is " + to_string(tensor.dtype) +
                     " " + tensor.shape.text());
    }
    if (file.tensors().size() != tensors.size())
        for (const FileTensor& stored : file.tensors())
            if (std::none_of(tensors.begin(), tensors.end(),
                             [&](const Saved& t) { return t.name == stored.name; }))
                mismatch("the file's tensor \"" + stored.name + "\" belongs to nothing in this plan");
    Transfer transfer(device());
    constexpr std::uint64_t kChunk = std::uint64_t{4} << 20;
    std::vector<std::byte> chunk;
    for (const Saved& tensor : tensors)
        for (std::uint64_t offset = 0; offset < tensor.bytes; offset += kChunk) {
            chunk.resize(std::min(kChunk, tensor.bytes - offset));
            file.read(tensor.name, offset, chunk);
            transfer.write(tensor.address + offset, chunk);
        }
    impl().initialized = true;
    return file.metadata();
}

}  // namespace heron
