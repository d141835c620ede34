// SPDX-License-Identifier: MIT
// Parsing of a safetensors header: a state machine over JSON events that stops at the first thing out of
// place.
//
//   {"__metadata__": {text: text, ...},  name: {"dtype": text, "shape": [uint, ...], "data_offsets": [uint,
//   uint]}, ...}
#include "state/safetensors_header.hpp"

#include <algorithm>
#include <limits>
#include <nlohmann/json.hpp>
#include <numeric>
#include <utility>

#include "heron/error.hpp"
#include "state/safetensors_format.hpp"

namespace heron::state {
namespace {

using Json = nlohmann::json;  // only its parser and its names of number types

[[noreturn]] void refuse(const std::string& label, const std::string& what) {
    throw Error(ErrorCode::corrupt_file,
                in_quotes(label) + ": " + what +
                    ". The file is damaged or not safetensors: take another copy, or write it again");
}

// A tensor as the header states it, offsets still relative to the data.
struct Entry {
    FileTensor tensor;
    std::uint64_t begin = 0;
    std::uint64_t end = 0;
};

// The receiver of JSON events. Every one returns whether parsing goes on; the first refusal is kept in
// `problem`.
class Events {
public:
    std::map<std::string, std::string> metadata;
    std::vector<Entry> entries;
    std::string problem;

    bool null() { return unexpected("null"); }
    bool boolean(bool) { return unexpected("a boolean"); }
    bool number_integer(Json::number_integer_t) { return unexpected("a negative number"); }
    // Also what an integer of 2^64 or more arrives as.
    bool number_float(Json::number_float_t, const std::string& text) {
        return unexpected("the number " + text);
    }
    bool binary(Json::binary_t&) { return unexpected("binary data"); }

    bool number_unsigned(Json::number_unsigned_t value) {
        if (at_ == At::shape) {
            std::vector<std::uint64_t>& shape = entry_.tensor.shape;
            if (shape.size() == kMaxFileRank)
                return refuse_here("has more than " + std::to_string(kMaxFileRank) + " extents");
            shape.push_back(value);
            return true;
        }
        if (at_ == At::offsets) {
            if (offset_count_ == 2) return refuse_here("has more than two numbers");
            (offset_count_++ == 0 ? entry_.begin : entry_.end) = value;
            return true;
        }
        return unexpected("the number " + std::to_string(value));
    }

    bool string(std::string& text) {
        if (at_ == At::metadata_text) {
            metadata.insert_or_assign(std::move(key_), std::move(text));
            at_ = At::metadata;
            return true;
        }
        if (at_ == At::dtype) {
            const std::optional<FileDType> dtype = find_dtype(text);
            if (!dtype)
                return refuse_here("is " + in_quotes(text) +
                                   ", which is none of F64 F32 F16 BF16 I64 I32 I16 I8 U64 U32 U16 U8 BOOL");
            entry_.tensor.dtype = *dtype;
            at_ = At::tensor;
            return true;
        }
        return unexpected("a string");
    }

    bool start_object(std::size_t) {
        switch (at_) {
            case At::document:
                at_ = At::top;
                return true;
            case At::metadata_value:
                at_ = At::metadata;
                return true;
            case At::tensor_value:
                at_ = At::tensor;
                fields_ = 0;
                offset_count_ = 0;
                return true;
            default:
                return unexpected("an object");
        }
    }

    bool key(std::string& name) {
        if (at_ == At::top) {
            if (name == kMetadataKey) {
                if (std::exchange(metadata_seen_, true))
                    return refuse_with("the header has \"__metadata__\" twice");
                at_ = At::metadata_value;
                return true;
            }
            entry_ = {};
            entry_.tensor.name = std::move(name);
            at_ = At::tensor_value;
            return true;
        }
        if (at_ == At::metadata) {
            if (metadata.contains(name))
                return refuse_with("\"__metadata__\" has the key " + in_quotes(name) + " twice");
            key_ = std::move(name);
            at_ = At::metadata_text;
            return true;
        }
        for (const Field& field : kFields) {
            if (name != field.name) continue;
            if (fields_ & field.bit)
                return refuse_with(tensor_text() + " has the field " + in_quotes(name) + " twice");
            fields_ |= field.bit;
            at_ = field.next;
            return true;
        }
        return refuse_with(tensor_text() + " has the unknown field " + in_quotes(name));
    }

