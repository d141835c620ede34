// SPDX-License-Identifier: MIT
// A network with one hidden layer of units that are 1 or -1, and what a population of such networks does with
// a batch.
//
//   h = sign(x W_1^T + b_1);   logits = h W_2^T + b_2;   score = -mean cross entropy
#pragma once

#include <cstdint>
#include <vector>

#include "heron/heron.hpp"

namespace samples {

struct BinaryNetwork {
    std::uint32_t inputs, hidden, classes;
    heron::Buffer weights, gradients;  // W_1, b_1, W_2, b_2 in one buffer each

    BinaryNetwork(const heron::Device& device, std::uint32_t inputs, std::uint32_t hidden,
                  std::uint32_t classes, std::uint32_t seed);
    std::vector<heron::Parameter> parameters() const;
};

struct EvolutionSettings {
    std::uint32_t members = 128;
    std::uint32_t batch = 64;  // images, the same for all members
    std::uint32_t rank = 1;
    float sigma = 0.02f;
    std::uint32_t seed = 1;
};

// A batch that the host writes, and what the plan leaves for it.
struct Batch {
    heron::Buffer images;  // rows x inputs, f32
    heron::Buffer labels;  // rows, u32
    heron::Buffer scores;  // members, f32
    heron::Buffer logits;  // of the network itself, without noise: rows x classes
    heron::Buffer epoch;   // updates made

    Batch(const heron::Device& device, const BinaryNetwork& network, std::uint32_t rows,
          std::uint32_t members);
};

// All members on the batch, what their scores are worth, and from that the gradients of all parameters; the
// next run is the next epoch.
heron::Plan evolution_plan(const heron::Device& device, const BinaryNetwork& network, const Batch& batch,
                           const EvolutionSettings& settings);
// The logits of the network itself.
heron::Plan evaluation_plan(const heron::Device& device, const BinaryNetwork& network, const Batch& batch,
                            std::uint32_t rows);

}  // namespace samples
