// SPDX-License-Identifier: MIT
// Thousands of damaged files, the same in every run: the reader neither crashes nor takes memory that the
// file's size does not justify. Run with sanitizers this also finds reads out of bounds.
#include <gtest/gtest.h>
#include <malloc.h>

#include <algorithm>
#include <cstdlib>
#include <memory>
#include <new>
#include <random>

#include "state/handmade_file.hpp"
#include "state/seed_files.hpp"

// Sanitizers bring an operator new of their own, which must stay in pairs with theirs: there nothing is
// counted.
#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
#define HERON_COUNT_MEMORY 0
#elif defined(__has_feature)
#if __has_feature(address_sanitizer) || __has_feature(thread_sanitizer) || __has_feature(memory_sanitizer)
#define HERON_COUNT_MEMORY 0
#endif
#endif
#ifndef HERON_COUNT_MEMORY
#define HERON_COUNT_MEMORY 1
#endif

namespace {

// What this thread has allocated with new since watching began.
thread_local std::size_t live_bytes = 0;
thread_local std::size_t peak_bytes = 0;

}  // namespace

#if HERON_COUNT_MEMORY

namespace {

void* counted(std::size_t bytes) {
    void* memory = std::malloc(bytes > 0 ? bytes : 1);
    if (!memory) throw std::bad_alloc();
    live_bytes += malloc_usable_size(memory);
    peak_bytes = std::max(peak_bytes, live_bytes);
    return memory;
}

void uncounted(void* memory) noexcept {
    if (!memory) return;
    live_bytes -= std::min(live_bytes, malloc_usable_size(memory));
    std::free(memory);
}

}  // namespace

void* operator new(std::size_t bytes) { return counted(bytes); }
void* operator new[](std::size_t bytes) { return counted(bytes); }
void operator delete(void* memory) noexcept { uncounted(memory); }
void operator delete[](void* memory) noexcept { uncounted(memory); }
void operator delete(void* memory, std::size_t) noexcept { uncounted(memory); }
void operator delete[](void* memory, std::size_t) noexcept { uncounted(memory); }

#endif

