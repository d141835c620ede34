// SPDX-License-Identifier: MIT
// Writing of safetensors files: one layout for the same tensors, streamed through one buffer of bounded size.
#include <algorithm>
#include <cstring>
#include <limits>
#include <new>
#include <numeric>
#include <utility>

#include "heron/error.hpp"
#include "heron/state.hpp"
#include "state/file.hpp"
#include "state/safetensors_format.hpp"

namespace heron {
namespace {

using state::in_quotes;
using state::valid_utf8;

// The format's own readers stop at headers of this length, and so does ours by default.
constexpr std::size_t kMaxHeaderBytes = 100'000'000;

[[noreturn]] void refuse(const std::string& what) {
    throw Error(ErrorCode::invalid_argument, "safetensors writer: " + what);
}

void append_json_string(std::string& out, std::string_view text) {
    constexpr const char* kHex = "0123456789abcdef";
    out += '"';
    for (char c : text) {
        const auto byte = static_cast<unsigned char>(c);
        if (c == '"' || c == '\\') {
            out += '\\';
            out += c;
        } else if (byte < 0x20) {
            out += "\\u00";
            out += kHex[byte >> 4];
            out += kHex[byte & 15];
        } else {
            out += c;
        }
    }
    out += '"';
}

struct Layout {
    std::string header;  // padded with spaces, so that the data begin at a multiple of 8
    std::vector<const FileTensorSource*> order;  // of the data
    std::vector<std::uint64_t> bytes;            // of each, same order
};

std::uint64_t checked_source_bytes(const FileTensorSource& tensor) {
    const std::string name = "tensor " + in_quotes(tensor.name);
    const std::string_view problem = state::name_problem(tensor.name);
    if (!problem.empty()) refuse(name + ": " + std::string(problem));
    if (tensor.shape.size() > state::kMaxFileRank)
        refuse(name + " has " + std::to_string(tensor.shape.size()) + " extents, at most " +
               std::to_string(state::kMaxFileRank) + " are written; merge some");
    const auto count = state::checked_count(tensor.shape);
    const auto bytes = count ? state::checked_bytes(*count, tensor.dtype) : std::nullopt;
    if (!bytes)
        refuse(name + ": shape " + state::shape_text(tensor.shape) + " of " + to_string(tensor.dtype) +
               " overflows 64 bits; check the extents");
    if (*bytes > 0 && !tensor.fill)
        refuse(name + " has " + std::to_string(*bytes) + " bytes and no fill; set it");
    return *bytes;
}

Layout lay_out(std::span<const FileTensorSource> tensors,
               const std::map<std::string, std::string>& metadata) {
    struct Placed {
        const FileTensorSource* tensor;
        std::uint64_t bytes;
        std::uint64_t element_bytes;
    };
    std::vector<Placed> placed;
    placed.reserve(tensors.size());
    for (const FileTensorSource& tensor : tensors)
        placed.push_back({&tensor, checked_source_bytes(tensor), bytes_of(tensor.dtype)});

    const auto by_name = [](const Placed& a, const Placed& b) { return a.tensor->name < b.tensor->name; };
    std::sort(placed.begin(), placed.end(), by_name);
    for (std::size_t i = 1; i < placed.size(); ++i)
        if (placed[i - 1].tensor->name == placed[i].tensor->name)
            refuse("tensor " + in_quotes(placed[i].tensor->name) + " is there twice; names must be unique");
    std::stable_sort(placed.begin(), placed.end(),
                     [](const Placed& a, const Placed& b) { return a.element_bytes > b.element_bytes; });

    Layout layout;
    std::string& json = layout.header;
    json = "{";
    if (!metadata.empty()) {
        append_json_string(json, state::kMetadataKey);
        json += ":{";
        bool first = true;
        for (const auto& [key, text] : metadata) {
            if (!valid_utf8(key) || !valid_utf8(text))
                refuse("metadata entry " + in_quotes(key) + " is not UTF-8; encode it");
            if (!std::exchange(first, false)) json += ',';
            append_json_string(json, key);
            json += ':';
            append_json_string(json, text);
        }
        json += '}';
    }
    std::uint64_t offset = 0;
    for (const Placed& each : placed) {
        if (each.bytes > static_cast<std::uint64_t>(std::numeric_limits<std::int64_t>::max()) - offset)
            refuse("tensor " + in_quotes(each.tensor->name) + " ends beyond 2^63 bytes; check the shapes");
        if (json.size() > 1) json += ',';
        append_json_string(json, each.tensor->name);
        json += ":{\"dtype\":\"";
        json += to_string(each.tensor->dtype);
        json += "\",\"shape\":[";
        for (std::size_t axis = 0; axis < each.tensor->shape.size(); ++axis) {
            if (axis > 0) json += ',';
            json += std::to_string(each.tensor->shape[axis]);
        }
        json += "],\"data_offsets\":[" + std::to_string(offset) + ',' + std::to_string(offset + each.bytes) +
                "]}";
        offset += each.bytes;
        layout.order.push_back(each.tensor);
        layout.bytes.push_back(each.bytes);
    }
    json += '}';
    json.resize((json.size() + 7) / 8 * 8, ' ');
    if (json.size() > kMaxHeaderBytes)
        refuse("names and metadata make a header of " + std::to_string(json.size()) +
               " bytes, readers stop at " + std::to_string(kMaxHeaderBytes) + "; split the file");
    return layout;
}

Layout checked_layout(std::span<const FileTensorSource> tensors,
                      const std::map<std::string, std::string>& metadata,
                      const SafetensorsWriteOptions& options) {
    if (options.chunk_bytes == 0 || options.chunk_bytes % 8 != 0)
        refuse("chunk_bytes is " + std::to_string(options.chunk_bytes) +
               ", expected a positive multiple of 8");
    try {
        return lay_out(tensors, metadata);
    } catch (const std::bad_alloc&) {
        throw Error(ErrorCode::out_of_host_memory, "safetensors writer: no memory for the header of " +
                                                       std::to_string(tensors.size()) +
                                                       " tensors; free some, or split the file");
    }
}

template <class Sink>
void emit(const Layout& layout, const SafetensorsWriteOptions& options, const Sink& sink) {
    const std::uint64_t header_bytes = layout.header.size();
    sink(std::as_bytes(std::span(&header_bytes, 1)));
    sink(std::as_bytes(std::span(layout.header)));

    const std::uint64_t data_bytes =
        std::accumulate(layout.bytes.begin(), layout.bytes.end(), std::uint64_t{0});
    std::vector<std::byte> buffer;
    try {
        buffer.resize(static_cast<std::size_t>(std::min(options.chunk_bytes, data_bytes)));
    } catch (const std::exception&) {
        throw Error(ErrorCode::out_of_host_memory, "safetensors writer: no memory for a buffer of " +
                                                       std::to_string(options.chunk_bytes) +
                                                       " bytes; lower SafetensorsWriteOptions::chunk_bytes");
    }
    // Small tensors share the buffer; a large one begins in an empty buffer, so that its chunks are whole
    // ones.
    std::size_t used = 0;
    const auto flush = [&] {
        if (used > 0) sink(std::span<const std::byte>(buffer.data(), used));
        used = 0;
    };
    for (std::size_t i = 0; i < layout.order.size(); ++i) {
        for (std::uint64_t done = 0; done < layout.bytes[i];) {
            const std::uint64_t left = layout.bytes[i] - done;
            if (left > buffer.size() - used) flush();
            const auto chunk_bytes =
                static_cast<std::size_t>(std::min<std::uint64_t>(left, buffer.size() - used));
            layout.order[i]->fill(done, std::span(buffer).subspan(used, chunk_bytes));
            used += chunk_bytes;
            done += chunk_bytes;
        }
    }
    flush();
}

// The bytes of one value, owned by the fill.
template <class T>
FileTensorSource scalar(std::string name, FileDType dtype, T value) {
    return {std::move(name), dtype, {}, [value](std::uint64_t offset, std::span<std::byte> chunk) {
                std::memcpy(chunk.data(), reinterpret_cast<const std::byte*>(&value) + offset, chunk.size());
            }};
}

}  // namespace

FileTensorSource FileTensorSource::borrow(std::string name, FileDType dtype, std::vector<std::uint64_t> shape,
                                          std::span<const std::byte> bytes) {
    FileTensorSource source{std::move(name), dtype, std::move(shape), {}};
    const auto count = state::checked_count(source.shape);
    const auto needed = count ? state::checked_bytes(*count, dtype) : std::nullopt;
    if (needed != bytes.size())
        refuse("tensor " + in_quotes(source.name) + ": " + std::to_string(bytes.size()) +
               " bytes were passed, but shape " + state::shape_text(source.shape) + " of " +
               to_string(dtype) + " needs " + (needed ? std::to_string(*needed) : "more than 2^64") +
               "; pass exactly as many");
    source.fill = [bytes](std::uint64_t offset, std::span<std::byte> chunk) {
        std::memcpy(chunk.data(), bytes.data() + offset, chunk.size());
    };
    return source;
}

FileTensorSource FileTensorSource::borrow(std::string name, std::vector<std::uint64_t> shape,
                                          std::span<const float> values) {
    return borrow(std::move(name), FileDType::f32, std::move(shape), std::as_bytes(values));
}

FileTensorSource FileTensorSource::scalar_u64(std::string name, std::uint64_t value) {
    return scalar(std::move(name), FileDType::u64, value);
}

FileTensorSource FileTensorSource::scalar_i64(std::string name, std::int64_t value) {
    return scalar(std::move(name), FileDType::i64, value);
}

FileTensorSource FileTensorSource::scalar_f64(std::string name, double value) {
    return scalar(std::move(name), FileDType::f64, value);
}

FileTensorSource FileTensorSource::scalar_f32(std::string name, float value) {
    return scalar(std::move(name), FileDType::f32, value);
}

void write_safetensors(const std::filesystem::path& path, std::span<const FileTensorSource> tensors,
                       const std::map<std::string, std::string>& metadata,
                       const SafetensorsWriteOptions& options) {
    const Layout layout = checked_layout(tensors, metadata, options);
    state::ReplacementFile file(path, options.sync);
    emit(layout, options, [&](std::span<const std::byte> bytes) { file.write(bytes); });
    file.commit();
}

void stream_safetensors(const std::function<void(std::span<const std::byte>)>& sink,
                        std::span<const FileTensorSource> tensors,
                        const std::map<std::string, std::string>& metadata,
                        const SafetensorsWriteOptions& options) {
    if (!sink) refuse("the sink is empty; pass a function that takes bytes");
    emit(checked_layout(tensors, metadata, options), options, sink);
}

}  // namespace heron
