// SPDX-License-Identifier: MIT
// What optimizers are compared on.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "compare_optimizers/corpus.hpp"
#include "heron/heron.hpp"
#include "support/dataset.hpp"

namespace samples {

struct Evaluation {
    double loss = 0;      // mean, in nats
    double accuracy = 0;  // share of right predictions
};

// One training of a task: weights, order of the data and passes of one seed.
class Training {
public:
    virtual ~Training() = default;

    virtual std::vector<heron::Parameter> parameters() const = 0;
    // With inputs and output gradients, if Task::begin() was told to keep captures.
    virtual std::vector<heron::Layer> layers() const = 0;
    virtual std::uint64_t parameter_count() const = 0;
    // What a step does before the optimizer: losses and gradients of the next batch. Allocated.
    virtual std::vector<heron::Plan*> passes() = 0;
    // Mean loss of a batch, from 0, that has finished; at most kHistory batches ago.
    virtual double loss(std::uint64_t batch) const = 0;
    // Of data that is not trained on; waits.
    virtual Evaluation evaluate() = 0;
};

class Task {
public:
    virtual ~Task() = default;

    const std::string name;    // for options and files
    const std::string title;   // network and data
    const std::string detail;  // their sizes
    const std::uint32_t steps;
    const float rest_lr;  // of AdamW beside a matrix optimizer

    std::string text() const { return title + ", " + detail; }

    // `keep_captures`: for optimizers of layers; costs the passes a copy of them where they would not last.
    virtual std::unique_ptr<Training> begin(std::uint32_t seed, bool keep_captures) const = 0;

protected:
    Task(std::string task_name, std::string task_title, std::string task_detail, std::uint32_t task_steps,
         float task_rest_lr)
        : name(std::move(task_name)),
          title(std::move(task_title)),
          detail(std::move(task_detail)),
          steps(task_steps),
          rest_lr(task_rest_lr) {}
};

struct ImageTaskSettings {
    std::vector<std::uint32_t> hidden;
    std::uint32_t batch = 0;
    std::uint32_t validation = 0;  // images, the first of the test set
    std::uint32_t steps = 0;
};
// The perceptron of fashion_mnist. `device` and `data` must outlive the task. Throws BadInput for a batch
// that is larger than the data.
std::unique_ptr<Task> image_task(const heron::Device& device, const DataSet& data,
                                 const ImageTaskSettings& settings);

struct TextTaskSettings {
    std::uint32_t context = 0, width = 0, heads = 0, blocks = 0;
    std::uint32_t sequences = 0;   // a step
    std::uint32_t validation = 0;  // windows, at most
    std::uint32_t steps = 0;
};
// The transformer. `device` must outlive the task.
std::unique_ptr<Task> text_task(const heron::Device& device, const Corpus& corpus,
                                const TextTaskSettings& settings);

}  // namespace samples
