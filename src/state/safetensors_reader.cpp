// SPDX-License-Identifier: MIT
// Reading of safetensors files: bounds first, then the header, then bytes on request.
#include <algorithm>
#include <array>
#include <bit>
#include <cstring>
#include <new>
#include <optional>
#include <utility>

#include "heron/error.hpp"
#include "heron/state.hpp"
#include "state/file.hpp"
#include "state/safetensors_format.hpp"
#include "state/safetensors_header.hpp"

static_assert(std::endian::native == std::endian::little, "safetensors bytes are used as they are");

namespace heron {

using state::in_quotes;

struct SafetensorsReader::Content {
    std::string label;
    std::optional<state::InputFile> file;  // or
    std::span<const std::byte> memory;     // the caller's
    state::Header header;

    std::uint64_t size() const { return file ? file->size() : memory.size(); }

    void read_at(std::uint64_t offset, std::span<std::byte> destination) const {
        if (destination.empty()) return;
        if (file)
            file->read_at(offset, destination);
        else
            std::memcpy(destination.data(), memory.data() + offset, destination.size());
    }

    [[noreturn]] void fail(ErrorCode code, const std::string& what) const {
        throw Error(code, in_quotes(label) + ": " + what);
    }

    void load(const SafetensorsLimits& limits) {
        const std::string another_copy =
            ". The file is damaged or not safetensors: take another copy, or write it again";
        const std::uint64_t file_bytes = size();
        if (file_bytes < state::kLengthBytes)
            fail(ErrorCode::corrupt_file, "has " + std::to_string(file_bytes) +
                                              " bytes, fewer than the 8 of its header's length" +
                                              another_copy);
        std::uint64_t header_bytes = 0;
        read_at(0, std::as_writable_bytes(std::span(&header_bytes, 1)));
        const std::uint64_t rest = file_bytes - state::kLengthBytes;
        if (header_bytes > rest)
            fail(ErrorCode::corrupt_file, "its header claims " + std::to_string(header_bytes) +
                                              " bytes, but only " + std::to_string(rest) + " follow" +
                                              another_copy);
        if (header_bytes > limits.header_bytes)
            fail(ErrorCode::corrupt_file,
                 "its header has " + std::to_string(header_bytes) + " bytes, the limit is " +
                     std::to_string(limits.header_bytes) +
                     "; raise SafetensorsLimits::header_bytes if you trust the file");
        try {
            std::string json(static_cast<std::size_t>(header_bytes), '\0');
            read_at(state::kLengthBytes, std::as_writable_bytes(std::span(json)));
            header =
                state::parse_header(json, state::kLengthBytes + header_bytes, rest - header_bytes, label);
        } catch (const std::bad_alloc&) {
            fail(ErrorCode::out_of_host_memory,
                 "no memory for its header of " + std::to_string(header_bytes) +
                     " bytes; free some, or lower SafetensorsLimits::header_bytes");
        }
    }

    // Calls use(pointer to elements of T, their count) for all elements, a bounded piece at a time.
    template <class T, class Use>
    void each_piece(const FileTensor& tensor, Use use) const {
        std::array<T, 8192> piece;
        for (std::uint64_t done = 0; done < tensor.count;) {
            const auto count =
                static_cast<std::size_t>(std::min<std::uint64_t>(piece.size(), tensor.count - done));
            read_at(tensor.offset + done * sizeof(T), std::as_writable_bytes(std::span(piece).first(count)));
            use(std::span<const T>(piece.data(), count));
            done += count;
        }
    }

    template <class T, class Out, class Convert>
    void convert(const FileTensor& tensor, std::vector<Out>& out, Convert convert_one) const {
        each_piece<T>(tensor, [&](std::span<const T> values) {
            for (T value : values) out.push_back(convert_one(value));
        });
    }

    // Room for `count` values; the count was checked against the file's size when it was opened.
    template <class Out>
    std::vector<Out> room_for(const FileTensor& tensor) const {
        std::vector<Out> out;
        try {
            out.reserve(static_cast<std::size_t>(tensor.count));
        } catch (const std::exception&) {  // bad_alloc, or length_error on a 32-bit host
            fail(ErrorCode::out_of_host_memory,
                 "tensor " + in_quotes(tensor.name) + ": no memory for its " + std::to_string(tensor.count) +
                     " elements; read it in pieces with read(name, offset, ...)");
        }
        return out;
    }

