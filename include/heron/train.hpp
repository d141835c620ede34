// SPDX-License-Identifier: MIT
// Optimizers, parameters, schedules, and the compilation of a whole training step into one plan.
#pragma once

#include <cstdint>
#include <filesystem>
#include <functional>
#include <initializer_list>
#include <map>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <unordered_set>
#include <vector>

#include "heron/device.hpp"
#include "heron/export.hpp"
#include "heron/graph.hpp"
#include "heron/plan.hpp"

namespace heron {

// --- Learning-rate schedules

// A factor on the learning rate as a function of the step (first step: 1), evaluated on the GPU. Composed of
// pieces that follow each other; after the last piece its final factor stays.
//   Schedule::linear(0, 1, 100).then_constant(900).then_cosine(0.1, 1000)
// Throws (invalid_argument) for factors that are not finite or below 0, pieces without steps, and pieces
// after one that lasts for ever.
class HERON_API Schedule {
public:
    enum class Kind : std::uint32_t { constant = 0, linear = 1, cosine = 2, exponential = 3 };
    struct Piece {
        Kind kind;
        std::uint32_t steps;  // how long; 0 = for ever
        float from;           // factor at the piece's first step
        float to;             // factor one step after its last
        bool operator==(const Piece&) const = default;
    };

    Schedule() = default;  // factor 1 for ever
    static Schedule constant(float factor = 1.0f, std::uint32_t steps = 0);
    static Schedule linear(float from, float to, std::uint32_t steps);
    static Schedule cosine(float from, float to, std::uint32_t steps);
    static Schedule exponential(float from, float to, std::uint32_t steps);  // both factors positive
    // The factors of the first steps, one by one; the last one stays.
    static Schedule sequence(std::span<const float> factors);
    // Linear warm-up from 0, then cosine to `final_factor` at `total` steps.
    static Schedule warmup_cosine(std::uint32_t warmup, std::uint32_t total, float final_factor = 0.0f);
    // Warm-up, stable, linear decay to `final_factor` over the last `decay` of `total` steps.
    static Schedule warmup_stable_decay(std::uint32_t warmup, std::uint32_t total, std::uint32_t decay,
                                        float final_factor = 0.0f);

    // Append a piece that starts at the present final factor.
    Schedule then_constant(std::uint32_t steps = 0) const;
    Schedule then_linear(float to, std::uint32_t steps) const;
    Schedule then_cosine(float to, std::uint32_t steps) const;
    Schedule then_exponential(float to, std::uint32_t steps) const;

    // The factor at a step (from 1), in float64; what the GPU computes, to f32 rounding.
    double factor(std::uint64_t step) const;
    const std::vector<Piece>& pieces() const { return pieces_; }

private:
    Schedule then(Piece piece) const;

