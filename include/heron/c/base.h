// SPDX-License-Identifier: MIT
// Results, versions and the common rules of the C API.
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <vulkan/vulkan_core.h>

#include "heron/export.hpp"  // HERON_API: preprocessor lines alone, C as well as C++

// Major, minor and patch in one number that grows with each of them. Parts: see HERON_VERSION_MAJOR.
#define HERON_MAKE_VERSION(major, minor, patch) \
    (((uint32_t)(major) << 22) | ((uint32_t)(minor) << 12) | (uint32_t)(patch))
#define HERON_VERSION HERON_MAKE_VERSION(HERON_VERSION_MAJOR, HERON_VERSION_MINOR, HERON_VERSION_PATCH)

// Axes that a tensor has at most.
#define HERON_MAX_RANK 8
// What lists within options hold (HERON_LIST_CAPACITY). Longer ones are the caller's: <name>_list, borrowed
// until the call that takes the options returns.
#define HERON_LIST_CAPACITY 16

#ifdef __cplusplus
extern "C" {
#endif

// --- Results

// What a call came to. Errors are below 0, and leave everything as it was, unless the function's comment says
// otherwise: nothing is recorded, submitted or written, and no handle given out. No C++ exception ever leaves
// a function of this API, whatever a callback or an allocation does.
typedef enum heron_result {
    HERON_SUCCESS = 0,
    HERON_INCOMPLETE = 1,               // a list or text is longer than the room for it: its beginning is there
    HERON_ERROR_INVALID_ARGUMENT = -1,  // the caller's mistake; nothing was recorded or changed
    HERON_ERROR_UNSUPPORTED = -2,       // the device, driver or build lacks something; the text has the remedy
    HERON_ERROR_OUT_OF_HOST_MEMORY = -3,
    HERON_ERROR_OUT_OF_DEVICE_MEMORY = -4,
    HERON_ERROR_DEVICE_LOST = -5,  // sticky: every later call on the device fails the same way
    HERON_ERROR_TIMEOUT = -6,
    HERON_ERROR_IO = -7,                // a file could not be opened, read, written or renamed
    HERON_ERROR_CORRUPT_FILE = -8,      // a file's content is not what its format demands
    HERON_ERROR_VERSION_MISMATCH = -9,  // header against library, or file against reader
    HERON_ERROR_INTERNAL = -10,         // a defect of Heron
    HERON_RESULT_MAX_ENUM = 0x7fffffff  // makes it 32 bits wide; no value
} heron_result;

// "success", "incomplete", "invalid_argument", ...; "unknown" for what is none of them. Never NULL.
HERON_API const char* heron_result_text(heron_result result);

// Why this thread's last call that failed did so: which argument or object, what it was, what it should be,
// what to do; "" before any has failed. Calls that succeed leave it as it is. The text is the thread's own, up
// to 2047 bytes of UTF-8, and stays until another call of this thread fails.
HERON_API const char* heron_last_error(void);
// The Vulkan result behind that error, VK_SUCCESS where there is none.
HERON_API VkResult heron_last_vk_result(void);

// --- Versions

// Of the library that is linked, to compare with HERON_VERSION.
HERON_API uint32_t heron_library_version(void);
// Fails (HERON_ERROR_VERSION_MISMATCH) where headers of that version do not fit the library: before 1.0 each
// minor version may change the interface, so major and minor must be the library's. Pass HERON_VERSION. The
// functions that fill options do it, too, and what takes options refuses those of other headers.
HERON_API heron_result heron_check_version(uint32_t header_version);

// Begins every struct that callers fill in. It is set by heron_<struct>_init(), with all defaults, and not to
// be changed: what was not initialized, or by headers that do not fit, is refused.
typedef struct heron_struct {
    uint32_t bytes;    // of the whole struct
    uint32_t version;  // HERON_VERSION of the headers that the caller was compiled with
} heron_struct;

// --- Handles
// Made by ..._create() or a function that is said to give one out, ended by ..._destroy(), which takes NULL,
// too. What a handle was made of must outlive it: a device its buffers, optimizers and plans.
typedef struct heron_device heron_device;
typedef struct heron_device_list heron_device_list;
typedef struct heron_feature_chain heron_feature_chain;
typedef struct heron_buffer heron_buffer;
typedef struct heron_optimizer heron_optimizer;
typedef struct heron_routing heron_routing;
typedef struct heron_plan heron_plan;
typedef struct heron_metadata heron_metadata;
typedef struct heron_evaluation_weights heron_evaluation_weights;
typedef struct heron_armijo_search heron_armijo_search;
typedef struct heron_levenberg_marquardt heron_levenberg_marquardt;
typedef struct heron_gradient_damping_rule heron_gradient_damping_rule;
typedef struct heron_safetensors_reader heron_safetensors_reader;

// Texts and bytes that Heron hands out go into the caller's memory: `*bytes` is its size before the call, and
// what is needed (of texts with the final zero) after it. With NULL for the memory only the need is told;
// where it is too small its beginning is filled, and the result is HERON_INCOMPLETE.

// --- Shapes

// Extents of a row-major tensor, outermost first: (heron_shape){2, {rows, columns}}. Rank 0 is a scalar.
typedef struct heron_shape {
    uint32_t rank;  // 0..HERON_MAX_RANK
    uint64_t extents[HERON_MAX_RANK];
} heron_shape;

// Exponents for blocks with one number of axes: one for all axes or one for each.
typedef struct heron_axis_exponents {
    uint32_t count;  // 0: the optimizer's default
    double exponents[HERON_MAX_RANK];
} heron_axis_exponents;

#ifdef __cplusplus
}
#endif
