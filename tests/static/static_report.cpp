// SPDX-License-Identifier: MIT
// What a driver's compiler makes of Heron's kernels: registers, memory, occupancy, code size. Nothing runs,
// so the device may be one that only a driver imitates.
//
// One line of JSON for each pipeline that the library makes for its kinds of work on this device, then one
// that names the kernels it made none of. What a driver does not tell is null. static_table reads them.
#include <CLI/CLI.hpp>
#include <algorithm>
#include <exception>
#include <iostream>
#include <nlohmann/json.hpp>
#include <optional>
#include <regex>
#include <set>
#include <string>

#include "core/shared.h"
#include "graph/plan.hpp"
#include "heron/heron.hpp"
#include "kernel_names.hpp"
#include "linalg/gemm.hpp"
#include "static/pipeline_capture.hpp"
#include "static/workloads.hpp"
#include "support/device_fixture.hpp"

namespace {

using namespace heron;
using Json = nlohmann::ordered_json;

// Under whatever names the driver (Mesa's RADV, NVK, turnip, Honeykrisp) has for it; sums where several are
// there.
Json statistic(const test::CapturedPipeline& pipeline, std::initializer_list<const char*> names) {
    std::optional<double> sum;
    for (const char* name : names)
        if (const auto found = pipeline.statistics.find(name); found != pipeline.statistics.end())
            sum = sum.value_or(0) + found->second;
    return sum ? Json(static_cast<std::uint64_t>(*sum)) : Json();
}

std::uint64_t count(const std::string& text, const char* pattern) {
    const std::regex regex(pattern);
    return static_cast<std::uint64_t>(
        std::distance(std::sregex_iterator(text.begin(), text.end(), regex), std::sregex_iterator()));
}

// Multiplications of one matrix instruction, where the text has any: "v_wmma_f32_16x16x16_f16",
// "hmma.m16n8k16".
std::uint64_t multiplications(const std::string& assembly) {
    std::smatch match;
    const std::regex regex("(?:mma\\w*_|hmma\\.m)(\\d+)[xn](\\d+)[xk](\\d+)");
    if (!std::regex_search(assembly, match, regex)) return 0;
    return std::stoull(match[1]) * std::stoull(match[2]) * std::stoull(match[3]);
}

// What gemm_coopmat.comp's loop needs at least: a subgroup multiplies its part of the workgroup's tile by 32
// of k.
Json least_matrix_instructions(const Capabilities& device, const test::CapturedPipeline& pipeline) {
    const std::uint64_t each = multiplications(pipeline.assembly);
    if (each == 0) return {};
    for (const GemmKernel& kernel : gemm_kernels())
        if (kernel.info.name == pipeline.kernel)
            return std::uint64_t{kernel.tile_rows(device)} * kernel.tile_cols(device) /
                   (kernel.threads(device) / device.subgroup_size) * 32 / each;
    return {};
}

Json line_of(const Device& device, const test::CapturedPipeline& pipeline) {
    Json line;
    line["device"] = device.info().name;
    line["driver"] = device.info().driver;
    line["kernel"] = pipeline.kernel;
    line["variant"] = constants_text(pipeline.constants);
    line["subgroup"] = pipeline.subgroup;
    line["registers"] = statistic(pipeline, {"VGPRs", "Number of GPRs", "Registers used", "GPRs"});
    line["scalar_registers"] = statistic(pipeline, {"SGPRs", "Uniforms"});
    line["shared_bytes"] = statistic(pipeline, {"LDS size"});
    // To memory: what NVK spills from predicates to registers costs a move.
    line["spills"] = statistic(
        pipeline, {"Spilled VGPRs", "Spilled SGPRs", "Spills to memory", "Spills", "STP Count", "LDP Count"});
    line["scratch_bytes"] = statistic(pipeline, {"Scratch size", "SLM size", "Scratch"});
    line["occupancy"] =
        statistic(pipeline, {"Subgroups per SIMD", "Max warps/SM", "Max Waves Per Core", "Threads"});
    line["code_bytes"] = statistic(pipeline, {"Code size"});
    const bool text = !pipeline.assembly.empty();
    line["matrix_instructions"] = text ? Json(count(pipeline.assembly, "v_s?wmma_|hmma\\.m")) : Json();
    line["least_matrix_instructions"] = least_matrix_instructions(device.capabilities(), pipeline);
    line["shared_loads_16"] =
        text ? Json(count(pipeline.assembly, "ds_(?:load|read)_[ui]16|ld\\.shared\\S*\\.[usb]16\\b"))
             : Json();
    return line;
}

void run(const std::string& select) {
    test::PipelineCapture capture(test::plain_entry());
    DeviceOptions options;
    options.select = select;
    options.get_instance_proc_addr = capture.entry();
    options.instance_extensions = {VK_EXT_DEBUG_UTILS_EXTENSION_NAME};
    Device device = Device::create(options);
    std::cerr << device.explain() << "\n";
    test::compile_workloads(device);

    std::set<std::string> seen, lines;
    for (const test::CapturedPipeline& pipeline : capture.pipelines()) {
        seen.insert(pipeline.kernel);
        lines.insert(line_of(device, pipeline).dump());
    }
    for (const std::string& line : lines) std::cout << line << "\n";
    Json rest;
    rest["device"] = device.info().name;
    rest["driver"] = device.info().driver;
    rest["unseen"] = Json::array();
    for (const char* kernel : test::kKernelNames)
        if (!seen.contains(kernel)) rest["unseen"].push_back(kernel);
    std::cout << rest.dump() << std::endl;
}

}  // namespace

int main(int argc, char** argv) {
    CLI::App app(
        "Compiles every kernel as the library would choose it and prints what the driver says of the code.",
        "static_report");
    std::string select;
    app.add_option("--device", select,
                   "index, UUID or part of the name; default: the first usable, GPUs first")
        ->type_name("SELECT");
    try {
        app.parse(argc, argv);
    } catch (const CLI::ParseError& error) {
        return app.exit(error) == 0 ? 0 : 2;
    }
    try {
        run(select);
        return 0;
    } catch (const std::exception& error) {
        std::cerr << "static_report: " << error.what() << "\n";
        return 1;
    }
}