    std::vector<Piece> pieces_;
};

// --- Parameters

// An input layer is a matrix of width x data, not a table of words, or a network's first filters: route()
// knows the latter by their place, the former only has who says so.
enum class Role { automatic, hidden_matrix, embedding, head, vector, input };
HERON_API const char* to_string(Role role);

// How a matrix optimizer sees a parameter. Blocks are separate matrices: for the norm, the iteration and the
// shape factor. They are ranges of rows, of a weight that is out x in. One that is stored in x out (GPT-2's
// Conv1D: c_attn is width x 3 width) has q, k and v side by side in its columns, and no view for them: store
// its transpose, or let it be one matrix. Splits that add up to its columns are refused by saying so.
struct MatrixView {
    std::vector<std::uint64_t> row_splits;  // rows of each block, summing to the matrix's rows (q, k, v)
    std::uint32_t heads = 0;                // or: that many equal row blocks
    bool batch = false;  // leading axes are a batch of matrices (experts) and not part of a convolution
};

// Of the damping or epsilon of either side's factor; of one that both share (Kfac, Singd), their product.
struct DampingScales {
    float inputs = 1.0f;   // of the columns' factor
    float outputs = 1.0f;  // of the rows'
};

// In a plan the weight is the external tensor <name>, the gradient <name>.grad (for Plan::rebind), and states
// are called <name>.momentum and the like. A step takes a weight, its master copy and its average to the
// largest finite number of the weight's dtype and no further (65504 for f16).
struct Parameter {
    std::string name;     // dotted, unique among all optimizers of a plan: "blocks.0.attn.qkv.weight"
    TensorView weight;    // f32, f16 or bf16; contiguous; at most 2^32 - 16 elements
    TensorView gradient;  // same shape; f32, f16 or bf16; contiguous; overlaps no weight
    Role role = Role::automatic;
    MatrixView view;
    float lr_scale = 1.0f;            // factor on the optimizer's learning rate; finite, >= 0
    float weight_decay_scale = 1.0f;  // factor on the optimizer's weight decay; finite, >= 0
    DampingScales damping_scale;      // factors on its damping, where it has one; finite, >= 0
};

// Where each parameter should go: matrices of hidden layers to a matrix optimizer, everything else to an
// element-wise one.
struct Route {
    std::string name;
    Role role;    // resolved
    bool matrix;  // to the matrix optimizer
    std::string reason;
    std::string warning;  // empty, or why the choice looks suspicious
};
// An explicit role wins. These are not hidden matrices: a vector (fewer than two axes, or one row or column);
// names with one of the words embed, embedding(s), emb, wte, wpe, vocab, head, lmhead, unembed, unembedding,
// and names that end in table or bias (of relative positions); of a vocabulary's size (4096 rows, and more
// than four times as many as columns) names with classifier or logits, names that end in output, token(s),
// pos, position(s) or shared, and names that are fc, score or decoder and no more; and the first filters of
// the list, where they have 1 to 4 input channels and no word for depthwise (Role::input: they see data).
//
// A word is a whole component of the name, split at everything that is no letter and at changes of case;
// weight and w at its end do not count, nor model, module, net, network and transformer before it. Other
// names and shapes that look like embeddings, heads, routers, depthwise convolutions or q, k and v side by
// side in columns give a warning. Throws (invalid_argument) for a role that is none. Parameters with the same
// weight address are tied: where one of them is an embedding or a head, all count as embeddings; each is
// warned about, since an optimizer takes a weight only once.
HERON_API std::vector<Route> route(std::span<const Parameter> parameters);
// The same, with the caller's own rule in the place of Parameter::role: what it makes of a parameter's name,
// shape and role is taken as if it were given, and automatic leaves the parameter to the rules above. Called
// once for each, in their order; what it throws comes through. Throws (invalid_argument) for an empty rule,
// and where it returns none of Role.
using RoleRule = std::function<Role(std::string_view name, const Shape& shape, Role role)>;
HERON_API std::vector<Route> route_by(std::span<const Parameter> parameters, const RoleRule& rule);
// The table as text, one line a parameter.
HERON_API std::string routing_report(std::span<const Route> routes);

// --- Optimizers

class StepBuilder;  // src/optim/step_builder.hpp: what a recipe works with
struct HyperValue;  // src/optim/hyper.hpp: one float of what its kernels read

// An algorithm with its hyperparameters and a group of parameters. Several objects of one class are parameter
// groups. Holds no device memory: states belong to the plan that compile() makes.
// Neither copied nor moved: several of them live in a std::deque, or behind std::unique_ptr.
class HERON_API Optimizer {
public:
    virtual ~Optimizer();

    // Throws (invalid_argument) for null or misaligned addresses, dtypes, shapes or strides that do not fit,
    // overlap of weight and gradient, an empty or repeated name, scales out of range, a shape or view that
    // the algorithm cannot take.
    void add(Parameter parameter);
    std::span<const Parameter> parameters() const { return parameters_; }
    // Unique in a plan; for set_learning_rate(), checkpoints and errors; and what is drawn for a whole
    // optimizer (in which steps PSGD fits) is drawn by it. The class's name, unless set.
    const std::string& name() const { return name_; }
    void set_name(std::string name) { name_ = std::move(name); }
    const Device& device() const { return *device_; }

protected:
    Optimizer(const Device& device, std::string name);
    Optimizer(const Optimizer&) = delete;
    Optimizer& operator=(const Optimizer&) = delete;

    // Throws (invalid_argument) when the algorithm cannot take the parameter.
    virtual void check(const Parameter& parameter) const;
    // What add() refuses of any parameter, and what it does with one that is right.
    void check_parameter(const Parameter& parameter) const;
    void append(Parameter parameter);

private:
    friend class StepBuilder;
    friend class Lookahead;  // passes on what it is asked
    // The hyperparameters, in the order of the algorithm's hyper struct; the GPU evaluates them every step.
    virtual std::vector<HyperValue> hyper() const = 0;
    // The algorithm's name, then every option but the learning rate as " name=value": a checkpoint is loaded
    // only where all are the same.
    virtual std::string options_text() const = 0;
    // The recipe: adds the operations of one step for every parameter.
    virtual void build(StepBuilder& step) const = 0;

