// SPDX-License-Identifier: MIT
// The table of GEMM kernels, best first, and the choice between them.
#include <algorithm>
#include <iterator>
#include <string>

#include "heron/spirv/gemm_cpu.hpp"
#include "heron/spirv/gemm_cpu_medium.hpp"
#include "heron/spirv/gemm_cpu_small.hpp"
#if HERON_HAVE_COOPMAT
#include "heron/spirv/gemm_coopmat.hpp"
#include "heron/spirv/gemm_coopmat_large.hpp"
#endif
#if HERON_HAVE_COOPMAT && HERON_HAVE_COOPMAT2
#include "heron/spirv/gemm_coopmat2.hpp"
#endif
#if HERON_HAVE_COOPMAT && HERON_HAVE_BFLOAT16
#include "heron/spirv/gemm_coopmat_bf16.hpp"
#include "heron/spirv/gemm_coopmat_bf16_large.hpp"
#endif
#include "heron/spirv/gemm_packed.hpp"
#include "heron/spirv/gemm_small.hpp"
#include "heron/spirv/gemm_tiled.hpp"
#include "heron/spirv/gemm_tiled_16bit.hpp"
#include "heron/spirv/gemm_tiled_large.hpp"
#include "linalg/checks.hpp"
#include "linalg/gemm.h"
#include "linalg/gemm.hpp"
#include "linalg/gemm_tuning.hpp"
#include "linalg/integers.hpp"

