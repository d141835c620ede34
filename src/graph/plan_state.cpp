// SPDX-License-Identifier: MIT
// Plan: reading, writing, saving and loading states and parameters.
#include <algorithm>
#include <cstdio>
#include <map>
#include <new>

#include "core/hash.hpp"
#include "graph/plan.hpp"
#include "graph/transfer.hpp"
#include "heron/state.hpp"

namespace heron {

namespace {

FileDType dtype_in_file(DType dtype) { return dtype == DType::u32 ? FileDType::u32 : file_dtype(dtype); }

constexpr const char* kHash = "heron.hash";

// Of the metadata, then of every tensor's name and bytes, in the order of their names.
class FileHash {
public:
    explicit FileHash(const std::map<std::string, std::string>& metadata) {
        for (const auto& [key, text] : metadata)
            if (key != kHash) {
                add(key);
                add(text);
            }
    }
    void add(std::string_view text) { add(std::as_bytes(std::span(text))); }
    void add(std::span<const std::byte> bytes) { hash_ = hash_of(bytes, hash_); }
    std::string text() const {
        char digits[17];
        std::snprintf(digits, sizeof(digits), "%016llx", static_cast<unsigned long long>(hash_));
        return digits;
    }

private:
    std::uint64_t hash_ = kEmptyHash;
};

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
    impl().require_no_slice("write_state");
    const TensorView state = state_view(name);
    require_size(impl(), "write_state", name, state, from.size());
    Transfer(device()).write(state.address, from);
    if (!impl().graph.control || state.address != impl().address(impl().graph.control)) return;
    gpu::StepControl control;
    std::memcpy(&control, from.data(), sizeof(control));
    impl().show_control(control);
}

std::vector<SavedTensor> Plan::Impl::saved_tensors(std::span<const std::string> externals) const {
    std::vector<SavedTensor> result;
    const auto add = [&](std::uint32_t id) {
        const Object& object = graph.objects[id];
        result.push_back(
            {object.name, object.dtype, object.shape, object.bytes, address(graph.tensor_of(id)), {}});
    };
    for (std::uint32_t id = 0; id < graph.objects.size(); ++id)
        if (graph.objects[id].kind == ObjectKind::state && graph.objects[id].saved) add(id);
    for (const std::string& name : externals) {
        const std::uint32_t id = object_named(name, ObjectKind::external);
        if (!graph.objects[id].view.contiguous())
            refuse("save or load \"" + name +
                   "\": the tensor has a row stride; only contiguous ones are saved");
        add(id);
    }
    std::sort(result.begin(), result.end(),
              [](const SavedTensor& a, const SavedTensor& b) { return a.name < b.name; });
    return result;
}

std::vector<SavedTensor> Plan::Impl::read_saved(const SafetensorsReader& file,
                                                std::span<const std::string> externals) const {
    const auto fail = [&](ErrorCode code, const std::string& text) {
        throw Error(code, options.name + ": load " + file.label() + ": " + text);
    };
    std::vector<SavedTensor> tensors = saved_tensors(externals);
    for (const SavedTensor& tensor : tensors) {
        const FileTensor* stored = file.find(tensor.name);
        if (stored == nullptr)
            fail(ErrorCode::invalid_argument,
                 "the file has no tensor \"" + tensor.name + "\", which this plan needs");
        if (stored->dtype != dtype_in_file(tensor.dtype) ||
            !std::equal(stored->shape.begin(), stored->shape.end(), tensor.shape.begin(), tensor.shape.end()))
            fail(ErrorCode::invalid_argument, "\"" + tensor.name + "\" is " + to_string(stored->dtype) +
                                                  " with " + std::to_string(stored->count) +
                                                  " elements, the plan's is " + to_string(tensor.dtype) +
                                                  " " + tensor.shape.text());
    }
    if (file.tensors().size() != tensors.size())
        for (const FileTensor& stored : file.tensors())
            if (std::none_of(tensors.begin(), tensors.end(),
                             [&](const SavedTensor& t) { return t.name == stored.name; }))
                fail(ErrorCode::invalid_argument,
                     "the file's tensor \"" + stored.name + "\" belongs to nothing in this plan");

    FileHash hash(file.metadata());
    for (SavedTensor& tensor : tensors) {
        try {
            tensor.content.resize(tensor.bytes);
        } catch (const std::bad_alloc&) {
            fail(ErrorCode::out_of_host_memory,
                 "no memory for the " + std::to_string(tensor.bytes) + " bytes of \"" + tensor.name + "\"");
        }
        file.read(tensor.name, tensor.content);
        hash.add(tensor.name);
        hash.add(tensor.content);
    }
    const auto stored_hash = file.metadata().find(kHash);
    if (stored_hash == file.metadata().end() || stored_hash->second != hash.text())
        fail(ErrorCode::corrupt_file,
             "the file is damaged: its content does not have the hash that was saved with it; load another");
    return tensors;
}

void Plan::Impl::write_saved(const std::vector<SavedTensor>& tensors) {
    Transfer transfer(*graph.device);
    for (const SavedTensor& tensor : tensors) transfer.write(tensor.address, tensor.content);
    for (std::uint32_t id = 0; id < graph.objects.size(); ++id) {
        const Object& object = graph.objects[id];
        if (object.kind != ObjectKind::state || object.saved) continue;
        const std::vector<std::byte> zeros(object.bytes);
        transfer.write(address(graph.tensor_of(id)), zeros);
    }
    gpu::StepControl control{};
    if (graph.control) transfer.read(address(graph.control), std::as_writable_bytes(std::span(&control, 1)));
    show_control(control);
    initialized = true;
}

void Plan::save(const std::filesystem::path& path, std::span<const std::string> externals,
                const std::map<std::string, std::string>& metadata) const {
    impl().require_memory("save");
    impl().require_initialized("save");
    impl().require_no_slice("save");
    if (metadata.contains(kHash))
        impl().refuse(std::string("save: the metadata key \"") + kHash + "\" is Heron's own; choose another");
    Transfer transfer(device());
    const std::vector<SavedTensor> tensors = impl().saved_tensors(externals);

    // The hash stands before the tensors in the file: they are read twice, and never all at once.
    constexpr std::uint64_t kChunk = std::uint64_t{4} << 20;
    FileHash hash(metadata);
    std::vector<std::byte> chunk;
    for (const SavedTensor& tensor : tensors) {
        hash.add(tensor.name);
        for (std::uint64_t offset = 0; offset < tensor.bytes; offset += kChunk) {
            chunk.resize(std::min(kChunk, tensor.bytes - offset));
            transfer.read(tensor.address + offset, chunk);
            hash.add(chunk);
        }
    }
    std::map<std::string, std::string> all = metadata;
    all[kHash] = hash.text();

    std::vector<FileTensorSource> sources;
    for (const SavedTensor& tensor : tensors) {
        FileTensorSource source;
        source.name = tensor.name;
        source.dtype = dtype_in_file(tensor.dtype);
        source.shape.assign(tensor.shape.begin(), tensor.shape.end());
        source.fill = [&transfer, address = tensor.address](std::uint64_t offset,
                                                            std::span<std::byte> piece) {
            transfer.read(address + offset, piece);
        };
        sources.push_back(std::move(source));
    }
    write_safetensors(path, sources, all);
}

std::map<std::string, std::string> Plan::load(const std::filesystem::path& path,
                                              std::span<const std::string> externals) {
    impl().require_memory("load");
    impl().require_no_slice("load");
    const SafetensorsReader file(path);
    impl().write_saved(impl().read_saved(file, externals));
    std::map<std::string, std::string> metadata = file.metadata();
    metadata.erase(kHash);
    return metadata;
}

}  // namespace heron
