// SPDX-License-Identifier: MIT
// Files of tensors, in the safetensors format: a strict reader and a crash-safe writer. They need no device.
// (A training is saved by heron_save_checkpoint(), a plan's states by heron_plan_save().) Paths are UTF-8.
//
// Fails: HERON_ERROR_IO where the system refused; HERON_ERROR_CORRUPT_FILE where the content is not what the
// format, or the request, demands; each text names the file, the tensor and a remedy.
#pragma once

#include "heron/c/plan.h"

#ifdef __cplusplus
extern "C" {
#endif

// --- Reading
//
// Threads: functions that take a const heron_safetensors_reader* may run at the same time on the same reader.

// One tensor of a file. Name and shape belong to the reader.
typedef struct heron_file_tensor {
    const char* name;
    heron_file_dtype dtype;
    uint32_t rank;
    const uint64_t* shape;  // `rank` extents, outermost first; none means one element
    uint64_t count;         // elements: the product of the extents
    uint64_t offset;        // bytes from the start of the file
    uint64_t bytes;
} heron_file_tensor;

// Opens a regular file and checks its header completely; untrusted files are safe to open: memory stays within
// a small multiple of the header's length, which is checked against the file's size first. `limits` may be
// NULL. One that is replaced while open is still read as it was; one that is overwritten in place or truncated
// gives HERON_ERROR_IO or the new bytes.
HERON_API heron_result heron_safetensors_reader_create(const char* path, const heron_safetensors_limits* limits,
                                                       heron_safetensors_reader** reader);
// The same of a file that is in memory already, which must outlive the reader; `label` stands for the file's
// name in errors.
HERON_API heron_result heron_safetensors_reader_create_from_bytes(const void* data, size_t bytes, const char* label,
                                                                  const heron_safetensors_limits* limits,
                                                                  heron_safetensors_reader** reader);
HERON_API void heron_safetensors_reader_destroy(heron_safetensors_reader* reader);
// The path, or the label; NULL for NULL.
HERON_API const char* heron_safetensors_reader_label(const heron_safetensors_reader* reader);
// The file's texts (heron_metadata_get(), heron_metadata_find()); they belong to the reader. NULL for NULL.
HERON_API const heron_metadata* heron_safetensors_reader_metadata(const heron_safetensors_reader* reader);
HERON_API uint32_t heron_safetensors_reader_tensor_count(const heron_safetensors_reader* reader);  // 0 for NULL
// In the order of their bytes; NULL where there is none of that index, or name.
HERON_API const heron_file_tensor* heron_safetensors_reader_tensor(const heron_safetensors_reader* reader,
                                                                   uint32_t index);
HERON_API const heron_file_tensor* heron_safetensors_reader_find(const heron_safetensors_reader* reader,
                                                                 const char* name);
// Copies all bytes of a tensor, row-major and little-endian. `bytes` must be exactly as many
// (HERON_ERROR_INVALID_ARGUMENT).
HERON_API heron_result heron_safetensors_reader_read(const heron_safetensors_reader* reader, const char* name,
                                                     void* to, size_t bytes);
// Copies `bytes` bytes from `offset` within the tensor, so that a large one can be read in pieces.
HERON_API heron_result heron_safetensors_reader_read_part(const heron_safetensors_reader* reader, const char* name,
                                                          uint64_t offset, void* to, size_t bytes);
// All elements as float, `count` of them as the tensor has (HERON_ERROR_INVALID_ARGUMENT). Exact only: f32, f16,
// bf16; another dtype is HERON_ERROR_CORRUPT_FILE, never rounded silently.
HERON_API heron_result heron_safetensors_reader_read_f32(const heron_safetensors_reader* reader, const char* name,
                                                         float* to, uint64_t count);
// All elements of any dtype as double; 64-bit integers beyond 2^53 are rounded.
HERON_API heron_result heron_safetensors_reader_read_as_double(const heron_safetensors_reader* reader,
                                                               const char* name, double* to, uint64_t count);
// The value of a tensor with one element and exactly this dtype; anything else is HERON_ERROR_CORRUPT_FILE.
HERON_API heron_result heron_safetensors_reader_read_scalar_u64(const heron_safetensors_reader* reader,
                                                                const char* name, uint64_t* value);
HERON_API heron_result heron_safetensors_reader_read_scalar_i64(const heron_safetensors_reader* reader,
                                                                const char* name, int64_t* value);
HERON_API heron_result heron_safetensors_reader_read_scalar_f64(const heron_safetensors_reader* reader,
                                                                const char* name, double* value);
HERON_API heron_result heron_safetensors_reader_read_scalar_f32(const heron_safetensors_reader* reader,
                                                                const char* name, float* value);

// --- Writing

// One tensor to write, borrowed until the call returns.
typedef struct heron_file_tensor_source {
    const char* name;  // UTF-8, unique in the file, not "__metadata__"
    heron_file_dtype dtype;
    uint32_t rank;
    const uint64_t* shape;  // `rank` extents, outermost first
    const void* data;       // row-major and little-endian
    size_t bytes;           // what dtype and shape make (HERON_ERROR_INVALID_ARGUMENT)
    // Not NULL, in the place of data and bytes: for tensors that are not in host memory as a whole. Puts the
    // tensor's bytes from `offset` into `chunk`, `bytes` of them. Called from the thread that writes, with ascending
    // offsets, multiples of heron_safetensors_write_options.chunk_bytes. False ends the call (HERON_ERROR_IO), and
    // leaves the old file as it was.
    bool (*fill)(void* user, uint64_t offset, void* chunk, size_t bytes);
    void* fill_user;  // passed to it
} heron_file_tensor_source;

// Writes `path` so that at every moment, whatever ends the process, it is the old file or the new one,
// complete: a new sibling "<name>.<16 hex digits>.tmp" is written, synchronised and renamed over it. The same
// tensors and metadata give the same bytes, in whatever order they are passed. `options` may be NULL.
// Threads: safe, also on the same path: one of the files wins, complete.
HERON_API heron_result heron_write_safetensors(const char* path, const heron_file_tensor_source* tensors,
                                               uint32_t tensor_count, const heron_metadata_entry* metadata,
                                               uint32_t metadata_count,
                                               const heron_safetensors_write_options* options);
// Gives the same bytes to `sink`, piece by piece in order: for archives, networks, memory. False from it ends the call
// (HERON_ERROR_IO). `user` is passed to it.
HERON_API heron_result heron_stream_safetensors(bool (*sink)(void* user, const void* data, size_t bytes), void* user,
                                                const heron_file_tensor_source* tensors, uint32_t tensor_count,
                                                const heron_metadata_entry* metadata, uint32_t metadata_count,
                                                const heron_safetensors_write_options* options);

#ifdef __cplusplus
}
#endif
