// SPDX-License-Identifier: MIT
// Files of tensors of the C API.
#include <algorithm>
#include <cstdint>
#include <span>
#include <string>
#include <utility>
#include <vector>

#include "c/convert.hpp"
#include "c/files.hpp"
#include "c/handles.hpp"

heron_safetensors_reader::heron_safetensors_reader(heron::SafetensorsReader opened)
    : reader(std::move(opened)), metadata{reader.metadata()} {
    for (const heron::FileTensor& tensor : reader.tensors())
        tensors.push_back({tensor.name.c_str(), static_cast<heron_file_dtype>(tensor.dtype),
                           static_cast<std::uint32_t>(tensor.shape.size()), tensor.shape.data(), tensor.count,
                           tensor.offset, tensor.bytes});
}

namespace heron::c {

namespace {

const SafetensorsReader& reader_of(const heron_safetensors_reader* reader) {
    return need(reader, "reader").reader;
}

// All elements of a tensor, which `load` returns, into the caller's memory for as many.
template <class Value, class Load>
heron_result read_values(const heron_safetensors_reader* reader, const char* name, Value* to,
                         std::uint64_t count, const Load& load) {
    return guarded([&] {
        const SafetensorsReader& from = reader_of(reader);
        const std::uint64_t there = from.tensor(need_text(name, "name")).count;
        if (there != count)
            refuse("there is room for " + std::to_string(count) + " elements, and the tensor \"" + name +
                   "\" of " + from.label() + " has " + std::to_string(there));
        if (count > 0) need(to, "to");
        const std::vector<Value> values = load(from);
        std::copy(values.begin(), values.end(), to);
    });
}

template <class Value, class Load>
heron_result read_scalar(Value* value, const Load& load) {
    return guarded([&] { need(value, "value") = load(); });
}

FileTensorSource read_source(const heron_file_tensor_source& c) {
    const std::span<const std::uint64_t> shape = need_list(c.shape, c.rank, "heron_file_tensor_source.shape");
    std::string name(need_text(c.name, "heron_file_tensor_source.name"));
    if (c.fill == nullptr)
        return FileTensorSource::borrow(std::move(name), enum_of<FileDType>(c.dtype),
                                        {shape.begin(), shape.end()},
                                        need_bytes(c.data, c.bytes, "heron_file_tensor_source.data"));
    if (c.data != nullptr || c.bytes != 0)
        refuse(name + ": heron_file_tensor_source has data or bytes beside fill; give the one or the other");
    FileTensorSource read;
    read.dtype = enum_of<FileDType>(c.dtype);
    read.shape.assign(shape.begin(), shape.end());
    read.fill = [fill = c.fill, user = c.fill_user, name](std::uint64_t offset, std::span<std::byte> chunk) {
        if (!fill(user, offset, chunk.data(), chunk.size()))
            throw Error(ErrorCode::io, name + ": heron_file_tensor_source.fill gave up at byte " +
                                           std::to_string(offset) + "; the old file is untouched");
    };
    read.name = std::move(name);
    return read;
}

std::vector<FileTensorSource> read_sources(const heron_file_tensor_source* tensors, std::uint32_t count) {
    std::vector<FileTensorSource> sources;
    for (const heron_file_tensor_source& tensor : need_list(tensors, count, "tensors"))
        sources.push_back(read_source(tensor));
    return sources;
}

}  // namespace

}  // namespace heron::c

using namespace heron;
using namespace heron::c;

heron_result heron_safetensors_reader_create(const char* path, const heron_safetensors_limits* limits,
                                             heron_safetensors_reader** reader) {
    return guarded([&] {
        need(reader, "reader");
        *reader = new heron_safetensors_reader(SafetensorsReader(path_of(path), read_options(limits)));
    });
}
heron_result heron_safetensors_reader_create_from_bytes(const void* data, size_t bytes, const char* label,
                                                        const heron_safetensors_limits* limits,
                                                        heron_safetensors_reader** reader) {
    return guarded([&] {
        need(reader, "reader");
        *reader = new heron_safetensors_reader(SafetensorsReader(
            need_bytes(data, bytes, "data"), std::string(need_text(label, "label")), read_options(limits)));
    });
}
void heron_safetensors_reader_destroy(heron_safetensors_reader* reader) { delete reader; }

