// SPDX-License-Identifier: MIT
// gemm() and syrk(): checks, split-K, and the jobs.
#include "linalg/gemm.hpp"

#include <algorithm>
#include <cstddef>
#include <string>

#include "graph/element_bytes.hpp"
#include "graph/graph.hpp"
#include "heron/linalg/norms.hpp"
#include "heron/spirv/gemm_combine.hpp"
#include "linalg/checks.hpp"
#include "linalg/convert.hpp"
#include "linalg/gemm.h"
#include "linalg/gemm_panels.hpp"
#include "linalg/integers.hpp"
#include "linalg/pieces.hpp"

namespace heron {

static_assert(sizeof(gpu::GemmJob) == 152 && offsetof(gpu::GemmJob, first_group) == 148);
static_assert(sizeof(gpu::GemmCombineJob) == 88 && offsetof(gpu::GemmCombineJob, first_group) == 84);

namespace {

constexpr KernelInfo kCombine = make_kernel<gpu::GemmCombineJob>("gemm_combine", spirv::gemm_combine);

// Loops over k go one tile beyond it.
constexpr std::uint64_t kMaxExtent = std::uint64_t{1} << 31;

// Whether the lines of an operand of 16 bits can be read 16 bytes at a time along k. Never those of external
// tensors, which another view may be bound to.
bool fours_along_k(const Graph& graph, const Tensor& x, std::uint32_t k_stride, std::uint32_t line_stride,
                   std::uint32_t item) {
    return k_stride == 1 && graph.impl().objects[x.id].kind != ObjectKind::external &&
           x.byte_offset % 16 == 0 && (line_stride | item) % 8 == 0;
}

// Whether gemm_packed can read A where it is (PRODUCT_ROWS). Lines of rows that are a multiple of 4096 bytes
// apart share one set of a first-level cache, whose 8 ways, in most processors, PANEL_ROWS of them do not
// fit.
bool steps_along_k(const Tensor& a, const gpu::GemmJob& job) {
    const bool one_set = job.m > 1 && job.a_row % 1024 == 0;
    return a.dtype == DType::f32 && job.a_col == 1 && !one_set &&
           (job.k | job.a_row | job.a_batch) % gpu::PANEL_STEP == 0;
}

// One job: `items` products of op(A) and op(B) with k columns and rows, whose operands lie a_item and b_item
// elements apart.
struct Product {
    Tensor a, b, c, d;
    std::uint64_t k, items;
    std::uint32_t a_item, b_item;
    ActiveItems active;
    Tensor squares;  // optional: GemmJob::squares
    GemmDetails details = {};
};

void add_product(Graph& graph, const GemmChoice& choice, const Product& x, const GemmOptions& options) {
    const GemmKernel& kernel = *choice.kernel;
    const Capabilities& device = graph.device().capabilities();
    const bool transposed_a = options.transpose_a == Transpose::yes;
    const bool transposed_b = options.transpose_b == Transpose::yes;
    const bool has_c = static_cast<bool>(x.c);
    const std::uint64_t m = x.d.rows(), n = x.d.cols();
    const std::uint32_t threads = kernel.threads(device);
    const std::uint32_t tile_rows = kernel.tile_rows(device);
    const std::uint32_t tile_cols = kernel.tile_cols(device);
    gpu::GemmJob job{};
    job.m = narrow(m);
    job.n = narrow(n);
    job.k = narrow(x.k);
    job.a_row = transposed_a ? 1 : narrow(x.a.stride());
    job.a_col = transposed_a ? narrow(x.a.stride()) : 1;
    job.b_row = transposed_b ? 1 : narrow(x.b.stride());
    job.b_col = transposed_b ? narrow(x.b.stride()) : 1;
    job.c_row = has_c ? narrow(x.c.stride()) : 0;
    job.d_row = narrow(x.d.stride());
    job.a_batch = x.a_item;
    job.b_batch = x.b_item;
    job.c_batch = has_c ? batch_stride(x.c) : 0;
    job.d_batch = batch_stride(x.d);
    const bool even_rows = (m == 1 || x.d.stride() % 2 == 0) && job.d_batch % 2 == 0;
    job.flags = (has_c ? gpu::GEMM_HAS_C : 0) | (options.symmetric ? gpu::GEMM_SYMMETRIC : 0) |
                (even_rows ? gpu::GEMM_D_PAIRS : 0) | x.active.flags();
    job.alpha = options.alpha;
    job.beta = options.beta;
    job.tiles_m = narrow(ceil_div(m, tile_rows));
    job.tiles_n = narrow(ceil_div(n, tile_cols));
    std::uint64_t tiles = ceil_div(m, tile_rows) * ceil_div(n, tile_cols);
    if (options.symmetric)
        tiles = std::uint64_t{job.tiles_n} * (job.tiles_n + 1) / 2 * (tile_cols / tile_rows);
    job.tiles = narrow(tiles);
    std::uint64_t groups = tiles * x.items;
    if (kernel.whole_matrices) {
        job.items = narrow(x.items);
        job.items_group = small_items(m, n);
        groups = ceil_div(x.items, job.items_group);
    }

    Tensor a = x.a, b = x.b;
    const bool rows = kernel.packed && !x.details.packed_a && steps_along_k(x.a, job);
    if (kernel.packed) {
        const std::uint64_t steps = ceil_div(x.k, gpu::PANEL_STEP);
        // From here on strides count steps: from panel to panel, and from item to item.
        const auto panels = [&](GemmLines lines, const Tensor& packed, std::uint32_t& row,
                                std::uint32_t& column, std::uint32_t& item) {
            const std::uint32_t width = panel_width(device, lines.side);
            lines.items = item == 0 ? 1 : x.items;
            lines.item = item;
            if (lines.items == x.items) lines.active = x.active;
            row = narrow(packed ? packed.stride() / (gpu::PANEL_STEP * width) : steps);
            column = 0;
            item = item == 0 ? 0 : narrow(ceil_div(lines.count, width) * steps);
            return packed ? packed : add_panels(graph, lines, options.guarded);
        };
        if (rows) {
            job.a_row /= gpu::PANEL_STEP;
            job.a_batch /= gpu::PANEL_STEP;
        } else {
            a = panels({x.a, GemmSide::a, m, x.k, job.a_row, job.a_col}, x.details.packed_a, job.a_row,
                       job.a_col, job.a_batch);
        }
        b = panels({x.b, GemmSide::b, n, x.k, job.b_col, job.b_row}, x.details.packed_b, job.b_row, job.b_col,
                   job.b_batch);
        job.k = narrow(steps * gpu::PANEL_STEP);
    }

    std::vector<Operand> operands{{offsetof(gpu::GemmJob, a), a, Access::read},
                                  {offsetof(gpu::GemmJob, b), b, Access::read},
                                  {offsetof(gpu::GemmJob, d), x.d, x.active.access()}};
    x.active.add_to(operands, offsetof(gpu::GemmJob, active_items));
    if (has_c) operands.push_back({offsetof(gpu::GemmJob, c), x.c, Access::read});
    if (kernel.pairs && fours_along_k(graph, a, job.a_col, job.a_row, job.a_batch)) {
        job.flags |= gpu::GEMM_A_FOURS;
        operands.push_back({offsetof(gpu::GemmJob, a_fours), a, Access::read});
    }
    if (kernel.pairs && fours_along_k(graph, b, job.b_row, job.b_col, job.b_batch)) {
        job.flags |= gpu::GEMM_B_FOURS;
        operands.push_back({offsetof(gpu::GemmJob, b_fours), b, Access::read});
    }
    if (x.squares) operands.push_back({offsetof(gpu::GemmJob, squares), x.squares, Access::write});
    Operation operation = make_operation(kernel.info, job, std::move(operands), groups);
    operation.constants = {{gpu::SPEC_THREADS, threads},
                           {gpu::SPEC_DTYPE_A, dtype_code(a)},
                           {gpu::SPEC_DTYPE_B, dtype_code(b)},
                           {gpu::SPEC_DTYPE_C, dtype_code(has_c ? x.c : x.d)},
                           {gpu::SPEC_DTYPE_D, dtype_code(x.d)}};
    std::uint32_t flags = x.squares ? gpu::PRODUCT_SQUARES : 0;
    if (kernel.packed) {
        operation.constants.push_back({gpu::SPEC_SUBGROUP, device.subgroup_size});
        flags |= (has_c ? gpu::PRODUCT_C : 0) | (options.symmetric ? gpu::PRODUCT_SYMMETRIC : 0) |
                 (x.details.upper ? gpu::PRODUCT_UPPER : 0) | (rows ? gpu::PRODUCT_ROWS : 0);
    }
    if (kernel.packed || flags != 0) operation.constants.push_back({gpu::SPEC_FLAGS, flags});
    if (kernel.matrix_units && !kernel.workgroup_matrices) {
        const MatrixShape& unit =
            *kernel.matrix_units == DType::bf16 ? device.cooperative_bf16 : device.cooperative_f16;
        for (const SpecConstant& constant :
             {SpecConstant{gpu::SPEC_SUBGROUP, device.subgroup_size},
              SpecConstant{gpu::SPEC_MATRIX_M, unit.m}, SpecConstant{gpu::SPEC_MATRIX_N, unit.n},
              SpecConstant{gpu::SPEC_MATRIX_K, unit.k}})
            operation.constants.push_back(constant);
    }
    operation.reason = choice.reason + (rows ? "; rows of A where they are" : "") +
                       (x.squares ? "; with the squares of D's rows" : "");
    const double columns = options.symmetric ? static_cast<double>(n + 1) : 2.0 * static_cast<double>(n);
    const double squares = x.squares ? 2.0 * static_cast<double>(n) : 0.0;
    operation.flops = (columns * static_cast<double>(x.k) + squares) * static_cast<double>(m) *
                      static_cast<double>(x.items);
    operation.bytes = element_bytes(a, b, x.c, x.d, x.squares);
    operation.guarded = options.guarded;
    graph.add(std::move(operation));
}

// Split-K: products of pieces of k, summed in a fixed order by a second dispatch.

// Fewer are not worth the second dispatch, where nothing forces it.
constexpr std::uint64_t kMinPiece = 1024;

struct Split {
    std::uint64_t pieces;
    std::uint64_t together;  // so many have sums of their own, others are added to those before them
};

Split split_of(const Capabilities& device, const GemmKernel& kernel, const GemmShape& s,
               const GemmOptions& options) {
    const std::uint64_t needed = ceil_div(s.k, kMaxPiece);
    const std::uint64_t tiles = ceil_div(s.m, kernel.tile_rows(device)) *
                                ceil_div(s.n, kernel.tile_cols(device)) * s.batch / (s.symmetric ? 2 : 1);
    const std::uint64_t useful = useful_pieces(device, tiles, s.k, kMinPiece);
    const std::uint64_t pieces = options.split == SplitK::when_needed ? needed : std::max(needed, useful);
    // Beyond what keeps the device busy several times over, sums would be memory for nothing.
    const std::uint64_t together = ceil_div(4 * busy_workgroups(device), std::max<std::uint64_t>(tiles, 1));
    return {pieces, std::min(pieces, std::max(together, useful))};
}

// `count` of the columns of op(A), or rows of op(B), from `first` on, of every item. `first` is even: 16-bit
// elements begin with a word.
Tensor piece(const Tensor& x, bool along_columns, std::uint64_t first, std::uint64_t count) {
    Tensor part = x;
    part.row_stride = x.stride();
    part.byte_offset += first * (along_columns ? 1 : x.stride()) * bytes_of(x.dtype);
    // One matrix, from the first row that is read to the last: batch strides are the job's.
    part.shape = along_columns ? Shape{x.batch() * x.rows(), count}
                               : Shape{(x.batch() - 1) * x.rows() + count, x.cols()};
    return part;
}

// D = alpha (sum of the pieces) + beta C.
void add_combine(Graph& graph, const Tensor& partial, std::uint64_t pieces, const Tensor& c, const Tensor& d,
                 const GemmOptions& options) {
    const std::uint64_t m = d.rows(), n = d.cols(), items = d.batch();
    const ActiveItems active{options.active};
    const bool has_c = options.beta != 0.0f;
    constexpr std::uint64_t kPairsPerThread = 4;
    const std::uint32_t threads = graph.device().capabilities().cpu ? 8 : 128;
    gpu::GemmCombineJob job{};
    job.m = narrow(m);
    job.n = narrow(n);
    job.pieces = narrow(pieces);
    job.c_row = has_c ? narrow(c.stride()) : 0;
    job.d_row = narrow(d.stride());
    job.c_batch = has_c ? batch_stride(c) : 0;
    job.d_batch = batch_stride(d);
    const bool even_rows = (m == 1 || d.stride() % 2 == 0) && job.d_batch % 2 == 0;
    job.flags = (has_c ? gpu::GEMM_HAS_C : 0) | (options.symmetric ? gpu::GEMM_SYMMETRIC : 0) |
                (even_rows ? gpu::GEMM_D_PAIRS : 0) | active.flags();
    job.alpha = options.alpha;
    job.beta = options.beta;
    job.piece = narrow(items * m * n);
    job.pairs = narrow(items * m * ceil_div(n, 2));
    job.per_thread = kPairsPerThread;
    // Without pieces D stands for them: loads of invocations that nobody asked for need a place on lavapipe.
    const bool summed = pieces != 0;
    std::vector<Operand> operands{{offsetof(gpu::GemmCombineJob, partial), summed ? partial : d,
                                   summed ? Access::read : active.access()},
                                  {offsetof(gpu::GemmCombineJob, d), d, active.access()}};
    active.add_to(operands, offsetof(gpu::GemmCombineJob, active_items));
    if (has_c) operands.push_back({offsetof(gpu::GemmCombineJob, c), c, Access::read});
    Operation operation =
        make_operation(kCombine, job, std::move(operands), ceil_div(job.pairs, threads * kPairsPerThread));
    operation.constants = {{gpu::SPEC_THREADS, threads},
                           {gpu::SPEC_DTYPE_C, dtype_code(has_c ? c : d)},
                           {gpu::SPEC_DTYPE_D, dtype_code(d)}};
    operation.reason = summed ? "sums the pieces of k in a fixed order" : "nothing to multiply";
    operation.flops = static_cast<double>(pieces * items * m * n);
    operation.bytes = element_bytes(partial, d, has_c ? c : Tensor{});
    operation.guarded = options.guarded;
    graph.add(std::move(operation));
}

void add_split_product(Graph& graph, const GemmChoice& choice, const Tensor& a, const Tensor& b,
                       const Tensor& c, const Tensor& d, std::uint64_t k, const Split& split,
                       const GemmOptions& options, std::uint64_t partial_sums) {
    const bool a_columns = options.transpose_a == Transpose::no;
    const bool b_columns = options.transpose_b == Transpose::yes;
    // A multiple of what every kernel's steps and vectors divide.
    const std::uint64_t step = ceil_div(ceil_div(k, split.pieces), 32) * 32;
    const std::uint64_t pieces = ceil_div(k, step);
    const std::uint64_t m = d.rows(), n = d.cols(), items = d.batch();
    // No more than 32-bit indices reach.
    const std::uint64_t slots =
        std::clamp<std::uint64_t>(partial_sums / (items * m * n), 1, std::min(pieces, split.together));
    const Tensor partial = graph.temporary(DType::f32, Shape{slots, items, m, n});
    GemmOptions plain = options;
    plain.alpha = 1.0f;
    GemmChoice why = choice;
    why.reason += "; k in " + std::to_string(pieces) + " pieces";
    // A job for each piece, of all items: that of an item would begin in the middle of a word where items
    // have an odd number of 16-bit elements.
    for (std::uint64_t p = 0; p < pieces; ++p) {
        Tensor to = partial;
        to.byte_offset += p % slots * items * m * n * sizeof(float);
        to.shape = Shape{items, m, n};
        plain.beta = p < slots ? 0.0f : 1.0f;
        const std::uint64_t count = std::min(step, k - p * step);
        add_product(graph, why,
                    {piece(a, a_columns, p * step, count),
                     piece(b, b_columns, p * step, count),
                     p < slots ? Tensor{} : to,
                     to,
                     count,
                     items,
                     batch_stride(a),
                     batch_stride(b),
                     {options.active, p >= slots},
                     {}},
                    plain);
    }
    add_combine(graph, partial, slots, c, d, options);
}

// From `parts` that the product left, or from D where it could not.
void add_squares(Graph& graph, const Tensor& parts, const char* missing, const Tensor& d,
                 const GemmOptions& options) {
    if (!options.row_squares) return;
    const Purpose purpose(graph, std::string("squares of a product's result") +
                                     (parts ? "" : std::string(", read again: ") + missing));
    row_norms(graph, parts ? parts : d, options.row_squares, parts ? NormKind::one : NormKind::squared,
              options.guarded);
}

void check_active(std::string_view who, const Graph& graph, const Tensor& active, const Tensor& d) {
    if (!active) return;
    check_tensor(who, "active", graph, active);
    if (active.dtype != DType::u32 || active.shape.count() != d.batch() || !is_contiguous(active))
        refuse(who, "active is " + text(active) + "; it must be a contiguous tensor of " +
                        std::to_string(d.batch()) + " u32, one for each matrix of D");
    check_no_overlap(who, "D", d, "active", active, graph);
}

// With the kernel `chosen`, or what choose_gemm() says.
void add_gemm(std::string_view who, Graph& graph, const Tensor& a, const Tensor& b, const Tensor& c,
              const Tensor& d, const GemmOptions& options, const GemmChoice* chosen = nullptr,
              const GemmDetails& details = {}) {
    check_coefficients(who, options.alpha, options.beta);
    check_enumerator(who, options.transpose_a, Transpose::yes, "transpose_a is not one of Transpose");
    check_enumerator(who, options.transpose_b, Transpose::yes, "transpose_b is not one of Transpose");
    check_enumerator(who, options.split, SplitK::when_needed, "split is not one of SplitK");
    check_float_tensor(who, "A", graph, a);
    check_float_tensor(who, "B", graph, b);
    check_float_tensor(who, "D", graph, d);
    const bool transposed_a = options.transpose_a == Transpose::yes;
    const bool transposed_b = options.transpose_b == Transpose::yes;
    const std::uint64_t m = transposed_a ? a.cols() : a.rows();
    const std::uint64_t k = transposed_a ? a.rows() : a.cols();
    const std::uint64_t n = transposed_b ? b.rows() : b.cols();
    if ((transposed_b ? b.cols() : b.rows()) != k)
        refuse(who, "A is " + text(a) + (transposed_a ? " transposed" : "") + ", B is " + text(b) +
                        (transposed_b ? " transposed" : "") +
                        "; op(B) must have as many rows as op(A) has columns (" + std::to_string(k) + ")");
    if (d.rows() != m || d.cols() != n)
        refuse(who, "D is " + text(d) + "; op(A) op(B) is " + std::to_string(m) + "x" + std::to_string(n));
    check_batch(who, "A", a, d);
    check_batch(who, "B", b, d);
    if (options.symmetric && m != n)
        refuse(who, "symmetric is set, D is " + text(d) + "; a symmetric result is square");
    const bool has_c = options.beta != 0.0f;
    if (has_c) {
        if (!c) refuse(who, "beta is not 0 and C is empty; give C, or beta = 0");
        check_float_tensor(who, "C", graph, c);
        if (c.rows() != m || c.cols() != n)
            refuse(who, "C is " + text(c) + ", D is " + text(d) + "; shapes must agree");
        check_batch(who, "C", c, d);
        if (!same_place(graph, c, d)) check_no_overlap(who, "D", d, "C", c, graph);
    }
    check_active(who, graph, options.active, d);
    const NamedTensor operands[] = {
        {"A", a}, {"B", b}, {"C", has_c ? c : Tensor{}}, {"D", d}, {"active", options.active}};
    for (const NamedTensor& x : operands)
        check_squares(who, graph, "row_squares", options.row_squares, d.batch() * d.rows(), {x});
    check_no_overlap(who, "D", d, "A", a, graph);
    check_no_overlap(who, "D", d, "B", b, graph);

    if (m > kMaxExtent || n > kMaxExtent || k > kMaxExtent)
        refuse(who, "op(A) is " + std::to_string(m) + "x" + std::to_string(k) + ", op(B) " +
                        std::to_string(k) + "x" + std::to_string(n) + "; extents may be at most 2^31");

    const GemmShape shape{m, n, k, d.batch(), options.symmetric, a.dtype, b.dtype, options.packing};
    const Capabilities& device = graph.device().capabilities();
    const GemmChoice choice = chosen != nullptr ? *chosen : choose_gemm(device, shape, options.variant);
    if (m == 0 || n == 0 || d.batch() == 0) {
        add_zeros(graph, options.row_squares, options.guarded);
        return;
    }
    if (k == 0 || options.alpha == 0.0f) {
        if (options.active || options.symmetric)
            add_combine(graph, {}, 0, has_c ? c : Tensor{}, d, options);
        else
            add_convert(graph, has_c ? c : Tensor{}, d, options.beta, options.guarded);
        add_squares(graph, {}, "nothing was multiplied", d, options);
        return;
    }
    const Split split = split_of(device, *choice.kernel, shape, options);
    const char* missing = split.pieces > 1    ? "k is in pieces"
                          : options.symmetric ? "half of it was mirrored"
                          : options.active    ? "some of it may be left as it was"
                                              : nullptr;
    Tensor parts;
    if (options.row_squares && missing == nullptr) {
        const std::uint64_t width = choice.kernel->tile_cols(device) / choice.kernel->row_parts;
        parts = graph.temporary(DType::f32, Shape{d.batch(), m, ceil_div(n, width)});
    }
    if (split.pieces > 1)
        add_split_product(graph, choice, a, b, c, d, k, split, options, details.partial_sums);
    else
        add_product(graph, choice,
                    {a,
                     b,
                     has_c ? c : Tensor{},
                     d,
                     k,
                     d.batch(),
                     batch_stride(a),
                     batch_stride(b),
                     {options.active},
                     parts,
                     details},
                    options);
    add_squares(graph, parts, missing, d, options);
}

GemmOptions of_syrk(GemmOptions options) {
    options.transpose_b = options.transpose_a == Transpose::yes ? Transpose::no : Transpose::yes;
    options.symmetric = true;
    return options;
}

}  // namespace

void check_squares(std::string_view who, const Graph& graph, const char* name, const Tensor& squares,
                   std::uint64_t count, std::initializer_list<NamedTensor> others) {
    if (!squares) return;
    check_tensor(who, name, graph, squares);
    if (squares.dtype != DType::f32 || squares.shape.count() != count || !is_contiguous(squares))
        refuse(who, std::string(name) + " is " + text(squares) + "; it must be contiguous, with " +
                        std::to_string(count) + " f32");
    for (const NamedTensor& other : others)
        if (other.tensor) check_no_overlap(who, name, squares, other.name, other.tensor, graph);
}

void gemm(Graph& graph, const Tensor& a, const Tensor& b, const Tensor& c, const Tensor& d,
          const GemmOptions& options) {
    add_gemm("gemm", graph, a, b, c, d, options);
}

void gemm(Graph& graph, const GemmChoice& choice, const Tensor& a, const Tensor& b, const Tensor& d,
          const GemmOptions& options, const GemmDetails& details) {
    add_gemm("gemm", graph, a, b, {}, d, options, &choice, details);
}

void syrk(Graph& graph, const Tensor& a, const Tensor& c, const Tensor& d, const GemmOptions& options) {
    add_gemm("syrk", graph, a, a, c, d, of_syrk(options));
}

void syrk_upper(Graph& graph, const Tensor& a, const Tensor& c, const Tensor& d, const GemmOptions& options) {
    add_gemm("syrk", graph, a, a, c, d, of_syrk(options), nullptr, {.upper = true});
}

}  // namespace heron