namespace heron {
namespace {

// Peak of memory while opening `file`, in bytes.
std::size_t peak_of_opening(std::string_view file) {
    live_bytes = 0;
    peak_bytes = 0;
    try {
        const SafetensorsReader reader(test::bytes_of_text(file), "input");
    } catch (const Error&) {
    }
    return peak_bytes;
}

// The header's text, its number tokens and its growing vectors together; the constant is for messages and
// small objects.
std::size_t allowed_peak(std::string_view file) { return 16 * file.size() + 16'384; }

class Mutator {
public:
    explicit Mutator(std::uint32_t seed) : random_(seed) {}

    std::string mutate(std::string file) {
        const std::size_t times = 1 + below(4);
        for (std::size_t i = 0; i < times; ++i) mutate_once(file);
        // A wrong length hides all later checks, so most mutants get a right one again.
        if (below(4) != 0) repair_length(file);
        return file;
    }

    std::size_t below(std::size_t bound) {
        return random_() % bound;
    }  // not std::uniform_*: the same everywhere

private:
    void mutate_once(std::string& file) {
        static const std::vector<std::string> kTokens = {
            "0",
            "1",
            "4",
            "-1",
            "1.5",
            "1e9",
            "18446744073709551615",
            "18446744073709551616",
            "4294967296",
            "\"dtype\"",
            "\"shape\"",
            "\"data_offsets\"",
            "\"F32\"",
            "\"BOOL\"",
            "\"__metadata__\"",
            "{",
            "}",
            "[",
            "]",
            ",",
            ":",
            "\"",
            "null",
            "true",
            "\\u0000",
            std::string(1, '\0'),
            "\xFF",
            " ",
            "\"w\":{\"dtype\":\"U8\",\"shape\":[0],\"data_offsets\":[0,0]},"};
        const std::size_t at = below(file.size() + 1);
        const std::size_t length = std::min(below(24), file.size() - at);
        switch (below(8)) {
            case 0:
                if (at < file.size()) file[at] = static_cast<char>(file[at] ^ (1 << below(8)));
                break;
            case 1:
                if (at < file.size()) file[at] = static_cast<char>(below(256));
                break;
            case 2:
                file.erase(at, length);
                break;
            case 3:
                file.insert(at, file.substr(below(file.size() + 1), below(24)));
                break;
            case 4:
                file.resize(at);
                break;
            case 5:
                file.append(below(24), static_cast<char>(below(256)));
                break;
            case 6:
                file.insert(at, kTokens[below(kTokens.size())]);
                break;
            default:
                file.replace(at, length, kTokens[below(kTokens.size())]);
                break;
        }
    }

    static void repair_length(std::string& file) {
        const std::size_t end = file.rfind('}');
        if (end == std::string::npos || end < 8) return;
        std::size_t header_bytes = end + 1 - 8;
        while (8 + header_bytes < file.size() && file[8 + header_bytes] == ' ') ++header_bytes;
        for (std::size_t byte = 0; byte < 8; ++byte)
            file[byte] = static_cast<char>(header_bytes >> (8 * byte) & 0xFF);
    }

    std::mt19937 random_;
};

TEST(SafetensorsMutation, MutantsAreReadWholeOrRefusedWithinBounds) {
    const std::vector<std::string> seeds = test::seed_files();
    Mutator mutator(20'261'121);
    std::size_t accepted = 0;
    constexpr std::size_t kMutants = 30'000;
    for (std::size_t i = 0; i < kMutants; ++i) {
        const std::string mutant = mutator.mutate(seeds[i % seeds.size()]);
        // A block of exactly its size, so that a sanitizer sees the first byte read too far.
        const auto block = std::make_unique<std::byte[]>(mutant.size());
        std::copy_n(test::bytes_of_text(mutant).begin(), mutant.size(), block.get());
        if (test::read_everything({block.get(), mutant.size()})) ++accepted;
        const std::size_t peak = peak_of_opening(mutant);
        ASSERT_LE(peak, allowed_peak(mutant)) << "mutant " << i << " of " << mutant.size() << " bytes";
    }
    // Both sides were exercised.
    EXPECT_GT(accepted, kMutants / 100);
    EXPECT_LT(accepted, kMutants / 2);
    RecordProperty("accepted", static_cast<int>(accepted));
}

TEST(SafetensorsMutation, EveryTruncationIsRefused) {
    for (const std::string& seed : test::seed_files())
        for (std::size_t bytes = 0; bytes < seed.size(); ++bytes)
            ASSERT_FALSE(test::read_everything(test::bytes_of_text(seed).first(bytes))) << bytes;
}

TEST(SafetensorsMutation, EveryBitFlipIsReadWholeOrRefused) {
    for (const std::string& seed : test::seed_files()) {
        ASSERT_TRUE(test::read_everything(test::bytes_of_text(seed)));
        for (std::size_t bit = 0; bit < 8 * seed.size(); ++bit) {
            std::string mutant = seed;
            mutant[bit / 8] = static_cast<char>(mutant[bit / 8] ^ (1 << bit % 8));
            test::read_everything(test::bytes_of_text(mutant));
        }
    }
}

TEST(SafetensorsMutation, SmallFilesThatClaimMuchTakeLittle) {
    const std::string claims[] = {
        test::file_with_length(~std::uint64_t{0}, "{}", ""),
        test::file_with_length(99'999'999, "{}", ""),
        test::file_of(R"({"w":{"dtype":"F64","shape":[1000000000000],"data_offsets":[0,8000000000000]}})"),
        test::file_of(R"({"w":{"dtype":"F64","shape":[1000000000000],"data_offsets":[0,8]}})", "12345678"),
    };
    for (const std::string& claim : claims) EXPECT_LE(peak_of_opening(claim), allowed_peak(claim));
}

// The headers that cost the most memory per byte of file: the shortest tensors, the longest shapes, the
// shortest metadata, one long string.
TEST(SafetensorsMutation, DensestHeadersStayWithinTheBound) {
    std::string tensors = "{", shapes = "{", metadata = "{\"__metadata__\":{", invalid_number = "{\"w\":";
    for (int i = 0; i < 20'000; ++i) {
        const std::string comma = i > 0 ? "," : "";
        const std::string name = comma + "\"" + std::to_string(i) + "\":";
        tensors += name + R"({"dtype":"U8","shape":[0],"data_offsets":[0,0]})";
        shapes += name + R"({"dtype":"U8","shape":[0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0],"data_offsets":[0,0]})";
        metadata += name + "\"\"";
    }
    invalid_number += std::string(1'000'000, '9') + "}";
    for (const std::string& json : {tensors + "}", shapes + "}", metadata + "}}", invalid_number,
                                    "{\"" + std::string(1'000'000, 'n') + "\":{}}",
                                    "{\"__metadata__\":{\"\":\"" + std::string(1'000'000, 'n') + "\"}}"}) {
        const std::string file = test::file_of(json);
        const std::size_t peak = peak_of_opening(file);
        EXPECT_LE(peak, allowed_peak(file)) << json.substr(0, 60);
        if (HERON_COUNT_MEMORY) {
            EXPECT_GT(peak, json.size());  // the negative control: the watch sees the header's own text
        }
    }
}

}  // namespace
}  // namespace heron
