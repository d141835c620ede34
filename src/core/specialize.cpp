// SPDX-License-Identifier: MIT
// Instructions are walked by their word counts (SPIR-V specification, sections 2.3 and 3.49).
#include "core/specialize.hpp"

#include <algorithm>
#include <unordered_map>

namespace heron {
namespace {

constexpr std::size_t kHeaderWords = 5;
constexpr std::uint32_t kConstantTrue = 41, kConstantFalse = 42, kConstant = 43, kSpecConstantTrue = 48,
                        kSpecConstantFalse = 49, kSpecConstant = 50, kDecorate = 71;
constexpr std::uint32_t kSpecId = 1;  // a decoration

std::uint32_t opcode(std::uint32_t word) { return word & 0xffff; }
std::size_t words(std::uint32_t word) { return word >> 16; }

}  // namespace

std::vector<std::uint32_t> specialized(std::span<const std::uint32_t> spirv,
                                       std::span<const SpecializationConstant> constants) {
    std::vector<std::uint32_t> result(spirv.begin(), spirv.begin() + kHeaderWords);
    result.reserve(spirv.size());
    std::unordered_map<std::uint32_t, std::uint32_t>
        values;  // by the id of the result; decorations come first
    for (std::size_t at = kHeaderWords; at < spirv.size(); at += words(spirv[at])) {
        const std::span instruction = spirv.subspan(at, words(spirv[at]));
        if (opcode(instruction[0]) == kDecorate && instruction[2] == kSpecId) {
            const auto found = std::find_if(
                constants.begin(), constants.end(),
                [&](const SpecializationConstant& constant) { return constant.id == instruction[3]; });
            if (found != constants.end()) values[instruction[1]] = found->value;
            continue;
        }
        const std::size_t first = result.size();
        result.insert(result.end(), instruction.begin(), instruction.end());
        const auto become = [&](std::uint32_t code) { result[first] = (result[first] & 0xffff0000) | code; };
        switch (opcode(instruction[0])) {
            case kSpecConstantTrue:
            case kSpecConstantFalse: {
                const auto value = values.find(instruction[2]);
                const bool is =
                    value == values.end() ? opcode(instruction[0]) == kSpecConstantTrue : value->second != 0;
                become(is ? kConstantTrue : kConstantFalse);
                break;
            }
            case kSpecConstant: {
                const auto value = values.find(instruction[2]);
                if (value != values.end()) result[first + 3] = value->second;
                become(kConstant);
                break;
            }
            default:
                break;
        }
    }
    return result;
}

}  // namespace heron
