// SPDX-License-Identifier: MIT
// Structs of C into those of C++ and back. Which field belongs to which is listed once, in fields.inc; Fill
// and Read walk through that list in either direction.
#pragma once

#include <array>
#include <map>
#include <optional>
#include <span>
#include <string>
#include <type_traits>
#include <vector>

#include "c/boundary.hpp"
#include "heron/heron.h"
#include "heron/heron.hpp"

namespace heron::c {

struct EnumValues {
    const char* name;
    std::uint32_t count;  // from 0 on
};
template <class Enum>
inline constexpr EnumValues kEnumValues{};
template <class Struct>
struct Fields;

#include "c/fields.inc"

template <class C>
concept HasFields = requires {
    Fields<C>::kName;
};

// Throws (invalid_argument) for what is no enumerator.
template <class Enum, class C>
Enum enum_of(C value) {
    constexpr EnumValues kKnown = kEnumValues<C>;
    static_assert(kKnown.count > 0);
    const auto number = static_cast<std::uint32_t>(value);
    if (number >= kKnown.count)
        refuse("a " + std::string(kKnown.name) + " is " + std::to_string(number) +
               ", which is no enumerator");
    return static_cast<Enum>(number);
}

void fill_schedule(heron_schedule& c, const Schedule& schedule);
Schedule read_schedule(const heron_schedule& c);

// C++ -> C: what the functions that initialize options write. Texts stay NULL, which means the default.
struct Fill {
    template <class C, class Value>
    void operator()(C& c, const Value& value) const {
        if constexpr (std::is_same_v<C, Value>)
            c = value;
        else if constexpr (std::is_enum_v<C>)
            c = static_cast<C>(value);
        else if constexpr (std::is_same_v<Value, std::string>)
            c = nullptr;
        else if constexpr (std::is_same_v<Value, Schedule>)
            fill_schedule(c, value);
        else if constexpr (std::is_same_v<Value, Shape>) {
            c.rank = static_cast<std::uint32_t>(value.rank());
            std::copy(value.begin(), value.end(), c.extents);
        } else
            Fields<C>::visit(*this, c, value);
    }
    template <class C, std::size_t Count, class Values>
    void array(C (&c)[Count], const Values& values) const {
        for (std::size_t i = 0; i < Count; ++i) (*this)(c[i], values[i]);
    }
    template <class C, std::size_t Room, class Value>
    void list(std::uint32_t& count, C (&c)[Room], const C*& more, const std::vector<Value>& values) const {
        if (values.size() > Room)
            throw Error(ErrorCode::internal,
                        "a default list has " + std::to_string(values.size()) + " items");
        count = static_cast<std::uint32_t>(values.size());
        more = nullptr;
        for (std::size_t i = 0; i < values.size(); ++i) (*this)(c[i], values[i]);
    }
    template <class C, class Value>
    void optional(bool& has, C& c, const std::optional<Value>& value) const {
        has = value.has_value();
        (*this)(c, value.value_or(Value{}));
    }
    void by_rank(heron_axis_exponents (&c)[HERON_MAX_RANK],
                 const std::map<std::uint32_t, std::vector<double>>& values) const {
        for (const auto& [rank, exponents] : values) {
            heron_axis_exponents& to = c[rank - 1];
            to.count = static_cast<std::uint32_t>(exponents.size());
            std::copy(exponents.begin(), exponents.end(), to.exponents);
        }
    }
    void by_rank(double (&c)[HERON_MAX_RANK], const std::map<std::uint32_t, double>& values) const {
        for (const auto& [rank, value] : values) c[rank - 1] = value;
    }
};

// C -> C++. Throws (invalid_argument) for what is no enumerator and lists without items.
struct Read {
    template <class C, class Value>
    void operator()(const C& c, Value& value) const {
        if constexpr (std::is_same_v<C, Value>)
            value = c;
        else if constexpr (std::is_enum_v<C>)
            value = enum_of<Value>(c);
        else if constexpr (std::is_same_v<Value, std::string>) {
            if (c != nullptr) value = c;
        } else if constexpr (std::is_same_v<Value, Schedule>)
            value = read_schedule(c);
        else if constexpr (std::is_same_v<Value, Shape>) {
            if (c.rank > HERON_MAX_RANK)
                refuse("a shape has " + std::to_string(c.rank) + " axes; at most " +
                       std::to_string(HERON_MAX_RANK));
            value = Shape(std::span<const std::uint64_t>(c.extents, c.rank));
        } else
            Fields<C>::visit(*this, c, value);
    }
    template <class C, std::size_t Count, class Values>
    void array(const C (&c)[Count], Values& values) const {
        for (std::size_t i = 0; i < Count; ++i) (*this)(c[i], values[i]);
    }
    template <class C, std::size_t Room, class Value>
    void list(std::uint32_t count, const C (&c)[Room], const C* more, std::vector<Value>& values) const {
        if (more == nullptr && count > Room)
            refuse("a list has " + std::to_string(count) + " items, with room for " + std::to_string(Room) +
                   "; longer ones go into <name>_list");
        const C* items = more == nullptr ? c : more;
        values.assign(count, Value{});
        for (std::uint32_t i = 0; i < count; ++i) (*this)(items[i], values[i]);
    }
    template <class C, class Value>
    void optional(bool has, const C& c, std::optional<Value>& value) const {
        value.reset();
        if (has) (*this)(c, value.emplace());
    }
    void by_rank(const heron_axis_exponents (&c)[HERON_MAX_RANK],
                 std::map<std::uint32_t, std::vector<double>>& values) const {
        values.clear();
        for (std::uint32_t rank = 1; rank <= HERON_MAX_RANK; ++rank) {
            const heron_axis_exponents& from = c[rank - 1];
            if (from.count > HERON_MAX_RANK)
                refuse("heron_axis_exponents have " + std::to_string(from.count) + " exponents");
            if (from.count > 0) values[rank].assign(from.exponents, from.exponents + from.count);
        }
    }
    void by_rank(const double (&c)[HERON_MAX_RANK], std::map<std::uint32_t, double>& values) const {
        values.clear();
        for (std::uint32_t rank = 1; rank <= HERON_MAX_RANK; ++rank)
            if (c[rank - 1] != 0) values[rank] = c[rank - 1];
    }
};

// A plain struct, or one whose header has been checked.
template <class C>
auto read(const C& c) {
    typename Fields<C>::Options value;
    Read()(c, value);
    return value;
}
template <class C, class Value>
C filled(const Value& value) {
    C c{};
    Fill()(c, value);
    return c;
}

// Throws (invalid_argument, version_mismatch) unless heron_..._init() of these headers has filled the struct.
inline void check_header(const heron_struct& header, std::size_t bytes, const char* name) {
    if (header.bytes == 0)
        refuse(std::string("a ") + name + " is not initialized; call " + name + "_init() first");
    check_header_version(header.version);
    if (header.bytes != bytes)
        throw Error(ErrorCode::version_mismatch,
                    std::string("a ") + name + " has " + std::to_string(header.bytes) +
                        " bytes, in this library " + std::to_string(bytes) + "; initialize it by " + name +
                        "_init(), and compile the program with this library's headers");
}

// The options that a function was given; NULL, where it is allowed: the defaults.
template <class C>
auto read_struct(const C& c) {
    check_header(c.header, sizeof c, Fields<C>::kName);
    return read(c);
}
template <class C>
auto read_options(const C* c) {
    return c == nullptr ? typename Fields<C>::Options{} : read_struct(*c);
}

// What all heron_init_...() do: `make` returns the C++ struct, or fills the C struct itself.
template <class C, class Make>
heron_result initialize(C* options, std::size_t bytes, std::uint32_t version, const Make& make) noexcept {
    return guarded([&] {
        need(options, "options").header = {};  // refused, if what follows fails and nobody looks
        check_header_version(version);
        if (bytes != sizeof(C))
            throw Error(ErrorCode::version_mismatch, "options have " + std::to_string(bytes) +
                                                         " bytes, in this library " +
                                                         std::to_string(sizeof(C)));
        C initial = [&] {
            if constexpr (std::is_same_v<decltype(make()), C>)
                return make();
            else
                return filled<C>(make());
        }();
        initial.header = {static_cast<std::uint32_t>(sizeof(C)), version};
        *options = initial;
    });
}

}  // namespace heron::c
