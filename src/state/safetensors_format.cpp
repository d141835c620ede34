// SPDX-License-Identifier: MIT
// The safetensors dtype table, checked sizes, and text for messages.
#include "state/safetensors_format.hpp"

#include <array>
#include <limits>

#include "heron/error.hpp"

namespace heron {
namespace {

struct DTypeRow {
    FileDType dtype;
    const char* spelled;
    std::uint64_t bytes;
};

// In the order of the enumeration.
constexpr std::array<DTypeRow, 13> kDTypes = {{
    {FileDType::f64, "F64", 8},
    {FileDType::f32, "F32", 4},
    {FileDType::f16, "F16", 2},
    {FileDType::bf16, "BF16", 2},
    {FileDType::i64, "I64", 8},
    {FileDType::i32, "I32", 4},
    {FileDType::i16, "I16", 2},
    {FileDType::i8, "I8", 1},
    {FileDType::u64, "U64", 8},
    {FileDType::u32, "U32", 4},
    {FileDType::u16, "U16", 2},
    {FileDType::u8, "U8", 1},
    {FileDType::boolean, "BOOL", 1},
}};

const DTypeRow& row_of(FileDType dtype) {
    const auto index = static_cast<std::size_t>(dtype);
    if (index >= kDTypes.size())
        throw Error(ErrorCode::invalid_argument, "FileDType " + std::to_string(index) +
                                                     " is not an enumerator; use one of heron/state.hpp");
    return kDTypes[index];
}

}  // namespace

const char* to_string(FileDType dtype) { return row_of(dtype).spelled; }

std::uint64_t bytes_of(FileDType dtype) { return row_of(dtype).bytes; }

FileDType file_dtype(DType dtype) {
    switch (dtype) {
        case DType::f32:
            return FileDType::f32;
        case DType::f16:
            return FileDType::f16;
        case DType::bf16:
            return FileDType::bf16;
        case DType::u32:
            return FileDType::u32;
    }
    throw Error(ErrorCode::invalid_argument, "DType " + std::to_string(static_cast<std::uint32_t>(dtype)) +
                                                 " is not an enumerator; use one of heron/tensor.hpp");
}

namespace state {

std::optional<FileDType> find_dtype(std::string_view spelled) {
    for (const DTypeRow& row : kDTypes)
        if (spelled == row.spelled) return row.dtype;
    return std::nullopt;
}

std::optional<std::uint64_t> checked_count(std::span<const std::uint64_t> shape) {
    std::uint64_t product = 1;
    bool empty = false;
    for (std::uint64_t extent : shape) {
        if (extent == 0) {
            empty = true;
            continue;
        }
        if (product > std::numeric_limits<std::uint64_t>::max() / extent) return std::nullopt;
        product *= extent;
    }
    return empty ? 0 : product;
}

std::optional<std::uint64_t> checked_bytes(std::uint64_t count, FileDType dtype) {
    const std::uint64_t element_bytes = bytes_of(dtype);
    if (count > std::numeric_limits<std::uint64_t>::max() / element_bytes) return std::nullopt;
    return count * element_bytes;
}

bool valid_utf8(std::string_view text) {
    for (std::size_t i = 0; i < text.size();) {
        const auto lead = static_cast<unsigned char>(text[i]);
        if (lead < 0x80) {
            ++i;
            continue;
        }
        const std::size_t length = lead >= 0xF0 ? 4 : lead >= 0xE0 ? 3 : 2;
        if (lead < 0xC2 || lead > 0xF4 || text.size() - i < length) return false;
        char32_t code = lead & (0xFFu >> (length + 1));
        for (std::size_t k = 1; k < length; ++k) {
            const auto next = static_cast<unsigned char>(text[i + k]);
            if ((next & 0xC0) != 0x80) return false;
            code = (code << 6) | (next & 0x3Fu);
        }
        const bool overlong = code < (length == 2 ? 0x80u : length == 3 ? 0x800u : 0x10000u);
        if (overlong || code > 0x10FFFF || (code >= 0xD800 && code <= 0xDFFF)) return false;
        i += length;
    }
    return true;
}

std::string_view name_problem(std::string_view name) {
    if (!valid_utf8(name)) return "its name is not UTF-8; encode it";
    if (name == kMetadataKey) return "this name means metadata; choose another";
    return {};
}

std::string in_quotes(std::string_view text) {
    constexpr std::size_t kShown = 120;
    constexpr const char* kHex = "0123456789abcdef";
    const bool cut = text.size() > kShown;
    if (cut) {
        std::size_t end = kShown;
        while (end > 0 && (static_cast<unsigned char>(text[end]) & 0xC0) == 0x80)
            --end;  // not inside a character
        text = text.substr(0, end);
    }
    std::string out = "\"";
    for (char c : text) {
        const auto byte = static_cast<unsigned char>(c);
        if (byte < 0x20 || byte == 0x7F) {
            out += "\\x";
            out += kHex[byte >> 4];
            out += kHex[byte & 15];
        } else {
            out += c;
        }
    }
    out += cut ? "...\"" : "\"";
    return out;
}

std::string shape_text(std::span<const std::uint64_t> shape) {
    std::string out = "[";
    for (std::size_t axis = 0; axis < shape.size(); ++axis) {
        if (axis > 0) out += ", ";
        out += std::to_string(shape[axis]);
    }
    return out + "]";
}

std::string path_text(const std::filesystem::path& path) {
    const std::u8string utf8 = path.u8string();
    return {utf8.begin(), utf8.end()};
}

}  // namespace state
}  // namespace heron
