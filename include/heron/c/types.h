// SPDX-License-Identifier: MIT
// Enumerations and plain structs of the C API, and the version of these headers.
// Written by src/c/generate.py from the C++ headers; do not edit.
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <vulkan/vulkan_core.h>

#define HERON_VERSION_MAJOR 0
#define HERON_VERSION_MINOR 1
#define HERON_VERSION_PATCH 0

#include "heron/c/base.h"
#include "heron/c/schedule.h"

#ifdef __cplusplus
extern "C" {
#endif

// Of elements on the device.
typedef enum heron_dtype {
    HERON_DTYPE_F32 = 0,
    HERON_DTYPE_F16 = 1,
    HERON_DTYPE_BF16 = 2,
    HERON_DTYPE_U32 = 3,
    HERON_DTYPE_MAX_ENUM = 0x7fffffff  // makes it 32 bits wide; no value
} heron_dtype;

// Part of a VkBuffer that the caller owns. `usage` is what the buffer was created with: Vulkan cannot be
// asked.
typedef struct heron_buffer_range {
    VkBuffer buffer;
    VkDeviceSize offset;  // bytes
    VkDeviceSize bytes;
    VkBufferUsageFlags usage;  // must contain VK_BUFFER_USAGE_SHADER_DEVICE_ADDRESS_BIT
    void* mapped;  // host pointer of `offset`, where the memory is mapped
} heron_buffer_range;

// A tensor in device memory, owned by somebody else.
// Layout: row-major; `row_stride` is the distance in elements between the starts of two rows of the last two
// axes (0 means contiguous). Addresses are multiples of 4 bytes, for 16-bit types too.
typedef struct heron_tensor_view {
    VkDeviceAddress address;
    heron_dtype dtype;
    heron_shape shape;
    uint64_t row_stride;  // elements
    uint64_t device;  // heron_device_id() of the device that made the view; 0: not known, and not checked
} heron_tensor_view;

// Of a line of the log.
typedef enum heron_severity {
    HERON_SEVERITY_DEBUG = 0,
    HERON_SEVERITY_INFO = 1,
    HERON_SEVERITY_WARNING = 2,
    HERON_SEVERITY_ERROR = 3,
    HERON_SEVERITY_MAX_ENUM = 0x7fffffff  // makes it 32 bits wide; no value
} heron_severity;

typedef enum heron_memory_kind {
    HERON_MEMORY_KIND_DEVICE = 0,  // fastest for the GPU; not mapped unless all of the device's memory is
    HERON_MEMORY_KIND_UPLOAD = 1,  // mapped, coherent; written by the host, read by the GPU (job arrays)
    HERON_MEMORY_KIND_READBACK = 2,  // mapped, coherent, host-cached where there is such a type
    HERON_MEMORY_KIND_MAX_ENUM = 0x7fffffff  // makes it 32 bits wide; no value
} heron_memory_kind;

// Shape of one multiplication of matrix units: m x k times k x n.
typedef struct heron_matrix_shape {
    uint32_t m;
    uint32_t n;
    uint32_t k;
} heron_matrix_shape;

// What a device offers beyond the baseline, and its limits, as Heron uses them.
typedef struct heron_capabilities {
    bool cpu;  // a CPU driver (lavapipe, SwiftShader): CPU variants are chosen
    bool cpu_uniform_loads;  // ... that loads an address common to a subgroup once (lavapipe 26.1)
    bool shader_float16;  // arithmetic on float16_t
    bool storage_16bit;  // 16-bit loads and stores
    bool storage_8bit;
    bool subgroup_size_control;  // compute workgroups of full subgroups of `subgroup_size`
    bool cooperative_matrix;  // VK_KHR_cooperative_matrix with f16 operands and f32 sums
    heron_matrix_shape cooperative_f16;  // the one of its shapes that Heron's kernels use; zeros: none fits
    heron_matrix_shape cooperative_bf16;  // the same for bf16 operands (VK_KHR_shader_bfloat16)
    bool bfloat16;  // VK_KHR_shader_bfloat16
    bool cooperative_matrix2;  // VK_NV_cooperative_matrix2
    // Of it: what rows, columns and depth of f16 matrices with f32 sums are multiples of that a workgroup of
    // 256 holds together; zeros: it cannot, or not through tensor layouts, or not up to 128 x 128.
    heron_matrix_shape cooperative_workgroup_f16;
    uint32_t cooperative_workgroup_bytes;  // of shared memory that the driver keeps for them
    bool memory_budget;  // VK_EXT_memory_budget
    bool pipeline_statistics;  // VK_KHR_pipeline_executable_properties
    bool timestamps;  // on the queue family in use
    bool debug_utils;  // names and labels are set
    uint32_t subgroup_size;
    uint32_t max_workgroup_invocations;
    uint32_t max_workgroup_size_x;
    uint32_t max_workgroup_count[3];
    uint32_t shared_memory_bytes;
    uint64_t max_buffer_bytes;
    uint64_t max_allocation_bytes;
    double timestamp_period_ns;
    uint32_t timestamp_bits;  // that count: a timestamp wraps round after them; 0: no timestamps
} heron_capabilities;

// Treats the device as if it did not have something: for tests, and as a way around a driver's defect.
typedef struct heron_disabled_capabilities {
    bool shader_float16;
    bool storage_16bit;
    bool storage_8bit;
    bool subgroup_size_control;
    bool cooperative_matrix;
    bool bfloat16;
    bool cooperative_matrix2;
    bool memory_budget;
    bool pipeline_statistics;
    bool timestamps;
    bool cpu;  // choose the GPU variants on a CPU driver
    uint32_t max_shared_memory;  // bytes; 0 = the device's own limit
    uint32_t max_invocations;  // per workgroup; 0 = the device's own limit
} heron_disabled_capabilities;

typedef struct heron_memory_request {
    heron_memory_kind kind;
    VkDeviceSize bytes;
    VkDeviceSize alignment;
    const char* purpose;  // "state", "workspace", "tables", ...: for names and logs
} heron_memory_request;

// The separate programs of a plan.
typedef enum heron_phase {
    HERON_PHASE_STEP = 0,  // what heron_plan_record records
    HERON_PHASE_INITIALIZE = 1,  // once, before the first step: first values of states
    HERON_PHASE_ACCUMULATE = 2,  // adds one micro-batch's gradients
    HERON_PHASE_MAX_ENUM = 0x7fffffff  // makes it 32 bits wide; no value
} heron_phase;

typedef struct heron_plan_options {
    const char* name;  // for debug names, labels and errors
    // Timestamps around every dispatch, see heron_plan_timings(); in a small buffer of the device's beside
    // the plan's memory.
    bool profile;
    // = 4e9; Bigger dispatches are split, so that no weak GPU meets its watchdog. Above 0; infinity: no
    // limit.
    double max_dispatch_flops;
    double max_dispatch_bytes;  // = 1073741824.0
} heron_plan_options;

// Memory for heron_plan_bind. Offsets are multiples of 256 bytes. Of each range the plan uses the first
// ..._bytes(), which overlap neither those of another range nor an external tensor of the graph.
typedef struct heron_plan_memory {
    heron_buffer_range state;  // at least heron_plan_state_bytes(); lives as long as the training
    // At least heron_plan_workspace_bytes(). Plans that do not run at the same time may share it; a plan runs
    // until the last slice of its step has finished.
    heron_buffer_range workspace;
    heron_buffer_range tables;  // at least heron_plan_table_bytes(); mapped and coherent
    heron_buffer_range readback;  // at least heron_plan_readback_bytes(); mapped and coherent
} heron_plan_memory;

typedef struct heron_semaphore_value {
    VkSemaphore semaphore;  // timeline
    uint64_t value;
} heron_semaphore_value;

// How much of a step one slice may hold; whichever is reached first. At least one dispatch is always
// recorded.
typedef struct heron_slice_budget {
    heron_struct header;  // by heron_slice_budget_init()
    uint32_t max_dispatches;  // = 0xffffffff
    // = 1e30; By the plan's costs: measured when there are timings, else estimated. Above 0; infinity: no
    // limit.
    double max_ns;
    // = 1e300; By what the operations state. Above 0; infinity: no limit. Of sections that are recorded, in
    // both, as if all of them ran: which of them do is decided on the GPU.
    double max_flops;
    // All slices of the step run exactly once: sections are left out as by heron_plan_record_one_time(). The
    // step's first slice decides.
    bool one_time;
} heron_slice_budget;

HERON_API heron_result heron_init_slice_budget(heron_slice_budget* options, size_t bytes, uint32_t version);
static inline heron_result heron_slice_budget_init(heron_slice_budget* options) {
    return heron_init_slice_budget(options, sizeof *options, HERON_VERSION);
}

typedef struct heron_slice_result {
    bool complete;  // the step's last dispatch is recorded
    uint32_t dispatches;
    double expected_ns;
} heron_slice_result;

// An input layer is a matrix of width x data, not a table of words, or a network's first filters:
// heron_routing_create() knows the latter by their place, the former only has who says so.
typedef enum heron_role {
    HERON_ROLE_AUTOMATIC = 0,
    HERON_ROLE_HIDDEN_MATRIX = 1,
    HERON_ROLE_EMBEDDING = 2,
    HERON_ROLE_HEAD = 3,
    HERON_ROLE_VECTOR = 4,
    HERON_ROLE_INPUT = 5,
    HERON_ROLE_MAX_ENUM = 0x7fffffff  // makes it 32 bits wide; no value
} heron_role;

// How a matrix optimizer sees a parameter. Blocks are separate matrices: for the norm, the iteration and the
// shape factor. They are ranges of rows, of a weight that is out x in. One that is stored in x out (GPT-2's
// Conv1D: c_attn is width x 3 width) has q, k and v side by side in its columns, and no view for them: store
// its transpose, or let it be one matrix. Splits that add up to its columns are refused by saying so.
typedef struct heron_matrix_view {
    uint32_t row_splits_count;  // rows of each block, summing to the matrix's rows (q, k, v)
    uint64_t row_splits[HERON_LIST_CAPACITY];
    const uint64_t* row_splits_list;  // not NULL: all of them are here instead
    uint32_t heads;  // or: that many equal row blocks
    bool batch;  // leading axes are a batch of matrices (experts) and not part of a convolution
} heron_matrix_view;

// Of the damping or epsilon of either side's factor; of one that both share (Kfac, Singd), their product.
typedef struct heron_damping_scales {
    float inputs;  // = 1.0; of the columns' factor
    float outputs;  // = 1.0; of the rows'
} heron_damping_scales;

// In a plan the weight is the external tensor <name>, the gradient <name>.grad (for heron_plan_rebind), and
// states are called <name>.momentum and the like. A step takes a weight, its master copy and its average to
// the largest finite number of the weight's dtype and no further (65504 for f16).
typedef struct heron_parameter {
    heron_struct header;  // by heron_parameter_init()
    const char* name;  // dotted, unique among all optimizers of a plan: "blocks.0.attn.qkv.weight"
    heron_tensor_view weight;  // f32, f16 or bf16; contiguous; at most 2^32 - 16 elements
    heron_tensor_view gradient;  // same shape; f32, f16 or bf16; contiguous; overlaps no weight
    heron_role role;  // = HERON_ROLE_AUTOMATIC
    heron_matrix_view view;
    float lr_scale;  // = 1.0; factor on the optimizer's learning rate; finite, >= 0
    float weight_decay_scale;  // = 1.0; factor on the optimizer's weight decay; finite, >= 0
    heron_damping_scales damping_scale;  // factors on its damping, where it has one; finite, >= 0
} heron_parameter;

HERON_API heron_result heron_init_parameter(heron_parameter* options, size_t bytes, uint32_t version);
static inline heron_result heron_parameter_init(heron_parameter* options) {
    return heron_init_parameter(options, sizeof *options, HERON_VERSION);
}

typedef struct heron_loss_scale_options {
    float initial;  // = 1.0; what the backward pass multiplies the loss with; 2^-24 to 2^120
    bool dynamic;  // changes by itself, within those bounds; needs skip_nonfinite
    uint32_t growth_interval;  // = 2000; >= 1; as torch.amp.GradScaler
    float growth;  // = 2.0; >= 1; after that many good steps in a row
    float backoff;  // = 0.5; (0, 1]; at a step that is skipped for non-finite gradients
} heron_loss_scale_options;

typedef struct heron_step_options {
    heron_struct header;  // by heron_step_options_init()
    const char* name;
    // = true; A step with a NaN or infinity in any gradient changes nothing and is counted.
    bool skip_nonfinite;
    float clip_norm;  // > 0: gradients are scaled to at most this global norm
    // > 0: then every element is clamped to +- this. In any case to +- 1.3e19, so that no square overflows.
    float clip_value;
    heron_loss_scale_options loss_scale;
    // Gradient accumulation in f32 by heron_plan_record_accumulate(); the step uses the mean. A step without
    // micro-batches is skipped. A sum that overflows is a non-finite gradient, and without skip_nonfinite the
    // largest finite number.
    bool accumulate;
    // f32 master copies of 16-bit parameters, states "<parameter>.master". Made by heron_plan_initialize();
    // from then on they are the weights, and what is written to the parameters themselves is overwritten by
    // the next step.
    bool master_weights;
    // (0, 1): an f32 moving average of every parameter, state "<parameter>.ema", which begins as the
    // parameter and takes 1 - ema_decay of it after every step. To evaluate it: heron_evaluation_weights
    // (heron/optim/evaluation.hpp).
    float ema_decay;
    uint32_t seed;  // of counter-based random streams
    heron_plan_options plan;  // its name, where it is not set, is `name`
} heron_step_options;

HERON_API heron_result heron_init_step_options(heron_step_options* options, size_t bytes, uint32_t version);
static inline heron_result heron_step_options_init(heron_step_options* options) {
    return heron_init_step_options(options, sizeof *options, HERON_VERSION);
}

// What the GPU reported in the last step that it has begun; read from mapped memory, without a stall.
typedef struct heron_step_status {
    uint32_t step;  // steps done
    uint32_t skipped;  // steps skipped so far
    bool last_skipped;
    uint32_t nonfinite;  // non-finite gradient elements in the last step
    // Global, unscaled, before clipping, of the finite elements; 0 without guard and clipping by norm.
    float gradient_norm;
    float loss_scale;
} heron_step_status;

// Options that a checkpoint was not saved with: schedules, clipping, decay, betas and the like.
typedef enum heron_changed_options {
    HERON_CHANGED_OPTIONS_REFUSE = 0,  // what goes on is the run that was saved, bit for bit
    // to extend or change a run: the plan's options hold, each difference is a warning in the log
    HERON_CHANGED_OPTIONS_ACCEPT = 1,
    HERON_CHANGED_OPTIONS_MAX_ENUM = 0x7fffffff  // makes it 32 bits wide; no value
} heron_changed_options;

// A factor (width / base width)^exponent for every role; -4 to 4.
typedef struct heron_width_rules {
    heron_struct header;  // by heron_width_rules_init()
    double base_width;  // = 1.0; above 0: the width that the numbers were tuned at; 1: as the formula stands
    double hidden_matrix;  // exponents
    double embedding;
    double head;
    double input;
    double vector;
} heron_width_rules;

HERON_API heron_result heron_init_width_rules(heron_width_rules* options, size_t bytes, uint32_t version);
static inline heron_result heron_width_rules_init(heron_width_rules* options) {
    return heron_init_width_rules(options, sizeof *options, HERON_VERSION);
}
// The maximal update parametrization for each kind of update: SGD and Adam (Yang et al., arXiv
// 2203.03466, table 3; there biases share the input layers' rule), Shampoo and K-FAC (Ishikawa and
// Karakida, arXiv 2312.12226, as the author's code has it).
HERON_API heron_result heron_init_width_rules_mup_sgd(heron_width_rules* options, size_t bytes,
                                                      uint32_t version, double base);
static inline heron_result heron_width_rules_mup_sgd(heron_width_rules* options, double base) {
    return heron_init_width_rules_mup_sgd(options, sizeof *options, HERON_VERSION, base);
}
// AdamW, Lion, SOAP, PSGD's whitening, Shampoo with Adam's graft, and whatever moves each element by
// about lr.
HERON_API heron_result heron_init_width_rules_mup_adam(heron_width_rules* options, size_t bytes,
                                                       uint32_t version, double base);
static inline heron_result heron_width_rules_mup_adam(heron_width_rules* options, double base) {
    return heron_init_width_rules_mup_adam(options, sizeof *options, HERON_VERSION, base);
}
// Shampoo without graft, exponents of 1/4 a side. A graft brings its own rule: heron_width_rules_mup_adam()
// with Adam's.
HERON_API heron_result heron_init_width_rules_mup_shampoo(heron_width_rules* options, size_t bytes,
                                                          uint32_t version, double base);
static inline heron_result heron_width_rules_mup_shampoo(heron_width_rules* options, double base) {
    return heron_init_width_rules_mup_shampoo(options, sizeof *options, HERON_VERSION, base);
}
// Muon, FISMO, Mousse and Shampoo^2 with HERON_SHAPE_FACTOR_NONE: an update of spectral norm 1 needs sqrt(out
// / in). With HERON_SHAPE_FACTOR_SQRT_RATIO the step does this by itself: no rule. With max_one_sqrt_ratio,
// Muon's default, hidden matrices need none either: it differs by their ratio of sides, which the width does
// not change; heads and embeddings have AdamW's. With match_rms and spectral the update's spectral norm grows
// as width^1/2, which lets AdamW's rates be used, but is no muP: for that hidden_matrix is -0.5.
HERON_API heron_result heron_init_width_rules_mup_orthogonal(heron_width_rules* options, size_t bytes,
                                                             uint32_t version, double base);
static inline heron_result heron_width_rules_mup_orthogonal(heron_width_rules* options, double base) {
    return heron_init_width_rules_mup_orthogonal(options, sizeof *options, HERON_VERSION, base);
}
HERON_API heron_result heron_init_width_rules_mup_kfac(heron_width_rules* options, size_t bytes,
                                                       uint32_t version, double base);
static inline heron_result heron_width_rules_mup_kfac(heron_width_rules* options, double base) {
    return heron_init_width_rules_mup_kfac(options, sizeof *options, HERON_VERSION, base);
}
// K-FAC with the inputs' factor alone (FOOF).
HERON_API heron_result heron_init_width_rules_mup_foof(heron_width_rules* options, size_t bytes,
                                                       uint32_t version, double base);
static inline heron_result heron_width_rules_mup_foof(heron_width_rules* options, double base) {
    return heron_init_width_rules_mup_foof(options, sizeof *options, HERON_VERSION, base);
}
// u-muP (Blake, Eichenberg et al., arXiv 2407.17465): weights begin with variance 1, and the forward pass
// divides by sqrt(fan_in). Matrices and embeddings width^-1/2, heads as they are; vectors as they are
// with Adam, times the width with SGD. SGD's matrices and embeddings grow as width^1/2 where the
// readout's gradient is scaled like its output (the official code's constraint "to_output_scale"). Input
// layers count as matrices there: without HERON_ROLE_INPUT. Besides: parameters of residual branches
// heron_scale_learning_rates_by(..., depth^-1/2), and heron_make_decay_independent().
HERON_API heron_result heron_init_width_rules_u_mup_adam(heron_width_rules* options, size_t bytes,
                                                         uint32_t version);
static inline heron_result heron_width_rules_u_mup_adam(heron_width_rules* options) {
    return heron_init_width_rules_u_mup_adam(options, sizeof *options, HERON_VERSION);
}
HERON_API heron_result heron_init_width_rules_u_mup_sgd(heron_width_rules* options, size_t bytes,
                                                        uint32_t version);
static inline heron_result heron_width_rules_u_mup_sgd(heron_width_rules* options) {
    return heron_init_width_rules_u_mup_sgd(options, sizeof *options, HERON_VERSION);
}
HERON_API heron_result heron_init_width_rules_u_mup_sgd_to_output_scale(heron_width_rules* options,
                                                                        size_t bytes, uint32_t version);
static inline heron_result heron_width_rules_u_mup_sgd_to_output_scale(heron_width_rules* options) {
    return heron_init_width_rules_u_mup_sgd_to_output_scale(options, sizeof *options, HERON_VERSION);
}
// microsoft/dion's README: the head's rate divided by sqrt(fan_in).
HERON_API heron_result heron_init_width_rules_dion(heron_width_rules* options, size_t bytes,
                                                   uint32_t version);
static inline heron_result heron_width_rules_dion(heron_width_rules* options) {
    return heron_init_width_rules_dion(options, sizeof *options, HERON_VERSION);
}
// AdamW whose rates follow heron_width_rules_mup_adam() (arXiv 2510.15262): lambda of matrices grows as
// sqrt(width), so that singular values, sqrt(lr / lambda) width^0.75, keep the gain of a layer. Give vectors
// no decay.
HERON_API heron_result heron_init_width_rules_decay_adamw(heron_width_rules* options, size_t bytes,
                                                          uint32_t version, double base);
static inline heron_result heron_width_rules_decay_adamw(heron_width_rules* options, double base) {
    return heron_init_width_rules_decay_adamw(options, sizeof *options, HERON_VERSION, base);
}
// Optimizers that precondition matrices (arXiv 2512.05620): decay independent of the rate, as 1 / width.
HERON_API heron_result heron_init_width_rules_decay_matrix(heron_width_rules* options, size_t bytes,
                                                           uint32_t version, double base);
static inline heron_result heron_width_rules_decay_matrix(heron_width_rules* options, double base) {
    return heron_init_width_rules_decay_matrix(options, sizeof *options, HERON_VERSION, base);
}

// A weight that is used at R positions of every sample (Eschenhagen et al., arXiv 2311.00636).
typedef enum heron_layer_sharing {
    // all N R rows of a and s: exact for linear networks with a loss at every position
    HERON_LAYER_SHARING_EXPAND = 0,
    // means of a and sums of s over a sample's positions: exact where they are averaged before the loss;
    // costs R times less
    HERON_LAYER_SHARING_REDUCE = 1,
    HERON_LAYER_SHARING_MAX_ENUM = 0x7fffffff  // makes it 32 bits wide; no value
} heron_layer_sharing;

// What the loss is of the losses of its N samples (with R positions each), and so what `output_gradients` are
// of the gradients of single losses: statistics are scaled back to these.
typedef enum heron_loss_reduction {
    // Unknown: the plain mean of s s^T over the rows, whatever the loss was (kfac-pytorch). Of a mean over N
    // samples that is too small by N^2, and damping rules.
    HERON_LOSS_REDUCTION_NONE = 0,
    HERON_LOSS_REDUCTION_SUM = 1,  // sum of s s^T
    HERON_LOSS_REDUCTION_MEAN_OVER_BATCH = 2,  // N times that
    HERON_LOSS_REDUCTION_MEAN_OVER_POSITIONS = 3,  // over samples and positions: N R times that
    HERON_LOSS_REDUCTION_MAX_ENUM = 0x7fffffff  // makes it 32 bits wide; no value
} heron_loss_reduction;

// A convolution's input patches as rows: C / groups x kernel[0] x kernel[1] elements in that order, one row
// for each position of each image; what lies in the padding is zero. Vertical first.
typedef struct heron_conv_patches {
    uint32_t kernel[2];  // = 1, 1
    uint32_t stride[2];  // = 1, 1
    uint32_t padding[2];  // = 0, 0
    uint32_t dilation[2];  // = 1, 1
    uint32_t groups;  // = 1; each has a factor of its own: the factor's batch
} heron_conv_patches;

// What an application may hand in beside a parameter; f32, contiguous, of the weight's shape.
//
// Newton: after each backward pass, and before the step, `product` holds H v, the Hessian of the loss (not
// scaled by the loss scale) times the probe v: the gradient of <gradient, v>, or (gradient at w + d v -
// gradient at w) / d with d about 3e-4. The probe: without a view of the application's the step keeps one,
// the state <parameter>.probe, which is v for the next step (heron_plan_initialize() draws the first one,
// each step another one at its end): read it at heron_plan_state_view(). In steps that do not fit neither
// matters.
typedef struct heron_psgd_inputs {
    heron_struct header;  // by heron_psgd_inputs_init()
    heron_tensor_view product;
    heron_tensor_view probe;  // written by the application: v, standard normal
    // In place of the generator's, normal numbers of the application, for tests and comparisons: f32, on a
    // multiple of 16 bytes; for a fit z (one for each element), then for each factor that is a matrix
    // bound_rows x order numbers, twice for q05eq15, 11 times for pro4p.
    heron_tensor_view draws;
} heron_psgd_inputs;

HERON_API heron_result heron_init_psgd_inputs(heron_psgd_inputs* options, size_t bytes, uint32_t version);
static inline heron_result heron_psgd_inputs_init(heron_psgd_inputs* options) {
    return heron_init_psgd_inputs(options, sizeof *options, HERON_VERSION);
}

// Levenberg-Marquardt's rule as in kfac-jax, whose defaults these are: every `interval` steps damping times
// decay^interval where the loss went down by more than `upper` of what was predicted, over it where by less
// than `lower`, or where the ratio is no number; within [least, largest].
typedef struct heron_damping_adaptation {
    heron_struct header;  // by heron_damping_adaptation_init()
    float decay;  // = 0.9; (0, 1]
    uint32_t interval;  // = 5; 1..10000
    float lower;  // = 0.25
    float upper;  // = 0.75
    float least;  // = 1e-8; above 0
    float largest;  // = 0x1p126
} heron_damping_adaptation;

HERON_API heron_result heron_init_damping_adaptation(heron_damping_adaptation* options, size_t bytes,
                                                     uint32_t version);
static inline heron_result heron_damping_adaptation_init(heron_damping_adaptation* options) {
    return heron_init_damping_adaptation(options, sizeof *options, HERON_VERSION);
}

// Of the last step that was not skipped; zeros before the first one.
typedef struct heron_kfac_clip {
    float factor;  // nu
    float products;  // sum over layers <D, G>, before nu
    // The change of the loss that the quadratic model predicts for the step -lr nu D, since D solves (F +
    // damping) D = G, or a form of it in factors: -lr nu (1 - lr nu / 2) <D, G>. Momentum, decay and the
    // parameters' lr_scale are left out.
    float predicted_change;
} heron_kfac_clip;

// How a search begins: at min(increase alpha, largest), or where the last one ended; goldstein also
// lengthens.
typedef enum heron_search_start {
    HERON_SEARCH_START_INCREASE = 0,
    HERON_SEARCH_START_CONSERVATIVE = 1,
    HERON_SEARCH_START_GOLDSTEIN = 2,
    HERON_SEARCH_START_MAX_ENUM = 0x7fffffff  // makes it 32 bits wide; no value
} heron_search_start;

// S. Vaswani et al., arXiv 1905.09997, with the constants of EGN.
typedef struct heron_armijo_options {
    heron_struct header;  // by heron_armijo_options_init()
    double largest;  // = 1; the learning rate
    double aggressiveness;  // = 0.9; in (0, 1): c = 1 - aggressiveness of Armijo's condition
    double decrease;  // = 0.8; in (0, 1)
    double increase;  // = 1.5; >= 1
    uint32_t max_trials;  // = 15; shorter steps; the one after that is taken as it is if its loss is finite
    heron_search_start start;  // = HERON_SEARCH_START_INCREASE
} heron_armijo_options;

HERON_API heron_result heron_init_armijo_options(heron_armijo_options* options, size_t bytes,
                                                 uint32_t version);
static inline heron_result heron_armijo_options_init(heron_armijo_options* options) {
    return heron_init_armijo_options(options, sizeof *options, HERON_VERSION);
}

// Levenberg-Marquardt: lambda by the ratio of the decrease and the model's. EGN's factors; those of the trust
// region in the same authors' later library are 1.5 and 0.5.
typedef struct heron_levenberg_marquardt_options {
    heron_struct header;  // by heron_levenberg_marquardt_options_init()
    double lambda;  // = 1
    double raise;  // = 1.01; where the ratio is below `bad`, above `good`
    double lower;  // = 0.99
    double bad;  // = 0.25
    double good;  // = 0.75
    double smallest;  // = 1e-12
    double largest;  // = 1e6
} heron_levenberg_marquardt_options;

HERON_API heron_result heron_init_levenberg_marquardt_options(heron_levenberg_marquardt_options* options,
                                                              size_t bytes, uint32_t version);
static inline heron_result heron_levenberg_marquardt_options_init(heron_levenberg_marquardt_options* options) {
    return heron_init_levenberg_marquardt_options(options, sizeof *options, HERON_VERSION);
}

// Dampings by the norm of the gradient, for trial loops: step with heron_gradient_damping_rule_lambda(), then
// tell what came of it.
typedef enum heron_gradient_damping {
    // lambda = |g| / gamma; accepted if f - f+ >= |g+|^2 / (8 lambda), then gamma doubles, else it halves.
    // (A. Semenov, M. Jaggi, N. Doikov: Gradient-Normalized Smoothness, arXiv 2506.13710, algorithm 1.)
    HERON_GRADIENT_DAMPING_NORMALIZED_SMOOTHNESS = 0,
    // lambda = h |g|^power; accepted if g+^T (x - x+) >= |g+|^2 / (4 lambda), then h / 4, else 4 h.
    // (N. Doikov, K. Mishchenko, Y. Nesterov: Super-Universal Regularized Newton Method, arXiv 2208.05888.)
    HERON_GRADIENT_DAMPING_SUPER_UNIVERSAL = 1,
    // lambda = sqrt(h |g|); accepted if the loss falls, then h / 2, else 2 h.
    HERON_GRADIENT_DAMPING_SQUARE_ROOT = 2,
    HERON_GRADIENT_DAMPING_MAX_ENUM = 0x7fffffff  // makes it 32 bits wide; no value
} heron_gradient_damping;

typedef struct heron_gradient_damping_options {
    heron_struct header;  // by heron_gradient_damping_options_init()
    heron_gradient_damping rule;  // = HERON_GRADIENT_DAMPING_NORMALIZED_SMOOTHNESS
    double initial;  // = 1; gamma, or h
    double smallest;  // = 1e-9; of gamma after an accepted step (super_universal: of h; the official 1e-5)
    double epsilon;  // = 1e-8; added to gamma below |g|
    double power;  // = 1; of |g|, super_universal
    uint32_t max_trials;  // = 40; the last one is taken if its loss is finite and the system could be solved
} heron_gradient_damping_options;

HERON_API heron_result heron_init_gradient_damping_options(heron_gradient_damping_options* options,
                                                           size_t bytes, uint32_t version);
static inline heron_result heron_gradient_damping_options_init(heron_gradient_damping_options* options) {
    return heron_init_gradient_damping_options(options, sizeof *options, HERON_VERSION);
}

// Element types that a state file may hold.
typedef enum heron_file_dtype {
    HERON_FILE_DTYPE_F64 = 0,
    HERON_FILE_DTYPE_F32 = 1,
    HERON_FILE_DTYPE_F16 = 2,
    HERON_FILE_DTYPE_BF16 = 3,
    HERON_FILE_DTYPE_I64 = 4,
    HERON_FILE_DTYPE_I32 = 5,
    HERON_FILE_DTYPE_I16 = 6,
    HERON_FILE_DTYPE_I8 = 7,
    HERON_FILE_DTYPE_U64 = 8,
    HERON_FILE_DTYPE_U32 = 9,
    HERON_FILE_DTYPE_U16 = 10,
    HERON_FILE_DTYPE_U8 = 11,
    HERON_FILE_DTYPE_BOOLEAN = 12,
    HERON_FILE_DTYPE_MAX_ENUM = 0x7fffffff  // makes it 32 bits wide; no value
} heron_file_dtype;

typedef struct heron_safetensors_limits {
    heron_struct header;  // by heron_safetensors_limits_init()
    uint64_t header_bytes;  // = 100000000; a longer header is refused before memory is taken for it
} heron_safetensors_limits;

HERON_API heron_result heron_init_safetensors_limits(heron_safetensors_limits* options, size_t bytes,
                                                     uint32_t version);
static inline heron_result heron_safetensors_limits_init(heron_safetensors_limits* options) {
    return heron_init_safetensors_limits(options, sizeof *options, HERON_VERSION);
}

typedef struct heron_safetensors_write_options {
    heron_struct header;  // by heron_safetensors_write_options_init()
    uint64_t chunk_bytes;  // = 4 << 20; multiple of 8; the longest chunk that a fill is asked for
    // = true; Wait until the file has reached the disk; false survives a killed process, not a power cut.
    bool sync;
} heron_safetensors_write_options;

HERON_API heron_result heron_init_safetensors_write_options(heron_safetensors_write_options* options,
                                                            size_t bytes, uint32_t version);
static inline heron_result heron_safetensors_write_options_init(heron_safetensors_write_options* options) {
    return heron_init_safetensors_write_options(options, sizeof *options, HERON_VERSION);
}

#ifdef __cplusplus
}
#endif
