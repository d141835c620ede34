// SPDX-License-Identifier: MIT
// Walks through the C structs of the API by the list that converts them (src/c/fields.inc): gives every field
// a value of its own, and compares two structs field by field.
#pragma once

#include <algorithm>
#include <type_traits>

#include "c/convert.hpp"

namespace heron::test {

// Every number differs from its neighbours, every flag and enumerator from what it was. Texts stay.
class Perturb {
public:
    template <class C, class Same>
    void operator()(C& c, Same&) const {
        if constexpr (std::is_same_v<C, bool>)
            c = !c;
        else if constexpr (std::is_enum_v<C>)
            c = static_cast<C>((static_cast<unsigned>(c) + 1) % c::kEnumValues<C>.count);
        else if constexpr (std::is_arithmetic_v<C>)
            c = static_cast<C>(++number_);
        else if constexpr (std::is_same_v<C, heron_shape>)
            c = {2, {++number_, ++number_}};
        else if constexpr (std::is_same_v<C, heron_schedule>)
            c = {3,  // no default has as many
                 {{HERON_SCHEDULE_KIND_LINEAR, ++number_, 0.25f, 0.5f},
                  {HERON_SCHEDULE_KIND_COSINE, ++number_, 0.5f, 0.125f},
                  {HERON_SCHEDULE_KIND_CONSTANT, 0, 0.125f, 0.125f}},
                 nullptr};
        else if constexpr (!std::is_pointer_v<C>)
            c::Fields<C>::visit(*this, c, c);
    }
    template <class C, std::size_t Count, class Same>
    void array(C (&c)[Count], Same&) const {
        for (C& item : c) (*this)(item, item);
    }
    template <class C, std::size_t Room, class Same>
    void list(std::uint32_t& count, C (&c)[Room], const C*&, Same&) const {
        count = Room;
        for (C& item : c) (*this)(item, item);
    }
    template <class C, class Same>
    void optional(bool& has, C& c, Same&) const {
        has = true;
        (*this)(c, c);
    }
    template <class Same>
    void by_rank(heron_axis_exponents (&c)[HERON_MAX_RANK], Same&) const {
        for (heron_axis_exponents& exponents : c) {
            exponents.count = 2;
            exponents.exponents[0] = ++number_;
            exponents.exponents[1] = ++number_;
        }
    }
    template <class Same>
    void by_rank(double (&c)[HERON_MAX_RANK], Same&) const {
        for (double& value : c) value = ++number_;
    }

private:
    mutable std::uint32_t number_ = 100;  // floats keep it exactly
};

// Counts fields, and those that are equal in both.
class Compare {
public:
    std::size_t fields() const { return fields_; }
    std::size_t equal() const { return equal_; }

    template <class C>
    void operator()(const C& a, const C& b) const {
        if constexpr (std::is_same_v<C, heron_schedule>) {
            count(a.piece_count == b.piece_count);
            for (std::uint32_t i = 0; i < a.piece_count; ++i) {
                (*this)(a.pieces[i].steps, b.pieces[i].steps);
                count(a.pieces[i].kind == b.pieces[i].kind && same(a.pieces[i].from, b.pieces[i].from) &&
                      same(a.pieces[i].to, b.pieces[i].to));
            }
        } else if constexpr (std::is_same_v<C, heron_shape>)
            count(a.rank == b.rank && std::equal(a.extents, a.extents + HERON_MAX_RANK, b.extents));
        else if constexpr (std::is_arithmetic_v<C> || std::is_enum_v<C>)
            count(same(a, b));
        else if constexpr (!std::is_pointer_v<C>)
            c::Fields<C>::visit(*this, a, b);
    }
    template <class C, std::size_t Count>
    void array(const C (&a)[Count], const C (&b)[Count]) const {
        for (std::size_t i = 0; i < Count; ++i) (*this)(a[i], b[i]);
    }
    template <class C, std::size_t Room>
    void list(std::uint32_t number, const C (&a)[Room], const C* const&, const C (&b)[Room]) const {
        for (std::size_t i = 0; i < number; ++i) (*this)(a[i], b[i]);
    }
    template <class C>
    void optional(bool, const C& a, const C& b) const {
        (*this)(a, b);
    }
    void by_rank(const heron_axis_exponents (&a)[HERON_MAX_RANK],
                 const heron_axis_exponents (&b)[HERON_MAX_RANK]) const {
        for (std::size_t rank = 0; rank < HERON_MAX_RANK; ++rank) {
            (*this)(a[rank].count, b[rank].count);
            for (std::uint32_t i = 0; i < a[rank].count; ++i)
                (*this)(a[rank].exponents[i], b[rank].exponents[i]);
        }
    }
    void by_rank(const double (&a)[HERON_MAX_RANK], const double (&b)[HERON_MAX_RANK]) const { array(a, b); }

private:
    template <class C>
    static bool same(C a, C b) {
        return !(a < b) && !(b < a);
    }
    void count(bool same) const {
        ++fields_;
        equal_ += same ? 1 : 0;
    }
    mutable std::size_t fields_ = 0;
    mutable std::size_t equal_ = 0;
};

}  // namespace heron::test