    bool end_object() {
        switch (at_) {
            case At::tensor:
                for (const Field& field : kFields)
                    if (!(fields_ & field.bit))
                        return refuse_with(tensor_text() + " has no field " + in_quotes(field.name));
                entries.push_back(std::move(entry_));
                at_ = At::top;
                return true;
            case At::metadata:
                at_ = At::top;
                return true;
            default:
                at_ = At::end;
                return true;
        }
    }

    bool start_array(std::size_t) {
        if (at_ == At::shape_value) {
            at_ = At::shape;
            return true;
        }
        if (at_ == At::offsets_value) {
            at_ = At::offsets;
            return true;
        }
        return unexpected("an array");
    }

    bool end_array() {
        if (at_ == At::offsets && offset_count_ != 2)
            return refuse_here("has " + std::to_string(offset_count_) + " numbers instead of two");
        at_ = At::tensor;
        return true;
    }

    bool parse_error(std::size_t position, const std::string&, const Json::exception& error) {
        std::string_view reason =
            error.what();  // "[json.exception.parse_error.101] parse error at line 1, ..."
        if (const std::size_t tag_end = reason.find("] "); tag_end != std::string_view::npos)
            reason.remove_prefix(tag_end + 2);
        return refuse_with("the header is not valid JSON at its byte " + std::to_string(position) + " (" +
                           in_quotes(reason) + ")");
    }

private:
    // What comes next, or where we are inside.
    enum class At {
        document,
        top,
        metadata_value,
        metadata,
        metadata_text,
        tensor_value,
        tensor,
        dtype,
        shape_value,
        shape,
        offsets_value,
        offsets,
        end,
    };
    struct Field {
        const char* name;
        unsigned bit;
        At next;
    };
    static constexpr Field kFields[] = {
        {"dtype", 1, At::dtype}, {"shape", 2, At::shape_value}, {"data_offsets", 4, At::offsets_value}};

    std::string tensor_text() const { return "tensor " + in_quotes(entry_.tensor.name); }

    std::string here() const {
        switch (at_) {
            case At::metadata_value:
                return "\"__metadata__\"";
            case At::metadata_text:
                return "\"__metadata__\" entry " + in_quotes(key_);
            case At::tensor_value:
                return tensor_text();
            case At::dtype:
                return tensor_text() + ": dtype";
            case At::shape_value:
            case At::shape:
                return tensor_text() + ": shape";
            case At::offsets_value:
            case At::offsets:
                return tensor_text() + ": data_offsets";
            default:
                return "the header";
        }
    }

    const char* expected() const {
        switch (at_) {
            case At::metadata_value:
                return "an object of strings";
            case At::metadata_text:
                return "a string";
            case At::tensor_value:
                return "an object of dtype, shape and data_offsets";
            case At::dtype:
                return "a string";
            case At::shape_value:
                return "an array of integers";
            case At::offsets_value:
                return "an array of two integers";
            case At::shape:
            case At::offsets:
                return "only integers in [0, 2^64)";
            default:
                return "an object";
        }
    }

    bool refuse_with(std::string what) {
        problem = std::move(what);
        return false;
    }
    bool refuse_here(const std::string& what) { return refuse_with(here() + " " + what); }
    bool unexpected(const std::string& what) {
        const bool inside = at_ == At::shape || at_ == At::offsets;
        // A number's text is as long as the file made it.
        constexpr std::size_t kShown = 80;
        const std::string shown = what.size() > kShown ? what.substr(0, kShown) + "..." : what;
        return refuse_here((inside ? "holds " : "is ") + shown + ", expected " + expected());
    }

