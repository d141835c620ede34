// SPDX-License-Identifier: MIT
// Parameters, their groups and routing, layers, and the compilation of a whole training step into one plan.
//
// Threads: an optimizer is used by one thread at a time. For functions of plans see c/plan.h.
#pragma once

#include "heron/c/optimizers.h"
#include "heron/c/plan.h"

#ifdef __cplusplus
extern "C" {
#endif

// --- Optimizers. heron_<name>_create() is in c/optimizers.h. Several of one kind are parameter groups.

// The plans that were compiled of it stay.
HERON_API void heron_optimizer_destroy(heron_optimizer* optimizer);

// Adds a parameter; the struct and its texts are copied. Fails (HERON_ERROR_INVALID_ARGUMENT) for null or
// misaligned addresses, dtypes, shapes or strides that do not fit, overlap of weight and gradient, an empty or
// repeated name, scales out of range, a shape or view that the algorithm cannot take.
HERON_API heron_result heron_optimizer_add(heron_optimizer* optimizer, const heron_parameter* parameter);
// The same with tensors beside it, for the PSGD optimizers (and Lookahead around them); of kron_torch `draws`
// alone. Fails for others.
HERON_API heron_result heron_optimizer_add_with_inputs(heron_optimizer* optimizer, const heron_parameter* parameter,
                                                       const heron_psgd_inputs* inputs);

// What optimizers of whole layers (K-FAC, SINGD, MKOR) take: beside gradients they read what the forward pass
// put into a layer, a, and what the backward pass brought to its outputs, s.
//
//   y = W a + b          a: inputs, s: gradient of the loss with respect to y, G = sum s a^T, g_b = sum s
//
// The application keeps both tensors of its passes until the step has run. In a plan they are the external
// tensors <weight>.inputs and <weight>.output_gradients (heron_plan_rebind()).
typedef struct heron_layer {
    heron_struct header;            // by heron_layer_init()
    const heron_parameter* weight;  // m x n; with patches M x C / groups x kernel height x kernel width
    const heron_parameter* bias;    // m (M); NULL: none
    // f32, f16 or bf16, contiguous, N samples: N x n and N x m; N x .. x n and N x .. x m (sequences); with
    // patches images N x C x H x W, and N x M x OH x OW.
    heron_tensor_view inputs;
    heron_tensor_view output_gradients;
    heron_layer_sharing sharing;        // = HERON_LAYER_SHARING_EXPAND
    heron_loss_reduction loss;          // = HERON_LOSS_REDUCTION_MEAN_OVER_BATCH
    const heron_conv_patches* patches;  // of a convolution; NULL: none
} heron_layer;

HERON_API heron_result heron_init_layer(heron_layer* options, size_t bytes, uint32_t version);
static inline heron_result heron_layer_init(heron_layer* options) {
    return heron_init_layer(options, sizeof *options, HERON_VERSION);
}

// Fails (HERON_ERROR_INVALID_ARGUMENT), before anything is changed, where heron_optimizer_add() would for the
// weight or the bias, for captures whose dtype, shape, strides, address or device do not fit, and for
// optimizers that do not take layers.
HERON_API heron_result heron_optimizer_add_layer(heron_optimizer* optimizer, const heron_layer* layer);

// Unique in a plan; for heron_plan_set_learning_rate(), checkpoints and errors. The algorithm's, "muon",
// unless set. Stays until it is set again; NULL for NULL.
HERON_API const char* heron_optimizer_name(const heron_optimizer* optimizer);
HERON_API heron_result heron_optimizer_set_name(heron_optimizer* optimizer, const char* name);
HERON_API uint32_t heron_optimizer_parameter_count(const heron_optimizer* optimizer);  // those of layers, too

// Lookahead around `inner`, which must not have parameters yet. Whatever comes of it, `inner` belongs to
// Heron from then on: the handle is gone.
HERON_API heron_result heron_lookahead_create(const heron_device* device, heron_optimizer* inner,
                                              const heron_lookahead_options* options, heron_optimizer** optimizer);

// --- Coefficients for heron_polar_options

// Named sets of Newton-Schulz coefficients: "muon", "cubic", "quintic", "you5", "pe-raw", "pe-basic",
// "pe-gram", "pe-dion", "pe-nv", "cans", "deepseekv4", "cubic5" (sources: heron/linalg/polar.hpp). `steps` = 0
// takes the set's own length; more, up to HERON_LIST_CAPACITY, repeat the last triple. Only the coefficients
// of `polar` change. Fails (HERON_ERROR_INVALID_ARGUMENT) for unknown names, listing the known ones.
HERON_API heron_result heron_polar_options_set(heron_polar_options* polar, const char* name, uint32_t steps);
// Those of Polar Express (arXiv 2505.16932): lower bound in (0, 1) on the singular values, number of steps up
// to HERON_LIST_CAPACITY, safety factor (0.02 or 0), cushion.
HERON_API heron_result heron_polar_options_set_express(heron_polar_options* polar, double lower_bound,
                                                       uint32_t steps, double safety, double cushion);

// --- Routing: where each parameter should go

// Where one parameter should go, and why.
typedef struct heron_route {
    const char* name;  // texts belong to the heron_routing
    heron_role role;   // resolved
    bool matrix;       // to the matrix optimizer; else to an element-wise one
    const char* reason;
    const char* warning;  // empty, or why the choice looks suspicious
} heron_route;

// By the rules of heron::route, see heron/train.hpp: an explicit role wins; vectors, names of embeddings, heads, tables
// and biases (wte, lm_head, ...), and some more of a vocabulary's size, are not hidden matrices; first filters
// are HERON_ROLE_INPUT. What only looks like one of these gives a warning, and so do parameters with the same
// weight (tied ones: embeddings, where one of them is an embedding or a head).
HERON_API heron_result heron_routing_create(const heron_parameter* parameters, uint32_t count,
                                            heron_routing** routing);
// The caller's own rule in the place of heron_parameter.role: what it makes of a parameter's name, shape and
// role is taken as if it were given, and HERON_ROLE_AUTOMATIC leaves the parameter to the rules above. Called
// once for each, in their order, with `user`; its texts and shapes are valid during the call.
typedef heron_role (*heron_role_rule)(void* user, const char* name, const heron_shape* shape, heron_role role);
HERON_API heron_result heron_routing_create_by(const heron_parameter* parameters, uint32_t count,
                                               heron_role_rule rule, void* user, heron_routing** routing);
HERON_API void heron_routing_destroy(heron_routing* routing);
HERON_API uint32_t heron_routing_count(const heron_routing* routing);
HERON_API heron_result heron_routing_get(const heron_routing* routing, uint32_t index, heron_route* route);
// The table, one line a parameter. Text: see c/base.h.
HERON_API heron_result heron_routing_report(const heron_routing* routing, char* text, size_t* bytes);

// --- Rules for other widths and depths (heron/scaling.hpp). They multiply the parameters' scales, each once,
// before heron_optimizer_add(); all fail (HERON_ERROR_INVALID_ARGUMENT) before they change any.

// lr_scale by each parameter's role and width; ..._by(): all by one factor.
HERON_API heron_result heron_scale_learning_rates(heron_parameter* parameters, uint32_t count,
                                                  const heron_width_rules* rules);
HERON_API heron_result heron_scale_learning_rates_by(heron_parameter* parameters, uint32_t count, double factor);
// weight_decay_scale by each parameter's role and width.
HERON_API heron_result heron_scale_weight_decay(heron_parameter* parameters, uint32_t count,
                                                const heron_width_rules* rules);
// weight_decay_scale divided by lr_scale: a parameter loses the same share whatever its rate's factor.
HERON_API heron_result heron_make_decay_independent(heron_parameter* parameters, uint32_t count);
// damping_scale by each parameter's widths; the numbers were tuned at `base_width`.
HERON_API heron_result heron_scale_damping(heron_parameter* parameters, uint32_t count, double base_width);

// --- Compilation

// Compiles one step of all optimizers into a plan. `options` may be NULL. Fails (HERON_ERROR_INVALID_ARGUMENT)
// for optimizers of another device, repeated names, out-of-range or non-finite options, overlapping
// parameters. The optimizers may go afterwards; the device must outlive the plan.
HERON_API heron_result heron_compile(const heron_device* device, heron_optimizer* const* optimizers,
                                     uint32_t count, const heron_step_options* options, heron_plan** plan);

// --- While it runs

// Read from mapped memory, without a stall: of the last step that the GPU has begun.
HERON_API heron_result heron_plan_status(const heron_plan* plan, heron_step_status* status);
// Sets the base learning rate of one optimizer of the plan from the next step that the device begins (a step
// in flight may see either value). The schedule's factor still multiplies it. Fails
// (HERON_ERROR_INVALID_ARGUMENT) for an unknown optimizer, and a rate that is not finite or below 0.
HERON_API heron_result heron_plan_set_learning_rate(heron_plan* plan, const char* optimizer, float lr);
// Address of the f32 loss scale in device memory, for the caller's backward pass.
HERON_API heron_result heron_plan_loss_scale_address(const heron_plan* plan, VkDeviceAddress* address);

// Whether steps of an Mkor of the plan are second-order ones, from the next step on that the device begins.
// Saved in checkpoints. Fails (HERON_ERROR_INVALID_ARGUMENT) where the plan has no Mkor of that name.
HERON_API heron_result heron_plan_set_second_order(heron_plan* plan, const char* optimizer, bool on);
// Hands the loss of one step to MKOR-H's rule (heron_mkor_options.switching), in the order of the steps. `on`,
// optional: whether second order is on then.
HERON_API heron_result heron_plan_report_loss(heron_plan* plan, const char* optimizer, double loss, bool* on);
// Sets the base damping of a Kfac of the plan from the next step on that the device begins; inverses have it
// from their next refresh on. Saved in checkpoints. Fails (HERON_ERROR_INVALID_ARGUMENT) for an unknown
// optimizer and what is not finite and above 0.
HERON_API heron_result heron_plan_set_damping(heron_plan* plan, const char* optimizer, float damping);
// Blocking, as heron_plan_read_state(). Fails (HERON_ERROR_INVALID_ARGUMENT) where the plan has no Kfac of
// that name with a kl_clip.
HERON_API heron_result heron_plan_kfac_clip(const heron_plan* plan, const char* optimizer, heron_kfac_clip* clip);
// The next damping: `change` is the loss of the step's own batch after the step less that before it,
// `predicted` heron_kfac_clip.predicted_change. `options` may be NULL.
HERON_API heron_result heron_adapted_damping(float damping, double change, double predicted,
                                             const heron_damping_adaptation* options, float* adapted);

// --- Checkpoints. Paths are UTF-8.

// Everything a training needs to go on bit for bit: parameters, states, counters, learning rates, random
// streams; in safetensors. Written so that at every moment the file is the old or the new one, complete.
// Blocking; no submission that uses the plan may be in flight.
HERON_API heron_result heron_save_checkpoint(const heron_plan* plan, const char* path,
                                             const heron_metadata_entry* metadata, uint32_t metadata_count);
// A checkpoint of another plan (parameters, dtypes, shapes, optimizers or, unless accepted, their options) is
// refused (HERON_ERROR_INVALID_ARGUMENT), naming the difference, and so is one that is damaged, has impossible
// counters or loss scales, or a weight or state that is not finite (HERON_ERROR_CORRUPT_FILE): before anything
// is changed. Learning rates are the file's in any case. Loading needs memory but no heron_plan_initialize().
// `metadata` may be NULL; else it gives out what the file has.
HERON_API heron_result heron_load_checkpoint(heron_plan* plan, const char* path, heron_changed_options changed,
                                             heron_metadata** metadata);

// --- Averages of weights, for evaluation

// `state`: "slow", "ema" or another that each of the parameters has in the plan, in f32 and its own shape.
// Takes memory for a copy of the parameters. The plan must have its memory, and outlive this; after
// heron_plan_rebind() of a weight make another.
HERON_API heron_result heron_evaluation_weights_create(const heron_plan* training, const heron_parameter* parameters,
                                                       uint32_t count, const char* state,
                                                       heron_evaluation_weights** weights);
HERON_API void heron_evaluation_weights_destroy(heron_evaluation_weights* weights);
// The state takes the place of the parameters, rounded to their dtypes; then the parameters' bits come back.
// No step of the training lies between. Before and after: as heron_plan_record().
HERON_API heron_result heron_evaluation_weights_record_load(heron_evaluation_weights* weights,
                                                            VkCommandBuffer commands);
HERON_API heron_result heron_evaluation_weights_record_restore(heron_evaluation_weights* weights,
                                                               VkCommandBuffer commands);
// Both submitted and waited for. Fail (HERON_ERROR_INVALID_ARGUMENT) for the one that is not next.
HERON_API heron_result heron_evaluation_weights_load(heron_evaluation_weights* weights);
HERON_API heron_result heron_evaluation_weights_restore(heron_evaluation_weights* weights);

#ifdef __cplusplus
}
#endif