const char* heron_safetensors_reader_label(const heron_safetensors_reader* reader) {
    return reader == nullptr ? nullptr : reader->reader.label().c_str();
}
const heron_metadata* heron_safetensors_reader_metadata(const heron_safetensors_reader* reader) {
    return reader == nullptr ? nullptr : &reader->metadata;
}
uint32_t heron_safetensors_reader_tensor_count(const heron_safetensors_reader* reader) {
    return reader == nullptr ? 0 : static_cast<uint32_t>(reader->tensors.size());
}
const heron_file_tensor* heron_safetensors_reader_tensor(const heron_safetensors_reader* reader,
                                                         uint32_t index) {
    return index < heron_safetensors_reader_tensor_count(reader) ? &reader->tensors[index] : nullptr;
}
const heron_file_tensor* heron_safetensors_reader_find(const heron_safetensors_reader* reader,
                                                       const char* name) {
    return guarded_value(static_cast<const heron_file_tensor*>(nullptr), [&] {
        const SafetensorsReader& from = reader_of(reader);
        const FileTensor* const found = from.find(need_text(name, "name"));
        return found == nullptr ? nullptr : reader->tensors.data() + (found - from.tensors().data());
    });
}

heron_result heron_safetensors_reader_read(const heron_safetensors_reader* reader, const char* name, void* to,
                                           size_t bytes) {
    return guarded([&] { reader_of(reader).read(need_text(name, "name"), need_bytes(to, bytes, "to")); });
}
heron_result heron_safetensors_reader_read_part(const heron_safetensors_reader* reader, const char* name,
                                                uint64_t offset, void* to, size_t bytes) {
    return guarded(
        [&] { reader_of(reader).read(need_text(name, "name"), offset, need_bytes(to, bytes, "to")); });
}
heron_result heron_safetensors_reader_read_f32(const heron_safetensors_reader* reader, const char* name,
                                               float* to, uint64_t count) {
    return read_values(reader, name, to, count,
                       [&](const SafetensorsReader& from) { return from.read_f32(name); });
}
heron_result heron_safetensors_reader_read_as_double(const heron_safetensors_reader* reader, const char* name,
                                                     double* to, uint64_t count) {
    return read_values(reader, name, to, count,
                       [&](const SafetensorsReader& from) { return from.read_as_double(name); });
}
heron_result heron_safetensors_reader_read_scalar_u64(const heron_safetensors_reader* reader,
                                                      const char* name, uint64_t* value) {
    return read_scalar(value, [&] { return reader_of(reader).read_scalar_u64(need_text(name, "name")); });
}
heron_result heron_safetensors_reader_read_scalar_i64(const heron_safetensors_reader* reader,
                                                      const char* name, int64_t* value) {
    return read_scalar(value, [&] { return reader_of(reader).read_scalar_i64(need_text(name, "name")); });
}
heron_result heron_safetensors_reader_read_scalar_f64(const heron_safetensors_reader* reader,
                                                      const char* name, double* value) {
    return read_scalar(value, [&] { return reader_of(reader).read_scalar_f64(need_text(name, "name")); });
}
heron_result heron_safetensors_reader_read_scalar_f32(const heron_safetensors_reader* reader,
                                                      const char* name, float* value) {
    return read_scalar(value, [&] { return reader_of(reader).read_scalar_f32(need_text(name, "name")); });
}

heron_result heron_write_safetensors(const char* path, const heron_file_tensor_source* tensors,
                                     uint32_t tensor_count, const heron_metadata_entry* metadata,
                                     uint32_t metadata_count,
                                     const heron_safetensors_write_options* options) {
    return guarded([&] {
        write_safetensors(path_of(path), read_sources(tensors, tensor_count),
                          read_metadata(metadata, metadata_count), read_options(options));
    });
}
heron_result heron_stream_safetensors(bool (*sink)(void* user, const void* data, size_t bytes), void* user,
                                      const heron_file_tensor_source* tensors, uint32_t tensor_count,
                                      const heron_metadata_entry* metadata, uint32_t metadata_count,
                                      const heron_safetensors_write_options* options) {
    return guarded([&] {
        if (sink == nullptr) refuse("sink is NULL");
        const auto give = [&](std::span<const std::byte> piece) {
            if (!sink(user, piece.data(), piece.size()))
                throw Error(ErrorCode::io, "heron_stream_safetensors: sink gave up on a piece of " +
                                               std::to_string(piece.size()) + " bytes");
        };
        stream_safetensors(give, read_sources(tensors, tensor_count), read_metadata(metadata, metadata_count),
                           read_options(options));
    });
}