    At at_ = At::document;
    bool metadata_seen_ = false;
    std::string key_;  // of metadata
    Entry entry_;      // the tensor being read
    unsigned fields_ = 0;
    unsigned offset_count_ = 0;
};

// Derives count, bytes and offset of one tensor from what its entry states.
void check_entry(Entry& entry, std::uint64_t data_offset, std::uint64_t data_bytes,
                 const std::string& label) {
    FileTensor& tensor = entry.tensor;
    const std::string name = "tensor " + in_quotes(tensor.name);
    const std::string stated = shape_text(tensor.shape) + " of " + to_string(tensor.dtype);
    const std::string range = "[" + std::to_string(entry.begin) + ", " + std::to_string(entry.end) + "]";

    const std::optional<std::uint64_t> count = checked_count(tensor.shape);
    const std::optional<std::uint64_t> bytes = count ? checked_bytes(*count, tensor.dtype) : std::nullopt;
    if (!bytes) refuse(label, name + ": shape " + stated + " overflows 64 bits");
    if (entry.begin > entry.end) refuse(label, name + ": data_offsets " + range + " end before they begin");
    if (entry.end > data_bytes)
        refuse(label, name + ": data_offsets " + range + " lie outside the file's " +
                          std::to_string(data_bytes) + " bytes of data");
    if (entry.end - entry.begin != *bytes)
        refuse(label, name + ": data_offsets " + range + " hold " + std::to_string(entry.end - entry.begin) +
                          " bytes, but shape " + stated + " needs " + std::to_string(*bytes));
    tensor.count = *count;
    tensor.bytes = *bytes;
    tensor.offset = data_offset + entry.begin;  // cannot overflow: both lie inside the file
}

}  // namespace

Header parse_header(std::string_view json, std::uint64_t data_offset, std::uint64_t data_bytes,
                    const std::string& label) {
    // The parser would skip a byte order mark, and takes a zero byte for the end of its input.
    if (json.empty() || json.front() != '{') refuse(label, "the header does not begin with '{'");
    if (const std::size_t zero = json.find('\0'); zero != std::string_view::npos)
        refuse(label, "the header has a zero byte at its byte " + std::to_string(zero));

    Events events;
    if (!Json::sax_parse(json.data(), json.data() + json.size(), &events))
        refuse(label, events.problem.empty() ? "the header is not valid JSON" : events.problem);

    // Sorted instead of hashed: names chosen to collide cost nothing.
    std::vector<Entry>& entries = events.entries;
    if (entries.size() > std::numeric_limits<std::uint32_t>::max())
        refuse(label, "the header has too many tensors");
    std::sort(entries.begin(), entries.end(),
              [](const Entry& a, const Entry& b) { return a.tensor.name < b.tensor.name; });
    for (std::size_t i = 1; i < entries.size(); ++i)
        if (entries[i - 1].tensor.name == entries[i].tensor.name)
            refuse(label, "tensor " + in_quotes(entries[i].tensor.name) + " is there twice");
    for (Entry& entry : entries) check_entry(entry, data_offset, data_bytes, label);

    // Stable: empty tensors at the same offset stay in the order of their names.
    std::stable_sort(entries.begin(), entries.end(), [](const Entry& a, const Entry& b) {
        return std::pair(a.begin, a.end) < std::pair(b.begin, b.end);
    });
    std::uint64_t covered = 0;
    for (std::size_t i = 0; i < entries.size(); ++i) {
        const Entry& entry = entries[i];
        const std::string name = "tensor " + in_quotes(entry.tensor.name);
        if (entry.begin < covered)
            refuse(label, name + " begins at data byte " + std::to_string(entry.begin) + ", inside tensor " +
                              in_quotes(entries[i - 1].tensor.name) + ", which ends at " +
                              std::to_string(covered));
        if (entry.begin > covered)
            refuse(label, std::to_string(entry.begin - covered) + " data bytes before " + name +
                              " belong to no tensor");
        covered = entry.end;
    }
    if (covered != data_bytes)
        refuse(label,
               std::to_string(data_bytes - covered) + " bytes at the end of the file belong to no tensor");

    Header header;
    header.metadata = std::move(events.metadata);
    header.tensors.reserve(entries.size());
    for (Entry& entry : entries) header.tensors.push_back(std::move(entry.tensor));
    header.by_name.resize(header.tensors.size());
    std::iota(header.by_name.begin(), header.by_name.end(), std::uint32_t{0});
    std::sort(header.by_name.begin(), header.by_name.end(), [&](std::uint32_t a, std::uint32_t b) {
        return header.tensors[a].name < header.tensors[b].name;
    });
    return header;
}

}  // namespace heron::state
