// SPDX-License-Identifier: MIT
// accumulate_factor(): checks, how rows are split over workgroups, and the jobs.
#include "heron/linalg/factor.hpp"

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <string>

#include "core/number_text.hpp"
#include "graph/element_bytes.hpp"
#include "heron/spirv/factor_cpu.hpp"
#include "heron/spirv/factor_cpu_large.hpp"
#include "heron/spirv/factor_finish.hpp"
#include "heron/spirv/factor_reduce.hpp"
#include "heron/spirv/factor_tiled.hpp"
#include "linalg/checks.hpp"
#include "linalg/factor.h"
#include "linalg/factor_source.hpp"
#include "linalg/integers.hpp"
#include "linalg/pieces.hpp"

namespace heron {

static_assert(sizeof(gpu::FactorRows) == 68);
static_assert(sizeof(gpu::FactorJob) == 128 && offsetof(gpu::FactorJob, first_group) == 124);
static_assert(sizeof(gpu::FactorFinishJob) == 56 && offsetof(gpu::FactorFinishJob, first_group) == 52);
static_assert(sizeof(gpu::FactorReduceJob) == 112 && offsetof(gpu::FactorReduceJob, first_group) == 108);

namespace {

constexpr std::string_view kWho = "accumulate_factor";
// Fewer are not worth a second dispatch.
constexpr std::uint64_t kMinSplitRows = 256;

struct FactorKernel {
    KernelInfo info;
    bool cpu;
    std::uint32_t rows, cols;  // of a tile; cols for each invocation on CPU drivers
    std::string_view reason;
};

// rows and cols as in shaders/CMakeLists.txt.
constexpr FactorKernel kFactorKernels[] = {
    {make_kernel<gpu::FactorJob>("factor_cpu_large", spirv::factor_cpu_large), true, 32, 8,
     "CPU driver: registers and shuffles, 32 rows a workgroup"},
    {make_kernel<gpu::FactorJob>("factor_cpu", spirv::factor_cpu), true, 16, 4,
     "CPU driver: registers and shuffles, 16 rows a workgroup"},
    {make_kernel<gpu::FactorJob>("factor_tiled", spirv::factor_tiled), false, 64, 64,
     "64 x 64 tiles in shared memory; fits the smallest limits of Vulkan"},
};

constexpr KernelInfo kFinish = make_kernel<gpu::FactorFinishJob>("factor_finish", spirv::factor_finish);
constexpr KernelInfo kReduce = make_kernel<gpu::FactorReduceJob>("factor_reduce", spirv::factor_reduce);

bool can_shuffle(const Capabilities& device) {
    return device.cpu &&
           (device.subgroup_size == 4 || device.subgroup_size == 8 || device.subgroup_size == 16);
}

struct FactorChoice {
    const FactorKernel& kernel;
    std::string reason;
};

FactorChoice choose_kernel(const Capabilities& device, std::uint64_t n, std::string_view variant) {
    std::string names, refusals;
    for (const FactorKernel& kernel : kFactorKernels) {
        if (variant.empty()) {
            // Large tiles: see the table of gemm_kernels().
            const bool large = kernel.rows == 32;
            const char* why = !kernel.cpu                          ? nullptr
                              : !device.cpu                        ? "device is not a CPU driver"
                              : !can_shuffle(device)               ? "subgroups are not 4, 8 or 16 wide"
                              : large && device.subgroup_size == 4 ? "subgroups are 4 wide"
                              : large && n < 192                   ? "smaller tiles fit the result better"
                                                                   : nullptr;
            if (why == nullptr) return {kernel, std::string(kernel.reason) + refusals};
            refusals += std::string("; not ") + kernel.info.name + ": " + why;
        } else if (kernel.info.name == variant) {
            if (kernel.cpu && !can_shuffle(device))
                throw Error(ErrorCode::unsupported,
                            std::string(kWho) + ": variant " + std::string(variant) +
                                " cannot run: it needs a CPU driver with subgroups of 4, 8 or 16; leave the "
                                "variant empty");
            return {kernel, "forced by FactorOptions::variant"};
        }
        names += std::string(names.empty() ? "" : ", ") + kernel.info.name;
    }
    refuse(kWho, "there is no variant \"" + std::string(variant) + "\"; known are " + names);
}

std::uint64_t positions_along(const char* axis, std::uint64_t extent, std::uint64_t kernel,
                              std::uint64_t stride, std::uint64_t padding, std::uint64_t dilation) {
    if (kernel == 0 || stride == 0 || dilation == 0)
        refuse(kWho, std::string("kernel, stride and dilation must be at least 1 along the ") + axis);
    const std::uint64_t padded = extent + 2 * padding, reach = dilation * (kernel - 1) + 1;
    if (padded > kMaxIndex / 2 || reach > padded)
        refuse(kWho, "a kernel of " + std::to_string(reach) + " (with dilation) does not fit the " + axis +
                         " of " + std::to_string(padded) + " (with padding)");
    return (padded - reach) / stride + 1;
}

}  // namespace

FactorSource patch_source(const Tensor& images, const ConvPatches& x) {
    if (images.shape.rank() != 4 || images.stride() != images.cols())
        refuse(kWho, "activations are " + text(images) +
                         "; with patches they must be contiguous images N x C x H x W");
    const std::uint64_t channels = images.shape[1], height = images.shape[2], width = images.shape[3];
    if (x.groups == 0 || channels % x.groups != 0)
        refuse(kWho, "activations are " + text(images) + ", groups " + std::to_string(x.groups) +
                         "; the groups must divide the channels");
    FactorSource source;
    source.patches = true;
    source.items = x.groups;
    const std::uint64_t out_height =
        positions_along("height", height, x.kernel[0], x.stride[0], x.padding[0], x.dilation[0]);
    const std::uint64_t out_width =
        positions_along("width", width, x.kernel[1], x.stride[1], x.padding[1], x.dilation[1]);
    source.count = images.shape[0] * out_height * out_width;
    const std::uint64_t area = std::uint64_t{x.kernel[0]} * x.kernel[1], depth = channels / x.groups;
    if (depth != 0 && area > kMaxIndex / depth)
        refuse(kWho, "a kernel of " + std::to_string(x.kernel[0]) + " x " + std::to_string(x.kernel[1]) +
                         " and " + std::to_string(depth) + " channels make more than 2^32 features");
    source.rows.features = narrow(depth * area);
    source.rows.row_stride = narrow(channels * height * width);
    source.rows.item_stride = narrow(channels / x.groups * height * width);
    source.rows.height = narrow(height);
    source.rows.width = narrow(width);
    source.rows.out_height = narrow(out_height);
    source.rows.out_width = narrow(out_width);
    source.rows.kernel_y = x.kernel[0];
    source.rows.kernel_x = x.kernel[1];
    source.rows.stride_y = x.stride[0];
    source.rows.stride_x = x.stride[1];
    source.rows.padding_y = x.padding[0];
    source.rows.padding_x = x.padding[1];
    source.rows.dilation_y = x.dilation[0];
    source.rows.dilation_x = x.dilation[1];
    return source;
}

namespace {

FactorSource matrix_source(const Tensor& activations, const Tensor& factor) {
    FactorSource source;
    const bool one = factor.batch() == 1;
    if (!one && factor.batch() != activations.batch())
        refuse(kWho, "factor is " + text(factor) + ", activations are " + text(activations) +
                         "; give it as many matrices, or one for all rows");
    source.items = factor.batch();
    source.count = one ? activations.batch() * activations.rows() : activations.rows();
    source.rows.features = narrow(activations.cols());
    source.rows.row_stride = narrow(activations.stride());
    source.rows.item_stride = one ? 0 : narrow(activations.rows() * activations.stride());
    return source;
}

// Sums or means over positions: what reduced() describes.
Tensor add_reduce(Graph& graph, const Tensor& activations, const FactorSource& source,
                  std::uint64_t positions, const FactorOptions& options) {
    const std::uint64_t samples = source.count / positions, features = source.rows.features;
    const Tensor to = graph.temporary(DType::f32, Shape{source.items, samples, features});
    gpu::FactorReduceJob job{};
    job.rows = source.rows;
    job.items = narrow(source.items);
    job.samples = narrow(samples);
    job.positions = narrow(positions);
    job.weight = options.sharing == WeightSharing::mean ? 1.0f / static_cast<float>(positions) : 1.0f;
    const std::uint32_t threads = graph.device().capabilities().cpu ? 8 : 128;
    const std::uint64_t elements = source.items * samples * features;
    for (std::uint64_t begin = 0; begin < positions; begin += kMaxPiece) {
        job.begin = narrow(begin);
        job.count = narrow(std::min(kMaxPiece, positions - begin));
        Operation operation = make_operation(
            kReduce, job,
            {{offsetof(gpu::FactorReduceJob, from), activations, Access::read},
             {offsetof(gpu::FactorReduceJob, to), to, begin == 0 ? Access::write : Access::read_write}},
            ceil_div(elements, threads));
        operation.constants = {{gpu::SPEC_THREADS, threads},
                               {gpu::SPEC_DTYPE_A, static_cast<std::uint32_t>(activations.dtype)},
                               {gpu::SPEC_ROWS, source.patches ? gpu::FACTOR_PATCHES : gpu::FACTOR_MATRIX}};
        operation.reason = "positions of a sample are reduced first";
        operation.flops = static_cast<double>(elements) * static_cast<double>(job.count);
        operation.bytes = element_bytes(activations, to);
        operation.guarded = options.guarded;
        graph.add(std::move(operation));
    }
    return to;
}

FactorSource reduced(const FactorSource& source, std::uint64_t positions) {
    FactorSource samples;
    samples.items = source.items;
    samples.count = source.count / positions;
    samples.rows.features = source.rows.features;
    samples.rows.row_stride = source.rows.features;
    samples.rows.item_stride = narrow(samples.count * source.rows.features);
    return samples;
}

// Rows [first, first + count) of every item; checks nothing.
void add_product(Graph& graph, const Tensor& from, const FactorSource& source, const Tensor& factor,
                 std::uint64_t first, std::uint64_t count, std::uint64_t splits, float decay, float weight,
                 const FactorChoice& choice, const FactorOptions& options) {
    const FactorKernel& kernel = choice.kernel;
    const Capabilities& device = graph.device().capabilities();
    const std::uint64_t n = factor.cols(), items = source.items;
    const std::uint32_t threads = kernel.cpu ? device.subgroup_size : 128;
    const std::uint64_t tile = kernel.cpu ? std::uint64_t{kernel.cols} * threads : kernel.cols;
    gpu::FactorJob job{};
    job.rows = source.rows;
    job.rows.first = narrow(first);
    job.rows.count = narrow(count);
    job.n = narrow(n);
    job.to_row = narrow(factor.stride());
    job.to_item = batch_stride(factor);
    job.tiles_n = narrow(ceil_div(n, tile));
    job.tiles = narrow(std::uint64_t{job.tiles_n} * (job.tiles_n + 1) / 2 * (tile / kernel.rows));
    job.split_rows = narrow(ceil_div(ceil_div(count, splits), 16) * 16);
    job.splits = narrow(ceil_div(count, job.split_rows));
    const bool partial = job.splits > 1;
    const std::uint32_t has_old = decay != 0 ? gpu::FACTOR_HAS_OLD : 0;
    job.flags = partial ? gpu::FACTOR_PARTIAL : has_old;
    job.decay = decay;
    job.weight = weight;
    const Tensor to = partial ? graph.temporary(DType::f32, Shape{items, job.splits, n, n}) : factor;
    Operation operation = make_operation(
        kernel.info, job,
        {{offsetof(gpu::FactorJob, from), from, Access::read},
         {offsetof(gpu::FactorJob, to), to, !partial && has_old ? Access::read_write : Access::write}},
        items * job.splits * job.tiles);
    operation.constants = {{gpu::SPEC_THREADS, threads},
                           {gpu::SPEC_DTYPE_A, static_cast<std::uint32_t>(from.dtype)},
                           {gpu::SPEC_ROWS, source.patches ? gpu::FACTOR_PATCHES : gpu::FACTOR_MATRIX}};
    operation.reason = choice.reason;
    operation.flops =
        static_cast<double>(items * n) * static_cast<double>(n + 1) * static_cast<double>(count);
    // Of A one triangle is read.
    operation.bytes = element_bytes(from, to) + (!partial && has_old ? 0.5 * element_bytes(to) : 0.0);
    operation.guarded = options.guarded;
    graph.add(std::move(operation));
    if (!partial) return;

    gpu::FactorFinishJob finish{};
    finish.n = job.n;
    finish.items = narrow(items);
    finish.splits = job.splits;
    finish.to_row = job.to_row;
    finish.to_item = job.to_item;
    finish.flags = has_old;
    finish.decay = decay;
    finish.weight = weight;
    const std::uint32_t finish_threads = device.cpu ? 8 : 128;
    operation = make_operation(
        kFinish, finish,
        {{offsetof(gpu::FactorFinishJob, partials), to, Access::read},
         {offsetof(gpu::FactorFinishJob, to), factor, has_old ? Access::read_write : Access::write}},
        ceil_div(items * n * n, finish_threads));
    operation.constants = {{gpu::SPEC_THREADS, finish_threads}};
    operation.reason = "rows were split over workgroups";
    operation.flops = static_cast<double>(items * n * n) / 2 * static_cast<double>(job.splits + 2);
    operation.bytes = element_bytes(to, factor) + (has_old ? 0.5 * element_bytes(factor) : 0.0);
    operation.guarded = options.guarded;
    graph.add(std::move(operation));
}

}  // namespace

void accumulate_factor(Graph& graph, const Tensor& activations, const Tensor& factor,
                       const FactorOptions& options) {
    check_float_tensor(kWho, "activations", graph, activations);
    check_float_tensor(kWho, "factor", graph, factor);
    if (!(options.decay >= 0 && options.decay <= 1))
        refuse(kWho, "decay is " + number_text(options.decay) + "; it must be in [0, 1]");
    if (options.scale && !std::isfinite(*options.scale))
        refuse(kWho, "scale is " + number_text(*options.scale) + "; it must be finite");
    if (static_cast<std::uint32_t>(options.sharing) > 2) refuse(kWho, "sharing is not one of WeightSharing");
    FactorSource source =
        options.patches ? patch_source(activations, *options.patches) : matrix_source(activations, factor);
    if (factor.batch() != source.items)
        refuse(kWho, "factor is " + text(factor) + "; it must have a matrix for each of the " +
                         std::to_string(source.items) + " groups");
    const std::uint64_t n = std::uint64_t{source.rows.features} + (options.bias ? 1 : 0);
    if (factor.dtype != DType::f32 || factor.rows() != n || factor.cols() != n)
        refuse(kWho, "factor is " + text(factor) + ", activations are " + text(activations) +
                         "; it must be f32 with " + std::to_string(n) + " rows and columns");
    check_no_overlap(kWho, "factor", factor, "activations", activations, graph);

    const bool reduces = options.sharing != WeightSharing::expand;
    const std::uint64_t positions =
        options.patches ? std::uint64_t{source.rows.out_height} * source.rows.out_width : options.positions;
    if (reduces && (positions == 0 || source.count % positions != 0))
        refuse(kWho, "activations are " + text(activations) + " with " + std::to_string(source.count) +
                         " rows, positions " + std::to_string(positions) + "; it must divide the rows");
    const std::uint64_t samples = reduces ? source.count / positions : source.count;
    // Patches are not stored, but means of them are.
    if (source.count > kMaxIndex / 2 || (reduces && source.items * samples * n > kMaxIndex) ||
        source.items * n * n > kMaxIndex)
        refuse(kWho,
               "activations are " + text(activations) + " with " + std::to_string(source.count) +
                   " rows of " + std::to_string(n) +
                   "; at most 2^31 - 1 rows, and 2^32 - 1 elements of factors and of means are possible");
    const FactorChoice choice = choose_kernel(graph.device().capabilities(), n, options.variant);
    const FactorKernel& kernel = choice.kernel;
    if (source.items * samples * n == 0) return;

    Tensor from = activations;
    if (reduces && positions > 1) {
        // Without features there is only the bias, a 1 for each sample.
        if (source.rows.features > 0) from = add_reduce(graph, activations, source, positions, options);
        source = reduced(source, positions);
    }

    const std::uint64_t tile =
        kernel.cpu ? std::uint64_t{kernel.cols} * graph.device().capabilities().subgroup_size : kernel.cols;
    const std::uint64_t side = ceil_div(n, tile);
    const std::uint64_t groups = side * (side + 1) / 2 * (tile / kernel.rows) * source.items;
    const std::uint64_t splits =
        std::min(useful_pieces(graph.device().capabilities(), groups, source.count, kMinSplitRows),
                 std::max<std::uint64_t>(1, kMaxIndex / (source.items * n * n)));

    const float scale = options.scale.value_or(1.0f / static_cast<float>(source.count));
    const float weight =
        static_cast<float>((1.0 - static_cast<double>(options.decay)) * static_cast<double>(scale));
    const std::uint64_t at_once = splits * kMaxPiece;
    for (std::uint64_t first = 0; first < source.count; first += at_once)
        add_product(graph, from, source, factor, first, std::min(at_once, source.count - first), splits,
                    first == 0 ? options.decay : 1.0f, weight, choice, options);
}

}  // namespace heron