namespace heron {

namespace {

std::string_view missing_for_cpu(const Capabilities& device) {
    if (!device.cpu) return "device is not a CPU driver";
    if (device.subgroup_size != 4 && device.subgroup_size != 8 && device.subgroup_size != 16)
        return "subgroups are not 4, 8 or 16 wide";
    return {};
}

// SwiftShader (subgroups of 4) compiles 32 x 8 elements an invocation seven times longer than 16 x 4, for a
// fifth of speed.
std::string_view missing_for_cpu_large(const Capabilities& device) {
    return device.cpu && device.subgroup_size == 4 ? "subgroups are 4 wide" : missing_for_cpu(device);
}

std::string_view missing_for_packed(const Capabilities& device) {
    if (const std::string_view why = missing_for_cpu_large(device); !why.empty()) return why;
    return device.subgroup_size_control ? std::string_view{} : "device cannot promise full subgroups";
}

// Shaders index panels with 32 bits.
bool panels_too_large(const Capabilities& device, const GemmShape& s) {
    const std::uint64_t lines = std::max(s.m, s.n) + gpu::PANEL_COLS * device.subgroup_size;
    return (s.k + gpu::PANEL_STEP) * lines * s.batch >> 32 != 0;
}
constexpr std::string_view kPanelsTooLarge = "panels of 2^32 elements or more";
constexpr std::string_view kTooLargeForSmall =
    "D has more than 128 rows or columns, or more than 128 blocks of 4 x 4";

std::string_view unsuitable_for_packed(const Capabilities& device, const GemmShape& s) {
    // 512 x 512 x 512 on lavapipe 22.3: 2 GFLOP/s, gemm_cpu 15; on 26.1: 107, gemm_cpu 39.
    if (!device.cpu_uniform_loads) return "driver loads a uniform address once for each invocation";
    if (!s.packing) return "packing takes a level, which GemmOptions::packing does not allow";
    if (panels_too_large(device, s)) return kPanelsTooLarge;
    using namespace gemm_tuning;
    if (s.m < kPackedSide || s.n < kPackedSide || s.m * s.n < kPackedSquare * kPackedSquare ||
        s.k < kPackedDepth)
        return "packing costs more than it saves";
    return {};
}

std::string_view missing_for_large_tiles(const Capabilities& device) {
    if (device.max_workgroup_invocations < 256 || device.max_workgroup_size_x < 256)
        return "workgroups of 256 invocations are not allowed";
    if (device.shared_memory_bytes < 64 * 65 * 4) return "less than 16.25 KiB of shared memory";
    return {};
}

// CPU drivers have better before it: 512 products of 16 x 16 x 16 on lavapipe 22.3: 0.5 GFLOP/s,
// gemm_cpu_small 1.9; of 32 x 32 x 32: 0.2, gemm_cpu_medium 3.6.
std::string_view unsuitable_for_small(const Capabilities&, const GemmShape& s) {
    if (small_items(s.m, s.n) == 0) return kTooLargeForSmall;
    return s.k > gemm_tuning::kSmallDepth ? "k is long enough for reading ahead to pay" : std::string_view{};
}

std::string_view nothing_missing(const Capabilities&) { return {}; }
std::string_view always_suitable(const Capabilities&, const GemmShape&) { return {}; }

std::uint32_t subgroup_threads(const Capabilities& device) { return device.subgroup_size; }

std::uint64_t tile_count(const GemmShape& s, std::uint64_t rows, std::uint64_t cols) {
    return ceil_div(s.m, rows) * ceil_div(s.n, cols) * s.batch / (s.symmetric ? 2 : 1);
}

// Whether tiles of twice the width and height, which load half as often for each multiplication, fit: there
// is work for every compute unit of a big GPU, and the tiles cover no more than a quarter more than small
// ones.
std::string_view too_large_tiles(const GemmShape& s, std::uint32_t rows, std::uint32_t cols,
                                 std::uint64_t least) {
    const std::uint64_t tiles = tile_count(s, rows, cols);
    if (tiles < least) return "too few large tiles for every compute unit of a big GPU";
    if (16 * tiles > 5 * tile_count(s, rows / 2, cols / 2))
        return "too much of large tiles would be outside of D";
    return {};
}

std::string_view unsuitable_for_large_tiles(const Capabilities&, const GemmShape& s) {
    return too_large_tiles(s, 128, 128, gemm_tuning::kTiledLargeTiles);
}

// Before gemm_tiled_large, however large D is. Predicted, no GPU at hand: beside 32 multiply-adds an
// invocation has 3 loads from shared memory and at most 12 conversions, for which some GPUs need no
// instruction; gemm_tiled_large has 2 loads, and some 12 instructions to bring in elements of 16 bits one by
// one.
constexpr std::string_view kNoPairs = "operands are not both of 16 bits";
bool has_pairs(const GemmShape& s) { return s.a != DType::f32 && s.b != DType::f32; }

std::string_view unsuitable_for_pairs(const Capabilities&, const GemmShape& s) {
    return has_pairs(s) ? std::string_view{} : kNoPairs;
}

// The CPU variants differ in the tile of a workgroup, `cols` for each invocation. A tile costs the same
// however little of it is used. Rows and columns are those of shaders/CMakeLists.txt.
struct CpuTile {
    std::uint32_t rows, cols;
    double rate;
};
constexpr CpuTile kLarge{32, 8, gemm_tuning::kCpuRate}, kMedium{16, 4, gemm_tuning::kCpuMediumRate},
    kSmall{8, 2, gemm_tuning::kCpuSmallRate};

double cpu_cost(const CpuTile& tile, const Capabilities& device, const GemmShape& s) {
    const std::uint64_t cols = tile.cols * device.subgroup_size;
    const auto tiles = static_cast<double>(ceil_div(s.m, tile.rows) * ceil_div(s.n, cols) * s.batch);
    // Fewer tiles than eight leave cores idle.
    return std::max(tiles, 8.0) * tile.rows * static_cast<double>(cols) / tile.rate;
}

constexpr std::string_view kSmallerTiles = "smaller tiles fit the result better";

template <const CpuTile& kTile>
constexpr std::uint32_t cpu_rows(const Capabilities&) {
    return kTile.rows;
}
template <const CpuTile& kTile>
constexpr std::uint32_t cpu_cols(const Capabilities& device) {
    return kTile.cols * device.subgroup_size;
}

// A square of whole panels of both operands.
std::uint32_t packed_side(const Capabilities& device) { return 6 * device.subgroup_size; }

// 2 x kBlocks subgroups, each of kBlocks x 2 cooperative matrices.
constexpr std::uint32_t kBlocks = 2, kBlocksLarge = 4;
#if HERON_HAVE_COOPMAT
constexpr std::span<const std::uint32_t> kCoopmat = spirv::gemm_coopmat;
constexpr std::span<const std::uint32_t> kCoopmatLarge = spirv::gemm_coopmat_large;
#else
constexpr std::span<const std::uint32_t> kCoopmat, kCoopmatLarge;
#endif

#if HERON_HAVE_COOPMAT && HERON_HAVE_BFLOAT16
constexpr std::span<const std::uint32_t> kCoopmatBf16 = spirv::gemm_coopmat_bf16;
constexpr std::span<const std::uint32_t> kCoopmatBf16Large = spirv::gemm_coopmat_bf16_large;
#else
constexpr std::span<const std::uint32_t> kCoopmatBf16, kCoopmatBf16Large;
#endif

template <std::uint32_t kCount>
constexpr std::uint32_t coopmat_threads(const Capabilities& device) {
    return 2 * kCount * device.subgroup_size;
}

template <DType kOperands>
constexpr const MatrixShape& unit_of(const Capabilities& device) {
    return kOperands == DType::bf16 ? device.cooperative_bf16 : device.cooperative_f16;
}

template <DType kOperands, std::uint32_t kCount>
std::string_view missing_for_coopmat(const Capabilities& device) {
    const MatrixShape& shape = unit_of<kOperands>(device);
    if (!HERON_HAVE_COOPMAT)
        return "built with tools that do not know cooperative matrices (glslang 15 and Vulkan headers "
               "1.3.255 do)";
    if (kOperands == DType::bf16) {
        if (!HERON_HAVE_BFLOAT16) return "built with tools that do not know bf16";
        if (shape.m == 0) return "device has no bf16 cooperative matrices that fit";
    }
    if (kOperands == DType::f16 && !device.cooperative_matrix)
        return "device has no f16 cooperative matrices with f32 sums";
    if (shape.m == 0) return "no shape of the device's cooperative matrices fits";
    if (!device.subgroup_size_control) return "device cannot promise full subgroups";
    if (std::min(device.max_workgroup_size_x, device.max_workgroup_invocations) <
        coopmat_threads<kCount>(device))
        return "workgroups of that many subgroups are not allowed";
    const std::uint64_t operands = 5 * (shape.m + shape.n), sums = shape.m * (shape.n / 2 + 1);
    if (device.shared_memory_bytes < 2 * kCount * 16 * std::max(operands, sums))
        return "too little shared memory";
    return {};
}

// Of what has run with emulated matrices alone: until GemmTest has passed with it on a device, and bench_gemm
// --variant has shown what for.
constexpr std::string_view kNotMeasured = "not measured on any device yet; GemmOptions::variant chooses it";

template <DType kOperands>
std::string_view unsuitable_for_coopmat(const Capabilities& device, const GemmShape& s) {
    if (s.a != kOperands || s.b != kOperands)
        return kOperands == DType::bf16 ? "operands are not bf16" : "operands are not f16";
    if (device.cpu) return "a CPU driver only emulates matrix units";
    return kOperands == DType::bf16 ? kNotMeasured : std::string_view{};
}

template <DType kOperands, std::uint32_t kCount>
constexpr std::uint32_t coopmat_rows(const Capabilities& device) {
    return 2 * kCount * unit_of<kOperands>(device).m;
}
template <DType kOperands, std::uint32_t kCount>
constexpr std::uint32_t coopmat_cols(const Capabilities& device) {
    return 2 * kCount * unit_of<kOperands>(device).n;
}

template <DType kOperands>
std::string_view unsuitable_for_large_coopmat(const Capabilities& device, const GemmShape& s) {
    if (const std::string_view why = unsuitable_for_coopmat<kOperands>(device, s); !why.empty()) return why;
    return too_large_tiles(s, coopmat_rows<kOperands, kBlocksLarge>(device),
                           coopmat_cols<kOperands, kBlocksLarge>(device), gemm_tuning::kCoopmatLargeTiles);
}

template <DType kOperands, std::uint32_t kCount>
constexpr GemmKernel coopmat_kernel(const char* name, std::span<const std::uint32_t> code) {
    constexpr bool kIsLarge = kCount == kBlocksLarge;
    return {make_kernel<gpu::GemmJob>(name, code),
            coopmat_threads<kCount>,
            coopmat_rows<kOperands, kCount>,
            coopmat_cols<kOperands, kCount>,
            missing_for_coopmat<kOperands, kCount>,
            kIsLarge ? unsuitable_for_large_coopmat<kOperands> : unsuitable_for_coopmat<kOperands>,
            kIsLarge ? "matrix units, 4 x 2 cooperative matrices a subgroup"
                     : "matrix units, 2 x 2 cooperative matrices a subgroup",
            kOperands,
            false,
            kCount};
}

#if HERON_HAVE_COOPMAT && HERON_HAVE_COOPMAT2
constexpr std::span<const std::uint32_t> kCoopmat2 = spirv::gemm_coopmat2;
#else
constexpr std::span<const std::uint32_t> kCoopmat2;
#endif

std::string_view missing_for_coopmat2(const Capabilities& device) {
    using namespace gpu;
    if (kCoopmat2.empty()) return "built with tools that do not know VK_NV_cooperative_matrix2";
    if (!device.cooperative_matrix2) return "device has no VK_NV_cooperative_matrix2";
    const MatrixShape& unit = device.cooperative_workgroup_f16;
    if (unit.m == 0 || unit.n == 0 || unit.k == 0)
        return "device has no f16 matrices of a workgroup of 256 with f32 sums";
    if (WORKGROUP_ROWS % unit.m != 0 || WORKGROUP_COLS % unit.n != 0 || WORKGROUP_STEP % unit.k != 0)
        return "tiles of 64 x 128 x 64 are no multiples of the device's granularity";
    if (device.max_workgroup_invocations < WORKGROUP_THREADS ||
        device.max_workgroup_size_x < WORKGROUP_THREADS)
        return "workgroups of 256 invocations are not allowed";
    constexpr std::uint64_t kPool = 4 * WORKGROUP_ROWS * WORKGROUP_COLS;
    if (device.shared_memory_bytes < kPool + device.cooperative_workgroup_bytes)
        return "too little shared memory beside what the driver reserves";
    return {};
}

std::string_view unsuitable_for_coopmat2(const Capabilities&, const GemmShape& s) {
    if (s.a != DType::f16 || s.b != DType::f16) return "operands are not f16";
    return kNotMeasured;
}

template <std::uint32_t kValue>
constexpr std::uint32_t always(const Capabilities&) {
    return kValue;
}

// Best first; the last one takes everything.
constexpr GemmKernel kGemmKernels[] = {
    {make_kernel<gpu::GemmJob>("gemm_coopmat2", kCoopmat2), always<gpu::WORKGROUP_THREADS>,
     always<gpu::WORKGROUP_ROWS>, always<gpu::WORKGROUP_COLS>, missing_for_coopmat2, unsuitable_for_coopmat2,
     "matrix units, a cooperative matrix of 64 x 128 a workgroup", DType::f16, false, 1, true},
    coopmat_kernel<DType::f16, kBlocksLarge>("gemm_coopmat_large", kCoopmatLarge),
    coopmat_kernel<DType::f16, kBlocks>("gemm_coopmat", kCoopmat),
    coopmat_kernel<DType::bf16, kBlocksLarge>("gemm_coopmat_bf16_large", kCoopmatBf16Large),
    coopmat_kernel<DType::bf16, kBlocks>("gemm_coopmat_bf16", kCoopmatBf16),
    {make_kernel<gpu::GemmJob>("gemm_packed", spirv::gemm_packed),
     subgroup_threads,
     packed_side,
     packed_side,
     missing_for_packed,
     unsuitable_for_packed,
     "CPU driver: packed panels, 12 x 2 sums an invocation",
     {},
     true,
     6 / gpu::PANEL_COLS},
    {make_kernel<gpu::GemmJob>("gemm_cpu", spirv::gemm_cpu), subgroup_threads, cpu_rows<kLarge>,
     cpu_cols<kLarge>, missing_for_cpu_large,
     [](const Capabilities& device, const GemmShape& s) -> std::string_view {
         const double cost = cpu_cost(kLarge, device, s);
         return cost > std::min(cpu_cost(kMedium, device, s), cpu_cost(kSmall, device, s))
                    ? kSmallerTiles
                    : std::string_view{};
     },
     "CPU driver: registers and shuffles, 32 rows a workgroup"},
    {make_kernel<gpu::GemmJob>("gemm_cpu_medium", spirv::gemm_cpu_medium), subgroup_threads,
     cpu_rows<kMedium>, cpu_cols<kMedium>, missing_for_cpu,
     [](const Capabilities& device, const GemmShape& s) -> std::string_view {
         return cpu_cost(kMedium, device, s) > cpu_cost(kSmall, device, s) ? kSmallerTiles
                                                                           : std::string_view{};
     },
     "CPU driver: registers and shuffles, 16 rows a workgroup"},
    {make_kernel<gpu::GemmJob>("gemm_cpu_small", spirv::gemm_cpu_small), subgroup_threads, cpu_rows<kSmall>,
     cpu_cols<kSmall>, missing_for_cpu, always_suitable,
     "CPU driver: registers and shuffles, 8 rows a workgroup"},
    {make_kernel<gpu::GemmJob>("gemm_small", spirv::gemm_small),
     always<gpu::SMALL_THREADS>,
     always<gpu::SMALL_SIDE>,
     always<gpu::SMALL_SIDE>,
     nothing_missing,
     unsuitable_for_small,
     "whole matrices, 4 x 4 elements an invocation",
     {},
     false,
     1,
     false,
     true},
    {make_kernel<gpu::GemmJob>("gemm_tiled_16bit", spirv::gemm_tiled_16bit),
     always<128>,
     always<64>,
     always<64>,
     nothing_missing,
     unsuitable_for_pairs,
     "64 x 64 tiles, pairs of 16 bits in shared memory",
     {},
     false,
     1,
     false,
     false,
     true},
    {make_kernel<gpu::GemmJob>("gemm_tiled_large", spirv::gemm_tiled_large),
     always<256>,
     always<128>,
     always<128>,
     missing_for_large_tiles,
     unsuitable_for_large_tiles,
     "128 x 128 tiles in shared memory",
     {},
     false,
     2},
    {make_kernel<gpu::GemmJob>("gemm_tiled", spirv::gemm_tiled), always<128>, always<64>, always<64>,
     nothing_missing, always_suitable, "64 x 64 tiles in shared memory; fits the smallest limits of Vulkan"},
};

}  // namespace

std::span<const GemmKernel> gemm_kernels() { return kGemmKernels; }

std::string_view GemmKernel::impossible(const Capabilities& device, const GemmShape& shape) const {
    if (matrix_units && (shape.a != *matrix_units || shape.b != *matrix_units))
        return *matrix_units == DType::bf16 ? "operands are not bf16" : "operands are not f16";
    if (packed && panels_too_large(device, shape)) return kPanelsTooLarge;
    if (pairs && !has_pairs(shape)) return kNoPairs;
    if (whole_matrices && small_items(shape.m, shape.n) == 0) return kTooLargeForSmall;
    return {};
}

// An item takes an invocation for each block of D, and shared memory for the lines of both operands.
std::uint32_t small_items(std::uint64_t m, std::uint64_t n) {
    if (m > gpu::SMALL_SIDE || n > gpu::SMALL_SIDE) return 0;
    const auto down = static_cast<std::uint32_t>(ceil_div(m, 4)),
               across = static_cast<std::uint32_t>(ceil_div(n, 4));
    if (m == 0 || n == 0) return 1;  // nothing to compute
    return std::min(gpu::SMALL_THREADS / (down * across), gpu::SMALL_LINES / (4 * (down + across)));
}

GemmChoice choose_gemm(const Capabilities& device, const GemmShape& shape, std::string_view variant) {
    if (!variant.empty()) {
        const auto found =
            std::find_if(std::begin(kGemmKernels), std::end(kGemmKernels),
                         [&](const GemmKernel& kernel) { return kernel.info.name == variant; });
        if (found == std::end(kGemmKernels)) {
            std::string names;
            for (const GemmKernel& kernel : kGemmKernels)
                names += std::string(names.empty() ? "" : ", ") + kernel.info.name;
            refuse("gemm", "there is no variant \"" + std::string(variant) + "\"; known are " + names);
        }
        std::string_view why = found->missing(device);
        if (why.empty()) why = found->impossible(device, shape);
        if (!why.empty())
            throw Error(ErrorCode::unsupported, "gemm: variant " + std::string(variant) + " cannot run: " +
                                                    std::string(why) + "; leave the variant empty");
        return {found, "forced by GemmOptions::variant"};
    }
    std::string refusals;
    for (const GemmKernel& kernel : kGemmKernels) {
        std::string_view why = kernel.missing(device);
        if (why.empty()) why = kernel.unsuitable(device, shape);
        if (why.empty()) return {&kernel, std::string(kernel.reason) + refusals};
        refusals += std::string("; not ") + kernel.info.name + ": " + std::string(why);
    }
    throw Error(ErrorCode::internal, "gemm: no kernel takes this shape");
}

}  // namespace heron