    template <class T>
    T scalar(const FileTensor& tensor, FileDType dtype) const {
        if (tensor.dtype != dtype || tensor.count != 1)
            fail(ErrorCode::corrupt_file, "tensor " + in_quotes(tensor.name) + " is " +
                                              state::shape_text(tensor.shape) + " of " +
                                              to_string(tensor.dtype) + ", expected one element of " +
                                              to_string(dtype) + "; use the file that belongs to this state");
        T value{};
        read_at(tensor.offset, std::as_writable_bytes(std::span(&value, 1)));
        return value;
    }
};

SafetensorsReader::SafetensorsReader(const std::filesystem::path& path, const SafetensorsLimits& limits) {
    auto content = std::make_unique<Content>();
    content->label = state::path_text(path);
    content->file.emplace(path);
    content->load(limits);
    content_ = std::move(content);
}

SafetensorsReader::SafetensorsReader(std::span<const std::byte> bytes, std::string label,
                                     const SafetensorsLimits& limits) {
    auto content = std::make_unique<Content>();
    content->label = std::move(label);
    content->memory = bytes;
    content->load(limits);
    content_ = std::move(content);
}

SafetensorsReader::~SafetensorsReader() = default;
SafetensorsReader::SafetensorsReader(SafetensorsReader&&) noexcept = default;
SafetensorsReader& SafetensorsReader::operator=(SafetensorsReader&&) noexcept = default;

const std::string& SafetensorsReader::label() const { return content_->label; }

const std::map<std::string, std::string>& SafetensorsReader::metadata() const {
    return content_->header.metadata;
}

std::span<const FileTensor> SafetensorsReader::tensors() const { return content_->header.tensors; }

const FileTensor* SafetensorsReader::find(std::string_view name) const {
    const state::Header& header = content_->header;
    const auto found = std::lower_bound(
        header.by_name.begin(), header.by_name.end(), name,
        [&](std::uint32_t index, std::string_view wanted) { return header.tensors[index].name < wanted; });
    if (found == header.by_name.end() || header.tensors[*found].name != name) return nullptr;
    return &header.tensors[*found];
}

const FileTensor& SafetensorsReader::tensor(std::string_view name) const {
    if (const FileTensor* found = find(name)) return *found;
    content_->fail(ErrorCode::corrupt_file, "has no tensor " + in_quotes(name) + " among its " +
                                                std::to_string(tensors().size()) +
                                                "; use the file that belongs to this state");
}

void SafetensorsReader::read(std::string_view name, std::span<std::byte> destination) const {
    const FileTensor& source = tensor(name);
    if (destination.size() != source.bytes)
        content_->fail(ErrorCode::invalid_argument,
                       "tensor " + in_quotes(name) + " has " + std::to_string(source.bytes) +
                           " bytes, the destination has " + std::to_string(destination.size()) +
                           "; pass exactly as many");
    content_->read_at(source.offset, destination);
}

void SafetensorsReader::read(std::string_view name, std::uint64_t offset,
                             std::span<std::byte> destination) const {
    const FileTensor& source = tensor(name);
    if (offset > source.bytes || destination.size() > source.bytes - offset)
        content_->fail(ErrorCode::invalid_argument,
                       "tensor " + in_quotes(name) + " has " + std::to_string(source.bytes) + " bytes, but " +
                           std::to_string(destination.size()) + " from byte " + std::to_string(offset) +
                           " on were asked for; stay inside the tensor");
    content_->read_at(source.offset + offset, destination);
}

std::vector<float> SafetensorsReader::read_f32(std::string_view name) const {
    const FileTensor& source = tensor(name);
    const bool exact =
        source.dtype == FileDType::f32 || source.dtype == FileDType::f16 || source.dtype == FileDType::bf16;
    if (!exact)
        content_->fail(ErrorCode::corrupt_file,
                       "tensor " + in_quotes(name) + " is of " + to_string(source.dtype) +
                           ", expected F32, F16 or BF16; convert it where it is written, or "
                           "use read_as_double");
    std::vector<float> out = content_->room_for<float>(source);
    if (source.dtype == FileDType::f32) {
        out.resize(static_cast<std::size_t>(source.count));
        content_->read_at(source.offset, std::as_writable_bytes(std::span(out)));
    } else {
        content_->convert<std::uint16_t>(source, out,
                                         source.dtype == FileDType::f16 ? &f16_to_f32 : &bf16_to_f32);
    }
    return out;
}

std::vector<double> SafetensorsReader::read_as_double(std::string_view name) const {
    const FileTensor& source = tensor(name);
    std::vector<double> out = content_->room_for<double>(source);
    const auto widen = [](auto value) { return static_cast<double>(value); };
    switch (source.dtype) {
        case FileDType::f64:
            content_->convert<double>(source, out, widen);
            break;
        case FileDType::f32:
            content_->convert<float>(source, out, widen);
            break;
        case FileDType::f16:
            content_->convert<std::uint16_t>(source, out, &f16_to_f32);
            break;
        case FileDType::bf16:
            content_->convert<std::uint16_t>(source, out, &bf16_to_f32);
            break;
        case FileDType::i64:
            content_->convert<std::int64_t>(source, out, widen);
            break;
        case FileDType::i32:
            content_->convert<std::int32_t>(source, out, widen);
            break;
        case FileDType::i16:
            content_->convert<std::int16_t>(source, out, widen);
            break;
        case FileDType::i8:
            content_->convert<std::int8_t>(source, out, widen);
            break;
        case FileDType::u64:
            content_->convert<std::uint64_t>(source, out, widen);
            break;
        case FileDType::u32:
            content_->convert<std::uint32_t>(source, out, widen);
            break;
        case FileDType::u16:
            content_->convert<std::uint16_t>(source, out, widen);
            break;
        case FileDType::u8:
            content_->convert<std::uint8_t>(source, out, widen);
            break;
        case FileDType::boolean:
            content_->convert<std::uint8_t>(source, out, [&](std::uint8_t value) {
                if (value > 1)
                    content_->fail(ErrorCode::corrupt_file,
                                   "tensor " + in_quotes(name) + " of BOOL holds the byte " +
                                       std::to_string(value) +
                                       ", expected 0 or 1; take another copy of the file");
                return static_cast<double>(value);
            });
            break;
    }
    return out;
}

std::uint64_t SafetensorsReader::read_scalar_u64(std::string_view name) const {
    return content_->scalar<std::uint64_t>(tensor(name), FileDType::u64);
}

std::int64_t SafetensorsReader::read_scalar_i64(std::string_view name) const {
    return content_->scalar<std::int64_t>(tensor(name), FileDType::i64);
}

double SafetensorsReader::read_scalar_f64(std::string_view name) const {
    return content_->scalar<double>(tensor(name), FileDType::f64);
}

float SafetensorsReader::read_scalar_f32(std::string_view name) const {
    return content_->scalar<float>(tensor(name), FileDType::f32);
}

}  // namespace heron
