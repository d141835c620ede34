// SPDX-License-Identifier: MIT
// Valid files, small and varied, from which the mutation test and the fuzzer start; and what must hold of any
// input.
#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdlib>
#include <span>
#include <string>
#include <vector>

#include "heron/error.hpp"
#include "heron/state.hpp"

namespace heron::test {

inline std::string seed_file(const std::vector<FileTensorSource>& tensors,
                             const std::map<std::string, std::string>& metadata = {}) {
    std::string out;
    stream_safetensors(
        [&](std::span<const std::byte> bytes) {
            out.append(reinterpret_cast<const char*>(bytes.data()), bytes.size());
        },
        tensors, metadata);
    return out;
}

inline std::vector<std::string> seed_files() {
    const auto tensor = [](std::string name, FileDType dtype, std::vector<std::uint64_t> shape) {
        return FileTensorSource{
            std::move(name), dtype, std::move(shape), [](std::uint64_t offset, std::span<std::byte> chunk) {
                for (std::size_t i = 0; i < chunk.size(); ++i)
                    chunk[i] = static_cast<std::byte>((offset + i) % 2);  // valid as BOOL, too
            }};
    };
    std::vector<FileTensorSource> every_dtype;
    for (std::uint32_t dtype = 0; dtype <= static_cast<std::uint32_t>(FileDType::boolean); ++dtype)
        every_dtype.push_back(tensor("t" + std::to_string(dtype), static_cast<FileDType>(dtype), {3, 2}));
    return {
        seed_file({}),
        seed_file({}, {{"format", "pt"}, {"step", "100"}}),
        seed_file({FileTensorSource::scalar_u64("step", 7)}),
        seed_file({tensor("fc1.weight", FileDType::f32, {4, 3}),
                   tensor("fc1.weight.momentum", FileDType::bf16, {4, 3}),
                   tensor("fc1.bias", FileDType::f32, {4}), tensor("mask", FileDType::boolean, {5}),
                   FileTensorSource::scalar_u64("step", 1), FileTensorSource::scalar_f64("lr", 0.01)},
                  {{"heron.version", "1"}}),
        seed_file({tensor("a", FileDType::u8, {0}), tensor("b", FileDType::u8, {2, 0, 2}),
                   tensor("c", FileDType::u8, {1, 1, 1, 1, 1, 1}),
                   tensor("d\"\\\n\xC3\xA9", FileDType::i16, {2})}),
        seed_file(every_dtype, {{"", ""}, {"k", "\"\\/\b\f\n\r\t"}}),
    };
}

// Opens and reads the whole of `bytes`, whatever they are. Returns whether they were accepted; ends the
// process where a promise of the reader is broken, since a fuzzer has no other way to be told.
inline bool read_everything(std::span<const std::byte> bytes) {
    const auto promise = [](bool kept) {
        if (!kept) std::abort();
    };
    try {
        const SafetensorsReader reader(bytes, "input");
        std::uint64_t covered = 0;
        for (const FileTensor& tensor : reader.tensors()) {
            promise(tensor.bytes == tensor.count * bytes_of(tensor.dtype));
            promise(tensor.offset <= bytes.size() && tensor.bytes <= bytes.size() - tensor.offset);
            promise(reader.find(tensor.name) == &tensor);
            covered += tensor.bytes;

            std::vector<std::byte> content(static_cast<std::size_t>(tensor.bytes));
            reader.read(tensor.name, content);
            promise(std::equal(content.begin(), content.end(),
                               bytes.begin() + static_cast<std::ptrdiff_t>(tensor.offset)));
            try {
                promise(reader.read_as_double(tensor.name).size() == tensor.count);
            } catch (const Error& error) {  // a BOOL byte above 1
                promise(error.code() == ErrorCode::corrupt_file && tensor.dtype == FileDType::boolean);
            }
        }
        promise(covered <= bytes.size());
        return true;
    } catch (const Error& error) {
        promise(error.code() == ErrorCode::corrupt_file);
        return false;
    }
}

}  // namespace heron::test
