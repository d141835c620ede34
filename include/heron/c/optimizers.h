// SPDX-License-Identifier: MIT
// The optimizers of the C API: for each its options, functions that fill them with defaults or with those of
// a published form, and a function that creates it.
//
// A field's comment begins with its default, where that is not 0, false or empty. heron_..._create() fails
// with HERON_ERROR_INVALID_ARGUMENT, naming the option, for one out of range; it copies what it needs of the
// options, and takes NULL for the defaults. The device must outlive the optimizer, which
// heron_optimizer_destroy() ends (c/train.h). Threads: optimizers of one device may be created from several
// threads at once.
// Written by src/c/generate.py from the C++ headers; do not edit.
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <vulkan/vulkan_core.h>

#include "heron/c/types.h"

#ifdef __cplusplus
extern "C" {
#endif

// --- heron/linalg/polar.hpp

// One step of an odd quintic: X <- a X + b (X X^T) X + c (X X^T)^2 X.
typedef struct heron_newton_schulz_coefficients {
    double a;
    double b;
    double c;
} heron_newton_schulz_coefficients;

// What a matrix A is divided by before the iteration, with norm = ||A||_F:
//   added:   factor * norm + eps          clamped: max(factor * norm, eps)
typedef enum heron_norm_rule {
    HERON_NORM_RULE_ADDED = 0,
    HERON_NORM_RULE_CLAMPED = 1,
    HERON_NORM_RULE_MAX_ENUM = 0x7fffffff  // makes it 32 bits wide; no value
} heron_norm_rule;

typedef enum heron_polar_form {
    // The Gram form with a restart every two iterations where that is at least a fifth fewer FLOPs (with five
    // iterations: from K = 7/3 k on), else standard: products of small matrices take longer than their FLOPs
    // say. Restarts so often keep what the Gram matrix costs in accuracy small; two f32 words need none, and
    // it is a fifth fewer from K = 13/9 k on. See polar_form.cpp.
    HERON_POLAR_FORM_AUTOMATIC = 0,
    HERON_POLAR_FORM_STANDARD = 1,  // S = X X^T; B = b S + c S S; X <- a X + B X
    // On the k x k Gram matrix with restarts (Polar Express, appendix F). Needs rows != columns, else
    // standard.
    HERON_POLAR_FORM_GRAM = 2,
    HERON_POLAR_FORM_MAX_ENUM = 0x7fffffff  // makes it 32 bits wide; no value
} heron_polar_form;

typedef struct heron_polar_options {
    // One triple an iteration, each number between -1e4 and 1e4; empty: muon x 5.
    uint32_t coefficients_count;
    heron_newton_schulz_coefficients coefficients[HERON_LIST_CAPACITY];
    const heron_newton_schulz_coefficients* coefficients_list;  // not NULL: all of them are here instead
    heron_norm_rule norm_rule;  // = HERON_NORM_RULE_ADDED
    double norm_factor;  // = 1.0; 2^-20 to 2^20
    double eps;  // = 1e-7; finite in f32, >= 0
    heron_polar_form form;  // = HERON_POLAR_FORM_AUTOMATIC
    // = 2; Form gram: iterations, counted from 0, before which the Gram matrix is formed anew: each from 1 to
    // their number - 1.
    uint32_t restarts_count;
    uint32_t restarts[HERON_LIST_CAPACITY];
    const uint32_t* restarts_list;  // not NULL: all of them are here instead
    // = HERON_DTYPE_F32; of what products multiply: f32, f16 or bf16; sums and the norm are f32
    heron_dtype precision;
    // = 1; Numbers of that type for one element of an iterate, 1 or 2: what rounding to the first one lost is
    // the second. Of 16 bits iterates are then f32, and a product is three of 16 bits: for devices whose
    // matrix units take no f32. (Where there are none, f32 is three times as fast. The fused kernel for small
    // matrices multiplies f32, whether 16 bits are asked for or two words of them.) Of f32 they have twice
    // its digits, for ten times its FLOPs, more of its time, and without the fused kernel: nearly float64's
    // result on devices without f64.
    uint32_t words;
    bool one_workgroup;  // = true; allow the fused kernel for matrices that fit shared memory
} heron_polar_options;

// --- heron/linalg/structure.hpp

typedef enum heron_structure_kind {
    HERON_STRUCTURE_KIND_DENSE = 0,
    HERON_STRUCTURE_KIND_DIAGONAL = 1,
    HERON_STRUCTURE_KIND_BLOCK_DIAGONAL = 2,  // blocks of `block` x `block`, the last one smaller
    // One coefficient for each diagonal on and below (above) the main one.
    HERON_STRUCTURE_KIND_LOWER_TOEPLITZ = 3,
    HERON_STRUCTURE_KIND_UPPER_TOEPLITZ = 4,
    // [[A, B], [0, M]], M = [[C, 0], [D, E]]: A of order `first`, B, D and E (of order `last`) dense, C
    // diagonal. Of a matrix of lower order A takes what there is, then E.
    HERON_STRUCTURE_KIND_HIERARCHICAL = 5,
    HERON_STRUCTURE_KIND_MAX_ENUM = 0x7fffffff  // makes it 32 bits wide; no value
} heron_structure_kind;

typedef struct heron_matrix_structure {
    heron_structure_kind kind;  // = HERON_STRUCTURE_KIND_DENSE
    uint32_t block;  // = 30; 1..1024; of block_diagonal; the authors' default
    uint32_t first;  // = 15; 0..120, as last; of hierarchical; the authors' defaults
    uint32_t last;  // = 15
} heron_matrix_structure;

// --- heron/linalg/woodbury.hpp

// One step of iterative refinement, with residuals through U (the Gram matrix has errors of its own).
typedef enum heron_refinement {
    // for systems whose largest diagonal element is 1000 times the smallest pivot (rows of zeros aside),
    // decided on the device
    HERON_REFINEMENT_AUTOMATIC = 0,
    HERON_REFINEMENT_NEVER = 1,
    HERON_REFINEMENT_ALWAYS = 2,
    HERON_REFINEMENT_MAX_ENUM = 0x7fffffff  // makes it 32 bits wide; no value
} heron_refinement;

// --- heron/curvature.hpp

// What a damping is a multiple of; of a zero, 1.
typedef enum heron_damping_unit {
    HERON_DAMPING_UNIT_ABSOLUTE = 0,  // 1
    HERON_DAMPING_UNIT_TRACE = 1,  // the trace of what is damped
    // its mean eigenvalue: 1e-3 and above keep condition numbers below the order times 1e3
    HERON_DAMPING_UNIT_MEAN = 2,
    HERON_DAMPING_UNIT_MAX_ENUM = 0x7fffffff  // makes it 32 bits wide; no value
} heron_damping_unit;

// How the damping l of a Kronecker product gets into its factors. nu: mean of a factor's diagonal.
typedef enum heron_damping_split {
    // All of it into each: A + l I, S + l I (kfac-pytorch). Another product: it has l^2, and cross terms. A
    // relative l is of each factor.
    HERON_DAMPING_SPLIT_FULL = 0,
    // A + pi sqrt(l) I, S + sqrt(l) / pi I with pi^2 = nu_A / nu_S (Martens and Grosse, 6.3). Factors of one
    // element are not damped, the others carry l; where all have one, the product of their elements gets l.
    // Where a nu is zero all factors become l^(1/k) I.
    HERON_DAMPING_SPLIT_PI = 1,
    // kfac-jax' form of the same product: both factors scaled to the mean c = sqrt(nu_A nu_S) first,
    // c (f / nu + sqrt(l) / c I).
    HERON_DAMPING_SPLIT_PI_NORMALIZED = 2,
    HERON_DAMPING_SPLIT_MAX_ENUM = 0x7fffffff  // makes it 32 bits wide; no value
} heron_damping_split;

// --- heron/optim/matrix.hpp

typedef enum heron_momentum_rule {
    // M <- mu M + (1 - mu) G;  Nesterov: U = (1 - mu) G + mu M     (KellerJordan, torch)
    HERON_MOMENTUM_RULE_EMA = 0,
    // M <- mu M + G;           Nesterov: U = G + mu M              (Moonlight, dion)
    HERON_MOMENTUM_RULE_SUM = 1,
    HERON_MOMENTUM_RULE_MAX_ENUM = 0x7fffffff  // makes it 32 bits wide; no value
} heron_momentum_rule;

typedef enum heron_decay_form {
    HERON_DECAY_FORM_DECOUPLED = 0,  // W <- (1 - lr wd) W before the update
    HERON_DECAY_FORM_CAUTIOUS = 1,  // decays only elements where sign(W O) >= 0, W as before the step (dion)
    HERON_DECAY_FORM_SQUARED = 2,  // decoupled, with lr^2 wd
    HERON_DECAY_FORM_CAUTIOUS_SQUARED = 3,  // cautious, with lr^2 wd (modded-nanogpt)
    HERON_DECAY_FORM_AFTER = 4,  // W <- (1 - lr wd) W after the update (Conda)
    HERON_DECAY_FORM_MAX_ENUM = 0x7fffffff  // makes it 32 bits wide; no value
} heron_decay_form;

// Factor on the update of an m x n matrix.
typedef enum heron_shape_factor {
    HERON_SHAPE_FACTOR_NONE = 0,
    HERON_SHAPE_FACTOR_MAX_ONE_SQRT_RATIO = 1,  // sqrt(max(1, m/n))      KellerJordan, torch "original"
    HERON_SHAPE_FACTOR_SQRT_RATIO = 2,  // sqrt(m/n)              dion "spectral_norm"
    // 0.2 sqrt(max(m, n))    Moonlight, torch "match_rms_adamw", dion "rms_norm"
    HERON_SHAPE_FACTOR_MATCH_RMS = 3,
    HERON_SHAPE_FACTOR_SPECTRAL = 4,  // sqrt(max(m, n))        Emerging-Optimizers "spectral"
    HERON_SHAPE_FACTOR_MAX_ENUM = 0x7fffffff  // makes it 32 bits wide; no value
} heron_shape_factor;

// Which dimensions of a convolution's filter (out, in, kh, kw) the shape factor uses; the iteration always
// sees out x (in kh kw).
typedef enum heron_conv_factor {
    HERON_CONV_FACTOR_MATRIX = 0,  // out and in kh kw (dion flatten)
    HERON_CONV_FACTOR_KERNEL = 1,  // kh and kw, as KellerJordan's code does
    HERON_CONV_FACTOR_MAX_ENUM = 0x7fffffff  // makes it 32 bits wide; no value
} heron_conv_factor;

// --- heron/optim/moments.hpp

// bf16 is rounded stochastically: x becomes one of its two neighbours, the nearer the likelier, so that the
// expectation is x, and steps far below half a unit in the last place are not lost (Gupta et al., arXiv
// 1502.02551; Zamirai et al., arXiv 2010.06192). The error is below 2^-7 |x|, its standard deviation at most
// 2^-8 |x|, and a moving average with rate r collects at most 2^-8 |x| sqrt(1 / (2 r)) of it. Draws are from
// Philox 4x32-10 with the step's seed, by step, the parameter's name and element: the same bits in every
// repetition, resumption and division into slices, whatever else the plan has.
//
// block8 (as Dettmers et al., arXiv 2110.02861, with another map, and rounded as bf16 is): 256 neighbouring
// elements share an f32 scale, the largest of them, M. |m| is one of 128 levels (k / 127)^2 M, v one of 256
// levels (k / 255)^4 M. The expectation is what was rounded, but for v below M / 255^4, which becomes that.
// The error of m is below 2 sqrt(|m| M) / 127 + M / 127^2, that of v below 2 per cent of a v of M and 5 of
// one of M / 100. A moving average with rate r sums them up as above: better with beta2 = 0.95 than 0.999.
//
// Every optimizer with the option has bf16. block8 have all but Dion2 and NorDion2, which change lines of M
// twice a step, the Shampoos, whose squares may be sums without decay, FISMO in the whitened space, and those
// whose kernels know no blocks: Conda, K-FAC, MKOR, SINGD (heron_momentum_step), PSGD, 4-bit Shampoo. GaLore,
// Natural GaLore and Online Subspace Descent have both, as moment_bits = 16 and 8. A moment <name> is in
// block8 <name> (u32, four elements a word, whole blocks) and <name>_scale (f32, one a block); a step is
// along what it was before it is rounded. AMSGrad needs f32, as the largest of noisy numbers is too large.
//
// Other moments are f32: Dion's and Trion's, which products read and write; DCT-AdamW's, of r columns or rows
// alone, whose steps leave over what has codes of its own; those of bases (Online Subspace Descent); MKOR's
// with Adam, Adafactor's m, M-FAC's momentum. So is what is no moment: curvature factors and their roots,
// bases, windows of gradients (M-FAC's has a format of its own), sums over lines.
typedef enum heron_moment_format {
    HERON_MOMENT_FORMAT_F32 = 0,  // 4 bytes an element
    HERON_MOMENT_FORMAT_BF16 = 1,  // 2 bytes an element
    HERON_MOMENT_FORMAT_BLOCK8 = 2,  // 1 byte and a 64th
    HERON_MOMENT_FORMAT_MAX_ENUM = 0x7fffffff  // makes it 32 bits wide; no value
} heron_moment_format;

// --- heron/optim/refresh.hpp

typedef struct heron_refresh_policy {
    uint32_t interval;  // = 1; steps between two refreshes of a matrix; 1..2^30, doubled, too
    // Above 0: the interval doubles after every so many steps, since curvature changes less and less as a
    // training goes on, this often (0..16).
    uint32_t growth;
    uint32_t doublings;  // = 4
    // = true; The optimizer's matrices (or layers) take turns: the interval's first step is the first turn,
    // the one after it the second, and no step carries more than its share (turn_flops). That goes for first
    // refreshes, too: until its own, a matrix has what the optimizer begins with (the identity, or what it
    // grafts).
    bool stagger;
    // Above 0: nothing is renewed before this step (from 1). With stagger the first turn from there on is a
    // matrix's first refresh; without it everything is renewed in this step, whatever the interval says. 0:
    // the first turn is the first refresh, unless the optimizer says otherwise.
    uint32_t first;
    // = 3e8; How matrices are dealt to the turns; FLOPs, finite, >= 0. There are as many turns as it takes
    // for none to have more than this, or than the dearest matrix alone, and all are about as full; where the
    // interval (with growth the longest) has fewer steps, none takes more than its part of all and one
    // matrix. Costs are estimates, from shapes and options. The default is six matrices of 64 x 64 with roots
    // by eigenvalues: what a GPU does side by side, whereas each turn has dispatches of its own; so a few
    // small matrices have one turn together. 0: matrix number k has its turn k steps after the first,
    // whatever it takes.
    float turn_flops;
} heron_refresh_policy;

// --- Adafactor

// Adafactor (arXiv 1804.04235) as torch.optim.Adafactor and Hugging Face's transformers have it, any shape.
// Formulas, state and costs: heron/optim/adafactor.hpp.

// Whose denominators and decay.
typedef enum heron_adafactor_form {
    HERON_ADAFACTOR_FORM_TORCH = 0,
    HERON_ADAFACTOR_FORM_TRANSFORMERS = 1,
    HERON_ADAFACTOR_FORM_MAX_ENUM = 0x7fffffff  // makes it 32 bits wide; no value
} heron_adafactor_form;

typedef enum heron_adafactor_rate {
    // min(lr, 1 / sqrt(t)): torch; with lr = 0.01 the relative step of the paper
    HERON_ADAFACTOR_RATE_CAPPED = 0,
    HERON_ADAFACTOR_RATE_WARMUP = 1,  // min(1e-4 lr t, 1 / sqrt(t)): transformers' warmup_init with lr = 0.01
    HERON_ADAFACTOR_RATE_CONSTANT = 2,  // lr
    HERON_ADAFACTOR_RATE_MAX_ENUM = 0x7fffffff  // makes it 32 bits wide; no value
} heron_adafactor_rate;

typedef struct heron_adafactor_options {
    heron_struct header;  // by heron_adafactor_options_init()
    // = 0.01; finite, >= 0; torch, as all defaults here. heron_parameter.lr_scale multiplies the rate
    float lr;
    heron_adafactor_form form;  // = HERON_ADAFACTOR_FORM_TORCH
    heron_adafactor_rate rate;  // = HERON_ADAFACTOR_RATE_CAPPED
    bool scale_parameter;  // = true
    double decay;  // = -0.8; exponent of t, below 0
    double beta1;  // [0, 1); 0: no first moment
    float eps1;  // = 1.1920929e-7; finite, >= 0; torch: of the parameter's type
    float eps2;  // = 1e-3; finite, >= 0
    float clip_threshold;  // = 1.0; finite, > 0
    float weight_decay;  // finite, >= 0
    heron_schedule schedule;  // of lr
} heron_adafactor_options;

HERON_API heron_result heron_init_adafactor_options(heron_adafactor_options* options, size_t bytes,
                                                    uint32_t version);
static inline heron_result heron_adafactor_options_init(heron_adafactor_options* options) {
    return heron_init_adafactor_options(options, sizeof *options, HERON_VERSION);
}
// transformers' defaults: its form, eps1 1e-30, relative step capped at 0.01
HERON_API heron_result heron_init_adafactor_options_transformers(heron_adafactor_options* options,
                                                                 size_t bytes, uint32_t version);
static inline heron_result heron_adafactor_options_transformers(heron_adafactor_options* options) {
    return heron_init_adafactor_options_transformers(options, sizeof *options, HERON_VERSION);
}

HERON_API heron_result heron_adafactor_create(const heron_device* device,
                                              const heron_adafactor_options* options,
                                              heron_optimizer** optimizer);

// --- AdaMuon

// AdaMuon: Muon of the momentum's signs, with a second moment of the result (Si, Zhang, Shen, arXiv
// 2507.11005; Chongjie-Si/AdaMuon). For hidden matrices; give embeddings, heads, norms and biases to AdamW.
// Formulas, state and costs: heron/optim/adamuon.hpp.

typedef struct heron_adamuon_options {
    heron_struct header;  // by heron_adamuon_options_init()
    float lr;  // = 0.02; finite, >= 0; the authors' code, as are the other defaults
    double momentum;  // = 0.95; [0, 1); of both moments
    bool nesterov;  // = true
    bool sign;  // = true; false: the first version of the paper, and NVIDIA's
    float weight_decay;  // = 0.01; finite, >= 0; multiplied by lr
    float eps;  // = 1e-8; 1e-18 to 1
    float rms;  // = 0.2; root mean square of the update, without lr; above 0
    heron_momentum_rule momentum_rule;  // = HERON_MOMENTUM_RULE_EMA
    heron_decay_form decay;  // = HERON_DECAY_FORM_DECOUPLED
    heron_polar_options polar;  // muon x 5, norm + 1e-7
    heron_moment_format moments;  // = HERON_MOMENT_FORMAT_F32; of M; V is f32
    heron_schedule schedule;
} heron_adamuon_options;

HERON_API heron_result heron_init_adamuon_options(heron_adamuon_options* options, size_t bytes,
                                                  uint32_t version);
static inline heron_result heron_adamuon_options_init(heron_adamuon_options* options) {
    return heron_init_adamuon_options(options, sizeof *options, HERON_VERSION);
}
// sum, no Nesterov
HERON_API heron_result heron_init_adamuon_options_paper(heron_adamuon_options* options, size_t bytes,
                                                        uint32_t version);
static inline heron_result heron_adamuon_options_paper(heron_adamuon_options* options) {
    return heron_init_adamuon_options_paper(options, sizeof *options, HERON_VERSION);
}

HERON_API heron_result heron_adamuon_create(const heron_device* device, const heron_adamuon_options* options,
                                            heron_optimizer** optimizer);

// --- AdamW

// AdamW (arXiv 1711.05101) and AMSGrad (arXiv 1904.09237), element-wise, any shape.
// Formulas, state and costs: heron/optim/adamw.hpp.

typedef struct heron_adamw_options {
    heron_struct header;  // by heron_adamw_options_init()
    float lr;  // = 1e-3; finite, >= 0; torch.optim.AdamW, as all defaults here
    double beta1;  // = 0.9; [0, 1); double, because 1 - 0.999f is off by 1.3e-5
    double beta2;  // = 0.999; [0, 1)
    float eps;  // = 1e-8; finite, >= 0; with 0 an element without any gradient so far stays
    float weight_decay;  // = 0.01; finite, >= 0; multiplied by lr
    bool amsgrad;  // denominator from the largest v so far (uncorrected, as torch)
    // = true; Off with amsgrad, eps = 0 and weight_decay = 0: AMSGrad as its paper has it.
    bool bias_correction;
    bool eps_on_uncorrected;  // sqrt(v) + eps with v uncorrected (Moonlight)
    bool cautious_decay;  // decays only elements where m W >= 0, W as before the step (dion)
    heron_moment_format moments;  // = HERON_MOMENT_FORMAT_F32; of m and v; f32 with amsgrad
    heron_schedule schedule;
} heron_adamw_options;

HERON_API heron_result heron_init_adamw_options(heron_adamw_options* options, size_t bytes,
                                                uint32_t version);
static inline heron_result heron_adamw_options_init(heron_adamw_options* options) {
    return heron_init_adamw_options(options, sizeof *options, HERON_VERSION);
}

HERON_API heron_result heron_adamw_create(const heron_device* device, const heron_adamw_options* options,
                                          heron_optimizer** optimizer);

// --- Auon

// AuON and Hybrid-AuON: momentum divided by the RMS of its entries' hyperbolic cosines (arXiv 2509.24320;
// ryyzn9/AuON), Hybrid after Newton-Schulz. For parameters of any number of axes.
// Formulas, state and costs: heron/optim/auon.hpp.

// The formula of the authors' code or of the paper.
typedef enum heron_auon_form {
    HERON_AUON_FORM_CODE = 0,
    HERON_AUON_FORM_PAPER = 1,
    HERON_AUON_FORM_MAX_ENUM = 0x7fffffff  // makes it 32 bits wide; no value
} heron_auon_form;

typedef struct heron_auon_options {
    heron_struct header;  // by heron_auon_options_init()
    float lr;  // = 0.24; finite, >= 0; the authors' code, as are the other defaults
    double momentum;  // = 0.95; [0, 1)
    bool nesterov;  // = true
    float weight_decay;  // finite, >= 0; multiplied by lr
    float gamma;  // = 1.5; 0 to 40; the paper's form has 1
    heron_auon_form form;  // = HERON_AUON_FORM_CODE
    bool hybrid;
    heron_decay_form decay;  // = HERON_DECAY_FORM_DECOUPLED
    heron_polar_options polar;  // of hybrid: muon x 5, norm + 1e-7
    heron_moment_format moments;  // = HERON_MOMENT_FORMAT_F32; of M
    heron_schedule schedule;
} heron_auon_options;

HERON_API heron_result heron_init_auon_options(heron_auon_options* options, size_t bytes, uint32_t version);
static inline heron_result heron_auon_options_init(heron_auon_options* options) {
    return heron_init_auon_options(options, sizeof *options, HERON_VERSION);
}
// Hybrid-AuON
HERON_API heron_result heron_init_auon_options_hybrid_code(heron_auon_options* options, size_t bytes,
                                                           uint32_t version);
static inline heron_result heron_auon_options_hybrid_code(heron_auon_options* options) {
    return heron_init_auon_options_hybrid_code(options, sizeof *options, HERON_VERSION);
}
// gamma 1
HERON_API heron_result heron_init_auon_options_paper(heron_auon_options* options, size_t bytes,
                                                     uint32_t version);
static inline heron_result heron_auon_options_paper(heron_auon_options* options) {
    return heron_init_auon_options_paper(options, sizeof *options, HERON_VERSION);
}
// gamma 1, one step of Newton-Schulz
HERON_API heron_result heron_init_auon_options_hybrid_paper(heron_auon_options* options, size_t bytes,
                                                            uint32_t version);
static inline heron_result heron_auon_options_hybrid_paper(heron_auon_options* options) {
    return heron_init_auon_options_hybrid_paper(options, sizeof *options, HERON_VERSION);
}

HERON_API heron_result heron_auon_create(const heron_device* device, const heron_auon_options* options,
                                         heron_optimizer** optimizer);

// --- Conda

// Conda, column-normalized Adam (arXiv 2509.24218), as jie040109/Conda: Adam whose second moment lives in the
// singular basis B of the first, on the shorter side, refreshed rarely. For hidden matrices; vectors get
// plain Adam, with Conda's order of decay.
// Formulas, state and costs: heron/optim/conda.hpp.

// Whose singular vectors B holds.
typedef enum heron_conda_side {
    HERON_CONDA_SIDE_SHORTER = 0,
    HERON_CONDA_SIDE_LONGER = 1,
    HERON_CONDA_SIDE_MAX_ENUM = 0x7fffffff  // makes it 32 bits wide; no value
} heron_conda_side;

typedef struct heron_conda_options {
    heron_struct header;  // by heron_conda_options_init()
    float lr;  // = 1e-3; finite, >= 0; the authors' code, as all defaults here (their scripts: 0.01)
    double beta1;  // = 0.9; [0, 1)
    double beta2;  // = 0.999; [0, 1); scripts: 0.99
    float eps;  // = 1e-8; finite, >= 0; beside the root of the uncorrected v
    float weight_decay;  // finite, >= 0; multiplied by lr, and applied after the update
    bool bias_correction;  // = true; c above; else 1
    // = 2000; Steps between two bases (scripts); the first step takes one in any case. At most 2^31. 0: no
    // basis, plain Adam for every parameter.
    uint32_t gap;
    // = 1; Parameters take turns: refreshes are dealt to that many different steps of the gap. 1: all in one
    // step, as the authors' code; at most gap. Each adds the dispatches of a refresh to the plan.
    uint32_t stagger;
    float scale;  // = 1.0; finite, >= 0; of the update of matrices (scripts: 0.25)
    heron_conda_side side;  // = HERON_CONDA_SIDE_SHORTER
    // = HERON_MOMENT_FORMAT_F32; Of m and v; f32 or bf16. Steps and bases are of what they were before they
    // are rounded: of matrices in bf16 that is 4 bytes an element of workspace.
    heron_moment_format moments;
    heron_schedule schedule;
} heron_conda_options;

HERON_API heron_result heron_init_conda_options(heron_conda_options* options, size_t bytes,
                                                uint32_t version);
static inline heron_result heron_conda_options_init(heron_conda_options* options) {
    return heron_init_conda_options(options, sizeof *options, HERON_VERSION);
}

HERON_API heron_result heron_conda_create(const heron_device* device, const heron_conda_options* options,
                                          heron_optimizer** optimizer);

// --- DctAdamW

// DCT-AdamW (arXiv 2505.17967), as IST-DASLab/ISTA-DASLab-Optimizers: AdamW whose moments live in the r
// directions of a cosine basis with the largest coefficients. For matrices; vectors and very large parameters
// get AdamW.
// Formulas, state and costs: heron/optim/dct_adamw.hpp.

// The vectors that a DCT-AdamW projects on.
typedef enum heron_dct_vectors {
    HERON_DCT_VECTORS_COLUMNS = 0,  // of Q: coefficients by the DCT-III ("matmul" in the authors' code)
    HERON_DCT_VECTORS_ROWS = 1,  // of Q: coefficients by the DCT-II ("makhoul")
    HERON_DCT_VECTORS_MAX_ENUM = 0x7fffffff  // makes it 32 bits wide; no value
} heron_dct_vectors;

typedef struct heron_dct_adamw_options {
    heron_struct header;  // by heron_dct_adamw_options_init()
    uint32_t rank;  // at least 1, has no default; the short side where that is smaller
    float lr;  // = 1e-3; finite, >= 0; has no default in the authors' code, here AdamW's
    double beta1;  // = 0.9; [0, 1); the authors' code, as all that follow
    double beta2;  // = 0.999; [0, 1)
    float eps;  // = 1e-8; finite, >= 0
    float weight_decay;  // finite, >= 0; multiplied by lr
    uint32_t gap;  // = 1; steps between two choices, 1 to 2^31
    bool rotate;  // moments follow their vectors from choice to choice
    bool error_feedback;
    uint32_t error_bits;  // = 32; of an element of E between steps: 4, 8 or 32 (f32)
    heron_dct_vectors vectors;  // = HERON_DCT_VECTORS_COLUMNS
    // = 1.0; p of the norms (sum |x|^p)^(1/p) of coefficients, above 0; infinity: their largest. ("makhoul":
    // always 1.) Norms beyond f32, which small p come to (many elements, p < 0.1), are infinite, and so
    // equal.
    float norm;
    // Norms of coefficients are multiplied by the same norm of the vector, which is 1 with p = 2: the
    // authors' negative ell_norm.
    bool weighted_norms;
    uint64_t max_side;  // = 32000; parameters with a side as long as that get AdamW
    heron_schedule schedule;
} heron_dct_adamw_options;

HERON_API heron_result heron_init_dct_adamw_options(heron_dct_adamw_options* options, size_t bytes,
                                                    uint32_t version);
static inline heron_result heron_dct_adamw_options_init(heron_dct_adamw_options* options) {
    return heron_init_dct_adamw_options(options, sizeof *options, HERON_VERSION);
}

HERON_API heron_result heron_dct_adamw_create(const heron_device* device,
                                              const heron_dct_adamw_options* options,
                                              heron_optimizer** optimizer);

// --- Dion

// Dion: orthonormal updates of low rank (K. Ahn et al. 2025, arXiv 2504.05295; microsoft/dion). For hidden
// matrices; give embeddings, heads, norms and biases to AdamW.
// Formulas, state and costs: heron/optim/dion.hpp.

// How Y = B Q, p x r, is orthonormalized. All agree, up to signs of columns, where Y has full rank.
typedef enum heron_dion_qr {
    // Householder's method up to 32 columns and 1024 rows, else Cholesky QR in four passes that shifts what
    // is nearly singular (heron::qr). Sound for any Y, hence the default (dion: rcqr).
    HERON_DION_QR_AUTOMATIC = 0,
    // Householder's method: p <= 4096. 4 p r^2 - 4/3 r^3 FLOPs, but 5 r / 32 levels.
    HERON_DION_QR_HOUSEHOLDER = 1,
    // Cholesky QR, one pass: 2 p r^2 + r^3 / 3 FLOPs. Columns are orthonormal to cond(Y)^2 2^-24, and never
    // longer than 1: for ranks far below min(m, n). dion warms up with 150 steps of Householder's method.
    HERON_DION_QR_CQR = 2,
    // Randomized Cholesky QR: the QR factor of a Gaussian sketch of k = 128 ceil(oversample r / 128) rows,
    // the same on all replicas, makes Y well-conditioned for Cholesky QR. (2 k + 3 r) p r FLOPs and those of
    // a QR of k x r. Where p = r: as `automatic`.
    HERON_DION_QR_RCQR = 3,
    HERON_DION_QR_MAX_ENUM = 0x7fffffff  // makes it 32 bits wide; no value
} heron_dion_qr;

typedef struct heron_dion_options {
    heron_struct header;  // by heron_dion_options_init()
    float lr;  // = 0.01; finite, >= 0; this and all defaults but `qr`: microsoft/dion
    double momentum;  // = 0.95; mu, [0, 1]
    float weight_decay;  // = 0.01; finite, >= 0; multiplied by lr
    // r = rank, or rank_fraction min(m, n) rounded up to a multiple of rank_multiple; at most min(m, n).
    // 0: by the fraction
    uint32_t rank;
    double rank_fraction;  // = 1.0; (0, 1]
    uint32_t rank_multiple;  // = 1; >= 1
    uint32_t power_iterations;  // = 1; 1 to 64
    heron_dion_qr qr;  // = HERON_DION_QR_AUTOMATIC
    double oversample;  // = 1.25; 1 to 16; rcqr
    double eps;  // = 1e-8; finite in f32, >= 0; added to the norms of columns
    // = true; Wide matrices as their transposes, so that Q belongs to the short side (dion's reference and
    // fast forms); without it Q is n x r always (the paper, dion's simple form).
    bool transpose;
    heron_shape_factor shape_factor;  // = HERON_SHAPE_FACTOR_SQRT_RATIO; of m x n, transposed or not
    heron_conv_factor conv_factor;  // = HERON_CONV_FACTOR_MATRIX
    heron_schedule schedule;
} heron_dion_options;

HERON_API heron_result heron_init_dion_options(heron_dion_options* options, size_t bytes, uint32_t version);
static inline heron_result heron_dion_options_init(heron_dion_options* options) {
    return heron_init_dion_options(options, sizeof *options, HERON_VERSION);
}
// The paper's form: rank as given, no transposition.
HERON_API heron_result heron_init_dion_options_simple(heron_dion_options* options, size_t bytes,
                                                      uint32_t version, uint32_t rank);
static inline heron_result heron_dion_options_simple(heron_dion_options* options, uint32_t rank) {
    return heron_init_dion_options_simple(options, sizeof *options, HERON_VERSION, rank);
}

HERON_API heron_result heron_dion_create(const heron_device* device, const heron_dion_options* options,
                                         heron_optimizer** optimizer);

// --- Dion2

// Dion2: Muon for the largest lines of the momentum (arXiv 2512.16928; microsoft/dion dion2.py). For hidden
// matrices; give embeddings, heads, norms and biases to AdamW.
// Formulas, state and costs: heron/optim/dion2.hpp.

typedef struct heron_dion2_options {
    heron_struct header;  // by heron_dion2_options_init()
    float lr;  // = 0.01; finite, >= 0; this and all defaults: microsoft/dion
    double fraction;  // = 0.25; of the lines, (0, 1]
    double ef_decay;  // = 0.95; [0, 1]
    float weight_decay;  // = 0.01; finite, >= 0; multiplied by lr
    heron_shape_factor shape_factor;  // = HERON_SHAPE_FACTOR_SQRT_RATIO; of the whole matrix
    heron_conv_factor conv_factor;  // = HERON_CONV_FACTOR_MATRIX
    heron_moment_format moments;  // = HERON_MOMENT_FORMAT_F32; of M; f32 or bf16
    heron_polar_options polar;  // as heron_dion2_options_init() sets it
    heron_schedule schedule;
} heron_dion2_options;

HERON_API heron_result heron_init_dion2_options(heron_dion2_options* options, size_t bytes,
                                                uint32_t version);
static inline heron_result heron_dion2_options_init(heron_dion2_options* options) {
    return heron_init_dion2_options(options, sizeof *options, HERON_VERSION);
}

HERON_API heron_result heron_dion2_create(const heron_device* device, const heron_dion2_options* options,
                                          heron_optimizer** optimizer);

// --- Fismo

// FISMO, Fisher-structured momentum-orthogonalized optimizer (Xu, Yan and Zhang, arXiv 2601.21750): Muon in
// the metric of a Kronecker-factored Fisher matrix. For hidden matrices, as Muon.
// Formulas, state and costs: heron/optim/fismo.hpp.

typedef enum heron_statistic_scale {
    // Each statistic is scaled to a mean eigenvalue of 1 before it is damped and averaged: steps do not
    // depend on the size of the gradients, and damping is relative.
    HERON_STATISTIC_SCALE_UNIT_TRACE = 0,
    // As printed: with gradients far below 1 the factors stay at the identity, far above 1 nothing is
    // averaged.
    HERON_STATISTIC_SCALE_PAPER = 1,
    HERON_STATISTIC_SCALE_MAX_ENUM = 0x7fffffff  // makes it 32 bits wide; no value
} heron_statistic_scale;

typedef enum heron_whitening {
    // S = F^(-1/2), by inverse_root(): as printed; 15 to 40 n^3 FLOPs a refresh and factor.
    HERON_WHITENING_SYMMETRIC = 0,
    // S = L^-T, F = L L^T: 0.7 n^3 FLOPs, and products with triangles. With the momentum in the space of the
    // gradient the same step; in the whitened space another one, since whiteners turn against each other as
    // factors move.
    HERON_WHITENING_CHOLESKY = 1,
    HERON_WHITENING_MAX_ENUM = 0x7fffffff  // makes it 32 bits wide; no value
} heron_whitening;

typedef enum heron_momentum_space {
    // as printed; M is a sum of gradients that were whitened by the factors of their time
    HERON_MOMENTUM_SPACE_WHITENED = 0,
    HERON_MOMENTUM_SPACE_GRADIENT = 1,  // M is Muon's
    HERON_MOMENTUM_SPACE_MAX_ENUM = 0x7fffffff  // makes it 32 bits wide; no value
} heron_momentum_space;

typedef struct heron_fismo_options {
    heron_struct header;  // by heron_fismo_options_init()
    float lr;  // = 0.02; finite, >= 0; as Muon's (the paper's is not known)
    double momentum;  // = 0.95; beta, [0, 1); as Muon's
    bool nesterov;  // (1 - beta) X + beta M is orthogonalized in place of M
    double factor_decay;  // = 0.95; gamma, [0, 1)
    float damping;  // = 1e-3; mu, finite, >= 0
    heron_statistic_scale statistic_scale;  // = HERON_STATISTIC_SCALE_UNIT_TRACE
    heron_whitening whitening;  // = HERON_WHITENING_CHOLESKY
    // = 0.5; e of S = F^-e, in (0, 1]; others than 1/2, for which S S^T is no longer F^-1 (in statistics
    // neither), need symmetric whitening. Relatives of FISMO whiten far more weakly (Mousse: 1/8).
    double exponent;
    bool graft;  // The update S_P O S_Q^T gets the norm of O: steps are as long as Muon's.
    heron_momentum_space momentum_space;  // = HERON_MOMENTUM_SPACE_GRADIENT
    // = .interval = 10; Of factors, matrix by matrix: in the first step and every 10th from there on, with
    // `stagger` as much later as the matrix's turn is; until then the identity stands for them.
    heron_refresh_policy refresh;
    // Keeps the condition number of each factor at its last refresh, and the iterations of its root where it
    // has some, in states of their own, which checkpoints leave out. Nothing else is different.
    bool diagnostics;
    // = 4096; A side with more rows or columns has the identity as its factor. 1..8192; symmetric: ..4096.
    uint32_t max_order;
    float weight_decay;  // finite, >= 0; multiplied by lr
    heron_decay_form decay;  // = HERON_DECAY_FORM_DECOUPLED
    heron_shape_factor shape_factor;  // = HERON_SHAPE_FACTOR_MAX_ONE_SQRT_RATIO
    heron_moment_format moments;  // = HERON_MOMENT_FORMAT_F32; of M; block8 not in the whitened space
    heron_polar_options polar;  // muon x 5, norm + 1e-7
    bool exact_polar;  // by polar_by_svd(), far slower; `polar` is left as it is then
    heron_schedule schedule;
} heron_fismo_options;

HERON_API heron_result heron_init_fismo_options(heron_fismo_options* options, size_t bytes,
                                                uint32_t version);
static inline heron_result heron_fismo_options_init(heron_fismo_options* options) {
    return heron_init_fismo_options(options, sizeof *options, HERON_VERSION);
}
// Algorithm 1 as printed: symmetric whitening, momentum in the whitened space, statistics as they are, a
// refresh in every step, no shape factor.
HERON_API heron_result heron_init_fismo_options_paper(heron_fismo_options* options, size_t bytes,
                                                      uint32_t version);
static inline heron_result heron_fismo_options_paper(heron_fismo_options* options) {
    return heron_init_fismo_options_paper(options, sizeof *options, HERON_VERSION);
}

HERON_API heron_result heron_fismo_create(const heron_device* device, const heron_fismo_options* options,
                                          heron_optimizer** optimizer);

// --- GaLore

// GaLore (arXiv 2403.03507), as jiaweizzhao/GaLore: Adam, Adafactor or Lion on a gradient that is projected
// to r dimensions, singular vectors of the gradient every `refresh.interval` steps. For hidden matrices;
// vectors get the inner optimizer itself.
// Formulas, state and costs: heron/optim/galore.hpp.

// The side that is projected.
typedef enum heron_galore_projection {
    HERON_GALORE_PROJECTION_STANDARD = 0,  // the shorter one: right for m >= n, else left
    HERON_GALORE_PROJECTION_REVERSE = 1,  // the longer one
    HERON_GALORE_PROJECTION_LEFT = 2,
    HERON_GALORE_PROJECTION_RIGHT = 3,
    HERON_GALORE_PROJECTION_FULL = 4,  // both: r x r
    HERON_GALORE_PROJECTION_MAX_ENUM = 0x7fffffff  // makes it 32 bits wide; no value
} heron_galore_projection;

// What becomes of moments when the basis changes from P to P'.
typedef enum heron_galore_moments {
    HERON_GALORE_MOMENTS_KEEP = 0,  // they stay as they are (the authors' code)
    // m goes with R = P^T P', v with the squares of R's elements; not for Adafactor
    HERON_GALORE_MOMENTS_ROTATE = 1,
    HERON_GALORE_MOMENTS_MAX_ENUM = 0x7fffffff  // makes it 32 bits wide; no value
} heron_galore_moments;

// What steps in the subspace, and takes vectors.
typedef enum heron_galore_inner {
    HERON_GALORE_INNER_ADAMW = 0,
    HERON_GALORE_INNER_ADAFACTOR = 1,
    HERON_GALORE_INNER_LION = 2,
    HERON_GALORE_INNER_MAX_ENUM = 0x7fffffff  // makes it 32 bits wide; no value
} heron_galore_inner;

typedef struct heron_galore_options {
    heron_struct header;  // by heron_galore_options_init()
    // = 128; Scripts: 128 to 1024; the shorter side where that is smaller. 0: no projection, the inner
    // optimizer itself for every parameter (a group without rank).
    uint32_t rank;
    float lr;  // = 1e-3; finite, >= 0; the authors' code, as all defaults here (scripts: 0.01)
    double beta1;  // = 0.9; [0, 1); Adafactor: of the update, 0: none (the authors' default there)
    double beta2;  // = 0.999; [0, 1); not Adafactor's (Lion's authors: 0.99)
    float eps;  // = 1e-6; finite, >= 0; of AdamW, beside the root of the uncorrected v
    float weight_decay;  // finite, >= 0; multiplied by lr
    bool bias_correction;  // = true; of AdamW
    float scale;  // = 1.0; finite, >= 0; of the update of matrices (scripts: 0.25)
    heron_galore_projection projection;  // = HERON_GALORE_PROJECTION_STANDARD
    // = .interval = 200, .stagger = false; `update_proj_gap` is the interval. Every parameter has a first
    // basis in the first step (`first` is 0 or 1); with stagger later ones come in turns.
    heron_refresh_policy refresh;
    // 0: all singular vectors, by svd(). Above, to 64: so many subspace iterations that begin with the basis
    // before (heron/linalg/svd.hpp, truncated_svd): far cheaper for r well below the shorter side, and close
    // where the spectrum falls.
    uint32_t iterations;
    heron_galore_moments moments;  // = HERON_GALORE_MOMENTS_KEEP
    // = 32; Of AdamW's and Lion's moments of matrices: 32, or of heron/optim/moments.hpp 16,
    // HERON_MOMENT_FORMAT_BF16, or 8 (the authors' AdamW8bit), HERON_MOMENT_FORMAT_BLOCK8. Not with rotate.
    // Vectors, which are few, keep f32.
    uint32_t moment_bits;
    heron_galore_inner inner;  // = HERON_GALORE_INNER_ADAMW
    // Adafactor's, in the form of transformers. The first two, scale_parameter and relative_step, are off in
    // the authors' scripts: the rate of a parameter times max(adafactor_eps2, RMS(W)), W all of it, and a
    // rate that the step's number bounds (it takes the schedule's factors with lr).
    bool scale_parameter;
    heron_adafactor_rate adafactor_rate;  // = HERON_ADAFACTOR_RATE_CONSTANT
    float adafactor_eps2;  // = 1e-3; finite, >= 0
    double adafactor_decay;  // = -0.8; exponent of t, below 0
    float adafactor_eps;  // = 1e-30; finite, >= 0
    float clip_threshold;  // = 1.0; finite, > 0
    heron_schedule schedule;
} heron_galore_options;

HERON_API heron_result heron_init_galore_options(heron_galore_options* options, size_t bytes,
                                                 uint32_t version);
static inline heron_result heron_galore_options_init(heron_galore_options* options) {
    return heron_init_galore_options(options, sizeof *options, HERON_VERSION);
}

HERON_API heron_result heron_galore_create(const heron_device* device, const heron_galore_options* options,
                                           heron_optimizer** optimizer);

// --- heron/optim/layer.hpp

// What becomes of a direction d for [W, b]: torch.optim.SGD's step with d in place of the gradient.
//
//   d <- d + wd W (coupled)      B <- mu B + (1 - dampening) d (first step: d)
//   W <- W - lr B, or with Nesterov W - lr (d + mu B)
typedef struct heron_momentum_step {
    double momentum;  // = 0.9; [0, 1)
    double dampening;  // [0, 1]; must be 0 with Nesterov
    bool nesterov;  // needs momentum > 0
    float weight_decay;  // finite, >= 0
    bool decoupled_decay;  // W <- (1 - lr wd) W in place of the first formula
    uint32_t decay_from;  // so many steps go by without decay
    heron_moment_format moments;  // = HERON_MOMENT_FORMAT_F32; of B; f32 or bf16
} heron_momentum_step;

// How statistics of convolutions (L positions) are scaled; other layers do not notice.
typedef enum heron_conv_scaling {
    HERON_CONV_SCALING_SHARED = 0,  // as heron_loss_reduction and heron_layer_sharing say
    HERON_CONV_SCALING_KFAC_PYTORCH = 1,  // a and s over L, means over N L rows
    // a over L, sum over rows over N; L / N times the sum of s s^T (of a mean loss, N^2 as much)
    HERON_CONV_SCALING_ALECWANGCQ = 2,
    HERON_CONV_SCALING_MAX_ENUM = 0x7fffffff  // makes it 32 bits wide; no value
} heron_conv_scaling;

// --- Kfac

// K-FAC (Martens and Grosse, arXiv 1503.05671; convolutions 1602.01407; shared weights 2311.00636) and EK-FAC
// (George et al., arXiv 1806.03884): the natural gradient of every layer, its Fisher matrix taken for a
// Kronecker product A (x) S of second moments of the layer's inputs a (with a 1 for the bias) and output
// gradients s. Needs both ("captures": layer.hpp). s of the labels makes the empirical Fisher matrix; for the
// true one, draw labels from the model's output in a second backward pass and capture that one's s.
// Formulas, state and costs: heron/optim/kfac.hpp.

typedef enum heron_kfac_method {
    HERON_KFAC_METHOD_INVERSE = 0,  // Cholesky: the cheapest refresh; damping by damping_split
    HERON_KFAC_METHOD_EIGEN = 1,  // exact damping of the product
    // With heron_step_options.accumulate moments are updated before a refresh, which begins them anew, else
    // after it.
    HERON_KFAC_METHOD_EKFAC = 2,
    // Inverses of this step's batch alone (apply_batch_inverse()): no averages, no state but the momentum. A
    // layer that is larger than the batch never has its factors formed. With heron_step_options.accumulate
    // the batch is the last micro-batch. Does without the options of factors and refreshes.
    HERON_KFAC_METHOD_BATCH = 3,
    HERON_KFAC_METHOD_MAX_ENUM = 0x7fffffff  // makes it 32 bits wide; no value
} heron_kfac_method;

typedef struct heron_kfac_options {
    heron_struct header;  // by heron_kfac_options_init()
    float lr;  // = 0.1; finite, >= 0; kfac-pytorch
    heron_momentum_step step;  // momentum 0.9
    heron_kfac_method method;  // = HERON_KFAC_METHOD_INVERSE
    float damping;  // = 1e-3; finite, > 0; kfac-pytorch
    heron_schedule damping_schedule;  // factors on it, > 0
    heron_damping_unit damping_unit;  // = HERON_DAMPING_UNIT_ABSOLUTE
    heron_damping_split damping_split;  // = HERON_DAMPING_SPLIT_PI; inverse
    // Eigenvalues: damping as at the last refresh, as if a table of 1 / (d_S d_A^T + damping) had been kept
    // (kfac-pytorch's default); else as in this step.
    bool damping_at_refresh;
    float eigenvalue_floor;  // up to this they count as 0; finite, >= 0
    double factor_decay;  // = 0.95; g, [0, 1)
    heron_schedule factor_decay_schedule;  // factors on it
    // g <= 1 - 1/k in the k-th statistic, as in the paper: the identity is forgotten at once.
    bool warm_factors;
    // = 1; Steps between statistics, and between updates of EK-FAC's moments (from the step after the first
    // refresh on; every refresh begins them anew): 1..10000. kfac-pytorch 1; alecwangcq 10, 10.
    uint32_t factor_interval;
    uint32_t moments_interval;  // = 1
    // = .interval = 10, .stagger = false; Of inverses or eigenvectors, from step `first` on (0: the first
    // one): all layers' in it and in every interval-th step, as both official codes do (kfac-pytorch 1,
    // alecwangcq 100); that is why stagger is off. With it each layer's come in its turns, the first one,
    // too, and no step carries all. Before its first refresh a layer's are those of the identity: it takes
    // the gradient itself, which kl_clip counts.
    heron_refresh_policy refresh;
    // Keeps the condition number of each damped factor at the last refresh of its inverse, in a state of its
    // own, which checkpoints leave out. Nothing else is different. (Eigenvalues are states by themselves.)
    bool diagnostics;
    // = 1e-3; Finite, > 0; without: no clip. Its lr: that of the step, without the parameters' lr_scale,
    // unless kl_clip_lr (finite, >= 0; 0: not set) is.
    bool has_kl_clip;
    float kl_clip;
    float kl_clip_lr;
    heron_conv_scaling conv_scaling;  // = HERON_CONV_SCALING_SHARED
    heron_schedule schedule;
} heron_kfac_options;

HERON_API heron_result heron_init_kfac_options(heron_kfac_options* options, size_t bytes, uint32_t version);
static inline heron_result heron_kfac_options_init(heron_kfac_options* options) {
    return heron_init_kfac_options(options, sizeof *options, HERON_VERSION);
}
// gpauloski/kfac-pytorch: eigen, damping as in the table, a refresh in every step; set
// HERON_LOSS_REDUCTION_NONE, and kl_clip_lr to its lr where the base optimizer has another.
HERON_API heron_result heron_init_kfac_options_kfac_pytorch(heron_kfac_options* options, size_t bytes,
                                                            uint32_t version);
static inline heron_result heron_kfac_options_kfac_pytorch(heron_kfac_options* options) {
    return heron_init_kfac_options_kfac_pytorch(options, sizeof *options, HERON_VERSION);
}
// alecwangcq/KFAC-Pytorch: eigen, or EK-FAC.
HERON_API heron_result heron_init_kfac_options_alecwangcq(heron_kfac_options* options, size_t bytes,
                                                          uint32_t version, heron_kfac_method method);
static inline heron_result heron_kfac_options_alecwangcq(heron_kfac_options* options,
                                                         heron_kfac_method method) {
    return heron_init_kfac_options_alecwangcq(options, sizeof *options, HERON_VERSION, method);
}

HERON_API heron_result heron_kfac_create(const heron_device* device, const heron_kfac_options* options,
                                         heron_optimizer** optimizer);

// --- KronTorch

// PSGD Kron as kron_torch has it (and with it most users): triangular factors, momentum, weight decay. For
// anything. heron/optim/psgd.hpp says what PSGD is. In step t:
// Formulas, state and costs: heron/optim/kron_torch.hpp.

// Which axes get a diagonal in place of a matrix, beside those that are longer than max_order or 1.
typedef enum heron_kron_memory {
    HERON_KRON_MEMORY_ALL_TRIANGULAR = 0,  // none
    HERON_KRON_MEMORY_ONE_DIAGONAL = 1,  // the longest, of equal ones the last
    HERON_KRON_MEMORY_SMART_DIAGONAL = 2,  // the longest, if it is longer than all others
    HERON_KRON_MEMORY_ALL_DIAGONAL = 3,
    HERON_KRON_MEMORY_MAX_ENUM = 0x7fffffff  // makes it 32 bits wide; no value
} heron_kron_memory;

// Defaults are kron_torch's.
typedef struct heron_kron_torch_options {
    heron_struct header;  // by heron_kron_torch_options_init()
    float lr;  // = 3e-4; finite, >= 0
    double momentum;  // = 0.9; b1, [0, 1)
    float weight_decay;  // finite, >= 0
    float preconditioner_lr;  // = 0.1; (0, 1]
    float initial_scale;  // = 1.0; Q = this I; finite, above 0
    uint32_t max_order;  // = 8192; max_size_triangular, 1..8192
    uint32_t min_axes;  // = 2; min_ndim_triangular, 1..8: tensors with fewer axes have diagonals only
    heron_kron_memory memory;  // = HERON_KRON_MEMORY_ALL_TRIANGULAR
    bool momentum_into_fit;  // = true; H = X; else G, and D is of X without noise
    bool merge_axes;  // = true
    // = 1.0; A fit in every 1 / (this times the schedule's factor)-th step, counted from the last one; (0,
    // 1]. The default schedule: 1 for 500 steps, then e^(-0.001 (t - 500)) down to 0.03.
    float update_probability;
    // = heron_schedule_constant(1.0, 500), heron_schedule_then_exponential(0.030017, 3506)
    heron_schedule update_schedule;
    // In place of counting: fits by tensors, in turns. An interval that is or grows above 1 needs
    // update_probability 1 and update_schedule {}.
    heron_refresh_policy refresh;
    float balance_probability;  // = 0.01; [0, 1]
    heron_schedule balance_schedule;
    float clip_rms;  // = 1.1; finite, >= 0; 0: none
    // = HERON_MOMENT_FORMAT_F32; of M; f32 or bf16. X is of what it was before it is rounded
    heron_moment_format moments;
    heron_schedule schedule;
} heron_kron_torch_options;

HERON_API heron_result heron_init_kron_torch_options(heron_kron_torch_options* options, size_t bytes,
                                                     uint32_t version);
static inline heron_result heron_kron_torch_options_init(heron_kron_torch_options* options) {
    return heron_init_kron_torch_options(options, sizeof *options, HERON_VERSION);
}

HERON_API heron_result heron_kron_torch_create(const heron_device* device,
                                               const heron_kron_torch_options* options,
                                               heron_optimizer** optimizer);

// --- Lion

// Lion (arXiv 2302.06675; google/automl), element-wise, any shape.
// Formulas, state and costs: heron/optim/lion.hpp.

typedef struct heron_lion_options {
    heron_struct header;  // by heron_lion_options_init()
    // = 1e-4; finite, >= 0; all defaults are the authors'. They advise 3 to 10 times less than AdamW's, and a
    // weight decay larger by as much.
    float lr;
    double beta1;  // = 0.9; [0, 1); of what is stepped along
    double beta2;  // = 0.99; [0, 1); of what is kept
    float weight_decay;  // finite, >= 0; multiplied by lr
    heron_moment_format moments;  // = HERON_MOMENT_FORMAT_F32; of m
    heron_schedule schedule;
} heron_lion_options;

HERON_API heron_result heron_init_lion_options(heron_lion_options* options, size_t bytes, uint32_t version);
static inline heron_result heron_lion_options_init(heron_lion_options* options) {
    return heron_init_lion_options(options, sizeof *options, HERON_VERSION);
}

HERON_API heron_result heron_lion_create(const heron_device* device, const heron_lion_options* options,
                                         heron_optimizer** optimizer);

// --- Lookahead

// Lookahead (arXiv 1907.08610; michaelrzhang/lookahead) around any other optimizer of parameters or of
// layers, but another Lookahead.
// Formulas, state and costs: heron/optim/lookahead.hpp.

// What becomes of it at a synchronization.
typedef enum heron_lookahead_momentum {
    HERON_LOOKAHEAD_MOMENTUM_NONE = 0,
    HERON_LOOKAHEAD_MOMENTUM_RESET = 1,
    HERON_LOOKAHEAD_MOMENTUM_PULLBACK = 2,
    HERON_LOOKAHEAD_MOMENTUM_MAX_ENUM = 0x7fffffff  // makes it 32 bits wide; no value
} heron_lookahead_momentum;

typedef struct heron_lookahead_options {
    heron_struct header;  // by heron_lookahead_options_init()
    uint32_t steps;  // = 5; >= 1; the authors' code, as all defaults here
    float alpha;  // = 0.8; [0, 1]; 1 leaves the inner optimizer as it is
    heron_lookahead_momentum momentum;  // = HERON_LOOKAHEAD_MOMENTUM_NONE
} heron_lookahead_options;

HERON_API heron_result heron_init_lookahead_options(heron_lookahead_options* options, size_t bytes,
                                                    uint32_t version);
static inline heron_result heron_lookahead_options_init(heron_lookahead_options* options) {
    return heron_init_lookahead_options(options, sizeof *options, HERON_VERSION);
}

// --- Mfac

// M-FAC, the dynamic algorithm (Frantar, Kurtic and Alistarh, arXiv 2107.03356; code IST-DASLab/M-FAC): steps
// by the exact inverse of the empirical Fisher matrix of the last m gradients, without that matrix. For
// anything.
// Formulas, state and costs: heron/optim/mfac.hpp.

typedef enum heron_mfac_blocks {
    // one window of all parameters: interactions between layers count (paper, code)
    HERON_MFAC_BLOCKS_MODEL = 0,
    HERON_MFAC_BLOCKS_LAYER = 1,  // one for each parameter: a block-diagonal Fisher matrix
    HERON_MFAC_BLOCKS_MAX_ENUM = 0x7fffffff  // makes it 32 bits wide; no value
} heron_mfac_blocks;

typedef enum heron_mfac_average {
    HERON_MFAC_AVERAGE_WINDOW = 0,  // 1 / m, from the first step on (code)
    HERON_MFAC_AVERAGE_FILLED = 1,  // 1 / the number of rows that are not zero
    HERON_MFAC_AVERAGE_MAX_ENUM = 0x7fffffff  // makes it 32 bits wide; no value
} heron_mfac_average;

typedef struct heron_mfac_options {
    heron_struct header;  // by heron_mfac_options_init()
    float lr;  // = 1e-3; finite, >= 0; code
    uint32_t window;  // = 1024; m, 1 to 1024; code (its example of images: 512)
    // = 1e-5; Finite, above 0; code. Of a layer's window times its heron_parameter.damping_scale (inputs x
    // outputs).
    float damping;
    double momentum;  // mu, [0, 1); code. Of u, without bias correction
    float weight_decay;  // finite, >= 0; code. Part of the gradient, before it enters the window
    heron_mfac_blocks blocks;  // = HERON_MFAC_BLOCKS_MODEL
    heron_mfac_average average;  // = HERON_MFAC_AVERAGE_WINDOW
    // = HERON_DTYPE_F32; f32 (code), f16 or bf16: half of the memory, and half of the time of long windows.
    // 16-bit rows are kept over powers of two, whatever the size of the gradients; sums are f32.
    heron_dtype window_dtype;
    // Elements that are exactly zero when heron_plan_initialize() runs never move, and are not part of the
    // window (code: sparse; for pruned networks).
    bool sparse;
    // The Cholesky factor of the small system is a state in which a step replaces a row. Without it a step
    // depends on nothing but the window, and a damping is raised no further than it has to be.
    bool keep_factor;
    // = HERON_REFINEMENT_AUTOMATIC; Of the small system, through the window; see woodbury.hpp.
    heron_refinement refinement;
    heron_schedule schedule;
} heron_mfac_options;

HERON_API heron_result heron_init_mfac_options(heron_mfac_options* options, size_t bytes, uint32_t version);
static inline heron_result heron_mfac_options_init(heron_mfac_options* options) {
    return heron_init_mfac_options(options, sizeof *options, HERON_VERSION);
}

HERON_API heron_result heron_mfac_create(const heron_device* device, const heron_mfac_options* options,
                                         heron_optimizer** optimizer);

// --- Mkor

// MKOR, momentum-enabled Kronecker-factor-based optimizer using rank-1 updates (Mozaffari et al., arXiv
// 2306.01685): K-FAC whose factors are averages of rank one, of the means of a layer's inputs and output
// gradients, so that their inverses are renewed in quadratic time. Takes layers (optim/layer.hpp).
// Formulas, state and costs: heron/optim/mkor.hpp.

typedef enum heron_mkor_recurrence {
    HERON_MKOR_RECURRENCE_EXACT = 0,  // The inverse of gamma F + (1 - gamma) v v^T, as above.
    // The authors' package: P <- 0.95 P + 0.05 I, then P <- P - (P v)(P v)^T / (1 + v^T P v), the first
    // step leaving the identity; factor_decay, norm_threshold and blend are not used.
    HERON_MKOR_RECURRENCE_PUBLISHED = 1,
    // As the paper prints it: P <- gamma P + (1 - gamma) / (gamma^2 (1 + gamma (1 - gamma) v^T P v)) (P v)
    // (P v)^T. It grows along v, and is no inverse: for comparison.
    HERON_MKOR_RECURRENCE_PRINTED = 2,
    HERON_MKOR_RECURRENCE_MAX_ENUM = 0x7fffffff  // makes it 32 bits wide; no value
} heron_mkor_recurrence;

// What takes the preconditioned gradient.
typedef enum heron_mkor_base {
    HERON_MKOR_BASE_SGD = 0,
    HERON_MKOR_BASE_ADAM = 1,
    HERON_MKOR_BASE_MAX_ENUM = 0x7fffffff  // makes it 32 bits wide; no value
} heron_mkor_base;

// When MKOR-H's second order ends. Of the losses since it began, m_k is the mean of the k-th `window`, and
// f_k = m_(k-1) - m_k its fall. Second order pays while f_k is at least `share` of the first fall that was
// above 0; it ends where it did not `patience` times in a row. A loss that does not fall at all does not pay.
//
// Means over windows stand in for a smoothed curve: they need no second constant, and two of them share no
// loss, so that a fall is no echo of the one before.
typedef struct heron_mkor_switch {
    uint32_t window;  // = 100; losses, 1..1000000
    float share;  // = 0.1; [0, 1]; 0: only a loss that does not fall ends it
    uint32_t patience;  // = 2; 1..1000
} heron_mkor_switch;

// Defaults are the package's, but for lr, recurrence, norm_threshold and blend (ours), and f32 (f16 there).
typedef struct heron_mkor_options {
    heron_struct header;  // by heron_mkor_options_init()
    float lr;  // = 0.01; finite, >= 0
    heron_mkor_recurrence recurrence;  // = HERON_MKOR_RECURRENCE_EXACT
    double factor_decay;  // = 0.95; gamma, (0, 1)
    float norm_threshold;  // = 4.0; above 0, or infinity: never
    double blend;  // = 0.9; zeta, [0, 1]; hkor.py's
    float clip;  // = 100.0; above 0, finite
    // = .interval = 10, .stagger = false; Of inverses; and each of the first warmup_steps steps renews all of
    // them. Without stagger as the package, which renews all layers in the same steps; with it a layer's
    // inverses are the identity until its first turn.
    heron_refresh_policy refresh;
    uint32_t warmup_steps;
    heron_dtype factor_dtype;  // = HERON_DTYPE_F32; of the inverses: f32, f16 or bf16; sums are f32
    heron_mkor_base base;  // = HERON_MKOR_BASE_SGD
    // Of SGD; of Adam its weight decay alone, coupled as torch.optim.Adam's is, and moments must be f32.
    heron_momentum_step step;
    double beta1;  // = 0.9; of Adam, [0, 1)
    double beta2;  // = 0.999
    float eps;  // = 1e-8; finite, >= 0
    bool second_order;  // = true; what heron_plan_set_second_order() changes
    bool has_switching;  // MKOR-H: for heron_plan_report_loss()
    heron_mkor_switch switching;
    heron_schedule schedule;
} heron_mkor_options;

HERON_API heron_result heron_init_mkor_options(heron_mkor_options* options, size_t bytes, uint32_t version);
static inline heron_result heron_mkor_options_init(heron_mkor_options* options) {
    return heron_init_mkor_options(options, sizeof *options, HERON_VERSION);
}

HERON_API heron_result heron_mkor_create(const heron_device* device, const heron_mkor_options* options,
                                         heron_optimizer** optimizer);

// --- Mousse

// Mousse (arXiv 2603.09697): Muon between weak whiteners, with the size of what was orthogonalized grafted
// on. For hidden matrices, as Muon.
// Formulas, state and costs: heron/optim/mousse.hpp.

// Which of the whiteners there are: the other side's is the identity, and has no state.
typedef enum heron_mousse_sides {
    HERON_MOUSSE_SIDES_BOTH = 0,
    HERON_MOUSSE_SIDES_LEFT = 1,
    HERON_MOUSSE_SIDES_RIGHT = 2,
    HERON_MOUSSE_SIDES_MAX_ENUM = 0x7fffffff  // makes it 32 bits wide; no value
} heron_mousse_sides;

// Defaults are those of the official code, Anti-Entrophic/Mousse; lr and weight_decay are ours.
typedef struct heron_mousse_options {
    heron_struct header;  // by heron_mousse_options_init()
    float lr;  // = 0.02; finite, >= 0
    double momentum;  // = 0.95; mu, [0, 1)
    bool nesterov;
    double factor_decay;  // = 0.95; beta, [0, 1)
    double exponent;  // = 0.125; alpha, (0, 1]; 1/2 is FISMO's
    float damping;  // = 1e-10; eps, finite, >= 0
    bool graft;  // = true; off: D is not scaled
    heron_mousse_sides sides;  // = HERON_MOUSSE_SIDES_BOTH
    // A refresh scales L and R themselves to a mean eigenvalue of 1, so that they forget the size of
    // gradients before it (the official code with LR_correction off).
    bool scale_in_place;
    // = .interval = 10; Of S_L and S_R, matrix by matrix: in the first step and every 10th from there on,
    // with `stagger` as much later as the matrix's turn is; until then the identity stands for them.
    heron_refresh_policy refresh;
    // Keeps the condition number of each factor at its last refresh, and the iterations of its root where it
    // has some, in states of their own, which checkpoints leave out. Nothing else is different.
    bool diagnostics;
    uint32_t max_order;  // = 4096; sides with more rows or columns have no factor; 1..4096
    float weight_decay;  // = 0.01; finite, >= 0; multiplied by lr
    heron_decay_form decay;  // = HERON_DECAY_FORM_DECOUPLED
    heron_shape_factor shape_factor;  // = HERON_SHAPE_FACTOR_SQRT_RATIO
    heron_moment_format moments;  // = HERON_MOMENT_FORMAT_F32; of M
    // = .coefficients = heron_polar_options_set("you5"), .eps = 1e-8; you5, norm + 1e-8
    heron_polar_options polar;
    heron_schedule schedule;
} heron_mousse_options;

HERON_API heron_result heron_init_mousse_options(heron_mousse_options* options, size_t bytes,
                                                 uint32_t version);
static inline heron_result heron_mousse_options_init(heron_mousse_options* options) {
    return heron_init_mousse_options(options, sizeof *options, HERON_VERSION);
}

HERON_API heron_result heron_mousse_create(const heron_device* device, const heron_mousse_options* options,
                                           heron_optimizer** optimizer);

// --- Muon

// Muon: momentum, orthogonalized by Newton-Schulz (Jordan et al. 2024; at scale: arXiv 2502.16982).
// For hidden matrices; give embeddings, heads, norms and biases to AdamW.
// Formulas, state and costs: heron/optim/muon.hpp.

typedef struct heron_muon_options {
    heron_struct header;  // by heron_muon_options_init()
    float lr;  // = 0.02; finite, >= 0; KellerJordan
    double momentum;  // = 0.95; [0, 1), at every step of its schedule
    bool nesterov;  // = true
    float weight_decay;  // finite, >= 0; multiplied by lr
    heron_momentum_rule momentum_rule;  // = HERON_MOMENTUM_RULE_EMA
    heron_shape_factor shape_factor;  // = HERON_SHAPE_FACTOR_MAX_ONE_SQRT_RATIO
    heron_decay_form decay;  // = HERON_DECAY_FORM_DECOUPLED
    heron_conv_factor conv_factor;  // = HERON_CONV_FACTOR_MATRIX
    float extra_scale;  // = 1.0; factor on the update, beside the shape factor; above 0
    heron_polar_options polar;  // muon x 5, norm + 1e-7
    heron_moment_format moments;  // = HERON_MOMENT_FORMAT_F32; of M; bf16: U is formed of what is kept
    heron_schedule schedule;
    // factor on momentum: heron_schedule_linear(0.85f / 0.95f, 1, 300) warms up
    heron_schedule momentum_schedule;
} heron_muon_options;

HERON_API heron_result heron_init_muon_options(heron_muon_options* options, size_t bytes, uint32_t version);
static inline heron_result heron_muon_options_init(heron_muon_options* options) {
    return heron_init_muon_options(options, sizeof *options, HERON_VERSION);
}
// The published forms, with their authors' defaults.
// the factor of a convolution from kh and kw
HERON_API heron_result heron_init_muon_options_keller_jordan(heron_muon_options* options, size_t bytes,
                                                             uint32_t version);
static inline heron_result heron_muon_options_keller_jordan(heron_muon_options* options) {
    return heron_init_muon_options_keller_jordan(options, sizeof *options, HERON_VERSION);
}
// lr 1e-3, weight decay 0.1, clamped norm
HERON_API heron_result heron_init_muon_options_torch(heron_muon_options* options, size_t bytes,
                                                     uint32_t version);
static inline heron_result heron_muon_options_torch(heron_muon_options* options) {
    return heron_init_muon_options_torch(options, sizeof *options, HERON_VERSION);
}
// lr 1e-3, weight decay 0.1, sum, match_rms
HERON_API heron_result heron_init_muon_options_moonlight(heron_muon_options* options, size_t bytes,
                                                         uint32_t version);
static inline heron_result heron_muon_options_moonlight(heron_muon_options* options) {
    return heron_init_muon_options_moonlight(options, sizeof *options, HERON_VERSION);
}
// lr 0.01, weight decay 0.01, sum, no Nesterov, Polar Express, norm x 1.02 + 1e-8, sqrt_ratio
HERON_API heron_result heron_init_muon_options_dion(heron_muon_options* options, size_t bytes,
                                                    uint32_t version);
static inline heron_result heron_muon_options_dion(heron_muon_options* options) {
    return heron_init_muon_options_dion(options, sizeof *options, HERON_VERSION);
}
// Emerging-Optimizers: lr 3e-4, weight decay 0.01, no Nesterov, you5, norm clamped at 1e-15, spectral;
// extra_scale 0.2 gives moonlight's factor
HERON_API heron_result heron_init_muon_options_emerging(heron_muon_options* options, size_t bytes,
                                                        uint32_t version);
static inline heron_result heron_muon_options_emerging(heron_muon_options* options) {
    return heron_init_muon_options_emerging(options, sizeof *options, HERON_VERSION);
}

HERON_API heron_result heron_muon_create(const heron_device* device, const heron_muon_options* options,
                                         heron_optimizer** optimizer);

// --- OnlineSubspaceDescent

// Online Subspace Descent (arXiv 2408.12857), as kyleliang919/Online-Subspace-Descent: GaLore whose basis P
// takes a gradient step in each step, instead of a decomposition now and then.
// Formulas, state and costs: heron/optim/online_subspace_descent.hpp.

typedef enum heron_subspace_rule {
    HERON_SUBSPACE_RULE_ADAMW = 0,
    HERON_SUBSPACE_RULE_SGD = 1,
    HERON_SUBSPACE_RULE_LION = 2,
    // a random orthonormal basis, another one every `interval` steps; no decomposition, no descent
    HERON_SUBSPACE_RULE_RANDOM = 3,
    HERON_SUBSPACE_RULE_MAX_ENUM = 0x7fffffff  // makes it 32 bits wide; no value
} heron_subspace_rule;

// How a basis moves.
typedef struct heron_subspace_descent_options {
    heron_subspace_rule rule;  // = HERON_SUBSPACE_RULE_ADAMW
    // = 1.0 / 200; Finite, >= 0; the schedule of the weights' rate multiplies it
    // (heron_plan_set_learning_rate() does not). 1 / update_proj_gap in the authors' code.
    float rate;
    double beta1;  // = 0.9; [0, 1)
    double beta2;  // = 0.999; [0, 1); the authors' Lion: 0.99
    float eps;  // = 1e-8; finite, >= 0
    float weight_decay;  // = 0.01; finite, >= 0; torch's AdamW's, and so the authors'. Their Lion's: 0
    uint32_t interval;  // = 200; 1 to 2^31; of HERON_SUBSPACE_RULE_RANDOM
    float orthogonality;  // finite, >= 0: lambda
} heron_subspace_descent_options;

typedef struct heron_online_subspace_descent_options {
    heron_struct header;  // by heron_online_subspace_descent_options_init()
    uint32_t rank;  // = 128; as heron_galore_options, and all defaults up to `projection`
    float lr;  // = 1e-3; finite, >= 0
    double beta1;  // = 0.9; [0, 1)
    double beta2;  // = 0.999; [0, 1); Lion's: 0.99
    float eps;  // = 1e-6; finite, >= 0
    float weight_decay;  // finite, >= 0; multiplied by lr
    bool bias_correction;  // = true; of AdamW
    float scale;  // = 1.0; finite, >= 0; of the update of matrices
    // = HERON_GALORE_INNER_ADAMW; Adafactor has the options that heron_galore_options has by default.
    heron_galore_inner inner;
    uint32_t moment_bits;  // = 32; as heron_galore_options.moment_bits
    heron_galore_projection projection;  // = HERON_GALORE_PROJECTION_STANDARD
    // = 4; Of the first basis, as heron_galore_options.iterations. 0: svd(), as the authors' code; its
    // dispatches, thousands for sides of 1024, are empty in all later steps and yet recorded.
    uint32_t iterations;
    heron_subspace_descent_options descent;
    heron_schedule schedule;
} heron_online_subspace_descent_options;

HERON_API heron_result heron_init_online_subspace_descent_options(heron_online_subspace_descent_options* options,
                                                                  size_t bytes, uint32_t version);
static inline heron_result heron_online_subspace_descent_options_init(heron_online_subspace_descent_options* options) {
    return heron_init_online_subspace_descent_options(options, sizeof *options, HERON_VERSION);
}

HERON_API heron_result heron_online_subspace_descent_create(const heron_device* device,
                                                            const heron_online_subspace_descent_options* options,
                                                            heron_optimizer** optimizer);

// --- NaturalGaLore

// Natural GaLore (arXiv 2410.16029; selfsupervised-ai/Natural-GaLore): GaLore whose projected gradient l, as
// a vector, is multiplied by the inverse of a damped empirical Fisher matrix before Adam sees it, made of the
// last s projected gradients, l among them:
// Formulas, state and costs: heron/optim/natural_galore.hpp.

// Projection of the shorter side, or of both.
typedef enum heron_natural_galore_form {
    HERON_NATURAL_GALORE_FORM_PAPER = 0,
    HERON_NATURAL_GALORE_FORM_CORE = 1,
    HERON_NATURAL_GALORE_FORM_MAX_ENUM = 0x7fffffff  // makes it 32 bits wide; no value
} heron_natural_galore_form;

typedef enum heron_natural_galore_basis {
    HERON_NATURAL_GALORE_BASIS_SINGULAR = 0,  // renewed by decompositions, as GaLore's
    // moved in each step but the first, as Online Subspace Descent's ("online_" in the released code)
    HERON_NATURAL_GALORE_BASIS_DESCENT = 1,
    HERON_NATURAL_GALORE_BASIS_MAX_ENUM = 0x7fffffff  // makes it 32 bits wide; no value
} heron_natural_galore_basis;

typedef struct heron_natural_galore_options {
    heron_struct header;  // by heron_natural_galore_options_init()
    uint32_t rank;  // = 128; as heron_galore_options, and all defaults up to `scale`
    float lr;  // = 1e-3; finite, >= 0
    double beta1;  // = 0.9; [0, 1)
    double beta2;  // = 0.999; [0, 1)
    float eps;  // = 1e-6; finite, >= 0
    float weight_decay;  // finite, >= 0; multiplied by lr
    bool bias_correction;  // = true
    float scale;  // = 1.0; finite, >= 0; of the update of matrices
    heron_natural_galore_form form;  // = HERON_NATURAL_GALORE_FORM_PAPER
    // = 20; s, to 1024; the released code. 0: no transform, which with the core form is the code's "galore".
    uint32_t history;
    float lambda;  // = 1e-3; finite, > 0; the released code
    // = HERON_DTYPE_F32; f16, bf16: half the memory; rows over powers of two, rounded
    heron_dtype history_dtype;
    heron_natural_galore_basis basis;  // = HERON_NATURAL_GALORE_BASIS_SINGULAR
    heron_refresh_policy refresh;  // = .interval = 200, .stagger = false; as heron_galore_options.refresh
    uint32_t iterations;  // as heron_galore_options.iterations
    heron_subspace_descent_options descent;  // of HERON_NATURAL_GALORE_BASIS_DESCENT
    heron_galore_moments moments;  // = HERON_GALORE_MOMENTS_KEEP; of HERON_NATURAL_GALORE_BASIS_SINGULAR
    uint32_t moment_bits;  // = 32; as heron_galore_options.moment_bits
    // = HERON_GALORE_INNER_ADAMW; Adafactor has the options that heron_galore_options has by default.
    heron_galore_inner inner;
    // The Cholesky factor of H^T H + lambda I is a state in which a step replaces a row, and a lambda that is
    // raised becomes a power of two.
    bool keep_factor;
    heron_schedule schedule;
} heron_natural_galore_options;

HERON_API heron_result heron_init_natural_galore_options(heron_natural_galore_options* options, size_t bytes,
                                                         uint32_t version);
static inline heron_result heron_natural_galore_options_init(heron_natural_galore_options* options) {
    return heron_init_natural_galore_options(options, sizeof *options, HERON_VERSION);
}

HERON_API heron_result heron_natural_galore_create(const heron_device* device,
                                                   const heron_natural_galore_options* options,
                                                   heron_optimizer** optimizer);

// --- NorDion2

// NorDion2, also called Dion3: Dion2 on rows, whose updates are equalized by NorMuon's second moment
// (microsoft/dion nordion2.py). For hidden matrices; give embeddings, heads, norms and biases to AdamW.
// Formulas, state and costs: heron/optim/nordion2.hpp.

typedef struct heron_nordion2_options {
    heron_struct header;  // by heron_nordion2_options_init()
    float lr;  // = 0.01; finite, >= 0; this and all defaults: microsoft/dion
    double fraction;  // = 0.25; of the rows, (0, 1]
    double momentum;  // = 0.95; mu, [0, 1]
    double beta2;  // = 0.95; [0, 1)
    double eps;  // = 1e-8; positive in f32; of the second moment
    float weight_decay;  // = 0.01; finite, >= 0; multiplied by lr
    heron_shape_factor shape_factor;  // = HERON_SHAPE_FACTOR_SQRT_RATIO; of the whole matrix
    heron_conv_factor conv_factor;  // = HERON_CONV_FACTOR_MATRIX
    heron_moment_format moments;  // = HERON_MOMENT_FORMAT_F32; of M; f32 or bf16
    heron_polar_options polar;  // as heron_nordion2_options_init() sets it
    heron_schedule schedule;
} heron_nordion2_options;

HERON_API heron_result heron_init_nordion2_options(heron_nordion2_options* options, size_t bytes,
                                                   uint32_t version);
static inline heron_result heron_nordion2_options_init(heron_nordion2_options* options) {
    return heron_init_nordion2_options(options, sizeof *options, HERON_VERSION);
}

HERON_API heron_result heron_nordion2_create(const heron_device* device,
                                             const heron_nordion2_options* options,
                                             heron_optimizer** optimizer);

// --- NorMuon

// NorMuon: Muon whose rows (neurons) move alike (Li et al., arXiv 2510.05491; zichongli5/NorMuon). For hidden
// matrices; give embeddings, heads, norms and biases to AdamW.
// Formulas, state and costs: heron/optim/normuon.hpp.

// Whose mean square is kept.
typedef enum heron_normuon_lines {
    HERON_NORMUON_LINES_ROWS = 0,
    // rows where m >= n, else columns: as long as the shorter side (modded-nanogpt)
    HERON_NORMUON_LINES_SHORTER_SIDE = 1,
    HERON_NORMUON_LINES_MAX_ENUM = 0x7fffffff  // makes it 32 bits wide; no value
} heron_normuon_lines;

typedef enum heron_normuon_scale {
    HERON_NORMUON_SCALE_KEEP_NORM = 0,  // |O|, by shape_factor
    // 0.2 sqrt(m n): an RMS of 0.2, times shape_factor (the paper, whose factor is none)
    HERON_NORMUON_SCALE_MATCH_RMS = 1,
    HERON_NORMUON_SCALE_MAX_ENUM = 0x7fffffff  // makes it 32 bits wide; no value
} heron_normuon_scale;

typedef struct heron_normuon_options {
    heron_struct header;  // by heron_normuon_options_init()
    float lr;  // = 0.02; finite, >= 0; the authors' code, as are the other defaults
    double momentum;  // = 0.95; [0, 1), at every step of its schedule
    double beta2;  // = 0.95; [0, 1)
    bool nesterov;  // = true
    float weight_decay;  // finite, >= 0; multiplied by lr
    float eps;  // = 1e-10; 1e-18 to 1
    // = HERON_NORM_RULE_ADDED; How eps enters: sqrt(v) + eps or, clamped, sqrt(max(v, eps)); |P| + eps or,
    // clamped, max(|P|, eps).
    heron_norm_rule variance_rule;
    heron_norm_rule rescale_rule;  // = HERON_NORM_RULE_ADDED
    heron_normuon_lines lines;  // = HERON_NORMUON_LINES_ROWS
    heron_normuon_scale scale;  // = HERON_NORMUON_SCALE_KEEP_NORM
    heron_momentum_rule momentum_rule;  // = HERON_MOMENTUM_RULE_EMA
    heron_shape_factor shape_factor;  // = HERON_SHAPE_FACTOR_MAX_ONE_SQRT_RATIO
    heron_decay_form decay;  // = HERON_DECAY_FORM_DECOUPLED
    // = HERON_CONV_FACTOR_MATRIX; kernel: as the authors' code does with a filter (out, in, kh, kw), whose
    // rows are then those of each kh x kw slice, which is rescaled by itself; with HERON_NORMUON_LINES_ROWS
    // only.
    heron_conv_factor conv_factor;
    heron_polar_options polar;  // muon x 5, norm + 1e-7
    heron_moment_format moments;  // = HERON_MOMENT_FORMAT_F32; of M; v is f32
    heron_schedule schedule;
    heron_schedule momentum_schedule;  // factor on momentum
} heron_normuon_options;

HERON_API heron_result heron_init_normuon_options(heron_normuon_options* options, size_t bytes,
                                                  uint32_t version);
static inline heron_result heron_normuon_options_init(heron_normuon_options* options) {
    return heron_init_normuon_options(options, sizeof *options, HERON_VERSION);
}
// The published forms, with their authors' defaults.
// the defaults, and HERON_CONV_FACTOR_KERNEL
HERON_API heron_result heron_init_normuon_options_authors(heron_normuon_options* options, size_t bytes,
                                                          uint32_t version);
static inline heron_result heron_normuon_options_authors(heron_normuon_options* options) {
    return heron_init_normuon_options_authors(options, sizeof *options, HERON_VERSION);
}
// no Nesterov, match_rms without shape factor
HERON_API heron_result heron_init_normuon_options_paper(heron_normuon_options* options, size_t bytes,
                                                        uint32_t version);
static inline heron_result heron_normuon_options_paper(heron_normuon_options* options) {
    return heron_init_normuon_options_paper(options, sizeof *options, HERON_VERSION);
}
// microsoft/dion: lr 0.01, weight decay 0.01, sum, no Nesterov, Polar Express, norm x 1.02 + 1e-8, eps
// 1e-8, clamped rescale, sqrt_ratio
HERON_API heron_result heron_init_normuon_options_dion(heron_normuon_options* options, size_t bytes,
                                                       uint32_t version);
static inline heron_result heron_normuon_options_dion(heron_normuon_options* options) {
    return heron_init_normuon_options_dion(options, sizeof *options, HERON_VERSION);
}
// modded-nanogpt: lr 0.023, cautious decay 1.2 lr^2, beta2 0.9, shorter side, clamped, Polar Express,
// norm x 1.02 + 1e-6, momentum from 0.85 in 300 steps and, where the training's steps are given (0, or
// 350 and more; fails HERON_ERROR_INVALID_ARGUMENT), back to 0.85 in the last 50
HERON_API heron_result heron_init_normuon_options_modded(heron_normuon_options* options, size_t bytes,
                                                         uint32_t version, uint32_t total_steps);
static inline heron_result heron_normuon_options_modded(heron_normuon_options* options,
                                                        uint32_t total_steps) {
    return heron_init_normuon_options_modded(options, sizeof *options, HERON_VERSION, total_steps);
}

HERON_API heron_result heron_normuon_create(const heron_device* device, const heron_normuon_options* options,
                                            heron_optimizer** optimizer);

// --- PsgdKron

// PSGD, preconditioned SGD with Kronecker factors (Xi-Lin Li, arXiv 1512.04202 and 2402.11858; Pooladzandi
// and Li, arXiv 2402.04553), in the form of psgd_torch's KronWhiten and KronNewton. For anything.
// Formulas, state and costs: heron/optim/psgd.hpp.

typedef enum heron_psgd_fit {
    HERON_PSGD_FIT_GRADIENT = 0,  // whitens gradients
    // Whitens the momentum. psgd_torch recommends a rate smaller by sqrt((1 + momentum) / (1 - momentum)).
    HERON_PSGD_FIT_MOMENTUM = 1,
    HERON_PSGD_FIT_HESSIAN = 2,  // Newton, with heron_psgd_inputs.product
    HERON_PSGD_FIT_MAX_ENUM = 0x7fffffff  // makes it 32 bits wide; no value
} heron_psgd_fit;

// The coordinates in which Q moves; E = T1 - T2.
typedef enum heron_psgd_geometry {
    // Q - mu E Q, then a rotation that makes Q nearly symmetric: psgd_torch's default, and the most robust.
    HERON_PSGD_GEOMETRY_Q05EQ15 = 0,
    HERON_PSGD_GEOMETRY_QEQ = 1,  // Q - mu Q E
    // Q - mu E Q of T1 = C(Q P h), T2 = N / d Q Q^T or C(Q v); factors are balanced in every fit.
    HERON_PSGD_GEOMETRY_QEP = 2,
    HERON_PSGD_GEOMETRY_QUAD = 3,  // (I - mu / 2 E) Q (I - mu / 2 E), symmetrised
    // Q - mu triu(E) Q, triangular, of T1 = C(Q h), T2 = C(Q^-T v), where z is v: the papers' form. It solves
    // triangular systems.
    HERON_PSGD_GEOMETRY_EQ = 4,
    // The factors are those of P, and applied once; more sensitive to rounding. As q05eq15, with up to ten
    // rotations of third order; and as quad, with mu in place of mu / 2.
    HERON_PSGD_GEOMETRY_PRO4P = 5,
    HERON_PSGD_GEOMETRY_QUAD4P = 6,
    HERON_PSGD_GEOMETRY_MAX_ENUM = 0x7fffffff  // makes it 32 bits wide; no value
} heron_psgd_geometry;

typedef struct heron_psgd_kron_options {
    heron_struct header;  // by heron_psgd_kron_options_init()
    float lr;  // = 1e-3; finite, >= 0
    heron_psgd_fit fit;  // = HERON_PSGD_FIT_GRADIENT
    heron_psgd_geometry geometry;  // = HERON_PSGD_GEOMETRY_Q05EQ15
    double momentum;  // [0, 1); HERON_PSGD_FIT_MOMENTUM needs one
    float preconditioner_lr;  // = 0.1; (0, 1]
    double smoothness_decay;  // = 0.9; s of L, [0, 1); 0.999 for sparse gradients
    float damping;  // = 1e-9; finite, >= 0: P stays below 1 / damping
    // Q begins as initial_scale I (all factors together), P as its square; finite, >= 0. 0: with the first
    // gradients, (largest mean g^4 of a parameter + damping^4)^(-1/8), and for Newton, with h for g, times
    // (mean v^2)^(1/4).
    float initial_scale;
    uint32_t max_order;  // = 8192; 1..8192
    double max_skew;  // = 1.0; finite, >= 0
    // = 1.0; A step fits with this probability, [0, 1], times the schedule's factor, and balances the
    // factors, which changes their sizes and not P.
    float update_probability;
    heron_schedule update_schedule;
    // Of fits, by tensors, where the draw takes the step. Newton without an initial_scale fits all in step 1,
    // and takes no `first`. Without stagger it needs products in steps 1 + k interval alone.
    heron_refresh_policy refresh;
    float balance_probability;  // = 0.01
    heron_schedule balance_schedule;
    bool fit_first;  // = true; before preconditioning; else after it
    uint32_t bound_rows;  // = 32; 1..128
    // = 2.0; Limits of D; 0: none. Finite, >= 0.
    // of its root mean square, tensor by tensor
    float clip_rms;
    float clip_element;  // = 10.0; of elements, after that
    float clip_norm;  // of the norm of all parameters of the optimizer together, in place of clip_rms
    float weight_decay;  // finite, >= 0; decoupled (psgd_torch has none)
    // = HERON_MOMENT_FORMAT_F32; Of M; f32 or bf16. What is fitted and preconditioned is what M was before it
    // is rounded: with bf16 4 bytes an element of workspace.
    heron_moment_format moments;
    heron_schedule schedule;
} heron_psgd_kron_options;

HERON_API heron_result heron_init_psgd_kron_options(heron_psgd_kron_options* options, size_t bytes,
                                                    uint32_t version);
static inline heron_result heron_psgd_kron_options_init(heron_psgd_kron_options* options) {
    return heron_init_psgd_kron_options(options, sizeof *options, HERON_VERSION);
}
// KronNewton's: HERON_PSGD_FIT_HESSIAN, lr 0.01, no clipping.
HERON_API heron_result heron_init_psgd_kron_options_newton(heron_psgd_kron_options* options, size_t bytes,
                                                           uint32_t version);
static inline heron_result heron_psgd_kron_options_newton(heron_psgd_kron_options* options) {
    return heron_init_psgd_kron_options_newton(options, sizeof *options, HERON_VERSION);
}

HERON_API heron_result heron_psgd_kron_create(const heron_device* device,
                                              const heron_psgd_kron_options* options,
                                              heron_optimizer** optimizer);

// --- PsgdLra

// PSGD with a low-rank preconditioner (Pooladzandi and Li, arXiv 2402.04553), psgd_torch's LRAWhiten and
// LRANewton: one preconditioner for all parameters of the optimizer together, N elements. For anything.
// Formulas, state and costs: heron/optim/psgd_lra.hpp.

// As of heron_psgd_kron_options, unless it says more.
typedef struct heron_psgd_lra_options {
    heron_struct header;  // by heron_psgd_lra_options_init()
    float lr;  // = 1e-3
    heron_psgd_fit fit;  // = HERON_PSGD_FIT_GRADIENT
    // = 10; r, 0..64, and below N. 0: the diagonal alone, P = diag(d)^2. (A workgroup of the fit keeps 16
    // rows of U and V in shared memory: 8.1 of the 16 KiB that every device has.)
    uint32_t rank;
    double momentum;
    float preconditioner_lr;  // = 0.1
    double smoothness_decay;  // = 0.9
    float damping;  // = 1e-9
    // d at first, finite, >= 0. 0: with the first gradients, (mean g^4 + damping^4)^(-1/8) of all elements
    // together, and for Newton, with h for g, times (mean v^2)^(1/4).
    float initial_scale;
    float update_probability;  // = 1.0
    heron_schedule update_schedule;
    // = 0.5; A fit moves U with this probability, [0, 1], times the schedule's factor, else V.
    float u_probability;
    heron_schedule u_schedule;
    bool fit_first;  // = true
    float clip_rms;  // = 2.0; of all elements together
    float clip_element;  // = 10.0
    float clip_norm;
    float weight_decay;
    heron_moment_format moments;  // = HERON_MOMENT_FORMAT_F32
    heron_schedule schedule;
} heron_psgd_lra_options;

HERON_API heron_result heron_init_psgd_lra_options(heron_psgd_lra_options* options, size_t bytes,
                                                   uint32_t version);
static inline heron_result heron_psgd_lra_options_init(heron_psgd_lra_options* options) {
    return heron_init_psgd_lra_options(options, sizeof *options, HERON_VERSION);
}
// LRANewton's: HERON_PSGD_FIT_HESSIAN, lr 0.01, no clipping.
HERON_API heron_result heron_init_psgd_lra_options_newton(heron_psgd_lra_options* options, size_t bytes,
                                                          uint32_t version);
static inline heron_result heron_psgd_lra_options_newton(heron_psgd_lra_options* options) {
    return heron_init_psgd_lra_options_newton(options, sizeof *options, HERON_VERSION);
}

HERON_API heron_result heron_psgd_lra_create(const heron_device* device,
                                             const heron_psgd_lra_options* options,
                                             heron_optimizer** optimizer);

// --- RandomScalingSgd

// SGD with momentum and exponential random scaling (Zhang and Cutkosky, "Random Scaling and Momentum for
// Non-smooth Non-convex Optimization", arXiv 2405.09742), element-wise, any shape.
// Formulas, state and costs: heron/optim/random_scaling_sgd.hpp.

typedef struct heron_random_scaling_sgd_options {
    heron_struct header;  // by heron_random_scaling_sgd_options_init()
    float lr;  // = 0.01; finite, >= 0; the public implementation (ZQZCalin/trainit), as all defaults here
    double beta;  // = 0.99; [0, 1)
    float mu;  // finite, >= 0; the paper's regularizer
    // = HERON_MOMENT_FORMAT_F32; of D; a step is along what D was before it is rounded
    heron_moment_format moments;
    heron_schedule schedule;
    // Where it has pieces, s in step t is its factor there instead of a draw: to repeat a run whose draws are
    // known, by heron_schedule_sequence().
    heron_schedule scales;
} heron_random_scaling_sgd_options;

HERON_API heron_result heron_init_random_scaling_sgd_options(heron_random_scaling_sgd_options* options,
                                                             size_t bytes, uint32_t version);
static inline heron_result heron_random_scaling_sgd_options_init(heron_random_scaling_sgd_options* options) {
    return heron_init_random_scaling_sgd_options(options, sizeof *options, HERON_VERSION);
}

HERON_API heron_result heron_random_scaling_sgd_create(const heron_device* device,
                                                       const heron_random_scaling_sgd_options* options,
                                                       heron_optimizer** optimizer);

// --- Scion

// Scion: steps along the linear minimization oracle of a norm (Pethick et al., arXiv 2502.07529;
// LIONS-EPFL/scion), and the non-Euclidean trust region (arXiv 2503.12645). For every parameter, each group
// with its norm: hidden matrices by the spectral one, heads and embeddings by signs, vectors by their RMS.
// Formulas, state and costs: heron/optim/scion.hpp.

typedef enum heron_scion_norm {
    // Roles that are given: embedding and head sign, vector frobenius, others spectral. Else by axes:
    // fewer than two frobenius, others spectral (the authors' Auto).
    HERON_SCION_NORM_AUTOMATIC = 0,
    HERON_SCION_NORM_SPECTRAL = 1,
    HERON_SCION_NORM_SIGN = 2,
    HERON_SCION_NORM_COLUMN = 3,
    HERON_SCION_NORM_ROW = 4,
    HERON_SCION_NORM_FROBENIUS = 5,
    HERON_SCION_NORM_MAX_ENUM = 0x7fffffff  // makes it 32 bits wide; no value
} heron_scion_norm;

typedef enum heron_scion_scale {
    HERON_SCION_SCALE_NORMALIZED = 0,
    HERON_SCION_SCALE_NORMALIZED_MAX = 1,  // spectral: max(1, sqrt(m/n)) polar(A); others as normalized
    HERON_SCION_SCALE_UNNORMALIZED = 2,
    HERON_SCION_SCALE_UNIT_BALL = 3,
    HERON_SCION_SCALE_MAX_ENUM = 0x7fffffff  // makes it 32 bits wide; no value
} heron_scion_scale;

// What divides the spectral factors of a filter.
typedef enum heron_scion_kernel {
    HERON_SCION_KERNEL_ELEMENTS = 0,  // kh kw
    // kh^2, the first axis for all: the authors' SpectralConv, which has square kernels in mind
    HERON_SCION_KERNEL_AUTHORS = 1,
    HERON_SCION_KERNEL_MAX_ENUM = 0x7fffffff  // makes it 32 bits wide; no value
} heron_scion_kernel;

typedef struct heron_scion_options {
    heron_struct header;  // by heron_scion_options_init()
    float lr;  // = 1e-3; finite, >= 0; the authors' code, as are the other defaults
    double momentum;  // [0, 1): mu; the authors' argument of that name is 1 - mu
    heron_scion_norm norm;  // = HERON_SCION_NORM_AUTOMATIC
    heron_scion_scale norm_scale;  // = HERON_SCION_SCALE_NORMALIZED
    heron_scion_kernel kernel;  // = HERON_SCION_KERNEL_ELEMENTS
    bool transpose;  // row and column: of A^T, in which m and n change places
    float scale;  // = 1.0; radius of the ball; above 0
    float weight_decay;  // = 1.0; finite, >= 0; multiplied by lr
    float eps;  // = 1e-8; finite, >= 0
    heron_polar_options polar;  // of spectral: muon x 5, norm + 1e-7
    heron_moment_format moments;  // = HERON_MOMENT_FORMAT_F32; of M
    heron_schedule schedule;
} heron_scion_options;

HERON_API heron_result heron_init_scion_options(heron_scion_options* options, size_t bytes,
                                                uint32_t version);
static inline heron_result heron_scion_options_init(heron_scion_options* options) {
    return heron_init_scion_options(options, sizeof *options, HERON_VERSION);
}
// W <- (1 - beta) W - lr argmax over the unit ball of <M, D>: weight decay beta / lr, so that with a
// schedule beta follows lr. The polar factor (ten steps of Polar Express) is exact to about 1e-4 where
// all singular values are above 3e-4 |M|_F; smaller ones stay below 1. lr above 0, beta >= 0.
HERON_API heron_result heron_init_scion_options_trust_region(heron_scion_options* options, size_t bytes,
                                                             uint32_t version, heron_scion_norm norm,
                                                             float lr, float beta);
static inline heron_result heron_scion_options_trust_region(heron_scion_options* options,
                                                            heron_scion_norm norm, float lr, float beta) {
    return heron_init_scion_options_trust_region(options, sizeof *options, HERON_VERSION, norm, lr, beta);
}

HERON_API heron_result heron_scion_create(const heron_device* device, const heron_scion_options* options,
                                          heron_optimizer** optimizer);

// --- Sgd

// Stochastic gradient descent with momentum and Nesterov momentum, as torch.optim.SGD, element-wise, any
// shape.
// Formulas, state and costs: heron/optim/sgd.hpp.

typedef struct heron_sgd_options {
    heron_struct header;  // by heron_sgd_options_init()
    float lr;  // = 1e-3; finite, >= 0; torch
    double momentum;  // [0, 1)
    double dampening;  // [0, 1]; must be 0 with Nesterov
    bool nesterov;  // needs momentum > 0
    float weight_decay;  // finite, >= 0
    bool decoupled_decay;  // decay multiplied by lr and kept out of the momentum
    heron_moment_format moments;  // = HERON_MOMENT_FORMAT_F32; of b
    heron_schedule schedule;
} heron_sgd_options;

HERON_API heron_result heron_init_sgd_options(heron_sgd_options* options, size_t bytes, uint32_t version);
static inline heron_result heron_sgd_options_init(heron_sgd_options* options) {
    return heron_init_sgd_options(options, sizeof *options, HERON_VERSION);
}

HERON_API heron_result heron_sgd_create(const heron_device* device, const heron_sgd_options* options,
                                        heron_optimizer** optimizer);

// --- Shampoo

// Shampoo (Gupta, Koren and Singer, arXiv 1802.09568) in the form of Distributed Shampoo (arXiv 2309.06497),
// Shampoo^2 (arXiv 2406.17748), KL-Shampoo (arXiv 2509.03378) and SOAP's form of it (arXiv 2409.11321). For
// anything: a factor for every axis of a tensor, whose inverse root multiplies the gradient on that axis.
// Formulas, state and costs: heron/optim/shampoo.hpp.

// What the factor of an axis is made of.
typedef enum heron_shampoo_statistic {
    HERON_SHAMPOO_STATISTIC_GRADIENT = 0,  // G
    // G multiplied by the roots of all other axes, those of the refresh before (KL-Shampoo)
    HERON_SHAMPOO_STATISTIC_WHITENED = 1,
    HERON_SHAMPOO_STATISTIC_MAX_ENUM = 0x7fffffff  // makes it 32 bits wide; no value
} heron_shampoo_statistic;

// What roots by eigenvalues have in the null space of X where epsilon is less than f32 can tell from zero.
typedef enum heron_shampoo_null_space {
    HERON_SHAMPOO_NULL_SPACE_LEVEL = 0,  // the root of the smallest of the other eigenvalues
    // (epsilon + relative_epsilon times the largest)^-p, as Distributed Shampoo has it in float64, for steps
    // after the refresh; that of the refresh itself, which has nothing there but rounding, is level's. What
    // a later gradient has there takes its step over: of a vector, with epsilon = 1e-12, it counts 1e6 times.
    // Zero ends at sqrt(n) 2^-24 of the largest.
    HERON_SHAMPOO_NULL_SPACE_EPSILON = 1,
    HERON_SHAMPOO_NULL_SPACE_MAX_ENUM = 0x7fffffff  // makes it 32 bits wide; no value
} heron_shampoo_null_space;

typedef enum heron_shampoo_root {
    HERON_SHAMPOO_ROOT_EIGENVALUES = 0,  // matrix_power(): the most accurate, any exponent
    // the null space stays out (rank_tolerance, absolute_rank_tolerance); epsilon is 0
    HERON_SHAMPOO_ROOT_PSEUDO_INVERSE = 1,
    // inverse_root(), exponents 1 / whole number; newton_schulz and denman_beavers 1/2 and, by two runs, 1/4.
    HERON_SHAMPOO_ROOT_NEWTON = 2,
    HERON_SHAMPOO_ROOT_NEWTON_SCHULZ = 3,
    HERON_SHAMPOO_ROOT_DENMAN_BEAVERS = 4,
    // inverse_root() in two words: exact, at ten times the FLOPs, and more dispatches
    HERON_SHAMPOO_ROOT_NEWTON_TWO_WORDS = 5,
    HERON_SHAMPOO_ROOT_MAX_ENUM = 0x7fffffff  // makes it 32 bits wide; no value
} heron_shampoo_root;

// How bases of eigenvectors begin.
typedef enum heron_shampoo_first_basis {
    // from I, by qr_steps, or, where these are 0, by eigh() (Distributed Shampoo's form)
    HERON_SHAMPOO_FIRST_BASIS_QR = 0,
    // By eigh() in the first step, which does nothing else: W, m, v, c and B stay as they are, and
    // corrections of biases count from the second step on (SOAP's authors').
    HERON_SHAMPOO_FIRST_BASIS_EIGH = 1,
    HERON_SHAMPOO_FIRST_BASIS_MAX_ENUM = 0x7fffffff  // makes it 32 bits wide; no value
} heron_shampoo_first_basis;

typedef enum heron_shampoo_graft {
    HERON_SHAMPOO_GRAFT_NONE = 0,  // P as it is; of blocks before their first refresh Gbar
    HERON_SHAMPOO_GRAFT_SGD = 1,  // U = Gbar
    HERON_SHAMPOO_GRAFT_ADAGRAD = 2,  // U = Gbar / (sqrt(v) + eps), v <- v + G^2
    HERON_SHAMPOO_GRAFT_RMSPROP = 3,  // v <- beta v + (1 - beta) G^2, without correction of its bias
    HERON_SHAMPOO_GRAFT_ADAM = 4,  // the same with v / (1 - beta^t)
    HERON_SHAMPOO_GRAFT_MAX_ENUM = 0x7fffffff  // makes it 32 bits wide; no value
} heron_shampoo_graft;

typedef enum heron_shampoo_decay {
    HERON_SHAMPOO_DECAY_DECOUPLED = 0,  // P + wd W
    // P + wd (schedule's factor) W: the decay shrinks as the square of the rate
    HERON_SHAMPOO_DECAY_CORRECTED = 1,
    // P + (wd / lr) W, lr that of the options: the decay follows the schedule alone
    HERON_SHAMPOO_DECAY_INDEPENDENT = 2,
    HERON_SHAMPOO_DECAY_L2 = 3,  // G + wd W, before all else
    HERON_SHAMPOO_DECAY_MAX_ENUM = 0x7fffffff  // makes it 32 bits wide; no value
} heron_shampoo_decay;

// Defaults are Distributed Shampoo's but for least_order (1 there: a matrix of up to block_size elements
// becomes a vector), graft (none) and stagger.
typedef struct heron_shampoo_options {
    heron_struct header;  // by heron_shampoo_options_init()
    float lr;  // = 0.01; finite, >= 0
    double beta1;  // = 0.9; [0, 1)
    double beta3;  // = -1; [0, 1), or -1: beta1; beta1^2 is much like NAdam's
    double beta2;  // = 1.0; [0, 1]; 1: a sum, as AdaGrad's
    // = 1; Factors take a C_i in the first step and in those that this divides, all parameters' in the same
    // ones: 1..10000. A third of the work between refreshes is theirs.
    uint32_t factor_interval;
    // w is 1, whatever beta2, and neither the factors' bias nor that of SOAP's c is corrected.
    bool unweighted_sum;
    bool bias_correction;  // = true
    float epsilon;  // = 1e-12; finite, >= 0
    // finite, >= 0; with eigenvalues times the largest of X, and added; with iterations times |X|_inf, and
    // the larger of both is taken
    float relative_epsilon;
    heron_shampoo_statistic statistic;  // = HERON_SHAMPOO_STATISTIC_GRADIENT
    // p of blocks with so many axes, one for all axes or one for each; 0: the axis has no factor. 0..4.
    // Element k - 1 is of k axes; a count of 0: the default.
    heron_axis_exponents exponents[HERON_MAX_RANK];
    // Above 0: X <- X / max(tr X, epsilon)^e before epsilon is added; 0..4. With 0.5 and exponents of 1/2 it
    // is (L kron R / tr L)^(-1/2).
    double trace_exponent;
    // = HERON_SHAMPOO_NULL_SPACE_LEVEL; Of eigenvalues; epsilon, which is then above 0, costs a second
    // product for every root. (Distributed Shampoo, matrix_functions.py: the eigenvalues of X + epsilon I,
    // moved up until the least is epsilon.)
    heron_shampoo_null_space null_space;
    heron_shampoo_root root;  // = HERON_SHAMPOO_ROOT_EIGENVALUES
    // Of pseudo_inverse: eigenvalues up to this times the largest are zero, [0, 1); below n 2^-23, what f32
    // can tell from zero, it is that. (Distributed Shampoo's rank_rtol.)
    float rank_tolerance;
    float absolute_rank_tolerance;  // and up to this; finite, >= 0 (rank_atol)
    // SOAP's form ("eigenvalue-corrected" in Distributed Shampoo): whiteners Q_i are the eigenvectors of X,
    // at first I, and P, without waiting for refresh.first, is Adam's step in their basis,
    //   c <- beta2 c + w (G x_1 Q_1^T .. x_k Q_k^T)^2
    //   P = (Gbar x_1 Q_1^T ..) / (sqrt(c / (1 - beta2^t)) + epsilon) x_1 Q_1 ..
    // c is <parameter>.basis_moment, block after block, and does not turn with the basis. Exponents (but for
    // 0: the axis is not rotated), `root`, and scaling by the trace do not matter.
    //
    // Note: while factors are rank deficient and change at every refresh, c belongs to another basis than
    // what it divides, and directions that it has hardly seen get enormous steps: with an interval of 1 and
    // one QR step from the identity a small network's loss was infinite after three steps. Let refresh.first
    // be some steps, or the interval 5 or more.
    bool eigenbasis;
    // = HERON_SHAMPOO_FIRST_BASIS_QR; Of the eigenbasis. After eigh's the refreshes follow their policy, from
    // the second step on.
    heron_shampoo_first_basis first_basis;
    // Of c, in place of the square root's 1/2, for blocks with so many axes; (0, 4].
    // Element k - 1 is of k axes; 0: the default.
    double moment_exponents[HERON_MAX_RANK];
    // Eigenvectors, of SOAP's form and of the roots eigenvalues and pseudo_inverse. 0: eigh(). Else so many
    // steps of the QR algorithm from the last basis, at first I, 1..64: roots are then Q (diag(Q^T X Q) +
    // epsilon)^-p Q^T (Distributed Shampoo's eigendecomposed form).
    uint32_t qr_steps;
    // Above 0: where B = Q^T X Q with the last basis has at most this share of its norm off its diagonal,
    // eigh()'s basis is not taken, nor any further step of QR, whose columns are sorted all the same. [0, 1].
    float basis_tolerance;
    // = 1024; 1 or more. Axes that have a factor may be up to 4096 long, merged and cut:
    // heron_optimizer_add() refuses the parameter otherwise.
    uint32_t block_size;
    uint32_t least_order;  // = 2; no merging below so many axes, 1..8
    // Of roots, block by block: in steps that the interval divides, from refresh.first on (0: the interval),
    // and in that one, too. With `stagger` as many steps after those as the block's turn is, first refreshes
    // as well. Until all blocks of a parameter have had theirs it takes U; without a graft R = I in those
    // that have not.
    heron_refresh_policy refresh;
    // Keeps the condition number of each factor at its last refresh, and the iterations of its root where it
    // has some, in states of their own, which checkpoints leave out. Nothing else is different. Not
    // with eigenbasis, which has no root.
    bool diagnostics;
    heron_shampoo_graft graft;  // = HERON_SHAMPOO_GRAFT_ADAM
    double graft_beta;  // = 0.999; [0, 1); of Adam and RMSProp
    float graft_eps;  // = 1e-10; finite, >= 0
    bool graft_unweighted_sum;  // Adam and RMSProp: v <- beta v + G^2, without correction of its bias.
    float weight_decay;  // finite, >= 0
    heron_shampoo_decay decay;  // = HERON_SHAMPOO_DECAY_DECOUPLED
    double momentum;  // mu, [0, 1)
    // Without momentum these two change nothing.
    // [0, 1]
    double dampening;
    bool nesterov;  // W - lr ((1 - dampening) P + mu B)
    // = HERON_MOMENT_FORMAT_F32; Of m, v, c and B; f32 or bf16. Steps are along what m, v and c were before
    // they are rounded.
    heron_moment_format moments;
    heron_schedule schedule;
} heron_shampoo_options;

HERON_API heron_result heron_init_shampoo_options(heron_shampoo_options* options, size_t bytes,
                                                  uint32_t version);
static inline heron_result heron_shampoo_options_init(heron_shampoo_options* options) {
    return heron_init_shampoo_options(options, sizeof *options, HERON_VERSION);
}
// Exponents of 1/2 with scaling by the trace, no graft. Steps of matrices have the same size whatever the
// gradient's scale. Blocks of another order keep 1 / (2 k), and the trace scales them, too, as in
// Distributed Shampoo: their steps grow as the square root of the gradient's scale. (The paper has
// matrices alone: give vectors to options with a trace_exponent of 0, or to another optimizer.)
HERON_API heron_result heron_init_shampoo_options_shampoo2(heron_shampoo_options* options, size_t bytes,
                                                           uint32_t version);
static inline heron_result heron_shampoo_options_shampoo2(heron_shampoo_options* options) {
    return heron_init_shampoo_options_shampoo2(options, sizeof *options, HERON_VERSION);
}
// KL-Shampoo in Distributed Shampoo's form: whitened statistics, beta2 = 0.999, exponents of 1/2, no graft; a
// refresh in every tenth step. The authors' own code (yorkerlin/KL-Methods, kl_opt.py) differs, and is no
// option here: R is Q d^-1/2 Q^T, Q a basis as heron_shampoo_options_soap()'s, d averages of the squares of G
// whitened by the other axes, in that basis, in every step, from 0.1 on; d^-1/2 is at most max(10, min(n,
// 4000)); statistics are means over the other axes, not sums; a step has R of the step before, and m without
// correction of its bias; betas are 0.9 and 0.98; the first step fills the factors alone. Here R is I at
// first and then X's own root, bounded by epsilon alone, the same until the next refresh.
HERON_API heron_result heron_init_shampoo_options_kl(heron_shampoo_options* options, size_t bytes,
                                                     uint32_t version);
static inline heron_result heron_shampoo_options_kl(heron_shampoo_options* options) {
    return heron_init_shampoo_options_kl(options, sizeof *options, HERON_VERSION);
}
// SOAP with its authors' start: the eigenbasis, by eigh() in the first step, renewed by one step of QR
// every tenth time; betas of 0.95, no graft. As in Distributed Shampoo, and not in the authors' code, a
// refresh comes before c and P of its step, c does not follow columns that change places, and vectors
// have a basis, too (unless exponents[1] is {0}).
HERON_API heron_result heron_init_shampoo_options_soap(heron_shampoo_options* options, size_t bytes,
                                                       uint32_t version);
static inline heron_result heron_shampoo_options_soap(heron_shampoo_options* options) {
    return heron_init_shampoo_options_soap(options, sizeof *options, HERON_VERSION);
}

HERON_API heron_result heron_shampoo_create(const heron_device* device, const heron_shampoo_options* options,
                                            heron_optimizer** optimizer);

// --- Shampoo4Bit

// 4-bit Shampoo (Wang, Zhou et al., arXiv 2405.18144; code: Sike-Wang/low-bit-Shampoo): Shampoo for matrices
// whose factors are kept as quantised eigenvectors with f32 eigenvalues, and whose roots are quantised beside
// an f32 diagonal. Quantising a factor itself loses the small eigenvalues, which the root makes the large
// ones.
// Formulas, state and costs: heron/optim/shampoo4bit.hpp.

// What takes the preconditioned gradient.
typedef enum heron_shampoo4bit_base {
    HERON_SHAMPOO4BIT_BASE_SGD = 0,
    HERON_SHAMPOO4BIT_BASE_ADAMW = 1,
    HERON_SHAMPOO4BIT_BASE_MAX_ENUM = 0x7fffffff  // makes it 32 bits wide; no value
} heron_shampoo4bit_base;

// What of a factor is kept.
typedef enum heron_shampoo4bit_storage {
    HERON_SHAMPOO4BIT_STORAGE_EIGENVECTORS = 0,
    // A itself, its diagonal in f32: the naive way that the paper compares with. factor<a>... in place of
    // basis<a>... and eigenvalues<a>; roots by Newton's iteration alone.
    HERON_SHAMPOO4BIT_STORAGE_FACTOR = 1,
    HERON_SHAMPOO4BIT_STORAGE_MAX_ENUM = 0x7fffffff  // makes it 32 bits wide; no value
} heron_shampoo4bit_storage;

typedef enum heron_shampoo4bit_root {
    HERON_SHAMPOO4BIT_ROOT_EIGENVECTORS = 0,
    // Coupled Newton for A + epsilon lambda I, at most ten iterations as in the official code: enough for
    // condition numbers to some thousands, larger ones end as if epsilon were larger. lambda by ten steps of
    // power iteration from <parameter>.vector<a> (f32), drawn anew after each refresh. 84 n^3 FLOPs; 1 x 1
    // factors keep the root 1.
    HERON_SHAMPOO4BIT_ROOT_NEWTON = 1,
    HERON_SHAMPOO4BIT_ROOT_MAX_ENUM = 0x7fffffff  // makes it 32 bits wide; no value
} heron_shampoo4bit_root;

// Defaults are the official code's, but bits (32 there) and staggering.
typedef struct heron_shampoo4bit_options {
    heron_struct header;  // by heron_shampoo4bit_options_init()
    heron_shampoo4bit_base base;  // = HERON_SHAMPOO4BIT_BASE_SGD
    float lr;  // = 0.1; finite, >= 0; AdamW's: 0.001, heron_shampoo4bit_options_adamw()
    double momentum;  // = 0.9; mu of SGD, [0, 1)
    bool nesterov;  // of SGD
    double beta1;  // = 0.9; of AdamW, [0, 1)
    double beta2;  // = 0.999; of AdamW, [0, 1)
    float eps;  // = 1e-8; of AdamW, finite, >= 0
    float weight_decay;  // finite, >= 0
    double factor_decay;  // = 0.95; beta, [0, 1]; 1: a sum, in which S counts whole
    float epsilon;  // = 1e-6; finite, >= 0; with eigenvectors at least 2^-24. Also the first eigenvalues
    uint32_t bits;  // = 4; 2, 4, 8; 32: not quantised
    uint32_t quantizer_block;  // = 64; elements that share a scale, a multiple of 16, 16..4096
    uint32_t least_elements;  // = 4096; sides with fewer than this, n^2, are f32
    heron_shampoo4bit_storage storage;  // = HERON_SHAMPOO4BIT_STORAGE_EIGENVECTORS
    heron_shampoo4bit_root root;  // = HERON_SHAMPOO4BIT_ROOT_EIGENVECTORS
    uint32_t statistic_rectifications;  // = 1; t1, 0..8
    uint32_t root_rectifications;  // = 4; t2, 0..8
    uint32_t block_size;  // = 1200; 1 or more; heron_optimizer_add() refuses sides above 4096
    // = .interval = 100; In steps that the intervals divide, T1 and T2; with `stagger` as many steps after
    // each of these as the block's turn is, the same in both: that of the longer interval.
    heron_refresh_policy statistics;
    heron_refresh_policy roots;  // = .interval = 500
    uint32_t start_step;  // = 1; at least 1
    // = HERON_MOMENT_FORMAT_F32; Of B, or of m and v; f32 or bf16. Steps are along what they were before they
    // are rounded.
    heron_moment_format moments;
    heron_schedule schedule;
} heron_shampoo4bit_options;

HERON_API heron_result heron_init_shampoo4bit_options(heron_shampoo4bit_options* options, size_t bytes,
                                                      uint32_t version);
static inline heron_result heron_shampoo4bit_options_init(heron_shampoo4bit_options* options) {
    return heron_init_shampoo4bit_options(options, sizeof *options, HERON_VERSION);
}
// on AdamW
HERON_API heron_result heron_init_shampoo4bit_options_adamw(heron_shampoo4bit_options* options, size_t bytes,
                                                            uint32_t version);
static inline heron_result heron_shampoo4bit_options_adamw(heron_shampoo4bit_options* options) {
    return heron_init_shampoo4bit_options_adamw(options, sizeof *options, HERON_VERSION);
}

HERON_API heron_result heron_shampoo4bit_create(const heron_device* device,
                                                const heron_shampoo4bit_options* options,
                                                heron_optimizer** optimizer);

// --- SignSgd

// SignSGD and Signum (arXiv 1802.04434; forms of NVIDIA's Emerging-Optimizers), element-wise.
// Formulas, state and costs: heron/optim/signsgd.hpp.

typedef struct heron_signsgd_options {
    heron_struct header;  // by heron_signsgd_options_init()
    float lr;  // = 1e-4; finite, >= 0; as Lion's
    double momentum;  // = 0.9; [0, 1); Emerging-Optimizers. 0: SignSGD
    bool nesterov;  // needs momentum > 0
    bool bias_correction;  // of the two terms of Nesterov; without it of no effect on a sign
    // f = 2 / (m + n) of an m x n matrix, else 1. For matrices: convolutions as out x (in kh kw), with
    // view.batch the last two axes.
    bool shape_scaling;
    float weight_decay;  // finite, >= 0; multiplied by lr
    heron_moment_format moments;  // = HERON_MOMENT_FORMAT_F32; of m
    heron_schedule schedule;
} heron_signsgd_options;

HERON_API heron_result heron_init_signsgd_options(heron_signsgd_options* options, size_t bytes,
                                                  uint32_t version);
static inline heron_result heron_signsgd_options_init(heron_signsgd_options* options) {
    return heron_init_signsgd_options(options, sizeof *options, HERON_VERSION);
}

HERON_API heron_result heron_signsgd_create(const heron_device* device, const heron_signsgd_options* options,
                                            heron_optimizer** optimizer);

// --- Singd

// SINGD, structured inverse-free natural gradient descent (Lin et al., arXiv 2312.05705), with IKFAC (the
// same paper) and INGD (Lin et al., arXiv 2302.09738) as settings of it. Takes layers (optim/layer.hpp).
// Formulas, state and costs: heron/optim/singd.hpp.

// Defaults are f-dangel/singd's, but for stagger.
typedef struct heron_singd_options {
    heron_struct header;  // by heron_singd_options_init()
    float lr;  // = 1e-3; finite, >= 0
    float lr_cov;  // = 1e-2
    heron_schedule lr_cov_schedule;  // a factor on lr_cov
    double damping;  // = 1e-3; finite, >= 0
    double alpha1;  // = 0.5; Riemannian momentum, [0, 1); 0: none
    bool normalize_lr_cov;
    // IKFAC: traces of the other factor count as 1, so that K K^T follows (U + damping I)^-1 itself; needs
    // alpha1 = 0.
    bool kfac_like;
    heron_matrix_structure inputs;  // of K
    heron_matrix_structure outputs;  // of C
    // = HERON_DTYPE_F32; Of K, C and their momenta: f32, f16 or bf16. Sums are f32.
    heron_dtype factor_dtype;
    // = .interval = 10; When a layer's factors move; before its first turn they are the identity. The
    // official codes move all layers' in the same steps.
    heron_refresh_policy refresh;
    heron_momentum_step step;  // momentum 0.9, no decay
    heron_conv_scaling conv_scaling;  // = HERON_CONV_SCALING_SHARED
    heron_schedule schedule;
} heron_singd_options;

HERON_API heron_result heron_init_singd_options(heron_singd_options* options, size_t bytes,
                                                uint32_t version);
static inline heron_result heron_singd_options_init(heron_singd_options* options) {
    return heron_init_singd_options(options, sizeof *options, HERON_VERSION);
}
// kfac_like, and alpha1 = 0
HERON_API heron_result heron_init_singd_options_ikfac(heron_singd_options* options, size_t bytes,
                                                      uint32_t version);
static inline heron_result heron_singd_options_ikfac(heron_singd_options* options) {
    return heron_init_singd_options_ikfac(options, sizeof *options, HERON_VERSION);
}
// The code of arXiv 2302.09738: dense, lr_cov 2e-4 in the first 101 steps and 2e-3 up to the 500th,
// weight decay 1e-2 after 20 refreshes, convolutions scaled as alecwangcq's, whose statistics it has.
//
// refresh_interval is its TInv, and its TCov, of statistics. Where they differ (faster = False there), it
// begins to decay after 20 TCov steps: step.decay_from; and a refresh reads the statistics of the last
// step that TCov divides, which is its own if TInv is a multiple; else the application has to leave the
// captures of that step where they are.
HERON_API heron_result heron_init_singd_options_ingd(heron_singd_options* options, size_t bytes,
                                                     uint32_t version, float lr_cov,
                                                     uint32_t refresh_interval);
static inline heron_result heron_singd_options_ingd(heron_singd_options* options, float lr_cov,
                                                    uint32_t refresh_interval) {
    return heron_init_singd_options_ingd(options, sizeof *options, HERON_VERSION, lr_cov, refresh_interval);
}

HERON_API heron_result heron_singd_create(const heron_device* device, const heron_singd_options* options,
                                          heron_optimizer** optimizer);

// --- Trion

// Trion (arXiv 2505.17967), as IST-DASLab/ISTA-DASLab-Optimizers: Dion with a fixed cosine basis. For hidden
// matrices; give embeddings, heads, norms and biases to AdamW.
// Formulas, state and costs: heron/optim/trion.hpp.

typedef struct heron_trion_options {
    heron_struct header;  // by heron_trion_options_init()
    uint32_t rank;  // at least 1, has no default; the short side where that is smaller
    float lr;  // = 0.02; finite, >= 0; the authors' code
    double momentum;  // = 0.95; mu, [0, 1); the authors' code
    float weight_decay;  // finite, >= 0; multiplied by lr
    // = HERON_SHAPE_FACTOR_MAX_ONE_SQRT_RATIO; The authors' scaling_type, without default there: "kj"
    // max_one_sqrt_ratio, "kimi" match_rms, "dion" sqrt_ratio, "none" none.
    heron_shape_factor shape_factor;
    heron_polar_options polar;  // of the m x r (r x n) matrix: muon x 5, norm + 1e-7
    heron_schedule schedule;
} heron_trion_options;

HERON_API heron_result heron_init_trion_options(heron_trion_options* options, size_t bytes,
                                                uint32_t version);
static inline heron_result heron_trion_options_init(heron_trion_options* options) {
    return heron_init_trion_options(options, sizeof *options, HERON_VERSION);
}

HERON_API heron_result heron_trion_create(const heron_device* device, const heron_trion_options* options,
                                          heron_optimizer** optimizer);

#ifdef __cplusplus
}
#endif
