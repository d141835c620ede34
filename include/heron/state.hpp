// SPDX-License-Identifier: MIT
// State files: a strict reader and a crash-safe writer of the safetensors format. Needs no device.
//
// A file is: 8 bytes, the header's length N (little-endian); N bytes of JSON, name -> {dtype, shape,
// data_offsets} and optionally "__metadata__" -> {text: text}; then the tensors' bytes, row-major and
// little-endian, without holes.
//
// Errors: heron::Error throughout. io: the system refused (open, read, write, rename, disk full).
// corrupt_file: the content is not what the format, or the caller's request, demands. invalid_argument: the
// caller's mistake. out_of_host_memory: a result that the caller asked for does not fit. Each text names the
// file, the tensor and a remedy.
#pragma once

#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <functional>
#include <map>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "heron/export.hpp"
#include "heron/tensor.hpp"

namespace heron {

// Element types that a state file may hold.
enum class FileDType : std::uint32_t { f64, f32, f16, bf16, i64, i32, i16, i8, u64, u32, u16, u8, boolean };

HERON_API const char* to_string(FileDType dtype);   // as spelled in a file: "F32", "BOOL"
HERON_API std::uint64_t bytes_of(FileDType dtype);  // of one element: 1, 2, 4 or 8
HERON_API FileDType file_dtype(DType dtype);        // DType::bf16 -> FileDType::bf16

// --- reading

// One tensor of a file.
struct FileTensor {
    std::string name;
    FileDType dtype = FileDType::f32;
    std::vector<std::uint64_t> shape;  // outermost first; empty means one element
    std::uint64_t count = 0;           // elements: the product of the extents
    std::uint64_t offset = 0;          // bytes from the start of the file
    std::uint64_t bytes = 0;           // count * bytes_of(dtype)
};

struct SafetensorsLimits {
    std::uint64_t header_bytes = 100'000'000;  // a longer header is refused before memory is taken for it
};

// An open file whose header was checked completely: every byte after the header belongs to exactly one
// tensor, and names, dtypes, shapes and offsets agree with each other and with the file's size. Untrusted
// files are safe to open: memory stays within a small multiple of the header's length, which itself is
// checked against the file's size first.
//
// Threads: const members are safe from many threads at once.
// A file that is replaced (renamed over) while open is still read as it was. One that is overwritten in place
// or truncated while open is the caller's hazard: reads then fail with io or give the new bytes, but stay in
// bounds.
class HERON_API SafetensorsReader {
public:
    // Opens the file. Only regular files: a directory, pipe or device is refused (io).
    explicit SafetensorsReader(const std::filesystem::path& path, const SafetensorsLimits& limits = {});
    // Reads a file that is in memory already, e.g. part of an archive. `bytes` must outlive the reader;
    // `label` stands for the file's name in errors.
    SafetensorsReader(std::span<const std::byte> bytes, std::string label,
                      const SafetensorsLimits& limits = {});
    ~SafetensorsReader();
    SafetensorsReader(SafetensorsReader&&) noexcept;
    SafetensorsReader& operator=(SafetensorsReader&&) noexcept;

    const std::string& label() const;  // the path, or the label given for memory
    const std::map<std::string, std::string>& metadata() const;
    std::span<const FileTensor> tensors() const;  // in the order of their bytes

    const FileTensor* find(std::string_view name) const;    // nullptr where there is none
    const FileTensor& tensor(std::string_view name) const;  // corrupt_file where there is none

    // Copies all bytes of a tensor. `destination` must be exactly as long (invalid_argument).
    void read(std::string_view name, std::span<std::byte> destination) const;
    // Copies destination.size() bytes from `offset` within the tensor, so that a large one can be read in
    // pieces.
    void read(std::string_view name, std::uint64_t offset, std::span<std::byte> destination) const;

    // All elements as float. Exact only: f32, f16, bf16; another dtype is corrupt_file, never rounded
    // silently.
    std::vector<float> read_f32(std::string_view name) const;
    // All elements of any dtype as double; 64-bit integers beyond 2^53 are rounded. Takes 8 * count bytes.
    std::vector<double> read_as_double(std::string_view name) const;

    // The value of a tensor with one element and exactly this dtype; anything else is corrupt_file.
    std::uint64_t read_scalar_u64(std::string_view name) const;
    std::int64_t read_scalar_i64(std::string_view name) const;
    double read_scalar_f64(std::string_view name) const;
    float read_scalar_f32(std::string_view name) const;

private:
    struct Content;
    std::unique_ptr<const Content> content_;
};

// --- writing

// Puts the tensor's bytes [offset, offset + chunk.size()) into `chunk`. Called on the writing thread with
// ascending offsets that are multiples of SafetensorsWriteOptions::chunk_bytes. What it throws passes through
// the writer.
using FillChunk = std::function<void(std::uint64_t offset, std::span<std::byte> chunk)>;

// One tensor to write. borrow() refers to the caller's memory, scalar_*() own their value; or set `fill`
// yourself.
struct FileTensorSource {
    // UTF-8, unique in the file, not "__metadata__"; by convention dotted: "fc1.weight.momentum".
    std::string name;
    FileDType dtype = FileDType::f32;
    std::vector<std::uint64_t> shape;  // empty means one element
    FillChunk fill;                    // may be empty only where the tensor has no elements

    // `bytes` must stay until the file is written. Its length must match (invalid_argument).
    HERON_API static FileTensorSource borrow(std::string name, FileDType dtype,
                                             std::vector<std::uint64_t> shape,
                                             std::span<const std::byte> bytes);
    HERON_API static FileTensorSource borrow(std::string name, std::vector<std::uint64_t> shape,
                                             std::span<const float> values);
    HERON_API static FileTensorSource scalar_u64(std::string name, std::uint64_t value);
    HERON_API static FileTensorSource scalar_i64(std::string name, std::int64_t value);
    HERON_API static FileTensorSource scalar_f64(std::string name, double value);
    HERON_API static FileTensorSource scalar_f32(std::string name, float value);
};

struct SafetensorsWriteOptions {
    std::uint64_t chunk_bytes = 4 << 20;  // multiple of 8; the longest chunk that a fill is asked for
    // Wait until the file has reached the disk; false survives a killed process, not a power cut.
    bool sync = true;
};

// Writes `path` so that at every moment, whatever ends the process, it is the old file or the new one,
// complete: a new sibling "<name>.<16 hex digits>.tmp" is written, synchronised, renamed over `path`, and the
// directory synchronised. On an error (or an exception of a FillChunk) the sibling is removed and `path` is
// as before; only when synchronising the directory fails, the last act, is the new file in place already. A
// killed process leaves its sibling behind; no later write touches it, delete it at leisure.
//
// The same tensors and metadata give the same bytes, in whatever order they are passed: tensors stand by
// element size, largest first, then by name, so that each begins at a multiple of its element size. An
// existing file keeps its permissions; a symbolic link is followed; anything else that is no regular file is
// refused.
//
// Threads: safe, also on the same path: one of the files wins, complete.
HERON_API void write_safetensors(const std::filesystem::path& path, std::span<const FileTensorSource> tensors,
                                 const std::map<std::string, std::string>& metadata = {},
                                 const SafetensorsWriteOptions& options = {});

// The same bytes into `sink`, piece by piece in order: for archives, networks, memory.
HERON_API void stream_safetensors(const std::function<void(std::span<const std::byte>)>& sink,
                                  std::span<const FileTensorSource> tensors,
                                  const std::map<std::string, std::string>& metadata = {},
                                  const SafetensorsWriteOptions& options = {});

}  // namespace heron