    const Device* device_;
    std::string name_;
    std::vector<Parameter> parameters_;
    std::unordered_set<std::string> names_;  // of the parameters
};

struct LossScaleOptions {
    float initial = 1.0f;                  // what the backward pass multiplies the loss with; 2^-24 to 2^120
    bool dynamic = false;                  // changes by itself, within those bounds; needs skip_nonfinite
    std::uint32_t growth_interval = 2000;  // >= 1; as torch.amp.GradScaler
    float growth = 2.0f;                   // >= 1; after that many good steps in a row
    float backoff = 0.5f;                  // (0, 1]; at a step that is skipped for non-finite gradients
};

struct StepOptions {
    std::string name = "step";
    // A step with a NaN or infinity in any gradient changes nothing and is counted.
    bool skip_nonfinite = true;
    float clip_norm = 0.0f;  // > 0: gradients are scaled to at most this global norm
    // > 0: then every element is clamped to +- this. In any case to +- 1.3e19, so that no square overflows.
    float clip_value = 0.0f;
    LossScaleOptions loss_scale;
    // Gradient accumulation in f32 by Plan::record_accumulate(); the step uses the mean. A step without
    // micro-batches is skipped. A sum that overflows is a non-finite gradient, and without skip_nonfinite the
    // largest finite number.
    bool accumulate = false;
    // f32 master copies of 16-bit parameters, states "<parameter>.master". Made by Plan::initialize(); from
    // then on they are the weights, and what is written to the parameters themselves is overwritten by the
    // next step.
    bool master_weights = false;
    // (0, 1): an f32 moving average of every parameter, state "<parameter>.ema", which begins as the
    // parameter and takes 1 - ema_decay of it after every step. To evaluate it: EvaluationWeights
    // (heron/optim/evaluation.hpp).
    float ema_decay = 0.0f;
    std::uint32_t seed = 0;  // of counter-based random streams
    PlanOptions plan;        // its name, where it is not set, is `name`
};

// Compiles one step of all optimizers into a plan. Throws (invalid_argument) for optimizers of another
// device, repeated names, out-of-range or non-finite options, overlapping parameters. The optimizers may go
// afterwards.
HERON_API Plan compile(const Device& device, std::span<const Optimizer* const> optimizers,
                       const StepOptions& options = {});
HERON_API Plan compile(const Device& device, std::initializer_list<const Optimizer*> optimizers,
                       const StepOptions& options = {});

// What the GPU reported in the last step that it has begun; read from mapped memory, without a stall.
struct StepStatus {
    std::uint32_t step = 0;     // steps done
    std::uint32_t skipped = 0;  // steps skipped so far
    bool last_skipped = false;
    std::uint32_t nonfinite = 0;  // non-finite gradient elements in the last step
    // Global, unscaled, before clipping, of the finite elements; 0 without guard and clipping by norm.
    float gradient_norm = 0;
    float loss_scale = 1;
};
HERON_API StepStatus status(const Plan& plan);
// Sets the base learning rate of one optimizer of the plan from the next step that the device begins (a step
// in flight may see either value). The schedule's factor still multiplies it. Throws (invalid_argument) for
// an unknown optimizer, and a rate that is not finite or below 0.
HERON_API void set_learning_rate(Plan& plan, std::string_view optimizer, float lr);
// Address of the f32 loss scale in device memory, for the caller's backward pass.
HERON_API VkDeviceAddress loss_scale_address(const Plan& plan);

// Options that a checkpoint was not saved with: schedules, clipping, decay, betas and the like.
enum class ChangedOptions {
    refuse,  // what goes on is the run that was saved, bit for bit
    accept,  // to extend or change a run: the plan's options hold, each difference is a warning in the log
};

// Everything a training needs to go on bit for bit: parameters, states, counters, learning rates, random
// streams. Keys of `metadata` must not begin with "heron.". A checkpoint of another plan (parameters, dtypes,
// shapes, optimizers or, unless accepted, their options) is refused (invalid_argument), naming the
// difference. Learning rates are the file's in any case: set_learning_rate() changes them afterwards.
// Refused, too, is one that is damaged, has impossible counters or loss scales, or a weight or state that is
// not finite (corrupt_file): before anything is changed, and with the whole file in host memory meanwhile.
// Blocking; no submission that uses the plan may be in flight. Loading needs memory but no
// Plan::initialize(); it returns the metadata.
HERON_API void save_checkpoint(const Plan& plan, const std::filesystem::path& path,
                               const std::map<std::string, std::string>& metadata = {});
HERON_API std::map<std::string, std::string> load_checkpoint(Plan& plan, const std::filesystem::path& path,
                                                             ChangedOptions changed = ChangedOptions::refuse);

}  // namespace heron
